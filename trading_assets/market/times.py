"""From the many ways a time is written to UTC."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NoReturn
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from trading_assets.market.files import RawBars
from trading_assets.market.report import IngestReport

Times = NDArray[np.int64]
"""Nanoseconds since 1970, UTC."""
Mask = NDArray[np.bool_]

DAY = 86_400 * 10**9
_YEARS = (1800, 2250)
"""Nanoseconds hold 1678 to 2262, and distances of 292 years: from the first year here to today is less."""
_EARLIEST, _LATEST = (np.datetime64(f"{year}-01-01", "ns").astype(np.int64) for year in _YEARS)
_UNITS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
_ISO_8601 = "Write ISO 8601 with a zone, for instance 2024-01-31T15:00:00Z."

_EPOCH = r"^\d{9,20}(\.0+)?$"
_HAS_CLOCK = r"(?i):\d\d|[AP]M$|\d[T ]\d{4}"
_ZONE = r"\s*(?P<name>Z|UTC|GMT)?(?:(?P<sign>[+-])(?P<hour>0\d|1[0-4])(?::?(?P<minute>[0-5]\d))?)?$"
_DATES = (
    r"(?P<year>\d{4})[/.-](?P<month>\d\d?)[/.-](?P<day>\d\d?)",
    r"(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)",
    r"(?P<day>\d\d?)\.(?P<month>\d\d?)\.(?P<year>\d{4})",
    r"(?P<either>\d\d?)[/-](?P<other>\d\d?)[/-](?P<year>\d{4})",
    r"(?P<word>[A-Za-z]{3,9}) (?P<day>\d\d?), (?P<year>\d{4})",
    r"(?P<day>\d\d?)[- ](?P<word>[A-Za-z]{3,9})[- ](?P<year>\d{4})",
)
"""`either` and `other` are day and month, or month and day; the whole file has to decide."""
_CLOCKS = (
    r"(?:[T ](?P<hour>\d\d?):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:\.(?P<fraction>\d{1,9}))?)?"
    r"(?: (?P<half>[AP]M))?)?",
    r"[T ](?P<hour>\d\d?)-(?P<half>[AP]M)",
    r"[T ](?P<hour>\d\d)(?P<minute>\d\d)(?P<second>\d\d)?",
)
_FORMS = tuple(f"(?i)^{date}{clock}$" for date in _DATES for clock in _CLOCKS)
_NAMES = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
    "november", "december",
)  # fmt: skip
_MONTHS = pa.array([*(name[:3] for name in _NAMES), *_NAMES])
_DIGITS = r"^(1[89]|2[0-2])\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])([01]\d|2[0-3])[0-5]\d([0-5]\d)?$"
"""`YYYYMMDDHHMM` or `YYYYMMDDHHMMSS`."""
_SAMPLE = 1_000
"""Rows by which the form of all is chosen."""


@dataclass(frozen=True)
class _Column:
    """A column of times as it was written, with what a message about it needs."""

    values: Any
    name: str
    rows: NDArray[np.int64]
    report: IngestReport

    def refuse(self, bad: Mask, kind: str, problem: str, remedy: str = _ISO_8601) -> NoReturn:
        """Reject the rows that are bad, showing the first one's time."""
        found = np.flatnonzero(bad)
        value = self.values[int(found[0])].cast(pa.string()).as_py()
        self.report.reject(kind, problem, remedy, rows=self.rows[found], column=self.name, value=f"'{value}'")

    def nanoseconds(self, numbers: NDArray[Any], factor: Any) -> Times:
        """`numbers * factor`; refuses what nanoseconds cannot hold."""
        size = numbers.astype(np.float64) * factor
        bad = ~((size >= _EARLIEST) & (size < _LATEST))
        if bad.any():
            self.refuse(bad, "not a time", f"is no time between {_YEARS[0]} and {_YEARS[1]}")
        if numbers.dtype.kind == "f" and (numbers != np.floor(numbers)).any():
            return np.asarray(np.round(size), dtype=np.int64)
        return np.asarray(numbers.astype(np.int64) * factor, dtype=np.int64)

    def only(self, chosen: Mask) -> _Column:
        return replace(self, values=self.values.filter(pa.array(chosen)), rows=self.rows[chosen])


