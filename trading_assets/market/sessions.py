"""When a market is open, so that its nights, weekends and holidays are no gaps and no bars of a year."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trading_assets.errors import SettingsError
from trading_assets.market.bars import bar_seconds
from trading_assets.market.policies import check_calendar
from trading_assets.market.time_column import DAY, Times

Nanoseconds = NDArray[np.int64]
WEEK, YEAR = 7 * DAY, 365.25 * DAY
SELDOM, LEAST_CLOSED = 0.25, 0.1
"""A time of the week with bars in a smaller share of the weeks is one at which the market is closed, or bars
are missing; a market that closes does so for a larger share of the week."""


def closed_between(times: Times, interval: int, calendar: str | None) -> Nanoseconds:
    """Of every bar but the first, the time before it in which a bar could have been and was not.

    Parameters
    ----------
    times : ndarray of int64
        Open times of the bars, increasing, nanoseconds since 1970.
    interval : int
        Of the bars, nanoseconds.
    calendar : str or None
        Name in exchange-calendars; None counts all time. Daily bars count in sessions, each as a day;
        shorter ones in open hours; for longer ones a calendar makes no difference.

    Raises
    ------
    SettingsError
        When there is no such calendar, or it does not reach as far as the bars.
    """
    if calendar is None or interval > DAY:
        missing = np.diff(times) - interval
    else:
        sessions = _sessions(calendar, times)
        if interval == DAY:
            # The session of a date is the day's. An open may lie on the day before in UTC: its session is the
            # first to close after it.
            dates = (times % DAY == 0).all()
            ends = _utc(sessions.sessions) + DAY if dates else _utc(sessions.closes)
            missing = (np.diff(np.searchsorted(ends, times, side="right")) - 1) * DAY
        else:
            before, after = times[:-1] + interval, times[1:]
            opens, closes = _open_spans(sessions)
            missing = _open_time(after, opens, closes) - _open_time(before, opens, closes)
    return np.asarray(np.maximum(missing, 0), dtype=np.int64)


def bars_per_year(times: Times, calendar: str | None = None) -> float:
    """Bars that a year has in this market, to annualize by.

    Where the market never closes, as many as a year has room for, whatever gaps there are. Otherwise those of
    the bars' own span where it is a year or more; of a shorter one, as many as a session usually has by the
    sessions of the year before, or without a calendar as many as a week usually has.

    Parameters
    ----------
    times : ndarray of int64 of shape (n_bars,)
        Open times of all bars there are, increasing, nanoseconds since 1970.
    calendar : str, optional
        Name in exchange-calendars.

    Returns
    -------
    float
        NaN of fewer than two bars.

    Raises
    ------
    SettingsError
        See `closed_between`.
    """
    if len(times) < 2:
        return float("nan")
    interval, span = round(bar_seconds(times / 1e9) * 1e9), int(times[-1] - times[0])
    own = (len(times) - 1) / (span / YEAR)
    if WEEK % interval:
        return own
    places = WEEK // interval
    week, place = np.divmod(np.rint((times - times[0]) / interval).astype(np.int64), places)
    seldom = np.bincount(place, minlength=places) < SELDOM * len(np.unique(week))
    if seldom.mean() < LEAST_CLOSED:
        return YEAR / interval
    if span >= YEAR:
        return own
    if calendar is not None:
        sessions = _sessions(calendar, np.array([times[-1] - round(YEAR), times[-1]]))
        closes = _utc(sessions.closes)
        in_a_year = np.count_nonzero((closes > times[-1] - YEAR) & (closes <= times[-1]))
        return float(_usual_number(np.searchsorted(closes, times, side="right")) * in_a_year)
    whole = week < (span + interval) // WEEK
    return _usual_number(week[whole]) * YEAR / WEEK if whole.any() else own


def _usual_number(groups: NDArray[np.int64]) -> float:
    """The median size of groups, of which every member is given."""
    return float(np.median(np.unique(groups, return_counts=True)[1]))


def _sessions(name: str, times: Times) -> Any:
    first, last = (pd.Timestamp(int(time)).normalize() for time in (times[0], times[-1]))
    margin = pd.Timedelta(days=10)
    try:
        return _calendar(name, start=first - margin, end=last + margin)
    except ValueError as error:
        raise SettingsError(
            f"market.calendar '{name}' does not cover {first.date()} to {last.date()}: {error}"
        ) from None


def _calendar(name: str, **bounds: pd.Timestamp) -> Any:
    import exchange_calendars

    check_calendar(name)
    return exchange_calendars.get_calendar(name, **bounds)


def _open_spans(sessions: Any) -> tuple[Times, Times]:
    """When the market opens and closes, breaks for lunch included."""
    has_break = sessions.break_starts.notna()
    opens = [_utc(sessions.opens), _utc(sessions.break_ends[has_break])]
    closes = [_utc(sessions.closes), _utc(sessions.break_starts[has_break])]
    if sessions.name == "24/5":
        # Currencies stop on Friday at five in New York, others at midnight UTC: neither evening is a gap.
        five = (sessions.sessions + pd.Timedelta(hours=17)).tz_localize("America/New_York")
        closes[0] = np.where(sessions.sessions.weekday == 4, _utc(five.tz_convert("UTC")), closes[0])
    return np.sort(np.concatenate(opens)), np.sort(np.concatenate(closes))


def _utc(column: Any) -> Times:
    return np.asarray(pd.DatetimeIndex(column).as_unit("ns").asi8, dtype=np.int64)


def _open_time(at: Times, opens: Times, closes: Times) -> Nanoseconds:
    """Open hours from the first span until `at`."""
    before = np.concatenate([[0], np.cumsum(closes - opens)])
    index = np.searchsorted(opens, at, side="right")
    last = np.maximum(index - 1, 0)
    inside = np.clip(at - opens[last], 0, closes[last] - opens[last])
    return np.asarray(np.where(index == 0, 0, before[last] + inside), dtype=np.int64)


def closed_weekdays(calendar: str, times: Times) -> set[int]:
    """Days of the week without a session between the first and the last of the times; Monday is 0."""
    sessions = _sessions(calendar, np.array([times.min(), times.max()])).sessions
    return set(range(7)) - set(sessions.weekday)


def calendar_zone(calendar: str | None) -> str | None:
    """The zone of a calendar's exchange, for instance America/New_York."""
    return None if calendar is None else str(_calendar(calendar).tz)


