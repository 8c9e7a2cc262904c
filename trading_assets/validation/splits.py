"""Cross-validation that knows how long a label looks ahead."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trading_assets.errors import LeakageError

Rows = NDArray[np.int64]


class PurgedKFold:
    """K contiguous test blocks; training rows whose label touches a block's labels are left out.

    Label spans are closed intervals of bar positions. A training row is purged when its span meets
    the span of the whole test block (first label start to last label end), and the rows that start
    within `embargo` bars after the block's last label end are left out too. Follows Lopez de Prado,
    Advances in Financial Machine Learning, chapter 7, with the embargo counted from the label's end.

    Parameters
    ----------
    n_splits : int
    label_end : array-like of shape (n_rows,), optional
        Last bar that each row's label depends on.
    label_start : array-like of shape (n_rows,), optional
        First bar of each row's span; without it the row's own position.
    label_horizon : int, optional
        Instead of `label_end`: row i's label ends at i + label_horizon.
    embargo : int
        Bars.

    Raises
    ------
    ValueError
        When neither `label_end` nor `label_horizon` is given: a purge cannot be skipped silently.
    """

    def __init__(
        self,
        n_splits: int = 5,
        *,
        label_start: ArrayLike | None = None,
        label_end: ArrayLike | None = None,
        label_horizon: int | None = None,
        embargo: int = 0,
    ) -> None:
        if label_end is None and label_horizon is None:
            raise ValueError(
                "PurgedKFold needs label_end (bar positions a row) or label_horizon (bars): without "
                "them it cannot know what to purge."
            )
        self.n_splits = n_splits
        self.label_start = label_start
        self.label_end = label_end
        self.label_horizon = label_horizon
        self.embargo = embargo

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        return self.n_splits

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[Rows, Rows]]:
        """Yield (train rows, test rows); every row is tested once."""
        n_rows = len(X)
        if not 2 <= self.n_splits <= n_rows:
            raise ValueError(f"n_splits is {self.n_splits}; expected 2 to {n_rows} (the rows).")
        start, end = self._spans(n_rows)
        for test in np.array_split(np.arange(n_rows), self.n_splits):
            first, last = start[test].min(), end[test].max()
            train = (end < first) | (start > last + self.embargo)
            train[test] = False
            if not train.any():
                raise ValueError(
                    f"No training row is left for test rows {test[0]} to {test[-1]} after purge and "
                    f"embargo ({self.embargo} bars); use fewer splits or a smaller embargo."
                )
            yield np.flatnonzero(train), test

    def _spans(self, n_rows: int) -> tuple[Rows, Rows]:
        position = np.arange(n_rows)
        start = position if self.label_start is None else np.asarray(self.label_start)
        horizon = start + (self.label_horizon or 0)
        end = horizon if self.label_end is None else np.asarray(self.label_end)
        for name, values in (("label_start", start), ("label_end", end)):
            if len(values) != n_rows:
                raise ValueError(f"{name} has {len(values)} rows, X has {n_rows}.")
        return start, end


def assert_no_leakage(
    splits: Iterable[tuple[Rows, Rows]], label_end: ArrayLike, label_start: ArrayLike | None = None
) -> None:
    """Raise `LeakageError` if a training row's span meets a test row's span in any split.

    Compares row by row with every test row, independently of how a splitter works.
    """
    end = np.asarray(label_end)
    start = np.arange(len(end)) if label_start is None else np.asarray(label_start)
    for number, (train, test) in enumerate(splits):
        if not len(test):
            continue
        order = np.argsort(start[test])
        starts, reach = start[test][order], np.maximum.accumulate(end[test][order])
        # Of all test spans that start no later than the training span ends, does one reach its start?
        before = np.searchsorted(starts, end[train], side="right") - 1
        meets = (before >= 0) & (reach[np.maximum(before, 0)] >= start[train])
        if meets.any():
            row = train[np.flatnonzero(meets)[0]]
            raise LeakageError(
                f"Split {number}: the label of training row {row} (bars {start[row]} to {end[row]}) "
                "overlaps a test label."
            )
