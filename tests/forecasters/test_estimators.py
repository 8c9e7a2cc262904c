"""What estimators do with what they are not made for, and with parameters that change after the fit."""

import copy
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn.exceptions
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.utils.validation import check_is_fitted

from tests.forecasters.test_contract import (
    KINDS,
    SMALL,
    TASKS,
    N,
    answers,
    calibrated,
    features,
    fitted,
    forecast,
    make,
    streamed,
)
from trading_assets.config.settings import FractionalDifference, Standardize
from trading_assets.errors import SchemaError, SettingsError, TradingAssetsError
from trading_assets.forecasters import load_forecaster
from trading_assets.forecasters.base import ModelAdapter
from trading_assets.forecasters.crossfit import cross_fit
from trading_assets.forecasters.importance import importances
from trading_assets.forecasters.inputs import NotFittedError
from trading_assets.forecasters.preprocessing import PreprocessorManager
from trading_assets.validation.splits import PurgedKFold

NAMES = {
    "colons": ["ret:5", "ret:10", "a:b:c", ":", "{x}"],
    "commas and quotes": ["x,y", 'say "up"', "[0]", "it's", "\\n"],
    "numbers": [0, 1, 2, 3, 4],
    "mixed": ["ret 5", "ret_5", 5, 0.5, "5"],
    "spaces": ["ret 5", "ret_5", " ret_5", "ret_5 ", ""],
    "other letters": ["Größe", "価格", "é", "e\u0301", "🙂"],
}
CHANGED: dict[str, dict[str, Any]] = {
    "lightgbm": {"max_depth": 1, "n_estimators": 2},
    "gru": {"hidden_size": 3, "channels": 5, "inputs": "sequence", "steps": 3},
    "cnn_lstm": {"hidden_size": 3, "channels": 2, "kernel_size": 2, "inputs": "sequence", "steps": 3},
}


@pytest.fixture(autouse=True, scope="module")
def _on_the_cpu():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRADING_ASSETS_DEVICE", "cpu")
        yield


@pytest.fixture(params=KINDS)
def kind(request) -> str:
    return request.param


# Parameters


@pytest.mark.parametrize("task", TASKS)
def test_parameters_that_are_set_change_nothing_that_was_fitted(kind: str, task: str, tmp_path: Path):
    X = features()
    model = calibrated(kind, task)
    model.n_threads, model.checkpoint = 2, tmp_path / "checkpoint"
    before, stream = forecast(model, X), streamed(model, X[:50])
    about = vars(model).copy()
    other = "regression" if task != "value" else "classification"
    model.set_params(seed=3, task=other, preprocessing=(), **CHANGED[kind])
    assert {name for name in about if vars(model)[name] is not about[name]} == {
        "seed",
        "task",
        "_settings",
        "_given",
    }
    told = model.predict(X) if task == "value" else model.predict_proba(X)
    np.testing.assert_array_equal(told, before)
    push = model.stream()
    np.testing.assert_array_equal(np.squeeze([push(row) for row in X.to_numpy()[:50]]), stream)
    model.save(tmp_path / "model")
    loaded = load_forecaster(tmp_path / "model")
    np.testing.assert_array_equal(forecast(loaded, X), before)
    assert loaded.seed == 0 and json.loads((tmp_path / "model" / "model.json").read_text())["seed"] == 0


def test_parameters_that_are_set_hold_for_the_next_fit(kind: str):
    X, y = features(), answers("two classes")
    model = make(kind).fit(X, y).set_params(seed=3, **CHANGED[kind])
    expected = make(kind, seed=3, **CHANGED[kind]).fit(X, y)
    assert (forecast(model, X) != forecast(expected, X)).any()
    np.testing.assert_array_equal(forecast(model.fit(X, y), X), forecast(expected, X))
    assert model.get_params() == expected.get_params()


@pytest.mark.parametrize("seed", [-1, 1.5, "one", None, 2**31])
def test_a_seed_that_is_none_is_refused(kind: str, seed: Any):
    with pytest.raises(SettingsError, match=r"seed is .*; expected a whole number from 0"):
        make(kind, seed=seed)


# Answers


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda y: np.where(np.arange(N) == 7, 0.37, y),
            "y has 0.37 and 0 more continuous values that are no classes",
        ),
        (lambda y: np.linspace(0.1, 5, N), "no classes; expected whole numbers.*task='regression'"),
        (lambda y: np.where(np.arange(N) < 2, np.inf, y), f"y is infinite in 2 of {N} rows; expected finite"),
        (lambda y: np.where(np.arange(N) < 2, -np.inf, y), "y is infinite in 2"),
        (lambda y: np.where(y > 0, "up", "down"), r"y has .*, which is no number; .* \(y == 'up'\)"),
        (lambda y: np.where(y > 0, "1", "0"), "y has .*, which is no number"),
        (lambda y: y.astype(str).astype(object).tolist(), "y has .*, which is no number"),
        (lambda y: pd.Series(np.where(y > 0, "up", "down"), dtype="category"), "which is no number"),
        (lambda y: pd.Series(pd.to_datetime(y, unit="D")), "which is no number"),
        (lambda y: y + 1j, "which is no number"),
        (lambda y: [[0, 1], [1]], r"y has \[0, 1\], which is no number"),
        (lambda y: None, "requires y to be passed, but the target y is None"),
        (lambda y: 1.0, r"y has shape \(\); expected \(600,\)"),
        (lambda y: np.column_stack([y, y]), r"y has shape \(600, 2\); expected \(600,\): one number a row"),
    ],
)
def test_answers_that_are_none_are_refused(kind: str, spoil: Callable[[Any], Any], message: str):
    model, y = make(kind), answers("two classes")
    with pytest.raises(SchemaError, match=message) as refused:
        model.fit(features(), spoil(y))
    assert isinstance(refused.value, ValueError)  # as scikit-learn's are
    with pytest.raises(NotFittedError):
        model.predict(features())


