"""Shared by all tests: a small synthetic market, and a workspace that touches nothing else."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

from pathlib import Path

import numpy as np
import pytest

from trading_assets.market.bars import to_matrix
from trading_assets.market.synthetic import SyntheticMarket


@pytest.fixture(scope="session")
def market() -> SyntheticMarket:
    """3,000 bars of the `price` design at strength 1."""
    return SyntheticMarket("price", 1.0, n_bars=3_000, seed=7)


@pytest.fixture(scope="session")
def bars(market: SyntheticMarket) -> np.ndarray:
    """The market's bars as kernels read them, shape (3000, 6)."""
    return to_matrix(market.bars)


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty data folder that the whole package uses for the test."""
    monkeypatch.setenv("TRADING_ASSETS_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("TRADING_ASSETS_PROFILE", "smoke")
    monkeypatch.delenv("TRADING_ASSETS_MARKET_DIR", raising=False)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    (tmp_path / "market").mkdir()
    return tmp_path
