"""The search for hyperparameters: what it tries, what it gives up, what it counts, and how it goes on."""

import json
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from trading_assets.cli.options import SHORTCUTS, overrides_of
from trading_assets.config import load_settings
from trading_assets.config.settings import ForecasterSettings
from trading_assets.errors import ArtifactError, DivergedError, SettingsError
from trading_assets.execution.networks import sigmoid
from trading_assets.forecasters import FORECASTERS, forecaster_class
from trading_assets.forecasters.crossfit import cross_fit, loss
from trading_assets.forecasters.gru import GRUForecaster
from trading_assets.forecasters.hyperparameters import SearchResult, define_search_space, search
from trading_assets.forecasters.lightgbm import LightGBMForecaster
from trading_assets.forecasters.training_data import TrainingData
from trading_assets.progress import listen, report
from trading_assets.registry.ledger import TrialLedger, Trials
from trading_assets.validation.splits import PurgedKFold

ROOT = Path(__file__).parents[2]
HORIZON, N_ROWS, N_FOLDS = 3, 360, 6
FITTED: list[TrainingData] = []
THREADS: list[int] = []
"""What `Line` was fitted on in this process, and with how many threads."""


class LineSettings(ForecasterSettings):
    slope: float = 1.0
    shift: float = 0.0
    idle: int = 1


class Line(LightGBMForecaster):
    """Says sigmoid(slope * x + shift) without learning anything; `idle` changes nothing.

    What it does not need (to be saved, to be streamed) it leaves to LightGBM's.
    """

    kind = "line"
    Settings = LineSettings  # type: ignore[assignment]
    settings: LineSettings  # type: ignore[assignment]

    def _fit(self, data: TrainingData) -> None:
        FITTED.append(data)
        THREADS.append(self.n_threads)
        report(0.5, "line")

    def _predict(self, Z: np.ndarray) -> np.ndarray:
        return self.settings.slope * Z[:, 0].astype(float) + self.settings.shift


SPACE: dict[str, BaseDistribution] = {
    "slope": FloatDistribution(0.5, 2.0),
    "shift": FloatDistribution(-4.0, 4.0),
    "idle": IntDistribution(1, 50),
}


@dataclass(frozen=True)
class Task:
    """Answers that follow a line of slope 1; folds differ more from each other than good lines do."""

    X: pd.DataFrame
    y: np.ndarray
    label_end: np.ndarray
    splits: list[tuple[np.ndarray, np.ndarray]]

    def search(self, storage: Path | str, n_trials: int, **given: Any) -> SearchResult:
        model = given.pop("model", Line(0))
        return search(
            model,
            self.X,
            self.y,
            self.splits,
            n_trials=n_trials,
            storage=storage,
            **{"space": SPACE, "label_end": self.label_end, **given},
        )


