"""What a forecaster relies on: a planted feature is found in every way, and the parts sum to the whole."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from trading_assets.config.settings import FractionalDifference, RobustScale
from trading_assets.execution.networks import sigmoid
from trading_assets.forecasters.base import ModelAdapter
from trading_assets.forecasters.cnn_lstm import CNNLSTMForecaster
from trading_assets.forecasters.crossfit import OutOfFold, cross_fit, predict_block
from trading_assets.forecasters.gru import GRUForecaster
from trading_assets.forecasters.importance import importances, permutation_importance
from trading_assets.forecasters.lightgbm import LightGBMForecaster, shap_importance
from trading_assets.forecasters.sequence import attributions, integrated_gradients
from trading_assets.validation.splits import PurgedKFold

N_ROWS = 900
NAMES = ["noise_0", "noise_1", "planted", "noise_2", "noise_3"]


@pytest.fixture(scope="module", name="X")
def inputs() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(rng.normal(size=(N_ROWS, 5)).astype(np.float32), columns=NAMES)


@pytest.fixture(scope="module", name="y")
def answers(X: pd.DataFrame) -> np.ndarray:
    """Ups that only the planted feature of their own bar tells, not always rightly."""
    rng = np.random.default_rng(1)
    return (rng.random(N_ROWS) < sigmoid(3 * X["planted"].to_numpy())).astype(float)


def trees(seed: int = 0, **given: Any) -> LightGBMForecaster:
    return LightGBMForecaster(
        seed,
        **{"n_estimators": 25, "num_leaves": 5, "min_child_samples": 20, "colsample_bytree": 1.0, **given},
    )


CHUNKS = {"chunk": 32, "burn_in": 8, "steps": 120, "dropout": 0.0, "learning_rate": 2e-2, "weight_decay": 0.0}


def gru(seed: int = 0, **given: Any) -> GRUForecaster:
    return GRUForecaster(seed, **{"hidden_size": 6, **CHUNKS, **given})


def cnn_lstm(seed: int = 0, **given: Any) -> CNNLSTMForecaster:
    return CNNLSTMForecaster(seed, **{"channels": 6, "kernel_size": 2, "hidden_size": 6, **CHUNKS, **given})


MAKERS = {"lightgbm": trees, "gru": gru, "cnn_lstm": cnn_lstm}


@pytest.fixture(scope="module", params=MAKERS)
def fitted(request: Any, X: pd.DataFrame, y: np.ndarray) -> tuple[ModelAdapter, OutOfFold]:
    """A model fitted on everything, and the models of three folds."""
    make = MAKERS[request.param]
    splits = list(PurgedKFold(3, label_horizon=1).split(X))
    return make().fit(X, y), cross_fit(make, X, y, splits)


def test_a_planted_feature_comes_out_on_top_in_every_way(
    fitted: tuple[ModelAdapter, OutOfFold], X: pd.DataFrame
) -> None:
    model, out = fitted
    found = importances(model, out, X)
    own = ["share of gain", "mean SHAP value"] if model.kind == "lightgbm" else ["mean integrated gradient"]
    assert list(found) == [*own, "rise of the Brier score"]
    for way, values in found.items():
        assert list(values) == NAMES, way
        top = values["planted"]
        for name in NAMES:
            assert name == "planted" or abs(values[name]) < 0.25 * top, (way, name)
    rise = found["rise of the Brier score"]
    assert rise["planted"] > 0.1
    assert all(abs(value) < 0.01 for name, value in rise.items() if name != "planted")


def test_a_feature_that_no_model_was_given_a_reason_to_use_has_no_importance(X: pd.DataFrame) -> None:
    y = (X["planted"] > 0).to_numpy(dtype=float)
    splits = list(PurgedKFold(3, label_horizon=1).split(X))
    constant = X.assign(noise_0=np.float32(0))
    found = importances(trees().fit(constant, y), cross_fit(trees, constant, y, splits), constant)
    assert [values["noise_0"] for values in found.values()] == [0.0, 0.0, 0.0]


# --- SHAP


def test_the_shap_values_of_a_bar_and_their_base_sum_to_its_raw_score(X: pd.DataFrame, y: np.ndarray) -> None:
    model = trees().fit(X, y)
    Z = model.preprocessor_.transform(X)
    parts = np.asarray(model.booster_.predict(Z, pred_contrib=True))
    raw = model.booster_.predict(Z, raw_score=True)
    np.testing.assert_allclose(parts.sum(axis=1), raw, rtol=0, atol=1e-10)
    by_hand = dict(zip(NAMES, np.abs(parts[:, :-1]).mean(axis=0), strict=True))
    assert shap_importance(model, X) == pytest.approx(by_hand, rel=1e-12)


def test_the_shap_value_of_a_single_split_is_what_it_differs_by_from_the_mean(
    X: pd.DataFrame, y: np.ndarray
) -> None:
    model = trees(n_estimators=1, num_leaves=2).fit(X, y)
    raw = np.asarray(model.booster_.predict(model.preprocessor_.transform(X), raw_score=True))
    found = shap_importance(model, X)
    assert len(np.unique(raw)) == 2
    # The tree's own mean is over the bars it was grown on, a sample of them without bagging: all.
    assert found["planted"] == pytest.approx(np.abs(raw - raw.mean()).mean(), rel=0.05)
    assert [found[name] for name in NAMES if name != "planted"] == [0.0] * 4


def test_shap_values_are_of_bars_evenly_spread_whose_past_is_whole(X: pd.DataFrame, y: np.ndarray) -> None:
    """Preprocessing that looks back must see all bars, also where only some of them are asked about."""
    steps = (FractionalDifference(order=0.5, tolerance=1e-2), RobustScale())
    model = trees(preprocessing=steps).fit(X, y)
    lookback = model.preprocessor_.lookback
    assert lookback > 5
    Z = model.preprocessor_.transform(X)[lookback:]
    thinned = Z[:: len(Z) // 100]
    parts = np.asarray(model.booster_.predict(thinned, pred_contrib=True))[:, :-1]
    expected = dict(zip(NAMES, np.abs(parts).mean(axis=0), strict=True))
    assert shap_importance(model, X, n_rows=100) == pytest.approx(expected, rel=1e-12)


def test_shap_values_of_several_classes_are_averaged_over_them(X: pd.DataFrame) -> None:
    y = np.digitize(X["planted"], [-0.5, 0.5]).astype(float)
    found = shap_importance(trees().fit(X, y), X)
    assert list(found) == NAMES
    assert max(found, key=found.__getitem__) == "planted"


# --- integrated gradients


@pytest.mark.parametrize("kind", ["gru", "cnn_lstm"])
@pytest.mark.parametrize("columns", [NAMES, ["planted"]], ids=["five", "one"])
@pytest.mark.parametrize(("size", "n_steps"), [(1, 32), (3, 256)], ids=["as it is", "far from linear"])
def test_integrated_gradients_are_complete(
    kind: str, columns: list[str], size: int, n_steps: int, X: pd.DataFrame
) -> None:
    """What the bars differ by from all zeros is shared out, to 1 %."""
    y = (X["planted"] + X["planted"].shift(2, fill_value=0) > 0).to_numpy(dtype=float)
    model = MAKERS[kind]().fit(X[columns], y)
    assert isinstance(model, GRUForecaster | CNNLSTMForecaster)
    bars = X[columns].iloc[-200:] * np.float32(size) + np.float32(0.5)
    parts = attributions(model, bars, n_steps=n_steps)
    Z = torch.from_numpy(model.preprocessor_.transform(bars)[:, model.columns].copy())
    with torch.inference_mode():
        at = [float(model.module_(x[None])[0, 100:, 0].double().sum()) for x in (Z, torch.zeros_like(Z))]
    difference = at[0] - at[1]
    assert parts.shape == (200, len(columns))
    assert abs(difference) > 5
    assert parts.sum() == pytest.approx(difference, rel=0.01)


def test_bars_before_the_counted_half_count_for_what_is_remembered_of_them(X: pd.DataFrame) -> None:
    y = (X["planted"].shift(3, fill_value=0) > 0).to_numpy(dtype=float)
    parts = np.abs(attributions(gru(steps=300).fit(X, y), X.iloc[-200:]))[:, NAMES.index("planted")]
    assert parts[96:100].max() > 10 * parts[:80].max()
    assert parts[196:200].max() < 0.5 * parts[100:190].max(), "the last bars' consequences are not seen"


def test_integrated_gradients_are_named_by_the_inputs_of_the_module_and_leave_its_weights_alone(
    X: pd.DataFrame, y: np.ndarray
) -> None:
    model = gru(steps=5).fit(X, y)
    before = {name: value.copy() for name, value in model.weights().items()}
    model.module_.zero_grad(set_to_none=True)
    found = integrated_gradients(model, X, n_steps=4, n_bars=64)
    expected = np.abs(attributions(model, X.iloc[-64:], n_steps=4)).mean(axis=0)
    assert found == dict(zip(NAMES, expected.tolist(), strict=True))
    assert all(np.array_equal(value, before[name]) for name, value in model.weights().items())
    assert all(parameter.grad is None for parameter in model.module_.parameters())


# --- permutation


@pytest.mark.parametrize("kind", ["lightgbm", "gru"])
def test_permutation_shuffles_the_test_rows_of_each_fold_for_its_own_model(
    kind: str, X: pd.DataFrame, y: np.ndarray
) -> None:
    """Against a loop that shuffles one feature of one test block and asks that fold's model again."""
    splits = list(PurgedKFold(3, label_horizon=1).split(X))
    make = MAKERS[kind]
    short = {} if kind == "lightgbm" else {"steps": 20}
    out = cross_fit(lambda: make(**short), X, y, splits)
    rng, rises = np.random.default_rng(4), np.zeros((3, 5))
    for fold, (_, test) in enumerate(splits):
        rows, part = test[:80], out.frame[out.frame["fold"] == fold].iloc[:80]
        np.testing.assert_array_equal(part["row"], rows)
        order = rng.permutation(rows)
        for i, name in enumerate(NAMES):
            shuffled = X.copy()
            shuffled.iloc[rows, i] = X[name].to_numpy()[order]
            p = predict_block(out.models[fold], shuffled, rows)[:, 1]
            rises[fold, i] = ((p - y[rows]) ** 2).mean() - ((part["p"] - y[rows]) ** 2).mean()
    found = permutation_importance(out, X, n_rows=80, seed=4)
    assert list(found) == NAMES
    np.testing.assert_allclose(list(found.values()), rises.mean(axis=0), rtol=0, atol=1e-7)
    assert rises.std(axis=0).max() > 1e-4, "the folds' models differ"


