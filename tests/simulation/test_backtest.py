"""Backtests: closed forms, no look ahead, and one accounting for both ways to run one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_assets.config.settings import CostSettings, RiskSettings
from trading_assets.market.bars import to_matrix
from trading_assets.market.synthetic import SyntheticMarket
from trading_assets.simulation.backtesting import backtest, make_rules, replay_targets

OPEN, CLOSE = 1, 4
START, STOP = 100, 400


def rules_of(fee_bps=10.0, slippage_bps=5.0) -> np.ndarray:
    return make_rules(CostSettings(fee_bps=fee_bps, slippage_bps=slippage_bps), RiskSettings())


def random_targets(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).choice([-1.0, 0.0, 1.0], n)


def follow_the_last_bar(bars):
    """Long after a rise, short after a fall, shyer in a drawdown; reads bars up to `t` alone."""

    def decide(t, account):
        side = float(np.sign(bars[t, CLOSE] - bars[t - 1, CLOSE]))
        return side / 2 if account[2] > 0.5 else side

    return decide


def test_rules_are_proportions_of_the_settings_in_their_order():
    risk = RiskSettings(drawdown_soft=0.2, drawdown_hard=0.3, penalty=0.4)
    rules = make_rules(CostSettings(fee_bps=25, slippage_bps=2), risk, 0.006)
    np.testing.assert_allclose(rules, [0.0025, 0.0002, 0.2, 0.3, 0.4, 0.006], rtol=1e-15)


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan")])
def test_a_reward_scale_that_is_not_positive_is_refused(scale: float):
    with pytest.raises(ValueError, match="reward_scale is"):
        make_rules(CostSettings(), RiskSettings(), scale)


def test_buying_and_holding_equals_its_closed_form(bars):
    # Everything is bought at the first open after the decision: the slippage s and the fee f on the
    # slipped price come out of cash, the units 1 / open are marked at every close after it.
    fee, slip = 0.002, 0.0007
    held = replay_targets(np.ones(STOP - START - 1), bars, START, rules_of(20, 7))
    entry = bars[START + 1, OPEN]
    expected = bars[START + 1 : STOP, CLOSE] / entry - slip - fee * (1 + slip)
    np.testing.assert_allclose(held.equity, np.r_[1.0, expected], rtol=1e-12)
    np.testing.assert_allclose(held.costs[0], slip + fee * (1 + slip), rtol=1e-12)
    np.testing.assert_array_equal(held.costs[1:], 0)
    exposure = bars[START + 1 : STOP, CLOSE] / entry / held.equity[1:]
    np.testing.assert_allclose(held.exposure, exposure, rtol=1e-12)


def test_staying_flat_earns_exactly_nothing_and_pays_nothing(bars):
    flat = replay_targets(np.zeros(STOP - START - 1), bars, START, rules_of())
    np.testing.assert_array_equal(flat.equity, 1.0)
    np.testing.assert_array_equal(flat.costs, 0.0)
    np.testing.assert_array_equal(flat.exposure, 0.0)


def test_every_row_covers_the_bar_after_its_decision(bars):
    result = backtest(follow_the_last_bar(bars), bars, START, STOP, rules_of())
    n = STOP - START - 1
    assert len(result.equity) == n + 1
    assert {len(x) for x in (result.exposure, result.costs, result.targets, result.market)} == {n}
    assert result.accounts.shape == (n, 4)
    close = bars[START:STOP, CLOSE]
    np.testing.assert_allclose(result.market, np.diff(close) / close[:-1], atol=1e-15)
    np.testing.assert_allclose(result.returns, np.diff(result.equity) / result.equity[:-1], atol=1e-15)


def test_a_strategy_is_asked_once_a_bar_in_order_of_time(bars):
    asked = []
    backtest(lambda t, _: asked.append(t) or 0.0, bars, START, STOP, rules_of())
    assert asked == list(range(START, STOP - 1))


@settings(max_examples=25)
@given(seed=st.integers(0, 2**16), fee=st.floats(0, 50), slip=st.floats(0, 50))
def test_replaying_targets_equals_deciding_them_bit_for_bit(bars, seed, fee, slip):
    targets, rules = random_targets(STOP - START - 1, seed), rules_of(fee, slip)
    decided = backtest(lambda t, _: targets[t - START], bars, START, STOP, rules)
    replayed = replay_targets(targets, bars, START, rules)
    for name in ("equity", "exposure", "costs", "targets", "market"):
        np.testing.assert_array_equal(getattr(decided, name), getattr(replayed, name), err_msg=name)


@settings(max_examples=25)
@given(after=st.integers(START, STOP - 2), seed=st.integers(0, 2**16))
def test_altering_the_future_changes_no_decision_and_no_account_before_it(bars, after, seed):
    """Bars up to `after` are known; all later ones are replaced."""
    other = bars.copy()
    noise = np.random.default_rng(seed).uniform(0.5, 2.0, size=(len(bars) - after - 1, 4))
    other[after + 1 :, 1:5] *= noise
    known = after - START + 1
    a, b = (backtest(follow_the_last_bar(x), x, START, STOP, rules_of()) for x in (bars, other))
    np.testing.assert_array_equal(a.accounts[:known], b.accounts[:known])
    np.testing.assert_array_equal(a.targets[:known], b.targets[:known])
    np.testing.assert_array_equal(a.equity[:known], b.equity[:known])
    np.testing.assert_array_equal(a.costs[: known - 1], b.costs[: known - 1])
    assert a.equity[-1] != b.equity[-1]


def test_an_order_gains_nothing_from_the_bar_that_gave_the_signal(bars):
    """The bar of the decision may jump as it likes: the fill is the next open."""
    targets = np.r_[np.zeros(10), np.ones(20)]
    jumped = bars.copy()
    jumped[START + 10, 1:5] *= 3
    calm = replay_targets(targets, bars, START, rules_of())
    wild = replay_targets(targets, jumped, START, rules_of())
    np.testing.assert_array_equal(calm.equity, wild.equity)


def test_no_bar_outside_the_stretch_is_read(bars):
    blank = bars.copy()
    blank[: START - 1], blank[STOP:] = np.nan, np.nan
    a, b = (backtest(follow_the_last_bar(x), x, START, STOP, rules_of()) for x in (bars, blank))
    np.testing.assert_array_equal(a.equity, b.equity)


@pytest.mark.parametrize("cost", ["fee_bps", "slippage_bps"])
def test_mean_net_profit_falls_strictly_with_every_cost(cost: str):
    # golden.md, behaviour every build must show.
    def mean_profit(value: float) -> float:
        rules = rules_of(**({"fee_bps": 3.0, "slippage_bps": 3.0} | {cost: value}))
        finals = []
        for seed in range(5):
            market = to_matrix(SyntheticMarket("price", 1.0, n_bars=600, seed=seed).bars)
            finals.append(replay_targets(random_targets(599, seed), market, 0, rules).equity[-1])
        return float(np.mean(finals)) - 1

    profits = [mean_profit(value) for value in (0.0, 0.5, 1, 5, 10, 20, 50)]
    assert all(np.diff(profits) < 0)


def test_a_ruined_account_ends_at_one_per_cent_and_trades_no_more(bars):
    crash = bars[:60].copy()
    crash[20:, 1:5] *= 4
    crash[20, OPEN] = crash[19, CLOSE]
    result = replay_targets(np.full(59, -1.0), crash, 0, rules_of())
    assert result.equity[19] > 0.5
    np.testing.assert_array_equal(result.equity[20:], 0.01)
    np.testing.assert_array_equal(result.exposure[19:], 0)
    np.testing.assert_array_equal(result.costs[20:], 0)


def test_a_backtest_reports_the_metrics_of_its_own_series(bars):
    result = backtest(follow_the_last_bar(bars), bars, START, STOP, rules_of())
    metrics = result.metrics(8_760)
    assert metrics["net return"] == result.equity[-1] - 1
    assert metrics["trades"] == np.count_nonzero(np.diff(result.targets, prepend=0))
    assert metrics["costs paid"] == pytest.approx(result.costs.sum(), rel=1e-12)
