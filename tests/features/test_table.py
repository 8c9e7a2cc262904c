"""The feature table: batch, append and stream agree, nothing looks ahead, units do not matter."""

import functools
import itertools
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from trading_assets.config.settings import FeatureSet
from trading_assets.errors import MarketError, SchemaError
from trading_assets.features import (
    FeatureState,
    FeatureStream,
    FeatureTable,
    append_features,
    compute_features,
)
from trading_assets.market.synthetic import SyntheticMarket

Singles = NDArray[np.float32]
N = 1_100
"""Bars of these tests: beyond the warm-up of daily bars and two anchors of the rolling sums."""
ENOUGH = 20
"""Bars in which volume and funding vary, so that no column of them is left out."""
PRICES = ["open", "high", "low", "close"]

few = settings(max_examples=15, deadline=None)
cuts = st.lists(st.integers(ENOUGH, N) | st.sampled_from([511, 512, 513, 1_024]), max_size=6).map(sorted)


@pytest.fixture(scope="module", params=["whole", "with holes"])
def some(request: pytest.FixtureRequest, market: SyntheticMarket) -> pd.DataFrame:
    """Lively bars that begin in the middle of a larger one, some without volume, some without movement."""
    rng = np.random.default_rng(1)
    bars = market.bars.iloc[2:].reset_index(drop=True)
    funding = np.where(bars["timestamp"].dt.hour % 8 == 0, rng.normal(1e-4, 1e-4, len(bars)), 0.0)
    bars = bars.assign(funding_rate=funding)
    bars.loc[50::97, "volume"] = 0.0
    for name in PRICES:
        bars.loc[60::89, name] = bars["close"][60::89]
    if request.param == "with holes":
        there = rng.random(len(bars)) > 0.1
        there[bars["timestamp"].dt.hour % 12 == 11] = False  # the last hours of larger bars
        there[300:350] = False
        there[:ENOUGH] = True
        bars = bars[there].reset_index(drop=True)
    return bars.iloc[:N].copy()


@pytest.fixture(scope="module")
def batch(some: pd.DataFrame) -> FeatureTable:
    return compute_features(some)


def values(table: FeatureTable) -> Singles:
    return table.frame.to_numpy()


def push_all(stream: FeatureStream, bars: pd.DataFrame) -> list[Singles]:
    return [stream.push(bar) for bar in bars.itertuples(index=False)]


def pieces(bars: pd.DataFrame, stops: Iterable[int]) -> list[pd.DataFrame]:
    edges = [0, *stops, len(bars)]
    return [bars.iloc[a:b] for a, b in itertools.pairwise(edges)]


def assert_same_bits(actual: NDArray[Any], expected: NDArray[Any]) -> None:
    assert actual.dtype == expected.dtype
    assert actual.shape == expected.shape
    assert actual.tobytes() == expected.tobytes()


def assert_same_state(actual: FeatureState, expected: FeatureState, *, learnt: bool = False) -> None:
    """`learnt`: one was told how long bars are, the other has found out."""
    assert actual.feature_set == expected.feature_set
    assert actual.funding == expected.funding
    assert set(actual.arrays) == set(expected.arrays)
    for name, array in actual.arrays.items():
        compared = slice(9 if learnt and name.endswith(".partial") else None)
        assert_same_bits(array[compared], expected.arrays[name][compared])


def through_a_file(state: FeatureState, folder: Path) -> FeatureState:
    state.save(folder / "state.safetensors")
    return FeatureState.load(folder / "state.safetensors")


def test_the_table_has_a_row_a_bar_and_a_column_a_feature(some: pd.DataFrame, batch: FeatureTable) -> None:
    assert batch.frame.shape == (N, len(batch.columns)) == (len(some), 82)
    assert len(batch) == N
    assert (batch.frame.dtypes == np.float32).all()
    assert list(batch.frame) == [column.name for column in batch.columns]
    assert batch.interval == 3_600
    assert batch.frame is batch.frame  # made once


