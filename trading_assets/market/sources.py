"""Where bars come from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from trading_assets.errors import MarketError
from trading_assets.market.bars import check_symbol, symbol_of


@dataclass(frozen=True)
class FolderSource:
    """A folder with one file of bars a symbol, named after it (`BTCUSDT.parquet`, `ETHUSDT.csv`)."""

    folder: Path

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
        if not files:
            raise MarketError(
                f"The market folder {self.folder} holds no bars. Put files such as "
                "BTCUSDT.parquet or BTCUSDT.csv into it, or run 'trading-assets demo'."
            )
        if symbol not in files:
            raise MarketError(f"No bars for '{symbol}' in {self.folder}. There are: {', '.join(files)}.")
        return files[symbol]
