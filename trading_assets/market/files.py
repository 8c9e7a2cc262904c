"""From the bytes of a file to columns, whatever it is: recognized by content, never by name."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from trading_assets.errors import MarketError
from trading_assets.market.columns import find_columns
from trading_assets.market.containers import read_container, refuse_unread
from trading_assets.market.feather import read_feather
from trading_assets.market.header import require_columns
from trading_assets.market.levels import one_level
from trading_assets.market.packing import unpack
from trading_assets.market.raw import SAMPLE, RawBars, plain
from trading_assets.market.report import AGAIN, IngestReport
from trading_assets.market.text import read_text


def read_file(
    path: Path, report: IngestReport, *, symbol: str | None = None, decimal: str | None = None
) -> RawBars:
    """Read the columns of a file of bars; notes format, layout and findings in `report`.

    Parameters
    ----------
    path : Path
    report : IngestReport
    symbol : str, optional
        Whose columns are meant where several symbols have some.
    decimal : {'.', ','}, optional
        What stands before decimals; without it what fits the most numbers.

    Raises
    ------
    MarketError
        When there is no such file.
    BarsRejected
        When it is empty, cut short, no table, or has no such columns.
    """
    refuse_unread(path, report)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise MarketError(f"{path} does not exist.") from None
    except OSError as error:
        raise MarketError(f"{path} cannot be read: {error.strerror or error}.") from None
    data, packing = unpack(data, report)
    if (table := read_container(data, packing, path, report)) is not None:
        return _from_table(table, symbol, report)
    try:
        if data[:4] == b"PAR1":
            report.format = f"parquet{packing}"
            table = pq.read_table(io.BytesIO(data), page_checksum_verification=True)
            return _from_table(table, symbol, report)
        if data[:6] == b"ARROW1" or data[:4] == b"FEA1":
            report.format = f"feather{packing}"
            return _from_table(read_feather(io.BytesIO(data)), symbol, report)
    except (pa.ArrowException, OSError, ValueError) as error:
        problem = " ".join(str(error).split())
        report.reject("unreadable", f"cannot be read as {report.format}: {problem}", AGAIN)
    return read_text(data, packing, report, symbol=symbol, decimal=decimal)


def _from_table(table: pa.Table, symbol: str | None, report: IngestReport) -> RawBars:
    head = table.slice(0, SAMPLE)
    numbers = {
        place: column.cast(pa.float64(), safe=False).to_numpy()
        for place, column in enumerate(head.columns)
        if pa.types.is_floating(column.type) or pa.types.is_integer(column.type)
    }
    names = one_level(table.column_names, symbol, report)
    row = [str(plain(column.slice(0, 1))[0].as_py()) for column in head.columns] if len(head) else []
    columns = find_columns(names, row=row, file=Path(report.file).name, numbers=numbers)
    require_columns(columns, table.column_names, report)
    if table.num_rows == 0:
        report.reject("empty", "holds no bars, only column names", AGAIN)
    chosen = {}
    for ours, position in columns.names.items():
        column = plain(table.column(position))
        chosen[ours] = column.cast(pa.string()) if ours in {"symbol", "clock"} else column
    header = {ours: str(table.column_names[position]) for ours, position in columns.names.items()}
    return RawBars(chosen, columns.zone, header, np.arange(1, table.num_rows + 1), scale=columns.scale)
