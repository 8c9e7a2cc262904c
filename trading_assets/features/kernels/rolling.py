"""What kernels share: sums that roll along with the bars, and the arithmetic of their ends.

A rolling sum is taken afresh wherever `INDEX` is a multiple of `ANCHOR`, so that rounding cannot pile up; no
call of a kernel reaches across such a bar.
"""

from __future__ import annotations

from trading_assets.compilation import inner
from trading_assets.features.series import CLOSE, HIGH, INDEX, LOW, Array

ANCHOR = 512


@inner
def sum_before(x: Array, row: int, lo: int, n: int, power: int, kept: float) -> float:
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
def is_anchored(x: Array, lo: int) -> bool:
    return int(x[INDEX, lo]) % ANCHOR == 0


@inner
def variance_of(total: float, squares: float, moves: float, n: int) -> float:
    """Sample variance from sums; exactly 0 where nothing in the window differs from 0, or all is equal."""
    share, rest = 1.0 / n, 1.0 / (n - 1)  # of the window, so divided once and not at every bar
    variance = (squares - total * total * share) * rest
    return variance if moves > 0 and variance > 1e-12 * squares * share else 0.0


@inner
def as_count(holds: bool) -> float:
    return 1.0 if holds else 0.0


@inner
def ratio_of(a: float, b: float) -> float:
    return a / b if b > 0 else 0.0


@inner
def balance_of(a: float, b: float) -> float:
    """(a - b) / (a + b): a ratio within +-1 that treats both alike; 0 where both are 0."""
    return clipped(ratio_of(a - b, a + b), 1.0)


@inner
def clipped(value: float, limit: float) -> float:
    return min(max(value, -limit), limit)


@inner
def wilder_weight(index: float, n: float, share: float) -> float:
    """Weight of a new value in Wilder's average, which starts with the mean of the first `n`."""
    return share if index >= n else 1 / index


@inner
def true_range(x: Array, t: int) -> float:
    before = x[CLOSE, t - 1]
    return float(max(x[HIGH, t], before) - min(x[LOW, t], before))


@inner
def surprise_of(state: Array, value: float, keep: float) -> float:
    """`value` less its EWMA before it, within +-4. State: mean, whether there is one."""
    if state[1] == 0:
        state[0], state[1] = value, 1.0
    surprise = clipped(value - state[0], 4.0)
    state[0] = keep * state[0] + (1 - keep) * value
    return float(surprise)
