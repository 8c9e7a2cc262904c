"""The contract of bars: what they must keep, what they are called, and what they look like to kernels."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from trading_assets.errors import BarsRejected, MarketError
from trading_assets.market.bars import check_bars, check_symbol, describe_bars, symbol_of, to_matrix

FORMATS = (".csv", ".csv.gz", ".csv.zip", ".zip", ".parquet", ".feather")


def good_bars() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "timestamp": pd.date_range("2024-02-28", periods=4, freq="12h", tz="UTC", unit="ns"),
            "open": [100.0, 101.0, 99.5, 99.5],
            "high": [102.0, 101.0, 100.0, 99.5],
            "low": [99.0, 98.5, 99.0, 99.5],
            "close": [101.0, 99.5, 99.5, 99.5],
            "volume": [5.0, 0.0, 2.5, 1.0],
        }
    )


def test_bars_that_keep_the_contract_pass() -> None:
    check_bars(good_bars(), "A")
    check_bars(good_bars().assign(funding_rate=-0.001), "A")


@pytest.mark.parametrize(
    ("column", "row", "value", "problem"),
    [
        ("open", 2, np.nan, "is not finite"),
        ("volume", 3, np.nan, "is not finite"),
        ("high", 1, np.inf, "is not finite"),
        ("low", 4, -np.inf, "is not finite"),
        ("funding_rate", 2, np.nan, "is not finite"),
        ("close", 3, 0.0, "is not positive"),
        ("low", 2, -98.5, "is not positive"),
        ("volume", 4, -1.0, "is negative"),
        ("high", 1, 100.5, "lies below the bar's open or close"),
        ("high", 2, 100.9, "lies below the bar's open or close"),
        ("low", 1, 100.5, "lies above the bar's open or close"),
        ("low", 3, 99.6, "lies above the bar's open or close"),
    ],
)
def test_a_bar_that_breaks_the_contract_is_refused_by_row_and_column(
    column: str, row: int, value: float, problem: str
) -> None:
    bars = good_bars().assign(funding_rate=0.0)
    bars.loc[row - 1, column] = value
    with pytest.raises(BarsRejected) as refusal:
        check_bars(bars, Path("A.csv"))
    assert str(refusal.value).startswith(f"A.csv, row {row}, column '{column}': {value} {problem}")


@pytest.mark.parametrize(("order", "row"), [([0, 2, 1, 3], 3), ([0, 1, 1, 3], 3), ([3, 2, 1, 0], 2)])
def test_times_that_do_not_increase_are_refused_at_the_first_such_row(order: list[int], row: int) -> None:
    with pytest.raises(
        BarsRejected, match=f"row {row}, column 'timestamp': .* is not after the bar before it"
    ):
        check_bars(good_bars().iloc[order].reset_index(drop=True), "A")


@pytest.mark.parametrize(
    "symbol", ["BTCUSDT", "BTC-USDT-PERP", "BRK.B", "0700.HK", "ON", "A", "A" * 64, "_X"]
)
def test_usable_symbols_pass_and_name_their_files(symbol: str) -> None:
    assert check_symbol(symbol) == symbol
    for suffix in FORMATS:
        assert symbol_of(Path("market") / f"{symbol}{suffix}") == symbol


@pytest.mark.parametrize(
    "symbol",
    [
        "",
        ".",
        "..",
        "...",
        "..A",
        "._A",
        "btcusdt",
        "Btc",
        "A" * 65,
        "A/B",
        "../A",
        "A B",
        "A\n",
        "\n",
        "ÄÖ",
        "A*",
    ],
)
def test_unusable_symbols_are_refused_with_an_example(symbol: str) -> None:
    with pytest.raises(MarketError, match="cannot be a symbol") as refusal:
        check_symbol(symbol)
    assert "BTCUSDT" in str(refusal.value)
    if "/" not in symbol:
        assert symbol_of(Path(f"{symbol}.csv")) is None


def test_freqtrade_s_files_are_named_after_pair_and_interval() -> None:
    assert symbol_of(Path("BTC_USDT-1h.feather")) == "BTC_USDT-1H"
    assert symbol_of(Path("BTC_USDT_USDT-5m.feather")) == "BTC_USDT_USDT-5M"


@pytest.mark.parametrize(
    "name",
    [
        "README.md",
        "BTCUSDT",
        "BTCUSDT.tmp",
        "BTCUSDT.gz",
        ".csv",
        "AAPL.splits.csv",
        "BTCUSDT.funding.parquet",
    ],
)
def test_other_files_hold_no_symbol(name: str) -> None:
    assert symbol_of(Path(name)) is None


def test_the_matrix_holds_seconds_and_prices_in_the_order_of_the_contract() -> None:
    matrix = to_matrix(good_bars())
    assert matrix.dtype == np.float64
    np.testing.assert_array_equal(matrix[:, 0], 1_709_078_400.0 + 43_200 * np.arange(4))
    np.testing.assert_array_equal(matrix[1], [1_709_121_600.0, 101.0, 101.0, 98.5, 99.5, 0.0, 0.0])
    rates = [0.0, 1e-4, 0.0, -1e-4]
    funded = good_bars().assign(funding_rate=rates)
    np.testing.assert_array_equal(to_matrix(funded)[:, 6], rates)
    within = [0.0, 1e-4, 0.0, 0.0]
    np.testing.assert_array_equal(to_matrix(funded.assign(funding_within=within))[:, 7], within)


def test_the_description_counts_gaps_and_dead_bars() -> None:
    times = pd.to_datetime(["2024-01-01 00:00", "2024-01-01 01:00", "2024-01-01 02:00"], utc=True)
    later = pd.to_datetime(["2024-01-01 08:00"], utc=True)
    described = describe_bars(good_bars().assign(timestamp=times.append(later)))
    assert described["rows"] == 4
    assert described["interval (s)"] == 3_600
    assert described["gaps"] == 1
    assert described["longest gap (h)"] == 5
    assert described["bars without volume"] == 1
    assert described["bars without movement"] == 1
    assert described["first bar"] == "2024-01-01 00:00:00+00:00"
