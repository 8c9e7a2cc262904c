"""What every forecaster offers, and the checks of its inputs that no subclass can forget."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from pydantic import ValidationError
from sklearn.base import BaseEstimator

from trading_assets.compilation import compiled
from trading_assets.config.settings import ForecasterSettings
from trading_assets.errors import SchemaError, SettingsError
from trading_assets.execution.networks import make_calibrator
from trading_assets.forecasters.calibration import Calibrator
from trading_assets.forecasters.folders import read_model, write_model
from trading_assets.forecasters.inputs import (
    Estimator,
    require_answers,
    require_frame,
    require_numbers,
    require_rows,
)
from trading_assets.forecasters.preprocessing import PreprocessorManager
from trading_assets.representation import one_line

F32 = NDArray[np.float32]
Floats = NDArray[np.float64]
Rows = NDArray[np.int64]
Kind = Literal["classification", "regression"]
NOT_FINITE = "A feature of the bar is not finite; start after the warm-up."


@dataclass(frozen=True)
class TrainingData:
    """What a subclass is fitted on; all arrays cover all bars.

    Attributes
    ----------
    Z : ndarray of shape (n_bars, n_inputs), float32
        Preprocessed features.
    y : ndarray of shape (n_bars,)
        Number of the class, or the standardised value; NaN where unknown.
    weight : ndarray of shape (n_bars,)
        Mean 1 over `rows`.
    rows : ndarray of int
        Bars that may be looked at, in order; features are known there. Those with an answer are learnt.
    held_out : ndarray of int
        Later ones that only decide when to stop; empty without early stopping.
    """

    Z: F32
    y: Floats
    weight: Floats
    rows: Rows
    held_out: Rows

    def answered(self, rows: Rows) -> Rows:
        """Those of the rows whose answer is known."""
        return rows[np.isfinite(self.y[rows])]


class ModelAdapter(Estimator, BaseEstimator, ABC):  # type: ignore[misc]
    """A forecaster with scikit-learn's protocol, for rows that are consecutive bars.

    Parameters
    ----------
    seed : int
    task : {'classification', 'regression'}
    **parameters
        Fields of `Settings`; a misspelt one is refused.

    Attributes
    ----------
    seed_, task_, settings_
        Parameters it was fitted with, which `set_params` does not change.
    classes_ : ndarray
        Sorted answers of a classification.
    center_, scale_ : float
        Mean and deviation of the values of a regression.
    feature_names_in_ : list of str
        Columns it was fitted on, in order; prediction refuses any other order.
    preprocessor_ : PreprocessorManager
    calibrator_ : Calibrator or None
        Applied by `predict_proba`.
    fold_calibrators_ : dict of int to Calibrator
        Of each fold's out-of-fold predictions, fitted on the other folds.
    training_ : dict
        How the fit went: hardware, steps, losses; no part of what the model is.
    n_threads : int
        Threads that a fit may use; the result does not depend on it.
    checkpoint : Path or None
        File that lets an interrupted fit go on, where the model takes long enough to have one.
    """

    kind: ClassVar[str]
    Settings: ClassVar[type[ForecasterSettings]]
    file: ClassVar[str]
    """Of what `save_weights` writes."""
    parallel: ClassVar[bool] = False
    """Whether several may be fitted at once in threads of one process."""
    seed_: int
    task_: Kind
    settings_: ForecasterSettings
    classes_: NDArray[np.float64]
    center_: float
    scale_: float
    preprocessor_: PreprocessorManager
    training_: dict[str, Any]

    def __init__(self, seed: int = 0, *, task: Kind = "classification", **parameters: Any) -> None:
        if task not in ("classification", "regression"):
            raise SettingsError(f"task is {task!r}; expected 'classification' or 'regression'.")
        if not isinstance(seed, int | np.integer) or not 0 <= seed < 2**31:
            raise SettingsError(f"seed is {seed!r}; expected a whole number from 0 to 2^31 - 1.")
        try:
            self.settings = self.Settings(**parameters)
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(str(part) for part in first["loc"])
            raise SettingsError(
                f"{type(self).__name__}: '{name}' is {first['input']!r}: {first['msg']}. "
                f"Known: {', '.join(self.Settings.model_fields)}."
            ) from None
        self.seed, self.task, self._given = seed, task, parameters
        self.n_threads = 1
        self.checkpoint: Path | None = None
        self.calibrator_: Calibrator | None = None
        self.fold_calibrators_: dict[int, Calibrator] = {}

    def __repr__(self) -> str:
        usual = type(self)().get_params()
        given = {name: value for name, value in self.get_params().items() if value != usual[name]}
        if not hasattr(self, "preprocessor_"):
            return one_line(self, given, ", not fitted")
        calibrator = f", calibrated by {self.calibrator_!r}" if self.calibrator_ else ""
        return one_line(self, given, f", fitted on {len(self.feature_names_in_)} features{calibrator}")

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Constructor arguments, all of them."""
        fields = {name: info.default for name, info in self.Settings.model_fields.items()}
        return {"seed": self.seed, "task": self.task, **fields, **self._given}

    def set_params(self, **parameters: Any) -> Self:
        """Change constructor arguments, for the next fit; what was fitted goes on as it was fitted."""
        other = type(self)(**{**self.get_params(), **parameters})
        for name in ("seed", "task", "settings", "_given"):
            setattr(self, name, getattr(other, name))
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return "training_" in vars(self)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.estimator_type = "classifier" if self.task == "classification" else "regressor"
        return tags

    def clone(self) -> Self:
        """An unfitted copy."""
        return type(self)(**self.get_params())

    @property
    def feature_names_in_(self) -> list[str]:
        return self.preprocessor_.feature_names_in

    @property
    def _n_outputs(self) -> int:
        """Of the raw score: one for a value or two classes, else one a class."""
        return len(self.classes_) if self.task_ == "classification" and len(self.classes_) > 2 else 1

    def fit(
        self,
        X: pd.DataFrame,
        y: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        rows: ArrayLike | None = None,
        label_end: ArrayLike | None = None,
    ) -> Self:
        """Fit preprocessing and model.

        Parameters
        ----------
        X : DataFrame of shape (n_bars, n_features)
            Consecutive bars.
        y : array-like of shape (n_bars,)
            Classes, which are whole numbers, or values; NaN where the answer is not known. Such a bar is
            not learnt, yet sequences reach over it.
        sample_weight : array-like of shape (n_bars,), optional
            How much each bar counts; only ratios matter. One with an answer and no weight is as one left out.
        rows : ndarray of int, optional
            The bars that may be learnt from; all without it. Sequences do not reach over a hole.
        label_end : ndarray of int of shape (n_bars,), optional
            Last bar of each label; early stopping needs it to purge before its held-out rows.

        Raises
        ------
        SchemaError
            When answers or weights do not fit the rows or cannot be, or too few classes are left.
        """
        X, rows = require_frame(X), require_rows(rows, len(X))
        y = require_numbers("y", y, len(X))
        weight: Floats = np.ones(len(X))
        if sample_weight is not None:
            weight = np.nan_to_num(require_numbers("sample_weight", sample_weight, len(X)), posinf=np.inf)
        end = None if label_end is None else require_numbers("label_end", label_end, len(X))
        wrong = (weight < 0) | np.isinf(weight)
        if wrong.any():
            raise SchemaError(f"sample_weight has {int(wrong.sum())} negative or infinite values.")
        require_answers(y[rows], classes=self.task == "classification")
        answered = ~np.isnan(y)
        wanted = (weight > 0) | ~answered  # a missing label has no weight
        rows = rows[wanted[rows] & _finite(X)[rows].all(axis=1)]
        rows, held_out = self._hold_out(rows, y, end)
        preprocessor = PreprocessorManager(self.settings.preprocessing)
        preprocessor.fit(X, rows[answered[rows]], seen=rows)
        Z = preprocessor.transform(X)
        rows, held_out = (part[np.isfinite(Z[part]).all(axis=1)] for part in (rows, held_out))
        self.seed_, self.task_, self.settings_ = self.seed, self.task, self.settings
        self.preprocessor_ = preprocessor
        learnt = rows[answered[rows]]
        self._learn_answers(y[learnt])
        self._fit(TrainingData(Z, self._encode(y), weight / weight[learnt].mean(), rows, held_out))
        self.calibrator_, self.fold_calibrators_ = None, {}
        return self

    def predict_proba(self, X: pd.DataFrame, *, calibrated: bool = True) -> Floats:
        """Probabilities of shape (n_bars, n_classes) for consecutive bars, calibrated where it can be.

        Raises
        ------
        SchemaError
            When columns are missing, extra, in another order or of another type, or a value is NaN.
        """
        if self.task_ != "classification":
            raise SchemaError(f"This {type(self).__name__} forecasts a value; ask predict.")
        return _behind_lookback(self._probabilities(self._scores(X), calibrated), len(X))

    def predict_variants(self, variants: Sequence[pd.DataFrame]) -> Floats:
        """Uncalibrated probabilities of the same bars in several versions, without the preprocessor's first
        `lookback` bars: shape (n_variants, n_bars - lookback, n_classes)."""
        Z = np.stack([self._prepare(X) for X in variants])
        scores = self._predict_variants(Z).reshape(-1, self._n_outputs)
        return self._probabilities(scores, calibrated=False).reshape(*Z.shape[:2], -1)

    def predict(self, X: pd.DataFrame) -> Floats:
        """The likeliest class or the value, shape (n_bars,)."""
        scores = self._scores(X)
        if self.task_ == "regression":
            return _behind_lookback(self._values(scores), len(X))
        return _behind_lookback(self.classes_[self._probabilities(scores).argmax(axis=1)], len(X))

    def stream(self) -> Callable[[F32], Floats]:
        """A function of one bar's features (n_features,), to be called bar after bar.

        It gives what `predict_proba` (n_classes,) or `predict` (1,) give for the bar, after the bars it was
        called with before. Names and order of the features are the caller's duty.
        """
        score = self._stream()
        if self.task_ == "regression":
            return lambda row: score(row) * self.scale_ + self.center_
        calibrate = make_calibrator(self.calibrator_.to_json()) if self.calibrator_ else lambda p: p
        if self._n_outputs > 1:
            return lambda row: calibrate(self._probabilities(score(row)[None], calibrated=False)[0])

        def push(row: F32) -> Floats:
            p = np.empty(2)
            p[1] = calibrate(sigmoid_of(score(row)[0]))
            p[0] = 1 - p[1]
            return p

        return push

    def _stream(self) -> Callable[[F32], Floats]:
        """A function from one bar's features to its raw score (n_outputs,), bar after bar."""
        prepare, score = self.preprocessor_.stream(), self._stream_prepared()
        lookback = self.preprocessor_.lookback
        seen = 0

        def push(row: F32) -> Floats:
            nonlocal seen
            if not np.isfinite(row).all():
                raise SchemaError(NOT_FINITE)
            z = prepare(row)
            seen += 1
            return score(z) if seen > lookback else np.full(self._n_outputs, np.nan)

        return push

    @abstractmethod
    def _fit(self, data: TrainingData) -> None: ...

    @abstractmethod
    def _predict(self, Z: F32) -> Floats:
        """Raw scores of shape (n_bars, n_outputs): log-odds, scores of the classes, or a value."""

    def _predict_variants(self, Z: F32) -> Floats:
        """`_predict` of several versions, from (n_variants, n_bars, n_inputs)."""
        return np.stack([self._predict(z).reshape(-1, self._n_outputs) for z in Z])

    @abstractmethod
    def _stream_prepared(self) -> Callable[[F32], Floats]:
        """A function from one bar's preprocessed features to its raw score (n_outputs,)."""

    @abstractmethod
    def save_weights(self, folder: Path) -> None: ...

    @abstractmethod
    def load_weights(self, folder: Path) -> None: ...

    def save(self, folder: Path | str) -> None:
        """Write everything `load` needs into a folder, which is made where it is not there."""
        write_model(self, Path(folder))

    @classmethod
    def load(cls, folder: Path | str) -> Self:
        """The fitted model that `save` wrote; predicts the same, bit for bit.

        Raises
        ------
        ArtifactError
            When the folder holds another kind of model, or parts that are damaged, missing or do not belong
            together.
        """
        return read_model(cls, Path(folder))

    def _hold_out(self, rows: Rows, y: Floats, label_end: Floats | None) -> tuple[Rows, Rows]:
        """Training rows and, for early stopping, those of the last share of answers, purged in between."""
        if not self.settings.early_stopping:
            return rows, rows[:0]
        if label_end is None:
            raise SchemaError(
                "Early stopping holds out the last rows and has to purge before them: give label_end."
            )
        answered = rows[~np.isnan(y[rows])]
        if not len(answered):
            return rows, rows[:0]
        first = answered[-max(round(self.settings.holdout * len(answered)), 1)]
        # Comparisons with NaN are false: a label that does not say where it ends is not learnt.
        return rows[(rows < first) & (label_end[rows] < first)], rows[rows >= first]

    def _learn_answers(self, y: Floats) -> None:
        if self.task_ == "regression":
            if len(y) < 2 or y.std() == 0:
                raise SchemaError(f"{type(self).__name__} needs values that differ; {len(y)} rows are left.")
            self.center_, self.scale_ = float(y.mean()), float(y.std())
            return
        self.classes_ = np.unique(y)
        if len(self.classes_) < 2:
            raise SchemaError(
                f"{type(self).__name__} needs at least two classes among its {len(y)} training rows."
            )

    def _encode(self, y: Floats) -> Floats:
        if self.task_ == "regression":
            return (y - self.center_) / self.scale_
        number = np.minimum(np.searchsorted(self.classes_, y), len(self.classes_) - 1).astype(np.float64)
        return np.where(self.classes_[number.astype(int)] == y, number, np.nan)

    def _scores(self, X: pd.DataFrame) -> Floats:
        """Raw scores of the bars from which on all that preprocessing looks back at is there."""
        Z = self._prepare(X)
        return self._predict(Z).reshape(-1, self._n_outputs) if len(Z) else np.empty((0, self._n_outputs))

    def _prepare(self, X: pd.DataFrame) -> F32:
        """Preprocessed features of the same bars."""
        Z = self.preprocessor_.transform(X)
        known = _finite(X)
        if not known.all():
            bad = [str(name) for name, column in zip(X.columns, known.T, strict=True) if not column.all()]
            raise SchemaError(f"Values that are not finite in {', '.join(bad)}; start after the warm-up.")
        return Z[self.preprocessor_.lookback :]

    def _probabilities(self, scores: Floats, calibrated: bool = True) -> Floats:
        if scores.shape[1] > 1:
            odds = np.exp(scores - scores.max(axis=1, keepdims=True))
            p = odds / odds.sum(axis=1, keepdims=True)
            return self.calibrator_.transform(p) if calibrated and self.calibrator_ else p
        up = sigmoids_of(scores[:, 0])
        if calibrated and self.calibrator_ is not None:
            up = self.calibrator_.transform(up)
        return np.column_stack([1 - up, up])

    def _values(self, scores: Floats) -> Floats:
        return scores[:, 0] * self.scale_ + self.center_


@compiled(error_model="python")
def sigmoid_of(x: float) -> float:
    """Of a number; one and many are computed alike, so that a stream and a batch agree to the last bit."""
    return 0.5 + 0.5 * math.tanh(0.5 * x)


@compiled(error_model="python")
def sigmoids_of(x: Floats) -> Floats:
    out = np.empty(len(x))
    for i in range(len(x)):
        out[i] = sigmoid_of(x[i])
    return out


def _finite(X: pd.DataFrame) -> NDArray[np.bool_]:
    """Which values are finite; columns that are no numbers, which a preprocessor refuses, are left out."""
    known: NDArray[np.bool_] = np.isfinite(X.select_dtypes(["number", "bool"]).to_numpy(dtype=np.float64))
    return known


def _behind_lookback(forecast: Floats, n_bars: int) -> Floats:
    """The forecasts of the last bars, behind NaN where preprocessing looks back at bars not there."""
    out = np.full((n_bars, *forecast.shape[1:]), np.nan)
    out[n_bars - len(forecast) :] = forecast
    return out
