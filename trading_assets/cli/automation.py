"""Switch the automation that trains on and off, in the instance the daemon reads."""

import subprocess
import sys

from trading_assets.cli.home import open_instance
from trading_assets.errors import TradingAssetsError

MODULE = "trading_assets.definitions"
SWITCHED = (("sensor", "retrain_sensor"), ("schedule", "weekly_schedule"))
WATCHED = (("sensor", "new_bars_sensor"), *SWITCHED)


def switch(action: str) -> int:
    """Turn `retrain_sensor` and `weekly_schedule` `on` or `off`, or show the `status` of all three."""
    open_instance()
    if action != "status":
        for kind, name in SWITCHED:
            _dagster(kind, "start" if action == "on" else "stop", name)
    for kind, name in WATCHED:
        listed = _dagster(kind, "list", "--running", "--name").split()
        print(f"{name:18} {'on' if name in listed else 'off'}")
    print("They work while 'trading-assets ui' or a dagster daemon runs.")
    return 0


def _dagster(kind: str, *arguments: str) -> str:
    command = [sys.executable, "-m", "dagster", kind, *arguments, "-m", MODULE]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise TradingAssetsError(f"dagster {kind} {' '.join(arguments)} failed: {lines[-1]}")
    return done.stdout
