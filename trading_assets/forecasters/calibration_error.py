"""How far probabilities are from what they say: calibration errors, the Brier score and its parts."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trading_assets.arrays import Floats
from trading_assets.forecasters.inputs import as_numbers

Strategy = Literal["uniform", "quantile"]


class ReliabilityCurve(NamedTuple):
    """The bins that have rows, from low to high; arrays of shape (n_filled_bins,)."""

    predicted: Floats
    """Mean probability."""
    observed: Floats
    """Frequency of y = 1."""
    rows: NDArray[np.int64]
    """How many."""


class BrierDecomposition(NamedTuple):
    """Parts of the Brier score: `reliability - resolution + uncertainty + remainder`."""

    reliability: float
    """Mean squared distance of what a bin said to what happened in it; 0 is best."""
    resolution: float
    """Variance of the bins' frequencies; more is better."""
    uncertainty: float
    """Variance of y, whatever the forecast."""
    remainder: float
    """Within bins, variance of p less twice its covariance with y; 0 where a bin says one number."""


def expected_calibration_error(
    y: ArrayLike,
    p: ArrayLike,
    *,
    n_bins: int = 15,
    strategy: Strategy = "uniform",
    norm: Literal["l1", "l2", "max"] = "l1",
    sample_weight: ArrayLike | None = None,
) -> float:
    """Distance of what bins of probabilities say to what happened in them (Naeini et al. 2015).

    Even true probabilities score about 0.004 at 100,000 rows: do not expect zero.

    Parameters
    ----------
    y : array-like of shape (n,)
        What happened, 0 or 1.
    p : array-like of shape (n,)
        Probability of 1.
    n_bins : int
    strategy : {'uniform', 'quantile'}
        Bins of equal width, of which the last holds p = 1, or of equal weight, where equal p stay together.
    norm : {'l1', 'l2', 'max'}
        Mean distance, root of the mean squared distance (both by the weight of the bins), or the largest
        (Kumar et al. 2019).
    sample_weight : array-like of shape (n,), optional

    Returns
    -------
    float
        0 to 1.

    Raises
    ------
    ValueError
        When lengths differ, p leaves 0 to 1 or is NaN, y is neither 0 nor 1, a weight is negative, or
        an option is unknown.

    Examples
    --------
    >>> expected_calibration_error([1, 1, 0, 0], [0.75, 0.75, 0.25, 0.25])
    0.25
    """
    if norm not in {"l1", "l2", "max"}:
        raise ValueError(f"norm must be one of 'l1', 'l2', 'max'. Got {norm!r} instead.")
    weight, predicted, observed = _sums(*require_rows(y, p, sample_weight), n_bins, strategy)
    share, distance = _distances(weight, predicted, observed)
    if norm == "max":
        return float(distance.max())
    return float(share @ distance if norm == "l1" else np.sqrt(share @ distance**2))


def maximum_calibration_error(
    y: ArrayLike, p: ArrayLike, *, n_bins: int = 15, strategy: Strategy = "uniform"
) -> float:
    """The largest distance of what a bin says to what happened in it.

    Parameters
    ----------
    y : array-like of shape (n,)
        What happened, 0 or 1.
    p : array-like of shape (n,)
        Probability of 1.
    n_bins : int
    strategy : {'uniform', 'quantile'}
        See `expected_calibration_error`.

    Returns
    -------
    float
        0 to 1.

    Raises
    ------
    ValueError
        As `expected_calibration_error`.

    Examples
    --------
    >>> maximum_calibration_error([1, 1, 0, 0], [0.75, 0.75, 0.5, 0.5])
    0.5
    """
    return expected_calibration_error(y, p, n_bins=n_bins, strategy=strategy, norm="max")


