"""What following a forecast would have earned, against a loop by hand and the figures of `validation`."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from trading_assets.config.settings import CostSettings, EnvConfig
from trading_assets.features.dataset import Dataset
from trading_assets.forecasters.trading import (
    N_THRESHOLDS,
    best_sharpe,
    choose_threshold,
    net_returns,
    next_returns,
    positions,
    read_threshold,
    write_threshold,
)
from trading_assets.market.synthetic import SyntheticMarket
from trading_assets.simulation.backtesting import backtest
from trading_assets.simulation.market import Market
from trading_assets.validation.metrics import sharpe_ratio
from trading_assets.validation.positions import TradingMetrics

COSTS = CostSettings(fee_bps=3.0, slippage_bps=2.0)
ROWS = np.arange(100, 400)


@pytest.fixture(scope="module")
def data(market: SyntheticMarket) -> Dataset:
    """500 bars, that is all that trading reads."""
    return Dataset(market.bars.iloc[:500].reset_index(drop=True), (), 0, 8_766)


@pytest.fixture(scope="module")
def p(data: Dataset) -> np.ndarray:
    """Forecasts that know a little."""
    rng = np.random.default_rng(0)
    return np.clip(0.5 + 4 * next_returns(data, ROWS, COSTS) + rng.normal(0, 0.05, len(ROWS)), 0.01, 0.99)


def test_a_position_earns_from_the_next_open_to_the_one_after_it(data: Dataset) -> None:
    opens = data.frame["open"].to_numpy()
    by_hand = [opens[t + 2] / opens[t + 1] - 1 for t in ROWS]
    np.testing.assert_allclose(next_returns(data, ROWS, COSTS), by_hand, rtol=1e-14)
    assert np.isnan(next_returns(data, np.array([498, 499]), COSTS)).all()
    assert np.isfinite(next_returns(data, np.array([497]), COSTS)).all()


@pytest.fixture(scope="module")
def funded(data: Dataset) -> Dataset:
    """The same bars with a rate due in every eighth of them."""
    rate = np.where(np.arange(500) % 8 == 3, np.random.default_rng(1).normal(0, 0.002, 500), 0.0)
    return replace(data, frame=data.frame.assign(funding_rate=rate))


def test_a_position_earns_what_the_simulator_pays_it_for_one_bar_with_its_funding(funded: Dataset) -> None:
    costs = CostSettings(fee_bps=0, slippage_bps=0)
    market = Market.make(funded.bars, config=EnvConfig(costs=costs))
    for side in (1.0, -1.0):
        paid = [backtest([side, 0.0], market.between(t, t + 3)).equity[-1] - 1 for t in range(100, 140)]
        earned = next_returns(funded, np.arange(100, 140), costs)
        np.testing.assert_allclose(side * earned, paid, rtol=0, atol=1e-14)
    bare = next_returns(funded, ROWS, costs.model_copy(update={"funding": False}))
    assert np.count_nonzero(bare != next_returns(funded, ROWS, costs)) == pytest.approx(len(ROWS) / 8, abs=1)


def test_funding_due_within_a_bar_is_paid_by_whoever_has_entered_at_its_open(funded: Dataset) -> None:
    rate = funded.frame["funding_rate"].to_numpy()
    inside = replace(funded, frame=funded.frame.assign(funding_within=rate))
    opens, closes = funded.frame["open"].to_numpy(), funded.frame["close"].to_numpy()
    by_hand = [
        (opens[t + 2] - rate[t + 1] * (opens[t + 1] + closes[t + 1]) / 2) / opens[t + 1] - 1 for t in ROWS
    ]
    np.testing.assert_allclose(next_returns(inside, ROWS, COSTS), by_hand, rtol=0, atol=1e-14)


def test_funding_is_in_net_returns_and_decides_the_threshold(funded: Dataset, p: np.ndarray) -> None:
    """Where longs pay whatever they earn, only the surest of them are worth it."""
    dear = replace(funded, frame=funded.frame.assign(funding_rate=0.01))
    longs = np.where(p > 0.5, p, 0.5)
    free = COSTS.model_copy(update={"funding": False})
    net, without = (net_returns(dear, ROWS, longs, 0.0, costs) for costs in (COSTS, free))
    opens = dear.frame["open"].to_numpy()
    due = positions(longs, 0.0) * 0.01 * opens[ROWS + 2] / opens[ROWS + 1]
    np.testing.assert_allclose(without - net, due, rtol=0, atol=1e-14)
    paying, spared = (choose_threshold(dear, ROWS, longs, costs) for costs in (COSTS, free))
    assert paying is not None and spared is not None
    assert paying.threshold > spared.threshold and paying.value < spared.value


def test_positions_are_taken_beyond_the_threshold_and_not_on_it() -> None:
    said = np.array([0.75, 0.7500001, 0.25, 0.2499999, 0.5, 1.0, 0.0])
    assert positions(said, 0.25).tolist() == [0, 1, 0, -1, 0, 1, -1]
    assert positions(said, 0.0).tolist() == [1, 1, -1, -1, 0, 1, -1]
    assert positions(said, 0.5).tolist() == [0] * 7


@pytest.mark.parametrize("threshold", [0.0, 0.03, 0.1, 0.5])
def test_net_returns_equal_a_loop_by_hand(data: Dataset, p: np.ndarray, threshold: float) -> None:
    opens, before, by_hand = data.frame["open"].to_numpy(), 0.0, []
    for t, said in zip(ROWS, p, strict=True):
        held = 1.0 if said > 0.5 + threshold else -1.0 if said < 0.5 - threshold else 0.0
        by_hand.append(held * (opens[t + 2] / opens[t + 1] - 1) - abs(held - before) * 5e-4)
        before = held
    net = net_returns(data, ROWS, p, threshold, COSTS)
    np.testing.assert_allclose(net, by_hand, rtol=0, atol=1e-15)
    assert net.any() == (threshold < 0.5)


@pytest.mark.parametrize("threshold", [0.0, 0.05])
def test_net_returns_are_those_of_the_trading_metrics(data: Dataset, p: np.ndarray, threshold: float) -> None:
    metrics = TradingMetrics(COSTS.fee_bps, COSTS.slippage_bps, periods_per_year=8_760)
    figures = metrics.evaluate(positions(p, threshold), next_returns(data, ROWS, COSTS))
    net = net_returns(data, ROWS, p, threshold, COSTS)
    assert np.prod(1 + net) - 1 == pytest.approx(figures.net_return, rel=1e-12)
    assert sharpe_ratio(net, periods_per_year=8_760) == pytest.approx(figures.net_sharpe, rel=1e-12)
    assert figures.orders > 20 and figures.costs > 0.01


def test_a_short_position_whose_price_more_than_doubles_has_lost_everything(data: Dataset) -> None:
    frame = data.frame.copy()
    frame.loc[202:, ["open", "high", "low", "close"]] *= 2.5  # between the opens of bars 201 and 202
    risen = Dataset(frame, (), 0, 8_766)
    net = net_returns(risen, ROWS, np.full(len(ROWS), 0.1), 0.2, COSTS)
    assert len(net) == len(ROWS)
    assert net[100] == -1.0 and not net[101:].any() and (net[:100] > -1).all()
    figures = TradingMetrics(COSTS.fee_bps, COSTS.slippage_bps, periods_per_year=8_760).evaluate(
        np.full(len(ROWS), -1.0), next_returns(risen, ROWS, COSTS)
    )
    assert figures.net_return == -1.0 == np.prod(1 + net) - 1


def test_bars_whose_next_open_is_not_known_are_left_out(data: Dataset) -> None:
    rows = np.arange(490, 500)
    net = net_returns(data, rows, np.full(10, 0.9), 0.1, COSTS)
    assert len(net) == 8
    assert net[0] == pytest.approx(next_returns(data, rows, COSTS)[0] - 5e-4)


def test_the_chosen_threshold_is_the_best_of_all_by_net_sharpe_ratio(data: Dataset, p: np.ndarray) -> None:
    chosen = choose_threshold(data, ROWS, p, COSTS)
    assert chosen is not None
    assert len(chosen.thresholds) == N_THRESHOLDS
    np.testing.assert_allclose(chosen.thresholds, np.arange(20) / 20 * np.abs(p - 0.5).max(), rtol=1e-12)
    by_hand = [
        sharpe_ratio(net_returns(data, ROWS, p, t, COSTS), periods_per_year=1) for t in chosen.thresholds
    ]
    np.testing.assert_allclose(chosen.values, by_hand, rtol=1e-9)
    assert chosen.value == pytest.approx(max(by_hand), rel=1e-9)
    assert chosen.threshold == chosen.thresholds[int(np.argmax(by_hand))] > 0
    frame = pd.DataFrame({"row": ROWS, "p": p})
    assert best_sharpe(frame, data, COSTS) == chosen.value


def test_higher_costs_ask_for_a_wider_threshold_and_leave_less(data: Dataset, p: np.ndarray) -> None:
    cheap = choose_threshold(data, ROWS, p, CostSettings(fee_bps=0, slippage_bps=0))
    dear = choose_threshold(data, ROWS, p, CostSettings(fee_bps=40, slippage_bps=40))
    assert cheap is not None and dear is not None
    assert dear.threshold > cheap.threshold and dear.value < cheap.value


def test_no_threshold_is_chosen_where_every_forecast_is_one_half(data: Dataset) -> None:
    half = np.full(len(ROWS), 0.5)
    assert choose_threshold(data, ROWS, half, COSTS) is None
    assert np.isnan(best_sharpe(pd.DataFrame({"row": ROWS, "p": half}), data, COSTS))
    # Nor where only bars differ that cannot be traded any more.
    rows = np.arange(480, 500)
    late = np.where(rows >= 498, 0.9, 0.5)
    assert choose_threshold(data, rows, late, COSTS) is None
    assert choose_threshold(data, rows, np.where(rows == 490, 0.9, 0.5), COSTS) is not None


def test_a_threshold_survives_its_file_bit_for_bit(tmp_path: Path) -> None:
    write_threshold(tmp_path, 0.1 + 0.2)
    assert read_threshold(tmp_path) == 0.1 + 0.2
