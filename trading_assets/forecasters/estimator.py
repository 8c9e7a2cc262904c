"""The side of a forecaster that scikit-learn sees: constructor parameters, tags, a score."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from pydantic import ValidationError
from sklearn.base import BaseEstimator
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils import ClassifierTags, RegressorTags
from sklearn.utils.metaestimators import available_if

from trading_assets.arrays import Floats
from trading_assets.config.settings import ForecasterSettings
from trading_assets.errors import SchemaError, SettingsError
from trading_assets.forecasters.calibrators import Calibrator
from trading_assets.forecasters.inputs import Estimator, require_numbers
from trading_assets.forecasters.persistence import Task
from trading_assets.forecasters.preprocessing import PreprocessorManager
from trading_assets.representation import one_line

Method = TypeVar("Method", bound=Callable[..., Any])


def _has_classes(model: Any) -> bool:
    """Whether a model was fitted on classes, or is to be."""
    if vars(model).get("task_", model.task) != "classification":
        raise SchemaError(f"This {type(model).__name__} forecasts a value; ask predict.")
    return True


if TYPE_CHECKING:

    def only_of_classes(method: Method) -> Method:
        """A method that a model of values does not have."""
        return method

else:
    only_of_classes = available_if(_has_classes)


class ForecasterEstimator(Estimator, BaseEstimator):  # type: ignore[misc]
    """Base of `ModelAdapter`: its parameters are `seed`, `task` and the fields of its `Settings`."""

    Settings: ClassVar[type[ForecasterSettings]]
    preprocessor_: PreprocessorManager
    calibrator_: Calibrator | None = None
    fold_calibrators_: Mapping[int, Calibrator] = MappingProxyType({})
    n_threads: int = 1
    checkpoint: Path | None = None

    def __init__(self, seed: int = 0, *, task: Task = "classification", **parameters: Any) -> None:
        if task not in ("classification", "regression"):
            raise SettingsError(f"task is {task!r}; expected 'classification' or 'regression'.")
        if not isinstance(seed, int | np.integer) or not 0 <= seed < 2**31:
            raise SettingsError(f"seed is {seed!r}; expected a whole number from 0 to 2^31 - 1.")
        try:
            self._settings = self.Settings(**parameters)
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(str(part) for part in first["loc"])
            raise SettingsError(
                f"{type(self).__name__}: '{name}' is {first['input']!r}: {first['msg']}. "
                f"Known: {', '.join(self.Settings.model_fields)}."
            ) from None
        self.seed, self.task, self._given = seed, task, parameters

    def __repr__(self) -> str:
        usual = type(self)().get_params()
        given = {name: value for name, value in self.get_params().items() if value != usual[name]}
        if not hasattr(self, "preprocessor_"):
            return one_line(self, given, ", not fitted")
        calibrator = f", calibrated by {self.calibrator_!r}" if self.calibrator_ else ""
        return one_line(self, given, f", fitted on {len(self.feature_names_in_)} features{calibrator}")

    @property
    def settings(self) -> Any:
        """Its parameters as an instance of `Settings`."""
        return self._settings

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Constructor arguments, all of them."""
        fields = {name: info.default for name, info in self.Settings.model_fields.items()}
        return {"seed": self.seed, "task": self.task, **fields, **self._given}

    def set_params(self, **parameters: Any) -> Self:
        """Change constructor arguments, for the next fit; what was fitted goes on as it was fitted."""
        other = type(self)(**{**self.get_params(), **parameters})
        for name in ("seed", "task", "_settings", "_given"):
            setattr(self, name, getattr(other, name))
        return self

    def clone(self) -> Self:
        """An unfitted copy."""
        return type(self)(**self.get_params())

    def __sklearn_is_fitted__(self) -> bool:
        return "training_" in vars(self)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        if self.task == "classification":
            tags.estimator_type, tags.classifier_tags = "classifier", ClassifierTags()
        else:
            tags.estimator_type, tags.regressor_tags = "regressor", RegressorTags()
        return tags

    @property
    def feature_names_in_(self) -> list[str]:
        """Columns it was fitted on, in order; numbers where that was an array."""
        return self.preprocessor_.feature_names_in

    @property
    def n_features_in_(self) -> int:
        """Number of columns it was fitted on."""
        return len(self.feature_names_in_)

    def score(self, X: pd.DataFrame, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Accuracy of a classification, R² of a regression, over the bars whose answer is known.

        Parameters
        ----------
        X : DataFrame of shape (n_bars, n_features)
            Consecutive bars.
        y : array-like of shape (n_bars,)
            Answers, NaN where unknown.
        sample_weight : array-like of shape (n_bars,), optional

        Raises
        ------
        SchemaError
            When no bar has both a forecast and an answer.
        """
        forecast = self.predict(X)
        answers = require_numbers("y", y, len(forecast))
        known = np.isfinite(answers) & np.isfinite(forecast)
        if not known.any():
            raise SchemaError("No bar has both a forecast and a known answer; give more bars.")
        weight = None
        if sample_weight is not None:
            weight = require_numbers("sample_weight", sample_weight, len(forecast))[known]
        measure = accuracy_score if self.task == "classification" else r2_score
        return float(measure(answers[known], forecast[known], sample_weight=weight))

    def predict(self, X: pd.DataFrame) -> Floats:
        """The likeliest class or the value of each bar."""
        raise NotImplementedError
