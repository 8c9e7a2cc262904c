"""What every forecaster promises, asked of each of them."""

import json
import re
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sklearn.base
from sklearn.metrics import roc_auc_score

from trading_assets.config.settings import (
    FractionalDifference,
    PrincipalComponents,
    Standardize,
    Winsorize,
)
from trading_assets.errors import ArtifactError, SchemaError, SettingsError
from trading_assets.features.catalogue import SEQUENCE_NAMES
from trading_assets.forecasters import FORECASTERS, forecaster_class, load_forecaster
from trading_assets.forecasters.base import ModelAdapter
from trading_assets.forecasters.calibrators import (
    BetaCalibrator,
    IsotonicCalibrator,
    PlattCalibrator,
    TemperatureCalibrator,
)
from trading_assets.forecasters.lightgbm import LightGBMForecaster
from trading_assets.forecasters.sequence import SequenceForecaster

SEQUENCE = {
    "inputs": "all",
    "mirror": False,
    "hidden_size": 6,
    "dropout": 0.2,
    "chunk": 32,
    "burn_in": 8,
    "steps": 12,
    "batch_size": 4,
    "micro_batches": 1,
    "learning_rate": 0.01,
    "weight_decay": 0.01,
    "schedule": "constant",
    "warm_up_steps": 0,
    "averaging": 0.9,
    "evaluate_every": 5,
}
SMALL = {
    "lightgbm": {
        "n_estimators": 20,
        "learning_rate": 0.1,
        "num_leaves": 7,
        "min_child_samples": 10,
        "subsample": 0.7,
        "colsample_bytree": 0.6,
        "reg_lambda": 1.0,
    },
    "gru": SEQUENCE,
    "cnn_lstm": {**SEQUENCE, "channels": 4, "kernel_size": 3},
}
KINDS = list(FORECASTERS)
SEQUENCES = [kind for kind in KINDS if issubclass(forecaster_class(kind), SequenceForecaster)]
TASKS = ("two classes", "three classes", "value")
N = 600
SHORT = FractionalDifference(order=0.4, tolerance=0.03)
"""Five weights: looks back at four bars."""
PIPELINES = {
    "winsorize, standardize": (Winsorize(lower=0.02, upper=0.97), Standardize(limit=4)),
    "fractional_difference": (SHORT, Standardize()),
    "pca": (Standardize(), PrincipalComponents(n_components=3)),
    "nothing": (),
}
EXACT = {"lightgbm"}
"""Compute a bar alone as they compute it among many, bit for bit."""


@pytest.fixture(autouse=True, scope="module")
def _on_the_cpu():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRADING_ASSETS_DEVICE", "cpu")
        yield


@pytest.fixture(params=KINDS)
def kind(request) -> str:
    return request.param


@pytest.fixture(params=TASKS)
def task(request) -> str:
    return request.param


@cache
def features() -> pd.DataFrame:
    """Two of the stationary features and three others; scales differ, tails are fat."""
    rng = np.random.default_rng(0)
    values = rng.standard_t(5, size=(N, 5)) * [1, 0.01, 30, 1, 2] + [0, 0, 100, -1, 0]
    names = [*list(SEQUENCE_NAMES)[:2], "rsi_14", "obv", "hour"]
    return pd.DataFrame(values, columns=names).astype(np.float32)


@pytest.fixture(name="X")
def _features() -> pd.DataFrame:
    return features().copy()


def answers(task: str, noise: bool = False) -> np.ndarray:
    """What the first feature says; with `noise`, nothing any feature knows."""
    x = features().iloc[:, 0].to_numpy(dtype=float)
    if noise:
        x = np.random.default_rng(1).normal(size=N)
    if task == "two classes":
        return (x > 0).astype(float)
    return np.digitize(x, [-0.5, 0.5]) - 1.0 if task == "three classes" else 3 + 0.1 * x


def make(kind: str, task: str = "two classes", seed: int = 0, **more) -> ModelAdapter:
    settings = {**SMALL[kind], **more}
    return forecaster_class(kind)(
        seed, task="regression" if task == "value" else "classification", **settings
    )


@cache
def fitted(kind: str, task: str = "two classes", seed: int = 0) -> ModelAdapter:
    """Shared by the tests that only look at it."""
    return make(kind, task, seed).fit(features(), answers(task))


def calibrated(kind: str, task: str, **more) -> ModelAdapter:
    """A fitted model with a calibrator and one for each of two folds, where it has probabilities."""
    X, y = features(), answers(task)
    model = make(kind, task, **more).fit(X, y)
    p = forecast(model, X)
    known = np.isfinite(p).all(axis=-1)
    if task == "two classes":
        p, y = p[known, 1], y[known]
        model.calibrator_ = PlattCalibrator().fit(p, y)
        model.fold_calibrators_ = {0: IsotonicCalibrator().fit(p, y), 11: BetaCalibrator().fit(p, y)}
    elif task == "three classes":
        p, y = p[known], y[known] + 1
        model.calibrator_ = TemperatureCalibrator().fit(p, y)
        model.fold_calibrators_ = {0: TemperatureCalibrator().fit(p[:300], y[:300])}
    return model


