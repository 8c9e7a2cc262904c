"""Rows within other bars, session dates, last moments, stamps at the end, times that are no epochs."""

from pathlib import Path

import numpy as np
import pandas as pd

from tests.market.layouts.table import daily, hourly, joined, layout, parquet, sound_bars, written

Result = tuple[Path, pd.DataFrame]
NEW_YORK = "America/New_York"


def last_row(bars: pd.DataFrame, at: str, *, contains: bool) -> pd.DataFrame:
    """The last bar once more at another time, seen later or earlier in its session."""
    row = bars.tail(1).copy()
    row["timestamp"] = pd.Timestamp(at, tz="UTC").as_unit("ns")
    row["volume"] *= 2 if contains else 0.5
    row["close"] = row["high"] if contains else row["close"]
    return row


def local(bars: pd.DataFrame, zone: str) -> "pd.Series[pd.Timestamp]":
    """The same clock in a zone."""
    return bars["timestamp"].dt.tz_localize(None).dt.tz_localize(zone)


def with_its_place_taken(bars: pd.DataFrame, row: pd.DataFrame) -> pd.DataFrame:
    time = bars["timestamp"].iloc[-1]
    return joined(bars.iloc[:-1], row.assign(timestamp=time))


@layout("yfinance, daily, the session under way as one row more", said=("session dates", "session under way"))
def _daily_under_way(folder: Path) -> Result:
    bars = daily()
    row = last_row(bars, str(bars["timestamp"].iloc[-1].date()) + " 14:33:12", contains=True)
    frame = joined(bars, row)
    return written(folder, frame, local(frame, NEW_YORK).astype(str)), with_its_place_taken(bars, row)


@layout(
    "yfinance, daily, the session under way seen before its bar", said=("session dates", "session under way")
)
def _daily_under_way_before(folder: Path) -> Result:
    bars = daily()
    frame = joined(bars, last_row(bars, str(bars["timestamp"].iloc[-1].date()) + " 10:00", contains=False))
    return written(folder, frame, local(frame, NEW_YORK).astype(str)), bars


@layout("yfinance, daily, without a zone, the session under way as its own day")
def _daily_own_day(folder: Path) -> Result:
    bars = daily()
    times = bars["timestamp"].dt.strftime("%Y-%m-%d %H:%M:%S")
    times.iloc[-1] = times.iloc[-1].replace("00:00:00", "14:33:12")
    return written(folder, bars, times), bars


@layout("yfinance, weekly, the session under way as one row more", said=("session under way",))
def _weekly_under_way(folder: Path) -> Result:
    bars = sound_bars(30, freq="W-MON", start="2024-01-01")
    row = last_row(bars, str((bars["timestamp"].iloc[-1] + pd.Timedelta("4D")).date()), contains=True)
    frame = joined(bars, row)
    return written(folder, frame, frame["timestamp"].dt.strftime("%Y-%m-%d")), with_its_place_taken(bars, row)


@layout(
    "yfinance, monthly, the session under way as one row more", said=("session under way",), max_gap_days=40
)
def _monthly_under_way(folder: Path) -> Result:
    bars = sound_bars(30, freq="MS", start="2021-01-01")
    row = last_row(bars, str((bars["timestamp"].iloc[-1] + pd.Timedelta("21D")).date()), contains=False)
    frame = joined(bars, row)
    return written(folder, frame, frame["timestamp"].dt.strftime("%Y-%m-%d")), bars


@layout(
    "hourly, a row half an hour after another", refused=("row 21", "begins before the bar of 1 h in row 20")
)
def _half_an_hour(folder: Path) -> Result:
    odd = hourly().iloc[19:20].assign(timestamp=hourly()["timestamp"].iloc[19] + pd.Timedelta("30min"))
    frame = joined(hourly().iloc[:20], odd, hourly().iloc[20:])
    return written(folder, frame, frame["timestamp"]), frame


@layout("hourly, then 15 minutes", refused=("row 61", "bars of 15 min begin, after bars of 1 h"))
def _hourly_then_quarters(folder: Path) -> Result:
    start = hourly()["timestamp"].iloc[-1] + pd.Timedelta("1h")
    quarters = sound_bars(200, freq="15min", start=str(start.tz_localize(None)))
    frame = joined(hourly(), quarters)
    return written(folder, frame, frame["timestamp"]), frame


