"""From the many ways a time is written to UTC."""

from __future__ import annotations

import re
from typing import Any
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
Rows = NDArray[np.int64]

DAY = 86_400 * 10**9
_ZONE = re.compile(r"\s*(?P<name>Z|UTC|GMT)?(?P<offset>[+-]\d{2}:?\d{2})?$")
_FORMATS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"\d{4}-\d\d?-\d\d?[T ]\d\d-[AP]M", ("%Y-%m-%d %I-%p",)),
    (r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?)?", ("ISO8601",)),
    (r"\d{8}", ("%Y%m%d",)),
    (r"\d{8}[T ]\d{6}", ("%Y%m%d %H%M%S",)),
    (r"\d{8}[T ]\d\d:\d\d", ("%Y%m%d %H:%M",)),
    (r"\d{8}[T ]\d\d:\d\d:\d\d", ("%Y%m%d %H:%M:%S",)),
    (r"\d{4}[/.]\d\d?[/.]\d\d?", ("%Y/%m/%d",)),
    (r"\d{4}[/.]\d\d?[/.]\d\d? \d\d?:\d\d", ("%Y/%m/%d %H:%M",)),
    (r"\d{4}[/.]\d\d?[/.]\d\d? \d\d?:\d\d:\d\d", ("%Y/%m/%d %H:%M:%S",)),
    (r"\d{4}[/.]\d\d?[/.]\d\d? \d\d?:\d\d:\d\d\.\d{1,9}", ("%Y/%m/%d %H:%M:%S.%f",)),
    *(
        (rf"\d\d?[/-]\d\d?[/-]\d{{4}}{pattern}", (f"%d/%m/%Y{clock}", f"%m/%d/%Y{clock}"))
        for pattern, clock in (
            ("", ""),
            (r" \d\d?:\d\d", " %H:%M"),
            (r" \d\d?:\d\d:\d\d", " %H:%M:%S"),
            (r" \d\d?:\d\d:\d\d\.\d{1,9}", " %H:%M:%S.%f"),
            (r" \d\d?:\d\d [AP]M", " %I:%M %p"),
            (r" \d\d?:\d\d:\d\d [AP]M", " %I:%M:%S %p"),
        )
    ),
    *(
        (rf"\d\d?\.\d\d?\.\d{{4}}{pattern}", (f"%d/%m/%Y{clock}",))
        for pattern, clock in (
            ("", ""),
            (r" \d\d?:\d\d", " %H:%M"),
            (r" \d\d?:\d\d:\d\d", " %H:%M:%S"),
            (r" \d\d?:\d\d:\d\d\.\d{1,9}", " %H:%M:%S.%f"),
        )
    ),
    (r"[A-Za-z]{3} \d\d?, \d{4}", ("%b %d, %Y",)),
    (r"\d\d?-[A-Za-z]{3}-\d{4}", ("%d-%b-%Y",)),
)
"""What a time looks like, and how it may be read; with two readings the whole file has to decide."""


def read_times(raw: RawBars, rows: Rows, zone: str | None, report: IngestReport) -> Times:
    """The times of all rows in UTC.

    Parameters
    ----------
    raw : RawBars
    rows : ndarray of int
        Row numbers in the file, for messages.
    zone : str or None
        The user's zone for times of day without one; before it goes the layout's own.
    report : IngestReport
        Gets repairs; raises `BarsRejected` where a time is missing, ambiguous or has no zone.
    """
    column = raw.columns["timestamp"]
    name = raw.header["timestamp"]
    if "clock" in raw.columns:
        parts = [
            pc.utf8_trim_whitespace(raw.columns[part].cast(pa.string())) for part in ("timestamp", "clock")
        ]
        column = pc.binary_join_element_wise(*parts, " ")
    if column.null_count:
        missing = np.flatnonzero(column.is_null().to_numpy())
        report.reject(
            "no time",
            "the time is missing",
            "Write the time or remove the row.",
            rows=rows[missing],
            column=name,
        )
    kind = column.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _from_epochs(column.cast(pa.float64()).to_numpy(), column, rows, name, zone, report)
    if pa.types.is_timestamp(kind):
        times = column.cast(pa.timestamp("ns", kind.tz), safe=False)
        _refuse_overflow(column, times, rows, name, report)
        nanoseconds = np.asarray(times.cast(pa.int64()).to_numpy(), dtype=np.int64)
        if kind.tz is not None:
            return _session_dates(nanoseconds, kind.tz, report)
        return _localise(nanoseconds, raw.zone, zone, rows, name, report)
    if pa.types.is_date(kind):
        days = np.asarray(column.cast(pa.date32()).cast(pa.int32()).to_numpy(), dtype=np.int64)
        return np.multiply(days, DAY)
    text = pd.Series(pc.utf8_trim_whitespace(column.cast(pa.string())).to_pandas(), dtype="object")
    return _from_text(text, raw.zone, zone, rows, name, report)