def make_task() -> Task:
    rng = np.random.default_rng(0)
    x = rng.normal(size=N_ROWS) * np.repeat([0.1, 3.0, 0.5, 2.0, 0.1, 4.0], N_ROWS // N_FOLDS)
    y = (rng.random(N_ROWS) < sigmoid(x)).astype(float)
    X = pd.DataFrame({"x": x.astype(np.float32)})
    splits = list(PurgedKFold(N_FOLDS, label_horizon=HORIZON).split(X))
    return Task(X, y, np.arange(N_ROWS) + HORIZON, splits)


@pytest.fixture(scope="module")
def task() -> Task:
    return make_task()


@pytest.fixture
def ledger(tmp_path: Path) -> TrialLedger:
    return TrialLedger(tmp_path / "ledger.sqlite")


def counted(ledger: TrialLedger) -> Trials:
    return Trials(ledger, "A", "up", "line_forecaster", "method", 0)


def tried(result: SearchResult) -> list[dict[str, Any]]:
    return [row for row in result.trials if row["state"] in {"complete", "pruned"}]


def interrupt_after(n_reports: int, word: str) -> Callable[[float, str], None]:
    """A listener that interrupts at the report number `n_reports` + 1 that begins with `word`."""
    heard = 0

    def listener(fraction: float, text: str) -> None:
        nonlocal heard
        heard += text.startswith(word)
        if heard > n_reports:
            raise KeyboardInterrupt

    return listener


# --- what is searched


@pytest.mark.parametrize("kind", FORECASTERS)
def test_the_space_of_every_forecaster_is_data_made_of_its_own_settings(kind: str) -> None:
    space, fields = define_search_space(kind), forecaster_class(kind).Settings.model_fields
    assert len(space) >= 4
    for name, distribution in space.items():
        assert isinstance(distribution, BaseDistribution) and name in fields, name
        for edge in (distribution.low, distribution.high):  # type: ignore[attr-defined]
            made = forecaster_class(kind)(0, **{name: edge})
            assert getattr(made.settings, name) == edge


def test_a_space_may_be_changed_without_changing_the_next_one() -> None:
    mine = define_search_space("gru")
    mine.pop("dropout")
    mine["steps"] = IntDistribution(1, 2)
    again = define_search_space("gru")
    assert "dropout" in again and again["steps"] != mine["steps"]


def test_an_unknown_kind_is_answered_with_the_known_ones() -> None:
    with pytest.raises(SettingsError, match=r"No forecaster 'svm'\. Known: lightgbm, gru, cnn_lstm"):
        define_search_space("svm")


def test_the_flag_optimize_is_the_setting_search_trials() -> None:
    overrides = overrides_of({SHORTCUTS["optimize"]: "7"}, [])
    assert overrides == {"search": {"trials": 7}}
    assert load_settings("smoke", "A", overrides).search.trials == 7
    assert load_settings("smoke", "A").search.trials == 0


# --- what is found


def test_the_models_own_settings_are_tried_first(task: Task, tmp_path: Path) -> None:
    model = Line(0, slope=1.7, shift=-2.5, idle=9)
    result = task.search(tmp_path / "s.journal", 3, model=model)
    first, *others = result.trials
    assert {name: first[name] for name in SPACE} == {"slope": 1.7, "shift": -2.5, "idle": 9}
    assert all(row["shift"] != -2.5 for row in others)


def test_a_loss_is_that_of_cross_fitting_the_same_settings(task: Task, tmp_path: Path) -> None:
    weight = np.linspace(0.5, 1.5, N_ROWS)
    result = task.search(tmp_path / "s.journal", 4, sample_weight=weight)
    for row in (row for row in result.trials if row["state"] == "complete"):
        model = Line(0, **{name: row[name] for name in SPACE})
        out = cross_fit(model.clone, task.X, task.y, task.splits, sample_weight=weight)
        losses = [loss(part) for _, part in out.frame.groupby("fold")]
        np.testing.assert_allclose(row["fold losses"], losses, rtol=1e-12)
        assert row["median loss"] == pytest.approx(np.median(losses), rel=1e-12)


@pytest.mark.parametrize("own", [{"shift": 3.0}, {"slope": 1.0, "shift": 0.0}])
def test_what_is_found_is_not_worse_than_what_was_given(
    task: Task, tmp_path: Path, own: dict[str, float]
) -> None:
    result = task.search(tmp_path / "s.journal", 12, model=Line(0, **own))
    losses = {row["trial"]: row["median loss"] for row in result.trials if row["state"] == "complete"}
    best = min(losses, key=losses.__getitem__)
    assert result.parameters == {name: result.trials[best][name] for name in SPACE}
    assert losses[best] <= losses[0]
    if own == {"shift": 3.0}:
        assert losses[best] < losses[0] - 0.1 and abs(result.parameters["shift"]) < 2


def test_settings_that_lie_outside_the_space_are_tried_too(task: Task, tmp_path: Path) -> None:
    result = task.search(tmp_path / "s.journal", 14, model=Line(0, shift=-9.0, idle=80))
    assert (result.trials[0]["shift"], result.trials[0]["idle"]) == (-9.0, 80)
    assert -4 <= result.parameters["shift"] <= 4
    assert all(-9 <= row["shift"] <= 4 and row["idle"] <= 80 for row in result.trials)
    assert sum(result.importance.values()) == pytest.approx(1)


def test_one_worker_finds_the_same_again_and_another_seed_tries_other_sets(
    task: Task, tmp_path: Path
) -> None:
    found = [
        task.search(tmp_path / f"{number}.journal", 8, model=Line(seed))
        for number, seed in enumerate((0, 0, 1))
    ]
    assert found[0] == found[1]
    assert found[0].trials[1]["shift"] != found[2].trials[1]["shift"]


def test_the_importance_of_the_parameters_sums_to_one_and_names_what_matters(
    task: Task, tmp_path: Path
) -> None:
    few = replace(task, splits=task.splits[:3])  # on three folds nothing is ever given up
    result = few.search(tmp_path / "s.journal", 25)
    assert {row["state"] for row in result.trials} == {"complete"}
    assert set(result.importance) == set(SPACE)
    assert sum(result.importance.values()) == pytest.approx(1)
    assert min(result.importance.values()) >= 0
    assert result.importance["shift"] > 0.6
    assert result.importance["idle"] < 0.2


def test_the_importance_is_not_told_of_too_few_sets(task: Task, tmp_path: Path) -> None:
    assert task.search(tmp_path / "s.journal", 3).importance == {}


def test_search_json_holds_what_was_found(task: Task, tmp_path: Path) -> None:
    result = task.search(tmp_path / "s.journal", 10)
    result.write(tmp_path)
    tree = json.loads((tmp_path / "search.json").read_text())
    assert tree == {
        "parameters": result.parameters,
        "importance": result.importance,
        "trials": result.trials,
    }
    assert {"trial", "state", "median loss", "fold losses", *SPACE} == set(tree["trials"][0])


# --- what the fits get


def test_label_ends_and_weights_reach_every_fit(task: Task, tmp_path: Path) -> None:
    weight = np.where(np.arange(N_ROWS) % 2, 1.0, 3.0)
    FITTED.clear()
    task.search(tmp_path / "s.journal", 2, model=Line(0, early_stopping=1), sample_weight=weight)
    assert len(FITTED) >= N_FOLDS + 2
    for data, (train, _) in zip(FITTED, task.splits, strict=False):
        assert len(data.held_out) == round(0.1 * len(train))
        assert (task.label_end[data.rows] < data.held_out[0]).all()
        assert set(data.rows) | set(data.held_out) < set(train)  # what is purged in between is left out
        np.testing.assert_allclose(data.weight[data.rows].mean(), 1)
        assert data.weight[0] / data.weight[1] == pytest.approx(3)


def test_threads_of_the_model_are_those_of_its_fits(task: Task, tmp_path: Path) -> None:
    model = Line(0)
    model.n_threads = 3
    FITTED.clear()
    THREADS.clear()
    task.search(tmp_path / "s.journal", 1, model=model)
    assert THREADS == [3] * len(FITTED) == [3] * N_FOLDS


# --- what is given up


def test_a_bad_set_is_given_up_before_its_last_fold_by_comparing_the_same_folds(
    task: Task, tmp_path: Path
) -> None:
    result = task.search(tmp_path / "s.journal", 15)
    states = [row["state"] for row in result.trials]
    assert {"pruned", "complete"} == set(states) and states[0] == "complete"
    best = result.trials[0]["fold losses"]
    spread = max(best) - min(best)
    for row in result.trials:
        losses = row["fold losses"]
        if row["state"] == "complete":
            assert len(losses) == N_FOLDS
            best = min(best, losses, key=np.median)
            continue
        assert 2 <= len(losses) < N_FOLDS and row["median loss"] is None
        same = best[: len(losses)]
        assert np.mean(losses) > np.mean(same), row
        assert np.mean(np.array(losses) > same) > 0.5, row
    # No loss tells by itself: the best set's own folds differ by more than what sets are given up for.
    assert spread > 0.3
    hopeless = [row for row in result.trials if abs(row["shift"]) > 3]
    assert len(hopeless) > 2 and all(row["state"] == "pruned" for row in hopeless)


def test_a_learning_rate_that_no_forecaster_survives_is_given_up(task: Task, tmp_path: Path) -> None:
    model = LightGBMForecaster(0, n_estimators=20, num_leaves=4, min_child_samples=10, learning_rate=0.02)
    space = {"learning_rate": FloatDistribution(20.0, 50.0)}
    result = task.search(tmp_path / "s.journal", 3, model=model, space=space)
    assert [row["state"] for row in result.trials] == ["complete", "pruned", "pruned"]
    assert result.parameters == {"learning_rate": 0.02}


def test_a_set_whose_training_diverges_is_given_up(task: Task, tmp_path: Path) -> None:
    how = {"channels": 4, "hidden_size": 4, "chunk": 32, "burn_in": 8, "steps": 6, "clip_norm": 1e30}
    space = {"learning_rate": CategoricalDistribution([8e-3, 1e30])}
    task = replace(task, splits=task.splits[:2])
    result = task.search(tmp_path / "s.journal", 5, model=GRUForecaster(0, **how), space=space)
    states = {row["learning_rate"]: row["state"] for row in result.trials}
    assert states == {8e-3: "complete", 1e30: "pruned"}


# --- what is counted


def test_every_set_is_counted_given_up_or_not(task: Task, tmp_path: Path, ledger: TrialLedger) -> None:
    """Without a Sharpe ratio, which would depend on costs that no fit knows."""
    result = task.search(tmp_path / "s.journal", 12, trials=counted(ledger))
    rows = ledger.rows("A", "up")
    assert [row["name"] for row in rows] == ["line_forecaster.search"] * 12
    assert [row["sharpe"] for row in rows] == [None] * 12
    assert len({row["method"] for row in rows}) == 12
    assert "pruned" in {row["state"] for row in result.trials}


def test_a_set_is_counted_when_it_starts(task: Task, tmp_path: Path, ledger: TrialLedger) -> None:
    with pytest.raises(KeyboardInterrupt), listen(interrupt_after(2, "line")):
        task.search(tmp_path / "s.journal", 3, trials=counted(ledger))
    (row,) = ledger.rows("A", "up")
    assert row["sharpe"] is None


def test_a_search_that_is_made_again_counts_nothing_new(
    task: Task, tmp_path: Path, ledger: TrialLedger
) -> None:
    for number in range(2):
        task.search(tmp_path / f"{number}.journal", 5, trials=counted(ledger))
    assert ledger.count("A", "up").n_trials == 5
    other = replace(counted(ledger), seed=1)
    task.search(tmp_path / "2.journal", 5, trials=other)
    assert ledger.count("A", "up").n_trials == 10


# --- going on


@pytest.mark.parametrize("url", [False, True], ids=["journal", "sqlite"])
def test_an_interrupted_search_goes_on_and_loses_nothing(task: Task, tmp_path: Path, url: bool) -> None:
    storage = f"sqlite:///{tmp_path}/s.db" if url else tmp_path / "s.journal"
    with pytest.raises(KeyboardInterrupt), listen(interrupt_after(4, "search")):
        task.search(storage, 9)
    with pytest.raises(KeyboardInterrupt), listen(interrupt_after(8, "line")):
        task.search(storage, 9)
    before = task_rows(storage)
    assert [row["state"] for row in before[:4]].count("fail") == 0
    result = task.search(storage, 9)
    assert len(tried(result)) == 9
    assert result.trials[: len(before)] == before
    assert [row["state"] for row in result.trials].count("fail") == 1


def task_rows(storage: Path | str) -> list[dict[str, Any]]:
    """The trials in a storage, as a search that has nothing left to do tells them."""
    return make_task().search(storage, 1).trials


def test_a_set_that_a_dead_process_left_running_is_marked_failed(task: Task, tmp_path: Path) -> None:
    code = (
        "import os\nfrom tests.forecasters.test_search import interrupt_after, make_task\n"
        "from trading_assets.progress import listen\n"
        "def stop(fraction, text):\n"
        "    try: hear(fraction, text)\n"
        "    except KeyboardInterrupt: os._exit(9)\n"
        "hear = interrupt_after(14, 'line')\n"
        f"with listen(stop): make_task().search({str(tmp_path / 's.journal')!r}, 9)\n"
    )
    died = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=os.environ, check=False)
    assert died.returncode == 9
    states = [row["state"] for row in task.search(tmp_path / "s.journal", 1).trials]
    assert states[-1] == "fail" and "running" not in states
    result = task.search(tmp_path / "s.journal", 5)
    assert len(tried(result)) == 5
    assert [row["state"] for row in result.trials].count("fail") == 1