@layout("15 minutes, then hourly", refused=("row 202", "bars of 1 h begin, after bars of 15 min"))
def _quarters_then_hourly(folder: Path) -> Result:
    quarters = sound_bars(201, freq="15min", start="2024-01-12T20:00")
    frame = joined(quarters, hourly())
    return written(folder, frame, frame["timestamp"]), frame


@layout("hourly, with a few 15 minutes after them", refused=("row 61", "begins before the bar of 1 h"))
def _hourly_then_few_quarters(folder: Path) -> Result:
    start = hourly()["timestamp"].iloc[-1]
    few = sound_bars(5, freq="15min", start=str((start + pd.Timedelta("15min")).tz_localize(None)))
    frame = joined(hourly(), few)
    return written(folder, frame, frame["timestamp"]), frame


@layout("daily sessions, then hourly", refused=("row 40", "bars of 1 h begin, after bars of 1 d"))
def _daily_then_hourly(folder: Path) -> Result:
    days = daily(40)
    hours = sound_bars(100, freq="1h", start=str(days["timestamp"].iloc[-1].tz_localize(None)))
    frame = joined(days.iloc[:-1], hours)
    return written(folder, frame, frame["timestamp"]), frame


@layout("daily midnights of a zone with summer time", said=("session dates",))
def _midnights_of_new_york(folder: Path) -> Result:
    bars = daily(100)
    return written(folder, bars, local(bars, NEW_YORK).astype(str)), bars


@layout("daily midnights of a zone without summer time", said=("session dates",))
def _midnights_of_tokyo(folder: Path) -> Result:
    bars = daily()
    return parquet(folder, bars, local(bars, "Asia/Tokyo")), bars


@layout("daily midnights written in UTC, the zone set", said=("session dates",), time_zone=NEW_YORK)
def _midnights_in_utc(folder: Path) -> Result:
    bars = daily(100)
    return parquet(folder, bars, local(bars, NEW_YORK).dt.tz_convert("UTC")), bars


@layout("daily midnights written in UTC, the calendar set", said=("session dates",), calendar="XTKS")
def _midnights_in_utc_of_a_calendar(folder: Path) -> Result:
    import exchange_calendars

    sessions = exchange_calendars.get_calendar("XTKS", start="2024-01-04", end="2024-03-29").sessions
    bars = sound_bars(len(sessions), freq="1D")
    bars["timestamp"] = sessions.tz_localize("UTC").as_unit("ns")
    return parquet(folder, bars, local(bars, "Asia/Tokyo").dt.tz_convert("UTC")), bars


@layout("daily midnights written in UTC, nothing set", said=("session dates",))
def _midnights_in_utc_unknown(folder: Path) -> Result:
    bars = daily(business=False)
    bars["timestamp"] = local(bars, NEW_YORK).dt.tz_convert("UTC").dt.as_unit("ns")
    return parquet(folder, bars, bars["timestamp"]), bars


@layout("CoinMarketCap: opens beside the last moments of the days", said=("unsorted",))
def _coinmarketcap(folder: Path) -> Result:
    bars = daily(business=False).iloc[::-1]
    stamps = bars["timestamp"]
    frame = pd.DataFrame(
        {
            "timeOpen": stamps.dt.strftime("%Y-%m-%dT00:00:00.000Z"),
            "timeClose": stamps.dt.strftime("%Y-%m-%dT23:59:59.999Z"),
            "timeHigh": stamps.dt.strftime("%Y-%m-%dT07:10:00.000Z"),
            "timeLow": stamps.dt.strftime("%Y-%m-%dT19:01:00.000Z"),
            "name": 2781,
            "open": bars["open"],
            "high": bars["high"],
            "low": bars["low"],
            "close": bars["close"],
            "volume": bars["volume"],
            "marketCap": bars["close"] * 19_600_000,
            "timestamp": stamps.dt.strftime("%Y-%m-%dT23:59:59.999Z"),
        }
    )
    path = folder / "BTC.csv"
    frame.to_csv(path, index=False, sep=";")
    return path, bars.iloc[::-1].reset_index(drop=True)


def last_moments(bars: pd.DataFrame, interval: str, unit: str) -> "pd.Series[pd.Timestamp]":
    return bars["timestamp"] + pd.Timedelta(interval) - pd.Timedelta(unit)


