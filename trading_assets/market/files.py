"""From the bytes of a file to columns, whatever it is: recognised by content, never by name."""

from __future__ import annotations

import csv
import gzip
import io
import lzma
import re
import zipfile
import zlib
from collections import Counter
from dataclasses import replace
from functools import partial, reduce
from pathlib import Path
from typing import NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.feather as pafeather
import pyarrow.parquet as pq

from trading_assets.errors import MarketError
from trading_assets.market.columns import ALIASES, BINANCE, PRICES, Columns, find_columns, is_header, normal
from trading_assets.market.containers import read_container, refuse_unread
from trading_assets.market.draft import Floats
from trading_assets.market.numbers import ambiguous, decimal_mark, plain_numbers, without_currency_signs
from trading_assets.market.raw import Column, RawBars, plain
from trading_assets.market.report import IngestReport, listed

EXPECTED = "Expected columns: timestamp, open, high, low, close, volume"
_DOWNLOAD = "Download it again, and look at what the server said."
_AGAIN = "Copy or download the file again."
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_ISO = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?(?P<zone>Z|[+-]\d\d:?\d\d)?)?")
_PAGE = re.compile(rb"\s*<(!doctype|html|head|body|\?xml|error|title)", re.IGNORECASE)
_HEAD_LINES, _SAMPLE = 20, 1_000
"""Lines in which the column names are looked for, and rows that show what columns mean."""


def read_file(path: Path, report: IngestReport, *, decimal: str | None = None) -> RawBars:
    """Read the columns of a file of bars; notes format, layout and findings in `report`.

    Parameters
    ----------
    path : Path
    report : IngestReport
    decimal : {'.', ','}, optional
        What stands before decimals; without it what fits the most numbers.

    Raises
    ------
    MarketError
        When there is no such file.
    BarsRejected
        When it is empty, cut short, no table, or has no such columns.
    """
    refuse_unread(path, report)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise MarketError(f"{path} does not exist.") from None
    except OSError as error:
        raise MarketError(f"{path} cannot be read: {error.strerror or error}.") from None
    data, packing = _unpack(data, report)
    if (table := read_container(data, packing, path, report)) is not None:
        return _from_table(table, report)
    try:
        if data[:4] == b"PAR1":
            report.format = f"parquet{packing}"
            table = pq.read_table(io.BytesIO(data), page_checksum_verification=True)
            return _from_table(table, report)
        if data[:6] == b"ARROW1" or data[:4] == b"FEA1":
            report.format = f"feather{packing}"
            return _from_table(pafeather.read_table(io.BytesIO(data)), report)
    except (pa.ArrowException, OSError, ValueError) as error:
        problem = " ".join(str(error).split())
        report.reject("unreadable", f"cannot be read as {report.format}: {problem}", _AGAIN)
    return _from_text(data, packing, decimal, report)


def _unpack(data: bytes, report: IngestReport) -> tuple[bytes, str]:
    """Undo gzip or zip; refuses what else a file is packed with."""
    data, packing = _unzipped(data, report)
    packed = next((name for name, (at, magic) in _PACKED.items() if data.startswith(magic, at)), None)
    if packed is not None:
        report.reject(
            "packed", f"is packed with {packed}, which is not read", "Unpack it, or use gzip or zip."
        )
    if data.startswith(_OLD_OFFICE):
        report.reject("spreadsheet", "is a spreadsheet or another document of Office", _AS_CSV)
    return data, packing


_PACKED = {
    "bzip2": (0, b"BZh"),
    "xz": (0, b"\xfd7zXZ\x00"),
    "zstd": (0, b"\x28\xb5\x2f\xfd"),
    "lz4": (0, b"\x04\x22\x4d\x18"),
    "7z": (0, b"7z\xbc\xaf\x27\x1c"),
    "rar": (0, b"Rar!\x1a\x07"),
    "tar": (257, b"ustar"),
}
"""Where they have which bytes."""
_OLD_OFFICE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_AS_CSV = "Open it and save it as CSV."


