"""Larger bars, made from smaller ones and known from their close on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trading_assets.arrays import Floats
from trading_assets.compilation import compiled, inner
from trading_assets.features.catalogue import timeframe_seconds
from trading_assets.features.series import Array
from trading_assets.market.bars import bar_seconds, to_rows

_SLOTS = 11
"""What is remembered of the larger bar that was last begun: whether it is open (1) or closed (-1), seven
columns of it, the open time of the last small bar, how long small bars are, and how often that was seen
(infinitely often where it was told)."""

_MONDAY = 345_600
"""1970-01-05, seconds: weeks begin on Monday."""


def start_of_buckets(timeframe: str) -> float:
    """Seconds after which the first bucket begins that all others are counted from."""
    return float(_MONDAY if timeframe.endswith("w") else 0)


def nothing_begun(interval: float) -> Floats:
    """What `resample` remembers before the first bar; `interval` in seconds, 0 where it must be learnt."""
    partial = np.zeros(_SLOTS)
    if interval > 0:
        partial[9], partial[10] = interval, np.inf
    return partial


@inner
def _close(partial: Array, larger: Array, made: int) -> int:
    for column in range(7):
        larger[column, made] = partial[1 + column]
    partial[0] = -1.0
    return 1


@compiled
def resample(bars: Array, size: float, origin: float, partial: Array, larger: Array, closed: Array) -> int:
    """Gather bars into larger ones; returns how many were closed.

    A larger bar is closed by the small bar that ends where it ends, or, where that one is missing, by
    the first that comes after. Where it was not told how long small bars are, it is the smallest of their
    distances, of which there must be two.

    Parameters
    ----------
    bars : ndarray of shape (7, n)
    size, origin : float
        Seconds of a larger bar, and where one of them begins.
    partial : ndarray
        Carried from call to call; `nothing_begun` at the start.
    larger : ndarray of shape (7, >= n + 1)
        Receives the closed bars.
    closed : ndarray of shape (n,), int64
        Receives how many of them were closed at the close of each small bar.
    """
    made = 0
    for t in range(bars.shape[1]):
        time = bars[0, t]
        start = np.floor((time - origin) / size) * size + origin
        if partial[0] > 0 and start != partial[1]:
            made += _close(partial, larger, made)
        if partial[8] != 0 and partial[10] < np.inf:
            distance = time - partial[8]
            partial[9] = distance if partial[9] == 0 else min(partial[9], distance)
            partial[10] += 1
        partial[8] = time
        if partial[0] > 0:
            partial[3] = max(partial[3], bars[2, t])
            partial[4] = min(partial[4], bars[3, t])
            partial[5] = bars[4, t]
            partial[6] += bars[5, t]
            partial[7] += bars[6, t]
        elif partial[0] == 0 or start != partial[1]:
            partial[0], partial[1] = 1.0, start
            for column in range(1, 7):
                partial[1 + column] = bars[column, t]
        if partial[0] > 0 and partial[10] > 1 and time + partial[9] >= start + size:
            made += _close(partial, larger, made)
        closed[t] = made
    return made


@compiled
def spread(values: Array, before: Array, closed: Array, out: Array) -> None:
    """Of every small bar the values of the last larger bar that was closed then.

    Parameters
    ----------
    values : ndarray of shape (n_columns, n_larger), float32
    before : ndarray of shape (n_columns,), float32
        Of the larger bar before the first of `values`.
    closed : ndarray of shape (n,), int64
    out : ndarray of shape (n_columns, n), float32
    """
    for column in range(len(values)):
        for t in range(len(closed)):
            out[column, t] = values[column, closed[t] - 1] if closed[t] > 0 else before[column]


def to_timeframe(bars: pd.DataFrame, timeframe: str) -> tuple[pd.DataFrame, NDArray[np.int64]]:
    """Larger bars of a frame of bars, and how many of them were closed at the close of each small bar.

    A bucket that is not closed at the end is left out. Of the funding that fell due in a larger bar, all but
    what was due at its open is `funding_within` it.

    Parameters
    ----------
    bars : DataFrame
        As from `market.read_bars`.
    timeframe : str
        A whole number of minutes, hours, days or weeks: '15m', '4h', '1d', '1w'.

    Returns
    -------
    larger : DataFrame
    closed : ndarray of int of shape (n_bars,)

    Raises
    ------
    MarketError
        When `bars` are none.

    Examples
    --------
    >>> from trading_assets.market import SyntheticMarket
    >>> larger, closed = to_timeframe(SyntheticMarket("price", 1.0, n_bars=10).bars, "4h")
    >>> len(larger), closed.tolist()
    (2, [0, 0, 0, 1, 1, 1, 1, 2, 2, 2])
    """
    rows = to_rows(bars)
    larger, closed = np.empty_like(rows), np.empty(len(bars), dtype=np.int64)
    partial = nothing_begun(bar_seconds(rows[0]))
    size, origin = float(timeframe_seconds(timeframe)), start_of_buckets(timeframe)
    made = resample(rows, size, origin, partial, larger, closed)
    times = pd.to_datetime(np.round(larger[0, :made] * 1e9).astype(np.int64), utc=True)
    columns: dict[str, Any] = {"timestamp": times}
    for number, name in enumerate(("open", "high", "low", "close", "volume"), start=1):
        columns[name] = larger[number, :made]
    if "funding_rate" in bars:
        columns["funding_rate"] = larger[6, :made]
        bucket = np.floor((rows[0] - origin) / size)
        first = np.unique(bucket, return_index=True)[1][:made]
        at_open = rows[6] - (bars["funding_within"].to_numpy() if "funding_within" in bars else 0.0)
        within = larger[6, :made] - at_open[first]
        if within.any():
            columns["funding_within"] = within
    return pd.DataFrame(columns), closed


def join_timeframe(
    values: NDArray[np.float32], closes: NDArray[np.int64], at: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Values of larger bars as they were known at the close of each small one.

    Parameters
    ----------
    values : ndarray of shape (n_larger, n_columns)
    closes : ndarray of shape (n_larger,)
        When each larger bar closes, increasing.
    at : ndarray of shape (n_bars,)
        When each small bar closes, increasing, in the same unit.

    Returns
    -------
    ndarray of shape (n_bars, n_columns), float32
        Of the last larger bar whose close is not later; NaN before the first.

    Examples
    --------
    >>> values = np.array([[1.0], [2.0]], dtype=np.float32)
    >>> join_timeframe(values, np.array([4, 8]), np.array([3, 4, 7, 9])).ravel().tolist()
    [nan, 1.0, 1.0, 2.0]
    """
    out = np.empty((values.shape[1], len(at)), dtype=np.float32)
    _join(np.ascontiguousarray(values, dtype=np.float32), closes, at, out)
    joined: NDArray[np.float32] = out.T
    return joined


@compiled
def _join(values: Array, closes: Array, at: Array, out: Array) -> None:
    known = 0
    for t in range(len(at)):
        while known < len(closes) and closes[known] <= at[t]:
            known += 1
        for column in range(len(out)):
            out[column, t] = values[known - 1, column] if known > 0 else np.nan
