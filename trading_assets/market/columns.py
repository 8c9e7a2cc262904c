"""By which names, and in whose layouts, the columns of bars are known."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from trading_assets.arrays import Floats
from trading_assets.market.meaning import Turnover, find_turnover, lots, swapped_high_and_low
from trading_assets.market.report import listed

ALIASES: dict[str, tuple[str, ...]] = {
    "timestamp": (
        # Columns that say open go first: beside them `timestamp` may be the last moment.
        "time_period_start", "period_start", "timeopen", "open_time", "opentime", "open time", "time_open",
        "start_time", "starttime", "start time", "start_at", "start", "begin", "window_start", "ts_event",
        "candle_date_time_utc", "timestamp", "unix", "datetime",
        "date_time", "trade_time", "date", "trade_date", "dtyyyymmdd", "day", "time", "gmt time",
        "utc time", "time (utc)", "local time", "bar_time", "unix timestamp", "ts", "mts", "t", "epoch",
        "datum", "zeit", "data", "fecha", "时间", "日期", "交易日期", "交易时间", "日時", "日付",
        "年月日", "__index_level_0__", "",
        "close_time", "closetime", "close time", "time_close", "timeclose", "time_period_end", "end_time",
        "endtime", "end time", "time_end", "period_end", "window_end", "end_at", "end",
    ),
    "open": (
        "open", "o", "first", "open_price", "open price", "opening price", "openprice", "eröffnung",
        "eroeffnung", "eröffnungskurs", "eröffn.", "erster", "otwarcie", "apertura", "ouverture",
        "开盘", "开盘价", "今开", "開盤價", "始値",
    ),
    "high": (
        "high", "h", "max", "high_price", "high price", "highprice", "hoch", "tageshoch", "najwyzszy",
        "najwyższy", "máximo", "maximo", "plus haut", "最高", "最高价", "最高價", "高値",
    ),
    "low": (
        "low", "l", "min", "low_price", "low price", "lowprice", "tief", "tagestief", "najnizszy",
        "najniższy", "mínimo", "minimo", "plus bas", "最低", "最低价", "最低價", "安値",
    ),
    "close": (
        "close", "c", "close_price", "close price", "closeprice", "price_close", "close/last",
        "closing price", "schluss", "schlusskurs", "zamkniecie", "zamknięcie", "cierre", "clôture",
        "收盘", "收盘价", "收盤價", "終値", "settle", "settlement", "settle price", "settlement price",
        "last", "latest", "last price", "zuletzt", "dernier", "último", "price",
    ),
    # MetaTrader leaves `vol` empty for currencies, and so it comes after `tickvol`.
    "volume": (
        "volume", "v", "tickvol", "tick_volume", "vol", "vol.", "base_volume", "volume_base",
        "basevolume", "volumefrom", "shares traded", "number of shares", "no.of shares",
        "no. of shares", "tottrdqty", "total trade quantity", "total traded quantity", "qty", "quantity",
        "stuecke", "stücke", "stück", "volumen", "wolumen", "成交量", "成交股数", "成交股數",
        "出来高", "売買高",
    ),
    "symbol": (
        "symbol", "ticker", "instrument", "pair", "tic", "ts_code", "code", "instrument_id", "name",
        "代码", "股票代码",
    ),
    "funding_rate": ("funding_rate", "fundingrate", "funding"),
    "funding_within": ("funding_within",),
    "split": (
        "split ratio", "split_ratio", "split_coefficient", "split coefficient", "8. split coefficient",
        "splitfactor", "split_factor", "stock splits",
    ),
    "adj_factor": ("adj_factor", "adjfactor"),
}  # fmt: skip
"""Names of each column, in lower case, the preferred ones first."""

SAYS_OPEN = frozenset(name for name in ALIASES["timestamp"] if re.search(r"open|start|begin", name))
SAYS_CLOSE = frozenset(name for name in ALIASES["timestamp"] if re.search(r"close|end", name))
"""Names of times that say which moment of the bar they are."""

BINANCE = (
    "open_time", "open", "high", "low", "close", "volume", "close_time", "quote_volume", "count",
    "taker_buy_volume", "taker_buy_quote_volume", "ignore",
)  # fmt: skip
"""The twelve columns of Binance's dumps, which come with and without a header."""

