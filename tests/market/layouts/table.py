"""What a layout is: how a file is written, the bars that are in it, and what is said of them."""

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from tests.market import samples
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

    def written(self, folder: Path, seed: int = 0) -> tuple[Path, pd.DataFrame]:
        """The file and the right bars, with the random numbers of a seed."""
        token = _SEED.set(seed)
        try:
            return self.write(folder)
        finally:
            _SEED.reset(token)

    def settings(self) -> IngestPolicy:
        return IngestPolicy(**self.policy)


LAYOUTS: list[Layout] = []
_SEED: ContextVar[int] = ContextVar("seed", default=0)


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


def sound_bars(n: int = 48, *, freq: str = "1h", start: str = "2024-01-15") -> pd.DataFrame:
    """Those of `samples`, by the seed of the file that is being written."""
    return samples.sound_bars(n, freq=freq, start=start, seed=_SEED.get())


def hourly() -> pd.DataFrame:
    return sound_bars(60)


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
