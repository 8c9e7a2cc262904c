"""The drawdown rule."""

from __future__ import annotations

import numba


@numba.njit(cache=True)
def drawdown_penalty(drawdown: float, soft: float, hard: float) -> float:
    """0 up to the soft level, rising with the square of the excess to 1 at the hard level.

    `drawdown`, `soft` and `hard` are fractions of the peak, `drawdown` as a positive number.
    """
    use = (drawdown - soft) / (hard - soft)
    use = min(max(use, 0.0), 1.0)
    return use * use
