"""From which bar to which each row's label reaches, and what that purges; the splitters are in `splits`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from trading_assets.arrays import Rows

Block = tuple[int, int]
"""Rows from the first to the second, the latter excluded."""


@dataclass(frozen=True)
class LabelSpans:
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
        return joined([*pieces, self.rows[begin:]])

    def ahead_of(self, block: Block, since: int, embargo: int) -> Rows:
        """Rows from `since` to the block whose label ends more than `embargo` bars before its labels."""
        limit = self._reach(block)[0] - embargo
        if not self.ordered:
            return np.flatnonzero(self.end[since : block[0]] < limit) + since
        return self.rows[since : self.end[: block[0]].searchsorted(limit)]

    @property
    def longest(self) -> int:
        """Bars from the first to the last one of the longest label."""
        return int((self.end - self.start).max(initial=0))

    def _reach(self, block: Block) -> tuple[int, int]:
        """First label start and last label end of a block."""
        first, stop = block
        if self.ordered:
            return int(self.start[first]), int(self.end[stop - 1])
        return int(self.start[first:stop].min()), int(self.end[first:stop].max())


def joined(pieces: list[Rows]) -> Rows:
    """The pieces in one array; a single one that is not empty as it is."""
    filled = [piece for piece in pieces if len(piece)]
    return filled[0] if len(filled) == 1 else np.concatenate(pieces)


def label_spans(
    n_rows: int, label_start: ArrayLike | None, label_end: ArrayLike | None, label_horizon: int | None
) -> LabelSpans:
    """The spans of `n_rows` rows from the arguments of a splitter, checked."""
    rows = np.arange(n_rows)
    rows.flags.writeable = False  # splits are slices of it where they can be
    start = rows if label_start is None else _positions("label_start", label_start, n_rows)
    if label_end is not None:
        end = _positions("label_end", label_end, n_rows)
    else:
        end = start + (label_horizon or 0)
    backwards = end < start
    if backwards.any():
        row = int(backwards.argmax())
        raise ValueError(
            f"The label of row {row} ends at bar {end[row]}, before it starts at bar {start[row]}; "
            "expected label_end >= label_start (which is the row's position where it is not given)."
        )
    return LabelSpans(rows, start, end, ordered=_never_falls(start) and _never_falls(end))


def _positions(name: str, values: ArrayLike, n_rows: int) -> Rows:
    array = np.asarray(values)
    if array.ndim != 1:
        raise ValueError(f"{name} has shape {array.shape}; expected (n_rows,), a bar position a row.")
    if len(array) != n_rows:
        raise ValueError(f"{name} has {len(array)} rows, X has {n_rows}.")
    if array.dtype.kind not in "iu":
        raise ValueError(
            f"{name} holds {array.dtype}; expected whole bar positions (of times: np.searchsorted(bar_times, "
            f"{name}))."
        )
    return array.astype(np.int64, copy=False)


def _never_falls(values: Rows) -> bool:
    return bool((values[1:] >= values[:-1]).all())


def check_fits(name: str, number: int, most: int) -> None:
    """Raise `ValueError` unless so many blocks can be cut from the rows."""
    if number > most:
        raise ValueError(f"{name} is {number}; expected 2 to {most} (the rows).")


def blocks_of(name: str, number: int, n_rows: int) -> list[Block]:
    """Near-equal contiguous blocks, the longer ones first, as numpy.array_split cuts them."""
    check_fits(name, number, n_rows)
    size, longer = divmod(n_rows, number)
    borders = [k * size + min(k, longer) for k in range(number + 1)]
    return list(pairwise(borders))
