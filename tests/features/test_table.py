"""The feature table: batch, append and stream agree, nothing looks ahead, units do not matter."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.numpy import load, save

from trading_assets.features.catalogue import CATALOGUE, NAMES, WARM_UP
from trading_assets.features.table import (
    FeatureStream,
    FeatureTable,
    append_features,
    compute_features,
)

Floats = NDArray[np.float64]
N = 700
"""Bars of these tests: beyond the warm-up and several turns of every window."""

few = settings(max_examples=25, deadline=None)


@pytest.fixture(scope="module")
def some(bars: Floats) -> Floats:
    """Lively bars, with a bar without volume and one without movement among them."""
    some = bars[:N].copy()
    some[50::97, 5] = 0.0
    some[60::89, 1:5] = some[60::89, 4:5]
    return some


@pytest.fixture(scope="module")
def batch(some: Floats) -> FeatureTable:
    return compute_features(some)


def assert_same_bits(actual: NDArray[np.generic], expected: NDArray[np.generic]) -> None:
    assert actual.dtype == expected.dtype
    assert actual.shape == expected.shape
    assert actual.tobytes() == expected.tobytes()


def test_the_table_has_a_row_a_bar_and_a_column_a_feature(batch: FeatureTable) -> None:
    assert batch.values.shape == (N, len(NAMES))
    assert batch.values.dtype == np.float32
    assert batch.values.flags.c_contiguous


def test_values_are_missing_in_the_warm_up_and_nowhere_else(batch: FeatureTable) -> None:
    missing = np.isnan(batch.values)
    expected = np.arange(N)[:, None] < [feature.warm_up for feature in CATALOGUE]
    np.testing.assert_array_equal(missing, expected)
    assert not missing[WARM_UP:].any()
    assert np.isfinite(batch.values[WARM_UP:]).all()


@few
@given(cuts=st.lists(st.integers(0, N), max_size=5).map(sorted))
def test_appending_in_pieces_equals_the_batch_bit_for_bit(
    some: Floats, batch: FeatureTable, cuts: list[int]
) -> None:
    first, *rest = np.split(some, cuts)
    table = compute_features(first)
    for piece in rest:
        table = append_features(table, piece)
    assert_same_bits(table.values, batch.values)
    assert_same_bits(table.state, batch.state)


def test_appending_leaves_the_table_it_starts_from_alone(some: Floats) -> None:
    table = compute_features(some[:500])
    values, state = table.values.copy(), table.state.copy()
    append_features(table, some[500:])
    assert_same_bits(table.values, values)
    assert_same_bits(table.state, state)


def test_streaming_equals_the_batch_bit_for_bit(some: Floats, batch: FeatureTable) -> None:
    stream = FeatureStream()
    live = np.stack([stream.push(bar) for bar in some])
    assert_same_bits(live, batch.values)
    assert_same_bits(stream.state, batch.state)


@few
@given(stops=st.lists(st.integers(0, N), max_size=3).map(sorted))
def test_a_stream_that_is_stopped_saved_and_restored_equals_the_batch_bit_for_bit(
    some: Floats, batch: FeatureTable, stops: list[int]
) -> None:
    state, rows = None, []
    for piece in np.split(some, stops):
        stream = FeatureStream(state)
        rows += [stream.push(bar) for bar in piece]
        state = load(save({"state": stream.state}))["state"]
    assert_same_bits(np.stack(rows), batch.values)


@few
@given(start=st.integers(0, N - 1))
def test_a_stream_goes_on_from_the_state_of_a_table(some: Floats, batch: FeatureTable, start: int) -> None:
    table = compute_features(some[:start])
    kept = table.state.copy()
    stream = FeatureStream(table.state)
    live = np.stack([stream.push(bar) for bar in some[start:]])
    assert_same_bits(live, batch.values[start:])
    assert_same_bits(table.state, kept)


@few
@given(t=st.integers(0, N - 2), seed=st.integers(0, 2**32 - 1))
def test_no_feature_knows_a_later_bar(some: Floats, batch: FeatureTable, t: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    other = some.copy()
    other[t + 1 :, 1:5] *= np.exp(rng.normal(0, 0.5, (N - t - 1, 1)))
    other[t + 1 :, 5] *= np.exp(rng.normal(0, 2, N - t - 1))
    other[t + 1 :, 0] += 1_800
    changed = compute_features(other).values
    assert_same_bits(changed[: t + 1], batch.values[: t + 1])
    if t >= WARM_UP:
        assert changed[t + 1 :].tobytes() != batch.values[t + 1 :].tobytes()


@few
@given(t=st.integers(0, N))
def test_leaving_out_the_later_bars_changes_nothing(some: Floats, batch: FeatureTable, t: int) -> None:
    assert_same_bits(compute_features(some[:t]).values, batch.values[:t])


@pytest.mark.parametrize("factor", [8.0, 2.0**-20, 2.0**20])
def test_the_unit_of_the_price_does_not_matter(some: Floats, batch: FeatureTable, factor: float) -> None:
    scaled = some.copy()
    scaled[:, 1:5] *= factor
    # Powers of two round nothing, but ln(8 x) and ln(x) + ln(8) differ in the last of 53 bits.
    np.testing.assert_allclose(compute_features(scaled).values, batch.values, rtol=1e-6, atol=1e-7)


def test_every_feature_moves(batch: FeatureTable) -> None:
    assert (batch.values[WARM_UP:].std(axis=0) > 0).all()


def test_no_bars_give_an_empty_table(some: Floats) -> None:
    assert compute_features(some[:0]).values.shape == (0, len(NAMES))
