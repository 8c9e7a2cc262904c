"""Calibrated forecasters side by side, on bars that none of them, nor their calibrators, have seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trading_assets.arrays import Floats
from trading_assets.config.settings import Settings
from trading_assets.features.dataset import Dataset
from trading_assets.forecasters.calibration_error import calibration_scores
from trading_assets.forecasters.crossfit import predict_block, score
from trading_assets.forecasters.forecast_backtest import (
    N_THRESHOLDS,
    follow_forecast,
    forecast_market,
    read_threshold,
)
from trading_assets.forecasters.loading import load_forecaster
from trading_assets.registry.ledger import TrialCount
from trading_assets.reports.significance import CONFIDENCE, sharpe_statistics
from trading_assets.validation.eras import Era
from trading_assets.validation.metrics import NO_EDGE, verdict
from trading_assets.validation.overfitting import probability_of_backtest_overfitting
from trading_assets.validation.thresholds import threshold_grid


@dataclass(frozen=True)
class ComparedForecasters:
    """Attributes
    ----------
    rows : list of dict
        Scores, calibration and net result of each forecaster; what is `raw` is of the forecast before
        calibration, all else of the calibrated one. What was earned is that of `simulation.backtest`.
    overfitting, loss : float
        Probability that the best of all forecasters and thresholds on half of the era is below the median on
        the other half, and that it loses there. Where all lose the first may well be small.
    bars : ndarray of int
        Those at whose close an account is valued: all of the era but the first, which is decided at.
    growth : dict of str to ndarray
        Equity at these closes, net of all costs.
    reliability : dict of str to (y, p before, p after calibration)
    """

    rows: list[dict[str, Any]]
    overfitting: float
    loss: float
    bars: NDArray[np.int64]
    growth: dict[str, Floats]
    reliability: dict[str, tuple[Floats, Floats, Floats]]


def compare_forecasters(
    folders: Mapping[str, Path], data: Dataset, era: Era, settings: Settings, tried: TrialCount
) -> ComparedForecasters:
    """Score the calibrated forecasters of `folders` (by kind) on an era.

    Each is followed at its own threshold through the market of `forecast_market`. A verdict needs, as that of
    a policy does, a profit that the market does not explain and a deflated Sharpe ratio above 95 %.
    """
    rows: list[dict[str, Any]] = []
    growth: dict[str, Floats] = {}
    reliability: dict[str, tuple[Floats, Floats, Floats]] = {}
    candidates = []
    bars, market = np.arange(era.start, era.stop), forecast_market(data, settings)
    y = data.target("direction")[bars]
    known = np.isfinite(y)
    for kind, folder in folders.items():
        model = load_forecaster(folder)
        before = predict_block(model, data.features, bars)[:, 1]
        p = before if model.calibrator_ is None else model.calibrator_.transform(before)
        result = follow_forecast(market, bars, p, read_threshold(folder))
        metrics = result.metrics(data.periods_per_year, label_horizon=settings.labels.horizon)
        orders = int(metrics["orders"])
        luck = sharpe_statistics(result.returns, data.periods_per_year, tried, orders)
        raw = score(y[known], before[known])
        rows.append(
            {
                "forecaster": kind,
                "AUC raw": raw["AUC"],
                **score(y[known], p[known]),
                "ECE raw": calibration_scores(y[known], before[known])["ECE"],
                "ECE": calibration_scores(y[known], p[known])["ECE"],
                "Brier raw": raw["Brier"],
                "net return": metrics["net return"],
                "net Sharpe": luck.pop("Sharpe"),
                **luck,
                "orders": orders,
                "alpha t": metrics["alpha t"],
                "verdict": verdict(metrics) if luck["deflated Sharpe"] > CONFIDENCE else NO_EDGE,
            }
        )
        growth[kind] = result.equity[1:]
        reliability[kind] = (y[known], before[known], p[known])
        candidates += [
            follow_forecast(market, bars, p, threshold).returns
            for threshold in threshold_grid(p, N_THRESHOLDS)
        ]
    chosen = probability_of_backtest_overfitting(np.column_stack(candidates))
    return ComparedForecasters(rows, chosen.pbo, chosen.probability_of_loss, bars[1:], growth, reliability)