def test_own_settings_whose_trial_was_interrupted_are_tried_again(task: Task, tmp_path: Path) -> None:
    """Or what is found could be worse than what was given."""
    model = Line(0, slope=1.0, shift=0.125)
    with pytest.raises(KeyboardInterrupt), listen(interrupt_after(2, "line")):
        task.search(tmp_path / "s.journal", 3, model=model)
    result = task.search(tmp_path / "s.journal", 3, model=model)
    assert [(row["state"], row["shift"]) for row in result.trials[:2]] == [
        ("fail", 0.125),
        ("complete", 0.125),
    ]


def test_asked_for_more_it_only_adds_and_asked_for_less_it_tries_nothing(task: Task, tmp_path: Path) -> None:
    first = task.search(tmp_path / "s.journal", 4)
    more = task.search(tmp_path / "s.journal", 7)
    assert more.trials[:4] == first.trials and len(more.trials) == 7
    FITTED.clear()
    assert task.search(tmp_path / "s.journal", 5) == more
    assert FITTED == []


@pytest.mark.parametrize("url", [False, True], ids=["journal", "sqlite"])
def test_two_workers_share_one_storage_and_one_ledger(
    task: Task, tmp_path: Path, ledger: TrialLedger, url: bool
) -> None:
    storage = f"sqlite:///{tmp_path}/s.db" if url else tmp_path / "s.journal"
    result = task.search(storage, 8, n_workers=2, trials=counted(ledger))
    assert len(tried(result)) == 8
    assert len(result.trials) == len(tried(result))
    rows = ledger.rows("A", "up")
    assert len(rows) == len({row["method"] for row in rows}) == 8
    assert result.trials[0]["shift"] == 0.0


