"""From raw scores to probabilities; one and many are computed alike, to the last bit."""

from __future__ import annotations

import math

import numpy as np

from trading_assets.arrays import Floats
from trading_assets.compilation import compiled


@compiled(error_model="python")
def sigmoid_of(x: float) -> float:
    """Of a number; one and many are computed alike, so that a stream and a batch agree to the last bit."""
    return 0.5 + 0.5 * math.tanh(0.5 * x)


@compiled(error_model="python")
def sigmoids_of(x: Floats) -> Floats:
    """Of an array of shape (n,)."""
    out = np.empty(len(x))
    for i in range(len(x)):
        out[i] = sigmoid_of(x[i])
    return out


def probabilities_of(scores: Floats) -> Floats:
    """Softmax of scores (n_bars, n_classes); of one column, the log-odds of the second of two classes."""
    if scores.shape[1] == 1:
        up = sigmoids_of(scores[:, 0])
        return np.column_stack([1 - up, up])
    odds = np.exp(scores - scores.max(axis=1, keepdims=True))
    p: Floats = odds / odds.sum(axis=1, keepdims=True)
    return p


def behind_lookback(forecast: Floats, n_bars: int) -> Floats:
    """The forecasts of the last bars, behind NaN where preprocessing looks back at bars not there."""
    out = np.full((n_bars, *forecast.shape[1:]), np.nan)
    out[n_bars - len(forecast) :] = forecast
    return out
