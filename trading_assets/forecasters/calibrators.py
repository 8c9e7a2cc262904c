"""Calibrators: from scores to probabilities that mean what they say.

None turns a forecast round: higher stays higher. `calibration` chooses among them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from copy import deepcopy
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.isotonic import IsotonicRegression

from trading_assets.arrays import Floats
from trading_assets.execution.networks import MARGIN, make_calibrator
from trading_assets.forecasters.calibration_error import (
    require_outcomes,
    require_probabilities,
    require_weights,
    require_within,
)
from trading_assets.forecasters.inputs import Estimator, as_numbers
from trading_assets.forecasters.logistic import minimize, rising_logistic
from trading_assets.representation import one_line


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
        """Calibrated probabilities, of the shape of `p`, by the function that a live machine applies."""
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
    """Knots of the best non-decreasing step function, joined by lines (Zadrozny and Elkan 2002).

    Examples
    --------
    >>> IsotonicCalibrator().fit([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1]).transform([0.85]).tolist()
    [1.0]
    """

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
    """`platt_scaling` of the log-odds: sigmoid(a ln(p / (1 - p)) + c), a >= 0.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> p = rng.uniform(size=2_000)
    >>> y = (rng.uniform(size=2_000) < p**2).astype(float)
    >>> PlattCalibrator().fit(p, y).transform(np.array([0.5])).round(1)
    array([0.2])
    """

    form = "logistic"
    method = "platt"
    keys = frozenset({"a", "b", "c"})

    def _fit(self, p: Floats, y: Floats, weight: Floats) -> dict[str, Any]:
        log_p, minus_log_rest = logs_of(p)
        slope, intercept = platt_scaling(log_p + minus_log_rest, y, weight)
        return {"a": slope, "b": slope, "c": intercept}


class BetaCalibrator(Calibrator):
    """sigmoid(a ln p - b ln(1 - p) + c), a and b >= 0 (Kull, Silva Filho and Flach 2017).

    Logistic regression without a penalty; a slope that comes out negative is set to 0 and the rest fitted
    again. Where p parts the classes perfectly no finite fit exists; the slopes are then as steep as it takes
    to say the outcomes to about ten digits.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> p = rng.uniform(size=2_000)
    >>> y = (rng.uniform(size=2_000) < p**2).astype(float)
    >>> BetaCalibrator().fit(p, y).transform(np.array([0.5])).round(1)
    array([0.2])
    """

    form = "logistic"
    method = "beta"
    keys = frozenset({"a", "b", "c"})

    def _fit(self, p: Floats, y: Floats, weight: Floats) -> dict[str, Any]:
        return dict(zip("abc", rising_logistic(logs_of(p), y, weight), strict=True))


class TemperatureCalibrator(Calibrator):
    """softmax(a ln p), one a >= 0 for all classes; 1 / a is the temperature (Guo et al. 2017).

    For probabilities of shape (n, n_classes) of more than two classes.

    Examples
    --------
    >>> p = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]])
    >>> TemperatureCalibrator().fit(p, [0, 1, 2, 2]).transform(p).shape
    (4, 3)
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
        z = np.log(np.maximum(p, MARGIN))
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

        return {"a": max(float(minimize(loss, np.zeros(1), float(weight.sum()))[0]), 0.0)}


CALIBRATORS: Mapping[str, type[Calibrator]] = {
    "isotonic": IsotonicCalibrator,
    "platt": PlattCalibrator,
    "beta": BetaCalibrator,
}
BINARY: Mapping[str, type[Calibrator]] = {**CALIBRATORS, "none": NoCalibrator}
"""Of a binary probability, by name."""


def calibrator_from_json(tree: Mapping[str, Any]) -> Calibrator:
    """The calibrator whose `to_json` is `tree`.

    Parameters
    ----------
    tree : mapping

    Returns
    -------
    Calibrator

    Raises
    ------
    ValueError
        When the method is unknown, or the form or the parameters are not that method's.

    Examples
    --------
    >>> fitted = PlattCalibrator().fit([0.2, 0.4, 0.6, 0.8], [0, 1, 0, 1])
    >>> calibrator_from_json(fitted.to_json()).transform([0.5]) == fitted.transform([0.5])
    array([ True])
    """
    kinds: dict[str, type[Calibrator]] = {**BINARY, "temperature": TemperatureCalibrator}
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


def logs_of(p: Floats) -> Floats:
    """ln p and -ln(1 - p), shape (2, n); in place, for memory that is new costs more than the logarithms."""
    logs = np.empty((2, len(p)))
    np.clip(p, MARGIN, 1 - MARGIN, out=logs[0])
    np.negative(logs[0], out=logs[1])
    np.log1p(logs[1], out=logs[1])
    np.negative(logs[1], out=logs[1])
    np.log(logs[0], out=logs[0])
    return logs
