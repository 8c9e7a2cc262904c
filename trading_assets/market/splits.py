"""Splits: their factors are taken out of prices and volume; what only looks like one is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trading_assets.config.settings import IngestPolicy
from trading_assets.market.columns import PRICES
from trading_assets.market.draft import Draft, Floats, time_text
from trading_assets.market.report import IngestReport
from trading_assets.market.side_files import read_side_file, split_factors
from trading_assets.market.time_column import Mask

SPLIT_SIZED = 1.45
"""A jump by this factor between a close and the next open: 3:2 is the smallest common split."""


def adjust_for_splits(bars: Draft, file: Path | None, policy: IngestPolicy, report: IngestReport) -> Draft:
    """Divide prices before each split by its factor; a jump of that size without a factor is refused."""
    divisor = np.ones(len(bars.times))
    if file is not None:
        at, factors = read_side_file(file, "splits", policy.time_zone or "UTC")
        divisor = split_factors(bars.times, at, factors)
        values = {name: bars.values[name] / divisor for name in PRICES}
        bars = replace(bars, values={**bars.values, **values, "volume": bars.values["volume"] * divisor})
        _report_splits(bars.times, at, file, report)
    if (bars.values["close"] <= 0).any() or (bars.values["open"] <= 0).any():
        return bars
    ratio = bars.values["open"][1:] / bars.values["close"][:-1]
    jumps = (ratio >= SPLIT_SIZED) | (ratio <= 1 / SPLIT_SIZED)
    if not jumps.any():
        return bars
    if not policy.accept_jumps:
        _refuse_bad_print(bars, jumps, divisor, report)
    at_split = jumps & (divisor[1:] != divisor[:-1])
    refused = at_split if at_split.any() else jumps
    if not policy.accept_jumps:
        if file is None:
            problem = "a split, a reused symbol, or an error"
            mend = "Put the factors beside the file (SYMBOL.splits.csv: date, factor)"
        elif at_split.any():
            problem = f"a split of {file.name} does not fit, or the prices are adjusted already"
            mend = f"Correct {file.name}"
        else:
            problem = f"a split that {file.name} lacks, a reused symbol, or an error"
            mend = f"Add the factor to {file.name}"
        first = int(refused.argmax()) + 1
        report.reject(
            "split-sized jump",
            f"is {ratio[first - 1]:.4g} times the close before it: {problem}",
            f"{mend}, or set market.accept_jumps if the price really moved so.",
            rows=bars.rows[1:][refused],
            column=bars.header["open"],
            value=f"{bars.values['open'][first]:.10g}",
        )
    report.warned(
        "jump", "opens a split's size away from the close before", bars.rows[1:][jumps], bars.header["open"]
    )
    return bars


def _refuse_bad_print(bars: Draft, jumps: Mask, divisor: Floats, report: IngestReport) -> None:
    """One bar whose open or close is out of line with both its neighbours, which agree with each other.

    Beside a split it is the split's date that is wrong.
    """
    before, after = bars.values["close"][:-2], bars.values["open"][2:]
    agree = (np.abs(np.log(after / before)) < np.log(SPLIT_SIZED)) & (divisor[2:] == divisor[:-2])
    for name in ("open", "close"):
        price = bars.values[name][1:-1]
        up, down = np.log(price / before), np.log(price / after)
        off = (np.minimum(np.abs(up), np.abs(down)) >= np.log(SPLIT_SIZED)) & (up * down > 0)
        alone = off & agree & (jumps[:-1] | jumps[1:])
        if alone.any():
            bad = np.flatnonzero(alone) + 1
            first = int(bad[0])
            report.reject(
                "bad print",
                f"is {np.exp(up[first - 1]):.4g} times the close before it, and the next bar is back: "
                "a bad print",
                f"Leave the bar out: write its time, {time_text(bars.times[first])}, into "
                "SYMBOL.exclude.csv beside the file (column timestamp), or set market.accept_jumps if the "
                "price really moved so.",
                rows=bars.rows[bad],
                column=bars.header[name],
                value=f"{bars.values[name][first]:.10g}",
            )


def _report_splits(times: NDArray[np.int64], at: NDArray[np.int64], file: Path, report: IngestReport) -> None:
    within = int(((at > times[0]) & (at <= times[-1])).sum())
    later = int((at > times[-1]).sum())
    if within + later == 0:
        report.warned("splits", f"none of the {len(at)} split(s) of {file.name} lies within the bars")
        return
    counts = [(within, "within the bars"), (later, "after the last bar")]
    found = " and ".join(f"{count} {where}" for count, where in counts if count)
    report.repaired("splits", f"split(s) of {file.name} taken out of prices and volume: {found}")
