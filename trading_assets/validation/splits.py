"""Cross-validation that knows how long a label looks ahead.

Label spans are closed intervals of bar positions, one a row. Every splitter follows scikit-learn's protocol
and leaves out the training rows whose span meets that of a block of test rows (first label start to last
label end), with an embargo. See Lopez de Prado, Advances in Financial Machine Learning (2018), chapters 7 and
12; here the embargo counts from the last label end of the block, not from its last row.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from inspect import signature
from itertools import combinations, islice
from math import comb, lgamma, log
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from trading_assets.arrays import Floats, Rows
from trading_assets.errors import LeakageError
from trading_assets.representation import one_line
from trading_assets.validation._arguments import REAL, check_between_0_and_1, check_whole_number
from trading_assets.validation._label_spans import (
    Block,
    LabelSpans,
    blocks_of,
    check_fits,
    joined,
    label_spans,
)

MAX_SPLITS = 1_000_000
"""Of one splitter: nobody fits more models, and all choices of many blocks are more than can be counted."""


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
        Further bars left out, not a share of them: after the last label end of a test block where training
        goes on after it, before the first label start of the block where training only comes before it.

    Raises
    ------
    ValueError
        When neither or both of `label_end` and `label_horizon` are given (a purge cannot be skipped
        silently), or any argument cannot be; by `split`, when they do not fit the rows or nothing is left to
        train on.

    Examples
    --------
    See `PurgedKFold`.
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
        lengths = [len(np.atleast_1d(rows)) for rows in (label_start, label_end) if rows is not None]
        if len(set(lengths)) > 1:
            raise ValueError(
                f"label_start has {lengths[0]} rows, label_end {lengths[1]}; expected one of each a row."
            )
        _check_embargo(embargo, lengths[0] if lengths else None)
        if label_horizon is not None:
            check_whole_number("label_horizon", label_horizon, 0, "a whole number of bars")
        if lengths:
            label_spans(lengths[0], label_start, label_end, label_horizon)
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
        spans = label_spans(len(X), self.label_start, self.label_end, self.label_horizon)
        for number, (blocks, train) in enumerate(self._splits(spans, self.embargo)):
            if not len(train):
                raise ValueError(self._nothing_left(spans, number, blocks))
            yield train, joined([spans.rows[first:stop] for first, stop in blocks])

    @abstractmethod
    def _splits(self, spans: LabelSpans, embargo: int) -> Iterator[tuple[Sequence[Block], Rows]]:
        """Yield test blocks and purged training rows of each split."""

    def _nothing_left(self, spans: LabelSpans, number: int, blocks: Sequence[Block]) -> str:
        """Why a split has no training rows: its embargo where the purge alone leaves some, or the labels."""
        tested = f"{blocks[0][0]} to {blocks[-1][1] - 1} of {len(spans.rows)}"
        fact = f"No training row is left for test rows {tested}"
        _, purged = next(islice(self._splits(spans, 0), number, None))
        if len(purged):
            return (
                f"{fact}: the embargo of {self.embargo} bars takes the {len(purged)} that the purge left. "
                "Use fewer splits or a smaller embargo."
            )
        if spans.longest:
            return (
                f"{fact}: labels reach up to {spans.longest} bars ahead, into those of the test rows. "
                "Use fewer splits, shorter labels or more rows."
            )
        return f"{fact}: none comes before them. Use fewer splits or more rows."


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

    Examples
    --------
    >>> train, test = next(PurgedKFold(2, label_horizon=1, embargo=1).split(range(8)))
    >>> train, test
    (array([6, 7]), array([0, 1, 2, 3]))
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
        check_whole_number("n_splits", n_splits, 2)
        self.n_splits = n_splits

    def _splits(self, spans: LabelSpans, embargo: int) -> Iterator[tuple[Sequence[Block], Rows]]:
        for block in blocks_of("n_splits", self.n_splits, len(spans.rows)):
            yield [block], spans.apart_from([block], embargo)


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

    Examples
    --------
    >>> train, test = next(PurgedTimeSeriesSplit(2, label_horizon=1).split(range(9)))
    >>> train, test
    (array([0, 1]), array([3, 4, 5]))
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
            if size is not None:
                check_whole_number(name, size, 1, "a whole number of rows, or None")
        check_whole_number("n_splits", n_splits, 2)
        self.n_splits = n_splits
        self.test_size = test_size
        self.max_train_size = max_train_size

    def _splits(self, spans: LabelSpans, embargo: int) -> Iterator[tuple[Sequence[Block], Rows]]:
        n_rows = len(spans.rows)
        check_fits("n_splits", self.n_splits, n_rows - 1)
        size = n_rows // (self.n_splits + 1) if self.test_size is None else self.test_size
        if self.n_splits * size >= n_rows:
            raise ValueError(
                f"{self.n_splits} test blocks of {size} rows leave nothing of {n_rows} rows to train on; use "
                "fewer splits or a smaller test_size."
            )
        for first in range(n_rows - self.n_splits * size, n_rows, size):
            block = (first, first + size)
            train = spans.ahead_of(block, 0, embargo)
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

    Examples
    --------
    >>> splits = BlockingTimeSeriesSplit(2, label_horizon=0, train_size=0.5).split(range(8))
    >>> [(train.tolist(), test.tolist()) for train, test in splits]
    [([0, 1], [2, 3]), ([4, 5], [6, 7])]
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
        check_whole_number("n_splits", n_splits, 2)
        check_between_0_and_1("train_size", train_size, "a share of a window")
        self.n_splits = n_splits
        self.train_size = train_size

    def _splits(self, spans: LabelSpans, embargo: int) -> Iterator[tuple[Sequence[Block], Rows]]:
        for first, stop in blocks_of("n_splits", self.n_splits, len(spans.rows)):
            block = (first + int(self.train_size * (stop - first)), stop)
            yield [block], spans.ahead_of(block, first, embargo)


class CombinatorialPurgedCV(PurgedSplitter):
    """Every choice of `n_test_folds` of `n_folds` contiguous blocks is tested once (Lopez de Prado, 12).

    Purged and embargoed around each run of adjacent test blocks. Each block is tested in `n_paths` splits, so
    that the predictions recombine into as many out-of-sample paths over all rows.

    Parameters
    ----------
    n_folds : int
    n_test_folds : int
        1 to n_folds - 1, with no more than `MAX_SPLITS` choices; with 1 it is `PurgedKFold`.
    label_start, label_end, label_horizon, embargo
        See `PurgedSplitter`.

    Examples
    --------
    >>> splitter = CombinatorialPurgedCV(4, 2, label_horizon=0)
    >>> splitter.n_splits, splitter.n_paths
    (6, 3)
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
        check_whole_number("n_folds", n_folds, 2)
        check_whole_number("n_test_folds", n_test_folds, 1)
        if n_test_folds >= n_folds:
            raise ValueError(
                f"n_test_folds is {n_test_folds} of n_folds {n_folds}; expected fewer than n_folds, so that "
                "something is left to train on."
            )
        _check_number_of_splits(n_folds, n_test_folds)
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

        Raises
        ------
        ValueError
            When there is not one a split, or one has another length than its test rows.
        """
        given = [np.asarray(values) for values in predictions]
        if len(given) != self.n_splits:
            raise ValueError(f"{len(given)} predictions given; expected {self.n_splits}, one a split.")
        n_rows = sum(len(values) for values in given) // self.n_paths
        blocks = blocks_of("n_folds", self.n_folds, n_rows)
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

    def _splits(self, spans: LabelSpans, embargo: int) -> Iterator[tuple[Sequence[Block], Rows]]:
        blocks = blocks_of("n_folds", self.n_folds, len(spans.rows))
        for choice in self._choices():
            runs: list[Block] = []
            for first, stop in (blocks[fold] for fold in choice):
                if runs and runs[-1][1] == first:
                    runs[-1] = (runs[-1][0], stop)
                else:
                    runs.append((first, stop))
            yield runs, spans.apart_from(runs, embargo)


def _check_embargo(embargo: Any, n_rows: int | None) -> None:
    if isinstance(embargo, REAL) and 0 < embargo < 1:
        share, rows = float(embargo), 1_000 if n_rows is None else n_rows
        raise ValueError(
            f"embargo is {share:g}; expected a whole number of bars, not a share of them: of "
            f"{rows:,} rows it would be embargo={max(round(share * rows), 1)}."
        )
    check_whole_number("embargo", embargo, 0, "a whole number of bars")


def _check_number_of_splits(n_folds: int, n_test_folds: int) -> None:
    rest = n_folds - n_test_folds
    logs = (lgamma(number + 1) / log(10) for number in (n_folds, n_test_folds, rest))
    power = next(logs) - sum(logs)  # the number itself may have millions of digits
    if power > np.log10(MAX_SPLITS) + 1e-9:
        exponent = int(power)
        raise ValueError(
            f"Choosing n_test_folds={n_test_folds} of n_folds={n_folds} would be about "
            f"{10 ** (power - exponent):.1f}e{exponent} splits; expected {MAX_SPLITS:,} at most. Use fewer "
            "folds, or fewer test folds such as n_test_folds=2."
        )


def assert_no_leakage(
    splits: Iterable[tuple[Rows, Rows]], label_end: ArrayLike, label_start: ArrayLike | None = None
) -> None:
    """Raise an error if a training row's span meets a test row's span in any split.

    Compares row by row with every test row, independently of how a splitter works.

    Parameters
    ----------
    splits : iterable of (train rows, test rows)
    label_end : array-like of int, shape (n_rows,)
        Last bar that each row's label depends on.
    label_start : array-like of int, shape (n_rows,), optional
        First bar of each row's label; without it the row's own position.

    Raises
    ------
    LeakageError
        Naming the split and the training row.

    Examples
    --------
    >>> end = np.arange(8) + 1
    >>> assert_no_leakage(PurgedKFold(2, label_end=end).split(range(8)), end)
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
