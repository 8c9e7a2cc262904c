"""Columns of a file under our names, as they were written."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

SAMPLE = 300
"""Rows that show what columns mean."""
Column = Any
"""A pyarrow.ChunkedArray."""


@dataclass(frozen=True)
class RawBars:
    """Columns as they were written, under our names.

    Attributes
    ----------
    columns : dict of str to pyarrow.ChunkedArray
        Numbers, times or text. At least `timestamp` and the prices.
    zone : str or None
        Zone that the layout is known to write naive times in.
    header : dict of str to str
        The file's own name of each column.
    rows : ndarray of int64
        Number of each row in the file, for messages; the first row of data is 1.
    decimal : str
        What stands before the decimals of numbers that are text.
    scale : dict of str to float
        What the numbers of a column have to be multiplied by.
    """

    columns: dict[str, Column]
    zone: str | None
    header: dict[str, str]
    rows: NDArray[np.int64]
    decimal: str = "."
    scale: dict[str, float] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, keep: Column) -> RawBars:
        """The rows for which the boolean column `keep` is true."""
        columns = {name: column.filter(keep) for name, column in self.columns.items()}
        return replace(self, columns=columns, rows=self.rows[keep.to_numpy()])


def plain(column: Column) -> Column:
    """Of one kind of text, without dictionaries, and sound: damaged offsets would be read beyond the end."""
    column.validate(full=True)
    if pa.types.is_timestamp(column.type):
        _ = column.type.tz  # raises UnicodeDecodeError where damage has left no text
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_large_string(column.type) or pa.types.is_string_view(column.type):
        column = column.cast(pa.string())
    return column
