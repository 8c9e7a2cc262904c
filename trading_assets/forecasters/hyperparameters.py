"""Search for a forecaster's hyperparameters on purged folds; every set that is tried is counted."""

from __future__ import annotations

import multiprocessing
import warnings
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import optuna
import pandas as pd
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from trading_assets.arrays import Floats, Rows
from trading_assets.errors import DivergedError, SettingsError
from trading_assets.forecasters.base import ModelAdapter
from trading_assets.forecasters.crossfit import Splits, fit_fold, loss
from trading_assets.forecasters.loading import forecaster_class
from trading_assets.forecasters.studies import gate, is_alive, is_dead, open_storage, owner
from trading_assets.progress import report
from trading_assets.registry.files import write_json
from trading_assets.registry.ledger import Trials

Space = Mapping[str, BaseDistribution]

OWNER = "owner"
"""Attribute of a trial: which process tries it; see `studies.owner`."""


def define_search_space(model: str) -> dict[str, BaseDistribution]:
    """What is searched for a kind of forecaster: Optuna's distribution of each setting, yours to change.

    Parameters
    ----------
    model : str
        The kind: lightgbm, gru, cnn_lstm, or one of your own.

    Returns
    -------
    dict of str to BaseDistribution

    Raises
    ------
    SettingsError
        When there is no such kind.

    Examples
    --------
    >>> "learning_rate" in define_search_space("lightgbm")
    True
    """
    return forecaster_class(model).search_space()


