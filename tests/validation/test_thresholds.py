"""The threshold sweep against as many backtests, one after the other."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from trading_assets.validation.thresholds import OBJECTIVES, optimal_threshold
from trading_assets.validation.trading_metrics import TradingMetrics


def backtests(p, returns, thresholds, cost: float, objective: str, periods: float = 1.0) -> np.ndarray:
    """The objective of each threshold, straight from its definition."""
    values = np.full(len(thresholds), np.nan)
    for k, threshold in enumerate(thresholds):
        position = (p > 0.5 + threshold).astype(float) - (p < 0.5 - threshold)
        net = position * returns - cost * np.abs(np.diff(position, prepend=0.0))
        if objective == "return":
            values[k] = net.mean()
        elif objective == "sharpe" and np.ptp(net) > 1e-12:
            values[k] = net.mean() / net.std(ddof=1) * np.sqrt(periods)
        elif objective == "sortino" and (net < 0).any():
            values[k] = net.mean() / np.sqrt((np.minimum(net, 0) ** 2).mean()) * np.sqrt(periods)
        elif objective == "profit_factor" and (net < 0).any():
            values[k] = net[net > 0].sum() / -net[net < 0].sum()
    return values


def market(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities that know a little about the returns."""
    rng = np.random.default_rng(seed)
    logit = rng.normal(0, 0.4, n)
    return 1 / (1 + np.exp(-logit)), rng.normal(0, 0.01, n) + 0.002 * logit


# Multiples of 1/8, 1/10 and 1/3 tie with each other and fall on the thresholds themselves.
probabilities = st.sampled_from([0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 1, 0.1, 0.3, 0.45, 0.7, 0.9, 1 / 3])
returns_of = st.floats(-0.1, 0.1).map(lambda value: round(value, 4))


@pytest.mark.parametrize("objective", OBJECTIVES)
@settings(deadline=None)  # the first call compiles the sweep
@given(data=st.data())
def test_the_sweep_equals_a_backtest_a_threshold(objective: str, data):
    n = data.draw(st.integers(3, 40))
    p = data.draw(arrays(np.float64, n, elements=probabilities | st.floats(0, 1)))
    returns = data.draw(arrays(np.float64, n, elements=returns_of))
    fee, slippage = data.draw(st.sampled_from([(0, 0), (10, 5), (33.3, 0), (0, 250)]))
    n_thresholds = data.draw(st.sampled_from([1, 2, 3, 4, 5, 8, 10, 200]))
    assume(np.abs(p - 0.5).max() > 0)
    thresholds = np.linspace(0, np.abs(p - 0.5).max(), n_thresholds, endpoint=False)
    expected = backtests(p, returns, thresholds, (fee + slippage) / 1e4, objective, periods=365)
    costs = {"fee_bps": fee, "slippage_bps": slippage}
    if np.isnan(expected).all():
        with pytest.raises(ValueError, match="undefined at every threshold"):
            optimal_threshold(p, returns, objective=objective, n_thresholds=n_thresholds, **costs)
        return
    found = optimal_threshold(
        p, returns, objective=objective, n_thresholds=n_thresholds, periods_per_year=365, **costs
    )
    np.testing.assert_array_equal(found.thresholds, thresholds)
    np.testing.assert_allclose(found.values, expected, rtol=1e-9, atol=1e-9)
    assert found.value == pytest.approx(np.nanmax(expected), rel=1e-9, abs=1e-9)
    at = np.flatnonzero(thresholds == found.threshold)[0]
    assert found.values[at] == found.value


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("offset", [0.0, 1.0, 1e4])
def test_the_sweep_equals_backtests_on_a_long_market_with_any_mean(objective: str, offset: float):
    p, returns = market(20_000)
    p = 0.5 + np.abs(p - 0.5)  # always long at threshold 0: there the variance is that of the noise alone
    cost = 0.0015
    found = optimal_threshold(p, returns + offset, fee_bps=10, slippage_bps=5, objective=objective)
    expected = backtests(p, returns + offset, found.thresholds, cost, objective)
    np.testing.assert_allclose(found.values, expected, rtol=1e-9)
    assert found.threshold == found.thresholds[np.nanargmax(expected)]


