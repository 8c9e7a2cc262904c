"""What a layout is: how a file is written, the bars that are in it, and what is said of them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from tests.market.samples import sound_bars
from trading_assets.config.settings import IngestPolicy
from trading_assets.market.bars import COLUMNS

Write = Callable[[Path], tuple[Path, pd.DataFrame]]
"""Writes the file into a folder; returns it and the right bars."""


@dataclass(frozen=True)
class Layout:
    """Attributes
    ----------
    name : str
        Who writes so, and what is special.
    write : callable
    said : tuple of str
        Kinds of finding that the report has, in order, and no others.
    refused : tuple of str
        Words of the refusal; empty where the file is read.
    policy : dict
        Settings that the reader is given.
    symbol : str or None
    """

    name: str
    write: Write
    said: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    policy: dict[str, Any] = field(default_factory=dict)
    symbol: str | None = None

    def settings(self) -> IngestPolicy:
        return IngestPolicy(**self.policy)


LAYOUTS: list[Layout] = []


def layout(
    name: str,
    *,
    said: tuple[str, ...] = (),
    refused: tuple[str, ...] = (),
    symbol: str | None = None,
    **policy: Any,
) -> Callable[[Write], Write]:
    """Enter the decorated writer into the table."""

    def enter(write: Write) -> Write:
        LAYOUTS.append(Layout(name, write, said, refused, policy, symbol))
        return write

    return enter


def daily(n: int = 40, start: str = "2024-01-02", *, business: bool = True) -> pd.DataFrame:
    bars = sound_bars(n, freq="1D", start=start)
    if business:
        bars["timestamp"] = pd.bdate_range(start, periods=n, tz="UTC").as_unit("ns")
    return bars


def written(
    folder: Path, bars: pd.DataFrame, times: Any, name: str = "BTCUSDT.csv", *, time: str = "timestamp"
) -> Path:
    """A CSV of the bars with other times."""
    frame = bars.assign(timestamp=times).rename(columns={"timestamp": time})
    path = folder / name
    frame.to_csv(path, index=False, float_format="%.2f")
    return path


def parquet(folder: Path, bars: pd.DataFrame, times: Any, name: str = "BTCUSDT.parquet") -> Path:
    path = folder / name
    bars.assign(timestamp=times).to_parquet(path, index=False)
    return path


def joined(*parts: pd.DataFrame) -> pd.DataFrame:
    return pd.concat(parts, ignore_index=True)[[*COLUMNS]]
