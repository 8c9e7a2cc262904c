"""Predictions of every training bar by a model that did not learn from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from trading_assets.forecasters.base import ModelAdapter
from trading_assets.progress import report

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]
WARM_UP = 256
"""Bars before a test block that only warm a sequence model's state (their labels are never read)."""


@dataclass(frozen=True)
class OutOfFold:
    """Attributes
    ----------
    frame : DataFrame
        One row a tested bar: `row`, `fold`, `p` (probability of up), `y`.
    folds : list of dict
        Rows and scores of every fold.
    """

    frame: pd.DataFrame
    folds: list[dict[str, Any]]

    @property
    def auc(self) -> float:
        return score(self.frame["y"].to_numpy(), self.frame["p"].to_numpy())["AUC"]


def cross_fit(
    make_model: Callable[[], ModelAdapter],
    X: pd.DataFrame,
    y: Floats,
    splits: Sequence[tuple[Rows, Rows]],
) -> OutOfFold:
    """Fit one model a split and predict its test rows.

    Parameters
    ----------
    make_model : callable
        Gives an unfitted model.
    X : DataFrame of shape (n_bars, n_features)
    y : ndarray of shape (n_bars,)
        NaN where unknown; such rows are left out.
    splits : sequence of (train rows, test rows)
        Bar positions; each test block is contiguous.
    """
    parts: list[pd.DataFrame] = []
    folds: list[dict[str, Any]] = []
    for number, (train, test) in enumerate(splits):
        report(number / (len(splits) + 1), f"fold {number + 1} of {len(splits)}")
        model = make_model().fit(X, y, rows=train)
        first = max(int(test[0]) - WARM_UP, int(X.notna().all(axis=1).to_numpy().argmax()))
        block = X.iloc[first : int(test[-1]) + 1]
        p = model.predict_proba(block)[test - first, 1]
        known = np.isfinite(y[test])
        part = pd.DataFrame({"row": test, "fold": number, "p": p, "y": y[test]})
        parts.append(part[known])
        folds.append({"fold": number, "train": len(train), "test": len(test)})
        folds[-1].update(score(y[test][known], p[known]))
    return OutOfFold(pd.concat(parts, ignore_index=True), folds)


def score(y: Floats, p: Floats) -> dict[str, float]:
    """AUC, accuracy at 1/2, Brier score and its skill over the base rate."""
    brier, base = float(np.mean((p - y) ** 2)), float(np.mean((y.mean() - y) ** 2))
    both = len(np.unique(y)) == 2
    return {
        "AUC": float(roc_auc_score(y, p)) if both else float("nan"),
        "accuracy": float(np.mean((p > 0.5) == (y > 0.5))),
        "Brier": brier,
        "Brier skill": 1 - brier / base if base > 0 else 0.0,
    }
