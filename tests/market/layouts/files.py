"""Containers: JSON, LEAN's zips, files of many symbols, split factors and adjusted closes within the file."""

import gzip
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tests.market.layouts.table import daily, layout, written
from tests.market.samples import sound_bars

Result = tuple[Path, pd.DataFrame]
HOURLY = sound_bars(60)
PRICES = ["open", "high", "low", "close"]


def epochs(bars: pd.DataFrame, unit: str = "ms") -> list[int]:
    return [int(time) for time in bars["timestamp"].dt.as_unit(unit).astype("int64")]


def lists(order: list[str], unit: str = "ms", bars: pd.DataFrame = HOURLY) -> list[list[Any]]:
    columns = bars[[*order, "volume"]].to_numpy().tolist()
    return [[time, *row] for time, row in zip(epochs(bars, unit), columns, strict=True)]


def dumped(folder: Path, document: Any, name: str = "BTCUSDT.json", bars: pd.DataFrame = HOURLY) -> Result:
    text = json.dumps(document).encode()
    (folder / name).write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    return folder / name, bars


@layout("ccxt, a list of lists", said=("columns", "epoch"))
def _ccxt(folder: Path) -> Result:
    return dumped(folder, lists(PRICES))


@layout("freqtrade, json.gz", said=("columns", "epoch"))
def _freqtrade_json(folder: Path) -> Result:
    return dumped(folder, lists(PRICES), "BTC_USDT-1h.json.gz")


@layout("Jesse, open-close-high-low", said=("columns", "epoch"))
def _jesse(folder: Path) -> Result:
    return dumped(folder, lists(["open", "close", "high", "low"]))


@layout("Coinbase, low-high-open-close in seconds, newest first", said=("columns", "epoch", "unsorted"))
def _coinbase(folder: Path) -> Result:
    return dumped(folder, lists(["low", "high", "open", "close"], "s")[::-1])


@layout("Kraken's answer: the average price before the volume, numbers as text", said=("columns", "epoch"))
def _kraken(folder: Path) -> Result:
    average = ((HOURLY["high"] + HOURLY["low"]) / 2).round(3)
    rows = [
        [time, *map(str, prices), str(mean), str(volume), 7]
        for (time, *prices, volume), mean in zip(lists(PRICES, "s"), average, strict=True)
    ]
    return dumped(folder, {"error": [], "result": {"XXBTZUSD": rows, "last": rows[-1][0]}})


@layout("Binance's answer: lists of twelve", said=("epoch",))
def _binance(folder: Path) -> Result:
    rows = [
        [
            time,
            *map(str, prices),
            str(volume),
            time + 3_599_999,
            str(volume * prices[3]),
            5,
            "1.0",
            "100.0",
            "0",
        ]
        for time, *prices, volume in lists(PRICES)
    ]
    return dumped(folder, rows)


@layout("Polygon's answer: objects in `results`", said=("epoch", "other symbol"))
def _polygon(folder: Path) -> Result:
    frame = HOURLY.assign(timestamp=epochs(HOURLY), T="X:BTCUSD", vw=HOURLY["close"])
    frame.columns = ["t", "o", "h", "l", "c", "v", "symbol", "vw"]
    return dumped(folder, {"status": "OK", "results": frame.to_dict("records")})


@layout(
    "Alpha Vantage's JSON, an object a bar under its time, newest first",
    said=("unsorted", "time zone"),
    time_zone="UTC",
)
def _alpha_vantage_json(folder: Path) -> Result:
    names = ("1. open", "2. high", "3. low", "4. close", "5. volume")
    columns = HOURLY[[*PRICES, "volume"]].astype(str).to_numpy()[::-1]
    times = HOURLY["timestamp"].dt.strftime("%Y-%m-%d %H:%M:%S")[::-1]
    series = {time: dict(zip(names, row, strict=True)) for time, row in zip(times, columns, strict=True)}
    about = {"1. Information": "Intraday (60min) prices", "2. Symbol": "IBM", "6. Time Zone": "US/Eastern"}
    return dumped(folder, {"Meta Data": about, "Time Series (60min)": series})


@layout("JSON, an object a line", said=("epoch",))
def _json_lines(folder: Path) -> Result:
    HOURLY.assign(timestamp=epochs(HOURLY)).to_json(folder / "BTCUSDT.json", orient="records", lines=True)
    return folder / "BTCUSDT.json", HOURLY


@layout("JSON, an object a line, cut off", refused=("is damaged or truncated JSON",))
def _cut_json_lines(folder: Path) -> Result:
    path, bars = _json_lines(folder)
    path.write_text(path.read_text()[:-10])
    return path, bars


