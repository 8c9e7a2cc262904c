"""Switch the automation that trains on and off, in the instance the daemon reads."""

import subprocess
import sys

from trading_assets.cli.home import open_instance
from trading_assets.errors import TradingAssetsError

MODULE = "trading_assets.definitions"
SWITCHED = (("sensor", "retrain_sensor"), ("schedule", "weekly_schedule"))
WATCHED = {"new_bars_sensor": True, "failure_sensor": True, "retrain_sensor": False, "weekly_schedule": False}
"""What works by itself, and whether it does where nobody switched it. Repeated here because asking the
definitions loads every library."""


def switch(action: str) -> int:
    """Turn `retrain_sensor` and `weekly_schedule` `on` or `off`, or show the `status` of all."""
    instance = open_instance()
    if action != "status":
        for kind, name in SWITCHED:
            _dagster(kind, "start" if action == "on" else "stop", name)
    switched = {state.instigator_name: state.is_running for state in instance.all_instigator_state()}
    for name, at_first in WATCHED.items():
        print(f"{name:18} {'on' if switched.get(name, at_first) else 'off'}")
    print("They work while 'trading-assets ui' or a dagster daemon runs.")
    return 0


def _dagster(kind: str, *arguments: str) -> None:
    command = [sys.executable, "-m", "dagster", kind, *arguments, "-m", MODULE]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise TradingAssetsError(f"dagster {kind} {' '.join(arguments)} failed: {lines[-1]}")
