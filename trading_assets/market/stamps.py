"""Which moment of its bar a time is: the open, the last moment, the close, a session's date.

Files differ in it and few say so. What the times themselves show is taken and said; what can be two things is
refused or warned of with the market setting that chooses (`stamp`, `time_zone`, `calendar`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import pandas as pd

from trading_assets.config.settings import IngestPolicy
from trading_assets.market.draft import Draft
from trading_assets.market.intervals import WEEK, find_interval, months_of
from trading_assets.market.report import IngestReport, duration
from trading_assets.market.sessions import calendar_zone, first_and_last, usual_close
from trading_assets.market.time_column import DAY, MINUTE, Times

SECOND = 10**9
_FRIDAY = 4
_WEEKEND = {5: "Saturdays", 6: "Sundays"}
_EDGE_DAYS = 4
"""Weekends and holidays keep the first or the last session of a month within so many days of its edge."""


def open_times(
    bars: Draft, wanted: pd.Timedelta | None, policy: IngestPolicy, report: IngestReport
) -> tuple[Draft, int]:
    """The bars by when they open, in order of time, and their interval in nanoseconds.

    Parameters
    ----------
    bars : Draft
        In order of time, with the times as they are written.
    wanted : Timedelta or None
        The interval that was asked for.
    policy : IngestPolicy
    report : IngestReport
        Gets what was decided; raises `BarsRejected` where two readings are possible.
    """
    bars, exact = _last_moments(bars, policy, report)
    by_end = exact or policy.stamp == "close"
    bars, days = _session_dates(bars, policy, report, by_end=by_end)
    if bars.zone and days is None and policy.time_zone not in {None, bars.zone}:
        message = (
            f"market.time_zone is {policy.time_zone}, but the times say their zone themselves: {bars.zone}"
        )
        report.warned("setting not used", message, column=_name(bars))
    interval = find_interval(bars, wanted, report)
    if by_end and days == "midnights" and (exact or interval == DAY):
        bars = bars.at(bars.times - DAY)  # midnight ends the day before
    if interval == WEEK or months_of(interval) is not None:
        if by_end or _stamped_by_their_last_day(bars, interval, policy, report):
            bars = bars.at(_from_last_days(bars.times, interval))
    elif interval < DAY:
        if policy.calendar is not None and not exact and len(bars) > 1:
            _compare_with_sessions(bars, interval, policy, report)
        if by_end:
            bars = bars.at(_from_ends(bars.times, interval))
    return bars, interval


def _last_moments(bars: Draft, policy: IngestPolicy, report: IngestReport) -> tuple[Draft, bool]:
    """Times such as 23:59:59.999 become the end that they stand for; whether they were such."""
    first = -bars.times[:1] % MINUTE  # tells most files from these at once
    left = -bars.times % MINUTE if 0 < first.sum() <= SECOND else first
    settled = _but_the_last(left)
    if policy.stamp == "open" or not len(bars) or not ((settled > 0) & (settled <= SECOND)).all():
        if policy.stamp == "close":
            report.repaired("stamp", "times are the bars' ends, as market.stamp says")
        return bars, False
    report.repaired(
        "stamp", "times are the last moments of bars: each begins an interval earlier", column=_name(bars)
    )
    shift = np.where(left <= SECOND, left, 0)
    return replace(bars, times=bars.times + shift, wall=bars.wall + shift), True


def _session_dates(
    bars: Draft, policy: IngestPolicy, report: IngestReport, *, by_end: bool
) -> tuple[Draft, Literal["midnights", "closes"] | None]:
    """Days at one local midnight, or at a session's close, become dates; which of them they were."""
    for wall, zone in _clocks(bars, policy):
        days = _but_the_last(wall)
        if len(days) and (days % DAY == 0).all() and (np.diff(days) >= DAY).all():
            dates = _with_the_session_under_way(wall)
            if (dates != bars.times).any() and zone:
                report.repaired("session dates", f"midnights of {zone} taken as dates", column=_name(bars))
            return bars.at(dates), "midnights"
    if len(bars) < 3 or (np.diff(_but_the_last(bars.times)) < DAY - 60 * MINUTE).any():
        return bars, None
    if policy.calendar is not None and (closes := usual_close(bars.times, policy.calendar)) is not None:
        message = f"closes of {policy.calendar} taken as the dates of their sessions"
        report.repaired("session dates", message, column=_name(bars))
        return bars.at(closes), "closes"
    if by_end:
        return bars.at(bars.wall - bars.wall % DAY), "closes"
    if (bars.wall == bars.times).all() and policy.calendar is None:
        report.warned(
            "session dates",
            f"days begin at {_clock_text(bars.times)} UTC: if that is midnight somewhere, set "
            "market.time_zone to have the dates; if it is the close, set market.stamp to 'close'",
            column=_name(bars),
        )
    return bars, None


