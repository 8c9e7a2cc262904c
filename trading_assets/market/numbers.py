"""Prices and volumes, however people write numbers."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trading_assets.market.draft import CORRECT, Floats
from trading_assets.market.files import RawBars
from trading_assets.market.report import IngestReport


def read_numbers(raw: RawBars, name: str, report: IngestReport) -> Floats:
    """A column as float64, NaN where it is empty; text in it is refused."""
    column, header = raw.columns[name], raw.header[name]
    kind = column.type
    if pa.types.is_decimal(kind):  # by way of text, which Arrow rounds correctly
        column = column.cast(pa.string()).cast(pa.float64())
    if pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind):
        return np.require(column.cast(pa.float64(), safe=False).to_numpy(), np.float64, "W")
    if pa.types.is_null(kind):
        return np.full(len(column), np.nan)
    bad = np.ones(len(column), dtype=bool)
    if pa.types.is_string(kind):
        text = pc.utf8_trim_whitespace(column)
        empty = pc.fill_null(pc.is_in(pc.utf8_lower(text), value_set=_EMPTY), True)
        empty = pc.or_(empty, pc.is_null(text))
        text = pc.if_else(empty, None, text)
        bad = ~pc.fill_null(pc.match_substring_regex(text, _NUMBERS[raw.decimal]), True).to_numpy()
        if not bad.any():
            plain = pc.replace_substring(pc.utf8_ltrim(text, "+"), ",", ".")
            return np.array(plain.cast(pa.float64()).to_numpy(), dtype=np.float64)
    value = column[int(bad.argmax())].as_py()
    report.reject(
        "not a number", "is not a number", CORRECT, rows=raw.rows[bad], column=header, value=f"'{value}'"
    )


_EMPTY = pa.array(["", "nan", "na", "n/a", "null", "none", "#n/a", "-nan"])
_NUMBERS = {
    mark: rf"^[+-]?(\d+[{mark}]?\d*|[{mark}]\d+)([eE][+-]?\d+)?$|^[+-]?(?i:inf(inity)?)$" for mark in ".,"
}


def read_numbers_or_0(raw: RawBars, name: str, report: IngestReport) -> Floats:
    """A column that may be missing or have holes, which count as 0."""
    kind = f"no {name.replace('_', ' ')}"
    if name not in raw.columns:
        report.warned(kind, f"there is no {name} column; it is taken as 0")
        return np.zeros(len(raw))
    numbers = read_numbers(raw, name, report)
    missing = np.isnan(numbers)
    if missing.any():
        report.warned(kind, f"the {name} is missing; it is taken as 0", raw.rows[missing], raw.header[name])
        numbers[missing] = 0.0
    return numbers
