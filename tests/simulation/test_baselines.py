"""Strategies that need no training."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading_assets.config.settings import CostSettings, RiskSettings
from trading_assets.simulation.backtesting import backtest, make_rules
from trading_assets.simulation.baselines import (
    BAND_WIDTHS,
    always_flat,
    band_targets,
    buy_and_hold,
    choose_band,
    no_trade_band,
)

RULES = make_rules(CostSettings(), RiskSettings())
START, STOP = 400, 1_400


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
    asked = backtest(lambda _t, _account: target, bars, START, STOP, RULES)
    np.testing.assert_array_equal(baseline(bars, START, STOP, RULES).equity, asked.equity)


def test_the_band_trades_the_forecast_of_the_bar_just_closed(market, bars):
    result = no_trade_band(market.probability, 0.1, bars, START, STOP, RULES)
    rule = band_by_hand(market.probability[START : STOP - 1], 0.1)
    asked = backtest(lambda t, _: rule[t - START], bars, START, STOP, RULES)
    np.testing.assert_array_equal(result.equity, asked.equity)


def test_the_chosen_band_is_the_one_that_ended_richest(market, bars):
    finals = {
        width: no_trade_band(market.probability, width, bars, START, STOP, RULES).equity[-1]
        for width in BAND_WIDTHS
    }
    chosen = choose_band(market.probability, bars, START, STOP, RULES)
    assert finals[chosen] == max(finals.values())
    assert len(set(finals.values())) > 5


def test_the_band_is_chosen_without_a_look_beyond_its_stretch(market, bars):
    blank_bars, blank_forecast = bars.copy(), market.probability.copy()
    blank_bars[STOP:], blank_forecast[STOP - 1 :] = np.nan, np.nan
    blank_bars[:START], blank_forecast[:START] = np.nan, np.nan
    chosen = choose_band(blank_forecast, blank_bars, START, STOP, RULES)
    assert chosen == choose_band(market.probability, bars, START, STOP, RULES)


def test_costs_make_the_chosen_band_wider(market, bars):
    free = make_rules(CostSettings(fee_bps=0, slippage_bps=0), RiskSettings())
    dear = make_rules(CostSettings(fee_bps=40, slippage_bps=10), RiskSettings())
    narrow, wide = (choose_band(market.probability, bars, START, STOP, r) for r in (free, dear))
    assert narrow < wide
