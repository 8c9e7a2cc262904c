"""The contract of bars: what is read, and how everything else is refused."""

import gzip
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_assets.errors import BarsRejected, MarketError
from trading_assets.market.bars import (
    COLUMNS,
    check_bars,
    check_symbol,
    describe_bars,
    read_bars,
    symbol_of,
    to_matrix,
)

FORMATS = (".csv", ".csv.gz", ".parquet")


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


def save(frame: pd.DataFrame, folder: Path, suffix: str = ".csv") -> Path:
    path = folder / f"BTCUSDT{suffix}"
    if suffix == ".parquet":
        frame.to_parquet(path, index=False)
    else:
        frame.to_csv(path, index=False)
    return path


def with_value(column: str, row: int, value: object) -> pd.DataFrame:
    frame = good_bars().astype({column: object})
    frame.loc[row, column] = value
    return frame if isinstance(value, str) else frame.infer_objects()


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_reads_back_what_was_written(tmp_path: Path, suffix: str) -> None:
    bars = read_bars(save(good_bars(), tmp_path, suffix))
    pd.testing.assert_frame_equal(bars, good_bars())
    assert tuple(bars) == COLUMNS


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize(
    "names",
    [
        {"timestamp": name}
        for name in ("date", "datetime", "time", "open_time", "Timestamp", "DATE", " Open_Time ")
    ]
    + [{name: name.upper() for name in COLUMNS}, {name: name.title() for name in COLUMNS}],
    ids=lambda names: "+".join(names.values()),
)
def test_column_names_are_matched_by_alias_and_without_case(
    tmp_path: Path, names: dict[str, str], suffix: str
) -> None:
    path = save(good_bars().rename(columns=names), tmp_path, suffix)
    pd.testing.assert_frame_equal(read_bars(path), good_bars())


def test_further_columns_and_another_order_are_ignored(tmp_path: Path) -> None:
    frame = good_bars().assign(trades=7)[["trades", "volume", *COLUMNS[:-1]]]
    pd.testing.assert_frame_equal(read_bars(save(frame, tmp_path)), good_bars())


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_epochs_are_understood_in_every_unit(tmp_path: Path, unit: str, suffix: str) -> None:
    times = good_bars()["timestamp"].astype(f"datetime64[{unit}, UTC]").astype("int64")
    path = save(good_bars().assign(timestamp=times), tmp_path, suffix)
    pd.testing.assert_frame_equal(read_bars(path), good_bars())


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize(
    "form",
    ["%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S.000+00:00", "%Y%m%dT%H%M%S"],
)
def test_times_may_be_iso_8601_text(tmp_path: Path, form: str, suffix: str) -> None:
    frame = good_bars().assign(timestamp=good_bars()["timestamp"].dt.strftime(form))
    pd.testing.assert_frame_equal(read_bars(save(frame, tmp_path, suffix)), good_bars())


def test_times_with_another_zone_become_utc(tmp_path: Path) -> None:
    tokyo = good_bars().assign(timestamp=lambda f: f["timestamp"].dt.tz_convert("Asia/Tokyo"))
    for suffix in FORMATS:
        pd.testing.assert_frame_equal(read_bars(save(tokyo, tmp_path, suffix)), good_bars())


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize(
    ("column", "row", "value", "problem"),
    [
        ("open", 1, np.nan, "is not finite"),
        ("volume", 2, np.nan, "is not finite"),
        ("high", 0, np.inf, "is not finite"),
        ("low", 3, -np.inf, "is not finite"),
        ("volume", 0, np.inf, "is not finite"),
        ("close", 2, 0.0, "is not positive"),
        ("low", 1, -98.5, "is not positive"),
        ("volume", 3, -1.0, "is negative"),
        ("high", 0, 100.5, "lies below"),
        ("high", 1, 100.9, "lies below"),
        ("low", 0, 100.5, "lies above"),
        ("low", 2, 99.6, "lies above"),
        ("close", 1, "12a", "is not a number"),
        ("volume", 2, "1,000", "is not a number"),
    ],
)
def test_a_broken_bar_is_refused_by_file_row_and_column(
    tmp_path: Path, column: str, row: int, value: object, problem: str, suffix: str
) -> None:
    frame = with_value(column, row, value)
    if isinstance(value, str):
        frame[column] = frame[column].astype(str)
    path = save(frame, tmp_path, suffix)
    with pytest.raises(BarsRejected) as refusal:
        read_bars(path)
    message = str(refusal.value)
    assert message.startswith(f"{path}, row {row + 1}, column '{column}': {value} {problem}")
    assert "\n" not in message


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize(("order", "row"), [([0, 2, 1, 3], 3), ([0, 1, 1, 3], 3), ([3, 2, 1, 0], 2)])
def test_times_that_do_not_increase_are_refused_at_the_first_such_row(
    tmp_path: Path, order: list[int], row: int, suffix: str
) -> None:
    path = save(good_bars().iloc[order], tmp_path, suffix)
    with pytest.raises(BarsRejected, match="is not after the bar before it") as refusal:
        read_bars(path)
    assert str(refusal.value).startswith(f"{path}, row {row}, column 'timestamp': ")


