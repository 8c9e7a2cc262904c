"""Shared by all tests: a small synthetic market, and a workspace that touches nothing else."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from tests import pipeline
from trading_assets.config import Settings, load_settings
from trading_assets.features.dataset import Dataset, assemble, label_table
from trading_assets.features.table import FeatureTable, compute_features
from trading_assets.market.bars import to_matrix
from trading_assets.market.synthetic import SyntheticMarket
from trading_assets.validation.folds import make_folds

# A shell starts background jobs with interruptions ignored, and what the tests interrupt would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # ignored under nohup, also by the commands that tests start

# No test depends on the speed of the machine, nor on what compiles in its first example.
settings.register_profile("any speed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any speed")


@pytest.fixture(scope="session")
def market() -> SyntheticMarket:
    """3,000 bars of the `price` design at strength 1."""
    return SyntheticMarket("price", 1.0, n_bars=3_000, seed=7)


@pytest.fixture(scope="session")
def bars(market: SyntheticMarket) -> np.ndarray:
    """The market's bars as the simulator reads them, shape (3000, 7)."""
    return to_matrix(market.bars)


@pytest.fixture(scope="session")
def table(market: SyntheticMarket) -> FeatureTable:
    """The whole catalogue on the market's bars."""
    return compute_features(market.bars)


@pytest.fixture(scope="session")
def stage1_settings() -> Settings:
    """Of training on `stage1_folders`."""
    return load_settings("smoke", "SYN-PRICE", {"folds": {"min_bars": 1_000, "step_bars": 100}})


@pytest.fixture(scope="session")
def stage1_folders(
    market: SyntheticMarket,
    table: FeatureTable,
    stage1_settings: Settings,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, Path]:
    """Folders of a dataset of the market's bars and of its eras and folds. Do not write to them."""
    labels = label_table(market.bars, stage1_settings.labels)
    data = assemble(market.bars, table.frame, labels, warm_up=table.warm_up, border=len(market.bars))
    folders = tmp_path_factory.mktemp("dataset"), tmp_path_factory.mktemp("cv_folds")
    data.write(folders[0])
    make_folds(data, stage1_settings).write(folders[1])
    return folders


@pytest.fixture(scope="session")
def dataset(stage1_folders: tuple[Path, Path]) -> Dataset:
    """The one in `stage1_folders`."""
    return Dataset.read(stage1_folders[0])


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty data folder that the whole package uses for the test."""
    monkeypatch.setenv("TRADING_ASSETS_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("TRADING_ASSETS_PROFILE", "smoke")
    monkeypatch.delenv("TRADING_ASSETS_MARKET_DIR", raising=False)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    (tmp_path / "market").mkdir()
    return tmp_path


@pytest.fixture(scope="session")
def trained_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder in which the whole hierarchy of one small symbol was trained. Do not write to it."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        pipeline.use(folder, patch)
        pipeline.write_bars(folder)
        assert pipeline.train()
    return folder


@pytest.fixture
def trained(trained_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`trained_dir`, as the data folder of this test."""
    pipeline.use(trained_dir, monkeypatch)
    return trained_dir


@pytest.fixture
def own_trained(trained_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of `trained_dir` that the test may change."""
    folder = tmp_path / "data"
    shutil.copytree(trained_dir, folder, symlinks=True)
    pipeline.use(folder, monkeypatch)
    return folder
