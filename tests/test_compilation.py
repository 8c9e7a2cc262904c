"""Compiled code is never stale: a change of any kernel reaches everything that calls it, in every process."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import trading_assets

PACKAGE = Path(trading_assets.__file__).parent
RUN = """
import numpy as np
from numba.core.dispatcher import Dispatcher
from trading_assets.config.limits import RiskLimits
from trading_assets.config.settings import EnvConfig
from trading_assets.market.synthetic import SyntheticMarket
from trading_assets.risk import AccountState, RiskAgent, RiskRequest, agent, market_window, rules, state
from trading_assets.simulation import Market, backtest, kernel

limits = RiskLimits.from_yaml("leverage: {soft: 0.5, hard: 1.0, cool_down: 0}")
bars = SyntheticMarket("price", 1.0, n_bars=300).bars
world = Market.make(bars, config=EnvConfig(max_leverage=2.0, enforce_limits=True, risk=limits))
result = backtest(np.ones(world.n_decisions), world)
account = AccountState(0.0, 100.0, 1_000.0, 0.0)
decision = RiskAgent(limits).evaluate_and_enforce(RiskRequest(account, 0.0, 2.0))
kernels = {one for module in (agent, kernel, market_window, rules, state) for one in vars(module).values()
           if isinstance(one, Dispatcher)}
misses = sum(sum(one.stats.cache_misses.values()) for one in kernels)
print(result.targets.max(), decision.target, misses)
"""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(PACKAGE, tmp_path / "trading_assets", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def run(folder: Path) -> tuple[float, float, int]:
    """The highest target of a backtest and that of a live decision under a limit, and the cache's misses."""
    environment = {**os.environ, "PYTHONPATH": str(folder), "XDG_CACHE_HOME": str(folder / "cache")}
    environment.pop("NUMBA_CACHE_DIR", None)
    command = [sys.executable, "-c", RUN]
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    highest, live, misses = done.stdout.split()
    return float(highest), float(live), int(misses)


def test_an_edited_rule_changes_a_backtest_and_the_live_guard_and_a_second_process_compiles_nothing(
    copy: Path,
) -> None:
    """What limits allow of an exposure is cut to half in the copy's `rules.py`."""
    highest, live, misses = run(copy)
    assert (highest, live) == (0.5, 1.0) and misses > 0
    assert run(copy) == (highest, live, 0)
    rules = copy / "trading_assets" / "risk" / "rules.py"
    text = rules.read_text()
    edited = text.replace("cap = limits[rule, _HARD]\n", "cap = limits[rule, _HARD] / 2\n")
    assert edited != text
    rules.write_text(edited)
    highest, live, misses = run(copy)
    assert (highest, live) == (0.25, 0.5) and misses > 0
    assert run(copy) == (highest, live, 0)


def test_an_installation_that_cannot_be_written_to_is_no_hindrance(copy: Path) -> None:
    package = copy / "trading_assets"
    for path in [package, *package.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        assert run(copy)[2] > 0
        assert run(copy)[2] == 0
    finally:
        for path in [package, *package.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)
    assert not list(package.rglob("*.nbi"))


def test_the_digest_in_recipes_is_that_of_the_code_and_not_of_comments(copy: Path) -> None:
    def digest() -> str:
        command = [
            sys.executable,
            "-c",
            "from trading_assets.compilation import source_digest as d; print(d())",
        ]
        environment = {**os.environ, "PYTHONPATH": str(copy), "XDG_CACHE_HOME": str(copy / "cache")}
        return subprocess.run(
            command, env=environment, cwd=copy, capture_output=True, check=True
        ).stdout.decode()

    rules = copy / "trading_assets" / "risk" / "rules.py"
    before, text = digest(), rules.read_text()
    rules.write_text(text + "\n# a comment\n")
    assert digest() == before
    rules.write_text(text.replace("account[:] = 0.0", "account[:] = 1.0"))
    assert digest() != before
    rules.write_text(text)
    contract = copy / "trading_assets" / "market" / "contract.py"
    contract.write_text(contract.read_text().replace("OPEN, HIGH, LOW, CLOSE", "CLOSE, HIGH, LOW, OPEN"))
    assert digest() != before, "constants are compiled in"
