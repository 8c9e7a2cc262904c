"""The dataset: what training may know, and nothing from beyond the border."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_assets.errors import LeakageError
from trading_assets.features.catalogue import NAMES, WARM_UP
from trading_assets.features.dataset import Dataset, assemble, describe
from trading_assets.features.labels import make_labels
from trading_assets.features.table import compute_features
from trading_assets.market.bars import to_matrix
from trading_assets.market.synthetic import SyntheticMarket
from trading_assets.registry.tables import digest_table
from trading_assets.validation.eras import border

TARGETS = ["forward_return", "direction", "high_variance"]
STEP = 168
Tables = tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]


def tables(bars: pd.DataFrame) -> Tables:
    """Bars, features and labels of the same rows."""
    matrix = to_matrix(bars)
    features = pd.DataFrame(compute_features(matrix).values, columns=list(NAMES))
    labels = make_labels(matrix, horizon=12, variance_horizon=24, variance_lookback=100)
    return bars, features, pd.DataFrame(asdict(labels))


@pytest.fixture(scope="module")
def parts(market: SyntheticMarket) -> Tables:
    return tables(market.bars.iloc[:1_000])


@pytest.fixture(scope="module")
def data(parts: Tables) -> Dataset:
    return assemble(*parts, border=border(1_000, STEP))


def test_the_dataset_ends_at_the_border(data: Dataset, parts: Tables) -> None:
    assert border(1_000, STEP) == len(data) == 840
    np.testing.assert_array_equal(data.bars, to_matrix(parts[0])[:840])
    pd.testing.assert_frame_equal(data.features, parts[1].iloc[:840], check_exact=True)


@pytest.mark.parametrize(
    ("n_bars", "end"), [(0, 0), (167, 0), (168, 168), (335, 168), (336, 336), (1_000, 840)]
)
def test_the_border_moves_in_whole_steps(n_bars: int, end: int) -> None:
    assert border(n_bars, STEP) == end


def test_a_label_that_ends_at_or_beyond_the_border_is_forgotten(data: Dataset, parts: Tables) -> None:
    full = parts[2].iloc[:840]
    known = data.label_end < 840
    assert np.flatnonzero(~known).tolist() == list(range(816, 840))
    assert full.loc[~known, TARGETS].notna().all(axis=None)
    for name in TARGETS:
        np.testing.assert_array_equal(data.target(name)[known], full[name][known])
        assert np.isnan(data.target(name)[~known]).all()


def test_the_spans_of_forgotten_labels_stay_for_the_purge(data: Dataset) -> None:
    np.testing.assert_array_equal(data.label_start, np.arange(1, 841))
    np.testing.assert_array_equal(data.label_end, np.arange(24, 864))


def test_assembling_leaves_the_tables_alone(parts: Tables) -> None:
    before = [digest_table(part) for part in parts]
    assemble(*parts, border=500)
    assert [digest_table(part) for part in parts] == before


@pytest.mark.parametrize("short", [0, 1, 2])
def test_tables_of_unequal_length_are_refused_with_their_lengths(parts: Tables, short: int) -> None:
    cut = [part.iloc[:-1] if number == short else part for number, part in enumerate(parts)]
    lengths = [len(part) for part in cut]
    with pytest.raises(LeakageError, match="have {}, {} and {} rows".format(*lengths)):
        assemble(*cut, border=840)


@pytest.mark.parametrize("row", [WARM_UP, 600, 839])
def test_a_feature_without_a_value_after_its_warm_up_is_refused_by_name(parts: Tables, row: int) -> None:
    bars, features, labels = parts
    features = features.copy()
    features.loc[row, "rsi_14"] = np.nan
    with pytest.raises(LeakageError, match=r"after their warm-up: rsi_14\."):
        assemble(bars, features, labels, border=840)


@pytest.mark.parametrize("row", [0, WARM_UP - 1, 840])
def test_a_feature_without_a_value_in_the_warm_up_or_beyond_the_border_is_none_of_its_business(
    parts: Tables, row: int
) -> None:
    bars, features, labels = parts
    features = features.copy()
    features.loc[row, "rsi_14"] = np.nan
    assert len(assemble(bars, features, labels, border=840)) == 840


@settings(max_examples=15, deadline=None)
@given(more=st.integers(0, STEP - 1))
def test_bars_within_the_step_leave_the_content_as_it_was(
    market: SyntheticMarket, data: Dataset, more: int
) -> None:
    longer = market.bars.iloc[: 840 + more]
    same = assemble(*tables(longer), border=border(len(longer), STEP))
    assert digest_table(same.frame) == digest_table(data.frame)


def test_a_completed_step_changes_the_content(market: SyntheticMarket, data: Dataset) -> None:
    longer = market.bars.iloc[: 840 + STEP]
    other = assemble(*tables(longer), border=border(len(longer), STEP))
    assert len(other) == 840 + STEP
    assert digest_table(other.frame) != digest_table(data.frame)


def test_whatever_happens_beyond_the_border_changes_nothing(market: SyntheticMarket, data: Dataset) -> None:
    other = market.bars.iloc[:1_000].copy()
    other.loc[840:, ["open", "high", "low", "close"]] *= 3.0
    changed = assemble(*tables(other), border=840)
    assert digest_table(changed.frame) == digest_table(data.frame)


def test_a_dataset_is_read_back_as_it_was_written(data: Dataset, tmp_path: Path) -> None:
    data.write(tmp_path)
    back = Dataset.read(tmp_path)
    pd.testing.assert_frame_equal(back.frame, data.frame, check_exact=True)
    assert digest_table(back.frame) == digest_table(data.frame)


def test_a_year_of_hourly_bars_has_8760(data: Dataset) -> None:
    assert data.periods_per_year == 8_760


def test_the_description_names_constant_features_and_the_balance(parts: Tables) -> None:
    bars, features, labels = parts
    stuck = features.assign(body=features["body"].where(features.index < WARM_UP, 0.5))
    described = describe(assemble(bars, stuck.astype("float32"), labels, border=840))
    assert described["constant features"] == "body"
    assert described["rows"] == 840
    direction = labels["direction"][:816]
    assert described["up labels"] == pytest.approx(direction.mean())
    assert describe(assemble(*parts, border=840))["constant features"] == "none"
