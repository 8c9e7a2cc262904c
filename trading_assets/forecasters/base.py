"""What every forecaster offers, and the checks of its inputs that no subclass can forget."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from trading_assets.arrays import Floats, Singles
from trading_assets.config.settings import ForecasterSettings
from trading_assets.errors import ArtifactError, SchemaError
from trading_assets.execution.networks import make_calibrator
from trading_assets.forecasters.estimator import ForecasterEstimator, only_of_classes
from trading_assets.forecasters.inputs import (
    as_frame,
    require_answers,
    require_numbers,
    require_rows,
)
from trading_assets.forecasters.persistence import FittedParts, Task, damage_explained, read_parts
from trading_assets.forecasters.preprocessing import PreprocessorManager
from trading_assets.forecasters.scores import behind_lookback, probabilities_of, sigmoid_of
from trading_assets.forecasters.training_data import TrainingData, hold_out

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

    from trading_assets.forecasters.graphs import ForecasterGraph

NOT_FINITE = "A feature of the bar is not finite; start after the warm-up."


class ModelAdapter(ForecasterEstimator, ABC):
    """A forecaster with scikit-learn's protocol, for rows that are consecutive bars.

    A subclass is a kind of forecaster. It says what it is in class attributes (`kind`, `Settings`, `file`,
    `parallel`), and how it is fitted, searched, saved, explained and deployed in the methods below that raise
    or are abstract; `config.forecasters` has a line for it.

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

    Examples
    --------
    See `LightGBMForecaster`.
    """

    kind: ClassVar[str]
    """Its name in `config.forecasters.FORECASTERS`."""
    Settings: ClassVar[type[ForecasterSettings]]
    """Its section of the settings; the default of `preprocessing` is its template."""
    file: ClassVar[str]
    """Of what `save_weights` writes."""
    parallel: ClassVar[bool] = False
    """Whether several may be fitted at once in threads of one process."""
    seed_: int
    task_: Task
    settings_: ForecasterSettings
    classes_: NDArray[np.float64]
    center_: float
    scale_: float
    training_: dict[str, Any]

    @property
    def input_names(self) -> list[str]:
        """Preprocessed features that it reads; all of them unless a subclass reads fewer."""
        return self.preprocessor_.feature_names_out

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
        X = as_frame(X)
        rows = require_rows(rows, len(X))
        if y is None:
            raise SchemaError(f"{type(self).__name__} requires y to be passed, but the target y is None.")
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
        if len(rows) and not wanted[rows].any():
            raise SchemaError("sample_weight is zero in all training rows; give some of them a weight.")
        rows = rows[wanted[rows] & _finite(X)[rows].all(axis=1)]
        rows, held_out = hold_out(rows, y, end, self.settings)
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

    @only_of_classes
    def predict_proba(self, X: pd.DataFrame, *, calibrated: bool = True) -> Floats:
        """Probabilities of shape (n_bars, n_classes) for consecutive bars, calibrated where it can be.

        Raises
        ------
        SchemaError
            When columns are missing, extra, in another order or of another type, or a value is NaN.
        """
        X = self._frame(X)
        return behind_lookback(self._probabilities(self._scores(X), calibrated), len(X))

    def predict_variants(self, variants: Sequence[pd.DataFrame]) -> Floats:
        """Uncalibrated probabilities of the same bars in several versions, without the preprocessor's first
        `lookback` bars: shape (n_variants, n_bars - lookback, n_classes)."""
        Z = np.stack([self._prepare(self._frame(X)) for X in variants])
        scores = self._predict_variants(Z).reshape(-1, self._n_outputs)
        return self._probabilities(scores, calibrated=False).reshape(*Z.shape[:2], -1)

    def predict(self, X: pd.DataFrame) -> Floats:
        """The likeliest class or the value, shape (n_bars,)."""
        X = self._frame(X)
        scores = self._scores(X)
        if self.task_ == "regression":
            return behind_lookback(self._values(scores), len(X))
        return behind_lookback(self.classes_[self._probabilities(scores).argmax(axis=1)], len(X))

    def stream(self) -> Callable[[Singles], Floats]:
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

        def push(row: Singles) -> Floats:
            p = np.empty(2)
            p[1] = calibrate(sigmoid_of(score(row)[0]))
            p[0] = 1 - p[1]
            return p

        return push

    def _stream(self) -> Callable[[Singles], Floats]:
        """A function from one bar's features to its raw score (n_outputs,), bar after bar."""
        prepare, score = self.preprocessor_.stream(), self._stream_prepared()
        lookback = self.preprocessor_.lookback
        seen = 0

        def push(row: Singles) -> Floats:
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
    def _predict(self, Z: Singles) -> Floats:
        """Raw scores of shape (n_bars, n_outputs): log-odds, scores of the classes, or a value."""

    def _predict_variants(self, Z: Singles) -> Floats:
        """`_predict` of several versions, from (n_variants, n_bars, n_inputs)."""
        return np.stack([self._predict(z).reshape(-1, self._n_outputs) for z in Z])

    @abstractmethod
    def _stream_prepared(self) -> Callable[[Singles], Floats]:
        """A function from one bar's preprocessed features to its raw score (n_outputs,)."""

    @abstractmethod
    def save_weights(self, folder: Path) -> None:
        """Write what was learnt to `file` in the folder."""

    @abstractmethod
    def load_weights(self, folder: Path) -> None:
        """Take up what `save_weights` wrote; settings, classes and preprocessor are there already."""

    @classmethod
    def search_space(cls) -> dict[str, BaseDistribution]:
        """What a search tries: Optuna's distribution of each setting; none where nothing is searched."""
        return {}

    def importances(self, X: pd.DataFrame) -> dict[str, Mapping[str, float]]:
        """Ways of its own to say what it relies on, by name, each a number a feature.

        `X` are consecutive bars (n_bars, n_features).
        """
        return {}

    def deploy(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """How it runs in a bundle, as JSON with its `form`, and the arrays of that form.

        See `execution.forecasters.ForecasterForm`; the calibrator is added by who asks.
        """
        raise ArtifactError(f"A {type(self).__name__} cannot be deployed: it has no method 'deploy'.")

    @classmethod
    def graph(cls, about: Mapping[str, Any], weights: Mapping[str, NDArray[Any]]) -> ForecasterGraph:
        """What `deploy` gave, as a torch module for TorchScript and ONNX; see `forecasters.graphs`."""
        raise ArtifactError(f"A {cls.__name__} cannot be exported: it has no method 'graph'.")

    def save(self, folder: Path | str) -> None:
        """Write everything `load` needs into a folder, which is made where it is not there."""
        folder = Path(folder)
        if self.task_ == "classification":
            answers: dict[str, Any] = {"classes": self.classes_.tolist()}
        else:
            answers = {"center": self.center_, "scale": self.scale_}
        parts = FittedParts(
            self.kind,
            self.seed_,
            self.task_,
            self.settings_.model_dump(mode="json"),
            answers,
            self.training_,
            self.preprocessor_,
            self.calibrator_,
            self.fold_calibrators_,
        )
        folder.mkdir(parents=True, exist_ok=True)
        self.save_weights(folder)
        parts.write(folder, folder / self.file)

    @classmethod
    def load(cls, folder: Path | str) -> Self:
        """The fitted model that `save` wrote; predicts the same, bit for bit.

        Raises
        ------
        ArtifactError
            When the folder holds another kind of model, or parts that are damaged, missing or do not belong
            together.
        """
        folder = Path(folder)
        with damage_explained(folder, cls.kind):
            parts = read_parts(folder, cls.kind, folder / cls.file)
            model = cls(parts.seed, task=parts.task, **dict(cls.Settings(**parts.settings)))
            model.seed_, model.task_, model.settings_ = model.seed, model.task, model.settings
            model.preprocessor_, model.training_ = parts.preprocessor, parts.training
            if model.task == "classification":
                model.classes_ = np.array(parts.answers["classes"])
            else:
                model.center_, model.scale_ = parts.answers["center"], parts.answers["scale"]
            model.load_weights(folder)
            model.calibrator_, model.fold_calibrators_ = parts.calibrator, dict(parts.fold_calibrators)
        return model

    def _learn_answers(self, y: Floats) -> None:
        if self.task_ == "regression":
            if len(y) < 2 or y.std() == 0:
                raise SchemaError(
                    f"{type(self).__name__} needs values that differ; n_samples={len(y)} are left."
                )
            self.center_, self.scale_ = float(y.mean()), float(y.std())
            return
        self.classes_ = np.unique(y)
        if len(self.classes_) < 2:
            raise SchemaError(
                f"{type(self).__name__} needs at least two classes; its {len(y)} training rows have "
                f"{len(self.classes_)} class{'' if len(self.classes_) else 'es'}."
            )

    def _encode(self, y: Floats) -> Floats:
        if self.task_ == "regression":
            return (y - self.center_) / self.scale_
        number = np.minimum(np.searchsorted(self.classes_, y), len(self.classes_) - 1).astype(np.float64)
        return np.where(self.classes_[number.astype(int)] == y, number, np.nan)

    def _frame(self, X: pd.DataFrame) -> pd.DataFrame:
        return as_frame(X, self.feature_names_in_, type(self).__name__)

    def _scores(self, X: pd.DataFrame) -> Floats:
        """Raw scores of the bars from which on all that preprocessing looks back at is there."""
        Z = self._prepare(X)
        return self._predict(Z).reshape(-1, self._n_outputs) if len(Z) else np.empty((0, self._n_outputs))

    def _prepare(self, X: pd.DataFrame) -> Singles:
        """Preprocessed features of the same bars."""
        Z = self.preprocessor_.transform(X)
        known = _finite(X)
        if not known.all():
            bad = [str(name) for name, column in zip(X.columns, known.T, strict=True) if not column.all()]
            raise SchemaError(f"Values that are not finite in {', '.join(bad)}; start after the warm-up.")
        return Z[self.preprocessor_.lookback :]

    def _probabilities(self, scores: Floats, calibrated: bool = True) -> Floats:
        p = probabilities_of(scores)
        if not calibrated or self.calibrator_ is None:
            return p
        if scores.shape[1] > 1:
            return self.calibrator_.transform(p)
        up = self.calibrator_.transform(p[:, 1])
        return np.column_stack([1 - up, up])

    def _values(self, scores: Floats) -> Floats:
        return scores[:, 0] * self.scale_ + self.center_


def _finite(X: pd.DataFrame) -> NDArray[np.bool_]:
    """Which values are finite; columns that are no numbers, which a preprocessor refuses, are left out."""
    known: NDArray[np.bool_] = np.isfinite(X.select_dtypes(["number", "bool"]).to_numpy(dtype=np.float64))
    return known