@layout("JSON, objects of which the first has no volume", said=("epoch", "no volume"))
def _ragged_objects(folder: Path) -> Result:
    rows = HOURLY.assign(timestamp=epochs(HOURLY)).to_dict("records")
    del rows[0]["volume"]
    bars = HOURLY.copy()
    bars.loc[0, "volume"] = 0.0
    return dumped(folder, rows, bars=bars)


@layout("JSON that was cut off", refused=("is damaged or truncated JSON", "Copy or download"))
def _cut_json(folder: Path) -> Result:
    path, bars = dumped(folder, lists(PRICES))
    path.write_text(path.read_text()[:-40])
    return path, bars


@layout("JSON, a list shorter than the others", refused=("row 8", "is no list of 6 values"))
def _short_json(folder: Path) -> Result:
    rows = lists(PRICES)
    return dumped(folder, [*rows[:7], rows[7][:4], *rows[8:]])


@layout("JSON, a row that no order fits", refused=("row 5", "'high'"))
def _crossed_json(folder: Path) -> Result:
    rows = lists(PRICES)
    rows[4][2] = 1.0
    return dumped(folder, rows)


@layout("JSON with two lists of rows", refused=("several lists of rows: bids, asks",))
def _book(folder: Path) -> Result:
    return dumped(folder, {"bids": [[1, 2]], "asks": [[1, 2]]})


def zipped(folder: Path, text: str, name: str, inner: str) -> Path:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(inner, text)
    (folder / name).write_bytes(buffer.getvalue())
    return folder / name


def lean(bars: pd.DataFrame, scale: int) -> str:
    rows = bars.assign(timestamp=bars["timestamp"].dt.strftime("%Y%m%d %H:%M"))
    for name in PRICES:
        rows[name] = (rows[name] * scale).round().astype("int64") if scale > 1 else rows[name]
    rows["volume"] = rows["volume"].astype("int64")
    return rows.to_csv(index=False, header=False)


@layout("LEAN, shares by the day", said=("scale",))
def _lean_shares(folder: Path) -> Result:
    bars = daily()
    bars["volume"] = np.floor(bars["volume"])
    return zipped(folder, lean(bars, 10_000), "SPY.zip", "spy.csv"), bars


@layout("LEAN, coins by the hour", said=("time zone",), time_zone="UTC")
def _lean_coins(folder: Path) -> Result:
    bars = HOURLY.assign(volume=np.floor(HOURLY["volume"]))
    return zipped(folder, lean(bars, 1), "BTCUSD.zip", "btcusd.csv"), bars


@layout("LEAN, an index in whole points", said=("time zone",), time_zone="Asia/Tokyo")
def _lean_index(folder: Path) -> Result:
    bars = HOURLY.assign(**{name: (HOURLY[name] * 234).round() for name in PRICES}, volume=5.0)
    local = bars.assign(timestamp=bars["timestamp"].dt.tz_convert("Asia/Tokyo"))
    text = lean(local, 1).replace(".0,", ",")
    return zipped(folder, text, "NIKKEI.zip", "nikkei.csv"), bars


@layout("LEAN, a day of minutes", refused=("one day of LEAN's minutes", "python -c", "_trade.zip"))
def _lean_day(folder: Path) -> Result:
    return zipped(
        folder, "34200000,1,2,1,2,5\n", "20131007_trade.zip", "20131007_spy_minute_trade.csv"
    ), daily()


@layout(
    "freqtrade, HDF5", refused=("is an HDF5 file", "pip install tables", "read_hdf", "BTC_USDT-1H.parquet")
)
def _hdf(folder: Path) -> Result:
    path = folder / "BTC_USDT-1h.h5"
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    return path, daily()


@layout("pandas, a pickle", refused=("is a pickle", "can run any code", "read_pickle"))
def _pickle(folder: Path) -> Result:
    path = folder / "AAPL.pkl"
    daily().to_pickle(path, compression=None)
    return path, daily()


def qlib(folder: Path, bars: pd.DataFrame, start: int = 3) -> Path:
    """The folder of one symbol among the columns of qlib."""
    (folder / "calendars").mkdir()
    symbol = folder / "features" / "sh600000"
    symbol.mkdir(parents=True)
    days = bars["timestamp"].dt.strftime("%Y-%m-%d").tolist()
    (folder / "calendars" / "day.txt").write_text(
        "\n".join([*(f"2023-12-{day}" for day in range(10, 10 + start)), *days])
    )
    for name in (*PRICES, "volume"):
        np.hstack([start, bars[name]]).astype("<f4").tofile(symbol / f"{name}.day.bin")
    return symbol


@layout(
    "qlib, the folder of a symbol",
    refused=("qlib's binary columns", "python -c", "calendars", "SH600000.csv"),
)
def _qlib(folder: Path) -> Result:
    return qlib(folder, daily()), daily()


