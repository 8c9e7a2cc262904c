"""What became of bars since they were last seen: more of them, or others than before."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from trading_assets.errors import MarketError
from trading_assets.market.bars import check_bars, check_symbol
from trading_assets.market.sources import BarSource
from trading_assets.registry.tables import digest_table, read_table, write_table

OVERLAP = 5
"""Bars fetched again, to see whether the source has changed its mind about them."""
PAGES_A_SAVE = 20


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
    """Compare two histories of a symbol: by digest first, bar by bar only where that differs."""
    may_continue = list(old.columns) == list(new.columns) and len(old) <= len(new)
    if may_continue and digest_table(new.iloc[: len(old)]) == digest_table(old):
        return Change(len(new) - len(old), 0, None)
    if old.empty:
        return Change(len(new), 0, None)
    last = old["timestamp"].iloc[-1]
    past = new[new["timestamp"] <= last]
    both = old.set_index("timestamp").join(past.set_index("timestamp"), how="outer", rsuffix=" new")
    names = [name for name in old.columns if name != "timestamp" and name in new]
    before, after = both[names].to_numpy(), both[[f"{name} new" for name in names]].to_numpy()
    changed = np.flatnonzero((before != after).any(axis=1))
    if set(old.columns) != set(new.columns):
        changed = np.arange(len(both))
    first = both.index[changed[0]] if len(changed) else None
    return Change(len(new) - len(past), len(changed), first)


def update_file(
    source: BarSource, symbol: str, folder: Path, *, since: pd.Timestamp | None = None
) -> tuple[Path, Change]:
    """Bring `{folder}/{symbol}.parquet` up to date with a source; only what is new is asked for.

    Interrupted, it keeps what has come so far and goes on from there the next time. Each write replaces
    the file as a whole. Bars that the source has revised are taken as they are now.

    Parameters
    ----------
    source : BarSource
    symbol : str
    folder : Path
    since : Timestamp, optional
        Where a file begins that is not there yet; by default wherever the source does.

    Raises
    ------
    MarketError
        When another file in the folder holds the symbol, or `since` lies before the file's first bar.
    """
    path = folder / f"{check_symbol(symbol)}.parquet"
    others = [
        other for other in folder.glob(f"{symbol}.*") if other.suffix in {".csv", ".feather", ".gz", ".zip"}
    ]
    others = [other for other in others if other.name.count(".") == 1 or other.suffix in {".gz", ".zip"}]
    if others:
        raise MarketError(
            f"{others[0]} holds {symbol} already, and {path.name} would be written beside it; move one away."
        )
    old = read_table(path) if path.exists() else None
    if old is not None:
        if since is not None and since < old["timestamp"].iloc[0]:
            raise MarketError(
                f"{path} begins on {old['timestamp'].iloc[0]}; to begin on {since}, move it away first."
            )
        since = old["timestamp"].iloc[-min(OVERLAP, len(old))]
    bars, unsaved = old, 0
    try:
        for page in source.pages(symbol, since):
            bars, unsaved = _joined(bars, page), unsaved + 1
            if unsaved >= PAGES_A_SAVE:
                _save(bars, path)
                unsaved = 0
    finally:
        if unsaved and bars is not None and len(bars):
            _save(bars, path)
    if bars is None or bars.empty:
        raise MarketError(f"The source has no bars of {symbol}" + (f" from {since} on." if since else "."))
    return path, compare(bars.iloc[:0] if old is None else old, bars)


def _joined(bars: pd.DataFrame | None, page: pd.DataFrame) -> pd.DataFrame:
    """What is there up to the page, then the page."""
    if bars is None or page.empty:
        return page if bars is None else bars
    before = bars[bars["timestamp"] < page["timestamp"].iloc[0]]
    joined: pd.DataFrame = pd.concat([before, page], ignore_index=True)
    return joined


def _save(bars: pd.DataFrame, path: Path) -> None:
    check_bars(bars, path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    write_table(bars, partial)
    partial.replace(path)
