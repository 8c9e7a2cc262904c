"""Bars from an exchange: the public endpoints of every exchange that ccxt knows, asked with patience."""

from __future__ import annotations

import difflib
import importlib
import json
import random
import re
import textwrap
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import pandas as pd

from trading_assets import progress
from trading_assets.errors import MarketError
from trading_assets.market.bars import COLUMNS, SYMBOL, check_bars

T = TypeVar("T")
ExchangeMarket = Mapping[str, Any]

EARLIEST = pd.Timestamp("2010-01-01", tz="UTC")
"""No exchange has bars from before."""
LONGEST_WAIT = 120.0
"""Seconds. Who wants to be left alone for longer is asked again another day."""
USUAL_LIMIT = 100
"""Rows of a page where ccxt does not say how many the exchange gives: every exchange gives these."""
DAYS_AT_ONCE = 200
"""Some exchanges refuse to look at more than 200 days."""
HOUR, DAY = 3_600_000, 86_400_000
HOPELESS = frozenset({404, 405, 410, 451})
"""Statuses that ccxt calls a lack of availability, and that stay the same when asked again."""
BUSY = frozenset({418, 429, *range(500, 600)})
"""Statuses that pass, whatever ccxt makes of the text that comes with them."""


@dataclass(frozen=True)
class ExchangeSource:
    """Closed bars of one interval from an exchange.

    Symbols are `BTCUSDT` (spot), `BTC-USDT-PERP` (perpetual swap) and `BTC-USDT-241227` (future); see
    `market_keys`.

    Parameters
    ----------
    exchange : str
        As ccxt calls it.
    interval : str
        One of the exchange's, of fixed length: '1m', '1h', '1d', '1w'.
    options : Mapping
        For ccxt's constructor: proxies, urls, markets to load.
    attempts : int
        How often one request is made before giving up.
    back_off : float
        Seconds before the second attempt; doubled for each one more, give or take a half by chance.
    page_bars : int, optional
        Bars asked for at once; by default, and at most, as many as the exchange gives.

    Examples
    --------
    >>> source = ExchangeSource("binance", "1h")
    >>> next(source.pages("BTCUSDT"))  # doctest: +SKIP
    """

    exchange: str = "binance"
    interval: str = "1h"
    options: Mapping[str, Any] = field(default_factory=dict)
    attempts: int = 6
    back_off: float = 1.0
    page_bars: int | None = None

    def symbols(self) -> list[str]:
        """Keys of all markets of the exchange, sorted."""
        return sorted(self._markets)

    def market(self, symbol: str) -> ExchangeMarket:
        """What ccxt knows about a symbol; raises `MarketError` and names symbols that look like it."""
        if symbol not in self._markets:
            close = difflib.get_close_matches(symbol.upper(), self._markets, n=5, cutoff=0.5)
            there = ", ".join(close or self.symbols()[:5]) or "none"
            raise MarketError(
                f"{self.exchange} has no market '{symbol}'. There are {len(self._markets)}"
                + f", {'the closest' if close else 'for instance'}: {there}."
            )
        return self._markets[symbol]

    def pages(self, symbol: str, since: pd.Timestamp | None = None) -> Iterator[pd.DataFrame]:
        """Bars that were closed when the first page was asked for, see `BarSource.pages`."""
        market, client = self.market(symbol), self._client
        length = 1_000 * int(client.parse_timeframe(self.interval))
        most = client.feature_value(market["symbol"], "fetchOHLCV", "limit") or USUAL_LIMIT
        limit = min(self.page_bars or most, most)
        now = self._now()
        first, at = None, _milliseconds(EARLIEST if since is None else since)
        due = at + length
        while due <= now:
            rows = self._candles(market, self.interval, at, limit, until=now - length)
            if not rows:
                at = self._after_hole(market, at + limit * length, length, now)
                due = at + length
                continue
            page = _to_bars(rows)
            check_bars(page, f"{self.exchange} {symbol}")
            last = int(rows[-1][0])
            # A bar off the exchange's grid may come before the next regular one, so ask from right after it.
            at, due = last + 1, last + 2 * length
            first = int(rows[0][0]) if first is None else first
            progress.report((due - first) / (now - first), f"{symbol} up to {page['timestamp'].iloc[-1]}")
            yield page

    def pays_funding(self, symbol: str) -> bool:
        """Whether the symbol has funding rates that the exchange tells."""
        return bool(
            self.market(symbol)["type"] == "swap" and self._client.has.get("fetchFundingRateHistory") is True
        )

    def funding(self, symbol: str, since: pd.Timestamp | None = None) -> pd.DataFrame:
        """Funding rates of a perpetual swap from `since` on (all without), oldest first.

        Returns
        -------
        DataFrame
            `timestamp` (datetime64[ns, UTC], when it fell due) and `funding_rate`.

        Raises
        ------
        MarketError
            When the symbol has none.
        """
        if not self.pays_funding(symbol):
            raise MarketError(
                f"{self.exchange} has no funding rates of '{symbol}'; perpetual swaps have, "
                "for instance BTC-USDT-PERP."
            )
        market, now = self.market(symbol), self._now()
        rates: dict[int, float] = {}
        at = _milliseconds(EARLIEST if since is None else since)
        while at <= now:
            page = self._rates(market, at)
            rates.update(page)
            at = max(page) + 1 if page else at + USUAL_LIMIT * HOUR
        times = pd.to_datetime(list(rates), unit="ms", utc=True).as_unit("ns")
        return pd.DataFrame({"timestamp": times, "funding_rate": pd.Series(rates.values(), dtype=float)})

    @cached_property
    def _client(self) -> Any:
        ccxt = _ccxt()
        if self.exchange not in ccxt.exchanges:
            close = difflib.get_close_matches(self.exchange, ccxt.exchanges, n=3)
            raise MarketError(
                f"ccxt knows no exchange '{self.exchange}'. {'Close to it' if close else 'There are'}: "
                f"{', '.join(close or ccxt.exchanges)}."
            )
        client = getattr(ccxt, self.exchange)({"enableRateLimit": True, **self.options})
        if client.has.get("fetchOHLCV") is not True:
            raise MarketError(f"{self.exchange} does not give bars to ccxt; choose another exchange.")
        intervals = [name for name in client.timeframes if re.fullmatch(r"\d+[smhdw]", name)]
        if self.interval not in intervals:
            raise MarketError(
                f"{self.exchange} has no bars of '{self.interval}'. There are: {', '.join(intervals)}."
            )
        return client

    @cached_property
    def _markets(self) -> dict[str, ExchangeMarket]:
        client = self._client
        return market_keys(self._ask("its list of markets", client.load_markets).values())

    def _now(self) -> int:
        """Milliseconds since 1970 by the exchange's clock, or by ours where it shows none."""
        if self._client.has.get("fetchTime") is True:
            return self._ask("the time", lambda: int(self._client.fetch_time()))
        return time.time_ns() // 10**6

    def _candles(
        self, market: ExchangeMarket, interval: str, at: int, limit: int, *, until: int
    ) -> list[list[float]]:
        """The exchange's next candles that open from `at` to `until`, in order, none twice."""

        def fetch() -> list[list[float]]:
            answer = self._client.fetch_ohlcv(market["symbol"], interval, at, limit)
            if not answer:
                self._check_empty()
            return [row for _, row in sorted({int(row[0]): row for row in answer}.items())]

        rows = self._ask(f"bars of {market['symbol']} from {_text(at)} on", fetch)
        return [row for row in rows if at <= row[0] <= until]

    def _after_hole(self, market: ExchangeMarket, at: int, length: int, now: int) -> int:
        """Where bars may go on, at `at` or later, by the exchange's daily bars; `now` where they do not.

        Many exchanges answer with the bars of a span of time, and with nothing where it lies in a hole or
        before the first bar. Daily bars lead over years of that in a few requests.
        """
        if length >= DAY or "1d" not in self._client.timeframes:
            return at
        look = at - DAY
        while look <= now:
            days = self._candles(market, "1d", look, DAYS_AT_ONCE, until=now)
            unfinished = [int(row[0]) for row in days if row[0] + DAY > at]
            if unfinished:
                return max(at, unfinished[0])
            look += DAYS_AT_ONCE * DAY
        return now

    def _rates(self, market: ExchangeMarket, at: int) -> dict[int, float]:
        def fetch() -> dict[int, float]:
            answer = self._client.fetch_funding_rate_history(market["symbol"], at, USUAL_LIMIT)
            if not answer:
                self._check_empty()
            return {int(row["timestamp"]): float(row["fundingRate"]) for row in answer}

        rates = self._ask(f"funding rates of {market['symbol']} from {_text(at)} on", fetch)
        return {when: rate for when, rate in sorted(rates.items()) if when >= at}

    def _check_empty(self) -> None:
        """ccxt finds no rows in a maintenance page or in half an answer, either; bars would be lost."""
        text = str(self._client.last_http_response or "")
        try:
            holds_rows = isinstance(json.loads(text), (list, dict))
        except ValueError:
            holds_rows = False
        if not holds_rows:
            raise _ccxt().BadResponse(f"not JSON: '{text[:80]}'")

    def _ask(self, what: str, request: Callable[[], T]) -> T:
        """The answer to a request, made again while that may help; raises `MarketError`."""
        ccxt = _ccxt()
        attempt = 1
        while True:
            try:
                return request()
            except ccxt.BaseError as error:
                status, asked_for = _answer(error)
                problem = _one_line(error) + (f" (status {status})" if status else "")
                may_pass = isinstance(error, ccxt.OperationFailed) and status not in HOPELESS
                if not may_pass and status not in BUSY:
                    raise MarketError(f"{self.exchange} refuses to give {what}: {problem}.") from error
                if attempt >= self.attempts or asked_for > LONGEST_WAIT:
                    patience = f", and asks to wait {asked_for:g} s" if asked_for > LONGEST_WAIT else ""
                    raise MarketError(
                        f"{self.exchange} did not give {what} in {attempt} attempts{patience}: "
                        f"{problem}. What came before is kept; "
                        "run it again later, and it goes on from there."
                    ) from error
                wait = self.back_off * 2 ** (attempt - 1) * random.uniform(0.5, 1.5)
                time.sleep(min(max(wait, asked_for), LONGEST_WAIT))
                attempt += 1
            except (TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
                raise MarketError(
                    f"{self.exchange} answered the request for {what} with something else "
                    f"({_one_line(error)}); is there a proxy or a login page in between?"
                ) from error


def market_keys(markets: Iterable[ExchangeMarket]) -> dict[str, ExchangeMarket]:
    """Spot markets, swaps and futures of ccxt by the symbols they have here.

    Spot is base and quote (`BTCUSDT`), a swap is `BTC-USDT-PERP`, a future `BTC-USDT-241227`. Where two
    markets would have the same symbol, all of them take the long form: `BTC-USDT`, and with the currency
    they settle in `BTC-USD-BTC-PERP` and `BTC-USD-BTC-241227`. Markets that cannot be told apart even so,
    or whose name cannot be a symbol, are left out.
    """
    known = [market for market in markets if market["type"] in {"spot", "swap", "future"}]
    claims = Counter(_key(market, long=False) for market in known)
    keys = [(_key(market, long=claims[_key(market, long=False)] > 1), market) for market in known]
    once = Counter(key for key, _ in keys)
    return {key: market for key, market in keys if once[key] == 1 and SYMBOL.fullmatch(key)}


def _key(market: ExchangeMarket, *, long: bool) -> str:
    base, quote, settle = (str(market[name]).upper() for name in ("base", "quote", "settle"))
    if market["type"] == "spot":
        return f"{base}-{quote}" if long else f"{base}{quote}"
    ends = "PERP" if market["type"] == "swap" else str(market["symbol"]).rpartition("-")[2]
    return "-".join([base, quote, *([settle] if long else []), ends])


def _ccxt() -> Any:
    try:
        return importlib.import_module("ccxt")
    except ImportError:
        raise MarketError("Bars of exchanges need ccxt, which is not installed: pip install ccxt") from None


def _to_bars(rows: list[list[float]]) -> pd.DataFrame:
    bars = pd.DataFrame(rows, columns=list(COLUMNS)).astype(dict.fromkeys(COLUMNS[1:], float))
    times = pd.to_datetime(bars["timestamp"].astype("int64"), unit="ms", utc=True)
    return bars.assign(timestamp=times.dt.as_unit("ns"))


def _answer(error: Exception) -> tuple[int, float]:
    """Status of the exchange's answer and the seconds it asks to wait, 0 where it said nothing."""
    response = getattr(error.__context__, "response", None)
    if response is None:
        return 0, 0.0
    seconds = str(response.headers.get("Retry-After", ""))
    return int(response.status_code), float(seconds) if seconds.isdigit() else 0.0


def _one_line(error: Exception) -> str:
    text = textwrap.shorten(str(error), 200, placeholder="...").rstrip(".")
    return f"{type(error).__name__}: {text}"


def _milliseconds(when: pd.Timestamp) -> int:
    """Rounded up: bars from `when` on open no earlier."""
    return int(-(-when.as_unit("ns").value // 10**6))


def _text(milliseconds: int) -> str:
    return f"{pd.Timestamp(milliseconds, unit='ms'):%Y-%m-%d %H:%M}"
