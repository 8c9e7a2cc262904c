"""Malformed files, hundreds of them: none is accepted in silence, none ends in an error of another kind."""

import gzip
import io
import json
import re
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.market.samples import FORMATS, HEADER, csv_of, lines_of, pack, sound_bars, write
from trading_assets.config.settings import IngestPolicy
from trading_assets.errors import BarsRejected, TradingAssetsError
from trading_assets.market.bars import COLUMNS, check_bars
from trading_assets.market.ingest import read_bars

MARKET = Path(__file__).parents[3] / "shared" / "market"
needs_market = pytest.mark.skipif(not MARKET.is_dir(), reason=f"there are no bars in {MARKET}")

VARIANTS = 10
TEXT, TABLES = (".csv", ".csv.gz", ".csv.zip"), (".parquet", ".feather")
PRICES = ("open", "high", "low", "close")
NOW = pd.Timestamp.now(tz="UTC")


@dataclass
class Case:
    """One malformed file, and what must come of it.

    Attributes
    ----------
    reaction : str
        `rejected`, `repaired` or `warned`.
    finding : str
        Pattern of the finding's kind.
    rows : tuple of int or None
        Rows that the finding names, the first of them where it is a rejection; None where the file as a
        whole is at fault.
    bars : DataFrame or None
        What is read where the file is not rejected.
    words : tuple of str
        What the message says besides.
    """

    data: bytes
    suffix: str
    reaction: str
    finding: str
    rows: tuple[int, ...] | None = None
    bars: pd.DataFrame | None = None
    words: tuple[str, ...] = ()
    policy: IngestPolicy = field(default_factory=IngestPolicy)


@dataclass
class Maker:
    """Sound bars of a random size, and random places to spoil them."""

    rng: np.random.Generator

    def __post_init__(self) -> None:
        self.n = int(self.rng.integers(20, 160))
        self.freq, start = self.choice(("1h", "2024-01-15"), ("5min", "2023-11-01"), ("1D", "2022-05-02"))
        self.bars = sound_bars(self.n, freq=self.freq, start=start, seed=int(self.rng.integers(1 << 30)))
        self.row = int(self.rng.integers(2, self.n))
        self.price = self.choice(*PRICES)
        self.number = self.choice(*PRICES, "volume")
        self.suffix = self.choice(*TEXT)

    def choice(self, *among: Any) -> Any:
        return among[int(self.rng.integers(len(among)))]

    def naive_bars(self) -> pd.DataFrame:
        return sound_bars(self.n, freq=self.choice("1h", "5min"), seed=self.n)

    def change(self, change: Callable[[list[str]], list[str]]) -> str:
        """The CSV with the fields of `row` changed."""
        lines = lines_of(self.bars)
        lines[self.row - 1] = ",".join(change(lines[self.row - 1].split(",")))
        return self.text(lines)

    def put(self, column: str, value: str) -> str:
        place = COLUMNS.index(column)
        return self.change(lambda fields: [*fields[:place], value, *fields[place + 1 :]])

    def text(self, lines: list[str]) -> str:
        return "\n".join([HEADER, *lines]) + "\n"

    def packed(self, text: str, reaction: str, finding: str, *rows: int, **more: Any) -> Case:
        data = pack(text, self.suffix, self.choice("utf-8", "utf-8-sig", "utf-16"))
        return Case(data, self.suffix, reaction, finding, rows or None, **more)

    def saved(self, frame: pd.DataFrame, reaction: str, finding: str, *rows: int, **more: Any) -> Case:
        """As a table or as text."""
        suffix = self.choice(*TEXT, *TABLES)
        return Case(bytes_of(frame, suffix), suffix, reaction, finding, rows or None, **more)

    def with_value(self, column: str, value: float) -> pd.DataFrame:
        frame = self.bars.copy()
        frame.loc[self.row - 1, column] = value
        return frame


def bytes_of(frame: pd.DataFrame, suffix: str) -> bytes:
    if suffix in TEXT:
        stamps = frame["timestamp"].dt.strftime("%Y-%m-%dT%H:%M:%SZ")
        return pack(frame.assign(timestamp=stamps).to_csv(index=False, lineterminator="\n"), suffix)
    buffer = io.BytesIO()
    if suffix == ".parquet":
        frame.to_parquet(buffer, index=False)
    else:
        frame.reset_index(drop=True).to_feather(buffer)
    return buffer.getvalue()


KINDS: dict[str, Callable[[Maker], Case]] = {}


def kind(make: Callable[[Maker], Case]) -> Callable[[Maker], Case]:
    KINDS[make.__name__.strip("_").replace("_", " ")] = make
    return make


# What is repaired.


@kind
def _exact_duplicate(m: Maker) -> Case:
    later = int(m.rng.integers(m.row, m.n + 1))
    frame = pd.concat([m.bars[:later], m.bars[m.row - 1 : m.row], m.bars[later:]])
    return m.saved(frame, "repaired", "exact duplicate", later + 1, bars=m.bars)


