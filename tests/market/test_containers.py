"""Containers that are refused: the command that is offered converts them."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.market.layouts.files import PRICES, qlib, zipped
from tests.market.layouts.table import daily
from tests.market.samples import sound_bars
from trading_assets.config.settings import IngestPolicy
from trading_assets.errors import BarsRejected
from trading_assets.market.ingest import read_bars


def convert(path: Path, folder: Path) -> Path:
    """Run the command of the refusal; returns the file that it has written."""
    before = set(folder.iterdir())
    with pytest.raises(BarsRejected) as refusal:
        read_bars(path)
    command = str(refusal.value).partition(": python -c ")[2]
    arguments = shlex.split(f"python -c {command}")[1:]
    subprocess.run([sys.executable, *arguments], cwd=folder, check=True)
    (written,) = set(folder.iterdir()) - before
    return written


def test_the_command_for_qlib_writes_the_bars_of_the_symbol(tmp_path: Path) -> None:
    bars = daily()
    folder = qlib(tmp_path, bars, start=5)
    assert convert(folder / "close.day.bin", tmp_path).name == "SH600000.csv"
    read = read_bars(tmp_path / "SH600000.csv").bars
    pd.testing.assert_series_equal(read["timestamp"], bars["timestamp"])
    for name in (*PRICES, "volume"):
        pd.testing.assert_series_equal(read[name], bars[name], rtol=1e-6)


def test_the_command_for_lean_joins_the_days_of_a_symbol(tmp_path: Path) -> None:
    bars = pd.concat(
        [sound_bars(30, freq="1min", start=f"2024-01-{day} 09:30") for day in (8, 9)], ignore_index=True
    )
    bars["volume"] = bars["volume"].round()
    folder = tmp_path / "spy"
    folder.mkdir()
    for day, rows in bars.groupby(bars["timestamp"].dt.strftime("%Y%m%d")):
        milliseconds = (rows["timestamp"] - rows["timestamp"].dt.normalize()) // pd.Timedelta("1ms")
        whole = (rows[PRICES] * 10_000).round().astype("int64")
        text = pd.concat([milliseconds, whole, rows["volume"].astype("int64")], axis=1).to_csv(
            index=False, header=False
        )
        last = zipped(folder, text, f"{day}_trade.zip", f"{day}_spy_minute_trade.csv")
    converted = convert(last, tmp_path)
    assert converted.name == "SPY.csv"
    read = read_bars(converted, policy=IngestPolicy(time_zone="UTC", accept_jumps=True)).bars
    pd.testing.assert_frame_equal(read, bars)


def test_the_command_for_a_pickle_writes_its_bars(tmp_path: Path) -> None:
    bars = daily()
    bars.to_pickle(tmp_path / "AAPL.pkl")
    converted = convert(tmp_path / "AAPL.pkl", tmp_path)
    pd.testing.assert_frame_equal(read_bars(converted).bars, bars)


def test_the_command_for_hdf5_writes_what_freqtrade_wrote(tmp_path: Path) -> None:
    pytest.importorskip("tables")
    bars = sound_bars()
    path = tmp_path / "BTC_USDT-1h.h5"
    bars.rename(columns={"timestamp": "date"}).to_hdf(
        path, key="BTC_USDT/ohlcv/tf_1h", format="table", data_columns=["date"]
    )
    converted = convert(path, tmp_path)
    pd.testing.assert_frame_equal(read_bars(converted).bars, bars)


VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
ROWS = st.lists(VALUES, max_size=9) | st.dictionaries(
    st.sampled_from(["t", "o", "h", "l", "c", "v", ""]), VALUES
)
DOCUMENTS = st.recursive(
    VALUES | ROWS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(DOCUMENTS | st.lists(ROWS, min_size=1))
def test_json_of_any_kind_is_refused_with_the_file_s_name(tmp_path: Path, document: object) -> None:
    path = tmp_path / "A.json"
    path.write_text(json.dumps(document))
    with pytest.raises(BarsRejected) as refusal:
        read_bars(path)
    assert str(refusal.value).startswith(str(path)) and "\n" not in str(refusal.value)
