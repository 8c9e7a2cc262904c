"""Any honest file in, nothing wrong through: reads bars, repairs what can be, rejects what cannot."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from trading_assets.arguments import as_path, require
from trading_assets.arrays import Floats
from trading_assets.config.settings import IngestPolicy
from trading_assets.errors import BarsRejected
from trading_assets.market.bars import COLUMNS, check_symbol, symbol_of
from trading_assets.market.checks import check_gaps, check_values, enclose
from trading_assets.market.columns import FUNDING, PRICES
from trading_assets.market.draft import CORRECT, Draft
from trading_assets.market.files import read_file
from trading_assets.market.intervals import (
    in_order,
    length_of,
    one_interval,
    refuse_future,
    without_unfinished_bar,
)
from trading_assets.market.numbers import read_numbers, read_numbers_or_0
from trading_assets.market.oddities import warn_of_oddities, warn_of_shifts
from trading_assets.market.origins import check_origin
from trading_assets.market.quarantine import quarantine
from trading_assets.market.raw import RawBars
from trading_assets.market.report import IngestReport, listed
from trading_assets.market.side_files import (
    funding_of_bars,
    funding_within_bars,
    read_excluded,
    read_side_file,
    side_file,
)
from trading_assets.market.splits import FACTORS, adjust_for_splits
from trading_assets.market.stamps import open_times
from trading_assets.market.time_column import DAY
from trading_assets.market.times import read_times
from trading_assets.representation import one_line


@dataclass(frozen=True)
class IngestResult:
    """The bars of a file, and what was found in it.

    Attributes
    ----------
    bars : DataFrame
        `timestamp` (datetime64[ns, UTC], the bar's open), `open`, `high`, `low`, `close`, `volume`
        (float64), `funding_rate` where the symbol has one, and `funding_within`, the part of it that fell
        due after the open, where any of it did.
    report : IngestReport
        Every repair and warning.

    Examples
    --------
    See `read_bars`.
    """

    bars: pd.DataFrame
    report: IngestReport

    __repr__ = one_line


def read_bars(
    path: str | Path,
    *,
    symbol: str | None = None,
    interval: str | pd.Timedelta | None = None,
    policy: IngestPolicy | None = None,
) -> IngestResult:
    """Read a file of bars, whatever its format, and see to it that they keep the contract.

    Parameters
    ----------
    path : path
        CSV in any dialect (also gzip or zip), Parquet or Feather; recognized by content. Never altered.
    symbol : str, optional
        Picks the rows of one symbol, and the side files; by default the file's name.
    interval : str or Timedelta, optional
        What the bars must be, for instance '1h'. By default the commonest distance.
    policy : IngestPolicy, optional

    Returns
    -------
    IngestResult

    Raises
    ------
    BarsRejected
        What cannot be repaired, with file, row, column, value and remedy. With `policy.quarantine_dir`
        the file is copied there, with the report beside it; so is a side file that is at fault.
    MarketError
        When there is no such file, symbol or interval.
    SettingsError
        When there is no such calendar.

    Examples
    --------
    >>> import tempfile
    >>> from trading_assets.market import SyntheticMarket
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     SyntheticMarket("price", 1.0, n_bars=100).write(Path(folder), "SYN")
    ...     read = read_bars(f"{folder}/SYN.parquet")
    >>> len(read.bars), read.report.warnings
    (100, [])
    """
    path, policy = as_path("path", path), IngestPolicy() if policy is None else policy
    require("policy", policy, IngestPolicy)
    if symbol is not None:
        check_symbol(symbol)
    wanted = length_of(interval) if interval is not None else None
    report = IngestReport(str(path))
    try:
        bars = _read(path, symbol, wanted, policy, report)
    except BarsRejected as rejection:
        if policy.quarantine_dir is not None:
            quarantine(path, policy.quarantine_dir, report, str(rejection))
            if isinstance(rejection.report, IngestReport) and rejection.report is not report:
                side = Path(rejection.report.file)
                quarantine(side, policy.quarantine_dir, rejection.report, str(rejection))
        raise
    return IngestResult(bars, report)


def _read(
    path: Path, symbol: str | None, interval: pd.Timedelta | None, policy: IngestPolicy, report: IngestReport
) -> pd.DataFrame:
    raw = read_file(path, report, symbol=symbol, decimal=policy.decimal)
    report.rows_read, report.columns = len(raw), raw.header
    own = symbol or symbol_of(path) or path.stem
    raw = _of_symbol(raw, symbol, symbol or symbol_of(path), report)
    values = {name: read_numbers(raw, name, report) for name in PRICES}
    raw, values = _without_empty_rows(raw, values, report)
    values["volume"] = read_numbers_or_0(raw, "volume", report)
    for name in FUNDING:
        if name in raw.columns:
            values[name] = read_numbers_or_0(raw, name, report)
    values |= {name: read_numbers(raw, name, report) for name in FACTORS if name in raw.columns}
    if policy.decimal is not None and not report.format.startswith("csv"):
        message = f"market.decimal is '{policy.decimal}', but the file is {report.format}, not text"
        report.warned("setting not used", message)
    stamps = read_times(raw, policy.time_zone, report, day_first=policy.day_first)
    check_origin(stamps, policy.calendar, report, raw.header["timestamp"])
    bars = Draft(stamps.utc, stamps.wall, stamps.zone, values, raw.rows, raw.header)
    check_values(bars, policy, report)
    bars, length = open_times(in_order(bars, report), interval, policy, report)
    now = int(datetime.now(UTC).timestamp() * 1e9)
    refuse_future(bars, now, report)
    bars = one_interval(bars, length, report)
    bars = _without_excluded(bars, side_file(path, own, "exclude"), policy, report)
    bars = enclose(bars, policy, report)
    report.interval_seconds = length / 1e9
    if len(bars) > 1 or interval is not None:
        bars = without_unfinished_bar(bars, length, now, report)
    check_gaps(bars, length, policy, report)
    bars = adjust_for_splits(bars, side_file(path, own, "splits"), policy, report)
    warn_of_oddities(bars, report)
    warn_of_shifts(bars, policy, report)
    if (funding := side_file(path, own, "funding")) is not None:
        bars = _with_funding(bars, funding, length, policy, report)
    report.rows_kept = len(bars)
    frame = pd.DataFrame({"timestamp": pd.DatetimeIndex(bars.times, tz="UTC"), **bars.values}, copy=False)
    return frame[[*COLUMNS, *(name for name in frame if name not in COLUMNS)]]


def _without_excluded(bars: Draft, file: Path | None, policy: IngestPolicy, report: IngestReport) -> Draft:
    if file is None:
        return bars
    excluded = read_excluded(file, policy.time_zone or "UTC")
    found = np.isin(bars.times, excluded)
    if found.any():
        message = f"bar(s) left out as {file.name} says: {np.count_nonzero(found)}"
        report.repaired("excluded", message, bars.rows[found])
    if n_others := np.count_nonzero(~np.isin(excluded, bars.times)):
        report.warned("excluded", f"{n_others} of {len(excluded)} times of {file.name} are of no bar")
    return bars.take(~found)


def _with_funding(
    bars: Draft, file: Path, interval: int, policy: IngestPolicy, report: IngestReport
) -> Draft:
    at, rates = read_side_file(file, "funding", policy.time_zone or "UTC")
    outside = (bars.times + interval <= at[0]) | (bars.times > at[-1] + 2 * DAY)
    if outside.any():
        message = f"{file.name} does not reach these; it is taken as 0"
        report.warned("no funding rate", message, bars.rows[outside])
    values = {name: column for name, column in bars.values.items() if name not in FUNDING}
    values["funding_rate"] = funding_of_bars(bars.times, interval, at, rates)
    within = funding_within_bars(bars.times, interval, at, rates)
    if within.any():
        values["funding_within"] = within
    return replace(bars, values=values)


def _without_empty_rows(
    raw: RawBars, values: dict[str, Floats], report: IngestReport
) -> tuple[RawBars, dict[str, Floats]]:
    """Without rows that have no price and no volume, as tables joined over several markets have them."""
    empty = np.isnan(values["close"])
    if empty.any():
        empty = np.logical_and.reduce([np.isnan(column) for column in values.values()])
    if not empty.any() or empty.all():
        return raw, values
    if "volume" in raw.columns:
        volume = read_numbers(raw, "volume", report)
        empty &= np.isnan(volume) | (volume == 0)
    report.repaired("empty rows", "rows without any value left out", raw.rows[empty])
    kept = {name: column[~empty] for name, column in values.items()}
    return raw.take(pa.chunked_array([pa.array(~empty)])), kept


def _of_symbol(raw: RawBars, symbol: str | None, own: str | None, report: IngestReport) -> RawBars:
    """The rows of one symbol, where the file names them; `own` is the one they are taken for."""
    if "symbol" not in raw.columns:
        return raw
    names, header = raw.columns["symbol"].cast(pa.string()), raw.header["symbol"]
    if names.null_count:
        unnamed = raw.rows[names.is_null().to_numpy()]
        report.reject("no symbol", "the symbol is missing", CORRECT, rows=unnamed, column=header)
    there = [str(name) for name in pc.unique(names).to_pylist()]
    if len(there) == 1:
        if own is not None and not _same_symbol(there[0], own):
            report.warned(
                "other symbol", f"the file says {listed(there)}; it is read as {own}", column=header
            )
        return raw
    wanted = _SEPARATORS.sub("", symbol) if symbol else None
    chosen = [name for name in there if _SEPARATORS.sub("", name.upper()) == wanted]
    if len(chosen) != 1:
        report.reject(
            "several symbols",
            f"holds {len(there)} symbols: {listed(there)}" + (f", none of them {symbol}" if symbol else ""),
            "Name the file after the one that is meant, say it (symbol=..., --symbol), or split the file.",
            column=header,
        )
    report.repaired("several symbols", f"only the rows of {chosen[0]} were read, of {listed(there)}")
    return raw.take(pc.equal(names, chosen[0]))


_SEPARATORS = re.compile(r"[-_/ ]")


def _same_symbol(name: str, symbol: str) -> bool:
    """BTC/USDT is BTCUSDT, and so is BTC_USDT-1H, which only has more."""
    parts = _SEPARATORS.split(symbol)
    runs = {"".join(parts[i:j]) for i in range(len(parts)) for j in range(i + 1, len(parts) + 1)}
    return _SEPARATORS.sub("", name.upper()) in runs
