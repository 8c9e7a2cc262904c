"""What happens to every oddity in a file of bars: repaired and reported, warned of, or refused."""

import hashlib
import json
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.market.samples import HEADER, lines_of, save, sound_bars, with_line, write
from trading_assets.config.settings import IngestPolicy
from trading_assets.errors import BarsRejected, MarketError, SettingsError
from trading_assets.market.bars import COLUMNS, check_bars
from trading_assets.market.ingest import IngestResult, read_bars
from trading_assets.market.report import Finding, duration

BARS = sound_bars()
SUFFIXES = (".csv", ".parquet")
MARKET = Path(__file__).parents[3] / "shared" / "market"
"""Real bars, beside the repository where there are any."""
needs_market = pytest.mark.skipif(not MARKET.is_dir(), reason=f"there are no bars in {MARKET}")


def with_value(column: str, row: int, value: object) -> pd.DataFrame:
    frame = BARS.copy()
    frame.loc[row - 1, column] = value
    return frame


def reactions(result: IngestResult) -> list[tuple[str, str, tuple[int, ...]]]:
    return [(finding.reaction, finding.kind, finding.rows) for finding in result.report.findings]


def refusal_of(path: Path, policy: IngestPolicy | None = None, **given_: str) -> str:
    before = path.read_bytes()
    with pytest.raises(BarsRejected) as refusal:
        read_bars(path, policy=policy, **given_)
    assert path.read_bytes() == before
    message = str(refusal.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    assert message.endswith(".")
    return message


BROKEN = [
    ("open", 2, np.nan, "nan is no price"),
    ("close", 48, np.nan, "nan is no price"),
    ("high", 1, np.inf, "inf is not finite"),
    ("low", 4, -np.inf, "-inf is not finite"),
    ("high", 9, 1e308, "1e+308 is too large to be a price"),
    ("high", 9, 1.1e15, "1.1e+15 is too large to be a price"),
    ("close", 3, 0.0, "0 is not positive"),
    ("low", 2, -98.5, "-98.5 is not positive"),
    ("low", 2, -0.0, "-0 is not positive"),
    ("volume", 1, np.inf, "inf is not finite"),
    ("volume", 7, 1e308, "1e+308 is too large to be a volume"),
    ("volume", 4, -0.5, "-0.5 is negative"),
]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(("column", "row", "value", "problem"), BROKEN)
def test_a_broken_number_is_refused_by_file_row_column_and_value(
    tmp_path: Path, column: str, row: int, value: float, problem: str, suffix: str
) -> None:
    frame = with_value(column, row, value)
    path = tmp_path / f"BTCUSDT{suffix}"
    if suffix == ".csv":
        frame.assign(timestamp=frame["timestamp"].astype(str)).to_csv(path, index=False)
    else:
        save(frame, tmp_path, suffix)
    message = refusal_of(path)
    assert message.startswith(f"{path}, row {row}, column '{column}': {problem}. Correct or remove the row.")


@pytest.mark.parametrize("text", ["", "nan", "NaN", "null", "NULL", "None", "N/A", "#N/A"])
def test_a_price_may_be_missing_in_no_way(tmp_path: Path, text: str) -> None:
    path = write(
        tmp_path, with_line(6, lambda line: ",".join([*line.split(",")[:3], text, *line.split(",")[4:]]))
    )
    assert refusal_of(path).startswith(f"{path}, row 6, column 'low': nan is no price")


def test_a_message_names_the_column_as_the_file_does(tmp_path: Path) -> None:
    names = dict(zip(COLUMNS, ("Date", "Open", "High", "Low", "Close", "Vol."), strict=True))
    for frame, column in (
        (with_value("close", 5, -1.0), "Close"),
        (with_value("high", 5, 1.0), "High"),
        (with_value("volume", 5, -2.0), "Vol."),
        (with_value("timestamp", 5, pd.Timestamp("2100-01-01", tz="UTC")), "Date"),
        (with_value("timestamp", 5, BARS["timestamp"][3]), "Date"),
        (with_value("open", 5, 1e4).assign(high=2e4), "Open"),
    ):
        assert f"row 5, column '{column}': " in refusal_of(
            save(frame.rename(columns=names), tmp_path, ".parquet")
        )


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_missing_volume_becomes_0_and_is_warned_of(tmp_path: Path, suffix: str) -> None:
    frame = BARS.copy()
    frame.loc[[4, 30], "volume"] = np.nan
    result = read_bars(save(frame, tmp_path, suffix))
    pd.testing.assert_frame_equal(result.bars, frame.fillna({"volume": 0.0}))
    assert reactions(result) == [("warned", "no volume", (5, 31))]
    assert result.report.findings[0].column == "volume"


@pytest.mark.parametrize("empty", [None, np.nan])
def test_a_volume_that_is_missing_everywhere_is_0(tmp_path: Path, empty: float | None) -> None:
    frame = BARS.astype({"volume": object}).assign(volume=empty)
    for suffix in SUFFIXES:
        result = read_bars(save(frame, tmp_path, suffix))
        pd.testing.assert_frame_equal(result.bars, BARS.assign(volume=0.0))
        assert reactions(result) == [("warned", "no volume", tuple(range(1, 49)))]


def test_a_file_without_volumes_is_warned_of(tmp_path: Path) -> None:
    result = read_bars(save(BARS.drop(columns="volume"), tmp_path, ".parquet"))
    pd.testing.assert_frame_equal(result.bars, BARS.assign(volume=0.0))
    assert reactions(result) == [("warned", "no volume", ())]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_exact_duplicates_are_left_out_and_reported(tmp_path: Path, suffix: str) -> None:
    frame = BARS.iloc[[0, 1, 1, 1, *range(2, 48), 47]]
    result = read_bars(save(frame, tmp_path, suffix))
    pd.testing.assert_frame_equal(result.bars, BARS)
    assert reactions(result) == [("repaired", "exact duplicate", (3, 4, 51))]
    assert (result.report.rows_read, result.report.rows_kept) == (51, 48)


@pytest.mark.parametrize("column", ["open", "close", "volume"])
@pytest.mark.parametrize("apart", [0, 20])
def test_the_same_time_with_different_values_is_refused(tmp_path: Path, column: str, apart: int) -> None:
    again = BARS.iloc[[9]].copy()
    again[column] += 0.01
    frame = pd.concat([BARS[: 10 + apart], again, BARS[10 + apart :]])
    message = refusal_of(save(frame, tmp_path))
    assert (
        f"row {11 + apart}, column 'timestamp': 2024-01-15 09:00:00+00:00 is also the time of row 10"
        in message
    )


def test_unsorted_rows_are_put_in_order_and_reported(tmp_path: Path) -> None:
    order = [0, 1, 3, 2, *range(4, 20), 30, *range(20, 30), *range(31, 48)]
    for suffix in SUFFIXES:
        result = read_bars(save(BARS.iloc[order], tmp_path, suffix))
        pd.testing.assert_frame_equal(result.bars, BARS)
        assert reactions(result) == [("repaired", "unsorted", (4, 22))]


def test_a_descending_file_is_turned_round(tmp_path: Path) -> None:
    result = read_bars(save(BARS[::-1], tmp_path))
    pd.testing.assert_frame_equal(result.bars, BARS)
    assert reactions(result) == [("repaired", "unsorted", ())]


@settings(max_examples=40, deadline=None)
@given(st.permutations(range(12)), st.lists(st.integers(0, 11), max_size=4), st.sampled_from(SUFFIXES))
def test_any_order_with_any_repetitions_makes_the_same_bars(
    tmp_path_factory: pytest.TempPathFactory, order: list[int], again: list[int], suffix: str
) -> None:
    frame = BARS.iloc[[*order, *again]]
    result = read_bars(save(frame, tmp_path_factory.mktemp("order"), suffix))
    pd.testing.assert_frame_equal(result.bars, BARS[:12])
    assert [f.count for f in result.report.findings if f.kind == "exact duplicate"] == [len(again)] * bool(
        again
    )


@pytest.mark.parametrize("missing", [1, 24, 24 * 7])
def test_a_gap_within_the_limit_is_warned_of(tmp_path: Path, missing: int) -> None:
    bars = sound_bars(24 * 9).drop(index=range(20, 20 + missing)).reset_index(drop=True)
    result = read_bars(save(bars, tmp_path))
    pd.testing.assert_frame_equal(result.bars, bars)
    assert reactions(result) == [("warned", "gap", (21,))]
    assert f"at most {duration(missing * 3_600 * 10**9)}" in result.report.findings[0].message


def test_a_gap_beyond_the_limit_is_refused_with_both_rows(tmp_path: Path) -> None:
    bars = sound_bars(24 * 9).drop(index=range(20, 20 + 24 * 7 + 1))
    path = save(bars, tmp_path)
    assert refusal_of(path).startswith(
        f"{path}, row 21, column 'timestamp': 2024-01-22 21:00:00+00:00 comes 7 d 1 h after the end "
        "of the bar before it (row 20; allowed: 7 days). Bring the bars between"
    )
    assert len(read_bars(path, policy=IngestPolicy(max_gap_days=8)).bars) == len(bars)
    short = IngestPolicy(max_gap_days=0.5)
    assert "allowed: 0.5 days" in refusal_of(save(sound_bars(40).drop(index=range(9, 30)), tmp_path), short)


@pytest.mark.parametrize("year", [1800, 1810, 1969])
def test_the_longest_gap_that_nanoseconds_hold_is_one_too(tmp_path: Path, year: int) -> None:
    path = save(with_value("timestamp", 9, pd.Timestamp(year, 1, 1, tz="UTC")), tmp_path, ".parquet")
    message = refusal_of(path)
    assert message.startswith(f"{path}, row 1, column 'timestamp': 2024-01-15 00:00:00+00:00 comes ")
    assert "after the end of the bar before it (row 9;" in message
    assert "lies in the future" in refusal_of(
        save(with_value("timestamp", 9, pd.Timestamp("2249-12-31", tz="UTC")), tmp_path, ".parquet")
    )


def test_the_calendar_decides_what_is_a_gap(tmp_path: Path) -> None:
    days = pd.bdate_range("2024-01-02", "2024-03-28", tz="UTC").difference(
        pd.DatetimeIndex(["2024-01-15", "2024-02-19"], tz="UTC")
    )
    bars = sound_bars(len(days), freq="1D").assign(timestamp=days.as_unit("ns"))
    path = save(bars, tmp_path)
    assert [kind for _, kind, _ in reactions(read_bars(path))] == ["gap"]
    xnys = IngestPolicy(calendar="XNYS")
    assert reactions(read_bars(path, policy=xnys)) == []
    left = bars.drop(index=[20])
    assert reactions(read_bars(save(left, tmp_path), policy=xnys)) == [("warned", "gap", (21,))]
    with pytest.raises(SettingsError, match="'Wall Street'"):
        read_bars(path, policy=IngestPolicy(calendar="Wall Street"))


@pytest.mark.parametrize("row", [1, 20, 48])
def test_a_time_in_the_future_is_refused(tmp_path: Path, row: int) -> None:
    frame = with_value("timestamp", row, pd.Timestamp("2100-01-01", tz="UTC"))
    path = save(frame, tmp_path)
    start = f"{path}, row {row}, column 'timestamp': 2100-01-01 00:00:00+00:00 lies in the future."
    assert refusal_of(path).startswith(start)


def test_the_last_bar_is_left_out_while_it_is_open(tmp_path: Path) -> None:
    now = pd.Timestamp(datetime.now(UTC)).floor("1h")
    bars = BARS.assign(timestamp=pd.date_range(end=now, periods=48, freq="1h", unit="ns"))
    result = read_bars(save(bars[::-1], tmp_path, ".parquet"))
    pd.testing.assert_frame_equal(result.bars, bars[:47])
    assert reactions(result) == [("repaired", "unsorted", ()), ("repaired", "unfinished bar", (1,))]
    closed = bars.assign(timestamp=bars["timestamp"] - pd.Timedelta("1h"))
    result = read_bars(save(closed, tmp_path, ".parquet"))
    pd.testing.assert_frame_equal(result.bars, closed)
    assert reactions(result) == []


def test_a_single_bar_that_is_open_is_left_out_where_the_interval_is_known(tmp_path: Path) -> None:
    now = pd.Timestamp(datetime.now(UTC)).floor("1h")
    path = save(BARS[:1].assign(timestamp=now.as_unit("ns")), tmp_path, ".parquet")
    assert len(read_bars(path).bars) == 1
    message = refusal_of(path, interval="1D")
    assert message.startswith(f"{path}: holds no bar that has closed: the first one ends at ")
    two = BARS[:2].assign(timestamp=pd.DatetimeIndex([now - pd.Timedelta("1h"), now]).as_unit("ns"))
    result = read_bars(save(two, tmp_path, ".parquet"))
    pd.testing.assert_frame_equal(result.bars, two[:1])
    assert reactions(result) == [("repaired", "unfinished bar", (2,))]


def body(low: float, opens: float, close: float, high: float) -> pd.DataFrame:
    frame = BARS.copy()
    frame.loc[6, ["open", "high", "low", "close"]] = (opens, high, low, close)
    return frame


ENCLOSED = [
    ("high under the body", body(100.0, 100.5, 100.8, 100.79), "high", "lies below the bar's open or close"),
    ("low over the body", body(100.51, 100.5, 100.8, 101.0), "low", "lies above the bar's open or close"),
    ("high under the low", body(100.5, 100.5, 100.5, 100.49), "high", "lies below the bar's low"),
]


@pytest.mark.parametrize(("name", "frame", "column", "problem"), ENCLOSED, ids=[e[0] for e in ENCLOSED])
def test_high_and_low_within_a_tick_are_moved_and_beyond_it_refused(
    tmp_path: Path, name: str, frame: pd.DataFrame, column: str, problem: str
) -> None:
    expected = frame.copy()
    prices = frame.loc[6, ["open", "high", "low", "close"]]
    expected.loc[6, ["high", "low"]] = (prices.max(), prices.min())
    for suffix in SUFFIXES:
        result = read_bars(save(frame, tmp_path, suffix))
        pd.testing.assert_frame_equal(result.bars, expected)
        assert reactions(result) == [("repaired", "high and low", (7,))]
        tight = IngestPolicy(tick_size=0.001)
        message = refusal_of(save(frame, tmp_path, suffix), tight)
        assert f"row 7, column '{column}': " in message
        assert f"{problem} by more than a tick (0.001)" in message
    worse = frame.copy()
    worse.loc[6, column] += {"high": -0.01, "low": 0.01}[column]
    message = refusal_of(save(worse, tmp_path))
    assert (
        f"row 7, column '{column}': {worse.loc[6, column]:.10g} {problem} by more than a tick (0.01)"
        in message
    )


@pytest.mark.parametrize("scale", [1e-10, 1e-6, 1e3, 1e9])
def test_what_a_tick_is_depends_on_the_size_of_the_prices(tmp_path: Path, scale: float) -> None:
    frame = BARS.copy()
    frame[["open", "high", "low", "close"]] *= scale
    frame.loc[6, "high"] = frame.loc[6, ["open", "close"]].max() * 0.99
    assert "row 7, column 'high'" in refusal_of(save(frame, tmp_path, ".parquet"))


@pytest.mark.parametrize("factor", [2.0, 1.5, 0.5, 0.1, 7.0])
def test_a_jump_of_a_split_s_size_is_refused_unless_accepted(tmp_path: Path, factor: float) -> None:
    frame = BARS.copy()
    frame.loc[20:, ["open", "high", "low", "close"]] *= factor
    path = save(frame, tmp_path, ".parquet")
    message = refusal_of(path)
    assert message.startswith(f"{path}, row 21, column 'open': ")
    assert "times the close before it: a split, a reused symbol, or an error" in message
    assert "SYMBOL.splits.csv" in message
    result = read_bars(path, policy=IngestPolicy(accept_jumps=True))
    pd.testing.assert_frame_equal(result.bars, frame)
    assert reactions(result)[0] == ("warned", "jump", (21,))


@pytest.mark.parametrize("factor", [1.4, 1 / 1.4])
def test_a_smaller_jump_is_no_split(tmp_path: Path, factor: float) -> None:
    frame = BARS.copy()
    frame.loc[20:, ["open", "high", "low", "close"]] *= factor
    assert reactions(read_bars(save(frame, tmp_path, ".parquet"))) == []


def test_a_spike_of_ten_deviations_is_warned_of(tmp_path: Path) -> None:
    bars = sound_bars(100)
    bars.loc[60, ["high", "close"]] = 112.0
    result = read_bars(save(bars, tmp_path))
    pd.testing.assert_frame_equal(result.bars, bars)
    # The move there; the one back is judged by deviations that know the first.
    assert reactions(result)[0][:2] == ("warned", "spike")
    assert result.report.findings[0].rows[0] == 61
    calm = sound_bars(100)
    calm.loc[60, ["high", "close"]] *= 1.008
    assert reactions(read_bars(save(calm, tmp_path, ".parquet"))) == []


@pytest.mark.parametrize("row", [1, 2, 15, 29, 30, 31, 200, 300])
@pytest.mark.parametrize(
    ("column", "factor"), [("high", 100.0), ("low", 0.01), ("high", 1.05), ("low", 0.95)]
)
def test_a_wick_far_beyond_the_usual_is_warned_of_in_any_row(
    tmp_path: Path, row: int, column: str, factor: float
) -> None:
    bars = sound_bars(300)
    bars.loc[row - 1, column] *= factor
    result = read_bars(save(bars, tmp_path, ".parquet"))
    pd.testing.assert_frame_equal(result.bars, bars)
    assert reactions(result) == [("warned", "spike", (row,))]
    assert (result.report.findings[0].column, result.report.findings[0].message) == (
        column,
        "wicks of more than 15 deviations",
    )


@pytest.mark.parametrize("n", [3, 12, 40])
def test_a_wick_stands_out_in_a_file_of_few_bars_too(tmp_path: Path, n: int) -> None:
    bars = sound_bars(n)
    bars.loc[1, "high"] *= 100
    assert reactions(read_bars(save(bars, tmp_path, ".parquet"))) == [("warned", "spike", (2,))]


@pytest.mark.parametrize("row", [2, 10, 30])
def test_a_spike_among_the_first_rows_is_warned_of(tmp_path: Path, row: int) -> None:
    bars = sound_bars(100)
    bars.loc[row - 1, ["high", "close"]] *= 1.2
    assert reactions(read_bars(save(bars, tmp_path, ".parquet")))[0] == ("warned", "spike", (row, row + 1))


def test_a_usual_wick_is_none_to_speak_of(tmp_path: Path) -> None:
    bars = sound_bars(300)
    bars.loc[150, "high"] *= 1.01
    bars.loc[250, "low"] *= 0.99
    assert reactions(read_bars(save(bars, tmp_path, ".parquet"))) == []


@pytest.mark.parametrize(("length", "found"), [(12, False), (13, True), (30, True)])
def test_a_flat_run_is_warned_of(tmp_path: Path, length: int, found: bool) -> None:
    bars = BARS.copy()
    bars.loc[10 : 9 + length, ["open", "high", "low", "close"]] = 100.0
    result = read_bars(save(bars, tmp_path))
    pd.testing.assert_frame_equal(result.bars, bars)
    # The first of them still moved there from the bar before.
    assert reactions(result) == [("warned", "flat run", (12,))] * found


def test_a_market_that_never_moves_is_one_flat_run(tmp_path: Path) -> None:
    bars = BARS.assign(open=5.0, high=5.0, low=5.0, close=5.0)
    assert reactions(read_bars(save(bars, tmp_path))) == [("warned", "flat run", (2,))]


def test_negative_prices_are_allowed_where_the_policy_says_so(tmp_path: Path) -> None:
    frame = BARS.copy()
    frame[["open", "high", "low", "close"]] -= 100.0
    path = save(frame, tmp_path, ".parquet")
    assert "market.allow_negative_prices" in refusal_of(path)
    result = read_bars(path, policy=IngestPolicy(allow_negative_prices=True))
    pd.testing.assert_frame_equal(result.bars, frame)
    assert reactions(result) == []
    frame.loc[6, "high"] = -50.0
    message = refusal_of(save(frame, tmp_path, ".parquet"), IngestPolicy(allow_negative_prices=True))
    assert "row 7, column 'high': -50 lies below" in message


def test_times_off_the_grid_are_warned_of(tmp_path: Path) -> None:
    late = with_value("timestamp", 20, BARS["timestamp"][19] + pd.Timedelta("7min"))
    frame = late.drop(20).reset_index(drop=True)  # the bar after it would begin before it has ended
    result = read_bars(save(frame, tmp_path))
    pd.testing.assert_frame_equal(result.bars, frame)
    assert reactions(result) == [("warned", "off the grid", (20,))]


def test_an_interval_that_is_asked_for_must_be_the_file_s(tmp_path: Path) -> None:
    path = save(BARS, tmp_path)
    pd.testing.assert_frame_equal(read_bars(path, interval="1h").bars, BARS)
    pd.testing.assert_frame_equal(read_bars(path, interval=pd.Timedelta("60min")).bars, BARS)
    message = "holds bars of 1 h, not of 5 min. Bring the right file"
    assert message in refusal_of(path, interval="5min")


@pytest.mark.parametrize("step", [1, 100, 999])
def test_bars_of_less_than_a_second_are_refused_as_times_cut_short(tmp_path: Path, step: int) -> None:
    epochs = 1_700_000_000_000 + step * np.arange(48)
    path = save(BARS.assign(timestamp=epochs), tmp_path, ".parquet")
    message = refusal_of(path)
    assert message.startswith(f"{path}, row 2, column 'timestamp': 2023-11-14 22:13:20.")
    assert f"comes {step / 1000:g} s after the bar before it, as most do; bars are never" in message
    seconds = BARS.assign(timestamp=1_700_000_000 + np.arange(48))
    assert read_bars(save(seconds, tmp_path, ".parquet")).report.interval_seconds == 1


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    ("named", "file", "asked", "warned"),
    [
        ("BTC/USDT", "BTCUSDT", None, False),
        ("btc_usdt", "BTCUSDT", "BTCUSDT", False),
        ("BTCUSDT", "BTC_USDT-1h", None, False),
        ("BTC/USDT", "BTC_USDT-1h", "BTC_USDT-1H", False),
        ("BTC/USDT", "bars of bitcoin", None, False),
        ("ETH/USDT", "bars", "ETHUSDT", False),
        ("ETH/USDT", "BTCUSDT", "ETHUSDT", False),
        ("ETH/USDT", "BTCUSDT", None, True),
        ("ETH/USDT", "BTC_USDT-1h", None, True),
        ("BTC", "ETHBTC", None, True),
        ("BTC/USDT", "BTCUSDT", "ETHUSDT", True),
    ],
)
def test_a_file_that_says_it_holds_another_symbol_is_warned_of(
    tmp_path: Path, named: str, file: str, asked: str | None, warned: bool, suffix: str
) -> None:
    path = save(BARS.assign(symbol=named), tmp_path, suffix, file)
    result = read_bars(path, symbol=asked)
    pd.testing.assert_frame_equal(result.bars, BARS)
    assert reactions(result) == [("warned", "other symbol", ())] * warned
    if warned:
        assert named in result.report.findings[0].message


