"""What belongs to bars and comes in files of its own: funding rates and split factors.

`BTCUSDT.funding.parquet` (time, `funding_rate`), `AAPL.splits.csv` (date, `factor`: 4 or 4:1) and
`BTCUSDT.exclude.csv` (times of bars to leave out) stand beside the bars of their symbol. Binance's dumps of
rates, freqtrade's `BTC_USDT_USDT-8h-funding_rate.feather` and yfinance's actions are read as they are.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from trading_assets.market.columns import ALIASES, normal
from trading_assets.market.containers import json_rows
from trading_assets.market.feather import read_feather
from trading_assets.market.names import Kind, freqtrade_funding, is_freqtrade, side_of
from trading_assets.market.raw import RawBars, plain
from trading_assets.market.report import IngestReport, listed
from trading_assets.market.time_column import DAY, Times
from trading_assets.market.times import read_times

KINDS: tuple[Kind, ...] = ("funding", "splits", "exclude")
LARGEST_RATE = 1.0
"""No funding rate is further from 0; what is may be meant in percent."""
SETTLING = 15_000_000_000
"""Nanoseconds by which exchanges settle late at most, as Binance says: such a payment is due at the open."""
# Times stay text, which keeps the zone of yfinance's midnights.
_AS_TEXT = pacsv.ConvertOptions(timestamp_parsers=["%%"])
_READERS: dict[str, Callable[[Any], pa.Table]] = {
    ".parquet": pq.read_table,
    ".feather": read_feather,
    ".csv": partial(pacsv.read_csv, convert_options=_AS_TEXT),
}
_TIMES = (*ALIASES["timestamp"], "calc_time", "fundingtime")
_ACTIONS = "stock splits"
"""yfinance's column, which is 0 on the days of dividends."""
_VALUES = {
    "funding": (*ALIASES["funding_rate"], "last_funding_rate"),
    "splits": ("factor", "split", "ratio", _ACTIONS),
}
_RATIO = r"^\s*(\d+\.?\d*)\s*[:/]\s*(\d+\.?\d*)\s*$"


def side_file(bars: Path, symbol: str, kind: Kind) -> Path | None:
    """The file of that kind beside `bars`, if there is one."""
    candidates = (bars.with_name(f"{symbol}.{kind}{suffix}") for suffix in _READERS)
    own = next((path for path in candidates if path.is_file()), None)
    if own is not None or kind != "funding" or not is_freqtrade(symbol):
        return own
    name = freqtrade_funding(symbol, (path.name for path in bars.parent.iterdir()))
    return None if name is None else bars.with_name(name)


def side_names(symbol: str, names: Collection[str]) -> list[str]:
    """Which of the `names` in a folder are side files of the symbol, at most one of each kind."""
    found = {
        kind: next((name for suffix in _READERS if (name := f"{symbol}.{kind}{suffix}") in names), None)
        for kind in KINDS
    }
    found["funding"] = found["funding"] or freqtrade_funding(symbol, names)
    return [name for name in found.values() if name is not None]


def read_side_file(
    path: Path, kind: Literal["funding", "splits"], zone: str | None
) -> tuple[Times, NDArray[np.float64]]:
    """Times (nanoseconds, UTC, increasing) and values of a side file; raises `BarsRejected`."""
    report = IngestReport(str(path))
    columns = _read_columns(path, report)
    time = next((alias for alias in _TIMES if alias in columns), None)
    aliases = (*_VALUES[kind], *(["open"] if _is_freqtrade_s(path) else []))
    value = next((alias for alias in aliases if alias in columns), None)
    n_rows = len(next(iter(columns.values()), ()))
    if time is None or value is None or n_rows == 0:
        report.reject(
            "no such column",
            f"must have a time and '{_VALUES[kind][0]}' in at least one row; "
            f"it has {listed(columns)} in {n_rows} rows",
            "Rename or add the columns.",
        )
    rows = np.arange(1, n_rows + 1)
    values = _numbers(columns[value], kind)
    if value == _ACTIONS:
        report.layout = "yfinance"
        chosen = values != 0
        columns = {name: columns[name].filter(pa.array(chosen)) for name in (time, value)}
        values, rows = values[chosen], rows[chosen]
        if len(rows) == 0:
            return np.array([], dtype=np.int64), values
    raw = RawBars({"timestamp": columns[time]}, None, {"timestamp": time}, rows)
    stamps = read_times(raw, zone, report)
    midnights = (stamps.wall % DAY == 0).all()
    times = stamps.wall if kind == "splits" and midnights else stamps.utc  # splits have dates
    bad = ~np.isfinite(values) | ((values <= 0) if kind == "splits" else (np.abs(values) > LARGEST_RATE))
    if bad.any():
        report.reject(
            "not a number",
            "is no positive factor" if kind == "splits" else "is no rate within +-1",
            "Correct or remove the row.",
            rows=rows[bad],
            column=value,
            value=columns[value][int(bad.argmax())].as_py(),
        )
    order = np.argsort(times, kind="stable")
    times, values = times[order], values[order]
    twice = np.flatnonzero(np.diff(times) == 0)
    if len(twice):
        report.reject(
            "time twice",
            "stands there twice",
            "Keep one of the rows.",
            rows=rows[order][twice + 1],
            column=time,
            value=str(pd.Timestamp(int(times[twice[0]]))),
        )
    return times, values


