"""From scores to probabilities that mean what they say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from trading_assets.execution.networks import EDGE, make_calibrator

Floats = NDArray[np.float64]
Calibrator = dict[str, Any]
"""JSON form, read by `execution.networks.make_calibrator`; floats survive JSON exactly."""


def fit_isotonic(p: Floats, y: Floats) -> Calibrator:
    """Knots of the best non-decreasing step function, joined by lines."""
    model = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(p, y)
    return {
        "form": "isotonic",
        "method": "isotonic",
        "x": model.X_thresholds_.tolist(),
        "y": model.y_thresholds_.tolist(),
    }


def fit_platt(p: Floats, y: Floats) -> Calibrator:
    """Logistic regression on the log-odds, with Platt's smoothed targets (Platt 1999)."""
    n_up, n_down = y.sum(), (1 - y).sum()
    targets = np.where(y > 0, (n_up + 1) / (n_up + 2), 1 / (n_down + 2))
    (slope,), intercept = _logistic(np.log(_inside(p) / (1 - _inside(p)))[:, None], targets)
    return {"form": "logistic", "method": "platt", "a": slope, "b": slope, "c": intercept}


def fit_beta(p: Floats, y: Floats) -> Calibrator:
    """Kull, Silva Filho and Flach (2017): logistic regression on (ln p, -ln(1 - p)), both slopes >= 0."""
    columns = np.column_stack([np.log(_inside(p)), -np.log1p(-_inside(p))])
    slopes, intercept = _logistic(columns, y)
    if min(slopes) < 0:
        keep = int(np.argmax(slopes))
        (slope,), intercept = _logistic(columns[:, [keep]], y)
        slopes = [max(slope, 0.0) if i == keep else 0.0 for i in range(2)]
    return {"form": "logistic", "method": "beta", "a": slopes[0], "b": slopes[1], "c": intercept}


METHODS: Mapping[str, Callable[[Floats, Floats], Calibrator]] = {
    "isotonic": fit_isotonic,
    "platt": fit_platt,
    "beta": fit_beta,
}


def calibrate(calibrator: Calibrator, p: Floats) -> Floats:
    """Apply a calibrator to probabilities of shape (n,)."""
    return np.asarray(make_calibrator(calibrator)(p), dtype=np.float64)


def choose_calibrator(
    p: Floats, y: Floats, fold: NDArray[np.int64], method: str = "best"
) -> tuple[Calibrator, dict[str, float]]:
    """Fit the method with the lowest Brier score on folds it was not fitted on.

    Parameters
    ----------
    p, y : ndarray of shape (n,)
        Out-of-fold probabilities and what happened.
    fold : ndarray of int of shape (n,)
        The fold each row was tested in.
    method : {'best', 'isotonic', 'platt', 'beta'}

    Returns
    -------
    calibrator : dict
        Fitted on all rows.
    scores : dict of str to float
        Cross-fitted Brier score of every method and of `none`.
    """
    scores = {"none": brier_score(y, p)}
    for name, fit in METHODS.items():
        held_out = np.empty_like(p)
        for k in np.unique(fold):
            held_out[fold == k] = calibrate(fit(p[fold != k], y[fold != k]), p[fold == k])
        scores[name] = brier_score(y, held_out)
    best = min(METHODS, key=lambda name: scores[name]) if method == "best" else method
    return METHODS[best](p, y), scores


def brier_score(y: Floats, p: Floats) -> float:
    """Mean squared distance of probabilities to outcomes."""
    return float(np.mean((p - y) ** 2))


def expected_calibration_error(y: Floats, p: Floats, *, n_bins: int = 15) -> float:
    """Mean distance of confidence to frequency over bins of equal width, weighted by their rows."""
    bins = np.minimum((p * n_bins).astype(int), n_bins - 1)
    counts = np.bincount(bins, minlength=n_bins)
    gaps = np.abs(np.bincount(bins, p - y, n_bins))
    return float(gaps[counts > 0].sum() / len(y))


def _inside(p: Floats) -> Floats:
    return np.clip(p, EDGE, 1 - EDGE)


def _logistic(columns: Floats, targets: Floats) -> tuple[list[float], float]:
    """Unregularised logistic regression on targets between 0 and 1."""
    model = LogisticRegression(C=np.inf, tol=1e-10, max_iter=10_000)
    both = np.concatenate([columns, columns])
    answers = np.repeat([1, 0], len(columns))
    model.fit(both, answers, np.concatenate([targets, 1 - targets]))
    return model.coef_[0].tolist(), float(model.intercept_[0])