def _unzipped(data: bytes, report: IngestReport) -> tuple[bytes, str]:
    if not data or data.isspace():
        report.reject("empty", "is empty", _AGAIN)
    if data[:2] == b"\x1f\x8b":
        try:
            return gzip.decompress(data), ", gzip"
        except (OSError, EOFError, zlib.error) as error:
            report.reject("truncated", f"is a damaged or truncated gzip file ({error})", _AGAIN)
    if data[:2] == b"PK":
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                names = [n for n in archive.namelist() if not n.endswith("/") and "__MACOSX" not in n]
                if "[Content_Types].xml" in names:
                    report.reject("spreadsheet", "is a spreadsheet (.xlsx)", _AS_CSV)
                if len(names) != 1:
                    report.reject(
                        "several files",
                        f"is a zip archive of {len(names)} files: {listed(names) or 'none'}",
                        "Pack one file of bars.",
                    )
                return archive.read(names[0]), ", zip"
        except (
            zipfile.BadZipFile,
            OSError,
            EOFError,
            ValueError,
            zlib.error,
            lzma.LZMAError,
            RuntimeError,  # encrypted, or a method that is not implemented
        ) as error:
            report.reject("truncated", f"is a damaged or truncated zip file ({error})", _AGAIN)
    return data, ""


def _from_table(table: pa.Table, report: IngestReport) -> RawBars:
    head = table.slice(0, _SAMPLE)
    numbers = {
        place: column.cast(pa.float64(), safe=False).to_numpy()
        for place, column in enumerate(head.columns)
        if pa.types.is_floating(column.type) or pa.types.is_integer(column.type)
    }
    columns = find_columns(table.column_names, file=Path(report.file).name, numbers=numbers)
    _require(columns, table.column_names, report)
    if table.num_rows == 0:
        report.reject("empty", "holds no bars, only column names", _AGAIN)
    chosen = {}
    for ours, position in columns.names.items():
        column = plain(table.column(position))
        chosen[ours] = column.cast(pa.string()) if ours in {"symbol", "clock"} else column
    header = {ours: str(table.column_names[position]) for ours, position in columns.names.items()}
    return RawBars(chosen, columns.zone, header, np.arange(1, table.num_rows + 1), scale=columns.scale)


def _from_text(data: bytes, packing: str, decimal: str | None, report: IngestReport) -> RawBars:
    data, encoding = _decode(data, report)
    head = [line for line in data[:100_000].decode("utf-8", "replace").split("\n") if line.strip()]
    head = head[:_SAMPLE]
    if not head:
        report.reject("empty", "is empty", _AGAIN)
    delimiter = _delimiter(head[:_HEAD_LINES])
    names, skipped, columns = _find_header(head, delimiter, report)
    shown = "tab" if delimiter == "\t" else f"'{delimiter}'"
    report.format = f"csv, delimiter {shown}{encoding}{packing}"
    if b"\x00" in data:
        _refuse_nul(data, skipped, report)
    _require(columns, names, report)
    start = _after_lines(data, skipped)
    if not data[start : start + 1] or (data[start : start + 1].isspace() and data[start:].isspace()):
        report.reject("empty", "holds no bars, only column names", _AGAIN)
    if b'"' in data:
        _refuse_open_quotes(data[start:], report)
    data = _without_footer(data, start, delimiter, report)
    raw = _parse(data, start, delimiter, names, columns, decimal, report)
    if not data.endswith(b"\n"):
        _judge_last_line(data[max(start, len(data) - 20_000) :], delimiter, report, int(raw.rows[-1]))
    return raw


def _decode(data: bytes, report: IngestReport) -> tuple[bytes, str]:
    """As UTF-8 without a byte order mark, with lines that end in LF; refuses what is a page."""
    encoding = ""
    for mark, name in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"\xef\xbb\xbf", "utf-8-sig")):
        if data.startswith(mark):
            try:
                data, encoding = data.decode(name).encode(), f", {name}"
            except UnicodeDecodeError as error:
                report.reject(
                    "truncated", f"is not valid {name} ({error.reason} at byte {error.start})", _AGAIN
                )
            break
    if not data.isascii():
        try:
            data.decode()
        except UnicodeDecodeError:
            # Latin-1 knows every byte: an umlaut in a header does no harm, and damage in a number is found.
            data, encoding = data.decode("latin-1").encode(), ", latin-1"
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if _PAGE.match(data):
        report.reject("no table", f"is an HTML or XML page: {_start(data)}", _DOWNLOAD)
    if data[:1_000].lstrip()[:1] in {b"{", b"["}:
        report.reject("no table", f"is JSON, perhaps an error message: {_start(data)}", _DOWNLOAD)
    return data, encoding


def _refuse_nul(data: bytes, skipped: int, report: IngestReport) -> NoReturn:
    before = data[: data.find(b"\x00")].split(b"\n")[:-1]
    row = sum(bool(other.strip()) for other in before) - skipped + 1
    report.reject(
        "NUL bytes",
        f"contains NUL bytes, the first in line {len(before) + 1}",
        _AGAIN,
        rows=row if row > 0 else (),
    )


