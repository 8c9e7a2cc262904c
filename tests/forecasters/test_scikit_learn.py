"""What scikit-learn asks of every estimator, and what consecutive bars cannot answer."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from tests.forecasters.test_contract import SMALL, answers, features, make
from trading_assets.errors import SchemaError
from trading_assets.forecasters.base import ModelAdapter
from trading_assets.forecasters.cnn_lstm import CNNLSTMForecaster
from trading_assets.forecasters.gru import GRUForecaster
from trading_assets.forecasters.lightgbm import LightGBMForecaster
from trading_assets.validation.splits import PurgedKFold

EXPECTED_FAILURES = {
    "check_do_not_raise_errors_in_init_or_set_params": (
        "A parameter that cannot be is refused at once, by name, and not after hours of training."
    ),
    "check_sample_weight_equivalence_on_dense_data": (
        "Rows are consecutive bars: one that is repeated or left out is another past, not another weight."
    ),
    "check_dtype_object": "What is no number is a SchemaError, a ValueError, whatever type it is of.",
    "check_estimators_nan_inf": (
        "Features warm up and answers are not known at the end: such bars are left out of a fit. Prediction "
        "refuses them, which the check would come to next."
    ),
    "check_classifiers_classes": "Classes are whole numbers: a bundle holds no text.",
}
OF_SEQUENCES = EXPECTED_FAILURES | {
    "check_methods_sample_order_invariance": "A sequence in another order is another sequence.",
    "check_methods_subset_invariance": "A part of the bars does not have the past of the whole.",
}
FEW_ROWS = {"n_estimators": 20, "min_child_samples": 1, "num_leaves": 7, "learning_rate": 0.3}
SHORT = {
    "inputs": "all",
    "hidden_size": 6,
    "chunk": 4,
    "burn_in": 2,
    "steps": 60,
    "batch_size": 4,
    "learning_rate": 0.05,
    "weight_decay": 0.0,
    "averaging": 0.0,
    "dropout": 0.0,
}
ESTIMATORS = [
    kind(task=task, **settings)
    for kind, settings in (
        (LightGBMForecaster, FEW_ROWS),
        (GRUForecaster, SHORT),
        (CNNLSTMForecaster, SHORT),
    )
    for task in ("classification", "regression")
]


def expected_failures(model: ModelAdapter) -> dict[str, str]:
    expected = EXPECTED_FAILURES if isinstance(model, LightGBMForecaster) else OF_SEQUENCES
    if model.task == "regression":
        return {name: why for name, why in expected.items() if name != "check_classifiers_classes"}
    return expected


@pytest.fixture(autouse=True, scope="module")
def _on_the_cpu():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRADING_ASSETS_DEVICE", "cpu")
        yield


@parametrize_with_checks(ESTIMATORS, expected_failed_checks=expected_failures)
def test_scikit_learn_s_checks_of_estimators_pass(estimator: Any, check: Any) -> None:
    check(estimator)


def test_cross_validation_and_search_need_no_scoring_of_their_own() -> None:
    X, y = features(), answers("two classes")
    splits = list(PurgedKFold(3, label_horizon=1).split(X))
    scores = cross_val_score(make("lightgbm"), X, y, cv=splits)
    assert (scores > 0.8).all()
    for (train, test), score in zip(splits, scores, strict=True):
        model = make("lightgbm").fit(X.iloc[train], y[train])
        assert score == np.mean(model.predict(X.iloc[test]) == y[test])
    found = GridSearchCV(make("lightgbm"), {"learning_rate": [1e-9, 0.1]}, cv=splits).fit(X, y)
    assert found.best_params_ == {"learning_rate": 0.1}


def test_the_score_is_of_bars_with_an_answer_by_their_weight() -> None:
    X, y = features(), answers("two classes")
    model = make("lightgbm").fit(X, y)
    right = model.predict(X) == y
    weight = np.arange(len(y), dtype=float)
    assert model.score(X, y, weight) == pytest.approx(np.average(right, weights=weight), rel=1e-12)
    gaps = np.where(np.arange(len(y)) % 2, np.nan, y)
    assert model.score(X, gaps) == np.mean(right[::2])
    with pytest.raises(SchemaError, match="No bar has both a forecast and a known answer"):
        model.score(X, np.full(len(y), np.nan))
    value = answers("value")
    model = make("lightgbm", "value").fit(X, value)
    error = ((model.predict(X) - value) ** 2).sum() / ((value - value.mean()) ** 2).sum()
    assert model.score(X, value) == pytest.approx(1 - error, rel=1e-12)


@pytest.mark.parametrize("kind", SMALL)
def test_an_array_is_a_table_whose_columns_are_numbered(kind: str) -> None:
    X, y = features(), answers("two classes")
    model = make(kind).fit(X.to_numpy(), y)
    assert model.feature_names_in_ == list(range(X.shape[1])) and model.n_features_in_ == X.shape[1]
    expected = make(kind).fit(X.astype(float).set_axis(range(X.shape[1]), axis=1), y)
    np.testing.assert_array_equal(
        model.predict_proba(X.to_numpy()),
        expected.predict_proba(X.astype(float).set_axis(range(X.shape[1]), axis=1)),
    )
    with pytest.raises(SchemaError, match=rf"X has 4 features, but \w+ is expecting {X.shape[1]} features"):
        model.predict(X.to_numpy()[:, :4])
    with pytest.raises(SchemaError, match="Missing columns: 0, 1"):
        model.predict(X)


@pytest.mark.parametrize("kind", SMALL)
def test_what_was_fitted_on_named_columns_takes_no_array(kind: str) -> None:
    """An array could hold the columns in any order."""
    model = make(kind).fit(features(), answers("two classes"))
    with pytest.raises(SchemaError, match=r"X is an array of shape \(600, 5\); expected a DataFrame"):
        model.predict(features().to_numpy())


@pytest.mark.parametrize("kind", SMALL)
def test_a_model_of_values_has_no_probabilities_to_ask_for(kind: str) -> None:
    assert hasattr(make(kind), "predict_proba") and not hasattr(make(kind, "value"), "predict_proba")
    fitted = make(kind, "value").fit(features(), answers("value")).set_params(task="classification")
    assert not hasattr(fitted, "predict_proba")


def test_weights_of_zero_everywhere_are_told() -> None:
    with pytest.raises(SchemaError, match="sample_weight is zero in all training rows"):
        make("lightgbm").fit(features(), answers("two classes"), sample_weight=np.zeros(600))


def test_a_table_of_pandas_is_not_changed_by_a_fit() -> None:
    X = features()
    before = X.copy()
    make("lightgbm").fit(X, answers("two classes"))
    pd.testing.assert_frame_equal(X, before)
