"""Golden values of the performance metrics, and when a report may speak of an edge."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from trading_assets.config.settings import EnvConfig
from trading_assets.simulation.baselines import buy_and_hold
from trading_assets.simulation.market import Market
from trading_assets.validation.metrics import (
    EDGE_T,
    alpha_t_statistic,
    annual_return,
    annual_volatility,
    calmar_ratio,
    conditional_value_at_risk,
    downside_risk,
    evaluate,
    max_drawdown,
    omega_ratio,
    sharpe_ratio,
    sortino_ratio,
    t_statistic,
    value_at_risk,
    verdict,
)

# Series and values of the test-suite of empyrical-reloaded (golden.md, performance metrics).
MIXED = np.array([np.nan, 1, 10, -4, 2, 3, 2, 1, -10]) / 100
POSITIVE = np.array([1, 2, 1, 1, 1, 1, 1, 1, 1]) / 100
NEGATIVE = np.array([0, -6, -7, -1, -9, -2, -6, -8, -5]) / 100
MONTHLY = np.array([0, 1, 10, -4, 2, 3, 2, 1, -10]) / 100
DAILY = {"periods_per_year": 252}
NO_RETURNS = np.array([])


@pytest.mark.parametrize(
    ("returns", "expected"),
    [(MIXED, 1.7238613961706866), (POSITIVE, 52.915026221291804), (NEGATIVE, -24.406808633910085)],
    ids=["mixed", "positive", "negative"],
)
def test_sharpe_ratio_matches_empyrical(returns, expected):
    assert sharpe_ratio(returns, periods_per_year=252) == pytest.approx(expected, abs=1e-8)


def test_sharpe_ratio_of_a_constant_gain_is_infinite_and_of_a_single_return_undefined():
    # golden.md: a constant series inf, a single value nan.
    assert sharpe_ratio(np.full(9, 0.01), periods_per_year=252) == np.inf
    assert sharpe_ratio(np.full(9, -0.01), periods_per_year=252) == -np.inf
    assert np.isnan(sharpe_ratio(np.array([0.01]), periods_per_year=252))
    assert np.isnan(sharpe_ratio(np.zeros(9), periods_per_year=252))


def test_sharpe_ratio_is_of_the_return_in_excess_of_the_risk_free_rate():
    shifted = sharpe_ratio(POSITIVE + 0.003, periods_per_year=252, risk_free=0.003)
    assert shifted == pytest.approx(52.915026221291804, abs=1e-8)


def test_the_risk_free_rate_may_differ_from_period_to_period():
    rates = np.linspace(0.001, 0.009, 9)
    shifted = sharpe_ratio(POSITIVE + rates, risk_free=rates, **DAILY)
    assert shifted == pytest.approx(52.915026221291804, abs=1e-8)
    with pytest.raises(ValueError, match=r"risk_free has shape \(3,\), the returns \(9,\); give a number"):
        sharpe_ratio(POSITIVE, risk_free=rates[:3], **DAILY)


@pytest.mark.parametrize(
    ("measure", "returns", "periods", "expected"),
    [
        (sortino_ratio, MIXED, 252, 2.605531251673693),
        (sortino_ratio, NEGATIVE, 252, -13.532743075043401),
        (sortino_ratio, MONTHLY, 12, 0.53605626741889756),
        (annual_return, MIXED, 252, 1.9135925373194231),
        (annual_volatility, MIXED, 252, 0.9136465399704637),
        (calmar_ratio, MIXED, 252, 19.135925373194233),
        (downside_risk, MONTHLY, 12, 0.1243650540411842),
    ],
)
def test_annualised_measures_match_empyrical(measure, returns, periods, expected):
    # Values of empyrical-reloaded's own test-suite (golden.md, performance metrics).
    assert measure(returns, periods_per_year=periods) == pytest.approx(expected, abs=1e-8)


@settings(deadline=None)  # the first call imports empyrical
@given(
    returns=arrays(
        np.float64,
        st.integers(2, 60),
        elements=st.floats(-0.3, 0.3).map(lambda value: round(value, 6)) | st.just(np.nan),
    ),
    level=st.floats(-0.05, 0.05).map(lambda value: round(value, 6)),
    cutoff=st.floats(0, 1),
)
def test_every_measure_is_empyricals_on_returns_with_gaps(returns, level, cutoff):
    peer = pytest.importorskip("empyrical")
    assume(np.isfinite(returns).any())
    known, year = returns[np.isfinite(returns)], {"annualization": 365}
    ours_and_peers = [
        (annual_return(returns, periods_per_year=365), peer.annual_return(returns, **year)),
        (annual_volatility(returns, periods_per_year=365), peer.annual_volatility(returns, **year)),
        (
            downside_risk(returns, periods_per_year=365, required_return=level),
            peer.downside_risk(returns, required_return=level, **year),
        ),
        (max_drawdown(returns), peer.max_drawdown(returns)),
        (calmar_ratio(returns, periods_per_year=365), peer.calmar_ratio(returns, **year)),
        (
            omega_ratio(returns, required_return=level),
            peer.omega_ratio(returns, required_return=level, annualization=1),
        ),
        # empyrical has no answer where a value is missing, which is skipped here as everywhere else.
        (value_at_risk(returns, cutoff), peer.value_at_risk(known, cutoff)),
        (conditional_value_at_risk(returns, cutoff), peer.conditional_value_at_risk(returns, cutoff)),
    ]
    if np.ptp(known) > 0:
        ours_and_peers += [
            (
                sharpe_ratio(returns, periods_per_year=365, risk_free=level),
                peer.sharpe_ratio(returns, risk_free=level, **year),
            ),
            (
                sortino_ratio(returns, periods_per_year=365, required_return=level),
                peer.sortino_ratio(returns, required_return=level, **year),
            ),
        ]
    for ours, theirs in ours_and_peers:
        assert ours == pytest.approx(theirs, rel=1e-8, abs=1e-10, nan_ok=True)


def test_measures_of_nothing_are_undefined():
    for measure in (sharpe_ratio, sortino_ratio, downside_risk, annual_return, annual_volatility):
        assert np.isnan(measure(NO_RETURNS, **DAILY))
    for measure in (omega_ratio, value_at_risk, conditional_value_at_risk):
        assert np.isnan(measure(NO_RETURNS))
    assert np.isnan(calmar_ratio(POSITIVE, **DAILY))  # no drawdown
    assert np.isnan(omega_ratio(POSITIVE))
    assert sortino_ratio(POSITIVE, **DAILY) == np.inf
    assert np.isnan(sortino_ratio(np.zeros(5), **DAILY))


def test_who_lost_everything_has_an_annual_return_of_minus_one():
    assert annual_return(np.array([0.5, -1.0, 0.5]), **DAILY) == -1.0
    assert annual_return(np.array([0.5, -1.5]), **DAILY) == -1.0


def test_value_at_risk_is_a_percentile_and_its_condition_the_mean_of_the_worst():
    # 21 returns -0.10 to 0.10: the 5 % percentile is the second worst, the worst two average -0.095.
    returns = np.linspace(-0.1, 0.1, 21)
    assert value_at_risk(returns) == pytest.approx(-0.09, abs=1e-12)
    assert conditional_value_at_risk(returns) == pytest.approx(-0.095, abs=1e-12)
    for measure in (value_at_risk, conditional_value_at_risk):
        with pytest.raises(ValueError, match="cutoff is 5; expected a share of the returns, 0 to 1"):
            measure(returns, cutoff=5)


@pytest.mark.parametrize(
    ("returns", "expected"),
    [
        (MIXED, -0.1),
        (NEGATIVE, -0.36590730),
        (np.array([10, -10, 10]) / 100, -0.1),
        (POSITIVE, 0.0),
    ],
    ids=["mixed", "negative", "peak inside", "positive"],
)
def test_max_drawdown_matches_empyrical(returns, expected):
    assert max_drawdown(returns) == pytest.approx(expected, abs=1e-8)


def test_a_loss_in_the_first_bar_is_a_drawdown_from_the_start():
    assert max_drawdown(np.array([-0.2, 0.05])) == pytest.approx(-0.2, abs=1e-12)


@given(arrays(np.float64, st.integers(1, 30), elements=st.floats(-0.9, 2)))
def test_max_drawdown_equals_the_worst_pair_of_peak_and_later_trough(returns):
    equity = [1.0, *np.cumprod(1 + returns)]
    worst = min(equity[j] / equity[i] - 1 for i in range(len(equity)) for j in range(i, len(equity)))
    assert max_drawdown(returns) == pytest.approx(worst, abs=1e-12)


def ols_intercept_t(returns, market) -> float:
    """Intercept over its standard error, from numpy.linalg.lstsq and the textbook formula."""
    n, mean = len(returns), market.mean()
    design = np.column_stack([np.ones(n), market])
    (alpha, _), (squares,), _, _ = np.linalg.lstsq(design, returns, rcond=None)
    sxx = ((market - mean) ** 2).sum()
    return float(alpha / np.sqrt(squares / (n - 2) * (1 / n + mean**2 / sxx)))


@pytest.mark.parametrize("seed", range(5))
def test_alpha_t_statistic_is_that_of_the_intercept_in_ordinary_least_squares(seed: int):
    rng = np.random.default_rng(seed)
    market = rng.normal(0.001, 0.02, size=300)
    returns = 0.001 + rng.normal() * market + rng.normal(0, 0.01, size=300)
    expected = ols_intercept_t(returns, market)
    assert alpha_t_statistic(returns, market) == pytest.approx(expected, rel=1e-9)


@given(scale=st.floats(-3, 3))
def test_a_constant_exposure_to_the_market_has_no_alpha(scale: float):
    market = np.random.default_rng(1).normal(0.01, 0.02, size=200)
    assert alpha_t_statistic(scale * market, market) == 0.0


def test_always_being_long_scores_about_zero_without_costs_and_below_zero_with_them(bars):
    free = EnvConfig(costs={"fee_bps": 0, "slippage_bps": 0})
    held, paid = (buy_and_hold(Market.make(bars, config=config)) for config in (free, EnvConfig()))
    assert abs(alpha_t_statistic(held.returns, held.market_returns)) < 1e-3
    assert -EDGE_T < alpha_t_statistic(paid.returns, paid.market_returns) < 0


def test_series_in_which_nothing_varies_score_zero():
    flat, market = np.zeros(50), np.random.default_rng(0).normal(size=50)
    assert alpha_t_statistic(flat, market) == 0.0
    assert alpha_t_statistic(market, flat) == 0.0
    assert t_statistic(flat) == 0.0
    assert t_statistic(np.array([0.1])) == 0.0


@pytest.mark.parametrize(
    ("net", "t", "edge"),
    [(0.1, 2.0001, True), (0.1, 2.0, False), (0.0, 5.0, False), (-0.1, 5.0, False), (0.1, -9, False)],
)
def test_an_edge_needs_a_profit_and_an_alpha_beyond_two_standard_errors(net, t, edge):
    said = verdict({"net return": net, "alpha t": t})
    assert said == ("edge after costs" if edge else "no edge after costs")


def test_the_figures_of_four_bars_are_those_worked_out_by_hand():
    # Returns .1, -.1, 0, .2: mean .05, squared deviations .05. Gross .11, -.08, 0, .2. The market has
    # mean 0 and no covariance with the returns, so alpha = .05 with variance (.05 / 2) / 4.
    figures = evaluate(
        equity=np.array([1, 1.1, 0.99, 0.99, 1.188]),
        exposure=np.array([0.9, -1, -1, 0]),
        costs=np.array([0.01, 0.022, 0, 0]),
        traded=np.array([1.1, 2.1, 0, 1.2]),
        market=np.array([0.1, -0.1, 0.1, -0.1]),
        periods_per_year=9,
    )
    assert figures == pytest.approx(
        {
            "net return": 0.188,
            "gross return": 1.11 * 0.92 * 1.2 - 1,
            "Sharpe": 0.05 / np.sqrt(0.05 / 3) * 3,
            "max drawdown": -0.1,
            "exposure": 0.725,
            "orders": 3,
            "costs paid": 0.032,
            "t": np.sqrt(0.6),
            "alpha t": np.sqrt(0.4),
        },
        abs=1e-12,
    )


def test_costs_are_counted_as_a_share_of_the_starting_capital():
    series = {
        "exposure": np.ones(2),
        "traded": np.array([1.0, 0.7]),
        "market": np.array([0.1, -0.1]),
        "periods_per_year": 252,
    }
    equity, costs = np.array([1, 1.08, 1.06]), np.array([0.02, 0.01])
    one = evaluate(equity, costs=costs, **series)
    thousand = evaluate(1_000 * equity, costs=1_000 * costs, **series)
    assert thousand == pytest.approx(one, abs=1e-12)
    assert one["costs paid"] == pytest.approx(0.03, abs=1e-12)
