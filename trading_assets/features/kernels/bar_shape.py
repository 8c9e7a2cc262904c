"""Body and shadows of one bar."""

from __future__ import annotations

from trading_assets.compilation import inner
from trading_assets.features.indicators import Indicator, no_bars
from trading_assets.features.kernels.rolling import ratio_of
from trading_assets.features.series import CLOSE, HIGH, LOW, OPEN, Array


@inner
def body(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    for t in range(lo, hi):
        out[t - lo] = ratio_of(x[CLOSE, t] - x[OPEN, t], x[HIGH, t] - x[LOW, t])


@inner
def upper_shadow(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    for t in range(lo, hi):
        out[t - lo] = ratio_of(x[HIGH, t] - max(x[OPEN, t], x[CLOSE, t]), x[HIGH, t] - x[LOW, t])


@inner
def lower_shadow(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    for t in range(lo, hi):
        out[t - lo] = ratio_of(min(x[OPEN, t], x[CLOSE, t]) - x[LOW, t], x[HIGH, t] - x[LOW, t])


INDICATORS = (
    Indicator(
        "body",
        family="bar shape",
        kernel=body,
        defaults=((),),
        formula="(close - open) / (high - low)",
        state=0,
        memory=no_bars,
        warm_up=no_bars,
        needs="range",
    ),
    Indicator(
        "upper_shadow",
        family="bar shape",
        kernel=upper_shadow,
        defaults=((),),
        formula="share of the range above the body",
        state=0,
        memory=no_bars,
        warm_up=no_bars,
        needs="range",
    ),
    Indicator(
        "lower_shadow",
        family="bar shape",
        kernel=lower_shadow,
        defaults=((),),
        formula="share of the range below the body",
        state=0,
        memory=no_bars,
        warm_up=no_bars,
        needs="range",
    ),
)
