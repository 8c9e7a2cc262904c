"""Out-of-fold predictions come from models that have not met the bar they predict."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss

from trading_assets.config.settings import (
    ForecasterSettings,
    FractionalDifference,
    LabelSettings,
    Standardize,
)
from trading_assets.errors import NotReadyError
from trading_assets.features.labels import make_labels
from trading_assets.features.table import FeatureTable
from trading_assets.forecasters.base import ModelAdapter
from trading_assets.forecasters.cnn_lstm import CNNLSTMForecaster
from trading_assets.forecasters.crossfit import (
    WARM_UP,
    answered,
    cross_fit,
    fit_fold,
    loss,
    predict_block,
    score,
)
from trading_assets.forecasters.gru import GRUForecaster
from trading_assets.forecasters.lightgbm import LightGBMForecaster
from trading_assets.progress import listen
from trading_assets.validation.splits import PurgedKFold

HORIZON, STOP = 3, 1_440


class Memoriser(ModelAdapter):
    """Sure of the bars it has learnt from, undecided about all others."""

    kind = "memoriser"
    Settings = ForecasterSettings
    file = "known.npy"

    def _fit(self, data):
        self.known_ = data.Z[data.rows, 0]
        self.data_, self.training_ = data, {}

    def _predict(self, Z):
        return np.where(np.isin(Z[:, 0], self.known_), 30.0, 0.0)

    def _stream_prepared(self):
        return lambda z: self._predict(z[None])

    def save_weights(self, folder):
        np.save(folder / self.file, self.known_)

    def load_weights(self, folder):
        self.known_ = np.load(folder / self.file)


def memoriser() -> Memoriser:
    return Memoriser(preprocessing=())


def small_trees(**more) -> LightGBMForecaster:
    settings = {"n_estimators": 10, "num_leaves": 7, "min_child_samples": 20, **more}
    return LightGBMForecaster(0, **settings)


SEQUENCE = {"hidden_size": 4, "chunk": 32, "burn_in": 8, "steps": 8, "batch_size": 4, "mirror": False}


def small_gru(**more) -> GRUForecaster:
    return GRUForecaster(0, **{**SEQUENCE, **more})


def small_cnn_lstm(**more) -> CNNLSTMForecaster:
    return CNNLSTMForecaster(0, **{**SEQUENCE, "channels": 4, "kernel_size": 3, **more})


MAKE = {"lightgbm": small_trees, "gru": small_gru, "cnn_lstm": small_cnn_lstm}


@pytest.fixture(params=MAKE.values(), ids=MAKE.keys())
def make(request):
    return request.param


@pytest.fixture(autouse=True, scope="module")
def _on_the_cpu():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRADING_ASSETS_DEVICE", "cpu")
        yield


@pytest.fixture(scope="module")
def data(bars, table: FeatureTable) -> tuple[pd.DataFrame, np.ndarray, list[tuple[np.ndarray, np.ndarray]]]:
    """Features with their warm-up, directions, and folds of the bars after the warm-up."""
    X, warm_up = table.frame.iloc[:STOP, ::4], table.warm_up
    chosen = LabelSettings(horizon=HORIZON, variance_horizon=1, variance_lookback="240h")
    labels = make_labels(bars[:STOP], chosen)
    rows = slice(warm_up, STOP)
    start, end = labels.label_start[rows], labels.label_end[rows]
    splitter = PurgedKFold(4, label_start=start, label_end=end, embargo=5)
    splits = [(train + warm_up, test + warm_up) for train, test in splitter.split(end)]
    return X, labels.direction, splits


def noise(n: int = 500, seed: int = 0) -> pd.DataFrame:
    values = np.random.default_rng(seed).normal(size=(n, 4)).astype(np.float32)
    return pd.DataFrame(values, columns=list("abcd"))


def folds_of(n: int, k: int = 3) -> list[tuple[np.ndarray, np.ndarray]]:
    return list(PurgedKFold(k, label_horizon=2).split(np.zeros(n)))


# Which bars are predicted, and by whom


def test_every_bar_is_predicted_once_with_its_answer_where_it_is_known(data, table):
    X, y, splits = data
    out = cross_fit(small_trees, X, y, splits)
    bars = np.arange(table.warm_up, STOP)
    assert set(out.frame) == {"row", "y", "weight", "fold", "p"}
    np.testing.assert_array_equal(out.frame["row"], bars)
    np.testing.assert_array_equal(out.frame["y"], y[bars])
    np.testing.assert_array_equal(out.frame["weight"], 1)
    assert out.frame["p"].between(0, 1).all()
    for number, (_, test) in enumerate(splits):
        np.testing.assert_array_equal(out.frame.loc[out.frame["fold"] == number, "row"], test)
    known = answered(out.frame)
    assert len(known) == np.isfinite(y[bars]).sum() == len(bars) - HORIZON - 1
    assert out.score == score(known["y"].to_numpy(), known["p"].to_numpy())
    assert loss(out.frame) == loss(known) == pytest.approx(log_loss(known["y"], known["p"]), rel=1e-9)


def test_no_bar_is_predicted_by_a_model_that_learnt_from_it():
    n = 400
    X = pd.DataFrame({"bar": np.arange(n, dtype=float)})
    y = (np.arange(n) % 2).astype(float)
    splits = list(PurgedKFold(5, label_horizon=3).split(X))
    assert (cross_fit(memoriser, X, y, splits).frame["p"] == 0.5).all()
    # The same with training rows that hold the test rows: the memoriser gives it away.
    leaking = [(np.arange(n), test) for _, test in splits]
    assert (cross_fit(memoriser, X, y, leaking).frame["p"] > 0.999).all()


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


def test_a_folds_predictions_are_those_of_its_model_on_the_bars_up_to_them(make, data):
    X, y, splits = data
    train, test = splits[2]
    first = test[0] - WARM_UP
    model = make().fit(X, y, rows=train)
    expected = model.predict_proba(X.iloc[first : test[-1] + 1])[test - first, 1]
    result = cross_fit(make, X, y, splits)
    frame = result.frame
    np.testing.assert_array_equal(frame.loc[frame["fold"] == 2, "p"], expected)
    assert len(result.models) == len(splits)
    np.testing.assert_array_equal(
        result.models[2].predict_proba(X.iloc[first:]), model.predict_proba(X[first:])
    )
    np.testing.assert_array_equal(predict_block(model, X, test)[:, 1], expected)


def test_the_first_bars_of_all_are_predicted_without_a_warm_up(make):
    X = noise()
    y = (X["a"] > 0).to_numpy(float)
    model = make().fit(X, y)
    np.testing.assert_array_equal(
        predict_block(model, X, np.arange(40, 80)), model.predict_proba(X[:80])[40:]
    )


def test_bars_that_preprocessing_cannot_look_back_from_are_not_predicted(make):
    """Warm-up and lookback come off the first fold alone; a later block looks back at bars before it."""
    lookback = FractionalDifference(order=0.4, tolerance=0.03)
    X = noise()
    y = (X["a"] > 0).to_numpy(float)
    X.iloc[:7] = np.nan
    splits = [(train[train >= 7], test) for train, test in folds_of(500)]
    result = cross_fit(lambda: make(preprocessing=(lookback, Standardize())), X, y, splits)
    np.testing.assert_array_equal(result.frame["row"], np.arange(7 + 4, 500))
    assert np.isfinite(result.frame["p"]).all()
    # As much warm-up as without a lookback: the block starts four bars earlier.
    last, (_, test) = result.models[2], splits[2]
    first = test[0] - WARM_UP - 4
    expected = last.predict_proba(X.iloc[first:])[test - first, 1]
    np.testing.assert_array_equal(result.frame.loc[result.frame["fold"] == 2, "p"], expected)


def test_a_lookback_longer_than_the_warm_up_costs_later_blocks_nothing():
    long = FractionalDifference(order=0.4, tolerance=1e-4)
    X = noise(1_200)
    y = (X["a"] > 0).to_numpy(float)
    splits = [(np.arange(800), np.arange(800, 1_200))]
    result = cross_fit(lambda: small_trees(preprocessing=(long, Standardize())), X, y, splits)
    assert result.models[0].preprocessor_.lookback > WARM_UP
    np.testing.assert_array_equal(result.frame["row"], np.arange(800, 1_200))
    np.testing.assert_array_equal(result.frame["p"], result.models[0].predict_proba(X)[800:, 1])


# What is asked


def test_three_classes_come_with_a_probability_each(make):
    X = noise()
    y = np.digitize(X["a"], [-0.5, 0.5]) * 10.0 - 10
    result = cross_fit(make, X, y, folds_of(500))
    frame = result.frame
    assert set(frame) == {"row", "y", "weight", "fold", "p_0", "p_1", "p_2"}
    np.testing.assert_allclose(frame[["p_0", "p_1", "p_2"]].sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_array_equal(frame["y"], y / 10 + 1)
    p = frame[["p_0", "p_1", "p_2"]].to_numpy()
    assert result.score == {
        "accuracy": np.mean(p.argmax(axis=1) == frame["y"]),
        "log loss": pytest.approx(log_loss(frame["y"], p), rel=1e-12),
    }
    assert loss(frame) == pytest.approx(log_loss(frame["y"], p), rel=1e-12)


def test_values_come_as_values(make):
    X = noise()
    y = 5 + 2 * X["a"].to_numpy(float)
    result = cross_fit(lambda: make().set_params(task="regression"), X, y, folds_of(500))
    frame = result.frame
    assert set(frame) == {"row", "y", "weight", "fold", "value"}
    np.testing.assert_array_equal(frame["y"], y)
    square = np.mean((frame["value"] - y) ** 2)
    assert result.score == {
        "correlation": pytest.approx(frame["value"].corr(frame["y"])),
        "explained": pytest.approx(1 - square / y.var()),
    }
    assert loss(frame) == pytest.approx(square)


def test_weights_and_label_ends_reach_the_model():
    X, n = noise(), 500
    y = (X["a"] > 0).to_numpy(float)
    weight = np.random.default_rng(1).uniform(0.5, 2, n)
    weight[100:110] = 0
    label_end = np.arange(n) + 4
    splits = folds_of(n)
    result = cross_fit(
        lambda: Memoriser(preprocessing=(), early_stopping=1, holdout=0.2),
        X,
        y,
        splits,
        sample_weight=weight,
        label_end=label_end,
    )
    np.testing.assert_array_equal(result.frame["weight"], weight)
    for model, (train, _) in zip(result.models, splits, strict=True):
        rows = train[weight[train] > 0]
        held_out = rows[-round(0.2 * len(rows)) :]
        np.testing.assert_array_equal(model.data_.held_out, held_out)
        np.testing.assert_array_equal(model.data_.rows, rows[rows + 4 < held_out[0]])
        np.testing.assert_allclose(model.data_.weight, weight / weight[model.data_.rows].mean(), rtol=1e-14)


def test_weights_change_the_predictions_of_every_kind(make):
    X = noise()
    y = (X["a"] > 0).to_numpy(float)
    weight = np.random.default_rng(1).uniform(0.1, 3, 500)
    plain = cross_fit(make, X, y, folds_of(500)).frame
    weighted = cross_fit(make, X, y, folds_of(500), sample_weight=weight).frame
    for fold in range(3):
        here = plain["fold"] == fold
        assert (plain.loc[here, "p"] != weighted.loc[here, "p"]).any()


def test_a_class_that_some_folds_lack_is_refused():
    X = noise(300)
    y = np.where(np.arange(300) < 150, np.arange(300) % 2, 1 + np.arange(300) % 2).astype(float)
    splits = [(np.arange(150, 300), np.arange(150)), (np.arange(150), np.arange(150, 300))]
    # Each fold has two classes, but not the same two.
    with pytest.raises(NotReadyError, match="lack a class that others have; use fewer folds or more bars"):
        cross_fit(small_trees, X, y, splits)
    y = np.where(np.arange(300) < 200, np.arange(300) % 2, np.arange(300) % 3).astype(float)
    splits = [(np.arange(200), np.arange(200, 300)), (np.arange(100, 300), np.arange(100))]
    with pytest.raises(NotReadyError, match="lack a class that others have"):
        cross_fit(small_trees, X, y, splits)
    with pytest.raises(NotReadyError, match="lack a class that others have"):
        fit_fold(small_trees(), X, y, splits[0])
    # Neither test block has the class that only one fold has met.
    splits = [(np.arange(200), np.arange(100, 150)), (np.arange(100, 300), np.arange(100))]
    with pytest.raises(NotReadyError, match="lack a class that others have"):
        cross_fit(small_trees, X, y, splits)


def test_a_test_block_in_which_no_price_moved_is_named():
    X, y = noise(300), np.random.default_rng(0).integers(0, 2, 300).astype(float)
    y[100:200] = np.nan
    with pytest.raises(NotReadyError, match="The test rows of a fold, 100 to 199, have no answer"):
        cross_fit(small_trees, X, y, folds_of(300))


def test_a_fold_without_test_rows_or_before_features_are_warm_is_named():
    X, y = noise(300), np.random.default_rng(0).integers(0, 2, 300).astype(float)
    splits = [(np.arange(150, 300), np.arange(0)), (np.arange(150), np.arange(150, 300))]
    with pytest.raises(NotReadyError, match="The test rows of a fold, none, have no answer"):
        cross_fit(small_trees, X, y, splits)
    late = X.copy()
    late.iloc[:100] = np.nan
    with pytest.raises(NotReadyError, match="The test rows of a fold, 0 to 99, have no answer"):
        cross_fit(small_trees, late, y, folds_of(300))


@pytest.mark.parametrize(("rows", "said"), [([], "none"), ([5, 6], "5 to 6")])
def test_bars_that_cannot_be_forecast_are_named(make, rows, said):
    X, y = noise(300), np.random.default_rng(0).integers(0, 2, 300).astype(float)
    model = make().fit(X, y)
    with pytest.raises(NotReadyError, match=f"The bars to forecast are {said}; .* from bar 7 on"):
        predict_block(model, X, np.array(rows, dtype=np.int64), complete=7)
    assert predict_block(model, X, np.array([7, 8]), complete=7).shape == (2, 2)


# Prices that do not move


def walk_with_coarse_ticks(n: int, seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    """What happened in the last bars of a symmetric walk whose activity comes in waves, and bars of it."""
    rng = np.random.default_rng(seed)
    activity = np.empty(n)
    activity[0], waves = 0.0, rng.normal(0, 0.35, n)
    for t in range(1, n):
        activity[t] = 0.97 * activity[t - 1] + waves[t]
    moves = rng.choice([-1, 1], n) * (rng.random(n) < np.clip(0.4 * np.exp(activity), 0, 1))
    close = 500.0 + moves.cumsum()
    bars = np.ones((n, 7))
    bars[:, 0] = 3_600.0 * np.arange(n)
    bars[:, 1] = np.concatenate([[500.0], close[:-1]])
    bars[:, 4] = close
    bars[:, 2], bars[:, 3] = np.maximum(bars[:, 1], close), np.minimum(bars[:, 1], close)
    move = pd.Series(moves.astype(float))
    size = move.abs()
    X = {"move": move, **{f"activity {w}": size.rolling(w, min_periods=1).mean() for w in (5, 20, 80)}}
    return pd.DataFrame(X).astype(np.float32), bars


def auc_of(directions: list[np.ndarray], X: list[pd.DataFrame]) -> float:
    """Out of fold, of several walks together."""
    frames = []
    for x, y in zip(X, directions, strict=True):
        splits = list(PurgedKFold(4, label_horizon=3, embargo=24).split(x))
        frames.append(cross_fit(small_trees, x, y, splits).frame)
    frame = pd.concat(frames)
    return score(frame["y"].to_numpy(), frame["p"].to_numpy())["AUC"]


def test_knowing_when_nothing_will_happen_is_no_forecast_of_the_direction():
    """Called a fall, a price that stands still makes an edge of knowing that it will."""
    chosen = LabelSettings(horizon=1, variance_horizon=1, variance_lookback="1d", variance_lookback_bars=24)
    X, bars = zip(*(walk_with_coarse_ticks(3_000, seed) for seed in range(4)), strict=True)
    labels = [make_labels(matrix, chosen) for matrix in bars]
    falls = [np.where(np.isnan(one.forward_return), np.nan, one.forward_return > 0) for one in labels]
    known = sum(np.isfinite(one.direction).sum() for one in labels)
    assert auc_of(falls, list(X)) > 0.6
    # The standard error of the AUC of a forecast that knows nothing, with as many ups as downs.
    assert auc_of([one.direction for one in labels], list(X)) == pytest.approx(
        0.5, abs=3 / np.sqrt(3 * known)
    )


# Threads and interruptions


@pytest.mark.parametrize("n_splits", [2, 3, 4, 5])
def test_trees_do_not_depend_on_the_number_of_threads(n_splits: int):
    """Folds at once; the last ones, fewer than there are threads, share them all."""
    X = noise(600)
    y = (X["a"] + X["b"] > 0).to_numpy(float)
    splits = folds_of(600, n_splits)
    alone = cross_fit(small_trees, X, y, splits)
    assert [model.n_threads for model in alone.models] == [1] * n_splits
    for n_threads in (2, 3):
        result = cross_fit(small_trees, X, y, splits, n_threads=n_threads)
        pd.testing.assert_frame_equal(result.frame, alone.frame, check_exact=True)
        assert result.folds == alone.folds
        texts = [model.booster_.model_to_string() for model in result.models]
        assert [_trees(text) for text in texts] == [
            _trees(m.booster_.model_to_string()) for m in alone.models
        ]
        left = n_splits % n_threads
        shared = [n_threads // left] * left if left else []
        assert [model.n_threads for model in result.models] == [1] * (n_splits - left) + shared


def _trees(text: str) -> str:
    """A model without the parameters it was made with, of which the number of threads is one."""
    return text.partition("\nparameters:")[0]


def test_sequence_models_do_not_depend_on_the_number_of_threads():
    X = noise()
    y = (X["a"] > 0).to_numpy(float)
    alone = cross_fit(small_gru, X, y, folds_of(500))
    result = cross_fit(small_gru, X, y, folds_of(500), n_threads=3)
    pd.testing.assert_frame_equal(result.frame, alone.frame, check_exact=True)
    assert [model.n_threads for model in result.models] == [1, 1, 1]


@pytest.mark.parametrize("make", [small_gru, small_cnn_lstm], ids=["gru", "cnn_lstm"])
def test_an_interrupted_call_goes_on_where_it_was(make, tmp_path: Path):
    X = noise()
    y = (X["a"] > 0).to_numpy(float)

    def often():
        return make(steps=12, evaluate_every=3, checkpoint_every=4)

    whole = cross_fit(often, X, y, folds_of(500))
    told = []

    def stop(fraction, text):
        told.append(text)
        if len(told) > 6 and text.startswith("step 9"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), listen(stop):
        cross_fit(often, X, y, folds_of(500), checkpoints=tmp_path)
    assert sum(text.startswith("fold") for text in told) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fold0.pt", "fold1.pt"]
    again = cross_fit(often, X, y, folds_of(500), checkpoints=tmp_path)
    assert [model.training_["resumed_at"] for model in again.models] == [12, 8, 0]
    pd.testing.assert_frame_equal(again.frame, whole.frame, check_exact=True)
    once_more = cross_fit(often, X, y, folds_of(500), checkpoints=tmp_path)
    assert [model.training_["resumed_at"] for model in once_more.models] == [12, 12, 12]
    pd.testing.assert_frame_equal(once_more.frame, whole.frame, check_exact=True)


@pytest.mark.parametrize("n_threads", [1, 3])
def test_progress_is_told_before_every_fold(data, n_threads: int):
    X, y, splits = data
    told = []
    with listen(lambda fraction, text: told.append((fraction, text))):
        cross_fit(small_trees, X, y, splits, n_threads=n_threads)
    assert sorted(text for _, text in told) == [f"fold {i} of 4" for i in (1, 2, 3, 4)]
    if n_threads == 1:
        assert told == [(i / 5, f"fold {i + 1} of 4") for i in range(4)]


# Scores


def test_the_folds_report_their_rows_and_scores(data):
    X, y, splits = data
    result = cross_fit(small_trees, X, y, splits)
    assert [fold["fold"] for fold in result.folds] == [0, 1, 2, 3]
    for fold, (train, test) in zip(result.folds, splits, strict=True):
        assert (fold["train"], fold["test"]) == (len(train), len(test))
        mine = result.frame[result.frame["fold"] == fold["fold"]]
        expected = score(mine["y"].to_numpy(), mine["p"].to_numpy())
        assert {name: fold[name] for name in expected} == expected
    assert result.score == score(result.frame["y"].to_numpy(), result.frame["p"].to_numpy())


def test_the_scores_of_four_forecasts_are_those_worked_out_by_hand():
    # Of the four pairs (up, down) three are in order; squares .01, .36, .36, .04; base rate's .25.
    figures = score(np.array([1.0, 1, 0, 0]), np.array([0.9, 0.4, 0.6, 0.2]))
    expected = {"AUC": 0.75, "accuracy": 0.5, "Brier": 0.1925, "Brier skill": 0.23}
    assert figures == pytest.approx(expected, abs=1e-12)


def test_the_scores_of_three_classes_are_those_worked_out_by_hand():
    p = np.array([[0.5, 0.25, 0.25], [0.25, 0.5, 0.25]])
    figures = score(np.array([0.0, 2.0]), p)
    assert figures == pytest.approx({"accuracy": 0.5, "log loss": np.log(8) / 2}, abs=1e-12)


def test_a_block_with_one_outcome_has_no_auc_and_no_skill():
    figures = score(np.ones(3), np.array([0.9, 0.8, 0.7]))
    assert np.isnan(figures["AUC"])
    assert figures["Brier skill"] == 0
    assert figures["accuracy"] == 1


def test_what_has_no_answer_is_not_scored_and_a_forecast_of_one_half_is_half_right():
    y, p = np.array([1.0, np.nan, 1, 0, np.nan, 0]), np.array([0.9, 0.0, 0.4, 0.6, 1.0, 0.2])
    assert score(y, p) == score(y[[0, 2, 3, 5]], p[[0, 2, 3, 5]])
    undecided = np.full(6, 0.5)
    assert score(y, undecided)["accuracy"] == score(1 - y, undecided)["accuracy"] == 0.5
    for t in (0.1, 0.5, 0.7):  # a forecast of 1 / price is worth what that of the price is
        one, other = score(y, np.minimum(p, t)), score(1 - y, 1 - np.minimum(p, t))
        assert one == pytest.approx(other, abs=1e-12)
    assert np.isnan(list(score(np.full(3, np.nan), undecided[:3]).values())).all()
    three = np.full((2, 3), 1 / 3)
    assert score(np.array([np.nan, 0.0]), three)["accuracy"] == 1


def test_the_loss_counts_rows_by_their_weight():
    rows = {"y": [1.0, 0.0, 1.0], "weight": [1.0, 2.0, 0.0]}
    two = pd.DataFrame({**rows, "p": [0.5, 0.75, 0.0]})
    assert loss(two) == pytest.approx((np.log(2) + 2 * np.log(4)) / 3, abs=1e-12)
    three = pd.DataFrame({**rows, "p_0": [0.25, 0.5, 0], "p_1": [0.5, 0.25, 0], "p_2": [0.25, 0.25, 1]})
    assert loss(three) == pytest.approx(np.log(2), abs=1e-12)
    value = pd.DataFrame({**rows, "value": [4.0, 1.0, 9.0]})
    assert loss(value) == pytest.approx((9 + 2 * 1) / 3, abs=1e-12)


def test_the_loss_of_a_forecast_that_was_sure_and_wrong_is_large_and_finite():
    frame = pd.DataFrame({"y": [1.0], "weight": [1.0], "p": [0.0]})
    assert loss(frame) == pytest.approx(-np.log(1e-15))