@pytest.mark.parametrize(
    ("value", "row"),
    [
        ("yesterday", 2),
        ("2024-13-01", 2),
        ("01/02/2024", 2),
        ("", 2),
        ("9999-01-01", 2),
        ("0001-01-01", 2),
    ],
)
def test_text_that_is_no_time_is_refused_by_row_and_column(tmp_path: Path, value: str, row: int) -> None:
    times = good_bars()["timestamp"].astype(str)
    times[row - 1] = value
    path = save(good_bars().assign(timestamp=times), tmp_path)
    with pytest.raises(BarsRejected) as refusal:
        read_bars(path)
    assert str(refusal.value).startswith(f"{path}, row {row}, column 'timestamp': ")


@pytest.mark.parametrize("value", [0, -1_709_000_000, np.nan, np.inf, 1e30, 99_999_999_999])
def test_a_number_that_is_no_epoch_is_refused_by_row_and_column(tmp_path: Path, value: float) -> None:
    times = good_bars()["timestamp"].astype("int64").astype("float64") / 1e9
    times[1] = value
    path = save(good_bars().assign(timestamp=times), tmp_path, ".parquet")
    with pytest.raises(BarsRejected) as refusal:
        read_bars(path)
    assert str(refusal.value).startswith(f"{path}, row 2, column 'timestamp': ")


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("missing", COLUMNS)
def test_a_missing_column_is_named(tmp_path: Path, missing: str, suffix: str) -> None:
    path = save(good_bars().drop(columns=missing), tmp_path, suffix)
    with pytest.raises(BarsRejected, match=f"has no column {missing}; it has") as refusal:
        read_bars(path)
    assert str(refusal.value).startswith(str(path))


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_file_without_rows_is_refused(tmp_path: Path, suffix: str) -> None:
    path = save(good_bars().iloc[:0], tmp_path, suffix)
    with pytest.raises(BarsRejected, match="holds no bars"):
        read_bars(path)


def _text(content: str) -> Callable[[bytes], bytes]:
    return lambda good: content.encode()


