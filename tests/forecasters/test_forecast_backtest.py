"""What following a forecast would have earned, against an account kept by hand."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.simulation.worlds import SlowAccount
from trading_assets.config import Settings
from trading_assets.config.settings import CostSettings, EnvConfig
from trading_assets.features.dataset import Dataset
from trading_assets.forecasters.forecast_backtest import (
    N_THRESHOLDS,
    choose_threshold,
    follow_forecast,
    forecast_market,
    read_threshold,
    write_threshold,
)
from trading_assets.market.synthetic import SyntheticMarket
from trading_assets.simulation.market import Market
from trading_assets.validation.metrics import sharpe_ratio
from trading_assets.validation.trading_metrics import TradingMetrics, forecast_positions

ROWS = np.arange(100, 400)


def priced(fee_bps: float = 3.0, slippage_bps: float = 2.0, **others: Any) -> Settings:
    """Settings with these costs."""
    costs = CostSettings(fee_bps=fee_bps, slippage_bps=slippage_bps, **others)
    return Settings(costs=costs)


@pytest.fixture(scope="module")
def data(market: SyntheticMarket) -> Dataset:
    """500 bars, that is all that trading reads."""
    return Dataset(market.bars.iloc[:500].reset_index(drop=True), (), 0, 8_766)


@pytest.fixture(scope="module")
def p(data: Dataset) -> np.ndarray:
    """Forecasts that know a little of the move from the next open to the one after it."""
    opens, rng = data.frame["open"].to_numpy(), np.random.default_rng(0)
    return np.clip(0.5 + 4 * (opens[ROWS + 2] / opens[ROWS + 1] - 1) + rng.normal(0, 0.05, 300), 0.01, 0.99)


@pytest.fixture(scope="module")
def funded(data: Dataset) -> Dataset:
    """The same bars with a rate due in every eighth of them, a part of it within the bar."""
    rate = np.where(np.arange(500) % 8 == 3, np.random.default_rng(1).normal(0, 0.002, 500), 0.0)
    return replace(data, frame=data.frame.assign(funding_rate=rate, funding_within=rate / 3))


cost_settings = st.builds(
    CostSettings,
    fee_bps=st.floats(0, 50),
    slippage_bps=st.floats(0, 50),
    slippage_volatility=st.floats(0, 1),
    impact=st.floats(0, 3),
    liquidity_window=st.integers(2, 50),
    funding=st.booleans(),
    borrow_rate=st.floats(0, 3),
    capital=st.floats(100, 1e9),
    min_order=st.floats(0, 50),
)


@settings(max_examples=60)
@given(costs=cost_settings, margin=st.floats(0, 0.9), fine=st.floats(0, 500), threshold=st.floats(0, 0.2))
def test_what_is_earned_is_that_of_an_account_kept_by_hand_under_any_costs(
    funded: Dataset, p: np.ndarray, costs: CostSettings, margin: float, fine: float, threshold: float
) -> None:
    environment = Settings().environment.model_copy(
        update={"maintenance_margin": margin, "liquidation_bps": fine}
    )
    market = forecast_market(funded, Settings(costs=costs, environment=environment))
    result = follow_forecast(market, ROWS, p, threshold)
    account, equity = SlowAccount(market), [1.0]
    for t, said in zip(ROWS[:-1], p, strict=False):
        target = 1.0 if said > 0.5 + threshold else -1.0 if said < 0.5 - threshold else 0.0
        account.step(t, target)
        equity.append(account.equity)
    np.testing.assert_allclose(result.equity, equity, rtol=1e-9)


def test_costs_and_margin_are_those_of_the_settings_and_risk_rules_are_left_out(funded: Dataset) -> None:
    strict = {"enforce_limits": True, "maintenance_margin": 0.3, "liquidation_bps": 7}
    given = Settings(costs={"impact": 0.5, "capital": 1e6}, environment=strict)
    assert given.risk.drawdown is not None
    market = forecast_market(funded, given)
    expected = EnvConfig(costs=given.costs, maintenance_margin=0.3, liquidation_bps=7)
    assert market.config == expected and market.config.risk.drawdown is None
    again = Market.make(funded.bars, config=expected)
    assert np.array_equal(market.bars, again.bars) and np.array_equal(market.conditions, again.conditions)


def test_an_order_that_is_large_for_the_market_pays_for_its_size(data: Dataset, p: np.ndarray) -> None:
    """Costs in proportion called a gain what impact and interest make a loss of nearly everything."""
    plain = follow_forecast(forecast_market(data, priced()), ROWS, p, 0.0)
    large = priced(impact=1.0, slippage_volatility=0.1, borrow_rate=0.1, capital=1e8)
    result = follow_forecast(forecast_market(data, large), ROWS, p, 0.0)
    assert plain.equity[-1] > 1.2 and result.equity[-1] < 0.8
    assert result.costs_by_kind["impact"] > 0.1 and result.costs_by_kind["borrow"] > 0


@pytest.mark.parametrize("threshold", [0.0, 0.05])
def test_small_moves_at_plain_costs_are_those_of_the_trading_metrics(
    data: Dataset, p: np.ndarray, threshold: float
) -> None:
    """Between changes the simulator's units drift with the price: the rest is of second order."""
    opens = data.frame["open"].to_numpy()
    earned = opens[ROWS + 2] / opens[ROWS + 1] - 1
    metrics = TradingMetrics(3.0, 2.0, periods_per_year=8_766)
    figures = metrics.evaluate(forecast_positions(p, threshold)[:-1], earned[:-1])
    result = follow_forecast(forecast_market(data, priced()), ROWS, p, threshold)
    found = result.metrics(8_766)
    assert found["orders"] == figures.orders > 20
    assert np.log1p(found["net return"]) == pytest.approx(np.log1p(figures.net_return), abs=0.02)
    assert found["Sharpe"] == pytest.approx(figures.net_sharpe, rel=0.15)


