"""The accounting of one bar: closed forms, and identities on random bars, targets and costs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading_assets.config.settings import CostSettings, RiskSettings
from trading_assets.simulation import kernel
from trading_assets.simulation.backtesting import make_rules
from trading_assets.simulation.kernel import ACCOUNT_NAMES, ACCOUNT_SIZE

OPEN, CLOSE = 1, 4
RUIN = 0.01


def bars_of(opens, closes) -> np.ndarray:
    """Bars whose high and low are the outer of open and close, shape (n_bars, 6)."""
    opens, closes = np.array(opens, dtype=float), np.array(closes, dtype=float)
    time = np.arange(len(opens)) * 3_600.0
    high, low = np.maximum(opens, closes), np.minimum(opens, closes)
    return np.column_stack([time, opens, high, low, closes, np.ones(len(opens))])


def rules_of(fee_bps=0.0, slippage_bps=0.0, penalty=0.0, reward_scale=1.0) -> np.ndarray:
    costs = CostSettings(fee_bps=fee_bps, slippage_bps=slippage_bps)
    return make_rules(costs, RiskSettings(penalty=penalty), reward_scale)


def opened() -> np.ndarray:
    account = np.empty(ACCOUNT_SIZE)
    kernel.open_account(account)
    return account


def observed(account) -> dict[str, float]:
    out = np.empty(len(ACCOUNT_NAMES))
    kernel.observe_account(account, out)
    return dict(zip(ACCOUNT_NAMES, out.tolist(), strict=True))


@st.composite
def stories(draw):
    """Bars with gaps between close and next open, and a target for each but the last."""
    moves = st.floats(-0.15, 0.15)
    steps = draw(st.lists(st.tuples(moves, moves), min_size=2, max_size=25))
    price, opens, closes = 100.0, [], []
    for gap, move in steps:
        opens.append(price * (1 + gap))
        closes.append(opens[-1] * (1 + move))
        price = closes[-1]
    n = len(steps) - 1
    targets = draw(st.lists(st.sampled_from([-1.0, 0.0, 1.0]), min_size=n, max_size=n))
    return bars_of(opens, closes), targets


bps = st.floats(0, 1_000)


@pytest.mark.parametrize("target", [1.0, -1.0, 0.5])
def test_a_first_order_fills_at_the_next_open_slipped_against_it_and_pays_its_fee(target: float):
    # Of an equity of 1, |target| is traded at the open: slippage s of it is lost, and the fee f is
    # charged on what changes hands at the slipped price, (1 + s) when buying, (1 - s) when selling.
    bars = bars_of([90.0, 100.0], [95.0, 110.0])
    fee, slip, side = 0.001, 0.0005, np.sign(target)
    account = opened()
    reward, cost = kernel.step_account(bars, 0, account, target, rules_of(10, 5))
    paid = abs(target) * (slip + fee * (1 + side * slip))
    assert cost == pytest.approx(paid, rel=1e-12)
    assert account[kernel.UNITS] == pytest.approx(target / 100, rel=1e-12)
    assert account[kernel.EQUITY] == pytest.approx(1 + target * 0.1 - paid, rel=1e-12)
    assert reward == pytest.approx(np.log(1 + target * 0.1 - paid), rel=1e-9)


def test_a_held_target_pays_nothing_and_drifts_with_the_market():
    bars, account = bars_of([100, 100, 140], [100, 120, 150]), opened()
    rules = rules_of(10, 5)
    kernel.step_account(bars, 0, account, 1.0, rules)
    units, cash = account[kernel.UNITS], account[kernel.CASH]
    _, cost = kernel.step_account(bars, 1, account, 1.0, rules)
    assert cost == 0
    assert (account[kernel.UNITS], account[kernel.CASH]) == (units, cash)
    assert account[kernel.EQUITY] == cash + units * 150


def test_staying_flat_earns_exactly_nothing_and_pays_nothing(bars):
    account, rules = opened(), rules_of(10, 5, penalty=0.1)
    for t in range(200):
        assert kernel.step_account(bars, t, account, 0.0, rules) == (0.0, 0.0)
    assert account[kernel.EQUITY] == account[kernel.CASH] == 1.0
    assert observed(account) == dict.fromkeys(ACCOUNT_NAMES, 0.0)


@given(story=stories(), fee=bps, slip=bps)
def test_equity_is_cash_plus_units_at_the_close_and_costs_come_with_trades_alone(story, fee, slip):
    bars, targets = story
    account, rules, held = opened(), rules_of(fee, slip), 0.0
    for t, target in enumerate(targets):
        before = account[kernel.EQUITY]
        reward, cost = kernel.step_account(bars, t, account, target, rules)
        if account[kernel.EQUITY] == RUIN:
            return
        marked = account[kernel.CASH] + account[kernel.UNITS] * bars[t + 1, CLOSE]
        assert account[kernel.EQUITY] == marked
        assert reward == pytest.approx(np.log(marked / before), abs=1e-12)
        if target == held:
            assert cost == 0
        else:
            assert (cost > 0) == (rules[kernel.FEE] + rules[kernel.SLIPPAGE] > 0)
        assert account[kernel.TARGET] == held or target != held
        held = target


@given(story=stories(), fee=st.floats(0, 100), slip=st.floats(0, 100))
def test_gains_of_the_units_held_less_the_costs_paid_explain_all_of_the_equity(story, fee, slip):
    bars, targets = story
    account, rules, gains, costs = opened(), rules_of(fee, slip), 0.0, 0.0
    for t, target in enumerate(targets):
        before = account[kernel.UNITS]
        _, cost = kernel.step_account(bars, t, account, target, rules)
        if account[kernel.EQUITY] == RUIN:
            return
        gains += before * (bars[t + 1, OPEN] - bars[t, CLOSE])
        gains += account[kernel.UNITS] * (bars[t + 1, CLOSE] - bars[t + 1, OPEN])
        costs += cost
        assert account[kernel.EQUITY] == pytest.approx(1 + gains - costs, abs=1e-9)


@given(story=stories())
def test_without_costs_a_new_target_is_that_fraction_of_equity_at_the_fill(story):
    bars, targets = story
    account, rules, held = opened(), rules_of(), 0.0
    for t, target in enumerate(targets):
        price = bars[t + 1, OPEN]
        at_open = account[kernel.CASH] + account[kernel.UNITS] * price
        kernel.step_account(bars, t, account, target, rules)
        if at_open <= 0 or account[kernel.EQUITY] == RUIN:
            return
        if target != held:
            assert account[kernel.UNITS] * price == pytest.approx(target * at_open, abs=1e-12)
        held = target


def test_a_short_that_loses_more_than_everything_is_closed_at_one_per_cent():
    # The price rises by 300 % within the bar: the short of 1 is worth 2 - 4 = -2.
    bars, account = bars_of([100, 100, 100], [100, 400, 400]), opened()
    assert account[kernel.EQUITY] > kernel.RUIN
    reward, _ = kernel.step_account(bars, 0, account, -1.0, rules_of())
    assert account[kernel.EQUITY] <= kernel.RUIN
    assert account[kernel.EQUITY] == account[kernel.CASH] == 0.01
    assert account[kernel.UNITS] == account[kernel.TARGET] == 0.0
    assert reward == pytest.approx(np.log(0.01), rel=1e-12)


@pytest.mark.parametrize("target", [-1.0, 0.0, 1.0])
def test_a_ruined_account_stays_closed_whatever_is_asked_of_it(target: float):
    bars, account = bars_of([100, 100, 400, 400], [100, 400, 800, 100]), opened()
    rules = rules_of(10, 5)
    kernel.step_account(bars, 0, account, -1.0, rules)
    for t in (1, 2):
        reward, cost = kernel.step_account(bars, t, account, target, rules)
        assert (reward, cost) == (0.0, 0.0)
        assert account[kernel.EQUITY] == 0.01


def test_the_reward_is_a_log_return_in_units_of_the_scale_less_the_drawdown_penalty():
    # A fall of 20 % from the peak, soft 10 %, hard 25 %: ((0.2 - 0.1) / 0.15)^2 of the penalty.
    bars = bars_of([100, 100], [100, 80])
    reward, _ = kernel.step_account(bars, 0, opened(), 1.0, rules_of(penalty=0.3, reward_scale=0.02))
    assert reward == pytest.approx(np.log(0.8) / 0.02 - 0.3 * (2 / 3) ** 2, rel=1e-9)


def test_a_policy_sees_its_position_its_gain_its_drawdown_and_the_time_in_the_trade():
    # Bought at 100 and marked at 120, then at 108: +8 % since entry, 10 % below the peak, 2 bars.
    bars, account = bars_of([100, 100, 120], [100, 120, 108]), opened()
    for t in (0, 1):
        kernel.step_account(bars, t, account, 1.0, rules_of())
    assert observed(account) == pytest.approx(
        {
            "position": 1.0,
            "unrealised_pnl": 10 * np.log(1.08),
            "drawdown": 1.0,
            "time_in_trade": 2 / 48,
        },
        rel=1e-9,
    )


def test_what_a_policy_sees_of_its_account_is_bounded():
    bars = bars_of(np.full(202, 100.0), np.r_[100.0, np.full(201, 300.0)])
    long, short = opened(), opened()
    for t in range(200):
        kernel.step_account(bars, t, long, 1.0, rules_of())
        kernel.step_account(bars_of([100] * 3, [100, 199, 199]), min(t, 1), short, -1.0, rules_of())
    assert observed(long) == {
        "position": 1.0,
        "unrealised_pnl": 5.0,
        "drawdown": 0.0,
        "time_in_trade": 3.0,
    }
    assert observed(short)["drawdown"] == 5.0


@given(story=stories(), seed=st.integers(0, 2**16))
def test_stepping_many_accounts_equals_stepping_each_alone(story, seed: int):
    bars, _ = story
    rng, rules, n = np.random.default_rng(seed), rules_of(10, 5, penalty=0.1), 5
    clock = rng.integers(0, len(bars) - 1, n)
    targets = rng.choice([-1.0, 0.0, 1.0], n)
    accounts, rewards, costs = np.array([opened() for _ in range(n)]), np.empty(n), np.empty(n)
    moved = clock.copy()
    kernel.step_many(bars, moved, accounts, targets, rules, rewards, costs)
    np.testing.assert_array_equal(moved, clock + 1)
    for i in range(n):
        alone = opened()
        assert kernel.step_account(bars, clock[i], alone, targets[i], rules) == (rewards[i], costs[i])
        np.testing.assert_array_equal(alone, accounts[i])
