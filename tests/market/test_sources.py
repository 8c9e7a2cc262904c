"""Where bars come from: what every source keeps to, and what a folder says when it does not hold them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest

from tests.market.stand_in import stand_in
from trading_assets.errors import BarsRejected, MarketError
from trading_assets.market.bars import COLUMNS, SYMBOL, check_bars
from trading_assets.market.exchange import ExchangeSource
from trading_assets.market.sources import BarSource, FolderSource, SyntheticSource, fetch_bars
from trading_assets.market.synthetic import SyntheticMarket

MARKETS = {
    "BTCUSDT": SyntheticMarket(n_bars=600, seed=3),
    "ETHUSDT": SyntheticMarket(n_bars=600, seed=4),
}
"""The bars that every source is asked for, the last one left out: the exchange has not closed it."""


def closed(symbol: str = "BTCUSDT") -> pd.DataFrame:
    return MARKETS[symbol].bars.iloc[:-1]


@pytest.fixture(params=["folder of parquet", "folder of csv", "synthetic", "exchange"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BarSource]:
    if request.param == "exchange":
        with stand_in(n_bars=600, seed=3) as exchange:
            yield ExchangeSource(options=exchange.options, page_bars=128)
        return
    if request.param == "synthetic":
        yield SyntheticSource(
            {symbol: SyntheticMarket(n_bars=599, seed=m.seed) for symbol, m in MARKETS.items()}
        )
        return
    for symbol in MARKETS:
        if request.param == "folder of csv":
            closed(symbol).to_csv(tmp_path / f"{symbol}.csv", index=False)
        else:
            closed(symbol).to_parquet(tmp_path / f"{symbol}.parquet", index=False)
    yield FolderSource(tmp_path)


def test_symbols_are_sorted_keys_of_partitions(source: BarSource) -> None:
    symbols = source.symbols()
    assert symbols == sorted(set(symbols)) and {"BTCUSDT", "ETHUSDT"} <= set(symbols)
    assert all(SYMBOL.fullmatch(symbol) for symbol in symbols)


@pytest.mark.parametrize("since", [None, 0, 250])
def test_pages_keep_the_contract_in_order_and_apart(source: BarSource, since: int | None) -> None:
    start = None if since is None else closed()["timestamp"].iloc[since]
    last = pd.Timestamp(0, tz="UTC")
    for page in source.pages("BTCUSDT", start):
        check_bars(page, "page")
        assert tuple(page) == COLUMNS and page["timestamp"].dtype == "datetime64[ns, UTC]"
        assert (page[list(COLUMNS[1:])].dtypes == "float64").all()
        assert list(page.index) == list(range(len(page)))
        assert page["timestamp"].iloc[0] > last
        last = page["timestamp"].iloc[-1]


@pytest.mark.parametrize("symbol", list(MARKETS))
def test_the_pages_together_are_all_bars(source: BarSource, symbol: str) -> None:
    pd.testing.assert_frame_equal(fetch_bars(source, symbol), closed(symbol), rtol=1e-12)


def test_asking_twice_gives_the_same(source: BarSource) -> None:
    pd.testing.assert_frame_equal(fetch_bars(source, "ETHUSDT"), fetch_bars(source, "ETHUSDT"))


@pytest.mark.parametrize(
    ("offset", "first"), [("0h", 300), ("1ns", 301), ("-1ns", 300), ("-59min", 300), ("-9999D", 0)]
)
def test_the_bar_that_opens_just_then_is_the_first(source: BarSource, offset: str, first: int) -> None:
    since = closed()["timestamp"].iloc[300] + pd.Timedelta(offset)
    expected = closed().iloc[first:].reset_index(drop=True)
    pd.testing.assert_frame_equal(fetch_bars(source, "BTCUSDT", since), expected, rtol=1e-12)


def test_the_last_bar_can_be_asked_for_alone(source: BarSource) -> None:
    bars = fetch_bars(source, "BTCUSDT", closed()["timestamp"].iloc[-1])
    pd.testing.assert_frame_equal(bars, closed().iloc[-1:].reset_index(drop=True), rtol=1e-12)


@pytest.mark.parametrize("later", ["1ns", "1h", "3650D"])
def test_after_the_last_bar_there_is_nothing(source: BarSource, later: str) -> None:
    since = closed()["timestamp"].iloc[-1] + pd.Timedelta(later)
    assert not sum(len(page) for page in source.pages("BTCUSDT", since))
    with pytest.raises(MarketError, match=r"No bars of 'BTCUSDT' from 20"):
        fetch_bars(source, "BTCUSDT", since)


def test_an_unknown_symbol_is_refused_with_what_there_is(source: BarSource) -> None:
    with pytest.raises(MarketError, match=r"'BTCUSDX'.*BTCUSDT") as refusal:
        fetch_bars(source, "BTCUSDX")
    assert "\n" not in str(refusal.value)


def test_a_page_may_be_changed_without_harm(source: BarSource) -> None:
    page = next(iter(source.pages("BTCUSDT")))
    page.loc[:, "close"] = -1.0
    pd.testing.assert_frame_equal(fetch_bars(source, "BTCUSDT"), closed(), rtol=1e-12)


def fill(folder: Path, *names: str) -> FolderSource:
    for name in names:
        (folder / name).touch()
    return FolderSource(folder)


def test_every_file_of_bars_is_found_under_its_symbol(tmp_path: Path) -> None:
    source = fill(tmp_path, "B.parquet", "A.csv", "C.csv.gz", "notes.txt", "lower.csv", ".hidden")
    assert source.files() == {
        "A": tmp_path / "A.csv",
        "B": tmp_path / "B.parquet",
        "C": tmp_path / "C.csv.gz",
    }
    assert source.file("C") == tmp_path / "C.csv.gz"


def test_the_folder_of_truth_beside_the_bars_is_no_symbol(tmp_path: Path) -> None:
    (tmp_path / "truth").mkdir()
    assert list(fill(tmp_path, "A.csv", "truth/A.parquet").files()) == ["A"]


def test_a_missing_folder_is_named_with_the_way_to_set_it(tmp_path: Path) -> None:
    with pytest.raises(MarketError, match="TRADING_ASSETS_MARKET_DIR") as refusal:
        FolderSource(tmp_path / "nowhere").file("A")
    assert str(tmp_path / "nowhere") in str(refusal.value)


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MarketError, match="does not exist"):
        FolderSource(fill(tmp_path, "A.csv").file("A")).files()


def test_an_empty_folder_is_named_with_the_way_to_fill_it(tmp_path: Path) -> None:
    assert FolderSource(tmp_path).files() == {}
    with pytest.raises(MarketError, match=r"holds no bars.*trading-assets demo") as refusal:
        FolderSource(tmp_path).file("A")
    assert str(tmp_path) in str(refusal.value)


def test_an_unknown_symbol_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    source = fill(tmp_path, "ETHUSDT.csv", "BTCUSDT.parquet")
    with pytest.raises(MarketError, match=r"No bars for 'BTC'.*There are: BTCUSDT, ETHUSDT\."):
        source.file("BTC")


def test_an_impossible_symbol_is_refused_before_the_folder_is_read(tmp_path: Path) -> None:
    with pytest.raises(MarketError, match="cannot be a symbol"):
        FolderSource(tmp_path / "nowhere").file("../A")


def test_two_files_of_one_symbol_are_both_named_and_disturb_no_other(tmp_path: Path) -> None:
    source = fill(tmp_path, "A.csv", "A.parquet", "B.csv")
    with pytest.raises(MarketError, match=r"A\.csv and A\.parquet .* both hold A; keep one"):
        source.file("A")
    assert source.file("B") == tmp_path / "B.csv" and source.symbols() == ["B"]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "A.csv").symlink_to("/proc/self/mem")
    with pytest.raises(MarketError, match=r"bars of A cannot be read: .*A\.csv"):
        fill(tmp_path).digest("A")


def test_a_file_that_is_rejected_gives_no_page(tmp_path: Path) -> None:
    frame = closed().copy()
    frame.loc[7, "close"] = -1.0
    frame.to_csv(tmp_path / "A.csv", index=False)
    with pytest.raises(BarsRejected, match="'close'"):
        fetch_bars(FolderSource(tmp_path), "A")


def funding(rate: float) -> str:
    return f"timestamp,funding_rate\n2018-01-01T08:00:00Z,{rate}\n"


def splits(factor: int) -> str:
    return f"date,factor\n2018-01-02,{factor}\n"


@pytest.mark.parametrize(("kind", "content"), [("funding", funding), ("splits", splits)])
def test_the_digest_covers_the_files_beside(tmp_path: Path, kind: str, content: Callable[[int], str]) -> None:
    source = fill(tmp_path, "A.csv", "B.csv")
    alone, beside = source.digest("A"), tmp_path / f"A.{kind}.csv"
    digests = {alone}
    for value in (0, 1):
        beside.write_text(content(value))
        assert source.symbols() == ["A", "B"]
        assert source.digest("A") == source.digest("A")
        digests.add(source.digest("A"))
    assert len(digests) == 3
    assert source.digest("B") == alone, "the same content, and nothing beside it"
    beside.unlink()
    assert source.digest("A") == alone


def test_the_digest_tells_a_rate_from_a_split(tmp_path: Path) -> None:
    source = fill(tmp_path, "A.csv")
    (tmp_path / "A.funding.csv").write_text("time,value\n")
    with_funding = source.digest("A")
    (tmp_path / "A.funding.csv").rename(tmp_path / "A.splits.csv")
    assert source.digest("A") != with_funding


def test_a_folder_gives_bars_with_the_funding_rates_beside_them(tmp_path: Path) -> None:
    closed().to_csv(tmp_path / "A.csv", index=False)
    (tmp_path / "A.funding.csv").write_text(funding(0.25))
    bars = fetch_bars(FolderSource(tmp_path), "A")
    assert bars["funding_rate"].iloc[8] == 0.25 and bars["funding_rate"].sum() == 0.25
