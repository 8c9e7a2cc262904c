"""Column names of two levels, price and symbol, as pandas and yfinance write them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from trading_assets.market.columns import is_header, normal
from trading_assets.market.report import IngestReport, listed

EMPTY_OR_TICKER = frozenset({"", "ticker", "tickers", "symbol", "symbols"})
_PAIR = re.compile(r"\((?P<mark>['\"])(?P<first>.*)(?P=mark), (?P<other>['\"])(?P<second>.*)(?P=other)\)")


def one_level(names: Sequence[str], symbol: str | None, report: IngestReport) -> list[str]:
    """Names such as `('Close', 'AAPL')`, as Parquet has them, without the symbol; others stay as they are."""
    pairs = [_PAIR.fullmatch(name) for name in names]
    if not any(pairs):
        return list(names)
    level, other = "first", "second"
    if not is_header([pair["first"] for pair in pairs if pair]):
        level, other = other, level
    prices = [pair[level] if pair else name for pair, name in zip(pairs, names, strict=True)]
    tickers = [pair[other] if pair else "" for pair in pairs]
    report.repaired("header", "column names of two levels, as yfinance writes them")
    return of_one_symbol(prices, tickers, symbol, report)


def of_one_symbol(
    names: Sequence[str], tickers: Sequence[str], symbol: str | None, report: IngestReport
) -> list[str]:
    """The names with those of other symbols marked, so that each price is there once."""
    placed = [ticker if ticker and normal(ticker) not in EMPTY_OR_TICKER else "" for ticker in tickers]
    there = list(dict.fromkeys(filter(None, placed)))
    chosen = there
    if len(there) > 1:
        chosen = [ticker for ticker in there if symbol is not None and _letters(ticker) == _letters(symbol)]
        if len(chosen) != 1:
            report.reject(
                "several symbols",
                f"holds {len(there)} symbols: {listed(there)}"
                + (f", none of them {symbol}" if symbol else ""),
                "Say which one is meant (symbol=...), or write a file for each.",
            )
        report.repaired("several symbols", f"only the columns of {chosen[0]} were read, of {listed(there)}")
    shown = [
        name if not ticker or ticker in chosen else f"{name} of {ticker}"
        for name, ticker in zip(names, placed, strict=True)
    ]
    if normal(shown[0]) in {"price", *EMPTY_OR_TICKER}:  # the name of a level
        shown[0] = ""
    return shown


def _letters(symbol: str) -> str:
    return re.sub(r"[-_/ ]", "", symbol.upper())