def sets(result: SearchResult) -> list[tuple[float, ...]]:
    return [tuple(row[name] for name in ("slope", "shift")) for row in result.trials]


def test_a_search_that_was_interrupted_tries_what_it_would_have_tried(task: Task, tmp_path: Path) -> None:
    for n_trials in (2, 5, 9):
        result = task.search(tmp_path / "s.journal", n_trials)
    assert result == task.search(tmp_path / "other.journal", 9)


@pytest.mark.parametrize("url", [False, True], ids=["journal", "sqlite"])
def test_no_set_is_drawn_twice_however_often_two_workers_go_on(task: Task, tmp_path: Path, url: bool) -> None:
    storage = f"sqlite:///{tmp_path}/s.db" if url else tmp_path / "s.journal"
    for n_trials in (3, 5, 8):
        result = task.search(storage, n_trials, n_workers=2)
    assert len(result.trials) == 8
    assert len(set(sets(result))) == 8


@pytest.mark.parametrize("url", [False, True], ids=["journal", "sqlite"])
def test_a_search_leaves_alone_what_another_is_trying(task: Task, tmp_path: Path, url: bool) -> None:
    """The other begins, and ends, while the first is in the midst of a set."""
    storage = f"sqlite:///{tmp_path}/s.db" if url else tmp_path / "s.journal"
    others = []

    def begin_another(fraction: float, text: str) -> None:
        if text == "line" and len(FITTED) == N_FOLDS + 3 and not others:
            others.append(None)
            others.append(task.search(storage, 6))

    FITTED.clear()
    with listen(begin_another):
        first = task.search(storage, 5)
    other = others[1]
    assert isinstance(other, SearchResult)
    assert len(tried(other)) == 5, "the sixth was under way"
    assert len(tried(first)) == 6 == len(first.trials)
    assert {row["state"] for row in first.trials} <= {"complete", "pruned"}
    assert len(set(sets(first))) == 6
    assert not list(tmp_path.glob("*.alive"))


