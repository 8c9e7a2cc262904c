"""What was traded, and how it goes with the price."""

from __future__ import annotations

from math import log, sqrt

from trading_assets.compilation import inner
from trading_assets.features.indicators import (
    Indicator,
    no_bars,
    second_window,
    second_window_and_one,
    window,
    window_and_one,
)
from trading_assets.features.kernels.rolling import (
    as_count,
    balance_of,
    clipped,
    is_anchored,
    ratio_of,
    sum_before,
    surprise_of,
    variance_of,
)
from trading_assets.features.series import CLOSE, ILLIQUIDITY, LOG_VOLUME, RETURN, TYPICAL, VOLUME, Array


@inner
def volume_surprise(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    for t in range(lo, hi):
        volume = x[VOLUME, t]
        out[t - lo] = surprise_of(state, log(volume), 1 - 1 / p[0]) if volume > 0 else -4.0


@inner
def volume_z(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    n, wet = int(p[0]), state[2]
    total = sum_before(x, LOG_VOLUME, lo, n, 1, state[0])
    squares = sum_before(x, LOG_VOLUME, lo, n, 2, state[1])
    share = 1.0 / n
    for t in range(lo, hi):
        new, old = x[LOG_VOLUME, t], x[LOG_VOLUME, t - n]
        total += new - old
        squares += new * new - old * old
        wet += as_count(new != 0) - as_count(old != 0)
        deviation = sqrt(variance_of(total, squares, wet, n))
        out[t - lo] = clipped(ratio_of(new - total * share, deviation), 5.0)
    state[0], state[1], state[2] = total, squares, wet


@inner
def volume_ratio(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    """State: sum and wet bars of the fast window, then of the slow one."""
    n, m = int(p[0]), int(p[1])
    short, long = sum_before(x, VOLUME, lo, n, 1, state[0]), sum_before(x, VOLUME, lo, m, 1, state[2])
    wet, all_wet, share, all_share = state[1], state[3], 1.0 / n, 1.0 / m
    for t in range(lo, hi):
        new, old, older = x[VOLUME, t], x[VOLUME, t - n], x[VOLUME, t - m]
        short += new - old
        long += new - older
        wet += as_count(new > 0) - as_count(old > 0)
        all_wet += as_count(new > 0) - as_count(older > 0)
        a = short * share if wet > 0 else 0.0
        b = long * all_share if all_wet > 0 else 0.0
        out[t - lo] = balance_of(a, b)
    state[0], state[1], state[2], state[3] = short, wet, long, all_wet


@inner
def money_flow(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    """Money flow index / 100. State: inflow, all flow, wet bars."""
    n, inflow, flow, wet = int(p[0]), state[0], state[1], state[2]
    if is_anchored(x, lo):
        inflow, flow = 0.0, 0.0
        for t in range(lo - n, lo):
            rise, either = _flows(x, t)
            inflow += rise
            flow += either
    for t in range(lo, hi):
        rise, either = _flows(x, t)
        old_rise, old_either = _flows(x, t - n)
        inflow += rise - old_rise
        flow += either - old_either
        wet += as_count(either > 0) - as_count(old_either > 0)
        out[t - lo] = min(max(ratio_of(inflow, flow), 0.0), 1.0) if wet > 0 else 0.5
    state[0], state[1], state[2] = inflow, flow, wet


@inner
def _flows(x: Array, t: int) -> tuple[float, float]:
    """Money that changed hands at a higher typical price than before, and at another one."""
    money, move = x[TYPICAL, t] * x[VOLUME, t], x[TYPICAL, t] - x[TYPICAL, t - 1]
    return money * as_count(move > 0), money * as_count(move != 0)


@inner
def signed_volume(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    """State: volume of rises less volume of falls, all volume, wet bars."""
    n, balance, wet = int(p[0]), state[0], state[2]
    volume = sum_before(x, VOLUME, lo, n, 1, state[1])
    if is_anchored(x, lo):
        balance = 0.0
        for t in range(lo - n, lo):
            balance += _signed(x, t)
    for t in range(lo, hi):
        balance += _signed(x, t) - _signed(x, t - n)
        volume += x[VOLUME, t] - x[VOLUME, t - n]
        wet += as_count(x[VOLUME, t] > 0) - as_count(x[VOLUME, t - n] > 0)
        out[t - lo] = clipped(ratio_of(balance, volume), 1.0) if wet > 0 else 0.0
    state[0], state[1], state[2] = balance, volume, wet


@inner
def _signed(x: Array, t: int) -> float:
    return float(x[VOLUME, t] * (as_count(x[RETURN, t] > 0) - as_count(x[RETURN, t] < 0)))


@inner
def vwap_gap(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    """State: money, volume, wet bars."""
    n, money, wet = int(p[0]), state[0], state[2]
    volume = sum_before(x, VOLUME, lo, n, 1, state[1])
    if is_anchored(x, lo):
        money = 0.0
        for t in range(lo - n, lo):
            money += x[TYPICAL, t] * x[VOLUME, t]
    for t in range(lo, hi):
        new, old = x[VOLUME, t], x[VOLUME, t - n]
        money += x[TYPICAL, t] * new - x[TYPICAL, t - n] * old
        volume += new - old
        wet += as_count(new > 0) - as_count(old > 0)
        out[t - lo] = x[CLOSE, t] * volume / money - 1 if wet > 0 and money > 0 else 0.0
    state[0], state[1], state[2] = money, volume, wet


@inner
def illiquidity_ratio(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    """Amihud's |return| / volume, fast window against slow one. State: sum and terms of each."""
    n, m, terms, all_terms = int(p[0]), int(p[1]), state[1], state[3]
    short = sum_before(x, ILLIQUIDITY, lo, n, 1, state[0])
    long = sum_before(x, ILLIQUIDITY, lo, m, 1, state[2])
    share, all_share = 1.0 / n, 1.0 / m
    for t in range(lo, hi):
        new, old, older = x[ILLIQUIDITY, t], x[ILLIQUIDITY, t - n], x[ILLIQUIDITY, t - m]
        short += new - old
        long += new - older
        terms += as_count(new > 0) - as_count(old > 0)
        all_terms += as_count(new > 0) - as_count(older > 0)
        a = short * share if terms > 0 else 0.0
        b = long * all_share if all_terms > 0 else 0.0
        out[t - lo] = balance_of(a, b)
    state[0], state[1], state[2], state[3] = short, terms, long, all_terms


@inner
def return_volume_correlation(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    """State: sum of products, then sum, squares and number of returns, and of volumes."""
    n, products, moves, wet = int(p[0]), state[0], state[3], state[6]
    if is_anchored(x, lo):
        products = 0.0
        for t in range(lo - n, lo):
            products += x[RETURN, t] * x[LOG_VOLUME, t]
    a, aa = sum_before(x, RETURN, lo, n, 1, state[1]), sum_before(x, RETURN, lo, n, 2, state[2])
    b, bb = sum_before(x, LOG_VOLUME, lo, n, 1, state[4]), sum_before(x, LOG_VOLUME, lo, n, 2, state[5])
    share, rest = 1.0 / n, 1.0 / (n - 1)
    for t in range(lo, hi):
        r, old_r, v, old_v = x[RETURN, t], x[RETURN, t - n], x[LOG_VOLUME, t], x[LOG_VOLUME, t - n]
        products += r * v - old_r * old_v
        a += r - old_r
        aa += r * r - old_r * old_r
        b += v - old_v
        bb += v * v - old_v * old_v
        moves += as_count(r != 0) - as_count(old_r != 0)
        wet += as_count(v != 0) - as_count(old_v != 0)
        spread = sqrt(variance_of(a, aa, moves, n) * variance_of(b, bb, wet, n))
        out[t - lo] = clipped(ratio_of((products - a * b * share) * rest, spread), 1.0)
    state[0], state[1], state[2], state[3] = products, a, aa, moves
    state[4], state[5], state[6] = b, bb, wet


INDICATORS = (
    Indicator(
        "volume_surprise",
        family="volume",
        kernel=volume_surprise,
        defaults=((50,),),
        formula="ln(volume) - its EMA, centered {0} bars back, in +-4",
        state=2,
        memory=no_bars,
        warm_up=lambda n: 5 * n,
        unit="log",
        needs="volume",
        sequence="even",
    ),
    Indicator(
        "volume_z",
        family="volume",
        kernel=volume_z,
        defaults=((48,),),
        formula="z-score of ln(1 + volume) in {0} bars, in +-5",
        state=3,
        memory=window,
        warm_up=window,
        unit="sd",
        needs="volume",
    ),
    Indicator(
        "volume_ratio",
        family="volume",
        kernel=volume_ratio,
        defaults=((12, 96),),
        formula="(a - b) / (a + b), a and b the mean volume of {0} and {1} bars",
        state=4,
        memory=second_window,
        warm_up=second_window,
        unit="1",
        needs="volume",
    ),
    Indicator(
        "money_flow",
        family="volume",
        kernel=money_flow,
        defaults=((14,),),
        formula="money flow index of {0} bars / 100",
        state=3,
        memory=window_and_one,
        warm_up=window_and_one,
        needs="volume",
    ),
    Indicator(
        "signed_volume",
        family="volume",
        kernel=signed_volume,
        defaults=((24,),),
        formula="(volume of rises - volume of falls) / volume, {0} bars",
        state=3,
        memory=window,
        warm_up=window_and_one,
        needs="volume",
    ),
    Indicator(
        "vwap_gap",
        family="volume",
        kernel=vwap_gap,
        defaults=((24,),),
        formula="close / volume-weighted typical price - 1, {0} bars",
        state=3,
        memory=window_and_one,
        warm_up=window,
        unit="1",
        needs="volume",
    ),
    Indicator(
        "illiquidity_ratio",
        family="volume",
        kernel=illiquidity_ratio,
        defaults=((24, 168),),
        formula="(a - b) / (a + b), a and b the mean of |return| / volume of {0} and {1} bars (Amihud)",
        state=4,
        memory=second_window,
        warm_up=second_window_and_one,
        unit="1",
        needs="volume",
    ),
    Indicator(
        "return_volume_correlation",
        family="volume",
        kernel=return_volume_correlation,
        defaults=((48,),),
        formula="correlation of returns with ln(1 + volume), {0} bars",
        state=7,
        memory=window,
        warm_up=window_and_one,
        needs="volume",
    ),
)
