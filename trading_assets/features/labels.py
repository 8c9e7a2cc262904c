"""Targets, each with the bars its answer is made of, so that validation knows what to purge.

A bar is observed at its close and an order fills at the next open: the label of bar t runs from
open[t+1] to open[t+1+h].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from trading_assets.features.kernels import CLOSE, OPEN

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Labels:
    """Targets of every bar; NaN where the bars that decide them are not there yet.

    Attributes
    ----------
    forward_return : ndarray of shape (n_bars,)
        open[t+1+h] / open[t+1] - 1.
    direction : ndarray of shape (n_bars,)
        1.0 where the forward return is positive, 0.0 where it is not.
    high_variance : ndarray of shape (n_bars,)
        1.0 where the next bars' realised variance exceeds the median of the trailing ones.
    label_start, label_end : ndarray of shape (n_bars,), int64
        First and last bar that `direction` and `high_variance` depend on, both included; the end may
        lie beyond the last bar.
    """

    forward_return: Floats
    direction: Floats
    high_variance: Floats
    label_start: NDArray[np.int64]
    label_end: NDArray[np.int64]


def label_span(horizon: int, variance_horizon: int) -> int:
    """Bars from an observation to the last bar that its labels depend on."""
    return max(horizon + 1, variance_horizon)


def make_labels(bars: Floats, *, horizon: int, variance_horizon: int, variance_lookback: int) -> Labels:
    """Labels of `bars` (shape (n_bars, 6)); horizons and lookback in bars."""
    n = len(bars)
    position = np.arange(n)
    forward = np.full(n, np.nan)
    if n > horizon + 1:
        opens = bars[:, OPEN]
        forward[: n - horizon - 1] = opens[horizon + 1 :] / opens[1 : n - horizon] - 1
    direction = np.where(np.isnan(forward), np.nan, forward > 0)
    return Labels(
        forward_return=forward,
        direction=direction,
        high_variance=_high_variance(bars[:, CLOSE], variance_horizon, variance_lookback),
        label_start=position + 1,
        label_end=position + label_span(horizon, variance_horizon),
    )


def _high_variance(close: Floats, horizon: int, lookback: int) -> Floats:
    """Whether the variance of the next `horizon` returns exceeds its trailing median."""
    n = len(close)
    high = np.full(n, np.nan)
    if n < lookback + 2 * horizon:
        return high
    squares = np.diff(np.log(close), prepend=np.log(close[0])) ** 2
    # realised[t] sums the returns of bars t-h+1 .. t; the next bars' is realised[t+h].
    realised = np.full(n, np.nan)
    realised[horizon:] = sliding_window_view(squares[1:], horizon).sum(axis=1)
    median = pd.Series(realised).rolling(lookback).median().to_numpy()
    future = np.full(n, np.nan)
    future[: n - horizon] = realised[horizon:]
    known = np.isfinite(median) & np.isfinite(future)
    high[known] = future[known] > median[known]
    return high
