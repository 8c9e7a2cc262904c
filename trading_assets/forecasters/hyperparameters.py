"""Search for a forecaster's hyperparameters on purged folds; every set that is tried is counted."""

from __future__ import annotations

import json
import multiprocessing
import warnings
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import optuna
import pandas as pd
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from trading_assets.errors import DivergedError, SettingsError
from trading_assets.forecasters.base import Floats, ModelAdapter, Rows
from trading_assets.forecasters.crossfit import Splits, fit_fold, loss
from trading_assets.progress import report
from trading_assets.registry.ledger import Trials

Space = Mapping[str, BaseDistribution]
Sharpe = Callable[[pd.DataFrame], float]
"""From out-of-fold rows to the Sharpe ratio per bar of trading them."""

_SEQUENCE: Space = {
    "hidden_size": IntDistribution(16, 64, log=True),
    "dropout": FloatDistribution(0.1, 0.7),
    "learning_rate": FloatDistribution(1e-3, 2e-2, log=True),
    "weight_decay": FloatDistribution(1e-2, 3.0, log=True),
    "steps": IntDistribution(150, 800, log=True),
}
SPACES: Mapping[str, Space] = {
    "lightgbm": {
        "n_estimators": IntDistribution(50, 600, log=True),
        "learning_rate": FloatDistribution(0.005, 0.1, log=True),
        "num_leaves": IntDistribution(4, 63, log=True),
        "min_child_samples": IntDistribution(20, 500, log=True),
        "colsample_bytree": FloatDistribution(0.2, 1.0),
        "subsample": FloatDistribution(0.4, 1.0),
        "reg_lambda": FloatDistribution(0.1, 100.0, log=True),
    },
    "gru": {**_SEQUENCE, "channels": IntDistribution(8, 48, log=True)},
    "cnn_lstm": {
        **_SEQUENCE,
        "channels": IntDistribution(8, 48, log=True),
        "kernel_size": IntDistribution(2, 8),
    },
}


def define_search_space(model: str) -> dict[str, BaseDistribution]:
    """What is searched for a kind of forecaster: Optuna's distribution of each setting, yours to change."""
    if model not in SPACES:
        raise SettingsError(f"No search space for '{model}'. Known: {', '.join(SPACES)}.")
    return dict(SPACES[model])


@dataclass(frozen=True)
class SearchResult:
    """Attributes
    ----------
    parameters : dict
        The best set found, of the settings that were searched.
    trials : list of dict
        Of every set: number, state, median loss, loss of each fold, Sharpe ratio per bar, parameters.
    importance : dict of str to float
        Share of each parameter in what the losses differ by; empty where too few were tried.
    """

    parameters: dict[str, Any]
    trials: list[dict[str, Any]]
    importance: dict[str, float]

    def write(self, folder: Path) -> None:
        tree = {"parameters": self.parameters, "importance": self.importance, "trials": self.trials}
        (folder / "search.json").write_text(json.dumps(tree, indent=1))


@dataclass(frozen=True)
class _Search:
    """What a worker process needs."""

    model: ModelAdapter
    X: pd.DataFrame
    y: Floats
    splits: Splits
    sample_weight: Floats | None
    label_end: Rows | None
    space: Space
    storage: str
    name: str
    n_trials: int
    trials: Trials | None
    sharpe: Sharpe | None

    def study(self, seed: int = 0) -> optuna.Study:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            # Compares with the best set fold by fold: folds differ from each other more than sets do.
            pruner = optuna.pruners.WilcoxonPruner(p_threshold=0.1, n_startup_steps=2)
        return optuna.create_study(
            storage=_open_storage(self.storage),
            study_name=self.name,
            load_if_exists=True,
            direction="minimize",
            sampler=optuna.samplers.TPESampler(seed=seed),
            pruner=pruner,
        )

    def work(self, seed: int) -> None:
        """Try sets until enough were tried by all workers together."""
        study = self.study(seed)
        while (done := _tried(study, TrialState.RUNNING)) < self.n_trials:
            report(done / self.n_trials, f"search: {done} of {self.n_trials} tried")
            self.attempt(study)

    def attempt(self, study: optuna.Study) -> None:
        """Try one set."""
        trial = study.ask(dict(self.space))
        counted = self.trials.trial("search", trial.params) if self.trials is not None else nullcontext(None)
        with counted as entry:
            parts = []
            try:
                for number, split in enumerate(self.splits):
                    parts.append(self._fold(trial.params, split))
                    trial.report(loss(parts[-1]), number)
                    if number + 1 < len(self.splits) and trial.should_prune():
                        break
            except DivergedError:
                pass  # given up like any other set that is worse than the best
            except BaseException:
                study.tell(trial, state=TrialState.FAIL)
                raise
            if self.sharpe is not None and parts:
                sharpe = self.sharpe(pd.concat(parts))
                trial.set_user_attr("sharpe", sharpe)
                if entry is not None:
                    entry.finish(sharpe)
            pruned = len(parts) < len(self.splits)
            value = None if pruned else float(np.median([loss(part) for part in parts]))
            study.tell(trial, value, state=TrialState.PRUNED if pruned else TrialState.COMPLETE)

    def _fold(self, parameters: Mapping[str, Any], split: tuple[Rows, Rows]) -> pd.DataFrame:
        model = self.model.clone().set_params(**parameters)
        model.n_threads = self.model.n_threads
        return fit_fold(
            model, self.X, self.y, split, sample_weight=self.sample_weight, label_end=self.label_end
        )