@kind
def _two_rows_swapped(m: Maker) -> Case:
    order = np.arange(m.n)
    order[[m.row - 2, m.row - 1]] = order[[m.row - 1, m.row - 2]]
    return m.saved(m.bars.iloc[order], "repaired", "unsorted", m.row, bars=m.bars)


@kind
def _descending(m: Maker) -> Case:
    return m.saved(m.bars[::-1], "repaired", "unsorted", bars=m.bars)


@kind
def _high_a_tick_too_low(m: Maker) -> Case:
    top = m.bars.loc[m.row - 1, ["open", "close"]].max()
    frame = m.with_value("high", round(top - 0.01, 2))
    return m.saved(frame, "repaired", "high and low", m.row, bars=m.with_value("high", top))


@kind
def _low_a_tick_too_high(m: Maker) -> Case:
    bottom = m.bars.loc[m.row - 1, ["open", "close"]].min()
    frame = m.with_value("low", round(bottom + 0.01, 2))
    return m.saved(frame, "repaired", "high and low", m.row, bars=m.with_value("low", bottom))


@kind
def _epochs(m: Maker) -> Case:
    unit = m.choice("s", "ms", "us", "ns")
    epochs = m.bars["timestamp"].astype(f"datetime64[{unit}, UTC]").astype("int64")
    text = m.bars.assign(timestamp=epochs).to_csv(index=False)
    return m.packed(text, "repaired", "epoch", bars=m.bars, words=(f" in {unit}",))


@kind
def _mixed_time_zones(m: Maker) -> Case:
    chosen = np.flatnonzero(m.rng.random(m.n) < 0.3)[1:]
    chosen = chosen if len(chosen) else np.array([m.row - 1])
    zone = m.choice("Europe/Berlin", "Asia/Kolkata", "America/New_York")
    lines = lines_of(m.bars)
    for i in chosen:
        local = m.bars["timestamp"][i].tz_convert(zone).isoformat()
        lines[i] = f"{local},{lines[i].partition(',')[2]}"
    rows = (chosen + 1).tolist()
    return m.packed(m.text(lines), "repaired", "mixed time zones", *rows, bars=m.bars)


@kind
def _times_of_a_zone_that_is_set(m: Maker) -> Case:
    bars = m.naive_bars()
    text = bars.assign(timestamp=bars["timestamp"].dt.tz_localize(None)).to_csv(index=False)
    return m.packed(text, "repaired", "time zone", bars=bars, policy=IngestPolicy(time_zone="UTC"))


@kind
def _repeated_header(m: Maker) -> Case:
    lines = lines_of(m.bars)
    lines.insert(m.row - 1, m.choice(HEADER, HEADER.upper(), HEADER.title()))
    return m.packed(m.text(lines), "repaired", "repeated header", m.row, bars=m.bars)


@kind
def _banner(m: Maker) -> Case:
    banner = m.choice("Prices of Example Ltd\n", "Symbol,BTCUSDT\n\nZone,UTC\n", "sep=,\n", "# a,b,c,d,e,f\n")
    return m.packed(banner + csv_of(m.bars), "repaired", "banner", bars=m.bars)


@kind
def _unfinished_last_bar(m: Maker) -> Case:
    freq = m.choice("1h", "4h", "1D")
    last = pd.Timestamp.now(tz="UTC").floor(freq)
    bars = m.bars.assign(timestamp=pd.date_range(end=last, periods=m.n, freq=freq, unit="ns"))
    return m.saved(bars, "repaired", "unfinished bar", m.n, bars=bars[:-1])


@kind
def _decimal_comma(m: Maker) -> Case:
    text = csv_of(m.bars).replace(",", m.choice(";", "\t", "|")).replace(".", ",")
    return m.packed(text, "repaired", "decimal comma", bars=m.bars)


# What is warned of.


@kind
def _gap(m: Maker) -> Case:
    n = int(m.rng.integers(1, 7))
    row = int(m.rng.integers(5, m.n - 8))
    bars = m.bars.drop(index=range(row - 1, row - 1 + n)).reset_index(drop=True)
    return m.saved(bars, "warned", "gap", row, bars=bars)


@kind
def _no_volume_in_a_row(m: Maker) -> Case:
    bars = m.with_value("volume", 0.0)
    if m.rng.random() < 0.5:
        return m.saved(m.with_value("volume", np.nan), "warned", "no volume", m.row, bars=bars)
    return m.packed(
        m.put("volume", m.choice("", "NaN", "null", "N/A")), "warned", "no volume", m.row, bars=bars
    )


@kind
def _no_volume_at_all(m: Maker) -> Case:
    return m.saved(m.bars.drop(columns="volume"), "warned", "no volume", bars=m.bars.assign(volume=0.0))


