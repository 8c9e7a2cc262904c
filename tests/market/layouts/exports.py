"""Exports of exchanges, brokers and libraries as they are known for years."""

from pathlib import Path

import pandas as pd

from tests.market.layouts.headers import clock, prices, rows
from tests.market.layouts.numbers import moving, turnover
from tests.market.layouts.table import daily, hourly, layout

Result = tuple[Path, pd.DataFrame]


def klines(bars: pd.DataFrame) -> list["pd.Series[float] | float"]:
    epochs = bars["timestamp"].dt.as_unit("ms").astype("int64")
    quote = turnover(bars)
    others = [epochs + 3_599_999, quote, pd.Series(range(60)) % 9 + 1, bars["volume"] / 2, quote / 2, 0]
    return [epochs, *prices(bars), bars["volume"], *others]


@layout("Binance's dump without column names", said=("epoch",))
def _binance(folder: Path) -> Result:
    bars = moving()
    return rows(folder, klines(bars), name="BTCUSDT.csv"), bars


@layout("Binance's dump with column names", said=("epoch",))
def _binance_named(folder: Path) -> Result:
    bars = moving()
    header = (
        "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,"
        "taker_buy_quote_volume,ignore"
    )
    return rows(folder, klines(bars), header=header, name="BTCUSDT.csv"), bars


@layout(
    "CryptoDataDownload: a banner, two volumes, newest first",
    said=("banner", "epoch", "unsorted"),
    symbol="BTCUSDT",
)
def _cryptodatadownload(folder: Path) -> Result:
    bars = moving()
    newest = bars.iloc[::-1].reset_index(drop=True)
    columns = [
        newest["timestamp"].dt.as_unit("ms").astype("int64"), clock(newest, "%Y-%m-%d %H:%M:%S"), "BTCUSDT",
        *prices(newest), newest["volume"], turnover(newest), 17,
    ]  # fmt: skip
    header = (
        "https://www.CryptoDataDownload.com\n"
        "Unix,Date,Symbol,Open,High,Low,Close,Volume BTC,Volume USDT,tradecount"
    )
    return rows(folder, columns, header=header, name="BTCUSDT.csv"), bars


@layout("Dukascopy: GMT written into the times", said=())
def _dukascopy(folder: Path) -> Result:
    bars = hourly()
    times = clock(bars, "%d.%m.%Y %H:%M:%S.000 GMT+0000")
    return rows(
        folder, [times, *prices(bars), bars["volume"]], header="Gmt time,Open,High,Low,Close,Volume"
    ), bars


@layout("Nasdaq: dollar signs, month first, newest first", said=("currency sign", "unsorted"))
def _nasdaq(folder: Path) -> Result:
    bars = daily()
    newest = bars.iloc[::-1].reset_index(drop=True)
    dollars = {name: newest[name].map("${:.2f}".format) for name in ("open", "high", "low", "close")}
    columns = [
        clock(newest, "%m/%d/%Y"), dollars["close"], newest["volume"], dollars["open"], dollars["high"],
        dollars["low"],
    ]  # fmt: skip
    return rows(folder, columns, header="Date,Close/Last,Volume,Open,High,Low", name="AAPL.csv"), bars


@layout("Nasdaq: N/A where an index has no volume", said=("no volume",))
def _without_volume(folder: Path) -> Result:
    bars = daily().assign(volume=0.0)
    columns = [clock(bars, "%m/%d/%Y"), *prices(bars), "N/A"]
    return rows(folder, columns, header="Date,Open,High,Low,Close,Volume", name="SPX.csv"), bars


@layout("MetaTrader's export: tabs, date and clock", said=("time zone", "volume"), time_zone="Europe/Athens")
def _metatrader_export(folder: Path) -> Result:
    bars = hourly()
    local = bars.assign(timestamp=bars["timestamp"].dt.tz_convert("Europe/Athens"))
    columns = [
        clock(local, "%Y.%m.%d"), clock(local, "%H:%M:%S"), *prices(bars), bars["volume"], 0, 12,
    ]  # fmt: skip
    header = "\t".join(
        f"<{name}>" for name in ("DATE", "TIME", "OPEN", "HIGH", "LOW", "CLOSE", "TICKVOL", "VOL", "SPREAD")
    )
    return rows(folder, columns, header=header, sep="\t"), bars


@layout("yfinance's history: dividends and splits beside the prices", said=("session dates",))
def _yfinance_history(folder: Path) -> Result:
    bars = daily()
    local = bars["timestamp"].dt.tz_localize(None).dt.tz_localize("America/New_York")
    frame = bars.rename(columns=str.capitalize).rename(columns={"Timestamp": "Date"}).assign(Date=local)
    frame["Dividends"], frame["Stock Splits"] = 0.0, 0.0
    path = folder / "AAPL.csv"
    frame.to_csv(path, index=False)
    return path, bars


@layout("Freqtrade's feather")
def _freqtrade(folder: Path) -> Result:
    bars = hourly()
    path = folder / "BTC_USDT-1h.feather"
    bars.rename(columns={"timestamp": "date"}).assign(date=bars["timestamp"].dt.as_unit("ms")).to_feather(
        path
    )
    return path, bars


@layout("ccxt's lists in a table: epochs in milliseconds", said=("epoch",))
def _ccxt(folder: Path) -> Result:
    bars = hourly()
    path = folder / "BTCUSDT.parquet"
    bars.assign(timestamp=bars["timestamp"].dt.as_unit("ms").astype("int64")).to_parquet(path, index=False)
    return path, bars