def usual_close(times: Times, calendar: str) -> Times | None:
    """The dates of the sessions at whose close `times` lie, None where one of them (but the last) does not.

    The usual close counts as one on days that end early too, as some files have it.
    """
    sessions = _sessions(calendar, times)
    closes = pd.DatetimeIndex(sessions.closes)
    local = pd.DatetimeIndex(times, tz="UTC").tz_convert(sessions.tz)
    usual = pd.Series(closes.tz_convert(sessions.tz).time).mode()[0]
    at_close = np.isin(times, _utc(closes)) | (local.time == usual)
    if not at_close[:-1].all():
        return None
    return _utc(local.tz_localize(None).normalize())


def at_opens(times: Times, calendar: str) -> bool:
    """Whether all times, but perhaps the last one, are opens of sessions."""
    return bool(np.isin(times[:-1], _utc(_sessions(calendar, times).opens)).all())


def first_and_last(times: Times, calendar: str) -> tuple[Times, Times, Times, Times]:
    """Of every session that has bars: its open and close, and its first and last time.

    A time at the close belongs to the session that ends then.
    """
    sessions = _sessions(calendar, times)
    opens, closes = _utc(sessions.opens), _utc(sessions.closes)
    session = np.searchsorted(closes, times, side="left")
    session = np.where(times >= opens[np.minimum(session, len(opens) - 1)], session, -1)
    inside = session >= 0
    which, first, counts = np.unique(session[inside], return_index=True, return_counts=True)
    known = times[inside]
    return opens[which], closes[which], known[first], known[first + counts - 1]