@kind
def _spike(m: Maker) -> Case:
    bars = sound_bars(150, seed=m.n)
    row = int(m.rng.integers(60, 149))
    bars.loc[row - 1, ["high", "close"]] = np.round(bars["close"][row - 1] * m.choice(1.1, 1.2, 1.3), 2)
    return m.saved(bars, "warned", "spike", row, bars=bars)


@kind
def _flat_run(m: Maker) -> Case:
    bars = sound_bars(100, seed=m.n)
    start, length = int(m.rng.integers(1, 60)), int(m.rng.integers(13, 30))
    bars.loc[start : start + length - 1, list(PRICES)] = round(bars["close"][start - 1] + 0.37, 2)
    return m.saved(bars, "warned", "flat run", start + 2, bars=bars)


@kind
def _no_last_line_break(m: Maker) -> Case:
    return m.packed(csv_of(m.bars)[:-1], "warned", "last line", m.n, bars=m.bars)


@kind
def _bar_within_another(m: Maker) -> Case:
    late = m.bars["timestamp"][m.row - 1] + pd.Timedelta(m.freq) / 4
    bars = m.with_value("timestamp", late)  # type: ignore[arg-type]
    if m.freq == "1D":  # what has a time of day among dates is named itself, not the bar after it
        return m.saved(bars, "rejected", "session under way", m.row, words=("has a time of day",))
    words = ("begins before the bar",)
    return m.saved(bars, "rejected", "interval", m.row + 1, words=words)


# What is rejected.


@kind
def _same_time_with_other_values(m: Maker) -> Case:
    again = m.bars[m.row - 1 : m.row].copy()
    again[m.number] += 0.01
    frame = pd.concat([m.bars[: m.row], again, m.bars[m.row :]])
    return m.saved(
        frame, "rejected", "same time, different values", m.row + 1, words=(f"time of row {m.row}",)
    )


@kind
def _gap_beyond_the_limit(m: Maker) -> Case:
    days = pd.Timedelta(days=int(m.rng.integers(8, 300))) + pd.Timedelta(m.freq)
    frame = m.bars.copy()
    frame.loc[m.row :, "timestamp"] += days
    return m.saved(frame, "rejected", "gap", m.row + 1, words=(f"(row {m.row};",))


@kind
def _future_time(m: Maker) -> Case:
    late = NOW.floor("1s") + pd.Timedelta(hours=int(m.rng.integers(2, 10_000)))
    return m.saved(m.with_value("timestamp", late), "rejected", "future time", m.row)  # type: ignore[arg-type]


@kind
def _price_of_zero(m: Maker) -> Case:
    return m.saved(m.with_value(m.price, 0.0), "rejected", "not positive", m.row, words=(m.price,))


@kind
def _negative_price(m: Maker) -> Case:
    value = -m.bars[m.price][m.row - 1]
    return m.saved(m.with_value(m.price, value), "rejected", "not positive", m.row, words=(m.price,))


@kind
def _high_and_low_exchanged(m: Maker) -> Case:
    frame = m.bars.copy()
    frame.loc[m.row - 1, ["high", "low"]] = frame.loc[m.row - 1, ["low", "high"]].to_numpy()
    return m.saved(frame, "rejected", "high and low", m.row)


@kind
def _close_outside_the_bar(m: Maker) -> Case:
    bar, ticks = m.bars.loc[m.row - 1], int(m.rng.integers(2, 40)) / 100
    column, value = m.choice(("high", bar["high"] + ticks), ("low", bar["low"] - ticks))
    frame = m.with_value(m.choice("open", "close"), round(value, 2))
    return m.saved(frame, "rejected", "high and low", m.row, words=(f"'{column}'",))


@kind
def _no_price(m: Maker) -> Case:
    if m.rng.random() < 0.5:
        return m.saved(m.with_value(m.price, np.nan), "rejected", "no price", m.row, words=(m.price,))
    text = m.put(m.price, m.choice("", " ", "NaN", "null", "NULL", "None", "#N/A"))
    return m.packed(text, "rejected", "no price", m.row, words=(m.price,))


@kind
def _negative_volume(m: Maker) -> Case:
    value = -float(m.choice(0.01, 2, 1e6))
    return m.saved(m.with_value("volume", value), "rejected", "negative volume", m.row, words=("volume",))


@kind
def _infinite(m: Maker) -> Case:
    frame = m.with_value(m.number, m.choice(np.inf, -np.inf))
    return m.saved(frame, "rejected", "not finite", m.row, words=(f"'{m.number}'",))


@kind
def _enormous(m: Maker) -> Case:
    frame = m.with_value(m.number, m.choice(1e308, 1e300, 9.99e19))
    return m.saved(frame, "rejected", "not finite", m.row, words=(f"'{m.number}'",))


@kind
def _text_in_a_number(m: Maker) -> Case:
    value = m.choice("abc", "12a", "1.2.3", "?", "-", "true", "#REF!", "1 2", "12..5", "e5")
    return m.packed(m.put(m.number, value), "rejected", "not a number", m.row, words=(m.number, f"'{value}'"))


