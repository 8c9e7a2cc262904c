"""One stream of bars, two drivers: the rules inside the simulator and those that guard execution agree."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.simulation.worlds import CLOSE, HOUR, TIME, random_bars
from trading_assets.config.limits import RiskLimits
from trading_assets.config.settings import EnvConfig
from trading_assets.risk import RULES, AccountState, ProductionRiskAdvisor, RiskAgent, RiskRequest
from trading_assets.simulation import BacktestResult, TradingEnv, backtest
from trading_assets.simulation.market import Market

CAPITAL = 5_000.0
START = 60


def limits(**changes) -> RiskLimits:
    rules = {
        "position": (20.0, 60.0, 0),
        "leverage": (0.5, 1.5, 2),
        "gross_notional": (2_000.0, 8_000.0, 0),
        "value_at_risk": (0.005, 0.02, 0),
        "conditional_value_at_risk": (0.01, 0.03, 3),
        "volatility": (0.005, 0.02, 0),
        "turnover": (2.0, 6.0, 4),
        "order_rate": (2.0, 5.0, 0),
        "drawdown": (0.02, 0.08, 12),
        "daily_loss": (0.01, 0.04, 5),
        "loss_streak": (2.0, 4.0, 7),
    }
    given = {
        name: dict(zip(("soft", "hard", "cool_down"), rule, strict=True)) for name, rule in rules.items()
    }
    return RiskLimits.model_validate({**given, "window": 50, "tail": 0.1, "activity_window": 12} | changes)


def a_market(seed: int, enforce: bool, rules: RiskLimits | None = None) -> Market:
    costs = {"fee_bps": 5.0, "impact": 0.5, "capital": CAPITAL}
    config = EnvConfig(
        max_leverage=2.0,
        risk=rules or limits(),
        enforce_limits=enforce,
        costs=costs,
        starts="sequential",
        episode_bars=10_000,
    )
    return Market.make(random_bars(500, seed, scale=0.008, gaps=True), config=config, start=START)


def accounts_of(result: BacktestResult) -> list[AccountState]:
    """What a broker would have reported at the close of every bar, from the first decision on."""
    bars, market = result.market.bars, result.market
    states = [AccountState(bars[START, TIME] + HOUR, bars[START, CLOSE], CAPITAL, 0.0)]
    for k, row in enumerate(result.path):
        bar = bars[market.start + 1 + k]
        equity, exposure, _, traded, closed_pnl = row[:5] * [CAPITAL, 1, 1, CAPITAL, CAPITAL]
        units = exposure * equity / bar[CLOSE]
        states.append(
            AccountState(bar[TIME] + HOUR, bar[CLOSE], equity, units, traded, float(traded > 0), closed_pnl)
        )
    return states


def targets_of(seed: int, n: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.repeat(rng.choice([-1.0, -0.4, 0.0, 0.4, 1.0], n), rng.integers(1, 8, n))[:n]


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**16))
def test_an_advisor_that_watches_the_account_finds_the_penalties_that_training_was_given(seed):
    market = a_market(seed, enforce=False)
    result = backtest(targets_of(seed, market.n_decisions), market)
    advisor = ProductionRiskAdvisor(limits())
    advisor.warm_up(market.bars[:START, CLOSE])
    assessed = [advisor.evaluate(state) for state in accounts_of(result)]
    assert assessed[0].penalty == 0
    penalties = [one.penalty for one in assessed[1:]]
    np.testing.assert_allclose(penalties, result.penalty, rtol=1e-6, atol=1e-9)
    use = np.array([list(one.use.values()) for one in assessed[1:]])
    np.testing.assert_allclose(use, result.use, rtol=1e-6, atol=1e-9)
    assert result.penalty.max() > 1


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**16))
def test_an_agent_that_guards_the_account_decides_what_the_simulator_did(seed):
    """The policy asks for the same in both; the agent sees the account that the simulator made of it."""
    market = a_market(seed, enforce=True)
    result = backtest(targets_of(seed, market.n_decisions), market)
    agent = RiskAgent(limits())
    agent.warm_up(market.bars[:START, CLOSE])
    held, decided = 0.0, []
    leverage = market.config.max_leverage
    for state, asked, followed in zip(accounts_of(result), result.asked, result.targets, strict=False):
        decision = agent.evaluate_and_enforce(RiskRequest(state, held * leverage, asked * leverage))
        decided.append(decision.target / leverage)
        held = followed
    np.testing.assert_allclose(decided, result.targets, rtol=1e-9, atol=1e-12)
    assert (result.targets != result.asked).sum() > 20


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**16))
def test_enforced_rules_keep_exposure_and_activity_within_their_hard_levels(seed):
    """At the decision; a bar's move and slippage may carry the account past them, by that much."""
    rules = limits(turnover=None, drawdown=None, daily_loss=None, loss_streak=None)
    market = a_market(seed, enforce=True, rules=rules)
    result = backtest(targets_of(seed, market.n_decisions), market)
    use = dict(zip(RULES, result.use.T, strict=True))
    for rule in ("position", "leverage", "gross_notional", "volatility"):
        assert use[rule].max() < 1.12, rule
    assert use["order_rate"].max() <= 1 or (np.abs(result.targets) <= 1).all()
    advised = backtest(result.asked, a_market(seed, enforce=False, rules=rules))
    assert advised.risk_use["leverage"] > 1.2


