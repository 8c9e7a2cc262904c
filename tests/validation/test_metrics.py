"""Golden values of the performance metrics, and when a report may speak of an edge."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.signal import lfilter
from scipy.stats import ttest_1samp
from statsmodels.formula.api import ols

from trading_assets.config.settings import EnvConfig
from trading_assets.simulation.backtesting import backtest
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
    holding_lags,
    max_drawdown,
    omega_ratio,
    sharpe_ratio,
    sortino_ratio,
    t_statistic,
    value_at_risk,
    verdict,
)
from trading_assets.validation.returns import equity_curve

# Series and values of the test-suite of empyrical-reloaded.
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
    # By hand: a constant series inf, a single value nan.
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
def test_annualized_measures_match_empyrical(measure, returns, periods, expected):
    # Values of empyrical-reloaded's own test-suite.
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


# Every figure of one series of returns, by name, with what else it needs.
FIGURES = {
    "sharpe_ratio": partial(sharpe_ratio, **DAILY),
    "sortino_ratio": partial(sortino_ratio, **DAILY),
    "downside_risk": partial(downside_risk, **DAILY),
    "annual_return": partial(annual_return, **DAILY),
    "annual_volatility": partial(annual_volatility, **DAILY),
    "calmar_ratio": partial(calmar_ratio, **DAILY),
    "omega_ratio": omega_ratio,
    "value_at_risk": value_at_risk,
    "conditional_value_at_risk": conditional_value_at_risk,
    "max_drawdown": max_drawdown,
    "t_statistic": t_statistic,
    "alpha_t_statistic": lambda returns: alpha_t_statistic(
        returns, MONTHLY if np.isscalar(returns) else np.resize(MONTHLY, len(returns))
    ),
}
every_figure = pytest.mark.parametrize("figure", FIGURES.values(), ids=list(FIGURES))
ten_thousandths = st.integers(-5_000, 5_000).map(lambda value: value / 10_000)
some_returns = arrays(np.float64, st.integers(4, 30), elements=ten_thousandths)


@every_figure
def test_a_table_of_strategies_is_refused_and_so_is_a_single_number(figure):
    for table in (np.zeros((9, 2)), np.zeros((9, 1)), pd.DataFrame({"a": POSITIVE, "b": NEGATIVE})):
        with pytest.raises(ValueError, match=r"returns has shape \(9, \d\); .*one column at a time"):
            figure(table)
    with pytest.raises(ValueError, match=r"returns has shape \(\); expected \(n_periods,\)"):
        figure(0.1)


@every_figure
def test_lists_and_columns_are_taken_as_arrays_are(figure):
    expected = figure(MIXED)
    for same in (MIXED.tolist(), tuple(MIXED), pd.Series(MIXED, index=pd.date_range("2020", periods=9))):
        assert figure(same) == pytest.approx(expected, rel=1e-15, nan_ok=True)
    assert figure([1, 0, 0, -1, 2]) == pytest.approx(figure(np.array([1.0, 0, 0, -1, 2])), nan_ok=True)


@every_figure
def test_text_and_infinite_numbers_are_refused(figure):
    for wrong, message in (
        ([0.1, np.inf], "returns holds inf in period 1; expected finite"),
        (["a", "b"], r"returns cannot be read as numbers \(could not convert string"),
        ([[0.1], [0.1, 0.2]], "returns cannot be read as numbers"),
    ):
        with pytest.raises(ValueError, match=message):
            figure(wrong)


@every_figure
@pytest.mark.parametrize("nothing", [[], [np.nan], [np.nan, None, np.nan]])
def test_of_no_known_return_every_figure_is_undefined(figure, nothing):
    assert np.isnan(figure(nothing))


@pytest.mark.parametrize("name", sorted({*FIGURES} - {"annual_return", "calmar_ratio", "alpha_t_statistic"}))
@settings(deadline=None)
@given(returns=some_returns, data=st.data())
def test_a_return_that_is_not_known_changes_no_figure_but_the_length_of_the_track_record(name, returns, data):
    at = data.draw(st.lists(st.integers(0, len(returns)), max_size=5))
    gaps = np.insert(returns, at, np.nan)
    assert FIGURES[name](gaps) == pytest.approx(FIGURES[name](returns), rel=1e-12, abs=1e-14, nan_ok=True)


@given(returns=some_returns)
def test_a_return_that_is_not_known_compounds_as_nothing(returns):
    known, idle = np.append(returns, np.nan), np.append(returns, 0.0)
    for figure in (annual_return, calmar_ratio):
        assert figure(known, **DAILY) == pytest.approx(figure(idle, **DAILY), rel=1e-12, nan_ok=True)


@settings(deadline=None)
@given(returns=arrays(np.float64, st.integers(2, 40), elements=st.floats(-3, 3) | st.just(np.nan)))
def test_the_t_statistic_is_scipys_and_the_sharpe_ratio_of_the_whole_stretch(returns):
    known = returns[np.isfinite(returns)]
    assume(len(known) > 1 and np.ptp(known) > 1e-3)
    expected = ttest_1samp(returns, 0.0, nan_policy="omit").statistic
    assert t_statistic(returns) == pytest.approx(expected, rel=1e-9, abs=1e-12)
    if known.min() > -1:
        whole = sharpe_ratio(returns, periods_per_year=len(known))
        assert t_statistic(returns) == pytest.approx(whole, rel=1e-9, abs=1e-12)


def test_the_alpha_is_of_the_periods_that_are_known_of_both():
    rng = np.random.default_rng(3)
    market = rng.normal(0.001, 0.02, size=100)
    returns = 0.002 + 0.5 * market + rng.normal(0, 0.01, size=100)
    expected = alpha_t_statistic(returns[10:90], market[10:90])
    returns[:10], market[90:] = np.nan, np.nan
    assert alpha_t_statistic(returns, market) == pytest.approx(expected, rel=1e-12)
    with pytest.raises(ValueError, match=r"market has shape \(99,\), the returns \(100,\)"):
        alpha_t_statistic(returns, market[1:])


@pytest.mark.parametrize("periods", [0, -1, np.nan, np.inf, "252", None])
def test_a_year_without_periods_is_refused(periods):
    annual = (sharpe_ratio, sortino_ratio, downside_risk, annual_return, annual_volatility, calmar_ratio)
    for figure in annual:
        with pytest.raises(ValueError, match="periods_per_year is"):
            figure(MIXED, periods_per_year=periods)


@given(
    before=arrays(np.float64, st.integers(0, 20), elements=st.floats(-0.9, 4)),
    ruin=st.floats(-50, -1),
    after=arrays(np.float64, st.integers(0, 20), elements=st.floats(-9, 9)),
)
def test_an_account_that_lost_everything_stays_at_nothing(before, ruin, after):
    returns = np.concatenate([before, [ruin], after])
    assert annual_return(returns, **DAILY) == -1 == max_drawdown(returns) == calmar_ratio(returns, **DAILY)
    assert equity_curve(returns)[-1] == 0
    for ratio in (sharpe_ratio, sortino_ratio):
        assert not ratio(returns, **DAILY) > 0
    # How much more than everything was lost, and what came after, says nothing.
    same = np.concatenate([before, [-1.0], np.zeros(len(after))])
    for name, figure in FIGURES.items():
        if "t_statistic" not in name:
            assert figure(returns) == pytest.approx(figure(same), rel=1e-12, nan_ok=True)


@pytest.mark.parametrize("scale", [1e-9, 1e-3, 1.0])
def test_what_only_rounding_leaves_does_not_vary(scale):
    rate = scale * np.array([0.013, 0.021, 0.008, 0.017])
    assert np.isnan(sharpe_ratio(rate, risk_free=rate, **DAILY))
    assert sharpe_ratio(rate + 0.1 * scale, risk_free=rate, **DAILY) == np.inf
    assert sharpe_ratio(np.full(1_000, 0.1 * scale), **DAILY) == np.inf
    assert t_statistic(np.full(1_000, 0.1 * scale)) == 0
    assert np.isnan(
        sharpe_ratio(
            rate,
            risk_free=scale * np.array([0.006, 0.01, 0.004, 0.008])
            + scale * np.array([0.007, 0.011, 0.004, 0.009]),
            **DAILY,
        )
    )


def test_an_account_that_is_over_counts_no_trade_and_pays_no_cost_after():
    series = {
        "exposure": np.array([1.0, -1, 1, 1]),
        "costs": np.array([0.1, 0.2, 0.3, 0.4]),
        "traded": np.ones(4),
        "market": np.array([0.1, 0.6, -0.1, 0.2]),
        "periods_per_year": 9,
    }
    figures = evaluate(np.array([1.0, 1.1, -0.2, 3.0, 5.0]), **series)
    assert figures["net return"] == figures["max drawdown"] == -1
    assert figures["orders"] == 2
    assert figures["exposure"] == 0.5
    assert figures["costs paid"] == pytest.approx(0.3)
    assert figures["Sharpe"] <= 0
    again = evaluate(np.array([1.0, 1.1, 0.0, 0.0, 0.0]), **series)
    assert figures == again


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"equity": np.ones((4, 2))}, r"equity has shape \(4, 2\); expected \(n_periods,\)"),
        ({"market": np.zeros((3, 2))}, r"market has shape \(3, 2\)"),
        ({"costs": np.zeros(4)}, r"equity has 4 values, the others \[3, 4\]; expected one of each a bar"),
        ({"equity": [1.0]}, "equity has 1 values"),
        ({"equity": [0.0, 1, 1, 1]}, "equity starts at 0.0; expected a starting capital above 0"),
        ({"exposure": [1, np.nan, 1]}, "exposure hold nan at bar 1"),
    ],
)
def test_what_is_no_account_is_refused(changed, message: str):
    given = {name: np.zeros(3) for name in ("exposure", "costs", "traded", "market")}
    with pytest.raises(ValueError, match=message):
        evaluate(**({"equity": np.ones(4)} | given | changed), periods_per_year=252)


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


@settings(deadline=None)
@given(arrays(np.float64, st.integers(1, 30), elements=st.floats(-0.9, 2)))
def test_max_drawdown_equals_the_worst_pair_of_peak_and_later_trough(returns):
    equity = [1.0, *np.cumprod(1 + returns)]
    worst = min(equity[j] / equity[i] - 1 for i in range(len(equity)) for j in range(i, len(equity)))
    assert max_drawdown(returns) == pytest.approx(worst, abs=1e-12)


def newey_west_t(returns, market, lags: int) -> float:
    """Intercept over its standard error by sums over pairs of periods (Newey and West 1987)."""
    design = np.column_stack([np.ones(len(returns)), market])
    inverse = np.linalg.inv(design.T @ design)
    coefficients = inverse @ design.T @ returns
    scores = design * (returns - design @ coefficients)[:, None]
    middle = np.zeros((2, 2))
    for i, own in enumerate(scores):
        for j in range(max(i - lags, 0), min(i + lags + 1, len(scores))):
            middle += (1 - abs(i - j) / (lags + 1)) * np.outer(own, scores[j])
    variance = inverse @ middle @ inverse * len(returns) / (len(returns) - 2)
    return float(coefficients[0] / np.sqrt(variance[0, 0]))


@pytest.mark.parametrize("lags", [0, 1, 23])
@pytest.mark.parametrize("seed", range(3))
def test_alpha_t_statistic_is_that_of_newey_and_west_and_of_statsmodels(seed: int, lags: int):
    rng = np.random.default_rng(seed)
    market = rng.normal(0.001, 0.02, size=300)
    returns = 0.001 + rng.normal() * market + rng.normal(0, 0.01, size=300) * (1 + 20 * np.abs(market))
    found = alpha_t_statistic(returns, market, lags=lags)
    assert found == pytest.approx(newey_west_t(returns, market, lags), rel=1e-9)
    table = pd.DataFrame({"returns": returns, "market": market})
    options = {"maxlags": lags, "use_correction": True}
    fit = ols("returns ~ market", table).fit(cov_type="HAC", cov_kwds=options)
    assert found == pytest.approx(fit.tvalues["Intercept"], rel=1e-9)


def autoregressive(rng: np.random.Generator, n: int, memory: float) -> np.ndarray:
    """Of mean 0, each value `memory` times the one before and something new."""
    return lfilter([1.0], [1.0, -memory], rng.normal(0, 0.01, n + 200))[200:]


@pytest.mark.parametrize("with_market", [False, True])
def test_returns_that_depend_on_each_other_are_taken_for_an_edge_only_without_lags(with_market: bool):
    """At 2 standard errors one worthless strategy in twenty passes; taken for independent, one in three."""
    rng, passed = np.random.default_rng(0), {0: 0, 20: 0}
    for _ in range(500):
        returns, market = autoregressive(rng, 1_500, 0.6), rng.normal(0, 0.01, 1_500)
        for lags in passed:
            t = (
                alpha_t_statistic(returns, market, lags=lags)
                if with_market
                else t_statistic(returns, lags=lags)
            )
            passed[lags] += abs(t) > 2
    assert passed[0] / 500 > 0.25
    assert 0.03 < passed[20] / 500 < 0.09


@pytest.mark.parametrize(
    ("exposure", "horizon", "lags"),
    [
        ([0, 1, 1, 1, 0, -1, -1, -1, -1, 0] * 10, 1, 4),  # 3 and 4 bars, rounded up
        ([0.4, 0.5, 0.6, -0.1] * 25, 1, 2),  # 3 and 1: changing sides ends a position, changing size does not
        ([0, 1] * 50, 1, 1),
        ([0, 1] * 50, 6, 5),  # a label over 6 bars shares 5 of them with the next one
        ([1] * 100, 1, 10),  # at most a tenth
        ([0] * 100, 3, 2),
        ([1, 1, 1], 24, 0),
    ],
)
def test_lags_are_the_mean_length_of_a_position_the_horizon_or_a_tenth(exposure, horizon, lags):
    assert holding_lags(exposure, horizon) == lags


def test_both_t_statistics_of_a_strategy_allow_for_the_length_of_its_positions(bars):
    market = Market.make(bars[:1_000])
    result = backtest(np.sign(np.sin(np.arange(market.n_decisions) / 9)), market)
    lags = holding_lags(result.exposure, 40)
    assert holding_lags(result.exposure) == 28 and lags == 39  # half a wave of 18 pi bars
    figures = result.metrics(8_766, label_horizon=40)
    assert figures["t"] == t_statistic(result.returns, lags=39)
    assert figures["alpha t"] == alpha_t_statistic(result.returns, result.market_returns, lags=39)
    assert figures["alpha t"] != result.metrics(8_766)["alpha t"]


@pytest.mark.parametrize("lags", [-1, 1.5, "3"])
def test_lags_are_a_whole_number_of_periods(lags):
    with pytest.raises(ValueError, match="lags is"):
        alpha_t_statistic(MONTHLY, POSITIVE, lags=lags)
    with pytest.raises(ValueError, match="lags is"):
        t_statistic(MONTHLY, lags=lags)
    with pytest.raises(ValueError, match="label_horizon is 0"):
        holding_lags([1, 0], 0)


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
    assert thousand == pytest.approx(one, abs=1e-12, nan_ok=True)
    assert one["costs paid"] == pytest.approx(0.03, abs=1e-12)
