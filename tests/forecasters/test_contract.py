"""What every forecaster promises, asked of each of them; and how sequences are cut."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading_assets.errors import SchemaError
from trading_assets.features.catalogue import SEQUENCE_NAMES
from trading_assets.features.labels import forward_return
from trading_assets.features.table import FeatureTable
from trading_assets.forecasters.base import ModelAdapter
from trading_assets.forecasters.cnn_lstm import CNNLSTMForecaster
from trading_assets.forecasters.lightgbm import LightGBMForecaster
from trading_assets.forecasters.sequence import chunk_starts, spans_of

Make = Callable[..., ModelAdapter]
N_ROWS = 1_216


def small_trees(seed: int = 0) -> LightGBMForecaster:
    return LightGBMForecaster(seed, n_estimators=20, num_leaves=7, subsample=0.7, colsample_bytree=0.5)


def small_sequence(seed: int = 0, steps: int = 12) -> CNNLSTMForecaster:
    return CNNLSTMForecaster(seed, channels=4, kernel_size=3, hidden_size=6, chunk=32, burn_in=8, steps=steps)


@pytest.fixture(params=[small_trees, small_sequence], ids=["lightgbm", "cnn_lstm"])
def make(request) -> Make:
    return request.param


@pytest.fixture(scope="module", name="X")
def features(table: FeatureTable) -> pd.DataFrame:
    return table.frame.iloc[table.warm_up : table.warm_up + N_ROWS].reset_index(drop=True)


@pytest.fixture(scope="module", name="y")
def answers(bars, table: FeatureTable) -> np.ndarray:
    """Ups of the next bar; of the last two they are not known."""
    returns = forward_return(bars[: table.warm_up + N_ROWS], 1)
    return np.where(np.isnan(returns), np.nan, returns > 0)[table.warm_up :]


def up(model: ModelAdapter, X: pd.DataFrame) -> np.ndarray:
    return model.predict_proba(X)[:, 1]


def test_predictions_are_probabilities_of_the_two_classes(make: Make, X, y):
    model = make().fit(X, y)
    p = model.predict_proba(X)
    assert model.classes_.tolist() == [0, 1]
    assert p.shape == (len(X), 2)
    assert p.dtype == np.float64
    assert p.min() >= 0 and p.max() <= 1
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-15)
    assert p[:, 1].std() > 0


@pytest.mark.parametrize(
    "learner", [small_trees, lambda: small_sequence(steps=150)], ids=["lightgbm", "cnn_lstm"]
)
def test_a_forecaster_learns_what_stands_in_its_inputs(learner: Make, X):
    from sklearn.metrics import roc_auc_score

    y = (X["return_z_ema_5"] > 0).to_numpy(dtype=float)
    model = learner().fit(X, y, rows=np.arange(800))
    assert roc_auc_score(y[800:], up(model, X)[800:]) > 0.9


def test_columns_in_another_order_are_refused_by_name(make: Make, X, y):
    model = make().fit(X, y)
    names = list(X.columns)
    names[2], names[5] = names[5], names[2]
    with pytest.raises(SchemaError, match=rf"column 2 is '{names[2]}', expected '{names[5]}'"):
        model.predict_proba(X[names])


def test_missing_and_extra_columns_are_named(make: Make, X, y):
    model = make().fit(X, y)
    with pytest.raises(SchemaError, match="Missing columns: rsi_14; extra: none"):
        model.predict_proba(X.drop(columns="rsi_14"))
    with pytest.raises(SchemaError, match="Missing columns: none; extra: moon_phase"):
        model.predict_proba(X.assign(moon_phase=0.0))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused_with_their_column(make: Make, X, y, value: float):
    model = make().fit(X, y)
    broken = X.copy()
    broken.iloc[7, 3] = value
    with pytest.raises(SchemaError, match=f"not finite in {X.columns[3]}; start after the warm-up"):
        model.predict_proba(broken)


@pytest.mark.parametrize("answer", [0.0, 1.0, np.nan])
def test_training_rows_without_both_classes_are_refused(make: Make, X, answer: float):
    with pytest.raises(SchemaError, match="needs both classes among its"):
        make().fit(X, np.full(len(X), answer))


def test_the_same_seed_gives_the_same_model_and_another_seed_another(make: Make, X, y):
    one, again, other = (up(make(seed).fit(X, y), X) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()


def test_a_saved_model_predicts_the_same_bit_for_bit(make: Make, X, y, tmp_path):
    model = make(3).fit(X, y)
    model.save(tmp_path)
    loaded = type(model).load(tmp_path)
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    assert loaded.settings() == model.settings()
    assert loaded.feature_names_in_ == list(X.columns)
    with pytest.raises(SchemaError):
        loaded.predict_proba(X[list(reversed(X.columns))])


def test_bars_outside_the_training_rows_leave_no_trace(make: Make, X, y):
    """Neither their labels nor their features, in trees, weights or scaling."""
    rows = np.r_[0:400, 500:900]
    outside = np.setdiff1d(np.arange(len(X)), rows)
    other_X, other_y = X.copy(), y.copy()
    other_y[outside] = 1 - other_y[outside]
    noise = np.random.default_rng(0).normal(5, 9, size=(len(outside), X.shape[1]))
    other_X.iloc[outside] = noise.astype(np.float32)
    kept = up(make().fit(X, y, rows=rows), X)
    np.testing.assert_array_equal(kept, up(make().fit(other_X, other_y, rows=rows), X))
    assert (kept != up(make().fit(X, y), X)).any()


def test_bars_without_an_answer_or_with_incomplete_features_are_not_learnt_from(make: Make, X, y):
    known = np.r_[40:600, 700:1_000]
    holed_X, holed_y = X.copy(), np.full(len(y), np.nan)
    holed_y[known] = y[known]
    holed_y[:40] = y[:40]
    holed_X.iloc[:40, 3] = np.nan
    expected = up(make().fit(X, y, rows=known), X)
    np.testing.assert_array_equal(up(make().fit(holed_X, holed_y), X), expected)


def test_no_prediction_depends_on_a_later_bar(make: Make, X, y):
    model = make().fit(X, y)
    other = X.copy()
    noise = np.random.default_rng(0).normal(size=other.iloc[300:].shape)
    other.iloc[300:] = noise.astype(np.float32)
    p, q = up(model, X), up(model, other)
    np.testing.assert_array_equal(p[:300], q[:300])
    assert (p[300:] != q[300:]).any()


def test_a_sequence_model_reads_the_stationary_features_alone(X, y):
    model = small_sequence().fit(X, y)
    assert [X.columns[i] for i in model.columns] == [name for name in X.columns if name in SEQUENCE_NAMES]
    other = X.copy()
    unread = [name for name in X.columns if name not in SEQUENCE_NAMES]
    other[unread] = np.float32(0.5)
    np.testing.assert_array_equal(up(model, X), up(model, other))


def test_the_memory_of_a_sequence_model_reaches_beyond_its_convolution(X, y):
    model = small_sequence(steps=60).fit(X, y)
    whole = up(model, X)
    started_late = up(model, X.iloc[100:])
    assert started_late[0] != whole[100]
    np.testing.assert_allclose(started_late[256:], whole[356:], atol=1e-5)


def test_gains_of_the_features_are_shares_of_the_whole(X, y):
    gain = small_trees().fit(X, y).gain()
    assert list(gain) == list(X.columns)
    assert sum(gain.values()) == pytest.approx(1, abs=1e-9)
    assert min(gain.values()) >= 0


@given(st.sets(st.integers(0, 60)))
def test_spans_are_the_stretches_of_consecutive_rows(rows):
    ordered = np.array(sorted(rows), dtype=np.int64)
    spans = spans_of(ordered)
    assert [row for low, high in spans for row in range(low, high)] == ordered.tolist()
    assert all(low < high for low, high in spans)
    assert all(spans[i][1] < spans[i + 1][0] for i in range(len(spans) - 1))


@given(
    lengths=st.lists(st.tuples(st.integers(1, 10), st.integers(1, 120)), min_size=1, max_size=6),
    chunk=st.integers(1, 30),
    burn_in=st.integers(0, 20),
    shift=st.integers(0, 60),
)
def test_no_chunk_leaves_its_span_and_none_that_fits_is_left_out(lengths, chunk, burn_in, shift):
    spans, at = [], 0
    for hole, length in lengths:
        spans.append((at + hole, at + hole + length))
        at += hole + length
    whole = chunk + burn_in
    expected = [
        first
        for low, high in spans
        for first in range(low + shift % chunk, high, chunk)
        if first + whole <= high
    ]
    if not expected:
        longest = max(high - low for low, high in spans)
        with pytest.raises(ValueError, match=rf"No stretch of {whole} bars .* longest has {longest}"):
            chunk_starts(spans, chunk, burn_in, shift)
        return
    starts = chunk_starts(spans, chunk, burn_in, shift).tolist()
    assert starts == expected
    scored = [bar for first in starts for bar in range(first + burn_in, first + whole)]
    assert len(scored) == len(set(scored))
