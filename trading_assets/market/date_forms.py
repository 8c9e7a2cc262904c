"""The forms in which people write dates and clocks, and what their parts mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trading_assets.market.time_column import YEARS, Mask, Times

_DATES = (
    r"(?P<year>\d{4})[/.-](?P<month>\d\d?)[/.-](?P<day>\d\d?)",
    r"(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)",
    r"(?P<day>\d\d?)\.(?P<month>\d\d?)\.(?P<year>\d{4})",
    r"(?P<either>\d\d?)[/-](?P<other>\d\d?)[/-](?P<year>\d{4})",
    r"(?P<one>\d\d?)[/.-](?P<two>\d\d?)[/.-](?P<three>\d\d)",
    r"(?P<word>[A-Za-z]{3,9})[- ](?P<day>\d\d?)(?:, |[- ])(?P<year>\d{4})",
    r"(?P<day>\d\d?)[-/ ](?P<word>[A-Za-z]{3,9})[-/ ](?P<year>\d{4}|\d\d)",
    r"(?P<year>\d{4})年(?P<month>\d\d?)月(?P<day>\d\d?)日",
    r"(?P<year>\d{4})[/-](?P<month>\d\d?)",
)
"""The groups `either` and `other`, `one`, `two` and `three` can be read in several orders: see `ways`."""
_CLOCKS = (
    r"(?:[T ](?P<hour>\d\d?):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:\.(?P<fraction>\d{1,9}))?)?"
    r"(?: (?P<half>[AP]M))?)?",
    r"[T ](?P<hour>\d\d?)-(?P<half>[AP]M)",
    r"[T ](?P<hour>\d\d)(?P<minute>\d\d)(?:(?P<second>\d\d)(?P<fraction>\d{3})?)?",
)


@dataclass(frozen=True)
class Way:
    """Which group of a form is the day, the month, the year."""

    name: str = ""
    day: str = "day"
    month: str = "month"
    year: str = "year"
    day_first: bool | None = None


_ORDERS = {
    "either": [
        Way("day/month/year", "either", "other", day_first=True),
        Way("month/day/year", "other", "either", day_first=False),
    ],
    "one": [
        Way("day/month/year", "one", "two", "three", day_first=True),
        Way("month/day/year", "two", "one", "three", day_first=False),
        Way("year/month/day", "three", "two", "one"),
    ],
}
FORMS = tuple(f"(?i)^{date}{clock}$" for date in _DATES for clock in _CLOCKS)
_NAMES = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
    "november", "december",
)  # fmt: skip
_MONTHS = pa.array([*(name[:3] for name in _NAMES), *_NAMES])
SAMPLE = 1_000
"""Rows by which the form of all is chosen."""


def ways(form: str) -> list[Way]:
    """The orders in which a form may have day, month and year."""
    return next((ways for names, ways in _ORDERS.items() if f"(?P<{names}>" in form), [Way()])


def integers(parts: Any, name: str) -> Times:
    """A group of the regular expression; 0 where it is empty or the expression has no such group."""
    if parts.type.get_field_index(name) < 0:
        return np.zeros(len(parts), dtype=np.int64)
    text = pc.struct_field(parts, name)
    return np.array(pc.if_else(pc.equal(text, ""), "0", text).cast(pa.int64()).to_numpy(), dtype=np.int64)


def time_of_day(parts: Any) -> tuple[Times, Mask]:
    """In nanoseconds, and whether there is such a time."""
    hour, minute, second = (integers(parts, name) for name in ("hour", "minute", "second"))
    possible = (hour < 24) & (minute < 60) & (second < 60)
    possible |= (hour == 24) & (minute == 0) & (second == 0)  # the end of the day
    if parts.type.get_field_index("half") >= 0:
        half = pc.utf8_lower(pc.struct_field(parts, "half"))
        twelve, after_noon = (np.asarray(mask) for mask in (pc.not_equal(half, ""), pc.equal(half, "pm")))
        possible &= ~twelve | ((hour >= 1) & (hour <= 12))
        hour = np.where(twelve, hour % 12 + 12 * after_noon, hour)
    seconds = hour * 3_600 + minute * 60 + second
    fraction: Any = 0
    if parts.type.get_field_index("fraction") >= 0:
        fraction = pc.utf8_rpad(pc.struct_field(parts, "fraction"), 9, "0").cast(pa.int64()).to_numpy()
    return np.asarray(seconds * 10**9 + fraction, dtype=np.int64), possible


def days_since_1970(parts: Any, way: Way) -> tuple[Times, Mask]:
    """Days since 1970, the first of a month without a day; and whether there is such a day."""
    months = _months(parts, way.month)
    years = _years(parts, way.year)
    with_day = parts.type.get_field_index(way.day) >= 0
    day_of_month = integers(parts, way.day) if with_day else 1
    first = ((years - 1970) * 12 + months).astype("datetime64[M]")
    days = first.astype("datetime64[D]") + (day_of_month - 1)
    valid = (months >= 0) & (months < 12) & (days.astype("datetime64[M]") == first)
    valid &= (years >= YEARS[0]) & (years < YEARS[1])
    return days.astype(np.int64), valid


def _years(parts: Any, year: str) -> Times:
    """Of two digits, those from 1970 to 2069."""
    years = integers(parts, year)
    short = pc.equal(pc.utf8_length(pc.struct_field(parts, year)), 2).to_numpy()
    return np.where(short, years + np.where(years < 70, 2000, 1900), years)


def _months(parts: Any, month: str) -> Times:
    """From 0; -1 for a word that is no month."""
    if parts.type.get_field_index("word") < 0:
        return integers(parts, month) - 1
    known = pc.index_in(pc.utf8_lower(pc.struct_field(parts, "word")), value_set=_MONTHS)
    found = pc.fill_null(known, -1).to_numpy().astype(np.int64)
    return np.where(found < 0, -1, found % 12)


def why_impossible(row: Any, way: Way) -> str:
    """Of a single row that is no time."""
    if not 0 <= (number := int(_months(row, way.month)[0])) < 12:
        words = row.type.get_field_index("word") >= 0
        return "names no month" if words else f"has month {number + 1}, which does not exist"
    if not YEARS[0] <= _years(row, way.year)[0] < YEARS[1]:
        return f"is no time between {YEARS[0]} and {YEARS[1]}"
    return "is no time of day" if days_since_1970(row, way)[1].all() else "is no day of the calendar"