def _refuse_open_quotes(data: bytes, report: IngestReport) -> None:
    """A quotation mark that is not closed on its line would swallow the rows after it."""
    rows = [line for line in data.split(b"\n") if line]
    odd = [number for number, line in enumerate(rows, 1) if line.count(b'"') % 2]
    if odd:
        report.reject(
            "open quotation mark",
            "has a quotation mark that is not closed",
            "Close or remove it.",
            rows=odd,
            value=f"'{rows[odd[0] - 1].decode(errors='replace')}'",
        )


def _delimiter(head: list[str]) -> str:
    """The one that the most lines agree on."""
    votes: Counter[str] = Counter()
    for candidate in (",", ";", "\t", "|"):
        counts = Counter(line.count(candidate) for line in head)
        number, lines = max(counts.items(), key=lambda item: (item[0] >= 4, item[1]))
        votes[candidate] = lines * 10 + (candidate != ",") if number >= 4 else 0
    best = max(votes, key=lambda candidate: votes[candidate])
    return best if votes[best] else ","


def _fields(line: str, delimiter: str) -> list[str]:
    fields = next(csv.reader([line[:100_000]], delimiter=delimiter), [])
    return [field.strip() for field in fields]


def _find_header(head: list[str], delimiter: str, report: IngestReport) -> tuple[list[str], int, Columns]:
    """Names of the columns, the number of lines before the data, and what the columns are."""
    lines = [_fields(line, delimiter) for line in head]
    numbers = partial(_number_columns, lines, delimiter)
    if _is_row(lines[0]) and any(map(_is_binance_row, lines[:3])):  # the first one may be the damaged one
        return list(BINANCE), 0, find_columns(BINANCE, numbers=numbers(0))
    for number, names in enumerate(lines[:_HEAD_LINES]):
        if _is_row(names):
            break
        if is_header(names):
            return _below_header(lines, number, delimiter, report)
    return lines[0], 1, find_columns(lines[0], file=Path(report.file).name)


def _number_columns(lines: list[list[str]], delimiter: str, first: int) -> dict[int, Floats]:
    """The columns of the lines from `first` on that hold nothing but numbers, by position."""
    rows = lines[first:-1] or lines[first:]  # the last line may have been cut off
    width = max(map(len, rows), default=0)
    columns = {place: [row[place] if place < len(row) else "" for row in rows] for place in range(width)}
    texts = {place: pa.array(column, pa.string()) for place, column in columns.items()}
    mark = decimal_mark(texts.values(), delimiter)
    found = {place: plain_numbers(text, mark) for place, text in texts.items()}
    return {place: column for place, column in found.items() if column is not None}


def _is_row(fields: list[str]) -> bool:
    """Whether this line holds numbers, and so is no banner and no header."""
    return sum(_NUMBER.fullmatch(field) is not None for field in fields) >= len(PRICES)


def _is_binance_row(fields: list[str]) -> bool:
    epochs = (
        [fields[BINANCE.index(name)] for name in ("open_time", "close_time")] if len(fields) == 12 else []
    )
    return bool(epochs) and all(re.fullmatch(r"\d{12,17}", epoch) for epoch in epochs)


def _below_header(
    lines: list[list[str]], number: int, delimiter: str, report: IngestReport
) -> tuple[list[str], int, Columns]:
    """The header in line `number`: with what stands above it, and with the lines it goes on over."""
    names, end = list(lines[number]), number + 1
    if normal(names[0]) == "price":
        below = (
            i for i in range(end, min(end + 2, len(lines))) if lines[i][0].lower() in {"date", "datetime"}
        )
        if (last := next(below, None)) is not None:  # yfinance's columns of two levels
            names[0], end = lines[last][0], last + 1
            report.repaired("header", "column names over several lines, as yfinance writes them")
    banner = " ".join(" ".join(fields) for fields in lines[:number])
    if number:
        report.repaired("banner", f"{number} line(s) before the column names left out: {listed([banner])}")
    row = lines[end] if end < len(lines) else []
    return (
        names,
        end,
        find_columns(
            names,
            banner=banner,
            row=row,
            file=Path(report.file).name,
            numbers=_number_columns(lines, delimiter, end),
        ),
    )


def _require(columns: Columns, header: list[str], report: IngestReport) -> None:
    report.layout = columns.layout
    missing = [name for name in ("timestamp", *PRICES) if name not in columns.names]
    if missing:
        report.reject(
            "no such column",
            f"has no column {', '.join(missing)}; it has {listed(header)}",
            f"{EXPECTED}.",
        )
    counts = Counter(normal(name) for name in header)
    needed = {normal(header[position]) for position in columns.names.values()}
    twice = next((name for name, count in counts.items() if count > 1 and name in needed), None)
    if twice is not None:
        report.reject("column twice", f"has the column '{twice}' more than once", "Keep one of them.")
    for decision in columns.decisions:
        note = report.repaired if decision.reaction == "repaired" else report.warned
        note(decision.kind, decision.message, column=decision.column)