def test_permutation_reads_no_bar_outside_the_test_rows_where_nothing_is_remembered(
    X: pd.DataFrame, y: np.ndarray
) -> None:
    ((train, test), *_) = PurgedKFold(3, label_horizon=1).split(X)
    out = cross_fit(trees, X, y, [(train, test)])
    other = X.copy()
    other.iloc[np.setdiff1d(np.arange(N_ROWS), test)] = 9.0
    found = permutation_importance(out, X)
    assert permutation_importance(out, other) == found
    assert list(permutation_importance(out, X, names=["planted", "noise_3"])) == ["planted", "noise_3"]


def test_permutation_suits_preprocessing_that_looks_back(X: pd.DataFrame, y: np.ndarray) -> None:
    steps = (FractionalDifference(order=0.5, tolerance=1e-2), RobustScale())
    splits = list(PurgedKFold(3, label_horizon=1).split(X))
    out = cross_fit(lambda: trees(preprocessing=steps), X, y, splits)
    assert out.frame["row"].iloc[0] == out.models[0].preprocessor_.lookback
    found = permutation_importance(out, X)
    assert found["planted"] > 0.05
    assert all(abs(value) < 0.02 for name, value in found.items() if name != "planted")


def test_the_same_seed_gives_the_same_permutation(X: pd.DataFrame, y: np.ndarray) -> None:
    splits = list(PurgedKFold(3, label_horizon=1).split(X))
    out = cross_fit(trees, X, y, splits)
    assert permutation_importance(out, X, seed=1) == permutation_importance(out, X, seed=1)
    assert permutation_importance(out, X, seed=1) != permutation_importance(out, X, seed=2)
