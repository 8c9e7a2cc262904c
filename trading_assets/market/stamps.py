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
from trading_assets.market.columns import SAYS_CLOSE, SAYS_OPEN, normal
from trading_assets.market.draft import Draft
from trading_assets.market.intervals import HOUR, WEEK, find_interval, months_of
from trading_assets.market.report import IngestReport, duration
from trading_assets.market.sessions import at_opens, calendar_zone, first_and_last, usual_close
from trading_assets.market.time_column import DAY, MINUTE, Times

SECOND = 10**9
_FRIDAY, _SATURDAY, _SUNDAY = 4, 5, 6
_WEEKEND = {5: "Saturdays", 6: "Sundays"}
_SOME = 0.25
"""Sessions with a bar at their very close: more than chance, also where many minutes have no trade."""
_EDGE_DAYS = 4
"""Weekends and holidays keep the first or the last session of a month within so many days of its edge."""

_FEW = 100
"""Times that show at little cost that others need not be looked at."""


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
    by_end = exact or _is_by_end(bars, policy, report)
    bars, days = _session_dates(bars, policy, report, by_end=by_end)
    if bars.zone and days is None and policy.time_zone not in {None, bars.zone}:
        message = (
            f"market.time_zone is {policy.time_zone}, but the times say their zone themselves: {bars.zone}"
        )
        report.warned("setting not used", message, column=_name(bars))
    interval = find_interval(bars, wanted, report, by_end=by_end)
    if interval == WEEK or months_of(interval) is not None:
        if days is None:
            _refuse_days_of_another_zone(bars, interval, policy, report)
        if by_end or _stamped_by_their_last_day(bars, interval, policy, report):
            bars = bars.at(_from_last_days(bars.times - exact * DAY, interval))
    elif by_end and days == "midnights":
        if exact or _hold_saturdays(bars.times):
            bars = bars.at(bars.times - interval)  # midnight ends the day before
        else:
            message = "market.stamp is close, but days without any Saturday are session dates"
            report.warned("setting not used", message, column=_name(bars))
    elif interval < DAY:
        if policy.calendar is not None and not exact and len(bars) > 1:
            _compare_with_sessions(bars, interval, policy, report, by_end=by_end)
        if by_end:
            bars = bars.at(_from_ends(bars.times, interval))
    return bars, interval


