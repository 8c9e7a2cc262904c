"""Strategies that need no training, for a report to stand beside."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trading_assets.simulation.backtest import Backtest, replay_targets

Floats = NDArray[np.float64]
BAND_WIDTHS = np.linspace(0.0, 0.2, 41)


def buy_and_hold(bars: Floats, start: int, stop: int, rules: Floats) -> Backtest:
    return replay_targets(np.ones(stop - start - 1), bars, start, rules)


def always_flat(bars: Floats, start: int, stop: int, rules: Floats) -> Backtest:
    return replay_targets(np.zeros(stop - start - 1), bars, start, rules)


def band_targets(probability: Floats, width: float) -> Floats:
    """Long above 1/2 + width, short below 1/2 - width, in between what was held before (at first flat)."""
    signal = np.where(probability > 0.5 + width, 1.0, np.where(probability < 0.5 - width, -1.0, np.nan))
    last = np.maximum.accumulate(np.where(np.isnan(signal), -1, np.arange(len(signal))))
    return np.where(last >= 0, signal[np.maximum(last, 0)], 0.0)


def no_trade_band(
    probability: Floats, width: float, bars: Floats, start: int, stop: int, rules: Floats
) -> Backtest:
    """Trade the calibrated forecast, but only when it is surer than `width`."""
    return replay_targets(band_targets(probability[start : stop - 1], width), bars, start, rules)


def choose_band(probability: Floats, bars: Floats, start: int, stop: int, rules: Floats) -> float:
    """The width with the highest final equity between `start` and `stop`."""
    finals = [no_trade_band(probability, width, bars, start, stop, rules).equity[-1] for width in BAND_WIDTHS]
    return float(BAND_WIDTHS[int(np.argmax(finals))])
