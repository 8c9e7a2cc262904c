"""Where bars come from: a folder, a synthetic market, an exchange; all asked in the same way."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pandas as pd

from trading_assets.config.settings import IngestPolicy
from trading_assets.errors import MarketError
from trading_assets.market.bars import check_symbol, symbol_of
from trading_assets.market.names import passed_over, told
from trading_assets.registry.digests import sha256_file

if TYPE_CHECKING:
    from trading_assets.market.synthetic import SyntheticMarket


class BarSource(Protocol):
    """Somebody who has bars."""

    def symbols(self) -> list[str]:
        """Keys of all symbols there are, sorted."""
        ...

    def pages(self, symbol: str, since: pd.Timestamp | None = None) -> Iterator[pd.DataFrame]:
        """Closed bars that keep the contract, from `since` on (all without), oldest first, in pieces.

        Raises
        ------
        MarketError
            Naming the symbols there are, where `symbol` is none of them.
        """
        ...


def fetch_bars(source: BarSource, symbol: str, since: pd.Timestamp | None = None) -> pd.DataFrame:
    """All pages of a symbol as one frame; raises `MarketError` where there are no bars."""
    pages = [page for page in source.pages(symbol, since) if len(page)]
    if not pages:
        raise MarketError(f"No bars of '{symbol}'" + (f" from {since} on." if since is not None else "."))
    return pd.concat(pages, ignore_index=True)


@dataclass(frozen=True)
class FolderSource:
    """A folder with one file of bars a symbol, named after it (`BTCUSDT.parquet`, `ETHUSDT.csv`)."""

    folder: Path
    policy: IngestPolicy = field(default_factory=IngestPolicy)

    def files(self) -> dict[str, Path]:
        """The file of every symbol in the folder.

        Raises
        ------
        MarketError
            When the folder does not exist or two files claim one symbol.
        """
        if not self.folder.is_dir():
            raise MarketError(
                f"The market folder {self.folder} does not exist. Create it, or set "
                "TRADING_ASSETS_MARKET_DIR to a folder with files such as BTCUSDT.parquet."
            )
        files: dict[str, Path] = {}
        for path in sorted(self.folder.iterdir()):
            symbol = symbol_of(path)
            if symbol is None or not path.is_file():
                continue
            if symbol in files:
                raise MarketError(
                    f"{files[symbol].name} and {path.name} in {self.folder} both hold {symbol}; "
                    "keep one of them."
                )
            files[symbol] = path
        return files

    def file(self, symbol: str) -> Path:
        """The file of one symbol; raises `MarketError` and names the symbols there are."""
        check_symbol(symbol)
        files = self.files()
        if symbol in files:
            return files[symbol]
        problem = f"No bars for '{symbol}' in {self.folder}. There are: {', '.join(files)}."
        if not files:
            problem = (
                f"The market folder {self.folder} holds no bars. Put files such as "
                "BTCUSDT.parquet or BTCUSDT.csv into it, or run 'trading-assets demo'."
            )
        raise MarketError(f"{problem} {told(self.passed_over())}".rstrip())

    def passed_over(self) -> dict[str, str]:
        """Files that look like bars and are not taken: the reason and a name that would do, by name."""
        try:
            with os.scandir(self.folder) as entries:
                names = {entry.name for entry in entries if entry.is_file()}
        except OSError:  # `files` says so
            return {}
        return passed_over(self.folder, names)

    def digest(self, symbol: str) -> str:
        """Digest of the symbol's file and of the side files beside it."""
        bars, *beside = self.parts(symbol)
        digest = sha256_file(bars)
        for file in beside:
            digest = hashlib.sha256(f"{digest} {file.name} {sha256_file(file)}".encode()).hexdigest()
        return digest

    def parts(self, symbol: str) -> list[Path]:
        """The symbol's file, then the side files there are."""
        from trading_assets.market.side_files import KINDS, side_file

        path = self.file(symbol)
        return [path, *(found for kind in KINDS if (found := side_file(path, symbol, kind)) is not None)]

    def symbols(self) -> list[str]:
        return sorted(self.files())

    def pages(self, symbol: str, since: pd.Timestamp | None = None) -> Iterator[pd.DataFrame]:
        from trading_assets.market.ingest import read_bars

        bars = read_bars(self.file(symbol), symbol=symbol, policy=self.policy).bars
        yield _from(bars, since)


@dataclass(frozen=True)
class SyntheticSource:
    """Synthetic markets under the names of symbols."""

    markets: Mapping[str, SyntheticMarket]

    def symbols(self) -> list[str]:
        return sorted(self.markets)

    def pages(self, symbol: str, since: pd.Timestamp | None = None) -> Iterator[pd.DataFrame]:
        if symbol not in self.markets:
            raise MarketError(f"No synthetic market '{symbol}'. There are: {', '.join(self.symbols())}.")
        yield _from(self.markets[symbol].bars, since).copy()


def _from(bars: pd.DataFrame, since: pd.Timestamp | None) -> pd.DataFrame:
    return bars if since is None else bars[bars["timestamp"] >= since].reset_index(drop=True)
