"""Formats, dialects and layouts: whoever wrote the bars, the same ones are read."""

import bz2
import gzip
import io
import lzma
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather as pafeather
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.market.samples import FORMATS, HEADER, csv_of, lines_of, pack, save, sound_bars, with_line, write
from trading_assets.config.settings import IngestPolicy
from trading_assets.errors import BarsRejected
from trading_assets.market.bars import COLUMNS
from trading_assets.market.ingest import IngestResult, read_bars

BARS = sound_bars()
DAILY = sound_bars(60, freq="1D", start="2024-01-01")
UTC = IngestPolicy(time_zone="UTC")


def assert_reads(
    path: Path, expected: pd.DataFrame = BARS, policy: IngestPolicy | None = None
) -> IngestResult:
    result = read_bars(path, policy=policy)
    pd.testing.assert_frame_equal(result.bars, expected)
    return result


def kinds(result: IngestResult) -> list[str]:
    return [finding.kind for finding in result.report.findings]


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_reads_back_what_was_written(tmp_path: Path, suffix: str) -> None:
    result = assert_reads(save(BARS, tmp_path, suffix))
    assert tuple(result.bars) == COLUMNS
    assert result.report.findings == []
    assert (result.report.rows_read, result.report.rows_kept) == (48, 48)
    assert result.report.interval_seconds == 3_600


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_format_is_recognized_by_content_and_not_by_name(tmp_path: Path, suffix: str) -> None:
    other = ".parquet" if suffix.startswith(".csv") else ".csv"
    assert_reads(save(BARS, tmp_path, suffix).rename(tmp_path / f"OTHER{other}"))


@pytest.mark.parametrize("codec", ["none", "snappy", "gzip", "zstd", "lz4"])
def test_parquet_may_be_compressed_in_any_way(tmp_path: Path, codec: str) -> None:
    BARS.to_parquet(tmp_path / "A.parquet", compression=codec, index=False)
    assert_reads(tmp_path / "A.parquet")


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("suffix", ["", ".gz", ".zip"])
def test_feather_of_both_versions_may_be_packed_again(tmp_path: Path, version: int, suffix: str) -> None:
    buffer = io.BytesIO()
    pafeather.write_feather(pa.Table.from_pandas(BARS), buffer, version=version)
    packed = buffer.getvalue()
    if suffix == ".gz":
        packed = gzip.compress(packed)
    elif suffix == ".zip":
        with zipfile.ZipFile(buffer := io.BytesIO(), "w") as archive:
            archive.writestr("a/", b"")
            archive.writestr("a/bars.feather", packed)
            archive.writestr("__MACOSX/a/._bars.feather", b"\0")
        packed = buffer.getvalue()
    assert_reads(write(tmp_path, packed, f"A.feather{suffix}"))