def test_values_are_missing_in_the_warm_up_and_nowhere_else(batch: FeatureTable) -> None:
    missing = np.isnan(values(batch))
    rows = np.arange(N)
    for column, gone in zip(batch.columns, missing.T, strict=True):
        if column.timeframe:
            assert not gone[column.rows_of_warm_up(batch.interval) :].any(), column.name
            assert (np.diff(gone.astype(int)) <= 0).all(), column.name
            assert gone[0], column.name
        else:
            np.testing.assert_array_equal(gone, rows < column.warm_up, err_msg=column.name)
    assert not missing[batch.warm_up :].any()
    assert batch.warm_up == max(column.rows_of_warm_up(3_600) for column in batch.columns) == 624
    assert not np.isinf(values(batch)).any()


def test_every_feature_moves(batch: FeatureTable) -> None:
    assert (values(batch)[batch.warm_up :].std(axis=0) > 0).all()


@few
@given(stops=cuts)
def test_appending_in_pieces_equals_the_batch_bit_for_bit(
    some: pd.DataFrame, batch: FeatureTable, stops: list[int]
) -> None:
    first, *rest = pieces(some, stops)
    table = functools.reduce(append_features, rest, compute_features(first))
    assert_same_bits(values(table), values(batch))
    assert_same_state(table.state, batch.state)
    assert table.left_out == batch.left_out
    assert table.feature_set == batch.feature_set


def test_appending_bar_by_bar_equals_the_batch_bit_for_bit(some: pd.DataFrame, batch: FeatureTable) -> None:
    """Across both anchors and borders of days."""
    for start, stop in ((500, 530), (1_015, 1_030)):
        table = compute_features(some.iloc[:start])
        for i in range(start, stop):
            table = append_features(table, some.iloc[i : i + 1])
            assert len(table) == i + 1
        assert_same_bits(values(table), values(batch)[:stop])
        assert_same_state(table.state, compute_features(some.iloc[:stop]).state)


@pytest.mark.parametrize("start", [1, 2])
def test_a_table_may_begin_with_few_bars(some: pd.DataFrame, start: int, tmp_path: Path) -> None:
    """Of columns that it takes no volume or funding to know of."""
    chosen = FeatureSet(names=("*", "!volume", "!funding"))
    table = compute_features(some.iloc[:start], chosen)
    assert table.frame.shape[0] == start
    table.save(tmp_path)
    whole = compute_features(some, chosen)
    for begun in (table, FeatureTable.load(tmp_path)):
        grown = append_features(append_features(begun, some.iloc[start : start + 1]), some.iloc[start + 1 :])
        assert_same_bits(values(grown), values(whole))
        assert_same_state(grown.state, whole.state, learnt=True)
        assert grown.warm_up == whole.warm_up
        assert grown.interval == whole.interval


def test_a_table_that_took_a_gap_for_the_interval_is_not_continued(some: pd.DataFrame) -> None:
    """Of a few bars one may not see how long bars are, and so which larger ones there can be."""
    times = pd.date_range("2018-01-01", periods=N, freq="h", tz="UTC", unit="ns")
    bars = some.assign(timestamp=times).iloc[[0, 3, *range(6, 300)]]
    begun = compute_features(bars.iloc[:2])
    with pytest.raises(MarketError, match="10800 s apart, most of the 294 new ones 3600 s; compute it anew"):
        append_features(begun, bars.iloc[2:])


def test_appending_nothing_changes_nothing(some: pd.DataFrame, batch: FeatureTable) -> None:
    same = append_features(append_features(batch, some.iloc[:0]), some.iloc[N:])
    assert_same_bits(values(same), values(batch))
    assert_same_state(same.state, batch.state)


def test_appending_leaves_the_table_it_starts_from_alone(some: pd.DataFrame) -> None:
    table = compute_features(some.iloc[:500])
    before = values(table).copy()
    state = {name: array.copy() for name, array in table.state.arrays.items()}
    append_features(table, some.iloc[500:])
    assert_same_bits(values(table), before)
    assert len(table) == 500
    for name, array in table.state.arrays.items():
        assert_same_bits(array, state[name])