@pytest.mark.parametrize("interval", ["soon", "", "0h", "-1h", "1 fortnight", "NaT", "1e300s"])
def test_an_interval_that_is_none_is_refused_with_examples(tmp_path: Path, interval: str) -> None:
    with pytest.raises(MarketError, match="is no interval of bars: use for instance '5min', '1h' or '1D'"):
        read_bars(save(BARS, tmp_path), interval=interval)


@pytest.mark.parametrize("symbol", ["btcusdt", "BTC/USDT", "../BTC", ""])
def test_a_symbol_that_can_be_none_is_refused(tmp_path: Path, symbol: str) -> None:
    with pytest.raises(MarketError, match="cannot be a symbol"):
        read_bars(save(BARS, tmp_path), symbol=symbol)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_single_bar_is_enough(tmp_path: Path, suffix: str) -> None:
    pd.testing.assert_frame_equal(read_bars(save(BARS[:1], tmp_path, suffix)).bars, BARS[:1])


def test_a_missing_file_and_a_folder_are_refused_and_not_quarantined(tmp_path: Path) -> None:
    policy = IngestPolicy(quarantine_dir=tmp_path / "quarantine")
    with pytest.raises(MarketError, match=r"BTCUSDT\.csv does not exist\."):
        read_bars(tmp_path / "BTCUSDT.csv", policy=policy)
    (tmp_path / "FOLDER.csv").mkdir()
    with pytest.raises(MarketError, match=r"FOLDER\.csv cannot be read"):
        read_bars(tmp_path / "FOLDER.csv", policy=policy)
    assert not policy.quarantine_dir.exists()


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


