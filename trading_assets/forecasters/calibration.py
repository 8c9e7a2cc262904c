"""From scores to probabilities that mean what they say. None turns a forecast round: higher stays higher."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from copy import deepcopy
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.isotonic import IsotonicRegression

from trading_assets.execution.networks import EDGE, make_calibrator
from trading_assets.forecasters.calibration_error import (
    brier_score,
    require_outcomes,
    require_probabilities,
    require_rows,
    require_weights,
    require_within,
)
from trading_assets.forecasters.inputs import Estimator, as_numbers
from trading_assets.forecasters.logistic import minimise, rising_logistic
from trading_assets.representation import one_line
from trading_assets.validation.ties import TIE, first_best

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]


class Calibrator(Estimator, ABC):
    """Learns what happens when a forecaster says p.

    Attributes
    ----------
    parameters_ : dict
        What was learnt, in numbers and lists that JSON keeps exactly.
    """

    form: ClassVar[str]
    """What `execution.networks.make_calibrator` does with the parameters."""
    method: ClassVar[str]
    keys: ClassVar[frozenset[str]]
    """Names of the parameters."""
    parameters_: dict[str, Any]

    def __repr__(self) -> str:
        learnt = self.__dict__.get("parameters_")
        return one_line(self, learnt or {}, "" if learnt else ", not fitted")

    def fit(self, p: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Learn from forecasts that were made without knowing `y`, such as out-of-fold predictions.

        Parameters
        ----------
        p : array of shape (n,)
            Probability of 1; for `TemperatureCalibrator` probabilities of shape (n, n_classes).
        y : array of shape (n,)
            What happened: 0 or 1, or the number of the class.
        sample_weight : array of shape (n,), optional
            A row of weight 2 counts as two rows.

        Raises
        ------
        ValueError
            When lengths differ, p leaves 0 to 1 or is NaN, y is of one class only, or a weight is negative.
        """
        p = self._require(p)
        y = require_outcomes(y, len(p), 2 if p.ndim == 1 else p.shape[1])
        weight = require_weights(sample_weight, len(p))
        counted = y if weight.all() else y[weight > 0]
        if (counted == counted[0]).all():
            raise ValueError(
                f"y is {counted[0]:.0f} in all {len(counted)} rows of positive weight; {type(self).__name__} "
                "needs two classes at least. Fit on a longer span."
            )
        self.parameters_ = self._fit(p, y, weight)
        return self

    def transform(self, p: ArrayLike) -> Floats:
        """Calibrated probabilities, of the shape of `p`, by the function that the trading box applies."""
        tree = self.to_json()
        return np.asarray(make_calibrator(tree)(self._require(p)), dtype=np.float64)

    def to_json(self) -> dict[str, Any]:
        """The form that `execution.networks.make_calibrator` and `calibrator_from_json` read."""
        return {"form": self.form, "method": self.method, **deepcopy(self.parameters_)}

    def _require(self, p: ArrayLike) -> Floats:
        return require_probabilities(p)

    @abstractmethod
    def _fit(self, p: Floats, y: Floats, weight: Floats) -> dict[str, Any]: ...


class IsotonicCalibrator(Calibrator):
    """Knots of the best non-decreasing step function, joined by lines (Zadrozny and Elkan 2002)."""

    form = "isotonic"
    method = "isotonic"
    keys = frozenset({"x", "y"})

    def _fit(self, p: Floats, y: Floats, weight: Floats) -> dict[str, Any]:
        model = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(p, y, weight)
        return {"x": model.X_thresholds_.tolist(), "y": model.y_thresholds_.tolist()}


class NoCalibrator(Calibrator):
    """The forecast as it is; chosen where no calibrator is better beyond chance."""

    form = "logistic"
    method = "none"
    keys = frozenset({"a", "b", "c"})

    def _fit(self, p: Floats, y: Floats, weight: Floats) -> dict[str, Any]:
        return {"a": 1.0, "b": 1.0, "c": 0.0}


