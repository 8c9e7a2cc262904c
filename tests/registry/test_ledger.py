"""The ledger of trials: everything that was tried is in it once, whatever became of it."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from trading_assets.registry.ledger import TrialCount, TrialLedger, Trials

TARGET = "direction over 1 bars"


@pytest.fixture
def ledger(tmp_path: Path) -> TrialLedger:
    return TrialLedger(tmp_path / "ledger" / "trials.sqlite")


def trials(ledger: TrialLedger, name: str = "gru_forecaster", method: str = "m", seed: int = 0) -> Trials:
    return Trials(ledger, "A", TARGET, name, method, seed)


def n_trials(ledger: TrialLedger) -> int:
    return ledger.count("A", TARGET).n_trials


def test_nothing_was_tried_where_there_is_no_file_and_none_is_made(ledger: TrialLedger) -> None:
    assert ledger.count("A", TARGET) == TrialCount(0, ())
    ledger.finish("A", TARGET, "gru_forecaster", "m", 0, float("nan"))
    assert not ledger.path.parent.exists()


def test_a_trial_is_counted_before_its_work_begins(ledger: TrialLedger) -> None:
    with trials(ledger).trial():
        assert n_trials(ledger) == 1
    assert n_trials(ledger) == 1


def test_work_that_raises_has_been_counted(ledger: TrialLedger) -> None:
    with pytest.raises(RuntimeError, match="given up"), trials(ledger).trial():
        raise RuntimeError("given up")
    (row,) = ledger.rows("A", TARGET)
    assert (row["name"], row["alternatives"], row["sharpe"]) == ("gru_forecaster", 1, None)


def test_work_whose_process_dies_has_been_counted(ledger: TrialLedger) -> None:
    code = (
        "import os, sys\nfrom pathlib import Path\n"
        "from trading_assets.registry.ledger import TrialLedger, Trials\n"
        f"at = Trials(TrialLedger(Path(sys.argv[1])), 'A', {TARGET!r}, 'gru_forecaster', 'm', 0)\n"
        "with at.trial('search', {'steps': 3}, alternatives=4):\n    os._exit(9)\n"
    )
    died = subprocess.run([sys.executable, "-c", code, str(ledger.path)], check=False)
    assert died.returncode == 9
    (row,) = ledger.rows("A", TARGET)
    assert (row["name"], row["alternatives"]) == ("gru_forecaster.search", 4)


def test_the_same_fit_counts_once_however_often_it_is_made(ledger: TrialLedger) -> None:
    for _ in range(3):
        with trials(ledger).trial():
            pass
    assert n_trials(ledger) == 1


@pytest.mark.parametrize("other", [{"seed": 1}, {"method": "n"}, {"name": "lightgbm_forecaster"}])
def test_another_seed_setting_or_step_counts_again(ledger: TrialLedger, other: dict[str, object]) -> None:
    for given in ({}, other, other):
        with trials(ledger, **given).trial():  # type: ignore[arg-type]
            pass
    assert n_trials(ledger) == 2


def test_every_set_of_parameters_is_a_trial_of_its_own(ledger: TrialLedger) -> None:
    for parameters in ({"steps": 1, "size": 2}, {"steps": 2, "size": 2}, {"size": 2, "steps": 1}):
        with trials(ledger).trial("search", parameters):
            pass
    assert n_trials(ledger) == 2
    with trials(ledger).trial():
        pass
    assert [row["name"] for row in ledger.rows("A", TARGET)] == [
        "gru_forecaster.search",
        "gru_forecaster.search",
        "gru_forecaster",
    ]


def test_alternatives_are_added_up_and_never_become_fewer(ledger: TrialLedger) -> None:
    with trials(ledger).trial() as trial:
        trial.finish(0.1, alternatives=20)
    assert n_trials(ledger) == 20
    with trials(ledger).trial() as trial:
        assert n_trials(ledger) == 20
        trial.finish(0.1, alternatives=5)
    assert n_trials(ledger) == 20
    with trials(ledger, seed=1).trial() as trial:
        trial.finish(0.1, alternatives=3)
    assert n_trials(ledger) == 23
    with trials(ledger).trial() as trial:
        trial.finish(0.1, alternatives=21)
    assert n_trials(ledger) == 24


def test_a_sharpe_ratio_is_noted_with_its_own_trial_when_it_is_known(ledger: TrialLedger) -> None:
    with trials(ledger).trial():
        pass
    with trials(ledger, seed=1).trial() as second:
        pass
    assert ledger.count("A", TARGET).sharpes == ()
    second.finish(-0.02)
    assert [row["sharpe"] for row in ledger.rows("A", TARGET)] == [None, -0.02]
    second.finish(0.03)
    assert ledger.count("A", TARGET) == TrialCount(2, (0.03,))


@pytest.mark.parametrize("sharpe", [float("nan"), float("inf"), -float("inf")])
def test_a_sharpe_ratio_that_is_no_number_leaves_the_one_before(ledger: TrialLedger, sharpe: float) -> None:
    with trials(ledger).trial() as trial:
        trial.finish(0.05)
        trial.finish(sharpe, alternatives=7)
    assert ledger.count("A", TARGET) == TrialCount(7, (0.05,))


def test_trials_are_counted_by_step_with_what_the_step_searched(ledger: TrialLedger) -> None:
    for name, search in (("gru_forecaster", "search"), ("gru_forecaster", ""), ("gru_calibrator", "")):
        with trials(ledger, name).trial(search) as trial:
            trial.finish(0.1)
    assert ledger.count("A", TARGET, {"gru_forecaster"}).n_trials == 2
    assert ledger.count("A", TARGET, ["gru_calibrator", "ppo_agent"]) == TrialCount(1, (0.1,))
    assert ledger.count("A", TARGET, ()).n_trials == 0
    assert ledger.count("A", TARGET, {"gru"}).n_trials == 0
    assert n_trials(ledger) == 3


def test_another_symbol_and_another_target_are_counted_apart(ledger: TrialLedger) -> None:
    for symbol, target in (("A", TARGET), ("B", TARGET), ("A", "direction over 2 bars")):
        ledger.start(symbol, target, "gru_forecaster", "m", 0)
    ledger.finish("B", TARGET, "gru_forecaster", "m", 0, 0.2)
    assert ledger.count("A", TARGET) == TrialCount(1, ())
    assert ledger.count("B", TARGET) == TrialCount(1, (0.2,))
    assert ledger.count("A", "direction over 2 bars") == TrialCount(1, ())


def test_rows_of_all_symbols_or_targets_are_told_where_none_is_named(ledger: TrialLedger) -> None:
    for symbol, target in (("B", TARGET), ("A", "direction over 2 bars"), ("A", TARGET)):
        ledger.start(symbol, target, "gru_forecaster", "m", 0)
    assert [row["symbol"] for row in ledger.rows()] == ["B", "A", "A"]
    assert [row["target"] for row in ledger.rows("A")] == ["direction over 2 bars", TARGET]
    assert [row["symbol"] for row in ledger.rows(target=TARGET)] == ["B", "A"]


def test_two_processes_at_once_lose_nothing(ledger: TrialLedger) -> None:
    """Both begin without a file; half of what they count is the same."""
    code = (
        "import sys\nfrom pathlib import Path\nfrom trading_assets.registry.ledger import TrialLedger\n"
        "ledger = TrialLedger(Path(sys.argv[1]))\nfirst = int(sys.argv[2])\nprint(flush=True)\n"
        "sys.stdin.readline()\n"
        "for seed in range(first, first + 100):\n"
        f"    ledger.start('A', {TARGET!r}, 'gru_forecaster', 'm', seed, 2)\n"
        f"    ledger.finish('A', {TARGET!r}, 'gru_forecaster', 'm', seed, seed / 1e4)\n"
    )
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(ledger.path), str(first)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for first in (0, 50)
    ]
    for worker in workers:
        assert worker.stdout is not None
        worker.stdout.readline()
    for worker in workers:
        worker.communicate("go\n")
        assert worker.returncode == 0
    found = ledger.count("A", TARGET)
    assert found.n_trials == 300
    assert sorted(found.sharpes) == [seed / 1e4 for seed in range(150)]


def test_a_file_that_another_process_has_only_just_made_can_be_read(ledger: TrialLedger) -> None:
    """Empty until its table is made; one that was killed in between must not stop every report."""
    ledger.path.parent.mkdir()
    ledger.path.touch()
    assert n_trials(ledger) == 0
    ledger.start("A", TARGET, "gru_forecaster", "m", 0)
    assert n_trials(ledger) == 1


def test_a_trial_that_was_counted_outlives_a_loss_of_power(ledger: TrialLedger) -> None:
    """SQLite's EXTRA also syncs the folder after its journal is gone, or the commit could be rolled back."""
    ledger.start("A", TARGET, "gru_forecaster", "m", 0)
    with ledger._open() as database:
        assert database.execute("PRAGMA synchronous").fetchone() == (3,)


