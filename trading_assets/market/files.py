"""From the bytes of a file to columns, whatever it is: recognised by content, never by name."""

from __future__ import annotations

import gzip
import io
import re
import zipfile
import zlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.feather as pafeather
import pyarrow.parquet as pq

from trading_assets.errors import MarketError
from trading_assets.market.columns import BINANCE, PRICES, Columns, find_columns, is_header, normal
from trading_assets.market.report import IngestReport, listed

Column = Any
"""A pyarrow.ChunkedArray."""
EXPECTED = "Expected columns: timestamp, open, high, low, close, volume"
_DOWNLOAD = "Download it again, and look at what the server said."
_AGAIN = "Copy or download the file again."
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_ISO = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?(?P<zone>Z|[+-]\d\d:?\d\d)?)?")
_PAGE = re.compile(rb"\s*<(!doctype|html|head|body|\?xml|error|title)", re.IGNORECASE)
_HEAD_LINES = 20


@dataclass(frozen=True)
class RawBars:
    """Columns as they were written, under our names.

    Attributes
    ----------
    columns : dict of str to pyarrow.ChunkedArray
        Numbers, times or text. At least `timestamp` and the prices.
    zone : str or None
        Zone that the layout is known to write naive times in.
    header : dict of str to str
        The file's own name of each column.
    """

    columns: dict[str, Column]
    zone: str | None
    header: dict[str, str]

    def __len__(self) -> int:
        return len(self.columns["timestamp"])


def read_file(path: Path, report: IngestReport) -> RawBars:
    """Read the columns of a file of bars; notes format, layout and findings in `report`.

    Raises
    ------
    MarketError
        When there is no such file.
    BarsRejected
        When it is empty, cut short, no table, or has no such columns.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise MarketError(f"{path} does not exist.") from None
    except OSError as error:
        raise MarketError(f"{path} cannot be read: {error.strerror or error}.") from None
    data, packing = _unpack(data, report)
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
    return _from_text(data, packing, report)


def _unpack(data: bytes, report: IngestReport) -> tuple[bytes, str]:
    """Undo gzip or zip."""
    if not data.strip():
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
            zlib.error,
            RuntimeError,
            NotImplementedError,
        ) as error:
            report.reject("truncated", f"is a damaged or truncated zip file ({error})", _AGAIN)
    return data, ""


def _from_table(table: pa.Table, report: IngestReport) -> RawBars:
    columns = find_columns(table.column_names)
    _require(columns, table.column_names, report)
    if table.num_rows == 0:
        report.reject("empty", "holds no bars, only column names", _AGAIN)
    chosen = {}
    for ours, position in columns.names.items():
        column = table.column(position)
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        chosen[ours] = column
    header = {ours: str(table.column_names[position]) for ours, position in columns.names.items()}
    return RawBars(chosen, columns.zone, header)


def _from_text(data: bytes, packing: str, report: IngestReport) -> RawBars:
    data, encoding = _decode(data, report)
    if b"\n" not in data:
        data = data.replace(b"\r", b"\n")
    head = [line.strip("\r") for line in data[:100_000].decode("utf-8", "replace").split("\n")]
    head = [line for line in head if line.strip()][:_HEAD_LINES]
    if not head:
        report.reject("empty", "is empty", _AGAIN)
    delimiter = _delimiter(head)
    names, skipped, columns = _find_header(head, delimiter, report)
    shown = {"\t": "tab", " ": "space"}.get(delimiter, f"'{delimiter}'")
    report.format = f"csv, delimiter {shown}{encoding}{packing}"
    _require(columns, names, report)
    data = _after_lines(data, skipped)
    if not data.strip():
        report.reject("empty", "holds no bars, only column names", _AGAIN)
    raw = _parse(data, delimiter, names, columns, report)
    if not data.endswith((b"\n", b"\r")):
        _judge_last_line(data, delimiter, report, len(raw))
    return raw


def _decode(data: bytes, report: IngestReport) -> tuple[bytes, str]:
    """As UTF-8 without a byte order mark; refuses what is a page or binary."""
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
    if _PAGE.match(data):
        report.reject("no table", f"is an HTML or XML page: {_start(data)}", _DOWNLOAD)
    if data.lstrip()[:1] in {b"{", b"["}:
        report.reject("no table", f"is JSON, perhaps an error message: {_start(data)}", _DOWNLOAD)
    if (nul := data.find(b"\x00")) >= 0:
        line = data.count(b"\n", 0, nul) + 1
        report.reject("NUL bytes", f"contains NUL bytes, the first in line {line}", _AGAIN)
    return data, encoding


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
    return [field.strip().strip('"').strip() for field in line.split(delimiter)]


def _find_header(head: list[str], delimiter: str, report: IngestReport) -> tuple[list[str], int, Columns]:
    """Names of the columns, the number of lines before the data, and what the columns are."""
    for number, line in enumerate(head):
        names = _fields(line, delimiter)
        if not is_header(names):
            continue
        banner = "\n".join(head[:number])
        lines = number + 1
        if normal(names[0]) == "price" and any(
            _fields(later, delimiter)[0].lower() == "date" for later in head[lines : lines + 2]
        ):
            names[0], lines = "Date", lines + 2  # yfinance's columns of two levels
            report.repaired("header", "column names over three lines, as yfinance writes them")
        if number:
            report.repaired(
                "banner", f"{number} line(s) before the column names left out: {listed([banner])}"
            )
        columns = find_columns(names, banner=banner)
        report.layout = columns.layout
        return names, lines, columns
    first = _fields(head[0], delimiter)
    if len(first) == len(BINANCE) and all(_NUMBER.fullmatch(field) for field in first):
        report.layout = "Binance"
        return list(BINANCE), 0, find_columns(BINANCE)
    return first, 1, find_columns(first)


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


def _after_lines(data: bytes, lines: int) -> bytes:
    """What follows `lines` lines that are not blank."""
    start = 0
    while lines and start < len(data):
        end = data.find(b"\n", start)
        end = len(data) if end < 0 else end
        lines -= bool(data[start:end].strip())
        start = end + 1
    return data[start:]


def _parse(data: bytes, delimiter: str, names: list[str], columns: Columns, report: IngestReport) -> RawBars:
    """Numbers and times where every row has them, otherwise the text of all."""
    positions = columns.names
    unique = [f"{number}" for number in range(len(names))]
    chosen = [unique[position] for position in positions.values()]
    end = data.find(b"\n")
    first = _fields(data[: end if end >= 0 else len(data)].decode("utf-8", "replace"), delimiter)
    decimal = "," if delimiter != "," and any(re.fullmatch(r"-?\d+,\d+", field) for field in first) else "."
    if decimal == ",":
        report.repaired("decimal comma", "numbers are written with a decimal comma")
    bad_rows: list[pacsv.InvalidRow] = []

    def read(types: dict[str, pa.DataType], *, threads: bool = True) -> pa.Table:
        def skip(row: pacsv.InvalidRow) -> str:
            bad_rows.append(row)
            return "skip"

        return pacsv.read_csv(
            pa.py_buffer(data),
            read_options=pacsv.ReadOptions(column_names=unique, use_threads=threads),
            parse_options=pacsv.ParseOptions(delimiter=delimiter, invalid_row_handler=skip),
            convert_options=pacsv.ConvertOptions(
                column_types=types,
                include_columns=chosen,
                strings_can_be_null=True,
                decimal_point=decimal,
            ),
        )

    text = dict.fromkeys(chosen, pa.string())
    quick = {unique[position]: pa.float64() for name, position in positions.items() if name not in _TEXTS}
    quick |= {unique[positions[name]]: pa.string() for name in ("symbol", "clock") if name in positions}
    quick[unique[positions["timestamp"]]] = _time_type(first, positions, data)
    try:
        table = read(quick)
    except pa.ArrowInvalid:
        bad_rows.clear()
        try:
            table = read(text)
        except pa.ArrowInvalid as error:
            report.reject("unreadable", f"is no table: {' '.join(str(error).split())}", _AGAIN)
    if bad_rows:
        bad_rows.clear()
        read(text, threads=False)
        row = bad_rows[0]
        kind = "short" if row.actual_columns < row.expected_columns else "long"
        report.reject(
            f"{kind} row",
            f"has {row.actual_columns} fields where the column names are {row.expected_columns}",
            "Mend or remove the row; a last row that is cut off means that the file is.",
            rows=[bad.number or 0 for bad in bad_rows],
            value=f"'{row.text}'",
        )
    if table.num_rows == 0:
        report.reject("empty", "holds no bars, only column names", _AGAIN)
    raw = {ours: table.column(unique[position]) for ours, position in positions.items()}
    header = {ours: names[position] for ours, position in positions.items()}
    return RawBars(_without_headers(raw, header, report), columns.zone, header)


_TEXTS = frozenset({"timestamp", "symbol", "clock"})


def _time_type(first: list[str], positions: dict[str, int], data: bytes) -> pa.DataType:
    """What the first row's time looks like, if every row may be read that way at once."""
    if positions["timestamp"] >= len(first) or "clock" in positions:
        return pa.string()
    time = first[positions["timestamp"]]
    if re.fullmatch(r"\d{9,20}", time):
        return pa.int64()
    match = _ISO.fullmatch(time)
    if match is None or len(time) == len("2024-01-31"):
        return pa.string()
    zone = match["zone"]
    if zone is None:
        return pa.timestamp("ns")
    of_one_kind = data.count(zone.encode()) >= data.rstrip().count(b"\n") + 1
    return pa.timestamp("ns", "UTC") if of_one_kind else pa.string()


