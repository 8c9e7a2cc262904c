"""The contract of a bar, one rule for files, exchanges, features, streams and the simulator.

A bar comes after the one before it, its numbers are finite, its prices positive, open and close lie between
low and high, and no volume is negative.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trading_assets.arrays import Floats

TIME, OPEN, HIGH, LOW, CLOSE, VOLUME, RATE, WITHIN = range(8)
"""Places of a bar's numbers: open time (seconds since 1970), prices, volume, funding rate, and the part of
the rate that falls due after the open."""
N_COLUMNS = 7
"""Without the last one, which few markets have."""
PRICES = slice(OPEN, CLOSE + 1)
NAMES = ("timestamp", "open", "high", "low", "close", "volume", "funding_rate", "funding_within")

NO_TIME = np.iinfo(np.int64).min / 1e9
"""What a missing time becomes in seconds."""

Fault = tuple[int, str, NDArray[np.bool_]]
"""Place of the number, what is wrong with it, and at which bars."""


def keeps_contract(rows: Floats, last: float) -> bool:
    """Whether all bars do, the first of them after `last` (seconds; -inf where there is none).

    Parameters
    ----------
    rows : ndarray of shape (7 or 8, n_bars)
    last : float
    """
    if rows.shape[1] == 0:
        return True
    return bool(
        rows[TIME, 0] > max(last, NO_TIME)
        and (np.diff(rows[TIME]) > 0).all()
        and rows[PRICES].min() > 0
        and (np.maximum(rows[OPEN], rows[CLOSE]) <= rows[HIGH]).all()
        and (np.minimum(rows[OPEN], rows[CLOSE]) >= rows[LOW]).all()
        and rows[VOLUME].min() >= 0
        and isfinite(rows.sum())
    )


def bar_keeps_contract(numbers: tuple[float, ...], last: float) -> bool:
    """`keeps_contract` of one bar, in the time that its features take."""
    _, opening, high, low, close, volume, *_ = numbers
    return (
        numbers[TIME] > max(last, NO_TIME)
        and low > 0
        and low <= opening <= high
        and low <= close <= high
        and volume >= 0
        and isfinite(sum(numbers))
    )


def faults(rows: Floats, last: float) -> Iterator[Fault]:
    """Every kind of fault there is; see `keeps_contract`."""
    body = np.sort(rows[[OPEN, CLOSE]], axis=0)
    before = np.append(max(last, NO_TIME), rows[TIME, :-1])
    found: list[Fault] = [(i, "is not finite", ~np.isfinite(row)) for i, row in enumerate(rows)]
    found += [(i, "is not positive", rows[i] <= 0) for i in range(OPEN, CLOSE + 1)]
    found += [
        (VOLUME, "is negative", rows[VOLUME] < 0),
        (HIGH, "lies below the bar's open or close", body[1] > rows[HIGH]),
        (LOW, "lies above the bar's open or close", body[0] < rows[LOW]),
        (TIME, "is not after the bar before it", ~(rows[TIME] > before)),
    ]
    yield from (fault for fault in found if fault[2].any())


def first_fault(rows: Floats, last: float) -> tuple[int, str]:
    """The first bar that breaks the contract, and which of its numbers does, and how.

    Raises
    ------
    ValueError
        When none does but their sum is more than a number can hold.
    """
    several = list(faults(rows, last))
    if not several:
        raise ValueError("The numbers of the bars add up to more than a number can hold.")
    place, problem, bad = min(several, key=lambda fault: int(fault[2].argmax()))
    bar = int(bad.argmax())
    value = time_text(rows[TIME, bar]) if place == TIME else f"{rows[place, bar]:.10g}"
    return bar, f"{NAMES[place]} {value} {problem}"


def time_text(seconds: float) -> str:
    return str(pd.Timestamp(seconds, unit="s", tz="UTC")) if seconds > NO_TIME else "none"
