"""Bars in files that are no table by themselves: JSON, LEAN's zips; others are refused with the way out.

Tables (CSV, Parquet, Feather) are read by `files`.
"""

from __future__ import annotations

import io
import json
import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from trading_assets.market.columns import BINANCE, PRICES
from trading_assets.market.report import AGAIN, IngestReport

Rows = list[Any]
"""Of JSON: lists, or objects."""
_ORDERS = {
    "as ccxt, freqtrade and most exchanges write them": ("open", "high", "low", "close"),
    "as Jesse, Bitfinex and KuCoin write them": ("open", "close", "high", "low"),
    "as Coinbase writes them": ("low", "high", "open", "close"),
}
_LEAN_ROW = re.compile(rb"\d{8} \d\d:\d\d(,\d+(\.\d+)?){5}\s")
_LEAN_DAY = re.compile(r"\d{8}_(trade|quote|openinterest)\.zip")
_LEAN_SCALE = 10_000
_DATED = re.compile(r"\d{4}-\d\d-\d\d")
_QLIB = re.compile(r"\w+\.\w+\.bin")


def refuse_unread(path: Path, report: IngestReport) -> None:
    """Refuse qlib's binaries and LEAN's days, which are parts of the bars of a symbol, by their names."""
    folder = path if path.is_dir() else path.parent
    parts = sorted(folder.glob("*.*.bin")) if path.is_dir() or _QLIB.fullmatch(path.name) else []
    if parts:
        _, interval, _ = parts[0].name.split(".")
        command = _command(_FROM_QLIB, folder, interval, f"{folder.name.upper()}.csv")
        problem = "holds qlib's binary columns, which are not read"
        report.reject("qlib", problem, f"Convert the symbol's folder with: {command}")
    if _LEAN_DAY.fullmatch(path.name):
        command = _command(_FROM_LEAN, path.parent, f"{path.resolve().parent.name.upper()}.csv")
        problem = "holds one day of LEAN's minutes or seconds, the milliseconds counted from midnight"
        report.reject("LEAN", problem, f"Join the days of trades with: {command}")


def read_container(data: bytes, packing: str, path: Path, report: IngestReport) -> pa.Table | None:
    """The columns in a file that is no table by itself; None where it is one.

    Raises
    ------
    BarsRejected
        When it is damaged, or of a kind that is not read.
    """
    if data.startswith(b"\x89HDF\r\n\x1a\n"):
        _refuse("an HDF5 file,", _FROM_HDF, path, report, needs="after pip install tables")
    if re.match(rb"\x80[\x02-\x05]", data) and data.endswith(b"."):
        what = "a pickle, which can run any code when it is opened,"
        _refuse(what, _FROM_PICKLE, path, report, needs="if you trust it")
    if packing == ", zip" and _LEAN_ROW.match(data):
        return _lean(data, report)
    if data[:1_000].lstrip()[:1] in (b"[", b"{") and (rows := json_rows(data, report)):
        report.format = f"json{packing}"
        return _table(rows, report)
    return None


