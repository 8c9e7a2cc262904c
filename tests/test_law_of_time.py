"""Changing any bar after t changes no feature, observation or trade up to t, and no model fitted by t."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.pipeline import SYMBOL, current, use
from trading_assets.agents.observations import AgentData
from trading_assets.agents.ppo import actor_weights, run_policy, train_ppo
from trading_assets.agents.storage import load_market
from trading_assets.config import Settings, load_settings
from trading_assets.execution.networks import ActorNet
from trading_assets.features.dataset import Dataset, assemble, label_table
from trading_assets.features.table import compute_features
from trading_assets.forecasters import FORECASTERS, forecaster_class
from trading_assets.forecasters.base import ModelAdapter
from trading_assets.forecasters.calibration import choose_calibrator, cross_fit_calibrators
from trading_assets.forecasters.crossfit import cross_fit
from trading_assets.forecasters.preprocessing import RobustScaler
from trading_assets.forecasters.stacking import StackedForecasters
from trading_assets.market.bars import check_bars
from trading_assets.market.synthetic import SyntheticMarket
from trading_assets.reports.backtest import replay_bundle
from trading_assets.validation.folds import Folds, make_folds

N_BARS = 2_400
BARS = ("timestamp", "open", "high", "low", "close", "volume")
SETTINGS = load_settings("smoke", "SYN-PRICE", {"folds": {"min_bars": 1_000, "step_bars": 100}})


def altered(bars: pd.DataFrame, t: int, seed: int) -> pd.DataFrame:
    """Another future: every bar after t is replaced, within the contract."""
    rng = np.random.default_rng(seed)
    changed = bars.copy()
    factor = rng.uniform(0.2, 5.0, len(bars) - t - 1)
    for name in ("open", "high", "low", "close"):
        changed.loc[t + 1 :, name] *= factor
    changed.loc[t + 1 :, "volume"] *= rng.uniform(0.01, 100, len(factor))
    return changed


def make_dataset(bars: pd.DataFrame, chosen: Settings = SETTINGS) -> Dataset:
    table = compute_features(bars, chosen.features)
    labels = label_table(bars, chosen.labels)
    return assemble(bars, table.frame, labels, warm_up=table.warm_up, border=len(bars))


def train_forecasters(data: Dataset, folds: Folds) -> tuple[dict[str, ModelAdapter], StackedForecasters]:
    """Forecasters with their calibrators, fitted on the first era alone."""
    X, y, weight = data.features, data.target("direction"), data.frame["weight"].to_numpy()
    era = folds.eras.forecaster_train
    given = {"sample_weight": np.nan_to_num(weight), "label_end": data.label_end}
    models = {}
    for kind in FORECASTERS:
        model = forecaster_class(kind)(0, **getattr(SETTINGS, kind).model_dump())
        out = cross_fit(model.clone, X, y, folds.splits, **given).frame
        p, answers, fold, weights = (out[c].to_numpy() for c in ("p", "y", "fold", "weight"))
        model.fit(X, y, rows=np.arange(era.start, era.stop), **given)
        model.calibrator_, _ = choose_calibrator(p, answers, fold, "best", weights)
        model.fold_calibrators_ = cross_fit_calibrators(p, answers, fold, model.calibrator_.method, weights)
        models[kind] = model
    return models, StackedForecasters.stack(models)


def make_market(data: Dataset, folds: Folds, stack: StackedForecasters) -> AgentData:
    table = np.hstack([data.features.to_numpy(), stack.table(data.features).to_numpy()])
    return AgentData.make(data.bars, table, folds.eras, SETTINGS, len(FORECASTERS))


class Trained:
    """Everything learnt from one history."""

    def __init__(self, bars: pd.DataFrame) -> None:
        self.data = make_dataset(bars)
        self.folds = make_folds(self.data, SETTINGS)
        self.models, self.stack = train_forecasters(self.data, self.folds)
        self.market = make_market(self.data, self.folds, self.stack)
        era = self.folds.eras.agent_train
        self.scaler = RobustScaler.fit(self.market.table[era.rows])
        self.seen = self.scaler.transform(self.market.table)
        weights, _ = train_ppo(self.market, self.seen, SETTINGS.ppo, 0)
        self.weights = weights
        self.actor = ActorNet(actor_weights(weights))


@pytest.fixture(scope="module")
def history() -> pd.DataFrame:
    return SyntheticMarket("price", 1.0, n_bars=N_BARS, seed=3).bars


@pytest.fixture(scope="module")
def trained(history: pd.DataFrame) -> Trained:
    return Trained(history)


def test_an_altered_future_keeps_the_contract(history: pd.DataFrame, tmp_path: object) -> None:
    check_bars(altered(history, 1_000, 0), tmp_path)  # type: ignore[arg-type]


@settings(
    max_examples=6,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(t=st.integers(600, N_BARS - 2), seed=st.integers(0, 2**16))
def test_features_labels_and_folds_up_to_t_do_not_know_the_future(
    history: pd.DataFrame, trained: Trained, t: int, seed: int
) -> None:
    other = make_dataset(altered(history, t, seed))
    assert trained.data.features.iloc[: t + 1].equals(other.features.iloc[: t + 1])
    known = trained.data.label_end <= t
    for target in ("direction", "forward_return", "high_variance"):
        assert np.array_equal(trained.data.target(target)[known], other.target(target)[known], equal_nan=True)
    folds = make_folds(other, SETTINGS)
    assert folds.eras == trained.folds.eras
    for (train, test), (train_again, test_again) in zip(trained.folds.splits, folds.splits, strict=True):
        assert np.array_equal(train, train_again) and np.array_equal(test, test_again)


def test_no_label_of_an_era_reaches_into_the_next(trained: Trained) -> None:
    eras = trained.folds.eras
    span = int((trained.data.label_end - np.arange(N_BARS)).max())
    assert span == max(SETTINGS.labels.horizon + 1, SETTINGS.labels.variance_horizon)
    assert trained.data.label_end[eras.forecaster_train.stop - 1] < eras.agent_train.start
    assert eras.agent_train.stop + span <= eras.validation.start
    assert eras.validation.stop + span <= eras.test.start


@pytest.mark.parametrize("seed", [0, 1])
def test_models_and_calibrators_fitted_by_t_do_not_know_the_future(
    history: pd.DataFrame, trained: Trained, seed: int
) -> None:
    """t is the last bar that a label of the first era depends on."""
    t = int(trained.data.label_end[trained.folds.eras.forecaster_train.stop - 1])
    other = Trained(altered(history, t, seed))
    assert other.stack.architecture == trained.stack.architecture
    assert all(np.array_equal(v, other.stack.weights[k]) for k, v in trained.stack.weights.items())
    for kind, model in trained.models.items():
        calibrators = model.fold_calibrators_, other.models[kind].fold_calibrators_
        assert len(calibrators[0]) == SETTINGS.folds.n_splits
        assert all(calibrators[0][k].to_json() == calibrators[1][k].to_json() for k in calibrators[0])
    before, after = trained.market.table, other.market.table
    assert np.array_equal(before[: t + 1], after[: t + 1], equal_nan=True)
    # Every forecaster and the hidden state see the other future, and only that.
    columns = [before.shape[1] - 1 - i for i in range(len(FORECASTERS) + 1)]
    for column in columns:
        assert np.isfinite(before[t, column]) and before[: t + 1, column][-100:].std() > 0
        assert not np.array_equal(before[t + 1 :, column], after[t + 1 :, column])


@settings(
    max_examples=6,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(t=st.integers(900, N_BARS - 2), seed=st.integers(0, 2**16))
@pytest.mark.parametrize("kind", FORECASTERS)
def test_what_a_fitted_forecaster_says_up_to_t_does_not_know_the_future(
    history: pd.DataFrame, trained: Trained, kind: str, t: int, seed: int
) -> None:
    """Asked itself, not the network that ships."""
    model, first = trained.models[kind], trained.data.warm_up
    other = make_dataset(altered(history, t, seed)).features.iloc[first:]
    before = model.predict_proba(trained.data.features.iloc[first:])
    after = model.predict_proba(other)
    n = t - first + 1
    assert np.array_equal(before[:n], after[:n])
    assert not np.array_equal(before[n:], after[n:])


def test_an_agent_trained_by_t_differs_only_through_what_validation_chose(
    history: pd.DataFrame, trained: Trained
) -> None:
    """With a single evaluation nothing is left to choose: the weights are equal bit for bit."""
    t = trained.folds.eras.validation.start - 1
    changed = altered(history, t, 4)
    market = make_market(make_dataset(changed), trained.folds, trained.stack)
    once = SETTINGS.ppo.model_copy(update={"evaluations": 1, "total_steps": 1_024})
    weights, _ = train_ppo(trained.market, trained.seen, once, 0)
    again, _ = train_ppo(market, trained.scaler.transform(market.table), once, 0)
    assert all(np.array_equal(value, again[name]) for name, value in weights.items())


@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(share=st.floats(0.05, 0.95), seed=st.integers(0, 2**16))
def test_observations_and_trades_up_to_t_do_not_know_the_future(
    history: pd.DataFrame, trained: Trained, share: float, seed: int
) -> None:
    era = trained.folds.eras.test
    t = era.start + int(share * (len(era) - 3))
    market = make_market(make_dataset(altered(history, t, seed)), trained.folds, trained.stack)
    seen = trained.scaler.transform(market.table)
    before = run_policy(trained.actor, trained.seen, trained.market, era)
    after = run_policy(trained.actor, seen, market, era)
    n = t - era.start + 1
    assert np.array_equal(trained.seen[era.start : t + 1], seen[era.start : t + 1])
    assert np.array_equal(before.accounts[:n], after.accounts[:n])
    assert np.array_equal(before.asked[:n], after.asked[:n])
    assert np.array_equal(before.equity[:n], after.equity[:n])


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_decisions_of_a_bundle_up_to_t_do_not_know_the_future(
    trained_dir: Path, monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    """The ensemble of agent and hybrid, replayed from the finished bundle."""
    use(trained_dir, monkeypatch)
    chosen = load_settings("smoke", SYMBOL)
    folders = [current(name).path for name in ("dataset", "cv_folds", "market_embeddings")]
    market = load_market(*folders, chosen)
    bundle = current("policy_bundle").path
    era = market.eras.test
    t = era.start + int(share * (len(era) - 3))
    data = Dataset.read(folders[0])
    other = make_dataset(altered(data.frame[list(BARS)], t, 1), chosen)
    table = market.table.copy()
    table[:, : len(data.feature_names)] = other.features.to_numpy()
    changed = AgentData.make(other.bars, table, market.eras, chosen, len(FORECASTERS))
    before, _ = replay_bundle(bundle, market)
    after, _ = replay_bundle(bundle, changed)
    n = t - era.start + 1
    assert np.array_equal(before.asked[:n], after.asked[:n])
    assert np.array_equal(before.equity[:n], after.equity[:n])
    assert not np.array_equal(before.equity, after.equity)