@few
@given(fork=st.integers(ENOUGH, N - 2), seed=st.integers(0, 1_000))
def test_a_table_appended_to_twice_makes_two_independent_tables(
    some: pd.DataFrame, batch: FeatureTable, fork: int, seed: int
) -> None:
    """They share their first rows; the second must not write over the first, nor what grows from it."""
    other = some.copy()
    scale = np.exp(np.random.default_rng(seed).normal(0, 0.1, N - fork))
    for name in PRICES:
        other.loc[fork:, name] *= scale
    table = compute_features(some.iloc[:fork])
    middle = (fork + N) // 2
    first = append_features(table, some.iloc[fork:middle])
    second = append_features(table, other.iloc[fork:middle])
    first = append_features(first, some.iloc[middle:])
    second = append_features(second, other.iloc[middle:])
    third = append_features(table, some.iloc[fork:])
    assert_same_bits(values(first), values(batch))
    assert_same_bits(values(third), values(batch))
    assert_same_bits(values(second), values(compute_features(other)))
    assert_same_bits(values(table), values(batch)[:fork])


def test_a_refused_append_spoils_nothing(some: pd.DataFrame, batch: FeatureTable) -> None:
    table = compute_features(some.iloc[:700])
    broken = some.iloc[700:].copy()
    broken.loc[900, "low"] = -1.0
    with pytest.raises(MarketError):
        append_features(table, broken)
    assert_same_bits(values(append_features(table, some.iloc[700:])), values(batch))


def test_a_table_outgrows_its_room_many_times(some: pd.DataFrame) -> None:
    """Beyond the spare rows of a small table, twice; some of them forked on the way."""
    bars = SyntheticMarket("mixed", 1.0, n_bars=9_500, seed=2).bars
    table = compute_features(bars.iloc[:ENOUGH])
    tables = [table]
    for start in range(ENOUGH, len(bars), 790):
        table = append_features(table, bars.iloc[start : start + 790])
        tables.append(table)
        append_features(tables[-2], bars.iloc[start + 5 : start + 9])
    whole = compute_features(bars)
    for table in tables:
        assert_same_bits(values(table), values(whole)[: len(table)])
    assert_same_state(tables[-1].state, whole.state)


def test_streaming_equals_the_batch_bit_for_bit(some: pd.DataFrame, batch: FeatureTable) -> None:
    stream = FeatureStream()
    live = push_all(stream, some)
    assert live[0].dtype == np.float32
    assert live[0].shape == (len(batch.columns),)
    assert_same_bits(np.stack(live), values(batch))
    assert_same_state(stream.state, batch.state, learnt=True)
    assert [column.name for column in stream.columns] == list(batch.frame)


def test_a_bar_may_be_a_mapping(some: pd.DataFrame, batch: FeatureTable) -> None:
    stream = FeatureStream()
    live = [stream.push(bar) for bar in some.iloc[:300].to_dict("records")]
    live += [stream.push(bar) for _, bar in some.iloc[300:350].iterrows()]
    assert_same_bits(np.stack(live), values(batch)[:350])


def test_what_push_returns_is_not_written_to_again(some: pd.DataFrame, batch: FeatureTable) -> None:
    stream = FeatureStream(state=compute_features(some.iloc[:900]).state)
    kept = stream.push(next(some.iloc[900:].itertuples(index=False)))
    push_all(stream, some.iloc[901:910])
    assert_same_bits(kept, values(batch)[900])


@few
@given(stops=st.lists(st.integers(1, N), max_size=3).map(sorted))
def test_a_stream_that_is_stopped_saved_and_restored_equals_the_batch_bit_for_bit(
    some: pd.DataFrame,
    batch: FeatureTable,
    tmp_path_factory: pytest.TempPathFactory,
    stops: list[int],
) -> None:
    folder = tmp_path_factory.mktemp("state")
    state, rows = None, []
    for piece in pieces(some, stops):
        stream = FeatureStream(state=state)
        rows += push_all(stream, piece)
        state = through_a_file(stream.state, folder)
        assert_same_state(state, stream.state)
    assert_same_bits(np.stack(rows), values(batch))


@few
@given(start=st.integers(ENOUGH, N - 1), middle=st.integers(ENOUGH, N - 1))
def test_a_stream_goes_on_from_a_table_and_leaves_its_state_alone(
    some: pd.DataFrame,
    batch: FeatureTable,
    tmp_path_factory: pytest.TempPathFactory,
    start: int,
    middle: int,
) -> None:
    start, middle = min(start, middle), max(start, middle)
    table = append_features(compute_features(some.iloc[:start]), some.iloc[start:middle])
    kept = through_a_file(table.state, tmp_path_factory.mktemp("state"))
    stream = FeatureStream(table.feature_set, table.state)
    live = push_all(stream, some.iloc[middle:])
    assert_same_bits(np.stack(live), values(batch)[middle:])
    assert_same_state(table.state, kept)
    assert_same_state(stream.state, batch.state)


