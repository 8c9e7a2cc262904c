"""Whether a market opens where it closed just before: a file whose opens or closes are shifted does not."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trading_assets.arrays import Floats, Rows

_NEAR = 2e-4
"""Of the price: an open this near to a close, or within a tick of it, is taken for its continuation."""
_OFTEN, _MORE = 0.3, 2.0
_ENOUGH = 30
"""Bars, below which a share says little."""
_BEFORE = -1
_SHIFTED = {
    -3: "three rows before",
    -2: "two rows before",
    0: "in the same row",
    1: "in the row after",
}
"""Where the close just before the open stands in a file with opens that are late, or closes that are early,
by two bars and by one, and with opens that are early, or closes that are late."""


def shifted_opens(opens: Floats, closes: Floats, tick: float) -> tuple[str, Rows] | None:
    """What is wrong, and in which bars, where opens continue another close than the one just before.

    Opens of most markets lie within a tick or 2 basis points of the close before. A file warns where
    more than .3 of them lie so near to another close, and at least twice as many as to the right one. Where
    the price jumps between bars, as at a stock exchange from day to day, a shift cannot be seen.
    """
    first, end = 3, len(opens) - 1
    if end - first < _ENOUGH:
        return None
    middle = opens[first:end]
    near = np.maximum(tick, _NEAR * middle) * (1 + 1e-6)

    def continues(lag: int) -> NDArray[np.bool_]:
        return np.asarray(np.abs(middle - closes[first + lag : end + lag]) <= near)

    hits = {_BEFORE: continues(_BEFORE)}
    if hits[_BEFORE].mean() * _MORE > 1:  # no other can be as frequent as it would have to be
        return None
    hits |= {lag: continues(lag) for lag in _SHIFTED}
    shares = {lag: float(hit.mean()) for lag, hit in hits.items()}
    lag = max(_SHIFTED, key=lambda lag: shares[lag])
    if shares[lag] <= _OFTEN or shares[lag] < _MORE * shares[_BEFORE]:
        return None
    message = (
        f"{shares[lag]:.0%} of the opens continue the close {_SHIFTED[lag]}, {shares[_BEFORE]:.0%} the one "
        "in the row before: opens or closes are shifted, and a backtest would trade at prices of another "
        "time; bring a file whose columns belong to the same bar"
    )
    return message, first + np.flatnonzero(hits[lag] & ~hits[_BEFORE])
