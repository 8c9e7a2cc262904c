"""Markets with a known answer: what every build must reach, and must not."""

from functools import cache

import numpy as np
import pytest

from trading_assets.agents.observations import AgentData
from trading_assets.agents.ppo import actor_weights, run_policy, train_ppo
from trading_assets.config import load_settings
from trading_assets.config.settings import (
    CostSettings,
    EnvConfig,
    PPOSettings,
    Settings,
)
from trading_assets.execution.networks import ActorNet
from trading_assets.features.labels import forward_return
from trading_assets.features.table import compute_features
from trading_assets.forecasters import FORECASTERS, forecaster_class
from trading_assets.forecasters.base import ModelAdapter
from trading_assets.forecasters.preprocessing import RobustScaler
from trading_assets.market.bars import to_matrix
from trading_assets.market.synthetic import Design, SyntheticMarket
from trading_assets.simulation.backtesting import BacktestResult, backtest
from trading_assets.simulation.baselines import buy_and_hold, choose_band, no_trade_band
from trading_assets.simulation.market import Market
from trading_assets.validation.eras import Era, Eras, make_eras
from trading_assets.validation.metrics import t_statistic

pytestmark = pytest.mark.slow
N_BARS = 20_000
SEEDS = range(5)


def forecaster(kind: str) -> ModelAdapter:
    """As the demo's profile has it."""
    return forecaster_class(kind)(0, **getattr(load_settings("demo", "SYN-MEMORY"), kind).model_dump())


@cache
def second_half(kind: str, design: Design, strength: float, seed: int) -> tuple[np.ndarray, ...]:
    """Forecast, true probability and outcome of the half that was not trained on."""
    market = SyntheticMarket(design, strength, N_BARS, seed)
    table = compute_features(market.bars)
    returns = forward_return(to_matrix(market.bars), 1)
    X, y = table.frame, np.where(np.isnan(returns), np.nan, returns > 0)
    half = N_BARS // 2
    model = forecaster(kind).fit(X, y, rows=np.arange(table.warm_up, half - 2))
    forecast = model.predict_proba(X.iloc[half - 256 :])[256:, 1]
    return forecast, market.probability[half:], y[half:]


def share_of_bayes(kind: str, design: Design, seed: int) -> float:
    """(E[accuracy | true p] - 1/2) / (Bayes accuracy - 1/2): free of the noise in outcomes."""
    forecast, p, _ = second_half(kind, design, 1.0, seed)
    accuracy = np.where(forecast > 0.5, p, 1 - p).mean()
    return float((accuracy - 0.5) / (np.maximum(p, 1 - p).mean() - 0.5))


@pytest.mark.parametrize("kind", FORECASTERS)
def test_forecasters_find_what_past_prices_say(kind: str) -> None:
    assert np.mean([share_of_bayes(kind, "price", seed) for seed in SEEDS]) >= 0.95


@pytest.mark.parametrize("kind", ["gru", "cnn_lstm"])
def test_a_sequence_model_remembers_what_one_bar_s_features_do_not_hold(kind: str) -> None:
    sequence = np.mean([share_of_bayes(kind, "memory", seed) for seed in SEEDS])
    trees = np.mean([share_of_bayes("lightgbm", "memory", seed) for seed in SEEDS])
    assert sequence >= 0.93  # .950 and .951 were seen; what has to be reached is .90
    assert sequence >= trees + 0.10


@pytest.mark.parametrize("kind", FORECASTERS)
def test_no_forecaster_beats_chance_where_there_is_nothing_to_find(kind: str) -> None:
    right, n = 0.0, 0
    for seed in range(10):
        forecast, _, y = second_half(kind, "price", 0.0, seed)
        known = np.isfinite(y)
        right += ((forecast > 0.5) == (y > 0.5))[known].sum()
        n += known.sum()
    assert abs(right / n - 0.5) <= 3 * np.sqrt(0.25 / n)


def wiring(shuffled: bool, seed: int) -> tuple[np.ndarray, np.ndarray, Eras]:
    """Bars, and a table that gives the sign of the next return, right 75 % of the time, among noise."""
    rng = np.random.default_rng(seed)
    n = 6_000
    returns = 0.008 * rng.choice([-1.0, 1.0], n) * np.abs(rng.standard_normal(n))
    close = 100 * np.exp(np.cumsum(returns))
    bars = np.zeros((n, 7))
    bars[:, 0] = np.arange(n) * 3600.0
    bars[:, 4] = close
    bars[1:, 1] = close[:-1]
    bars[0, 1] = 100.0
    bars[:, 2] = np.maximum(bars[:, 1], close)
    bars[:, 3] = np.minimum(bars[:, 1], close)
    bars[:, 5] = 1.0
    hint = np.append(np.sign(returns[1:]), 0.0) * np.where(rng.random(n) < 0.75, 1, -1)
    if shuffled:
        hint = rng.permutation(hint)
    table = np.column_stack([hint, rng.standard_normal((n, 8))]).astype(np.float32)
    # The keeper chooses on its validation era; the oracle leaves it nothing to choose.
    eras = Eras(Era(0, 1), Era(0, 3_000), Era(3_000, 3_010), Era(3_010, n))
    return bars, table, eras