def test_a_state_taken_from_a_stream_does_not_move_on_with_it(some: pd.DataFrame) -> None:
    stream = FeatureStream()
    push_all(stream, some.iloc[:600])
    state = stream.state
    expected = push_all(stream, some.iloc[600:700])
    assert_same_bits(np.stack(push_all(FeatureStream(state=state), some.iloc[600:700])), np.stack(expected))


@pytest.mark.parametrize("names", [("return_1",), ("body", "day_sin"), ("rsi_14", "kurtosis_168")])
def test_a_few_columns_are_those_of_all(
    some: pd.DataFrame, batch: FeatureTable, names: tuple[str, ...], tmp_path: Path
) -> None:
    """Whatever else is computed beside them; also where there is nothing to remember."""
    table = compute_features(some.iloc[:600], FeatureSet(names=names, timeframes=()))
    table = append_features(table, some.iloc[600:900])
    stream = FeatureStream(state=through_a_file(table.state, tmp_path))
    live = np.stack(push_all(stream, some.iloc[900:]))
    expected = batch.frame[list(names)].to_numpy()
    np.testing.assert_array_equal(values(table), expected[:900])
    np.testing.assert_array_equal(live, expected[900:])


def test_a_saved_table_is_read_back_and_goes_on(
    some: pd.DataFrame, batch: FeatureTable, tmp_path: Path
) -> None:
    table = compute_features(some.iloc[:700])
    table.save(tmp_path)
    again = FeatureTable.load(tmp_path)
    assert_same_bits(values(again), values(table))
    assert_same_state(again.state, table.state)
    assert again.columns == table.columns
    assert (again.left_out, again.interval, again.warm_up) == (table.left_out, 3_600, 624)
    assert_same_bits(values(append_features(again, some.iloc[700:])), values(batch))
    assert_same_bits(values(again), values(table))


def changed_after(bars: pd.DataFrame, t: int, seed: int) -> pd.DataFrame:
    """Other prices, volumes, rates and times after bar `t`."""
    rng, n = np.random.default_rng(seed), len(bars) - t - 1
    other = bars.copy()
    scale = np.exp(rng.normal(0, 0.5, n))
    for name in PRICES:
        other.loc[t + 1 :, name] *= scale
    other.loc[t + 1 :, "high"] *= np.exp(abs(rng.normal(0, 0.1, n)))
    other.loc[t + 1 :, "low"] *= np.exp(-abs(rng.normal(0, 0.1, n)))
    other.loc[t + 1 :, "volume"] *= np.exp(rng.normal(0, 2, n))
    other.loc[t + 1 :, "volume"] += 1.0
    other.loc[t + 1 :, "funding_rate"] += rng.normal(0, 1e-3, n)
    other.loc[t + 1 :, "timestamp"] += pd.Timedelta(minutes=int(rng.integers(1, 600)))
    return other


@few
@given(t=st.integers(0, N - 2), seed=st.integers(0, 2**32 - 1))
def test_no_feature_knows_a_later_bar(some: pd.DataFrame, batch: FeatureTable, t: int, seed: int) -> None:
    changed = compute_features(changed_after(some, t, seed), batch.feature_set)
    assert list(changed.frame) == list(batch.frame)
    assert_same_bits(values(changed)[: t + 1], values(batch)[: t + 1])
    assert values(changed)[t + 1 :].tobytes() != values(batch)[t + 1 :].tobytes()


@pytest.mark.parametrize("t", [623, 700, 767, 800])
def test_every_feature_knows_the_bars_that_were_changed(
    some: pd.DataFrame, batch: FeatureTable, t: int
) -> None:
    """So that the test before this one would notice."""
    changed = compute_features(changed_after(some, t, 0), batch.feature_set)
    differs = values(changed) != values(batch)
    assert not (differs & ~np.isnan(values(batch)))[: t + 1].any()
    assert differs[max(t + 1, batch.warm_up) :].any(axis=0).all()


