"""Where things lie on this machine. The environment decides; the default is `data/` where one stands."""

from __future__ import annotations

import os
from pathlib import Path

from trading_assets.errors import SettingsError

DATA_DIR = "TRADING_ASSETS_DATA_DIR"
MARKET_DIR = "TRADING_ASSETS_MARKET_DIR"
PROFILE = "TRADING_ASSETS_PROFILE"
DEVICE = "TRADING_ASSETS_DEVICE"
"""Where torch computes: auto, cpu, mps, cuda, cuda:N."""
THREADS = "TRADING_ASSETS_THREADS"
TRACE_DIR = "TRADING_ASSETS_TRACE_DIR"
FAILURE_WEBHOOK = "TRADING_ASSETS_FAILURE_WEBHOOK"
"""Where failed runs of the automation are posted to, as JSON whose `text` is a sentence."""


def data_dir() -> Path:
    """Folder of everything that is produced."""
    return Path(os.environ.get(DATA_DIR, "data")).absolute()


def market_dir() -> Path:
    """Folder that bars are read from; only `demo` and `data fetch` write to it."""
    return Path(os.environ.get(MARKET_DIR, data_dir() / "market")).absolute()


def artifacts_dir() -> Path:
    return data_dir() / "artifacts"


def ledger_file() -> Path:
    """The ledger of trials; nothing in this project ever deletes from it."""
    return data_dir() / "ledger" / "trials.sqlite"


def trace_dir() -> Path | None:
    """Folder that profiles of torch trainings are written to; nothing is profiled without it."""
    folder = os.environ.get(TRACE_DIR)
    return Path(folder).absolute() if folder else None


def threads() -> int:
    """Threads that one step may use for independent work such as folds; results do not depend on it."""
    given = os.environ.get(THREADS, "1")
    try:
        number = int(given)
    except ValueError:  # text, or more digits than Python reads
        number = 0
    if number < 1:
        raise SettingsError(f"{THREADS} is '{given[:40]}'; expected a whole number from 1 on.")
    return number


def quarantine_dir() -> Path:
    """Folder that rejected files are copied to, with the reason beside them."""
    return data_dir() / "quarantine"


def failures_log() -> Path:
    """Failed runs of the automation, a line of JSON each."""
    return data_dir() / "failures.jsonl"


def failures_webhook() -> str | None:
    """The address that failed runs are posted to, if there is one."""
    return os.environ.get(FAILURE_WEBHOOK)


def dagster_home() -> Path:
    """DAGSTER_HOME as the environment has it, otherwise a lasting one beside the artifacts."""
    return Path(os.environ.get("DAGSTER_HOME") or data_dir() / "dagster_home").absolute()


def default_profile() -> str:
    return os.environ.get(PROFILE, "demo")
