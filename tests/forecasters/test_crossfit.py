"""Out-of-fold predictions come from models that have not met the bar they predict."""

import numpy as np
import pandas as pd
import pytest

from trading_assets.config.settings import LabelSettings
from trading_assets.features.labels import make_labels
from trading_assets.features.table import FeatureTable
from trading_assets.forecasters.base import ModelAdapter
from trading_assets.forecasters.cnn_lstm import CNNLSTMForecaster
from trading_assets.forecasters.crossfit import cross_fit, score
from trading_assets.forecasters.lightgbm import LightGBMForecaster
from trading_assets.progress import listen
from trading_assets.validation.splits import PurgedKFold

HORIZON, STOP = 3, 1_440


class Memoriser(ModelAdapter):
    """Sure of the bars it has learnt from, undecided about all others."""

    def settings(self):
        return {}

    def _fit(self, Z, y, rows):
        self.known_ = Z[rows, 0]

    def _predict(self, Z):
        return np.where(np.isin(Z[:, 0], self.known_), 1.0, 0.5)

    def _save(self, folder):
        np.save(folder / "known.npy", self.known_)

    def _load(self, folder):
        self.known_ = np.load(folder / "known.npy")


def small_trees() -> LightGBMForecaster:
    return LightGBMForecaster(0, n_estimators=10, num_leaves=7)


def small_sequence() -> CNNLSTMForecaster:
    return CNNLSTMForecaster(0, channels=4, hidden_size=4, chunk=32, burn_in=8, steps=8)


@pytest.fixture(scope="module")
def data(bars, table: FeatureTable) -> tuple[pd.DataFrame, np.ndarray, list[tuple[np.ndarray, np.ndarray]]]:
    """Features with their warm-up, directions, and folds of the bars after the warm-up."""
    X, warm_up = table.frame.iloc[:STOP], table.warm_up
    chosen = LabelSettings(horizon=HORIZON, variance_horizon=1, variance_lookback=240)
    labels = make_labels(bars[:STOP], chosen)
    rows = slice(warm_up, STOP)
    start, end = labels.label_start[rows], labels.label_end[rows]
    splitter = PurgedKFold(4, label_start=start, label_end=end, embargo=5)
    splits = [(train + warm_up, test + warm_up) for train, test in splitter.split(end)]
    return X, labels.direction, splits


def test_every_bar_whose_answer_is_known_is_predicted_once(data, table):
    X, y, splits = data
    frame = cross_fit(small_trees, X, y, splits).frame
    known = np.arange(table.warm_up, STOP)[np.isfinite(y[table.warm_up :])]
    assert len(known) == STOP - table.warm_up - HORIZON - 1
    np.testing.assert_array_equal(frame["row"], known)
    np.testing.assert_array_equal(frame["y"], y[known])
    for number, (_, test) in enumerate(splits):
        assert set(frame.loc[frame["fold"] == number, "row"]) <= set(test)


def test_no_bar_is_predicted_by_a_model_that_learnt_from_it():
    n = 400
    X = pd.DataFrame({"bar": np.arange(n, dtype=float)})
    y = (np.arange(n) % 2).astype(float)
    splits = list(PurgedKFold(5, label_horizon=3).split(X))
    assert (cross_fit(Memoriser, X, y, splits).frame["p"] == 0.5).all()
    # The same with training rows that hold the test rows: the memoriser gives it away.
    leaking = [(np.arange(n), test) for _, test in splits]
    assert (cross_fit(Memoriser, X, y, leaking).frame["p"] == 1.0).all()


@pytest.mark.parametrize("make", [small_trees, small_sequence], ids=["lightgbm", "cnn_lstm"])
def test_labels_outside_a_folds_training_rows_do_not_touch_its_predictions(make, data):
    X, y, splits = data
    number = 1
    train, test = splits[number]
    other = y.copy()
    unread = np.setdiff1d(np.arange(len(y)), train)
    other[unread] = 1 - other[unread]
    one, two = (cross_fit(make, X, answers, splits).frame for answers in (y, other))
    here = one["fold"] == number
    np.testing.assert_array_equal(one.loc[here, "row"], test)
    np.testing.assert_array_equal(one.loc[here, "p"], two.loc[here, "p"])
    assert (one.loc[~here, "p"] != two.loc[~here, "p"]).any()


@pytest.mark.parametrize("make", [small_trees, small_sequence], ids=["lightgbm", "cnn_lstm"])
def test_a_folds_predictions_are_those_of_its_model_on_the_bars_up_to_them(make, data):
    X, y, splits = data
    train, test = splits[2]
    first = test[0] - 256
    model = make().fit(X, y, rows=train)
    expected = model.predict_proba(X.iloc[first : test[-1] + 1])[test - first, 1]
    frame = cross_fit(make, X, y, splits).frame
    np.testing.assert_array_equal(frame.loc[frame["fold"] == 2, "p"], expected)


def test_the_folds_report_their_rows_and_scores(data):
    X, y, splits = data
    result = cross_fit(small_trees, X, y, splits)
    assert [fold["fold"] for fold in result.folds] == [0, 1, 2, 3]
    for fold, (train, test) in zip(result.folds, splits, strict=True):
        assert (fold["train"], fold["test"]) == (len(train), len(test))
        mine = result.frame[result.frame["fold"] == fold["fold"]]
        expected = score(mine["y"].to_numpy(), mine["p"].to_numpy())
        assert {name: fold[name] for name in expected} == expected
    assert result.auc == score(result.frame["y"].to_numpy(), result.frame["p"].to_numpy())["AUC"]


def test_the_scores_of_four_forecasts_are_those_worked_out_by_hand():
    # Of the four pairs (up, down) three are in order; squares .01, .36, .36, .04; base rate's .25.
    figures = score(np.array([1.0, 1, 0, 0]), np.array([0.9, 0.4, 0.6, 0.2]))
    expected = {"AUC": 0.75, "accuracy": 0.5, "Brier": 0.1925, "Brier skill": 0.23}
    assert figures == pytest.approx(expected, abs=1e-12)


def test_a_block_with_one_outcome_has_no_auc_and_no_skill():
    figures = score(np.ones(3), np.array([0.9, 0.8, 0.7]))
    assert np.isnan(figures["AUC"])
    assert figures["Brier skill"] == 0
    assert figures["accuracy"] == 1


def test_progress_is_told_before_every_fold(data):
    X, y, splits = data
    told = []
    with listen(lambda fraction, text: told.append((fraction, text))):
        cross_fit(small_trees, X, y, splits)
    assert [text for _, text in told] == [f"fold {i} of 4" for i in (1, 2, 3, 4)]
    assert [fraction for fraction, _ in told] == [0, 0.2, 0.4, 0.6]