@pytest.mark.parametrize(
    ("rule", "hard"),
    [("gross_notional", 3_000), ("position", 30), ("volatility", 0.004), ("value_at_risk", 0.008)],
)
def test_a_limit_that_moves_with_the_market_is_not_followed_bar_by_bar(rule, hard):
    """A long that asks for more than it may have trades now and then, and stays within its limit."""
    limit = {"soft": hard / 2, "hard": hard, "cool_down": 0}
    market = a_market(2, enforce=True, rules=RiskLimits.model_validate({rule: limit, "window": 50}))
    result = backtest(np.ones(market.n_decisions), market)
    assert 2 <= np.count_nonzero(result.traded) < 0.2 * market.n_decisions
    assert result.risk_use[rule] < 1.12 and np.median(result.use[:, RULES.index(rule)]) > 0.7


@pytest.mark.parametrize("rule", ["drawdown", "daily_loss", "loss_streak"])
def test_no_rule_that_closes_positions_does_so_for_ever(rule):
    """On a falling market a long is stopped out, waits, and is let in again, over and over."""
    rng = np.random.default_rng(3)
    bars = random_bars(600, 3, scale=1e-4)
    fall = np.exp(-np.cumsum(np.abs(rng.normal(0, 0.01, 600))))
    bars[:, 1:5] *= fall[:, None]
    level = {"drawdown": (0.02, 0.1), "daily_loss": (0.02, 0.1), "loss_streak": (0.5, 1.0)}[rule]
    limit = {"soft": level[0], "hard": level[1], "cool_down": 30}
    config = EnvConfig(risk={rule: limit}, enforce_limits=True)
    targets = np.where(np.arange(599) % 20 < 18, 1.0, 0.0)
    result = backtest(targets, Market.make(bars, config=config))
    entries = result.trades["entry_bar"].to_numpy()
    assert len(entries) >= 4 and entries[-1] > 400
    stopped = (result.asked == 1) & (result.targets == 0)
    runs = np.diff(np.flatnonzero(np.diff(np.r_[0, stopped, 0])))[::2]
    assert stopped.sum() > 100 and runs.max() <= 30


def test_training_is_advised_and_never_stopped():
    market = a_market(1, enforce=False)
    env = TradingEnv(market)
    env.reset(seed=0)
    targets = []
    for _ in range(300):
        *_, info = env.step(2)
        targets.append(info["target"])
    assert targets == [1.0] * 300


def test_limits_travel_as_json_without_a_change():
    rules = limits()
    assert RiskLimits.model_validate(json.loads(rules.model_dump_json())) == rules
