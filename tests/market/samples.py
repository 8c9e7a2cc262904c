"""Bars that are sound, and the ways in which they are written."""

import gzip
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from trading_assets.market.bars import COLUMNS

HEADER = ",".join(COLUMNS)
FORMATS = (".csv", ".csv.gz", ".csv.zip", ".parquet", ".feather")


def sound_bars(n: int = 48, *, freq: str = "1h", start: str = "2024-01-15", seed: int = 0) -> pd.DataFrame:
    """As `read_bars` returns them; prices move by about a thousandth and are written with two decimals."""
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 1e-3, n)))
    opens = np.concatenate([[100.0], close[:-1]])
    spread = rng.uniform(0.05, 0.2, (2, n))
    bars = {
        "timestamp": pd.date_range(start, periods=n, freq=freq, tz="UTC", unit="ns"),
        "open": opens.round(2),
        "high": (np.maximum(opens, close) + spread[0]).round(2),
        "low": (np.minimum(opens, close) - spread[1]).round(2),
        "close": close.round(2),
        "volume": rng.integers(1_000, 99_999, n) / 100,
    }
    return pd.DataFrame(bars)


def csv_of(bars: pd.DataFrame) -> str:
    """Two decimals in every number, times in ISO 8601."""
    stamps = bars["timestamp"]
    if isinstance(stamps.dtype, pd.DatetimeTZDtype):
        stamps = stamps.dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    text: str = bars.assign(timestamp=stamps).to_csv(index=False, float_format="%.2f", lineterminator="\n")
    return text


def pack(text: str, suffix: str, encoding: str = "utf-8") -> bytes:
    data = text.encode(encoding)
    if suffix.endswith(".gz"):
        return gzip.compress(data, mtime=0)
    if suffix.endswith(".zip"):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(zipfile.ZipInfo("bars.csv"), data)
        return buffer.getvalue()
    return data


def save(bars: pd.DataFrame, folder: Path, suffix: str = ".csv", symbol: str = "BTCUSDT") -> Path:
    path = folder / f"{symbol}{suffix}"
    if suffix == ".parquet":
        bars.to_parquet(path, index=False)
    elif suffix == ".feather":
        bars.reset_index(drop=True).to_feather(path)
    else:
        path.write_bytes(pack(csv_of(bars), suffix))
    return path


def lines_of(bars: pd.DataFrame) -> list[str]:
    """The rows of the CSV, without the header."""
    return csv_of(bars).splitlines()[1:]


def write(folder: Path, text: str | bytes, name: str = "BTCUSDT.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def with_line(row: int, change: Callable[[str], str], bars: pd.DataFrame | None = None) -> str:
    """The CSV of `bars` with one row changed; the first row is 1."""
    lines = lines_of(sound_bars() if bars is None else bars)
    lines[row - 1] = change(lines[row - 1])
    return "\n".join([HEADER, *lines]) + "\n"
