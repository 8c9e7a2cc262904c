"""Where things lie on this machine. The environment decides; the default is `data/` where one stands."""

from __future__ import annotations

import os
from pathlib import Path

DATA_DIR = "TRADING_ASSETS_DATA_DIR"
MARKET_DIR = "TRADING_ASSETS_MARKET_DIR"
PROFILE = "TRADING_ASSETS_PROFILE"


def data_dir() -> Path:
    """Folder of everything that is produced."""
    return Path(os.environ.get(DATA_DIR, "data")).absolute()


def market_dir() -> Path:
    """Folder that bars are read from; only `demo` and `data fetch` write to it."""
    return Path(os.environ.get(MARKET_DIR, data_dir() / "market")).absolute()


def artifacts_dir() -> Path:
    return data_dir() / "artifacts"


def quarantine_dir() -> Path:
    """Folder that rejected files are copied to, with the reason beside them."""
    return data_dir() / "quarantine"


def dagster_home() -> Path:
    """DAGSTER_HOME as the environment has it, otherwise a lasting one beside the artifacts."""
    return Path(os.environ.get("DAGSTER_HOME") or data_dir() / "dagster_home").absolute()


def default_profile() -> str:
    return os.environ.get(PROFILE, "demo")
