"""When a market is open, so that its nights, weekends and holidays are no gaps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trading_assets.errors import SettingsError
from trading_assets.market.time_column import DAY, Times

Nanoseconds = NDArray[np.int64]


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

    try:
        return exchange_calendars.get_calendar(name, **bounds)
    except exchange_calendars.errors.InvalidCalendarName:
        known = exchange_calendars.get_calendar_names(include_aliases=False)
        raise SettingsError(
            f"market.calendar is '{name}'; exchange-calendars has no such calendar. "
            f"There are, for instance, XNYS, 24/5, 24/7 ({len(known)} in all)."
        ) from None


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
