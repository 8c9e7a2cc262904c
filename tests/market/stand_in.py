"""Binance's public endpoints on 127.0.0.1, as ccxt calls them, with the troubles that exchanges have."""

import json
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pandas as pd

from trading_assets.market.synthetic import SyntheticMarket

LENGTHS = {"1h": 3_600_000, "4h": 14_400_000, "1d": 86_400_000}
NEVER = 4_133_404_800_000
"""Delivery date of contracts without one."""


@dataclass(frozen=True)
class Trouble:
    """One answer that is none: a status, and perhaps the time to wait; `drop` closes the connection."""

    status: int = 503
    retry_after: str = ""
    body: str = '{"code": -1, "msg": "stand-in"}'
    drop: bool = False


@dataclass
class StandIn:
    """An exchange with hourly bars; every switch may be turned while it runs.

    Attributes
    ----------
    bars : dict of str to DataFrame
        By Binance's symbol. Revise them, or replace them by others.
    now : int
        Its clock, milliseconds: later bars are not there yet, and the last one may still be open.
    troubles : deque of Trouble
        Taken one a request of the troubled endpoint, instead of an answer.
    troubled : str
        How that endpoint's path ends.
    troubled_after : int
        Requests of it that are answered first.
    seconds : float
        How long it thinks about bars.
    answered : int, optional
        Requests for bars that are answered; later ones are kept waiting until `released`.
    span_only : bool
        Answers with what opens within `limit` intervals of the start, as many exchanges do; Binance looks
        for the next `limit` bars there are.
    deaf : bool
        Ignores where bars shall start.
    requests : list
        Path and query of each.
    """

    bars: dict[str, pd.DataFrame]
    now: int = 0
    rates: pd.DataFrame = field(default_factory=lambda: pd.DataFrame({"timestamp": [], "funding_rate": []}))
    troubles: deque[Trouble] = field(default_factory=deque)
    troubled: str = "/klines"
    troubled_after: int = 0
    seconds: float = 0.0
    answered: int | None = None
    released: threading.Event = field(default_factory=threading.Event)
    span_only: bool = False
    deaf: bool = False
    url: str = ""
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    @property
    def options(self) -> dict[str, Any]:
        """For ccxt's constructor: these addresses, without a limit of the rate."""
        urls = {"public": f"{self.url}/api/v3", "fapiPublic": f"{self.url}/fapi/v1"}
        return {
            "urls": {"api": urls},
            "options": {"fetchMarkets": {"types": ["spot", "linear"]}},
            "enableRateLimit": False,
            "timeout": 60_000,
        }

    @property
    def asked(self) -> list[dict[str, str]]:
        """Queries for bars, in order."""
        return [query for path, query in self.requests if path.endswith("/klines")]

    def next_trouble(self, path: str) -> Trouble | None:
        if not (self.troubles and path.endswith(self.troubled)):
            return None
        asked = sum(path.endswith(self.troubled) for path, _ in self.requests)
        return self.troubles.popleft() if asked > self.troubled_after else None

    def closed(self, symbol: str = "BTCUSDT", length: int = LENGTHS["1h"]) -> pd.DataFrame:
        """The bars that a source of this exchange has."""
        bars = self.bars[symbol]
        closed = _milliseconds(bars["timestamp"]) + length <= self.now
        return bars[closed].reset_index(drop=True)

    def answer(self, path: str, query: dict[str, str]) -> Any:
        if path.endswith("/time"):
            return {"serverTime": self.now}
        if path == "/api/v3/exchangeInfo":
            return {"symbols": [_market(s, "USDT") for s in self.bars]}
        if path == "/fapi/v1/exchangeInfo":
            return {"symbols": [_market("BTCUSDT", "USDT", contract=True)]}
        if path == "/fapi/v1/fundingRate":
            return self._funding(int(query["startTime"]), int(query.get("limit", 100)))
        if path.endswith("/klines"):
            if self.seconds:
                time.sleep(self.seconds)
            if self.answered is not None and len(self.asked) > self.answered:
                self.released.wait()
            return self._klines(query)
        raise KeyError(path)

    def _klines(self, query: dict[str, str]) -> list[list[Any]]:
        length, limit = LENGTHS[query["interval"]], int(query["limit"])
        bars = _joined(self.bars[query["symbol"]], length)
        opens = _milliseconds(bars["timestamp"])
        start = 0 if self.deaf else int(query["startTime"])
        there = (opens >= start) & (opens <= self.now)
        if self.span_only:
            there &= opens < start + limit * length
        rows = np.flatnonzero(there)[:limit]
        records = zip(opens[rows], bars.iloc[rows].to_dict("records"), strict=True)
        return [_kline(int(at), record, length) for at, record in records]

    def _funding(self, start: int, limit: int) -> list[dict[str, Any]]:
        times = _milliseconds(self.rates["timestamp"]) if len(self.rates) else np.empty(0)
        rows = zip(times, self.rates["funding_rate"], strict=True)
        there = [
            {"symbol": "BTCUSDT", "fundingTime": int(at), "fundingRate": str(rate)}
            for at, rate in rows
            if start <= at <= self.now
        ]
        return there[:limit]


@contextmanager
def stand_in(n_bars: int = 1_000, seed: int = 3) -> Iterator[StandIn]:
    """A running stand-in with BTCUSDT and ETHUSDT, half an hour into the bar after the last."""
    bars = {
        symbol: SyntheticMarket("price", 1.0, n_bars=n_bars, seed=seed + i).bars
        for i, symbol in enumerate(("BTCUSDT", "ETHUSDT"))
    }
    last = int(_milliseconds(bars["BTCUSDT"]["timestamp"])[-1])
    exchange = StandIn(bars, now=last + LENGTHS["1h"] // 2)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            exchange.requests.append((url.path, query))
            if (trouble := exchange.next_trouble(url.path)) is not None:
                if not trouble.drop:
                    self._send(trouble.status, trouble.body, trouble.retry_after)
                return
            with suppress(ConnectionError):  # whoever has waited long enough is gone
                self._send(200, json.dumps(exchange.answer(url.path, query)))

        def _send(self, status: int, body: str, retry_after: str = "") -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            if retry_after:
                self.send_header("Retry-After", retry_after)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    exchange.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield exchange
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _milliseconds(times: pd.Series) -> np.ndarray:
    return times.astype("datetime64[ms, UTC]").astype("int64").to_numpy()


def _joined(bars: pd.DataFrame, length: int) -> pd.DataFrame:
    """Hourly bars joined to longer ones."""
    if length == LENGTHS["1h"]:
        return bars
    groups = bars.groupby(bars["timestamp"].dt.floor(pd.Timedelta(length, "ms")))
    how = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
    return groups.agg(how).rename_axis("timestamp").reset_index()


def _kline(at: int, row: dict[str, Any], length: int) -> list[Any]:
    numbers = [repr(row[name]) for name in ("open", "high", "low", "close", "volume")]
    return [at, *numbers, at + length - 1, "0", 1, "0", "0", "0"]


def _market(symbol: str, quote: str, *, contract: bool = False) -> dict[str, Any]:
    base = symbol.removesuffix(quote)
    market: dict[str, Any] = {
        "symbol": symbol,
        "status": "TRADING",
        "baseAsset": base,
        "quoteAsset": quote,
        "filters": [],
    }
    if contract:
        market |= {"contractType": "PERPETUAL", "deliveryDate": NEVER, "marginAsset": quote}
    return market