def test_values_may_lie_between_whole_numbers_and_must_be_finite(kind: str):
    y = answers("value")
    y[3] = np.inf
    with pytest.raises(SchemaError, match="y is infinite in 1 of 600 rows"):
        make(kind, "value").fit(features(), y)


def test_answers_outside_the_rows_are_not_looked_at(kind: str):
    y = answers("two classes")
    y[500:] = np.inf
    y[400:500] = 0.5
    rows = np.arange(400)
    model = make(kind).fit(features(), y, rows=rows)
    expected = make(kind).fit(features(), answers("two classes"), rows=rows)
    np.testing.assert_array_equal(forecast(model, features()), forecast(expected, features()))


@pytest.mark.parametrize(
    "form",
    [
        pd.Series,
        list,
        lambda y: y.astype(int),
        lambda y: y > 0,
        lambda y: pd.Series(y, dtype="Int64"),
        lambda y: pd.Series(y > 0, dtype="boolean"),
    ],
)
def test_answers_in_any_form_of_numbers_are_the_same(kind: str, form: Callable[[Any], Any]):
    model = make(kind).fit(features(), form(answers("two classes")))
    np.testing.assert_array_equal(forecast(model, features()), forecast(fitted(kind), features()))


@pytest.mark.parametrize("form", [lambda y: pd.Series(y).astype("Int64"), lambda y: y.astype(object)])
def test_an_answer_that_is_missing_in_any_form_is_not_known(kind: str, form: Callable[[Any], Any]):
    y = answers("two classes")
    known = form(y)
    known[:50] = None
    y[:50] = np.nan
    one, other = make(kind).fit(features(), known), make(kind).fit(features(), y)
    np.testing.assert_array_equal(forecast(one, features()), forecast(other, features()))


def test_a_column_of_answers_is_taken_with_scikit_learn_s_warning(kind: str):
    y = answers("two classes")
    with pytest.warns(sklearn.exceptions.DataConversionWarning, match=r"shape \(600, 1\); expected \(600,\)"):
        model = make(kind).fit(features(), y[:, None])
    np.testing.assert_array_equal(forecast(model, features()), forecast(fitted(kind), features()))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"sample_weight": ["a"] * N}, "sample_weight has 'a', which is no number"),
        ({"sample_weight": np.ones((N, 2))}, r"sample_weight has shape \(600, 2\)"),
        ({"label_end": ["a"] * N}, "label_end has 'a', which is no number"),
        ({"rows": np.arange(N) < 9}, r"type bool; expected positions of rows. Of a mask pass np.flatnonzero"),
        ({"rows": np.arange(9.0)}, "type float64; expected positions"),
        ({"rows": [[1, 2]]}, r"shape \(1, 2\)"),
        ({"rows": [3, N]}, "rows has positions 3 to 600; X has rows 0 to 599"),
        ({"rows": [-1, 3]}, "rows has positions -1 to 3"),
        ({"rows": [1, 2, 2, 2]}, "rows names 2 rows again"),
    ],
)
def test_rows_and_weights_that_are_none_are_refused(kind: str, given: dict[str, Any], message: str):
    with pytest.raises(SchemaError, match=message):
        make(kind).fit(features(), answers("two classes"), **given)


# Tables


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (features().to_numpy()[0], "Expected 2D array, got 1D array"),
        ([["a"]], "could not convert string to float: 'a'"),
        (features().iloc[:, 0], "X is a Series"),
        (None, "X is a NoneType"),
    ],
)
def test_what_is_no_table_is_refused(kind: str, X: Any, message: str):
    model = fitted(kind)
    for ask in (
        lambda: make(kind).fit(X, answers("two classes")),
        lambda: model.predict_proba(X),
        lambda: model.predict(X),
        lambda: model.predict_variants([X]),
    ):
        with pytest.raises(SchemaError, match=message):
            ask()


