"""Bars from an exchange: exactly what is closed, each bar once, whatever the line does on the way."""

import itertools
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.market.stand_in import LENGTHS, StandIn, Trouble, stand_in
from trading_assets import progress
from trading_assets.errors import BarsRejected, MarketError
from trading_assets.market.bars import check_bars
from trading_assets.market.exchange import LONGEST_WAIT, ExchangeSource, market_keys
from trading_assets.market.sources import fetch_bars

HOUR = LENGTHS["1h"]


@pytest.fixture
def exchange() -> Iterator[StandIn]:
    with stand_in() as running:
        yield running


def source_of(exchange: StandIn, *, options: dict[str, Any] | None = None, **given: Any) -> ExchangeSource:
    return ExchangeSource(options={**exchange.options, **(options or {})}, back_off=0.001, **given)


def opens(frames: list[pd.DataFrame]) -> list[pd.Timestamp]:
    return [time for frame in frames for time in frame["timestamp"]]


@pytest.mark.parametrize("page_bars", [None, 999, 500, 333, 7])
def test_pages_of_any_size_make_the_same_bars(exchange: StandIn, page_bars: int | None) -> None:
    pages = list(source_of(exchange, page_bars=page_bars).pages("BTCUSDT"))
    pd.testing.assert_frame_equal(pd.concat(pages, ignore_index=True), exchange.closed())
    assert len(exchange.asked) == len(pages) == -(-999 // (page_bars or 1_000))


def test_the_bar_that_is_still_open_by_the_exchange_s_clock_is_left_out(exchange: StandIn) -> None:
    source, last = source_of(exchange), exchange.bars["BTCUSDT"]["timestamp"].iloc[-1]
    assert fetch_bars(source, "BTCUSDT")["timestamp"].iloc[-1] == last - pd.Timedelta("1h")
    exchange.now += HOUR // 2 - 1
    assert fetch_bars(source, "BTCUSDT")["timestamp"].iloc[-1] == last - pd.Timedelta("1h")
    exchange.now += 1
    assert fetch_bars(source, "BTCUSDT")["timestamp"].iloc[-1] == last


def test_our_clock_decides_where_the_exchange_shows_none(exchange: StandIn) -> None:
    source = source_of(exchange, options={"has": {"fetchTime": False}})
    assert len(fetch_bars(source, "BTCUSDT")) == 1_000
    assert not any(path.endswith("/time") for path, _ in exchange.requests)


@pytest.mark.parametrize("offset", ["0h", "-30min", "1ns"])
def test_bars_from_a_time_on_open_no_earlier(exchange: StandIn, offset: str) -> None:
    since = exchange.bars["BTCUSDT"]["timestamp"].iloc[400] + pd.Timedelta(offset)
    bars = fetch_bars(source_of(exchange, page_bars=100), "BTCUSDT", since)
    expected = exchange.closed()
    expected = expected[expected["timestamp"] >= since].reset_index(drop=True)
    pd.testing.assert_frame_equal(bars, expected)


def test_nothing_is_asked_for_that_cannot_be_there_yet(exchange: StandIn) -> None:
    source = source_of(exchange)
    open_bar = exchange.bars["BTCUSDT"]["timestamp"].iloc[-1]
    assert not list(source.pages("BTCUSDT", open_bar))
    assert not list(source.pages("BTCUSDT", open_bar + pd.Timedelta("900D")))
    assert not exchange.asked


def test_new_bars_are_found_by_asking_again(exchange: StandIn) -> None:
    source, bars = source_of(exchange), exchange.bars["BTCUSDT"]
    exchange.bars["BTCUSDT"] = bars.iloc[:600]
    exchange.now -= 400 * HOUR
    known = fetch_bars(source, "BTCUSDT")
    assert len(known) == 599
    exchange.bars["BTCUSDT"] = bars
    exchange.now += 400 * HOUR
    new = fetch_bars(source, "BTCUSDT", known["timestamp"].iloc[-1] + pd.Timedelta("1ms"))
    pd.testing.assert_frame_equal(pd.concat([known, new], ignore_index=True), exchange.closed())


@pytest.mark.parametrize("span_only", [False, True])
@pytest.mark.parametrize("page_bars", [5, 50])
@pytest.mark.parametrize(
    ("start", "stop"), [(200, 201), (101, 118), (100, 160), (199, 700), (100, 900), (0, 500)]
)
def test_holes_in_the_history_are_skipped(
    exchange: StandIn, span_only: bool, page_bars: int, start: int, stop: int
) -> None:
    bars = exchange.bars["BTCUSDT"]
    exchange.bars["BTCUSDT"] = bars.drop(index=range(start, stop)).reset_index(drop=True)
    exchange.span_only = span_only
    source = source_of(exchange, page_bars=page_bars)
    pages = list(source.pages("BTCUSDT", bars["timestamp"].iloc[0]))
    pd.testing.assert_frame_equal(pd.concat(pages, ignore_index=True), exchange.closed())


def test_the_first_bar_is_found_in_few_requests(exchange: StandIn) -> None:
    exchange.span_only = True
    bars = fetch_bars(source_of(exchange), "BTCUSDT")
    pd.testing.assert_frame_equal(bars, exchange.closed())
    assert len(exchange.asked) < 25, "from 2010 to 2018"


@pytest.mark.parametrize("span_only", [False, True])
def test_a_market_that_stopped_long_ago_ends_with_its_last_bar(exchange: StandIn, span_only: bool) -> None:
    exchange.span_only = span_only
    exchange.now += 3 * 365 * 24 * HOUR
    since = exchange.bars["BTCUSDT"]["timestamp"].iloc[0]
    assert len(fetch_bars(source_of(exchange), "BTCUSDT", since)) == 1_000
    assert len(exchange.asked) < 15


def test_a_page_that_comes_again_and_again_is_taken_once(exchange: StandIn) -> None:
    exchange.deaf = True
    bars = fetch_bars(source_of(exchange, page_bars=300), "BTCUSDT")
    pd.testing.assert_frame_equal(bars, exchange.closed().iloc[:300])
    assert len(exchange.asked) < 30


@pytest.mark.parametrize("span_only", [False, True])
def test_a_market_without_any_bar_ends_at_once(exchange: StandIn, span_only: bool) -> None:
    exchange.bars["BTCUSDT"] = exchange.bars["BTCUSDT"].iloc[:0]
    exchange.span_only = span_only
    assert not list(source_of(exchange).pages("BTCUSDT"))
    assert len(exchange.asked) < 25


def test_bars_of_other_intervals_are_asked_for_as_such(exchange: StandIn) -> None:
    bars = fetch_bars(source_of(exchange, interval="4h", page_bars=77), "BTCUSDT")
    assert (bars["timestamp"].diff().dropna() == pd.Timedelta("4h")).all()
    assert len(bars) == 249, "the last one is not complete"


def test_bars_that_break_the_contract_are_refused(exchange: StandIn) -> None:
    exchange.bars["BTCUSDT"].loc[10, "high"] /= 2
    with pytest.raises(BarsRejected, match=r"binance BTCUSDT, row 11, column 'high'"):
        fetch_bars(source_of(exchange), "BTCUSDT")


@pytest.mark.parametrize(
    "trouble",
    [
        Trouble(429),
        Trouble(418),
        Trouble(503),
        Trouble(500, body="<html>Bad</html>"),
        Trouble(504),
        Trouble(drop=True),
        Trouble(400, body='{"code": -1001, "msg": "Internal error; unable to process."}'),
        Trouble(200, body="<html>Down for maintenance</html>"),
        Trouble(200, body="[[1514764800000,"),
        Trouble(200, body=""),
    ],
    ids=["429", "418", "503", "500", "504", "dropped", "400", "a page", "half an answer", "no answer"],
)
def test_passing_troubles_cost_no_bar(exchange: StandIn, trouble: Trouble) -> None:
    exchange.troubles.extend([trouble] * 3)
    exchange.troubled_after = 4
    bars = fetch_bars(source_of(exchange, page_bars=100), "BTCUSDT")
    pd.testing.assert_frame_equal(bars, exchange.closed())
    assert len(exchange.asked) == 13


def test_each_wait_is_about_twice_the_one_before(exchange: StandIn, waits: list[float]) -> None:
    exchange.troubles.extend([Trouble()] * 5)
    source = ExchangeSource(options=exchange.options, back_off=1.0)
    fetch_bars(source, "BTCUSDT")
    assert len(waits) == 5
    assert all(0.5 * 2**i <= wait <= 1.5 * 2**i for i, wait in enumerate(waits))
    assert len({wait / 2**i for i, wait in enumerate(waits)}) == 5, "by chance, so that clients do not meet"


def test_an_exchange_that_says_when_is_not_asked_sooner(exchange: StandIn, waits: list[float]) -> None:
    exchange.troubles.extend([Trouble(429, "7"), Trouble(418, "110"), Trouble(503, "nonsense")])
    fetch_bars(source_of(exchange), "BTCUSDT")
    assert waits[:2] == [7.0, 110.0] and waits[2] < 1


def test_a_long_ban_is_said_and_not_waited_for(exchange: StandIn, waits: list[float]) -> None:
    exchange.troubles.append(Trouble(418, str(int(LONGEST_WAIT) + 1)))
    with pytest.raises(MarketError, match=r"asks to wait 121 s: DDoSProtection.*run it again later"):
        fetch_bars(source_of(exchange), "BTCUSDT")
    assert not waits


def test_troubles_that_stay_end_with_what_failed_and_what_is_kept(exchange: StandIn) -> None:
    exchange.troubles.extend([Trouble(503)] * 100)
    exchange.troubled_after = 2
    source = source_of(exchange, page_bars=100, attempts=4)
    got = []
    with pytest.raises(MarketError) as failure:
        got.extend(source.pages("BTCUSDT"))
    assert len(exchange.asked) == 2 + 4
    text = str(failure.value)
    assert "did not give bars of BTC/USDT from 2018-01-09 07:00 on in 4 attempts" in text
    assert "503" in text and "What came before is kept" in text and "\n" not in text


def test_what_came_before_a_failure_was_handed_on(exchange: StandIn) -> None:
    exchange.troubles.extend([Trouble(drop=True)] * 100)
    exchange.troubled_after = 2
    pages = source_of(exchange, page_bars=100).pages("BTCUSDT")
    pd.testing.assert_frame_equal(
        pd.concat(itertools.islice(pages, 2), ignore_index=True), exchange.closed().iloc[:200]
    )
    with pytest.raises(MarketError, match="NetworkError"):
        next(pages)


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        (Trouble(400, body='{"code": -1121, "msg": "Invalid symbol."}'), "BadSymbol"),
        (Trouble(401, body='{"code": -2014, "msg": "API-key format invalid."}'), "AuthenticationError"),
        (Trouble(451, body='{"code": 0, "msg": "a restricted location"}'), "restricted location"),
        (Trouble(404, body="<html>"), "404"),
    ],
    ids=["symbol", "key", "place", "path"],
)
def test_what_would_stay_wrong_is_not_asked_twice(exchange: StandIn, trouble: Trouble, words: str) -> None:
    exchange.troubles.extend([trouble] * 2)
    with pytest.raises(MarketError, match=f"binance refuses to give bars of BTC/USDT.*{words}") as refusal:
        fetch_bars(source_of(exchange), "BTCUSDT")
    assert len(exchange.asked) == 1 and "\n" not in str(refusal.value)


