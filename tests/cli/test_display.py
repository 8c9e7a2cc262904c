"""What the terminal shows: tables that are whole, and how long it will take."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.table import Table

from tests import pipeline
from tests.pipeline import SYMBOL, current
from trading_assets.cli.display import Display
from trading_assets.cli.main import main
from trading_assets.cli.remaining import TYPICAL, clock, seconds_left
from trading_assets.cli.tables import fits, print_whole
from trading_assets.defs.assets import PIPELINE

LONGEST = "X" * 60 + "-END"
"""As long as a symbol may be."""


@pytest.fixture(params=[80, 100, 0], ids=["80 columns", "100 columns", "pipe"])
def width(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Of the terminal; 0 for a pipe."""
    monkeypatch.delenv("COLUMNS", raising=False)
    if request.param:
        monkeypatch.setenv("COLUMNS", str(request.param))
        monkeypatch.setenv("TTY_COMPATIBLE", "1")
        monkeypatch.setenv("NO_COLOR", "1")
    yield request.param


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(list(arguments)) == 0
    out = capsys.readouterr().out.replace("\x1b[2m", "").replace("\x1b[1m", "").replace("\x1b[0m", "")
    assert "…" not in out
    return out


def test_models_are_listed_with_whole_kinds_symbols_and_dates(
    trained: Path, width: int, capsys: pytest.CaptureFixture[str]
) -> None:
    out = shown(capsys, "models", "list", "--all")
    kinds = [name for name, asset in PIPELINE.items() if asset.category != "tables"]
    for name in kinds:
        (line,) = [line for line in out.splitlines() if line.startswith(f"{name} ")]
        assert f" {SYMBOL} " in line
        assert current(name).metadata["built_at"].removesuffix("+00:00") in line
        assert (current(name).identity[:10] in line) == (width == 0)
    if width:
        assert max(map(len, out.splitlines())) <= width


def test_the_longest_symbol_is_whole_in_every_list(
    data_dir: Path, width: int, capsys: pytest.CaptureFixture[str]
) -> None:
    pipeline.write_bars(data_dir, LONGEST)
    assert pipeline.train(LONGEST, ["bars", "features", "labels", "dataset", "cv_folds"])
    for command in ("status", "symbols list", "models list"):
        assert LONGEST in shown(capsys, *command.split())
    assert current("cv_folds", LONGEST).metadata["built_at"][:19] in shown(capsys, "models", "list")


def test_states_are_told_in_words_where_there_is_room_and_else_in_marks(
    data_dir: Path, width: int, capsys: pytest.CaptureFixture[str]
) -> None:
    pipeline.write_bars(data_dir)
    assert pipeline.train(names=["bars"])
    out = shown(capsys, "status")
    heads, row = out.splitlines()[:2]
    if width:
        assert max(map(len, out.splitlines())) <= width
        assert heads.split() == [
            "symbol",
            "mark",
            "feat",
            "fold",
            "fore",
            "cali",
            "embe",
            "agen",
            "hybr",
            "ense",
            "depl",
        ]
        assert row.split() == [SYMBOL, "✓", "✗", *"????????"]
        assert out.splitlines()[2].split() == ["✓", "fresh", "✗", "stale", "?", "unknown"]
    else:
        assert heads.split()[1:4] == ["market", "features", "folds"]
        assert row.split() == [SYMBOL, "fresh", "stale", *["unknown"] * 8]


