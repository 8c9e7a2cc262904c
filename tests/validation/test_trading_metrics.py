"""What positions earn: worked out by hand, and what costs must do to them."""

from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from trading_assets.validation.metrics import sharpe_ratio
from trading_assets.validation.trading_metrics import TradingMetrics

CENT = st.floats(0, 100).map(lambda value: round(value, 2))


def test_the_figures_of_four_bars_are_those_worked_out_by_hand():
    # Changes 1, 2, 0, 1 at 100 bp cost .01, .02, 0, .01; gross .1, .1, -.05, 0; net .09, .08, -.05, -.01.
    figures = TradingMetrics(60, 40, 9).evaluate(np.array([1, -1, -1, 0]), np.array([0.1, -0.1, 0.05, 0.3]))
    net = np.array([0.09, 0.08, -0.05, -0.01])
    assert asdict(figures) == pytest.approx(
        {
            "net_return": 1.09 * 1.08 * 0.95 * 0.99 - 1,
            "gross_return": 1.1 * 1.1 * 0.95 - 1,
            "mean_net": 0.0275,
            "mean_gross": 0.0375,
            "net_sharpe": 0.0275 / net.std(ddof=1) * 3,
            "gross_sharpe": 0.0375 / np.array([0.1, 0.1, -0.05, 0]).std(ddof=1) * 3,
            "net_sortino": 0.0275 / np.sqrt(0.0026 / 4) * 3,
            "net_calmar": ((1.09 * 1.08 * 0.95 * 0.99) ** (9 / 4) - 1) / (1 - 0.95 * 0.99),
            "max_drawdown": 0.95 * 0.99 - 1,
            "turnover": 1.0,
            "exposure": 0.75,
            "orders": 3,
            "hit_rate": 2 / 3,
            "profit_factor": 0.17 / 0.06,
            "costs": 0.04,
            "cost_share": 0.04 / 0.15,
        },
        abs=1e-12,
    )


series = arrays(np.float64, 20, elements=st.floats(-0.1, 0.1).map(lambda value: round(value, 4)))
held = arrays(np.float64, 20, elements=st.sampled_from([-1.0, -0.5, 0.0, 0.25, 1.0]))


@settings(deadline=None)
@given(positions=held, returns=series, fee=CENT, slippage=CENT, more=st.floats(0.01, 50))
def test_mean_net_profit_strictly_decreases_in_fee_and_in_slippage(positions, returns, fee, slippage, more):
    assume(positions.any())
    mean = TradingMetrics(fee, slippage, 252).evaluate(positions, returns).mean_net
    assert TradingMetrics(fee + more, slippage, 252).evaluate(positions, returns).mean_net < mean
    assert TradingMetrics(fee, slippage + more, 252).evaluate(positions, returns).mean_net < mean


@settings(deadline=None)
@given(positions=held, returns=series)
def test_without_costs_net_is_gross(positions, returns):
    figures = TradingMetrics(0, 0, 252).evaluate(positions, returns)
    assert figures.net_return == figures.gross_return
    assert figures.mean_net == figures.mean_gross
    expected = sharpe_ratio(positions * returns, periods_per_year=252)
    assert figures.net_sharpe == pytest.approx(expected, nan_ok=True)


def test_who_loses_more_than_everything_has_lost_everything_and_trades_no_more():
    metrics = TradingMetrics(fee_bps=0, slippage_bps=0, periods_per_year=52)
    figures = metrics.evaluate(np.array([-3.0, -3.0, 0.0]), np.array([0.9, 0.9, 0.0]))
    assert figures.net_return == figures.gross_return == figures.max_drawdown == figures.net_calmar == -1
    assert figures.net_sharpe < 0 and figures.net_sortino < 0
    assert figures.orders == 1  # the one before all was lost
    assert (figures.turnover, figures.exposure) == pytest.approx((1.0, 1.0))
    assert figures.mean_net == figures.mean_gross == pytest.approx(-1 / 3)


def test_costs_alone_can_lose_everything():
    figures = TradingMetrics(6_000, 0, 52).evaluate(np.array([1.0, -1, 1]), np.array([0.0, 0, 0.5]))
    assert figures.net_return == -1 == figures.max_drawdown
    assert (figures.gross_return, figures.orders, figures.costs) == pytest.approx((0.0, 2, 1.8))


