"""What following a forecast would have earned, by the simulator that agents are trained and judged with."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from trading_assets.arrays import Floats, Rows
from trading_assets.config.settings import EnvConfig, Settings
from trading_assets.features.dataset import Dataset
from trading_assets.simulation.backtesting import BacktestResult, backtest
from trading_assets.simulation.market import Market
from trading_assets.validation.metrics import sharpe_ratio
from trading_assets.validation.thresholds import OptimalThreshold, threshold_grid
from trading_assets.validation.trading_metrics import forecast_positions

N_THRESHOLDS = 20
_THRESHOLD = "threshold.json"


def forecast_market(data: Dataset, settings: Settings) -> Market:
    """The market on which forecasts are followed: all costs and margin calls of the settings, no risk rules.

    Risk rules belong to an account: what they do to a policy would hide what a forecast is worth.
    """
    environment = settings.environment
    config = EnvConfig(
        costs=settings.costs,
        maintenance_margin=environment.maintenance_margin,
        liquidation_bps=environment.liquidation_bps,
    )
    return Market.make(data.bars, config=config)


def follow_forecast(market: Market, rows: Rows, p: Floats, threshold: float) -> BacktestResult:
    """Long where the forecast is above 1/2 + threshold, short below 1/2 - threshold, otherwise flat.

    A position is decided at the close of a forecast bar and filled at the open of the next one. Nothing after
    the last of them is looked at: that one is no decision, the account is valued at its close.

    Parameters
    ----------
    market : Market
    rows : ndarray of int of shape (n,)
        Bars that were forecast, in order, at least two; those between them that were not are flat.
    p : ndarray of shape (n,)
        Probability of up.
    threshold : float
    """
    first, last = int(rows[0]), int(rows[-1])
    forecast = np.full(last - first + 1, 0.5)
    forecast[rows - first] = p
    return backtest(forecast_positions(forecast[:-1], threshold), market.between(first, last + 1))


def choose_threshold(market: Market, rows: Rows, p: Floats) -> OptimalThreshold | None:
    """The threshold with the best Sharpe ratio a bar, net of all costs of the market.

    Parameters
    ----------
    market, rows, p
        As in `follow_forecast`.

    Returns
    -------
    OptimalThreshold or None
        None where nothing is earned or lost at any threshold.
    """
    thresholds = threshold_grid(p[:-1], N_THRESHOLDS)
    results = [follow_forecast(market, rows, p, threshold) for threshold in thresholds]
    sharpes = np.array([sharpe_ratio(result.returns, periods_per_year=1) for result in results])
    values = np.where(np.isfinite(sharpes), sharpes, np.nan)
    if np.isnan(values).all():
        return None
    return OptimalThreshold.best_of(
        thresholds,
        values,
        orders=np.array([np.count_nonzero(result.traded) for result in results]),
        ruined=np.array([result.ruined for result in results]),
        noise=1 + np.abs(values),
    )


def write_threshold(folder: Path, threshold: float) -> None:
    """Beside a calibrated forecaster."""
    (folder / _THRESHOLD).write_text(json.dumps({"threshold": threshold}))


def read_threshold(folder: Path) -> float:
    return float(json.loads((folder / _THRESHOLD).read_bytes())["threshold"])
