"""Strategies that need no training, for a report to stand beside."""

from __future__ import annotations

import numpy as np

from trading_assets.arguments import as_number, as_numbers, require
from trading_assets.arrays import Floats
from trading_assets.simulation.backtesting import BacktestResult, backtest
from trading_assets.simulation.market import Market
from trading_assets.validation.ties import TIE, first_best
from trading_assets.validation.trading_metrics import forecast_positions

BAND_WIDTHS = np.linspace(0.0, 0.2, 41)


def buy_and_hold(market: Market) -> BacktestResult:
    """All equity in the asset, without leverage.

    Parameters
    ----------
    market : Market

    Returns
    -------
    BacktestResult

    Raises
    ------
    ArgumentError
        When `market` is none.

    Examples
    --------
    >>> from trading_assets.market import SyntheticMarket
    >>> market = Market.make(SyntheticMarket("price", 1.0, n_bars=500, seed=1).bars)
    >>> int((buy_and_hold(market).traded > 0).sum())
    1
    """
    require("market", market, Market)
    return backtest(np.full(market.n_decisions, min(1 / market.config.max_leverage, 1.0)), market)


def always_flat(market: Market) -> BacktestResult:
    """Nothing ever.

    Parameters
    ----------
    market : Market

    Returns
    -------
    BacktestResult

    Raises
    ------
    ArgumentError
        When `market` is none.

    Examples
    --------
    >>> from trading_assets.market import SyntheticMarket
    >>> float(always_flat(Market.make(SyntheticMarket("price", 1.0, n_bars=500).bars)).equity[-1])
    1.0
    """
    require("market", market, Market)
    return backtest(np.zeros(market.n_decisions), market)


def band_targets(probability: Floats, width: float) -> Floats:
    """Long above 1/2 + width, short below 1/2 - width, in between what was held before (at first flat).

    Parameters
    ----------
    probability : array-like of shape (n_bars,)
        Of a rise, 0 to 1.
    width : float
        0 or more.

    Returns
    -------
    ndarray of shape (n_bars,)
        1, -1 or 0.

    Raises
    ------
    ArgumentError
        When one of them is no numbers.

    Examples
    --------
    >>> band_targets([0.5, 0.7, 0.55, 0.2], 0.1).tolist()
    [0.0, 1.0, 1.0, -1.0]
    """
    signal = forecast_positions(as_numbers("probability", probability), as_number("width", width))
    last = np.maximum.accumulate(np.where(signal == 0, 0, np.arange(len(signal))))
    return signal[last]


def no_trade_band(probability: Floats, width: float, market: Market) -> BacktestResult:
    """Trade the calibrated forecast of every bar, but only where it is surer than `width`.

    Parameters
    ----------
    probability : array-like of shape (n_bars of the market,)
        Of a rise, 0 to 1.
    width : float
        See `band_targets`.
    market : Market

    Returns
    -------
    BacktestResult

    Raises
    ------
    ArgumentError
        When one of them is something else.

    Examples
    --------
    >>> from trading_assets.market import SyntheticMarket
    >>> market = Market.make(SyntheticMarket("price", 1.0, n_bars=500).bars)
    >>> no_trade_band(np.full(500, 0.5), 0.1, market).trades.empty
    True
    """
    require("market", market, Market)
    probability = as_numbers("probability", probability)
    return backtest(band_targets(probability[market.start : market.stop - 1], width), market)


def choose_band(probability: Floats, market: Market) -> float:
    """The width with the highest final equity; the narrowest of several that only rounding tells apart.

    Parameters
    ----------
    probability : array-like of shape (n_bars of the market,)
        Of a rise, 0 to 1.
    market : Market

    Returns
    -------
    float
        One of `BAND_WIDTHS`, 0 to 0.2.

    Raises
    ------
    ArgumentError
        When one of them is something else.

    Examples
    --------
    >>> from trading_assets.market import SyntheticMarket
    >>> choose_band(np.full(500, 0.5), Market.make(SyntheticMarket("price", 1.0, n_bars=500).bars))
    0.0
    """
    finals = np.array([no_trade_band(probability, width, market).equity[-1] for width in BAND_WIDTHS])
    return float(BAND_WIDTHS[first_best(finals, TIE * finals)])
