"""Where a text has the names of its columns, and which column is which."""

from __future__ import annotations

import csv
import re
from collections import Counter
from functools import partial
from pathlib import Path

import pyarrow as pa

from trading_assets.arrays import Floats
from trading_assets.market.columns import BINANCE, PRICES, Columns, find_columns, is_header, normal_names
from trading_assets.market.headerless import lines_to_write
from trading_assets.market.levels import EMPTY_OR_TICKER, of_one_symbol
from trading_assets.market.numbers import decimal_mark, plain_numbers
from trading_assets.market.report import IngestReport, listed

EXPECTED = "Expected columns: timestamp, open, high, low, close, volume"
HEAD_LINES = 20
"""Lines in which the column names are looked for."""
_NUMBER = re.compile(r"[+-]?(\d+[.,]?\d*|[.,]\d+)([eE][+-]?\d+)?")


def find_header(
    head: list[str], delimiter: str, symbol: str | None, report: IngestReport
) -> tuple[list[str], int, Columns]:
    """Names of the columns, the number of lines before the data, and what the columns are.

    Parameters
    ----------
    head : list of str
        The first lines, without blank ones.
    delimiter : str
    symbol : str or None
        Whose columns are meant where several symbols have some.
    report : IngestReport
        Rejects rows without names, or with more values than names, with the line to write above.
    """
    lines = [fields_of(line, delimiter) for line in head]
    if _is_row(lines[0]):
        if any(map(_is_binance_row, lines[:3])):  # the first one may be the damaged one
            return list(BINANCE), 0, find_columns(BINANCE, numbers=_number_columns(lines, delimiter, 0))
        if (rows := next((n for n, names in enumerate(lines) if is_header(names)), 0)) > 0:
            report.reject(
                "rows above the names",
                f"has {rows} row(s) of values above the column names",
                "Move them below the column names.",
            )
        numbers = _number_columns(lines, delimiter, 0)
        report.reject(
            "no column names",
            "has no column names, only rows of values",
            _offer(lines_to_write(lines, numbers, delimiter), "above the rows"),
        )
    for number, names in enumerate(lines[:HEAD_LINES]):
        if _is_row(names):
            break
        if is_header(names):
            return _below_header(lines, number, delimiter, symbol, report)
    return lines[0], 1, find_columns(lines[0], file=Path(report.file).name)


def delimiter_of(head: list[str]) -> str:
    """The one that the most lines agree on."""
    votes: Counter[str] = Counter()
    for candidate in (",", ";", "\t", "|"):
        counts = Counter(line.count(candidate) for line in head)
        number, lines = max(counts.items(), key=lambda item: (item[0] >= 4, item[1]))
        votes[candidate] = lines * 10 + (candidate != ",") if number >= 4 else 0
    best = max(votes, key=lambda candidate: votes[candidate])
    return best if votes[best] else ","


def fields_of(line: str, delimiter: str) -> list[str]:
    fields = next(csv.reader([line[:100_000]], delimiter=delimiter), [])
    return [field.strip() for field in fields]


def require_columns(columns: Columns, header: list[str], report: IngestReport) -> None:
    """Reject a file without the columns that bars need; note what was decided about them."""
    report.layout = columns.layout
    missing = [name for name in ("timestamp", *PRICES) if name not in columns.names]
    if missing:
        report.reject(
            "no such column",
            f"has no column {', '.join(missing)}; it has {listed(header)}",
            f"{EXPECTED}.",
        )
    names = normal_names(header)
    needed = {names[position] for position in columns.names.values()}
    twice = next((name for name, count in Counter(names).items() if count > 1 and name in needed), None)
    if twice is not None:
        report.reject("column twice", f"has the column '{twice}' more than once", "Keep one of them.")
    for decision in columns.decisions:
        note = report.repaired if decision.reaction == "repaired" else report.warned
        note(decision.kind, decision.message, column=decision.column)


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
    lines: list[list[str]], number: int, delimiter: str, symbol: str | None, report: IngestReport
) -> tuple[list[str], int, Columns]:
    """The header in line `number`: with what stands above it, and with the lines it goes on over."""
    names, end = list(lines[number]), number + 1
    banner = " ".join(" ".join(fields) for fields in lines[:number])
    above, below = (lines[i] if 0 <= i < len(lines) else [] for i in (number - 1, end))
    tickers = next((line for line in (below, above) if _are_tickers(line, names)), None)
    if tickers is not None:
        end += tickers is below
        number -= tickers is above
        names = of_one_symbol(names, tickers, symbol, report)
    index = lines[end] if end < len(lines) else []
    if len(index) > 1 and index[0] and not any(index[1:]):  # the name of the index, on a line of its own
        names[0], end = index[0], end + 1
    if end > len(lines[:number]) + 1:
        report.repaired("header", "column names over several lines, as yfinance writes them")
    if number:
        report.repaired("banner", f"{number} line(s) before the column names left out: {listed([banner])}")
    _refuse_surplus_values(lines[end:], names, delimiter, report)
    find = partial(find_columns, names, banner=banner, file=Path(report.file).name)
    row = lines[end] if end < len(lines) else []
    return names, end, find(row=row, numbers=_number_columns(lines, delimiter, end))


def _are_tickers(line: list[str], names: list[str]) -> bool:
    """Whether a line beside the names says of which symbol each column is."""
    return (
        len(line) == len(names)
        and line[0].lower() in EMPTY_OR_TICKER
        and not _is_row(line)
        and not is_header(line)
        and sum(map(bool, line[1:])) >= len(PRICES)
    )


def _refuse_surplus_values(
    rows: list[list[str]], names: list[str], delimiter: str, report: IngestReport
) -> None:
    surplus = [fields[len(names) :] for fields in rows]
    if len(rows) < 2 or not all(any(values) for values in surplus):
        return
    offer = lines_to_write(rows, _number_columns(rows, delimiter, 0), delimiter)
    report.reject(
        "more values than names",
        f"has {len(names)} column names and {len(rows[0])} values in every row",
        _offer(offer, "in place of the column names"),
    )


def _offer(lines: list[str], where: str) -> str:
    if not lines:
        return (
            f"Write a line {where} that names every column, for instance timestamp, open, high, low, close, "
            "volume."
        )
    if len(lines) == 1:
        return f"Write this line {where}, since the values fit no other order: {lines[0]}"
    return (
        f"Write the right one of these lines {where}, between which the values do not decide: "
        f"{' or '.join(lines)}"
    )