def test_a_probability_on_a_threshold_is_not_traded():
    # Thresholds 0 and 1/8; bars with a margin of exactly 1/8 trade at the first only.
    p = np.array([0.625, 0.375, 0.75, 0.625])
    found = optimal_threshold(
        p, np.array([0.01, 0.02, 0.03, -0.01]), fee_bps=0, slippage_bps=0, objective="return", n_thresholds=2
    )
    np.testing.assert_array_equal(found.thresholds, [0, 0.125])
    np.testing.assert_allclose(found.values, [0.01 / 4, 0.03 / 4], atol=1e-15)
    np.testing.assert_array_equal(found.orders, [3, 2])
    assert found.threshold == 0.125


def test_value_and_orders_are_those_that_trading_metrics_find():
    p, returns = market(3_000)
    metrics = TradingMetrics(10, 5, 8_760)
    for objective, figure in (
        ("sharpe", "net_sharpe"),
        ("sortino", "net_sortino"),
        ("profit_factor", "profit_factor"),
        ("return", "mean_net"),
    ):
        found = optimal_threshold(
            p, returns, fee_bps=10, slippage_bps=5, objective=objective, periods_per_year=8_760
        )
        for threshold, value, orders in zip(found.thresholds, found.values, found.orders, strict=True):
            position = np.where(p > 0.5 + threshold, 1.0, 0.0) - (p < 0.5 - threshold)
            figures = metrics.evaluate(position, returns)
            assert getattr(figures, figure) == pytest.approx(value, rel=1e-9)
            assert figures.orders == orders


def test_higher_costs_call_for_a_higher_threshold():
    p, returns = market(50_000)
    best = [
        optimal_threshold(p, returns, fee_bps=fee, slippage_bps=0, objective="return").threshold
        for fee in (0, 5, 20)
    ]
    assert best[0] < best[1] < best[2]


def test_of_equal_values_the_smallest_threshold_is_chosen():
    found = optimal_threshold(
        [0.9, 0.1, 0.9], [0.01, 0.01, 0.02], fee_bps=1, slippage_bps=0, objective="return"
    )
    assert found.threshold == 0
    assert len(set(found.values)) == 1


@settings(deadline=None)
@given(
    p=arrays(np.float64, 25, elements=probabilities | st.floats(0, 1)),
    returns=arrays(np.float64, 25, elements=st.sampled_from([0.01, -0.02, 0.03, 0.9, 1.0, 2.5, -0.9, -1.5])),
    fee=st.sampled_from([0.0, 15.0, 2_500.0]),
    objective=st.sampled_from(["sharpe", "return", "sortino", "profit_factor"]),
)
def test_where_a_bar_loses_everything_figures_are_those_of_the_trading_metrics(p, returns, fee, objective):
    assume(np.abs(p - 0.5).max() > 0)
    costs = {"fee_bps": fee, "slippage_bps": 0.0}
    try:
        found = optimal_threshold(p, returns, objective=objective, n_thresholds=20, **costs)
    except ValueError as error:
        assert "undefined at every threshold" in str(error)
        assume(False)
    figure = {"sharpe": "net_sharpe", "return": "mean_net", "sortino": "net_sortino"}.get(
        objective, objective
    )
    ruined = []
    for threshold, value, trades in zip(found.thresholds, found.values, found.orders, strict=True):
        position = np.where(p > 0.5 + threshold, 1.0, 0.0) - (p < 0.5 - threshold)
        figures = TradingMetrics(periods_per_year=1.0, **costs).evaluate(position, returns)
        net = position * returns - fee / 1e4 * np.abs(np.diff(position, prepend=0.0))
        ruined.append((net <= -1).any())
        assert figures.orders == trades
        if np.isfinite(value):
            assert getattr(figures, figure) == pytest.approx(value, rel=1e-9, abs=1e-12)
    chosen = int(np.flatnonzero(found.thresholds == found.threshold)[0])
    safe = ~np.array(ruined) & ~np.isnan(found.values)
    if safe.any():
        assert safe[chosen]
        assert found.value == pytest.approx(found.values[safe].max(), rel=1e-8, abs=1e-9)


