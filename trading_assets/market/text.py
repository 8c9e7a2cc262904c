"""From a text, in whatever dialect, to columns."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from typing import NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from trading_assets.market.columns import ALIASES, PRICES, Columns
from trading_assets.market.encoding import decode
from trading_assets.market.header import HEAD_LINES, delimiter_of, fields_of, find_header, require_columns
from trading_assets.market.numbers import ambiguous, decimal_mark, without_currency_signs
from trading_assets.market.raw import SAMPLE, Column, RawBars
from trading_assets.market.report import AGAIN, IngestReport, listed

_ISO = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?(?P<zone>Z|[+-]\d\d:?\d\d)?)?")


_TEXTS = frozenset({"timestamp", "symbol", "clock"})


def read_text(
    data: bytes, packing: str, report: IngestReport, *, symbol: str | None, decimal: str | None
) -> RawBars:
    """Columns of a text; what it is packed with, or was, is `packing`. See `files.read_file`."""
    data, encoding = decode(data, report)
    head = [line for line in data[:100_000].decode("utf-8", "replace").split("\n") if line.strip()]
    head = head[:SAMPLE]
    if not head:
        report.reject("empty", "is empty", AGAIN)
    delimiter = delimiter_of(head[:HEAD_LINES])
    names, skipped, columns = find_header(head, delimiter, symbol, report)
    shown = "tab" if delimiter == "\t" else f"'{delimiter}'"
    report.format = f"csv, delimiter {shown}{encoding}{packing}"
    if b"\x00" in data:
        _refuse_nul(data, skipped, report)
    require_columns(columns, names, report)
    start = _after_lines(data, skipped)
    if not data[start : start + 1] or (data[start : start + 1].isspace() and data[start:].isspace()):
        report.reject("empty", "holds no bars, only column names", AGAIN)
    if b'"' in data:
        _refuse_open_quotes(data[start:], report)
    data = _without_footer(data, start, delimiter, report)
    raw = _parse(data, start, delimiter, names, columns, decimal, report)
    if not data.endswith(b"\n"):
        _judge_last_line(data[max(start, len(data) - 20_000) :], delimiter, report, int(raw.rows[-1]))
    return raw


def _refuse_nul(data: bytes, skipped: int, report: IngestReport) -> NoReturn:
    before = data[: data.find(b"\x00")].split(b"\n")[:-1]
    row = sum(bool(other.strip()) for other in before) - skipped + 1
    report.reject(
        "NUL bytes",
        f"contains NUL bytes, the first in line {len(before) + 1}",
        AGAIN,
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


def _without_footer(data: bytes, start: int, delimiter: str, report: IngestReport) -> bytes:
    """Without a last line of words, such as where and when the file was downloaded."""
    tail = max(start, len(data) - 10_000)
    body = data[tail:].rstrip()
    begin = tail + body.rfind(b"\n") + 1
    line = data[begin:].strip().decode("utf-8", "replace")
    if begin in {start, tail} or delimiter in line or not re.search(r"[A-Za-z]{3,}\W+[A-Za-z]{2,}", line):
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
        fields_of(line, delimiter)
        for line in data[start : start + 100_000].decode("utf-8", "replace").split("\n")[:HEAD_LINES]
        if line
    ]
    surplus = bool(head) and all(len(fields) == len(names) + 1 and not fields[-1] for fields in head)
    if surplus:  # rows that end in a delimiter
        unique.append(f"{len(names)}")
    sample = [_prices_of(head, positions)]
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
            report.reject("unreadable", f"is no table: {' '.join(str(error).split())}", AGAIN)
        sample = [table.column(unique[positions[name]]) for name in PRICES]
        decimal = wanted or decimal_mark(sample, delimiter)
    _warn_of_two_readings(sample, delimiter, decimal, wanted, report)
    if bad_rows:
        bad_rows.clear()
        read(text, threads=False)  # only so the rows are counted
        _refuse_lengths(bad_rows, "first rows have" if surplus else "column names are", report)
    if surplus:
        _refuse_surplus(table.column(unique[-1]), report)
    if decimal == ",":
        report.repaired("decimal comma", "numbers are written with a decimal comma")
    raw = {ours: table.column(unique[position]) for ours, position in positions.items()}
    header = {ours: names[position] for ours, position in positions.items()}
    bars = RawBars(raw, columns.zone, header, np.arange(1, table.num_rows + 1), decimal, columns.scale)
    found = _without_headers(bars, report)
    return replace(found, columns=found.columns | without_currency_signs(found, PRICES, report))


def _prices_of(rows: list[list[str]], positions: dict[str, int]) -> Column:
    places = [positions[name] for name in PRICES]
    return pa.array(
        [fields[place] for fields in rows for place in places if place < len(fields)], pa.string()
    )


def _refuse_lengths(rows: list[pacsv.InvalidRow], others: str, report: IngestReport) -> NoReturn:
    first = rows[0]
    kind = "short" if first.actual_columns < first.expected_columns else "long"
    report.reject(
        f"{kind} row",
        f"has {first.actual_columns} fields where the {others} {first.expected_columns}",
        "Mend or remove the row; a last row that is cut off means that the file is.",
        rows=[row.number or 0 for row in rows],
        value=f"'{first.text}'",
    )


def _warn_of_two_readings(
    prices: Sequence[Column], delimiter: str, decimal: str, wanted: str | None, report: IngestReport
) -> None:
    """With semicolons between values a comma may stand before decimals, and a point between thousands."""
    if wanted is not None:
        return
    if ambiguous(prices):
        example, reading = "45,000", "forty-five" if decimal == "," else "forty-five thousand"
    elif delimiter == ";" and decimal == "." and ambiguous(prices, "."):
        example, reading = "45.000", "forty-five"
    else:
        return
    report.warned(
        "decimal comma",
        f"prices such as {example} can be forty-five thousand or forty-five; they are read as {reading}: set "
        "market.decimal to '.' or ',' to choose",
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
        report.reject("empty", "holds no bars, only column names", AGAIN)
    return rest


def _judge_last_line(end: bytes, delimiter: str, report: IngestReport, row: int) -> None:
    """A last line without a line break may have lost its end: its last number is held against the others'."""
    lines = end.decode("utf-8", "replace").split("\n")
    lasts = [fields_of(line, delimiter)[-1] for line in lines[-200:] if line.strip()]
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
