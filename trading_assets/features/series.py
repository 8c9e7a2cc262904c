"""What all kernels read: bars, and what is derived from them once, in a buffer that moves along."""

from __future__ import annotations

from math import log, sqrt
from typing import Any

from trading_assets.compilation import inner

Array = Any
"""ndarray of float64 or float32, as numba sees it."""

(
    INDEX, TIME, OPEN, HIGH, LOW, CLOSE, VOLUME, FUNDING,
    LOG_OPEN, LOG_HIGH, LOG_LOW, LOG_CLOSE, LOG_VOLUME, RETURN, VARIANCE, Z, TYPICAL, ILLIQUIDITY,
) = range(18)  # fmt: skip
"""Rows of the series. INDEX counts bars from the first one, LOG_VOLUME is ln(1 + volume), RETURN the log
return of the close, VARIANCE its EWMA (decay 0.95, as RiskMetrics), Z the return over the deviation before
it, within +-3, TYPICAL the mean of high, low and close (the one before where rounding alone differs),
ILLIQUIDITY |return| / volume."""

N_SERIES = 18
DECAY = 0.95
ROUNDING = 1e-14
"""Share of a price below which what was computed from prices is the same: they are written with 12 digits at
most, and kept with 16."""


@inner
def derive(bars: Array, start: int, stop: int, x: Array, position: int, index: int) -> None:
    """Write bars `start:stop` (of `market.bars.to_rows`) into `x` from column `position` on."""
    for row in range(7):
        for i in range(stop - start):
            x[TIME + row, position + i] = bars[row, start + i]
    for i in range(stop - start):
        t = position + i
        x[INDEX, t] = index + i
        first = index + i == 0
        continues = not first and x[OPEN, t] == x[CLOSE, t - 1]
        x[LOG_OPEN, t] = x[LOG_CLOSE, t - 1] if continues else log(x[OPEN, t])
        x[LOG_HIGH, t] = log(x[HIGH, t])
        x[LOG_LOW, t] = log(x[LOW, t])
        x[LOG_CLOSE, t] = log(x[CLOSE, t])
        x[LOG_VOLUME, t] = log(1.0 + x[VOLUME, t])
        typical, before = (x[HIGH, t] + x[LOW, t] + x[CLOSE, t]) / 3, x[TYPICAL, t - 1]
        x[TYPICAL, t] = before if abs(typical - before) <= ROUNDING * typical else typical
        r = 0.0 if first else x[LOG_CLOSE, t] - x[LOG_CLOSE, t - 1]
        variance = 0.0 if first else x[VARIANCE, t - 1]
        x[RETURN, t] = r
        x[ILLIQUIDITY, t] = abs(r) / x[VOLUME, t] if x[VOLUME, t] > 0 else 0.0
        x[Z, t] = min(max(r / sqrt(variance), -3.0), 3.0) if variance > 0 else 0.0
        x[VARIANCE, t] = DECAY * variance + (1 - DECAY) * r * r if variance > 0 else r * r
