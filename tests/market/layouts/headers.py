"""Files without column names, with too few, in two levels; a date and a clock; names of many languages."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from tests.market.layouts.numbers import moving, turnover
from tests.market.layouts.table import daily, hourly, layout, sound_bars

Result = tuple[Path, pd.DataFrame]
PRICES = ["open", "high", "low", "close"]


def rows(
    folder: Path,
    columns: Sequence["pd.Series[float] | str | float"],
    *,
    header: str = "",
    sep: str = ",",
    name: str = "EURUSD.csv",
    encoding: str = "utf-8",
) -> Path:
    """The columns side by side, under a line of names where there is one."""
    n = next(len(column) for column in columns if isinstance(column, pd.Series))
    parts = [
        (column if isinstance(column, pd.Series) else pd.Series([column] * n)).rename(str(number))
        for number, column in enumerate(columns)
    ]
    table = pd.concat([part.reset_index(drop=True) for part in parts], axis=1)
    text = table.to_csv(index=False, header=False, sep=sep)
    path = folder / name
    path.write_text(f"{header}\n{text}" if header else text, encoding=encoding)
    return path


def clock(bars: pd.DataFrame, form: str) -> "pd.Series[str]":
    return bars["timestamp"].dt.strftime(form)


def prices(bars: pd.DataFrame) -> list["pd.Series[float]"]:
    return [bars[name] for name in PRICES]


@layout("HistData: no names, semicolons", refused=("no column names", ": timestamp;open;high;low;close"))
def _histdata(folder: Path) -> Result:
    return rows(folder, [clock(hourly(), "%Y%m%d %H%M%S"), *prices(hourly()), 0], sep=";"), hourly()


@layout(
    "Kraken OHLCVT: no names, the count of trades last",
    refused=(
        "between which the values do not decide: timestamp,open,high,low,close,volume,other or "
        "timestamp,open,high,low,close,other,volume",
    ),
)
def _kraken(folder: Path) -> Result:
    epochs = hourly()["timestamp"].dt.as_unit("s").astype("int64")
    trades = pd.Series(np.arange(60) % 7 + 1)
    return rows(folder, [epochs, *prices(hourly()), hourly()["volume"], trades]), hourly()


@layout(
    "Gate: no names, close before high, low and open", refused=(": timestamp,volume,close,high,low,open",)
)
def _gate(folder: Path) -> Result:
    epochs = hourly()["timestamp"].dt.as_unit("s").astype("int64")
    others = [hourly()[name] for name in ("volume", "close", "high", "low", "open")]
    return rows(folder, [epochs, *others]), hourly()


@layout("NinjaTrader: no names", refused=(": timestamp;open;high;low;close;volume",))
def _ninjatrader_bare(folder: Path) -> Result:
    columns = [clock(hourly(), "%Y%m%d %H%M%S"), *prices(hourly()), hourly()["volume"]]
    return rows(folder, columns, sep=";"), hourly()


@layout("FirstRate: no names", refused=(": timestamp,open,high,low,close,volume",))
def _firstrate(folder: Path) -> Result:
    return rows(
        folder, [clock(hourly(), "%Y-%m-%d %H:%M:%S"), *prices(hourly()), hourly()["volume"]]
    ), hourly()


@layout("Kibot: no names, date and clock", refused=(": date,time,open,high,low,close,volume",))
def _kibot(folder: Path) -> Result:
    columns = [clock(hourly(), "%m/%d/%Y"), clock(hourly(), "%H:%M"), *prices(hourly()), hourly()["volume"]]
    return rows(folder, columns), hourly()


@layout("MetaTrader history: no names, date and clock", refused=(": date,time,open,high,low,close,volume",))
def _metatrader_history(folder: Path) -> Result:
    columns = [clock(hourly(), "%Y.%m.%d"), clock(hourly(), "%H:%M"), *prices(hourly()), hourly()["volume"]]
    return rows(folder, columns), hourly()


@layout("LEAN: no names, prices times 10,000", refused=(": timestamp,open,high,low,close,volume",))
def _lean(folder: Path) -> Result:
    scaled = [(hourly()[name] * 10_000).round().astype("int64") for name in PRICES]
    return rows(folder, [clock(hourly(), "%Y%m%d %H:%M"), *scaled, hourly()["volume"].round()]), hourly()


@layout("LEAN under the line that was offered", said=("time zone", "scale"), time_zone="UTC")
def _lean_named(folder: Path) -> Result:
    bars = hourly().assign(**{name: (hourly()[name] * 10_000).round() for name in PRICES})
    columns = [
        clock(hourly(), "%Y%m%d %H:%M"),
        *(bars[name].astype("int64") for name in PRICES),
        hourly()["volume"],
    ]
    return rows(folder, columns, header="timestamp,open,high,low,close,volume"), bars


@layout("Databento: prices in billionths", said=("epoch", "scale"))
def _databento(folder: Path) -> Result:
    scaled = [(hourly()[name] * 100).round().astype("int64") * 10_000_000 for name in PRICES]
    columns = [hourly()["timestamp"].astype("int64"), 34, 1, 4916, *scaled, hourly()["volume"]]
    header = "ts_event,rtype,publisher_id,instrument_id,open,high,low,close,volume"
    return rows(folder, columns, header=header, name="4916.csv"), hourly()


@layout(
    "more values than names, the currency last",
    refused=("6 column names and 7 values in every row", "in place of the column names"),
)
def _more_values(folder: Path) -> Result:
    bars = daily()
    columns = [clock(bars, "%d/%m/%Y"), *prices(bars), bars["volume"], "EUR"]
    return rows(folder, columns, header="Date,Open,High,Low,Close,Volume"), bars


@layout(
    "older Euronext: four lines above the values, the last of which lacks a name",
    refused=("9 column names and 10 values in every row", "in place of the column names"),
)
def _euronext(folder: Path) -> Result:
    bars = daily()
    columns = [
        clock(bars, "%d/%m/%Y"), *prices(bars), bars["close"], bars["volume"].round().astype(int), 7,
        turnover(bars).round(2), bars["close"],
    ]  # fmt: skip
    header = (
        '"Historical Data"\n"From 2024-01-02 to 2024-02-26"\nFR0000121014\n'
        "Date;Open;High;Low;Last;Close;Number of Shares;Number of Trades;Turnover"
    )
    return rows(folder, columns, header=header, sep=";", name="MC.csv"), bars


@layout(
    "backtrader, minutes under the names of days",
    refused=("6 column names and 7 values", "no other order: date,time,open,high,low,close,volume"),
)
def _backtrader_minutes(folder: Path) -> Result:
    columns = [
        clock(hourly(), "%Y-%m-%d"),
        clock(hourly(), "%H:%M:%S"),
        *prices(hourly()),
        hourly()["volume"],
    ]
    return rows(folder, columns, header="Date,Open,High,Low,Close,Volume"), hourly()


@layout("a nameless column that counts the rows, and no time", refused=("has no column timestamp",))
def _counter(folder: Path) -> Result:
    path = folder / "BTCUSDT.csv"
    hourly().drop(columns="timestamp").to_csv(path)
    return path, hourly()


@layout("a nameless column that counts the rows, beside a time")
def _counter_and_time(folder: Path) -> Result:
    path = folder / "BTCUSDT.csv"
    hourly().to_csv(path)
    return path, hourly()


@layout("a nameless column of times, the index of a table")
def _nameless_index(folder: Path) -> Result:
    path = folder / "BTCUSDT.csv"
    hourly().set_index("timestamp").rename_axis(None).to_csv(path)
    return path, hourly()


@layout("Finam: date and clock as numbers", said=("time zone",), time_zone="UTC", symbol="SBER")
def _finam(folder: Path) -> Result:
    columns = [
        "SBER",
        60,
        clock(hourly(), "%Y%m%d"),
        clock(hourly(), "%H%M%S"),
        *prices(hourly()),
        hourly()["volume"],
    ]
    header = "<TICKER>;<PER>;<DATE>;<TIME>;<OPEN>;<HIGH>;<LOW>;<CLOSE>;<VOL>"
    return rows(folder, columns, header=header, sep=";", name="SBER.csv"), hourly()


@layout(
    "Finam: dates of two-digit years, bars stamped by their end",
    said=("time zone", "stamp", "order of dates"),
    time_zone="UTC",
    symbol="SBER",
    stamp="close",
)
def _finam_short(folder: Path) -> Result:
    bars = sound_bars(200)
    ends = bars.assign(timestamp=bars["timestamp"] + pd.Timedelta("1h"))
    columns = ["SBER", 60, clock(ends, "%d/%m/%y"), clock(ends, "%H%M%S"), *prices(bars), bars["volume"]]
    header = "<TICKER>;<PER>;<DATE>;<TIME>;<OPEN>;<HIGH>;<LOW>;<CLOSE>;<VOL>"
    return rows(folder, columns, header=header, sep=";", name="SBER.csv"), bars


@layout("Forex Tester: DTYYYYMMDD and TIME", said=("time zone",), time_zone="UTC")
def _forex_tester(folder: Path) -> Result:
    columns = [
        "EURUSD",
        clock(hourly(), "%Y%m%d"),
        clock(hourly(), "%H%M%S"),
        *prices(hourly()),
        hourly()["volume"],
    ]
    header = "<TICKER>,<DTYYYYMMDD>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>"
    return rows(folder, columns, header=header), hourly()


@layout("clocks that have lost their zeros as numbers", said=("time zone",), time_zone="UTC")
def _lost_zeros(folder: Path) -> Result:
    clocks = clock(hourly(), "%H%M%S").astype("int64")
    columns = [clock(hourly(), "%Y%m%d"), clocks, *prices(hourly()), hourly()["volume"]]
    return rows(folder, columns, header="date,time,open,high,low,close,volume"), hourly()


@layout(
    "baostock, minutes: the date inside the time too, stamped by their end",
    said=("time zone", "stamp", "off the grid"),
    time_zone="Asia/Shanghai",
    stamp="close",
    symbol="SH.600000",
)
def _baostock(folder: Path) -> Result:
    starts = [
        f"2024-03-{day:02}T{hour}" for day in (4, 5, 6, 7) for hour in ("01:30", "02:30", "05:00", "06:00")
    ]
    bars = sound_bars(len(starts))
    bars["timestamp"] = pd.DatetimeIndex(starts, tz="UTC").as_unit("ns")
    ends = (bars["timestamp"] + pd.Timedelta("1h")).dt.tz_convert("Asia/Shanghai")
    columns = [
        ends.dt.strftime("%Y-%m-%d"), ends.dt.strftime("%Y%m%d%H%M%S000"), "sh.600000", *prices(bars),
        bars["volume"], turnover(bars), 3,
    ]  # fmt: skip
    header = "date,time,code,open,high,low,close,volume,amount,adjustflag"
    return rows(folder, columns, header=header, name="SH.600000.csv"), bars


@layout(
    "Japanese minutes: names and encoding, date and clock, stamped by their end",
    said=("time zone", "stamp"),
    time_zone="Asia/Tokyo",
    stamp="close",
)
def _japanese(folder: Path) -> Result:
    bars = sound_bars(60, freq="1min", start="2024-01-15T00:00")
    ends = (bars["timestamp"] + pd.Timedelta("1min")).dt.tz_convert("Asia/Tokyo")
    columns = [ends.dt.strftime("%Y/%m/%d"), ends.dt.strftime("%H:%M"), *prices(bars), bars["volume"]]
    header = "日付,時刻,始値,高値,安値,終値,出来高"
    return rows(folder, columns, header=header, name="N225.csv", encoding="cp932"), bars


def downloaded(bars: pd.DataFrame, *tickers: str) -> pd.DataFrame:
    """As yfinance returns several symbols; those after the first are dearer."""
    frames = {}
    for number, ticker in enumerate(tickers):
        frame = bars.rename(columns=str.capitalize).set_index("Timestamp").rename_axis("Date")
        frame.index = frame.index.tz_localize(None)
        frames[ticker] = frame * (1 + number)
    joined = pd.concat(frames, axis=1, names=["Ticker", "Price"]).swaplevel(axis=1)
    return joined[["Close", "High", "Low", "Open", "Volume"]]


@layout("yfinance, one ticker: names over three lines", said=("header",))
def _yfinance_lines(folder: Path) -> Result:
    bars = daily()
    path = folder / "AAPL.csv"
    downloaded(bars, "AAPL").to_csv(path)
    return path, bars


@layout("yfinance, reset_index: names over two lines", said=("header",))
def _yfinance_reset(folder: Path) -> Result:
    bars = daily()
    path = folder / "AAPL.csv"
    downloaded(bars, "AAPL").reset_index().to_csv(path, index=False)
    return path, bars


@layout("yfinance, reset_index with a counter: names over two lines", said=("header",))
def _yfinance_counter(folder: Path) -> Result:
    bars = daily()
    path = folder / "AAPL.csv"
    downloaded(bars, "AAPL").reset_index().to_csv(path)
    return path, bars


@layout("yfinance in Parquet: names of two levels", said=("header",))
def _yfinance_parquet(folder: Path) -> Result:
    bars = daily()
    path = folder / "AAPL.parquet"
    downloaded(bars, "AAPL").to_parquet(path)
    return path, bars


@layout("yfinance in Parquet, reset_index", said=("header",))
def _yfinance_parquet_reset(folder: Path) -> Result:
    bars = daily()
    path = folder / "AAPL.parquet"
    downloaded(bars, "AAPL").reset_index().to_parquet(path)
    return path, bars


@layout("yfinance, several tickers", refused=("holds 2 symbols: AAPL, MSFT. Say which one is meant",))
def _yfinance_several(folder: Path) -> Result:
    bars = daily()
    path = folder / "prices.csv"
    downloaded(bars, "AAPL", "MSFT").to_csv(path)
    return path, bars


@layout("yfinance, one of several tickers", said=("several symbols", "header"), symbol="AAPL")
def _yfinance_one_of_several(folder: Path) -> Result:
    return _yfinance_several(folder)


@layout(
    "yfinance in Parquet, grouped by ticker, one of several",
    said=("several symbols", "header"),
    symbol="AAPL",
)
def _yfinance_grouped(folder: Path) -> Result:
    bars = daily()
    path = folder / "prices.parquet"
    downloaded(bars, "MSFT", "AAPL").swaplevel(axis=1).div(2).to_parquet(path)
    return path, bars


@layout("Binance's stream: T beside t, V beside v", said=("epoch",))
def _binance_stream(folder: Path) -> Result:
    epochs = hourly()["timestamp"].dt.as_unit("ms").astype("int64")
    columns = [epochs, epochs + 3_599_999, *prices(hourly()), hourly()["volume"], hourly()["volume"] / 3]
    return rows(folder, columns, header="t,T,o,h,l,c,v,V", name="BTCUSDT.csv"), hourly()


NAMES = {
    "Polygon": ("volume,open,close,high,low,window_start", "vochlt"),
    "trade_date": ("trade_date,open,high,low,close,volume", "tohlcv"),
    "start_at": ("start_at,open,high,low,close,volume", "tohlcv"),
    "MOEX: begin": ("open,close,high,low,volume,begin", "ochlvt"),
    "Investing: price beside open, high, low": ("Date,Price,Open,High,Low,Volume", "tcohlv"),
    "latest as the close": ("time,open,high,low,latest,volume", "tohlcv"),
    "BSE India: open price and number of shares": (
        "Date,Open Price,High Price,Low Price,Close Price,No.of Shares", "tohlcv",
    ),
    "NSE India: TOTTRDQTY": ("OPEN,HIGH,LOW,CLOSE,TOTTRDQTY,TIMESTAMP", "ohlcvt"),
    "number of shares": ("Date,Open,High,Low,Close,Number of Shares", "tohlcv"),
    "CryptoCompare: volumefrom": ("time,high,low,open,volumefrom,close", "thlovc"),
    "stooq in Polish": ("Data,Otwarcie,Najwyzszy,Najnizszy,Zamkniecie,Wolumen", "tohlcv"),
    "German names": ("Datum,Eröffnung,Hoch,Tief,Schluss,Volumen", "tohlcv"),
    "Chinese names": ("日期,开盘价,最高价,最低价,收盘价,成交量", "tohlcv"),
    "German names of comdirect": ("Datum,Eröffnungskurs,Tageshoch,Tagestief,Schlusskurs,Stück", "tohlcv"),
    "Chinese names, traditional": ("日期,成交股數,開盤價,最高價,最低價,收盤價", "tvohlc"),
    "Japanese names, 売買高": ("日付,始値,高値,安値,終値,売買高", "tohlcv"),
    "French names": ("Date,Dernier,Ouverture,Plus Haut,Plus Bas,Vol.", "tcohlv"),
    "India: total traded quantity": (
        "Date,Open Price,High Price,Low Price,Close Price,Total Traded Quantity", "tohlcv",
    ),
    "Japanese names": ("日付,始値,高値,安値,終値,出来高", "tohlcv"),
}  # fmt: skip
"""Column names, and which column is which: t for the time, and the first letters of the others."""


def _named(header: str, order: str) -> None:
    def write(folder: Path) -> Result:
        bars = daily()
        by_letter = {name[0]: bars[name] for name in (*PRICES, "volume")} | {"t": clock(bars, "%Y-%m-%d")}
        return rows(folder, [by_letter[letter] for letter in order], header=header), bars

    name = next(name for name, value in NAMES.items() if value[0] == header)
    layout(f"column names: {name}")(write)


for _header, _order in NAMES.values():
    _named(_header, _order)


@layout("Kaggle: the last second of the day as a clock", said=("stamp",))
def _kaggle(folder: Path) -> Result:
    bars = daily(business=False)
    columns = [
        1, "Bitcoin", "BTC", clock(bars, "%Y-%m-%d 23:59:59"), bars["high"], bars["low"], bars["open"],
        bars["close"], bars["volume"], bars["close"] * 18e6,
    ]  # fmt: skip
    header = "SNo,Name,Symbol,Date,High,Low,Open,Close,Volume,Marketcap"
    return rows(folder, columns, header=header, name="BTC.csv"), bars


@layout("Alpha Vantage, weeks stamped by their last session, newest first", said=("unsorted", "stamp"))
def _alpha_vantage_weeks(folder: Path) -> Result:
    bars = sound_bars(30, freq="W-MON", start="2024-01-01")
    fridays = (bars["timestamp"] + pd.Timedelta("4D")).dt.strftime("%Y-%m-%d")
    path = folder / "IBM.csv"
    bars.assign(timestamp=fridays).iloc[::-1].to_csv(path, index=False)
    return path, bars


@layout(
    "BitMEX buckets: stamped by their end, newest first",
    said=("unsorted", "stamp", "volume"),
    stamp="close",
    symbol="XBTUSD",
)
def _bitmex_buckets(folder: Path) -> Result:
    bars = moving()
    ends = (bars["timestamp"] + pd.Timedelta("1h")).dt.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    columns = [ends, "XBTUSD", *prices(bars), 12, turnover(bars).round(), bars["close"], bars["volume"]]
    header = "timestamp,symbol,open,high,low,close,trades,volume,vwap,homeNotional"
    path = rows(folder, [column[::-1] if isinstance(column, pd.Series) else column for column in columns],
                header=header, name="XBTUSD.csv")  # fmt: skip
    return path, bars