def test_two_searches_of_one_study_at_once_end_well(task: Task, tmp_path: Path) -> None:
    code = (
        "from tests.forecasters.test_search import make_task\nimport sys\n"
        f"make_task().search({str(tmp_path / 's.journal')!r}, int(sys.argv[1]))\n"
    )
    both = [
        subprocess.Popen([sys.executable, "-c", code, n], cwd=ROOT, stderr=subprocess.PIPE, text=True)
        for n in ("10", "14")
    ]
    for process in both:
        _, problem = process.communicate()
        assert process.returncode == 0, problem
    result = task.search(tmp_path / "s.journal", 1)
    assert len(result.trials) == 14
    assert {row["state"] for row in result.trials} <= {"complete", "pruned"}


@pytest.mark.parametrize(
    "end", ['{"op_code":8,"wor', "{", "\0" * 100, '{"op_code":8,{"op_code":4}\n', "12\n"]
)
def test_a_torn_last_line_of_the_journal_is_cut_off(task: Task, tmp_path: Path, end: str) -> None:
    path = tmp_path / "s.journal"
    before = task.search(path, 3)
    whole = path.read_bytes()
    path.write_bytes(whole + end.encode())
    assert task.search(path, 3) == before
    assert path.read_bytes().startswith(whole)
    assert task.search(path, 5).trials[:3] == before.trials
    assert task.search(path, 5) == task.search(tmp_path / "other.journal", 5)


