"""What the machine refuses is told in one line: no disk, no permission, no memory, damaged files."""

import errno
import os
import re
import resource
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests import pipeline
from tests.cli.test_cli import failure
from tests.pipeline import SYMBOL, current
from trading_assets.cli.main import main
from trading_assets.config.paths import dagster_home, ledger_file
from trading_assets.errors import ArtifactError, explain_machine
from trading_assets.registry.ledger import TrialLedger


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [", "is not valid YAML"),
        ("[" * 1_500, "is not valid YAML"),
        ("- 1", "holds a list"),
        ("nonsense: {x: 1}", "Dagster refuses"),
        ("concurrency: 7", "Dagster refuses"),
        ("storage: {sqlite: {base_dir: 3}}", "Dagster refuses"),
    ],
)
def test_a_broken_dagster_yaml_is_named_with_the_way_to_mend_it(
    data_dir: Path, capsys: pytest.CaptureFixture[str], text: str, words: str
) -> None:
    dagster_home().mkdir()
    (dagster_home() / "dagster.yaml").write_text(text)
    line = failure(capsys, "status")
    assert words in line and str(dagster_home() / "dagster.yaml") in line and "delete it" in line
    (dagster_home() / "dagster.yaml").unlink()
    assert main(["status"]) == 0


def test_damaged_databases_of_dagster_are_told_from_a_wrong_setting(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A kill during the very first start can leave two revisions in one."""
    assert main(["status"]) == 0
    capsys.readouterr()
    with sqlite3.connect(dagster_home() / "history" / "runs.db") as database:
        database.execute("INSERT INTO alembic_version VALUES ('5771160a95ad')")
    line = failure(capsys, "status")
    assert f"Dagster's databases in {dagster_home()} are damaged" in line and "no artifacts" in line


@pytest.mark.parametrize("below", ["file/data", "x" * 300, "loop/data"])
def test_a_data_folder_that_cannot_be_made_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], below: str
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    monkeypatch.setenv("TRADING_ASSETS_DATA_DIR", str(tmp_path / below))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    line = failure(capsys, "status")
    assert str(tmp_path) in line and "TRADING_ASSETS_DATA_DIR" in line


@pytest.mark.parametrize("symbol", ["../../x", "..", "a/b", "/etc"])
def test_a_symbol_that_is_a_path_leads_nowhere(
    data_dir: Path, capsys: pytest.CaptureFixture[str], symbol: str
) -> None:
    assert "cannot be a symbol" in failure(capsys, "report", symbol)
    assert failure(capsys, "trials", symbol)


@pytest.mark.parametrize(
    ("value", "words"), [("9" * 5_000, "cannot be read"), ("[" * 1_500, "nested too deeply")]
)
def test_a_value_of_thousands_of_digits_or_levels_is_refused(
    data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], value: str, words: str
) -> None:
    assert words in failure(capsys, "train", "all", "--symbols", SYMBOL, "--set", f"seed={value}")
    profile = tmp_path / "mine.yaml"
    profile.write_text(f"seed: {value}")
    assert words in failure(capsys, "train", "all", "--symbols", SYMBOL, "--profile", str(profile))


@pytest.mark.parametrize("digits", ["9" * 5_000, "²", "0", "-1"])
def test_a_number_of_threads_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, digits: str) -> None:
    from trading_assets.config.paths import threads
    from trading_assets.errors import SettingsError

    monkeypatch.setenv("TRADING_ASSETS_THREADS", digits)
    with pytest.raises(SettingsError, match="whole number"):
        threads()


def other_columns(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE trials (x)")


@pytest.mark.parametrize(
    "damage", [lambda path: path.write_bytes(b"no database" * 50), other_columns], ids=["bytes", "columns"]
)
def test_a_damaged_ledger_is_told_by_whoever_needs_it(
    data_dir: Path, capsys: pytest.CaptureFixture[str], damage: object
) -> None:
    assert callable(damage)
    pipeline.write_bars(data_dir)
    ledger_file().parent.mkdir()
    damage(ledger_file())
    for command in (["trials"], ["train", "all", "--symbols", SYMBOL]):
        line = failure(capsys, *command)
        assert f"{ledger_file()} is damaged" in line and "restore it" in line
    with pytest.raises(ArtifactError, match="is damaged"):
        TrialLedger(ledger_file()).start("A", "t", "s", "m", 0)


def test_a_ledger_that_was_lost_is_said_loudly_and_for_as_long_as_it_is_not_restored(
    own_trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = shutil.copy(ledger_file(), tmp_path / "copy")
    commands = (["status"], ["trials"], ["report", SYMBOL], ["train", "all", "--symbols", SYMBOL])

    def warned(command: list[str]) -> bool:
        assert main(command) == 0
        lines = capsys.readouterr().err.splitlines()
        assert all("WARNING" in line for line in lines)
        return len(lines) == 1 and str(ledger_file()) in lines[0]

    assert not any(map(warned, commands[:3]))
    ledger_file().write_bytes(b"")
    assert all(map(warned, commands[:3]))
    ledger_file().unlink()
    assert all(map(warned, commands[:3]))
    # A trial that is made now does not bring back those that were made before.
    assert main(["train", "lightgbm", "--symbols", SYMBOL, "--set", "seed=5"]) == 0
    assert "WARNING" in capsys.readouterr().err
    assert TrialLedger(ledger_file()).rows(SYMBOL)
    assert all(map(warned, commands[:3]))
    shutil.copy(copy, ledger_file())
    assert not any(map(warned, commands[:3]))


def limited(*arguments: str, limit: tuple[int, int], data: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "trading_assets.cli.main", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TRADING_ASSETS_DATA_DIR": str(data)},
        preexec_fn=lambda: resource.setrlimit(limit[0], (limit[1], limit[1])),
    )


def test_a_limit_on_the_size_of_files_is_told_in_one_line(data_dir: Path) -> None:
    pipeline.write_bars(data_dir)
    done = limited("train", "all", "--symbols", SYMBOL, limit=(resource.RLIMIT_FSIZE, 20_000), data=data_dir)
    assert done.returncode == 1
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1 and re.search("refused|full or failing", lines[0]), done.stderr
    assert "Traceback" not in done.stdout


def test_more_bars_than_memory_can_hold_are_told_in_one_line(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "Memory is used up" in failure(capsys, "demo", "--bars", str(10**15))


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"),
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),
        OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)),
        SystemError("<function _find_and_load> returned NULL without setting an exception"),
    ],
)
def test_every_way_to_say_that_memory_is_used_up_is_understood(error: Exception) -> None:
    """A limit (ulimit -v) strikes wherever it wants; these are what it looked like in runs."""
    assert "Memory is used up" in str(explain_machine(error))


FOREIGN = """
import contextlib, io, os, sys
from trading_assets.cli import home, inspect, train
from trading_assets.cli.main import main
with contextlib.redirect_stderr(io.StringIO()):
    main(["ui", "--port", "0"])  # refused, after typer has loaded all that it needs
os.seteuid(65534)
sys.exit(main(sys.argv[1:]))
"""


def test_a_folder_of_another_owner_is_told_in_one_line(data_dir: Path) -> None:
    """As root, which may write anywhere, the command becomes another user first."""
    pipeline.write_bars(data_dir)
    data_dir.chmod(0o555)
    code = FOREIGN if os.geteuid() == 0 else FOREIGN.replace("os.seteuid(65534)", "")
    done = subprocess.run([sys.executable, "-c", code, "status"], capture_output=True, text=True, check=False)
    data_dir.chmod(0o755)
    assert done.returncode == 1
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1 and "No permission" in lines[0] and str(data_dir) in lines[0], done.stderr


def test_a_full_disk_in_the_middle_of_a_step_fails_its_symbol_in_one_line_and_leaves_nothing(
    own_trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "weights")

    monkeypatch.setattr("trading_assets.registry.store.write_manifest", full)
    pipeline.write_bars(own_trained, n_bars=pipeline.N_BARS + 1)
    told: list[str] = []
    from trading_assets.defs.materialize import watch

    with watch(lambda _, event, __, text: told.append(text) if event == "failed" else None):
        assert not pipeline.train(names=["bars"])
    assert told == [
        "The disk is full or failing at weights. Free some space and try again; nothing half-written stays."
    ]
    assert not list(own_trained.glob("artifacts/tables/bars/*/.*"))
    assert current("bars").open()


def test_errors_of_our_own_making_are_no_fault_of_the_machine() -> None:
    for error in (ValueError("x"), KeyError("disk"), RuntimeError("shapes differ"), OSError("no number")):
        assert explain_machine(error) is None


def test_the_cause_is_found_below_what_others_raise_from_it() -> None:
    try:
        try:
            raise MemoryError
        except MemoryError as inner:
            raise ValueError("a step failed") from inner
    except ValueError as outer:
        assert "Memory is used up" in str(explain_machine(outer))
