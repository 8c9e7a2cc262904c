"""The contract every bar keeps: UTC, strictly increasing, finite, positive, high and low consistent."""

from __future__ import annotations

import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from trading_assets.errors import BarsRejectedError, MarketError

PRICES = ("open", "high", "low", "close")
COLUMNS = ("timestamp", *PRICES, "volume")
SYMBOL = re.compile(r"(?!\.+$)[A-Z0-9._-]{1,64}")

_TIME_NAMES = ("timestamp", "date", "datetime", "time", "open_time")
_SUFFIXES = (".parquet", ".csv", ".csv.gz")


def check_symbol(symbol: str) -> str:
    """Return `symbol`, or raise `MarketError` when it cannot be the key of a partition."""
    if not SYMBOL.fullmatch(symbol):
        raise MarketError(
            f"'{symbol}' cannot be a symbol: use 1 to 64 of A-Z, 0-9, '.', '_' and '-', "
            "for instance BTCUSDT or BTC-USDT-PERP."
        )
    return symbol


def symbol_of(path: Path) -> str | None:
    """The symbol a file holds by its name, None where the file holds no bars."""
    for suffix in _SUFFIXES:
        if path.name.endswith(suffix):
            stem = path.name.removesuffix(suffix)
            return stem if SYMBOL.fullmatch(stem) else None
    return None


def read_bars(path: Path) -> pd.DataFrame:
    """Read a Parquet or CSV file of bars and check the contract.

    Column names are matched without regard to case; the time of the bar's open stands in
    `timestamp`, `date`, `datetime`, `time` or `open_time`, as text or as an epoch in s, ms, us or ns.
    Times without a zone are taken as UTC.

    Returns
    -------
    DataFrame with the columns `timestamp` (datetime64[ns, UTC], the bar's open), `open`, `high`,
    `low`, `close` and `volume` (float64).

    Raises
    ------
    BarsRejectedError
        Naming file, row (the first row of data is 1) and column of the first bar that breaks it.
    """
    try:
        raw = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, index_col=False)
    except FileNotFoundError:
        raise MarketError(f"{path} does not exist.") from None
    except (OSError, ValueError, pa.ArrowException, EOFError, zlib.error) as error:
        problem = " ".join(str(error).split()) or type(error).__name__
        raise BarsRejectedError(f"{path} cannot be read: {problem}") from None
    raw = raw.rename(columns=lambda name: str(name).strip().lower())
    if raw.columns.has_duplicates:
        twice = raw.columns[raw.columns.duplicated()][0]
        raise BarsRejectedError(f"{path} has the column '{twice}' more than once; keep one.")
    time_name = next((name for name in _TIME_NAMES if name in raw), None)
    missing = [name for name in (*PRICES, "volume") if name not in raw]
    if time_name is None or missing:
        wanted = ["timestamp"] * (time_name is None) + missing
        raise BarsRejectedError(
            f"{path} has no column {', '.join(wanted)}; it has {', '.join(map(str, raw.columns))}. "
            "Expected: timestamp, open, high, low, close, volume."
        )
    if raw.empty:
        raise BarsRejectedError(f"{path} holds no bars.")
    bars = pd.DataFrame({"timestamp": _times(raw[time_name], path, time_name)})
    for name in (*PRICES, "volume"):
        numbers = pd.to_numeric(raw[name], errors="coerce").astype("float64")
        _refuse(numbers.isna() & raw[name].notna(), path, name, raw[name], "is not a number")
        bars[name] = numbers.to_numpy()
    check_bars(bars, path)
    return bars


def check_bars(bars: pd.DataFrame, source: Path) -> None:
    """Raise `BarsRejectedError` for the first bar of `bars` that breaks the contract."""
    for name in (*PRICES, "volume"):
        _refuse(~np.isfinite(bars[name]), source, name, bars[name], "is not finite")
    for name in PRICES:
        _refuse(bars[name] <= 0, source, name, bars[name], "is not positive")
    _refuse(bars["volume"] < 0, source, "volume", bars["volume"], "is negative")
    body = bars[["open", "close"]]
    above, below = body.max(axis=1) > bars["high"], body.min(axis=1) < bars["low"]
    _refuse(above, source, "high", bars["high"], "lies below the bar's open or close")
    _refuse(below, source, "low", bars["low"], "lies above the bar's open or close")
    late = bars["timestamp"].diff() <= pd.Timedelta(0)
    _refuse(late, source, "timestamp", bars["timestamp"], "is not after the bar before it")


def to_matrix(bars: pd.DataFrame) -> NDArray[np.float64]:
    """Bars as the array that kernels read.

    Returns
    -------
    ndarray of shape (n_bars, 6)
        Open time (seconds since 1970), open, high, low, close, volume.
    """
    matrix = np.empty((len(bars), 6))
    matrix[:, 0] = bars["timestamp"].astype("datetime64[ns, UTC]").astype("int64") / 1e9
    matrix[:, 1:] = bars[[*PRICES, "volume"]].to_numpy()
    return matrix


def bar_seconds(matrix: NDArray[np.float64]) -> float:
    """The interval of the bars: the median distance of their open times, in seconds."""
    return float(np.median(np.diff(matrix[:, 0]))) if len(matrix) > 1 else 0.0


def describe_bars(bars: pd.DataFrame) -> dict[str, float | int | str]:
    """Data quality at a glance: span, interval, gaps, bars without volume or movement."""
    matrix = to_matrix(bars)
    interval = bar_seconds(matrix)
    distance = np.diff(matrix[:, 0])
    gaps = distance[distance > 1.5 * interval]
    return {
        "rows": len(bars),
        "first bar": str(bars["timestamp"].iloc[0]),
        "last bar": str(bars["timestamp"].iloc[-1]),
        "interval (s)": interval,
        "gaps": len(gaps),
        "longest gap (h)": float((gaps.max() - interval) / 3600) if len(gaps) else 0.0,
        "bars without volume": int((bars["volume"] == 0).sum()),
        "bars without movement": int((bars["high"] == bars["low"]).sum()),
    }


def _times(column: pd.Series[Any], path: Path, name: str) -> pd.Series[Any]:
    if pd.api.types.is_numeric_dtype(column):
        epochs = column.to_numpy(dtype="float64")
        _refuse(~((epochs > 0) & (epochs < 2.0**63)), path, name, column, "is not an epoch")
        digits = np.floor(np.log10(epochs)).astype(int) + 1
        scale = np.select([digits <= 11, digits <= 14, digits <= 17], [10**9, 10**6, 10**3], 1)
        _refuse(epochs * scale >= 2.0**63, path, name, column, "is no time that can be held")
        times = pd.to_datetime(column.to_numpy(dtype="int64") * scale, utc=True)
        return pd.Series(times.astype("datetime64[ns, UTC]"))
    times = pd.to_datetime(column, errors="coerce", utc=True, format="ISO8601")
    first, last = (time.tz_localize("UTC") for time in (pd.Timestamp.min, pd.Timestamp.max))
    _refuse(~times.between(first, last), path, name, column, "is not a time (expected ISO 8601)")
    return pd.Series(times.astype("datetime64[ns, UTC]").to_numpy())


def _refuse(bad: Any, source: Path, column: str, values: pd.Series[Any], problem: str) -> None:
    rows = np.flatnonzero(np.asarray(bad))
    if len(rows):
        more = f" ({len(rows)} rows have this problem)" if len(rows) > 1 else ""
        raise BarsRejectedError(
            f"{source}, row {rows[0] + 1}, column '{column}': {values.iloc[rows[0]]} {problem}{more}. "
            "Correct or remove the row."
        )
