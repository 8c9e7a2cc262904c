"""Origins, roundings and ends that no name tells; settings without effect."""

from pathlib import Path

import numpy as np
import pandas as pd

from tests.market.layouts.rows_and_times import NEW_YORK, Result, local, sessions_of
from tests.market.layouts.table import daily, hourly, layout, parquet, sound_bars, written


@layout("dates and times that went through a 32-bit float", refused=("rounded to a 32-bit float",))
def _float32_dates(folder: Path) -> Result:
    epochs = hourly()["timestamp"].dt.as_unit("s").astype("int64").astype(np.float32).astype("int64")
    return written(folder, hourly(), pd.to_datetime(epochs, unit="s", utc=True).astype(str)), hourly()


@layout("days of a spreadsheet in a 32-bit float", refused=("rounded to a 32-bit float",), time_zone="UTC")
def _float32_spreadsheet(folder: Path) -> Result:
    days = (hourly()["timestamp"] - pd.Timestamp("1899-12-30", tz="UTC")) / pd.Timedelta("1D")
    return parquet(folder, hourly(), days.astype(np.float32)), hourly()


@layout(
    "milliseconds since 1980 of a market that is closed on weekends",
    refused=("20% of its bars on Saturdays when counted from 1970", "counted from 1980", "market.calendar"),
)
def _milliseconds_since_1980(folder: Path) -> Result:
    since = (daily()["timestamp"] - pd.Timestamp("1980-01-01", tz="UTC")) // pd.Timedelta("1ms")
    return written(folder, daily(), since), daily()


@layout("milliseconds since 1980 of a market around the clock", said=("epoch",))
def _milliseconds_around_the_clock(folder: Path) -> Result:
    since = (hourly()["timestamp"] - pd.Timestamp("1980-01-01", tz="UTC")) // pd.Timedelta("1ms")
    bars = hourly().assign(timestamp=pd.to_datetime(since, unit="ms", utc=True).dt.as_unit("ns"))
    return written(folder, hourly(), since), bars


@layout(
    "days of a spreadsheet that counts from 1904",
    refused=("bars on Saturdays when counted from 1900", "counted from 1904"),
)
def _spreadsheet_of_1904(folder: Path) -> Result:
    return written(
        folder, daily(), (daily()["timestamp"] - pd.Timestamp("1904-01-01", tz="UTC")).dt.days
    ), daily()


@layout("days since 1970", refused=("1954 counted from 1900, or of 2024 counted from 1970",))
def _days_since_1970(folder: Path) -> Result:
    return written(
        folder, daily(), (daily()["timestamp"] - pd.Timestamp("1970-01-01", tz="UTC")).dt.days
    ), daily()


@layout("YYMMDDHHMM", refused=("can be YYMMDDHHMM, or a Unix epoch",))
def _short_years_and_clocks(folder: Path) -> Result:
    bars = sound_bars(60, start="2016-01-04")
    return written(folder, bars, bars["timestamp"].dt.strftime("%y%m%d%H%M")), bars


@layout("first days of months that can be days of January", refused=("market.day_first",), max_gap_days=40)
def _months_or_january(folder: Path) -> Result:
    bars = sound_bars(12, freq="MS", start="2023-01-01")
    return written(folder, bars, bars["timestamp"].dt.strftime("%d/%m/%Y")), bars


@layout("days first, set as months first", refused=("market.day_first (false)",), day_first=False)
def _day_first_against_the_rows(folder: Path) -> Result:
    return written(folder, daily(), daily()["timestamp"].dt.strftime("%d/%m/%Y")), daily()


@layout(
    "settings that a Parquet of times has no use for",
    said=("setting not used", "setting not used"),
    day_first=True,
    decimal=",",
)
def _settings_not_used(folder: Path) -> Result:
    return parquet(folder, hourly(), hourly()["timestamp"]), hourly()


@layout("dates in one order only, the order set", said=("setting not used",), day_first=True)
def _day_first_not_used(folder: Path) -> Result:
    return written(folder, daily(), daily()["timestamp"].dt.strftime("%Y-%m-%d")), daily()


@layout("session dates, their stamp set as the close", said=("stamp", "setting not used"), stamp="close")
def _session_dates_by_close(folder: Path) -> Result:
    return written(folder, daily(), daily()["timestamp"].dt.strftime("%Y-%m-%d")), daily()


@layout("days around the clock stamped by their end, set as such", said=("stamp",), stamp="close")
def _days_by_end(folder: Path) -> Result:
    bars = daily(business=False)
    return written(folder, bars, (bars["timestamp"] + pd.Timedelta("1D")).astype(str)), bars


@layout("close_time is the only time", said=("stamp",))
def _only_close_time(folder: Path) -> Result:
    ends = hourly()["timestamp"] + pd.Timedelta("1h")
    return written(folder, hourly(), ends.astype(str), time="close_time"), hourly()