HTML = "<!doctype html>\n<html><head><title>404, not found</title></head>\n<body>a, b, c</body></html>"
NOISE = np.random.default_rng(0).bytes(4_096)
SPOILT = {
    "an empty file": (FORMATS, lambda good: b""),
    "an HTML page": (FORMATS, _text(HTML)),
    "binary garbage": (FORMATS, lambda good: NOISE),
    "NUL bytes": (FORMATS, lambda good: bytes(512)),
    "UTF-16": ((".csv",), lambda good: good.decode().encode("utf-16")),
    "a file cut in half": ((".parquet", ".csv.gz"), lambda good: good[: len(good) // 2]),
    "a file without its tail": ((".parquet", ".csv.gz"), lambda good: good[:-5]),
    "a damaged compressed stream": (
        (".csv.gz",),
        lambda good: good[:30] + bytes(255 - byte for byte in good[30:50]) + good[50:],
    ),
    "JSON": (FORMATS, _text('{"open": [1, 2], "close": [1, 2]}')),
    "a row with a field too many": (
        (".csv",),
        lambda good: good + b"2025-01-01T00:00:00Z,1,1,1,1,1,1\n",
    ),
    "an open quotation mark": ((".csv",), lambda good: good + b'"2025-01-01,1,1,1,1,1\n'),
}


@pytest.mark.parametrize(
    ("suffix", "what"), [(suffix, what) for what, (where, _) in SPOILT.items() for suffix in where]
)
def test_a_spoilt_file_is_refused_by_name(tmp_path: Path, what: str, suffix: str) -> None:
    path = save(good_bars(), tmp_path, suffix)
    path.write_bytes(SPOILT[what][1](path.read_bytes()))
    with pytest.raises(BarsRejected) as refusal:
        read_bars(path)
    assert str(refusal.value).startswith(str(path))
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_two_columns_of_one_name_are_refused(tmp_path: Path, suffix: str) -> None:
    path = save(good_bars().assign(Close=1.0), tmp_path, suffix)
    with pytest.raises(BarsRejected, match="close"):
        read_bars(path)


def test_lists_in_place_of_numbers_are_refused_by_row_and_column(tmp_path: Path) -> None:
    path = save(good_bars().assign(close=[[1.0], [2.0], [3.0], [4.0]]), tmp_path, ".parquet")
    with pytest.raises(BarsRejected, match=r"row 1, column 'close'"):
        read_bars(path)


def test_rows_that_end_with_a_comma_do_not_shift_the_columns(tmp_path: Path) -> None:
    path = save(good_bars(), tmp_path)
    head, *rows = path.read_text().splitlines()
    path.write_text("\n".join([head, *(row + "," for row in rows)]))
    try:
        bars = read_bars(path)
    except BarsRejected as refusal:
        assert str(refusal).startswith(str(path))
        assert "column 'timestamp': 100.0" not in str(refusal)
    else:
        pd.testing.assert_frame_equal(bars, good_bars())


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MarketError, match=r"BTCUSDT\.csv does not exist"):
        read_bars(tmp_path / "BTCUSDT.csv")
    for suffix in (".csv", ".parquet"):
        folder = tmp_path / f"FOLDER{suffix}"
        folder.mkdir()
        with pytest.raises(MarketError, match="FOLDER"):
            read_bars(folder)


@settings(max_examples=60, deadline=None)
@given(
    suffix=st.sampled_from(FORMATS),
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(max_size=3))),
    whole=st.binary(max_size=40) | st.none(),
)
def test_whatever_bytes_a_file_holds_its_bars_keep_the_contract_or_are_refused(
    suffix: str, changes: list[tuple[float, bytes]], whole: bytes | None
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = save(good_bars(), Path(folder), suffix)
        content = path.read_bytes()
        if suffix == ".csv.gz":  # without the time of writing, so that hypothesis can repeat itself
            content = gzip.compress(gzip.decompress(content), mtime=0)
        for share, new in changes:
            at = int(share * len(content))
            content = content[:at] + new + content[at + len(new) :]
        path.write_bytes(content if whole is None else whole)
        try:
            bars = read_bars(path)
        except MarketError as refusal:
            assert str(path) in str(refusal)
        else:
            check_bars(bars, path)
            assert tuple(bars) == COLUMNS
            assert len(bars)


@pytest.mark.parametrize(
    "symbol", ["BTCUSDT", "BTC-USDT-PERP", "BRK.B", "0700.HK", "ON", "A", "A" * 64, "_X", "..A"]
)
def test_usable_symbols_pass_and_name_their_files(symbol: str) -> None:
    assert check_symbol(symbol) == symbol
    for suffix in FORMATS:
        assert symbol_of(Path("market") / f"{symbol}{suffix}") == symbol


@pytest.mark.parametrize(
    "symbol",
    ["", ".", "..", "...", "btcusdt", "Btc", "A" * 65, "A/B", "../A", "A B", "A\n", "\n", "ÄÖ", "A*"],
)
def test_unusable_symbols_are_refused_with_an_example(symbol: str) -> None:
    with pytest.raises(MarketError, match="cannot be a symbol") as refusal:
        check_symbol(symbol)
    assert "BTCUSDT" in str(refusal.value)
    if "/" not in symbol:
        assert symbol_of(Path(f"{symbol}.csv")) is None


@pytest.mark.parametrize("name", ["README.md", "BTCUSDT", "BTCUSDT.tmp", "BTCUSDT.csv.zip", ".csv"])
def test_other_files_hold_no_symbol(name: str) -> None:
    assert symbol_of(Path(name)) is None


def test_the_matrix_holds_seconds_and_prices_in_the_order_of_the_contract() -> None:
    matrix = to_matrix(good_bars())
    assert matrix.dtype == np.float64
    np.testing.assert_array_equal(matrix[:, 0], 1_709_078_400.0 + 43_200 * np.arange(4))
    np.testing.assert_array_equal(matrix[1], [1_709_121_600.0, 101.0, 101.0, 98.5, 99.5, 0.0])


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


def test_every_file_of_a_real_market_keeps_the_contract() -> None:
    folder = Path(os.environ.get("TRADING_ASSETS_TEST_MARKET", ""))
    files = [path for path in folder.glob("*") if symbol_of(path)] if folder.name else []
    if not files:
        pytest.skip("TRADING_ASSETS_TEST_MARKET names no folder of bars")
    for path in files:
        check_bars(read_bars(path), path)
