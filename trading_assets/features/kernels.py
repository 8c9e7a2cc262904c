"""The arithmetic of the features, each written once for batch, append and live.

Every kernel is `kernel(x, lo, hi, state, out, p)`: it reads the rows of `x` (see `series`) at and before
columns `lo:hi`, carries sums and averages of earlier bars in `state`, writes `out[0:hi-lo]` and takes its
parameters from `p`. One bar at a time or all at once, the operations and their order are the same, so the
results are equal bit for bit. A state starts as zeros. What a kernel writes before its feature's warm-up
has no meaning.

A rolling sum is taken afresh wherever `INDEX` is a multiple of `ANCHOR`, so that rounding cannot pile up;
no call reaches across such a bar. Before the first bar the price stood at its close, and nothing happened.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from math import floor, log, pi, sin, sqrt

import numpy as np
from numba import literal_unroll

from trading_assets.compilation import compiled, inner
from trading_assets.features.series import (
    CLOSE,
    FUNDING,
    HIGH,
    ILLIQUIDITY,
    INDEX,
    LOG_CLOSE,
    LOG_HIGH,
    LOG_LOW,
    LOG_OPEN,
    LOG_VOLUME,
    LOW,
    OPEN,
    RETURN,
    ROUNDING,
    TIME,
    TYPICAL,
    VARIANCE,
    VOLUME,
    Array,
    Z,
    derive,
)

ANCHOR = 512
_KERNELS: list[Callable[..., None]] = []

# The loop over all kernels at the end of this file is compiled with them as first-class functions.
warnings.filterwarnings("ignore", message="First-class function type feature is experimental")


def kernel(function: Callable[..., None]) -> Callable[..., None]:
    """Compile a kernel and list it for `advance`."""
    made: Callable[..., None] = inner(function)
    _KERNELS.append(made)
    return made


@inner
def _start(x: Array, row: int, lo: int, n: int, power: int, kept: float) -> float:
    """The sum of a row's powers over the `n` bars before `lo`: as kept, or afresh at an anchor."""
    if int(x[INDEX, lo]) % ANCHOR:
        return kept
    total = 0.0
    for value in x[row, lo - n : lo]:
        term = value
        for _ in range(power - 1):
            term *= value
        total += term
    return total


@inner
def _anchored(x: Array, lo: int) -> bool:
    return int(x[INDEX, lo]) % ANCHOR == 0


@inner
def _variance(total: float, squares: float, moves: float, n: int) -> float:
    """Sample variance from sums; exactly 0 where nothing in the window differs from 0, or all is equal."""
    share, rest = 1.0 / n, 1.0 / (n - 1)  # of the window, so divided once and not at every bar
    variance = (squares - total * total * share) * rest
    return variance if moves > 0 and variance > 1e-12 * squares * share else 0.0


@inner
def _count(holds: bool) -> float:
    return 1.0 if holds else 0.0


@inner
def _ratio(a: float, b: float) -> float:
    return a / b if b > 0 else 0.0


@inner
def _balance(a: float, b: float) -> float:
    """(a - b) / (a + b): a ratio within +-1 that treats both alike; 0 where both are 0."""
    return _clip(_ratio(a - b, a + b), 1.0)


@inner
def _clip(value: float, limit: float) -> float:
    return min(max(value, -limit), limit)


@inner
def _wilder(index: float, n: float, share: float) -> float:
    """Weight of a new value in Wilder's average, which starts with the mean of the first `n`."""
    return share if index >= n else 1 / index


# Returns and momentum


