"""Which moment of its bar a time is: the open, the last moment, the close, a session's date.

Files differ in it and few say so. What the times themselves show is taken and said; what can be two things is
refused or warned of with the setting that chooses (`market.stamp`, `market.time_zone`, `market.calendar`).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from trading_assets.config.settings import IngestPolicy
from trading_assets.market.draft import Draft
from trading_assets.market.intervals import WEEK, find_interval, months_of
from trading_assets.market.report import IngestReport, duration
from trading_assets.market.sessions import calendar_zone, first_and_last, usual_close
from trading_assets.market.time_column import DAY, MINUTE, Times

SECOND = 10**9
_FRIDAY, _SATURDAY = 4, 5
_DAYS = ("Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays")
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
    bars, by_end = _last_moments(bars, policy, report)
    bars, are_dates = _session_dates(bars, policy, report, by_end=by_end)
    if bars.zone and not are_dates and policy.time_zone not in {None, bars.zone}:
        message = (
            f"market.time_zone is {policy.time_zone}, but the times say their zone themselves: {bars.zone}"
        )
        report.warned("setting not used", message, column=_name(bars))
    interval = find_interval(bars, wanted, report)
    if interval == WEEK and not by_end:
        by_end = _weeks_are_stamped_by_their_end(bars, policy, report)
    elif months_of(interval) is not None and not by_end:
        by_end = _months_are_stamped_by_their_end(bars, policy, report)
    elif interval < DAY and policy.calendar is not None and len(bars) > 1:
        _compare_with_sessions(bars, interval, policy, report)
    if by_end and not (are_dates and interval == DAY):
        bars = bars.at(_from_ends(bars.times, interval))
    return bars, interval


def _last_moments(bars: Draft, policy: IngestPolicy, report: IngestReport) -> tuple[Draft, bool]:
    """Times such as 23:59:59.999 become the end that they stand for; whether the times are ends."""
    left = -bars.times % MINUTE
    settled = _but_the_last(left)
    if policy.stamp == "open" or not len(bars) or not ((settled > 0) & (settled <= SECOND)).all():
        if policy.stamp == "close":
            report.repaired("stamp", "times are the bars' ends, as market.stamp says")
        return bars, policy.stamp == "close"
    report.repaired(
        "stamp", "times are the last moments of bars: each begins an interval earlier", column=_name(bars)
    )
    shift = np.where(left <= SECOND, left, 0)
    return replace(bars, times=bars.times + shift, wall=bars.wall + shift), True


def _session_dates(
    bars: Draft, policy: IngestPolicy, report: IngestReport, *, by_end: bool
) -> tuple[Draft, bool]:
    """Daily bars at one local midnight become dates, and so do those at a session's close."""
    for wall, zone in _clocks(bars, policy):
        days = _but_the_last(wall)
        if len(days) and (days % DAY == 0).all() and (np.diff(days) >= DAY).all():
            dates = _with_the_session_under_way(wall)
            if (dates != bars.times).any() and zone:
                report.repaired("session dates", f"midnights of {zone} taken as dates", column=_name(bars))
            return bars.at(dates - DAY if by_end else dates), True
    if len(bars) < 3 or (np.diff(_but_the_last(bars.times)) < DAY - 60 * MINUTE).any():
        return bars, False
    if policy.calendar is not None and (dates := usual_close(bars.times, policy.calendar)) is not None:
        message = f"closes of {policy.calendar} taken as the dates of their sessions"
        report.repaired("session dates", message, column=_name(bars))
        return bars.at(dates), True
    if by_end:
        return bars.at(bars.wall - bars.wall % DAY), True
    if (bars.wall == bars.times).all() and policy.calendar is None:
        report.warned(
            "session dates",
            f"days begin at {_clock_text(bars.times)} UTC: if that is midnight somewhere, set market.time_zone "
            "to have the dates; if it is the close, set market.stamp to 'close'",
            column=_name(bars),
        )
    return bars, False


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


def _weeks_are_stamped_by_their_end(bars: Draft, policy: IngestPolicy, report: IngestReport) -> bool:
    days = _but_the_last(bars.times) // DAY
    day = int(np.bincount((days + 3) % 7).argmax())  # 1970 began on a Thursday
    if policy.stamp is not None or day < _FRIDAY:
        return False
    if day == _FRIDAY:
        message = "weeks are stamped by their last session: each begins on Monday"
        report.repaired("stamp", message, column=_name(bars))
        return True
    report.reject(
        "stamp",
        f"holds weeks stamped on {_DAYS[day]}, which can be their first day or their last",
        "Set market.stamp to 'open' or to 'close'.",
        column=_name(bars),
    )


def _months_are_stamped_by_their_end(bars: Draft, policy: IngestPolicy, report: IngestReport) -> bool:
    days = _but_the_last(bars.times)
    if policy.stamp is not None or (_month(days) == _month(days + _EDGE_DAYS * DAY)).any():
        return False
    message = "months are stamped by their last day: each begins on its first day"
    report.repaired("stamp", message, column=_name(bars))
    return True


def _from_ends(ends: Times, interval: int) -> Times:
    """When the bars open that end at `ends`, which for weeks and months may be their last day."""
    months = months_of(interval)
    if months is not None:
        last = _month(ends - 1) - (months - 1)
        return np.asarray(last.astype("datetime64[ns]").astype(np.int64))
    if interval == WEEK:
        days = (ends - 1) // DAY
        weekday = (days + 3) % 7
        late = np.median(weekday) >= _FRIDAY
        return np.asarray((days - weekday) * DAY if late else ends - WEEK)
    opens = ends - interval
    # The last bar of a session may be a short one: it begins where the bar before it ends.
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
    by_end = np.mean((first == opens + interval) & (last == closes))
    by_open = np.mean((first == opens) & (last < closes))
    if policy.stamp != "close" and by_end > 0.9:
        report.warned(
            "stamp",
            f"sessions of {policy.calendar} have their first bar {duration(interval)} after the open and their "
            "last at the close: if bars are stamped by their end, set market.stamp to 'close'",
            column=_name(bars),
        )
    elif policy.stamp == "close" and by_open > 0.9:
        report.warned(
            "stamp",
            f"sessions of {policy.calendar} have their first bar at the open: are bars stamped by their end, "
            "as market.stamp says?",
            column=_name(bars),
        )


def _but_the_last(times: Times) -> Times:
    """Without the last of several, which may be of a bar that is still under way."""
    return times[:-1] if len(times) > 2 else times


def _month(times: Times) -> Times:
    return times.astype("datetime64[ns]").astype("datetime64[M]")


def _clock_text(times: Times) -> str:
    clocks = np.unique(_but_the_last(times) % DAY)
    return " or ".join(str(pd.Timestamp(int(clock)).time())[:5] for clock in clocks[:2])


def _name(bars: Draft) -> str:
    return bars.header["timestamp"]