def test_an_answer_that_stays_a_login_page_is_refused(exchange: StandIn) -> None:
    exchange.troubles.extend([Trouble(200, body="<html>Please log in</html>")] * 100)
    with pytest.raises(MarketError, match=r"bars of BTC/USDT .* in 2 attempts: .*Please log in"):
        fetch_bars(source_of(exchange, attempts=2), "BTCUSDT")


def test_a_clock_that_does_not_tell_the_time_is_refused(exchange: StandIn) -> None:
    exchange.troubled = "/time"
    exchange.troubles.append(Trouble(200, body="7"))
    with pytest.raises(MarketError, match="with something else"):
        fetch_bars(source_of(exchange), "BTCUSDT")


def test_a_list_of_markets_that_does_not_come_is_said(exchange: StandIn) -> None:
    exchange.troubled = "/exchangeInfo"
    exchange.troubles.extend([Trouble(503)] * 100)
    with pytest.raises(MarketError, match="did not give its list of markets in 3 attempts"):
        source_of(exchange, attempts=3).symbols()


def test_nobody_listening_is_said() -> None:
    with stand_in() as gone:
        options = gone.options
    with pytest.raises(MarketError, match="NetworkError"):
        ExchangeSource(options=options, back_off=0.001, attempts=2).symbols()


