"""Volumes of other units, settlements, numbers as people write them, prices out of line."""

from pathlib import Path

import numpy as np
import pandas as pd

from tests.market import samples
from tests.market.layouts.table import daily, hourly, layout, parquet, sound_bars, written

Result = tuple[Path, pd.DataFrame]


def moving(n: int = 60, freq: str = "1h", *, seed: int | None = None) -> pd.DataFrame:
    """Bars whose price moves enough to be recognized in a ratio of volumes."""
    bars = sound_bars(n, freq=freq) if seed is None else samples.sound_bars(n, freq=freq, seed=seed)
    trend = np.linspace(1, 1.4, n)
    for name in ("open", "high", "low", "close"):
        bars[name] = (bars[name] * trend).round(2)
    bars["high"] = bars[["open", "high", "low", "close"]].max(axis=1)
    bars["low"] = bars[["open", "high", "low", "close"]].min(axis=1)
    return bars


def turnover(bars: pd.DataFrame) -> "pd.Series[float]":
    return bars["volume"] * (bars["high"] + bars["low"]) / 2


def with_volumes(
    folder: Path, bars: pd.DataFrame, name: str = "BTCUSDT.csv", **volumes: "pd.Series[float]"
) -> Path:
    path = folder / name
    bars.drop(columns="volume").assign(**volumes).to_csv(path, index=False)
    return path


@layout("Binance COIN-M: contracts of 100 dollars as the volume", said=("volume",))
def _coin_m(folder: Path) -> Result:
    bars = moving()
    return with_volumes(folder, bars, volume=turnover(bars) / 100, quote_volume=bars["volume"]), bars


@layout("Ariva: shares, and euros as Volumen", said=("decimal comma", "volume"))
def _ariva(folder: Path) -> Result:
    bars = moving(60, "1D")
    frame = pd.DataFrame(
        {
            "Datum": bars["timestamp"].dt.strftime("%Y-%m-%d"),
            "Erster": bars["open"],
            "Hoch": bars["high"],
            "Tief": bars["low"],
            "Schlusskurs": bars["close"],
            "Stuecke": bars["volume"],
            "Volumen": turnover(bars),
        }
    )
    path = folder / "BMW.csv"
    frame.to_csv(path, index=False, sep=";", decimal=",")
    return path, bars


@layout("Poloniex: quantity, and amount in the quote currency", said=("volume",))
def _poloniex(folder: Path) -> Result:
    bars = moving()
    return with_volumes(folder, bars, volume=turnover(bars), quantity=bars["volume"]), bars


@layout("BitMEX: volume in dollars, homeNotional in coins", said=("volume",))
def _bitmex(folder: Path) -> Result:
    bars = moving()
    path = with_volumes(
        folder, bars, volume=turnover(bars), homeNotional=bars["volume"], trades=bars["volume"] // 1
    )
    return path, bars


@layout("volume and quote volume under each other's names", said=("volume",))
def _swapped_volumes(folder: Path) -> Result:
    bars = moving()
    return with_volumes(folder, bars, quote_volume=bars["volume"], volume=turnover(bars)), bars


@layout("two volumes, neither of them the other times the price", said=("volume",))
def _two_volumes(folder: Path) -> Result:
    bars = moving()
    return with_volumes(folder, bars, volume=bars["volume"], qty=bars["volume"] * 3.7), bars


@layout("akshare: lots of 100 shares, Chinese names", said=("volume",))
def _akshare(folder: Path) -> Result:
    bars = moving(60, "1D").assign(volume=lambda b: (b["volume"] * 100).round(-2))
    names = ["日期", "开盘", "收盘", "最高", "最低", "成交量", "成交额"]
    columns = [
        bars["timestamp"].dt.strftime("%Y-%m-%d"), bars["open"], bars["close"], bars["high"], bars["low"],
        bars["volume"] / 100, turnover(bars),
    ]  # fmt: skip
    path = folder / "600000.csv"
    pd.DataFrame(dict(zip(names, columns, strict=True))).to_csv(path, index=False)
    return path, bars