_CLOSES = (
    "close", "settle", "settlement", "settle price", "settlement price", "last", "adj close", "adj_close",
    "adj. close", "adjclose", "adjusted close", "adjusted_close", "close_adj",
)  # fmt: skip
_TICKS = frozenset({"tickvol", "tick_volume", "tickvolume"})
_CLOCK_NAMES = frozenset({
    "time", "clock", "trade_time", "zeit", "uhrzeit", "hora", "heure", "czas", "godzina", "时间", "时刻",
    "交易时间", "時刻", "時間",
})  # fmt: skip
_CLOCK = re.compile(r"\d\d?:\d\d(:\d\d(\.\d+)?)?(\s?[AaPp][Mm])?|\d{1,6}")
_DATE = re.compile(r"\d{8}|\d{1,4}\D\d{1,2}\D\d{1,4}(T00:00:00|\s00:00:00)?")

PRICES = ("open", "high", "low", "close")
FUNDING = ("funding_rate", "funding_within")
"""The rates that fell due from a bar's open to its close, and the part of them that did after the open."""
_LEAST_OF_BILLIONTHS = 1e6
"""A thousandth, in billionths; no price is so high."""
_LEAN_TIME = re.compile(r"\d{8} \d\d:\d\d")
_VOLUME_OF = re.compile(r"vol(?:ume)?[ _(]+([a-z]{2,8})\)?")
"""`Volume BTC`, `volume_(eth)`: the volume in one of the pair's currencies."""


@dataclass(frozen=True)
class Decision:
    """A choice between two readings, for the report."""

    reaction: Literal["repaired", "warned"]
    kind: str
    message: str
    column: str = ""


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
    scale : dict of str to float
        What the numbers of a column have to be multiplied by.
    decisions : tuple of Decision
    """

    names: dict[str, int]
    layout: str
    zone: str | None = None
    scale: dict[str, float] = field(default_factory=dict)
    decisions: tuple[Decision, ...] = ()


def normal(name: object) -> str:
    """A column's name as it stands in `ALIASES`."""
    return str(name).strip().strip("<>$\"'").strip().lower()


def normal_names(header: Sequence[object]) -> list[str]:
    """Of all columns; a capital beside the same small letter, as Binance has T beside t, stays one."""
    own = [str(name).strip() for name in header]
    return [
        name if len(name) == 1 and name.isupper() and name.lower() in own else normal(name) for name in own
    ]


def is_header(names: Sequence[str]) -> bool:
    """Whether these fields name at least the four prices."""
    known = set(normal_names(names))
    return all(known & set(ALIASES[price]) for price in PRICES)