@settings(max_examples=120, deadline=None)
@given(
    delimiter=st.sampled_from(",;\t|"),
    decimal=st.sampled_from(".,"),
    line_end=st.sampled_from(["\n", "\r\n", "\r"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1"]),
    suffix=st.sampled_from([".csv", ".csv.gz", ".csv.zip"]),
    quoted=st.booleans(),
    blanks=st.booleans(),
    spaces=st.booleans(),
    banner=st.sampled_from(["", "Preise in €uro?", "sep=;"]),
    ends=st.booleans(),
)
def test_csv_of_any_usual_dialect_holds_the_same_bars(
    tmp_path_factory: pytest.TempPathFactory,
    delimiter: str,
    decimal: str,
    line_end: str,
    encoding: str,
    suffix: str,
    quoted: bool,
    blanks: bool,
    spaces: bool,
    banner: str,
    ends: bool,
) -> None:
    if decimal == delimiter:
        decimal = "."
    rows = [line.split(",") for line in csv_of(BARS).splitlines()]
    rows[1:] = [[time, *(number.replace(".", decimal) for number in rest)] for time, *rest in rows[1:]]
    quote = '"' if quoted else ""
    space = " " if spaces and not quoted else ""
    lines = [delimiter.join(f"{quote}{field}{quote}{space}" for field in row) for row in rows]
    if blanks:
        lines[10:10] = ["", ""]
    if banner:
        lines.insert(0, banner.replace("€", "Ä" if encoding == "latin-1" else "€"))
    text = line_end.join(lines) + (line_end if ends else "")
    mark = {"utf-16-le": "\ufeff", "utf-16-be": "\ufeff"}.get(encoding, "")
    folder = tmp_path_factory.mktemp("dialect")
    result = assert_reads(write(folder, pack(mark + text, suffix, encoding), f"A{suffix}"))
    expected = ["banner"] * bool(banner) + ["decimal comma"] * (decimal == ",") + ["last line"] * (not ends)
    assert sorted(kinds(result)) == sorted(expected)
    shown = "tab" if delimiter == "\t" else f"'{delimiter}'"
    assert result.report.format.startswith(f"csv, delimiter {shown}")


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_its_mark_is_refused(tmp_path: Path, encoding: str) -> None:
    with pytest.raises(BarsRejected, match="NUL bytes"):
        read_bars(write(tmp_path, csv_of(BARS).encode(encoding)))


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize(
    "names",
    [
        {"timestamp": name}
        for name in ("date", "datetime", "time", "open_time", "Timestamp", "DATE", " Open_Time ", "")
    ]
    + [
        {name: name.upper() for name in COLUMNS},
        {name: name.title() for name in COLUMNS},
        {name: f"<{name}>" for name in COLUMNS},
        {name: f"${name}" for name in COLUMNS[1:]},
        {"open": "o", "high": "h", "low": "l", "close": "c", "volume": "v"},
        {"volume": "Volume BTC"},
    ],
    ids=lambda names: "+".join(names.values()) or "unnamed",
)
def test_column_names_are_matched_by_alias_and_without_case(
    tmp_path: Path, names: dict[str, str], suffix: str
) -> None:
    path = tmp_path / f"BTCUSDT{suffix}"
    if suffix == ".csv":
        header, rest = csv_of(BARS).split("\n", 1)
        path.write_text(",".join(names.get(name, name) for name in header.split(",")) + "\n" + rest)
    else:
        BARS.rename(columns=names).to_parquet(path, index=False)
    assert assert_reads(path).report.findings == []


GERMAN = {
    "open": "Eröffnung", "high": "Hoch", "low": "Tief", "close": "Schluss", "volume": "Volumen"
}  # fmt: skip


@pytest.mark.parametrize(
    "names",
    [
        {"timestamp": "Datum", **GERMAN},
        {"timestamp": "Zeit", **GERMAN, "open": "Eroeffnung", "close": "Schlusskurs"},
        {"timestamp": "Datum", **GERMAN, "open": "Erster"},
        *({"timestamp": name} for name in ("mts", "t", "Unix Timestamp", "Time (UTC)")),
    ],
    ids=lambda names: "+".join(names.values()),
)
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_german_and_rarer_column_names_are_known(
    tmp_path: Path, names: dict[str, str], encoding: str
) -> None:
    text = BARS.assign(timestamp=BARS["timestamp"].astype(str)).rename(columns=names).to_csv(index=False)
    assert assert_reads(write(tmp_path, text.encode(encoding))).report.findings == []


def test_a_time_that_its_column_calls_utc_needs_no_zone(tmp_path: Path) -> None:
    naive = BARS.assign(timestamp=BARS["timestamp"].dt.tz_localize(None))
    path = write(tmp_path, naive.rename(columns={"timestamp": "Time (UTC)"}).to_csv(index=False))
    assert kinds(assert_reads(path)) == ["time zone"]


def test_datum_and_zeit_may_stand_in_two_columns(tmp_path: Path) -> None:
    frame = BARS.rename(columns=GERMAN | {"timestamp": "Datum"})
    frame.insert(1, "Zeit", BARS["timestamp"].dt.strftime("%H:%M"))
    frame["Datum"] = BARS["timestamp"].dt.strftime("%d.%m.%Y")
    path = write(tmp_path, frame.to_csv(index=False, sep=";", decimal=","))
    assert kinds(assert_reads(path, policy=UTC)) == ["decimal comma", "time zone"]


# The columns beside the prices, in order; the symbol that the rows name; which is the volume, and whether
# the report says so.
VOLUMES = [
    (["Volume USDT", "Volume BTC"], "BTC/USDT", "Volume BTC", False),
    (["Volume BTC", "Volume USDT"], "BTC/USDT", "Volume BTC", False),
    (["Volume BTC", "Volume USDT"], "BTCUSDT", "Volume BTC", False),
    (["Volume USD", "Volume USDT"], "USDTUSD", "Volume USDT", False),
    (["volume_btc", "volume"], "BTCUSD", "volume_btc", False),
    (["Volume USD", "volume"], "BTC/USD", "volume", False),
    (["Volume USD", "Volume EUR"], "BTC", "Volume USD", True),
    (["vol_20", "volume"], "BTC", "volume", False),
    (["vol_avg", "volume"], "BTC", "volume", True),
    (["vol_avg", "volume"], "AVGO", "volume", False),
    (["vol", "tickvol"], "EURUSD", "tickvol", True),
    (["qty", "quote_volume", "volume"], "BTCUSDT", "volume", True),
    (["quote_volume", "taker_buy_volume", "volume"], "BTCUSDT", "volume", False),
    (["Volume USDT"], "BTC/USDT", "Volume USDT", True),
]


@pytest.mark.parametrize(("names", "symbol", "taken", "said"), VOLUMES)
@pytest.mark.parametrize("named_by", ["rows", "file"])
def test_the_volume_is_the_one_in_the_base_currency_or_the_plainest(
    tmp_path: Path, names: list[str], symbol: str, taken: str, said: bool, named_by: str
) -> None:
    numbers = {name: BARS["volume"] if name == taken else 7.0 for name in names}
    rows = {"symbol": symbol} if named_by == "rows" else {}
    frame = BARS.drop(columns="volume").assign(**numbers, **rows)
    name = symbol.replace("/", "")
    path = write(tmp_path, frame.to_csv(index=False), f"{name}.csv")
    result = assert_reads(path)
    assert [(f.kind, f.reaction, f.column) for f in result.report.findings] == [
        ("volume", "warned", taken)
    ] * said
    if said:
        what = "is taken as the volume, not " if len(names) > 1 else "may be in USDT, not in units of what"
        assert result.report.findings[0].message.startswith(f"'{taken}' {what}")


def test_a_volume_of_a_number_is_none(tmp_path: Path) -> None:
    path = save(BARS.rename(columns={"volume": "vol_20"}), tmp_path, ".parquet")
    assert kinds(assert_reads(path, BARS.assign(volume=0.0))) == ["no volume"]


def test_metatrader_s_empty_volume_of_a_currency_is_passed_over_for_the_ticks(tmp_path: Path) -> None:
    frame = BARS.drop(columns=["timestamp", "volume"]).rename(columns=lambda name: f"<{name.upper()}>")
    frame.insert(0, "<DATE>", BARS["timestamp"].dt.strftime("%Y.%m.%d"))
    frame.insert(1, "<TIME>", BARS["timestamp"].dt.strftime("%H:%M:%S"))
    frame = frame.assign(**{"<TICKVOL>": BARS["volume"], "<VOL>": 0, "<SPREAD>": 3})
    path = write(tmp_path, frame.to_csv(index=False, sep="\t"))
    assert kinds(assert_reads(path, policy=UTC)) == ["volume", "time zone"]


@pytest.mark.parametrize("suffix", FORMATS)
def test_further_columns_and_another_order_are_ignored(tmp_path: Path, suffix: str) -> None:
    frame = BARS.assign(trades=7)[["trades", "volume", *COLUMNS[:-1]]]
    path = tmp_path / f"A{suffix}"
    if suffix in {".parquet", ".feather"}:
        save(frame, tmp_path, suffix, "A")
    else:
        path.write_bytes(pack(csv_of(frame), suffix))
    assert_reads(path)


def test_a_time_that_pandas_kept_as_index_is_found(tmp_path: Path) -> None:
    BARS.set_index("timestamp").to_parquet(tmp_path / "A.parquet")
    assert_reads(tmp_path / "A.parquet")
    BARS.set_index(BARS["timestamp"].rename(None)).drop(columns="timestamp").to_parquet(
        tmp_path / "B.parquet"
    )
    assert_reads(tmp_path / "B.parquet")


@pytest.mark.parametrize("kind", [pa.float32(), pa.string(), pa.large_string(), pa.decimal128(12, 2)])
def test_numbers_of_any_type_are_read_as_float64(tmp_path: Path, kind: pa.DataType) -> None:
    table = pa.Table.from_pandas(BARS, preserve_index=False)
    exact = kind != pa.float32()
    for place, name in enumerate(COLUMNS[1:], start=1):
        column = pa.chunked_array([[f"{value:.2f}" for value in BARS[name]]])
        column = column.cast(pa.float64()).cast(kind) if not exact else column.cast(kind)
        table = table.set_column(place, name, column)
    pq.write_table(table, tmp_path / "A.parquet")
    bars = read_bars(tmp_path / "A.parquet").bars
    pd.testing.assert_frame_equal(bars, BARS, rtol=0 if exact else 1e-6, check_exact=exact)


def test_whole_numbers_and_dictionaries_are_read_too(tmp_path: Path) -> None:
    flat = BARS.assign(**dict.fromkeys(COLUMNS[1:], 100.0))
    table = pa.Table.from_pandas(flat, preserve_index=False)
    table = table.set_column(1, "open", table["open"].cast(pa.int32()))
    table = table.set_column(2, "high", table["high"].cast(pa.string()).dictionary_encode())
    pafeather.write_feather(table, tmp_path / "A.feather")
    assert_reads(tmp_path / "A.feather", flat)


BINANCE = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,"
    "taker_buy_volume,taker_buy_quote_volume,ignore"
)


def binance(bars: pd.DataFrame, *, microseconds_from: int | None = None) -> list[str]:
    lines = []
    for number, bar in enumerate(bars.itertuples(index=False)):
        factor = 1_000 if microseconds_from is None or number < microseconds_from else 1_000_000
        time = int(bar[0].timestamp()) * factor
        prices = ",".join(f"{value:.8f}" for value in bar[1:])
        lines.append(f"{time},{prices},{time + 3_600 * factor - 1},1000.5,17,5.5,550.25,0")
    return lines


@pytest.mark.parametrize("header", [True, False])
def test_a_binance_dump_is_read_with_and_without_header(tmp_path: Path, header: bool) -> None:
    text = "\n".join([BINANCE] * header + binance(BARS)) + "\n"
    result = assert_reads(write(tmp_path, pack(text, ".zip"), "BTCUSDT-1h-2024-01.zip"))
    assert result.report.layout == "Binance"
    assert kinds(result) == ["epoch"]


def test_binance_dumps_of_ms_and_microseconds_may_be_joined(tmp_path: Path) -> None:
    text = "\n".join(binance(BARS, microseconds_from=20)) + "\n"
    (epoch,) = assert_reads(write(tmp_path, text)).report.findings
    assert (epoch.kind, epoch.reaction, epoch.count) == ("epoch", "repaired", 48)
    assert "ms and us" in epoch.message


def test_a_header_among_the_rows_of_a_dump_without_one_is_left_out(tmp_path: Path) -> None:
    rows = binance(BARS)
    path = write(tmp_path, "\n".join([*rows[:9], BINANCE, *rows[9:]]) + "\n")
    (repeated, epoch) = assert_reads(path).report.findings
    assert (repeated.kind, repeated.rows) == ("repeated header", (10,))
    assert epoch.kind == "epoch"


@pytest.mark.parametrize("damaged", [1, 2, 30])
def test_a_damaged_row_of_a_binance_dump_is_named(tmp_path: Path, damaged: int) -> None:
    rows = binance(BARS)
    rows[damaged - 1] = rows[damaged - 1].rpartition(",")[0]
    with pytest.raises(BarsRejected, match=rf"row {damaged}: .* has 11 fields where the column names are 12"):
        read_bars(write(tmp_path, "\n".join(rows) + "\n"))


def test_freqtrade_s_feather_is_read(tmp_path: Path) -> None:
    bars = BARS.rename(columns={"timestamp": "date"})
    bars["date"] = bars["date"].astype("datetime64[ms, UTC]")
    bars.to_feather(tmp_path / "BTC_USDT-1h.feather", compression="lz4")
    assert assert_reads(tmp_path / "BTC_USDT-1h.feather").report.findings == []


def new_york_midnights(days: pd.Series) -> pd.Series:
    return days.dt.tz_localize(None).dt.tz_localize("America/New_York").astype(str)


@pytest.mark.parametrize(
    "start", ["2024-02-12", "2024-01-01"]
)  # over the change of the clocks, and in winter
def test_yfinance_s_midnights_in_new_york_are_session_dates(tmp_path: Path, start: str) -> None:
    daily = sound_bars(40, freq="1D", start=start)
    frame = daily.assign(timestamp=new_york_midnights(daily["timestamp"]))
    frame.columns = ["Date", "Open", "High", "Low", "Close", "Volume"]
    frame.insert(5, "Adj Close", frame["Close"] / 2)
    result = assert_reads(write(tmp_path, frame.to_csv(index=False)), daily)
    assert result.report.layout == "yfinance"
    assert kinds(result) == ["close", "session dates"]
    assert result.report.findings[0].message == "'Close' is taken as the close, not Adj Close"


@pytest.mark.parametrize("start", ["2024-02-12", "2024-01-01"])
def test_new_york_midnights_in_parquet_are_session_dates_in_every_season(tmp_path: Path, start: str) -> None:
    daily = sound_bars(40, freq="1D", start=start)
    local = daily["timestamp"].dt.tz_localize(None).dt.tz_localize("America/New_York")
    path = save(daily.assign(timestamp=local), tmp_path, ".parquet")
    assert kinds(assert_reads(path, daily)) == ["session dates"]


THREE_LINES = {
    "price first": "Price,Close,High,Low,Open,Volume\nTicker,SPY,SPY,SPY,SPY,SPY\nDate,,,,,\n",
    "ticker first": "Ticker,SPY,SPY,SPY,SPY,SPY\nPrice,Close,High,Low,Open,Volume\nDate,,,,,\n",
    "two lines": "Price,Close,High,Low,Open,Volume\nDate,,,,,\n",
}


@pytest.mark.parametrize("header", THREE_LINES)
def test_yfinance_s_newer_header_of_several_lines_is_read_and_no_row_lost(
    tmp_path: Path, header: str
) -> None:
    order = ["timestamp", "close", "high", "low", "open", "volume"]
    dates = DAILY.assign(timestamp=DAILY["timestamp"].dt.strftime("%Y-%m-%d"))[order]
    rows = dates.to_csv(index=False, header=False)
    result = assert_reads(write(tmp_path, THREE_LINES[header] + rows), DAILY)
    assert "header" in kinds(result)


def test_yfinance_s_newer_header_over_times_is_read(tmp_path: Path) -> None:
    order = ["timestamp", "close", "high", "low", "open", "volume"]
    header = THREE_LINES["price first"].replace("Date", "Datetime")
    assert_reads(write(tmp_path, header + BARS[order].to_csv(index=False, header=False)))


def test_of_a_download_of_several_tickers_one_has_to_be_named(tmp_path: Path) -> None:
    header = "Price,Close,Close,High,High,Low,Low,Open,Open,Volume,Volume\nTicker" + ",A,B" * 5 + "\nDate"
    rows = "\n2024-01-02,1,2,1,2,1,2,1,2,1,2\n"
    path = write(tmp_path, header + "," * 10 + rows)
    with pytest.raises(BarsRejected, match=r"holds 2 symbols: A, B\. Say which one is meant"):
        read_bars(path)
    with pytest.raises(BarsRejected, match="none of them C"):
        read_bars(path, symbol="C")
    assert read_bars(path, symbol="B").bars["close"].tolist() == [2.0]


def test_qlib_s_csv_is_read_symbol_by_symbol(tmp_path: Path) -> None:
    one = DAILY.assign(timestamp=DAILY["timestamp"].dt.strftime("%Y-%m-%d"), symbol="SH600000", factor=1.0)
    other = one.assign(symbol="SZ000001", close=7.0)
    frame = pd.concat([other, one]).rename(columns={"timestamp": "date"})
    path = write(tmp_path, frame.to_csv(index=False), "all.csv")
    with pytest.raises(
        BarsRejected, match=r"column 'symbol': holds 2 symbols: SZ000001, SH600000\. Name the file"
    ):
        read_bars(path)
    with pytest.raises(BarsRejected, match="none of them ABC"):
        read_bars(path, symbol="ABC")
    result = read_bars(path, symbol="SH600000")
    pd.testing.assert_frame_equal(result.bars, DAILY)
    assert result.report.layout == "Qlib"
    assert kinds(result) == ["several symbols"]


def test_rows_of_the_chosen_symbol_keep_their_numbers(tmp_path: Path) -> None:
    frame = pd.concat([BARS.assign(symbol="A/USD"), BARS.assign(symbol="BTC/USD")])
    frame.iloc[48 + 9, frame.columns.get_loc("close")] = -1.0
    path = save(frame, tmp_path)
    with pytest.raises(BarsRejected, match="row 58, column 'close': -1 is not positive"):
        read_bars(path, symbol="BTCUSD")


def test_a_row_without_symbol_is_refused(tmp_path: Path) -> None:
    frame = BARS.assign(symbol="BTC")
    frame.loc[6, "symbol"] = None
    for suffix in (".csv", ".parquet"):
        with pytest.raises(BarsRejected, match="row 7, column 'symbol': the symbol is missing"):
            read_bars(save(frame, tmp_path, suffix))


def test_cryptodatadownload_s_banner_and_descending_rows_are_repaired(tmp_path: Path) -> None:
    times = BARS["timestamp"].dt.strftime("%Y-%m-%d %I-%p")
    frame = BARS.assign(timestamp=times, symbol="BTCUSD", quote=1.0).rename(
        columns={"timestamp": "date", "volume": "Volume BTC", "quote": "Volume USD"}
    )
    order = ["date", "symbol", "open", "high", "low", "close", "Volume BTC", "Volume USD"]
    banner = "Timestamps are UTC timezone,https://www.CryptoDataDownload.com\n"
    result = assert_reads(write(tmp_path, banner + frame[order][::-1].to_csv(index=False), "BTCUSD.csv"))
    assert result.report.layout == "CryptoDataDownload"
    assert kinds(result) == ["banner", "time zone", "unsorted"]


@pytest.mark.parametrize(
    "dates", ["%d.%m.%Y", "%Y.%m.%d", "%Y/%m/%d", "%Y%m%d", "%d-%b-%Y", "%b %d, %Y", "%d %b %Y", "%B %d, %Y"]
)
def test_days_may_be_written_in_any_order_that_is_clear(tmp_path: Path, dates: str) -> None:
    text = DAILY.assign(timestamp=DAILY["timestamp"].dt.strftime(dates)).to_csv(index=False)
    assert assert_reads(write(tmp_path, text), DAILY).report.findings == []


def test_dukascopy_s_dotted_dates_are_utc(tmp_path: Path) -> None:
    frame = BARS.assign(timestamp=BARS["timestamp"].dt.strftime("%d.%m.%Y %H:%M:%S.000"))
    frame = frame.rename(columns={"timestamp": "Gmt time"})
    assert kinds(assert_reads(write(tmp_path, frame.to_csv(index=False)))) == ["time zone"]


@pytest.mark.parametrize("day", ["%Y.%m.%d", "%Y%m%d", "%d/%m/%Y"])
@pytest.mark.parametrize("clock", ["%H:%M", "%H:%M:%S", "%H:%M:%S.000"])
def test_date_and_time_may_stand_in_two_columns(tmp_path: Path, day: str, clock: str) -> None:
    days, clocks = BARS["timestamp"].dt.strftime(day), BARS["timestamp"].dt.strftime(clock)
    numbers = BARS.drop(columns="timestamp").rename(columns=lambda name: f"<{name.upper()}>")
    numbers.insert(0, "<TIME>", clocks)
    numbers.insert(0, "<DATE>", days)
    path = write(tmp_path, numbers.to_csv(index=False, sep="\t"))
    assert kinds(assert_reads(path, policy=UTC)) == ["time zone"]


def test_a_fault_in_one_of_two_time_columns_is_named(tmp_path: Path) -> None:
    frame = BARS.assign(time=BARS["timestamp"].dt.strftime("%H:%M"))
    frame["timestamp"] = frame["timestamp"].dt.strftime("%Y-%m-%d")
    frame = frame.rename(columns={"timestamp": "date"})
    for value, problem in (
        ("25:00", "is no time"),
        ("noon", "is not a time like"),
        (None, "time is missing"),
    ):
        frame.loc[4, "time"] = value
        with pytest.raises(BarsRejected, match=f"row 5, column 'date': .*{problem}"):
            read_bars(write(tmp_path, frame.to_csv(index=False)), policy=UTC)


BANNERS = {
    "no banner": [],
    "one line": ["Prices by Example Ltd"],
    "lines with commas": ["Symbol,BTCUSDT", "", "From,2024-01-15,To,2024-02-01,UTC", "  "],
}


@pytest.mark.parametrize("banner", BANNERS)
@pytest.mark.parametrize("quote", ["", '"'])
@pytest.mark.parametrize("ends", ["\n", ""])
@pytest.mark.parametrize(
    ("change", "kind"), [(lambda row: row.rpartition(",")[0], "5"), (lambda row: row + ",7", "7")]
)
def test_a_short_or_long_row_is_counted_from_the_first_row_of_data(
    tmp_path: Path, banner: str, quote: str, ends: str, change: object, kind: str
) -> None:
    rows = lines_of(BARS)
    if quote:
        rows = [",".join(f'"{field}"' for field in row.split(",")) for row in rows]
    assert callable(change)
    for row in (1, 2, 17, 48):
        changed = [*rows[: row - 1], change(rows[row - 1]), *rows[row:]]
        # Blank lines and the header's repetition come before row 17: the one does not count, the other does.
        changed[5:5] = ["", "", HEADER, ""]
        expected = row if row <= 5 else row + 1
        path = write(tmp_path, "\n".join([*BANNERS[banner], HEADER, *changed]) + ends)
        with pytest.raises(BarsRejected) as refusal:
            read_bars(path)
        assert f"{path}, row {expected}: " in str(refusal.value)
        assert f"has {kind} fields where the column names are 6" in str(refusal.value)


def test_rows_are_counted_over_the_blocks_of_a_large_file(tmp_path: Path) -> None:
    bars = sound_bars(60_000, freq="1min", start="2020-01-01")
    rows = lines_of(bars)
    rows[45_000] = "2020-01-01T00:00:00Z,1,2"
    rows[51_000] += ",3"
    rows[20_000:20_000] = ["", HEADER]
    with pytest.raises(BarsRejected, match=r"row 45002: .* has 3 fields .* \(2 rows have this problem\)"):
        read_bars(write(tmp_path, "\n".join([HEADER, *rows]) + "\n"))


def test_repeated_headers_are_left_out_and_still_counted(tmp_path: Path) -> None:
    rows = lines_of(BARS)
    rows[30] = rows[30].replace(".", "x")
    glued = [HEADER, *rows[:10], HEADER.upper(), *rows[10:20], HEADER, *rows[20:]]
    with pytest.raises(BarsRejected, match=r"row 33, column 'open': '.*x"):
        read_bars(write(tmp_path, "\n".join(glued) + "\n"))
    rows[30] = lines_of(BARS)[30]
    glued = [HEADER, *rows[:10], HEADER.upper(), *rows[10:20], HEADER, *rows[20:]]
    (finding,) = assert_reads(write(tmp_path, "\n".join(glued) + "\n")).report.findings
    assert (finding.kind, finding.reaction, finding.rows) == ("repeated header", "repaired", (11, 22))


def test_more_repeated_headers_than_a_finding_lists_do_not_shift_the_rows(tmp_path: Path) -> None:
    rows = lines_of(sound_bars(3_000, freq="1min"))
    rows[-1] = rows[-1].rpartition(",")[0] + ",-5"
    glued = [line for row in rows for line in (HEADER, row)]
    with pytest.raises(BarsRejected, match="row 5999, column 'volume': -5 is negative"):
        read_bars(write(tmp_path, "\n".join(glued) + "\n"))


def test_a_repeated_header_in_another_order_is_refused(tmp_path: Path) -> None:
    rows = lines_of(BARS)
    other = "timestamp,close,high,low,open,volume"
    with pytest.raises(BarsRejected, match="row 11, column 'open': 'close' is not a number"):
        read_bars(write(tmp_path, "\n".join([HEADER, *rows[:10], other, *rows[10:]]) + "\n"))


def test_rows_above_the_column_names_are_not_taken_for_a_banner(tmp_path: Path) -> None:
    rows = lines_of(BARS)
    with pytest.raises(
        BarsRejected, match=r"has 3 row\(s\) of values above the column names\. Move them below"
    ):
        read_bars(write(tmp_path, "\n".join([*rows[:3], HEADER, *rows[3:]]) + "\n"))


@pytest.mark.parametrize("row", [1, 20, 48])
@pytest.mark.parametrize("column", [0, 3, 5])
def test_a_quotation_mark_left_open_is_refused_and_swallows_no_rows(
    tmp_path: Path, row: int, column: int
) -> None:
    def open_quote(line: str) -> str:
        fields = line.split(",")
        fields[column] = '"' + fields[column]
        return ",".join(fields)

    with pytest.raises(BarsRejected, match=f"row {row}: .*quotation mark that is not closed"):
        read_bars(write(tmp_path, with_line(row, open_quote)))
    ignored = "\n".join(
        line + f",{'note' if i == 0 else 'x'}" for i, line in enumerate(csv_of(BARS).splitlines())
    )
    lines = ignored.split("\n")
    lines[row] = lines[row][:-1] + '"x'
    with pytest.raises(BarsRejected, match=f"row {row}: "):
        read_bars(write(tmp_path, "\n".join(lines) + "\n"))


NO_THOUSANDS = [(",", '"1,00.25"'), (",", '"1,0000"'), (";", "1.000,25"), (";", "1,00"), (",", "1_000.25")]


@pytest.mark.parametrize(("delimiter", "value"), NO_THOUSANDS)
@pytest.mark.parametrize("column", ["open", "volume"])
def test_separators_that_are_none_of_thousands_are_refused(
    tmp_path: Path, delimiter: str, value: str, column: str
) -> None:
    lines = [line.split(",") for line in csv_of(BARS).splitlines()]
    lines[8][COLUMNS.index(column)] = value
    path = write(tmp_path, "\n".join(delimiter.join(line) for line in lines) + "\n")
    with pytest.raises(BarsRejected) as refusal:
        read_bars(path)
    shown = value.strip('"')
    assert f"row 8, column '{column}': '{shown}' is not a number" in str(refusal.value)


def test_thousands_in_every_volume_are_no_decimals(tmp_path: Path) -> None:
    rows = [line.replace(",", ";").rpartition(";")[0] + ";12,345" for line in lines_of(BARS)]
    path = write(tmp_path, "\n".join([HEADER.replace(",", ";"), *rows]) + "\n")
    assert kinds(assert_reads(path, BARS.assign(volume=12_345.0))) == ["thousands"]


@pytest.mark.parametrize("suffix", [".parquet", ".feather"])
def test_a_comma_in_the_text_of_a_table_is_refused(tmp_path: Path, suffix: str) -> None:
    text = BARS.assign(close=BARS["close"].map("{:.2f}".format))
    text.loc[3, "close"] = "1,00"
    with pytest.raises(BarsRejected, match="row 4, column 'close': '1,00' is not a number"):
        read_bars(save(text, tmp_path, suffix))


def test_decimal_commas_are_recognized_after_many_whole_prices(tmp_path: Path) -> None:
    flat = sound_bars(60).assign(open=100.0, high=101.0, low=99.0, close=100.0)
    flat.loc[55, ["high", "low"]] = (100.5, 99.5)
    lines = flat.assign(timestamp=flat["timestamp"].astype(str)).to_csv(index=False, sep=";", decimal=",")
    assert kinds(assert_reads(write(tmp_path, lines.replace(",0;", ";")), flat)) == ["decimal comma"]


@pytest.mark.parametrize("value", ["1.5", "1,5"])
def test_the_rarer_of_two_decimal_marks_is_refused(tmp_path: Path, value: str) -> None:
    mark = "," if value == "1.5" else "."
    lines = [line.replace(",", ";").replace(".", mark) for line in csv_of(BARS).splitlines()]
    fields = lines[12].split(";")
    lines[12] = ";".join([*fields[:2], value, *fields[3:]])
    with pytest.raises(BarsRejected, match=f"row 12, column 'high': '{value}' is not a number"):
        read_bars(write(tmp_path, "\n".join(lines) + "\n"))


@pytest.mark.parametrize(
    ("value", "number"),
    [("+100.00", 100.0), ("1e2", 100.0), ("1.0E+2", 100.0), ("100.", 100.0), (" 100 ", 100.0)],
)
def test_numbers_may_be_written_in_these_ways(tmp_path: Path, value: str, number: float) -> None:
    bars = BARS.copy()
    bars.loc[4, ["open", "high", "low", "close"]] = (100.0, 100.5, 99.5, number)
    lines = csv_of(bars).splitlines()
    fields = lines[5].split(",")
    lines[5] = ",".join([*fields[:4], value, fields[5]])
    assert_reads(write(tmp_path, "\n".join(lines) + "\n"), bars)


@pytest.mark.parametrize(
    "value",
    ["12a", "0x64", "100d0", "1e", "--1", "1.2.3", "\u0661\u0660", "100%", "$100", "true", "1/2"],
)
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_text_that_is_no_number_is_refused_by_row_column_and_value(
    tmp_path: Path, value: str, suffix: str
) -> None:
    frame = BARS.astype({"low": object})
    frame["low"] = frame["low"].map("{:.2f}".format)
    frame.loc[20, "low"] = value
    frame.loc[30, "low"] = value
    path = save(frame, tmp_path, suffix)
    with pytest.raises(BarsRejected) as refusal:
        read_bars(path)
    assert str(refusal.value) == (
        f"{path}, row 21, column 'low': '{value}' is not a number (2 rows have this problem). "
        "Correct or remove the row."
    )


@pytest.mark.parametrize(
    "values",
    [[[1.0]] * 48, [{"a": 1}] * 48, [True] * 48, [b"1"] * 48, [pd.Timedelta(1)] * 48],
    ids=["lists", "structs", "booleans", "bytes", "durations"],
)
@pytest.mark.parametrize("column", ["timestamp", "close", "volume"])
def test_columns_of_another_type_are_refused(tmp_path: Path, column: str, values: list[object]) -> None:
    with pytest.raises(BarsRejected, match=f"row 1, column '{column}'"):
        read_bars(save(BARS.assign(**{column: values}), tmp_path, ".parquet"))


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("missing", [name for name in COLUMNS if name != "volume"])
def test_a_missing_column_is_named(tmp_path: Path, missing: str, suffix: str) -> None:
    path = tmp_path / f"BTCUSDT{suffix}"
    if suffix in {".parquet", ".feather"}:
        save(BARS.drop(columns=missing), tmp_path, suffix)
    else:
        frame = BARS.assign(timestamp=BARS["timestamp"].astype(str)).drop(columns=missing)
        path.write_bytes(pack(frame.to_csv(index=False), suffix))
    with pytest.raises(BarsRejected, match=f"has no column {missing}; it has") as refusal:
        read_bars(path)
    assert str(refusal.value).startswith(str(path))
    assert "Expected columns: timestamp, open, high, low, close, volume." in str(refusal.value)


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_file_with_column_names_only_is_refused(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(BarsRejected, match="holds no bars, only column names"):
        read_bars(save(BARS.iloc[:0], tmp_path, suffix))


def test_headers_only_and_repeated_are_no_bars(tmp_path: Path) -> None:
    with pytest.raises(BarsRejected, match="holds no bars, only column names"):
        read_bars(write(tmp_path, f"{HEADER}\n{HEADER}\n"))


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_two_columns_of_one_name_are_refused(tmp_path: Path, suffix: str) -> None:
    path = save(BARS.assign(Close=1.0), tmp_path, suffix)
    with pytest.raises(BarsRejected, match="has the column 'close' more than once"):
        read_bars(path)


PAGES = {
    "HTML": "<!DOCTYPE html>\n<html><head><title>404</title></head>\n<body>a, b, c</body></html>",
    "HTML with a blank": "\n <html>\n<body>open,high,low,close</body>",
    "XML": '<?xml version="1.0"?><Error><Code>NoSuchKey</Code></Error>',
    "a JSON object": '{"code": -1121, "msg": "Invalid symbol."}',
    "a JSON list": '["Invalid symbol.", "Try again."]',
}


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("page", PAGES)
def test_the_page_a_server_sent_instead_is_recognized(tmp_path: Path, page: str, suffix: str) -> None:
    path = write(tmp_path, pack(PAGES[page], suffix), f"A{suffix}")
    what = "is JSON" if "JSON" in page else "is an HTML or XML page"
    with pytest.raises(BarsRejected, match=f"{what}.* Download it again, and look at what the server said"):
        read_bars(path)


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("content", [b"", b"\n", b" \r\n\t\n"])
def test_an_empty_file_is_refused(tmp_path: Path, content: bytes, suffix: str) -> None:
    for data in (content, pack(content.decode(), suffix)):
        with pytest.raises(BarsRejected, match="is empty"):
            read_bars(write(tmp_path, data, f"A{suffix}"))


def test_an_archive_of_several_files_is_refused_with_their_names(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "A.zip", "w") as archive:
        archive.writestr("a.csv", csv_of(BARS))
        archive.writestr("b.csv", csv_of(BARS))
    with pytest.raises(BarsRejected, match=r"is a zip archive of 2 files: a\.csv, b\.csv\. Pack one"):
        read_bars(tmp_path / "A.zip")


@pytest.mark.parametrize("row", [1, 25, 48])
def test_nul_bytes_are_refused_by_row(tmp_path: Path, row: int) -> None:
    text = "A banner\n\n" + with_line(row, lambda line: line[:-3] + "\0\0\0")
    with pytest.raises(BarsRejected, match=f"row {row}: contains NUL bytes, the first in line {row + 3}"):
        read_bars(write(tmp_path, text))


def test_a_damaged_byte_in_a_number_is_refused_and_elsewhere_does_no_harm(tmp_path: Path) -> None:
    data = csv_of(BARS.assign(note="gut")).encode()
    result = assert_reads(write(tmp_path, data.replace(b"gut", b"g\xfct")))
    assert result.report.format == "csv, delimiter ',', latin-1"
    rows = data.split(b"\n")
    rows[5] = rows[5].replace(b".", b"\xb7", 1)
    with pytest.raises(BarsRejected, match=r"row 5, column 'open': '.*·.*' is not a number"):
        read_bars(write(tmp_path, b"\n".join(rows)))


def test_a_last_column_that_is_sometimes_empty_is_no_sign_of_a_cut(tmp_path: Path) -> None:
    lines = [f"{line},{'note' if i % 3 else ''}" for i, line in enumerate(lines_of(BARS))]
    path = write(tmp_path, "\n".join([f"{HEADER},note", *lines[:46]]))
    assert lines[45].endswith(",")
    assert kinds(assert_reads(path, BARS[:46])) == ["last line"]


@pytest.mark.parametrize("ends", ["\n", ""])
@pytest.mark.parametrize("delimiter", [",", ";"])
def test_a_delimiter_at_the_end_of_every_row_is_left_out(tmp_path: Path, delimiter: str, ends: str) -> None:
    text = "\n".join([HEADER, *(f"{line}," for line in lines_of(BARS))]) + ends
    result = assert_reads(write(tmp_path, text.replace(",", delimiter)))
    assert kinds(result) == ["trailing delimiter", *["last line"] * (not ends)]
    assert result.report.findings[0].reaction == "repaired"


@pytest.mark.parametrize("row", [25, 48])
@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda line: f"{line},", "has 8 fields where the first rows have 7"),
        (lambda line: line[:-1], "has 6 fields where the first rows have 7"),
        (lambda line: f"{line}x", "'x' stands in a column without a name"),
    ],
)
def test_a_row_of_another_length_is_refused_among_rows_that_end_in_a_delimiter(
    tmp_path: Path, row: int, change: object, problem: str
) -> None:
    lines = [f"{line}," for line in lines_of(BARS)]
    assert callable(change)
    lines[row - 1] = change(lines[row - 1])
    with pytest.raises(BarsRejected, match=f"row {row}: .*{problem}"):
        read_bars(write(tmp_path, "\n".join([HEADER, *lines]) + "\n"))


