"""The arithmetic of the features, each written once for batch, append and live.

Every kernel is `kernel(bars, lo, hi, state, out, *parameters)`: it reads `bars[lo:hi]` (columns of
`market.bars.to_matrix`), carries all memory of earlier bars in `state` and writes `out[lo:hi]`. One bar
at a time or all at once, the operations and their order are the same, so the results are equal bit for
bit. A state starts as zeros. What a kernel writes before its feature's warm-up has no meaning.
"""

from __future__ import annotations

from math import cos, log, pi, sin, sqrt
from typing import Any

import numba
from numpy.typing import NDArray

TIME, OPEN, HIGH, LOW, CLOSE, VOLUME = range(6)

Array = NDArray[Any]
kernel = numba.njit(cache=True, error_model="numpy")

# A rolling window in a state: [count, position, sum, the last n values ...].
WINDOW_HEAD = 3


@kernel
def _roll(state: Array, x: float, n: int) -> None:
    """Push `x` into a window of the last `n`. The sum is taken afresh at each turn: no drift."""
    position = int(state[1])
    old = state[WINDOW_HEAD + position]
    state[WINDOW_HEAD + position] = x
    state[0] = min(state[0] + 1.0, float(n))
    state[1] = float((position + 1) % n)
    if position == n - 1:
        total = 0.0
        for i in range(n):
            total += state[WINDOW_HEAD + i]
        state[2] = total
    else:
        state[2] += x - old


@kernel
def _mean(state: Array) -> float:
    return float(state[2] / max(state[0], 1.0))


@kernel
def _deviation(state: Array) -> float:
    """Sample standard deviation (ddof 1) of a window, in two passes: exactly 0 when nothing moves."""
    n = int(state[0])
    if n < 2:
        return 0.0
    mean, total = 0.0, 0.0
    for i in range(n):
        mean += state[WINDOW_HEAD + i]
    mean /= n
    for i in range(n):
        total += (state[WINDOW_HEAD + i] - mean) ** 2
    return sqrt(total / (n - 1))


@kernel
def _ratio(a: float, b: float) -> float:
    return a / b if b > 0 else 0.0


@kernel
def _clip(x: float, limit: float) -> float:
    return min(max(x, -limit), limit)


@kernel
def _return(bars: Array, t: int, state: Array, slot: int) -> float:
    """Log return to the bar before, whose log close is kept in `state[slot]` (0: no bar yet)."""
    now = log(bars[t, CLOSE])
    r = now - state[slot] if state[slot + 1] > 0 else 0.0
    state[slot], state[slot + 1] = now, 1.0
    return r


@kernel
def _standardised_return(bars: Array, t: int, state: Array, decay: float) -> float:
    """Return over its EWMA deviation before this bar, within +-3. Uses `state[0:3]`."""
    first = state[1] == 0
    r = _return(bars, t, state, 0)
    z = _clip(_ratio(r, sqrt(state[2])), 3.0)
    state[2] = r * r if first or state[2] == 0 else decay * state[2] + (1 - decay) * r * r
    return z


@kernel
def log_return(bars: Array, lo: int, hi: int, state: Array, out: Array, n: int) -> None:
    for t in range(lo, hi):
        now = log(bars[t, CLOSE])
        old = state[WINDOW_HEAD + int(state[1])]
        out[t] = now - old
        _roll(state, now, n)


@kernel
def return_z(bars: Array, lo: int, hi: int, state: Array, out: Array, decay: float) -> None:
    for t in range(lo, hi):
        out[t] = _standardised_return(bars, t, state, decay)


@kernel
def return_z_ema(bars: Array, lo: int, hi: int, state: Array, out: Array, decay: float, keep: float) -> None:
    for t in range(lo, hi):
        z = _standardised_return(bars, t, state, decay)
        state[3] = keep * state[3] + (1 - keep) * z
        out[t] = state[3]