def test_what_a_full_disk_tore_while_the_search_ran_is_cut_off_too(task: Task, tmp_path: Path) -> None:
    path = tmp_path / "s.journal"

    def tear(fraction: float, text: str) -> None:
        if text == "line" and len(FITTED) == N_FOLDS + 2:
            with path.open("a") as journal:
                journal.write('{"op_code":8,"wor')

    FITTED.clear()
    with listen(tear):
        result = task.search(path, 4)
    assert result == task.search(tmp_path / "other.journal", 4) == task.search(path, 4)


def test_a_journal_that_was_torn_in_its_first_record_is_begun_anew(task: Task, tmp_path: Path) -> None:
    path = tmp_path / "s.journal"
    path.write_text('{"op_c')
    assert task.search(path, 2) == task.search(tmp_path / "other.journal", 2)


def test_a_damaged_journal_is_said_in_one_line_and_left_as_it_is(task: Task, tmp_path: Path) -> None:
    path = tmp_path / "s.journal"
    task.search(path, 2)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:5], b"x" + lines[5], *lines[6:]]))
    damaged = path.read_bytes()
    with pytest.raises(ArtifactError, match=r"is damaged .* move it away to search anew"):
        task.search(path, 3)
    assert path.read_bytes() == damaged


def test_a_file_that_is_no_journal_is_refused_and_left_as_it_is(task: Task, tmp_path: Path) -> None:
    path = tmp_path / "bars.csv"
    path.write_text("timestamp,open\n1,2")
    with pytest.raises(SettingsError, match="is no journal of Optuna's"):
        task.search(path, 3)
    assert path.read_text() == "timestamp,open\n1,2"


def test_a_set_that_nobody_owns_is_marked_failed(task: Task, tmp_path: Path) -> None:
    """Left by a process that died before it could say who it was."""
    storage = f"sqlite:///{tmp_path}/s.db"
    task.search(storage, 2)
    optuna.load_study(study_name="search", storage=storage).ask(SPACE)
    assert [row["state"] for row in task.search(storage, 1).trials][-1] == "fail"


def test_a_set_that_another_host_tries_is_neither_failed_nor_waited_for(task: Task, tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path}/s.db"
    task.search(storage, 2)
    study = optuna.load_study(study_name="search", storage=storage)
    trial = study.ask(SPACE)
    trial.set_user_attr("owner", "elsewhere-0123")
    assert len(task.search(storage, 4).trials) == 4
    study.tell(trial, 9.0)
    assert len(task.search(storage, 4).trials) == 5


def test_a_search_in_which_nothing_could_be_fitted_says_so(task: Task, tmp_path: Path) -> None:
    how = {"channels": 4, "hidden_size": 4, "chunk": 32, "burn_in": 8, "steps": 6, "clip_norm": 1e30}
    model = GRUForecaster(0, learning_rate=1e30, **how)
    space = {"learning_rate": CategoricalDistribution([1e30])}
    with pytest.raises(DivergedError, match="None of the 1 sets tried could be fitted"):
        replace(task, splits=task.splits[:2]).search(tmp_path / "s.journal", 1, model=model, space=space)


@pytest.mark.parametrize("given", [{"n_trials": 0}, {"n_trials": 2, "n_workers": 0}])
def test_a_search_of_nothing_or_by_nobody_is_refused(
    task: Task, tmp_path: Path, given: dict[str, int]
) -> None:
    with pytest.raises(SettingsError, match="expected 1 or more of both"):
        task.search(tmp_path / "s.journal", **given)


def test_a_worker_that_fails_is_said(task: Task, tmp_path: Path) -> None:
    task.search(tmp_path / "s.journal", 1)
    short = replace(task, y=task.y[:-1])
    with pytest.raises(RuntimeError, match="A worker of the search failed; its error stands above"):
        short.search(tmp_path / "s.journal", 3, n_workers=2)


def test_a_space_of_what_is_no_setting_is_refused_by_name(task: Task, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="The search space has slop, which Line does not know"):
        task.search(tmp_path / "s.journal", 2, space={"slop": FloatDistribution(0, 1)})
    assert not (tmp_path / "s.journal").exists()


def test_optuna_says_nothing_of_its_own(
    task: Task, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = optuna.logging.get_verbosity()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        task.search(tmp_path / "s.journal", 3)
    assert capfd.readouterr() == ("", "")
    optuna.logging.set_verbosity(before)