@pytest.mark.parametrize("names", NAMES.values(), ids=NAMES.keys())
def test_columns_may_have_any_names(kind: str, names: list[Any], tmp_path: Path):
    """LightGBM refuses some characters, takes spaces for underscores and wants text."""
    X, y = features().set_axis(names, axis=1), answers("two classes")
    model = make(kind).fit(X, y)
    p = forecast(model, X)
    np.testing.assert_array_equal(p, forecast(fitted(kind), features()))
    np.testing.assert_array_equal(streamed(model, X[:30]), streamed(fitted(kind), features()[:30]))
    model.save(tmp_path)
    loaded = load_forecaster(tmp_path)
    assert loaded.feature_names_in_ == names
    np.testing.assert_array_equal(forecast(loaded, X), p)
    with pytest.raises(SchemaError, match="another order"):
        forecast(loaded, X[list(reversed(names))])
    folds = cross_fit(lambda: make(kind), X, y, list(PurgedKFold(2, label_horizon=1).split(X)))
    for way in importances(loaded, folds, X).values():
        assert list(way) == names


def test_names_that_a_folder_could_not_keep_are_refused(kind: str):
    X = features()
    for names in ([("return", i) for i in range(5)], list(pd.date_range("2024-01-01", periods=5))):
        named = X.set_axis(pd.Index(names, tupleize_cols=False), axis=1)
        with pytest.raises(SchemaError, match=r"neither text nor numbers: .*; rename them"):
            make(kind).fit(named, answers("two classes"))


# Folders


def test_a_model_is_saved_into_a_folder_that_is_not_there_yet(kind: str, tmp_path: Path):
    model = fitted(kind)
    model.save(tmp_path / "a" / "b")
    model.save(str(tmp_path / "c"))
    model.preprocessor_.save(tmp_path / "d" / "e")
    for loaded in (load_forecaster(tmp_path / "a" / "b"), type(model).load(str(tmp_path / "c"))):
        np.testing.assert_array_equal(forecast(loaded, features()), forecast(model, features()))
    assert PreprocessorManager.load(str(tmp_path / "d" / "e")).digest == model.preprocessor_.digest


# Not fitted


def test_what_was_not_fitted_says_so_whatever_it_is_asked(kind: str, tmp_path: Path):
    asks: dict[str, Callable[[ModelAdapter], Any]] = {
        "predict": lambda model: model.predict(features()),
        "predict_proba": lambda model: model.predict_proba(features()),
        "predict_variants": lambda model: model.predict_variants([features()]),
        "stream": lambda model: model.stream(),
        "save": lambda model: model.save(tmp_path / "model"),
        "feature_names_in_": lambda model: model.feature_names_in_,
        "classes_": lambda model: model.classes_,
        "own": lambda model: model.trees() if kind == "lightgbm" else model.weights(),  # type: ignore[attr-defined]
        "gain": lambda model: model.gain() if kind == "lightgbm" else model.columns,  # type: ignore[attr-defined]
    }
    for name, ask in asks.items():
        message = f"This {type(make(kind)).__name__} was not fitted; call fit first"
        with pytest.raises(sklearn.exceptions.NotFittedError, match=message) as refused:
            ask(make(kind))
        assert isinstance(refused.value, TradingAssetsError), name
    assert not (tmp_path / "model").exists()
    assert not hasattr(make(kind), "classes_") and not hasattr(make(kind), "no_such_thing")
    with pytest.raises(AttributeError, match="has no attribute 'no_such_thing'"):
        _ = make(kind).no_such_thing  # type: ignore[attr-defined]


def test_a_preprocessor_that_was_not_fitted_says_so(tmp_path: Path):
    for steps in ((), (Standardize(),), (FractionalDifference(),)):
        for ask in (
            lambda manager: manager.transform(features()),
            lambda manager: manager.stream(),
            lambda manager: manager.as_scaler(),
            lambda manager: manager.save(tmp_path / "folder"),
            lambda manager: manager.digest,
            lambda manager: manager.feature_names_out,
        ):
            with pytest.raises(sklearn.exceptions.NotFittedError, match="This PreprocessorManager was not"):
                ask(PreprocessorManager(steps))
    assert not (tmp_path / "folder").exists()


def test_scikit_learn_knows_whether_a_model_is_fitted_and_what_it_is(kind: str):
    with pytest.raises(sklearn.exceptions.NotFittedError):
        check_is_fitted(make(kind))
    check_is_fitted(fitted(kind))
    assert sklearn.base.is_classifier(make(kind)) and sklearn.base.is_regressor(make(kind, "value"))


def test_models_are_copied_and_pickled_fitted_or_not(kind: str):
    model = fitted(kind)
    for copied in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(forecast(copied, features()), forecast(model, features()))
    assert copy.deepcopy(make(kind)).get_params() == make(kind).get_params()


def test_scikit_learn_s_own_search_and_cross_validation_take_a_forecaster():
    X, y = features(), answers("two classes")
    splits = list(PurgedKFold(3, label_horizon=1).split(X))
    model = make("lightgbm")
    assert (cross_val_score(model, X, y, cv=splits, scoring="roc_auc") > 0.9).all()
    found = GridSearchCV(model, {"n_estimators": [1, 40]}, cv=splits, scoring="neg_log_loss").fit(X, y)
    assert found.best_params_ == {"n_estimators": 40}
    assert SMALL["lightgbm"]["n_estimators"] == model.get_params()["n_estimators"] == 20