def forecast(model: ModelAdapter, X: pd.DataFrame, **more) -> np.ndarray:
    return model.predict(X) if model.task == "regression" else model.predict_proba(X, **more)


def streamed(model: ModelAdapter, X: pd.DataFrame) -> np.ndarray:
    push = model.stream()
    out = np.array([push(row) for row in X.to_numpy()])
    return out[:, 0] if model.task == "regression" else out


def assert_alike(kind: str, one: np.ndarray, other: np.ndarray) -> None:
    if kind in EXACT:
        np.testing.assert_array_equal(one, other)
    else:
        np.testing.assert_allclose(one, other, rtol=0, atol=2e-6)


def saved(model: ModelAdapter, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    model.save(folder)
    return folder


# Parameters


def test_small_settings_are_there_for_every_kind_of_forecaster():
    assert SMALL.keys() == FORECASTERS.keys()
    assert [forecaster_class(kind).kind for kind in KINDS] == KINDS


def test_parameters_are_those_given_and_the_defaults_of_the_settings(kind: str):
    model = make(kind, "value", seed=4)
    params = model.get_params()
    defaults = {name: info.default for name, info in model.Settings.model_fields.items()}
    assert params == {**defaults, **SMALL[kind], "seed": 4, "task": "regression"}
    assert model.settings == model.Settings(**SMALL[kind])


@pytest.mark.parametrize("clone", [lambda model: model.clone(), sklearn.base.clone], ids=["own", "sklearn"])
def test_a_clone_has_equal_parameters_and_has_learnt_nothing(kind: str, clone):
    model = make(kind, "three classes", 5, preprocessing=PIPELINES["pca"]).fit(
        features(), answers("three classes")
    )
    copy = clone(model)
    assert type(copy) is type(model)
    assert copy.get_params() == model.get_params()
    assert copy.settings == model.settings
    learnt = vars(model).keys() - vars(make(kind)).keys()
    assert {"classes_", "preprocessor_", "training_"} < learnt
    assert not learnt & vars(copy).keys()
    refitted = copy.fit(features(), answers("three classes"))
    np.testing.assert_array_equal(forecast(refitted, features()), forecast(model, features()))


def test_parameters_that_are_set_change_and_the_others_stay(kind: str):
    model = make(kind, seed=4)
    before = model.get_params()
    assert model.set_params(seed=9, early_stopping=3) is model
    assert model.get_params() == {**before, "seed": 9, "early_stopping": 3}
    assert (model.seed, model.settings.early_stopping) == (9, 3)


def test_a_misspelt_parameter_is_refused_and_changes_nothing(kind: str):
    with pytest.raises(SettingsError, match="hiden_size"):
        make(kind, hiden_size=3)
    model = make(kind)
    before = model.get_params()
    with pytest.raises(SettingsError, match="hiden_size"):
        model.set_params(seed=7, hiden_size=3)
    assert (model.get_params(), model.seed) == (before, 0)


def test_an_unknown_task_is_refused(kind: str):
    with pytest.raises(SettingsError, match="task is 'ranking'; expected 'classification' or 'regression'"):
        forecaster_class(kind)(task="ranking")


def test_an_unknown_kind_is_refused_with_those_there_are():
    with pytest.raises(SettingsError, match=r"No forecaster 'oracle'. Known: lightgbm, gru, cnn_lstm\."):
        forecaster_class("oracle")


# What comes out


@pytest.mark.parametrize("task", TASKS[:2])
def test_predictions_are_probabilities_of_the_classes(kind: str, task: str, X):
    model, y = fitted(kind, task), answers(task)
    p = model.predict_proba(X)
    np.testing.assert_array_equal(model.classes_, np.unique(y))
    assert p.shape == (N, len(np.unique(y)))
    assert p.dtype == np.float64
    assert p.min() >= 0 and p.max() <= 1
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-14)
    assert (p.std(axis=0) > 0).all()
    np.testing.assert_array_equal(model.predict(X), model.classes_[p.argmax(axis=1)])


def test_a_model_of_values_has_no_probabilities(kind: str, X):
    model = fitted(kind, "value")
    assert model.predict(X).shape == (N,)
    assert model.predict(X).dtype == np.float64
    with pytest.raises(AttributeError, match="has no attribute 'predict_proba'") as refused:
        model.predict_proba(X)
    assert "forecasts a value; ask predict" in str(refused.value.__cause__)


