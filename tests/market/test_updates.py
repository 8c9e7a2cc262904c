"""What became of bars: how two histories differ, and a file that follows its source."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.market.stand_in import LENGTHS, StandIn, Trouble, stand_in
from trading_assets.errors import BarsRejected, MarketError
from trading_assets.market import updates
from trading_assets.market.exchange import ExchangeSource
from trading_assets.market.sources import FolderSource, fetch_bars
from trading_assets.market.synthetic import SyntheticMarket
from trading_assets.market.updates import OVERLAP, Change, compare, update_file, update_funding
from trading_assets.registry.tables import read_table


@pytest.fixture
def bars() -> pd.DataFrame:
    return SyntheticMarket(n_bars=300, seed=8).bars


def changed(bars: pd.DataFrame, row: int, column: str = "close", factor: float = 1.0001) -> pd.DataFrame:
    other = bars.copy()
    other.loc[row, column] *= factor
    return other


def test_the_same_bars_are_no_change(bars: pd.DataFrame) -> None:
    assert compare(bars, bars.copy()) == Change(0, 0, None)


def test_bars_after_the_last_are_appended(bars: pd.DataFrame) -> None:
    assert compare(bars.iloc[:200], bars) == Change(100, 0, None)
    assert str(compare(bars.iloc[:200], bars)) == "100 bars appended"


@pytest.mark.parametrize("column", ["open", "high", "low", "close", "volume"])
def test_a_revised_bar_is_found_in_any_column(bars: pd.DataFrame, column: str) -> None:
    change = compare(bars, changed(bars, 120, column))
    assert change == Change(0, 1, bars["timestamp"].iloc[120])
    assert "1 bars of the past differ, the first of 2018-01-06 00:00" in str(change)


def test_several_revised_bars_are_counted_beside_the_new_ones(bars: pd.DataFrame) -> None:
    new = changed(changed(changed(bars, 199), 50), 30)
    assert compare(bars.iloc[:200], new) == Change(100, 3, bars["timestamp"].iloc[30])


def test_bars_put_in_or_taken_out_of_the_past_are_revisions(bars: pd.DataFrame) -> None:
    without = bars.drop(index=[40, 41, 90])
    assert compare(without, bars) == Change(0, 3, bars["timestamp"].iloc[40])
    assert compare(bars, without) == Change(0, 3, bars["timestamp"].iloc[40])


def test_a_past_that_ends_sooner_is_a_revision(bars: pd.DataFrame) -> None:
    assert compare(bars, bars.iloc[:290]) == Change(0, 10, bars["timestamp"].iloc[290])
    assert compare(bars, bars.iloc[:0]) == Change(0, 300, bars["timestamp"].iloc[0])


def test_a_past_that_begins_sooner_or_later_is_a_revision(bars: pd.DataFrame) -> None:
    assert compare(bars.iloc[10:], bars) == Change(0, 10, bars["timestamp"].iloc[0])
    assert compare(bars, bars.iloc[10:]) == Change(0, 10, bars["timestamp"].iloc[0])


def test_bars_swapped_for_as_many_others_are_noticed(bars: pd.DataFrame) -> None:
    moved = bars.assign(timestamp=bars["timestamp"] + pd.Timedelta("30min"))
    change = compare(bars, moved)
    assert change.first_revised == bars["timestamp"].iloc[0]
    assert change.revised == 599 and change.appended == 1


def test_another_column_revises_the_whole_past(bars: pd.DataFrame) -> None:
    funded = bars.assign(funding_rate=0.0)
    assert compare(bars.iloc[:200], funded) == Change(100, 200, bars["timestamp"].iloc[0])
    assert compare(funded, bars) == Change(0, 300, bars["timestamp"].iloc[0])


def test_columns_in_another_order_are_no_change(bars: pd.DataFrame) -> None:
    assert compare(bars, bars[list(bars)[::-1]]) == Change(0, 0, None)


def test_everything_is_new_where_there_was_nothing(bars: pd.DataFrame) -> None:
    assert compare(bars.iloc[:0], bars) == Change(300, 0, None)


@dataclass
class Pages:
    """A source that can be interrupted, and remembers where it was asked to start."""

    bars: pd.DataFrame
    size: int = 10
    fails_after: int = 1_000_000
    error: type[BaseException] = MarketError
    asked: list[pd.Timestamp | None] = field(default_factory=list)

    def symbols(self) -> list[str]:
        return ["A"]

    def pages(self, symbol: str, since: pd.Timestamp | None = None) -> Iterator[pd.DataFrame]:
        self.asked.append(since)
        bars = self.bars if since is None else self.bars[self.bars["timestamp"] >= since]
        for n, start in enumerate(range(0, len(bars), self.size)):
            if n >= self.fails_after:
                raise self.error("broken off")
            yield bars.iloc[start : start + self.size].reset_index(drop=True)


def kept(folder: Path, symbol: str = "A") -> pd.DataFrame:
    """The file of the symbol, in a folder without any other."""
    path = folder / f"{symbol}.parquet"
    assert [file.name for file in folder.iterdir()] == [path.name]
    return read_table(path)


def test_a_new_file_holds_all_bars_and_is_read_by_a_folder(bars: pd.DataFrame, tmp_path: Path) -> None:
    path, change = update_file(Pages(bars), "A", tmp_path / "new")
    assert (path, change) == (tmp_path / "new" / "A.parquet", Change(300, 0, None))
    pd.testing.assert_frame_equal(kept(tmp_path / "new"), bars)
    pd.testing.assert_frame_equal(fetch_bars(FolderSource(tmp_path / "new"), "A"), bars)


def test_only_what_is_new_is_asked_for(bars: pd.DataFrame, tmp_path: Path) -> None:
    source = Pages(bars.iloc[:200])
    update_file(source, "A", tmp_path)
    source.bars = bars
    assert update_file(source, "A", tmp_path)[1] == Change(100, 0, None)
    assert source.asked == [None, bars["timestamp"].iloc[200 - OVERLAP]]
    pd.testing.assert_frame_equal(kept(tmp_path), bars)


def test_nothing_new_changes_nothing(bars: pd.DataFrame, tmp_path: Path) -> None:
    update_file(Pages(bars), "A", tmp_path)
    before = (tmp_path / "A.parquet").read_bytes()
    assert update_file(Pages(bars), "A", tmp_path)[1] == Change(0, 0, None)
    assert update_file(Pages(bars.iloc[:0]), "A", tmp_path)[1] == Change(0, 0, None)
    assert (tmp_path / "A.parquet").read_bytes() == before


@pytest.mark.parametrize("back", range(1, OVERLAP + 1))
def test_a_late_revision_is_taken_and_told(bars: pd.DataFrame, tmp_path: Path, back: int) -> None:
    update_file(Pages(bars.iloc[:200]), "A", tmp_path)
    revised = changed(bars, 200 - back, "volume")
    change = update_file(Pages(revised, size=2), "A", tmp_path)[1]
    assert change == Change(100, 1, bars["timestamp"].iloc[200 - back])
    pd.testing.assert_frame_equal(kept(tmp_path), revised)


@pytest.mark.parametrize("back", range(1, OVERLAP + 1))
def test_a_late_bar_that_was_taken_back_is_gone(bars: pd.DataFrame, tmp_path: Path, back: int) -> None:
    update_file(Pages(bars.iloc[:200]), "A", tmp_path)
    without = bars.drop(index=200 - back).reset_index(drop=True)
    change = update_file(Pages(without), "A", tmp_path)[1]
    assert change == Change(100, 1, bars["timestamp"].iloc[200 - back])
    pd.testing.assert_frame_equal(kept(tmp_path), without)


def test_a_file_shorter_than_the_overlap_goes_on(bars: pd.DataFrame, tmp_path: Path) -> None:
    update_file(Pages(bars.iloc[:2]), "A", tmp_path)
    assert update_file(Pages(bars), "A", tmp_path)[1] == Change(298, 0, None)
    pd.testing.assert_frame_equal(kept(tmp_path), bars)


@pytest.mark.parametrize("error", [MarketError, KeyboardInterrupt])
@pytest.mark.parametrize("pages", [1, 7, updates.PAGES_A_SAVE, updates.PAGES_A_SAVE + 3])
def test_interrupted_it_keeps_what_came_and_goes_on_from_there(
    bars: pd.DataFrame, tmp_path: Path, pages: int, error: type[BaseException]
) -> None:
    source = Pages(bars, fails_after=pages, error=error)
    with pytest.raises(error, match="broken off"):
        update_file(source, "A", tmp_path)
    came = 10 * pages
    pd.testing.assert_frame_equal(kept(tmp_path), bars.iloc[:came])
    source.fails_after = 1_000_000
    assert update_file(source, "A", tmp_path)[1] == Change(300 - came, 0, None)
    assert source.asked[1] == bars["timestamp"].iloc[came - OVERLAP]
    pd.testing.assert_frame_equal(kept(tmp_path), bars)


def test_interrupted_before_the_first_page_it_leaves_no_file(bars: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(MarketError):
        update_file(Pages(bars, fails_after=0), "A", tmp_path)
    assert not list(tmp_path.iterdir())


def test_interrupted_inside_the_overlap_it_loses_no_bar(bars: pd.DataFrame, tmp_path: Path) -> None:
    update_file(Pages(bars.iloc[:200]), "A", tmp_path)
    with pytest.raises(MarketError):
        update_file(Pages(bars, size=2, fails_after=1), "A", tmp_path)
    update_file(Pages(bars), "A", tmp_path)
    pd.testing.assert_frame_equal(kept(tmp_path), bars)


def test_a_long_update_is_saved_on_the_way(bars: pd.DataFrame, tmp_path: Path) -> None:
    seen: list[int] = []

    class Watched(Pages):
        def pages(self, symbol: str, since: pd.Timestamp | None = None) -> Iterator[pd.DataFrame]:
            for page in super().pages(symbol, since):
                seen.append(len(kept(tmp_path)) if list(tmp_path.iterdir()) else 0)
                yield page

    update_file(Watched(bars, size=5), "A", tmp_path)
    assert sorted(set(seen)) == [0, 5 * updates.PAGES_A_SAVE, 10 * updates.PAGES_A_SAVE]


def test_a_write_that_fails_leaves_the_old_file(
    bars: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    update_file(Pages(bars.iloc[:200]), "A", tmp_path)
    write = updates.write_table

    def half(frame: pd.DataFrame, path: Path) -> None:
        write(frame, path)
        path.write_bytes(path.read_bytes()[:1_000])
        raise OSError("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(updates, "write_table", half)
        with pytest.raises(OSError, match="No space"):
            update_file(Pages(bars), "A", tmp_path)
    pd.testing.assert_frame_equal(kept(tmp_path), bars.iloc[:200])
    update_file(Pages(bars), "A", tmp_path)
    pd.testing.assert_frame_equal(kept(tmp_path), bars)


def test_whoever_reads_meanwhile_has_the_old_file_as_a_whole(bars: pd.DataFrame, tmp_path: Path) -> None:
    path, _ = update_file(Pages(bars.iloc[:200]), "A", tmp_path)
    before = path.read_bytes()
    with path.open("rb") as reader:
        update_file(Pages(bars), "A", tmp_path)
        assert reader.read() == before


def test_pages_that_break_the_contract_are_not_written(bars: pd.DataFrame, tmp_path: Path) -> None:
    update_file(Pages(bars.iloc[:200]), "A", tmp_path)
    with pytest.raises(BarsRejected):
        update_file(Pages(changed(bars, 250, "high", 0.5)), "A", tmp_path)
    pd.testing.assert_frame_equal(kept(tmp_path), bars.iloc[:200])


@pytest.mark.parametrize(
    ("symbol", "name"),
    [("A", "A.csv"), ("A", "A.csv.gz"), ("A", "A.zip"), ("A", "A.feather"), ("BRK.B", "BRK.B.csv")],
)
def test_another_file_of_the_symbol_is_refused(
    bars: pd.DataFrame, tmp_path: Path, symbol: str, name: str
) -> None:
    (tmp_path / name).touch()
    with pytest.raises(MarketError, match=f"{name} holds {symbol} already"):
        update_file(Pages(bars), symbol, tmp_path)


@pytest.mark.parametrize(
    "name", ["AB.csv", "A.B.csv.gz", "A.funding.csv", "A.splits.csv", "A.txt", "A.parquet.bak"]
)
def test_files_of_others_are_no_hindrance(bars: pd.DataFrame, tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    update_file(Pages(bars), "A", tmp_path)


def test_a_file_does_not_grow_backwards(bars: pd.DataFrame, tmp_path: Path) -> None:
    begin = bars["timestamp"].iloc[100]
    update_file(Pages(bars), "A", tmp_path, since=begin)
    with pytest.raises(MarketError, match=r"begins on 2018-01-05 04:00.*to begin on 2018-01-01.*move it"):
        update_file(Pages(bars), "A", tmp_path, since=bars["timestamp"].iloc[0])
    pd.testing.assert_frame_equal(kept(tmp_path), bars.iloc[100:].reset_index(drop=True))


@pytest.mark.parametrize("offset", ["0h", "-1min", "-900D", "1h", "900D"])
def test_the_same_beginning_can_be_given_again(bars: pd.DataFrame, tmp_path: Path, offset: str) -> None:
    source = Pages(bars.iloc[:200])
    update_file(source, "A", tmp_path, since=bars["timestamp"].iloc[0] - pd.Timedelta("900D"))
    source.bars = bars
    update_file(source, "A", tmp_path, since=bars["timestamp"].iloc[0] + pd.Timedelta(offset))
    pd.testing.assert_frame_equal(kept(tmp_path), bars)


def test_no_bars_at_all_are_said(bars: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(MarketError, match="no bars of A from 2030"):
        update_file(Pages(bars), "A", tmp_path, since=pd.Timestamp("2030-01-01", tz="UTC"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("other", ["4h", "30min", "1d"])
def test_bars_of_another_interval_are_not_mixed_in(bars: pd.DataFrame, tmp_path: Path, other: str) -> None:
    update_file(Pages(bars), "A", tmp_path, interval="1h")
    source = Pages(bars)
    with pytest.raises(MarketError, match=f"holds bars of 1 h, not of {other}"):
        update_file(source, "A", tmp_path, interval=other)
    assert not source.asked


WRITERS: dict[str, Callable[[pd.DataFrame, Path], None]] = {
    "no table": lambda _, path: path.write_text("no table") and None,
    "empty": lambda bars, path: bars.iloc[:0].to_parquet(path, index=False),
    "other names": lambda bars, path: bars.rename(columns={"timestamp": "date"}).to_parquet(path),
    "epochs": lambda bars, path: bars.assign(timestamp=np.arange(300)).to_parquet(path),
}


@pytest.mark.parametrize("writer", list(WRITERS))
def test_a_file_that_was_not_written_here_is_left_alone(
    bars: pd.DataFrame, tmp_path: Path, writer: str
) -> None:
    path = tmp_path / "A.parquet"
    WRITERS[writer](bars, path)
    before = path.read_bytes()
    with pytest.raises(MarketError, match=r"A\.parquet is not one of the files written here"):
        update_file(Pages(bars), "A", tmp_path)
    assert path.read_bytes() == before


def test_columns_that_the_source_does_not_give_are_not_lost(bars: pd.DataFrame, tmp_path: Path) -> None:
    bars.assign(trades=7).to_parquet(tmp_path / "A.parquet", index=False)
    with pytest.raises(MarketError, match=r"has the columns .*trades and the source gives"):
        update_file(Pages(bars), "A", tmp_path)
    assert "trades" in kept(tmp_path)


def test_a_symbol_that_cannot_be_a_key_is_refused(bars: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(MarketError, match="cannot be a symbol"):
        update_file(Pages(bars), "../A", tmp_path)


@pytest.fixture
def exchange() -> Iterator[StandIn]:
    with stand_in() as running:
        yield running


def test_an_exchange_that_fails_half_way_is_gone_on_with(exchange: StandIn, tmp_path: Path) -> None:
    source = ExchangeSource(options=exchange.options, back_off=0.001, attempts=3, page_bars=100)
    exchange.troubles.extend([Trouble(drop=True)] * 3)
    exchange.troubled_after = 4
    with pytest.raises(MarketError, match="What came before is kept"):
        update_file(source, "BTCUSDT", tmp_path)
    pd.testing.assert_frame_equal(kept(tmp_path, "BTCUSDT"), exchange.closed().iloc[:400])
    exchange.requests.clear()
    update_file(source, "BTCUSDT", tmp_path)
    first = exchange.closed()["timestamp"].iloc[400 - OVERLAP]
    assert int(exchange.asked[0]["startTime"]) == first.value // 10**6
    assert len(exchange.asked) == 7, "605 bars"
    pd.testing.assert_frame_equal(kept(tmp_path, "BTCUSDT"), exchange.closed())


def test_an_exchange_s_new_and_revised_bars_are_told(exchange: StandIn, tmp_path: Path) -> None:
    source = ExchangeSource(options=exchange.options)
    exchange.now -= 48 * LENGTHS["1h"]
    update_file(source, "BTCUSDT", tmp_path)
    last = len(exchange.closed()) - 1
    exchange.now += 48 * LENGTHS["1h"]
    exchange.bars["BTCUSDT"].loc[last - 1, "volume"] += 1
    _, change = update_file(source, "BTCUSDT", tmp_path, interval="1h")
    assert change == Change(48, 1, exchange.closed()["timestamp"].iloc[last - 1])
    pd.testing.assert_frame_equal(kept(tmp_path, "BTCUSDT"), exchange.closed())


def with_funding(exchange: StandIn, n: int) -> pd.DataFrame:
    times = pd.date_range("2018-01-01", periods=n, freq="8h", tz="UTC", unit="ns")
    exchange.rates = pd.DataFrame({"timestamp": times, "funding_rate": np.arange(n) * 1e-6})
    return exchange.rates


def test_funding_rates_grow_beside_the_bars(exchange: StandIn, tmp_path: Path) -> None:
    source, symbol = ExchangeSource(options=exchange.options), "BTC-USDT-PERP"
    assert update_funding(source, symbol, tmp_path) == 0
    assert not list(tmp_path.iterdir())
    with_funding(exchange, 20)
    assert update_funding(source, symbol, tmp_path) == 20
    rates = with_funding(exchange, 50)
    assert update_funding(source, symbol, tmp_path) == 30
    assert update_funding(source, symbol, tmp_path) == 0
    pd.testing.assert_frame_equal(read_table(tmp_path / f"{symbol}.funding.parquet"), rates)
    update_file(source, symbol, tmp_path)
    bars = fetch_bars(FolderSource(tmp_path), symbol)
    np.testing.assert_allclose(bars["funding_rate"].iloc[: 50 * 8 : 8], rates["funding_rate"])


def test_funding_rates_in_another_file_are_left_alone(exchange: StandIn, tmp_path: Path) -> None:
    (tmp_path / "BTC-USDT-PERP.funding.csv").touch()
    with pytest.raises(MarketError, match=r"funding\.csv holds the funding rates"):
        update_funding(ExchangeSource(options=exchange.options), "BTC-USDT-PERP", tmp_path)
