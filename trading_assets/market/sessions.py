"""When a market is open, so that its nights, weekends and holidays are no gaps."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trading_assets.errors import SettingsError
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
        Name in exchange-calendars; None counts all time. Bars of a day or longer count in sessions,
        each as one interval; shorter ones in open hours.

    Raises
    ------
    SettingsError
        When there is no such calendar, or it does not reach as far as the bars.
    """
    distance = np.asarray(np.diff(times) - interval, dtype=np.int64)
    if calendar is None:
        missing = distance
    else:
        opens, closes = _sessions(calendar, times)
        if interval >= DAY:
            index = np.searchsorted(opens // DAY, times // DAY)
            missing = (np.diff(index) - interval // DAY) * DAY
        else:
            after, before = times[1:], times[:-1] + interval
            missing = _open_time(after, opens, closes) - _open_time(before, opens, closes)
    return np.asarray(np.maximum(missing, 0), dtype=np.int64)


def _sessions(name: str, times: Times) -> tuple[Times, Times]:
    import exchange_calendars

    first, last = (pd.Timestamp(int(time)).normalize() for time in (times[0], times[-1]))
    try:
        calendar = exchange_calendars.get_calendar(
            name, start=first - pd.Timedelta(days=10), end=last + pd.Timedelta(days=10)
        )
    except exchange_calendars.errors.InvalidCalendarName:
        known = exchange_calendars.get_calendar_names(include_aliases=False)
        raise SettingsError(
            f"market.calendar is '{name}'; exchange-calendars has no such calendar. "
            f"There are, for instance, XNYS, 24/5, 24/7 ({len(known)} in all)."
        ) from None
    except ValueError as error:
        raise SettingsError(
            f"market.calendar '{name}' does not cover {first.date()} to {last.date()}: {error}"
        ) from None
    opens, closes = (
        pd.DatetimeIndex(column).as_unit("ns").asi8 for column in (calendar.opens, calendar.closes)
    )
    return opens, closes


def _open_time(at: Times, opens: Times, closes: Times) -> Nanoseconds:
    """Open hours from the first session until `at`."""
    before = np.concatenate([[0], np.cumsum(closes - opens)])
    index = np.searchsorted(opens, at, side="right")
    last = np.maximum(index - 1, 0)
    inside = np.clip(at - opens[last], 0, closes[last] - opens[last])
    return np.asarray(np.where(index == 0, 0, before[last] + inside), dtype=np.int64)