def test_a_table_that_does_not_fit_is_printed_whole(width: int, capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("a", "b", box=None)
    table.add_row("x" * 90, "y" * 90)
    assert fits(table) == (width == 0)
    print_whole(table)
    assert "x" * 90 + " " * 2 + "y" * 90 in capsys.readouterr().out


def test_a_pipe_gets_a_line_an_event_and_no_failure_text_twice(capsys: pytest.CaptureFixture[str]) -> None:
    with Display({LONGEST: ["bars", "features"], "B": ["bars"]}, 2) as display:
        display.show(LONGEST, "bars", "started", 0.0, "")
        display.show(LONGEST, "bars", "running", 0.5, "half")
        display.show(LONGEST, "bars", "built", 1.0, "")
        display.show("B", "bars", "started", 0.0, "")
        display.show("B", "bars", "failed", 0.0, "has [no] column high")
        display.finish("B", "")
        display.finish(LONGEST, "the worker process ended with exit code -9")
    lines = [line.rstrip("0123456789.s ") for line in capsys.readouterr().out.splitlines()]
    assert lines[:2] == [f"{LONGEST}  bars  built", "B  bars  failed"]
    assert lines[2].startswith("B  failed  0:00 elapsed, about 0:00 left")
    assert lines[3].startswith(f"{LONGEST}  failed  0:00 elapsed")
    assert display.failures == {
        "B": "has [no] column high",
        LONGEST: "the worker process ended with exit code -9",
    }


def test_every_step_has_a_typical_time_to_begin_with() -> None:
    kinds = {"forecaster", "calibrator"}
    assert {name.rpartition("_")[2] if name.endswith(tuple(kinds)) else name for name in PIPELINE} == set(
        TYPICAL
    )
    assert min(TYPICAL.values()) > 0


def test_nothing_is_said_of_the_time_left_before_anything_was_measured() -> None:
    assert seconds_left({"A": ["bars"]}, {}, {"A": ("bars", 3.0, 0.9)}, 1) is None
    assert seconds_left({"A": ["bars"]}, {("B", "bars"): 0.0}, {}, 1) is None


def test_the_time_left_follows_what_was_measured() -> None:
    steps = ["bars", "labels"]
    measured = {("A", "bars"): 2.0, ("A", "labels"): 6.0, ("B", "bars"): 4.0}
    # B's labels and C's bars and labels, one after the other: 6 + 3 + 6.
    assert seconds_left({"B": steps, "C": steps}, measured, {}, 1) == pytest.approx(15)
    # At once: as long as the longest.
    assert seconds_left({"B": steps, "C": steps}, measured, {}, 2) == pytest.approx(9)
    # B is 2 s into its labels: by what they usually take, then by its own pace, then by having taken longer.
    assert seconds_left({"B": steps}, measured, {"B": ("labels", 2.0, 0.0)}, 1) == pytest.approx(4)
    assert seconds_left({"B": steps}, measured, {"B": ("labels", 2.0, 0.25)}, 1) == pytest.approx(6)
    assert seconds_left({"B": steps}, measured, {"B": ("labels", 9.0, 0.0)}, 1) == pytest.approx(0)


def test_a_step_that_nobody_has_measured_takes_its_share_of_the_demo() -> None:
    measured = {("A", "bars"): 2 * TYPICAL["bars"]}
    expected = 2 * (TYPICAL["ppo_agent"] + TYPICAL["ppo_hybrid"])
    assert seconds_left({"A": ["bars", "ppo_agent", "ppo_hybrid"]}, measured, {}, 1) == pytest.approx(
        expected
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0:00"), (59.6, "1:00"), (125, "2:05"), (3_600, "1:00:00"), (7_325, "2:02:05")],
)
def test_times_are_shown_as_a_clock_does(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_the_demo_speaks_before_it_loads_what_it_works_with() -> None:
    code = (
        "import json, sys\nfrom trading_assets.cli import main\n"
        "def stop(*_): raise KeyboardInterrupt\n"
        "loaded = []\n"
        "class Out:\n"
        "    def write(self, text):\n"
        "        loaded.append(sorted({'dagster', 'numpy', 'pandas', 'numba', 'torch'} & set(sys.modules)))\n"
        "        stop()\n"
        "    def flush(self): pass\n"
        "sys.stdout, real = Out(), sys.stdout\n"
        "code = main.main(['demo'])\n"
        "real.write(json.dumps([code, loaded]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [130, [[]]]
