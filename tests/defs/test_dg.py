"""Dagster's `dg`, to which its own messages send people, finds the project and all that is in it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests import pipeline
from tests.pipeline import SYMBOL, current
from trading_assets.cli.home import open_instance
from trading_assets.defs.assets import PIPELINE

ROOT = Path(__file__).parents[2]

pytest.importorskip("dagster_dg_cli", reason="dg is not installed")


def dg(*arguments: str) -> str:
    code = "import sys; from dagster_dg_cli.cli import main; sys.argv[0] = 'dg'; main()"
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_dg_finds_nothing_wrong_with_the_project(data_dir: Path) -> None:
    open_instance().dispose()
    assert "All TOML configuration files are valid" in dg("check", "toml")
    assert "All definitions loaded successfully" in dg("check", "defs")


def test_dg_lists_every_asset(data_dir: Path) -> None:
    open_instance().dispose()
    listed = json.loads(dg("list", "defs", "--json"))
    assert {asset["asset_key"] for asset in listed["assets"]} == {*PIPELINE, "leaderboard"}


def test_dg_launches_a_group_for_a_symbol(data_dir: Path) -> None:
    pipeline.write_bars(data_dir)
    instance = open_instance()
    instance.add_dynamic_partitions("symbols", [SYMBOL])
    instance.dispose()
    dg("launch", "--assets", "group:a_market", "--partition", SYMBOL)
    assert current("bars").version == "1.0.0"
