"""Strategies that need no training, for a report to stand beside."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trading_assets.arguments import as_number, as_numbers, require
from trading_assets.simulation.backtesting import BacktestResult, backtest
from trading_assets.simulation.market import Market
from trading_assets.validation.positions import forecast_positions
from trading_assets.validation.ties import TIE, first_best

Floats = NDArray[np.float64]
BAND_WIDTHS = np.linspace(0.0, 0.2, 41)


def buy_and_hold(market: Market) -> BacktestResult:
    """All equity in the asset, without leverage."""
    require("market", market, Market)
    return backtest(np.full(market.n_decisions, min(1 / market.config.max_leverage, 1.0)), market)


def always_flat(market: Market) -> BacktestResult:
    """Nothing ever."""
    require("market", market, Market)
    return backtest(np.zeros(market.n_decisions), market)


def band_targets(probability: Floats, width: float) -> Floats:
    """Long above 1/2 + width, short below 1/2 - width, in between what was held before (at first flat)."""
    signal = forecast_positions(as_numbers("probability", probability), as_number("width", width))
    last = np.maximum.accumulate(np.where(signal == 0, 0, np.arange(len(signal))))
    return signal[last]


def no_trade_band(probability: Floats, width: float, market: Market) -> BacktestResult:
    """Trade the calibrated forecast of every bar, but only where it is surer than `width`."""
    require("market", market, Market)
    probability = as_numbers("probability", probability)
    return backtest(band_targets(probability[market.start : market.stop - 1], width), market)


def choose_band(probability: Floats, market: Market) -> float:
    """The width with the highest final equity; the narrowest of several that only rounding tells apart."""
    finals = np.array([no_trade_band(probability, width, market).equity[-1] for width in BAND_WIDTHS])
    return float(BAND_WIDTHS[first_best(finals, TIE * finals)])