@kernel
def log_return(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    n = int(p[0])
    for t in range(lo, hi):
        out[t - lo] = x[LOG_CLOSE, t] - x[LOG_CLOSE, t - n]


@kernel
def return_z(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    for t in range(lo, hi):
        out[t - lo] = x[Z, t]


@kernel
def return_z_ema(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    keep, mean = 1 - 1 / p[0], state[0]
    for t in range(lo, hi):
        mean = keep * mean + (1 - keep) * x[Z, t]
        out[t - lo] = mean
    state[0] = mean


@kernel
def rsi(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    """Wilder's index with his seed, the mean of the first `n` moves. State: gain, loss."""
    n, share, gain, loss = p[0], 1 / p[0], state[0], state[1]
    for t in range(lo, hi):
        if x[INDEX, t] > 0:
            move = x[CLOSE, t] - x[CLOSE, t - 1]
            weight = _wilder(x[INDEX, t], n, share)
            gain += (max(move, 0.0) - gain) * weight
            loss += (max(-move, 0.0) - loss) * weight
        total = gain + loss
        out[t - lo] = gain / total if total > 0 else 0.5
    state[0], state[1] = gain, loss


@kernel
def macd_histogram(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    """State: fast EMA, slow EMA, signal."""
    a, b, c = 2 / (p[0] + 1), 2 / (p[1] + 1), 2 / (p[2] + 1)
    fast, slow, signal = state[0], state[1], state[2]
    for t in range(lo, hi):
        price = x[CLOSE, t]
        if x[INDEX, t] == 0:
            fast, slow = price, price
        fast += a * (price - fast)
        slow += b * (price - slow)
        signal += c * (fast - slow - signal)
        out[t - lo] = (fast - slow - signal) / price
    state[0], state[1], state[2] = fast, slow, signal


@kernel
def efficiency(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    """State: the path's length, the number of moves in it."""
    n, path, moves = int(p[0]), state[0], state[1]
    if _anchored(x, lo):
        path = 0.0
        for t in range(lo - n, lo):
            path += abs(x[RETURN, t])
    for t in range(lo, hi):
        new, old = abs(x[RETURN, t]), abs(x[RETURN, t - n])
        path += new - old
        moves += _count(new > 0) - _count(old > 0)
        way = x[LOG_CLOSE, t] - x[LOG_CLOSE, t - n]
        out[t - lo] = _clip(way / path, 1.0) if moves > 0 and path > 0 else 0.0
    state[0], state[1] = path, moves


@kernel
def up_share(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    n, ups = int(p[0]), state[0]
    for t in range(lo, hi):
        ups += _count(x[RETURN, t] > 0) - _count(x[RETURN, t - n] > 0)
        out[t - lo] = ups / n
    state[0] = ups


# Trend


@kernel
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


@kernel
def sma_gap(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    """State: reference level, sum of what is above it."""
    n, level, total = int(p[0]), state[0], state[1]
    if _anchored(x, lo):
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
    if not _anchored(x, lo):
        return state[0], state[1], state[2], state[3]
    level = x[LOG_CLOSE, lo - 1 if x[INDEX, lo] > 0 else lo]
    total, weighted, squares = 0.0, 0.0, 0.0
    for i in range(n):
        y = x[LOG_CLOSE, lo - n + i] - level
        total += y
        weighted += i * y
        squares += y * y
    return level, total, weighted, squares


@kernel
def slope(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    n = int(p[0])
    level, total, weighted, squares = _line(x, lo, n, state)
    for t in range(lo, hi):
        new, old = x[LOG_CLOSE, t] - level, x[LOG_CLOSE, t - n] - level
        weighted += (n - 1) * new - (total - old)
        total += new - old
        out[t - lo] = 12 * (weighted - (n - 1) / 2 * total) / (n * n - 1.0)
    state[0], state[1], state[2], state[3] = level, total, weighted, squares


@kernel
def trend_correlation(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    n = int(p[0])
    level, total, weighted, squares = _line(x, lo, n, state)
    moves, spread, share, middle = state[4], sqrt((n * n - 1.0) / 12), 1.0 / n, (n - 1) / 2
    for t in range(lo, hi):
        new, old = x[LOG_CLOSE, t] - level, x[LOG_CLOSE, t - n] - level
        weighted += (n - 1) * new - (total - old)
        total += new - old
        squares += new * new - old * old
        moves += _count(x[RETURN, t] != 0) - _count(x[RETURN, t - n + 1] != 0)
        mean = total * share
        variance = squares * share - mean * mean
        still = moves == 0 or variance <= 0
        together = (weighted - middle * total) * share
        out[t - lo] = 0.0 if still else _clip(together / (spread * sqrt(variance)), 1.0)
    state[0], state[1], state[2], state[3], state[4] = level, total, weighted, squares, moves


@kernel
def adx(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    """Wilder's average directional index / 100. State: up and down movement, index."""
    n, share, up, down, index = p[0], 1 / p[0], state[0], state[1], state[2]
    for t in range(lo, hi):
        if x[INDEX, t] > 0:
            rise, fall = x[HIGH, t] - x[HIGH, t - 1], x[LOW, t - 1] - x[LOW, t]
            rounding = ROUNDING * x[HIGH, t]
            up += (rise if rise > fall + rounding and rise > 0 else 0.0) - up * share
            down += (fall if fall > rise + rounding and fall > 0 else 0.0) - down * share
            index += (_ratio(abs(up - down), up + down) - index) * _wilder(x[INDEX, t], n, share)
        out[t - lo] = index
    state[0], state[1], state[2] = up, down, index


@inner
def _true_range(x: Array, t: int) -> float:
    before = x[CLOSE, t - 1]
    return float(max(x[HIGH, t], before) - min(x[LOW, t], before))


# Price position


@inner
def _highest(x: Array, row: int, lo: int, hi: int, n: int, sign: float, out: Array) -> None:
    """The highest (sign -1: lowest) of the last `n` values, times the sign.

    In pieces of `n` bars: a window is what lies before the piece's first bar and what lies from it on, and
    the best of either is kept while walking away from that bar (van Herk 1992).
    """
    before = np.empty(n)
    for start in range(lo, hi, n):
        values = x[row, start - n + 1 : min(start + n, hi)]
        top = -np.inf
        for i in range(n - 1):
            top = max(top, sign * values[n - 2 - i])
            before[n - 2 - i] = top
        before[n - 1] = -np.inf
        top = -np.inf
        found = out[start - lo :]
        for i in range(len(values) - n + 1):
            top = max(top, sign * values[n - 1 + i])
            found[i] = max(top, before[i])


@inner
def _ages(x: Array, row: int, lo: int, hi: int, n: int, sign: float, out: Array) -> None:
    """Age of the latest extreme of the last `n` values; in pieces, as `_highest`."""
    before, where = np.empty(n), np.empty(n, np.int64)
    for start in range(lo, hi, n):
        values = x[row, start - n + 1 : min(start + n, hi)]
        top, at = -np.inf, 0
        for i in range(n - 2, -1, -1):
            value = sign * values[i]
            if value > top:
                top, at = value, i
            before[i], where[i] = top, at
        before[n - 1] = -np.inf
        top, at = -np.inf, 0
        found = out[start - lo :]
        for i in range(len(values) - n + 1):
            value = sign * values[n - 1 + i]
            if value >= top:
                top, at = value, n - 1 + i
            found[i] = n - 1 + i - (at if top >= before[i] else where[i])


@kernel
def channel_position(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    n, size = int(p[0]), hi - lo
    top, bottom, close = np.empty(size), np.empty(size), x[CLOSE, lo:hi]
    _highest(x, HIGH, lo, hi, n, 1.0, top)
    _highest(x, LOW, lo, hi, n, -1.0, bottom)
    for i in range(size):
        width = top[i] + bottom[i]
        out[i] = (close[i] + bottom[i]) / width if width > 0 else 0.5


@kernel
def aroon(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    n, share = int(p[0]), 1.0 / p[0]
    high, low = np.empty(hi - lo), np.empty(hi - lo)
    _ages(x, HIGH, lo, hi, n + 1, 1.0, high)
    _ages(x, LOW, lo, hi, n + 1, -1.0, low)
    for i in range(hi - lo):
        out[i] = (low[i] - high[i]) * share


@kernel
def below_high(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    top, close = np.empty(hi - lo), x[LOG_CLOSE, lo:hi]
    _highest(x, LOG_HIGH, lo, hi, int(p[0]), 1.0, top)
    for i in range(hi - lo):
        out[i] = close[i] - top[i]


@kernel
def above_low(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    bottom, close = np.empty(hi - lo), x[LOG_CLOSE, lo:hi]
    _highest(x, LOG_LOW, lo, hi, int(p[0]), -1.0, bottom)
    for i in range(hi - lo):
        out[i] = close[i] + bottom[i]


# Volatility


@kernel
def volatility(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    n, moves = int(p[0]), state[2]
    total = _start(x, RETURN, lo, n, 1, state[0])
    squares = _start(x, RETURN, lo, n, 2, state[1])
    news, olds = x[RETURN, lo:hi], x[RETURN, lo - n : hi - n]
    for i in range(hi - lo):
        new, old = news[i], olds[i]
        total += new - old
        squares += new * new - old * old
        moves += _count(new != 0) - _count(old != 0)
        out[i] = sqrt(_variance(total, squares, moves, n))
    state[0], state[1], state[2] = total, squares, moves


@kernel
def volatility_ratio(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    """State: sum, sum of squares and moves of the fast window, then of the slow one."""
    n, m = int(p[0]), int(p[1])
    total, squares = _start(x, RETURN, lo, n, 1, state[0]), _start(x, RETURN, lo, n, 2, state[1])
    longer, wider = _start(x, RETURN, lo, m, 1, state[3]), _start(x, RETURN, lo, m, 2, state[4])
    moves, all_moves = state[2], state[5]
    for t in range(lo, hi):
        new, old, older = x[RETURN, t], x[RETURN, t - n], x[RETURN, t - m]
        total += new - old
        squares += new * new - old * old
        moves += _count(new != 0) - _count(old != 0)
        longer += new - older
        wider += new * new - older * older
        all_moves += _count(new != 0) - _count(older != 0)
        a, b = _variance(total, squares, moves, n), _variance(longer, wider, all_moves, m)
        out[t - lo] = 0.5 * log(a / b) if a > 0 and b > 0 else 0.0
    state[0], state[1], state[2] = total, squares, moves
    state[3], state[4], state[5] = longer, wider, all_moves


@kernel
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


@kernel
def parkinson(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    n, total, moves = int(p[0]), state[0], state[1]
    share = 1.0 / (n * 4 * log(2.0))
    if _anchored(x, lo):
        total = 0.0
        for t in range(lo - n, lo):
            total += _range_term(x, t)
    for t in range(lo, hi):
        new, old = _range_term(x, t), _range_term(x, t - n)
        total += new - old
        moves += _count(new > 0) - _count(old > 0)
        out[t - lo] = sqrt(max(total, 0.0) * share) if moves > 0 else 0.0
    state[0], state[1] = total, moves


@kernel
def garman_klass(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    n, total, moves = int(p[0]), state[0], state[1]
    share = 1.0 / n
    if _anchored(x, lo):
        total = 0.0
        for t in range(lo - n, lo):
            total += _garman_klass_term(x, t)
    for t in range(lo, hi):
        new, old = _garman_klass_term(x, t), _garman_klass_term(x, t - n)
        total += new - old
        moves += _count(new != 0) - _count(old != 0)
        out[t - lo] = sqrt(max(total, 0.0) * share) if moves > 0 else 0.0
    state[0], state[1] = total, moves


@kernel
def rogers_satchell(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    n, total, moves = int(p[0]), state[0], state[1]
    share = 1.0 / n
    if _anchored(x, lo):
        total = 0.0
        for t in range(lo - n, lo):
            total += _rogers_satchell_term(x, t)
    for t in range(lo, hi):
        new, old = _rogers_satchell_term(x, t), _rogers_satchell_term(x, t - n)
        total += new - old
        moves += _count(new != 0) - _count(old != 0)
        out[t - lo] = sqrt(max(total, 0.0) * share) if moves > 0 else 0.0
    state[0], state[1] = total, moves


@kernel
def yang_zhang(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    """State: sums and sums of squares of overnight and of open-to-close moves, Rogers-Satchell, moves."""
    n = int(p[0])
    k = 0.34 / (1.34 + (n + 1) / (n - 1))
    share, rest, part_of_day, part_inside = 1.0 / n, 1.0 / (n - 1), k / (n - 1), (1 - k) / n
    night, night2, day, day2, inside, moves = state[0], state[1], state[2], state[3], state[4], state[5]
    if _anchored(x, lo):
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
        moves += _count(a != 0 or b != 0 or new != 0) - _count(c != 0 or d != 0 or old != 0)
        overnight, open_close = night2 - night * night * share, day2 - day * day * share
        variance = overnight * rest + open_close * part_of_day + inside * part_inside
        out[t - lo] = sqrt(max(variance, 0.0)) if moves > 0 else 0.0
    state[0], state[1], state[2], state[3], state[4], state[5] = night, night2, day, day2, inside, moves


@kernel
def atr(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    """Wilder's average true range over the close."""
    n, share, mean = p[0], 1 / p[0], state[0]
    for t in range(lo, hi):
        if x[INDEX, t] > 0:
            mean += (_true_range(x, t) - mean) * _wilder(x[INDEX, t], n, share)
        out[t - lo] = mean / x[CLOSE, t]
    state[0] = mean


@kernel
def range_surprise(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    for t in range(lo, hi):
        spread = x[LOG_HIGH, t] - x[LOG_LOW, t]
        out[t - lo] = _surprise(state, log(spread), 1 - 1 / p[0]) if spread > 0 else -4.0


@inner
def _surprise(state: Array, value: float, keep: float) -> float:
    """`value` less its EWMA before it, within +-4. State: mean, whether there is one."""
    if state[1] == 0:
        state[0], state[1] = value, 1.0
    surprise = _clip(value - state[0], 4.0)
    state[0] = keep * state[0] + (1 - keep) * value
    return float(surprise)


@kernel
def downside_share(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    """State: squares of falls, squares of all, moves."""
    n, falls, squares, moves = int(p[0]), state[0], state[1], state[2]
    if _anchored(x, lo):
        falls, squares = 0.0, 0.0
        for t in range(lo - n, lo):
            r = x[RETURN, t]
            squares += r * r
            falls += r * r if r < 0 else 0.0
    for t in range(lo, hi):
        new, old = x[RETURN, t], x[RETURN, t - n]
        squares += new * new - old * old
        falls += (new * new if new < 0 else 0.0) - (old * old if old < 0 else 0.0)
        moves += _count(new != 0) - _count(old != 0)
        out[t - lo] = min(max(_ratio(falls, squares), 0.0), 1.0) if moves > 0 else 0.5
    state[0], state[1], state[2] = falls, squares, moves


@kernel
def jump_share(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    """State: sum of |r| |r before|, squares, moves."""
    n, products, squares, moves = int(p[0]), state[0], state[1], state[2]
    if _anchored(x, lo):
        products, squares = 0.0, 0.0
        for t in range(lo - n, lo):
            products += abs(x[RETURN, t] * x[RETURN, t - 1])
            squares += x[RETURN, t] * x[RETURN, t]
    for t in range(lo, hi):
        new, old = x[RETURN, t], x[RETURN, t - n]
        products += abs(new * x[RETURN, t - 1]) - abs(old * x[RETURN, t - n - 1])
        squares += new * new - old * old
        moves += _count(new != 0) - _count(old != 0)
        out[t - lo] = _clip(1 - pi / 2 * _ratio(products, squares), 1.0) if moves > 0 else 0.0
    state[0], state[1], state[2] = products, squares, moves


# Volume


@kernel
def volume_surprise(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    for t in range(lo, hi):
        volume = x[VOLUME, t]
        out[t - lo] = _surprise(state, log(volume), 1 - 1 / p[0]) if volume > 0 else -4.0


@kernel
def volume_z(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    n, wet = int(p[0]), state[2]
    total = _start(x, LOG_VOLUME, lo, n, 1, state[0])
    squares = _start(x, LOG_VOLUME, lo, n, 2, state[1])
    share = 1.0 / n
    for t in range(lo, hi):
        new, old = x[LOG_VOLUME, t], x[LOG_VOLUME, t - n]
        total += new - old
        squares += new * new - old * old
        wet += _count(new != 0) - _count(old != 0)
        deviation = sqrt(_variance(total, squares, wet, n))
        out[t - lo] = _clip(_ratio(new - total * share, deviation), 5.0)
    state[0], state[1], state[2] = total, squares, wet


@kernel
def volume_ratio(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    """State: sum and wet bars of the fast window, then of the slow one."""
    n, m = int(p[0]), int(p[1])
    short, long = _start(x, VOLUME, lo, n, 1, state[0]), _start(x, VOLUME, lo, m, 1, state[2])
    wet, all_wet, share, all_share = state[1], state[3], 1.0 / n, 1.0 / m
    for t in range(lo, hi):
        new, old, older = x[VOLUME, t], x[VOLUME, t - n], x[VOLUME, t - m]
        short += new - old
        long += new - older
        wet += _count(new > 0) - _count(old > 0)
        all_wet += _count(new > 0) - _count(older > 0)
        a = short * share if wet > 0 else 0.0
        b = long * all_share if all_wet > 0 else 0.0
        out[t - lo] = _balance(a, b)
    state[0], state[1], state[2], state[3] = short, wet, long, all_wet


@kernel
def money_flow(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    """Money flow index / 100. State: inflow, all flow, wet bars."""
    n, inflow, flow, wet = int(p[0]), state[0], state[1], state[2]
    if _anchored(x, lo):
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
        wet += _count(either > 0) - _count(old_either > 0)
        out[t - lo] = min(max(_ratio(inflow, flow), 0.0), 1.0) if wet > 0 else 0.5
    state[0], state[1], state[2] = inflow, flow, wet


@inner
def _flows(x: Array, t: int) -> tuple[float, float]:
    """Money that changed hands at a higher typical price than before, and at another one."""
    money, move = x[TYPICAL, t] * x[VOLUME, t], x[TYPICAL, t] - x[TYPICAL, t - 1]
    return money * _count(move > 0), money * _count(move != 0)


@kernel
def signed_volume(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    """State: volume of rises less volume of falls, all volume, wet bars."""
    n, balance, wet = int(p[0]), state[0], state[2]
    volume = _start(x, VOLUME, lo, n, 1, state[1])
    if _anchored(x, lo):
        balance = 0.0
        for t in range(lo - n, lo):
            balance += _signed(x, t)
    for t in range(lo, hi):
        balance += _signed(x, t) - _signed(x, t - n)
        volume += x[VOLUME, t] - x[VOLUME, t - n]
        wet += _count(x[VOLUME, t] > 0) - _count(x[VOLUME, t - n] > 0)
        out[t - lo] = _clip(_ratio(balance, volume), 1.0) if wet > 0 else 0.0
    state[0], state[1], state[2] = balance, volume, wet


@inner
def _signed(x: Array, t: int) -> float:
    return float(x[VOLUME, t] * (_count(x[RETURN, t] > 0) - _count(x[RETURN, t] < 0)))


@kernel
def vwap_gap(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    """State: money, volume, wet bars."""
    n, money, wet = int(p[0]), state[0], state[2]
    volume = _start(x, VOLUME, lo, n, 1, state[1])
    if _anchored(x, lo):
        money = 0.0
        for t in range(lo - n, lo):
            money += x[TYPICAL, t] * x[VOLUME, t]
    for t in range(lo, hi):
        new, old = x[VOLUME, t], x[VOLUME, t - n]
        money += x[TYPICAL, t] * new - x[TYPICAL, t - n] * old
        volume += new - old
        wet += _count(new > 0) - _count(old > 0)
        out[t - lo] = x[CLOSE, t] * volume / money - 1 if wet > 0 and money > 0 else 0.0
    state[0], state[1], state[2] = money, volume, wet


@kernel
def illiquidity_ratio(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    """Amihud's |return| / volume, fast window against slow one. State: sum and terms of each."""
    n, m, terms, all_terms = int(p[0]), int(p[1]), state[1], state[3]
    short = _start(x, ILLIQUIDITY, lo, n, 1, state[0])
    long = _start(x, ILLIQUIDITY, lo, m, 1, state[2])
    share, all_share = 1.0 / n, 1.0 / m
    for t in range(lo, hi):
        new, old, older = x[ILLIQUIDITY, t], x[ILLIQUIDITY, t - n], x[ILLIQUIDITY, t - m]
        short += new - old
        long += new - older
        terms += _count(new > 0) - _count(old > 0)
        all_terms += _count(new > 0) - _count(older > 0)
        a = short * share if terms > 0 else 0.0
        b = long * all_share if all_terms > 0 else 0.0
        out[t - lo] = _balance(a, b)
    state[0], state[1], state[2], state[3] = short, terms, long, all_terms


@kernel
def return_volume_correlation(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    """State: sum of products, then sum, squares and number of returns, and of volumes."""
    n, products, moves, wet = int(p[0]), state[0], state[3], state[6]
    if _anchored(x, lo):
        products = 0.0
        for t in range(lo - n, lo):
            products += x[RETURN, t] * x[LOG_VOLUME, t]
    a, aa = _start(x, RETURN, lo, n, 1, state[1]), _start(x, RETURN, lo, n, 2, state[2])
    b, bb = _start(x, LOG_VOLUME, lo, n, 1, state[4]), _start(x, LOG_VOLUME, lo, n, 2, state[5])
    share, rest = 1.0 / n, 1.0 / (n - 1)
    for t in range(lo, hi):
        r, old_r, v, old_v = x[RETURN, t], x[RETURN, t - n], x[LOG_VOLUME, t], x[LOG_VOLUME, t - n]
        products += r * v - old_r * old_v
        a += r - old_r
        aa += r * r - old_r * old_r
        b += v - old_v
        bb += v * v - old_v * old_v
        moves += _count(r != 0) - _count(old_r != 0)
        wet += _count(v != 0) - _count(old_v != 0)
        spread = sqrt(_variance(a, aa, moves, n) * _variance(b, bb, wet, n))
        out[t - lo] = _clip(_ratio((products - a * b * share) * rest, spread), 1.0)
    state[0], state[1], state[2], state[3] = products, a, aa, moves
    state[4], state[5], state[6] = b, bb, wet


# Shape of the bar


@kernel
def body(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    for t in range(lo, hi):
        out[t - lo] = _ratio(x[CLOSE, t] - x[OPEN, t], x[HIGH, t] - x[LOW, t])


@kernel
def upper_shadow(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    for t in range(lo, hi):
        out[t - lo] = _ratio(x[HIGH, t] - max(x[OPEN, t], x[CLOSE, t]), x[HIGH, t] - x[LOW, t])


@kernel
def lower_shadow(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    for t in range(lo, hi):
        out[t - lo] = _ratio(min(x[OPEN, t], x[CLOSE, t]) - x[LOW, t], x[HIGH, t] - x[LOW, t])


# Higher moments and dependence


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


@kernel
def skewness(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    """State: sums of the first three powers, moves."""
    n, a, b, c, moves = int(p[0]), state[0], state[1], state[2], state[3]
    if _anchored(x, lo):
        a, b, c, _ = _powers(x, lo, n)
    share = 1.0 / n
    for t in range(lo, hi):
        new, old = x[RETURN, t], x[RETURN, t - n]
        a += new - old
        b += new * new - old * old
        c += new * new * new - old * old * old
        if old * old > _DOMINATES * b:  # what is left of the sums is the rounding of what went
            a, b, c, _ = _powers(x, t + 1, n)
        moves += _count(new != 0) - _count(old != 0)
        mean, square = a * share, b * share
        variance = square - mean * mean
        third = c * share - 3 * mean * square + 2 * mean * mean * mean
        known = moves > 0 and variance > 1e-12 * square
        out[t - lo] = third / (variance * sqrt(variance)) if known else 0.0
    state[0], state[1], state[2], state[3] = a, b, c, moves


@kernel
def kurtosis(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    """State: sums of the first four powers, moves."""
    n, a, b, c, d, moves = int(p[0]), state[0], state[1], state[2], state[3], state[4]
    if _anchored(x, lo):
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
        moves += _count(new != 0) - _count(old != 0)
        mean, square = a * share, b * share
        squared = mean * mean
        variance = square - squared
        fourth = (d - 4 * mean * c) * share + 6 * squared * square - 3 * squared * squared
        known = moves > 0 and variance > 1e-12 * square
        out[t - lo] = fourth / (variance * variance) - 3 if known else -3.0
    state[0], state[1], state[2], state[3], state[4] = a, b, c, d, moves


@kernel
def autocorrelation(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    """Parameters: window, lag. State: products, sum, squares, moves, sums without either end."""
    n, lag = int(p[0]), int(p[1])
    products, moves, early, late = state[0], state[3], state[4], state[5]
    a, b = _start(x, RETURN, lo, n, 1, state[1]), _start(x, RETURN, lo, n, 2, state[2])
    if _anchored(x, lo):
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
        moves += _count(new != 0) - _count(old != 0)
        mean = a * share
        variance = b - a * mean
        together = products - mean * (early + late) + (n - lag) * mean * mean
        known = moves > 0 and variance > 1e-12 * b
        out[t - lo] = _clip(together / variance, 1.0) if known else 0.0
    state[0], state[1], state[2], state[3], state[4], state[5] = products, a, b, moves, early, late


@kernel
def variance_ratio(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    """Parameters: window, bars of the longer return. State: squares of long and short ones, moves."""
    n, q, long, moves = int(p[0]), int(p[1]), state[0], state[2]
    short = _start(x, RETURN, lo, n, 2, state[1])
    if _anchored(x, lo):
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
        moves += _count(new != 0) - _count(old != 0)
        out[t - lo] = min(max(_ratio(long, q * short), 0.0), float(q)) if moves > 0 else 1.0
    state[0], state[1], state[2] = long, short, moves


@kernel
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


# Calendar


_MINUTES = 10_080
"""Minutes of a week; the sine of each is kept, because few bars are shorter and a sine costs as much as
five features."""
_SINES = np.sin(2 * np.pi * np.arange(_MINUTES) / _MINUTES)


@inner
def _sine(time: float, period: float, ahead: float) -> float:
    """sin of the share of the period (a day or a week) that has passed, `ahead` turns further."""
    turns = time / period + ahead
    share = turns - floor(turns)
    minute = share * _MINUTES
    whole = int(minute + 0.5)
    return float(_SINES[whole % _MINUTES] if abs(minute - whole) < 1e-6 else sin(2 * pi * share))


@kernel
def cycle_sin(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    for t in range(lo, hi):
        out[t - lo] = _sine(x[TIME, t], p[0], 0.0)


@kernel
def cycle_cos(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    for t in range(lo, hi):
        out[t - lo] = _sine(x[TIME, t], p[0], 0.25)


# Funding


@kernel
def funding_last(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    """The last rate that fell due."""
    rate = state[0]
    for t in range(lo, hi):
        rate = x[FUNDING, t] if x[FUNDING, t] != 0 else rate
        out[t - lo] = rate
    state[0] = rate


@kernel
def funding_sum(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    n = int(p[0])
    total = _start(x, FUNDING, lo, n, 1, state[0])
    for t in range(lo, hi):
        total += x[FUNDING, t] - x[FUNDING, t - n]
        out[t - lo] = total
    state[0] = total


KERNELS = tuple(_KERNELS)


@compiled
def advance(
    bars: Array, x: Array, position: int, seen: int, history: int, starts: Array, rows: Array,
    offsets: Array, state: Array, p: Array, out: Array, first: int,
) -> int:  # fmt: skip
    """Take `bars` in, in blocks that do not reach across an anchor; returns the buffer's new position.

    Parameters
    ----------
    bars : ndarray of shape (7, n)
    x : ndarray of shape (N_SERIES, capacity)
        The buffer; the last `history` columns before `position` are kept when it is full.
    position, seen, history : int
        Next column of the buffer, bars taken in before, columns that kernels look back.
    starts, rows, offsets, state, p
        Of kernel k the features `starts[k]:starts[k+1]`; of each feature its row in `out`, its part of
        `state`, and its parameters.
    out : ndarray of shape (n_features, >= first + n), float32
    first : int
        Column of `out` that belongs to the first of `bars`.
    """
    n, done = bars.shape[1], 0
    if seen == 0 and n > 0:
        x[LOG_OPEN : LOG_CLOSE + 1, :position] = log(bars[CLOSE - TIME, 0])
    while done < n:
        size = min(n - done, ANCHOR - seen % ANCHOR)
        if position + size > x.shape[1]:
            for row in range(x.shape[0]):
                for i in range(history):
                    x[row, i] = x[row, position - history + i]
            position = history
        derive(bars, done, done + size, x, position, seen)
        number = 0
        for function in literal_unroll(KERNELS):
            for j in range(starts[number], starts[number + 1]):
                memory = state[offsets[j] : offsets[j + 1]]
                target = out[rows[j]][first + done : first + done + size]
                function(x, position, position + size, memory, target, p[j])
            number += 1  # noqa: SIM113 - literal_unroll knows no enumerate
        position += size
        seen += size
        done += size
    return position
