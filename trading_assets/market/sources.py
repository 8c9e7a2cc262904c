"""Where bars come from: a folder, a synthetic market, an exchange; all asked in the same way."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pandas as pd

from trading_assets.arguments import as_path
from trading_assets.config.settings import IngestPolicy
from trading_assets.errors import MarketError
from trading_assets.market.bars import check_symbol, symbol_of
from trading_assets.market.names import passed_over, told
from trading_assets.registry.digests import sha256_file

if TYPE_CHECKING:
    from trading_assets.market.synthetic import SyntheticMarket


class BarSource(Protocol):
    """Somebody who has bars.

    Examples
    --------
    See `FolderSource`.
    """

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
    """All pages of a symbol as one frame.

    Parameters
    ----------
    source : BarSource
    symbol : str
    since : Timestamp, optional
        The first bar wanted; all without.

    Returns
    -------
    DataFrame
        As from `read_bars`.

    Raises
    ------
    MarketError
        When there are no bars, or no such symbol.

    Examples
    --------
    >>> from trading_assets.market import SyntheticMarket
    >>> len(fetch_bars(SyntheticSource({"SYN": SyntheticMarket("price", 1.0, n_bars=100)}), "SYN"))
    100
    """
    pages = [page for page in source.pages(symbol, since) if len(page)]
    if not pages:
        raise MarketError(f"No bars of '{symbol}'" + (f" from {since} on." if since is not None else "."))
    return pd.concat(pages, ignore_index=True)


@dataclass(frozen=True)
class SymbolFiles:
    """The files that a folder has of one symbol."""

    symbol: str
    bars: tuple[Path, ...]
    """One, or all that claim the symbol."""
    beside: tuple[Path, ...]
    """Side files: funding rates, split factors."""

    @property
    def file(self) -> Path:
        """The one file of bars; raises `MarketError` where there are several."""
        if len(self.bars) > 1:
            names = " and ".join(path.name for path in self.bars)
            raise MarketError(f"{names} in {self.bars[0].parent} both hold {self.symbol}; keep one of them.")
        return self.bars[0]

    def parts(self) -> list[Path]:
        """The file of bars, then the side files."""
        return [self.file, *self.beside]

    def digest(self) -> str:
        """Digest of the content of all; raises `MarketError` where one cannot be read."""
        bars, *beside = self.parts()
        try:
            digest = sha256_file(bars)
            for file in beside:
                digest = hashlib.sha256(f"{digest} {file.name} {sha256_file(file)}".encode()).hexdigest()
        except OSError as error:
            raise MarketError(
                f"The bars of {self.symbol} cannot be read: {error.filename or bars}: {error.strerror}. "
                "Mend the file or its permissions."
            ) from None
        return digest


@dataclass(frozen=True)
class FolderSource:
    """A folder with one file of bars a symbol, named after it (`BTCUSDT.parquet`, `ETHUSDT.csv`).

    Parameters
    ----------
    folder : Path or str
    policy : IngestPolicy, optional
        How files are read.

    Examples
    --------
    >>> import tempfile
    >>> from trading_assets.market import SyntheticMarket
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     SyntheticMarket("price", 1.0, n_bars=100).write(Path(folder), "SYN")
    ...     source = FolderSource(folder)
    ...     source.symbols(), len(fetch_bars(source, "SYN"))
    (['SYN'], 100)
    """

    folder: Path
    policy: IngestPolicy = field(default_factory=IngestPolicy)
    names: frozenset[str] | None = None
    known: Mapping[str, SymbolFiles] | None = None
    """Names of all files, and what they are of every symbol: to go by instead of looking again."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", as_path("folder", self.folder))

    def snapshot(self) -> FolderSource:
        """The same source with the folder as it is now: many questions then cost one look."""
        names = self._names()
        return replace(self, names=names, known=self._by_symbol(names))

    def listing(self) -> Mapping[str, SymbolFiles]:
        """What the folder has of every symbol, looked at once.

        Raises
        ------
        MarketError
            When the folder does not exist or cannot be read.
        """
        return self._by_symbol(self._names()) if self.known is None else self.known

    def _names(self) -> frozenset[str]:
        if self.names is not None:
            return self.names
        if not self.folder.is_dir():
            raise MarketError(
                f"The market folder {self.folder} does not exist. Create it, or set "
                "TRADING_ASSETS_MARKET_DIR to a folder with files such as BTCUSDT.parquet."
            )
        try:
            with os.scandir(self.folder) as entries:
                return frozenset(entry.name for entry in entries if entry.is_file())
        except OSError as error:
            raise MarketError(
                f"The market folder {self.folder} cannot be read: {error.strerror}. Mend its permissions."
            ) from None

    def _by_symbol(self, names: frozenset[str]) -> dict[str, SymbolFiles]:
        from trading_assets.market.side_files import side_names

        bars: dict[str, list[Path]] = {}
        for name in sorted(names):
            path = self.folder / name
            symbol = symbol_of(path)
            if symbol is not None:
                bars.setdefault(symbol, []).append(path)
        return {
            symbol: SymbolFiles(
                symbol, tuple(paths), tuple(self.folder / name for name in side_names(symbol, names))
            )
            for symbol, paths in bars.items()
        }

    def files(self) -> dict[str, Path]:
        """The file of every symbol in the folder; a symbol that two files claim is left out.

        Raises
        ------
        MarketError
            When the folder does not exist or cannot be read.
        """
        return {symbol: found.bars[0] for symbol, found in self.listing().items() if len(found.bars) == 1}

    def file(self, symbol: str) -> Path:
        """The file of one symbol.

        Raises
        ------
        MarketError
            When there is none, naming the symbols there are, or two files claim the symbol.
        """
        return self._of(symbol).file

    def digest(self, symbol: str) -> str:
        """Digest of the symbol's file and of the side files beside it."""
        return self._of(symbol).digest()

    def parts(self, symbol: str) -> list[Path]:
        """The symbol's file, then the side files there are."""
        return self._of(symbol).parts()

    def _of(self, symbol: str) -> SymbolFiles:
        check_symbol(symbol)
        listing = self.listing()
        if symbol in listing:
            return listing[symbol]
        problem = f"No bars for '{symbol}' in {self.folder}. There are: {', '.join(listing)}."
        if not listing:
            problem = (
                f"The market folder {self.folder} holds no bars. Put files such as "
                "BTCUSDT.parquet or BTCUSDT.csv into it, or run 'trading-assets demo'."
            )
        raise MarketError(f"{problem} {told(self.passed_over())}".rstrip())

    def passed_over(self) -> dict[str, str]:
        """Files that look like bars and are not taken: the reason and a name that would do, by name."""
        try:
            return passed_over(self.folder, self._names())
        except MarketError:  # `listing` says so
            return {}

    def symbols(self) -> list[str]:
        """Of all files, sorted."""
        return sorted(self.files())

    def pages(self, symbol: str, since: pd.Timestamp | None = None) -> Iterator[pd.DataFrame]:
        """The symbol's bars from `since` on, as one page; see `BarSource.pages`."""
        from trading_assets.market.ingest import read_bars

        bars = read_bars(self.file(symbol), symbol=symbol, policy=self.policy).bars
        yield _from(bars, since)


@dataclass(frozen=True)
class SyntheticSource:
    """Synthetic markets under the names of symbols.

    Parameters
    ----------
    markets : mapping of str to SyntheticMarket

    Examples
    --------
    See `fetch_bars`.
    """

    markets: Mapping[str, SyntheticMarket]

    def symbols(self) -> list[str]:
        """Of all markets, sorted."""
        return sorted(self.markets)

    def pages(self, symbol: str, since: pd.Timestamp | None = None) -> Iterator[pd.DataFrame]:
        """The symbol's bars from `since` on, as one page; see `BarSource.pages`."""
        if symbol not in self.markets:
            raise MarketError(f"No synthetic market '{symbol}'. There are: {', '.join(self.symbols())}.")
        yield _from(self.markets[symbol].bars, since).copy()


def _from(bars: pd.DataFrame, since: pd.Timestamp | None) -> pd.DataFrame:
    return bars if since is None else bars[bars["timestamp"] >= since].reset_index(drop=True)