def _without_headers(
    raw: dict[str, Column], header: dict[str, str], report: IngestReport
) -> dict[str, Column]:
    """Leave out rows that repeat the column names, as files glued together have them."""
    if not pa.types.is_string(raw["open"].type):
        return raw
    repeated = pc.and_(
        pc.fill_null(pc.equal(pc.utf8_trim_whitespace(raw["open"]), header["open"]), False),
        pc.fill_null(pc.equal(pc.utf8_trim_whitespace(raw["close"]), header["close"]), False),
    )
    rows = repeated.to_numpy().nonzero()[0]
    if len(rows) == 0:
        return raw
    report.repaired("repeated header", "rows that repeat the column names left out", rows + 1)
    keep = pc.invert(repeated)
    return {name: column.filter(keep) for name, column in raw.items()}


def _judge_last_line(data: bytes, delimiter: str, report: IngestReport, n_rows: int) -> None:
    """A last line without a line break may have lost its end: its last number is held against the others'."""
    lines = data[-20_000:].decode("utf-8", "replace").splitlines()[1:]
    lasts = [_fields(line, delimiter)[-1] for line in lines if line.strip()]
    if not lasts:
        return
    *others, last = (len(text.partition(".")[2]) for text in lasts)
    torn = lasts[-1].endswith((".", "-", "e", "+")) or (lasts[-1] == "" and any(lasts[:-1]))
    if torn or (others and last < min(others)):
        report.reject(
            "truncated",
            "is the end of a last line that was cut off",
            "Complete or remove the last line.",
            rows=n_rows,
            value=f"'{lasts[-1]}'",
        )
    report.warned(
        "last line",
        "the last line has no line break; if it was cut off, its last number is wrong",
        n_rows,
    )


def _start(data: bytes) -> str:
    return f"'{listed([data[:200].decode('utf-8', 'replace')])}'"
