"""Which features a forecaster relies on, asked in four ways."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from trading_assets.forecasters.base import Floats, ModelAdapter
from trading_assets.forecasters.crossfit import WARM_UP, OutOfFold, answered
from trading_assets.forecasters.lightgbm import LightGBMForecaster
from trading_assets.forecasters.sequence import SequenceForecaster

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
    found: dict[str, Importance] = {}
    names: Sequence[str] | None = None
    if isinstance(model, LightGBMForecaster):
        found["share of gain"] = model.gain()
        found["mean SHAP value"] = shap_importance(model, seen)
    elif isinstance(model, SequenceForecaster):
        found["mean integrated gradient"] = integrated_gradients(model, seen)
        names = [name for name in found["mean integrated gradient"] if name in X] or None
    found["rise of the Brier score"] = permutation_importance(out_of_fold, X, names=names)
    return found


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


def shap_importance(model: LightGBMForecaster, X: pd.DataFrame, *, n_rows: int = 2_000) -> Importance:
    """Mean of |SHAP value| of every feature, in log-odds; exact for trees (Lundberg et al. 2020).

    Of about `n_rows` of the consecutive bars `X`, evenly spread, for speed.
    """
    Z = model.preprocessor_.transform(X)[model.preprocessor_.lookback :]
    Z = Z[:: max(len(Z) // n_rows, 1)]
    values = np.asarray(model.booster_.predict(Z, pred_contrib=True, num_threads=model.n_threads))
    names = model.preprocessor_.feature_names_out
    # One block of features and a constant for each output.
    blocks = values.reshape(len(Z), -1, len(names) + 1)[:, :, :-1]
    return dict(zip(names, np.abs(blocks).mean(axis=(0, 1)).tolist(), strict=True))


def integrated_gradients(
    model: SequenceForecaster, X: pd.DataFrame, *, n_steps: int = 32, n_bars: int = 1_024
) -> Importance:
    """Mean of |integrated gradient| of every input, from all inputs zero to the bars (Sundararajan 2017).

    Of the sum of the first output over the last half of the last `n_bars` bars, through the whole past that
    they remember; the parts of a bar sum to what the output differs by.
    """
    parts = attributions(model, X.iloc[-n_bars:], n_steps=n_steps)
    names = [model.preprocessor_.feature_names_out[i] for i in model.columns]
    return dict(zip(names, np.abs(parts).mean(axis=0).tolist(), strict=True))


def attributions(model: SequenceForecaster, X: pd.DataFrame, *, n_steps: int = 32) -> Floats:
    """Integrated gradients, shape (n_bars, n_inputs), of the output summed over the last half of the bars."""
    Z = model.preprocessor_.transform(X)[model.preprocessor_.lookback :]
    x = torch.from_numpy(np.ascontiguousarray(Z[:, model.columns]))
    # Midpoints: the error of the sum falls with the square of the number of steps.
    share = (torch.arange(n_steps) + 0.5) / n_steps
    scaled = (share[:, None, None] * x).requires_grad_()
    output = model.module_(scaled)[:, len(x) // 2 :, 0].sum()
    (gradient,) = torch.autograd.grad(output, scaled)
    parts: Floats = (gradient.mean(dim=0) * x).double().numpy()
    return parts
