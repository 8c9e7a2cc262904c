"""Higher moments of returns, their dependence, fractional differences."""

from __future__ import annotations

from math import sqrt

import numpy as np

from trading_assets.compilation import inner
from trading_assets.features.indicators import Indicator, second_window, window, window_and_one
from trading_assets.features.kernels.rolling import as_count, clipped, is_anchored, ratio_of, sum_before
from trading_assets.features.series import LOG_CLOSE, RETURN, Array

_DOMINATES = 1e3


@inner
def _powers(x: Array, stop: int, n: int) -> tuple[float, float, float, float]:
    """Sums of the first four powers of the `n` returns before column `stop`."""
    a, b, c, d = 0.0, 0.0, 0.0, 0.0
    for r in x[RETURN, stop - n : stop]:
        a += r
        b += r * r
        c += r * r * r
        d += r * r * r * r
    return a, b, c, d


@inner
def skewness(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    """State: sums of the first three powers, moves."""
    n, a, b, c, moves = int(p[0]), state[0], state[1], state[2], state[3]
    if is_anchored(x, lo):
        a, b, c, _ = _powers(x, lo, n)
    share = 1.0 / n
    for t in range(lo, hi):
        new, old = x[RETURN, t], x[RETURN, t - n]
        a += new - old
        b += new * new - old * old
        c += new * new * new - old * old * old
        if old * old > _DOMINATES * b:  # what is left of the sums is the rounding of what went
            a, b, c, _ = _powers(x, t + 1, n)
        moves += as_count(new != 0) - as_count(old != 0)
        mean, square = a * share, b * share
        variance = square - mean * mean
        third = c * share - 3 * mean * square + 2 * mean * mean * mean
        known = moves > 0 and variance > 1e-12 * square
        out[t - lo] = third / (variance * sqrt(variance)) if known else 0.0
    state[0], state[1], state[2], state[3] = a, b, c, moves


@inner
def kurtosis(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    """State: sums of the first four powers, moves."""
    n, a, b, c, d, moves = int(p[0]), state[0], state[1], state[2], state[3], state[4]
    if is_anchored(x, lo):
        a, b, c, d = _powers(x, lo, n)
    share = 1.0 / n
    for t in range(lo, hi):
        new, old = x[RETURN, t], x[RETURN, t - n]
        new2, old2 = new * new, old * old
        a += new - old
        b += new2 - old2
        c += new2 * new - old2 * old
        d += new2 * new2 - old2 * old2
        if old2 > _DOMINATES * b:
            a, b, c, d = _powers(x, t + 1, n)
        moves += as_count(new != 0) - as_count(old != 0)
        mean, square = a * share, b * share
        squared = mean * mean
        variance = square - squared
        fourth = (d - 4 * mean * c) * share + 6 * squared * square - 3 * squared * squared
        known = moves > 0 and variance > 1e-12 * square
        out[t - lo] = fourth / (variance * variance) - 3 if known else -3.0
    state[0], state[1], state[2], state[3], state[4] = a, b, c, d, moves


@inner
def autocorrelation(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    """Parameters: window, lag. State: products, sum, squares, moves, sums without either end."""
    n, lag = int(p[0]), int(p[1])
    products, moves, early, late = state[0], state[3], state[4], state[5]
    a, b = sum_before(x, RETURN, lo, n, 1, state[1]), sum_before(x, RETURN, lo, n, 2, state[2])
    if is_anchored(x, lo):
        products, early, late = 0.0, 0.0, 0.0
        for t in range(lo - n + lag, lo):
            products += x[RETURN, t] * x[RETURN, t - lag]
            late += x[RETURN, t]
            early += x[RETURN, t - lag]
    share = 1.0 / n
    for t in range(lo, hi):
        new, old = x[RETURN, t], x[RETURN, t - n]
        before, inner = x[RETURN, t - lag], x[RETURN, t - n + lag]
        products += new * before - inner * old
        late += new - inner
        early += before - old
        a += new - old
        b += new * new - old * old
        moves += as_count(new != 0) - as_count(old != 0)
        mean = a * share
        variance = b - a * mean
        together = products - mean * (early + late) + (n - lag) * mean * mean
        known = moves > 0 and variance > 1e-12 * b
        out[t - lo] = clipped(together / variance, 1.0) if known else 0.0
    state[0], state[1], state[2], state[3], state[4], state[5] = products, a, b, moves, early, late


@inner
def variance_ratio(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    """Parameters: window, bars of the longer return. State: squares of long and short ones, moves."""
    n, q, long, moves = int(p[0]), int(p[1]), state[0], state[2]
    short = sum_before(x, RETURN, lo, n, 2, state[1])
    if is_anchored(x, lo):
        long = 0.0
        for t in range(lo - n, lo):
            r = x[LOG_CLOSE, t] - x[LOG_CLOSE, t - q]
            long += r * r
    for t in range(lo, hi):
        new, old = x[RETURN, t], x[RETURN, t - n]
        far, far_old = (
            x[LOG_CLOSE, t] - x[LOG_CLOSE, t - q],
            x[LOG_CLOSE, t - n] - x[LOG_CLOSE, t - n - q],
        )
        long += far * far - far_old * far_old
        short += new * new - old * old
        moves += as_count(new != 0) - as_count(old != 0)
        out[t - lo] = min(max(ratio_of(long, q * short), 0.0), float(q)) if moves > 0 else 1.0
    state[0], state[1], state[2] = long, short, moves


@inner
def fractional_difference(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    """Parameters: order d, window. Lag by lag over the block, so that the inner loop is one of vectors."""
    d, n, size = p[0], int(p[1]), hi - lo
    y, total = x[LOG_CLOSE], np.zeros(hi - lo)
    weight, weights = 1.0, 0.0
    for k in range(n):
        lagged = y[lo - k : hi - k]
        for i in range(size):
            total[i] += weight * lagged[i]
        weights += weight
        weight *= -(d - k) / (k + 1)
    oldest = y[lo - n : hi - n]
    for i in range(size):
        out[i] = total[i] - weights * oldest[i]


INDICATORS = (
    Indicator(
        "skewness",
        family="higher moments",
        kernel=skewness,
        defaults=((48,), (168,)),
        formula="skewness of {0} returns",
        state=4,
        memory=window,
        warm_up=window_and_one,
    ),
    Indicator(
        "kurtosis",
        family="higher moments",
        kernel=kurtosis,
        defaults=((48,), (168,)),
        formula="excess kurtosis of {0} returns",
        state=5,
        memory=window,
        warm_up=window_and_one,
    ),
    Indicator(
        "autocorrelation",
        family="autocorrelation",
        kernel=autocorrelation,
        defaults=((48, 1), (168, 1), (168, 24)),
        formula="autocorrelation of {0} returns at lag {1}",
        state=6,
        memory=lambda n, lag: n + lag,
        warm_up=window_and_one,
    ),
    Indicator(
        "variance_ratio",
        family="autocorrelation",
        kernel=variance_ratio,
        defaults=((96, 4), (168, 24)),
        formula="squared returns over {1} bars / ({1} x those over one), {0} bars",
        state=3,
        memory=lambda n, q: n + q,
        warm_up=lambda n, q: n + q,
    ),
    Indicator(
        "fractional_difference",
        family="fractional differences",
        kernel=fractional_difference,
        defaults=((0.4, 64), (0.7, 64)),
        formula="(1 - L)^{0} of ln(close) since {1} bars ago",
        state=0,
        memory=second_window,
        warm_up=second_window,
        unit="log",
        spans=False,
    ),
)