@kernel
def ema_gap(bars: Array, lo: int, hi: int, state: Array, out: Array, fast: int, slow: int) -> None:
    a, b = 2 / (fast + 1), 2 / (slow + 1)
    for t in range(lo, hi):
        x = bars[t, CLOSE]
        if state[0] == 0:
            state[0], state[1] = x, x
        state[0] += a * (x - state[0])
        state[1] += b * (x - state[1])
        out[t] = log(state[0] / state[1])


@kernel
def rsi(bars: Array, lo: int, hi: int, state: Array, out: Array, n: int) -> None:
    """Wilder's index with his seed, the mean of the first `n` moves. State: close, moves, gain, loss."""
    for t in range(lo, hi):
        x = bars[t, CLOSE]
        if state[0] > 0:
            up, down = max(x - state[0], 0.0), max(state[0] - x, 0.0)
            state[1] += 1
            k = min(state[1], float(n))
            state[2] += (up - state[2]) / k
            state[3] += (down - state[3]) / k
        state[0] = x
        total = state[2] + state[3]
        out[t] = state[2] / total if total > 0 else 0.5


@kernel
def channel_position(bars: Array, lo: int, hi: int, state: Array, out: Array, n: int) -> None:
    """State: [position, n highs ..., n lows ...]."""
    for t in range(lo, hi):
        position = int(state[0])
        state[1 + position] = bars[t, HIGH]
        state[1 + n + position] = bars[t, LOW]
        state[0] = float((position + 1) % n)
        top, bottom = state[1], state[1 + n]
        for i in range(1, n):
            top = max(top, state[1 + i])
            bottom = min(bottom, state[1 + n + i])
        out[t] = (bars[t, CLOSE] - bottom) / (top - bottom) if top > bottom else 0.5


@kernel
def sma_gap(bars: Array, lo: int, hi: int, state: Array, out: Array, n: int) -> None:
    for t in range(lo, hi):
        _roll(state, bars[t, CLOSE], n)
        out[t] = log(bars[t, CLOSE] / _mean(state))


@kernel
def volatility(bars: Array, lo: int, hi: int, state: Array, out: Array, n: int) -> None:
    head = WINDOW_HEAD + n
    for t in range(lo, hi):
        _roll(state, _return(bars, t, state, head), n)
        out[t] = _deviation(state)


@kernel
def volatility_ratio(bars: Array, lo: int, hi: int, state: Array, out: Array, fast: int, slow: int) -> None:
    split = WINDOW_HEAD + fast
    head = split + WINDOW_HEAD + slow
    for t in range(lo, hi):
        r = _return(bars, t, state, head)
        _roll(state, r, fast)
        _roll(state[split:], r, slow)
        a, b = _deviation(state), _deviation(state[split:])
        out[t] = log(a / b) if a > 0 and b > 0 else 0.0


@kernel
def ewma_volatility(bars: Array, lo: int, hi: int, state: Array, out: Array, decay: float) -> None:
    for t in range(lo, hi):
        _standardised_return(bars, t, state, decay)
        out[t] = sqrt(state[2])


@kernel
def parkinson(bars: Array, lo: int, hi: int, state: Array, out: Array, n: int) -> None:
    for t in range(lo, hi):
        x = log(bars[t, HIGH] / bars[t, LOW])
        _roll(state, x * x, n)
        out[t] = sqrt(max(_mean(state), 0.0) / (4 * log(2.0)))


@kernel
def garman_klass(bars: Array, lo: int, hi: int, state: Array, out: Array, n: int) -> None:
    for t in range(lo, hi):
        spread = log(bars[t, HIGH] / bars[t, LOW])
        body = log(bars[t, CLOSE] / bars[t, OPEN])
        _roll(state, 0.5 * spread * spread - (2 * log(2.0) - 1) * body * body, n)
        out[t] = sqrt(max(_mean(state), 0.0))


@kernel
def _surprise(state: Array, x: float, keep: float, limit: float) -> float:
    """`x` less its EWMA before it, within +-limit. State: mean, whether there is one."""
    if state[1] == 0:
        state[0], state[1] = x, 1.0
    surprise = _clip(x - state[0], limit)
    state[0] = keep * state[0] + (1 - keep) * x
    return surprise