@dataclass(frozen=True)
class SearchResult:
    """What a search found.

    Attributes
    ----------
    parameters : dict
        The best set found, of the settings that were searched.
    trials : list of dict
        Of every set that is finished: number, state, median loss, loss of each fold, parameters.
    importance : dict of str to float
        Share of each parameter in what the losses differ by; empty where too few were tried.

    Examples
    --------
    See `search`.
    """

    parameters: dict[str, Any]
    trials: list[dict[str, Any]]
    importance: dict[str, float]

    def write(self, folder: Path) -> None:
        tree = {"parameters": self.parameters, "importance": self.importance, "trials": self.trials}
        write_json(folder / "search.json", tree)


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

    def study(self) -> optuna.Study:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            # Compares with the best set fold by fold: folds differ from each other more than sets do.
            pruner = optuna.pruners.WilcoxonPruner(p_threshold=0.1, n_startup_steps=2)
        return optuna.create_study(
            storage=open_storage(self.storage),
            study_name=self.name,
            load_if_exists=True,
            direction="minimize",
            pruner=pruner,
        )

    def prepare(self, study: optuna.Study) -> None:
        """Give up what dead processes were trying, and have the model's own settings tried first."""
        with gate(self.storage):
            for trial in study.get_trials(states=(TrialState.RUNNING,)):
                by = trial.user_attrs.get(OWNER)
                if by is None or is_dead(self.storage, by):
                    study.tell(trial.number, state=TrialState.FAIL)
            parameters = self.model.get_params()
            own = {parameter: parameters[parameter] for parameter in self.space}
            states = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)
            tried = any(trial.params == own for trial in study.get_trials(deepcopy=False, states=states))
            waiting = study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
            if not tried and not waiting and self._under_way(study) < self.n_trials:
                study.enqueue_trial(own)

    def work(self) -> None:
        """Try sets until enough were tried by all processes together."""
        study = self.study()
        with owner(self.storage) as name:
            while (trial := self._next(study, name)) is not None:
                self.attempt(study, trial)

    def _next(self, study: optuna.Study, name: str) -> optuna.Trial | None:
        """A set that nobody else tries, or None where enough are tried.

        The sampler's seed follows from the model's and from how many sets were asked for before: no two are
        drawn alike, whoever draws them, and a search that goes on draws as one that was never interrupted.
        """
        with gate(self.storage):
            done = self._under_way(study)
            report(done / self.n_trials, f"search: {done} of {self.n_trials} tried")
            if done >= self.n_trials:
                return None
            entropy = [self.model.seed, len(study.get_trials(deepcopy=False))]
            seed = int(np.random.SeedSequence(entropy).generate_state(1)[0])
            study.sampler = optuna.samplers.TPESampler(seed=seed)
            trial = study.ask(dict(self.space))
            trial.set_user_attr(OWNER, name)
        return trial

    def _under_way(self, study: optuna.Study) -> int:
        """Sets that were tried, or are being tried by somebody alive."""
        running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        alive = sum(is_alive(self.storage, trial.user_attrs.get(OWNER, "")) for trial in running)
        tried = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
        return len(tried) + alive

    def attempt(self, study: optuna.Study, trial: optuna.Trial) -> None:
        """Try one set."""
        counted = self.trials.trial("search", trial.params) if self.trials is not None else nullcontext()
        with counted:
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
) -> SearchResult:
    """Find the settings with the lowest median loss over purged folds (log loss, or squared error).

    The model's own settings are tried first. A set is given up when it is worse than the best one on the
    same folds (Wilcoxon's signed-rank test). Interrupted, it goes on where it was; asked for more trials, it
    only adds them. Searches that share a study at the same time share its trials.

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
        Without it `model.search_space()`.
    n_workers : int
        Processes. With more than one the order of trials, and so what is found, is not reproducible.
    trials : Trials, optional
        Where each set is counted when it starts.

    Returns
    -------
    SearchResult

    Raises
    ------
    SettingsError
        When the space names what is no setting of the model, or nothing is to be tried.
    DivergedError
        When no set could be fitted on every fold.

    Examples
    --------
    >>> search(LightGBMForecaster(), X, y, splits, n_trials=20).parameters  # doctest: +SKIP
    """
    if n_trials < 1 or n_workers < 1:
        raise SettingsError(f"n_trials is {n_trials} and n_workers {n_workers}; expected 1 or more of both.")
    space, own = space or model.search_space(), model.get_params()
    if not space:
        raise SettingsError(
            f"{type(model).__name__} has no search space of its own; give one, or set search.trials to 0."
        )
    if unknown := set(space) - set(own):
        raise SettingsError(
            f"The search space has {', '.join(sorted(unknown))}, which {type(model).__name__} does not know. "
            f"Known: {', '.join(own)}."
        )
    space = {parameter: _reaching(distribution, own[parameter]) for parameter, distribution in space.items()}
    with TemporaryDirectory() as folder:
        kept = str(storage or Path(folder) / "search.journal")
        given = (model, X, y, splits, sample_weight, label_end)
        return _run(_Search(*given, space, kept, name, n_trials, trials), n_workers)


def _run(work: _Search, n_workers: int) -> SearchResult:
    study = work.study()
    work.prepare(study)
    if n_workers == 1:
        work.work()
    else:
        context = multiprocessing.get_context("spawn")
        workers = [context.Process(target=work.work) for _ in range(n_workers)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        if any(worker.exitcode for worker in workers):
            raise RuntimeError(
                "A worker of the search failed; its error stands above. Run it again to go on."
            )
    if not study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        raise DivergedError(
            f"None of the {work.n_trials} sets tried could be fitted on every fold; lower the learning rate."
        )
    finished = [trial for trial in study.get_trials() if trial.state.is_finished()]
    return SearchResult(study.best_params, [_row(trial) for trial in finished], _importance(study))


def _reaching(distribution: BaseDistribution, own: Any) -> BaseDistribution:
    """The same, wide enough for the model's own value, which is tried first."""
    if isinstance(distribution, IntDistribution | FloatDistribution):
        low, high = min(distribution.low, own), max(distribution.high, own)
        if not (distribution.log and own <= 0):
            return type(distribution)(low, high, log=distribution.log)
    return distribution


def _row(trial: FrozenTrial) -> dict[str, Any]:
    return {
        "trial": trial.number,
        "state": trial.state.name.lower(),
        "median loss": trial.value if trial.state == TrialState.COMPLETE else None,
        "fold losses": [trial.intermediate_values[i] for i in sorted(trial.intermediate_values)],
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