REJECTED: dict[str, Callable[[], str | bytes]] = {
    "empty": lambda: b"",
    "page": lambda: "<html></html>",
    "row": lambda: with_line(3, lambda line: line + ","),
    "price": lambda: with_line(3, lambda line: line.replace(line.split(",")[2], "-1")),
}


@pytest.mark.parametrize("what", REJECTED)
def test_a_rejected_file_is_copied_with_its_report_and_not_touched(tmp_path: Path, what: str) -> None:
    path = write(tmp_path, REJECTED[what]())
    policy = IngestPolicy(quarantine_dir=tmp_path / "deep" / "quarantine")
    assert policy.quarantine_dir
    before = digest(path), path.stat().st_mtime_ns
    for _ in range(2):  # the second time is like the first
        message = refusal_of(path, policy)
        assert sorted(p.name for p in policy.quarantine_dir.iterdir()) == [
            "BTCUSDT.csv",
            "BTCUSDT.csv.report.json",
        ]
    assert (digest(path), path.stat().st_mtime_ns) == before
    assert digest(policy.quarantine_dir / path.name) == before[0]
    report = json.loads((policy.quarantine_dir / "BTCUSDT.csv.report.json").read_text())
    assert report["file"] == str(path)
    (finding,) = report["findings"]
    assert (finding["reaction"], finding["message"]) == ("rejected", message)
    assert finding["rows"] == ([3] if what in {"row", "price"} else [])