class PlattCalibrator(Calibrator):
    """`platt_scaling` of the log-odds: sigmoid(a ln(p / (1 - p)) + c), a >= 0."""

    form = "logistic"
    method = "platt"
    keys = frozenset({"a", "b", "c"})

    def _fit(self, p: Floats, y: Floats, weight: Floats) -> dict[str, Any]:
        log_p, minus_log_rest = _logs(p)
        slope, intercept = platt_scaling(log_p + minus_log_rest, y, weight)
        return {"a": slope, "b": slope, "c": intercept}


class BetaCalibrator(Calibrator):
    """sigmoid(a ln p - b ln(1 - p) + c), a and b >= 0 (Kull, Silva Filho and Flach 2017).

    Logistic regression without a penalty; a slope that comes out negative is set to 0 and the rest fitted
    again. Where p parts the classes perfectly no finite fit exists; the slopes are then as steep as it takes
    to say the outcomes to about ten digits.
    """

    form = "logistic"
    method = "beta"
    keys = frozenset({"a", "b", "c"})

    def _fit(self, p: Floats, y: Floats, weight: Floats) -> dict[str, Any]:
        return dict(zip("abc", rising_logistic(_logs(p), y, weight), strict=True))


class TemperatureCalibrator(Calibrator):
    """softmax(a ln p), one a >= 0 for all classes; 1 / a is the temperature (Guo et al. 2017).

    For probabilities of shape (n, n_classes) of more than two classes.
    """

    form = "temperature"
    method = "temperature"
    keys = frozenset({"a"})

    def _require(self, p: ArrayLike) -> Floats:
        p = as_numbers("p", p)
        if p.ndim != 2 or p.shape[1] < 3:
            raise ValueError(
                f"p has shape {p.shape}; expected (n, n_classes) with three classes or more. "
                f"Of two classes pass [:, 1] to one of {', '.join(CALIBRATORS)}."
            )
        require_within(p)
        off = np.abs(p.sum(axis=1) - 1) > 1e-6
        if off.any():
            row = int(off.argmax())
            raise ValueError(
                f"p adds up to {p[row].sum():g} in row {row}, and {off.sum()} of {len(p)} rows do not add up "
                "to 1. Divide each row by its sum."
            )
        return p

    def _fit(self, p: Floats, y: Floats, weight: Floats) -> dict[str, Any]:
        z = np.log(np.maximum(p, EDGE))
        truth = z[np.arange(len(z)), y.astype(np.int64)]

        def loss(a: Floats) -> tuple[float, Floats, Floats]:
            scores = a * z
            highest = scores.max(axis=1)
            odds = np.exp(scores - highest[:, None])
            total = odds.sum(axis=1)
            q = odds / total[:, None]
            mean = (q * z).sum(axis=1)
            spread = (q * (z - mean[:, None]) ** 2).sum(axis=1)
            value = weight @ (highest + np.log(total) - a * truth)
            return float(value), np.array([weight @ (mean - truth)]), np.array([[weight @ spread]])

        return {"a": max(float(minimise(loss, np.zeros(1), float(weight.sum()))[0]), 0.0)}


CALIBRATORS: Mapping[str, type[Calibrator]] = {
    "isotonic": IsotonicCalibrator,
    "platt": PlattCalibrator,
    "beta": BetaCalibrator,
}
_SIMPLEST_FIRST = ("platt", "beta", "isotonic")
_BINARY: Mapping[str, type[Calibrator]] = {**CALIBRATORS, "none": NoCalibrator}
"""Of a binary probability, by name."""


def calibrator_from_json(tree: Mapping[str, Any]) -> Calibrator:
    """The calibrator whose `to_json` is `tree`.

    Raises
    ------
    ValueError
        When the method is unknown, or the form or the parameters are not that method's.
    """
    kinds: dict[str, type[Calibrator]] = {**_BINARY, "temperature": TemperatureCalibrator}
    kind = kinds.get(tree.get("method", ""))
    if kind is None:
        raise ValueError(f"method must be one of {', '.join(kinds)}. Got {tree.get('method')!r} instead.")
    names = {"form", "method", *kind.keys}
    if set(tree) != names or tree["form"] != kind.form:
        raise ValueError(
            f"A {kind.method} calibrator has form {kind.form!r} and the keys {sorted(names)}. Got form "
            f"{tree.get('form')!r} and {sorted(tree)}; store what to_json() returns."
        )
    if not _keeps_order(kind, tree):
        raise ValueError(
            f"A {kind.method} calibrator never turns a forecast round, and this one does, or has what is no "
            "number; fit it again."
        )
    calibrator = kind()
    calibrator.parameters_ = {name: deepcopy(tree[name]) for name in tree if name in kind.keys}
    return calibrator


