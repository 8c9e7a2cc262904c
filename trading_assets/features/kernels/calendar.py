"""Time of day and of week."""

from __future__ import annotations

from math import floor, pi, sin

import numpy as np

from trading_assets.compilation import inner
from trading_assets.features.indicators import DAY, WEEK, Indicator, no_bars
from trading_assets.features.series import TIME, Array

_MINUTES = 10_080
"""Minutes of a week; the sine of each is kept, because few bars are shorter and a sine costs as much as
five features."""
_SINES = np.sin(2 * np.pi * np.arange(_MINUTES) / _MINUTES)


@inner
def _sine(time: float, period: float, ahead: float) -> float:
    """sin of the share of the period (a day or a week) that has passed, `ahead` turns further."""
    turns = time / period + ahead
    share = turns - floor(turns)
    minute = share * _MINUTES
    whole = int(minute + 0.5)
    return float(_SINES[whole % _MINUTES] if abs(minute - whole) < 1e-6 else sin(2 * pi * share))


@inner
def cycle_sin(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    for t in range(lo, hi):
        out[t - lo] = _sine(x[TIME, t], p[0], 0.0)


@inner
def cycle_cos(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    for t in range(lo, hi):
        out[t - lo] = _sine(x[TIME, t], p[0], 0.25)


INDICATORS = (
    Indicator(
        "day_sin",
        family="calendar",
        kernel=cycle_sin,
        defaults=((DAY,),),
        formula="sin of the time of day, UTC",
        state=0,
        memory=no_bars,
        warm_up=no_bars,
        needs="day",
    ),
    Indicator(
        "day_cos",
        family="calendar",
        kernel=cycle_cos,
        defaults=((DAY,),),
        formula="cos of the time of day, UTC",
        state=0,
        memory=no_bars,
        warm_up=no_bars,
        needs="day",
    ),
    Indicator(
        "week_sin",
        family="calendar",
        kernel=cycle_sin,
        defaults=((WEEK,),),
        formula="sin of the time of week, UTC",
        state=0,
        memory=no_bars,
        warm_up=no_bars,
        needs="week",
    ),
    Indicator(
        "week_cos",
        family="calendar",
        kernel=cycle_cos,
        defaults=((WEEK,),),
        formula="cos of the time of week, UTC",
        state=0,
        memory=no_bars,
        warm_up=no_bars,
        needs="week",
    ),
)
