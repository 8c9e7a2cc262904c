"""Which features a forecaster relies on: in ways of its own, and by shuffling one."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trading_assets.forecasters.base import ModelAdapter
from trading_assets.forecasters.crossfit import WARM_UP, OutOfFold, answered

Importance = Mapping[str, float]


def importances(model: ModelAdapter, out_of_fold: OutOfFold, X: pd.DataFrame) -> dict[str, Importance]:
    """Every way that suits the model, by name.

    Parameters
    ----------
    model : ModelAdapter
        Fitted.
    out_of_fold : OutOfFold
        Of the same kind of model.
    X : DataFrame of shape (n_bars, n_features)
        What both were made from.
    """
    rows = out_of_fold.frame["row"].to_numpy()
    seen = X.iloc[rows[0] : rows[-1] + 1]
    names = [name for name in model.input_names if name in X] or None
    shuffled = permutation_importance(out_of_fold, X, names=names)
    return {**model.importances(seen), "rise of the Brier score": shuffled}


def permutation_importance(
    out_of_fold: OutOfFold,
    X: pd.DataFrame,
    *,
    names: Sequence[str] | None = None,
    n_rows: int = 2_000,
    seed: int = 0,
) -> Importance:
    """Rise of the mean squared error of a probability (Brier score) when a feature is shuffled.

    Asked of every fold's model on the first answered rows of its own test block, which it did not learn from;
    mean of the folds. A feature whose rise is not above 0 can be left out.

    Parameters
    ----------
    out_of_fold : OutOfFold
        Of two classes.
    X : DataFrame of shape (n_bars, n_features)
        What it was made from.
    names : sequence of str, optional
        Features to ask about; all without it.
    n_rows : int
        Rows of each test block, for speed.
    seed : int

    Returns
    -------
    Importance
        By feature.

    Examples
    --------
    >>> from trading_assets.forecasters import LightGBMForecaster, cross_fit
    >>> from trading_assets.validation import PurgedKFold
    >>> rng = np.random.default_rng(0)
    >>> X = pd.DataFrame(rng.normal(size=(900, 2)), columns=["a", "b"])
    >>> y, splits = (X["a"] > 0).to_numpy(dtype=float), list(PurgedKFold(3, label_horizon=1).split(X))
    >>> found = cross_fit(lambda: LightGBMForecaster(n_estimators=10), X, y, splits)
    >>> rises = permutation_importance(found, X)
    >>> rises["a"] > rises["b"]
    True
    """
    rng = np.random.default_rng(seed)
    names = list(X.columns) if names is None else list(names)
    rises = np.zeros((len(out_of_fold.models), len(names)))
    complete = int(X.notna().all(axis=1).to_numpy().argmax())
    frame = answered(out_of_fold.frame)
    for fold, model in enumerate(out_of_fold.models):
        part = frame[frame["fold"] == fold].iloc[:n_rows]
        rows, y = part["row"].to_numpy(), part["y"].to_numpy()
        first = max(int(rows[0]) - WARM_UP - model.preprocessor_.lookback, complete)
        block, at = X.iloc[first : int(rows[-1]) + 1], rows - first
        order = np.arange(len(block))
        order[at] = rng.permutation(at)
        shuffled = [_with(block, name, block[name].to_numpy()[order]) for name in names]
        p = model.predict_variants([block, *shuffled])[:, at - model.preprocessor_.lookback, 1]
        brier = ((p - y) ** 2).mean(axis=1)
        rises[fold] = brier[1:] - brier[0]
    return dict(zip(names, rises.mean(axis=0).tolist(), strict=True))


def _with(X: pd.DataFrame, name: Hashable, values: NDArray[Any]) -> pd.DataFrame:
    """Another column of any name, which `assign` takes only as text."""
    changed = X.copy()
    changed[name] = values
    return changed
