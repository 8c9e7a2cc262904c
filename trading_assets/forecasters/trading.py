"""What following a forecast would have earned: long or short where it is sure enough, flat in between."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

from trading_assets.config.settings import CostSettings
from trading_assets.features.dataset import Dataset
from trading_assets.features.labels import forward_return
from trading_assets.forecasters.training_data import Floats, Rows
from trading_assets.validation.returns import until_ruin
from trading_assets.validation.thresholds import OptimalThreshold, optimal_threshold

N_THRESHOLDS = 20
_THRESHOLD = "threshold.json"


def next_returns(data: Dataset, rows: Rows, costs: CostSettings) -> Floats:
    """What a long decided at the close of each bar earns until it can be changed, open to open.

    After the funding that falls due in that time where `costs.funding` says so, as the simulator charges it;
    a short earns the opposite.
    """
    earned = forward_return(data.bars, 1)
    if costs.funding and "funding_rate" in data.frame:
        earned[:-2] -= _funding(data.frame)
    return earned[rows]


def _funding(frame: pd.DataFrame) -> Floats:
    """Due on a notional of 1 from the open after each bar, but the last two, to the open after that."""
    opens, closes, rate = (frame[name].to_numpy() for name in ("open", "close", "funding_rate"))
    within = frame["funding_within"].to_numpy() if "funding_within" in frame else np.zeros(len(frame))
    held, left = slice(1, -1), slice(2, None)
    # Due within a bar, at a price taken to be midway, or at the open at which the position can be changed.
    due = within[held] * (opens + closes)[held] / 2 + (rate - within)[left] * opens[left]
    return np.asarray(due / opens[held])


def choose_threshold(data: Dataset, rows: Rows, p: Floats, costs: CostSettings) -> OptimalThreshold | None:
    """The threshold with the best Sharpe ratio net of costs; None where no forecast differs from 1/2.

    Parameters
    ----------
    data : Dataset
    rows : ndarray of int of shape (n,)
        Bars that were forecast, in a row: also those whose label is missing are held through.
    p : ndarray of shape (n,)
        Probability of up.
    costs : CostSettings
    """
    earned = next_returns(data, rows, costs)
    known = np.isfinite(earned)
    if not (p[known] != 0.5).any():
        return None
    return optimal_threshold(
        p[known],
        earned[known],
        fee_bps=costs.fee_bps,
        slippage_bps=costs.slippage_bps,
        n_thresholds=N_THRESHOLDS,
    )


def best_sharpe(frame: pd.DataFrame, data: Dataset, costs: CostSettings) -> float:
    """Sharpe ratio per bar of out-of-fold rows at the threshold that suits them best."""
    rows, p = frame["row"].to_numpy(), frame["p"].to_numpy()
    chosen = choose_threshold(data, rows, p, costs)
    return float("nan") if chosen is None else chosen.value


def write_threshold(folder: Path, threshold: float) -> None:
    """Beside a calibrated forecaster."""
    (folder / _THRESHOLD).write_text(json.dumps({"threshold": threshold}))


def read_threshold(folder: Path) -> float:
    return float(json.loads((folder / _THRESHOLD).read_bytes())["threshold"])


def positions(p: Floats, threshold: float) -> Floats:
    """1 above 1/2 + threshold, -1 below 1/2 - threshold, otherwise 0."""
    return np.where(p > 0.5 + threshold, 1.0, np.where(p < 0.5 - threshold, -1.0, 0.0))


def net_returns(data: Dataset, rows: Rows, p: Floats, threshold: float, costs: CostSettings) -> Floats:
    """Of every bar, from flat on, until all is lost; bars whose next open is not known are left out."""
    earned, held = next_returns(data, rows, costs), positions(p, threshold)
    paid = np.abs(np.diff(held, prepend=0.0)) * (costs.fee_bps + costs.slippage_bps) / 1e4
    net = held * earned - paid
    return until_ruin(net[np.isfinite(net)])