@layout("days stamped 23:59:59", said=("stamp",))
def _last_second(folder: Path) -> Result:
    bars = daily(business=False)
    return written(folder, bars, last_moments(bars, "1D", "1s").astype(str)), bars


@layout("hours stamped by epochs that end in 999", said=("epoch", "stamp"))
def _last_millisecond(folder: Path) -> Result:
    times = last_moments(hourly(), "1h", "1ms").dt.as_unit("ms").astype("int64")
    return written(folder, hourly(), times), hourly()


@layout("minutes stamped by epochs that end in 999999", said=("epoch", "stamp"))
def _last_microsecond(folder: Path) -> Result:
    bars = sound_bars(60, freq="1min")
    return parquet(folder, bars, last_moments(bars, "1min", "1us").dt.as_unit("us").astype("int64")), bars


@layout(
    "backtrader, days stamped 23:59:59.999989",
    said=("stamp",),
    time_zone=NEW_YORK,
)
def _backtrader_days(folder: Path) -> Result:
    bars = daily()
    return written(folder, bars, last_moments(bars, "1D", "11us").dt.strftime("%Y-%m-%d %H:%M:%S.%f")), bars


def sessions_of(
    calendar: str, length: str, *, by_end: bool
) -> tuple[pd.DataFrame, "pd.Series[pd.Timestamp]"]:
    """Bars of whole sessions, the last one short where the session does not hold a whole number."""
    import exchange_calendars

    found = exchange_calendars.get_calendar(calendar, start="2024-02-05", end="2024-02-16")
    opens, ends = [], []
    for open_, close in zip(found.opens, found.closes, strict=True):
        begin = pd.date_range(open_, close, freq=length, inclusive="left")
        opens += list(begin)
        ends += [min(time + pd.Timedelta(length), close) for time in begin]
    bars = sound_bars(len(opens))
    bars["timestamp"] = pd.DatetimeIndex(opens).as_unit("ns")
    return bars, pd.Series(pd.DatetimeIndex(ends if by_end else opens))


@layout(
    "NinjaTrader, minutes stamped by their end",
    said=("time zone", "stamp"),
    stamp="close",
    time_zone=NEW_YORK,
)
def _ninjatrader(folder: Path) -> Result:
    bars, ends = sessions_of("XNYS", "5min", by_end=True)
    text = ends.dt.tz_convert(NEW_YORK).dt.strftime("%Y%m%d %H%M%S")
    return written(folder, bars, text), bars


@layout(
    "TradeStation, hours stamped by their end, the last one short",
    said=("stamp",),
    stamp="close",
    calendar="XNYS",
)
def _tradestation(folder: Path) -> Result:
    bars, ends = sessions_of("XNYS", "1h", by_end=True)
    return written(folder, bars, ends.astype(str)), bars


@layout("minutes stamped by their end, only the calendar set", said=("stamp",), calendar="XNYS")
def _ends_not_set(folder: Path) -> Result:
    bars, ends = sessions_of("XNYS", "5min", by_end=True)
    bars["timestamp"] = ends.dt.as_unit("ns")
    return written(folder, bars, ends.astype(str)), bars


@layout(
    "minutes stamped by their open, set as their close",
    said=("stamp", "stamp"),
    calendar="XNYS",
    stamp="close",
)
def _opens_set_as_ends(folder: Path) -> Result:
    bars, opens = sessions_of("XNYS", "5min", by_end=False)
    bars["timestamp"] = (opens - pd.Timedelta("5min")).dt.as_unit("ns")
    return written(folder, bars, opens.astype(str)), bars


@layout(
    "Chinese minutes stamped by their end",
    said=("time zone", "stamp"),
    stamp="close",
    time_zone="Asia/Shanghai",
)
def _chinese_minutes(folder: Path) -> Result:
    clocks = [
        *pd.timedelta_range("9h31min", "11h30min", freq="1min"),
        *pd.timedelta_range("13h1min", "15h", freq="1min"),
    ]
    days = pd.to_datetime(["2024-03-04", "2024-03-05"])
    ends = pd.Series([day + clock for day in days for clock in clocks])
    bars = sound_bars(len(ends), freq="1min")
    opens = (ends - pd.Timedelta("1min")).dt.tz_localize("Asia/Shanghai").dt.tz_convert("UTC")
    bars["timestamp"] = opens.dt.as_unit("ns")
    return written(folder, bars, ends.dt.strftime("%Y-%m-%d %H:%M:%S"), time="day"), bars