def json_rows(data: bytes, report: IngestReport) -> Rows | None:
    """The one list of lists or objects that a JSON document, or its lines, hold; None where there is none."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        try:
            document = [json.loads(line) for line in data.splitlines() if line.strip()]
        except (ValueError, RecursionError):
            document = []
        if not document and re.match(rb"\s*\[\s*[\[{]|\s*\{[^\n]*\n\s*\{", data):
            report.reject("unreadable", f"is damaged or truncated JSON: {error}", AGAIN)
    found = list(_lists(document))
    if len(found) > 1:
        places = ", ".join(place for place, _ in found)
        report.reject("several tables", f"is JSON with several lists of rows: {places}", "Write one of them.")
    return found[0][1] if found else None


def _lists(document: Any, place: str = "", depth: int = 3) -> Iterator[tuple[str, Rows]]:
    if isinstance(document, list) and document and all(isinstance(row, list | dict) for row in document):
        yield place, document
    elif isinstance(document, dict) and document and all(map(_DATED.match, document)):
        # Alpha Vantage: an object a bar under its time, with numbered names.
        if all(isinstance(row, dict) for row in document.values()):
            yield place, [{"timestamp": time, **_unnumbered(row)} for time, row in document.items()]
    elif isinstance(document, dict) and depth:
        for name, value in document.items():
            yield from _lists(value, f"{place}.{name}" if place else str(name), depth - 1)


def _unnumbered(row: dict[str, Any]) -> dict[str, Any]:
    return {re.sub(r"^\d+[a-z]?\. ", "", name): value for name, value in row.items()}


def _table(rows: Rows, report: IngestReport) -> pa.Table:
    try:
        if all(isinstance(row, dict) for row in rows):
            names = dict.fromkeys(name for row in rows for name in row)
            return pa.table({name: _column([row.get(name) for row in rows]) for name in names})
        width = len(rows[0])
        odd = [number for number, row in enumerate(rows, 1) if not isinstance(row, list) or len(row) != width]
        if odd:
            report.reject("short row", f"is no list of {width} values", "Mend or remove the row.", rows=odd)
        columns = [_column(values) for values in zip(*rows, strict=True)]
    except (pa.ArrowException, TypeError, OverflowError) as error:
        report.reject(
            "unreadable", f"holds values that are no columns: {' '.join(str(error).split())}", AGAIN
        )
    return pa.table(columns, names=_names(columns, report))


def _column(values: Sequence[Any]) -> pa.Array:
    if any(isinstance(value, str) for value in values):
        return pa.array([None if value is None else str(value) for value in values])
    return pa.array(values)


def _names(columns: list[pa.Array], report: IngestReport) -> list[str]:
    """Names of the columns of lists without any; the order of the prices is told by the numbers."""
    if len(columns) == len(BINANCE):
        return list(BINANCE)
    if len(columns) < 5:
        report.reject(
            "no such column", f"has rows of {len(columns)} values", "Expected time, four prices, volume."
        )
    try:
        numbers = [np.asarray(pc.cast(column, pa.float64())) for column in columns[1:]]
    except pa.ArrowException as error:
        report.reject(
            "not a number", f"holds something else than numbers: {error}", "Correct or remove the row."
        )
    fitting = {
        who: order for who, order in _ORDERS.items() if _encloses(dict(zip(order, numbers, strict=False)))
    }
    if not fitting:  # the checks to come say which row breaks the usual order
        fitting = dict(list(_ORDERS.items())[:1])
    # Where every bar is flat all orders say the same.
    who, order = next(iter(fitting.items()))
    prices = dict(zip(order, numbers, strict=False))
    if len(fitting) > 1 and not all((prices[name] == prices["open"]).all() for name in PRICES):
        report.reject(
            "columns",
            f"has lists without names, whose prices can be {' or '.join(map('-'.join, fitting.values()))}",
            "Write a list of objects with names, or a CSV.",
        )
    rest = [f"value {number}" for number in range(6, len(columns) + 1)]
    if rest:
        average = len(rest) > 1 and bool(
            ((numbers[4] >= prices["low"]) & (numbers[4] <= prices["high"])).all()
        )
        rest[1 if average else 0] = "volume"  # Kraken has the average price before the volume
    report.repaired("columns", f"lists without names are taken as time, {', '.join(order)}, {who}")
    return ["timestamp", *order, *rest]


def _encloses(prices: dict[str, Any]) -> bool:
    o, h, low, c = (prices[name] for name in PRICES)
    return bool((h >= np.maximum(o, c)).all() and (low <= np.minimum(o, c)).all())


def _lean(data: bytes, report: IngestReport) -> pa.Table:
    """LEAN's days and hours: shares are written in ten-thousandths, other things as they are."""
    report.format = "csv, delimiter ',', LEAN, zip"
    names = ["timestamp", *PRICES, "volume"]
    types = dict.fromkeys(names[1:], pa.float64()) | {"timestamp": pa.timestamp("s")}
    try:
        table = pacsv.read_csv(
            io.BytesIO(data),
            pacsv.ReadOptions(column_names=names),
            convert_options=pacsv.ConvertOptions(column_types=types, timestamp_parsers=["%Y%m%d %H:%M"]),
        )
    except pa.ArrowInvalid as error:
        report.reject(
            "unreadable", f"cannot be read as {report.format}: {' '.join(str(error).split())}", AGAIN
        )
    prices = np.stack([table[name].to_numpy() for name in PRICES])
    # Cents are hundreds of ten-thousandths; indices and futures in whole points are hundreds by chance.
    if (prices % 1 == 0).all() and (prices % 100 == 0).mean() > 0.2:
        for name in PRICES:
            table = table.set_column(
                table.column_names.index(name), name, pc.divide(table[name], _LEAN_SCALE)
            )
        report.repaired("scale", "prices are in ten-thousandths, as LEAN writes those of shares")
    return table


def _refuse(what: str, code: str, path: Path, report: IngestReport, *, needs: str) -> NoReturn:
    name = path.name.partition(".")[0].upper() + ".parquet"
    report.reject(
        "container", f"is {what} which is not read", f"Convert it ({needs}): {_command(code, path, name)}"
    )


def _command(code: str, *arguments: object) -> str:
    """A line for the shell that runs `code` with the arguments."""
    return shlex.join(["python", "-c", code, *map(str, arguments)])


_FROM_HDF = "import sys, pandas; pandas.read_hdf(sys.argv[1]).to_parquet(sys.argv[2])"
_FROM_PICKLE = "import sys, pandas; pandas.read_pickle(sys.argv[1]).to_parquet(sys.argv[2])"
_FROM_QLIB = (
    "import sys, pathlib, numpy, pandas; d, i, to = pathlib.Path(sys.argv[1]), *sys.argv[2:]; "
    'days = (d.resolve().parents[1] / "calendars" / f"{i}.txt").read_text().splitlines(); '
    'read = lambda f: numpy.fromfile(f, "<f4"); '
    "column = lambda a: pandas.Series(a[1:], days[int(a[0]):int(a[0]) + len(a) - 1]); "
    'table = pandas.DataFrame({f.name.split(".")[0]: column(read(f)) for f in d.glob(f"*.{i}.bin")}); '
    'table.dropna(subset="close").sort_index().rename_axis("date").to_csv(to)'
)
_FROM_LEAN = (
    "import sys, pathlib, pandas; d, to = pathlib.Path(sys.argv[1]), sys.argv[2]; "
    'names = ["timestamp", "open", "high", "low", "close", "volume"]; '
    "days = [pandas.read_csv(f, header=None, names=names).assign(timestamp=lambda t: "
    'pandas.Timestamp(f.name[:8]) + pandas.to_timedelta(t["timestamp"], unit="ms")) '
    'for f in sorted(d.glob("*_trade.zip"))]; '
    "table = pandas.concat(days); whole = (table[names[1:5]] % 1 == 0).all(axis=None); "
    "table[names[1:5]] /= 10000 if whole else 1; table.to_csv(to, index=False)"
)
