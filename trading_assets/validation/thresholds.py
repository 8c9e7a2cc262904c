"""How far from 1/2 a probability must be before trading on it pays its costs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trading_assets.arguments import as_numbers
from trading_assets.compilation import compiled
from trading_assets.validation._arguments import check_costs, check_periods_per_year, check_whole_number
from trading_assets.validation.positions import TradingMetrics
from trading_assets.validation.returns import check_finite
from trading_assets.validation.ties import TIE, first_best

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
jit = compiled(error_model="python")

OBJECTIVES = ("sharpe", "return", "sortino", "profit_factor")
SHARPE, RETURN, SORTINO, PROFIT_FACTOR = range(4)
GAINS, LOSSES, SQUARES = range(3)  # the row of a net return is whether it loses
ACTIVE, LOSING, ORDERS, RUINED = range(4)
_FIGURES = ("net_sharpe", "mean_net", "net_sortino", "profit_factor")
"""The objectives among `TradingFigures`."""


@dataclass(frozen=True)
class OptimalThreshold:
    """The best threshold and all that were looked at; each of them is a trial (see `overfitting`).

    Attributes
    ----------
    threshold, value : float
        The one with the largest value of the objective, the smallest of several that are equal but for
        rounding (`ties.TIE`). One at which a bar loses all capital is chosen only where every one does.
    thresholds : ndarray of shape (n_thresholds,)
    values : ndarray of shape (n_thresholds,)
        Of the objective, as `TradingMetrics` counts it; NaN where it is undefined, which is never chosen.
    orders : ndarray of shape (n_thresholds,), int64
        Bars in which the position changed.
    """

    threshold: float
    value: float
    thresholds: Floats
    values: Floats
    orders: Counts


def optimal_threshold(
    probabilities: ArrayLike,
    returns: ArrayLike,
    *,
    fee_bps: float,
    slippage_bps: float,
    objective: str = "sharpe",
    n_thresholds: int = 200,
    periods_per_year: float = 1.0,
) -> OptimalThreshold:
    """The threshold with the best net result: long above 1/2 + it, short below 1/2 - it, else flat.

    Thresholds are equally spaced from 0 up to the largest |p - 1/2|, which is left out. What a bar earns net
    changes only where the threshold passes its own margin or that of the bar before, so that all backtests
    are sums over bins of the threshold, taken in one pass: O(n_bars + n_thresholds).

    Parameters
    ----------
    probabilities : array-like of shape (n_bars,)
        Of a rise, 0 to 1, known when the bar's position is taken.
    returns : array-like of shape (n_bars,)
        What a position of 1 earns in the bar, as `TradingMetrics` counts it.
    fee_bps, slippage_bps : float
        Basis points of the change of position.
    objective : {"sharpe", "return", "sortino", "profit_factor"}
        Of the net returns: mean over standard deviation (ddof 1) and mean over downside deviation, both
        annualised; the mean a bar; gains over losses. Undefined where nothing varies ("sharpe") or no bar
        loses ("sortino", "profit_factor").
    n_thresholds : int
    periods_per_year : float
        Bars a year; 1 leaves ratios as they are a bar.

    Raises
    ------
    ValueError
        When inputs differ in length or hold NaN, probabilities leave 0 to 1 or are all 1/2, costs are
        negative, or the objective is unknown or undefined at every threshold.
    """
    p, earned = as_numbers("probabilities", probabilities), as_numbers("returns", returns)
    if p.ndim != 1 or p.shape != earned.shape or len(p) == 0:
        raise ValueError(
            f"probabilities have shape {p.shape}, returns {earned.shape}; expected one of each a bar."
        )
    check_finite("probabilities", p)
    check_finite("returns", earned)
    check_costs(fee_bps, slippage_bps)
    check_periods_per_year(periods_per_year)
    lowest, highest = float(p.min()), float(p.max())
    if lowest < 0 or highest > 1:
        raise ValueError(f"probabilities reach from {lowest} to {highest}; expected 0 to 1.")
    if objective not in OBJECTIVES:
        raise ValueError(f"objective is {objective!r}; expected one of {', '.join(OBJECTIVES)}.")
    check_whole_number("n_thresholds", n_thresholds, 1)
    largest = max(highest - 0.5, 0.5 - lowest)
    if largest == 0:
        raise ValueError("Every probability is 1/2: there is no threshold at which anything is traded.")
    thresholds = np.linspace(0, largest, n_thresholds, endpoint=False)
    cost, kind = (fee_bps + slippage_bps) / 1e4, OBJECTIVES.index(objective)
    # Deviations are taken from the mean at threshold 0, or the variance of a large mean would cancel.
    centre = _mean_net(p, earned, cost)
    sums, counts = _sweep(
        p, earned, 0.5 + thresholds, 0.5 - thresholds, n_thresholds / largest, cost, centre, kind
    )
    values = _values(sums, counts, kind, len(p), centre, periods_per_year)
    orders, ruined = counts[ORDERS], counts[RUINED] > 0
    metrics = TradingMetrics(fee_bps, slippage_bps, periods_per_year)
    for k in np.flatnonzero(ruined):
        position = (p > 0.5 + thresholds[k]).astype(float) - (p < 0.5 - thresholds[k])
        figures = metrics.evaluate(position, earned)
        values[k], orders[k] = getattr(figures, _FIGURES[kind]), figures.orders
    if np.isnan(values).all():
        raise ValueError(
            f"The objective {objective!r} is undefined at every threshold: no bar loses, or nothing varies; "
            'use objective="return".'
        )
    scale = np.sqrt(periods_per_year) if kind in (SHARPE, SORTINO) else 1.0
    noise = np.abs(earned).mean() + cost if kind == RETURN else scale + np.abs(values)
    allowed = np.where(ruined, np.nan, values)
    best = first_best(values if np.isnan(allowed).all() else allowed, TIE * noise)
    return OptimalThreshold(float(thresholds[best]), float(values[best]), thresholds, values, orders)


def _values(
    sums: Floats, counts: Counts, kind: int, n: int, centre: float, periods_per_year: float
) -> Floats:
    """The objective at every threshold."""
    gains, losses = sums[GAINS], sums[LOSSES]
    mean = (gains - losses) / n
    if kind == RETURN:
        return np.asarray(mean)
    with np.errstate(invalid="ignore", divide="ignore"):
        if kind == SHARPE:
            deviations = sums[SQUARES] + (n - counts[ACTIVE]) * centre**2
            shift = (mean - centre) ** 2
            variance = (deviations - n * shift) / (n - 1)
            # Less is what rounding leaves where nothing varies.
            ratio, defined = mean / np.sqrt(variance), variance > 1e-13 * shift + 1e-24 * mean**2
        elif kind == SORTINO:
            ratio, defined = mean / np.sqrt(sums[SQUARES] / n), counts[LOSING] > 0
        else:
            ratio, defined = gains / losses, counts[LOSING] > 0
    scale = 1.0 if kind == PROFIT_FACTOR else np.sqrt(periods_per_year)
    return np.asarray(np.where(defined, ratio * scale, np.nan))


@jit
def _side(p: float) -> float:
    return 1.0 * (p > 0.5) - 1.0 * (p < 0.5)


@jit
def _mean_net(p: Floats, earned: Floats, cost: float) -> float:
    """Mean net return at threshold 0."""
    total, before = 0.0, 0.0
    for t in range(len(p)):
        side = _side(p[t])
        total += side * earned[t] - cost * abs(side - before)
        before = side
    return total / len(p)


@jit
def _sweep(
    p: Floats,
    earned: Floats,
    upper: Floats,
    lower: Floats,
    scale: float,
    cost: float,
    centre: float,
    kind: int,
) -> tuple[Floats, Counts]:
    """Sums over the bars that earn or pay something, at every threshold.

    A bar earns `full` below both margins, its own and that of the bar before; `half` between them, where
    only one of the two bars is traded; nothing above. Each is added to the bin of the largest threshold at
    which it holds and taken away where it ends, and the bins are cumulated from the top.
    """
    n_bins = len(upper)
    bins, lost = np.zeros((n_bins, 4)), np.zeros((n_bins, 4))
    counts = np.zeros((n_bins, 4), dtype=np.int64)
    side_before, traded_before = 0.0, 0
    for t in range(len(p)):
        side, traded = _side(p[t]), _thresholds_passed(p[t], upper, lower, scale)
        low, high = min(traded, traded_before), max(traded, traded_before)
        half = side * earned[t] - cost if traded > traded_before else -cost
        full = side * earned[t] - cost * abs(side - side_before)
        if high > low:
            _add(bins, lost, counts, high - 1, half, centre, kind, 1)
            counts[high - 1, ORDERS] += 1
        if low > 0:
            _add(bins, lost, counts, low - 1, full, centre, kind, 1)
            counts[low - 1, ORDERS] += side != side_before
            if high > low:
                _add(bins, lost, counts, low - 1, half, centre, kind, -1)
                counts[low - 1, ORDERS] -= 1
        side_before, traded_before = side, traded
    for k in range(n_bins - 2, -1, -1):
        for j in range(3):
            _add_exactly(bins, lost, j, k, bins[k + 1, j])
            lost[k, j] += lost[k + 1, j]
        counts[k] += counts[k + 1]
    return (bins + lost).T, counts.T


@jit
def _thresholds_passed(p: float, upper: Floats, lower: Floats, scale: float) -> int:
    """The number of thresholds at which `p` is traded, compared as p > upper or p < lower."""
    n_bins = len(upper)
    k = min(int(abs(p - 0.5) * scale) + 1, n_bins)
    # The guess may be off by one; the comparison decides.
    while k < n_bins and (p > upper[k]) | (p < lower[k]):
        k += 1
    while k > 0 and not (p > upper[k - 1]) | (p < lower[k - 1]):
        k -= 1
    return k


@jit
def _add(
    bins: Floats, lost: Floats, counts: Counts, k: int, net: float, centre: float, kind: int, sign: int
) -> None:
    """Add a bar's net return to bin `k`, or with sign -1 take it away.

    Without branches on the return's sign, which no processor can foretell.
    """
    loses = int(net < 0)
    counts[k, ACTIVE] += sign
    counts[k, LOSING] += sign * loses
    counts[k, RUINED] += sign * int(net <= -1)
    _add_exactly(bins, lost, loses, k, sign * abs(net))
    if kind == SHARPE:
        _add_exactly(bins, lost, SQUARES, k, sign * (net - centre) ** 2)
    elif kind == SORTINO:
        _add_exactly(bins, lost, SQUARES, k, sign * loses * net**2)


@jit
def _add_exactly(bins: Floats, lost: Floats, j: int, k: int, value: float) -> None:
    """Add, and keep what the rounding lost (Knuth's two-sum): few orders must not drown in many others."""
    before = bins[k, j]
    total = before + value
    part = total - before
    lost[k, j] += (before - (total - part)) + (value - part)
    bins[k, j] = total
