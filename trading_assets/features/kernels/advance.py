"""The one loop over all kernels."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from math import log
from typing import Any

from numba import literal_unroll

from trading_assets.compilation import compiled
from trading_assets.features.indicators import Indicator
from trading_assets.features.kernels import (
    bar_shape,
    calendar,
    funding,
    moments,
    momentum,
    price_position,
    trend,
    volatility,
    volume,
)
from trading_assets.features.kernels.rolling import ANCHOR
from trading_assets.features.series import CLOSE, LOG_CLOSE, LOG_OPEN, TIME, Array, derive

# Kernels are compiled into the loop as first-class functions.
warnings.filterwarnings("ignore", message="First-class function type feature is experimental")

CATALOGUE: tuple[Indicator, ...] = (
    *momentum.INDICATORS,
    *trend.INDICATORS,
    *price_position.INDICATORS,
    *volatility.INDICATORS,
    *volume.INDICATORS,
    *bar_shape.INDICATORS,
    *moments.INDICATORS,
    *calendar.INDICATORS,
    *funding.INDICATORS,
)
"""All indicators, in the order of their columns."""
KERNELS: tuple[Callable[..., Any], ...] = tuple(dict.fromkeys(one.kernel for one in CATALOGUE))


@compiled
def advance(
    bars: Array, x: Array, position: int, seen: int, history: int, starts: Array, rows: Array,
    offsets: Array, state: Array, p: Array, out: Array, first: int,
) -> int:  # fmt: skip
    """Take `bars` in, in blocks that do not reach across an anchor; returns the buffer's new position.

    Parameters
    ----------
    bars : ndarray of shape (7, n)
    x : ndarray of shape (N_SERIES, capacity)
        The buffer; the last `history` columns before `position` are kept when it is full.
    position, seen, history : int
        Next column of the buffer, bars taken in before, columns that kernels look back.
    starts, rows, offsets, state, p
        Of kernel k the features `starts[k]:starts[k+1]`; of each feature its row in `out`, its part of
        `state`, and its parameters.
    out : ndarray of shape (n_features, >= first + n), float32
    first : int
        Column of `out` that belongs to the first of `bars`.
    """
    n, done = bars.shape[1], 0
    if seen == 0 and n > 0:
        x[LOG_OPEN : LOG_CLOSE + 1, :position] = log(bars[CLOSE - TIME, 0])
    while done < n:
        size = min(n - done, ANCHOR - seen % ANCHOR)
        if position + size > x.shape[1]:
            for row in range(x.shape[0]):
                for i in range(history):
                    x[row, i] = x[row, position - history + i]
            position = history
        derive(bars, done, done + size, x, position, seen)
        number = 0
        for function in literal_unroll(KERNELS):
            for j in range(starts[number], starts[number + 1]):
                memory = state[offsets[j] : offsets[j + 1]]
                target = out[rows[j]][first + done : first + done + size]
                function(x, position, position + size, memory, target, p[j])
            number += 1  # noqa: SIM113 - literal_unroll knows no enumerate
        position += size
        seen += size
        done += size
    return position