@kernel
def volume_surprise(bars: Array, lo: int, hi: int, state: Array, out: Array, keep: float) -> None:
    for t in range(lo, hi):
        volume = bars[t, VOLUME]
        out[t] = _surprise(state, log(volume), keep, 4.0) if volume > 0 else -4.0


@kernel
def volume_z(bars: Array, lo: int, hi: int, state: Array, out: Array, n: int) -> None:
    for t in range(lo, hi):
        x = log(1.0 + bars[t, VOLUME])
        _roll(state, x, n)
        out[t] = _clip(_ratio(x - _mean(state), _deviation(state)), 5.0)


@kernel
def range_surprise(bars: Array, lo: int, hi: int, state: Array, out: Array, keep: float) -> None:
    for t in range(lo, hi):
        spread = log(bars[t, HIGH] / bars[t, LOW])
        out[t] = _surprise(state, log(spread), keep, 4.0) if spread > 0 else -4.0


@kernel
def body(bars: Array, lo: int, hi: int, state: Array, out: Array) -> None:
    for t in range(lo, hi):
        out[t] = _ratio(bars[t, CLOSE] - bars[t, OPEN], bars[t, HIGH] - bars[t, LOW])


@kernel
def upper_shadow(bars: Array, lo: int, hi: int, state: Array, out: Array) -> None:
    for t in range(lo, hi):
        above = bars[t, HIGH] - max(bars[t, OPEN], bars[t, CLOSE])
        out[t] = _ratio(above, bars[t, HIGH] - bars[t, LOW])


@kernel
def lower_shadow(bars: Array, lo: int, hi: int, state: Array, out: Array) -> None:
    for t in range(lo, hi):
        below = min(bars[t, OPEN], bars[t, CLOSE]) - bars[t, LOW]
        out[t] = _ratio(below, bars[t, HIGH] - bars[t, LOW])


@kernel
def _central_moment(state: Array, n: int, power: int) -> float:
    mean, total = 0.0, 0.0
    for i in range(n):
        mean += state[WINDOW_HEAD + i]
    mean /= n
    for i in range(n):
        total += (state[WINDOW_HEAD + i] - mean) ** power
    return total / n


@kernel
def skewness(bars: Array, lo: int, hi: int, state: Array, out: Array, n: int) -> None:
    for t in range(lo, hi):
        _roll(state, _return(bars, t, state, WINDOW_HEAD + n), n)
        out[t] = _ratio(_central_moment(state, n, 3), _central_moment(state, n, 2) ** 1.5)


@kernel
def kurtosis(bars: Array, lo: int, hi: int, state: Array, out: Array, n: int) -> None:
    for t in range(lo, hi):
        _roll(state, _return(bars, t, state, WINDOW_HEAD + n), n)
        variance = _central_moment(state, n, 2)
        out[t] = _ratio(_central_moment(state, n, 4), variance * variance) - 3.0


@kernel
def autocorrelation(bars: Array, lo: int, hi: int, state: Array, out: Array, n: int) -> None:
    """Lag one, over the window in order of time."""
    for t in range(lo, hi):
        _roll(state, _return(bars, t, state, WINDOW_HEAD + n), n)
        start, mean, products = int(state[1]), _mean(state), 0.0
        for i in range(1, n):
            before = state[WINDOW_HEAD + (start + i - 1) % n] - mean
            products += before * (state[WINDOW_HEAD + (start + i) % n] - mean)
        out[t] = _ratio(products / n, _central_moment(state, n, 2))


@kernel
def cycle_sin(bars: Array, lo: int, hi: int, state: Array, out: Array, seconds: float) -> None:
    for t in range(lo, hi):
        out[t] = sin(2 * pi * (bars[t, TIME] % seconds) / seconds)


@kernel
def cycle_cos(bars: Array, lo: int, hi: int, state: Array, out: Array, seconds: float) -> None:
    for t in range(lo, hi):
        out[t] = cos(2 * pi * (bars[t, TIME] % seconds) / seconds)
