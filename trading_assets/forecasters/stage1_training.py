"""One forecaster's whole training: out-of-fold predictions, the final fit, the look at the next era."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np

from trading_assets.features.dataset import Dataset
from trading_assets.forecasters import OUT_OF_FOLD
from trading_assets.forecasters.base import ModelAdapter
from trading_assets.forecasters.crossfit import WARM_UP, OutOfFold, cross_fit, score
from trading_assets.registry.tables import write_table
from trading_assets.validation.folds import Folds

Model = TypeVar("Model", bound=ModelAdapter)
ALARM_AUC = {1: 0.60, 4: 0.58}
"""Out-of-fold AUC of direction above which a leak is likelier than an edge, from the horizon on."""
ALARM_GAP = 0.05
CONTROL_AUC = 0.65


@dataclass(frozen=True)
class FittedForecaster(Generic[Model]):
    """A forecaster trained on the whole first era and how it did on bars it had not seen."""

    model: Model
    out_of_fold: OutOfFold
    numbers: dict[str, float | int | str]
    notes: tuple[str, ...]

    def write(self, folder: Path) -> None:
        self.model.save(folder)
        write_table(self.out_of_fold.frame, folder / OUT_OF_FOLD)
        (folder / "cv_results.json").write_text(json.dumps(self.out_of_fold.folds, indent=1))


def fit_forecaster(
    make_model: Callable[[], Model],
    dataset: Path,
    cv_folds: Path,
    *,
    horizon: int,
    control: bool = False,
) -> FittedForecaster[Model]:
    """Cross-fit on the folds, fit on the whole of `forecaster_train`, score on `agent_train`.

    Parameters
    ----------
    make_model : callable
        Gives an unfitted model.
    dataset, cv_folds : Path
        Verified folders.
    horizon : int
        Bars the direction looks ahead; decides from which AUC on a leak is suspected.
    control : bool
        Also forecast high variance, which any working pipeline can: the positive control.
    """
    data, folds = Dataset.read(dataset), Folds.read(cv_folds)
    X, y = data.features, data.target("direction")
    out_of_fold = cross_fit(make_model, X, y, folds.splits)
    era, later = folds.eras.forecaster_train, folds.eras.agent_train
    model = make_model().fit(X, y, rows=np.arange(era.start, era.stop))
    block = X.iloc[later.start - WARM_UP : later.stop]
    p = model.predict_proba(block)[WARM_UP:, 1]
    next_era = score(y[later.rows], p)
    numbers: dict[str, float | int | str] = {
        "out-of-fold AUC": out_of_fold.auc,
        "next-era AUC": next_era["AUC"],
        "next-era accuracy": next_era["accuracy"],
        "next-era Brier skill": next_era["Brier skill"],
        "training bars": len(era),
    }
    notes = list(_alarms(out_of_fold.auc, next_era["AUC"], horizon))
    if control:
        variance = cross_fit(make_model, X, data.target("high_variance"), folds.splits)
        numbers["control: high-variance AUC"] = variance.auc
        if variance.auc < CONTROL_AUC:
            notes.append(
                f"The positive control failed: high variance is forecast with AUC {variance.auc:.3f}, "
                f"below {CONTROL_AUC}. Either the bars have no volatility clusters or the pipeline is broken."
            )
    return FittedForecaster(model, out_of_fold, numbers, tuple(notes))


def _alarms(auc: float, next_auc: float, horizon: int) -> list[str]:
    limit = ALARM_AUC[4] if horizon >= 4 else ALARM_AUC[1]
    notes = []
    if auc > limit:
        notes.append(f"Out-of-fold AUC {auc:.3f} is above {limit}: on a real market suspect a leak first.")
    if auc - next_auc > ALARM_GAP:
        notes.append(f"Out-of-fold AUC is {auc - next_auc:.3f} above the next era's: the edge did not last.")
    return notes
