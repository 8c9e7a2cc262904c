"""How much the price moves."""

from __future__ import annotations

from math import log, pi, sqrt

from trading_assets.compilation import inner
from trading_assets.features.indicators import (
    Indicator,
    no_bars,
    one_bar,
    second_window,
    second_window_and_one,
    window,
    window_and_one,
)
from trading_assets.features.kernels.rolling import (
    as_count,
    clipped,
    is_anchored,
    ratio_of,
    sum_before,
    surprise_of,
    true_range,
    variance_of,
    wilder_weight,
)
from trading_assets.features.series import (
    CLOSE,
    INDEX,
    LOG_CLOSE,
    LOG_HIGH,
    LOG_LOW,
    LOG_OPEN,
    RETURN,
    VARIANCE,
    Array,
)


@inner
def volatility(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    n, moves = int(p[0]), state[2]
    total = sum_before(x, RETURN, lo, n, 1, state[0])
    squares = sum_before(x, RETURN, lo, n, 2, state[1])
    news, olds = x[RETURN, lo:hi], x[RETURN, lo - n : hi - n]
    for i in range(hi - lo):
        new, old = news[i], olds[i]
        total += new - old
        squares += new * new - old * old
        moves += as_count(new != 0) - as_count(old != 0)
        out[i] = sqrt(variance_of(total, squares, moves, n))
    state[0], state[1], state[2] = total, squares, moves


@inner
def volatility_ratio(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    """State: sum, sum of squares and moves of the fast window, then of the slow one."""
    n, m = int(p[0]), int(p[1])
    total, squares = sum_before(x, RETURN, lo, n, 1, state[0]), sum_before(x, RETURN, lo, n, 2, state[1])
    longer, wider = sum_before(x, RETURN, lo, m, 1, state[3]), sum_before(x, RETURN, lo, m, 2, state[4])
    moves, all_moves = state[2], state[5]
    for t in range(lo, hi):
        new, old, older = x[RETURN, t], x[RETURN, t - n], x[RETURN, t - m]
        total += new - old
        squares += new * new - old * old
        moves += as_count(new != 0) - as_count(old != 0)
        longer += new - older
        wider += new * new - older * older
        all_moves += as_count(new != 0) - as_count(older != 0)
        a, b = variance_of(total, squares, moves, n), variance_of(longer, wider, all_moves, m)
        out[t - lo] = 0.5 * log(a / b) if a > 0 and b > 0 else 0.0
    state[0], state[1], state[2] = total, squares, moves
    state[3], state[4], state[5] = longer, wider, all_moves


@inner
def ewma_volatility(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    for t in range(lo, hi):
        out[t - lo] = sqrt(x[VARIANCE, t])


@inner
def _range_term(x: Array, t: int) -> float:
    spread = x[LOG_HIGH, t] - x[LOG_LOW, t]
    return float(spread * spread)


@inner
def _garman_klass_term(x: Array, t: int) -> float:
    body = x[LOG_CLOSE, t] - x[LOG_OPEN, t]
    return float(0.5 * _range_term(x, t) - (2 * log(2.0) - 1) * body * body)


@inner
def _rogers_satchell_term(x: Array, t: int) -> float:
    top, bottom = x[LOG_HIGH, t], x[LOG_LOW, t]
    start, end = x[LOG_OPEN, t], x[LOG_CLOSE, t]
    return float((top - end) * (top - start) + (bottom - end) * (bottom - start))


@inner
def parkinson(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    n, total, moves = int(p[0]), state[0], state[1]
    share = 1.0 / (n * 4 * log(2.0))
    if is_anchored(x, lo):
        total = 0.0
        for t in range(lo - n, lo):
            total += _range_term(x, t)
    for t in range(lo, hi):
        new, old = _range_term(x, t), _range_term(x, t - n)
        total += new - old
        moves += as_count(new > 0) - as_count(old > 0)
        out[t - lo] = sqrt(max(total, 0.0) * share) if moves > 0 else 0.0
    state[0], state[1] = total, moves


@inner
def garman_klass(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    n, total, moves = int(p[0]), state[0], state[1]
    share = 1.0 / n
    if is_anchored(x, lo):
        total = 0.0
        for t in range(lo - n, lo):
            total += _garman_klass_term(x, t)
    for t in range(lo, hi):
        new, old = _garman_klass_term(x, t), _garman_klass_term(x, t - n)
        total += new - old
        moves += as_count(new != 0) - as_count(old != 0)
        out[t - lo] = sqrt(max(total, 0.0) * share) if moves > 0 else 0.0
    state[0], state[1] = total, moves


@inner
def rogers_satchell(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    n, total, moves = int(p[0]), state[0], state[1]
    share = 1.0 / n
    if is_anchored(x, lo):
        total = 0.0
        for t in range(lo - n, lo):
            total += _rogers_satchell_term(x, t)
    for t in range(lo, hi):
        new, old = _rogers_satchell_term(x, t), _rogers_satchell_term(x, t - n)
        total += new - old
        moves += as_count(new != 0) - as_count(old != 0)
        out[t - lo] = sqrt(max(total, 0.0) * share) if moves > 0 else 0.0
    state[0], state[1] = total, moves


@inner
def yang_zhang(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    """State: sums and sums of squares of overnight and of open-to-close moves, Rogers-Satchell, moves."""
    n = int(p[0])
    k = 0.34 / (1.34 + (n + 1) / (n - 1))
    share, rest, part_of_day, part_inside = 1.0 / n, 1.0 / (n - 1), k / (n - 1), (1 - k) / n
    night, night2, day, day2, inside, moves = state[0], state[1], state[2], state[3], state[4], state[5]
    if is_anchored(x, lo):
        night, night2, day, day2, inside = 0.0, 0.0, 0.0, 0.0, 0.0
        for t in range(lo - n, lo):
            a, b = x[LOG_OPEN, t] - x[LOG_CLOSE, t - 1], x[LOG_CLOSE, t] - x[LOG_OPEN, t]
            night, night2, day, day2 = night + a, night2 + a * a, day + b, day2 + b * b
            inside += _rogers_satchell_term(x, t)
    for t in range(lo, hi):
        a, b = x[LOG_OPEN, t] - x[LOG_CLOSE, t - 1], x[LOG_CLOSE, t] - x[LOG_OPEN, t]
        c, d = x[LOG_OPEN, t - n] - x[LOG_CLOSE, t - n - 1], x[LOG_CLOSE, t - n] - x[LOG_OPEN, t - n]
        new, old = _rogers_satchell_term(x, t), _rogers_satchell_term(x, t - n)
        night += a - c
        night2 += a * a - c * c
        day += b - d
        day2 += b * b - d * d
        inside += new - old
        moves += as_count(a != 0 or b != 0 or new != 0) - as_count(c != 0 or d != 0 or old != 0)
        overnight, open_close = night2 - night * night * share, day2 - day * day * share
        variance = overnight * rest + open_close * part_of_day + inside * part_inside
        out[t - lo] = sqrt(max(variance, 0.0)) if moves > 0 else 0.0
    state[0], state[1], state[2], state[3], state[4], state[5] = night, night2, day, day2, inside, moves


@inner
def atr(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    """Wilder's average true range over the close."""
    n, share, mean = p[0], 1 / p[0], state[0]
    for t in range(lo, hi):
        if x[INDEX, t] > 0:
            mean += (true_range(x, t) - mean) * wilder_weight(x[INDEX, t], n, share)
        out[t - lo] = mean / x[CLOSE, t]
    state[0] = mean


@inner
def range_surprise(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    for t in range(lo, hi):
        spread = x[LOG_HIGH, t] - x[LOG_LOW, t]
        out[t - lo] = surprise_of(state, log(spread), 1 - 1 / p[0]) if spread > 0 else -4.0


@inner
def downside_share(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    """State: squares of falls, squares of all, moves."""
    n, falls, squares, moves = int(p[0]), state[0], state[1], state[2]
    if is_anchored(x, lo):
        falls, squares = 0.0, 0.0
        for t in range(lo - n, lo):
            r = x[RETURN, t]
            squares += r * r
            falls += r * r if r < 0 else 0.0
    for t in range(lo, hi):
        new, old = x[RETURN, t], x[RETURN, t - n]
        squares += new * new - old * old
        falls += (new * new if new < 0 else 0.0) - (old * old if old < 0 else 0.0)
        moves += as_count(new != 0) - as_count(old != 0)
        out[t - lo] = min(max(ratio_of(falls, squares), 0.0), 1.0) if moves > 0 else 0.5
    state[0], state[1], state[2] = falls, squares, moves


@inner
def jump_share(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    """State: sum of |r| |r before|, squares, moves."""
    n, products, squares, moves = int(p[0]), state[0], state[1], state[2]
    if is_anchored(x, lo):
        products, squares = 0.0, 0.0
        for t in range(lo - n, lo):
            products += abs(x[RETURN, t] * x[RETURN, t - 1])
            squares += x[RETURN, t] * x[RETURN, t]
    for t in range(lo, hi):
        new, old = x[RETURN, t], x[RETURN, t - n]
        products += abs(new * x[RETURN, t - 1]) - abs(old * x[RETURN, t - n - 1])
        squares += new * new - old * old
        moves += as_count(new != 0) - as_count(old != 0)
        out[t - lo] = clipped(1 - pi / 2 * ratio_of(products, squares), 1.0) if moves > 0 else 0.0
    state[0], state[1], state[2] = products, squares, moves


INDICATORS = (
    Indicator(
        "volatility",
        family="volatility",
        kernel=volatility,
        defaults=((24,), (96,)),
        formula="standard deviation of {0} returns",
        state=3,
        memory=window,
        warm_up=window_and_one,
        unit="log",
    ),
    Indicator(
        "volatility_ratio",
        family="volatility",
        kernel=volatility_ratio,
        defaults=((24, 96),),
        formula="ln(volatility {0} / volatility {1})",
        state=6,
        memory=second_window,
        warm_up=second_window_and_one,
        unit="log",
        sequence="even",
    ),
    Indicator(
        "ewma_volatility",
        family="volatility",
        kernel=ewma_volatility,
        defaults=((),),
        formula="EWMA (0.95) deviation of returns",
        state=0,
        memory=no_bars,
        warm_up=lambda: 64,
        unit="log",
    ),
    Indicator(
        "parkinson",
        family="volatility",
        kernel=parkinson,
        defaults=((24,),),
        formula="sqrt(mean ln(high / low)^2 / (4 ln 2)), {0} bars",
        state=2,
        memory=window,
        warm_up=window,
        unit="log",
        needs="range",
    ),
    Indicator(
        "garman_klass",
        family="volatility",
        kernel=garman_klass,
        defaults=((24,),),
        formula="sqrt(mean(ln(high/low)^2 / 2 - (2 ln 2 - 1) ln(close/open)^2)), {0} bars",
        state=2,
        memory=window,
        warm_up=window,
        unit="log",
        needs="range",
    ),
    Indicator(
        "rogers_satchell",
        family="volatility",
        kernel=rogers_satchell,
        defaults=((24,),),
        formula="sqrt(mean(ln(h/c) ln(h/o) + ln(l/c) ln(l/o))), {0} bars",
        state=2,
        memory=window,
        warm_up=window,
        unit="log",
        needs="range",
    ),
    Indicator(
        "yang_zhang",
        family="volatility",
        kernel=yang_zhang,
        defaults=((24,),),
        formula="sqrt(overnight + k open-to-close + (1 - k) Rogers-Satchell), {0} bars",
        state=6,
        memory=window_and_one,
        warm_up=window_and_one,
        unit="log",
        needs="range",
    ),
    Indicator(
        "atr",
        family="volatility",
        kernel=atr,
        defaults=((14,),),
        formula="Wilder's average true range of {0} bars / close, seeded with the mean of the first",
        state=1,
        memory=one_bar,
        warm_up=lambda n: 24 * n,
    ),
    Indicator(
        "range_surprise",
        family="volatility",
        kernel=range_surprise,
        defaults=((50,),),
        formula="ln(ln(high / low)) - its EMA, centered {0} bars back, in +-4",
        state=2,
        memory=no_bars,
        warm_up=lambda n: 5 * n,
        unit="log",
        needs="range",
        sequence="even",
    ),
    Indicator(
        "downside_share",
        family="volatility",
        kernel=downside_share,
        defaults=((48,),),
        formula="squared falls / squared returns, {0} bars",
        state=3,
        memory=window,
        warm_up=window_and_one,
    ),
    Indicator(
        "jump_share",
        family="volatility",
        kernel=jump_share,
        defaults=((96,),),
        formula="1 - bipower variation / squared returns, {0} bars",
        state=3,
        memory=window_and_one,
        warm_up=lambda n: n + 2,
    ),
)
