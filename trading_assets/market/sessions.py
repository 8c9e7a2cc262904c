"""When a market is open, so that its nights, weekends and holidays are no gaps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trading_assets.errors import SettingsError
from trading_assets.market.policies import check_calendar
from trading_assets.market.times import DAY, Times

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
    import exchange_calendars

    check_calendar(name)
    first, last = (pd.Timestamp(int(time)).normalize() for time in (times[0], times[-1]))
    try:
        return exchange_calendars.get_calendar(
            name, start=first - pd.Timedelta(days=10), end=last + pd.Timedelta(days=10)
        )
    except ValueError as error:
        raise SettingsError(
            f"market.calendar '{name}' does not cover {first.date()} to {last.date()}: {error}"
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
