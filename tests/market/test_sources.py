"""A folder of bars: what it holds, and what it says when it does not."""

from pathlib import Path

import pytest

from trading_assets.errors import MarketError
from trading_assets.market.sources import FolderSource


def fill(folder: Path, *names: str) -> FolderSource:
    for name in names:
        (folder / name).touch()
    return FolderSource(folder)


def test_every_file_of_bars_is_found_under_its_symbol(tmp_path: Path) -> None:
    source = fill(tmp_path, "B.parquet", "A.csv", "C.csv.gz", "notes.txt", "lower.csv", ".hidden")
    assert source.files() == {
        "A": tmp_path / "A.csv",
        "B": tmp_path / "B.parquet",
        "C": tmp_path / "C.csv.gz",
    }
    assert source.file("C") == tmp_path / "C.csv.gz"


def test_the_folder_of_truth_beside_the_bars_is_no_symbol(tmp_path: Path) -> None:
    (tmp_path / "truth").mkdir()
    assert list(fill(tmp_path, "A.csv", "truth/A.parquet").files()) == ["A"]


def test_a_missing_folder_is_named_with_the_way_to_set_it(tmp_path: Path) -> None:
    with pytest.raises(MarketError, match="TRADING_ASSETS_MARKET_DIR") as refusal:
        FolderSource(tmp_path / "nowhere").file("A")
    assert str(tmp_path / "nowhere") in str(refusal.value)


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MarketError, match="does not exist"):
        FolderSource(fill(tmp_path, "A.csv").file("A")).files()


def test_an_empty_folder_is_named_with_the_way_to_fill_it(tmp_path: Path) -> None:
    assert FolderSource(tmp_path).files() == {}
    with pytest.raises(MarketError, match=r"holds no bars.*trading-assets demo") as refusal:
        FolderSource(tmp_path).file("A")
    assert str(tmp_path) in str(refusal.value)


def test_an_unknown_symbol_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    source = fill(tmp_path, "ETHUSDT.csv", "BTCUSDT.parquet")
    with pytest.raises(MarketError, match=r"No bars for 'BTC'.*There are: BTCUSDT, ETHUSDT\."):
        source.file("BTC")


def test_an_impossible_symbol_is_refused_before_the_folder_is_read(tmp_path: Path) -> None:
    with pytest.raises(MarketError, match="cannot be a symbol"):
        FolderSource(tmp_path / "nowhere").file("../A")


def test_two_files_of_one_symbol_are_both_named(tmp_path: Path) -> None:
    source = fill(tmp_path, "A.csv", "A.parquet", "B.csv")
    with pytest.raises(MarketError, match=r"A\.csv and A\.parquet .* both hold A; keep one"):
        source.file("B")
