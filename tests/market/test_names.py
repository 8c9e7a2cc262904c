"""Names of files: which hold bars, and what is said of those that are passed over."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.market.samples import save, sound_bars
from trading_assets.errors import MarketError
from trading_assets.market.bars import SYMBOL, symbol_of
from trading_assets.market.ingest import read_bars
from trading_assets.market.names import passed_over, side_of, why_not_taken
from trading_assets.market.sources import FolderSource

BARS = sound_bars()
REASONS = {
    "btcusdt.csv": "a symbol is written in capitals: call it BTCUSDT.csv",
    "BTCUSDT.CSV": "the ending .CSV is not read: call it BTCUSDT.csv",
    "^GSPC.csv": "a symbol has only A-Z 0-9 . _ -: call it GSPC.csv",
    "EURUSD=X.csv": "a symbol has only A-Z 0-9 . _ -: call it EURUSD.csv",
    "ES=F.csv": "a symbol has only A-Z 0-9 . _ -: call it ES_F.csv",
    "BTCUSDT-1h-2024-01.zip": "it is a part; join all of its symbol: call it BTCUSDT.zip",
    "BTCUSDT-1d-2024-01-31.zip": "it is a part; join all of its symbol: call it BTCUSDT.zip",
    "BTCUSDT (1).csv": "it seems to be a copy: call it BTCUSDT.csv",
    "BTCUSDT - Copy.csv": "it seems to be a copy: call it BTCUSDT.csv",
    "eth_usdt-1h.parquet": "a symbol is written in capitals: call it ETH_USDT-1H.parquet",
    "A B.parq": "the ending .parq is not read, a symbol has only A-Z 0-9 . _ -: call it A_B.parquet",
    "Börse.csv.gz": "a symbol has only A-Z 0-9 . _ -: call it BORSE.csv.gz",
    "AAPL.xlsx": ".xlsx is not read; 'trading-assets data check AAPL.xlsx' says how to convert it",
    "BTC_USDT-1h.h5": ".h5 is not read; 'trading-assets data check BTC_USDT-1h.h5' says how to convert it",
}


@pytest.mark.parametrize("name", REASONS)
def test_a_file_that_is_not_taken_is_named_with_the_reason_and_a_name_that_would_do(name: str) -> None:
    assert why_not_taken(Path(name), [name]) == REASONS[name]
    good = REASONS[name].rpartition("call it ")[2]
    if good != REASONS[name]:
        assert SYMBOL.fullmatch(str(symbol_of(Path(good))))


@pytest.mark.parametrize(
    ("name", "there", "words"),
    [
        ("BTCUSDT (1).csv", ["BTCUSDT.parquet"], "BTCUSDT.parquet is there already; delete one of them"),
        ("btcusdt.csv", ["BTCUSDT.csv", "BTCUSDT-2.csv"], "or call this one BTCUSDT-3.csv"),
    ],
)
def test_a_name_that_is_taken_would_not_do(name: str, there: list[str], words: str) -> None:
    assert words in str(why_not_taken(Path(name), [name, *there]))


@pytest.mark.parametrize(
    "name",
    [
        "AAPL.csv",
        "BTC_USDT-1h.json",
        "BTC_USDT_USDT-1h-futures.feather",
        "BTC_USDT_USDT-1h-mark.feather",
        "BTC_USDT_USDT-8h-funding_rate.feather",
        "AAPL.splits.csv",
        "AAPL.exclude.csv",
        "._AAPL.csv",
        ".DS_Store",
        "README.md",
        "BTCUSDT.tmp",
        ".csv",
    ],
)
def test_other_files_are_passed_over_in_silence(name: str) -> None:
    assert why_not_taken(Path(name)) is None


def test_text_is_looked_into_before_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("2024 was a year; 3, 4 or 5 trades\n")
    (tmp_path / "settings.json").write_text('{"fees": [1, 2]}')
    (tmp_path / "EURUSD.txt").write_text("20240101 170000;1.1;1.2;1.0;1.1;0\n")
    (tmp_path / "btc.json").write_text("[[1704067200000, 1, 2, 1, 2, 5]]")
    assert passed_over(tmp_path, [path.name for path in tmp_path.iterdir()]) == {
        "EURUSD.txt": "the ending .txt is not read: call it EURUSD.csv",
        "btc.json": "a symbol is written in capitals: call it BTC.json",
    }


def test_hidden_files_are_no_symbols() -> None:
    assert symbol_of(Path("._BTCUSDT.csv")) is None
    assert not SYMBOL.fullmatch("._BTCUSDT")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("AAPL.splits.csv", ("AAPL", "splits")),
        ("BRK.B.exclude.parquet", ("BRK.B", "exclude")),
        ("BTC_USDT_USDT-8h-funding_rate.feather", ("BTC_USDT_USDT", "funding")),
        ("BTC_USDT_USDT-8h-mark.feather", None),
        ("aapl.splits.csv", None),
        ("AAPL.csv", None),
    ],
)
def test_a_side_file_is_known_by_its_name(name: str, expected: tuple[str, str] | None) -> None:
    assert side_of(name) == expected


def test_the_error_for_a_symbol_without_file_names_those_that_are_passed_over(tmp_path: Path) -> None:
    for name in ("btcusdt.csv", "^GSPC.csv", "._AAPL.csv"):
        (tmp_path / name).touch()
    with pytest.raises(MarketError) as refusal:
        FolderSource(tmp_path).file("BTCUSDT")
    message = str(refusal.value)
    assert "holds no bars" in message and "AAPL" not in message
    assert "Not taken: ^GSPC.csv (" in message and "call it BTCUSDT.csv)." in message
    save(BARS, tmp_path, ".parquet", "ETHUSDT")
    with pytest.raises(MarketError, match=r"There are: ETHUSDT\. Not taken: \^GSPC\.csv "):
        FolderSource(tmp_path).file("BTCUSDT")


@pytest.mark.parametrize("suffix", [".feather", ".parquet", ".json", ".json.gz"])
def test_freqtrade_s_futures_are_read_with_their_funding_rates(tmp_path: Path, suffix: str) -> None:
    bars = BARS.rename(columns={"timestamp": "date"})
    bars.to_feather(tmp_path / "BTC_USDT_USDT-1h-futures.feather")
    bars.assign(close=1.0).to_feather(tmp_path / "BTC_USDT_USDT-1h-mark.feather")
    rates = BARS[::8].reset_index(drop=True).rename(columns={"timestamp": "date"})
    rates[["high", "low", "close", "volume"]] = 0.0
    rates["open"] = 1e-4 * np.arange(1, len(rates) + 1)
    path = tmp_path / f"BTC_USDT_USDT-8h-funding_rate{suffix}"
    if suffix == ".feather":
        rates.to_feather(path)
    elif suffix == ".parquet":
        rates.to_parquet(path)
    else:
        rates["date"] = rates["date"].dt.as_unit("ms").astype("int64")
        rates.to_json(path, orient="values")
    source = FolderSource(tmp_path)
    assert source.symbols() == ["BTC_USDT_USDT-1H"] and source.passed_over() == {}
    assert source.parts("BTC_USDT_USDT-1H")[1:] == [path]
    read = read_bars(source.file("BTC_USDT_USDT-1H"), symbol="BTC_USDT_USDT-1H")
    pd.testing.assert_series_equal(
        read.bars["funding_rate"][::8],
        pd.Series(rates["open"].to_numpy(), index=range(0, 48, 8)),
        check_names=False,
    )
    assert read.bars["funding_rate"].sum() == pytest.approx(rates["open"].sum(), abs=1e-15)
    assert read.report.findings == []


def test_one_s_own_funding_rates_go_before_freqtrade_s(tmp_path: Path) -> None:
    source = FolderSource(tmp_path)
    for name in (
        "BTC_USDT_USDT-1h-futures.feather",
        "BTC_USDT_USDT-1h-funding_rate.feather",
        "BTC_USDT_USDT-1H.funding.csv",
        "ETH_USDT_USDT-1h-funding_rate.feather",
    ):
        (tmp_path / name).touch()
    assert [path.name for path in source.parts("BTC_USDT_USDT-1H")[1:]] == ["BTC_USDT_USDT-1H.funding.csv"]
    (tmp_path / "BTC_USDT_USDT-1H.funding.csv").unlink()
    assert [path.name for path in source.parts("BTC_USDT_USDT-1H")[1:]] == [
        "BTC_USDT_USDT-1h-funding_rate.feather"
    ]


def test_folders_of_freqtrade_are_named_with_what_to_do(tmp_path: Path) -> None:
    spot, futures = tmp_path / "binance", tmp_path / "binance" / "futures"
    futures.mkdir(parents=True)
    (tmp_path / "truth").mkdir()
    (tmp_path / "truth" / "SYN.parquet").touch()
    (spot / "BTC_USDT-1h.feather").touch()
    (futures / "BTC_USDT_USDT-1h-futures.feather").touch()
    reasons = passed_over(tmp_path, [])
    assert list(reasons) == ["binance/", "binance/futures/"]
    assert all("TRADING_ASSETS_MARKET_DIR" in reason for reason in reasons.values())