@settings(deadline=None)
@given(
    positions=arrays(np.float64, 20, elements=st.integers(-12, 12).map(float)),
    returns=series,
    ruin=st.integers(0, 19),
    fee=CENT,
    later=arrays(np.float64, 20, elements=st.integers(-12, 12).map(float)),
)
def test_what_comes_after_the_loss_of_everything_changes_no_figure(positions, returns, ruin, fee, later):
    positions[ruin], returns[ruin] = 12.0, -0.1
    metrics = TradingMetrics(fee, 0, 252)
    figures = metrics.evaluate(positions, returns)
    assert figures.net_return == -1 == figures.max_drawdown == figures.net_calmar
    assert not figures.net_sharpe > 0 and not figures.net_sortino > 0
    other = np.concatenate([positions[: ruin + 1], later[ruin + 1 :]])
    assert asdict(metrics.evaluate(other, returns)) == pytest.approx(asdict(figures), nan_ok=True)
    assert figures.orders <= ruin + 1


def test_tables_of_positions_are_refused_and_lists_taken():
    metrics = TradingMetrics(10, 5, 252)
    one = metrics.evaluate(np.array([1.0, 0, -1]), np.array([0.01, 0.02, -0.03]))
    assert metrics.evaluate([1, 0, -1], [0.01, 0.02, -0.03]) == one
    with pytest.raises(ValueError, match=r"positions have shape \(3, 2\), returns \(3, 2\); expected one of"):
        metrics.evaluate(np.zeros((3, 2)), np.zeros((3, 2)))


def test_fee_and_slippage_cost_the_same():
    positions, returns = np.array([1.0, 0, -1]), np.array([0.01, 0.02, -0.03])
    one, other = (TradingMetrics(*costs, 252).evaluate(positions, returns) for costs in ((7, 3), (3, 7)))
    assert one == other


def test_who_never_trades_has_no_costs_and_no_ratios():
    figures = TradingMetrics(10, 5, 252).evaluate(np.zeros(5), np.full(5, 0.01))
    assert figures.net_return == figures.costs == figures.turnover == figures.exposure == figures.orders == 0
    for undefined in ("hit_rate", "profit_factor", "cost_share", "net_sharpe", "net_sortino", "net_calmar"):
        assert np.isnan(getattr(figures, undefined))


def test_a_profit_factor_without_a_loss_is_infinite_and_costs_of_a_loss_have_no_share():
    free = TradingMetrics(0, 0, 252)
    assert free.evaluate(np.ones(3), np.full(3, 0.01)).profit_factor == np.inf
    assert np.isnan(TradingMetrics(10, 0, 252).evaluate(np.ones(3), np.full(3, -0.01)).cost_share)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1, 0, 252), "fee_bps is -1; expected basis points"),
        ((0, np.nan, 252), "slippage_bps is nan; expected basis points"),
        ((0, 0, 0), "periods_per_year is 0; expected more than 0"),
        ((0, 0, np.nan), "periods_per_year is nan; expected more than 0"),
        (("10", 0, 252), "fee_bps is '10'; expected one number"),
        ((0, [5, 6], 252), r"slippage_bps is \[5, 6\]; expected one number"),
    ],
)
def test_costs_and_years_that_cannot_be_are_refused(arguments, message: str):
    with pytest.raises(ValueError, match=message):
        TradingMetrics(*arguments)


def test_positions_and_returns_that_do_not_fit_are_refused():
    metrics = TradingMetrics(0, 0, 252)
    with pytest.raises(
        ValueError, match=r"positions have shape \(3,\), returns \(4,\); expected one of each"
    ):
        metrics.evaluate(np.zeros(3), np.zeros(4))
    with pytest.raises(ValueError, match="expected one of each a bar"):
        metrics.evaluate(np.zeros(0), np.zeros(0))
    with pytest.raises(ValueError, match="returns hold nan at bar 1, and 1 values that are not finite"):
        metrics.evaluate(np.zeros(3), np.array([0, np.nan, 0]))
    with pytest.raises(ValueError, match="positions hold inf at bar 2"):
        metrics.evaluate(np.array([0, 0, np.inf]), np.zeros(3))