@layout("qlib, one column", refused=("qlib's binary columns", "python -c", "SH600000.csv"))
def _qlib_column(folder: Path) -> Result:
    return qlib(folder, daily()) / "close.day.bin", daily()


def many(folder: Path, column: str, names: tuple[str, str]) -> Result:
    one, other = daily(), daily().assign(close=lambda bars: bars["low"])
    frame = pd.concat([other.assign(**{column: names[1]}), one.assign(**{column: names[0]})])
    return written(folder, frame, frame["timestamp"].dt.strftime("%Y-%m-%d"), "ALL.csv", time="date"), one


def enter_files_of_many_symbols() -> None:
    for column, names in {
        "ticker": ("AAPL", "MSFT"),
        "Name": ("AAPL", "MSFT"),
        "tic": ("AAPL", "MSFT"),
        "ts_code": ("600000.SH", "000001.SZ"),
        "instrument_id": ("SH600000", "SZ000001"),
        "code": ("sh.600000", "sz.000001"),
    }.items():

        def write(folder: Path, column: str = column, names: tuple[str, str] = names) -> Result:
            return many(folder, column, names)

        layout(
            f"many symbols in `{column}`, one asked for", said=("several symbols",), symbol=names[0].upper()
        )(write)
        listed = f"holds 2 symbols: {names[1]}, {names[0]}"
        layout(f"many symbols in `{column}`, none asked for", refused=(listed, "symbol=..."))(write)


enter_files_of_many_symbols()


def split(n: int = 40) -> tuple[pd.DataFrame, pd.DataFrame, "pd.Series[float]"]:
    """Bars as traded, as they are without a 4:1 split in row 21, and the factor of each day."""
    bars = daily(n)
    raw, day = bars.copy(), np.arange(n)
    before = np.where(day < 20, 4.0, 1.0)
    for name in PRICES:
        raw[name] = bars[name] * before
    raw["volume"] = bars["volume"] * 4 / before
    bars["volume"] = raw["volume"] * before
    return raw, bars, pd.Series(np.where(day == 20, 4.0, 1.0))


def with_splits(folder: Path, frame: pd.DataFrame) -> Path:
    frame = frame.assign(timestamp=frame["timestamp"].dt.strftime("%Y-%m-%d"))
    frame.to_csv(folder / "AAPL.csv", index=False)
    return folder / "AAPL.csv"


@layout("Quandl WIKI, Split Ratio and Adj. Close", said=("close", "splits"))
def _quandl(folder: Path) -> Result:
    raw, bars, factors = split()
    frame = raw.assign(**{"Ex-Dividend": 0.0, "Split Ratio": factors, "Adj. Close": bars["close"]})
    return with_splits(folder, frame), bars


@layout("Alpha Vantage, split_coefficient, newest first", said=("close", "splits", "unsorted"))
def _alpha_vantage(folder: Path) -> Result:
    raw, bars, factors = split()
    frame = raw.assign(adjusted_close=bars["close"], dividend_amount=0.0, split_coefficient=factors)
    return with_splits(folder, frame[::-1]), bars


@layout("Tiingo, splitFactor", said=("close", "splits"))
def _tiingo(folder: Path) -> Result:
    raw, bars, factors = split()
    return with_splits(folder, raw.assign(adjClose=bars["close"], divCash=0.0, splitFactor=factors)), bars


@layout("Tushare, adj_factor", said=("splits",))
def _tushare(folder: Path) -> Result:
    raw, bars, factors = split()
    return with_splits(folder, raw.assign(adj_factor=3.2 * factors.cumprod())), bars


@layout("Tushare, adj_factor beside prices that are adjusted already", said=("splits",))
def _tushare_adjusted(folder: Path) -> Result:
    _, bars, factors = split()
    return with_splits(folder, bars.assign(adj_factor=factors.cumprod())), bars


@layout("yfinance, Stock Splits of prices that are adjusted already", said=("splits",))
def _yfinance_splits(folder: Path) -> Result:
    _, bars, factors = split()
    return with_splits(
        folder, bars.assign(**{"Dividends": 0.0, "Stock Splits": factors.replace(1.0, 0.0)})
    ), bars


@layout("a split coefficient that is none", refused=("row 3", "split_coefficient", "no positive factor"))
def _bad_split(folder: Path) -> Result:
    raw, bars, factors = split()
    factors[2] = -2.0
    return with_splits(folder, raw.assign(split_coefficient=factors)), bars


@layout(
    "split factors that lack one",
    refused=("row 21", "a split that the column 'split_coefficient' lacks", "splits.csv"),
)
def _lacking_split(folder: Path) -> Result:
    raw, bars, _ = split()
    return with_splits(folder, raw.assign(split_coefficient=1.0)), bars