def _keeps_order(kind: type[Calibrator], tree: Mapping[str, Any]) -> bool:
    """Whether parameters give higher probabilities for higher ones, or the same."""
    if kind is IsotonicCalibrator:
        x, y = np.array(tree["x"], dtype=np.float64), np.array(tree["y"], dtype=np.float64)
        rises = bool((np.diff(x) > 0).all() and (np.diff(y) >= 0).all())
        return len(x) == len(y) > 0 and rises and y[0] >= 0 and y[-1] <= 1
    values = {name: float(tree[name]) for name in kind.keys}
    return bool(np.isfinite(list(values.values())).all()) and min(values["a"], values.get("b", 0.0)) >= 0


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
    p, y, sample_weight
        As in `Calibrator.fit`, of shape (n,).
    fold : array of int of shape (n,)
        The fold each row was tested in; two folds at least.
    method : {'isotonic', 'platt', 'beta'}

    Raises
    ------
    ValueError
        As `Calibrator.fit`; also for an unknown method, fewer than two folds, or one class outside a fold.
    """
    if method not in _BINARY:
        raise ValueError(f"method must be one of {', '.join(_BINARY)}. Got {method!r} instead.")
    y, p, weight = require_rows(y, p, sample_weight)
    fold = _require_folds(fold, len(p))
    fitted: dict[int, Calibrator] = {}
    for k in np.unique(fold).tolist():
        others = fold != k
        try:
            fitted[k] = _BINARY[method]().fit(p[others], y[others], weight[others])
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
    isotonic. The best one is left out (`NoCalibrator`) unless it beats the forecasts as they are by more than
    the standard error of its gain over the folds (Breiman et al. 1984): what it gains by less did not last.

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
    """
    if method not in {"best", *_BINARY}:
        raise ValueError(f"method must be one of best, {', '.join(_BINARY)}. Got {method!r} instead.")
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
    return _BINARY[method]().fit(p, y, weight), scores


def platt_scaling(
    scores: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
) -> tuple[float, float]:
    """Slope, at least 0, and intercept of P(y = 1) = sigmoid(slope * score + intercept), after Platt (1999).

    Logistic regression without a penalty on smoothed targets: (n_up + 1) / (n_up + 2) for 1 and
    1 / (n_down + 2) for 0, counts being sums of weights. Platt's own A and B are the negatives. Where higher
    scores went with fewer ups the slope is 0: that is chance or a mistake, and no reason to turn them round.

    Parameters
    ----------
    scores : array of shape (n,)
        Any finite numbers, taken as given.
    y : array of shape (n,)
        0 or 1, both present.
    sample_weight : array of shape (n,), optional
    """
    scores = as_numbers("scores", scores)
    if scores.ndim != 1 or not np.isfinite(scores).all():
        raise ValueError(
            f"scores have shape {scores.shape}; expected (n,), all finite. Leave out the others."
        )
    y = require_outcomes(y, len(scores))
    weight = require_weights(sample_weight, len(scores))
    n_up, n_down = weight @ y, weight @ (1 - y)
    if not (n_up and n_down):
        raise ValueError(
            f"y has {n_up:g} ups and {n_down:g} downs by weight; Platt scaling needs both. "
            "Fit on a longer span."
        )
    targets = np.where(y > 0, (n_up + 1) / (n_up + 2), 1 / (n_down + 2))
    slope, intercept = rising_logistic(scores[None], targets, weight)
    return slope, intercept


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
    x = _logs(p).sum(axis=0)
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


def _logs(p: Floats) -> Floats:
    """ln p and -ln(1 - p), shape (2, n); in place, for memory that is new costs more than the logarithms."""
    logs = np.empty((2, len(p)))
    np.clip(p, EDGE, 1 - EDGE, out=logs[0])
    np.negative(logs[0], out=logs[1])
    np.log1p(logs[1], out=logs[1])
    np.negative(logs[1], out=logs[1])
    np.log(logs[0], out=logs[0])
    return logs