def find_columns(
    header: Sequence[str],
    *,
    banner: str = "",
    row: Sequence[str] = (),
    file: str = "",
    numbers: Mapping[int, Floats] | None = None,
) -> Columns:
    """Recognize the columns of a file by their numbers and names; what is not found is missing from `names`.

    Parameters
    ----------
    header : sequence of str
        The file's names.
    banner : str
        What stands above them.
    row : sequence of str
        A row of the data; its symbol, or else the name of the `file`, tells the volume in the base currency
        from the one in the quote currency where numbers do not.
    file : str
    numbers : dict of int to ndarray of shape (n_rows,), optional
        The first rows of the columns that hold numbers, by position.
    """
    numbers = numbers or {}
    names = normal_names(header)
    found: dict[str, int] = {}
    for ours, aliases in ALIASES.items():
        places = [names.index(alias) for alias in aliases if alias in names]
        if ours == "timestamp":
            places = [place for place in places if not _is_counter(numbers.get(place))]
            found |= _moment(places, names, row)
            continue
        if ours == "symbol":  # CoinMarketCap's names are numbers
            places = [place for place in places if names[place] != "name" or place not in numbers]
        if places:
            found[ours] = next((place for place in places if not _is_empty(numbers.get(place))), places[0])
    layout, zone = _layout(names, banner.lower())
    time = row[found["timestamp"]] if found.get("timestamp", len(row)) < len(row) else ""
    decisions = _decide_close(names, found, header)
    high, low = (numbers.get(found.get(name, -1)) for name in ("high", "low"))
    if high is not None and low is not None and swapped_high_and_low(high, low):
        found["high"], found["low"], high, low = found["low"], found["high"], low, high
        decisions.append(Decision("repaired", "columns", "high and low bear each other's names"))
    symbol = row[found["symbol"]] if found.get("symbol", len(row)) < len(row) else file
    named = _volumes(names, symbol.lower())
    if named:
        found["volume"] = named[0]
    turnover = None
    if high is not None and low is not None:
        others = set(found.values()) - {found.get("volume")}
        volumes = {place: column for place, column in numbers.items() if place not in others}
        turnover = find_turnover(volumes, low, high)
    scale = {} if turnover is None else {"volume": lots(turnover, layout)}
    decisions += _decide_volume(named, turnover, scale, header)
    if turnover is None and len(named) == 1:
        decisions += _warn_of_currency(str(header[named[0]]), symbol.lower())
    if high is not None and layout == "Databento" and (high >= _LEAST_OF_BILLIONTHS).all():
        scale |= dict.fromkeys(PRICES, 1e-9)
        decisions.append(Decision("repaired", "scale", "prices are in billionths, as Databento writes them"))
    elif high is not None and _LEAN_TIME.fullmatch(time) and _in_cents(high):
        message = (
            "prices may be times 10,000, as LEAN writes them: if they are, divide them and write a new file"
        )
        decisions.append(Decision("warned", "scale", message))
    if turnover is not None:
        found["volume"] = turnover.base
    return Columns(found, layout, zone, scale, tuple(decisions))


def _moment(places: list[int], names: Sequence[str], row: Sequence[str]) -> dict[str, int]:
    """Which of the columns that can be a time are it: one, or a date and a clock."""
    if not places:
        return {}
    texts = {place: row[place] if place < len(row) else "" for place in places}
    clocks = [
        place
        for place, name in enumerate(names)
        if name in _CLOCK_NAMES and place < len(row) and _CLOCK.fullmatch(row[place])
    ]
    moments = [place for place in places if place not in clocks]
    if not moments:
        return {"timestamp": places[0]}
    date = moments[0]
    if not _DATE.fullmatch(texts[date]):
        return {"timestamp": date}
    # A column further on may hold the date and more: baostock's time, an epoch.
    day = re.sub(r"\D", "", texts[date])[:8]
    for place in moments[1:]:
        digits = re.sub(r"\D", "", texts[place])
        if len(digits) > 8 and (digits.startswith(day) or re.fullmatch(r"\d{10}|\d{13}", texts[place])):
            return {"timestamp": place}
    return {"timestamp": date, **({"clock": clocks[0]} if clocks else {})}


def _is_empty(column: Floats | None) -> bool:
    return column is not None and bool(np.isnan(column).all())


def _is_counter(column: Floats | None) -> bool:
    """Whether a column only numbers the rows."""
    return (
        column is not None and len(column) > 1 and bool((np.diff(column) == 1).all()) and column[0] in {0, 1}
    )


def _in_cents(prices: Floats) -> bool:
    """Whether prices can be of cents, times 10,000."""
    return bool((prices >= 10_000).all() and (prices % 100 == 0).all())


def _decide_close(names: list[str], found: dict[str, int], header: Sequence[str]) -> list[Decision]:
    """Settlement and last trade beside or instead of a close are said."""
    there = [names.index(name) for name in _CLOSES if name in names]
    if len(there) < 2 or found.get("close") not in there:
        return []
    taken = header[found["close"]]
    others = listed(header[place] for place in there if place != found["close"])
    return [Decision("repaired", "close", f"'{taken}' is taken as the close, not {others}", str(taken))]