def _clocks(bars: Draft, policy: IngestPolicy) -> list[tuple[Times, str]]:
    """What clocks showed at the times: the written zone's, else those that the settings name."""
    if (bars.wall != bars.times).any():
        return [(bars.wall, "a local zone")]
    clocks = [(bars.times, "")]
    for zone in (policy.time_zone, calendar_zone(policy.calendar)):
        if zone is not None:
            local = pd.DatetimeIndex(bars.times, tz="UTC").tz_convert(zone).tz_localize(None)
            clocks.append((np.asarray(local.as_unit("ns").asi8), str(zone)))
    return clocks


def _with_the_session_under_way(wall: Times) -> Times:
    """A last time with a clock is that of its day, unless the day has a bar already."""
    dates = wall.copy()
    day = wall[-1] // DAY * DAY
    if len(wall) < 2 or day > wall[-2]:
        dates[-1] = day
    return dates


def _stamped_by_their_last_day(
    bars: Draft, interval: int, policy: IngestPolicy, report: IngestReport
) -> bool:
    """Whether weeks or months show by their dates that these are their last days."""
    days = _but_the_last(bars.times)
    if policy.stamp is not None:
        return False
    if interval != WEEK:
        by_last_day = bool((_month(days) != _month(days + _EDGE_DAYS * DAY)).all())
        message = "months are stamped by their last day: each begins on its first day"
    else:
        weekday = int(np.bincount(_weekday(days)).argmax())
        if weekday > _FRIDAY:
            report.reject(
                "stamp",
                f"holds weeks stamped on {_WEEKEND[weekday]}, which can be their first day or their last",
                "Set market.stamp to 'open' or to 'close'.",
                column=_name(bars),
            )
        by_last_day = weekday == _FRIDAY
        message = "weeks are stamped by their last session: each begins on Monday"
    if by_last_day:
        report.repaired("stamp", message, column=_name(bars))
    return by_last_day


def _from_last_days(days: Times, interval: int) -> Times:
    """First days of the weeks or months that have these last days."""
    months = months_of(interval)
    if months is not None:
        first = _month(days) - (months - 1)
        return np.asarray(first.astype("datetime64[ns]").astype(np.int64))
    weekday = _weekday(days)
    if np.median(weekday) >= _FRIDAY:
        return np.asarray(days - days % DAY - weekday * DAY)
    return np.asarray(days + DAY - WEEK)


def _from_ends(ends: Times, interval: int) -> Times:
    """When the bars open that end at `ends`; a short one, the last of a session, opens where another ends."""
    opens = ends - interval
    step = np.diff(ends)
    last = np.append(step[1:] > interval, True)
    short = np.flatnonzero((step < interval) & last) + 1
    opens[short] = ends[short - 1]
    return opens


def _compare_with_sessions(bars: Draft, interval: int, policy: IngestPolicy, report: IngestReport) -> None:
    """Warn where the calendar's sessions say that the times are not what they are taken for."""
    opens, closes, first, last = first_and_last(bars.times, str(policy.calendar))
    if not len(opens):
        return
    late = np.mean((first == opens + interval) & (last == closes))
    early = np.mean((first == opens) & (last < closes))
    if policy.stamp != "close" and late > 0.9:
        report.warned(
            "stamp",
            f"sessions of {policy.calendar} have their first bar {duration(interval)} after the open and "
            "their last at the close: if bars are stamped by their end, set market.stamp to 'close'",
            column=_name(bars),
        )
    elif policy.stamp == "close" and early > 0.9:
        report.warned(
            "stamp",
            f"sessions of {policy.calendar} have their first bar at the open: are bars stamped by their end, "
            "as market.stamp says?",
            column=_name(bars),
        )


def _but_the_last(times: Times) -> Times:
    """Without the last of several, which may be of a bar that is still under way."""
    return times[:-1] if len(times) > 2 else times


def _weekday(times: Times) -> Times:
    """0 on Mondays; 1970 began on a Thursday."""
    return np.asarray((times // DAY + 3) % 7)


def _month(times: Times) -> Times:
    return times.astype("datetime64[ns]").astype("datetime64[M]")


def _clock_text(times: Times) -> str:
    clocks = np.unique(_but_the_last(times) % DAY)
    return " or ".join(str(pd.Timestamp(int(clock)).time())[:5] for clock in clocks[:2])


def _name(bars: Draft) -> str:
    return bars.header["timestamp"]