def run_wiring(
    shuffled: bool, cost_bps: float, seed: int
) -> tuple[BacktestResult, BacktestResult, BacktestResult]:
    """The agent's test era, following the sign, and buy-and-hold."""
    bars, table, eras = wiring(shuffled, seed)
    costs = CostSettings(fee_bps=cost_bps, slippage_bps=0.0)
    config = EnvConfig(costs=costs, reward_scale=0.008)
    market = AgentData(Market.make(bars, config=config), table, eras, 1)
    ppo = PPOSettings(
        total_steps=8_192,
        n_envs=64,
        n_steps=16,
        batch_size=256,
        n_epochs=8,
        learning_rate=2e-3,
        gamma=0.5,
        ent_coef=0.0,
        evaluations=1,
    )
    weights, _ = train_ppo(market, table, ppo, seed)
    agent = run_policy(ActorNet(actor_weights(weights)), table, market, eras.test)
    follow = table[eras.test.start : eras.test.stop - 1, 0].astype(float)
    test = market.during(eras.test)
    sign, hold = backtest(follow, test), buy_and_hold(test)
    return agent, sign, hold


@pytest.mark.parametrize(("cost_bps", "capture"), [(0.0, 0.8), (10.0, 0.6)])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_an_agent_that_is_told_the_next_sign_uses_it(cost_bps: float, capture: float, seed: int) -> None:
    agent, sign, hold = run_wiring(False, cost_bps, seed)
    assert t_statistic(agent.returns - hold.returns) > 4
    assert np.log(agent.equity[-1]) >= capture * np.log(sign.equity[-1])


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_an_agent_that_is_told_nothing_earns_nothing(seed: int) -> None:
    agent, _, hold = run_wiring(True, 0.0, seed)
    assert t_statistic(agent.returns - hold.returns) < 3


def train_on_synthetic(strength: float, seed: int) -> tuple[SyntheticMarket, AgentData, BacktestResult]:
    """PPO on the features of a synthetic market, traded on its test era."""
    market = SyntheticMarket("price", strength, N_BARS, seed)
    bars = to_matrix(market.bars)
    table = compute_features(market.bars)
    features = table.frame.to_numpy()
    eras = make_eras(
        N_BARS,
        first=table.warm_up,
        min_bars=1_000,
        shares=(0.5, 0.25, 0.125),
        label_span=24,
        embargo=24,
    )
    chosen = Settings(costs=CostSettings(fee_bps=1.0, slippage_bps=0.5))
    agent_market = AgentData.make(bars, features, eras, chosen, 1)
    seen = RobustScaler.fit(features[eras.agent_train.rows]).transform(features)
    weights, _ = train_ppo(agent_market, seen, chosen.ppo, seed)
    result = run_policy(ActorNet(actor_weights(weights)), seen, agent_market, eras.test)
    return market, agent_market, result


@pytest.mark.parametrize("seed", [0, 1])
def test_ppo_earns_most_of_the_best_band_on_the_true_probability(seed: int) -> None:
    market, agent_market, result = train_on_synthetic(1.0, seed)
    test = agent_market.during(agent_market.eras.test)
    best = no_trade_band(market.probability, choose_band(market.probability, test), test)
    assert np.log(result.equity[-1]) >= 0.75 * np.log(best.equity[-1])


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_ppo_finds_nothing_in_a_random_walk(seed: int) -> None:
    _, _, result = train_on_synthetic(0.0, seed)
    assert t_statistic(result.returns) < 4
    assert result.metrics(8_760)["alpha t"] < 4


@pytest.mark.parametrize("horizon", [1, 24])
def test_the_market_states_its_bayes_accuracy(horizon: int) -> None:
    market = SyntheticMarket("price", 1.0, 5_000, 0)
    accuracy = market.bayes_accuracy(horizon, n_starts=200, n_paths=400)
    assert (0.61 if horizon == 1 else 0.50) < accuracy < 0.66