@kind
def _hexadecimal_number(m: Maker) -> Case:
    value = m.choice("0x64", "0X1F.8p3", "64h", "0b11", "0o17", "FF")
    return m.packed(m.put(m.number, value), "rejected", "not a number", m.row, words=(f"'{value}'",))


@kind
def _thousands_separator(m: Maker) -> Case:
    value = m.choice('"1,00.25"', '"1,0000"', "1''000.25", "1_000.25", "1  000.25")
    return m.packed(m.put(m.number, value), "rejected", "not a number", m.row, words=(value.strip('"'),))


@kind
def _text_in_a_table(m: Maker) -> Case:
    frame = m.bars.astype({m.number: object})
    frame[m.number] = frame[m.number].astype(str)
    frame.loc[m.row - 1, m.number] = m.choice("x", "1,5", "0x10", "1.0.0")
    suffix = m.choice(*TABLES)
    return Case(bytes_of(frame, suffix), suffix, "rejected", "not a number", (m.row,), words=(m.number,))


@kind
def _damaged_byte_in_a_number(m: Maker) -> Case:
    lines = csv_of(m.bars).encode().split(b"\n")
    at = int(m.rng.integers(21, len(lines[m.row]) - 6))
    at = lines[m.row].index(b".", at)
    lines[m.row] = lines[m.row][:at] + bytes([int(m.rng.integers(0x80, 0x100))]) + lines[m.row][at + 1 :]
    data = b"\n".join(lines)
    return Case(data, ".csv", "rejected", "not a number", (m.row,))


@kind
def _no_zone(m: Maker) -> Case:
    bars = m.naive_bars()
    naive = bars.assign(timestamp=bars["timestamp"].dt.tz_localize(None))
    if m.rng.random() < 0.5:
        return m.packed(naive.to_csv(index=False), "rejected", "no zone", 2, words=("market.time_zone",))
    return Case(bytes_of(naive, ".parquet"), ".parquet", "rejected", "no zone", (2,))


@kind
def _no_zone_in_one_row(m: Maker) -> Case:
    text = m.put("timestamp", m.bars["timestamp"][m.row - 1].strftime("%Y-%m-%dT%H:%M:%S"))
    return m.packed(text, "rejected", "no zone", m.row)


@kind
def _ambiguous_dates(m: Maker) -> Case:
    month = int(m.rng.integers(2, 13))
    bars = sound_bars(10, freq="MS", start="2023-02-01")
    form = m.choice("%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y")
    # Months apart in either order, as the n-th of the month of number n + 1 is.
    days = bars["timestamp"] + pd.to_timedelta(np.arange(10) + 2 * (month % 2), unit="D")
    text = bars.assign(timestamp=days.dt.strftime(form)).to_csv(index=False)
    return m.packed(text, "rejected", "ambiguous date", 1, words=("YYYY-MM-DD",))


@kind
def _missing_time(m: Maker) -> Case:
    return m.packed(m.put("timestamp", m.choice("", "  ")), "rejected", "no time", m.row)


@kind
def _what_is_no_time(m: Maker) -> Case:
    value = m.choice(
        "yesterday", "2024-13-01T00:00:00Z", "2024-02-30T00:00:00Z", "9999-01-01T00:00:00Z", "1.7E+12",
        "12", "2024-01-31T25:00:00Z", "31/31/2024", "1704067200", "NaT", "0000-00-00T00:00:00Z",
    )  # fmt: skip
    return m.packed(m.put("timestamp", value), "rejected", "no(t a)? time", m.row, words=(value,))


@kind
def _epoch_with_a_digit_too_many(m: Maker) -> Case:
    epochs = m.bars["timestamp"].astype("datetime64[ms, UTC]").astype("int64")
    epochs[m.row - 1] *= 10
    suffix = m.choice(".csv", ".parquet")
    frame = m.bars.assign(timestamp=epochs)
    data = frame.to_csv(index=False).encode() if suffix == ".csv" else bytes_of(frame, suffix)
    return Case(data, suffix, "rejected", "not a time", (m.row,))


@kind
def _epoch_with_a_digit_too_few(m: Maker) -> Case:
    epochs = m.bars["timestamp"].astype("datetime64[s, UTC]").astype("int64")
    epochs[m.row - 1] //= 10
    text = m.bars.assign(timestamp=epochs).to_csv(index=False)
    # The bar is of 1975 now, and so the first one comes half a century after it.
    return m.packed(text, "rejected", "gap", 1, words=(f"(row {m.row};",))


@kind
def _short_row(m: Maker) -> Case:
    n = int(m.rng.integers(1, 6))
    return m.packed(m.change(lambda fields: fields[:-n]), "rejected", "short row", m.row)


@kind
def _long_row(m: Maker) -> Case:
    return m.packed(m.change(lambda fields: [*fields, m.choice("", "7", "x")]), "rejected", "long row", m.row)


@kind
def _blank_in_place_of_a_row(m: Maker) -> Case:
    return m.packed(m.change(lambda _: ["   "]), "rejected", "short row", m.row)


