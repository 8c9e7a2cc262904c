"""What an agent was trained on travels with it, and it is judged on nothing else."""

import io

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3 import DQN, PPO, SAC

from trading_assets.config.settings import EnvConfig
from trading_assets.errors import DivergedError, SchemaError
from trading_assets.simulation import (
    TradingEnv,
    backtest,
    build_action_space,
    build_observation_space,
    make_env,
)
from trading_assets.simulation.market import Market

START, STOP = 100, 160


def a_market(bars, n_columns: int = 3, **changes) -> Market:
    table = np.random.default_rng(0).normal(size=(len(bars), n_columns)).astype(np.float32)
    return Market.make(bars, table, EnvConfig(**{"window": 4} | changes), start=START, stop=STOP)


def agent_on(market: Market, n_envs: int | None = None) -> PPO:
    return PPO("MlpPolicy", make_env(market, n_envs), n_steps=16, batch_size=16, seed=0, device="cpu")


OTHERS = {
    "more levels": {"levels": (-1.0, -0.5, 0.0, 1.0)},
    "other levels of the same number": {"levels": (-1.0, 0.0, 0.5)},
    "numbers in place of levels": {"levels": None},
    "another leverage": {"max_leverage": 2.0},
    "another window": {"window": 5},
    "another window of the same width": {"window": 2, "n_columns": 6},
    "another table": {"n_columns": 4},
}


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("n_envs", [None, 3])
def test_an_agent_is_refused_on_other_terms_before_the_first_bar_also_after_saving_and_loading(
    bars, name, n_envs
):
    market, other = a_market(bars), a_market(bars, **OTHERS[name])
    model, file = agent_on(market, n_envs), io.BytesIO()
    model.save(file)
    file.seek(0)
    loaded = PPO.load(file, device="cpu")
    for agent in (model, model.policy, loaded, loaded.policy):
        asked = []
        agent.predict = lambda *_, asked=asked, **__: asked.append(1)
        with pytest.raises(SchemaError, match=r"was trained on the .* space .*; this market has"):
            backtest(agent, other)
        assert asked == []
    file.seek(0)
    with pytest.raises(ValueError, match="spaces do not match"):
        PPO.load(file, env=make_env(other), device="cpu")


def test_an_agent_is_judged_where_only_costs_limits_and_bars_differ(bars):
    market = a_market(bars)
    model, file = agent_on(market), io.BytesIO()
    model.save(file)
    file.seek(0)
    loaded = PPO.load(file, env=make_env(market, 2), device="cpu")
    risk = {"leverage": {"soft": 0.5, "hard": 2.0, "cool_down": 0}}
    other = a_market(bars, costs={"fee_bps": 3.0}, risk=risk).between(START + 5, STOP + 90)
    assert backtest(loaded, other).fingerprint == backtest(model, other).fingerprint


def test_a_leverage_is_compared_where_targets_are_numbers_too(bars):
    model = SAC("MlpPolicy", make_env(a_market(bars, levels=None)), buffer_size=10, device="cpu")
    with pytest.raises(
        SchemaError, match=r"max_leverage 1.0\); this market has TargetSpace\(levels None, max_lev"
    ):
        backtest(model, a_market(bars, levels=None, max_leverage=3.0))


def test_an_agent_of_normalized_observations_is_not_shown_raw_ones(bars):
    from stable_baselines3.common.vec_env import VecNormalize

    market = a_market(bars)
    arguments = {"n_steps": 16, "batch_size": 16, "device": "cpu"}
    model = PPO("MlpPolicy", VecNormalize(make_env(market, 2)), **arguments)
    with pytest.raises(SchemaError, match="observations that VecNormalize had changed"):
        backtest(model, market)
    backtest(PPO("MlpPolicy", VecNormalize(make_env(market, 2), norm_obs=False), **arguments), market)


def test_a_space_equals_one_of_the_same_terms_and_a_plain_one_of_the_same_shape():
    config = EnvConfig(window=4)
    seen, done = build_observation_space(3, config), build_action_space(config)
    assert seen == build_observation_space(3, config) and seen != build_observation_space(
        6, EnvConfig(window=2)
    )
    assert seen == gym.spaces.Box(seen.low, seen.high) and done == gym.spaces.Discrete(3)
    assert repr(seen) == "WindowSpace(window 4, columns 3)"
    assert repr(done) == "LevelSpace(levels [-1.0, 0.0, 1.0], max_leverage 1.0)"


class Bundled:
    """A policy as `execution.Policy` is: it answers targets and says what it was trained on."""

    def __init__(self, **trained_on) -> None:
        terms = {"levels": [-1.0, 0.0, 1.0], "max_leverage": 1.0, "window": 4, "columns": 3}
        self.trained_on, self.asked = terms | trained_on, 0

    def predict(self, observation):
        self.asked += 1
        return float(np.sign(observation[0])), {}


def test_a_bundle_s_policy_answers_targets_and_is_refused_on_other_terms(bars):
    market, policy = a_market(bars), Bundled()
    expected = np.sign(market.table[START - 3 : STOP - 4, 0])
    np.testing.assert_array_equal(backtest(policy, market).asked, expected)
    for name, value in (("levels", [-1.0, 0.0, 0.5]), ("max_leverage", 2.0), ("window", 2), ("columns", 6)):
        policy = Bundled(**{name: value})
        with pytest.raises(SchemaError, match=f"trained on .*{name} .*; here are"):
            backtest(policy, market)
        assert policy.asked == 0


@pytest.mark.parametrize("kind", [PPO, DQN])
def test_an_agent_whose_weights_are_not_finite_is_refused_before_the_first_bar(bars, kind):
    """DQN's answer to NaN is its first action, a full short."""
    import torch

    market = a_market(bars)
    model = kind("MlpPolicy", TradingEnv(market), device="cpu")
    backtest(model, market)
    with torch.no_grad():
        next(model.policy.parameters()).view(-1)[3] = np.nan
    with pytest.raises(DivergedError, match=r"weights '.*' are not finite"):
        backtest(model, market)
