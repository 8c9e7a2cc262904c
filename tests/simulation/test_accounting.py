"""The accounting of one bar: closed forms, a slow second opinion, and identities on random markets."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.simulation.worlds import (
    CLOSE,
    FUNDING,
    HOUR,
    OPEN,
    TIME,
    WITHIN,
    YEAR,
    SlowAccount,
    free,
    make_bars,
    random_bars,
)
from trading_assets.simulation.backtesting import BacktestResult, backtest
from trading_assets.simulation.kernel import COSTS, RUIN
from trading_assets.simulation.market import Market

LEVELS = (-1.0, -0.5, 0.0, 0.5, 1.0)


def run(bars, targets, **changes) -> BacktestResult:
    return backtest(np.array(targets, dtype=float), Market.make(bars, config=free(**changes)))


def paid(result: BacktestResult, kind: str) -> np.ndarray:
    return result.costs[:, COSTS.index(kind)]


@st.composite
def stories(draw):
    """A random market, a target for each decision, and everything that may cost something."""
    n = draw(st.integers(5, 120))
    bars = random_bars(
        n, draw(st.integers(0, 2**16)), scale=draw(st.sampled_from([0.003, 0.02, 0.1])), gaps=True
    )
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    targets = np.repeat(rng.choice(LEVELS, n), rng.integers(1, 6, n))[: n - 1]
    leverage, margin = draw(st.sampled_from([(1.0, 0.3), (3.0, 0.3), (3.0, 0.05), (20.0, 0.0), (20.0, 0.04)]))
    config = {
        "max_leverage": leverage,
        "maintenance_margin": margin,
        "liquidation_bps": draw(st.floats(1, 200)),
        "costs": {
            "fee_bps": draw(st.floats(0, 100)),
            "slippage_bps": draw(st.floats(0, 100)),
            "slippage_volatility": draw(st.floats(0, 1)),
            "impact": draw(st.floats(0, 2)),
            "liquidity_window": draw(st.integers(2, 30)),
            "borrow_rate": draw(st.floats(0, 1)),
            "capital": draw(st.sampled_from([10.0, 1e4, 1e7])),
            "min_order": draw(st.sampled_from([0.0, 5.0])),
            "funding": draw(st.booleans()),
        },
    }
    return bars, targets, config


@settings(max_examples=150, deadline=None)
@given(story=stories())
def test_the_kernel_agrees_with_a_slow_account_that_was_written_apart_from_it(story):
    bars, targets, config = story
    result = run(bars, targets, **config)
    slow = SlowAccount(result.market)
    for t, target in enumerate(targets):
        slow.step(t, target)
        np.testing.assert_allclose(result.equity[t + 1], slow.equity, rtol=1e-9, err_msg=f"bar {t + 1}")
        np.testing.assert_allclose(result.costs[t], list(slow.costs.values()), rtol=1e-8, atol=1e-14)
        assert result.targets[t] == slow.target
        assert result.traded[t] == pytest.approx(slow.traded, rel=1e-9)
        assert result.path[t, 4] == pytest.approx(slow.closed_pnl, rel=1e-7, abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(story=stories())
def test_equity_is_cash_and_position_and_only_funding_may_pay_the_account(story):
    """Cash is what gains and costs left of it, counted here from the exposures alone."""
    bars, targets, config = story
    result = run(bars, targets, **config)
    exposure, equity, cash = np.r_[0.0, result.exposure], result.equity, 1.0
    for k in range(len(targets)):
        if equity[k + 1] == RUIN or paid(result, "liquidation")[k] > 0:
            break
        units = exposure[k] * equity[k] / bars[k, CLOSE]
        held = exposure[k + 1] * equity[k + 1] / bars[k + 1, CLOSE]
        cash -= (held - units) * bars[k + 1, OPEN] + result.costs[k].sum()
        assert equity[k + 1] == pytest.approx(cash + held * bars[k + 1, CLOSE], rel=1e-8)
    for kind in COSTS:
        if kind != "funding":
            assert (paid(result, kind) >= 0).all()


def test_an_order_fills_at_the_next_open_slipped_against_it_and_pays_its_fee():
    # Of an equity of 1, |target| is traded at the open: slippage s of it is lost, and the fee f is
    # charged on what changes hands at the slipped price, (1 + s) when buying, (1 - s) when selling.
    bars, fee, slip = make_bars([90.0, 100.0], [95.0, 110.0]), 0.001, 0.0005
    for target in (1.0, -1.0, 0.5):
        result = run(bars, [target], costs={"fee_bps": 10, "slippage_bps": 5})
        lost = abs(target) * slip
        assert paid(result, "slippage")[0] == pytest.approx(lost, rel=1e-12)
        fees = fee * (abs(target) + math.copysign(lost, target))
        assert paid(result, "fee")[0] == pytest.approx(fees, rel=1e-12)
        assert result.equity[1] == pytest.approx(1 + target * 0.1 - lost - fees, rel=1e-12)


def test_buying_and_holding_equals_its_closed_form():
    bars, fee, slip = random_bars(500, 1), 0.002, 0.0007
    result = run(bars, np.ones(499), costs={"fee_bps": 20, "slippage_bps": 7})
    expected = bars[1:, CLOSE] / bars[1, OPEN] - slip - fee * (1 + slip)
    np.testing.assert_allclose(result.equity[1:], expected, rtol=1e-12)
    np.testing.assert_array_equal(result.costs[1:], 0.0)


def test_a_flat_policy_earns_exactly_nothing_and_pays_nothing():
    bars = random_bars(300, 2, gaps=True)
    result = run(
        bars, np.zeros(299), costs={"fee_bps": 10, "borrow_rate": 1.0, "funding": True, "impact": 1.0}
    )
    np.testing.assert_array_equal(result.equity, 1.0)
    np.testing.assert_array_equal(result.costs, 0.0)


def test_a_constant_long_pays_the_sum_of_the_funding_rates_of_its_notional():
    bars = random_bars(400, 3)
    bars[:, WITHIN] = 0.0
    result = run(bars, np.ones(399), costs={"funding": True})
    notional = bars[2:, OPEN] / bars[1, OPEN]  # from the bar after the first fill on
    shares = paid(result, "funding")[1:] / notional
    np.testing.assert_allclose(shares, bars[2:, FUNDING], rtol=1e-9, atol=1e-18)
    short = run(bars, -np.ones(399), costs={"funding": True})
    np.testing.assert_allclose(paid(short, "funding"), -paid(result, "funding"), rtol=1e-12)


def test_funding_is_paid_by_who_holds_when_it_falls_due_not_by_an_order_that_fills_then():
    bars = make_bars([100.0] * 4, [100.0] * 4, funding=[0.0, 0.01, 0.02, 0.04])
    result = run(bars, [1.0, 0.0, 0.0], costs={"funding": True})
    assert paid(result, "funding").tolist() == [0.0, 0.02, 0.0]


def test_funding_within_a_bar_is_paid_by_who_holds_after_the_fill_at_the_price_midway():
    bars = make_bars([100.0] * 4, [100.0, 100.0, 120.0, 100.0], funding=0.03, within=0.02)
    result = run(bars, [1.0, -1.0, 0.0], costs={"funding": True})
    first, due = paid(result, "funding")[:2]
    assert first == pytest.approx(0.02, rel=1e-12)
    units = result.exposure[1] * result.equity[2] / 120.0
    assert due == pytest.approx(
        0.01 + units * 110 * 0.02, rel=1e-12
    )  # the long at the open, the short after it
    assert paid(result, "funding")[2] == pytest.approx(units * 100 * 0.01, rel=1e-12)


def test_borrowing_costs_a_short_its_notional_and_a_levered_long_its_loan_by_the_time_that_passes():
    bars = make_bars([100.0] * 4, [100.0] * 4)
    bars[2:, TIME] += 30 * HOUR  # a gap is paid for too
    short = run(bars, [-1.0] * 3, costs={"borrow_rate": 0.5})
    np.testing.assert_allclose(paid(short, "borrow"), 0.5 * np.array([1, 31, 1]) * HOUR / YEAR, rtol=1e-9)
    # Over the gap by who held until then, within a bar by who holds after the fill.
    turned = run(bars, [1.0, -1.0, 0.0], costs={"borrow_rate": 0.5})
    np.testing.assert_allclose(paid(turned, "borrow"), [0.0, 0.5 * HOUR / YEAR, 0.0], rtol=1e-9)
    long = run(bars, [1.0] * 3, costs={"borrow_rate": 0.5})
    np.testing.assert_array_equal(paid(long, "borrow"), 0.0)
    levered = run(bars, [1.0] * 3, max_leverage=3.0, costs={"borrow_rate": 0.5})
    assert paid(levered, "borrow")[1] == pytest.approx(2 * 0.5 * 31 * HOUR / YEAR, rel=1e-3)


def test_interest_is_of_the_time_that_has_passed_whatever_the_length_of_bars():
    """A day that is an hour short, as in spring, gives that hour back when the next bar begins."""
    bars = make_bars([100.0] * 6, [100.0] * 6)
    bars[:, TIME] = np.cumsum([0, 24, 24, 23, 24, 24]) * HOUR
    short = run(bars, [-1.0] * 5, costs={"borrow_rate": 0.5})
    np.testing.assert_allclose(paid(short, "borrow") * YEAR / HOUR / 0.5, [24, 24, 23, 24, 24], rtol=1e-9)


def test_a_position_is_held_through_a_gap_and_drifts_with_the_market():
    bars = make_bars([100, 100, 140], [100, 120, 150])
    bars[2, TIME] += 500 * HOUR
    result = run(bars, [1.0, 1.0], costs={"fee_bps": 10})
    assert result.traded.tolist() == [1.0, 0.0]
    assert result.equity[2] == pytest.approx(1.5 - 0.001, rel=1e-12)


def test_impact_grows_with_the_root_of_the_share_of_volume_and_no_share_is_above_one():
    bars = random_bars(60, 4)
    targets = np.r_[np.zeros(40), np.ones(19)]
    small, large, huge = (
        paid(run(bars, targets, costs={"impact": 1.0, "capital": capital}), "impact").sum()
        for capital in (1.0, 100.0, 1e12)
    )
    assert large == pytest.approx(10 * small, rel=1e-9)
    deviation = np.diff(np.log(bars[:, CLOSE]))[16:40].std(ddof=1)
    assert huge == pytest.approx(deviation, rel=1e-9)


def test_a_market_without_volume_has_the_impact_of_being_all_of_it():
    bars = random_bars(60, 4)
    bars[:, 5] = 0.0
    result = run(bars, np.ones(59), costs={"impact": 1.0})
    assert np.isfinite(result.equity).all() and result.equity[-1] > 0


def test_an_order_below_the_smallest_is_not_sent_but_a_position_can_always_be_closed():
    bars = make_bars([100.0] * 5, [100.0] * 5)
    result = run(bars, [0.5, 0.55, 0.7, 0.0], costs={"min_order": 1_000.0, "capital": 10_000.0})
    assert result.targets.tolist() == [0.5, 0.5, 0.7, 0.0]
    assert result.traded.tolist() == pytest.approx([0.5, 0.0, 0.2, 0.7])
    tiny = run(bars, [0.05, 0.5, 0.0, 0.0], costs={"min_order": 1_000.0, "capital": 10_000.0})
    assert tiny.targets.tolist() == [0.0, 0.5, 0.0, 0.0]


def test_a_margin_call_closes_a_levered_long_where_its_margin_is_used_up_within_the_bar():
    # 5x long at 100 has borrowed 4; equity over notional is 10 % at p with p/20 - 4 = .1 p/20.
    bars = make_bars([100, 100, 100], [100, 100, 95], reach=0.2)
    bars[1, 2:4] = 100.0
    result = run(bars, [1.0, 1.0], max_leverage=5.0, maintenance_margin=0.1, liquidation_bps=100)
    price = 4 / 0.05 / 0.9
    assert result.targets.tolist() == [1.0, 0.0]
    assert result.equity[2] == pytest.approx(0.05 * price - 4 - 0.01 * 0.05 * price, rel=1e-9)
    assert result.trades["pnl"].tolist() == pytest.approx([result.equity[2] - 1])


def test_a_margin_call_after_a_jump_fills_at_the_open_and_not_where_it_would_have_been_due():
    bars = make_bars([100, 100, 70], [100, 100, 90])
    result = run(bars, [1.0, 1.0], max_leverage=3.0, maintenance_margin=0.1, liquidation_bps=0)
    assert result.equity[2] == pytest.approx(1 + 3 * -0.3, rel=1e-9)
    short = run(
        make_bars([100, 100, 145], [100, 100, 120]), [-1.0, -1.0], max_leverage=2.0, maintenance_margin=0.1
    )
    assert short.equity[2] == pytest.approx(1 - 2 * 0.45 - 2 * 1.45 * 0.005, rel=1e-9)


def test_an_unlevered_long_is_never_called():
    bars = make_bars([100, 100, 1.5], [100, 100, 2])
    result = run(bars, [1.0, 1.0], maintenance_margin=0.5)
    assert result.equity[2] == pytest.approx(0.02, rel=1e-9)


def test_a_ruined_account_is_closed_and_trades_no_more():
    bars = make_bars([100, 100, 350, 100, 50], [100, 100, 400, 90, 40])
    result = run(bars, [-1.0, -1.0, 1.0, -1.0], costs={"fee_bps": 10})
    assert result.equity[2:].tolist() == [RUIN] * 3
    assert result.targets.tolist() == [-1.0, 0.0, 0.0, 0.0]
    np.testing.assert_array_equal(result.costs[2:], 0.0)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**16), low=st.floats(0, 40), more=st.floats(0.5, 40))
def test_net_profit_strictly_falls_in_fee_and_in_slippage(seed, low, more):
    bars = random_bars(80, seed)
    targets = np.random.default_rng(seed).choice(LEVELS, 79)
    targets[10] = 1.0
    targets[11] = -1.0
    for name in ("fee_bps", "slippage_bps"):
        cheap, dear = (run(bars, targets, costs={name: bps}).equity[-1] for bps in (low, low + more))
        assert dear < cheap


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**16), signal=st.integers(0, 78))
def test_nothing_is_traded_before_its_signal(seed, signal):
    """Two sets of targets that agree up to a signal give the same account up to the bar that fills it."""
    bars, rng = random_bars(80, seed), np.random.default_rng(seed)
    one = rng.choice(LEVELS, 79)
    other = one.copy()
    other[signal:] = rng.choice(LEVELS, 79 - signal)
    a, b = (run(bars, targets, costs={"fee_bps": 10, "impact": 1.0}) for targets in (one, other))
    np.testing.assert_array_equal(a.path[:signal], b.path[:signal])
    flat = run(bars, np.r_[np.zeros(signal), one[signal:]])
    assert (flat.equity[: signal + 1] == 1).all() and (flat.traded[:signal] == 0).all()


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**16), known=st.integers(1, 78))
def test_what_comes_later_changes_no_account_before_it(seed, known):
    bars = random_bars(80, seed)
    other = bars.copy()
    other[known + 1 :, 1:] *= np.random.default_rng(seed).uniform(0.5, 2.0, (79 - known, 7))
    other[known + 1 :, 2] = other[known + 1 :, 1:5].max(axis=1)
    other[known + 1 :, 3] = other[known + 1 :, 1:5].min(axis=1)
    targets = np.random.default_rng(seed).choice(LEVELS, 79)
    config = {"costs": {"fee_bps": 10, "impact": 1.0, "slippage_volatility": 0.1, "funding": True}}
    a, b = (run(x, targets, **config) for x in (bars, other))
    np.testing.assert_array_equal(a.path[:known], b.path[:known])


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**16), leverage=st.sampled_from([0.5, 2.0, 4.0]))
def test_a_new_target_is_that_many_times_the_leverage_of_equity_at_the_fill(seed, leverage):
    bars = random_bars(40, seed, scale=0.002)
    targets = np.random.default_rng(seed).choice(LEVELS, 39)
    result = run(bars, targets, max_leverage=leverage)
    for k in np.flatnonzero(result.traded):
        units = result.exposure[k] * result.equity[k + 1] / bars[k + 1, CLOSE]
        at_open = result.equity[k + 1] - units * (bars[k + 1, CLOSE] - bars[k + 1, OPEN])
        assert units * bars[k + 1, OPEN] == pytest.approx(targets[k] * leverage * at_open, abs=1e-9)