def search(
    model: ModelAdapter,
    X: pd.DataFrame,
    y: Floats,
    splits: Splits,
    *,
    n_trials: int,
    storage: Path | str | None = None,
    name: str = "search",
    space: Space | None = None,
    sample_weight: Floats | None = None,
    label_end: Rows | None = None,
    n_workers: int = 1,
    trials: Trials | None = None,
    sharpe: Sharpe | None = None,
) -> SearchResult:
    """Find the settings with the lowest median loss over purged folds (log loss, or squared error).

    The model's own settings are tried first. A set is given up when it is worse than the best one on the
    same folds (Wilcoxon's signed-rank test). Interrupted, it goes on where it was; asked for more trials, it
    only adds them.

    Parameters
    ----------
    model : ModelAdapter
        Unfitted; gives kind, seed, task and the settings that are not searched.
    X, y, splits, sample_weight, label_end
        As in `crossfit.cross_fit`.
    n_trials : int
        In all, those found in the storage included.
    storage : Path or str, optional
        File of a journal, or a database URL of Optuna's; nothing is kept without it.
    name : str
        Of the study in the storage.
    space : mapping of str to distribution, optional
        Without it `define_search_space(model.kind)`.
    n_workers : int
        Processes. With more than one the order of trials, and so what is found, is not reproducible.
    trials : Trials, optional
        Where each set is counted when it starts.
    sharpe : callable, optional
        Gives the Sharpe ratio that is noted with a trial.

    Raises
    ------
    SettingsError
        When the space names what is no setting of the model.
    """
    space, own = space or define_search_space(model.kind), model.get_params()
    if unknown := set(space) - set(own):
        raise SettingsError(
            f"The search space has {', '.join(sorted(unknown))}, which {type(model).__name__} does not know. "
            f"Known: {', '.join(own)}."
        )
    space = {parameter: _reaching(distribution, own[parameter]) for parameter, distribution in space.items()}
    with TemporaryDirectory() as folder:
        kept = str(storage or Path(folder) / "search.journal")
        given = (model, X, y, splits, sample_weight, label_end)
        return _run(_Search(*given, space, kept, name, n_trials, trials, sharpe), n_workers)


def _run(work: _Search, n_workers: int) -> SearchResult:
    study, own = work.study(), work.model.get_params()
    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)  # left behind by a process that died
    seed = work.model.seed + _tried(study)
    if not study.get_trials(states=(TrialState.COMPLETE,)) and _tried(study) < work.n_trials:
        if not study.get_trials(states=(TrialState.WAITING,)):
            study.enqueue_trial({parameter: own[parameter] for parameter in work.space})
        work.attempt(study)  # here: an SQLite storage can give two workers the same waiting trial
    if n_workers == 1:
        work.work(seed)
    else:
        context = multiprocessing.get_context("spawn")
        workers = [context.Process(target=work.work, args=(seed + i,)) for i in range(n_workers)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        if any(worker.exitcode for worker in workers):
            raise RuntimeError(
                "A worker of the search failed; its error stands above. Run it again to go on."
            )
    study = work.study()
    return SearchResult(study.best_params, [_row(trial) for trial in study.trials], _importance(study))


def _reaching(distribution: BaseDistribution, own: Any) -> BaseDistribution:
    """The same, wide enough for the model's own value, which is tried first."""
    if isinstance(distribution, IntDistribution | FloatDistribution):
        low, high = min(distribution.low, own), max(distribution.high, own)
        if not (distribution.log and own <= 0):
            return type(distribution)(low, high, log=distribution.log)
    return distribution


def _open_storage(storage: str) -> optuna.storages.BaseStorage:
    if "://" in storage:
        return optuna.storages.RDBStorage(storage)
    Path(storage).parent.mkdir(parents=True, exist_ok=True)
    return optuna.storages.JournalStorage(JournalFileBackend(storage))


def _tried(study: optuna.Study, *besides: TrialState) -> int:
    states = (TrialState.COMPLETE, TrialState.PRUNED, *besides)
    return len(study.get_trials(deepcopy=False, states=states))


def _row(trial: FrozenTrial) -> dict[str, Any]:
    return {
        "trial": trial.number,
        "state": trial.state.name.lower(),
        "median loss": trial.value if trial.state == TrialState.COMPLETE else None,
        "fold losses": [trial.intermediate_values[i] for i in sorted(trial.intermediate_values)],
        "sharpe per bar": trial.user_attrs.get("sharpe"),
        **trial.params,
    }


def _importance(study: optuna.Study) -> dict[str, float]:
    complete = study.get_trials(states=(TrialState.COMPLETE,))
    if len(complete) < 4 or len({trial.value for trial in complete}) < 2:
        return {}
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    return {
        k: float(v) for k, v in optuna.importance.get_param_importances(study, evaluator=evaluator).items()
    }