@few
@given(t=st.integers(1, N))
def test_leaving_out_the_later_bars_changes_nothing(some: pd.DataFrame, batch: FeatureTable, t: int) -> None:
    short = compute_features(some.iloc[:t]).frame
    assert t < ENOUGH or list(short) == list(batch.frame)
    assert_same_bits(short.to_numpy(), batch.frame[list(short)].to_numpy()[:t])


@few
@given(t=st.integers(ENOUGH, N - 2), n=st.integers(1, 200))
def test_leaving_out_bars_in_between_changes_nothing_before_them(
    some: pd.DataFrame, batch: FeatureTable, t: int, n: int
) -> None:
    cut = pd.concat([some.iloc[: t + 1], some.iloc[t + 1 + n :]], ignore_index=True)
    assert_same_bits(values(compute_features(cut, batch.feature_set))[: t + 1], values(batch)[: t + 1])


@pytest.mark.parametrize("factor", [8.0, 2.0**-20, 2.0**20, 0.01])
def test_the_unit_of_the_price_does_not_matter(
    some: pd.DataFrame, batch: FeatureTable, factor: float
) -> None:
    scaled = some.assign(**{name: some[name] * factor for name in PRICES})
    # Powers of two round nothing, but ln(8 x) and ln(x) + ln(8) differ in the last of 53 bits.
    np.testing.assert_allclose(values(compute_features(scaled)), values(batch), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("factor", [8.0, 2.0**-20, 2.0**20])
def test_the_unit_of_the_volume_does_not_matter_where_it_is_not_counted_from_one(
    some: pd.DataFrame, batch: FeatureTable, factor: float
) -> None:
    scaled = compute_features(some.assign(volume=some["volume"] * factor)).frame
    logarithms_of_one_plus_it = ["volume_z_48", "return_volume_correlation_48"]
    rest = batch.frame.drop(columns=logarithms_of_one_plus_it)
    np.testing.assert_allclose(scaled[list(rest)], rest, rtol=1e-6, atol=1e-7)
    assert (scaled[logarithms_of_one_plus_it] != batch.frame[logarithms_of_one_plus_it]).any().all()


def test_bars_before_1970_are_bars_like_any_others(market: SyntheticMarket) -> None:
    """Larger bars are closed on time there too, weeks and days counted backwards."""
    bars = market.bars.iloc[:1_000]
    long_ago = bars.assign(timestamp=bars["timestamp"] - pd.Timedelta(weeks=52 * 60))
    then, now = compute_features(long_ago).frame, compute_features(bars).frame
    np.testing.assert_allclose(then, now, rtol=1e-6, atol=1e-7)


FIELDS = "A bar needs the fields timestamp, open, high, low, close, volume; got "
NO_BARS: dict[str, tuple[Callable[[pd.DataFrame], object], str]] = {
    "no frame": (lambda bars: bars.to_dict("records")[:1], "which is no DataFrame"),
    "nothing": (lambda _: pd.DataFrame(), "a frame with the columns none (missing: timestamp, open, high"),
    "no rows": (lambda bars: bars.iloc[:0], "a frame without rows"),
    "no close": (lambda bars: bars.drop(columns="close"), "(missing: close)"),
    "a column twice": (lambda bars: bars[[*bars, "open"]], "2 columns 'open' (only one can be meant)"),
    "two capitals": (
        lambda bars: bars.rename(columns={"low": "Low"}).assign(LOW=1.0),
        "2 columns 'Low' (only one can be meant)",
    ),
    "text": (lambda bars: bars.assign(high=bars["high"].astype(str)), "the high '1.0' (it is no number; "),
    "a text": (
        lambda bars: bars.assign(volume=bars["volume"].astype(object).replace(50.0, "many")),
        "the volume 'many' (it is no number; bars['volume'].astype(float) makes one of it",
    ),
    "truth": (lambda bars: bars.assign(close=True), "the close True (it is no number; "),
    "naive": (
        lambda bars: bars.assign(timestamp=bars["timestamp"].dt.tz_localize(None)),
        "the timestamp Timestamp('2020-01-01 00:00:00') (it has no time zone; tz_localize('UTC') gives",
    ),
    "naive index": (
        lambda bars: bars.set_index("timestamp").tz_localize(None),
        "it has no time zone",
    ),
    "text times": (lambda bars: bars.assign(timestamp=bars["timestamp"].astype(str)), "pd.to_datetime("),
    "epochs": (lambda bars: bars.assign(timestamp=range(len(bars))), "the timestamp 0 (it is no time; "),
}  # fmt: skip


@pytest.mark.parametrize("what", list(NO_BARS))
def test_what_are_no_bars_is_refused_with_what_a_bar_needs(what: str) -> None:
    bars = few_bars(100)
    spoil, said = NO_BARS[what]
    with pytest.raises(MarketError) as refusal:
        compute_features(spoil(bars))  # type: ignore[arg-type]
    assert str(refusal.value).startswith(FIELDS)
    assert said in str(refusal.value)
    if what != "no rows":
        with pytest.raises(MarketError, match=re.escape(said)):
            append_features(compute_features(bars), spoil(bars))  # type: ignore[arg-type]


def few_bars(n: int) -> pd.DataFrame:
    """Whole numbers as floats, so that their text is short."""
    price = 1.0 + np.arange(n) % 7
    times = pd.date_range("2020-01-01", periods=n, freq="h", tz="UTC")
    columns = dict.fromkeys(("open", "high", "low", "close"), price)
    return pd.DataFrame({"timestamp": times, **columns, "volume": 1.0 + np.arange(n) % 50})


FORMS: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "capitals": lambda bars: bars.rename(columns=str.capitalize),
    "shouted": lambda bars: bars.rename(columns=str.upper),
    "a time index": lambda bars: bars.set_index("timestamp"),
    "a time index of another zone": lambda bars: bars.set_index("timestamp").tz_convert("Asia/Tokyo"),
    "as yfinance": lambda bars: bars.set_index("timestamp").rename(columns=str.title).assign(Split="none"),
    "other columns": lambda bars: bars.assign(Close=0.0, symbol="BTC").iloc[:, ::-1],
    "other types": lambda bars: bars.astype({"timestamp": "datetime64[s, UTC]", "volume": "Float64"}),
    "types of Arrow": lambda bars: bars.convert_dtypes(dtype_backend="pyarrow"),
    "whole numbers": lambda bars: bars.astype({"volume": int, "close": "int32"}),
    "another index": lambda bars: bars.set_index(pd.Index(range(5, 5 + len(bars)))),
}  # fmt: skip


