"""Cross-validation that knows how long a label looks ahead.

Label spans are closed intervals of bar positions, one a row. Every splitter follows scikit-learn's protocol
and leaves out the training rows whose span meets that of a block of test rows (first label start to last
label end), with an embargo. See Lopez de Prado, Advances in Financial Machine Learning (2018), chapters 7 and
12; here the embargo counts from the last label end of the block, not from its last row.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from inspect import signature
from itertools import combinations, pairwise
from math import comb
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trading_assets.errors import LeakageError
from trading_assets.representation import one_line

Rows = NDArray[np.int64]
Floats = NDArray[np.float64]
Block = tuple[int, int]
"""Rows from the first to the second, the latter excluded."""


class PurgedSplitter(ABC):
    """What all splitters share: label spans, their checks, and the loop over splits.

    Parameters
    ----------
    label_start : array-like of int, shape (n_rows,), optional
        First bar of each row's label; without it the row's own position. For rows that are events.
    label_end : array-like of int, shape (n_rows,), optional
        Last bar that each row's label depends on, included.
    label_horizon : int, optional
        Instead of `label_end`: a label ends `label_horizon` bars after it starts.
    embargo : int
        Further bars left out: after the last label end of a test block where training goes on after it,
        before the first label start of the block where training only comes before it.

    Raises
    ------
    ValueError
        When neither or both of `label_end` and `label_horizon` are given (a purge cannot be skipped
        silently), or the embargo is negative; by `split`, when the spans do not fit the rows or nothing is
        left to train on.
    """

    n_splits: int

    def __init__(
        self,
        *,
        label_start: ArrayLike | None = None,
        label_end: ArrayLike | None = None,
        label_horizon: int | None = None,
        embargo: int = 0,
    ) -> None:
        if (label_end is None) == (label_horizon is None):
            given = "neither" if label_end is None else "both"
            raise ValueError(
                f"{type(self).__name__} needs label_end (bar positions a row) or label_horizon (bars), and "
                f"was given {given}: without one of them it cannot know what to purge."
            )
        if embargo < 0:
            raise ValueError(f"embargo is {embargo}; expected a number of bars, 0 or more.")
        self.label_start = label_start
        self.label_end = label_end
        self.label_horizon = label_horizon
        self.embargo = embargo

    def __repr__(self) -> str:
        given = {name: getattr(self, name) for name in signature(type(self)).parameters}
        return one_line(self, {name: value for name, value in given.items() if value is not None})

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """The number of splits; the arguments are there for scikit-learn and ignored."""
        return self.n_splits

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[Rows, Rows]]:
        """Yield (train rows, test rows) of each split, both in rising order."""
        spans = self._spans(len(X))
        for blocks, train in self._splits(spans):
            if not len(train):
                raise ValueError(
                    f"No training row is left for test rows {blocks[0][0]} to {blocks[-1][1] - 1} after "
                    f"purge and embargo ({self.embargo} bars); use fewer splits or a smaller embargo."
                )
            yield train, _joined([spans.rows[first:stop] for first, stop in blocks])

    @abstractmethod
    def _splits(self, spans: _Spans) -> Iterator[tuple[Sequence[Block], Rows]]:
        """Yield test blocks and purged training rows of each split."""

    def _spans(self, n_rows: int) -> _Spans:
        rows = np.arange(n_rows)
        rows.flags.writeable = False  # splits are slices of it where they can be
        start = rows if self.label_start is None else _positions("label_start", self.label_start, n_rows)
        if self.label_end is not None:
            end = _positions("label_end", self.label_end, n_rows)
        else:
            end = start + (self.label_horizon or 0)
        backwards = end < start
        if backwards.any():
            row = int(backwards.argmax())
            raise ValueError(
                f"The label of row {row} ends at bar {end[row]}, before it starts at bar {start[row]}; "
                "expected label_end >= label_start (which is the row's position where it is not given)."
            )
        return _Spans(rows, start, end, ordered=_never_falls(start) and _never_falls(end))


class PurgedKFold(PurgedSplitter):
    """K contiguous test blocks; training rows whose label touches a block's labels are left out.

    A training row is purged when its span meets the span of the whole test block (first label start to last
    label end), and the rows that start within `embargo` bars after the block's last label end are left out
    too. Every row is tested once.

    Parameters
    ----------
    n_splits : int
    label_start, label_end, label_horizon, embargo
        See `PurgedSplitter`.
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
        super().__init__(
            label_start=label_start, label_end=label_end, label_horizon=label_horizon, embargo=embargo
        )
        self.n_splits = n_splits

    def _splits(self, spans: _Spans) -> Iterator[tuple[Sequence[Block], Rows]]:
        for block in _blocks("n_splits", self.n_splits, len(spans.rows)):
            yield [block], spans.apart_from([block], self.embargo)