def nasdaq(bars: pd.DataFrame) -> str:
    """As its site exports them: descending, with dollars, the close before the volume."""
    prices = {name: "$" + bars[name].map("{:.2f}".format) for name in COLUMNS[1:5]}
    frame = bars.assign(timestamp=bars["timestamp"].dt.strftime("%m/%d/%Y"), **prices)
    names = {"timestamp": "Date", "close": "Close/Last", **{n: n.title() for n in COLUMNS}}
    frame = frame[["timestamp", "close", "volume", "open", "high", "low"]][::-1]
    return frame.rename(columns=names | {"timestamp": "Date", "close": "Close/Last"}).to_csv(index=False)


def test_nasdaq_s_prices_in_dollars_are_read(tmp_path: Path) -> None:
    result = assert_reads(write(tmp_path, nasdaq(DAILY)), DAILY)
    assert kinds(result) == ["currency sign", "unsorted"]


@pytest.mark.parametrize("value", ["100.5", "$", "$$100.5", "-$100.5", "€100.5"])
def test_a_price_unlike_the_others_in_dollars_is_refused(tmp_path: Path, value: str) -> None:
    lines = nasdaq(DAILY).splitlines()
    fields = lines[7].split(",")
    lines[7] = ",".join([*fields[:3], value, *fields[4:]])
    with pytest.raises(BarsRejected, match=r"is not a number|is no price"):
        read_bars(write(tmp_path, "\n".join(lines) + "\n"))