@layout(
    "GOOGLEFINANCE, days stamped at 16:00",
    said=("time zone", "session dates"),
    calendar="XNYS",
    time_zone=NEW_YORK,
)
def _googlefinance(folder: Path) -> Result:
    bars = daily(20, "2024-02-20")
    text = bars["timestamp"].dt.strftime("%m/%d/%Y 16:00:00").str.replace(r"(^|/)0", r"\1", regex=True)
    path = written(folder, bars, text, time="Date")
    return path, bars


@layout(
    "days stamped at 16:00, set as their close",
    said=("time zone", "stamp"),
    stamp="close",
    time_zone=NEW_YORK,
)
def _days_at_the_close(folder: Path) -> Result:
    bars = daily(20, "2024-02-20")
    return written(folder, bars, bars["timestamp"].dt.strftime("%Y-%m-%d 16:00:00")), bars


@layout("weeks stamped by their last session", said=("stamp",))
def _weeks_on_friday(folder: Path) -> Result:
    bars = sound_bars(30, freq="W-MON", start="2024-01-01")
    fridays = bars["timestamp"] + pd.Timedelta("4D")
    fridays.iloc[12] -= pd.Timedelta("1D")  # Good Friday
    return written(folder, bars, fridays.dt.strftime("%Y-%m-%d")), bars


@layout("pandas, weeks stamped on Sundays", refused=("stamped on Sundays", "market.stamp"))
def _weeks_on_sunday(folder: Path) -> Result:
    bars = sound_bars(30, freq="W-SUN", start="2024-01-01")
    return written(folder, bars, bars["timestamp"].dt.strftime("%Y-%m-%d")), bars


@layout("pandas, weeks stamped on Sundays, set as their close", said=("stamp",), stamp="close")
def _weeks_by_sunday(folder: Path) -> Result:
    bars = sound_bars(30, freq="W-MON", start="2024-01-01")
    sundays = bars["timestamp"] + pd.Timedelta("6D")
    return written(folder, bars, sundays.dt.strftime("%Y-%m-%d")), bars


@layout("MetaTrader, weeks stamped on Sundays, set as their open", stamp="open")
def _weeks_from_sunday(folder: Path) -> Result:
    bars = sound_bars(30, freq="W-SUN", start="2024-01-01")
    return written(folder, bars, bars["timestamp"].dt.strftime("%Y-%m-%d")), bars


@layout("pandas, months stamped by their last day", said=("stamp",), max_gap_days=40)
def _months_by_last_day(folder: Path) -> Result:
    bars = sound_bars(30, freq="MS", start="2021-01-01")
    ends = bars["timestamp"] + pd.offsets.MonthEnd(1)
    return written(folder, bars, ends.dt.strftime("%Y-%m-%d")), bars


@layout("Alpha Vantage, months stamped by their last session", said=("unsorted", "stamp"), max_gap_days=40)
def _months_by_last_session(folder: Path) -> Result:
    bars = sound_bars(30, freq="MS", start="2021-01-01")
    ends = (bars["timestamp"] + pd.offsets.BMonthEnd(1)).dt.strftime("%Y-%m-%d")
    path = folder / "IBM.csv"
    bars.assign(timestamp=ends).iloc[::-1].to_csv(path, index=False)
    return path, bars


@layout("months stamped by their first session", max_gap_days=40)
def _months_by_first_session(folder: Path) -> Result:
    bars = sound_bars(30, freq="BMS", start="2021-01-01")
    return written(folder, bars, bars["timestamp"].dt.strftime("%Y-%m-%d")), bars


def metatrader(folder: Path, bars: pd.DataFrame, zone: str) -> Path:
    clock = bars["timestamp"].dt.tz_convert(zone).dt.tz_localize(None).dt.as_unit("s").astype("int64")
    frame = bars.rename(columns={"timestamp": "time", "volume": "tick_volume"}).assign(time=clock)
    path = folder / "EURUSD.csv"
    frame.assign(spread=1, real_volume=0).to_csv(path, index=False)
    return path


