"""Which calibrator suits a forecaster, judged on folds that it was not fitted on."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trading_assets.arrays import Floats, Rows
from trading_assets.forecasters.calibration_error import brier_score, require_rows
from trading_assets.forecasters.calibrators import BINARY, CALIBRATORS, Calibrator, logs_of
from trading_assets.validation.ties import TIE, first_best

_SIMPLEST_FIRST = ("platt", "beta", "isotonic")


def cross_fit_calibrators(
    p: ArrayLike,
    y: ArrayLike,
    fold: ArrayLike,
    method: str,
    sample_weight: ArrayLike | None = None,
) -> dict[int, Calibrator]:
    """For each fold the calibrator that was fitted on all others.

    Parameters
    ----------
    p, y, sample_weight : array-like of shape (n,)
        As in `Calibrator.fit`.
    fold : array-like of int of shape (n,)
        The fold each row was tested in; two folds at least.
    method : {'isotonic', 'platt', 'beta'}

    Returns
    -------
    dict of int to Calibrator
        By fold.

    Raises
    ------
    ValueError
        As `Calibrator.fit`; also for an unknown method, fewer than two folds, or one class outside a fold.

    Examples
    --------
    >>> p, y, fold = [0.2, 0.4, 0.6, 0.8] * 2, [0, 1, 0, 1] * 2, [0] * 4 + [1] * 4
    >>> sorted(cross_fit_calibrators(p, y, fold, "platt"))
    [0, 1]
    """
    if method not in BINARY:
        raise ValueError(f"method must be one of {', '.join(BINARY)}. Got {method!r} instead.")
    y, p, weight = require_rows(y, p, sample_weight)
    fold = _require_folds(fold, len(p))
    fitted: dict[int, Calibrator] = {}
    for k in np.unique(fold).tolist():
        others = fold != k
        try:
            fitted[k] = BINARY[method]().fit(p[others], y[others], weight[others])
        except ValueError as error:
            raise ValueError(f"Without fold {k}: {error}") from error
    return fitted


def with_mirror_image(p: Floats, y: Floats, fold: Rows, sample_weight: Floats) -> dict[str, Any]:
    """Every forecast and what it would be were rises falls: 1 - p of 1 - y.

    What is fitted on both says 1 - q of 1 - p where it says q of p: it keeps out the drift of the bars it is
    fitted on, which on hourly crypto did not last. Arguments of `choose_calibrator`, twice as many rows.
    """
    return {
        "p": np.concatenate([p, 1 - p]),
        "y": np.concatenate([y, 1 - y]),
        "fold": np.concatenate([fold, fold]),
        "sample_weight": np.concatenate([sample_weight, sample_weight]),
    }


def choose_calibrator(
    p: ArrayLike,
    y: ArrayLike,
    fold: ArrayLike,
    method: str = "best",
    sample_weight: ArrayLike | None = None,
) -> tuple[Calibrator, dict[str, float]]:
    """Fit the method with the lowest Brier score on folds it was not fitted on.

    Of methods that only rounding tells apart the one with the fewest parameters is taken: Platt, beta,
    isotonic. The best one is left out (`calibrators.NoCalibrator`) unless it beats the forecasts as they are
    by more than the standard error of its gain over the folds (Breiman et al. 1984): what it gains by less
    did not last.

    Parameters
    ----------
    p, y : array of shape (n,)
        Out-of-fold probabilities and what happened.
    fold : array of int of shape (n,)
        The fold each row was tested in.
    method : {'best', 'isotonic', 'platt', 'beta', 'none'}
    sample_weight : array of shape (n,), optional
        Counts in the fits and in the scores.

    Returns
    -------
    calibrator : Calibrator
        Fitted on all rows.
    scores : dict of str to float
        Cross-fitted Brier score of every method, and that of the forecasts as they are under `none`.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> p = rng.uniform(size=2_000)
    >>> y = (rng.uniform(size=2_000) < p**2).astype(float)
    >>> calibrator, scores = choose_calibrator(p, y, np.arange(2_000) // 500)
    >>> min(scores, key=scores.get) != "none"
    True
    """
    if method not in {"best", *BINARY}:
        raise ValueError(f"method must be one of best, {', '.join(BINARY)}. Got {method!r} instead.")
    y, p, weight = require_rows(y, p, sample_weight)
    fold = _require_folds(fold, len(p))
    said = {"none": p}
    for name in CALIBRATORS:
        said[name] = np.empty_like(p)
        for k, calibrator in cross_fit_calibrators(p, y, fold, name, weight).items():
            said[name][fold == k] = calibrator.transform(p[fold == k])
    scores = {name: brier_score(y, q, weight) for name, q in said.items()}
    if method == "best":
        method = _SIMPLEST_FIRST[first_best([-scores[name] for name in _SIMPLEST_FIRST], TIE)]
        gain = (p - y) ** 2 - (said[method] - y) ** 2
        gains = [np.average(gain[fold == k], weights=weight[fold == k]) for k in np.unique(fold)]
        if np.mean(gains) <= np.std(gains, ddof=1) / np.sqrt(len(gains)) + TIE:
            method = "none"
    return BINARY[method]().fit(p, y, weight), scores


def slope_t(p: ArrayLike, y: ArrayLike, fold: ArrayLike, *, overlap: int = 1) -> float:
    """t of the slope at which outcomes rise with the log-odds of forecasts, within folds.

    The score test of a slope in a logistic regression with an intercept a fold (Armitage 1955, stratified by
    Mantel 1963). Between folds forecasts fall where outcomes rise, since what a fold has more of is missing
    where its model learnt.

    Parameters
    ----------
    p, y : array of shape (n,)
        Probabilities of 1, out of fold, and what happened.
    fold : array of shape (n,)
        The fold each row was tested in.
    overlap : int
        Rows in a row whose labels share bars: so many answers count as one.

    Returns
    -------
    float
        NaN where forecasts or outcomes do not differ within any fold.
    """
    y, p, _ = require_rows(y, p)
    x = logs_of(p).sum(axis=0)
    _, number, rows = np.unique(fold, return_inverse=True, return_counts=True)
    x -= (np.bincount(number, x) / rows)[number]
    x[np.abs(x) < 1e-12] = 0.0  # a fold of one forecast, up to rounding
    base = np.bincount(number, y) / rows
    variance = (base * (1 - base)) @ np.bincount(number, x * x)
    return float(x @ (y - base[number]) / np.sqrt(variance * overlap)) if variance > 0 else float("nan")


def _require_folds(fold: ArrayLike, n_rows: int) -> NDArray[np.int64]:
    fold = np.asarray(fold)
    if fold.shape != (n_rows,) or fold.dtype.kind not in "iu" or (fold == fold[0]).all():
        raise ValueError(
            f"fold has shape {fold.shape} and type {fold.dtype}, {len(np.unique(fold))} folds; expected an "
            f"integer for each of the {n_rows} rows of p, and two folds at least."
        )
    return fold.astype(np.int64)