def test_a_decision_is_filled_at_the_next_open_and_valued_at_its_close(data: Dataset) -> None:
    market = forecast_market(data, priced(0, 0))
    result = follow_forecast(market, np.array([200, 201, 202]), np.array([0.9, 0.5, 0.9]), 0.1)
    opens, closes = (data.frame[name].to_numpy() for name in ("open", "close"))
    bought, sold = closes[201] / opens[201], opens[202] / opens[201]
    np.testing.assert_allclose(result.equity, [1.0, bought, sold], rtol=1e-12)


def test_nothing_after_the_last_forecast_bar_is_looked_at(data: Dataset, p: np.ndarray) -> None:
    frame = data.frame.copy()
    frame.loc[400:, ["open", "high", "low", "close"]] *= 3
    after = follow_forecast(forecast_market(replace(data, frame=frame), priced()), ROWS, p, 0.0)
    before = follow_forecast(forecast_market(data, priced()), ROWS, p, 0.0)
    assert np.array_equal(before.path, after.path) and len(before.equity) == len(ROWS)
    last = np.arange(490, 500)
    assert len(follow_forecast(forecast_market(data, priced()), last, p[:10], 0.0).returns) == 9


def test_bars_between_that_were_not_forecast_are_flat(data: Dataset, p: np.ndarray) -> None:
    market = forecast_market(data, priced())
    kept = np.r_[0:100, 150:300]
    idle = p.copy()
    idle[100:150] = 0.5
    part, whole = (follow_forecast(market, rows, q, 0.0) for rows, q in ((ROWS[kept], p[kept]), (ROWS, idle)))
    assert np.array_equal(part.path, whole.path) and not part.targets[100:150].any()


def test_funding_decides_the_threshold(data: Dataset, p: np.ndarray) -> None:
    """Where longs pay whatever they earn, only the surest of them are worth it."""
    dear = replace(data, frame=data.frame.assign(funding_rate=0.01))
    longs = np.where(p > 0.5, p, 0.5)
    paying, spared = (
        choose_threshold(forecast_market(dear, priced(funding=funding)), ROWS, longs)
        for funding in (True, False)
    )
    assert paying is not None and spared is not None
    assert paying.threshold > spared.threshold and paying.value < spared.value


def test_the_chosen_threshold_is_the_best_of_all_by_net_sharpe_ratio(data: Dataset, p: np.ndarray) -> None:
    market = forecast_market(data, priced(impact=0.3, capital=1e6))
    chosen = choose_threshold(market, ROWS, p)
    assert chosen is not None
    assert len(chosen.thresholds) == N_THRESHOLDS
    np.testing.assert_allclose(chosen.thresholds, np.arange(20) / 20 * np.abs(p[:-1] - 0.5).max(), rtol=1e-12)
    results = [follow_forecast(market, ROWS, p, threshold) for threshold in chosen.thresholds]
    by_hand = [sharpe_ratio(result.returns, periods_per_year=1) for result in results]
    assert chosen.values.tolist() == by_hand and chosen.value == max(by_hand)
    assert chosen.threshold == chosen.thresholds[int(np.argmax(by_hand))] > 0
    assert chosen.orders.tolist() == [result.metrics(1)["orders"] for result in results]


def test_higher_costs_ask_for_a_wider_threshold_and_leave_less(data: Dataset, p: np.ndarray) -> None:
    cheap, dear = (
        choose_threshold(forecast_market(data, priced(cost, cost)), ROWS, p) for cost in (0.0, 40.0)
    )
    assert cheap is not None and dear is not None
    assert dear.threshold > cheap.threshold and dear.value < cheap.value


def test_a_threshold_that_loses_everything_is_chosen_only_where_every_one_does(data: Dataset) -> None:
    """A short in a market that rises a hundredfold, after gains that no other threshold has."""
    frame = data.frame.copy()
    prices = ["open", "high", "low", "close"]
    frame.loc[300:, prices] *= 100
    risen = replace(data, frame=frame)
    rows, p = np.arange(280, 320), np.full(40, 0.5)
    p[:30], p[30:] = 0.4, 0.65  # short into the rise below a threshold of 0.1, long after it above
    market = forecast_market(risen, priced())
    chosen = choose_threshold(market, rows, p)
    assert chosen is not None and chosen.threshold >= 0.1 - 1e-12
    assert follow_forecast(market, rows, p, 0.0).ruined
    assert not follow_forecast(market, rows, p, chosen.threshold).ruined
    lost = choose_threshold(market, rows, np.full(40, 0.4))
    assert lost is not None and lost.threshold == 0 and lost.value < 0


def test_no_threshold_is_chosen_where_no_decision_differs_from_one_half(data: Dataset) -> None:
    market, rows = forecast_market(data, priced()), np.arange(480, 500)
    assert choose_threshold(market, rows, np.full(20, 0.5)) is None
    # Nor where only the last bar does, whose next open is not known.
    assert choose_threshold(market, rows, np.where(rows == 499, 0.9, 0.5)) is None
    assert choose_threshold(market, rows, np.where(rows == 490, 0.9, 0.5)) is not None


def test_a_threshold_survives_its_file_bit_for_bit(tmp_path: Path) -> None:
    write_threshold(tmp_path, 0.1 + 0.2)
    assert read_threshold(tmp_path) == 0.1 + 0.2