@pytest.mark.parametrize("form", list(FORMS))
def test_bars_may_be_written_with_capitals_and_with_times_in_the_index(form: str) -> None:
    bars = few_bars(600)
    whole, written = compute_features(bars), FORMS[form]
    given_, before = written(bars), written(bars)
    table = compute_features(given_)
    assert_same_bits(values(table), values(whole))
    assert_same_state(table.state, whole.state)
    assert_same_bits(
        values(append_features(compute_features(bars.iloc[:400]), written(bars.iloc[400:]))), values(whole)
    )
    pd.testing.assert_frame_equal(given_, before)


def test_a_missing_value_of_pandas_own_types_is_a_missing_number() -> None:
    bars = few_bars(10).astype({"close": "Float64"})
    bars.loc[3, "close"] = pd.NA
    with pytest.raises(MarketError, match=r"Bar 3 .*is not finite"):
        compute_features(bars)


@pytest.mark.parametrize("price", [0.0, -3.5, np.nan])
@pytest.mark.parametrize("name", PRICES)
def test_a_price_that_has_no_logarithm_is_named(some: pd.DataFrame, name: str, price: float) -> None:
    bars = some.copy()
    bars.loc[321, name] = price
    with pytest.raises(MarketError, match=rf"Bar 321 .*{name} {price:g} is not (positive|finite)"):
        compute_features(bars)