def test_rows_survive_what_deletes_all_artifacts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from trading_assets.config.paths import artifacts_dir, ledger_file

    monkeypatch.setenv("TRADING_ASSETS_DATA_DIR", str(tmp_path))
    assert artifacts_dir() not in ledger_file().parents
    ledger = TrialLedger(ledger_file())
    artifacts_dir().mkdir()
    with trials(ledger).trial() as trial:
        trial.finish(0.1, 3)
    shutil.rmtree(artifacts_dir())
    assert TrialLedger(ledger_file()).count("A", TARGET) == TrialCount(3, (0.1,))
    assert [path.name for path in tmp_path.iterdir()] == ["ledger"]


def test_the_digest_changes_with_every_trial_and_every_result(ledger: TrialLedger) -> None:
    seen = [ledger.count("A", TARGET).digest]
    for seed in range(3):
        with trials(ledger, seed=seed).trial() as trial:
            seen.append(ledger.count("A", TARGET).digest)
        trial.finish(0.1)  # the same for all
        seen.append(ledger.count("A", TARGET).digest)
    trial.finish(0.1, alternatives=2)
    seen.append(ledger.count("A", TARGET).digest)
    assert len(set(seen)) == len(seen) == 8
    trial.finish(0.1, alternatives=2)
    assert ledger.count("A", TARGET).digest == seen[-1]


def test_the_digest_does_not_depend_on_the_order_of_the_trials() -> None:
    assert TrialCount(2, (0.1, 0.2)).digest == TrialCount(2, (0.2, 0.1)).digest


def test_the_variance_is_that_of_the_trials_or_without_two_that_of_an_estimate() -> None:
    assert TrialCount(0, ()).variance(400) == 1 / 400
    assert TrialCount(9, (0.3,)).variance(400) == 1 / 400
    assert TrialCount(9, (0.1, 0.5)).variance(400) == pytest.approx(0.08)
    sharpes = tuple(np.random.default_rng(0).normal(0, 0.03, 50).tolist())
    mean = sum(sharpes) / 50
    by_hand = sum((s - mean) ** 2 for s in sharpes) / 49
    assert TrialCount(50, sharpes).variance(400) == pytest.approx(by_hand, rel=1e-12)
    assert TrialCount(0, ()).variance(0) == 1.0