def _without_footer(data: bytes, start: int, delimiter: str, report: IngestReport) -> bytes:
    """Without a last line of words, such as where and when the file was downloaded."""
    body = data.rstrip()
    begin = body.rfind(b"\n", start) + 1
    line = body[begin:].decode("utf-8", "replace")
    if begin <= start or delimiter in line or not re.search(r"[A-Za-z]{3,}\W+[A-Za-z]{2,}", line):
        return data
    report.repaired("footer", f"a last line of words left out: {listed([line])}")
    return data[:begin]


def _after_lines(data: bytes, lines: int) -> int:
    """Where the data goes on after `lines` lines that are not blank."""
    start = 0
    while lines and start < len(data):
        end = data.find(b"\n", start)
        end = len(data) if end < 0 else end
        lines -= bool(data[start:end].strip())
        start = end + 1
    return start


def _parse(
    data: bytes,
    start: int,
    delimiter: str,
    names: list[str],
    columns: Columns,
    wanted: str | None,
    report: IngestReport,
) -> RawBars:
    """Numbers and times where every row from byte `start` on has them, otherwise the text of all."""
    positions = columns.names
    unique = [f"{number}" for number in range(len(names))]
    chosen = [unique[position] for position in positions.values()]
    head = [
        _fields(line, delimiter)
        for line in data[start : start + 100_000].decode("utf-8", "replace").split("\n")[:_HEAD_LINES]
        if line
    ]
    surplus = bool(head) and all(len(fields) == len(names) + 1 and not fields[-1] for fields in head)
    if surplus:  # rows that end in a delimiter
        unique.append(f"{len(names)}")
    prices = [fields[positions[name]] for fields in head for name in PRICES if positions[name] < len(fields)]
    sample = [pa.array(prices, pa.string())]
    decimal = wanted or decimal_mark(sample, delimiter)
    bad_rows: list[pacsv.InvalidRow] = []

    def read(types: dict[str, pa.DataType], *, threads: bool = True) -> pa.Table:
        def skip(row: pacsv.InvalidRow) -> str:
            bad_rows.append(row)
            return "skip"

        return pacsv.read_csv(
            pa.py_buffer(data).slice(start),
            read_options=pacsv.ReadOptions(column_names=unique, use_threads=threads),
            parse_options=pacsv.ParseOptions(delimiter=delimiter, invalid_row_handler=skip),
            convert_options=pacsv.ConvertOptions(
                column_types=types,
                include_columns=chosen,
                strings_can_be_null=True,
                decimal_point=decimal,
            ),
        )

    if surplus:
        chosen.append(unique[-1])
    text = dict.fromkeys(chosen, pa.string())
    quick = {unique[position]: pa.float64() for name, position in positions.items() if name not in _TEXTS}
    quick |= {unique[positions[name]]: pa.string() for name in ("symbol", "clock") if name in positions}
    quick |= dict.fromkeys(unique[len(names) :], pa.string())
    time_type, zone = _time_type(head[0] if head else [], positions)
    quick[unique[positions["timestamp"]]] = time_type
    try:
        if ambiguous(sample):
            raise pa.ArrowInvalid("thousands or thousandths")
        table = read(quick)
        if zone and data.count(zone, start) < table.num_rows:
            raise pa.ArrowInvalid("times of several zones")
    except pa.ArrowInvalid:
        bad_rows.clear()
        try:
            table = read(text)
        except pa.ArrowInvalid as error:
            report.reject("unreadable", f"is no table: {' '.join(str(error).split())}", _AGAIN)
        columns_of_prices = [table.column(unique[positions[name]]) for name in PRICES]
        decimal = wanted or decimal_mark(columns_of_prices, delimiter)
        if ambiguous(columns_of_prices):
            _warn_of_two_readings(decimal, wanted, report)
    if bad_rows:
        bad_rows.clear()
        read(text, threads=False)  # only so the rows are counted
        row = bad_rows[0]
        kind = "short" if row.actual_columns < row.expected_columns else "long"
        others = "first rows have" if surplus else "column names are"
        report.reject(
            f"{kind} row",
            f"has {row.actual_columns} fields where the {others} {row.expected_columns}",
            "Mend or remove the row; a last row that is cut off means that the file is.",
            rows=[bad.number or 0 for bad in bad_rows],
            value=f"'{row.text}'",
        )
    if surplus:
        _refuse_surplus(table.column(unique[-1]), report)
    if decimal == ",":
        report.repaired("decimal comma", "numbers are written with a decimal comma")
    raw = {ours: table.column(unique[position]) for ours, position in positions.items()}
    header = {ours: names[position] for ours, position in positions.items()}
    rows = np.arange(1, table.num_rows + 1)
    found = _without_headers(RawBars(raw, columns.zone, header, rows, decimal, columns.scale), report)
    return replace(found, columns=found.columns | without_currency_signs(found, PRICES, report))


