"""The contract every bar keeps: UTC, strictly increasing, finite, positive, high and low consistent."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trading_assets.arguments import require
from trading_assets.errors import BarsRejected, MarketError
from trading_assets.market.columns import FUNDING, PRICES
from trading_assets.market.contract import NAMES, TIME, faults
from trading_assets.representation import brief

COLUMNS = ("timestamp", *PRICES, "volume")
SYMBOL = re.compile(r"(?!\.)[A-Z0-9._-]{1,64}")

FORMATS = (".parquet", ".feather", ".csv", ".csv.gz", ".csv.zip", ".zip", ".json", ".json.gz")
"""How the name of a file of bars ends."""
_FREQTRADE = re.compile(r"([A-Z0-9]+(?:_[A-Z0-9]+)+-\d+[mhdwM])(-futures)?")


def check_symbol(symbol: str) -> str:
    """The symbol itself, where it can be the key of a partition and name a file.

    Parameters
    ----------
    symbol : str
        1 to 64 of A-Z, 0-9, '.', '_' and '-', with no '.' in front.

    Returns
    -------
    str

    Raises
    ------
    MarketError
        When it cannot.

    Examples
    --------
    >>> check_symbol("BTC-USDT-PERP")
    'BTC-USDT-PERP'
    """
    require("symbol", symbol, str)
    if not SYMBOL.fullmatch(symbol):
        raise MarketError(
            f"'{symbol}' cannot be a symbol: use 1 to 64 of A-Z, 0-9, '.', '_' and '-' (no '.' in front), "
            "for instance BTCUSDT or BTC-USDT-PERP."
        )
    return symbol


def symbol_of(path: Path) -> str | None:
    """The symbol a file holds by its name, None where the file holds no bars.

    Freqtrade's `BTC_USDT-1h.feather` is `BTC_USDT-1H`, its `BTC_USDT_USDT-1h-futures.feather` is
    `BTC_USDT_USDT-1H`: a symbol has bars of one interval. A hidden file holds none.
    """
    for suffix in FORMATS:
        if path.name.endswith(suffix) and not path.name.startswith("."):
            stem = path.name.removesuffix(suffix)
            if match := _FREQTRADE.fullmatch(stem):
                stem = match[1].upper()
            return stem if SYMBOL.fullmatch(stem) else None
    return None


def check_bars(bars: pd.DataFrame, source: Path | str) -> None:
    """Raise an error for the first bar that breaks the contract.

    Parameters
    ----------
    bars : DataFrame
        As from `read_bars`.
    source : Path or str
        Named in the message.

    Raises
    ------
    BarsRejected
        Naming row, column and value.
    MarketError
        When a column is missing, a price is text, or times have no zone.

    Examples
    --------
    >>> from trading_assets.market import SyntheticMarket
    >>> bars = SyntheticMarket("price", 1.0, n_bars=100).bars
    >>> check_bars(bars, "made up")
    """
    bars = as_bars(bars)
    rows = to_rows(bars)
    if "funding_within" in bars:
        rows = np.vstack([rows, bars["funding_within"].to_numpy(dtype=np.float64)])
    for place, problem, bad in faults(rows, -np.inf):
        name = NAMES[place]
        first = int(bad.argmax())
        more = f" ({bad.sum()} rows have this problem)" if bad.sum() > 1 else ""
        raise BarsRejected(
            f"{source}, row {first + 1}, column '{name}': {bars[name].iloc[first]} {problem}{more}. "
            "Correct or remove the row."
        )


def as_bars(bars: pd.DataFrame) -> pd.DataFrame:
    """A frame that has the columns of bars by their names, as `read_bars` gives them.

    Names may be written with capitals, times may be the index; other columns are of no concern.

    Raises
    ------
    MarketError
        When a column is missing or there twice, a price is text, or times have no zone.
    """
    if not isinstance(bars, pd.DataFrame):
        raise no_bar(brief(bars), "which is no DataFrame")
    if not (bars.columns.is_unique and all(name in bars.columns for name in COLUMNS)):
        bars = _renamed(bars)
    mended = {}
    if not isinstance(bars["timestamp"].dtype, pd.DatetimeTZDtype):
        mended["timestamp"] = _in_utc(bars["timestamp"])
    for name in (*COLUMNS[1:], *FUNDING):
        if name in bars and not (isinstance(dtype := bars[name].dtype, np.dtype) and dtype.kind in "fiu"):
            mended[name] = _floats(bars[name], name)
    return bars.assign(**mended) if mended else bars


def _renamed(bars: pd.DataFrame) -> pd.DataFrame:
    """The columns of bars under their names, whatever their capitals; times may come from the index."""
    found: dict[str, Any] = {}
    for name in (*COLUMNS, *FUNDING):
        spelled = [i for i, given in enumerate(bars.columns) if given == name]
        places = spelled or [i for i, given in enumerate(bars.columns) if str(given).lower() == name]
        if len(places) > 1:
            raise no_bar(f"{len(places)} columns '{bars.columns[places[0]]}'", "only one can be meant")
        if places:
            found[name] = bars.iloc[:, places[0]].reset_index(drop=True)
    if "timestamp" not in found and isinstance(bars.index, pd.DatetimeIndex):
        found["timestamp"] = pd.Series(bars.index)
    if missing := [name for name in COLUMNS if name not in found]:
        there = ", ".join(map(str, bars.columns[:12])) or "none"
        raise no_bar(f"a frame with the columns {there}", f"missing: {', '.join(missing)}")
    return pd.DataFrame(found)


def _in_utc(times: pd.Series[Any]) -> pd.Series[Any]:
    """Times of another type than pandas' usual one, if they are times and have a zone."""
    given = f"the timestamp {_plain(times.iloc[0])!r}" if len(times) else f"timestamps of type {times.dtype}"
    if not pd.api.types.is_datetime64_any_dtype(times):
        remedy = "pd.to_datetime(bars['timestamp'], utc=True) makes times of text, with unit='ms' of numbers"
        raise no_bar(given, f"it is no time; {remedy}")
    if times.dt.tz is None:
        raise no_bar(given, "it has no time zone; tz_localize('UTC') gives it one")
    return times.astype("datetime64[ns, UTC]")


