"""Tables on disk: Parquet that compresses floats well and notices a flipped bit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from trading_assets.registry.digests import digest_arrays

ROW_GROUP = 131_072
"""Rows that are read together: a day of minute bars costs little, and compression is not lost."""


def write_table(frame: pd.DataFrame, path: Path) -> None:
    """Write `frame` as Parquet with a checksum on every page.

    Floats are never null (NaN is a value like others), which spares looking for nulls and writing where
    they are.
    """
    arrays, fields, floats = [], [], []
    for name, column in frame.items():
        plain = column.dtype.kind == "f"
        array = pa.array(column.to_numpy() if plain else column, from_pandas=not plain)
        arrays.append(array)
        fields.append(pa.field(str(name), array.type, nullable=not plain))
        floats += [str(name)] * plain
    others = [field.name for field in fields if field.name not in floats]
    pq.write_table(
        pa.Table.from_arrays(arrays, schema=pa.schema(fields)),
        path,
        compression="zstd",
        compression_level=1,
        row_group_size=ROW_GROUP,
        use_dictionary=others,
        use_byte_stream_split=floats,
        write_statistics=others,
        write_page_checksum=True,
    )


def read_table(
    path: Path, columns: Sequence[str] | None = None, rows: tuple[int, int] | None = None
) -> pd.DataFrame:
    """Read what `write_table` wrote and verify its pages.

    Parameters
    ----------
    path : Path
    columns : sequence of str, optional
        All without.
    rows : (int, int), optional
        First row, and the one after the last; only the row groups that hold them are read.
    """
    names = list(columns) if columns is not None else None
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        if rows is None:
            frame: pd.DataFrame = file.read(names).to_pandas()
            return frame
        sizes = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
        starts = np.concatenate([[0], np.cumsum(sizes)])
        first, last = max(rows[0], 0), min(rows[1], int(starts[-1]))
        groups = [i for i in range(len(sizes)) if starts[i] < last and starts[i + 1] > first]
        part = file.read_row_groups(groups, names)
        offset = first - int(starts[groups[0]]) if groups else 0
        rows_read: pd.DataFrame = part.slice(offset, max(last - first, 0)).to_pandas()
        return rows_read


def digest_table(frame: pd.DataFrame) -> str:
    """Content digest: column names, types and values, in order."""
    return digest_arrays({str(name): _plain(frame[name]) for name in frame.columns})


def _plain(column: pd.Series[Any]) -> NDArray[Any]:
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        return column.astype("datetime64[ns, UTC]").astype("int64").to_numpy()
    return np.asarray(column.to_numpy())
