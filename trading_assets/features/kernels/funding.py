"""Funding rates that fell due."""

from __future__ import annotations

from trading_assets.compilation import inner
from trading_assets.features.indicators import Indicator, no_bars, window
from trading_assets.features.kernels.rolling import sum_before
from trading_assets.features.series import FUNDING, Array


@inner
def funding_last(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    """The last rate that fell due."""
    rate = state[0]
    for t in range(lo, hi):
        rate = x[FUNDING, t] if x[FUNDING, t] != 0 else rate
        out[t - lo] = rate
    state[0] = rate


@inner
def funding_sum(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    n = int(p[0])
    total = sum_before(x, FUNDING, lo, n, 1, state[0])
    for t in range(lo, hi):
        total += x[FUNDING, t] - x[FUNDING, t - n]
        out[t - lo] = total
    state[0] = total


INDICATORS = (
    Indicator(
        "funding_last",
        family="funding",
        kernel=funding_last,
        defaults=((),),
        formula="the last rate other than 0 that fell due",
        state=1,
        memory=no_bars,
        warm_up=no_bars,
        unit="rate",
        needs="funding",
    ),
    Indicator(
        "funding_sum",
        family="funding",
        kernel=funding_sum,
        defaults=((24,), (168,)),
        formula="sum of the rates that fell due, {0} bars",
        state=1,
        memory=window,
        warm_up=window,
        unit="rate",
        needs="funding",
    ),
)