def test_a_threshold_that_loses_everything_is_not_chosen_for_what_it_gained_before():
    # Below a threshold of 0.2 the first bar gains tenfold and the second loses all; above, 1 % is gained.
    p, returns = np.array([0.6, 0.3, 0.9, 0.9]), np.array([10.0, 1.0, 0.01, 0.0])
    found = optimal_threshold(p, returns, fee_bps=0, slippage_bps=0, objective="return", n_thresholds=4)
    np.testing.assert_allclose(found.thresholds, [0, 0.1, 0.2, 0.3], atol=1e-15)
    np.testing.assert_allclose(found.values, [9 / 4, -1 / 4, 0.01 / 4, 0.01 / 4], atol=1e-15)
    np.testing.assert_array_equal(found.orders, [2, 1, 1, 1])
    assert found.threshold == pytest.approx(0.2)
    lost = optimal_threshold([0.9, 0.9, 0.1], [-2.0, 0.5, 0.5], fee_bps=0, slippage_bps=0)
    assert lost.threshold == 0 and lost.value < 0  # at every threshold


@pytest.mark.parametrize("objective", OBJECTIVES)
@settings(deadline=None)
@given(data=st.data())
def test_the_choice_is_the_same_for_returns_and_costs_in_any_unit(objective: str, data):
    p = data.draw(arrays(np.float64, 20, elements=probabilities))
    returns = data.draw(arrays(np.float64, 20, elements=st.integers(-4, 4).map(lambda x: x / 1_000)))
    fee, scale = data.draw(st.sampled_from([0.0, 10.0])), data.draw(st.sampled_from([1 / 3, 0.1, 1e-6, 7.0]))
    assume(np.abs(p - 0.5).max() > 0)

    def chosen(scale: float) -> float:
        found = optimal_threshold(
            p, scale * returns, fee_bps=scale * fee, slippage_bps=0, objective=objective, n_thresholds=16
        )
        return found.threshold

    try:
        expected = chosen(1.0)
    except ValueError:
        with pytest.raises(ValueError, match="undefined at every"):
            chosen(scale)
        return
    assert chosen(scale) == expected


def test_of_values_that_only_rounding_tells_apart_the_smallest_threshold_is_chosen():
    # Between the thresholds a bar gains what two others lose: 0.1 + 0.2 - 0.3 is not 0 in floating point.
    p, returns = np.array([0.9, 0.6, 0.6, 0.6, 0.9]), np.array([0.05, -0.1, -0.2, 0.3, -0.01])
    for order in ([1, 2, 3], [3, 2, 1], [2, 3, 1]):
        shuffled = returns.copy()
        shuffled[1:4] = returns[order]
        found = optimal_threshold(p, shuffled, fee_bps=0, slippage_bps=0, objective="return", n_thresholds=4)
        assert found.values[0] == pytest.approx(found.values[1], abs=1e-15)
        assert found.threshold == 0


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"returns": np.array([0.1, np.nan, 0.1])}, "returns hold nan at bar 1, and 1 values .* leave those"),
        ({"probabilities": np.array([np.nan, 0.5, 0.6])}, "probabilities hold nan at bar 0"),
        (
            {"probabilities": np.array([1.2, 0.5, 0.6])},
            "probabilities reach from 0.5 to 1.2; expected 0 to 1",
        ),
        ({"probabilities": np.full(3, 0.5)}, "Every probability is 1/2"),
        ({"returns": np.zeros(4)}, r"shape \(3,\), returns \(4,\); expected one of each"),
        ({"fee_bps": -1}, "fee_bps is -1; expected basis points"),
        ({"slippage_bps": np.inf}, "slippage_bps is inf"),
        (
            {"objective": "calmar"},
            "objective is 'calmar'; expected one of sharpe, return, sortino, profit_factor",
        ),
        ({"n_thresholds": 0}, "n_thresholds is 0; expected at least 1"),
        ({"n_thresholds": "5"}, "n_thresholds is '5'; expected at least 1, a whole number"),
        ({"n_thresholds": 2.5}, "n_thresholds is 2.5; expected at least 1, a whole number"),
        ({"periods_per_year": -1}, "periods_per_year is -1; expected more than 0"),
        (
            {"probabilities": np.full((3, 2), 0.6), "returns": np.zeros((3, 2))},
            r"probabilities have shape \(3, 2\), returns \(3, 2\); expected one of each a bar",
        ),
        ({"returns": np.zeros(3), "fee_bps": 0}, "'sharpe' is undefined at every threshold"),
    ],
)
def test_what_cannot_be_swept_is_refused_with_the_reason(changed, message: str):
    arguments = {
        "probabilities": np.array([0.4, 0.5, 0.6]),
        "returns": np.array([0.01, 0.02, -0.01]),
        "fee_bps": 10,
        "slippage_bps": 0,
        "objective": "sharpe",
    }
    with pytest.raises(ValueError, match=message):
        optimal_threshold(**(arguments | changed))