def _last_moments(bars: Draft, policy: IngestPolicy, report: IngestReport) -> tuple[Draft, bool]:
    """Times such as 23:59:59.999 become the end that they stand for; whether they were such."""
    for full, unit in ((MINUTE, SECOND), (SECOND, SECOND // 1000), (DAY, MINUTE)):
        first = -bars.wall[:1] % full  # tells most files from these at once
        left = -bars.wall % full if 0 < first.sum() <= unit else first
        settled = _but_the_last(left)
        if policy.stamp == "open" or not len(bars) or not ((settled > 0) & (settled <= unit)).all():
            continue
        message = "times are the last moments of bars: each begins an interval earlier"
        report.repaired("stamp", message, column=_name(bars))
        if left[-1] > unit:  # a day that is under way ends at midnight, too
            left[-1] = -bars.wall[-1] % DAY if _are_midnights(bars.wall[:-1] + left[:-1]) else 0
        return replace(bars, times=bars.times + left, wall=bars.wall + left), True
    return bars, False


def _is_by_end(bars: Draft, policy: IngestPolicy, report: IngestReport) -> bool:
    """Whether times are the bars' ends by the user's word, or else by the name of their column."""
    name = normal(_name(bars))
    says = "close" if name in SAYS_CLOSE else "open" if name in SAYS_OPEN else None
    if policy.stamp is not None and says not in {None, policy.stamp}:
        message = (
            f"times are taken as market.stamp says ({policy.stamp}), though '{_name(bars)}' is the {says}"
        )
        report.warned("stamp", message, column=_name(bars))
    elif policy.stamp == "close":
        report.repaired("stamp", "times are the bars' ends, as market.stamp says")
    elif says == "close":
        report.repaired("stamp", f"'{_name(bars)}' is the end of each bar", column=_name(bars))
    return (policy.stamp or says) == "close"


def _session_dates(
    bars: Draft, policy: IngestPolicy, report: IngestReport, *, by_end: bool
) -> tuple[Draft, Literal["midnights", "closes"] | None]:
    """Days at one local midnight, or at a session's close, become dates; which of them they were."""
    for clock, zone in _clocks(bars, policy):
        if not np.isin(_but_the_last(clock)[:_FEW] % DAY, (0, HOUR)).all():
            continue  # minutes, of which there may be millions
        wall = _with_first_moments(clock, bars.times)
        days = _but_the_last(wall)
        if len(days) and (days % DAY == 0).all() and (np.diff(days) >= DAY).all():
            dates = _with_the_session_under_way(wall)
            if (dates != bars.times).any() and zone:
                report.repaired("session dates", f"midnights of {zone} taken as dates", column=_name(bars))
            return bars.at(dates), "midnights"
    _refuse_sessions_under_way(bars, report)
    if len(bars) < 3 or (np.diff(_but_the_last(bars.times)) < DAY - 60 * MINUTE).any():
        return bars, None
    if policy.calendar is not None and (closes := usual_close(bars.times, policy.calendar)) is not None:
        message = f"closes of {policy.calendar} taken as the dates of their sessions"
        report.repaired("session dates", message, column=_name(bars))
        return bars.at(closes), "closes"
    wall, zone = _clocks(bars, policy)[-1]
    if by_end:
        return bars.at(wall - wall % DAY), "closes"
    if policy.calendar is None or not at_opens(bars.times, policy.calendar):
        report.warned(
            "session dates",
            f"days are stamped at {_clock_text(wall)} in {zone or 'UTC'}: if that is midnight somewhere, set "
            "market.time_zone to have the dates; if it is the close, set market.stamp to 'close'",
            column=_name(bars),
        )
    return bars, None


def _refuse_sessions_under_way(bars: Draft, report: IngestReport) -> None:
    """Of days that are dates but for a few in the midst of the file, which show sessions half done."""
    odd = bars.wall % DAY != 0
    if not odd[0] and 0 < np.count_nonzero(odd) <= len(bars) // 10:
        bars.refuse_times(
            odd,
            report,
            "session under way",
            "has a time of day while most times are dates: it shows a session that was not over",
            "Bring the whole session, or remove the row.",
        )


def _refuse_days_of_another_zone(
    bars: Draft, interval: int, policy: IngestPolicy, report: IngestReport
) -> None:
    """Weeks and months at a clock of UTC late in the day: midnights east of Greenwich, or ends."""
    days = _but_the_last(bars.times)
    late = days % DAY >= DAY // 2
    eve = _weekday(days) == _SUNDAY if interval == WEEK else _month(days) != _month(days + DAY)
    zone_is_known = (bars.wall != bars.times).any() or len(_clocks(bars, policy)) > 1
    if policy.stamp is None and not zone_is_known and (late & eve).all():
        report.reject(
            "session dates",
            f"holds {'weeks' if interval == WEEK else 'months'} stamped at {_clock_text(bars.times)} UTC on "
            "the day before they begin: midnights of a zone east of Greenwich, or the last moments of others",
            "Set market.time_zone to that zone, or market.stamp to 'close'.",
            column=_name(bars),
        )


def _are_midnights(wall: Times) -> bool:
    return bool((wall % DAY == 0).all())


def _hold_saturdays(days: Times) -> bool:
    return bool((_weekday(days) == _SATURDAY).any())


def _clocks(bars: Draft, policy: IngestPolicy) -> list[tuple[Times, str]]:
    """What clocks showed at the times: the written zone's, else UTC and those that the settings name."""
    if (bars.wall != bars.times).any():
        return [(bars.wall, "a local zone")]
    clocks = [(bars.times, "")]
    for zone in (policy.time_zone, calendar_zone(policy.calendar)):
        if zone is not None:
            local = pd.DatetimeIndex(bars.times, tz="UTC").tz_convert(zone).tz_localize(None)
            clocks.append((np.asarray(local.as_unit("ns").asi8), str(zone)))
    return clocks


def _with_first_moments(wall: Times, times: Times) -> Times:
    """Days whose first moment is one o'clock, as summer time begins at midnight, at midnight."""
    jump = np.diff(wall - times, prepend=(wall - times)[:1])
    return np.where((wall % DAY == HOUR) & (jump == HOUR), wall - HOUR, wall)


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
        if (days == _month(days).astype("datetime64[ns]").astype(np.int64)).all():
            days = days - DAY  # midnight ends the month before
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


def _compare_with_sessions(
    bars: Draft, interval: int, policy: IngestPolicy, report: IngestReport, *, by_end: bool
) -> None:
    """Warn where the calendar's sessions say that the times are not what they are taken for."""
    opens, closes, first, last = first_and_last(bars.times, str(policy.calendar))
    if not len(opens):
        return
    late = not (first < opens + interval).any() and np.mean(last == closes) > _SOME
    early = not (last == closes).any() and np.mean(first == opens) > _SOME
    if not by_end and late:
        report.warned(
            "stamp",
            f"sessions of {policy.calendar} have their first bar {duration(interval)} after the open and "
            "their last at the close: if bars are stamped by their end, set market.stamp to 'close'",
            column=_name(bars),
        )
    elif by_end and early:
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