def _floats(column: pd.Series[Any], name: str) -> pd.Series[Any]:
    """Numbers of pandas' own types, whose missing value is no float; anything else is refused."""
    if column.dtype.kind in "fiu":
        return column.astype("float64")
    texts = (value for value in column if isinstance(value, str))
    odd = next(texts, column.iloc[0] if len(column) else "")
    remedy = f"bars['{name}'].astype(float) makes one of it where it can be"
    raise no_bar(f"the {name} {_plain(odd)!r}", f"it is no number; {remedy}")


def _plain(value: object) -> object:
    """Without numpy's type, which is no concern of a message's reader."""
    return value.item() if isinstance(value, np.generic) else value


def no_bar(given: str, why: object, *, funding: bool = False) -> MarketError:
    """The error for what was given as a bar, or as bars, and is none."""
    needed = (*COLUMNS, "funding_rate") if funding else COLUMNS
    return MarketError(f"A bar needs the fields {', '.join(needed)}; got {given} ({why}).")


def to_rows(bars: pd.DataFrame) -> NDArray[np.float64]:
    """Bars as contiguous numbers, a row a column; see `as_bars`.

    Returns
    -------
    ndarray of shape (7, n_bars)
        Open time (seconds since 1970), open, high, low, close, volume, funding rate (0 where the
        symbol has none).
    """
    bars = as_bars(bars)
    rows = np.empty((7, len(bars)))
    np.divide(pd.DatetimeIndex(bars["timestamp"]).as_unit("ns").asi8, 1e9, out=rows[0])
    for number, name in enumerate((*PRICES, "volume"), start=1):
        rows[number] = bars[name].to_numpy()
    rows[6] = bars["funding_rate"].to_numpy() if "funding_rate" in bars else 0.0
    return rows


def to_matrix(bars: pd.DataFrame) -> NDArray[np.float64]:
    """Bars as the array that the simulator reads: `to_rows` turned.

    Parameters
    ----------
    bars : DataFrame
        As from `read_bars`.

    Returns
    -------
    ndarray of shape (n_bars, 7)
        Open time in seconds since 1970, open, high, low, close, volume, funding rate (0 without). Where
        funding falls due within bars there is an eighth column: the part of the rate that did, which whoever
        holds after the order at the open pays.

    Raises
    ------
    MarketError
        When `bars` are none.

    Examples
    --------
    >>> from trading_assets.market import SyntheticMarket
    >>> bars = SyntheticMarket("price", 1.0, n_bars=100).bars
    >>> to_matrix(bars).shape
    (100, 7)
    """
    bars = as_bars(bars)
    columns = list(to_rows(bars))
    if "funding_within" in bars:
        columns.append(bars["funding_within"].to_numpy(dtype=np.float64))
    return np.column_stack(columns)


def bar_seconds(times: NDArray[np.float64]) -> float:
    """The interval of bars: the median distance of their open times, in seconds."""
    if len(times) < 2:
        return 0.0
    steps = np.diff(times)
    usual = steps[0]  # of most markets, and what most of them are is their median
    return float(usual if 2 * np.count_nonzero(steps == usual) > len(steps) else np.median(steps))


def describe_bars(bars: pd.DataFrame) -> dict[str, float | int | str]:
    """Data quality at a glance: span, interval, gaps, bars without volume or movement.

    Parameters
    ----------
    bars : DataFrame
        As from `read_bars`.

    Returns
    -------
    dict of str to number or str

    Raises
    ------
    MarketError
        When `bars` are none.

    Examples
    --------
    >>> from trading_assets.market import SyntheticMarket
    >>> bars = SyntheticMarket("price", 1.0, n_bars=100).bars
    >>> describe_bars(bars)["interval (s)"]
    3600.0
    """
    bars = as_bars(bars)
    matrix = to_matrix(bars)
    interval = bar_seconds(matrix[:, TIME])
    distance = np.diff(matrix[:, TIME])
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
