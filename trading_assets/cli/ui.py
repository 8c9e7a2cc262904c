"""Dagster's user interface on a lasting home."""

import os
import signal
import sys

from trading_assets.cli.automation import MODULE
from trading_assets.cli.home import open_instance


def start_ui(host: str, port: int) -> int:
    """Become `dagster dev` for this code location."""
    open_instance().dispose()
    # In the background of a script it is ignored, and Dagster takes SIGTERM as it takes SIGINT.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    arguments = ["dev", "-m", MODULE, "-h", host, "-p", str(port)]
    os.execv(sys.executable, [sys.executable, "-m", "dagster", *arguments])
