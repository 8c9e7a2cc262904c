"""From which year times that are numbers count: a wrong one makes a market trade on weekends."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from trading_assets.market.report import IngestReport
from trading_assets.market.sessions import closed_weekdays
from trading_assets.market.time_column import DAY, Stamps, Times

_OTHERS = {
    1970: {
        "1904": -24_107,
        "1980": 3_652,
        "6 January 1980": 3_657,
        "2000": 10_957,
        "2001": 11_323,
    },
    1900: {"1904": 1_462, "1970": 25_569},
}
"""Of numbers that were read as counted from a year: other origins in use, by how many days they lie later."""
_SATURDAY = 5
_NAMES = ("Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays")
_SAMPLE = 20_000
_SPAN = 14 * DAY
_FEW, _MANY = 0.02, 0.05
"""Shares of bars on days on which a market is closed that are none (an evening in New York is the next day in
UTC), or too many."""


def check_origin(stamps: Stamps, calendar: str | None, report: IngestReport, column: str) -> None:
    """Refuse numbers that make a market trade on its closed days where another origin explains them.

    Markets around the clock do not show it: the report says what was taken, with the first and the last time.
    """
    if stamps.origin not in _OTHERS or not len(stamps.utc):
        return
    others = {
        name: days for name, days in _OTHERS[stamps.origin].items() if _is_past(stamps.utc.max() + days * DAY)
    }
    if stamps.origin == 1900 and stamps.utc.max() < 0 and "1970" in others:
        report.reject(
            "origin",
            f"holds days of {_year(stamps.utc)} counted from 1900, or of {_year(stamps.utc + 25_569 * DAY)} "
            "counted from 1970",
            "Write dates as YYYY-MM-DD.",
            column=column,
        )
    days = _shares_of_weekdays(stamps.utc)
    if stamps.origin == 1970:  # epochs may be ends: midnight belongs to the day before it, too
        days = np.minimum(days, _shares_of_weekdays(stamps.utc - 1))
    if np.ptp(stamps.utc) < _SPAN or np.count_nonzero(days) < 4:
        return
    closed = {_SATURDAY} if calendar is None else closed_weekdays(calendar, stamps.utc)
    share = sum(days[day] for day in closed)
    if share <= _MANY:
        return
    likely = [name for name, later in others.items() if sum(days[(day - later) % 7] for day in closed) < _FEW]
    if likely:
        report.reject(
            "origin",
            f"has {share:.0%} of its bars on {' and '.join(_NAMES[day] for day in sorted(closed))} when "
            f"counted from {stamps.origin}, and hardly any when counted from {' or '.join(likely)}",
            f"Write times as ISO 8601; if {stamps.origin} is right, set market.calendar to the market's.",
            column=column,
        )


def _shares_of_weekdays(times: Times) -> NDArray[np.float64]:
    """How many of the bars are on each, Monday first."""
    some = times[:: len(times) // _SAMPLE | 1]  # an odd stride meets every day of the week
    return np.bincount((some // DAY + 3) % 7, minlength=7) / len(some)


def _is_past(time: np.int64) -> bool:
    return bool(time <= datetime.now(UTC).timestamp() * 1e9)


def _year(times: Times) -> int:
    return int(times.max().astype("datetime64[ns]").astype("datetime64[Y]").astype(int)) + 1970