def _from_epochs(
    epochs: NDArray[np.float64], column: Any, rows: Rows, name: str, zone: str | None, report: IngestReport
) -> Times:
    """Seconds, milli-, micro- or nanoseconds, told apart row by row by the number of digits."""
    whole = np.isfinite(epochs) & (epochs > 0) & (epochs < 1e20)
    if (whole & (epochs >= 19_000_101) & (epochs <= 21_001_231)).all():
        text = pd.Series(epochs.astype(np.int64).astype(str), dtype="object")
        return _from_text(text, None, zone, rows, name, report)
    good = whole & (epochs >= 1e8)
    if not good.all():
        bad = np.flatnonzero(~good)
        report.reject(
            "not a time",
            "is not a time (an epoch has 9 digits or more)",
            "Write ISO 8601 with a zone, or an epoch.",
            rows=rows[bad],
            column=name,
            value=column[int(bad[0])].as_py(),
        )
    digits = np.floor(np.log10(epochs)).astype(int) + 1
    scale = np.select([digits <= 11, digits <= 14, digits <= 17], [10**9, 10**6, 10**3], 1)
    units = {10**9: "s", 10**6: "ms", 10**3: "us", 1: "ns"}
    found = [units[int(factor)] for factor in np.unique(scale)[::-1]]
    report.repaired("epoch", f"times are epochs in {' and '.join(found)}", () if len(found) == 1 else rows)
    exact = column.cast(pa.int64(), safe=False).to_numpy() if not pa.types.is_floating(column.type) else None
    if exact is not None:
        return np.asarray(exact * scale, dtype=np.int64)
    return np.round(epochs * scale).astype(np.int64)


def _from_text(
    text: pd.Series[Any],
    own_zone: str | None,
    zone: str | None,
    rows: Rows,
    name: str,
    report: IngestReport,
) -> Times:
    numbers = text.str.fullmatch(r"\d{9,20}(\.0+)?").to_numpy(dtype=bool)
    if numbers.all():
        column = pa.chunked_array([pa.array(text.str.partition(".")[0].astype("int64"))])
        return _from_epochs(column.to_numpy().astype(float), column, rows, name, zone, report)
    suffix = text.str.extract(_ZONE)
    with_clock = text.str.contains(r":\d\d|[AP]M$|\d[T ]\d{4}", case=False).to_numpy(dtype=bool)
    aware = suffix.notna().any(axis=1).to_numpy() & with_clock
    stem = text.where(~aware, text.str.replace(_ZONE, "", regex=True)).str.strip()
    wall = _parse(stem, text, rows, name, report)
    if not aware.any():
        return _localise(wall, own_zone, zone, rows, name, report, dates=not with_clock.any())
    offsets = suffix["offset"].where(aware).fillna("+00:00").str.replace(":", "")
    seconds = (offsets.str[1:3].astype(int) * 3_600 + offsets.str[3:5].astype(int) * 60).to_numpy()
    seconds = np.where(offsets.str[0] == "-", -seconds, seconds)
    if not aware.all():
        naive = np.flatnonzero(~aware)
        if zone is None and own_zone is None:
            report.reject(
                "no zone",
                "has no time zone while other rows have one",
                "Write the zone in every row, or set market.time_zone.",
                rows=rows[naive],
                column=name,
                value=f"'{text.iloc[int(naive[0])]}'",
            )
        local = _localise(wall[naive], own_zone, zone, rows[naive], name, report)
        wall[naive] = local
    if len(np.unique(seconds[aware])) > 1 or not aware.all():
        if (wall[aware] % DAY == 0).all() and aware.all():
            report.repaired("session dates", "midnights of a zone with summer time taken as dates")
            return wall
        report.repaired(
            "mixed time zones", "times of several zones converted to UTC", rows[aware & (seconds != 0)]
        )
    return np.asarray(wall - np.where(aware, seconds, 0) * 10**9, dtype=np.int64)