def test_an_exchange_that_does_not_answer_in_time_is_asked_again(exchange: StandIn) -> None:
    exchange.seconds = 0.4
    source = source_of(exchange, options={"timeout": 200}, attempts=2)
    with pytest.raises(MarketError, match=r"in 2 attempts: RequestTimeout"):
        fetch_bars(source, "BTCUSDT")


def test_the_limit_of_the_rate_is_kept(exchange: StandIn, waits: list[float]) -> None:
    source = source_of(exchange, options={"enableRateLimit": True, "rateLimit": 1_000_000}, page_bars=200)
    assert len(fetch_bars(source, "BTCUSDT")) == 999
    assert len(exchange.asked) == 5 and min(waits[-4:]) > 200, "a page costs 0.4 of 1,000 s"


def test_progress_rises_to_one(exchange: StandIn) -> None:
    told: list[tuple[float, str]] = []
    with progress.listen(lambda fraction, text: told.append((fraction, text))):
        list(source_of(exchange, page_bars=100).pages("BTCUSDT"))
    fractions = [fraction for fraction, _ in told]
    assert len(told) == 10 and fractions == sorted(fractions) and fractions[-1] == 1.0
    assert told[0][1] == "BTCUSDT up to 2018-01-05 03:00:00+00:00"


def test_an_unknown_symbol_is_answered_with_the_closest(exchange: StandIn) -> None:
    source = source_of(exchange)
    with pytest.raises(MarketError, match=r"no market 'BTC/USDT'\. There are 3, the closest: BTCUSDT"):
        next(source.pages("BTC/USDT"))
    with pytest.raises(MarketError, match=r"for instance: BTC-USDT-PERP, BTCUSDT, ETHUSDT"):
        next(source.pages("QQQQQQ"))
    assert not exchange.asked


