"""Runs the real pipeline on little data, for tests that need its results."""

from pathlib import Path

import pytest

from trading_assets.cli.home import open_instance
from trading_assets.cli.train import TrainRequest, run_assets
from trading_assets.defs.assets import PIPELINE
from trading_assets.defs.resources import Workspace
from trading_assets.market.synthetic import SyntheticMarket
from trading_assets.registry.artifacts import ArtifactRef

SYMBOL = "SYN-PRICE"
N_BARS = 4_032
"""24 whole steps of 168 bars, so that one bar more completes none."""


def use(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Have the whole package work below `folder`."""
    patch.setenv("TRADING_ASSETS_DATA_DIR", str(folder))
    patch.setenv("TRADING_ASSETS_PROFILE", "smoke")
    patch.delenv("TRADING_ASSETS_MARKET_DIR", raising=False)
    patch.setenv("DAGSTER_HOME", str(folder / "dagster_home"))


def write_bars(folder: Path, symbol: str = SYMBOL, n_bars: int = N_BARS) -> None:
    """The first `n_bars` of one fixed market, whatever their number."""
    frame = SyntheticMarket("price", 1.0, n_bars=6_000, seed=5).bars.iloc[:n_bars]
    (folder / "market").mkdir(exist_ok=True)
    frame.to_parquet(folder / "market" / f"{symbol}.parquet", index=False)


def train(symbol: str = SYMBOL, names: list[str] | None = None, **overrides: object) -> bool:
    """Run steps (all without names) of a symbol in this process, recorded in the instance."""
    instance = open_instance()
    instance.add_dynamic_partitions("symbols", [symbol])
    request = TrainRequest(symbols=[symbol], profile="smoke", overrides=overrides)
    return run_assets(request, symbol, names or list(PIPELINE))


def current(name: str, symbol: str = SYMBOL) -> ArtifactRef:
    ref = Workspace().store.current(PIPELINE[name].category, name, symbol)
    assert ref is not None
    return ref
