"""What every forecaster offers, and the check of its inputs that no subclass can forget."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trading_assets.errors import SchemaError
from trading_assets.forecasters.preprocessing import RobustScaler

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]


class ModelAdapter(ABC):
    """A binary forecaster with scikit-learn's protocol, for rows that are consecutive bars.

    Attributes
    ----------
    classes_ : ndarray
        Always [0, 1].
    feature_names_in_ : list of str
        Columns it was fitted on, in order; prediction refuses any other order.
    """

    classes_ = np.array([0, 1])
    feature_names_in_: list[str]
    preprocessor_: RobustScaler

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """What the constructor needs to make an unfitted copy."""

    def fit(self, X: pd.DataFrame, y: Floats, *, rows: Rows | None = None) -> Self:
        """Fit scaling and model.

        Parameters
        ----------
        X : DataFrame of shape (n_bars, n_features)
            Consecutive bars.
        y : ndarray of shape (n_bars,)
            0, 1, or NaN where the answer is not known.
        rows : ndarray of int, optional
            The bars that may be learnt from; all without it. Sequences do not reach over a hole.
        """
        rows = np.arange(len(X)) if rows is None else rows
        rows = rows[np.isfinite(y[rows]) & np.isfinite(X.to_numpy()[rows]).all(axis=1)]
        if len(np.unique(y[rows])) < 2:
            raise SchemaError(
                f"{type(self).__name__} needs both classes among its {len(rows)} training rows."
            )
        self.feature_names_in_ = list(X.columns)
        self.preprocessor_ = RobustScaler.fit(X.to_numpy()[rows])
        self._fit(self.preprocessor_.transform(X.to_numpy()), y, rows)
        return self

    def predict_proba(self, X: pd.DataFrame) -> Floats:
        """Probabilities of shape (n_bars, 2) for consecutive bars.

        Raises
        ------
        SchemaError
            When columns are missing, extra or in another order, or a value is NaN.
        """
        check_columns(self.feature_names_in_, X)
        values = X.to_numpy()
        if not np.isfinite(values).all():
            bad = X.columns[~np.isfinite(values).all(axis=0)]
            raise SchemaError(f"Values that are not finite in {', '.join(bad)}; start after the warm-up.")
        up = self._predict(self.preprocessor_.transform(values))
        return np.column_stack([1 - up, up])

    @abstractmethod
    def _fit(self, Z: NDArray[np.float32], y: Floats, rows: Rows) -> None: ...

    @abstractmethod
    def _predict(self, Z: NDArray[np.float32]) -> Floats: ...

    @abstractmethod
    def _save(self, folder: Path) -> None: ...

    @abstractmethod
    def _load(self, folder: Path) -> None: ...

    def save(self, folder: Path) -> None:
        """Write the model, `features.json` and `preprocessor.json` into `folder`."""
        (folder / "features.json").write_text(json.dumps(self.feature_names_in_))
        (folder / "preprocessor.json").write_text(json.dumps(self.preprocessor_.to_json()))
        (folder / "settings.json").write_text(json.dumps(self.settings()))
        self._save(folder)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The fitted model that `save` wrote; predicts the same, bit for bit."""
        model = cls(**json.loads((folder / "settings.json").read_bytes()))
        model.feature_names_in_ = json.loads((folder / "features.json").read_bytes())
        preprocessor = json.loads((folder / "preprocessor.json").read_bytes())
        model.preprocessor_ = RobustScaler.from_json(preprocessor)
        model._load(folder)
        return model


def check_columns(expected: list[str], X: pd.DataFrame) -> None:
    """Raise `SchemaError` naming the columns that are missing, extra or out of order."""
    given = list(X.columns)
    if given == expected:
        return
    missing = [name for name in expected if name not in given]
    extra = [name for name in given if name not in expected]
    if missing or extra:
        raise SchemaError(
            f"Missing columns: {', '.join(missing) or 'none'}; extra: {', '.join(extra) or 'none'}."
        )
    moved = next(i for i, name in enumerate(expected) if given[i] != name)
    raise SchemaError(
        f"Columns are in another order than in training: column {moved} is '{given[moved]}', "
        f"expected '{expected[moved]}'."
    )