@layout("Tushare: lots of 100 shares and thousands of yuan", said=("unsorted", "volume"), symbol="600000.SH")
def _tushare(folder: Path) -> Result:
    bars = moving(60, "1D").assign(volume=lambda b: (b["volume"] * 100).round(-2))
    frame = pd.DataFrame(
        {
            "ts_code": "600000.SH",
            "trade_date": bars["timestamp"].dt.strftime("%Y%m%d"),
            **{name: bars[name] for name in ("open", "high", "low", "close")},
            "pre_close": bars["close"].shift(fill_value=100.0),
            "vol": bars["volume"] / 100,
            "amount": turnover(bars) / 1_000,
        }
    )
    path = folder / "600000.SH.csv"
    frame[::-1].to_csv(path, index=False)
    return path, bars


@layout("-1 where there is no volume", said=("no volume",))
def _minus_one(folder: Path) -> Result:
    bars = hourly().assign(volume=0.0)
    return with_volumes(folder, bars, volume=bars["volume"] - 1), bars


@layout("MetaTrader: changes of the price as the volume", said=("volume",))
def _tick_volume(folder: Path) -> Result:
    return with_volumes(folder, hourly(), tick_volume=hourly()["volume"]), hourly()


@layout("CME continuous futures: an empty last, then the settlement", said=("close",))
def _futures(folder: Path) -> Result:
    bars = daily()
    frame = bars.drop(columns=["close"]).assign(Last="", Change=0.1, Settle=bars["close"])
    path = folder / "CL1.csv"
    frame.to_csv(path, index=False)
    return path, bars


@layout("futures with an empty close, then the settlement", said=("close",))
def _empty_close(folder: Path) -> Result:
    bars = daily()
    path = folder / "CL1.csv"
    bars.drop(columns=["close"]).assign(Close="", Settle=bars["close"]).to_csv(path, index=False)
    return path, bars


@layout("a volume that says that it is in dollars, alone", said=("volume",))
def _dollars(folder: Path) -> Result:
    bars = hourly()
    return with_volumes(folder, bars, volume_usd=bars["volume"]), bars


@layout("high and low under each other's names", said=("columns",))
def _swapped_prices(folder: Path) -> Result:
    frame = hourly().rename(columns={"high": "low", "low": "high"})
    return written(folder, frame, frame["timestamp"]), hourly()


@layout("numbers with thousands in quotes", said=("thousands",) * 4)
def _thousands(folder: Path) -> Result:
    bars = hourly().assign(
        **{name: (hourly()[name] * 100).round(2) for name in ("open", "high", "low", "close")}
    )
    texts = {name: bars[name].map("{:,.2f}".format) for name in ("open", "high", "low", "close")}
    return written(folder, bars.assign(**texts), bars["timestamp"].astype(str)), bars


@layout("numbers with points for thousands and decimal commas", said=("decimal comma", *["thousands"] * 4))
def _european(folder: Path) -> Result:
    bars = hourly().assign(
        **{name: (hourly()[name] * 100).round(2) for name in ("open", "high", "low", "close")}
    )
    swap = str.maketrans(",.", ".,")
    texts = {
        name: bars[name].map(lambda x: f"{x:,.2f}".translate(swap))
        for name in ("open", "high", "low", "close")
    }
    texts["volume"] = bars["volume"].map(lambda x: f"{x:.2f}".translate(swap))
    path = folder / "BTCUSDT.csv"
    bars.assign(**texts).to_csv(path, index=False, sep=";")
    return path, bars


