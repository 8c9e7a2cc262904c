"""Larger bars against pandas and against bars that an exchange made; nothing of them is known too early."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_assets.config.settings import FeatureSet
from trading_assets.features import compute_features, join_timeframe, to_timeframe
from trading_assets.features.catalogue import timeframe_seconds
from trading_assets.features.timeframes import nothing_begun, resample
from trading_assets.market.bars import to_rows
from trading_assets.market.synthetic import SyntheticMarket

REAL = Path(__file__).parents[3] / "shared" / "market"
HOUR = pd.Timedelta(hours=1)
PRICES = ["open", "high", "low", "close"]
HOW = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum", "funding_rate": "sum"}

few = settings(max_examples=20, deadline=None)


@pytest.fixture(scope="module")
def hourly(market: SyntheticMarket) -> pd.DataFrame:
    """Volumes and rates are whole numbers, so that their sums are exact in whatever order."""
    bars = market.bars.assign(funding_rate=np.where(np.arange(3_000) % 8 == 0, np.arange(3_000) % 7, 0.0))
    return bars.assign(volume=bars["volume"].round())


def by_pandas(bars: pd.DataFrame, timeframe: str) -> pd.DataFrame:
    step = timeframe.replace("1w", "W-MON")
    buckets = bars.set_index("timestamp").resample(step, closed="left", label="left")
    return buckets.agg(HOW).dropna().reset_index()


def closes_of(larger: pd.DataFrame, timeframe: str) -> pd.Series:
    return larger["timestamp"] + pd.Timedelta(seconds=timeframe_seconds(timeframe))


def nanoseconds(times: pd.Series) -> np.ndarray:
    return pd.DatetimeIndex(times).as_unit("ns").asi8


def holed(bars: pd.DataFrame, start: int, missing: list[int]) -> pd.DataFrame:
    """Bars from `start` on without those in `missing`; the first three are always there."""
    wanted = np.ones(len(bars), dtype=bool)
    wanted[missing] = False
    wanted[start : start + 3] = True
    wanted[:start] = False
    return bars[wanted].reset_index(drop=True)


@pytest.mark.parametrize("coin", ["BTCUSDT", "ETHUSDT"])
def test_five_minute_bars_of_an_exchange_make_the_hourly_bars_of_that_exchange(coin: str) -> None:
    """Prices bit for bit; volumes too, once the sum is written with as many decimals as the exchange does."""
    folders = [REAL / folder / f"{coin}.parquet" for folder in ("crypto_5m", "crypto_1h")]
    if not all(path.is_file() for path in folders):
        pytest.skip("the shared market data is not there")
    small, large = (pd.read_parquet(path).rename(columns={"date": "timestamp"}) for path in folders)
    made, closed = to_timeframe(small, "1h")
    assert len(made) == len(small) // 12
    expected = large.set_index("timestamp").loc[made["timestamp"]]
    for name in PRICES:
        assert made[name].to_numpy().tobytes() == expected[name].to_numpy().tobytes(), name
    np.testing.assert_array_equal(made["volume"].round(8), expected["volume"].round(8))
    np.testing.assert_array_equal(closed, (np.arange(len(small)) + 1) // 12)


@pytest.mark.parametrize("timeframe", ["2h", "90m", "3h", "4h", "7h", "1d", "3d", "1w"])
def test_larger_bars_are_those_of_pandas_bit_for_bit(hourly: pd.DataFrame, timeframe: str) -> None:
    made, closed = to_timeframe(hourly, timeframe)
    if timeframe == "90m":  # of hourly bars, by the time they open
        starts = hourly["timestamp"].dt.floor("90min")
        expected = hourly.groupby(starts).agg(HOW).reset_index()
    elif timeframe in {"7h", "3d"}:  # counted from 1970
        expected = hourly.set_index("timestamp").resample(timeframe, origin="epoch").agg(HOW).reset_index()
    else:
        expected = by_pandas(hourly, timeframe)
    complete = closes_of(expected, timeframe) <= hourly["timestamp"].iloc[-1] + HOUR
    expected = expected[complete]
    assert closed[-1] == len(made) == len(expected)
    assert list(made)[:7] == ["timestamp", *HOW]
    np.testing.assert_array_equal(nanoseconds(made["timestamp"]), nanoseconds(expected["timestamp"]))
    for name in HOW:
        assert made[name].to_numpy().tobytes() == expected[name].to_numpy().tobytes(), name


def test_of_the_funding_of_a_larger_bar_what_was_due_after_its_open_fell_due_within_it(
    hourly: pd.DataFrame,
) -> None:
    assert "funding_within" not in to_timeframe(hourly, "8h")[0]
    whole, _ = to_timeframe(hourly, "12h")
    at_open = hourly.set_index("timestamp")["funding_rate"][whole["timestamp"]].to_numpy()
    np.testing.assert_array_equal(whole["funding_rate"] - whole["funding_within"], at_open)
    again, _ = to_timeframe(whole, "1d")
    once, _ = to_timeframe(hourly, "1d")
    pd.testing.assert_frame_equal(again, once)


def test_weeks_begin_on_monday(hourly: pd.DataFrame) -> None:
    made, closed = to_timeframe(hourly.iloc[40:].reset_index(drop=True), "1w")
    assert (made["timestamp"].dt.dayofweek == 0).all()
    assert (made["timestamp"].dt.hour == 0).all()
    first = int(np.argmax(closed > 0))
    assert hourly["timestamp"][40 + first] == pd.Timestamp("2018-01-07 23:00", tz="UTC")


def test_a_bar_that_is_not_closed_yet_is_not_there(hourly: pd.DataFrame) -> None:
    for n in (0, 1, 2, 3):
        made, closed = to_timeframe(hourly.iloc[:n], "4h")
        assert len(made) == 0
        assert closed.tolist() == [0] * n
    made, closed = to_timeframe(hourly.iloc[:4], "4h")
    assert len(made) == 1
    assert closed.tolist() == [0, 0, 0, 1]
    assert "funding_rate" not in to_timeframe(hourly.drop(columns="funding_rate"), "4h")[0]


def test_a_bar_whose_last_small_bar_is_missing_is_known_from_the_next_one_on(hourly: pd.DataFrame) -> None:
    """Nobody knows at the close of the third hour that the fourth will never come."""
    bars = hourly.drop(index=[7]).reset_index(drop=True)
    made, closed = to_timeframe(bars.iloc[:7], "4h")
    assert closed.tolist() == [0, 0, 0, 1, 1, 1, 1]
    made, closed = to_timeframe(bars.iloc[:8], "4h")
    assert closed.tolist() == [0, 0, 0, 1, 1, 1, 1, 2]
    assert made["close"].iloc[1] == hourly["close"][6]
    # The next bar may come days later, and may be all there is of its own larger bar.
    late = hourly.drop(index=range(7, 99)).reset_index(drop=True)
    made, closed = to_timeframe(late, "4h")
    assert closed[:9].tolist() == [0, 0, 0, 1, 1, 1, 1, 3, 3]
    assert made["timestamp"].iloc[2] == hourly["timestamp"][96]
    assert made["volume"].iloc[2] == hourly["volume"][99]


def test_a_gap_between_the_very_first_bars_makes_no_larger_bar_twice(hourly: pd.DataFrame) -> None:
    made, closed = to_timeframe(hourly.iloc[[3, 6, *range(7, 40)]].reset_index(drop=True), "4h")
    assert made["timestamp"].is_unique
    assert made["open"].iloc[1] == hourly["open"][6]
    assert made["close"].iloc[1] == hourly["close"][7]
    assert closed[:3].tolist() == [1, 1, 2]


def test_who_is_not_told_how_long_bars_are_learns_it_and_makes_no_larger_bar_twice(
    hourly: pd.DataFrame,
) -> None:
    rows = to_rows(hourly.iloc[[3, 6, *range(7, 40)]])
    partial, larger = nothing_begun(0.0), np.empty((7, 40))
    closed = np.empty(rows.shape[1], dtype=np.int64)
    made = resample(rows, 4 * 3_600.0, 0.0, partial, larger, closed)
    assert len(set(larger[0, :made])) == made
    assert closed[:3].tolist() == [0, 1, 2]
    assert partial[9] == 3_600


@few
@given(
    start=st.integers(0, 60),
    missing=st.lists(st.integers(0, 599), max_size=200, unique=True),
    timeframe=st.sampled_from(["2h", "4h", "5h", "1d", "1w"]),
)
def test_larger_bars_are_known_from_their_close_on_and_not_before(
    hourly: pd.DataFrame, start: int, missing: list[int], timeframe: str
) -> None:
    """As `merge_asof` has it, wherever the bars begin and whichever of them are missing."""
    bars = holed(hourly.iloc[:600], start, missing)
    made, closed = to_timeframe(bars, timeframe)
    assert made["timestamp"].is_unique
    known = pd.DataFrame({"at": closes_of(made, timeframe), "count": np.arange(1, len(made) + 1)})
    small = pd.DataFrame({"at": bars["timestamp"] + HOUR})
    expected = pd.merge_asof(small, known, on="at", allow_exact_matches=True)["count"].fillna(0)
    np.testing.assert_array_equal(closed, expected)
    for end, count in zip(small["at"], closed, strict=True):
        assert (closes_of(made, timeframe)[:count] <= end).all()


@few
@given(
    small=st.lists(st.integers(0, 50), max_size=60).map(sorted),
    larger=st.lists(st.integers(0, 50), max_size=15, unique=True).map(sorted),
)
def test_the_join_is_that_of_pandas_with_equal_times_allowed(small: list[int], larger: list[int]) -> None:
    at, closes = np.array(small, dtype=np.int64), np.array(larger, dtype=np.int64)
    values = np.random.default_rng(len(larger)).normal(size=(len(larger), 2)).astype(np.float32)
    joined = join_timeframe(values, closes, at)
    assert joined.dtype == np.float32
    assert joined.shape == (len(small), 2)
    right = pd.DataFrame({"at": closes, "a": values[:, 0], "b": values[:, 1]})
    expected = pd.merge_asof(pd.DataFrame({"at": at}), right, on="at")[["a", "b"]]
    np.testing.assert_array_equal(joined, expected)


@pytest.mark.parametrize("start", [0, 1, 2, 3, 30])
@pytest.mark.parametrize("missing", [[], list(range(7, 2_000, 13)), list(range(500, 620))])
def test_columns_of_larger_bars_are_features_of_those_bars_joined_as_of_their_close(
    hourly: pd.DataFrame, start: int, missing: list[int]
) -> None:
    bars = holed(hourly.iloc[:2_000], start, missing)
    names = ("return_1", "rsi_5", "ema_gap_3_9", "channel_24", "parkinson_24", "volume_ratio_5_9", "body")
    parameters = {"rsi": ((5,),), "ema_gap": ((3, 9),), "volume_ratio": ((5, 9),)}
    chosen = FeatureSet(
        names=("body",), parameters=parameters, timeframes=("4h", "1d"), timeframe_names=names
    )
    table = compute_features(bars, chosen)
    for frame in ("4h", "1d"):
        made, _ = to_timeframe(bars, frame)
        own = compute_features(made, FeatureSet(names=names, parameters=parameters, timeframes=()))
        right = own.frame.assign(at=closes_of(made, frame))
        left = pd.DataFrame({"at": bars["timestamp"] + HOUR})
        expected = pd.merge_asof(left, right, on="at")
        joined = join_timeframe(
            own.frame.to_numpy(), nanoseconds(right["at"]), nanoseconds(left["at"])
        )  # the same, to the bit
        for number, column in enumerate(own.columns):
            actual = table.frame[f"{frame}_{column.name}"].to_numpy()
            # The first larger bar may lack its beginning; no window that holds it counts.
            known = left["at"] >= right["at"].iloc[column.warm_up + 1]
            np.testing.assert_array_equal(np.isnan(actual), ~known)
            np.testing.assert_array_equal(actual[known], expected[column.name][known])
            np.testing.assert_array_equal(actual[known], joined[known, number])


@pytest.mark.parametrize(
    ("interval", "timeframe"), [("1h", "4h"), ("2h", "5h"), ("1h", "150m"), ("1d", "1w")]
)
def test_the_warm_up_of_larger_bars_covers_all_that_is_missing(
    hourly: pd.DataFrame, interval: str, timeframe: str
) -> None:
    times = pd.date_range("2020-01-01 02:00", periods=600, freq=interval, tz="UTC")
    bars = hourly.iloc[:600].assign(timestamp=times)
    table = compute_features(bars, FeatureSet(names=("body",), timeframes=(timeframe,)))
    for column in table.columns:
        first = int(np.argmax(table.frame[column.name].notna()))
        assert first <= column.rows_of_warm_up(table.interval) <= first + 2 * 12, column.name
        assert table.frame[column.name].iloc[first:].notna().all()
