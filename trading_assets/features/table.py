"""The feature table: in batch, by appending, and live, from the same kernels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trading_assets.features.catalogue import CATALOGUE, NAMES

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class FeatureTable:
    """Features of every bar and what it takes to go on.

    Attributes
    ----------
    values : ndarray of shape (n_bars, n_features), float32
        NaN only in each feature's warm-up. Columns in the order of `catalogue.NAMES`.
    state : ndarray of float64
        Memory of all kernels after the last bar; its first slot counts the bars seen.
    """

    values: NDArray[np.float32]
    state: Floats


def compute_features(bars: Floats) -> FeatureTable:
    """Features of `bars` (shape (n_bars, 6), see `market.bars.to_matrix`)."""
    state = _initial_state()
    return FeatureTable(_advance(state, bars), state)


def append_features(table: FeatureTable, new_bars: Floats) -> FeatureTable:
    """The table continued by `new_bars`; equal bit for bit to computing all bars at once."""
    state = table.state.copy()
    return FeatureTable(np.concatenate([table.values, _advance(state, new_bars)]), state)


class FeatureStream:
    """Features live, one bar at a time.

    Parameters
    ----------
    state : ndarray, optional
        `FeatureTable.state` to go on from; without it the stream starts before the first bar.
    """

    def __init__(self, state: Floats | None = None) -> None:
        self.state = _initial_state() if state is None else state.copy()

    def push(self, bar: Floats) -> NDArray[np.float32]:
        """Features, shape (n_features,), of the bar just closed (shape (6,))."""
        row: NDArray[np.float32] = _advance(self.state, np.ascontiguousarray(bar, dtype=np.float64)[None])[0]
        return row


def _initial_state() -> Floats:
    return np.zeros(1 + sum(feature.state_size for feature in CATALOGUE))


def _advance(state: Floats, bars: Floats) -> NDArray[np.float32]:
    """Run every kernel over `bars` from `state`, which is moved on."""
    n, seen = len(bars), int(state[0])
    columns = np.empty((len(NAMES), n), dtype=np.float32)
    slot = 1
    for column, feature in zip(columns, CATALOGUE, strict=True):
        memory = state[slot : slot + feature.state_size]
        feature.kernel(bars, 0, n, memory, column, *feature.parameters)
        column[: max(feature.warm_up - seen, 0)] = np.nan
        slot += feature.state_size
    state[0] = seen + n
    values: NDArray[np.float32] = np.ascontiguousarray(columns.T)
    return values
