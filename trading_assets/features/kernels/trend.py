"""Where the price is going: averages, lines, directional movement."""

from __future__ import annotations

from math import sqrt

from trading_assets.compilation import inner
from trading_assets.features.indicators import Indicator, no_bars, one_bar, window
from trading_assets.features.kernels.rolling import as_count, clipped, is_anchored, ratio_of, wilder_weight
from trading_assets.features.series import HIGH, INDEX, LOG_CLOSE, LOW, RETURN, ROUNDING, Array


@inner
def ema_gap(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    a, b = 2 / (p[0] + 1), 2 / (p[1] + 1)
    fast, slow = state[0], state[1]
    for t in range(lo, hi):
        y = x[LOG_CLOSE, t]
        if x[INDEX, t] == 0:
            fast, slow = y, y
        fast += a * (y - fast)
        slow += b * (y - slow)
        out[t - lo] = fast - slow
    state[0], state[1] = fast, slow


@inner
def sma_gap(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    """State: reference level, sum of what is above it."""
    n, level, total = int(p[0]), state[0], state[1]
    if is_anchored(x, lo):
        level, total = x[LOG_CLOSE, lo - 1], 0.0
        for t in range(lo - n, lo):
            total += x[LOG_CLOSE, t] - level
    share = 1.0 / n
    for t in range(lo, hi):
        y = x[LOG_CLOSE, t] - level
        total += y - (x[LOG_CLOSE, t - n] - level)
        out[t - lo] = y - total * share
    state[0], state[1] = level, total


@inner
def _line(x: Array, lo: int, n: int, state: Array) -> tuple[float, float, float, float]:
    """Sums for a line through the last `n` ln(close): reference level, sum, sum of i y, sum of squares."""
    if not is_anchored(x, lo):
        return state[0], state[1], state[2], state[3]
    level = x[LOG_CLOSE, lo - 1 if x[INDEX, lo] > 0 else lo]
    total, weighted, squares = 0.0, 0.0, 0.0
    for i in range(n):
        y = x[LOG_CLOSE, lo - n + i] - level
        total += y
        weighted += i * y
        squares += y * y
    return level, total, weighted, squares


@inner
def slope(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    n = int(p[0])
    level, total, weighted, squares = _line(x, lo, n, state)
    for t in range(lo, hi):
        new, old = x[LOG_CLOSE, t] - level, x[LOG_CLOSE, t - n] - level
        weighted += (n - 1) * new - (total - old)
        total += new - old
        out[t - lo] = 12 * (weighted - (n - 1) / 2 * total) / (n * n - 1.0)
    state[0], state[1], state[2], state[3] = level, total, weighted, squares


@inner
def trend_correlation(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    n = int(p[0])
    level, total, weighted, squares = _line(x, lo, n, state)
    moves, spread, share, middle = state[4], sqrt((n * n - 1.0) / 12), 1.0 / n, (n - 1) / 2
    for t in range(lo, hi):
        new, old = x[LOG_CLOSE, t] - level, x[LOG_CLOSE, t - n] - level
        weighted += (n - 1) * new - (total - old)
        total += new - old
        squares += new * new - old * old
        moves += as_count(x[RETURN, t] != 0) - as_count(x[RETURN, t - n + 1] != 0)
        mean = total * share
        variance = squares * share - mean * mean
        still = moves == 0 or variance <= 0
        together = (weighted - middle * total) * share
        out[t - lo] = 0.0 if still else clipped(together / (spread * sqrt(variance)), 1.0)
    state[0], state[1], state[2], state[3], state[4] = level, total, weighted, squares, moves


@inner
def adx(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    """Wilder's average directional index / 100. State: up and down movement, index."""
    n, share, up, down, index = p[0], 1 / p[0], state[0], state[1], state[2]
    for t in range(lo, hi):
        if x[INDEX, t] > 0:
            rise, fall = x[HIGH, t] - x[HIGH, t - 1], x[LOW, t - 1] - x[LOW, t]
            rounding = ROUNDING * x[HIGH, t]
            up += (rise if rise > fall + rounding and rise > 0 else 0.0) - up * share
            down += (fall if fall > rise + rounding and fall > 0 else 0.0) - down * share
            index += (ratio_of(abs(up - down), up + down) - index) * wilder_weight(x[INDEX, t], n, share)
        out[t - lo] = index
    state[0], state[1], state[2] = up, down, index


INDICATORS = (
    Indicator(
        "ema_gap",
        family="trend",
        kernel=ema_gap,
        defaults=((12, 26), (24, 96)),
        formula="EMA {0} - EMA {1} of ln(close), seeded with the first",
        state=2,
        memory=no_bars,
        warm_up=lambda _, n: 4 * n,
        unit="log",
    ),
    Indicator(
        "sma_gap",
        family="trend",
        kernel=sma_gap,
        defaults=((24,), (168,)),
        formula="ln(close) - its mean over {0} bars",
        state=2,
        memory=window,
        warm_up=window,
        unit="log",
    ),
    Indicator(
        "slope",
        family="trend",
        kernel=slope,
        defaults=((24,), (96,)),
        formula="least-squares slope of ln(close) on time, times {0} bars",
        state=4,
        memory=window,
        warm_up=window,
        unit="log",
    ),
    Indicator(
        "trend_correlation",
        family="trend",
        kernel=trend_correlation,
        defaults=((24,), (96,)),
        formula="correlation of ln(close) with time, {0} bars",
        state=5,
        memory=window,
        warm_up=window,
    ),
    Indicator(
        "adx",
        family="trend",
        kernel=adx,
        defaults=((14,),),
        formula="Wilder's ADX of {0} bars / 100, seeded with the first moves",
        state=3,
        memory=one_bar,
        warm_up=lambda n: 24 * n,
    ),
)