@kind
def _truncated_last_line(m: Maker) -> Case:
    text = csv_of(m.bars)
    last = len(text) - 1 - text.rindex("\n", 0, -1)
    cut = int(m.rng.integers(2, last))
    return m.packed(text[:-cut], "rejected", "short row|truncated", m.n)


def _cut(m: Maker, suffix: str, finding: str) -> Case:
    data = bytes_of(m.bars, suffix)
    return Case(data[: int(m.rng.integers(9, len(data)))], suffix, "rejected", finding)


@kind
def _truncated_gzip(m: Maker) -> Case:
    return _cut(m, ".csv.gz", "truncated")


@kind
def _truncated_zip(m: Maker) -> Case:
    return _cut(m, ".csv.zip", "truncated")


@kind
def _truncated_parquet(m: Maker) -> Case:
    return _cut(m, ".parquet", "unreadable")


@kind
def _truncated_feather(m: Maker) -> Case:
    return _cut(m, ".feather", "unreadable")


@kind
def _half_a_character_of_utf_16(m: Maker) -> Case:
    data = csv_of(m.bars).encode("utf-16")
    cut = 2 * int(m.rng.integers(1, len(data) // 2)) - 1
    return Case(data[:-cut], ".csv", "rejected", "truncated")


@kind
def _nul_bytes(m: Maker) -> Case:
    lines = lines_of(m.bars)
    line = lines[m.row - 1]
    at = int(m.rng.integers(len(line)))
    lines[m.row - 1] = line[:at] + "\0" * int(m.rng.integers(1, 30)) + line[at + 1 :]
    return m.packed(m.text(lines), "rejected", "NUL bytes", m.row)


@kind
def _nul_bytes_at_the_end(m: Maker) -> Case:
    return m.packed(csv_of(m.bars) + "\0" * int(m.rng.integers(1, 512)), "rejected", "NUL bytes", m.n + 1)


@kind
def _empty(m: Maker) -> Case:
    text = m.choice("", "\n", "  \n\n", "\r\n", "\t")
    m.suffix = m.choice(*TEXT)
    return Case(pack(text, m.suffix), m.suffix, "rejected", "empty")


@kind
def _header_only(m: Maker) -> Case:
    if m.rng.random() < 0.5:
        return m.saved(m.bars[:0], "rejected", "empty")
    return m.packed(HEADER + m.choice("", "\n", "\n\n", f"\n{HEADER}\n"), "rejected", "empty")


@kind
def _html_page(m: Maker) -> Case:
    page = m.choice("<!DOCTYPE html>", "<html lang='en'>", "\n<HTML>", "<?xml version='1.0'?>", "<head>")
    return m.packed(f"{page}<body>{csv_of(m.bars)}</body>", "rejected", "no table")


@kind
def _json_error(m: Maker) -> Case:
    page = m.choice('{"code": -1121}', '{"error": "rate limit"}\n', '[{"t": 1, "o": 2}]', ' {\n"a": 1}')
    return m.packed(page, "rejected", "no table|no such column")


@kind
def _split_sized_jump(m: Maker) -> Case:
    frame = m.bars.copy()
    frame.loc[m.row :, list(PRICES)] *= m.choice(2.0, 4.0, 0.5, 0.05, 1.5)
    return m.saved(frame, "rejected", "split-sized jump", m.row + 1, words=("splits.csv",))


@kind
def _missing_column(m: Maker) -> Case:
    column = m.choice("open", "high", "low", "close")
    return m.saved(m.bars.drop(columns=column), "rejected", "no such column", words=(column,))


@kind
def _column_twice(m: Maker) -> Case:
    column = m.choice(*COLUMNS[1:])
    return m.saved(m.bars.assign(**{column.upper(): 1.0}), "rejected", "column twice", words=(column,))


@kind
def _no_header(m: Maker) -> Case:
    return m.packed(csv_of(m.bars).partition("\n")[2], "rejected", "no column names")


@kind
def _open_quotation_mark(m: Maker) -> Case:
    def put(fields: list[str]) -> list[str]:
        place = int(m.rng.integers(len(fields)))
        return [*fields[:place], f'"{fields[place]}', *fields[place + 1 :]]

    return m.packed(m.change(put), "rejected", "open quotation mark", m.row)


@kind
def _several_symbols(m: Maker) -> Case:
    frame = m.bars.assign(symbol="BTC")
    frame.loc[m.row - 1, "symbol"] = "ETH"
    return m.saved(frame, "rejected", "several symbols", words=("BTC, ETH",))


@kind
def _missing_symbol(m: Maker) -> Case:
    frame = m.bars.assign(symbol="BTC")
    frame.loc[m.row - 1, "symbol"] = None
    return m.saved(frame, "rejected", "no symbol", m.row, words=("symbol",))


@kind
def _noise(m: Maker) -> Case:
    return Case(m.rng.bytes(int(m.rng.integers(1, 4_000))), m.choice(*FORMATS), "rejected", ".*")


@kind
def _archive_of_two_files(m: Maker) -> Case:
    with zipfile.ZipFile(buffer := io.BytesIO(), "w") as archive:
        for name in ("a", "b")[: int(m.choice(0, 2))]:
            archive.writestr(f"{name}.csv", csv_of(m.bars))
    return Case(buffer.getvalue(), ".zip", "rejected", "several files")


@kind
def _rate_of_funding_out_of_range(m: Maker) -> Case:
    frame = m.bars.assign(funding_rate=1e-4)
    frame.loc[m.row - 1, "funding_rate"] = m.choice(np.inf, -3.0, 1e30)
    return m.saved(frame, "rejected", "no funding rate", m.row)


@pytest.mark.parametrize("name", KINDS)
def test_malformed_files_are_never_accepted_in_silence(tmp_path: Path, name: str) -> None:
    for seed in range(VARIANTS):
        case = KINDS[name](Maker(np.random.default_rng([seed, *name.encode()])))
        quarantine = tmp_path / str(seed)
        path = write(tmp_path, case.data, f"BTCUSDT{case.suffix}")
        policy = case.policy.model_copy(update={"quarantine_dir": quarantine})
        try:
            result = read_bars(path, policy=policy)
        except BarsRejected as refusal:
            assert case.reaction == "rejected", f"variant {seed}: {refusal}"
            (report,) = quarantine.glob("*.report.json")
            finding = json.loads(report.read_text())["findings"][-1]
            message, rows = str(refusal), tuple(finding["rows"][:1])
            assert message == finding["message"]
            assert message.startswith(str(path))
            assert "\n" not in message
            if case.rows:
                assert message.startswith(f"{path}, row {case.rows[0]}")
        else:
            assert case.reaction != "rejected", f"variant {seed} was accepted: {result.report.findings}"
            assert case.bars is not None
            pd.testing.assert_frame_equal(result.bars, case.bars)
            found = [f for f in result.report.findings if re.fullmatch(case.finding, f.kind)]
            assert [f.reaction for f in found] == [case.reaction], f"variant {seed}: {result.report.findings}"
            message, rows = found[0].message, found[0].rows
            finding = {"kind": found[0].kind, "reaction": found[0].reaction}
            if name == "spike":  # the way back may be another one
                rows = rows[:1]
        assert finding["reaction"] == case.reaction
        assert re.fullmatch(case.finding, finding["kind"]), f"variant {seed}: {message}"
        if case.rows is not None or case.reaction != "rejected":
            assert rows == (case.rows or ()), f"variant {seed}: {message}"
        for word in case.words:
            assert word in message, f"variant {seed}: {message}"
        assert path.read_bytes() == case.data


def test_there_are_hundreds_of_malformed_files() -> None:
    assert len(KINDS) >= 50
    made = {
        KINDS[name](Maker(np.random.default_rng([seed, *name.encode()]))).data
        for name in KINDS
        for seed in range(VARIANTS)
    }
    assert len(made) >= 500


BARS = sound_bars(60)
CUTS = {
    "csv": csv_of(BARS).encode(),
    "csv with CRLF": csv_of(BARS).replace("\n", "\r\n").encode(),
    "csv with CR": csv_of(BARS).replace("\n", "\r").encode(),
    "csv with a mark": csv_of(BARS).encode("utf-8-sig"),
    "utf-16": csv_of(BARS).encode("utf-16"),
    "utf-16, big end first": b"\xfe\xff" + csv_of(BARS).encode("utf-16-be"),
    "decimal comma": csv_of(BARS).replace(",", ";").replace(".", ",").encode(),
    **{suffix: bytes_of(BARS, suffix) for suffix in FORMATS if suffix != ".csv"},
    ".parquet.gz": gzip.compress(bytes_of(BARS, ".parquet"), mtime=0),
}
"""Sound bars with two decimals in every number, as files to be damaged."""
FEW = 5
"""Above so few rows it is not clear that a number with fewer decimals is one that was cut."""


@pytest.mark.parametrize("what", CUTS)
def test_a_file_that_is_cut_anywhere_is_refused_unless_it_ends_with_a_line(tmp_path: Path, what: str) -> None:
    data, rng = CUTS[what], np.random.default_rng(3)
    cuts = set(rng.integers(0, len(data), 50).tolist()) | set(range(len(data) - 20, len(data)))
    for cut in sorted(cuts):
        path = write(tmp_path, data[:cut], "A")
        try:
            result = read_bars(path)
        except BarsRejected as refusal:
            assert str(refusal).startswith(str(path))
            continue
        assert not what.startswith("."), f"cut to {cut} of {len(data)} bytes, it was accepted"
        encoding = {"utf-16": "utf-16", "utf-16, big end first": "utf-16"}.get(what, "utf-8")
        text = data[:cut].decode(encoding)
        n = len(result.bars)
        whole = n if text.endswith(("\n", "\r")) or n > FEW else n - 1
        pd.testing.assert_frame_equal(result.bars[:whole], BARS[:whole])
        if not text.endswith(("\n", "\r")):
            assert ("last line", (n,)) in [(f.kind, f.rows) for f in result.report.warnings]


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """With bytes changed, inserted or left out in one to three places."""
    for _ in range(int(rng.integers(1, 4))):
        at, length = int(rng.integers(len(data))), int(rng.integers(1, 4))
        usual = [b"0123456789", b'0123456789.,-+:TZeE"\n\r ;', bytes(range(256))][int(rng.integers(3))]
        new = bytes(rng.choice(list(usual), length).tolist())
        left_out = length if rng.random() < 0.6 else int(rng.integers(0, 4))
        data = data[:at] + new + data[at + left_out :]
    return data


@pytest.mark.parametrize("what", CUTS)
def test_damaged_bytes_end_in_bars_that_keep_the_contract_or_in_a_refusal(tmp_path: Path, what: str) -> None:
    rng, refused = np.random.default_rng(11), 0
    for _ in range(100):
        path = write(tmp_path, damaged(CUTS[what], rng), "A")
        try:
            result = read_bars(path)
        except TradingAssetsError as refusal:
            refused += 1
            assert str(path) in str(refusal)
            assert "\n" not in str(refusal)
        else:
            check_bars(result.bars, path)
            assert tuple(result.bars)[:6] == COLUMNS
            assert result.report.rows_kept == len(result.bars)
    assert refused > 30


@settings(max_examples=80, deadline=None)
@given(
    content=st.binary(max_size=60),
    start=st.sampled_from(
        [b"", b"PAR1", b"ARROW1", b"FEA1", b"PK\x03\x04", b"\x1f\x8b", b"\xff\xfe", HEADER.encode() + b"\n"]
    ),
)
def test_arbitrary_bytes_are_refused_by_the_file_s_name(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, start: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "A"
    path.write_bytes(start + content)
    with pytest.raises(BarsRejected) as refusal:
        read_bars(path)
    assert str(refusal.value).startswith(str(path))
    assert "\n" not in str(refusal.value)


@settings(max_examples=80, deadline=None)
@given(
    row=st.integers(0, 8),
    column=st.integers(0, 5),
    cell=st.text(st.characters(codec="utf-8", exclude_characters=',\n\r"\0'), max_size=12)
    | st.floats().map(repr),
)
def test_whatever_stands_in_a_cell_its_row_is_named_or_the_bars_are_sound(
    tmp_path_factory: pytest.TempPathFactory, row: int, column: int, cell: str
) -> None:
    lines = [line.split(",") for line in lines_of(BARS[:9])]
    lines[row][column] = cell
    path = tmp_path_factory.getbasetemp() / "cell.csv"
    path.write_text("\n".join([HEADER, *(",".join(line) for line in lines)]) + "\n", encoding="utf-8")
    try:
        result = read_bars(path)
    except BarsRejected as refusal:
        assert re.search(rf"\brow {row + 1}\b", str(refusal)), refusal
    else:
        check_bars(result.bars, path)
        assert len(result.bars) == 9


DIRTY = {
    "USO_1d.csv": (135, "date", "comes 72 d after the end of the bar before it"),
    "EEM_1d.csv": (259, "date", "comes 9 d after the end of the bar before it"),
    "QQQ_1d.csv": (1442, "date", "comes 2303 d after the end of the bar before it"),
}
JUMPS = {
    "USO_1d.csv": (96, "open", "is 1.52 times the close before it"),
    "EEM_1d.csv": (723, "open", "is 10.03 times the close before it"),
    "QQQ_1d.csv": (261, "open", "is 0.5006 times the close before it"),
}


@needs_market
@pytest.mark.parametrize("calendar", [None, "XNYS"])
@pytest.mark.parametrize("file", DIRTY)
def test_real_histories_with_holes_and_jumps_are_refused_for_each(file: str, calendar: str | None) -> None:
    path = MARKET / "dirty" / file
    with pytest.raises(BarsRejected) as refusal:
        read_bars(path, policy=IngestPolicy(calendar=calendar))
    assert "after the end of the bar before it" in str(refusal.value)
    if calendar is None:
        row, column, problem = DIRTY[file]
        assert f"{path}, row {row}, column '{column}': " in str(refusal.value)
        assert problem in str(refusal.value)
    with pytest.raises(BarsRejected) as refusal:
        read_bars(path, policy=IngestPolicy(calendar=calendar, max_gap_days=10_000))
    row, column, problem = JUMPS[file]
    assert f"{path}, row {row}, column '{column}': " in str(refusal.value)
    assert problem in str(refusal.value)
    forgiving = IngestPolicy(calendar=calendar, max_gap_days=10_000, accept_jumps=True)
    result = read_bars(path, policy=forgiving)
    raw = pd.read_csv(path, parse_dates=["date"])
    np.testing.assert_array_equal(result.bars[list(COLUMNS[1:])], raw[list(COLUMNS[1:])])
    assert {"gap", "jump"} <= {finding.kind for finding in result.report.warnings}


@needs_market
@pytest.mark.parametrize(
    ("file", "repairs"),
    [
        ("BTCUSD_1h_descending.csv", ["epoch", "unsorted"]),
        ("BTCUSD_1h_banner_line.csv", ["banner", "time zone", "unsorted"]),
    ],
)
def test_real_files_from_cryptodatadownload_are_repaired(file: str, repairs: list[str]) -> None:
    path = MARKET / "dirty" / file
    result = read_bars(path)
    assert [finding.kind for finding in result.report.repairs] == repairs
    assert result.report.layout == "CryptoDataDownload"
    raw = pd.read_csv(path, skiprows=int("banner" in file))[::-1].reset_index(drop=True)
    volume = "volume_btc" if "banner" in file else "volume"
    form = "%Y-%m-%d %I-%p" if "banner" in file else "%Y-%m-%d %H:%M:%S"
    expected = pd.DataFrame(
        {
            "timestamp": pd.to_datetime(raw["date"], format=form, utc=True).dt.as_unit("ns"),
            **{name: raw[name].astype(float) for name in PRICES},
            "volume": raw[volume],
        }
    )
    pd.testing.assert_frame_equal(result.bars, expected)


APPLE = "date,factor\n2000-06-21,2\n2005-02-28,2\n2014-06-09,7\n2020-08-31,4\n"


@needs_market
def test_apple_is_refused_without_its_splits_and_read_with_them(tmp_path: Path) -> None:
    path = Path(shutil.copy(MARKET / "equity_1d" / "AAPL.csv", tmp_path))
    policy, forgiving = IngestPolicy(calendar="XNYS"), IngestPolicy(calendar="XNYS", accept_jumps=True)
    with pytest.raises(
        BarsRejected, match=r"row 623, column 'open': 50\.5 is 0\.5 times the close before it"
    ):
        read_bars(path, policy=policy)
    write(tmp_path, APPLE, "AAPL.splits.csv")
    # What is left is the profit warning of September 2000, and that was real.
    with pytest.raises(
        BarsRejected, match=r"row 693, column 'open': .* a split that AAPL\.splits\.csv lacks"
    ):
        read_bars(path, policy=policy)
    result = read_bars(path, policy=forgiving)
    raw = pd.read_csv(path, parse_dates=["date"])
    factor = np.ones(len(raw))
    for day, by in (("2000-06-21", 2), ("2005-02-28", 2), ("2014-06-09", 7), ("2020-08-31", 4)):
        factor[raw["date"] < day] *= by
    for name in PRICES:
        np.testing.assert_allclose(result.bars[name], raw[name] / factor, rtol=1e-15)
    np.testing.assert_allclose(result.bars["volume"], raw["volume"] * factor, rtol=1e-15)
    jumps = [finding.rows for finding in result.report.warnings if finding.kind == "jump"]
    assert [str(result.bars["timestamp"][row - 1].date()) for (row,) in jumps] == ["2000-09-29"]
    wrong = APPLE.replace("2014-06-09", "2014-06-10")
    write(tmp_path, wrong, "AAPL.splits.csv")
    with pytest.raises(BarsRejected, match=r"AAPL\.splits\.csv does not fit"):
        read_bars(path, policy=policy)


@needs_market
def test_nights_and_holidays_of_new_york_are_no_gaps_in_a_real_history() -> None:
    path = MARKET / "equity_1d" / "SPY.csv"
    result = read_bars(path, policy=IngestPolicy(calendar="XNYS"))
    wicks = [("spike", "high", (1_066,)), ("spike", "low", (1_752, 1_931))]
    assert [(f.kind, f.column, f.rows) for f in result.report.findings] == wicks
    assert result.bars["high"][1_065] > 1.25 * result.bars["close"][1_065]  # 144 where all else says 114
    assert len(result.bars) == 5_849
    assert [finding.kind for finding in read_bars(path).report.findings] == ["gap", "spike", "spike"]


@needs_market
def test_weekends_are_no_gaps_in_a_real_history_of_a_currency() -> None:
    path = MARKET / "fx_1h" / "EURUSD_ask_2017.csv"
    with pytest.raises(BarsRejected, match=r"row 1, column 'Time': .* no time zone"):
        read_bars(path, policy=IngestPolicy(calendar="24/5"))
    result = read_bars(path, policy=IngestPolicy(time_zone="UTC", calendar="24/5"))
    assert len(result.bars) == 6_225
    (gap,) = [finding for finding in result.report.warnings if finding.kind == "gap"]
    christmas = result.bars["timestamp"][gap.rows[0] - 1]
    assert (gap.count, str(christmas)) == (1, "2017-12-25 22:00:00+00:00")
    everything = read_bars(path, policy=IngestPolicy(time_zone="UTC")).report.warnings
    assert everything[0].count == 52