PACKED = {
    "bzip2": bz2.compress(csv_of(BARS).encode()),
    "xz": lzma.compress(csv_of(BARS).encode()),
    "zstd": pa.compress(csv_of(BARS).encode(), "zstd", asbytes=True),
    "7z": b"7z\xbc\xaf\x27\x1c\0\4" + bytes(90),
    "tar": b"bars.csv".ljust(257, b"\0") + b"ustar\x0000" + bytes(248),
}


@pytest.mark.parametrize("packing", PACKED)
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_file_that_is_packed_otherwise_is_refused_by_the_packing_s_name(
    tmp_path: Path, packing: str, suffix: str
) -> None:
    data = gzip.compress(PACKED[packing]) if suffix else PACKED[packing]
    problem = f"is packed with {packing}, which is not read. Unpack it, or use gzip or zip."
    with pytest.raises(BarsRejected, match=problem):
        read_bars(write(tmp_path, data))


def test_a_spreadsheet_is_called_one(tmp_path: Path) -> None:
    with zipfile.ZipFile(buffer := io.BytesIO(), "w") as archive:
        for name in ("[Content_Types].xml", "xl/workbook.xml", "xl/worksheets/sheet1.xml"):
            archive.writestr(name, "<xml/>")
    for data in (buffer.getvalue(), b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)):
        with pytest.raises(BarsRejected, match=r"is a spreadsheet .*Open it and save it as CSV"):
            read_bars(write(tmp_path, data, "BTCUSDT.xlsx"))