@pytest.mark.parametrize("labels", [(-1.0, 1.0), (-1.0, 0.0, 1.0), (2.0, 5.0, 7.0, 40.0)])
def test_classes_come_back_as_they_were_given(kind: str, labels, X):
    x = X.iloc[:, 0].to_numpy()
    y = np.array(labels)[np.searchsorted(np.quantile(x, np.linspace(0, 1, len(labels) + 1)[1:-1]), x)]
    more = {"steps": 40, "learning_rate": 0.03} if kind in SEQUENCES else {}
    model = make(kind, **more).fit(X, y)
    assert model.classes_.tolist() == list(labels)
    assert model.predict_proba(X).shape == (N, len(labels))
    assert set(model.predict(X)) <= set(labels)
    # The order of the classes is that of the columns: the first is the likeliest where the feature is low.
    low, high = (
        model.predict_proba(X)[x < np.quantile(x, 0.1)],
        model.predict_proba(X)[x > np.quantile(x, 0.9)],
    )
    assert low[:, 0].mean() > high[:, 0].mean()
    assert low[:, -1].mean() < high[:, -1].mean()


def test_a_forecaster_learns_what_stands_in_its_inputs(kind: str, task: str, X):
    if kind in SEQUENCES:
        more = {"steps": 120, "dropout": 0.0, "learning_rate": 0.03}
    else:
        more = {"n_estimators": 60, "colsample_bytree": 1.0}
    y = answers(task)
    model = make(kind, task, **more).fit(X, y, rows=np.arange(450))
    new, truth = X.iloc[450:], y[450:]
    if task == "two classes":
        assert roc_auc_score(truth, model.predict_proba(new)[:, 1]) > 0.95
    elif task == "three classes":
        assert np.mean(model.predict(new) == truth) > 0.8
    else:
        values = model.predict(new)
        assert np.corrcoef(truth, values)[0, 1] > 0.9
        assert np.mean((truth - values) ** 2) < 0.3 * truth.var()


def test_the_same_seed_gives_the_same_model_and_another_seed_another(kind: str, task: str, X):
    kept = forecast(fitted(kind, task), X)
    np.testing.assert_array_equal(kept, forecast(make(kind, task).fit(X, answers(task)), X))
    assert (kept != forecast(make(kind, task, seed=1).fit(X, answers(task)), X)).any()


def test_variants_of_the_same_bars_are_predicted_as_one_by_one(kind: str, X):
    model = calibrated(kind, "two classes", preprocessing=PIPELINES["fractional_difference"])
    other = X.assign(**{X.columns[0]: X.iloc[::-1, 0].to_numpy()})
    expected = [model.predict_proba(x, calibrated=False)[4:] for x in (X, other)]
    both = model.predict_variants([X, other])
    assert both.shape == (2, N - 4, 2)
    assert_alike(kind, both, np.stack(expected))
    assert (both[0] != both[1]).any()


# Inputs


def test_columns_in_another_order_are_refused_by_name(kind: str, X):
    model = fitted(kind)
    assert model.feature_names_in_ == list(X.columns)
    names = list(X.columns)
    names[1], names[3] = names[3], names[1]
    with pytest.raises(SchemaError, match=rf"column 1 is '{names[1]}', expected '{names[3]}'"):
        model.predict_proba(X[names])


def test_missing_extra_and_doubled_columns_are_named(kind: str, X):
    model = fitted(kind)
    with pytest.raises(SchemaError, match="Missing columns: rsi_14; extra: none"):
        model.predict_proba(X.drop(columns="rsi_14"))
    with pytest.raises(SchemaError, match="Missing columns: none; extra: moon_phase"):
        model.predict_proba(X.assign(moon_phase=np.float32(0)))
    with pytest.raises(SchemaError, match="there more than once: hour"):
        model.predict_proba(pd.concat([X, X[["hour"]]], axis=1))


def test_columns_of_another_type_are_named(kind: str, X):
    with pytest.raises(SchemaError, match="'obv' is float64, expected float32"):
        fitted(kind).predict_proba(X.astype({"obv": np.float64}))


def test_columns_that_are_no_numbers_cannot_be_learnt_from(kind: str, X):
    with pytest.raises(SchemaError, match=r"Columns that are no numbers: 'obv' is .*; drop or convert"):
        make(kind).fit(X.assign(obv="low"), answers("two classes"))


