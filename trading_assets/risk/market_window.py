"""Risk of one unit of exposure from the last returns of the market, kept up bar by bar.

The window is a packed array: a head, a ring of the returns, and both of its tails in order of size, as many
returns as value at risk looks at. Only when a return leaves a tail is the ring searched for the next.
"""

from __future__ import annotations

import numpy as np

from trading_assets.arrays import Array
from trading_assets.compilation import compiled

COUNT, AT, PRICE, SUM, SQUARES = range(5)
_RING = 5
_LARGE = 100.0
MIN_RETURNS = 20
"""With fewer returns the risk is not known, and counts as infinite."""
UNIT_NAMES = ("volatility", "var_long", "var_short", "cvar_long", "cvar_short")
"""Of an exposure of 1 over one bar, losses positive."""
N_UNITS = len(UNIT_NAMES)
VOLATILITY, VAR, CVAR = 0, 1, 3


@compiled
def window_size(n_returns: int, tail: float) -> int:
    """Length of the packed array."""
    return _RING + n_returns + 2 * (int((n_returns - 1) * tail) + 2)


@compiled
def push_price(window: Array, n_returns: int, price: float, tail: float, unit: Array) -> None:
    """Take the price of a new bar into the window and write the risk of one unit into `unit` (5,).

    Value at risk is numpy's percentile, linearly interpolated; its conditional the mean of the returns up to
    it, as in `validation.metrics`; volatility has ddof 1.
    """
    if window[PRICE] > 0.0:
        _push_return(window, n_returns, price / window[PRICE] - 1.0)
    window[PRICE] = price
    n = int(window[COUNT])
    if n < MIN_RETURNS:
        unit[:] = np.inf
        return
    variance = (window[SQUARES] - window[SUM] * window[SUM] / n) / (n - 1)
    unit[VOLATILITY] = np.inf if np.isnan(variance) else np.sqrt(max(variance, 0.0))
    place = (n - 1) * tail
    last = int(place)
    part = place - last
    low = _RING + n_returns
    high = (low + len(window)) // 2
    worst, best = 0.0, 0.0
    for i in range(last + 1):
        worst -= window[low + i]
        best -= window[high + i]
    low, high = low + last, high + last
    unit[VAR] = max(-window[low] - part * (window[low + 1] - window[low]), 0.0)
    unit[VAR + 1] = max(-window[high] - part * (window[high + 1] - window[high]), 0.0)
    unit[CVAR], unit[CVAR + 1] = max(worst / (last + 1), 0.0), max(best / (last + 1), 0.0)


@compiled
def _push_return(window: Array, n_returns: int, new: float) -> None:
    n, at = int(window[COUNT]), _RING + int(window[AT])
    old, full = window[at], n == n_returns
    window[at] = new
    low = _RING + n_returns
    width = (len(window) - low) // 2
    _update_tail(window, low, width, 1.0, new, old, n, full)
    _update_tail(window, low + width, width, -1.0, -new, -old, n, full)
    if not full:
        window[COUNT] += 1.0
    window[SUM] += new - old  # an empty place holds 0
    window[SQUARES] += new * new - old * old
    window[AT] += 1.0
    # Summed anew once a round, so that rounding cannot pile up, and where what leaves would leave only that.
    wrapped = window[AT] == n_returns
    if wrapped or not old * old <= _LARGE * window[SQUARES]:
        window[AT] = 0.0 if wrapped else window[AT]
        window[SUM] = window[SQUARES] = 0.0
        for k in range(_RING, low):
            window[SUM] += window[k]
            window[SQUARES] += window[k] * window[k]


@compiled
def _update_tail(
    window: Array, first: int, width: int, sign: float, new: float, old: float, n: int, full: bool
) -> None:
    """Keep the `width` smallest of `sign` times the returns in order, from `first` on."""
    known = min(n, width)
    last = first + width - 1
    if full and old <= window[last]:
        i = first
        while window[i] < old:
            i += 1
        for k in range(i, last):
            window[k] = window[k + 1]
        known -= 1
        if new >= window[last - 1]:
            window[last] = _next_smallest(window, first, last, sign)
            return
    elif known == width:
        if new >= window[last]:
            return
        known -= 1
    i = first + known
    while i > first and window[i - 1] > new:
        window[i] = window[i - 1]
        i -= 1
    window[i] = new


@compiled
def _next_smallest(window: Array, first: int, last: int, sign: float) -> float:
    """Of `sign` times the returns in the ring, the smallest besides those from `first` to `last - 1`."""
    greatest = window[last - 1]
    width = last - first + 1
    stop = len(window) - 2 * width
    surplus, found = 0, np.inf
    for k in range(_RING, stop):
        value = sign * window[k]
        surplus += value == greatest
        if value > greatest:
            found = min(found, value)
    for k in range(first, last):
        surplus -= window[k] == greatest
    return greatest if surplus > 0 else found


@compiled
def unit_risk(prices: Array, n_returns: int, tail: float, out: Array) -> None:
    """Risk of one unit as known at the close of every bar, shape (n_bars, 5)."""
    window = np.zeros(window_size(n_returns, tail))
    for t in range(len(prices)):
        push_price(window, n_returns, prices[t], tail, out[t])
