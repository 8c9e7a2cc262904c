"""Where the close lies among the last highs and lows."""

from __future__ import annotations

import numpy as np

from trading_assets.compilation import inner
from trading_assets.features.indicators import Indicator, window, window_and_one
from trading_assets.features.series import CLOSE, HIGH, LOG_CLOSE, LOG_HIGH, LOG_LOW, LOW, Array


@inner
def _highest(x: Array, row: int, lo: int, hi: int, n: int, sign: float, out: Array) -> None:
    """The highest (sign -1: lowest) of the last `n` values, times the sign.

    In pieces of `n` bars: a window is what lies before the piece's first bar and what lies from it on, and
    the best of either is kept while walking away from that bar (van Herk 1992).
    """
    before = np.empty(n)
    for start in range(lo, hi, n):
        values = x[row, start - n + 1 : min(start + n, hi)]
        top = -np.inf
        for i in range(n - 1):
            top = max(top, sign * values[n - 2 - i])
            before[n - 2 - i] = top
        before[n - 1] = -np.inf
        top = -np.inf
        found = out[start - lo :]
        for i in range(len(values) - n + 1):
            top = max(top, sign * values[n - 1 + i])
            found[i] = max(top, before[i])


@inner
def _ages(x: Array, row: int, lo: int, hi: int, n: int, sign: float, out: Array) -> None:
    """Age of the latest extreme of the last `n` values; in pieces, as `_highest`."""
    before, where = np.empty(n), np.empty(n, np.int64)
    for start in range(lo, hi, n):
        values = x[row, start - n + 1 : min(start + n, hi)]
        top, at = -np.inf, 0
        for i in range(n - 2, -1, -1):
            value = sign * values[i]
            if value > top:
                top, at = value, i
            before[i], where[i] = top, at
        before[n - 1] = -np.inf
        top, at = -np.inf, 0
        found = out[start - lo :]
        for i in range(len(values) - n + 1):
            value = sign * values[n - 1 + i]
            if value >= top:
                top, at = value, n - 1 + i
            found[i] = n - 1 + i - (at if top >= before[i] else where[i])


@inner
def channel_position(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    n, size = int(p[0]), hi - lo
    top, bottom, close = np.empty(size), np.empty(size), x[CLOSE, lo:hi]
    _highest(x, HIGH, lo, hi, n, 1.0, top)
    _highest(x, LOW, lo, hi, n, -1.0, bottom)
    for i in range(size):
        width = top[i] + bottom[i]
        out[i] = (close[i] + bottom[i]) / width if width > 0 else 0.5


@inner
def aroon(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    n, share = int(p[0]), 1.0 / p[0]
    high, low = np.empty(hi - lo), np.empty(hi - lo)
    _ages(x, HIGH, lo, hi, n + 1, 1.0, high)
    _ages(x, LOW, lo, hi, n + 1, -1.0, low)
    for i in range(hi - lo):
        out[i] = (low[i] - high[i]) * share


@inner
def below_high(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    top, close = np.empty(hi - lo), x[LOG_CLOSE, lo:hi]
    _highest(x, LOG_HIGH, lo, hi, int(p[0]), 1.0, top)
    for i in range(hi - lo):
        out[i] = close[i] - top[i]


@inner
def above_low(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    bottom, close = np.empty(hi - lo), x[LOG_CLOSE, lo:hi]
    _highest(x, LOG_LOW, lo, hi, int(p[0]), -1.0, bottom)
    for i in range(hi - lo):
        out[i] = close[i] + bottom[i]


INDICATORS = (
    Indicator(
        "channel",
        family="price position",
        kernel=channel_position,
        defaults=((24,), (96,), (168,)),
        formula="(close - lowest low) / (highest high - lowest low), {0} bars",
        state=0,
        memory=window,
        warm_up=window,
    ),
    Indicator(
        "aroon",
        family="price position",
        kernel=aroon,
        defaults=((48,),),
        formula="(bars since the low - bars since the high) / {0}, of {0} + 1 bars",
        state=0,
        memory=window_and_one,
        warm_up=window_and_one,
    ),
    Indicator(
        "below_high",
        family="price position",
        kernel=below_high,
        defaults=((168,),),
        formula="ln(close / highest high), {0} bars",
        state=0,
        memory=window,
        warm_up=window,
        unit="log",
    ),
    Indicator(
        "above_low",
        family="price position",
        kernel=above_low,
        defaults=((168,),),
        formula="ln(close / lowest low), {0} bars",
        state=0,
        memory=window,
        warm_up=window,
        unit="log",
    ),
)
