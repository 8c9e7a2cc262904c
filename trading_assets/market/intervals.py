"""Rows in order of time, one a bar, all bars of one length."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trading_assets.errors import MarketError
from trading_assets.market.draft import Draft, time_text
from trading_assets.market.report import IngestReport, duration
from trading_assets.market.time_column import DAY, Mask, Times

HOUR, WEEK = DAY // 24, 7 * DAY
_MONTHS = {1: (28, 33), 3: (89, 94), 12: (364, 367)}
"""Days between the first sessions of one, three and twelve months."""
_MONDAY = 4 * DAY
"""1970 began on a Thursday."""
_NEARLY = 0.8
_EDGE, _STRETCH = 10, 40
"""Bars of another length, at an end of the file or within it, that are no accident of missing bars."""


def length_of(interval: str | pd.Timedelta) -> pd.Timedelta:
    """An interval such as '5min', '1h' or '1d'; raises `MarketError` for what is none."""
    if isinstance(interval, str):
        interval = re.sub(r"(?<=\d)d$", "D", interval)  # as pandas wants days
    try:
        length = pd.Timedelta(interval)
    except (ValueError, OverflowError):
        length = pd.Timedelta(0)
    if length > pd.Timedelta(0):  # as NaT is not
        return length
    raise MarketError(f"'{interval}' is no interval of bars: use for instance '5min', '1h' or '1D'.")


def in_order(bars: Draft, report: IngestReport) -> Draft:
    """Sorted by time, exact duplicates left out; one time with two sets of values is refused."""
    step = np.diff(bars.times)
    if (step < 0).any():
        if (step <= 0).all():
            report.repaired("unsorted", "the rows were in descending order and have been turned round")
        else:
            report.repaired("unsorted", "rows before an earlier row, put in order", bars.rows[1:][step < 0])
        bars = bars.take(np.argsort(bars.times, kind="stable"))
        step = np.diff(bars.times)
    again = np.concatenate([[False], step == 0])
    if not again.any():
        return bars
    same = again.copy()
    for column in bars.values.values():
        same[1:] &= column[1:] == column[:-1]
    if (other := again & ~same).any():
        before = bars.rows[int(other.argmax()) - 1]
        problem = f"is also the time of row {before}, with other values"
        bars.refuse_times(
            other, report, "same time, different values", problem, "Keep the right one of the rows."
        )
    report.repaired("exact duplicate", "rows that repeat another exactly left out", bars.rows[same])
    return bars.take(~same)


def find_interval(
    bars: Draft, wanted: pd.Timedelta | None, report: IngestReport, *, by_end: bool = False
) -> int:
    """The commonest distance of bars in nanoseconds, which must be the one that was asked for.

    Of times that are ends the longest that is nearly as common: the last bars of sessions may be short.
    """
    if len(bars) < 2:
        return int(wanted.value) if wanted is not None else DAY
    steps = np.diff(bars.times)
    found = int(steps[0])
    if 2 * np.count_nonzero(steps == found) <= len(steps):
        distances, counts = np.unique(steps, return_counts=True)
        found = int(distances[counts >= (_NEARLY if by_end else 1) * counts.max()][-1 if by_end else 0])
    if wanted is not None and found != wanted.value:
        report.reject(
            "interval",
            f"holds bars of {duration(found)}, not of {duration(wanted.value)}",
            "Bring the right file, or leave the interval to be found.",
        )
    if found < 10**9:
        short = np.concatenate([[False], steps == found])
        bars.refuse_times(
            short,
            report,
            "interval",
            f"comes {found / 1e9:g} s after the bar before it, as most do; bars are never that short",
            "Write times as ISO 8601 with a zone, or as an epoch with all of its digits.",
        )
    return found


def one_interval(bars: Draft, interval: int, report: IngestReport) -> Draft:
    """Refuses bars that begin within another or are of another length.

    Only a last row within the bar before it, of a session that is still under way, takes that bar's place, if
    its high, low and volume contain the bar's, and is left out otherwise.
    """
    if (np.diff(bars.times) == interval).all():
        return bars
    inside = np.concatenate([[False], begins_within(bars.times, interval)])
    if inside.any() and inside.argmax() == len(bars) - 1:
        return _with_the_last_row_settled(bars, report)
    if inside.any():
        before = int(inside.argmax()) - 1
        short = inside[1:-1] & (np.diff(bars.times)[1:] > interval)
        remedy = "Keep bars of one interval in the file."
        if np.count_nonzero(short) > 1 and np.count_nonzero(short) >= np.count_nonzero(inside) - 1:
            remedy = (
                "If times are the bars' ends and the last bar of a session is short, set market.stamp to "
                "'close'; else keep bars of one interval in the file."
            )
        bars.refuse_times(
            inside,
            report,
            "interval",
            f"begins before the bar of {duration(interval)} in row {bars.rows[before]} has ended "
            f"({time_text(bars.times[before])})",
            remedy,
        )
    _refuse_another_interval(bars, interval, report)
    odd = np.flatnonzero((bars.times - bars.times[0]) % interval != 0)
    if len(odd) and interval <= DAY:
        report.warned("off the grid", f"times that are no multiple of {duration(interval)}", bars.rows[odd])
    return bars


def bar_ends(times: Times, interval: int) -> Times:
    """When the bars that begin at `times` end: after the interval, or so many months of the calendar."""
    months = months_of(interval)
    if months is None:
        return times + interval
    first = times.astype("datetime64[ns]").astype("datetime64[M]")
    following, after = (
        (first + ahead).astype("datetime64[ns]").astype(np.int64) for ahead in (months, months + 1)
    )
    ends = np.minimum(following + (times - first.astype("datetime64[ns]").astype(np.int64)), after)
    return np.asarray(ends, dtype=np.int64)


def months_of(interval: int) -> int | None:
    """1, 3 or 12 for an interval that is as long as so many months, else None."""
    days = interval / DAY
    return next((months for months, (low, high) in _MONTHS.items() if low <= days <= high), None)


def begins_within(times: Times, interval: int) -> Mask:
    """Of every row but the first, whether it begins before the row before it has ended.

    Weeks and months are those of the calendar, as their bars may be stamped by their first or last session;
    days are an hour shorter when summer time begins.
    """
    if interval == WEEK:
        weekday = np.bincount((times - _MONDAY) // DAY % 7, minlength=7).argmax()
        begin = weekday if weekday >= 5 else 0  # weeks that are stamped on weekends begin there
        period = (times - _MONDAY - begin * DAY) // WEEK
    elif (months := months_of(interval)) is not None:
        month = times.astype("datetime64[ns]").astype("datetime64[M]").astype(np.int64)
        period = (month - month[0]) // months
    else:
        allowed = interval - HOUR if interval >= DAY else interval
        return np.asarray(np.diff(times) < allowed)
    return np.asarray(np.diff(period) == 0)


def _with_the_last_row_settled(bars: Draft, report: IngestReport) -> Draft:
    names = ("high", "low", "volume")
    (high, low, volume), (high_0, low_0, volume_0) = (
        [bars.values[name][place] for name in names] for place in (-1, -2)
    )
    keep = np.arange(len(bars) - 1)
    within = f"lies within the bar in row {bars.rows[-2]}"
    if high >= high_0 and low <= low_0 and volume >= volume_0:
        message = f"the last row {within} and contains it: it takes that bar's place"
        report.repaired("session under way", message, bars.rows[-1:])
        keep[-1] += 1
        return bars.take(keep).at(bars.times[:-1])
    message = f"the last row {within} and does not contain it: it is left out"
    report.repaired("session under way", message, bars.rows[-1:])
    return bars.take(keep)


def _refuse_another_interval(bars: Draft, interval: int, report: IngestReport) -> None:
    """Long stretches without a single distance of the interval, most of whose distances are a longer one."""
    steps = np.diff(bars.times)
    if months_of(interval) is not None or 2 * len(steps) < 3 * _EDGE:
        return
    as_long = steps == interval
    if interval >= DAY:
        as_long |= np.abs(steps - interval) <= HOUR
    edges = np.concatenate([[-1], np.flatnonzero(as_long), [len(steps)]])
    at_edge = np.zeros(len(edges) - 1, dtype=bool)
    at_edge[[0, -1]] = True
    long = np.diff(edges) > np.where(at_edge, _EDGE, _STRETCH)
    for first, stop in zip(edges[:-1][long] + 1, edges[1:][long], strict=True):
        at_an_end = first == 0 or stop == len(steps)
        distances, counts = np.unique(steps[first:stop], return_counts=True)
        other, count = int(distances[counts.argmax()]), counts.max()
        if count >= (0.75 if at_an_end else 0.6) * (stop - first):
            begins = np.zeros(len(bars), dtype=bool)
            begins[stop if first == 0 else first + 1] = True
            here, there = (interval, other) if first == 0 else (other, interval)
            bars.refuse_times(
                begins,
                report,
                "interval",
                f"is where bars of {duration(here)} begin, after bars of {duration(there)}",
                "Make a file of each interval.",
            )


def refuse_future(bars: Draft, now: int, report: IngestReport) -> None:
    late = bars.times > now
    if late.any():
        bars.refuse_times(
            late,
            report,
            "future time",
            "lies in the future",
            "Correct the time, its zone, or the year from which numbers count.",
        )


def without_unfinished_bar(bars: Draft, interval: int, now: int, report: IngestReport) -> Draft:
    """Without a last bar that is still open at `now`."""
    ends: NDArray[np.int64] = bar_ends(bars.times, interval)
    closed = int(np.searchsorted(ends, now, side="right"))
    if closed == len(bars):
        return bars
    if closed == 0:
        report.reject(
            "empty",
            f"holds no bar that has closed: the first one ends at {time_text(ends[0])}",
            "Read the file again when a bar has closed.",
        )
    report.repaired("unfinished bar", "the last bar is still open and was left out", bars.rows[closed:])
    return bars.take(np.arange(closed))
