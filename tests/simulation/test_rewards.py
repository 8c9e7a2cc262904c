"""Rewards: each against its formula on the equity that the account had."""

import numpy as np
import pytest

from tests.simulation.worlds import free, random_bars
from trading_assets.simulation import TradingEnv, backtest
from trading_assets.simulation.market import Market

SCALE = 0.01


def play(**changes) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rewards, scaled log returns of equity, and penalties of an episode of random actions."""
    config = free(
        starts="sequential", episode_bars=300, reward_scale=SCALE, costs={"fee_bps": 10.0}, **changes
    )
    market = Market.make(random_bars(301, 5), config=config)
    env = TradingEnv(market)
    env.reset(seed=0)
    rewards, equity, penalty = [], [1.0], []
    for action in np.random.default_rng(0).integers(0, 3, 300).repeat(3)[:300]:
        _, reward, *_, info = env.step(action)
        rewards.append(reward)
        equity.append(info["equity"])
        penalty.append(info["penalty"])
    return np.array(rewards), np.diff(np.log(equity)) / SCALE, np.array(penalty)


def test_the_log_return_is_net_of_costs_in_units_of_the_scale():
    rewards, earned, _ = play()
    np.testing.assert_allclose(rewards, earned, rtol=1e-5, atol=1e-6)


def test_the_mean_variance_reward_takes_half_the_aversion_times_the_square():
    rewards, earned, _ = play(reward="mean_variance", risk_aversion=0.7)
    np.testing.assert_allclose(rewards, earned - 0.35 * earned**2, rtol=1e-5, atol=1e-6)


def test_the_differential_sharpe_ratio_is_the_derivative_of_the_moving_sharpe_ratio():
    """Moody and Saffell's definition: dS/d(decay) at 0, here by a small decay of the last step alone."""
    decay = 0.05
    rewards, earned, _ = play(reward="differential_sharpe", sharpe_decay=decay)
    mean = square = 0.0
    for k, r in enumerate(earned):
        if square - mean**2 > 1e-6:

            def sharpe(eta, a=mean, b=square, r=r):
                a, b = a + eta * (r - a), b + eta * (r**2 - b)
                return a / np.sqrt(b - a**2)

            tiny = 1e-7
            slope = (sharpe(tiny) - sharpe(-tiny)) / (2 * tiny)
            assert rewards[k] == pytest.approx(np.clip(slope, -10, 10), rel=2e-4, abs=1e-4), k
        mean += decay * (r - mean)
        square += decay * (r**2 - square)
    assert rewards[0] == 0


@pytest.mark.parametrize("reward", ["log_return", "differential_sharpe", "mean_variance"])
def test_every_reward_is_lowered_by_the_penalty_of_the_risk_rules(reward):
    risk = {"drawdown": {"soft": 0.001, "hard": 0.05, "cool_down": 9}}
    plain, _, _ = play(reward=reward, risk=risk)
    advised, _, penalty = play(reward=reward, risk=risk, risk_penalty=0.4)
    assert penalty.max() > 0.01
    np.testing.assert_allclose(plain - advised, 0.4 * penalty, rtol=1e-4, atol=1e-5)


def test_a_penalty_changes_rewards_and_never_the_account():
    bars = random_bars(200, 6)
    risk = {"drawdown": {"soft": 0.001, "hard": 0.05, "cool_down": 9}}
    targets = np.random.default_rng(1).choice([-1.0, 0.0, 1.0], 199)
    with_rules, without = (
        backtest(targets, Market.make(bars, config=config))
        for config in (free(risk=risk, risk_penalty=5.0), free())
    )
    np.testing.assert_array_equal(with_rules.equity, without.equity)
    assert with_rules.penalty.max() > 0 == without.penalty.max()