LAST = {
    "a field is missing": (lambda text: text.rpartition(",")[0], "has 5 fields"),
    "the last field is empty": (lambda text: text.rpartition(",")[0] + ",", "last line that was cut off"),
    "a decimal is missing": (lambda text: text[:-2], "last line that was cut off"),
    "both decimals are missing": (lambda text: text[:-3], "last line that was cut off"),
    "it ends in the time": (lambda text: text[: text.rfind("T")], "has 1 fields"),
}


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])
@pytest.mark.parametrize("cut", LAST)
def test_a_last_line_that_was_cut_off_is_refused(tmp_path: Path, cut: str, suffix: str) -> None:
    shorten, problem = LAST[cut]
    path = write(tmp_path, pack(shorten(csv_of(BARS)), suffix), f"A{suffix}")
    with pytest.raises(BarsRejected, match=f"row 48.*{problem}"):
        read_bars(path)


@pytest.mark.parametrize("n", [1, 2, 48])
def test_a_last_line_without_line_break_is_warned_of(tmp_path: Path, n: int) -> None:
    (finding,) = assert_reads(write(tmp_path, csv_of(BARS[:n]).strip()), BARS[:n]).report.findings
    assert (finding.kind, finding.reaction, finding.rows) == ("last line", "warned", (n,))


def test_few_numbers_of_differing_length_are_no_sign_of_a_cut(tmp_path: Path) -> None:
    bars = BARS[:3].assign(volume=[1.25, 2.125, 3.0])
    lines = [line.rpartition(",")[0] for line in lines_of(bars)]
    rows = [f"{line},{volume}" for line, volume in zip(lines, ("1.25", "2.125", "3"), strict=True)]
    assert kinds(assert_reads(write(tmp_path, "\n".join([HEADER, *rows])), bars)) == ["last line"]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_numpy_s_smallest_difference_survives(tmp_path: Path, suffix: str) -> None:
    bars = BARS.assign(close=np.nextafter(BARS["close"], np.inf), volume=BARS["volume"] / 3)
    bars["high"] = np.maximum(bars["high"], bars["close"])
    path = tmp_path / f"A{suffix}"
    if suffix == ".csv":
        bars.assign(timestamp=bars["timestamp"].astype(str)).to_csv(path, index=False)
    else:
        bars.to_parquet(path)
    pd.testing.assert_frame_equal(read_bars(path).bars, bars, check_exact=True)
