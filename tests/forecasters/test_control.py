"""The positive control on real bars of every kind: high variance clusters on all of them, so it is found."""

from pathlib import Path

import pytest

from trading_assets.config import Settings
from trading_assets.config.settings import IngestPolicy
from trading_assets.features.dataset import assemble, label_table
from trading_assets.features.table import compute_features
from trading_assets.forecasters import LightGBMForecaster
from trading_assets.forecasters.crossfit import cross_fit
from trading_assets.forecasters.diagnostics import CONTROL, check_control
from trading_assets.market.ingest import read_bars
from trading_assets.validation.eras import border
from trading_assets.validation.folds import make_folds

REAL = Path(__file__).parents[3] / "shared" / "market"
SHORT = ["equity_1d/AAPL.csv", "equity_1d/SPY.csv", "fx_1h/EURUSD_ask_2017.csv"]
LONG = [
    "crypto_1h/ADAUSDT.parquet",
    "crypto_1h/BTCUSDT.parquet",
    "crypto_1h/ETHUSDT.parquet",
    "crypto_1h/LTCUSDT.parquet",
    "crypto_1h/SOLUSDT.parquet",
    "crypto_1h/XRPUSDT.parquet",
    "crypto_5m/BTCUSDT.parquet",
    "crypto_5m/ETHUSDT.parquet",
    "crypto_1m/BTCPERP.csv",
    "perp_1h/BTCUSDT.parquet",
]


@pytest.mark.skipif(not REAL.is_dir(), reason="needs the folder of real bars")
@pytest.mark.parametrize("file", [*SHORT, *(pytest.param(file, marks=pytest.mark.slow) for file in LONG)])
def test_high_variance_is_found(file: str) -> None:
    """As the pipeline asks for it; splits and the holes of currencies are taken as they are."""
    policy = IngestPolicy(time_zone="UTC", accept_jumps=True)
    bars = read_bars(REAL / file, policy=policy).bars
    settings, table = Settings(), compute_features(bars)
    labels, end = label_table(bars, settings.labels), border(len(bars), settings.folds.step_bars)
    data = assemble(bars, table.frame, labels, warm_up=table.warm_up, border=end)
    splits = make_folds(data, settings).splits

    def forecaster() -> LightGBMForecaster:
        return LightGBMForecaster(0, **settings.lightgbm.model_dump())

    auc = cross_fit(forecaster, data.features, data.target("high_variance"), splits).score["AUC"]
    assert auc > 0.6
    assert check_control(auc)[CONTROL].passed
