"""What columns mean by their numbers; their names only suggest it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from trading_assets.arrays import Floats

_TOLERANCE = 0.02
"""By so much rounding may move the ratio of two volumes; units differ by ten times at least."""
_SHARE, _LEAST = 0.98, 5
_SMALLEST, _LARGEST = -6, 3
_LOTS = 100.0


@dataclass(frozen=True)
class Turnover:
    """Two columns of which one is the other times the price.

    Attributes
    ----------
    base, quote : int
        Positions of the volume in units of what is traded, and of the same in currency.
    factor : float
        A power of ten: `quote` over `base` is so many times the price.
    """

    base: int
    quote: int
    factor: float


def swapped_high_and_low(high: Floats, low: Floats) -> bool:
    """Whether the column named after the high is the lower one in every row."""
    return bool(len(high) >= _LEAST and (high <= low).all() and (high < low).any())


def find_turnover(columns: Mapping[int, Floats], low: Floats, high: Floats) -> Turnover | None:
    """The largest volume that another column holds times the price, or the price times a power of ten.

    Parameters
    ----------
    columns : dict of int to ndarray of shape (n_rows,)
        By position, what could be a volume.
    low, high : ndarray of shape (n_rows,)
        The price of every row lies between them.
    """
    found = [
        Turnover(base, quote, factor)
        for base in columns
        for quote in columns
        if base != quote
        and (factor := _times_the_price(columns[base], columns[quote], low, high)) is not None
    ]
    return max(found, key=lambda pair: float(np.nansum(columns[pair.base])), default=None)


def lots(turnover: Turnover, layout: str) -> float:
    """What the volume has to be multiplied by: 100 where it is in lots of that size.

    Chinese files count shares in lots of 100, and Tushare's currency in thousands besides.
    """
    in_lots = turnover.factor == _LOTS or (layout == "Tushare" and turnover.factor == _LOTS / 1_000)
    return _LOTS if in_lots else 1.0


def _times_the_price(base: Floats, quote: Floats, low: Floats, high: Floats) -> float | None:
    traded = (base > 0) & (quote > 0) & (low > 0) & np.isfinite(base + quote + low + high)
    if np.count_nonzero(traded) < _LEAST:
        return None
    ratio, bottom, top = quote[traded] / base[traded], low[traded], high[traded]
    power = round(float(np.log10(np.median(ratio / np.sqrt(bottom * top)))))
    if not _SMALLEST <= power <= _LARGEST:
        return None
    factor = 10.0**power
    within = (ratio >= factor * bottom * (1 - _TOLERANCE)) & (ratio <= factor * top * (1 + _TOLERANCE))
    # Where prices hardly move, columns that are in a fixed ratio fit too: the ratio has to follow.
    unexplained = np.std(np.log(ratio / np.sqrt(bottom * top)))
    follows = unexplained < 0.5 * np.std(np.log(ratio))
    return factor if follows and np.mean(within) >= _SHARE else None
