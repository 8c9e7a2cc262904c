"""Prices and volumes, however people write numbers: 1,234.50, 1.234,56, $12, 12.3K."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from trading_assets.arrays import Floats
from trading_assets.market.draft import CORRECT
from trading_assets.market.raw import Column, RawBars
from trading_assets.market.report import IngestReport

_EMPTY = pa.array(["", "nan", "na", "n/a", "n.a.", "null", "none", "#n/a", "-nan", "-", "--"])
_BLANKS = "\u0020\u00a0\u202f\u2009'\u2019"
"""What separates thousands besides comma and point."""
_SIGNS = "$\u20ac\u00a3\u00a5"
_UNITS = {"k": 1e3, "m": 1e6, "b": 1e9, "t": 1e12}


def _number(mark: str) -> str:
    """Regular expression of a number whose decimals stand after `mark`."""
    group = f"[{',' if mark == '.' else '.'}{_BLANKS}]"
    whole = rf"(\d+|\d{{1,3}}({group}\d{{3}})+)"
    return rf"^[+-]?({whole}([{mark}]\d*)?|[{mark}]\d+)([eE][+-]?\d+)?$|^[+-]?(?i:inf(inity)?)$"


_NUMBERS = {mark: _number(mark) for mark in ".,"}
_GROUPED = {mark: rf"^[+-]?\d{{1,3}}([{',' if mark == '.' else '.'}{_BLANKS}]\d{{3}})+" for mark in ".,"}
_EITHER = {",": r"^[+-]?[1-9]\d{0,2},\d{3}$", ".": r"^[+-]?[1-9]\d{0,2}\.\d{3}$"}
"""Forty-five thousand, or forty-five and no thousandths."""


def decimal_mark(columns: Iterable[Column], delimiter: str) -> str:
    """What stands before the decimals of most numbers; where both fit, a comma beside other delimiters."""
    fits = dict.fromkeys(_NUMBERS, 0)
    commas = points = 0
    for column in columns:
        text = pc.utf8_trim_whitespace(column)
        for mark, pattern in _NUMBERS.items():
            fits[mark] += pc.sum(pc.match_substring_regex(text, pattern)).as_py() or 0
        commas += pc.sum(pc.match_substring(text, ",")).as_py() or 0
        points += pc.sum(pc.match_substring(text, ".")).as_py() or 0
    if fits[","] != fits["."]:
        return "," if fits[","] > fits["."] else "."
    return "," if delimiter != "," and commas > points else "."


def ambiguous(columns: Iterable[Column], mark: str = ",") -> bool:
    """Whether every number that has the mark can be of thousands as well as of thousandths."""
    found = False
    for column in columns:
        text = pc.utf8_trim_whitespace(column)
        with_mark = text.filter(pc.fill_null(pc.match_substring(text, mark), False))
        if len(with_mark) and not pc.all(pc.match_substring_regex(with_mark, _EITHER[mark])).as_py():
            return False
        found |= len(with_mark) > 0
    return found


def plain_numbers(text: Column, mark: str) -> Floats | None:
    """Texts as float64, NaN where they are empty; None where one of them is no number."""
    text = _without_missing(text)
    if not pc.all(pc.match_substring_regex(text, _NUMBERS[mark]), min_count=0).as_py():
        return None
    return _to_floats(text, mark)


def read_numbers(raw: RawBars, name: str, report: IngestReport) -> Floats:
    """A column as float64, NaN where it is empty; text in it is refused."""
    numbers, scale = _read(raw, name, report), raw.scale.get(name, 1.0)
    if scale == 1:
        return numbers
    return numbers * scale if scale > 1 else numbers / round(1 / scale)  # a tenth is not exact, ten is


def _read(raw: RawBars, name: str, report: IngestReport) -> Floats:
    column = raw.columns[name]
    kind = column.type
    if pa.types.is_decimal(kind):  # by way of text, which Arrow rounds correctly
        column = column.cast(pa.string()).cast(pa.float64())
    if pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind):
        return np.require(column.cast(pa.float64(), safe=False).to_numpy(), np.float64, "W")
    if pa.types.is_null(kind):
        return np.full(len(column), np.nan)
    if pa.types.is_string(kind):
        return _from_text(raw, name, report)
    _refuse(raw, name, np.ones(len(column), dtype=bool), report)


def read_numbers_or_0(raw: RawBars, name: str, report: IngestReport) -> Floats:
    """A column that may be missing or have holes, which count as 0."""
    kind = f"no {name.replace('_', ' ')}"
    if name not in raw.columns:
        report.warned(kind, f"there is no {name} column; it is taken as 0")
        return np.zeros(len(raw))
    numbers = read_numbers(raw, name, report)
    missing = np.isnan(numbers)
    if name == "volume" and (numbers[numbers < 0] == -1).all():
        missing |= numbers == -1  # as some exchanges write that there was none
    if missing.any():
        report.warned(kind, f"the {name} is missing; it is taken as 0", raw.rows[missing], raw.header[name])
        numbers[missing] = 0.0
    return numbers


def _from_text(raw: RawBars, name: str, report: IngestReport) -> Floats:
    text = _without_missing(raw.columns[name])
    factors: Floats | float = 1.0
    if name == "volume":
        text, factors = _without_units(raw, text, report)
    bad = ~pc.fill_null(pc.match_substring_regex(text, _NUMBERS[raw.decimal]), True).to_numpy()
    if bad.any():
        _refuse(raw, name, bad, report)
    if (
        (grouped := pc.fill_null(pc.match_substring_regex(text, _GROUPED[raw.decimal]), False))
        .to_numpy()
        .any()
    ):
        report.repaired(
            "thousands",
            "numbers are written in groups of thousands",
            raw.rows[grouped.to_numpy()],
            raw.header[name],
        )
    return _to_floats(text, raw.decimal) * factors


def _without_missing(text: Column) -> Column:
    text = pc.utf8_trim_whitespace(text)
    empty = pc.fill_null(pc.is_in(pc.utf8_lower(text), value_set=_EMPTY), True)
    return pc.if_else(pc.or_(empty, pc.is_null(text)), None, text)


def _to_floats(text: Column, mark: str) -> Floats:
    plain = pc.replace_substring_regex(text, f"[{',' if mark == '.' else '.'}{_BLANKS}]", "")
    plain = pc.replace_substring(pc.utf8_ltrim(plain, "+"), ",", ".").cast(pa.float64())
    return np.array(plain.to_numpy(zero_copy_only=False), dtype=np.float64)


def _without_units(raw: RawBars, text: Column, report: IngestReport) -> tuple[Column, Floats | float]:
    """Numbers such as 12.3K and 1.2M without their units, and the factors that these stand for."""
    parts = pc.extract_regex(pc.utf8_lower(text), r"^(?P<number>.*\d[.,]?)\s*(?P<unit>[kmbt]?)$")
    unit = pc.struct_field(parts, "unit")
    factors = np.ones(len(text))
    for letter, factor in _UNITS.items():
        factors[pc.fill_null(pc.equal(unit, letter), False).to_numpy()] = factor
    if (factors == 1).all():
        return text, 1.0
    report.repaired(
        "units", "volumes are written in thousands (K), millions (M) or more", (), raw.header["volume"]
    )
    return pc.if_else(pc.is_null(parts), text, pc.struct_field(parts, "number")), factors


def _refuse(raw: RawBars, name: str, bad: NDArray[np.bool_], report: IngestReport) -> NoReturn:
    value = raw.columns[name][int(bad.argmax())].as_py()
    report.reject(
        "not a number",
        "is not a number",
        CORRECT,
        rows=raw.rows[bad],
        column=raw.header[name],
        value=f"'{value}'",
    )


def without_currency_signs(raw: RawBars, names: Iterable[str], report: IngestReport) -> dict[str, Column]:
    """Prices without the sign of their currency, where every one has it before or after the number."""
    prices = {name: raw.columns[name] for name in names}
    if not all(pa.types.is_string(price.type) for price in prices.values()):
        return {}
    texts = {name: pc.utf8_trim_whitespace(price) for name, price in prices.items()}
    for pattern in (form.format(sign) for sign in _SIGNS for form in (r"^[{}]", r"\s?[{}]$")):
        if all(pc.all(pc.match_substring_regex(text, pattern)).as_py() for text in texts.values()):
            report.repaired("currency sign", "prices are written with the sign of their currency")
            return {name: pc.replace_substring_regex(text, pattern, "") for name, text in texts.items()}
    return {}
