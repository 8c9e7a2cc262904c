"""Session markets: nights, weekends and holidays are no gaps, a session that is missing is one."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_assets.errors import SettingsError
from trading_assets.market.sessions import closed_between
from trading_assets.market.times import DAY

HOUR = DAY // 24
MINUTE = HOUR // 60


def nanoseconds(times: pd.DatetimeIndex) -> np.ndarray:
    return times.as_unit("ns").asi8


def missing(times: pd.DatetimeIndex, interval: int, calendar: str | None) -> dict[str, int]:
    """After which bars how much time is missing."""
    found = closed_between(nanoseconds(times), interval, calendar)
    return {str(times[i + 1]): int(found[i]) for i in np.flatnonzero(found)}


def weekdays(start: str, end: str, *holidays: str) -> pd.DatetimeIndex:
    return pd.bdate_range(start, end, tz="UTC").difference(pd.DatetimeIndex(holidays, tz="UTC"))


HOLIDAYS_2024 = ("2024-01-01", "2024-01-15", "2024-02-19", "2024-03-29", "2024-05-27", "2024-06-19")
NEW_YORK = weekdays("2024-01-01", "2024-06-28", *HOLIDAYS_2024)


def test_without_a_calendar_all_time_counts() -> None:
    times = pd.DatetimeIndex(["2024-01-05", "2024-01-06", "2024-01-09"], tz="UTC")
    assert missing(times, DAY, None) == {"2024-01-09 00:00:00+00:00": 2 * DAY}


@pytest.mark.parametrize(
    "stamp", ["00:00", "05:00", "14:30"], ids=["dates", "midnights in New York", "opens in winter"]
)
def test_daily_bars_of_every_session_have_no_gaps(stamp: str) -> None:
    assert missing(NEW_YORK + pd.Timedelta(f"{stamp}:00"), DAY, "XNYS") == {}


@settings(max_examples=25, deadline=None)
@given(st.integers(1, len(NEW_YORK) - 12), st.integers(1, 10))
def test_missing_sessions_are_counted_whatever_lies_between(first: int, n: int) -> None:
    left = NEW_YORK.delete(range(first, first + n))
    assert missing(left, DAY, "XNYS") == {str(left[first]): n * DAY}


@pytest.mark.parametrize("calendar", ["XASX", "XNZE", "XTKS", "XHKG", "XLON", "CMES"])
def test_sessions_that_open_on_the_day_before_in_utc_have_no_gaps(calendar: str) -> None:
    import exchange_calendars

    sessions = exchange_calendars.get_calendar(calendar, start="2023-01-10", end="2024-03-01")
    dates = sessions.sessions.tz_localize("UTC")
    opens = pd.DatetimeIndex(sessions.opens)
    for times in (dates, opens):
        assert missing(times, DAY, calendar) == {}
        left = times.delete([100, 200, 201])
        expected = {str(times[101]): DAY, str(times[202]): 2 * DAY}
        assert missing(left, DAY, calendar) == expected


def hours(calendar: str, length: str, start: str, end: str) -> pd.DatetimeIndex:
    """Every bar of every session, by the schedule of exchange-calendars itself."""
    import exchange_calendars

    sessions = exchange_calendars.get_calendar(calendar, start=start, end=end)
    spans = zip(sessions.opens, sessions.closes, sessions.break_starts, sessions.break_ends, strict=True)
    bars = []
    for opens, closes, pause, resume in spans:
        parts = [(opens, closes)] if pd.isna(pause) else [(opens, pause), (resume, closes)]
        bars += [pd.date_range(a, b, freq=length, inclusive="left") for a, b in parts]
    return pd.DatetimeIndex(np.concatenate([part.as_unit("ns").asi8 for part in bars]), tz="UTC")


@pytest.mark.parametrize("calendar", ["XNYS", "XHKG", "24/5", "24/7"])  # Hong Kong pauses for lunch
@pytest.mark.parametrize(("length", "interval"), [("1h", HOUR), ("5min", 5 * MINUTE)])
def test_nights_weekends_holidays_and_breaks_are_no_gaps(calendar: str, length: str, interval: int) -> None:
    times = hours(calendar, length, "2024-02-26", "2024-04-12")  # the clocks change, and Easter
    assert missing(times, interval, calendar) == {}
    assert missing(times, interval, None) != {} or calendar == "24/7"
    apart = np.diff(times) == pd.Timedelta(length)
    inside = next(i for i in range(100, len(times)) if apart[i - 1 : i + 1].all())  # of one session
    left = times.delete(inside)
    assert missing(left, interval, calendar) == {str(left[inside]): interval}


def test_a_session_missing_between_two_nights_counts_its_open_hours() -> None:
    times = hours("XNYS", "5min", "2024-02-26", "2024-04-12")
    day = times.normalize() == pd.Timestamp("2024-03-20", tz="UTC")
    left = times[~day]
    after = left[left > times[day][-1]][0]
    assert missing(left, 5 * MINUTE, "XNYS") == {str(after): 6 * HOUR + 30 * MINUTE}


@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
@pytest.mark.parametrize("month", ["2024-01", "2024-03", "2024-07", "2024-11"])
def test_currencies_have_no_gaps_on_friday_evening_in_new_york_or_utc(zone: str, month: str) -> None:
    """Some feeds end the week at midnight UTC, most at five in New York; '24/5' fits both."""
    times = pd.date_range(f"{month}-01", periods=24 * 30, freq="1h", tz="UTC")
    wall = times.tz_convert(zone).tz_localize(None) + pd.Timedelta("7h" if zone != "UTC" else "0h")
    week = times[wall.weekday < 5]
    assert missing(week, HOUR, "24/5") == {}
    tuesday = np.flatnonzero((week.weekday == 1) & (week.hour == 12))[1]
    assert missing(week.delete([tuesday]), HOUR, "24/5") == {str(week[tuesday + 1]): HOUR}
    thursday = np.flatnonzero((week.weekday == 3) & (week.hour == 12))[0]
    long = week.delete(range(thursday, thursday + 24))
    assert missing(long, HOUR, "24/5") == {str(week[thursday + 24]): 24 * HOUR}


@pytest.mark.parametrize("calendar", [None, "XNYS", "24/5"])
def test_weekly_bars_are_counted_in_weeks(calendar: str | None) -> None:
    weeks = pd.date_range("2024-01-01", periods=20, freq="7D", tz="UTC")
    assert missing(weeks, 7 * DAY, calendar) == {}
    assert missing(weeks.delete([9, 10]), 7 * DAY, calendar) == {str(weeks[11]): 14 * DAY}


def test_bars_closer_than_their_interval_are_no_gaps() -> None:
    times = pd.DatetimeIndex(["2024-01-02", "2024-01-02 12:00", "2024-01-03"], tz="UTC")
    for calendar in (None, "XNYS"):
        assert missing(times, DAY, calendar) == {}


def test_old_bars_are_covered_by_the_calendar() -> None:
    times = weekdays("1998-01-05", "1998-01-16")
    assert missing(times, DAY, "XNYS") == {}


def test_an_unknown_calendar_is_refused_with_examples() -> None:
    with pytest.raises(SettingsError, match=r"market\.calendar is 'NYSE!'.* for instance, XNYS, 24/5, 24/7"):
        closed_between(nanoseconds(NEW_YORK), DAY, "NYSE!")


def test_a_calendar_that_does_not_reach_the_bars_is_refused() -> None:
    early = pd.date_range("1950-01-02", periods=5, freq="1D", tz="UTC")
    with pytest.raises(
        SettingsError, match=r"market\.calendar 'XHKG' does not cover 1950-01-02 to 1950-01-06"
    ):
        closed_between(nanoseconds(early), DAY, "XHKG")