@pytest.mark.parametrize(
    ("column", "value", "told"),
    [
        ("timestamp", pd.NaT, "is not after the bar before it"),
        ("timestamp", pd.Timestamp("2018-01-01", tz="UTC"), "is not after the bar before it"),
        ("high", np.inf, "is not finite"),
        ("high", 1e-3, "lies below the bar's open or close"),
        ("volume", np.nan, "is not finite"),
        ("volume", -1.0, "is negative"),
        ("funding_rate", np.nan, "is not finite"),
    ],
)
@pytest.mark.parametrize("row", [0, 321, 500])
def test_a_bar_that_cannot_be_is_named_and_has_no_features(
    some: pd.DataFrame, row: int, column: str, value: object, told: str
) -> None:
    bars = some.copy()
    bars.loc[row, column] = value
    if row == 0 and column == "timestamp" and value is not pd.NaT:
        return  # the first bar may have any time
    with pytest.raises(MarketError, match=rf"Bar {row} .*{told}"):
        compute_features(bars)
    if row == 500:
        table = compute_features(some.iloc[:500])
        with pytest.raises(MarketError, match=rf"Bar {row} .*{told}"):
            append_features(table, bars.iloc[500:])
        with pytest.raises(MarketError, match=f"{told}|the timestamp is missing"):
            FeatureStream(state=table.state).push(bars.iloc[500].to_dict())


@pytest.mark.parametrize("order", ["descending", "twice"])
def test_bars_out_of_order_are_refused(some: pd.DataFrame, order: str) -> None:
    """Descending, every feature would be made of the future."""
    wrong = some.iloc[::-1] if order == "descending" else pd.concat([some, some.iloc[-1:]])
    with pytest.raises(MarketError, match="is not after the bar before it"):
        compute_features(wrong)
    table = compute_features(some.iloc[:500])
    with pytest.raises(MarketError, match="is not after the bar before it"):
        append_features(table, pd.concat([some.iloc[900:901], some.iloc[:50]]))


@pytest.mark.parametrize("time", [1514764800000, 1514764800.5, np.int64(1514764800), "2018-01-01 00:00"])
def test_a_live_time_that_is_a_number_or_has_no_zone_is_refused(some: pd.DataFrame, time: object) -> None:
    """Milliseconds, as exchanges send them, would be nanoseconds of 1970."""
    bar = some.iloc[0].to_dict()
    with pytest.raises(MarketError, match="timestamp"):
        FeatureStream().push(bar | {"timestamp": time})


@pytest.mark.parametrize("bar", [None, 3.0, [], ()])
def test_what_is_no_bar_is_refused(bar: object) -> None:
    with pytest.raises(MarketError, match="needs the fields"):
        FeatureStream().push(bar)


def test_bars_of_two_lengths_have_no_value_missing_after_the_warm_up(some: pd.DataFrame) -> None:
    """Daily features take longer to come where bars were shorter at first."""
    short = spaced_from(some, pd.Timestamp("2018-01-01", tz="UTC"), "5min")
    long = spaced_from(some, short["timestamp"].iloc[-1] + pd.Timedelta("1h"), "1h")
    table = compute_features(pd.concat([short, long]))
    assert table.frame.iloc[table.warm_up :].notna().all(axis=None)
    assert table.frame.iloc[table.warm_up - 1].isna().any()


def spaced_from(bars: pd.DataFrame, start: pd.Timestamp, interval: str) -> pd.DataFrame:
    return bars.assign(timestamp=pd.date_range(start, periods=len(bars), freq=interval, unit="ns"))


def test_one_bar_off_the_grid_moves_no_larger_bar(some: pd.DataFrame) -> None:
    early = some.iloc[600:601].assign(timestamp=some["timestamp"].iloc[600] - pd.Timedelta("1min"))
    odd = pd.concat([some.iloc[:600], early, some.iloc[600:]], ignore_index=True)
    names = [name for name in compute_features(some).frame if name.startswith("4h_return")]
    usual, other = compute_features(some).frame[names], compute_features(odd).frame[names]
    np.testing.assert_array_equal(other.to_numpy()[612:], usual.to_numpy()[611:])


def test_bars_that_do_not_follow_are_refused(some: pd.DataFrame) -> None:
    table = compute_features(some.iloc[:500])
    stream = FeatureStream(state=table.state)
    for start in (0, 250, 499):  # the last is of equal time
        with pytest.raises(MarketError, match="is not after the bar before it"):
            append_features(table, some.iloc[start:])
        told = ".*".join(re.escape(str(some["timestamp"][i])) for i in (start, 499))
        with pytest.raises(MarketError, match=told):
            stream.push(next(some.iloc[start:].itertuples(index=False)))
    with pytest.raises(MarketError, match="funding_rate"):
        append_features(table, some.iloc[500:].drop(columns="funding_rate"))