def test_columns_of_truth_values_and_whole_numbers_are_numbers(kind: str, X):
    X = X.assign(hour=X["hour"] > 0, obv=np.arange(N))
    model = make(kind).fit(X, answers("two classes"))
    assert np.isfinite(model.predict_proba(X)).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused_in_a_batch_with_their_column(kind: str, X, value: float):
    X.iloc[7, 3] = value
    with pytest.raises(SchemaError, match="not finite in obv; start after the warm-up"):
        fitted(kind).predict_proba(X)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_bar_that_is_not_finite_is_refused_in_a_stream_and_leaves_it_as_it_was(kind: str, X, value: float):
    model, rows = fitted(kind), X.to_numpy()
    push, undisturbed = model.stream(), model.stream()
    broken = rows[5].copy()
    broken[2] = value
    for row in rows[:5]:
        np.testing.assert_array_equal(push(row), undisturbed(row))
    with pytest.raises(SchemaError, match="not finite"):
        push(broken)
    for row in rows[5:40]:
        np.testing.assert_array_equal(push(row), undisturbed(row))


def test_a_row_of_another_length_is_refused_in_a_stream(kind: str, X):
    with pytest.raises(SchemaError, match=r"A row of shape \(4,\) was given, expected \(5,\): one bar"):
        fitted(kind).stream()(X.to_numpy()[0, :4])


@pytest.mark.parametrize("task", TASKS[:2])
@pytest.mark.parametrize("answer", [0.0, 1.0])
def test_training_rows_without_two_classes_are_refused(kind: str, task: str, answer: float, X):
    with pytest.raises(SchemaError, match=f"needs at least two classes; its {N} training rows have 1 class"):
        make(kind, task).fit(X, np.full(N, answer))


def test_values_that_are_all_the_same_are_refused(kind: str, X):
    with pytest.raises(SchemaError, match=f"needs values that differ; n_samples={N} are left"):
        make(kind, "value").fit(X, np.full(N, 2.0))


@pytest.mark.parametrize("early_stopping", [0, 2])
def test_without_any_answer_there_is_nothing_to_learn(kind: str, task: str, early_stopping: int, X):
    with pytest.raises(SchemaError, match="at least one training row"):
        make(kind, task, early_stopping=early_stopping).fit(X, np.full(N, np.nan), label_end=np.arange(N))


def test_answers_weights_and_label_ends_of_another_length_are_refused(kind: str, X):
    y, few = answers("two classes"), np.ones(N - 1)
    with pytest.raises(SchemaError, match=f"y has {N - 1} rows, X has {N}"):
        make(kind).fit(X, y[1:])
    with pytest.raises(SchemaError, match=f"sample_weight has {N - 1} rows, X has {N}"):
        make(kind).fit(X, y, sample_weight=few)
    with pytest.raises(SchemaError, match=f"label_end has {N - 1} rows, X has {N}"):
        make(kind).fit(X, y, label_end=few.astype(int))


# Stream and batch


@pytest.mark.parametrize("task", TASKS)
def test_a_stream_says_what_a_batch_says(kind: str, task: str, X):
    model = fitted(kind, task)
    assert_alike(kind, streamed(model, X), forecast(model, X))


@pytest.mark.parametrize("task", TASKS[:2])
def test_a_stream_is_calibrated_where_the_batch_is(kind: str, task: str, X):
    model = calibrated(kind, task)
    raw, p = forecast(model, X, calibrated=False), forecast(model, X)
    assert np.abs(raw - p).max() > 1e-3
    assert_alike(kind, streamed(model, X), p)


