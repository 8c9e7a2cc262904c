"""The command line: one clear line for a mistake, and nothing half-written after an interruption."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from tests import pipeline
from tests.pipeline import SYMBOL, current
from trading_assets.cli.home import open_instance
from trading_assets.cli.main import main
from trading_assets.config.paths import ledger_file
from trading_assets.definitions import build_defs
from trading_assets.defs.assets import PIPELINE
from trading_assets.defs.locks import locked
from trading_assets.registry.ledger import TrialLedger


def failure(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line a failing command prints."""
    code = main(list(arguments))
    captured = capsys.readouterr()
    assert code != 0
    lines = captured.err.strip().splitlines()
    assert len(lines) == 1, captured.err
    assert "Traceback" not in captured.err + captured.out
    return lines[0]


def test_an_unknown_symbol_is_refused_with_the_known_ones(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pipeline.write_bars(data_dir)
    line = failure(capsys, "train", "all", "--symbols", "NOPE", "--profile", "smoke")
    assert "No bars for 'NOPE'" in line and SYMBOL in line


@pytest.mark.parametrize("symbol", ["btcusdt", "..", "A/B", ""])
def test_a_symbol_that_cannot_be_a_key_is_refused(
    data_dir: Path, capsys: pytest.CaptureFixture[str], symbol: str
) -> None:
    assert "cannot be a symbol" in failure(capsys, "train", "all", "--symbols", symbol)


def test_an_empty_folder_is_said(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "holds no bars" in failure(capsys, "train", "all", "--symbols", "BTCUSDT")


def test_a_missing_folder_is_said(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TRADING_ASSETS_MARKET_DIR", str(data_dir / "nowhere"))
    assert "does not exist" in failure(capsys, "train", "all", "--symbols", "BTCUSDT")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--set", "ppo.gama=0.9"], "Did you mean 'gamma'"),
        (["--fee-bps", "-1"], "costs.fee_bps"),
        (["--fee-bps", "many"], "costs.fee_bps"),
        (["--set", "nonsense"], "NAME=VALUE"),
        (["--profile", "nope"], "No profile 'nope'"),
        (["--n-splits", "1"], "folds.n_splits"),
        (["--set", "ppo=1", "--set", "ppo.gamma=0.9"], "keep one"),
    ],
)
def test_a_wrong_setting_is_named(
    data_dir: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    pipeline.write_bars(data_dir)
    assert words in failure(capsys, "train", "all", "--symbols", SYMBOL, *arguments)


def test_an_unknown_asset_is_refused_with_the_known_ones(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = failure(capsys, "train", "xgboost")
    assert "Unknown asset 'xgboost'" in line and "lightgbm" in line
    assert "Did you mean 'lightgbm'?" in failure(capsys, "train", "lightgmb")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "Missing command"),
        (["train"], "Missing argument 'WHAT'"),
        (["frobnicate"], "No such command 'frobnicate'"),
        (["tran"], "Did you mean 'train'"),
        (["data", "chek"], "Did you mean 'check'"),
        (["train", "all", "--max-workers", "0"], "greater than or equal to 1"),
        (["train", "all", "--fee-bp", "1"], "--fee-bps"),
        (["automation", "maybe"], "'on', 'off', 'status'"),
    ],
)
def test_wrong_arguments_exit_with_2_and_one_line_that_leads_to_the_help(
    capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert words in line and line.endswith("--help)")


def test_symbols_may_follow_one_option_or_several(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr("trading_assets.cli.symbols.tell_idle_sections", lambda _, names: None)
    monkeypatch.setattr(
        "trading_assets.cli.train.train", lambda request, goals: asked.append((request.symbols, goals)) or 0
    )
    assert main(["train", "ppo", "--symbols", "A", "B", "--seed", "3"]) == 0
    assert main(["train", "all", "--symbols", "A", "--symbols", "B"]) == 0
    assert asked == [(["A", "B"], ["ppo_agent"]), (["A", "B"], None)]


def test_the_help_of_a_setting_has_its_meaning_its_name_its_range_and_its_default(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["train", "--help"]) == 0
    (line,) = [one for one in capsys.readouterr().out.splitlines() if "--fee-bps" in one]
    assert "basis points" in line and "costs.fee_bps, at least 0 and at most 1000" in line
    assert "[default: (of the profile)]" in line


@pytest.mark.parametrize(
    "command",
    ["", "demo", "train", "status", "symbols", "data fetch", "data check", "report", "automation", "ui"],
)
def test_help_fits_into_80_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main([*command.split(), "--help"]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80 and "\N{HORIZONTAL ELLIPSIS}" not in out


def test_completion_knows_commands_assets_and_symbols(data_dir: Path) -> None:
    pipeline.write_bars(data_dir)
    assert main(["symbols", "add", SYMBOL]) == 0

    def completed(words: str) -> list[str]:
        environment = {
            **os.environ,
            "_TRADING_ASSETS_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split(" ")) - 1),
        }
        command = [sys.executable, "-m", "trading_assets.cli.main"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        return done.stdout.split()

    assert {"train", "trials"} == set(completed("trading-assets tr"))
    assert completed("trading-assets train light") == ["lightgbm", "lightgbm_calibrator"]
    assert completed("trading-assets report ") == [SYMBOL]


def test_no_registered_symbols_is_said(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "No symbols are registered" in failure(capsys, "train", "all")


def test_symbols_are_added_listed_and_removed(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pipeline.write_bars(data_dir)
    assert main(["symbols", "add", SYMBOL]) == 0
    assert open_instance().get_dynamic_partitions("symbols") == [SYMBOL]
    assert main(["symbols", "list"]) == 0
    assert SYMBOL in capsys.readouterr().out
    assert main(["symbols", "remove", SYMBOL]) == 0
    assert open_instance().get_dynamic_partitions("symbols") == []
    assert "is not registered" in failure(capsys, "symbols", "remove", SYMBOL)


def test_a_second_run_launches_nothing_and_shows_the_results(
    own_trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "all", "--symbols", SYMBOL, "--profile", "smoke"]) == 0
    runs = open_instance().get_runs_count()
    assert main(["train", "all", "--symbols", SYMBOL, "--profile", "smoke"]) == 0
    out = capsys.readouterr().out
    assert "nothing to run" in out and "after costs" in out
    assert open_instance().get_runs_count() == runs


def test_status_and_models_show_every_group_of_assets(
    trained: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["status", "--profile", "smoke"]) == 0
    assert "stale" not in capsys.readouterr().out
    assert main(["models", "list"]) == 0
    out = capsys.readouterr().out
    for name, asset in PIPELINE.items():
        assert (name in out) == (asset.category != "tables")


def test_status_names_the_files_that_are_not_taken(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (data_dir / "market" / "btcusdt.csv").touch()
    main(["status", "--profile", "smoke"])
    assert (
        "not taken: btcusdt.csv: a symbol is written in capitals: call it BTCUSDT.csv"
        in capsys.readouterr().out
    )


def test_a_report_is_told_with_its_pictures_and_written_as_html(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["report", SYMBOL, "--html", str(tmp_path / "sheet.html")]) == 0
    out = capsys.readouterr().out
    assert f"{SYMBOL}  HTML {tmp_path / 'sheet.html'}" in out
    pictures = [
        line.split()[-1] for line in out.splitlines() if line.split()[1:2] in (["picture"], ["report"])
    ]
    assert len(pictures) == 7 and all(Path(picture).is_file() for picture in pictures)
    assert f"{SYMBOL}, policy bundle 1.0.0 on the test era" in (tmp_path / "sheet.html").read_text()


def test_a_symbol_without_a_report_is_told_how_to_get_one(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = failure(capsys, "report", "BTCUSDT")
    assert "There is one of: none." in line
    assert line.endswith("trading-assets train all --symbols BTCUSDT")


def test_a_report_of_an_unknown_symbol_is_answered_with_those_there_are(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert f"NOPE has no backtest_report. There is one of: {SYMBOL}." in failure(capsys, "report", "NOPE")


def test_an_empty_ledger_is_said(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trials"]) == 0
    assert capsys.readouterr().out == "Nothing was tried yet.\n"


def test_a_section_of_the_profile_for_no_symbol_is_told_and_stops_nothing(
    data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pipeline.write_bars(data_dir)
    profile = tmp_path / "mine.yaml"
    profile.write_text("extends: smoke\nsymbols: {SYN-PRIZE: {seed: 1}, SYN-*: {seed: 2}}\n")
    assert main(["train", "bars", "--symbols", SYMBOL, "--profile", str(profile)]) == 0
    told = f"'SYN-PRIZE' under symbols matches no symbol; did you mean '{SYMBOL}'?\n"
    assert capsys.readouterr().err.endswith(told)
    assert main(["status", "--profile", str(profile)]) == 0
    assert capsys.readouterr().err.count("SYN-PRIZE") == 1


def test_a_second_training_of_one_process_goes_where_the_environment_points_by_then(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in (data_dir, tmp_path / "other"):
        folder.mkdir(exist_ok=True)
        pipeline.use(folder, monkeypatch)
        pipeline.write_bars(folder)
        assert main(["train", "bars", "--symbols", SYMBOL]) == 0
        assert pipeline.current("bars").path.is_relative_to(folder)


@pytest.mark.parametrize("overrides", ["market.time_zone=Nowhere", "features.names=[nope]"])
def test_what_there_is_not_is_found_before_a_run_is_launched(
    data_dir: Path, capsys: pytest.CaptureFixture[str], overrides: str
) -> None:
    pipeline.write_bars(data_dir)
    line = failure(capsys, "train", "all", "--symbols", SYMBOL, "--set", overrides)
    assert overrides.partition("=")[0] in line
    assert open_instance().get_runs_count() == 0


def test_trials_are_told_by_symbol_and_target_and_failed_ones_too(
    own_trained: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    ledger = TrialLedger(ledger_file())
    tried = ledger.count(SYMBOL, "direction over 1 bars").n_trials
    ledger.start("SYN-OTHER", "direction over 2 bars", "gru_forecaster", "m", 7)
    assert main(["trials"]) == 0
    out = capsys.readouterr().out
    assert f"{SYMBOL}, direction over 1 bars: {tried} tried" in out and tried > 100
    assert "SYN-OTHER, direction over 2 bars: 1 tried" in out
    told = {line.split()[0] for line in out.splitlines() if line.strip()}
    assert told & set(PIPELINE) == {name for name, asset in PIPELINE.items() if asset.fits}
    assert main(["trials", "SYN-OTHER"]) == 0
    out = capsys.readouterr().out
    (row,) = [line.split() for line in out.splitlines() if "gru_forecaster" in line]
    assert row[:5] == ["gru_forecaster", "m", "7", "1", "-"] and SYMBOL not in out
    line = failure(capsys, "trials", "SYN-OTHER", "NOPE")
    assert line.endswith(f"Nothing was tried on 'NOPE'. Something was on: SYN-OTHER, {SYMBOL}.")


@pytest.mark.slow
def test_automation_is_switched_on_and_off_in_the_instance(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def switched_on(action: str) -> set[str]:
        assert main(["automation", action]) == 0
        lines = [line.split() for line in capsys.readouterr().out.splitlines()]
        return {words[0] for words in lines if words[1:] == ["on"]}

    always = {"new_bars_sensor", "failure_sensor"}
    assert switched_on("status") == always
    assert switched_on("on") == always | {"retrain_sensor", "weekly_schedule"}
    assert switched_on("off") == always


def run_cli(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "trading_assets.cli.main", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_one_asset_is_trained_with_what_it_needs(data_dir: Path) -> None:
    pipeline.write_bars(data_dir)
    done = run_cli("train", "lightgbm", "--symbols", SYMBOL)
    assert done.returncode == 0, done.stderr
    assert current("lightgbm_forecaster").version == "1.0.0"
    assert not (data_dir / "artifacts/models/cnn_lstm_forecaster").exists()


def test_only_the_symbol_with_new_bars_runs(own_trained: Path) -> None:
    pipeline.write_bars(own_trained, "SYN-OTHER", n_bars=2_016)
    done = run_cli("train", "dataset", "--symbols", SYMBOL, "SYN-OTHER")
    assert done.returncode == 0
    assert "SYN-OTHER  bars  built" in done.stdout
    assert f"{SYMBOL}  bars" not in done.stdout


def test_stale_only_leaves_what_did_not_change(own_trained: Path) -> None:
    pipeline.write_bars(own_trained, n_bars=pipeline.N_BARS + 1)
    done = run_cli("train", "all", "--symbols", SYMBOL, "--stale-only")
    assert done.returncode == 0, done.stderr
    ran = [line.split()[1] for line in done.stdout.splitlines() if line.startswith(f"{SYMBOL}  ")]
    assert [name for name in ran if name in PIPELINE] == ["bars", "features", "labels", "dataset"]


def test_no_cache_builds_again_and_reproduces(own_trained: Path) -> None:
    done = run_cli("train", "lightgbm", "--symbols", SYMBOL, "--no-cache")
    assert done.returncode == 0
    assert f"{SYMBOL}  lightgbm_forecaster  unchanged" in done.stdout
    assert current("lightgbm_forecaster").version == "1.0.0"


def test_a_symbol_that_fails_does_not_stop_the_others(own_trained: Path) -> None:
    (own_trained / "market" / "BROKEN.csv").write_text("timestamp,open\n1,2\n")
    pipeline.write_bars(own_trained, n_bars=pipeline.N_BARS + 1)
    done = run_cli("train", "dataset", "--symbols", "BROKEN", SYMBOL)
    assert done.returncode == 1
    assert "BROKEN failed:" in done.stdout
    assert (done.stdout + done.stderr).count("has no column high") == 1
    assert f"{SYMBOL}  dataset" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_a_damaged_artifact_is_said_and_mended_by_building_again(own_trained: Path) -> None:
    path = current("lightgbm_forecaster").path / "model.txt"
    path.write_text("damaged")
    pipeline.write_bars(own_trained)
    done = run_cli("train", "lightgbm_calibrator", "--symbols", SYMBOL, "--set", "calibration.method=platt")
    assert done.returncode == 1
    assert "model.txt was changed" in done.stdout and "Traceback" not in done.stdout + done.stderr
    done = run_cli("train", "lightgbm", "--symbols", SYMBOL, "--no-cache")
    assert done.returncode == 0, done.stdout + done.stderr
    assert current("lightgbm_forecaster").open().is_dir()


def test_an_artifact_that_lost_a_picture_is_mended_too(own_trained: Path) -> None:
    (current("bars").path / "price.png").unlink()
    done = run_cli("train", "bars", "--symbols", SYMBOL, "--no-cache", "--set", "seed=1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert current("bars").version == "1.0.1"


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interruption_leaves_nothing_half_written(data_dir: Path, number: signal.Signals) -> None:
    pipeline.write_bars(data_dir)
    process = subprocess.Popen(
        [sys.executable, "-m", "trading_assets.cli.main", "train", "all"]
        + ["--symbols", SYMBOL, "--set", "cnn_lstm.steps=100000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    building = data_dir / "artifacts/models/cnn_lstm_forecaster" / SYMBOL
    while not list(building.glob(".building-*")):
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(number)
    out, err = process.communicate()
    assert process.returncode == 128 + number, err
    assert "Traceback" not in out + err, out + err
    assert not list((data_dir / "artifacts").rglob(".building-*"))
    instance = open_instance()
    assert {run.status for run in instance.get_runs()} <= {
        dg.DagsterRunStatus.CANCELED,
        dg.DagsterRunStatus.FAILURE,
    }
    assert run_cli("train", "lightgbm", "--symbols", SYMBOL).returncode == 0


def test_a_second_training_of_a_symbol_says_whom_it_waits_for(data_dir: Path) -> None:
    pipeline.write_bars(data_dir)
    with locked(data_dir / "dagster_home" / "running" / f"train-{SYMBOL}.lock", lambda _: None):
        process = subprocess.Popen(
            [sys.executable, "-m", "trading_assets.cli.main", "train", "bars", "--symbols", SYMBOL],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        assert process.stdout is not None
        assert f"{SYMBOL}  waits for another training: process {os.getpid()} on" in process.stdout.readline()
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0 and f"{SYMBOL}  bars  built" in out


def test_a_missing_or_doubled_file_fails_alone(data_dir: Path) -> None:
    pipeline.write_bars(data_dir)
    for name in ("TWICE.csv", "TWICE.parquet"):
        (data_dir / "market" / name).touch()
    done = run_cli("train", "bars", "--symbols", "GONE", "TWICE", SYMBOL)
    assert done.returncode == 1 and "Traceback" not in done.stdout + done.stderr
    assert f"{SYMBOL}  bars  built" in done.stdout
    assert "GONE failed: No bars for 'GONE'" in done.stdout and "keep one of them" in done.stdout
    assert open_instance().get_dynamic_partitions("symbols") == [SYMBOL]


def test_several_first_starts_at_once_all_succeed(data_dir: Path) -> None:
    command = [sys.executable, "-m", "trading_assets.cli.main", "automation", "status"]
    starts = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    said = {process.communicate(timeout=300)[0] for process in starts}
    assert [process.returncode for process in starts] == [0] * 4 and len(said) == 1


def test_automation_that_nobody_switched_is_as_the_definitions_say(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    definitions = build_defs()
    declared = {
        one.name: one.default_status.value == "RUNNING"
        for one in [*(definitions.sensors or []), *(definitions.schedules or [])]
    }
    assert main(["automation", "status"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[:-1]]
    assert {name: state == "on" for name, state in rows} == declared


def start_and_die(data: str, stamps: int) -> None:
    """A first start that is killed after so many of Dagster's three databases were laid out."""
    from dagster._core.storage.event_log.sqlite import sqlite_event_log
    from dagster._core.storage.runs.sqlite import sqlite_run_storage
    from dagster._core.storage.schedules.sqlite import sqlite_schedule_storage

    stamp, done = sqlite_run_storage.stamp_alembic_rev, list[None]()

    def stamp_or_die(*arguments: Any, **named: Any) -> None:
        if len(done) == stamps:
            os.kill(os.getpid(), signal.SIGKILL)
        done.append(None)
        stamp(*arguments, **named)

    for module in (sqlite_event_log, sqlite_run_storage, sqlite_schedule_storage):
        module.stamp_alembic_rev = stamp_or_die
    os.environ |= {"TRADING_ASSETS_DATA_DIR": data, "DAGSTER_HOME": f"{data}/dagster_home"}
    open_instance()


@pytest.mark.parametrize("stamps", [0, 1, 2])
def test_a_first_start_that_was_killed_leaves_no_half_of_a_database(data_dir: Path, stamps: int) -> None:
    process = multiprocessing.get_context("spawn").Process(target=start_and_die, args=(str(data_dir), stamps))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    home = data_dir / "dagster_home"
    assert not (home / "history").exists() and not (home / "schedules").exists()
    assert open_instance().get_runs_count() == 0
    assert not (home / ".draft").exists()


@pytest.mark.parametrize("length", [0, 30])
def test_a_dagster_yaml_that_was_cut_short_is_written_again(data_dir: Path, length: int) -> None:
    open_instance()
    path = data_dir / "dagster_home" / "dagster.yaml"
    whole = path.read_text()
    path.write_text(whole[:length])
    open_instance()
    assert path.read_text() == whole
    path.write_text("telemetry: {enabled: false}\nnux: {enabled: true}\n")
    open_instance()
    assert path.read_text().endswith("nux: {enabled: true}\n")