@layout("Binance without its open times: closes that end in 999", said=("epoch", "stamp"))
def _only_last_moments(folder: Path) -> Result:
    ends = (hourly()["timestamp"] + pd.Timedelta("1h")).dt.as_unit("ms").astype("int64") - 1
    return written(folder, hourly(), ends, time="Close time"), hourly()


@layout("open_time, set as the close", said=("stamp",), stamp="close")
def _open_time_by_close(folder: Path) -> Result:
    bars = hourly().assign(timestamp=hourly()["timestamp"] - pd.Timedelta("1h"))
    return written(folder, bars, hourly()["timestamp"].astype(str), time="open_time"), bars


@layout("CoinAPI: the period's start beside the first trade's time")
def _coinapi(folder: Path) -> Result:
    begin, form = hourly()["timestamp"], "%Y-%m-%dT%H:%M:%S.1230000Z"
    end = begin + pd.Timedelta("1h")
    frame = hourly().assign(
        time_open=(begin + pd.Timedelta("3s")).dt.strftime("%Y-%m-%dT%H:%M:%S.123Z"),
        timestamp=begin.dt.strftime(form.replace("1230000", "000")),
        time_period_end=end.dt.strftime(form.replace("1230000", "000")),
    )
    path = folder / "BTCUSDT.csv"
    frame.rename(columns={"timestamp": "time_period_start"}).to_csv(path, index=False)
    return path, hourly()


@layout("seconds stamped by epochs that end in 999", said=("epoch", "stamp"))
def _seconds_by_last_moment(folder: Path) -> Result:
    bars = sound_bars(90, freq="1s")
    return written(folder, bars, bars["timestamp"].dt.as_unit("ms").astype("int64") + 999), bars


@layout("three days stamped by epochs that end in 999", said=("epoch", "stamp"))
def _three_days_by_last_moment(folder: Path) -> Result:
    bars = sound_bars(30, freq="3D")
    return written(
        folder, bars, (bars["timestamp"] + pd.Timedelta("3D")).dt.as_unit("ms").astype("int64") - 1
    ), bars


@layout("days stamped 23:59:59, the last one under way", said=("stamp",))
def _last_moments_and_one_under_way(folder: Path) -> Result:
    times = daily(business=False)["timestamp"].dt.strftime("%Y-%m-%d 23:59:59").copy()
    times.iloc[-1] = times.iloc[-1].replace("23:59:59", "14:33:12")
    return written(folder, daily(business=False), times), daily(business=False)


@layout(
    "hours stamped by their end, the last one short, nothing set",
    refused=("begins before the bar of 1 h", "market.stamp to 'close'"),
)
def _short_last_hours(folder: Path) -> Result:
    bars, ends = sessions_of("XNYS", "1h", by_end=True)
    return written(folder, bars, ends.astype(str)), bars


@layout("Tokyo, hours stamped by their end, two a day short", said=("stamp",), stamp="close")
def _tokyo_hours(folder: Path) -> Result:
    bars, ends = sessions_of("XTKS", "1h", by_end=True)
    return written(folder, bars, ends.astype(str)), bars


@layout(
    "days of which some show a session half done", refused=("has a time of day while most times are dates",)
)
def _sessions_half_done(folder: Path) -> Result:
    times = local(daily(), NEW_YORK).astype(str).copy()
    for place in (20, 30):
        times.iloc[place] = times.iloc[place].replace("00:00:00", "14:33:12")
    return written(folder, daily(), times), daily()


@layout("daily midnights of a zone whose summer time begins at midnight", said=("session dates",))
def _midnights_of_sao_paulo(folder: Path) -> Result:
    bars = daily(400, "2017-01-04", business=False)
    midnights = bars["timestamp"].dt.tz_localize(None).dt.tz_localize(
        "America/Sao_Paulo", ambiguous=True, nonexistent="shift_forward"
    )  # fmt: skip
    return parquet(folder, bars, midnights), bars


@layout(
    "days stamped at 16:00, only the zone set",
    said=("time zone", "session dates", "off the grid"),
    time_zone=NEW_YORK,
)
def _days_at_16(folder: Path) -> Result:
    bars = daily(100)
    closes = local(bars, NEW_YORK) + pd.Timedelta("16h")
    bars["timestamp"] = closes.dt.tz_convert("UTC").dt.as_unit("ns")
    return written(folder, bars, closes.dt.strftime("%Y-%m-%d %H:%M:%S")), bars


@layout("months at midnights east of Greenwich, in UTC", refused=("east of Greenwich", "market.time_zone"))
def _months_of_athens(folder: Path) -> Result:
    bars = sound_bars(30, freq="MS", start="2021-01-01")
    return written(folder, bars, local(bars, "Europe/Athens").dt.tz_convert("UTC").astype(str)), bars


@layout("months stamped by the first moment after them, set as their close", said=("stamp",), stamp="close")
def _months_by_the_next(folder: Path) -> Result:
    bars = sound_bars(30, freq="MS", start="2021-01-01")
    return written(folder, bars, (bars["timestamp"] + pd.offsets.MonthBegin(1)).astype(str)), bars