def read_excluded(path: Path, zone: str | None) -> Times:
    """Times of the bars to leave out (nanoseconds, UTC); raises `BarsRejected`."""
    report = IngestReport(str(path))
    columns = _read_columns(path, report)
    time = next((alias for alias in _TIMES if alias in columns), None)
    if time is None:
        report.reject("no such column", f"must have a time; it has {listed(columns)}", "Rename the column.")
    rows = np.arange(1, len(columns[time]) + 1)
    return read_times(
        RawBars({"timestamp": columns[time]}, None, {"timestamp": time}, rows), zone, report
    ).utc


def side_times(path: Path, kind: Kind, zone: str | None) -> pd.DatetimeIndex:
    """The times of a side file of any kind, in UTC; raises `BarsRejected`."""
    times = read_excluded(path, zone) if kind == "exclude" else read_side_file(path, kind, zone)[0]
    return pd.DatetimeIndex(times, tz="UTC")


def _is_freqtrade_s(path: Path) -> bool:
    """Whether freqtrade wrote a file of funding rates: as candles, with the rate in `open`."""
    return "-funding_rate." in path.name and side_of(path.name) is not None


def _read_columns(path: Path, report: IngestReport) -> dict[str, Any]:
    try:
        data = path.read_bytes()
        if path.name.endswith((".json", ".json.gz")):
            table = _from_json(gzip.decompress(data) if path.suffix == ".gz" else data, report)
        else:
            table = _READERS[path.suffix](io.BytesIO(data))
        return {
            normal(name): plain(column)
            for name, column in zip(table.column_names, table.columns, strict=True)
        }
    except (OSError, EOFError, ValueError, zlib.error, pa.ArrowException) as error:
        problem = " ".join(str(error).split())
        report.reject("unreadable", f"cannot be read: {problem}", "Copy or download the file again.")


def _from_json(data: bytes, report: IngestReport) -> pa.Table:
    rows = json_rows(data, report) or []
    return pa.table({"date": [row[0] for row in rows], "open": [float(row[1]) for row in rows]})


def _numbers(column: Any, kind: Kind) -> NDArray[np.float64]:
    """NaN where there is none; of splits 4:1 and 4/1 are 4."""
    written = column.to_pandas()
    numbers = pd.to_numeric(written, errors="coerce")
    if kind == "splits" and numbers.isna().any():
        ratio = written.astype(str).str.extract(_RATIO).astype(float)
        numbers = numbers.fillna(ratio[0] / ratio[1])
    return np.array(numbers, dtype=np.float64)


def funding_of_bars(
    times: Times, interval: int, at: Times, rates: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Of every bar, the sum of the rates that fell due while it was open.

    A payment at 08:00 belongs to the bar that opens at 08:00 and is known at its close. What fell due in a
    gap goes to the bar after the gap.
    """
    position = np.searchsorted(times, at, side="right") - 1
    late = (position >= 0) & (at >= times[np.maximum(position, 0)] + interval)
    position = np.where(late, position + 1, position)
    inside = (position >= 0) & (position < len(times))
    sums = np.bincount(position[inside], weights=rates[inside], minlength=len(times))
    return np.asarray(sums, dtype=np.float64)


def funding_within_bars(
    times: Times, interval: int, at: Times, rates: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Of every bar, the part of `funding_of_bars` that fell due after its open.

    Whoever holds a position after the order at the open has filled pays it; the rest, due at the open or in
    the gap before it, is paid by whoever held before.
    """
    position = np.searchsorted(times, at, side="right") - 1
    opened = times[np.maximum(position, 0)]
    within = (position >= 0) & (at > opened + SETTLING) & (at < opened + interval)
    sums = np.bincount(position[within], weights=rates[within], minlength=len(times))
    return np.asarray(sums, dtype=np.float64)


def split_factors(times: Times, at: Times, factors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of every bar, the product of all factors whose day comes after it: what its prices are divided by."""
    cumulative = np.concatenate([np.cumprod(factors[::-1])[::-1], [1.0]])
    return cumulative[np.searchsorted(at, times, side="right")]