def read_times(raw: RawBars, zone: str | None, report: IngestReport) -> Times:
    """The times of all rows in UTC.

    Parameters
    ----------
    raw : RawBars
    zone : str or None
        The user's zone for times of day without one; before it goes the layout's own.
    report : IngestReport
        Gets repairs; raises `BarsRejected` where a time is missing, ambiguous or has no zone.
    """
    values = raw.columns["timestamp"]
    if "clock" in raw.columns:
        values = pc.binary_join_element_wise(_trimmed(values), _trimmed(raw.columns["clock"]), " ")
    elif pa.types.is_string(values.type):
        values = _trimmed(values)
    kind, column = values.type, _Column(values, raw.header["timestamp"], raw.rows, report)
    if values.null_count:
        missing = raw.rows[values.is_null().to_numpy()]
        remedy = "Write the time or remove the row."
        report.reject("no time", "the time is missing", remedy, rows=missing, column=column.name)
    if pa.types.is_string(kind):
        return _from_text(column, raw.zone, zone)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _from_epochs(column, raw.zone, zone)
    if pa.types.is_date(kind):
        return column.nanoseconds(values.cast(pa.date32(), safe=False).cast(pa.int32()).to_numpy(), DAY)
    if pa.types.is_timestamp(kind):
        return _from_timestamps(column, raw.zone, zone)
    report.reject("not a time", f"holds {kind}", _ISO_8601, rows=raw.rows, column=column.name)


def _trimmed(column: Any) -> Any:
    """As text without blanks around it, null where nothing is left."""
    text = pc.utf8_trim_whitespace(column.cast(pa.string()))
    return pc.if_else(pc.equal(text, ""), None, text)