def _decide_volume(
    named: Sequence[int], turnover: Turnover | None, scale: Mapping[str, float], header: Sequence[str]
) -> list[Decision]:
    """What is said of the volume: where numbers decide otherwise than names or nothing does, its units."""
    if turnover is None:
        if not named:
            return []
        taken, *others = (str(header[place]) for place in named)
        decisions = []
        if others:
            message = f"'{taken}' is taken as the volume, not {listed(others)}"
            decisions.append(Decision("warned", "volume", message, taken))
        elif normal(taken) in _TICKS:
            message = f"'{taken}' counts changes of the price, not what was traded"
            decisions.append(Decision("warned", "volume", message, taken))
        return decisions
    taken, quote = str(header[turnover.base]), str(header[turnover.quote])
    factor = scale["volume"]
    if named == [turnover.base] and factor == 1 and turnover.factor == 1:
        return []
    price = "the price" if turnover.factor == 1 else f"{turnover.factor:g} times the price"
    message = f"'{taken}' is taken as the volume, since '{quote}' is that times {price}"
    if factor != 1:
        message += f"; it is in lots of {factor:g}"
    return [Decision("repaired", "volume", message, taken)]


def _warn_of_currency(name: str, symbol: str) -> list[Decision]:
    """A lone volume that its name says to be in a currency with which the symbol does not begin."""
    match = _VOLUME_OF.fullmatch(normal(name))
    if match is None or symbol.startswith(match[1]):
        return []
    message = f"'{name}' may be in {match[1].upper()}, not in units of what is traded"
    return [Decision("warned", "volume", message, name)]


def _volumes(names: Sequence[str], symbol: str) -> list[int]:
    """Columns that can be the volume, the likeliest first; only that one where the symbol decides it."""
    exact = [names.index(alias) for alias in ALIASES["volume"] if alias in names]
    currencies = {i: match[1] for i, name in enumerate(names) if (match := _VOLUME_OF.fullmatch(name))}
    for i, currency in sorted(currencies.items(), key=lambda item: -len(item[1])):  # USDT before USD
        # Three letters of the quote have to follow: AVGO begins with no currency of `vol_avg`.
        if re.match(rf"{currency}[-_/ ]?[a-z]{{3}}", symbol):
            return [i]
    return exact + [i for i, currency in currencies.items() if currency not in symbol] or list(currencies)


_LAYOUTS: tuple[tuple[frozenset[str], str, str | None], ...] = (
    (frozenset({"unix", "date", "symbol"}), "CryptoDataDownload", "UTC"),
    (frozenset({"open_time", "close_time"}), "Binance", "UTC"),
    (frozenset({"ts_event", "rtype"}), "Databento", None),
    (frozenset({"ts_event", "publisher_id"}), "Databento", None),
    (frozenset({"gmt time"}), "Dukascopy", "UTC"),
    (frozenset({"utc time"}), "Dukascopy", "UTC"),
    (frozenset({"time (utc)"}), "Dukascopy", "UTC"),
    (frozenset({"ts_code", "trade_date"}), "Tushare", None),
    (frozenset({"time", "tick_volume", "spread", "real_volume"}), "MetaTrader", None),
    (frozenset({"adj close"}), "yfinance", None),
    (frozenset({"dividends", "stock splits"}), "yfinance", None),
    (frozenset({"factor", "date"}), "Qlib", None),
)
"""Columns by which a layout is known, its name, and the zone of its times."""


def _layout(names: Sequence[str], banner: str) -> tuple[str, str | None]:
    if "cryptodatadownload" in banner:
        return "CryptoDataDownload", "UTC"
    return next(((name, zone) for known, name, zone in _LAYOUTS if known <= set(names)), ("bars", None))
