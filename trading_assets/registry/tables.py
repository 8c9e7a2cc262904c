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


def write_table(frame: pd.DataFrame, path: Path) -> None:
    """Write `frame` as Parquet with a checksum on every page."""
    table = pa.Table.from_pandas(frame, preserve_index=False)
    floats = [field.name for field in table.schema if pa.types.is_floating(field.type)]
    pq.write_table(
        table,
        path,
        compression="zstd",
        compression_level=1,
        row_group_size=131_072,
        use_dictionary=[name for name in table.column_names if name not in floats],
        use_byte_stream_split=floats,
        write_page_checksum=True,
    )


def read_table(path: Path, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Read what `write_table` wrote and verify its pages."""
    names = list(columns) if columns is not None else None
    frame: pd.DataFrame = pq.read_table(path, columns=names, page_checksum_verification=True).to_pandas()
    return frame


def digest_table(frame: pd.DataFrame) -> str:
    """Content digest: column names, types and values, in order."""
    return digest_arrays({str(name): _plain(frame[name]) for name in frame.columns})


def _plain(column: pd.Series[Any]) -> NDArray[Any]:
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        return column.astype("datetime64[ns, UTC]").astype("int64").to_numpy()
    return np.asarray(column.to_numpy())
