"""What every bar has to keep: finite, positive prices, enclosed by high and low, without long gaps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from trading_assets.arrays import Floats
from trading_assets.config.settings import IngestPolicy
from trading_assets.market.columns import FUNDING, PRICES
from trading_assets.market.draft import CORRECT, Draft, time_text
from trading_assets.market.report import IngestReport, duration
from trading_assets.market.sessions import closed_between
from trading_assets.market.side_files import LARGEST_RATE
from trading_assets.market.time_column import DAY

ROUNDING = 1e-6
"""Of a price: by so much rounding may move a close out of high and low."""
LARGEST = 1e15
"""No price or volume is larger; 1e308 stands for a missing value somewhere upstream."""


def check_values(bars: Draft, policy: IngestPolicy, report: IngestReport) -> None:
    def refuse(bad: NDArray[np.bool_], name: str, kind: str, problem: str, remedy: str = CORRECT) -> None:
        if bad.any():
            found = np.flatnonzero(bad)
            value = bars.values[name][found[0]]
            report.reject(
                kind,
                problem,
                remedy,
                rows=bars.rows[found],
                column=bars.header.get(name, name),
                value=f"{value:.10g}",
            )

    for name in PRICES:
        price = bars.values[name]
        refuse(np.isnan(price), name, "no price", "is no price")
        refuse(np.isinf(price), name, "not finite", "is not finite")
        refuse(np.abs(price) > LARGEST, name, "not finite", "is too large to be a price")
        if not policy.allow_negative_prices:
            hint = f"{CORRECT} Instruments that may go below zero set market.allow_negative_prices."
            refuse(price <= 0, name, "not positive", "is not positive", hint)
    volume = bars.values["volume"]
    refuse(~np.isfinite(volume), "volume", "not finite", "is not finite")
    refuse(np.abs(volume) > LARGEST * 1e3, "volume", "not finite", "is too large to be a volume")
    refuse(volume < 0, "volume", "negative volume", "is negative")
    for name in FUNDING:
        if name in bars.values:
            rate = np.abs(bars.values[name])
            refuse(~(rate <= LARGEST_RATE), name, "no funding rate", "is no rate within +-1")


def enclose(bars: Draft, policy: IngestPolicy, report: IngestReport) -> Draft:
    """High and low enclose open and close: off by one tick they are moved, by more refused."""
    o, h, low, c = (bars.values[name] for name in PRICES)
    top, bottom = np.maximum(o, c), np.minimum(o, c)
    crossed = h < low
    under, over = top - h, low - bottom
    wrong = (under > 0) | (over > 0) | crossed
    if not wrong.any():
        return bars
    tick = policy.tick_size or written_tick(np.stack([h, low]))
    allowed = np.maximum(tick * (1 + 1e-6), ROUNDING * np.abs(c))
    for name, bad, problem in (
        ("high", crossed & (low - h > allowed), "lies below the bar's low"),
        ("high", under > allowed, "lies below the bar's open or close"),
        ("low", over > allowed, "lies above the bar's open or close"),
    ):
        if bad.any():
            found = np.flatnonzero(bad)
            report.reject(
                "high and low",
                f"{problem} by more than a tick ({tick:g})",
                f"{CORRECT} If prices are rounded to coarser ticks, set market.tick_size.",
                rows=bars.rows[found],
                column=bars.header[name],
                value=f"{bars.values[name][found[0]]:.10g}",
            )
    message = f"high or low within one tick ({tick:g}) or a millionth of the body moved to it"
    report.repaired("high and low", message, bars.rows[wrong])
    prices = np.stack([o, h, low, c])
    values = {**bars.values, "high": prices.max(axis=0), "low": prices.min(axis=0)}
    return replace(bars, values=values)


def written_tick(prices: Floats) -> float:
    """The last decimal that all prices are written with; 0 where they have no such decimal.

    Of highs and lows, which are traded prices: opens and closes may be averages with more decimals.
    """
    for decimals in range(9):
        scaled = prices * 10.0**decimals
        if (np.abs(scaled - np.round(scaled)) <= 1e-9 * np.abs(scaled)).all():
            return float(10.0**-decimals)
    return 0.0


def check_gaps(bars: Draft, interval: int, policy: IngestPolicy, report: IngestReport) -> None:
    if len(bars.times) < 2:
        return
    missing = closed_between(bars.times, interval, policy.calendar)
    after = np.flatnonzero(missing >= interval) + 1
    if len(after) == 0:
        return
    longest = int(missing.max())
    too_long = np.flatnonzero(missing > policy.max_gap_days * DAY) + 1
    if len(too_long):
        place = int(too_long[0])
        report.reject(
            "gap",
            f"comes {duration(missing[place - 1])} after the end of the bar before it "
            f"(row {bars.rows[place - 1]}; allowed: {policy.max_gap_days:g} days)",
            "Bring the bars between, cut the file, or raise market.max_gap_days.",
            rows=bars.rows[too_long],
            column=bars.header["timestamp"],
            value=time_text(bars.times[place]),
        )
    hint = "" if policy.calendar else "; market.calendar tells nights and holidays from gaps"
    report.warned("gap", f"bars missing before these, at most {duration(longest)}{hint}", bars.rows[after])
