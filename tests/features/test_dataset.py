"""The dataset: what training may know, and nothing from beyond the border."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_assets.config.settings import FeatureSet, LabelSettings
from trading_assets.errors import LeakageError, MarketError, NotReadyError, SchemaError
from trading_assets.features.dataset import (
    Dataset,
    DatasetBuilder,
    assemble,
    describe,
    label_table,
    stationarity,
)
from trading_assets.features.table import FeatureTable, compute_features
from trading_assets.features.weights import time_decay
from trading_assets.market.bars import to_matrix
from trading_assets.market.synthetic import SyntheticMarket
from trading_assets.registry.tables import digest_table
from trading_assets.validation.eras import border

TARGETS = ["forward_return", "direction", "high_variance", "weight"]
LABELS = LabelSettings(horizon=12, variance_horizon=24, variance_lookback="100h")
STEP = 168
N_BARS, END = 1_400, 1_344
WARM_UP = 624
"""Of the default features on hourly bars: those on days need 26 of them."""
Tables = tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]


def tables(bars: pd.DataFrame, chosen: LabelSettings = LABELS) -> Tables:
    """Bars, features and labels of the same rows."""
    table = compute_features(bars)
    assert table.warm_up == WARM_UP
    return bars, table.frame, label_table(bars, chosen)


def joined(parts: Tables, end: int = END) -> Dataset:
    return assemble(*parts, warm_up=WARM_UP, border=end)


@pytest.fixture(scope="module")
def parts(market: SyntheticMarket) -> Tables:
    return tables(market.bars.iloc[:N_BARS])


@pytest.fixture(scope="module")
def data(parts: Tables) -> Dataset:
    return joined(parts, border(N_BARS, STEP))


def test_the_dataset_ends_at_the_border(data: Dataset, parts: Tables) -> None:
    assert border(N_BARS, STEP) == len(data) == END
    np.testing.assert_array_equal(data.bars, to_matrix(parts[0])[:END])
    pd.testing.assert_frame_equal(data.features, parts[1].iloc[:END], check_exact=True)
    assert data.feature_names == tuple(parts[1].columns)
    assert data.warm_up == WARM_UP


@pytest.mark.parametrize(
    ("n_bars", "end"), [(0, 0), (167, 0), (168, 168), (335, 168), (336, 336), (1_000, 840)]
)
def test_the_border_moves_in_whole_steps(n_bars: int, end: int) -> None:
    assert border(n_bars, STEP) == end


def test_a_label_that_ends_at_or_beyond_the_border_is_forgotten(data: Dataset, parts: Tables) -> None:
    full = parts[2].iloc[:END]
    known = data.label_end < END
    assert np.flatnonzero(~known).tolist() == list(range(END - 24, END))
    assert full.loc[~known, TARGETS].notna().all(axis=None)
    for name in TARGETS:
        np.testing.assert_array_equal(data.frame[name][known], full[name][known])
        assert data.frame[name][~known].isna().all()


def test_the_spans_of_forgotten_labels_stay_for_the_purge(data: Dataset) -> None:
    np.testing.assert_array_equal(data.label_start, np.arange(1, END + 1))
    np.testing.assert_array_equal(data.label_end, np.arange(24, END + 24))


def test_assembling_leaves_the_tables_alone(parts: Tables) -> None:
    before = [digest_table(part) for part in parts]
    joined(parts, 1_000)
    assert [digest_table(part) for part in parts] == before


@pytest.mark.parametrize("short", [0, 1, 2])
def test_tables_of_unequal_length_are_refused_with_their_lengths(parts: Tables, short: int) -> None:
    cut = [part.iloc[:-1] if number == short else part for number, part in enumerate(parts)]
    lengths = [len(part) for part in cut]
    with pytest.raises(LeakageError, match="have {}, {} and {} rows".format(*lengths)):
        assemble(*cut, warm_up=WARM_UP, border=END)


# --- what no dataset may have


@pytest.mark.parametrize("row", [WARM_UP, 1_000, END - 1])
def test_a_feature_without_a_value_after_its_warm_up_is_refused_by_name(parts: Tables, row: int) -> None:
    bars, features, labels = parts
    features = features.copy()
    features.loc[row, "rsi_14"] = np.nan
    with pytest.raises(LeakageError, match=r"after their warm-up: rsi_14\."):
        joined((bars, features, labels))


@pytest.mark.parametrize("row", [0, WARM_UP - 1, END])
def test_a_feature_without_a_value_in_the_warm_up_or_beyond_the_border_is_none_of_its_business(
    parts: Tables, row: int
) -> None:
    bars, features, labels = parts
    features = features.copy()
    features.loc[row, "rsi_14"] = np.nan
    assert len(joined((bars, features, labels))) == END


def test_a_feature_that_is_always_the_same_is_refused_with_the_setting_that_leaves_it_out(
    parts: Tables,
) -> None:
    bars, features, labels = parts
    stuck = features["body"].where(features.index < WARM_UP, 0.5).astype("float32")
    with pytest.raises(SchemaError, match="the same at every bar: body") as refused:
        joined((bars, features.assign(body=stuck), labels))
    assert "features.names: ['*', '!body']" in str(refused.value)
    kept = compute_features(bars, FeatureSet(names=("*", "!body"))).frame
    assert "body" not in kept and len(joined((bars, kept, labels))) == END


def test_a_feature_that_is_the_same_as_another_is_refused_with_both_names(parts: Tables) -> None:
    bars, features, labels = parts
    with pytest.raises(SchemaError, match="'rsi_14' and 'moon' are the same") as refused:
        joined((bars, features.assign(moon=features["rsi_14"]), labels))
    assert "features.names: ['*', '!moon']" in str(refused.value)


def test_features_that_differ_beyond_the_border_only_are_the_same(parts: Tables) -> None:
    bars, features, labels = parts
    twin = features["rsi_14"].where(features.index < END, 0.0)
    with pytest.raises(SchemaError, match="are the same"):
        joined((bars, features.assign(twin=twin), labels))


@pytest.mark.parametrize("answer", [0.0, 1.0])
def test_labels_with_one_answer_only_are_not_ready(parts: Tables, answer: float) -> None:
    bars, features, labels = parts
    one = labels.assign(direction=labels["direction"].where(labels["direction"].isna(), answer))
    with pytest.raises(NotReadyError, match="1 different answers; training needs both"):
        joined((bars, features, one))


def test_labels_without_any_answer_are_not_ready(parts: Tables) -> None:
    bars, features, labels = parts
    with pytest.raises(NotReadyError, match="0 different answers"):
        joined((bars, features, labels.assign(direction=np.nan)))


@pytest.mark.parametrize("end", [168, WARM_UP])
def test_a_border_within_the_warm_up_is_not_ready_and_says_how_many_bars_features_need(
    parts: Tables, end: int
) -> None:
    with pytest.raises(NotReadyError, match=f"{end} bars up to the border; features need 624 to warm up"):
        joined(parts, end)


# --- the law of time


@settings(max_examples=15, deadline=None)
@given(more=st.integers(0, STEP - 1))
def test_bars_within_the_step_leave_the_content_as_it_was(
    market: SyntheticMarket, data: Dataset, more: int
) -> None:
    longer = market.bars.iloc[: END + more]
    same = joined(tables(longer), border(len(longer), STEP))
    assert digest_table(same.frame) == digest_table(data.frame)


def test_a_completed_step_changes_the_content(market: SyntheticMarket, data: Dataset) -> None:
    longer = market.bars.iloc[: END + STEP]
    other = joined(tables(longer), border(len(longer), STEP))
    assert len(other) == END + STEP
    assert digest_table(other.frame) != digest_table(data.frame)


@pytest.mark.parametrize("weights", ["uniqueness", "return"])
@pytest.mark.parametrize("kind", ["direction", "triple_barrier", "trend"])
def test_whatever_happens_beyond_the_border_changes_nothing(
    market: SyntheticMarket, kind: str, weights: str
) -> None:
    chosen = LABELS.model_copy(update={"kind": kind, "weights": weights})
    bars = market.bars.iloc[:N_BARS]
    other = bars.copy()
    other.loc[END:, ["open", "high", "low", "close"]] *= 3.0
    one, two = (joined(tables(some, chosen)) for some in (bars, other))
    targets = digest_table(one.frame.drop(columns=["label_start", "label_end"]))
    assert digest_table(two.frame.drop(columns=["label_start", "label_end"])) == targets
    known = one.label_end < END
    np.testing.assert_array_equal(known, two.label_end < END)
    np.testing.assert_array_equal(one.label_end[known], two.label_end[known])


# --- weights


def test_sample_weights_have_mean_1_and_read_the_given_rows_only(data: Dataset) -> None:
    rows = np.r_[700:900, 1_000:1_300]
    weight = data.sample_weight(rows)
    assert weight.mean() == pytest.approx(1)
    frame = data.frame.copy()
    frame.loc[frame.index.difference(rows), "weight"] = 1e9
    other = Dataset(frame, data.feature_names, data.warm_up, data.periods_per_year)
    np.testing.assert_array_equal(other.sample_weight(rows), weight)
    np.testing.assert_array_equal(other.sample_weight(rows, oldest=0.2), data.sample_weight(rows, oldest=0.2))


def test_older_rows_count_less_by_the_uniqueness_between_them(data: Dataset) -> None:
    rows = np.arange(700, 1_200)
    weight = data.frame["weight"].to_numpy()[rows]
    aged = weight * time_decay(weight, 0.25)
    np.testing.assert_allclose(data.sample_weight(rows, oldest=0.25), aged / aged.mean(), rtol=1e-12)
    oldest, newest = data.sample_weight(rows, oldest=0.25)[[0, -1]]
    assert oldest < 0.5 and newest > 1.5


# --- reading and describing


def test_a_dataset_is_read_back_as_it_was_written(data: Dataset, tmp_path: Path) -> None:
    data.write(tmp_path)
    back = Dataset.read(tmp_path)
    pd.testing.assert_frame_equal(back.frame, data.frame, check_exact=True)
    assert (back.feature_names, back.warm_up, back.digest) == (data.feature_names, WARM_UP, data.digest)


def test_a_year_of_hourly_bars_has_8766(data: Dataset) -> None:
    assert data.periods_per_year == 8_766


def test_bars_a_year_are_those_of_the_market_up_to_the_border_and_kept(parts: Tables, tmp_path: Path) -> None:
    """Hours of weekdays only: what comes after the border, or another calendar, is another year."""
    bars, features, labels = parts
    week = pd.bdate_range("2024-01-01", periods=len(bars) // 24 + 1, tz="UTC")
    hours = pd.DatetimeIndex([day + pd.Timedelta(hours=hour) for day in week for hour in range(24)])
    traded = bars.assign(timestamp=hours[: len(bars)].as_unit("ns"))
    made = joined((traded, features, labels))
    assert made.periods_per_year == pytest.approx(24 * 5 * 365.25 / 7)
    given = {"warm_up": WARM_UP, "border": END}
    nearer = assemble(traded, features, labels, calendar="24/5", **given)
    assert nearer.periods_per_year == pytest.approx(24 * 261, abs=24)
    assert nearer.digest != made.digest
    nearer.write(tmp_path)
    assert Dataset.read(tmp_path).periods_per_year == nearer.periods_per_year
    later = traded.copy()
    later.loc[END:, "timestamp"] += pd.Timedelta(days=5_000)
    assert joined((later, features, labels)).digest == made.digest


def test_the_description_has_span_and_balance(data: Dataset, parts: Tables) -> None:
    described = describe(data)
    assert (described["rows"], described["features"]) == (END, len(parts[1].columns))
    assert described["labelled rows"] == END - 24
    assert described["first bar"] == "2018-01-01 00:00:00+00:00"
    assert described["last bar"] == str(parts[0]["timestamp"].iloc[END - 1])
    assert described["up labels"] == pytest.approx(parts[2]["direction"][: END - 24].mean())
    assert described["class balance"] == "even"
    assert described["labels without a direction (share)"] == 0


def test_the_description_has_the_share_of_labels_whose_price_did_not_move(parts: Tables) -> None:
    """Only of labels whose bars are all there; what is not known yet is no share of it."""
    bars, features, labels = parts
    direction = labels["direction"].where(labels.index % 5 > 0)
    described = describe(joined((bars, features, labels.assign(direction=direction))))
    assert described["labels without a direction (share)"] == pytest.approx(0.2, abs=1e-3)
    assert described["labelled rows"] == pytest.approx(0.8 * (END - 24), abs=1)


def test_a_lopsided_dataset_says_so(parts: Tables) -> None:
    bars, features, labels = parts
    direction = labels["direction"].where(labels.index % 10 == 0, 1.0)
    assert "LOPSIDED" in str(
        describe(joined((bars, features, labels.assign(direction=direction))))["class balance"]
    )


def columns_of(**columns: np.ndarray) -> Dataset:
    """A dataset with nothing in it but features."""
    return Dataset(pd.DataFrame(columns).astype("float32"), tuple(columns), 0, 8_766)


def test_a_random_walk_is_flagged_and_noise_is_not() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(size=4_000)
    tested = stationarity(columns_of(noise=noise, walk=noise.cumsum()))
    assert [row["feature"] for row in tested] == ["walk", "noise"]
    assert [row["verdict"] for row in tested] == ["unit root possible", "stationary"]
    assert float(tested[0]["p-value"]) > 0.05 and float(tested[1]["p-value"]) < 1e-6


def test_the_test_of_stationarity_is_that_of_statsmodels_on_the_last_5000_rows() -> None:
    from statsmodels.tsa.stattools import adfuller

    noise = np.random.default_rng(1).normal(size=7_000).astype("float32")
    (row,) = stationarity(columns_of(noise=np.r_[np.arange(1_000.0), noise]))
    last = noise[-5_000:].astype("float64")
    expected = adfuller(last, maxlag=12, autolag=None, result_object=True)
    assert row["ADF"] == pytest.approx(expected.statistic)
    assert row["p-value"] == pytest.approx(expected.pvalue)


def test_too_few_rows_to_tell_and_a_constant_leave_a_unit_root_possible() -> None:
    few = stationarity(columns_of(noise=np.random.default_rng(0).normal(size=40)))
    constant = stationarity(columns_of(still=np.ones(500)))
    for (row,) in (few, constant):
        assert row["verdict"] == "unit root possible" and np.isnan(float(row["ADF"]))


def test_every_feature_of_a_dataset_is_tested(data: Dataset) -> None:
    tested = stationarity(data)
    assert {row["feature"] for row in tested} == set(data.feature_names)
    values = [float(row["p-value"]) for row in tested]
    assert values == sorted(values, reverse=True)


# --- DatasetBuilder

SMALL = FeatureSet(names=("return_1", "rsi_14", "body", "volume_z_48"), timeframes=())


@pytest.fixture
def builder(tmp_path: Path) -> DatasetBuilder:
    return DatasetBuilder(SMALL, LABELS, cache=tmp_path / "cache")


@pytest.fixture(scope="module")
def history(market: SyntheticMarket) -> pd.DataFrame:
    return market.bars.iloc[:1_000]


def same(one: Dataset, two: Dataset) -> bool:
    return (
        one.frame.equals(two.frame)
        and one.digest == two.digest
        and (one.feature_names, one.warm_up) == (two.feature_names, two.warm_up)
    )


def test_the_same_bars_twice_are_built_once_and_the_report_says_so(
    builder: DatasetBuilder, history: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, built = builder.build(history)
    assert built.cache == "not used: nothing was there yet"
    monkeypatch.setattr("trading_assets.features.dataset.compute_features", None)
    second, found = DatasetBuilder(SMALL, LABELS, cache=builder.cache).build(history.copy())
    assert found.cache == "used: version 1.0.0 has the same recipe"
    assert same(first, second)
    assert (found.numbers, found.digests, found.left_out) == (built.numbers, built.digests, built.left_out)
    assert found.stationarity == built.stationarity


def test_what_comes_from_the_cache_equals_what_is_made_anew(
    builder: DatasetBuilder, history: pd.DataFrame
) -> None:
    builder.build(history)
    cached, report = builder.build(history)
    fresh, without = DatasetBuilder(SMALL, LABELS).build(history)
    assert report.cache.startswith("used")
    assert without.cache == "not used: no cache folder was given"
    assert same(cached, fresh)
    assert report.digests == without.digests
    assert report.digests["bars"] == digest_table(history) and report.digests["dataset"] == fresh.digest


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"feature_set": SMALL.model_copy(update={"names": ("return_1", "body")})}, "features.names changed"),
        (
            {"feature_set": SMALL.model_copy(update={"parameters": {"rsi": ((14.0,), (50.0,))}})},
            "features.parameters.rsi changed",
        ),
        ({"labels": LABELS.model_copy(update={"horizon": 6})}, "labels.horizon changed"),
        (
            {"labels": LABELS.model_copy(update={"kind": "triple_barrier", "weights": "none"})},
            "labels.kind changed, labels.weights changed",
        ),
    ],
)
def test_other_settings_are_built_and_the_reason_names_what_changed(
    builder: DatasetBuilder, history: pd.DataFrame, changes: dict[str, object], named: str
) -> None:
    before, _ = builder.build(history)
    chosen = {"feature_set": SMALL, "labels": LABELS} | changes
    after, report = DatasetBuilder(**chosen, cache=builder.cache).build(history)  # type: ignore[arg-type]
    assert report.cache == f"not used: since version 1.0.0: {named}"
    assert not same(before, after) or "parameters" in named
    fresh, _ = DatasetBuilder(**chosen).build(history)  # type: ignore[arg-type]
    assert same(after, fresh)


def test_other_bars_are_built_and_named(builder: DatasetBuilder, history: pd.DataFrame) -> None:
    builder.build(history, border=900)
    revised = history.copy()
    revised.loc[500, "volume"] *= 2
    after, report = builder.build(revised, border=900)
    assert report.cache == "not used: since version 1.0.0: input bars changed"
    assert same(after, DatasetBuilder(SMALL, LABELS).build(revised, border=900)[0])


def test_another_border_is_built_and_named(builder: DatasetBuilder, history: pd.DataFrame) -> None:
    whole, _ = builder.build(history)
    part, report = builder.build(history, border=900)
    assert (len(whole), len(part)) == (1_000, 900)
    assert report.cache == "not used: since version 1.0.0: input bars changed"
    assert report.numbers["last bar"] == str(history["timestamp"].iloc[899])


def test_going_back_to_earlier_settings_finds_the_earlier_dataset(
    builder: DatasetBuilder, history: pd.DataFrame
) -> None:
    whole, _ = builder.build(history)
    builder.build(history, border=900)
    again, report = builder.build(history)
    assert report.cache == "used: version 1.0.0 has the same recipe"
    assert same(whole, again)


def test_a_damaged_cache_is_said_and_not_read(builder: DatasetBuilder, history: pd.DataFrame) -> None:
    from trading_assets.errors import ArtifactError

    builder.build(history)
    assert builder.cache is not None
    (path,) = builder.cache.rglob("dataset.parquet")
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(bytes(raw))
    with pytest.raises(ArtifactError, match=r"dataset\.parquet"):
        builder.build(history)


def test_symbols_have_caches_of_their_own(builder: DatasetBuilder, history: pd.DataFrame) -> None:
    builder.build(history, symbol="A")
    assert builder.build(history, symbol="B")[1].cache == "not used: nothing was there yet"
    assert builder.build(history, symbol="A")[1].cache.startswith("used")


def test_the_folder_of_the_cache_may_be_given_as_text(tmp_path: Path, history: pd.DataFrame) -> None:
    folder = str(tmp_path / "new" / "cache")
    for used in ("not used: nothing was there yet", "used: "):
        assert DatasetBuilder(SMALL, LABELS, cache=folder).build(history)[1].cache.startswith(used)


def test_bars_are_taken_with_capitals_times_in_the_index_and_columns_of_other_things(
    history: pd.DataFrame,
) -> None:
    builder = DatasetBuilder(SMALL, LABELS)
    expected, _ = builder.build(history)
    written = (
        history.set_index("timestamp").rename(columns=str.capitalize).assign(weight="heavy", direction=1.0)
    )
    assert same(builder.build(written)[0], expected)
    assert same(builder.build(pd.concat([history, history]).iloc[len(history) :])[0], expected)
    with pytest.raises(MarketError, match=r"got a frame with the columns Open.* \(missing: timestamp\)"):
        builder.build(written.reset_index(drop=True))


@pytest.mark.parametrize("name", ["dirction", "return_1", "weight", 0, None])
def test_a_target_that_there_is_not_is_refused_with_those_there_are(data: Dataset, name: object) -> None:
    known = "expected one of forward_return, direction, high_variance"
    with pytest.raises(SchemaError, match=f"no target {name!r}; {known}"):
        data.target(name)  # type: ignore[arg-type]


def test_the_report_has_rows_span_digests_and_what_was_left_out(history: pd.DataFrame) -> None:
    silent = history.assign(volume=0.0)
    data, report = DatasetBuilder(labels=LABELS).build(silent)
    assert report.numbers["rows"] == 1_000
    assert report.numbers["first bar"] == str(history["timestamp"].iloc[0])
    assert report.numbers["last bar"] == str(history["timestamp"].iloc[-1])
    assert report.digests["bars"] == digest_table(silent) and report.digests["dataset"] == data.digest
    other = DatasetBuilder(labels=LABELS.model_copy(update={"horizon": 5})).build(silent)[1]
    differs = {name for name in other.digests if other.digests[name] != report.digests[name]}
    assert differs == {"labels", "dataset"}
    assert report.left_out["volume_z_48"] == "no volume, or always the same"
    assert report.left_out["funding_last"] == "no funding rate, or always the same"
    assert not set(report.left_out) & set(data.feature_names)
    assert {row["feature"] for row in report.stationarity} == set(data.feature_names)


def test_what_was_left_out_is_that_of_the_settings_even_where_the_content_is_the_same(
    tmp_path: Path, history: pd.DataFrame
) -> None:
    """A market without volume, asked with and without the features that need it."""
    silent = history.assign(volume=0.0)
    asked = FeatureSet(names=("return_1", "volume_z_48"), timeframes=())
    not_asked = FeatureSet(names=("return_1",), timeframes=())
    for chosen, left_out in ((asked, {"volume_z_48"}), (not_asked, set())):
        _, report = DatasetBuilder(chosen, LABELS, cache=tmp_path).build(silent)
        assert set(report.left_out) == left_out


def test_the_defaults_are_the_whole_catalogue_and_a_day_ahead(
    market: SyntheticMarket, table: FeatureTable
) -> None:
    data, report = DatasetBuilder().build(market.bars)
    assert data.feature_names == tuple(table.frame.columns)
    pd.testing.assert_frame_equal(data.features, table.frame, check_exact=True)
    expected = label_table(market.bars, LabelSettings())["direction"].to_numpy()
    known = data.label_end < len(market.bars)
    np.testing.assert_array_equal(data.target("direction")[known], expected[known])
    assert report.numbers["warm-up (bars)"] == WARM_UP


def test_bars_that_do_not_suffice_are_refused_and_leave_nothing_in_the_cache(
    builder: DatasetBuilder, history: pd.DataFrame
) -> None:
    with pytest.raises(NotReadyError):
        builder.build(history.iloc[:60])
    assert builder.cache is not None and not list(builder.cache.rglob("dataset.parquet"))
    assert builder.build(history)[1].cache == "not used: nothing was there yet"


@pytest.mark.parametrize("border", [-5, 0, 1_001])
def test_a_border_outside_the_bars_is_refused(history: pd.DataFrame, border: int) -> None:
    with pytest.raises(NotReadyError, match=f"border is {border}"):
        DatasetBuilder(SMALL, LABELS).build(history, border=border)


@pytest.mark.parametrize("column", ["volume", "funding_rate"])
def test_what_varies_only_beyond_the_border_is_left_out(history: pd.DataFrame, column: str) -> None:
    late = history.assign(**{column: np.where(np.arange(1_000) < 950, 0.0, 1.0 + np.arange(1_000))})
    _, report = DatasetBuilder(labels=LABELS).build(late, border=900)
    reason = {"volume": "no volume", "funding_rate": "no funding rate"}[column]
    assert f"{reason}, or always the same" in report.left_out.values()


def test_bars_whose_high_is_their_low_leave_out_what_is_made_of_the_range(history: pd.DataFrame) -> None:
    prices = dict.fromkeys(("open", "high", "low"), history["close"])
    data, report = DatasetBuilder(labels=LABELS).build(history.assign(**prices))
    ranged = {"body", "upper_shadow", "lower_shadow", "parkinson_24", "garman_klass_24", "rogers_satchell_24"}
    ranged.add("yang_zhang_24")
    assert ranged | {"range_surprise_50"} <= set(report.left_out)
    assert not ranged & set(data.feature_names)