def _parse(stem: pd.Series[Any], text: pd.Series[Any], rows: Rows, name: str, report: IngestReport) -> Times:
    """Wall-clock times of texts without zone; all of one form, and read in the only way that fits all."""
    first = stem.iloc[0]
    forms = [(pattern, ways) for pattern, ways in _FORMATS if re.fullmatch(pattern, first, re.IGNORECASE)]
    bad = np.zeros(len(stem), dtype=bool)
    for pattern, ways in forms:
        if ways == ("ISO8601",):
            alike = stem.str.fullmatch(pattern).to_numpy(dtype=bool)
        else:
            alike = stem.str.fullmatch(pattern, case=False).to_numpy(dtype=bool)
        plain = stem.where(pd.Series(alike), None)
        if ways != ("ISO8601",) and "/" in ways[0]:
            plain = plain.str.replace(r"[.-](?=\d+[/.-])|(?<=\d\d)[.-](?=\d{4})", "/", regex=True)
        elif ways != ("ISO8601",):
            plain = plain.str.replace("T", " ", n=1) if "%b" not in ways[0] else plain
        readings = [pd.to_datetime(plain, format=way, errors="coerce") for way in ways]
        fitting = [reading for reading in readings if reading.notna().all()]
        if len(fitting) > 1 and not fitting[0].equals(fitting[1]):
            report.reject(
                "ambiguous date",
                "can be day/month or month/day, and no row of the file decides it",
                "Write dates as YYYY-MM-DD.",
                rows=rows[0],
                column=name,
                value=f"'{text.iloc[0]}'",
            )
        if fitting:
            times = fitting[0].dt.as_unit("ns") if _holdable(fitting[0]) else None
            if times is not None:
                return np.array(times.astype("int64"), dtype=np.int64)
            bad |= ~_in_range(fitting[0])
        else:
            bad |= np.asarray(min(readings, key=lambda reading: reading.isna().sum()).isna())
    worst = np.flatnonzero(bad) if bad.any() else np.array([0])
    expected = "" if bad.any() and forms else " that is known"
    report.reject(
        "not a time",
        f"is not a time{expected}" + (f" like the first, '{first}'" if bad.any() and not bad[0] else ""),
        "Write ISO 8601 with a zone, for instance 2024-01-31T15:00:00Z.",
        rows=rows[worst],
        column=name,
        value=f"'{text.iloc[int(worst[0])]}'",
    )


def _in_range(times: pd.Series[Any]) -> NDArray[np.bool_]:
    years = times.dt.year.to_numpy()
    return np.asarray((years >= 1700) & (years <= 2250))


def _holdable(times: pd.Series[Any]) -> bool:
    return bool(_in_range(times).all())


def _localise(
    wall: Times,
    own_zone: str | None,
    zone: str | None,
    rows: Rows,
    name: str,
    report: IngestReport,
    *,
    dates: bool | None = None,
) -> Times:
    """UTC of naive times: dates stay dates, a time of day needs a zone."""
    if dates or (dates is None and (wall % DAY == 0).all()):
        return wall
    chosen = zone or own_zone
    if chosen is None:
        report.reject(
            "no zone",
            "has a time of day but no time zone",
            "Write the zone (2024-01-31T15:00:00Z), or set market.time_zone, for instance to UTC.",
            rows=rows[0],
            column=name,
            value=str(pd.Timestamp(int(wall[0]))),
        )
    source = "set by market.time_zone" if zone else f"as {report.layout} writes them"
    report.repaired("time zone", f"times without a zone are taken as {chosen}, {source}")
    try:
        info = ZoneInfo(chosen)
    except (ZoneInfoNotFoundError, ValueError):
        report.reject(
            "no zone", f"market.time_zone is '{chosen}', which is not known", "Use 'UTC' or 'Europe/Berlin'."
        )
    index = pd.DatetimeIndex(wall)
    local = index.tz_localize(info, ambiguous="NaT", nonexistent="NaT")
    if local.hasnans:
        bad = np.flatnonzero(local.isna())
        report.reject(
            "no such time",
            f"does not exist or exists twice in {chosen} (summer time)",
            "Write times in UTC.",
            rows=rows[bad],
            column=name,
            value=str(index[int(bad[0])]),
        )
    return np.asarray(local.tz_convert("UTC").asi8, dtype=np.int64)


def _session_dates(utc: Times, zone: str, report: IngestReport) -> Times:
    """Midnights of a zone with summer time are dates; anything else stays the instant it is."""
    if (utc % DAY == 0).all():
        return utc
    wall = pd.DatetimeIndex(utc, tz="UTC").tz_convert(zone).tz_localize(None).asi8
    if (wall % DAY == 0).all() and len(np.unique(wall - utc)) > 1:
        report.repaired("session dates", "midnights of a zone with summer time taken as dates")
        return np.asarray(wall, dtype=np.int64)
    return utc


def _refuse_overflow(column: Any, times: Any, rows: Rows, name: str, report: IngestReport) -> None:
    """Times that nanoseconds cannot hold wrap round when converted, and do not come back the same."""
    back = times.cast(column.type, safe=False)
    lost = pc.not_equal(back, column).to_numpy()
    if lost.any() and column.type.unit != "ns":
        bad = np.flatnonzero(lost)
        report.reject(
            "not a time",
            "is no time that can be held",
            "Write ISO 8601 with a zone, or an epoch.",
            rows=rows[bad],
            column=name,
            value=column[int(bad[0])].cast(pa.string()).as_py(),
        )