def _warn_of_two_readings(decimal: str, wanted: str | None, report: IngestReport) -> None:
    if wanted is None:
        report.warned(
            "decimal comma",
            "prices such as 45,000 can be forty-five thousand or forty-five; they are read as "
            + ("forty-five" if decimal == "," else "forty-five thousand")
            + ": set market.decimal to '.' or ',' to choose",
        )


def _refuse_surplus(column: Column, report: IngestReport) -> None:
    """What stands after the last column that has a name."""
    filled = np.flatnonzero(pc.fill_null(pc.not_equal(pc.utf8_trim_whitespace(column), ""), False))
    if len(filled):
        report.reject(
            "long row",
            "stands in a column without a name",
            "Name the column, or remove the value.",
            rows=filled + 1,
            value=f"'{column[int(filled[0])].as_py()}'",
        )
    report.repaired("trailing delimiter", "every row ends in a delimiter that the column names do not have")


_TEXTS = frozenset({"timestamp", "symbol", "clock"})


def _time_type(first: list[str], positions: dict[str, int]) -> tuple[pa.DataType, bytes]:
    """What the first row's time looks like, and the zone that all rows must have to be read that way."""
    if positions["timestamp"] >= len(first) or "clock" in positions:
        return pa.string(), b""
    time = first[positions["timestamp"]]
    if re.fullmatch(r"\d{9,20}", time):
        return pa.int64(), b""
    match = _ISO.fullmatch(time)
    if match is None or len(time) == len("2024-01-31"):
        return pa.string(), b""
    zone = match["zone"]
    if zone is None:
        return pa.timestamp("ns"), b""
    if re.search(r"[T ]00:00(:00(\.0+)?)?[+-]", time):  # perhaps the date of a session, to be seen as text
        return pa.string(), b""
    return pa.timestamp("ns", "UTC"), zone.encode()


def _without_headers(raw: RawBars, report: IngestReport) -> RawBars:
    """Leave out rows that repeat the column names, as files glued together have them."""
    if not all(pa.types.is_string(raw.columns[price].type) for price in PRICES):
        return raw
    texts = {price: pc.utf8_lower(pc.utf8_trim(raw.columns[price], " <>$")) for price in PRICES}
    repeated = reduce(pc.and_, (pc.is_in(texts[price], pa.array(ALIASES[price])) for price in PRICES))
    if not pc.any(repeated).as_py():
        return raw
    report.repaired(
        "repeated header", "rows that repeat the column names left out", raw.rows[repeated.to_numpy()]
    )
    rest = raw.take(pc.invert(repeated))
    if len(rest) == 0:
        report.reject("empty", "holds no bars, only column names", _AGAIN)
    return rest


def _judge_last_line(end: bytes, delimiter: str, report: IngestReport, row: int) -> None:
    """A last line without a line break may have lost its end: its last number is held against the others'."""
    lines = end.decode("utf-8", "replace").split("\n")
    lasts = [_fields(line, delimiter)[-1] for line in lines[-200:] if line.strip()]
    *others, last = (len(text.replace(",", ".").partition(".")[2]) for text in lasts)
    usual = 0.0
    if len(set(others)) == 1 and len(others) >= 5:
        usual = others[0]
    elif len(others) >= 20:  # decimals that are not of one length are rarely as short as half the shortest
        usual = min(others) / 2
    emptied = lasts[-1] == "" and len(lasts) > 1 and all(lasts[:-1])
    torn = lasts[-1].endswith((".", ",", "-", "e", "+")) or emptied
    if torn or last < usual:
        report.reject(
            "truncated",
            "is the end of a last line that was cut off",
            "Complete or remove the last line.",
            rows=row,
            value=f"'{lasts[-1]}'",
        )
    report.warned(
        "last line",
        "the last line has no line break; if it was cut off, its last number is wrong",
        row,
    )


def _start(data: bytes) -> str:
    return f"'{listed([data[:200].decode('utf-8', 'replace')])}'"