@layout(
    "MetaTrader's Python package, the broker's clock as epochs",
    refused=("broker's clock", "market.time_zone"),
)
def _metatrader_unknown(folder: Path) -> Result:
    return metatrader(folder, hourly(), "Europe/Athens"), hourly()


@layout(
    "MetaTrader's Python package, the broker's zone set",
    said=("epoch", "time zone", "volume"),
    time_zone="Europe/Athens",
)
def _metatrader_zone(folder: Path) -> Result:
    return metatrader(folder, hourly(), "Europe/Athens"), hourly()


@layout(
    "epochs, and a zone that decides nothing", said=("epoch", "setting not used"), time_zone="Europe/Athens"
)
def _zone_not_used(folder: Path) -> Result:
    return written(folder, hourly(), hourly()["timestamp"].dt.as_unit("s").astype("int64")), hourly()


@layout(".NET ticks", said=("epoch",))
def _net_ticks(folder: Path) -> Result:
    ticks = hourly()["timestamp"].astype("int64") // 100 + 621_355_968_000_000_000
    return written(folder, hourly(), ticks), hourly()


@layout("Windows file times", said=("epoch",))
def _file_times(folder: Path) -> Result:
    bars = sound_bars(60, freq="1min")
    return parquet(folder, bars, bars["timestamp"].astype("int64") // 100 + 116_444_736_000_000_000), bars


@layout("days of a spreadsheet", said=("spreadsheet days",))
def _spreadsheet(folder: Path) -> Result:
    bars = daily()
    return written(folder, bars, (bars["timestamp"] - pd.Timestamp("1899-12-30", tz="UTC")).dt.days), bars


@layout("hours of a spreadsheet", said=("spreadsheet days", "time zone"), time_zone="UTC")
def _spreadsheet_hours(folder: Path) -> Result:
    days = (hourly()["timestamp"] - pd.Timestamp("1899-12-30", tz="UTC")) / pd.Timedelta("1D")
    return written(folder, hourly(), days.map("{:.9f}".format)), hourly()


@layout("ticks of ten milliseconds", refused=("is no Unix epoch",))
def _ten_milliseconds(folder: Path) -> Result:
    return written(folder, hourly(), hourly()["timestamp"].astype("int64") // 10**7), hourly()


@layout("seconds since 2001", said=("epoch", "epoch"))
def _seconds_since_2001(folder: Path) -> Result:
    since = (hourly()["timestamp"] - pd.Timestamp("2001-01-01", tz="UTC")).dt.total_seconds().astype("int64")
    bars = hourly().assign(timestamp=pd.to_datetime(since, unit="s", utc=True).dt.as_unit("ns"))
    return written(folder, hourly(), since), bars


@layout("epochs in a 32-bit float", refused=("rounded to a 32-bit float",))
def _float32(folder: Path) -> Result:
    return parquet(
        folder, hourly(), hourly()["timestamp"].dt.as_unit("s").astype("int64").astype(np.float32)
    ), hourly()


@layout("epochs in a 32-bit float, widened since", refused=("rounded to a 32-bit float",))
def _float32_widened(folder: Path) -> Result:
    epochs = hourly()["timestamp"].dt.as_unit("s").astype("int64").astype(np.float32).astype("int64")
    return parquet(folder, hourly(), epochs), hourly()


@layout("dates that only their order decides", said=("order of dates",))
def _order_of_dates(folder: Path) -> Result:
    bars = daily(12, "2024-03-01", business=False)
    return written(folder, bars, bars["timestamp"].dt.strftime("%d/%m/%Y")), bars


@layout(
    "dates that nothing decides",
    refused=("market.day_first", "day/month/year or month/day/year"),
    max_gap_days=40,
)
def _ambiguous(folder: Path) -> Result:
    bars = sound_bars(11, freq="MS", start="2023-02-01")
    bars["timestamp"] += pd.to_timedelta(np.arange(11), unit="D")
    return written(folder, bars, bars["timestamp"].dt.strftime("%d/%m/%Y")), bars


@layout("dates that nothing decides, the order set", day_first=True, max_gap_days=40)
def _day_first(folder: Path) -> Result:
    path, bars = _ambiguous(folder)
    return path, bars


@layout("years of two digits", said=("order of dates",))
def _short_years(folder: Path) -> Result:
    bars = daily(12, "2024-03-01", business=False)
    return written(folder, bars, bars["timestamp"].dt.strftime("%d/%m/%y")), bars
