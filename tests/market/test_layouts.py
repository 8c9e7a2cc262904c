"""The table of layouts: what other people's tools write is read right, or refused with what helps."""

import re
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.market.layouts import LAYOUTS, Layout
from tests.market.layouts.numbers import moving, turnover
from tests.market.samples import HEADER, csv_of
from trading_assets.config.settings import IngestPolicy
from trading_assets.errors import BarsRejected
from trading_assets.market.ingest import read_bars

DOCS = Path(__file__).parents[2] / "docs" / "bars.md"
READ = [layout for layout in LAYOUTS if not layout.refused]
OFFERED = [layout for layout in LAYOUTS if re.search(r"\b(timestamp|date)[,;]", " ".join(layout.refused))]


def by_name(layout: Layout) -> str:
    return layout.name


@pytest.mark.parametrize("layout", LAYOUTS, ids=by_name)
def test_what_a_tool_writes_is_read_right_or_refused_with_what_helps(layout: Layout, tmp_path: Path) -> None:
    path, bars = layout.written(tmp_path)
    if layout.refused:
        with pytest.raises(BarsRejected) as refusal:
            read_bars(path, symbol=layout.symbol, policy=layout.settings())
        for words in layout.refused:
            assert words in str(refusal.value)
        return
    result = read_bars(path, symbol=layout.symbol, policy=layout.settings())
    pd.testing.assert_frame_equal(result.bars, bars)
    # Nights are gaps to a reader without a calendar.
    kinds = (finding.kind for finding in result.report.findings if finding.kind != "gap")
    assert sorted(kinds) == sorted(layout.said)


@pytest.mark.parametrize("layout", READ, ids=by_name)
@settings(max_examples=4, deadline=None)
@given(seed=st.integers(1, 2**31))
def test_bars_that_are_written_in_a_layout_are_read_back(layout: Layout, seed: int) -> None:
    with TemporaryDirectory() as folder:
        path, bars = layout.written(Path(folder), seed)
        result = read_bars(path, symbol=layout.symbol, policy=layout.settings())
    pd.testing.assert_frame_equal(result.bars, bars)


VOLUMES = ("volume", "quote_volume", "vol", "amount", "turnover", "qty", "base_volume", "value", "x")


@settings(max_examples=40, deadline=None)
@given(
    names=st.permutations(VOLUMES),
    order=st.permutations(range(8)),
    swapped=st.booleans(),
    seed=st.integers(0, 2**31),
    parquet=st.booleans(),
)
def test_names_and_order_of_columns_that_numbers_decide_change_nothing(
    names: list[str], order: list[int], swapped: bool, seed: int, parquet: bool
) -> None:
    bars = moving(seed=seed)
    frame = bars.drop(columns="volume").assign(
        **{names[0]: bars["volume"], names[1]: turnover(bars), "trades": range(60, 0, -1)}
    )
    if swapped:
        frame = frame.rename(columns={"high": "low", "low": "high"})
    frame = frame.iloc[:, order]
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"BTCUSDT.{'parquet' if parquet else 'csv'}"
        if parquet:
            frame.to_parquet(path, index=False)
        else:
            frame.to_csv(path, index=False)
        result = read_bars(path)
    pd.testing.assert_frame_equal(result.bars, bars)


@pytest.mark.parametrize("layout", OFFERED, ids=by_name)
def test_the_line_that_is_offered_makes_the_file_readable(layout: Layout, tmp_path: Path) -> None:
    path, bars = layout.written(tmp_path)
    with pytest.raises(BarsRejected) as refusal:
        read_bars(path)
    line = str(refusal.value).rpartition(": ")[2].partition(" or ")[0]
    text = path.read_text()
    if "in place of" in str(refusal.value):
        text = text.partition("\n")[2]
    path.write_text(f"{line}\n{text}")
    read = read_bars(path, policy=IngestPolicy(time_zone="UTC")).bars
    columns = ["timestamp", "open", "high", "low", "close"]
    if "LEAN" in layout.name:
        read = read.assign(**{name: read[name] / 10_000 for name in columns[1:]})
    pd.testing.assert_frame_equal(read[columns], bars[columns])


def test_rows_that_fit_several_orders_are_offered_all_of_them(tmp_path: Path) -> None:
    still = moving().assign(open=100.0, close=100.0, high=101.0, low=99.0)
    path = tmp_path / "BTCUSDT.csv"
    path.write_text(csv_of(still).partition("\n")[2])
    with pytest.raises(BarsRejected, match="between which the values do not decide") as refusal:
        read_bars(path)
    assert HEADER in str(refusal.value)
    assert "timestamp,close,high,low,open,volume" in str(refusal.value)


def test_rows_of_which_nothing_is_known_are_offered_an_example(tmp_path: Path) -> None:
    path = tmp_path / "BTCUSDT.csv"
    path.write_text("1,2,3,4,5,6\n" * 20)
    with pytest.raises(
        BarsRejected, match=r"no column names.*for instance timestamp, open, high, low, close"
    ):
        read_bars(path)


def test_the_docs_list_every_layout() -> None:
    text = re.sub(r"\s+", " ", DOCS.read_text())
    assert [layout.name for layout in LAYOUTS if layout.name not in text] == []
