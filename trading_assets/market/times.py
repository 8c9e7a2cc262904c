"""From the many ways a time is written to UTC; which moment of its bar it is, `stamps` decides."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from trading_assets.market.date_forms import (
    FORMS,
    SAMPLE,
    Way,
    days_since_1970,
    integers,
    time_of_day,
    ways,
    why_impossible,
)
from trading_assets.market.epochs import WALL_CLOCKS, calendar_digits, read_epochs, refuse_rounded
from trading_assets.market.raw import RawBars
from trading_assets.market.report import IngestReport
from trading_assets.market.time_column import (
    DAY,
    ISO_8601,
    MINUTE,
    UNITS,
    Mask,
    Stamps,
    TimeColumn,
    Times,
)

_EPOCH = r"^(\d{9,20}(\.0+)?|\d{5}(\.\d+)?)$"
"""A Unix epoch, or the days that a spreadsheet counts."""
_HAS_CLOCK = r"(?i):\d\d|[AP]M$|\d[T ]\d{4}"
_ZONE = r"\s*(?P<name>Z|UTC|GMT)?(?:(?P<sign>[+-])(?P<hour>0\d|1[0-4])(?::?(?P<minute>[0-5]\d))?)?$"


def read_times(
    raw: RawBars, zone: str | None, report: IngestReport, *, day_first: bool | None = None
) -> Stamps:
    """The times of all rows.

    Parameters
    ----------
    raw : RawBars
    zone : str or None
        The user's zone for times of day without one; before it goes the layout's own.
    report : IngestReport
        Gets repairs; raises `BarsRejected` where a time is missing, ambiguous or has no zone.
    day_first : bool, optional
        Whether 03/04/2024 is in April or in March; without it the rows have to decide.
    """
    values = raw.columns["timestamp"]
    if "clock" in raw.columns:
        values = pc.binary_join_element_wise(_trimmed(values), _clocks(raw.columns["clock"]), " ")
    elif pa.types.is_string(values.type):
        values = _trimmed(values)
    column = TimeColumn(values, raw.header["timestamp"], raw.rows, report, zone, raw.zone, day_first)
    if values.null_count:
        missing = raw.rows[values.is_null().to_numpy()]
        remedy = "Write the time or remove the row."
        report.reject("no time", "the time is missing", remedy, rows=missing, column=column.name)
    stamps = _read(column)
    refuse_rounded(column, stamps.utc)
    return stamps


def _read(column: TimeColumn) -> Stamps:
    values, kind, report = column.values, column.values.type, column.report
    if pa.types.is_string(kind):
        return _from_text(column)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _from_numbers(column)
    column.day_first_not_used("times are no text")
    if pa.types.is_date(kind):
        days = values.cast(pa.date32(), safe=False).cast(pa.int32()).to_numpy()
        return _as_they_are(column.nanoseconds(days, DAY))
    if pa.types.is_timestamp(kind):
        return _from_timestamps(column)
    report.reject("not a time", f"holds {kind}", ISO_8601, rows=column.rows, column=column.name)


def _as_they_are(times: Times) -> Stamps:
    return Stamps(times, times)


def _trimmed(column: Any) -> Any:
    """As text without blanks around it, null where nothing is left."""
    text = pc.utf8_trim_whitespace(column.cast(pa.string()))
    return pc.if_else(pc.equal(text, ""), None, text)


def _clocks(column: Any) -> Any:
    """Times of day as text, zeros before those that numbers have lost: 900 is 0900, 93000 is 093000."""
    text = _trimmed(column)
    if not pc.all(pc.match_substring_regex(text, r"^\d{1,6}$"), min_count=0).as_py():
        return text
    longest = pc.max(pc.utf8_length(text)).as_py()
    return pc.utf8_lpad(text, 6 if longest is not None and longest > 4 else 4, "0")


def _from_numbers(column: TimeColumn) -> Stamps:
    if (digits := calendar_digits(column.values)) is not None:
        return _localised(_wall_times(column, digits), column)
    column.day_first_not_used("times are numbers")
    times, origin, wall_clock = read_epochs(column)
    if not wall_clock:
        return Stamps(times, times, "UTC", origin)
    if column.report.layout in WALL_CLOCKS and column.zone is None and (times % DAY != 0).any():
        column.report.reject(
            "no zone",
            f"holds epochs as {column.report.layout}'s Python package writes them: of the broker's clock, "
            "which may show UTC or the time of another zone",
            "Set market.time_zone to the broker's zone, often Europe/Athens, or to UTC.",
            column=column.name,
        )
    return replace(_localised(times, column), origin=origin)


def _from_timestamps(column: TimeColumn) -> Stamps:
    values, kind = column.values, column.values.type
    numbers = values.cast(pa.int64())
    # Messages show times without their zone, which a damaged file may have made unreadable.
    column = replace(column, values=numbers.cast(pa.timestamp(kind.unit)))
    times = column.nanoseconds(numbers.to_numpy(), UNITS[kind.unit])
    if kind.tz is None:
        return _localised(times, column)
    if kind.tz == "UTC":
        return Stamps(times, times, "UTC")
    try:
        local = pc.local_timestamp(values).cast(pa.int64()).to_numpy()
    except pa.ArrowInvalid:
        everywhere = np.ones(len(times), dtype=bool)
        column.refuse(everywhere, "no zone", f"is a time of the zone '{kind.tz}', which is not known")
    return Stamps(times, np.asarray(local * UNITS[kind.unit], dtype=np.int64), kind.tz)


def _from_text(column: TimeColumn) -> Stamps:
    text = column.values
    epochs = pc.match_substring_regex(text, _EPOCH).to_numpy()
    if epochs.mean() > 0.5:
        if not epochs.all():
            column.refuse(~epochs, "not a time", "is not a time while the others are epochs")
        whole = pc.replace_substring_regex(text, r"\.0+$", "")
        exact = not pc.any(pc.match_substring(whole, ".")).as_py()
        return _from_numbers(replace(column, values=whole.cast(pa.decimal128(20) if exact else pa.float64())))
    suffix = pc.extract_regex(text, _ZONE)
    named, signed = (pc.not_equal(pc.struct_field(suffix, part), "") for part in ("name", "sign"))
    aware = pc.and_(pc.or_(named, signed), pc.match_substring_regex(text, _HAS_CLOCK))
    wall = _wall_times(column, pc.if_else(aware, pc.replace_substring_regex(text, _ZONE, ""), text))
    if not pc.any(aware).as_py():
        return _localised(wall, column)
    minutes = integers(suffix, "hour") * 60 + integers(suffix, "minute")
    minutes[pc.equal(pc.struct_field(suffix, "sign"), "-").to_numpy()] *= -1
    naive = ~aware.to_numpy()
    offset = np.where(naive, 0, minutes) * (60 * 10**9)
    utc = np.asarray(wall - offset, dtype=np.int64)
    if naive.any():
        if column.zone is None and column.own_zone is None:
            remedy = "Write the zone in every row, or set market.time_zone."
            column.refuse(naive, "no zone", "has no time zone while other rows have one", remedy)
        utc[naive] = _to_utc(wall[naive], column.only(naive))
    if naive.any() or (len(np.unique(offset)) > 1 and (wall % DAY != 0).any()):
        column.report.repaired(
            "mixed time zones", "times of several zones converted to UTC", column.rows[utc != wall]
        )
    written = "several zones" if len(np.unique(offset)) > 1 else _zone_name(int(offset[0]))
    return Stamps(utc, wall, "" if naive.any() else written)


def _zone_name(offset: int) -> str:
    minutes = offset // (60 * 10**9)
    return (
        "UTC"
        if not minutes
        else f"UTC{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
    )


def _wall_times(column: TimeColumn, text: Any) -> Times:
    """Of texts without zone: all of one form, and read in the only way that fits all."""
    sample = text.slice(0, SAMPLE)
    hits = {form: pc.sum(pc.match_substring_regex(sample, form)).as_py() for form in FORMS}
    form = max(hits, key=lambda form: hits[form])
    parts = pc.extract_regex(text, form)
    strange = parts.is_null().to_numpy()
    if strange.all():
        column.refuse(strange, "not a time", "is not a time that is known")
    if strange.any():
        like = column.values[int(strange.argmin())].as_py()
        column.refuse(strange, "not a time", f"is not a time like the others, for instance '{like}'")
    clock, possible = time_of_day(parts)
    readings = []
    for way in ways(form):
        days, valid = days_since_1970(parts, way)
        readings.append((way, days * DAY + clock, valid & possible))
    fitting = [(way, times) for way, times, valid in readings if valid.all()]
    if not fitting:
        bad, way = min(
            ((~valid, way) for way, _, valid in readings), key=lambda reading: np.count_nonzero(reading[0])
        )
        column.refuse(bad, "not a time", why_impossible(parts.slice(int(bad.argmax()), 1), way))
    return _the_one_in_order(column, _as_set(column, fitting))


def _as_set(column: TimeColumn, fitting: list[tuple[Way, Times]]) -> list[tuple[Way, Times]]:
    """The readings that are in keeping with `market.day_first`."""
    agreeing = [(way, times) for way, times in fitting if column.day_first in {None, way.day_first}]
    if agreeing:
        return agreeing
    names = " or ".join(way.name for way, _ in fitting)
    if all(way.day_first is None for way, _ in fitting):
        column.day_first_not_used(f"dates are {names or 'written in an order of their own'}")
        return fitting
    column.refuse(
        np.ones(len(column.values), dtype=bool),
        "not a time",
        f"does not fit market.day_first ({str(column.day_first).lower()}): dates can only be {names}",
        "Correct the setting or the dates.",
    )


def _the_one_in_order(column: TimeColumn, fitting: list[tuple[Way, Times]]) -> Times:
    """The only reading; of several different ones that under which days follow upon each other."""
    (way, times), *others = fitting
    differ = np.zeros(len(times), dtype=bool)
    for _, other in others:
        differ |= other != times
    if not differ.any():
        return times
    ordered = [(way, times) for way, times in fitting if _days_follow(times)]
    if len(ordered) != 1 or any(_months_follow(times) for _, times in fitting):
        names = " or ".join(way.name for way, _ in fitting)
        column.refuse(
            differ,
            "ambiguous date",
            f"can be {names}, and neither a row nor their order decides it",
            "Set market.day_first to true or false, or write dates as YYYY-MM-DD.",
        )
    [(way, times)] = ordered
    column.report.repaired(
        "order of dates", f"dates are read as {way.name}, the order in which the days follow upon each other"
    )
    return times


def _days_follow(times: Times) -> bool:
    """Whether times rise or fall throughout, most days by a step that weekends and holidays allow."""
    steps = np.diff(times)
    days = np.diff(times // DAY)
    days = days[days != 0]
    if len(days) < 2 or not ((steps >= 0).all() or (steps <= 0).all()):
        return False
    return bool(np.median(np.abs(days)) <= 4)


def _months_follow(times: Times) -> bool:
    """Whether these are first days of successive months, or else of January the other way round."""
    months = times.astype("datetime64[ns]").astype("datetime64[M]")
    first = months.astype("datetime64[ns]").astype(np.int64) == times
    return bool(first.all() and (np.abs(np.diff(months.astype(np.int64))) == 1).all())


def _localised(wall: Times, column: TimeColumn) -> Stamps:
    """Naive times: dates stay dates, a time of day needs a zone."""
    intraday = wall % DAY != 0
    if _only_the_last_has_a_clock(wall, intraday) or _ends_of_days(wall):
        return _as_they_are(wall)
    if column.zone is None and column.own_zone is None:
        column.refuse(
            intraday,
            "no zone",
            "has a time of day but no time zone",
            "Write the zone (2024-01-31T15:00:00Z), or set market.time_zone, for instance to UTC.",
        )
    return Stamps(_to_utc(wall, column), wall)


def _only_the_last_has_a_clock(wall: Times, intraday: Mask) -> bool:
    """Whether all times are dates, but perhaps the last one, of a session that is still under way."""
    n = np.count_nonzero(intraday)
    return n == 0 or (n == 1 and len(wall) > 2 and bool(intraday[wall.argmax()]))


def _ends_of_days(wall: Times) -> bool:
    """Whether all times, but perhaps the last one, are in the last minute of days, for instance 23:59:59."""
    settled = np.sort(wall)[:-1] if len(wall) > 2 else wall
    return len(settled) > 0 and bool((settled % DAY >= DAY - MINUTE).all())


def _to_utc(wall: Times, column: TimeColumn) -> Times:
    report, chosen = column.report, str(column.zone or column.own_zone)
    try:
        info = ZoneInfo(chosen)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        report.reject(
            "no zone", f"market.time_zone is '{chosen}', which is not known", "Use 'UTC' or 'Europe/Berlin'."
        )
    source = "set by market.time_zone" if column.zone else f"as {report.layout} writes them"
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
