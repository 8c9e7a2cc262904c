"""By which names, and in whose layouts, the columns of bars are known."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

ALIASES: dict[str, tuple[str, ...]] = {
    "timestamp": (
        # Columns that say open go first: beside them `timestamp` may be the last moment.
        "timeopen", "open_time", "opentime", "open time", "time_open", "start_at", "start", "begin",
        "window_start", "timestamp", "unix", "datetime", "date_time", "date", "trade_date", "trade_time",
        "day", "time", "gmt time", "utc time", "time (utc)", "local time", "bar_time", "unix timestamp", "ts", "mts",
        "t", "epoch", "datum", "zeit", "__index_level_0__", "",
    ),
    "open": ("open", "o", "first", "open_price", "opening price", "eröffnung", "eroeffnung", "erster"),
    "high": ("high", "h", "max", "high_price", "hoch"),
    "low": ("low", "l", "min", "low_price", "tief"),
    "close": (
        "close", "c", "last", "close_price", "price_close", "close/last", "schluss", "schlusskurs",
    ),
    # MetaTrader leaves `vol` empty for currencies, and so it comes after `tickvol`.
    "volume": (
        "volume", "v", "tickvol", "tick_volume", "vol", "vol.", "base_volume", "volume_base", "basevolume",
        "shares traded", "qty", "volumen",
    ),
    "symbol": ("symbol", "ticker", "instrument", "pair"),
    "funding_rate": ("funding_rate", "fundingrate", "funding"),
}  # fmt: skip
"""Names of each column, in lower case, the preferred ones first."""

BINANCE = (
    "open_time", "open", "high", "low", "close", "volume", "close_time", "quote_volume", "count",
    "taker_buy_volume", "taker_buy_quote_volume", "ignore",
)  # fmt: skip
"""The twelve columns of Binance's dumps, which come with and without a header."""

PRICES = ("open", "high", "low", "close")
_VOLUME_OF = re.compile(r"vol(?:ume)?[ _(]+([a-z]{2,8})\)?")
"""`Volume BTC`, `volume_(eth)`: the volume in one of the pair's currencies."""


@dataclass(frozen=True)
class Columns:
    """Which column of a file is what.

    Attributes
    ----------
    names : dict
        From our name to the position in the file. `clock` is a time of day beside a date.
    layout : str
    zone : str or None
        Zone that this layout is known to write its times in.
    other_volumes : tuple of int
        Columns that could be the volume as well as the one in `names`.
    """

    names: dict[str, int]
    layout: str
    zone: str | None = None
    other_volumes: tuple[int, ...] = ()


def normal(name: object) -> str:
    """A column's name as it stands in `ALIASES`."""
    return str(name).strip().strip("<>$\"'").strip().lower()


def is_header(names: Sequence[str]) -> bool:
    """Whether these fields name at least the four prices."""
    known = {normal(name) for name in names}
    return all(known & set(ALIASES[price]) for price in PRICES)


def find_columns(
    header: Sequence[str], *, banner: str = "", row: Sequence[str] = (), file: str = ""
) -> Columns:
    """Recognise the columns of a file by their names; what is not found is missing from `names`.

    The symbol in `row`, a row of the data, or else the name of the `file` tells the volume in the base
    currency from the one in the quote currency.
    """
    names = [normal(name) for name in header]
    found: dict[str, int] = {}
    for ours, aliases in ALIASES.items():
        position = next((names.index(alias) for alias in aliases if alias in names), None)
        if position is not None:
            found[ours] = position
    symbol = row[found["symbol"]] if found.get("symbol", len(row)) < len(row) else file
    volumes = _volumes(names, symbol.lower())
    if volumes:
        found["volume"] = volumes[0]
    for day, clock in (("date", "time"), ("datum", "zeit")):
        if day in names and clock in names and found.get("timestamp") == names.index(day):
            found["clock"] = names.index(clock)
    layout, zone = _layout(names, banner.lower())
    return Columns(found, layout, zone, tuple(volumes[1:]))


def _volumes(names: Sequence[str], symbol: str) -> list[int]:
    """Columns that can be the volume, the likeliest first; only that one where the symbol decides it."""
    exact = [names.index(alias) for alias in ALIASES["volume"] if alias in names]
    currencies = {i: match[1] for i, name in enumerate(names) if (match := _VOLUME_OF.fullmatch(name))}
    for i, currency in sorted(currencies.items(), key=lambda item: -len(item[1])):  # USDT before USD
        # Three letters of the quote have to follow: AVGO begins with no currency of `vol_avg`.
        if re.match(rf"{currency}[-_/ ]?[a-z]{{3}}", symbol):
            return [i]
    return exact + [i for i, currency in currencies.items() if currency not in symbol] or list(currencies)


def _layout(names: Sequence[str], banner: str) -> tuple[str, str | None]:
    known = set(names)
    if "cryptodatadownload" in banner or {"unix", "date", "symbol"} <= known:
        return "CryptoDataDownload", "UTC"
    if {"open_time", "close_time"} <= known:
        return "Binance", "UTC"
    if {"gmt time", "utc time", "time (utc)"} & known:
        return "Dukascopy", "UTC"
    if {"time", "tick_volume", "spread", "real_volume"} <= known:
        return "MetaTrader", None
    if "adj close" in known or {"dividends", "stock splits"} <= known:
        return "yfinance", None
    if {"factor", "date"} <= known:
        return "Qlib", None
    return "bars", None
