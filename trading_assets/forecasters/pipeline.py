"""One forecaster's whole training: search, out-of-fold predictions, final fit, the look at the next era."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trading_assets.arrays import Floats
from trading_assets.config.settings import Settings
from trading_assets.errors import NotReadyError
from trading_assets.features.dataset import Dataset
from trading_assets.forecasters.base import ModelAdapter
from trading_assets.forecasters.calibration import (
    choose_calibrator,
    cross_fit_calibrators,
    slope_t,
    with_mirror_image,
)
from trading_assets.forecasters.calibration_error import calibration_scores
from trading_assets.forecasters.crossfit import OutOfFold, answered, cross_fit, predict_block, score
from trading_assets.forecasters.diagnostics import check_control, check_forecast, check_slope
from trading_assets.forecasters.forecast_backtest import choose_threshold, forecast_market, write_threshold
from trading_assets.forecasters.hyperparameters import SearchResult, search
from trading_assets.forecasters.importance import Importance, importances
from trading_assets.forecasters.loading import OUT_OF_FOLD
from trading_assets.registry.artifacts import Check
from trading_assets.registry.digests import digest_arrays, digest_json
from trading_assets.registry.files import write_json
from trading_assets.registry.ledger import Trials
from trading_assets.registry.tables import read_table, write_table
from trading_assets.validation.folds import Folds


@dataclass(frozen=True)
class FittedForecaster:
    """A forecaster trained on the whole first era and how well it forecast bars it had not seen.

    Nothing here depends on costs, so that another fee trains no network again: what trading on a forecast
    earns is counted where its threshold is chosen, see `CalibratedForecaster`.
    """

    model: ModelAdapter
    out_of_fold: OutOfFold
    search: SearchResult | None
    importance: Mapping[str, Importance]
    numbers: dict[str, float | int | str]
    checks: dict[str, Check]

    def write(self, folder: Path) -> None:
        self.model.save(folder)
        write_table(self.out_of_fold.frame, folder / OUT_OF_FOLD)
        write_json(folder / "cv_results.json", self.out_of_fold.folds)
        if self.search is not None:
            self.search.write(folder)


def fit_forecaster(
    model: ModelAdapter,
    dataset: Path,
    cv_folds: Path,
    settings: Settings,
    *,
    trials: Trials | None = None,
    checkpoints: Path | None = None,
    studies: Path | None = None,
    n_threads: int = 1,
    control: bool = False,
) -> FittedForecaster:
    """Cross-fit on the folds, fit on the whole of `forecaster_train`, score on `agent_train`.

    Parameters
    ----------
    model : ModelAdapter
        Unfitted.
    dataset, cv_folds : Path
        Verified folders.
    settings : Settings
    trials : Trials, optional
        Where searched settings are counted.
    checkpoints : Path, optional
        Folder from which an interrupted call goes on.
    studies : Path, optional
        Journal of all searches; one that asks for more trials of the same goes on in it.
    n_threads : int
        The result does not depend on it.
    control : bool
        Also forecast high variance, which any working pipeline can: the positive control.
    """
    data, folds = Dataset.read(dataset), Folds.read(cv_folds)
    X, y, weight = data.features, data.target("direction"), np.nan_to_num(data.frame["weight"].to_numpy())
    given: dict[str, Any] = {"sample_weight": weight, "label_end": data.label_end}
    found = None
    if settings.search.trials and model.search_space():
        found = search(
            model,
            X,
            y,
            folds.splits,
            n_trials=settings.search.trials,
            n_workers=settings.search.workers,
            storage=studies,
            name=_study_name(model, data, folds),
            trials=trials,
            **given,
        )
        model = model.clone().set_params(**found.parameters)
    out_of_fold = cross_fit(
        model.clone, X, y, folds.splits, n_threads=n_threads, checkpoints=checkpoints, **given
    )
    era, later = folds.eras.forecaster_train, folds.eras.agent_train
    final = model.clone()
    final.n_threads = n_threads
    final.checkpoint = checkpoints / "final.pt" if checkpoints else None
    final.fit(X, y, rows=np.arange(era.start, era.stop), **given)
    rows = np.arange(later.start, later.stop)
    next_era = score(y[rows], predict_block(final, X, rows)[:, 1])
    whole, frame = out_of_fold.score, answered(out_of_fold.frame)
    t = slope_t(frame["p"], frame["y"], frame["fold"], overlap=settings.labels.horizon)
    numbers: dict[str, float | int | str] = {
        "out-of-fold AUC": whole["AUC"],
        "out-of-fold Brier skill": whole["Brier skill"],
        "out-of-fold slope (t)": t,
        "next-era AUC": next_era["AUC"],
        "next-era accuracy": next_era["accuracy"],
        "next-era Brier skill": next_era["Brier skill"],
        "training bars": len(era),
        "device": str(final.training_["device"]["name"]),
    }
    checks = check_forecast(whole, next_era, settings.labels.horizon) | check_slope(t)
    if control:
        variance = cross_fit(model.clone, X, data.target("high_variance"), folds.splits, n_threads=n_threads)
        numbers["control: high-variance AUC"] = variance.score["AUC"]
        checks |= check_control(variance.score["AUC"])
    return FittedForecaster(
        model=final,
        out_of_fold=out_of_fold,
        search=found,
        importance=importances(final, out_of_fold, X),
        numbers=numbers,
        checks=checks,
    )


def _study_name(model: ModelAdapter, data: Dataset, folds: Folds) -> str:
    """By all that a loss depends on besides the settings that are tried."""
    splits = {f"{i}.{j}": rows for i, split in enumerate(folds.splits) for j, rows in enumerate(split)}
    settings = model.settings.model_dump(mode="json")
    return digest_json([model.kind, settings, model.seed, data.digest, digest_arrays(splits)])


@dataclass(frozen=True)
class CalibratedForecaster:
    """A forecaster with its calibrator, and how it did on the validation era.

    Attributes
    ----------
    threshold : float
        From which the forecast is traded; 1/2, which nothing exceeds, where none is worth it.
    validation : tuple of ndarray
        Outcomes, and the probabilities before and after calibration.
    sharpe : float
        Per bar, of the out-of-fold forecasts at that threshold, net of all costs; NaN where there is none.
    """

    model: ModelAdapter
    numbers: dict[str, float | int | str]
    tables: dict[str, list[dict[str, Any]]]
    threshold: float
    validation: tuple[Floats, Floats, Floats]
    sharpe: float

    def write(self, folder: Path) -> None:
        self.model.save(folder)
        write_threshold(folder, self.threshold)


def calibrate_forecaster(
    model: ModelAdapter, forecaster: Path, dataset: Path, cv_folds: Path, settings: Settings
) -> CalibratedForecaster:
    """Choose a calibrator and a threshold of trading on out-of-fold predictions, score on `validation`.

    Parameters
    ----------
    model : ModelAdapter
        The one in `forecaster`; it gets the calibrators.
    forecaster, dataset, cv_folds : Path
        Verified folders.
    settings : Settings
    """
    data, eras = Dataset.read(dataset), Folds.read(cv_folds).eras
    frame = read_table(forecaster / OUT_OF_FOLD)
    columns = {"p": "p", "y": "y", "fold": "fold", "sample_weight": "weight"}
    given = {name: answered(frame)[column].to_numpy() for name, column in columns.items()}
    learnt_from = len(given["p"])
    if settings.calibration.mirror:
        given = with_mirror_image(**given)
    model.calibrator_, scores = choose_calibrator(**given, method=settings.calibration.method)
    method = model.calibrator_.method
    model.fold_calibrators_ = cross_fit_calibrators(**given, method=method)
    p, fold = frame["p"].to_numpy(), frame["fold"].to_numpy()
    calibrated = np.empty_like(p)
    for number, calibrator in model.fold_calibrators_.items():
        calibrated[fold == number] = calibrator.transform(p[fold == number])
    chosen = choose_threshold(forecast_market(data, settings), frame["row"].to_numpy(), calibrated)
    threshold = chosen.threshold if chosen else 0.5
    rows = np.arange(eras.validation.start, eras.validation.stop)
    rows = rows[np.isfinite(data.target("direction")[rows])]
    if not len(rows):
        raise NotReadyError(
            f"There is no answer anywhere in the validation era, bars {eras.validation.start} to "
            f"{eras.validation.stop - 1}: the price did not move over {settings.labels.horizon} bars. Bring "
            "more bars, or change labels.horizon."
        )
    answers = data.target("direction")[rows]
    before = predict_block(model, data.features, rows)[:, 1]
    after = model.calibrator_.transform(before)
    looked = {name: calibration_scores(answers, q) for name, q in (("before", before), ("after", after))}
    numbers: dict[str, float | int | str] = {
        "method": method,
        "out-of-fold rows": learnt_from,
        "validation AUC before": score(answers, before)["AUC"],
        "validation AUC after": score(answers, after)["AUC"],
        **{f"validation {name} {when}": v for when, row in looked.items() for name, v in row.items()},
        "threshold": threshold,
        "out-of-fold Sharpe per bar": chosen.value if chosen else float("nan"),
    }
    tables = {
        "Brier score, cross-fitted": [{"method": name, "Brier": value} for name, value in scores.items()],
        "thresholds looked at": []
        if chosen is None
        else [
            {"threshold": t, "net Sharpe per bar": v, "orders": n}
            for t, v, n in zip(
                chosen.thresholds.tolist(), chosen.values.tolist(), chosen.orders.tolist(), strict=True
            )
        ],
    }
    return CalibratedForecaster(
        model,
        numbers,
        tables,
        threshold,
        (answers, before, after),
        chosen.value if chosen else float("nan"),
    )
