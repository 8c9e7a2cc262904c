"""By which names, and in whose layouts, the columns of bars are known."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

ALIASES: dict[str, tuple[str, ...]] = {
    "timestamp": (
        "timestamp", "unix", "open_time", "opentime", "open time", "datetime", "date_time", "date",
        "time", "gmt time", "utc time", "local time", "bar_time", "ts", "epoch", "__index_level_0__", "",
    ),
    "open": ("open", "o", "first", "open_price", "opening price"),
    "high": ("high", "h", "max", "high_price"),
    "low": ("low", "l", "min", "low_price"),
    "close": ("close", "c", "last", "close_price", "price_close", "close/last"),
    "volume": (
        "volume", "v", "vol", "vol.", "base_volume", "volume_base", "basevolume", "tickvol", "tick_volume",
        "shares traded", "qty",
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
_VOLUME_OF = re.compile(r"vol(ume)?[ _(]+[a-z0-9]{2,8}\)?")
"""`Volume BTC`, `volume_(eth)`: the volume in one of the pair's currencies; the first one is the base."""


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
    """

    names: dict[str, int]
    layout: str
    zone: str | None = None


def normal(name: object) -> str:
    """A column's name as it stands in `ALIASES`."""
    return str(name).strip().strip("<>$\"'").strip().lower()


def is_header(names: Sequence[str]) -> bool:
    """Whether these fields name at least the four prices."""
    known = {normal(name) for name in names}
    return all(known & set(ALIASES[price]) for price in PRICES)


def find_columns(header: Sequence[str], *, banner: str = "") -> Columns:
    """Recognise the columns of a file by their names; what is not found is missing from `names`."""
    names = [normal(name) for name in header]
    found: dict[str, int] = {}
    for ours, aliases in ALIASES.items():
        position = next((names.index(alias) for alias in aliases if alias in names), None)
        if position is not None:
            found[ours] = position
    volumes = [i for i, name in enumerate(names) if name == "volume" or _VOLUME_OF.fullmatch(name)]
    if volumes:
        found["volume"] = volumes[0]
    if "date" in names and "time" in names and found.get("timestamp") == names.index("date"):
        found["clock"] = names.index("time")
    layout, zone = _layout(names, banner.lower())
    return Columns(found, layout, zone)


def _layout(names: Sequence[str], banner: str) -> tuple[str, str | None]:
    known = set(names)
    if "cryptodatadownload" in banner or {"unix", "date", "symbol"} <= known:
        return "CryptoDataDownload", "UTC"
    if {"open_time", "close_time"} <= known:
        return "Binance", "UTC"
    if {"gmt time", "utc time"} & known:
        return "Dukascopy", "UTC"
    if "adj close" in known or {"dividends", "stock splits"} <= known:
        return "yfinance", None
    if {"factor", "date"} <= known:
        return "Qlib", None
    return "bars", None
