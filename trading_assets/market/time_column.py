"""A column of times on its way to UTC, and what reading one gives."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NoReturn

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from trading_assets.market.report import IngestReport

Times = NDArray[np.int64]
"""Nanoseconds since 1970, UTC."""
Mask = NDArray[np.bool_]

MINUTE, DAY = 60 * 10**9, 86_400 * 10**9
YEARS = (1800, 2250)
"""Nanoseconds hold 1678 to 2262, and distances of 292 years: from the first year here to today is less."""
_EARLIEST, _LATEST = (np.datetime64(f"{year}-01-01", "ns").astype(np.int64) for year in YEARS)
UNITS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
ISO_8601 = "Write ISO 8601 with a zone, for instance 2024-01-31T15:00:00Z."


@dataclass(frozen=True)
class Stamps:
    """Times as a file has them.

    Attributes
    ----------
    utc : ndarray of int64 of shape (n_rows,)
        Nanoseconds since 1970.
    wall : ndarray of int64 of shape (n_rows,)
        What a clock in the written zone showed, as nanoseconds since 1970; `utc` where no zone was written.
    zone : str
        Where the times say their zone themselves, which one; else empty.
    origin : int or None
        The year from which times that are numbers are counted; None where they are none.
    """

    utc: Times
    wall: Times
    zone: str = ""
    origin: int | None = None


@dataclass(frozen=True)
class TimeColumn:
    """Times as they were written, with what decides their reading and what a message about them needs.

    Attributes
    ----------
    values : pyarrow.ChunkedArray
    name : str
        The file's own.
    rows : ndarray of int64
    report : IngestReport
    zone, own_zone : str or None
        The user's zone of times without one, and the layout's, which comes second.
    day_first : bool or None
        The user's word on dates such as 03/04/2024.
    """

    values: Any
    name: str
    rows: NDArray[np.int64]
    report: IngestReport
    zone: str | None
    own_zone: str | None
    day_first: bool | None

    def refuse(self, bad: Mask, kind: str, problem: str, remedy: str = ISO_8601) -> NoReturn:
        """Reject the rows that are bad, showing the first one's time."""
        found = np.flatnonzero(bad)
        value = self.values[int(found[0])].cast(pa.string()).as_py()
        self.report.reject(kind, problem, remedy, rows=self.rows[found], column=self.name, value=f"'{value}'")

    def nanoseconds(self, numbers: NDArray[Any], factor: Any) -> Times:
        """`numbers * factor`; refuses what nanoseconds cannot hold."""
        size = numbers.astype(np.float64) * factor
        bad = ~((size >= _EARLIEST) & (size < _LATEST))
        if bad.any():
            self.refuse(bad, "not a time", f"is no time between {YEARS[0]} and {YEARS[1]}")
        if numbers.dtype.kind == "f" and (numbers != np.floor(numbers)).any():
            return np.asarray(np.round(size), dtype=np.int64)
        return np.asarray(numbers.astype(np.int64) * factor, dtype=np.int64)

    def day_first_not_used(self, why: str) -> None:
        if self.day_first is not None:
            message = f"market.day_first is {str(self.day_first).lower()}, but {why}"
            self.report.warned("setting not used", message, column=self.name)

    def only(self, chosen: Mask) -> TimeColumn:
        return replace(self, values=self.values.filter(pa.array(chosen)), rows=self.rows[chosen])
