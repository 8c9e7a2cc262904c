"""Splits: their factors are taken out of prices and volume; what only looks like one is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trading_assets.arrays import Floats
from trading_assets.config.settings import IngestPolicy
from trading_assets.market.columns import PRICES
from trading_assets.market.draft import CORRECT, Draft, time_text
from trading_assets.market.report import IngestReport
from trading_assets.market.side_files import read_side_file, split_factors
from trading_assets.market.time_column import Mask

FACTORS = ("split", "adj_factor")
"""Columns of factors in the file of bars itself."""
SPLIT_SIZED = 1.45
"""A jump by this factor between a close and the next open: 3:2 is the smallest common split."""


def adjust_for_splits(bars: Draft, file: Path | None, policy: IngestPolicy, report: IngestReport) -> Draft:
    """Divide prices before each split by its factor; a jump of that size without a factor is refused.

    Factors come from the side file, or else from a column of the bars.
    """
    divisor = np.ones(len(bars.times))
    columns = {name: bars.values[name] for name in FACTORS if name in bars.values}
    bars = replace(bars, values={name: v for name, v in bars.values.items() if name not in columns})
    source = None if file is None else file.name
    if file is None and columns:
        name, column = next(iter(columns.items()))
        source = f"the column '{bars.header[name]}'"
        bars, divisor = _adjust_by_column(bars, name, column, report)
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
        if source is None:
            problem = "a split, a reused symbol, or an error"
            mend = "Put the factors beside the file (SYMBOL.splits.csv: date, factor)"
        elif at_split.any():
            problem = f"a split of {source} does not fit, or the prices are adjusted already"
            mend = f"Correct {source}"
        else:
            problem = f"a split that {source} lacks, a reused symbol, or an error"
            mend = f"Add the factor to {source}"
        if source is not None and file is None:
            mend += " or put all beside the file (SYMBOL.splits.csv: date, factor)"
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


def _adjust_by_column(bars: Draft, name: str, column: Floats, report: IngestReport) -> tuple[Draft, Floats]:
    """Use the factors in a column, unless the prices do not jump by them: then they are adjusted already.

    `split` has the factor on the day of a split, and 1, 0 or nothing on others; `adj_factor` is the product
    of all factors so far, of splits and dividends.
    """
    header = bars.header[name]
    factors = np.ones(len(column))
    if name == "split":
        factors = np.where(np.isnan(column) | (column == 0), 1.0, column)
    else:
        with np.errstate(divide="ignore", invalid="ignore"):
            factors[1:] = column[1:] / column[:-1]
    bad = ~(np.isfinite(factors) & (factors > 0))
    if bad.any():
        report.reject(
            "not a number",
            "is no positive factor",
            CORRECT,
            rows=bars.rows[bad],
            column=header,
            value=f"{column[bad.argmax()]:.10g}",
        )
    steps = np.log(factors[1:])
    large = np.abs(steps) >= np.log(SPLIT_SIZED)
    judged = large if large.any() else steps != 0
    if not judged.any() or (bars.values["open"] <= 0).any() or (bars.values["close"] <= 0).any():
        return bars, np.ones(len(column))
    moves = np.log(bars.values["open"][1:] / bars.values["close"][:-1])
    as_traded = np.abs(moves + steps) < np.abs(moves)
    if as_traded[judged].mean() < 0.5:
        message = f"prices do not jump where '{header}' has factors: they are adjusted already"
        report.repaired("splits", message, column=header)
        return bars, np.ones(len(column))
    divisor = np.append(np.cumprod(factors[:0:-1])[::-1], 1.0)
    message = f"{np.count_nonzero(steps)} factor(s) of '{header}' taken out of prices and volume"
    report.repaired("splits", message, bars.rows[1:][steps != 0], header)
    values = {price: bars.values[price] / divisor for price in PRICES}
    return replace(bars, values={**bars.values, **values, "volume": bars.values["volume"] * divisor}), divisor


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