@pytest.mark.parametrize("kind", ["mapping", "tuple"])
@pytest.mark.parametrize("name", ["timestamp", *PRICES, "volume", "funding_rate"])
def test_a_bar_that_lacks_a_field_is_refused_by_name(some: pd.DataFrame, kind: str, name: str) -> None:
    stream = FeatureStream(state=compute_features(some.iloc[:500]).state)
    rest = some.iloc[500:501].drop(columns=name)
    bar: Any = next(rest.itertuples(index=False)) if kind == "tuple" else rest.to_dict("records")[0]
    with pytest.raises(MarketError, match=f"fields timestamp, open, .*{name}"):
        stream.push(bar)


BAD = [
    *((name, value) for name in PRICES for value in (0.0, -1.0, np.nan, np.inf, None, "dear")),
    *(("volume", value) for value in (-1.0, np.nan, np.inf, -np.inf, None)),
    *(("funding_rate", value) for value in (np.nan, np.inf, -np.inf, None)),
    *(("timestamp", value) for value in (pd.NaT, None, "noon")),
]


@pytest.mark.parametrize(("name", "value"), BAD)
def test_a_bad_bar_is_refused_and_forgotten(
    some: pd.DataFrame, batch: FeatureTable, name: str, value: Any
) -> None:
    """The stream goes on with the right bar as if nothing had been."""
    stream = FeatureStream(state=compute_features(some.iloc[:500]).state)
    bar = some.iloc[500:501].to_dict("records")[0]
    with pytest.raises(MarketError):
        stream.push(bar | {name: value})
    assert_same_bits(stream.push(bar), values(batch)[500])


@pytest.mark.parametrize("bad", [{"volume": np.nan}, {"close": -1.0}, {"timestamp": pd.NaT}])
def test_a_bad_first_bar_is_refused_and_forgotten(
    some: pd.DataFrame, batch: FeatureTable, bad: dict[str, Any]
) -> None:
    """What the market is like is learnt from the first bar that is one."""
    stream = FeatureStream()
    bar = some.iloc[:1].drop(columns="funding_rate").to_dict("records")[0]
    with pytest.raises(MarketError):
        stream.push(bar | bad)
    with pytest.raises(MarketError, match="no bar yet"):
        _ = stream.state
    assert_same_bits(np.stack(push_all(stream, some.iloc[:30])), values(batch)[:30])


def test_a_stream_has_no_state_before_its_first_bar(some: pd.DataFrame) -> None:
    stream = FeatureStream()
    assert stream.columns == ()
    with pytest.raises(MarketError, match="no bar yet"):
        _ = stream.state
    stream.push(next(some.itertuples(index=False)))
    assert stream.state.funding


def test_a_stream_without_a_funding_rate_has_no_columns_of_it(some: pd.DataFrame) -> None:
    bars = some.drop(columns="funding_rate")
    table = compute_features(bars)
    stream = FeatureStream()
    assert_same_bits(np.stack(push_all(stream, bars.iloc[:300])), values(table)[:300])
    assert [column.name for column in stream.columns] == list(table.frame)
    assert stream.state.feature_set == table.feature_set


def test_a_state_of_other_features_is_refused(some: pd.DataFrame) -> None:
    def chosen(*names: str, **parameters: Any) -> FeatureSet:
        return FeatureSet(names=names, parameters=parameters, timeframes=())

    state = compute_features(some, chosen("rsi_14", "body")).state
    for other in (chosen("rsi_14"), chosen("atr_14"), chosen("rsi*", "body", rsi=((7,),))):
        with pytest.raises(SchemaError, match="other features"):
            FeatureStream(other, state)
    with pytest.raises(SchemaError, match="other features"):
        FeatureStream(chosen("*"), compute_features(some).state)
    # The whole catalogue includes what a market has no input for.
    assert (
        len(FeatureStream(chosen("*"), compute_features(some, chosen("*", "!funding")).state).columns) == 71
    )
