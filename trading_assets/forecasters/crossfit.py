"""Predictions of every training bar by a model that did not learn from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import log_loss, roc_auc_score

from trading_assets.arrays import Floats, Rows
from trading_assets.errors import NotReadyError
from trading_assets.forecasters.base import ModelAdapter
from trading_assets.progress import report
from trading_assets.representation import one_line

Splits = Sequence[tuple[Rows, Rows]]
WARM_UP = 256
"""Bars before a test block that only warm a sequence model's state (their labels are never read)."""
LACKING = "The training rows of some folds lack a class that others have; use fewer folds or more bars."


@dataclass(frozen=True)
class OutOfFold:
    """Forecasts of every tested bar by a model that was not fitted on it.

    Attributes
    ----------
    frame : DataFrame
        One row a tested bar whose features are known: `row`, `fold`, `y` (number of the class, or value; NaN
        where there is no answer, see `answered`), `weight` and the forecast: `p` (of the second of two
        classes), `p_0`, `p_1`, ... or `value`. Bars without an answer can be traded like all others.
    folds : list of dict
        Rows and scores of every fold.
    models : list of ModelAdapter
        The one of every fold.

    Examples
    --------
    See `cross_fit`.
    """

    frame: pd.DataFrame
    folds: list[dict[str, Any]]
    models: list[ModelAdapter]

    __repr__ = one_line

    @property
    def score(self) -> dict[str, float]:
        """Of all folds together, see `score`."""
        return _score(self.frame)


def cross_fit(
    make_model: Callable[[], ModelAdapter],
    X: pd.DataFrame,
    y: Floats,
    splits: Splits,
    *,
    sample_weight: Floats | None = None,
    label_end: Rows | None = None,
    n_threads: int = 1,
    checkpoints: Path | None = None,
) -> OutOfFold:
    """Fit one model a split and predict its test rows.

    Parameters
    ----------
    make_model : callable
        Gives an unfitted model.
    X : DataFrame of shape (n_bars, n_features)
    y : ndarray of shape (n_bars,)
        NaN where unknown; such rows are neither fitted nor scored.
    splits : sequence of (train rows, test rows)
        Bar positions; each test block is contiguous.
    sample_weight, label_end : ndarray of shape (n_bars,), optional
        See `ModelAdapter.fit`.
    n_threads : int
        Folds fitted at once, where the model allows it; the result does not depend on it.
    checkpoints : Path, optional
        Folder from which an interrupted call goes on, where the model can.

    Returns
    -------
    OutOfFold

    Raises
    ------
    NotReadyError
        When the training rows of a fold lack a class.

    Examples
    --------
    >>> from trading_assets.forecasters import LightGBMForecaster
    >>> from trading_assets.validation import PurgedKFold
    >>> rng = np.random.default_rng(0)
    >>> X = pd.DataFrame(rng.normal(size=(600, 2)), columns=["a", "b"])
    >>> y, splits = (X["a"] > 0).to_numpy(dtype=float), list(PurgedKFold(3, label_horizon=1).split(X))
    >>> out_of_fold = cross_fit(lambda: LightGBMForecaster(n_estimators=10), X, y, splits)
    >>> out_of_fold.score["AUC"] > 0.9
    True
    """
    done = 0

    def one(number: int, threads: int) -> tuple[pd.DataFrame, ModelAdapter]:
        nonlocal done
        report(done / (len(splits) + 1), f"fold {number + 1} of {len(splits)}")
        model = make_model()
        model.n_threads = threads
        model.checkpoint = checkpoints / f"fold{number}.pt" if checkpoints else None
        part = fit_fold(model, X, y, splits[number], sample_weight=sample_weight, label_end=label_end)
        done += 1
        return part.assign(fold=number), model

    made = list(_in_threads(one, make_model().parallel, len(splits), n_threads))
    parts, models = [part for part, _ in made], [model for _, model in made]
    if len({str(getattr(model, "classes_", None)) for model in models}) > 1:
        raise NotReadyError(LACKING)
    folds = [
        {"fold": number, "train": len(train), "test": len(test), **_score(part)}
        for number, ((train, test), part) in enumerate(zip(splits, parts, strict=True))
    ]
    return OutOfFold(pd.concat(parts, ignore_index=True), folds, models)


def fit_fold(
    model: ModelAdapter,
    X: pd.DataFrame,
    y: Floats,
    split: tuple[Rows, Rows],
    *,
    sample_weight: Floats | None = None,
    label_end: Rows | None = None,
) -> pd.DataFrame:
    """Fit `model` on the training rows of a split; the test rows as in `OutOfFold.frame`, without `fold`."""
    train, test = split
    model.fit(X, y, rows=train, sample_weight=sample_weight, label_end=label_end)
    complete = int(X.notna().all(axis=1).to_numpy().argmax())
    test = test[test >= complete + model.preprocessor_.lookback]
    answers = y[test].astype(float)
    known = np.isfinite(answers)
    if not known.any():
        raise NotReadyError(
            f"The test rows of a fold, {_span(split[1])}, have no answer: the price did not "
            "move, or features warm up. Use fewer folds or more bars."
        )
    if model.task_ == "classification":
        if not np.isin(answers[known], model.classes_).all():
            raise NotReadyError(LACKING)
        answers[known] = np.searchsorted(model.classes_, answers[known])
    weight = np.ones(len(test)) if sample_weight is None else sample_weight[test]
    part = pd.DataFrame({"row": test, "y": answers, "weight": weight})
    return part.assign(**_forecast_columns(predict_block(model, X, test, complete)))


