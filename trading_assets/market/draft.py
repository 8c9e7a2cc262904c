"""Bars on their way from a file to the contract."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NoReturn

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trading_assets.arrays import Floats
from trading_assets.market.report import IngestReport
from trading_assets.market.time_column import Mask, Times

CORRECT = "Correct or remove the row."


@dataclass(frozen=True)
class Draft:
    """Numbers of a file, not yet known to be bars.

    Attributes
    ----------
    times, wall : ndarray of int64 of shape (n_rows,)
        Nanoseconds since 1970, in UTC and on the clock of the written zone (see `time_column.Stamps`).
    zone : str
        Which zone the times say they are of; empty where they do not.
    values : dict of str to ndarray of shape (n_rows,)
        Prices, volume, and funding rates where there are some.
    rows : ndarray of int64
        The rows of the file that they came from.
    header : dict of str to str
        The file's own names of the columns, for messages.
    """

    times: Times
    wall: Times
    zone: str
    values: dict[str, Floats]
    rows: NDArray[np.int64]
    header: dict[str, str]

    def __len__(self) -> int:
        return len(self.times)

    def take(self, index: NDArray[np.int64] | Mask) -> Draft:
        values = {name: column[index] for name, column in self.values.items()}
        return replace(
            self, times=self.times[index], wall=self.wall[index], values=values, rows=self.rows[index]
        )

    def at(self, times: Times) -> Draft:
        """The same bars with other opening times."""
        return replace(self, times=times)

    def refuse_times(
        self, bad: Mask, report: IngestReport, kind: str, problem: str, remedy: str = CORRECT
    ) -> NoReturn:
        """Reject the rows that are bad, showing the first one's time."""
        found = np.flatnonzero(bad)
        report.reject(
            kind,
            problem,
            remedy,
            rows=self.rows[found],
            column=self.header["timestamp"],
            value=time_text(self.times[found[0]]),
        )


def time_text(nanoseconds: np.int64) -> str:
    """For messages."""
    return str(pd.Timestamp(int(nanoseconds), tz="UTC"))