def test_another_file_of_that_name_does_not_replace_the_one_in_quarantine(tmp_path: Path) -> None:
    policy = IngestPolicy(quarantine_dir=tmp_path / "quarantine")
    assert policy.quarantine_dir
    contents = []
    for row in (3, 4):
        path = save(with_value("close", row, -1.0), tmp_path)
        contents.append(path.read_bytes())
        refusal_of(path, policy)
    kept = {p.read_bytes() for p in policy.quarantine_dir.glob("*.csv")}
    assert kept == set(contents)
    reports = [json.loads(p.read_text()) for p in policy.quarantine_dir.glob("*.report.json")]
    assert sorted(report["findings"][-1]["rows"] for report in reports) == [[3], [4]]


def test_a_quarantine_that_cannot_be_written_does_not_hide_the_reason(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    path = save(with_value("close", 3, -1.0), tmp_path)
    with pytest.raises(
        MarketError, match=r"row 3, column 'close': -1 is not positive.* could not be copied to"
    ):
        read_bars(path, policy=IngestPolicy(quarantine_dir=tmp_path / "file" / "quarantine"))


def test_an_accepted_file_is_neither_changed_nor_quarantined(tmp_path: Path) -> None:
    path = save(BARS[::-1], tmp_path)
    before = digest(path), path.stat().st_mtime_ns
    policy = IngestPolicy(quarantine_dir=tmp_path / "quarantine")
    assert policy.quarantine_dir
    read_bars(path, policy=policy)
    assert (digest(path), path.stat().st_mtime_ns) == before
    assert not policy.quarantine_dir.exists()
    assert list(tmp_path.iterdir()) == [path]


def test_a_report_lists_findings_for_a_person_and_a_program(tmp_path: Path) -> None:
    frame = pd.concat([BARS, BARS[:7]])
    report = read_bars(save(frame, tmp_path)).report
    assert report.file == str(tmp_path / "BTCUSDT.csv")
    assert report.format == "csv, delimiter ','"
    assert [finding.kind for finding in report.repairs] == ["unsorted", "exact duplicate"]
    assert report.warnings == []
    assert report.table()[1] == {
        "reaction": "repaired",
        "what": "exact duplicate",
        "rows": 7,
        "first rows": "49, 50, 51, 52, 53",
        "message": "rows that repeat another exactly left out",
    }
    report.write(tmp_path / "report.json")
    assert json.loads((tmp_path / "report.json").read_text())["findings"][1]["rows"] == list(range(49, 56))


def test_a_report_counts_all_rows_and_names_the_first_thousand(tmp_path: Path) -> None:
    bars = sound_bars(1_500, freq="1min")
    (finding,) = read_bars(save(bars.assign(volume=np.nan), tmp_path, ".parquet")).report.findings
    assert isinstance(finding, Finding)
    assert finding.count == 1_500
    assert finding.rows == tuple(range(1, 1_001))


def test_rows_keep_their_numbers_through_all_repairs(tmp_path: Path) -> None:
    """Turned round, a header repeated, a duplicate left out: the row is still where the file has it."""
    bars = sound_bars(60)
    lines = lines_of(bars)[::-1]
    lines = [*lines[:10], HEADER, *lines[10:12], lines[11], "", *lines[12:]]
    # Now the bar of index 30, in the 30th line before, stands in row 32.
    assert lines[32] == lines_of(bars)[30]
    lines[32] = lines[32].rpartition(",")[0] + ","
    result = read_bars(write(tmp_path, "\n".join([HEADER, *lines]) + "\n"))
    bars.loc[30, "volume"] = 0.0
    pd.testing.assert_frame_equal(result.bars, bars)
    assert reactions(result) == [
        ("repaired", "repeated header", (11,)),
        ("warned", "no volume", (32,)),
        ("repaired", "unsorted", ()),
        ("repaired", "exact duplicate", (14,)),
    ]


@needs_market
@pytest.mark.parametrize(
    "file", ["crypto_1h/BTCUSDT.parquet", "crypto_5m/ETHUSDT.parquet", "perp_1h/BTCUSDT.parquet"]
)
def test_real_bars_are_read_as_they_are(file: str) -> None:
    frame = pd.read_parquet(MARKET / file)
    result = read_bars(MARKET / file)
    check_bars(result.bars, file)
    np.testing.assert_array_equal(result.bars[list(COLUMNS[1:])], frame[list(COLUMNS[1:])])
    assert {finding.kind for finding in result.report.findings} <= {"gap", "spike"}


@needs_market
def test_a_real_month_of_minutes_without_zone_needs_one() -> None:
    path = MARKET / "crypto_1m" / "BTCPERP.csv"
    assert "row 1, column 'timestamp': '2021-12-31 23:01" in refusal_of(path)
    result = read_bars(path, policy=IngestPolicy(time_zone="UTC"))
    expected = pd.read_csv(path, parse_dates=["timestamp"])
    expected["timestamp"] = expected["timestamp"].dt.tz_localize("UTC").dt.as_unit("ns")
    pd.testing.assert_frame_equal(result.bars, expected)
    assert result.report.interval_seconds == 60


@needs_market
def test_real_funding_rates_are_paid_in_full(tmp_path: Path) -> None:
    (tmp_path / "BTCUSDT.parquet").symlink_to(MARKET / "perp_1h" / "BTCUSDT.parquet")
    (tmp_path / "BTCUSDT.funding.parquet").symlink_to(MARKET / "perp_funding_8h" / "BTCUSDT.parquet")
    bars = read_bars(tmp_path / "BTCUSDT.parquet").bars
    rates = pd.read_parquet(MARKET / "perp_funding_8h" / "BTCUSDT.parquet").set_index("date")["funding_rate"]
    inside = rates[bars["timestamp"].iloc[0] : bars["timestamp"].iloc[-1] + pd.Timedelta("59min")]
    assert len(inside) > 5_000
    assert bars["funding_rate"].sum() == pytest.approx(inside.sum(), rel=1e-12)
    assert (bars["funding_rate"] != 0).sum() <= len(inside)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (1, "1 s"),
        (300, "5 min"),
        (3_600, "1 h"),
        (86_400, "1 d"),
        (118_800, "1 d 9 h"),
        (0.5, "less than 1 s"),
    ],
)
def test_a_duration_is_said_in_its_own_units(seconds: float, said: str) -> None:
    assert duration(int(seconds * 1e9)) == said


def test_a_price_near_nothing_beside_a_usual_one_is_warned_of_as_a_wick(tmp_path: Path) -> None:
    bars = sound_bars()
    bars.loc[40, "low"] = 5e-324
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = read_bars(save(bars, tmp_path, ".parquet"))
    assert [(finding.kind, finding.rows) for finding in result.report.warnings] == [("spike", (41,))]