def predict_block(model: ModelAdapter, X: pd.DataFrame, rows: Rows, complete: int = 0) -> Floats:
    """Uncalibrated forecasts of consecutive bars `rows`, after a warm-up on the bars before them.

    Parameters
    ----------
    model : ModelAdapter
    X : DataFrame of shape (n_bars, n_features)
    rows : ndarray of int
    complete : int
        First bar whose features are all there.

    Returns
    -------
    ndarray of shape (n_rows, n_classes) or (n_rows,)

    Raises
    ------
    NotReadyError
        When there are no rows, or the first of them comes before features and preprocessing have warmed up.
    """
    ready = complete + model.preprocessor_.lookback
    if not len(rows) or rows[0] < ready:
        raise NotReadyError(
            f"The bars to forecast are {_span(rows)}; expected one or more, from bar {ready} on, where "
            "features have warmed up. Bring more bars."
        )
    first = max(int(rows[0]) - WARM_UP - model.preprocessor_.lookback, complete)
    block = X.iloc[first : int(rows[-1]) + 1]
    if model.task_ == "regression":
        return model.predict(block)[rows - first]
    return model.predict_proba(block, calibrated=False)[rows - first]


def score(y: Floats, p: Floats) -> dict[str, float]:
    """What probabilities were worth where the answer `y` is known (no NaN).

    Of up, shape (n,): AUC, accuracy at 1/2 (a forecast of 1/2 is half right), Brier score and its skill over
    the base rate; NaN where there is no answer, AUC also where all are the same. Of classes 0, 1, 2, ...,
    shape (n, n_classes): accuracy and log loss.
    """
    known = ~np.isnan(y)
    y, p = y[known], p[known]
    if p.ndim == 2:
        return {
            "accuracy": float(np.mean(p.argmax(axis=1) == y)),
            "log loss": float(log_loss(y, p, labels=np.arange(p.shape[1]))),
        }
    if not len(y):
        return dict.fromkeys(("AUC", "accuracy", "Brier", "Brier skill"), float("nan"))
    brier, base = float(np.mean((p - y) ** 2)), float(np.mean((y.mean() - y) ** 2))
    both = len(np.unique(y)) == 2
    return {
        "AUC": float(roc_auc_score(y, p)) if both else float("nan"),
        "accuracy": float(np.mean(np.where(p == 0.5, 0.5, (p > 0.5) == (y > 0.5)))),
        "Brier": brier,
        "Brier skill": 1 - brier / base if base > 0 else 0.0,
    }


def loss(frame: pd.DataFrame) -> float:
    """Weighted log loss of probabilities, squared error of values, of rows as in `OutOfFold.frame`."""
    frame = answered(frame)
    y, weight = frame["y"].to_numpy(), frame["weight"].to_numpy()
    if "value" in frame:
        return float(np.average((frame["value"].to_numpy() - y) ** 2, weights=weight))
    p = _probabilities(frame)
    p = np.column_stack([1 - p, p]) if p.ndim == 1 else p
    said = np.take_along_axis(p, y.astype(int)[:, None], axis=1)[:, 0]
    return float(np.average(-np.log(np.maximum(said, 1e-15)), weights=weight))


def answered(frame: pd.DataFrame) -> pd.DataFrame:
    """Those rows of `OutOfFold.frame` that can be learnt from and scored."""
    return frame[frame["y"].notna()]


def _span(rows: Rows) -> str:
    return f"{rows[0]} to {rows[-1]}" if len(rows) else "none"


def _probabilities(frame: pd.DataFrame) -> Floats:
    if "p" in frame:
        return frame["p"].to_numpy()
    return frame[[name for name in frame if str(name).startswith("p_")]].to_numpy()


def _score(frame: pd.DataFrame) -> dict[str, float]:
    frame = answered(frame)
    y = frame["y"].to_numpy()
    if "value" not in frame:
        return score(y, _probabilities(frame))
    value = frame["value"].to_numpy()
    return {
        "correlation": float(np.corrcoef(y, value)[0, 1]),
        "explained": float(1 - np.mean((y - value) ** 2) / y.var()),
    }


def _forecast_columns(forecast: Floats) -> dict[str, Floats]:
    if forecast.ndim == 1:
        return {"value": forecast}
    if forecast.shape[1] == 2:
        return {"p": forecast[:, 1]}
    return {f"p_{k}": column for k, column in enumerate(forecast.T)}


def _in_threads(
    work: Callable[[int, int], Any], parallel: bool, n_jobs: int, n_threads: int
) -> Iterator[Any]:
    """`work(job, threads)` of every job; the last ones, fewer than there are threads, share them all."""
    if n_threads == 1 or not parallel:
        yield from (work(job, n_threads if parallel else 1) for job in range(n_jobs))
        return
    whole = n_jobs - n_jobs % n_threads
    rest = range(whole, n_jobs)
    with ThreadPoolExecutor(n_threads) as pool:
        for jobs, threads in ((range(whole), 1), (rest, n_threads // max(len(rest), 1))):
            # A context of its own for each, so that progress finds its listener in the thread too.
            futures = [pool.submit(copy_context().run, work, job, threads) for job in jobs]
            yield from [future.result() for future in futures]
