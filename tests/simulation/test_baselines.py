"""Strategies that need no training."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading_assets.config.settings import CostSettings, EnvConfig
from trading_assets.simulation.backtesting import backtest
from trading_assets.simulation.baselines import (
    BAND_WIDTHS,
    always_flat,
    band_targets,
    buy_and_hold,
    choose_band,
    no_trade_band,
)
from trading_assets.simulation.market import Market

START, STOP = 400, 1_400


def a_market(bars, **costs) -> Market:
    return Market.make(bars, config=EnvConfig(costs=CostSettings(**costs)), start=START, stop=STOP)


def band_by_hand(probability, width: float) -> list[float]:
    held, targets = 0.0, []
    for p in probability:
        if p > 0.5 + width:
            held = 1.0
        elif p < 0.5 - width:
            held = -1.0
        targets.append(held)
    return targets


@given(
    probability=st.lists(st.floats(0, 1) | st.just(float("nan")), min_size=1, max_size=60),
    width=st.sampled_from([*BAND_WIDTHS, 0.5]),
)
def test_the_band_holds_what_it_held_until_a_forecast_leaves_it(probability, width):
    targets = band_targets(np.array(probability), width)
    assert targets.tolist() == band_by_hand(probability, width)


def test_a_forecast_on_the_edge_of_the_band_does_not_trade():
    assert band_targets(np.array([0.75, 0.25, 0.76, 0.25]), 0.25).tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize(("baseline", "target"), [(buy_and_hold, 1.0), (always_flat, 0.0)])
def test_a_constant_baseline_equals_asking_for_its_target_at_every_bar(bars, baseline, target):
    stretch = a_market(bars)
    asked = backtest(lambda _t, _account: target, stretch)
    np.testing.assert_array_equal(baseline(stretch).equity, asked.equity)


def test_buying_and_holding_takes_no_leverage(bars):
    levered = Market.make(bars, config=EnvConfig(max_leverage=3.0), start=START, stop=STOP)
    equity = buy_and_hold(levered).equity
    np.testing.assert_allclose(equity, buy_and_hold(a_market(bars)).equity, rtol=1e-12)


def test_the_band_trades_the_forecast_of_the_bar_just_closed(market, bars):
    stretch = a_market(bars)
    result = no_trade_band(market.probability, 0.1, stretch)
    rule = band_by_hand(market.probability[START : STOP - 1], 0.1)
    asked = backtest(lambda t, _: rule[t - START], stretch)
    np.testing.assert_array_equal(result.equity, asked.equity)


def test_the_chosen_band_is_the_one_that_ended_richest(market, bars):
    stretch = a_market(bars)
    finals = {width: no_trade_band(market.probability, width, stretch).equity[-1] for width in BAND_WIDTHS}
    chosen = choose_band(market.probability, stretch)
    assert finals[chosen] == max(finals.values())
    assert len(set(finals.values())) > 5


def test_the_band_is_chosen_without_a_look_beyond_its_stretch(market, bars):
    other, blank_forecast = bars.copy(), market.probability.copy()
    other[STOP:, 1:5], other[:START, 1:5] = 7.0, 7.0
    blank_forecast[STOP - 1 :], blank_forecast[:START] = np.nan, np.nan
    chosen = choose_band(blank_forecast, a_market(other))
    assert chosen == choose_band(market.probability, a_market(bars))


def test_of_bands_that_trade_alike_the_narrowest_is_chosen(bars):
    stretch, probability = a_market(bars), np.full(len(bars), 0.561)
    # Every width below 0.061 holds one side all the time, the others stay flat.
    for same in (probability, 1 - probability):
        gains = no_trade_band(same, 0.0, stretch).equity[-1] > 1
        assert choose_band(same, stretch) == (BAND_WIDTHS[0] if gains else BAND_WIDTHS[13])


def test_costs_make_the_chosen_band_wider(market, bars):
    narrow, wide = (
        choose_band(market.probability, a_market(bars, fee_bps=bps, slippage_bps=bps / 4)) for bps in (0, 40)
    )
    assert narrow < wide
