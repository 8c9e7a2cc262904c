"""Calibrated forecasters side by side, on bars that none of them, nor their calibrators, have seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trading_assets.config.settings import CostSettings
from trading_assets.features.dataset import Dataset
from trading_assets.forecasters import load_forecaster
from trading_assets.forecasters.calibration_error import calibration_scores
from trading_assets.forecasters.crossfit import predict_block, score
from trading_assets.forecasters.trading import (
    N_THRESHOLDS,
    net_returns,
    next_returns,
    positions,
    read_threshold,
)
from trading_assets.registry.ledger import TrialCount
from trading_assets.reports.luck import CONFIDENCE, sharpe_statistics
from trading_assets.validation.eras import Era
from trading_assets.validation.metrics import EDGE, NO_EDGE
from trading_assets.validation.overfitting import probability_of_backtest_overfitting
from trading_assets.validation.returns import equity_curve

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ComparedForecasters:
    """Attributes
    ----------
    rows : list of dict
        Scores, calibration and net result of each forecaster; what is `raw` is of the forecast before
        calibration, all else of the calibrated one.
    overfitting, loss : float
        Probability that the best of all forecasters and thresholds on half of the era is below the median on
        the other half, and that it loses there. Where all lose the first may well be small.
    bars : ndarray of int
        The bars that could be traded.
    growth : dict of str to ndarray
        Equity over these bars, net of costs.
    reliability : dict of str to (y, p before, p after calibration)
    """

    rows: list[dict[str, Any]]
    overfitting: float
    loss: float
    bars: NDArray[np.int64]
    growth: dict[str, Floats]
    reliability: dict[str, tuple[Floats, Floats, Floats]]


def compare_forecasters(
    folders: Mapping[str, Path], data: Dataset, era: Era, costs: CostSettings, tried: TrialCount
) -> ComparedForecasters:
    """Score the calibrated forecasters of `folders` (by kind) on an era."""
    rows: list[dict[str, Any]] = []
    growth: dict[str, Floats] = {}
    reliability: dict[str, tuple[Floats, Floats, Floats]] = {}
    candidates = []
    bars = np.arange(era.start, era.stop)
    bars = bars[np.isfinite(next_returns(data, bars, costs))]
    y = data.target("direction")[bars]
    known = np.isfinite(y)
    for kind, folder in folders.items():
        model = load_forecaster(folder)
        before = predict_block(model, data.features, bars)[:, 1]
        p = before if model.calibrator_ is None else model.calibrator_.transform(before)
        threshold = read_threshold(folder)
        net = net_returns(data, bars, p, threshold, costs)
        equity = equity_curve(net)
        changes = np.diff(positions(p, threshold), prepend=0.0)[equity[:-1] > 0]
        orders = int(np.count_nonzero(changes))
        luck = sharpe_statistics(net, data.periods_per_year, tried, orders)
        edge = net.sum() > 0 and luck["deflated Sharpe"] > CONFIDENCE
        raw = score(y[known], before[known])
        rows.append(
            {
                "forecaster": kind,
                "AUC raw": raw["AUC"],
                **score(y[known], p[known]),
                "ECE raw": calibration_scores(y[known], before[known])["ECE"],
                "ECE": calibration_scores(y[known], p[known])["ECE"],
                "Brier raw": raw["Brier"],
                "net return": float(equity[-1] - 1),
                "net Sharpe": luck.pop("Sharpe"),
                **luck,
                "orders": orders,
                "verdict": EDGE if edge else NO_EDGE,
            }
        )
        growth[kind] = equity[1:]
        reliability[kind] = (y[known], before[known], p[known])
        widest = max(float(np.abs(p - 0.5).max()), 1e-9)
        thresholds = np.linspace(0, widest, N_THRESHOLDS, endpoint=False)
        candidates += [net_returns(data, bars, p, threshold, costs) for threshold in thresholds]
    chosen = probability_of_backtest_overfitting(np.column_stack(candidates))
    return ComparedForecasters(rows, chosen.pbo, chosen.probability_of_loss, bars, growth, reliability)