def brier_score(y: ArrayLike, p: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """Mean squared distance of probabilities to outcomes (Brier 1950).

    Parameters
    ----------
    y : array-like of shape (n,)
        What happened, 0 or 1.
    p : array-like of shape (n,)
        Probability of 1.
    sample_weight : array-like of shape (n,), optional

    Returns
    -------
    float
        0 to 1, the lower the better.

    Raises
    ------
    ValueError
        As `expected_calibration_error`.

    Examples
    --------
    >>> brier_score([1, 0], [0.5, 0.0])
    0.125
    """
    y, p, weight = require_rows(y, p, sample_weight)
    return float(np.average((p - y) ** 2, weights=weight))


def calibration_scores(y: ArrayLike, p: ArrayLike, *, n_bins: int = 15) -> dict[str, float]:
    """Expected (l1) and maximum calibration error over uniform bins, and the Brier score."""
    y, p, weight = require_rows(y, p)
    share, distance = _distances(*_sums(y, p, weight, n_bins, "uniform"))
    return {
        "ECE": float(share @ distance),
        "MCE": float(distance.max()),
        "Brier": float(np.average((p - y) ** 2, weights=weight)),
    }


def brier_decomposition(y: ArrayLike, p: ArrayLike, *, n_bins: int = 15) -> BrierDecomposition:
    """Split the Brier score over uniform bins.

    Reliability, resolution and uncertainty are Murphy's (1973). His three add up only if all
    probabilities of a bin are equal; what is missing otherwise are the within-bin terms of Stephenson,
    Coelho and Jolliffe (2008).

    Parameters
    ----------
    y : array-like of shape (n,)
        What happened, 0 or 1.
    p : array-like of shape (n,)
        Probability of 1.
    n_bins : int

    Returns
    -------
    BrierDecomposition

    Raises
    ------
    ValueError
        As `expected_calibration_error`.

    Examples
    --------
    >>> round(brier_decomposition([1, 0, 1, 0], [0.9, 0.1, 0.9, 0.1]).uncertainty, 2)
    0.25
    """
    y, p, weight = require_rows(y, p)
    index = _bins(p, weight, n_bins, "uniform")
    count, predicted, observed = _sums(y, p, weight, n_bins, "uniform")
    filled = np.maximum(count, 1)
    p_mean, y_mean, base = predicted / filled, observed / filled, y.mean()
    within, y_within = p - p_mean[index], y - y_mean[index]
    return BrierDecomposition(
        reliability=float(np.average((p_mean - y_mean) ** 2, weights=count)),
        resolution=float(np.average((y_mean - base) ** 2, weights=count)),
        uncertainty=float(base * (1 - base)),
        remainder=float(np.mean(within * (within - 2 * y_within))),
    )


def reliability_curve(
    y: ArrayLike, p: ArrayLike, *, n_bins: int = 15, strategy: Strategy = "uniform"
) -> ReliabilityCurve:
    """What the bins of a forecast say and what happened in them.

    Parameters
    ----------
    y : array-like of shape (n,)
        What happened, 0 or 1.
    p : array-like of shape (n,)
        Probability of 1.
    n_bins : int
    strategy : {'uniform', 'quantile'}
        See `expected_calibration_error`.

    Returns
    -------
    ReliabilityCurve

    Raises
    ------
    ValueError
        As `expected_calibration_error`.

    Examples
    --------
    >>> curve = reliability_curve([1, 1, 0, 0], [0.75, 0.75, 0.25, 0.25], n_bins=2)
    >>> len(curve.predicted)
    2
    """
    count, predicted, observed = _sums(*require_rows(y, p), n_bins, strategy)
    filled = count > 0
    count, predicted, observed = count[filled], predicted[filled], observed[filled]
    return ReliabilityCurve(predicted / count, observed / count, count.astype(np.int64))


def require_probabilities(p: ArrayLike) -> Floats:
    """`p` as float64, or a ValueError unless it has shape (n,) and lies within 0 to 1."""
    p = as_numbers("p", p)
    if p.ndim != 1:
        raise ValueError(
            f"p has shape {p.shape}; expected (n,), the probability of 1. "
            "Of a classifier with two columns pass [:, 1]."
        )
    require_within(p)
    return p


def require_within(p: Floats) -> None:
    """Raise a ValueError unless every value lies within 0 to 1."""
    bad = ~((p >= 0) & (p <= 1))
    if bad.any():
        raise ValueError(
            f"p is {p[bad][0]} in row {np.argwhere(bad)[0, 0]}; {bad.sum()} of {p.size} values are NaN or "
            "outside 0 to 1. Pass probabilities, not scores, and leave out rows without a forecast."
        )


def require_rows(
    y: ArrayLike, p: ArrayLike, sample_weight: ArrayLike | None = None
) -> tuple[Floats, Floats, Floats]:
    """`y`, `p` and the weights (ones without any) as float64 of shape (n,), or a ValueError."""
    p = require_probabilities(p)
    return require_outcomes(y, len(p)), p, require_weights(sample_weight, len(p))


def require_outcomes(y: ArrayLike, n_rows: int, n_classes: int = 2) -> Floats:
    """`y` as float64 of shape (n_rows,), or a ValueError unless each is one of 0 .. n_classes - 1."""
    y = as_numbers("y", y)
    if n_rows == 0 or y.shape != (n_rows,):
        raise ValueError(
            f"y has shape {y.shape} and p has {n_rows} rows; expected one outcome a row, and rows at all."
        )
    bad = ~np.isin(y, np.arange(n_classes))
    if bad.any():
        raise ValueError(
            f"y is {y[bad][0]} in row {bad.argmax()}; expected one of 0 to {n_classes - 1}. "
            f"{bad.sum()} of {n_rows} rows differ; leave out those whose outcome is not known."
        )
    return y


def require_weights(sample_weight: ArrayLike | None, n_rows: int) -> Floats:
    """The weights as float64 of shape (n_rows,), ones without any, or a ValueError."""
    if sample_weight is None:
        return np.ones(n_rows)
    weight = as_numbers("sample_weight", sample_weight)
    if weight.shape != (n_rows,):
        raise ValueError(
            f"sample_weight has shape {weight.shape} and p has {n_rows} rows; expected one weight a row."
        )
    bad = ~((weight >= 0) & np.isfinite(weight))
    if bad.any():
        raise ValueError(
            f"sample_weight is {weight[bad][0]} in row {bad.argmax()}; weights are finite and not negative."
        )
    if not weight.any():
        raise ValueError(f"sample_weight is 0 in all {n_rows} rows; at least one row has to count.")
    return weight


def _sums(
    y: Floats, p: Floats, weight: Floats, n_bins: int, strategy: Strategy
) -> tuple[Floats, Floats, Floats]:
    """Per bin, sums of the weights, of p and of y."""
    index = _bins(p, weight, n_bins, strategy)
    columns = (weight, weight * p, weight * y)
    weights, predicted, observed = (np.bincount(index, x, n_bins).astype(np.float64) for x in columns)
    return weights, predicted, observed


def _distances(weight: Floats, predicted: Floats, observed: Floats) -> tuple[Floats, Floats]:
    """Of the bins that have rows, share of the weight and distance of predicted to observed."""
    filled = weight > 0
    return weight[filled] / weight.sum(), np.abs(predicted - observed)[filled] / weight[filled]


def _bins(p: Floats, weight: Floats, n_bins: int, strategy: Strategy) -> NDArray[np.int64]:
    """The bin of every row."""
    if n_bins < 1:
        raise ValueError(f"n_bins is {n_bins}; expected at least 1, and 15 serves most.")
    if strategy == "uniform":
        return np.minimum((p * n_bins).astype(np.int64), n_bins - 1)
    if strategy != "quantile":
        raise ValueError(f"strategy must be one of 'uniform', 'quantile'. Got {strategy!r} instead.")
    order = np.argsort(p)
    below = np.cumsum(weight[order])
    last = np.searchsorted(below, below[-1] * np.arange(1, n_bins) / n_bins)
    return np.searchsorted(p[order][last], p).astype(np.int64)