def _from_epochs(column: _Column, own_zone: str | None, zone: str | None) -> Times:
    """Seconds, milli-, micro- or nanoseconds, told apart row by row by the number of digits."""
    values = column.values
    epochs = np.asarray(values.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)
    sample = epochs[:: max(1, len(epochs) // _SAMPLE)]
    if any(_mostly(sample, 1800 * 10**more, 2251 * 10**more) for more in (8, 10)):
        # Floats of 12 digits would be written 2.0240131e+11.
        exact = values.cast(pa.decimal128(38, 4), safe=False) if pa.types.is_floating(values.type) else values
        digits = _without_point(exact)
        # As ms, 12 such digits lie in 1975 to 1977, where one epoch in 200 has a month, a day, an hour and a
        # minute; in a file of times written so, all have. As ms, 14 such digits lie beyond the year 2500.
        if pc.mean(pc.match_substring_regex(digits, _DIGITS)).as_py() > 0.5:
            wall = _wall_times(column, pc.replace_substring_regex(digits, r"^(\d{8})(\d+)$", r"\1 \2"))
            return _localised(wall, column, own_zone, zone)
    if _mostly(sample, 1800_01_01, 2250_12_31):
        return _from_text(replace(column, values=_without_point(values)), own_zone, zone)
    bad = ~((epochs >= 1e8) & (epochs < 1e20))
    if bad.any():
        column.refuse(bad, "not a time", "is not a time (an epoch has 9 digits or more)")
    digits = np.floor(np.log10(epochs)).astype(int) + 1
    factor = np.select([digits <= 11, digits <= 14, digits <= 17], [10**9, 10**6, 10**3], 1)
    times = column.nanoseconds(epochs, factor)
    if not pa.types.is_floating(values.type):  # floats lose the last digits of nanoseconds
        times = np.asarray(values.cast(pa.int64(), safe=False).to_numpy() * factor, dtype=np.int64)
    found = [unit for unit, size in _UNITS.items() if (factor == size).any()]
    column.report.repaired(
        "epoch", f"times are epochs in {' and '.join(found)}", column.rows if len(found) > 1 else ()
    )
    return times


def _mostly(numbers: NDArray[np.float64], low: float, high: float) -> bool:
    return bool(np.mean((numbers >= low) & (numbers <= high)) > 0.5)


def _without_point(numbers: Any) -> Any:
    """Whole numbers as the text of their digits."""
    return pc.replace_substring_regex(numbers.cast(pa.string()), r"\.0*$", "")


def _from_timestamps(column: _Column, own_zone: str | None, zone: str | None) -> Times:
    values, kind = column.values, column.values.type
    numbers = values.cast(pa.int64())
    # Messages show times without their zone, which a damaged file may have made unreadable.
    column = replace(column, values=numbers.cast(pa.timestamp(kind.unit)))
    times = column.nanoseconds(numbers.to_numpy(), _UNITS[kind.unit])
    if kind.tz is None:
        return _localised(times, column, own_zone, zone)
    if kind.tz == "UTC" or (times % DAY == 0).all():
        return times
    try:
        local = pc.local_timestamp(values).cast(pa.int64()).to_numpy()
    except pa.ArrowInvalid:
        everywhere = np.ones(len(times), dtype=bool)
        column.refuse(everywhere, "no zone", f"is a time of the zone '{kind.tz}', which is not known")
    wall = np.asarray(local * _UNITS[kind.unit], dtype=np.int64)
    return wall if _are_dates(wall, wall - times, column.report) else times


def _from_text(column: _Column, own_zone: str | None, zone: str | None) -> Times:
    text = column.values
    epochs = pc.match_substring_regex(text, _EPOCH).to_numpy()
    if epochs.mean() > 0.5:
        if not epochs.all():
            column.refuse(~epochs, "not a time", "is not a time while the others are epochs")
        numbers = pc.replace_substring_regex(text, r"\.0+$", "").cast(pa.decimal128(20))
        return _from_epochs(replace(column, values=numbers), own_zone, zone)
    suffix = pc.extract_regex(text, _ZONE)
    named, signed = (pc.not_equal(pc.struct_field(suffix, part), "") for part in ("name", "sign"))
    aware = pc.and_(pc.or_(named, signed), pc.match_substring_regex(text, _HAS_CLOCK))
    wall = _wall_times(column, pc.if_else(aware, pc.replace_substring_regex(text, _ZONE, ""), text))
    if not pc.any(aware).as_py():
        return _localised(wall, column, own_zone, zone)
    minutes = _integers(suffix, "hour") * 60 + _integers(suffix, "minute")
    minutes[pc.equal(pc.struct_field(suffix, "sign"), "-").to_numpy()] *= -1
    naive = ~aware.to_numpy()
    offset = np.where(naive, 0, minutes) * (60 * 10**9)
    changing = len(np.unique(offset[~naive])) > 1
    if naive.any():
        if zone is None and own_zone is None:
            remedy = "Write the zone in every row, or set market.time_zone."
            column.refuse(naive, "no zone", "has no time zone while other rows have one", remedy)
        wall[naive] = _to_utc(wall[naive], column.only(naive), own_zone, zone)
    elif _are_dates(wall, offset, column.report):
        return wall
    if changing or naive.any():
        column.report.repaired(
            "mixed time zones", "times of several zones converted to UTC", column.rows[offset != 0]
        )
    return np.asarray(wall - offset, dtype=np.int64)


def _wall_times(column: _Column, text: Any) -> Times:
    """Of texts without zone: all of one form, and read in the only way that fits all."""
    sample = text.slice(0, _SAMPLE)
    hits = {form: pc.sum(pc.match_substring_regex(sample, form)).as_py() for form in _FORMS}
    form = max(hits, key=lambda form: hits[form])
    parts = pc.extract_regex(text, form)
    strange = parts.is_null().to_numpy()
    if strange.all():
        column.refuse(strange, "not a time", "is not a time that is known")
    if strange.any():
        like = column.values[int(strange.argmin())].as_py()
        column.refuse(strange, "not a time", f"is not a time like the others, for instance '{like}'")
    clock, possible = _time_of_day(parts)
    ways = (("either", "other"), ("other", "either")) if "(?P<either>" in form else (("day", "month"),)
    readings = []
    for day, month in ways:
        days, valid = _days(parts, day, month)
        readings.append((days * DAY + clock, valid & possible))
    fitting = [times for times, valid in readings if valid.all()]
    if not fitting:
        bad, way = min(
            ((~valid, way) for (_, valid), way in zip(readings, ways, strict=True)),
            key=lambda reading: np.count_nonzero(reading[0]),
        )
        column.refuse(bad, "not a time", _why_impossible(parts.slice(int(bad.argmax()), 1), *way))
    if (differ := fitting[0] != fitting[-1]).any():
        problem = "can be day/month or month/day, and no row of the file decides it"
        column.refuse(differ, "ambiguous date", problem, "Write dates as YYYY-MM-DD.")
    return fitting[0]


def _integers(parts: Any, name: str) -> Times:
    """A group of the regular expression; 0 where it is empty or the expression has no such group."""
    if parts.type.get_field_index(name) < 0:
        return np.zeros(len(parts), dtype=np.int64)
    text = pc.struct_field(parts, name)
    return np.array(pc.if_else(pc.equal(text, ""), "0", text).cast(pa.int64()).to_numpy(), dtype=np.int64)


def _time_of_day(parts: Any) -> tuple[Times, Mask]:
    """In nanoseconds, and whether there is such a time."""
    hour, minute, second = (_integers(parts, name) for name in ("hour", "minute", "second"))
    possible = (hour < 24) & (minute < 60) & (second < 60)
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


def _days(parts: Any, day: str, month: str) -> tuple[Times, Mask]:
    """Days since 1970, and whether there is such a day."""
    months = _months(parts, month)
    years, day_of_month = _integers(parts, "year"), _integers(parts, day)
    first = ((years - 1970) * 12 + months).astype("datetime64[M]")
    days = first.astype("datetime64[D]") + (day_of_month - 1)
    valid = (months >= 0) & (months < 12) & (days.astype("datetime64[M]") == first)
    valid &= (years >= _YEARS[0]) & (years < _YEARS[1])
    return days.astype(np.int64), valid


def _months(parts: Any, month: str) -> Times:
    """From 0; -1 for a word that is no month."""
    if parts.type.get_field_index("word") < 0:
        return _integers(parts, month) - 1
    known = pc.index_in(pc.utf8_lower(pc.struct_field(parts, "word")), value_set=_MONTHS)
    found = pc.fill_null(known, -1).to_numpy().astype(np.int64)
    return np.where(found < 0, -1, found % 12)


def _why_impossible(row: Any, day: str, month: str) -> str:
    """Of a single row that is no time."""
    if not 0 <= (number := int(_months(row, month)[0])) < 12:
        words = row.type.get_field_index("word") >= 0
        return "names no month" if words else f"has month {number + 1}, which does not exist"
    if not _YEARS[0] <= _integers(row, "year")[0] < _YEARS[1]:
        return f"is no time between {_YEARS[0]} and {_YEARS[1]}"
    return "is no time of day" if _days(row, day, month)[1].all() else "is no day of the calendar"


def _localised(wall: Times, column: _Column, own_zone: str | None, zone: str | None) -> Times:
    """UTC of naive times: dates stay dates, a time of day needs a zone."""
    intraday = wall % DAY != 0
    if not intraday.any():
        return wall
    if zone is None and own_zone is None:
        column.refuse(
            intraday,
            "no zone",
            "has a time of day but no time zone",
            "Write the zone (2024-01-31T15:00:00Z), or set market.time_zone, for instance to UTC.",
        )
    return _to_utc(wall, column, own_zone, zone)


def _to_utc(wall: Times, column: _Column, own_zone: str | None, zone: str | None) -> Times:
    report, chosen = column.report, str(zone or own_zone)
    try:
        info = ZoneInfo(chosen)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        report.reject(
            "no zone", f"market.time_zone is '{chosen}', which is not known", "Use 'UTC' or 'Europe/Berlin'."
        )
    source = "set by market.time_zone" if zone else f"as {report.layout} writes them"
    report.repaired("time zone", f"times without a zone are taken as {chosen}, {source}")
    local = pd.DatetimeIndex(wall).tz_localize(info, ambiguous="NaT", nonexistent="NaT")
    bad = np.asarray(local.isna())
    if bad.any():
        if (told_apart := _by_order(wall, info)) is not None:
            message = "the hour that comes twice in autumn told apart by the order of the rows"
            report.repaired("summer time", message, column.rows[bad])
            return told_apart
        problem = f"does not exist or exists twice in {chosen} (summer time)"
        column.refuse(bad, "no such time", problem, "Write times in UTC.")
    return np.asarray(local.tz_convert("UTC").asi8, dtype=np.int64)


def _by_order(wall: Times, zone: ZoneInfo) -> Times | None:
    """UTC where the rows, rising or falling throughout, show both of the hours that autumn has twice."""
    for step in (1, -1):
        try:
            local = pd.DatetimeIndex(wall[::step]).tz_localize(zone, ambiguous="infer")
        except ValueError:
            continue
        times = np.asarray(local.tz_convert("UTC").asi8, dtype=np.int64)
        if (np.diff(times) >= 0).all():
            return times[::step]
    return None


def _are_dates(wall: Times, offset: Times, report: IngestReport) -> bool:
    """Midnights of a zone with summer time are dates; so are yfinance's in a file of one season."""
    changing = offset.min() != offset.max() or (report.layout == "yfinance" and bool(offset.any()))
    if not changing or (wall % DAY != 0).any():
        return False
    report.repaired("session dates", "midnights of a local zone taken as dates")
    return True
