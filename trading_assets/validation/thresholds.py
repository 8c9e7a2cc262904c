"""How far from 1/2 a probability must be before trading on it pays its costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trading_assets.arguments import as_numbers
from trading_assets.arrays import Floats
from trading_assets.validation._arguments import check_costs, check_periods_per_year, check_whole_number
from trading_assets.validation.metrics import sharpe_ratio, sortino_ratio
from trading_assets.validation.returns import check_finite, until_ruin
from trading_assets.validation.ties import TIE, first_best
from trading_assets.validation.trading_metrics import forecast_positions

OBJECTIVES = ("sharpe", "return", "sortino", "profit_factor")


@dataclass(frozen=True)
class OptimalThreshold:
    """The best threshold and all that were looked at; each of them is a trial (see `overfitting`).

    Attributes
    ----------
    threshold, value : float
        The one with the largest value of the objective, the smallest of several that are equal but for
        rounding (`ties.TIE`). One at which all capital is lost is chosen only where it is lost at every one.
    thresholds : ndarray of shape (n_thresholds,)
    values : ndarray of shape (n_thresholds,)
        Of the objective; NaN where it is undefined, which is never chosen.
    orders : ndarray of shape (n_thresholds,), int64
        Bars in which the position changed.

    Examples
    --------
    See `optimal_threshold`.
    """

    threshold: float
    value: float
    thresholds: Floats
    values: Floats
    orders: NDArray[np.int64]

    @classmethod
    def best_of(
        cls,
        thresholds: Floats,
        values: Floats,
        orders: NDArray[np.int64],
        ruined: NDArray[np.bool_],
        noise: float | Floats,
    ) -> Self:
        """The best of thresholds with these values, at least one of them a number.

        Parameters
        ----------
        thresholds, values, orders
            As above.
        ruined : ndarray of bool of shape (n_thresholds,)
            Where all capital is lost.
        noise : float or ndarray of shape (n_thresholds,)
            Size of what the values are made of: they are equal within `ties.TIE` of it.
        """
        allowed = np.where(ruined, np.nan, values)
        best = first_best(values if np.isnan(allowed).all() else allowed, TIE * noise)
        return cls(float(thresholds[best]), float(values[best]), thresholds, values, orders)


def threshold_grid(probabilities: Floats, n_thresholds: int) -> Floats:
    """Equally spaced thresholds from 0 up to the largest |p - 1/2|, which is left out: it trades nothing.

    Parameters
    ----------
    probabilities : ndarray of shape (n_bars,)
    n_thresholds : int

    Returns
    -------
    ndarray of shape (n_thresholds,)

    Examples
    --------
    >>> threshold_grid(np.array([0.25, 0.5, 0.6]), 2).tolist()
    [0.0, 0.125]
    """
    return np.linspace(0, np.abs(probabilities - 0.5).max(), n_thresholds, endpoint=False)


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
    """The threshold with the best result net of proportional costs, where forecasts are followed beyond it.

    A position is long above 1/2 + threshold, short below 1/2 - threshold, else flat; thresholds are equally
    spaced from 0 up to the largest |p - 1/2|, which is left out. Costs are a share of what is traded; for
    impact, interest, funding and margin calls give `forecast_positions` to `simulation.backtest`.

    Parameters
    ----------
    probabilities : array-like of shape (n_bars,)
        Of a rise, 0 to 1, known when the bar's position is taken.
    returns : array-like of shape (n_bars,)
        What a position of 1 earns in the bar, as `TradingMetrics` counts it.
    fee_bps, slippage_bps : float
        Basis points of the change of position.
    objective : {"sharpe", "return", "sortino", "profit_factor"}
        Of the net returns, as `TradingMetrics` counts them: mean over standard deviation (ddof 1) and mean
        over downside deviation, both annualized; the mean a bar; gains over losses. Undefined where nothing
        varies ("sharpe") or no bar loses ("sortino", "profit_factor").
    n_thresholds : int
    periods_per_year : float
        Bars a year; 1 leaves ratios as they are a bar.

    Returns
    -------
    OptimalThreshold

    Raises
    ------
    ValueError
        When inputs differ in length or hold NaN, probabilities leave 0 to 1 or are all 1/2, costs are
        negative, or the objective is unknown or undefined at every threshold.

    Examples
    --------
    >>> chosen = optimal_threshold(
    ...     [0.9, 0.6, 0.1, 0.4], [0.02, -0.01, -0.03, 0.01], fee_bps=10, slippage_bps=5, n_thresholds=4
    ... )
    >>> round(chosen.threshold, 3), chosen.orders.tolist()
    (0.1, [2, 4, 4, 4])
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
    if p.min() < 0 or p.max() > 1:
        raise ValueError(f"probabilities reach from {p.min()} to {p.max()}; expected 0 to 1.")
    if objective not in OBJECTIVES:
        raise ValueError(f"objective is {objective!r}; expected one of {', '.join(OBJECTIVES)}.")
    check_whole_number("n_thresholds", n_thresholds, 1)
    if (p == 0.5).all():
        raise ValueError("Every probability is 1/2: there is no threshold at which anything is traded.")
    thresholds, costs = threshold_grid(p, n_thresholds), (fee_bps + slippage_bps) / 1e4
    values, orders = np.empty(n_thresholds), np.empty(n_thresholds, dtype=np.int64)
    ruined = np.zeros(n_thresholds, dtype=bool)
    for k, threshold in enumerate(thresholds):
        position = forecast_positions(p, threshold)
        change = np.abs(np.diff(position, prepend=0.0))
        net = until_ruin(position * earned - costs * change)
        lost = net == -1
        ruined[k] = lost.any()
        orders[k] = np.count_nonzero(change[: lost.argmax() + 1] if ruined[k] else change)
        values[k] = _value(objective, net, periods_per_year)
    if np.isnan(values).all():
        raise ValueError(
            f"The objective {objective!r} is undefined at every threshold: no bar loses, or nothing varies; "
            'use objective="return".'
        )
    scale = np.sqrt(periods_per_year) if objective in {"sharpe", "sortino"} else 1.0
    noise = np.abs(earned).mean() + costs if objective == "return" else scale + np.abs(values)
    return OptimalThreshold.best_of(thresholds, values, orders, ruined, noise)


def _value(objective: str, net: Floats, periods_per_year: float) -> float:
    """The objective of net returns; NaN where it is undefined."""
    if objective == "return":
        return float(net.mean())
    if objective == "profit_factor":
        losses = -net[net < 0].sum()
        return float(net[net > 0].sum() / losses) if losses > 0 else float("nan")
    ratio = sharpe_ratio if objective == "sharpe" else sortino_ratio
    value = ratio(net, periods_per_year=periods_per_year)
    return value if np.isfinite(value) else float("nan")
