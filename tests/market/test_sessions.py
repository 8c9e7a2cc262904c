"""Session markets: nights, weekends and holidays are no gaps, a session that is missing is one."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_assets.errors import SettingsError
from trading_assets.market.ingest import read_bars
from trading_assets.market.sessions import bars_per_year, closed_between
from trading_assets.market.time_column import DAY
from trading_assets.validation.metrics import sharpe_ratio

REAL = Path(__file__).parents[3] / "shared" / "market"
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


# --- bars a year


def sessions_of_seven(start: str, end: str) -> pd.DatetimeIndex:
    """Hourly bars of New York's sessions, 9:30 to 15:30."""
    import exchange_calendars

    days = exchange_calendars.get_calendar("XNYS", start=start, end=end).sessions
    clock = [pd.Timedelta(hours=hour, minutes=30) for hour in range(9, 16)]
    local = pd.DatetimeIndex([day + time for day in days for time in clock]).tz_localize("America/New_York")
    return local.tz_convert("UTC")


def years(times: pd.DatetimeIndex) -> float:
    return (times[-1] - times[0]) / pd.Timedelta(days=365.25)


@pytest.mark.parametrize("freq", ["1min", "1h", "12h", "1D", "7D"])
@pytest.mark.parametrize("span", ["3D", "40D", "800D"])
def test_a_market_that_never_closes_has_as_many_bars_a_year_as_there_is_time_for(
    freq: str, span: str
) -> None:
    times = pd.date_range(
        "2021-03-03 05:00", pd.Timestamp("2021-03-03 05:00") + pd.Timedelta(span), freq=freq
    )
    if len(times) > 1:
        expected = pd.Timedelta(days=365.25) / pd.Timedelta(freq)
        assert bars_per_year(nanoseconds(times)) == pytest.approx(expected, rel=1e-12)


@settings(max_examples=20, deadline=None)
@given(
    weeks=st.integers(4, 150),
    missing=st.floats(0, 0.1),
    hole=st.tuples(st.integers(0, 60), st.integers(0, 60)),
    seed=st.integers(0, 99),
)
def test_hours_around_the_clock_are_8766_whatever_is_missing(
    weeks: int, missing: float, hole: tuple[int, int], seed: int
) -> None:
    times = nanoseconds(pd.date_range("2020-01-01", periods=weeks * 168, freq="h"))
    left = np.random.default_rng(seed).random(len(times)) >= missing
    left[hole[0] * 84 : (hole[0] + hole[1]) * 84] = False
    if left.sum() > 3 * 168:
        assert bars_per_year(times[left]) == 8_766


def test_bars_of_sessions_are_as_many_a_year_as_there_are() -> None:
    for times in (sessions_of_seven("2015-01-02", "2019-12-31"), weekdays("2001-03-01", "2009-08-07")):
        expected = (len(times) - 1) / years(times)
        assert bars_per_year(nanoseconds(times)) == pytest.approx(expected, rel=1e-12)
    assert bars_per_year(nanoseconds(sessions_of_seven("2015-01-02", "2019-12-31"))) == pytest.approx(
        1_762, abs=4
    )


@pytest.mark.parametrize("month", range(1, 10))
def test_of_less_than_a_year_the_calendar_or_a_usual_week_says_how_many(month: int) -> None:
    """Whatever holidays and changes of the clock there are in these three months."""
    start = pd.Timestamp(2023, month, 1)
    times = nanoseconds(sessions_of_seven(str(start.date()), str((start + pd.DateOffset(months=3)).date())))
    assert bars_per_year(times) == pytest.approx(35 * 365.25 / 7)
    assert bars_per_year(times, "XNYS") == pytest.approx(7 * 251, abs=2 * 7)


def test_a_week_of_currencies_is_120_hours() -> None:
    hours = pd.date_range("2024-02-05", "2024-06-28 20:00", freq="h", tz="UTC")
    local = hours.tz_convert("America/New_York")
    closed = (local.weekday == 5) | (local.weekday == 4) & (local.hour >= 17)
    closed |= (local.weekday == 6) & (local.hour < 17)
    assert bars_per_year(nanoseconds(hours[~closed])) == pytest.approx(120 * 365.25 / 7)


def test_days_with_a_short_sunday_are_not_days_around_the_clock() -> None:
    days = pd.date_range("2019-01-01", "2023-12-31", tz="UTC")
    assert bars_per_year(nanoseconds(days[days.weekday != 5])) == pytest.approx(6 * 365.25 / 7, rel=1e-3)


def test_months_and_less_than_a_week_count_as_they_come() -> None:
    months = pd.date_range("2020-01-01", periods=25, freq="MS")
    assert bars_per_year(nanoseconds(months)) == pytest.approx(12, abs=0.02)
    assert bars_per_year(nanoseconds(weekdays("2024-01-02", "2024-01-04"))) == pytest.approx(365.25)
    assert np.isnan(bars_per_year(nanoseconds(months[:1]))) and np.isnan(bars_per_year(np.empty(0, np.int64)))


def test_an_unknown_calendar_is_refused_where_it_would_be_asked() -> None:
    with pytest.raises(SettingsError, match=r"market\.calendar is 'NYSY'"):
        bars_per_year(nanoseconds(NEW_YORK), "NYSY")


@pytest.mark.skipif(not (REAL / "equity_1d").is_dir(), reason="needs the folder of real bars")
def test_a_year_of_spy_is_252_sessions() -> None:
    bars = read_bars(REAL / "equity_1d" / "SPY.csv").bars
    per_year = bars_per_year(nanoseconds(pd.DatetimeIndex(bars["timestamp"])))
    assert per_year == pytest.approx(251.6, abs=0.1)
    returns = bars["close"].pct_change().dropna().to_numpy()
    assert sharpe_ratio(returns, periods_per_year=per_year) == pytest.approx(0.407, abs=1e-3)