def test_an_unknown_exchange_or_interval_is_answered_with_the_known_ones(exchange: StandIn) -> None:
    with pytest.raises(MarketError, match=r"knows no exchange 'binanze'.*binance"):
        ExchangeSource("binanze").symbols()
    for interval in ("7h", "1M", ""):
        with pytest.raises(MarketError, match=rf"no bars of '{interval}'. There are: .*1h.*1w"):
            source_of(exchange, interval=interval).symbols()


def test_a_missing_ccxt_is_said_with_the_command_that_mends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ccxt", None)
    with pytest.raises(MarketError, match="pip install ccxt") as refusal:
        ExchangeSource().symbols()
    assert "\n" not in str(refusal.value)


def a_market(symbol: str, kind: str = "spot") -> dict[str, str | None]:
    pair, _, settle = symbol.partition(":")
    base, quote = pair.split("/")
    return {
        "symbol": symbol,
        "type": kind,
        "base": base,
        "quote": quote,
        "settle": settle.partition("-")[0] or None,
    }


def keys(*markets: dict[str, str | None]) -> dict[str, Any]:
    return {key: market["symbol"] for key, market in market_keys(markets).items()}


def test_every_kind_of_market_has_its_form_of_symbol() -> None:
    assert keys(
        a_market("BTC/USDT"),
        a_market("BTC/USDT:USDT", "swap"),
        a_market("BTC/USDT:USDT-241227", "future"),
        a_market("BTC/USDT:USDT-241227-50000-C", "option"),
        a_market("kPEPE/USDC:USDC", "swap"),
    ) == {
        "BTCUSDT": "BTC/USDT",
        "BTC-USDT-PERP": "BTC/USDT:USDT",
        "BTC-USDT-241227": "BTC/USDT:USDT-241227",
        "KPEPE-USDC-PERP": "kPEPE/USDC:USDC",
    }


