"""The trained bundle and what its backtest decided."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.pipeline import current
from trading_assets.registry.tables import read_table


@pytest.fixture
def bundle(trained: Path, tmp_path: Path) -> Path:
    """A copy of the trained bundle."""
    return Path(shutil.copytree(current("policy_bundle").path, tmp_path / "bundle"))


@pytest.fixture
def decisions(trained: Path) -> tuple[np.ndarray, np.ndarray]:
    """Observations (warm-up first) and the backtest's actions on the test era."""
    frame = read_table(current("backtest_report").path / "decisions.parquet")
    observations = frame.drop(columns=["bar", "action"]).to_numpy(dtype=np.float32)
    return observations, frame["action"].dropna().to_numpy()