class PurgedTimeSeriesSplit(PurgedSplitter):
    """Walk-forward: equal test blocks at the end of the rows, each trained on what came before it.

    A training row comes before the test block, and its label ends more than `embargo` bars before the block's
    first label starts. The training set grows, or rolls where `max_train_size` is given. With labels of
    `label_horizon` bars it is scikit-learn's TimeSeriesSplit with gap = label_horizon + embargo.

    Parameters
    ----------
    n_splits : int
    label_start, label_end, label_horizon, embargo
        See `PurgedSplitter`.
    test_size : int, optional
        Rows of a test block; n_rows // (n_splits + 1) by default.
    max_train_size : int, optional
        Only so many rows, the latest ones after the purge, are trained on.
    """

    def __init__(
        self,
        n_splits: int = 5,
        *,
        label_start: ArrayLike | None = None,
        label_end: ArrayLike | None = None,
        label_horizon: int | None = None,
        embargo: int = 0,
        test_size: int | None = None,
        max_train_size: int | None = None,
    ) -> None:
        super().__init__(
            label_start=label_start, label_end=label_end, label_horizon=label_horizon, embargo=embargo
        )
        for name, size in (("test_size", test_size), ("max_train_size", max_train_size)):
            if size is not None and size < 1:
                raise ValueError(f"{name} is {size}; expected a number of rows, at least 1, or None.")
        self.n_splits = n_splits
        self.test_size = test_size
        self.max_train_size = max_train_size

    def _splits(self, spans: _Spans) -> Iterator[tuple[Sequence[Block], Rows]]:
        n_rows = len(spans.rows)
        _check_number("n_splits", self.n_splits, n_rows - 1)
        size = n_rows // (self.n_splits + 1) if self.test_size is None else self.test_size
        if self.n_splits * size >= n_rows:
            raise ValueError(
                f"{self.n_splits} test blocks of {size} rows leave nothing of {n_rows} rows to train on; use "
                "fewer splits or a smaller test_size."
            )
        for first in range(n_rows - self.n_splits * size, n_rows, size):
            block = (first, first + size)
            train = spans.ahead_of(block, 0, self.embargo)
            yield [block], train if self.max_train_size is None else train[-self.max_train_size :]


class BlockingTimeSeriesSplit(PurgedSplitter):
    """The rows are cut into windows that share nothing; in each, the first part trains and the rest tests.

    In a window a training label ends more than `embargo` bars before the first test label starts.

    Parameters
    ----------
    n_splits : int
        Windows, near equal in rows.
    label_start, label_end, label_horizon, embargo
        See `PurgedSplitter`.
    train_size : float
        Share of a window's rows before the test rows, between 0 and 1; rounded down to whole rows.
    """

    def __init__(
        self,
        n_splits: int = 5,
        *,
        label_start: ArrayLike | None = None,
        label_end: ArrayLike | None = None,
        label_horizon: int | None = None,
        embargo: int = 0,
        train_size: float = 0.8,
    ) -> None:
        super().__init__(
            label_start=label_start, label_end=label_end, label_horizon=label_horizon, embargo=embargo
        )
        if not 0 < train_size < 1:
            raise ValueError(f"train_size is {train_size}; expected a share of a window between 0 and 1.")
        self.n_splits = n_splits
        self.train_size = train_size

    def _splits(self, spans: _Spans) -> Iterator[tuple[Sequence[Block], Rows]]:
        for first, stop in _blocks("n_splits", self.n_splits, len(spans.rows)):
            block = (first + int(self.train_size * (stop - first)), stop)
            yield [block], spans.ahead_of(block, first, self.embargo)