def test_markets_that_would_share_a_symbol_take_the_long_form() -> None:
    assert keys(
        a_market("AB/CUSDT"),
        a_market("ABC/USDT"),
        a_market("BTC/USD:BTC", "swap"),
        a_market("BTC/USD:USDC", "swap"),
        a_market("ETH/USD:ETH", "swap"),
    ) == {
        "AB-CUSDT": "AB/CUSDT",
        "ABC-USDT": "ABC/USDT",
        "BTC-USD-BTC-PERP": "BTC/USD:BTC",
        "BTC-USD-USDC-PERP": "BTC/USD:USDC",
        "ETH-USD-PERP": "ETH/USD:ETH",
    }


def test_markets_without_a_possible_symbol_are_left_out() -> None:
    assert keys(a_market("币安人生/USDT"), a_market("a/B"), a_market("A/B"), a_market("C/D")) == {"CD": "C/D"}


def with_funding(exchange: StandIn, n: int) -> pd.DataFrame:
    times = pd.date_range("2018-01-01", periods=n, freq="8h", tz="UTC", unit="ns")
    exchange.rates = pd.DataFrame({"timestamp": times, "funding_rate": np.arange(n) * 1e-6})
    exchange.now = int(times[-1].value // 10**6)
    return exchange.rates


def test_funding_rates_of_a_swap_come_complete(exchange: StandIn) -> None:
    rates, source = with_funding(exchange, 250), source_of(exchange)
    pd.testing.assert_frame_equal(source.funding("BTC-USDT-PERP"), rates)
    later = source.funding("BTC-USDT-PERP", rates["timestamp"].iloc[200])
    pd.testing.assert_frame_equal(later, rates.iloc[200:].reset_index(drop=True))


def test_no_funding_rates_are_an_empty_table(exchange: StandIn) -> None:
    rates = source_of(exchange).funding("BTC-USDT-PERP", pd.Timestamp("2018-01-20", tz="UTC"))
    assert rates.empty and list(rates) == ["timestamp", "funding_rate"]


def test_spot_has_no_funding_rates(exchange: StandIn) -> None:
    source = source_of(exchange)
    assert not source.pays_funding("BTCUSDT") and source.pays_funding("BTC-USDT-PERP")
    with pytest.raises(MarketError, match="no funding rates of 'BTCUSDT'"):
        source.funding("BTCUSDT")


def test_a_swap_has_bars_like_any_other_market(exchange: StandIn) -> None:
    bars = fetch_bars(source_of(exchange), "BTC-USDT-PERP")
    check_bars(bars, "swap")
    assert any(path == "/fapi/v1/klines" for path, _ in exchange.requests)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that would have been waited."""
    passed: list[float] = []
    monkeypatch.setattr(time, "sleep", passed.append)
    return passed