def test_two_streams_of_a_model_do_not_disturb_each_other(kind: str, X):
    model, rows = fitted(kind), X.to_numpy()[:60]
    expected = streamed(model, X.iloc[:60])
    one, other = model.stream(), model.stream()
    first, second = [], []
    for i, row in enumerate(rows):
        first.append(one(row))
        if i % 2:
            second.append(other(rows[i // 2]))
    np.testing.assert_array_equal(first, expected)
    np.testing.assert_array_equal(second, expected[:30])


def test_no_prediction_depends_on_a_later_bar(kind: str, task: str, X):
    model = fitted(kind, task)
    other = X.copy()
    other.iloc[300:] = other.iloc[300:].to_numpy()[::-1]
    p, q = forecast(model, X), forecast(model, other)
    np.testing.assert_array_equal(p[:300], q[:300])
    assert (p[300:] != q[300:]).any()


# Rows and weights


def test_bars_outside_the_training_rows_leave_no_trace(kind: str, task: str, X):
    """Neither their labels nor their features, in trees, weights or scaling."""
    rows, y = np.r_[0:300, 400:560], answers(task)
    outside = np.setdiff1d(np.arange(N), rows)
    other_X, other_y = X.copy(), y.copy()
    other_y[outside] = np.random.default_rng(0).permutation(y[outside]) + 1
    noise = np.random.default_rng(0).normal(5, 9, size=(len(outside), X.shape[1]))
    other_X.iloc[outside] = noise.astype(np.float32)
    kept = forecast(make(kind, task).fit(X, y, rows=rows), X)
    np.testing.assert_array_equal(kept, forecast(make(kind, task).fit(other_X, other_y, rows=rows), X))
    assert (kept != forecast(fitted(kind, task), X)).any()


def test_bars_without_an_answer_or_with_incomplete_features_are_not_learnt_from(kind: str, X):
    """Where no model is to look at bars without an answer, rows leave them out."""
    y = answers("two classes")
    known = np.r_[40:300, 380:590]
    holed_X, holed_y = X.copy(), np.full(N, np.nan)
    holed_y[known] = y[known]
    holed_y[:40] = y[:40]
    holed_X.iloc[:40, 3] = np.nan
    holed_X.iloc[:20, 1] = np.inf
    expected = forecast(make(kind).fit(X, y, rows=known), X)
    rows = None if kind not in SEQUENCES else np.r_[0:300, 380:590]
    np.testing.assert_array_equal(forecast(make(kind).fit(holed_X, holed_y, rows=rows), X), expected)


@pytest.mark.parametrize("pipeline", ["winsorize, standardize", "fractional_difference"])
def test_bars_without_an_answer_amid_others_break_no_sequence(kind: str, pipeline: str, X):
    """Every fifth price did not move: no stretch of answers is as long as a chunk, nor as a window."""
    y = answers("two classes")
    y[::5] = np.nan
    weight = np.where(np.isnan(y), np.nan, 1.0)  # as label tables have it
    settings = {"preprocessing": PIPELINES[pipeline]}
    if kind in SEQUENCES:
        settings |= {"steps": 120, "dropout": 0.0, "learning_rate": 0.03}
    model = make(kind, **settings).fit(X, y, sample_weight=weight)
    truth = answers("two classes")[4:]
    assert roc_auc_score(truth, model.predict_proba(X)[4:, 1]) > 0.95
    stopped = stopping(kind, preprocessing=PIPELINES[pipeline])
    stopped.fit(X, y, sample_weight=weight, label_end=np.arange(N))
    assert 0 < length(stopped) <= 60


def test_the_order_in_which_training_rows_are_named_does_not_matter(kind: str, X):
    y, rows = answers("two classes"), np.arange(450)
    shuffled = np.random.default_rng(0).permutation(rows)
    kept = forecast(make(kind).fit(X, y, rows=rows), X)
    np.testing.assert_array_equal(forecast(make(kind).fit(X, y, rows=shuffled), X), kept)


@pytest.mark.parametrize("nothing", [0.0, np.nan])
def test_a_bar_without_weight_is_as_one_left_out(kind: str, task: str, nothing: float, X):
    y, weight = answers(task), np.random.default_rng(0).uniform(0.5, 2, N)
    out = np.r_[100:160, 300, 450:460]
    rows = np.setdiff1d(np.arange(N), out)
    expected = forecast(make(kind, task).fit(X, y, rows=rows, sample_weight=weight), X)
    weight[out] = nothing
    np.testing.assert_array_equal(forecast(make(kind, task).fit(X, y, sample_weight=weight), X), expected)


def test_only_ratios_of_the_weights_matter(kind: str, task: str, X):
    """A power of two scales without rounding."""
    y, weight = answers(task), np.random.default_rng(0).uniform(0.5, 2, N)
    weighted, scaled, tiny = (
        forecast(make(kind, task).fit(X, y, sample_weight=factor * weight), X) for factor in (1, 8, 2.0**-60)
    )
    np.testing.assert_array_equal(weighted, scaled)
    np.testing.assert_array_equal(weighted, tiny)
    assert np.abs(weighted - forecast(fitted(kind, task), X)).max() > 1e-5
    alike = forecast(make(kind, task).fit(X, y, sample_weight=np.full(N, 4.0)), X)
    np.testing.assert_array_equal(alike, forecast(fitted(kind, task), X))


def test_what_has_weight_is_what_is_learnt(kind: str, X):
    """Half of the bars say the opposite; who is believed is a matter of weight."""
    truth = answers("two classes")
    liar = np.random.default_rng(0).random(N) < 0.5
    y = np.where(liar, 1 - truth, truth)
    more = {"steps": 60, "dropout": 0.0, "learning_rate": 0.03} if kind in SEQUENCES else {}
    for believed, sign in ((~liar, 1), (liar, -1)):
        model = make(kind, **more).fit(X, y, sample_weight=np.where(believed, 1.0, 0.02))
        assert sign * (roc_auc_score(truth, model.predict_proba(X)[:, 1]) - 0.5) > 0.4


@pytest.mark.parametrize("value", [-1.0, np.inf])
def test_weights_that_are_negative_or_infinite_are_refused(kind: str, value: float, X):
    weight = np.ones(N)
    weight[3:5] = value
    with pytest.raises(SchemaError, match="sample_weight has 2 negative or infinite values"):
        make(kind).fit(X, answers("two classes"), sample_weight=weight)


# Preprocessing


@pytest.mark.parametrize("pipeline", PIPELINES.values(), ids=PIPELINES.keys())
@pytest.mark.parametrize("task", TASKS)
def test_any_preprocessing_goes_through_batch_stream_and_folder(
    kind: str, task: str, pipeline, X, tmp_path: Path
):
    model = calibrated(kind, task, preprocessing=pipeline)
    lookback = 4 if SHORT in pipeline else 0
    assert model.preprocessor_.lookback == lookback
    p = forecast(model, X)
    assert np.isnan(p[:lookback]).all()
    assert np.isfinite(p[lookback:]).all()
    assert (p[lookback:].std(axis=0) > 0).all()
    np.testing.assert_array_equal(np.isnan(model.predict(X)), np.arange(N) < lookback)
    assert_alike(kind, streamed(model, X), p)
    loaded = load_forecaster(saved(model, tmp_path))
    np.testing.assert_array_equal(forecast(loaded, X), p)
    np.testing.assert_array_equal(streamed(loaded, X), streamed(model, X))


def test_bars_fewer_than_preprocessing_looks_back_at_have_no_forecast(kind: str, task: str, X):
    pipeline = PIPELINES["fractional_difference"]
    model = make(kind, task, preprocessing=pipeline).fit(X, answers(task))
    assert np.isnan(forecast(model, X.iloc[:3])).all()
    assert len(forecast(model, X.iloc[:0])) == 0
    assert np.isfinite(forecast(model, X.iloc[:5])[-1]).all()


# Early stopping


def length(model: ModelAdapter) -> int:
    """Boosting rounds or optimizer steps that the model comes from."""
    if isinstance(model, LightGBMForecaster):
        return model.training_["trees"] // model._n_outputs
    return model.training_["steps"]


def stopping(kind: str, task: str = "two classes", **more) -> ModelAdapter:
    if kind in SEQUENCES:
        long = {"steps": 60, "dropout": 0.0, "averaging": 0.5}
    else:
        long = {"n_estimators": 60, "subsample": 1.0, "colsample_bytree": 1.0}
    return make(kind, task, **{**long, "early_stopping": 2, "holdout": 0.25, **more})


def test_early_stopping_needs_to_know_where_labels_end(kind: str, X):
    with pytest.raises(SchemaError, match="has to purge before them: give label_end"):
        stopping(kind).fit(X, answers("two classes"))


def test_early_stopping_learns_only_from_what_comes_before_its_purged_tail(kind: str, task: str, X):
    """With patience without end it is the model of the rows before; the purged bars leave no trace."""
    y, label_end = answers(task), np.arange(N) + 6
    train, purged, held_out = np.arange(444), np.arange(444, 450), np.arange(450, 600)
    patient = {"early_stopping": 10_000, **({"steps": 15} if kind in SEQUENCES else {})}
    model = stopping(kind, task, **patient).fit(X, y, label_end=label_end)
    other_X, other_y = X.copy(), y.copy()
    other_y[purged] = y[purged[::-1]] + 1
    other_X.iloc[purged] = np.float32(77)
    other = stopping(kind, task, **patient).fit(other_X, other_y, label_end=label_end)
    np.testing.assert_array_equal(forecast(model, X), forecast(other, X))
    assert length(model) == length(other)
    # Held-out bars are not learnt from: as long a training without them is the same model.
    n = length(model)
    if kind in SEQUENCES:
        assert n == 15
    alone = stopping(
        kind, task, early_stopping=0, **({"steps": n} if kind in SEQUENCES else {"n_estimators": n})
    )
    alone.fit(X, y, rows=train)
    np.testing.assert_array_equal(forecast(model, X), forecast(alone, X))
    # The first bar that is not purged is one of the training rows, the last purged one is none.
    for bar, counts in ((train[-1], True), (purged[0], False)):
        moved = X.copy()
        moved.iloc[bar] = np.float32(50)
        again = stopping(kind, task, **patient).fit(moved, y, label_end=label_end)
        assert (forecast(again, X) != forecast(model, X)).any() == counts
    assert held_out[0] == label_end[purged[0]]


def test_early_stopping_looks_at_held_out_labels(kind: str, task: str, X):
    """Where the tail says the opposite, each step makes it worse and training stops at once."""
    y, label_end = answers(task), np.arange(N)
    honest = stopping(kind, task).fit(X, y, label_end=label_end)
    other = y.copy()
    other[450:] = (y.min() + y.max()) - y[450:]
    contrary = stopping(kind, task).fit(X, other, label_end=label_end)
    assert length(contrary) <= 15
    assert length(honest) >= 30


def test_early_stopping_stops_on_noise_and_records_it(kind: str, task: str, X):
    if kind in SEQUENCES:
        more = {"steps": 2_000, "learning_rate": 0.03, "weight_decay": 0.0}
    else:
        more = {"n_estimators": 2_000}
    model = stopping(kind, task, **more).fit(X, answers(task, noise=True), label_end=np.arange(N))
    assert 0 < length(model) < 500
    if kind in SEQUENCES:
        history = model.training_["history"]
        losses = [row["held-out loss"] for row in history]
        best = int(np.argmin(losses))
        assert len(losses) == best + 1 + 2
        assert length(model) == history[best]["step"]


def test_bars_outside_the_training_rows_have_no_say_in_when_to_stop(kind: str, X):
    """A fold's test block may lie amid the held-out rows."""
    y, label_end = answers("two classes"), np.arange(N) + 3
    rows, block = np.r_[0:480, 540:600], np.arange(480, 540)
    other_X, other_y = X.copy(), y.copy()
    other_y[block] = 1 - y[block]
    other_X.iloc[block] = np.float32(50)
    models = [
        stopping(kind, holdout=0.3).fit(x, answer, rows=rows, label_end=label_end)
        for x, answer in ((X, y), (other_X, other_y))
    ]
    np.testing.assert_array_equal(*(forecast(model, X) for model in models))
    assert models[0].training_.get("history") == models[1].training_.get("history")


def test_held_out_bars_that_are_incomplete_or_of_an_unknown_class_are_not_asked(kind: str, X):
    y = answers("two classes")
    y[560:580] = 2.0
    X.iloc[500:505, 2] = np.nan
    model = stopping(kind).fit(X, y, label_end=np.arange(N))
    assert model.classes_.tolist() == [0, 1]
    assert length(model) > 10
    if kind in SEQUENCES:
        assert np.isfinite([row["held-out loss"] for row in model.training_["history"]]).all()


# Folders


def test_a_saved_model_predicts_the_same_bit_for_bit(kind: str, task: str, X, tmp_path: Path):
    model = fitted(kind, task)
    folder = saved(model, tmp_path)
    for loaded in (type(model).load(folder), load_forecaster(folder), load_forecaster(str(folder))):
        assert type(loaded) is type(model)
        np.testing.assert_array_equal(forecast(loaded, X), forecast(model, X))
        np.testing.assert_array_equal(streamed(loaded, X[:50]), streamed(model, X[:50]))
        assert loaded.get_params() == {**model.get_params(), **model.settings.model_dump(include=SMALL[kind])}
        assert (loaded.settings, loaded.training_) == (model.settings, model.training_)
        assert loaded.feature_names_in_ == list(X.columns)
        assert (loaded.calibrator_, loaded.fold_calibrators_) == (None, {})
        with pytest.raises(SchemaError, match="another order"):
            forecast(loaded, X[list(reversed(X.columns))])


def test_a_model_that_was_loaded_is_saved_as_it_was(kind: str, tmp_path: Path):
    first = saved(calibrated(kind, "three classes"), tmp_path / "first")
    second = saved(load_forecaster(first), tmp_path / "second")
    names = sorted(path.name for path in first.iterdir())
    assert names == sorted(path.name for path in second.iterdir())
    for name in names:
        assert (first / name).read_bytes() == (second / name).read_bytes(), name


@pytest.mark.parametrize("task", TASKS[:2])
def test_a_folder_holds_model_features_preprocessor_and_calibrators(kind: str, task: str, X, tmp_path: Path):
    model = calibrated(kind, task)
    folder = saved(model, tmp_path)
    folds = ["calibrator_fold0.json", "calibrator_fold11.json"] if task == "two classes" else [
        "calibrator_fold0.json"
    ]  # fmt: skip
    names = {"model.json", model.file, "features.json", "training.json", "calibrator.json", *folds}
    assert {path.name for path in folder.iterdir()} == {
        *names,
        "preprocessor.json",
        "preprocessor.safetensors",
    }
    assert json.loads((folder / "features.json").read_text()) == list(X.columns)
    loaded = load_forecaster(folder)
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    raw = model.predict_proba(X, calibrated=False)
    np.testing.assert_array_equal(loaded.predict_proba(X, calibrated=False), raw)
    assert (raw != model.predict_proba(X)).any()
    np.testing.assert_array_equal(streamed(loaded, X[:50]), streamed(model, X[:50]))
    assert loaded.fold_calibrators_.keys() == model.fold_calibrators_.keys()
    for fold, calibrator in model.fold_calibrators_.items():
        assert type(loaded.fold_calibrators_[fold]) is type(calibrator)
        assert loaded.fold_calibrators_[fold].parameters_ == calibrator.parameters_


def test_calibrators_of_another_model_do_not_stay_in_its_folder(kind: str, X, tmp_path: Path):
    saved(calibrated(kind, "two classes"), tmp_path)
    loaded = load_forecaster(saved(fitted(kind), tmp_path))
    assert (loaded.calibrator_, loaded.fold_calibrators_) == (None, {})


def test_fitting_again_forgets_the_calibrators(kind: str, X):
    model = calibrated(kind, "two classes").fit(X, answers("two classes"))
    assert (model.calibrator_, model.fold_calibrators_) == (None, {})


def test_a_folder_of_another_kind_of_model_is_refused(kind: str, tmp_path: Path):
    other = next(name for name in KINDS if name != kind)
    folder = saved(fitted(kind), tmp_path)
    with pytest.raises(ArtifactError, match=f"holds a {kind} of format 1, expected a {other} of format 1"):
        forecaster_class(other).load(folder)


def test_a_folder_of_another_format_is_refused(kind: str, tmp_path: Path):
    about = saved(fitted(kind), tmp_path) / "model.json"
    about.write_text(json.dumps({**json.loads(about.read_text()), "format": 99}))
    with pytest.raises(ArtifactError, match=f"holds a {kind} of format 99, expected a {kind} of format 1"):
        load_forecaster(tmp_path)


def test_the_preprocessor_of_another_model_is_refused(kind: str, X, tmp_path: Path):
    folder = saved(fitted(kind), tmp_path / "one")
    other = saved(make(kind).fit(X * 2, answers("two classes")), tmp_path / "other")
    for name in ("preprocessor.json", "preprocessor.safetensors"):
        (folder / name).write_bytes((other / name).read_bytes())
    with pytest.raises(ArtifactError, match="is not the one that its model was fitted with"):
        load_forecaster(folder)


def test_the_weights_of_another_model_are_refused(kind: str, tmp_path: Path):
    folder, other = saved(fitted(kind), tmp_path / "one"), saved(fitted(kind, seed=1), tmp_path / "other")
    name = fitted(kind).file
    (folder / name).write_bytes((other / name).read_bytes())
    with pytest.raises(ArtifactError, match=rf"{re.escape(str(folder / name))} is not what was saved"):
        load_forecaster(folder)


def test_a_damaged_folder_is_refused_whichever_file_it_is(kind: str, tmp_path: Path):
    """Cut off, emptied or missing; a calibrator that is missing cannot be told from one never made."""
    folder = saved(calibrated(kind, "two classes"), tmp_path)
    for path in sorted(folder.iterdir()):
        whole = path.read_bytes()
        for part in (whole[: len(whole) // 2], whole[:-3], b"", None):
            if part is None and path.name.startswith("calibrator"):
                continue
            path.unlink()
            if part is not None:
                path.write_bytes(part)
            for load in (load_forecaster, forecaster_class(kind).load):
                with pytest.raises(ArtifactError, match=re.escape(str(folder))):
                    load(folder)
        path.write_bytes(whole)
    load_forecaster(folder)


def test_a_folder_that_is_not_there_is_refused(kind: str, tmp_path: Path):
    with pytest.raises(ArtifactError, match="expected the folder of a forecaster"):
        load_forecaster(tmp_path / "nowhere")
    with pytest.raises(ArtifactError, match="nowhere"):
        forecaster_class(kind).load(tmp_path / "nowhere")


# Of some kinds only


@pytest.mark.parametrize("kind", SEQUENCES)
def test_a_sequence_model_reads_the_stationary_features_alone(kind: str, X):
    model = make(kind, inputs="sequence").fit(X, answers("two classes"))
    assert model.columns == [0, 1]
    other = X.copy()
    other[["rsi_14", "obv", "hour"]] = np.float32(0.5)
    np.testing.assert_array_equal(forecast(model, X), forecast(model, other))
    whole = fitted(kind)
    assert whole.columns == [0, 1, 2, 3, 4]
    assert (forecast(whole, X) != forecast(whole, other)).any()


@pytest.mark.parametrize("kind", SEQUENCES)
def test_a_sequence_model_remembers_and_forgets(kind: str, X):
    model = fitted(kind)
    whole, late = forecast(model, X), forecast(model, X.iloc[100:])
    assert np.abs(late[8] - whole[108]).max() > 1e-7
    np.testing.assert_allclose(late[256:], whole[356:], atol=1e-5)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in SEQUENCES])
def test_a_model_of_one_bar_remembers_nothing(kind: str, X):
    model = fitted(kind)
    np.testing.assert_array_equal(forecast(model, X.iloc[100:]), forecast(model, X)[100:])


def test_gains_of_the_features_are_shares_of_the_whole(X):
    gain = fitted("lightgbm").gain()
    assert list(gain) == list(X.columns)
    assert sum(gain.values()) == pytest.approx(1, abs=1e-9)
    assert min(gain.values()) >= 0
    assert max(gain, key=gain.__getitem__) == X.columns[0]