class CombinatorialPurgedCV(PurgedSplitter):
    """Every choice of `n_test_folds` of `n_folds` contiguous blocks is tested once (Lopez de Prado, 12).

    Purged and embargoed around each run of adjacent test blocks. Each block is tested in `n_paths` splits, so
    that the predictions recombine into as many out-of-sample paths over all rows.

    Parameters
    ----------
    n_folds : int
    n_test_folds : int
        1 to n_folds - 1; with 1 it is `PurgedKFold`.
    label_start, label_end, label_horizon, embargo
        See `PurgedSplitter`.
    """

    def __init__(
        self,
        n_folds: int = 6,
        n_test_folds: int = 2,
        *,
        label_start: ArrayLike | None = None,
        label_end: ArrayLike | None = None,
        label_horizon: int | None = None,
        embargo: int = 0,
    ) -> None:
        super().__init__(
            label_start=label_start, label_end=label_end, label_horizon=label_horizon, embargo=embargo
        )
        if not 1 <= n_test_folds < n_folds:
            raise ValueError(
                f"n_test_folds is {n_test_folds} of n_folds {n_folds}; expected at least 1, and fewer than "
                "n_folds so that something is left to train on."
            )
        self.n_folds = n_folds
        self.n_test_folds = n_test_folds
        self.n_splits = comb(n_folds, n_test_folds)

    @property
    def n_paths(self) -> int:
        """How often each row is tested."""
        return comb(self.n_folds - 1, self.n_test_folds - 1)

    @property
    def paths(self) -> Rows:
        """ndarray of shape (n_paths, n_folds): the split that supplies each fold of each path.

        Every pair of a split and a fold tested in it occurs once.
        """
        choices = np.array(list(self._choices()))
        return np.column_stack([np.flatnonzero((choices == k).any(axis=1)) for k in range(self.n_folds)])

    def recombine(self, predictions: Sequence[ArrayLike]) -> Floats:
        """Predictions of the splits, put together to paths over all rows.

        Parameters
        ----------
        predictions : sequence of array-like of shape (n_test_rows,)
            One a split, in the order of `split` and of its test rows.

        Returns
        -------
        ndarray of shape (n_paths, n_rows)
        """
        given = [np.asarray(values) for values in predictions]
        if len(given) != self.n_splits:
            raise ValueError(f"{len(given)} predictions given; expected {self.n_splits}, one a split.")
        n_rows = sum(len(values) for values in given) // self.n_paths
        blocks = _blocks("n_folds", self.n_folds, n_rows)
        paths = np.empty((self.n_paths, n_rows), dtype=np.result_type(*given))
        path_of_fold = [0] * self.n_folds
        for number, (choice, values) in enumerate(zip(self._choices(), given, strict=True)):
            expected = sum(blocks[fold][1] - blocks[fold][0] for fold in choice)
            if values.shape != (expected,):
                raise ValueError(
                    f"The predictions of split {number} have shape {values.shape}; expected ({expected},), "
                    "one a test row."
                )
            at = 0
            for fold in choice:
                first, stop = blocks[fold]
                paths[path_of_fold[fold], first:stop] = values[at : at + stop - first]
                path_of_fold[fold] += 1
                at += stop - first
        return paths

    def _choices(self) -> Iterator[tuple[int, ...]]:
        return combinations(range(self.n_folds), self.n_test_folds)

    def _splits(self, spans: _Spans) -> Iterator[tuple[Sequence[Block], Rows]]:
        blocks = _blocks("n_folds", self.n_folds, len(spans.rows))
        for choice in self._choices():
            runs: list[Block] = []
            for first, stop in (blocks[fold] for fold in choice):
                if runs and runs[-1][1] == first:
                    runs[-1] = (runs[-1][0], stop)
                else:
                    runs.append((first, stop))
            yield runs, spans.apart_from(runs, self.embargo)


@dataclass(frozen=True)
class _Spans:
    """Label spans, and the purge on them.

    Where starts and ends never fall, as of bars with any horizon, what a purge keeps are slices, found by
    binary search; otherwise every row is compared.
    """

    rows: Rows
    start: Rows
    end: Rows
    ordered: bool

    def apart_from(self, blocks: Sequence[Block], embargo: int) -> Rows:
        """Rows whose label meets no block's labels and starts within no block's embargo."""
        if not self.ordered:
            keep = np.ones(len(self.rows), dtype=bool)
            for block in blocks:
                first, last = self._reach(block)
                keep &= (self.end < first) | (self.start > last + embargo)
            return np.flatnonzero(keep)
        pieces, begin = [], 0
        for block in blocks:
            first, last = self._reach(block)
            pieces.append(self.rows[begin : self.end.searchsorted(first)])
            begin = int(self.start.searchsorted(last + embargo, side="right"))
        return _joined([*pieces, self.rows[begin:]])

    def ahead_of(self, block: Block, since: int, embargo: int) -> Rows:
        """Rows from `since` to the block whose label ends more than `embargo` bars before its labels."""
        limit = self._reach(block)[0] - embargo
        if not self.ordered:
            return np.flatnonzero(self.end[since : block[0]] < limit) + since
        return self.rows[since : self.end[: block[0]].searchsorted(limit)]

    def _reach(self, block: Block) -> tuple[int, int]:
        """First label start and last label end of a block."""
        first, stop = block
        if self.ordered:
            return int(self.start[first]), int(self.end[stop - 1])
        return int(self.start[first:stop].min()), int(self.end[first:stop].max())


def _joined(pieces: list[Rows]) -> Rows:
    """The pieces in one array; a single one that is not empty as it is."""
    filled = [piece for piece in pieces if len(piece)]
    return filled[0] if len(filled) == 1 else np.concatenate(pieces)


def _positions(name: str, values: ArrayLike, n_rows: int) -> Rows:
    array = np.asarray(values)
    if array.shape != (n_rows,):
        raise ValueError(f"{name} has {len(array)} rows, X has {n_rows}.")
    if array.dtype.kind not in "iu":
        raise ValueError(
            f"{name} holds {array.dtype}; expected whole bar positions (of times: np.searchsorted(bar_times, "
            f"{name}))."
        )
    return array.astype(np.int64, copy=False)


def _never_falls(values: Rows) -> bool:
    return bool((values[1:] >= values[:-1]).all())


def _check_number(name: str, number: int, most: int) -> None:
    if not 2 <= number <= most:
        raise ValueError(f"{name} is {number}; expected 2 to {most} (the rows).")


def _blocks(name: str, number: int, n_rows: int) -> list[Block]:
    """Near-equal contiguous blocks, the longer ones first, as numpy.array_split cuts them."""
    _check_number(name, number, n_rows)
    size, longer = divmod(n_rows, number)
    borders = [k * size + min(k, longer) for k in range(number + 1)]
    return list(pairwise(borders))


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
