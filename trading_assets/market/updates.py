"""What became of bars since they were last seen: more of them, or others than before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from trading_assets.errors import MarketError
from trading_assets.market.bars import COLUMNS, check_bars, check_symbol, symbol_of
from trading_assets.market.exchange import ExchangeSource
from trading_assets.market.intervals import length_of
from trading_assets.market.report import duration
from trading_assets.market.side_files import side_file
from trading_assets.market.sources import BarSource
from trading_assets.registry.files import replacing
from trading_assets.registry.tables import digest_table, read_table, write_table

OVERLAP = 5
"""Bars fetched again, to see whether the source has changed its mind about them."""
PAGES_A_SAVE = 20
FUNDING = ("timestamp", "funding_rate")


@dataclass(frozen=True)
class Change:
    """How new bars differ from old ones.

    Attributes
    ----------
    appended : int
        Bars after the last old one.
    revised : int
        Times up to the last old one at which there is now another bar, one more, or none.
    first_revised : Timestamp or None

    Examples
    --------
    See `compare`.
    """

    appended: int
    revised: int
    first_revised: pd.Timestamp | None

    def __str__(self) -> str:
        text = f"{self.appended} bars appended"
        if self.revised:
            text += f"; {self.revised} bars of the past differ, the first of {self.first_revised}"
        return text


def compare(old: pd.DataFrame, new: pd.DataFrame) -> Change:
    """Compare two histories of a symbol: by digest first, bar by bar only where that differs.

    Parameters
    ----------
    old, new : DataFrame
        As from `read_bars`.

    Returns
    -------
    Change

    Examples
    --------
    >>> from trading_assets.market import SyntheticMarket
    >>> bars = SyntheticMarket("price", 1.0, n_bars=100).bars
    >>> str(compare(bars[:90], bars))
    '10 bars appended'
    """
    may_continue = list(old.columns) == list(new.columns) and len(old) <= len(new)
    if may_continue and digest_table(new.iloc[: len(old)]) == digest_table(old):
        return Change(len(new) - len(old), 0, None)
    if old.empty:
        return Change(len(new), 0, None)
    last = old["timestamp"].iloc[-1]
    past = new[new["timestamp"] <= last]
    both = old.merge(past, on="timestamp", how="outer", suffixes=("", " new"))
    names = [name for name in old.columns if name != "timestamp" and name in new]
    before, after = both[names].to_numpy(), both[[f"{name} new" for name in names]].to_numpy()
    changed = np.flatnonzero((before != after).any(axis=1))
    if set(old.columns) != set(new.columns):
        changed = np.arange(len(both))
    first = both["timestamp"].iloc[changed[0]] if len(changed) else None
    return Change(len(new) - len(past), len(changed), first)


def update_file(
    source: BarSource,
    symbol: str,
    folder: Path | str,
    *,
    since: pd.Timestamp | None = None,
    interval: str | None = None,
) -> tuple[Path, Change]:
    """Bring `{folder}/{symbol}.parquet` up to date with a source; only what is new is asked for.

    Interrupted, it keeps what has come so far and goes on from there the next time. Each write replaces
    the file as a whole. Bars that the source has revised are taken as they are now.

    Parameters
    ----------
    source : BarSource
    symbol : str
    folder : Path or str
    since : Timestamp, optional
        Where a file begins that is not there yet; by default wherever the source does.
    interval : str, optional
        Of the source's bars, for instance '1h'; a file that holds others is refused.

    Returns
    -------
    path : Path
    change : Change
        From the file as it was.

    Raises
    ------
    MarketError
        When another file in the folder holds the symbol, the file there is none of these, or the source
        has bars between `since` and the file's first.

    Examples
    --------
    >>> import tempfile
    >>> from trading_assets.market import SyntheticMarket, SyntheticSource
    >>> source = SyntheticSource({"SYN": SyntheticMarket("price", 1.0, n_bars=100)})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path, change = update_file(source, "SYN", folder)
    >>> path.name, change.appended
    ('SYN.parquet', 100)
    """
    path = Path(folder) / f"{check_symbol(symbol)}.parquet"
    _refuse_other_files(path, symbol)
    old = _read_old(path, interval) if path.exists() else None
    if old is not None:
        if since is not None and _has_before(source, symbol, since, old["timestamp"].iloc[0]):
            raise MarketError(
                f"{path} begins on {old['timestamp'].iloc[0]}; to begin on {since}, move it away first."
            )
        since = old["timestamp"].iloc[-min(OVERLAP, len(old))]
    bars, unsaved = old, 0
    try:
        for page in source.pages(symbol, since):
            if page.empty:
                continue
            if bars is old and old is not None:  # the source may have taken back the first bar asked for
                bars = old[old["timestamp"] < since]
            if bars is not None and list(bars.columns) != list(page.columns):
                raise MarketError(
                    f"{path} has the columns {', '.join(bars.columns)} and the source gives "
                    f"{', '.join(page.columns)}; move the file away first."
                )
            bars, unsaved = _joined(bars, page), unsaved + 1
            if unsaved >= PAGES_A_SAVE:
                _save(bars, path)
                unsaved = 0
    finally:
        if unsaved and bars is not None:
            _save(bars, path)
    if bars is None:
        raise MarketError(f"The source has no bars of {symbol}" + (f" from {since} on." if since else "."))
    return path, compare(bars.iloc[:0] if old is None else old, bars)


def update_funding(source: ExchangeSource, symbol: str, folder: Path | str) -> int:
    """Bring `{folder}/{symbol}.funding.parquet` up to date.

    Parameters
    ----------
    source : ExchangeSource
    symbol : str
        Of a perpetual swap, such as BTC-USDT-PERP.
    folder : Path or str

    Returns
    -------
    int
        How many rates are new.

    Raises
    ------
    MarketError
        When the symbol has no funding rates, or another file holds them.

    Examples
    --------
    >>> from trading_assets.market import ExchangeSource
    >>> update_funding(ExchangeSource("binance", "1h"), "BTC-USDT-PERP", "market")  # doctest: +SKIP
    12
    """
    folder = Path(folder)
    path = folder / f"{check_symbol(symbol)}.funding.parquet"
    there = side_file(folder / f"{symbol}.parquet", symbol, "funding")
    if there is not None and there != path:
        raise MarketError(f"{there} holds the funding rates of {symbol} already; move it away first.")
    old = _read_own(path, FUNDING) if there is not None else None
    since = None if old is None else old["timestamp"].iloc[-1] + pd.Timedelta(1, "ms")
    new = source.funding(symbol, since)
    if len(new):
        _replace(new if old is None else pd.concat([old, new], ignore_index=True), path)
    return len(new)


def _refuse_other_files(path: Path, symbol: str) -> None:
    others = sorted(path.parent.iterdir()) if path.parent.is_dir() else []
    for other in others:
        if other != path and symbol_of(other) == symbol:
            raise MarketError(
                f"{other} holds {symbol} already, and {path.name} would be written beside it; move one away."
            )


def _read_old(path: Path, interval: str | None) -> pd.DataFrame:
    old = _read_own(path, COLUMNS)
    if interval is not None and len(old) > 1:
        found = pd.Timedelta(old["timestamp"].diff().median())
        if found != length_of(interval):
            raise MarketError(
                f"{path} holds bars of {duration(found.value)}, not of {interval}; "
                "move it away, or ask for those."
            )
    return old


def _read_own(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """What was written here before; anybody else's file is refused, since it would be replaced."""
    try:
        table = read_table(path)
        ours = set(columns) <= set(table.columns) and len(table) > 0
    except (OSError, ValueError):  # pyarrow's errors are these, too
        ours = False
    if not ours or table["timestamp"].dtype != "datetime64[ns, UTC]":
        raise MarketError(
            f"{path} is not one of the files written here (it would have the columns "
            f"{', '.join(columns)}, with times in UTC); move it away first."
        )
    return table


def _has_before(source: BarSource, symbol: str, since: pd.Timestamp, first: pd.Timestamp) -> bool:
    """Whether the source has bars from `since` on that open before `first`."""
    if since >= first:
        return False
    pages = (page for page in source.pages(symbol, since) if len(page))
    page = next(pages, None)
    return page is not None and bool(page["timestamp"].iloc[0] < first)


def _joined(bars: pd.DataFrame | None, page: pd.DataFrame) -> pd.DataFrame:
    """What is there up to the page, then the page."""
    if bars is None:
        return page
    before = bars[bars["timestamp"] < page["timestamp"].iloc[0]]
    joined: pd.DataFrame = pd.concat([before, page], ignore_index=True)
    return joined


def _save(bars: pd.DataFrame, path: Path) -> None:
    check_bars(bars, path)
    _replace(bars, path)


def _replace(table: pd.DataFrame, path: Path) -> None:
    with replacing(path) as draft:
        write_table(table, draft)