@layout("Investing.com: the close as price, volumes in K and M, newest first", said=("unsorted", "units"))
def _investing(folder: Path) -> Result:
    bars = daily(12, "2024-01-15").assign(volume=[950.0, *np.arange(1, 12) * 120_000.0])
    volume = [f"{v / 1e6:.2f}M" if v >= 1e6 else f"{v / 1e3:.2f}K" for v in bars["volume"]]
    frame = pd.DataFrame(
        {
            "Date": bars["timestamp"].dt.strftime("%m/%d/%Y"),
            "Price": bars["close"],
            "Open": bars["open"],
            "High": bars["high"],
            "Low": bars["low"],
            "Vol.": volume,
            "Change %": "0.10%",
        }
    )
    path = folder / "BTCUSDT.csv"
    frame[::-1].to_csv(path, index=False)
    return path, bars


@layout("Barchart: a footer line", said=("footer",))
def _footer(folder: Path) -> Result:
    bars = daily()
    path = written(folder, bars, bars["timestamp"].dt.strftime("%Y-%m-%d"))
    path.write_text(path.read_text() + '"Downloaded from Barchart.com as of 11-26-2024 04:06pm CST"\n')
    return path, bars


@layout("rows without any value, of days on which other markets were open", said=("empty rows",))
def _empty_rows(folder: Path) -> Result:
    bars = daily()
    holes = bars.copy()
    holes.loc[[4, 9], ["open", "high", "low", "close", "volume"]] = np.nan
    return parquet(folder, holes, holes["timestamp"]), bars.drop([4, 9]).reset_index(drop=True)


@layout("prices that can be thousands or have a decimal comma", said=("decimal comma", "decimal comma"))
def _either(folder: Path) -> Result:
    bars = hourly().assign(**{name: hourly()[name].round(1) for name in ("open", "high", "low", "close")})
    texts = {
        name: bars[name].map(lambda x: f"{x:.3f}".replace(".", ","))
        for name in ("open", "high", "low", "close")
    }
    path = folder / "BTCUSDT.csv"
    bars.assign(**texts).drop(columns="volume").assign(volume="7").to_csv(path, index=False, sep=";")
    return path, bars.assign(volume=7.0)


@layout("prices between semicolons whose points can be between thousands", said=("decimal comma",))
def _either_point(folder: Path) -> Result:
    path, bars = _either(folder)
    path.write_text(path.read_text().replace(",", "."))
    return path, bars


@layout("prices that can be thousands, set as such", said=("thousands",) * 4, decimal=".")
def _either_set(folder: Path) -> Result:
    path, bars = _either(folder)
    prices = {name: (bars[name] * 1_000).round() for name in ("open", "high", "low", "close")}
    return path, bars.assign(**prices)


@layout("closes a rounding outside high and low", said=("high and low",))
def _rounded_closes(folder: Path) -> Result:
    bars = hourly().copy()
    bars.loc[5, "close"] = bars.loc[5, "high"]
    frame = bars.copy()
    frame.loc[5, "close"] *= 1 + 4e-7
    frame["high"] += 1e-12  # no decimal fits all highs
    return parquet(folder, frame, frame["timestamp"]), frame.assign(high=frame[["high", "close"]].max(axis=1))


@layout("closes outside high and low by a coarser tick", refused=("market.tick_size", "row 6, column 'high'"))
def _outside(folder: Path) -> Result:
    bars = hourly().copy()
    bars.loc[5, "close"] = bars.loc[5, "high"] + 0.03
    return parquet(folder, bars, bars["timestamp"]), bars


@layout(
    "one price twice too high, and back", refused=("bad print", "BTCUSDT.csv, row 21", "SYMBOL.exclude.csv")
)
def _bad_print(folder: Path) -> Result:
    bars = hourly().copy()
    bars.loc[20, ["high", "close"]] = 201.0
    return written(folder, bars, bars["timestamp"].astype(str)), bars


@layout("one price twice too high, left out by a side file", said=("excluded",))
def _excluded(folder: Path) -> Result:
    path, bars = _bad_print(folder)
    (folder / "BTCUSDT.exclude.csv").write_text(
        f"timestamp,why\n{bars['timestamp'][20].isoformat()},bad print\n"
    )
    return path, bars.drop(20).reset_index(drop=True)
