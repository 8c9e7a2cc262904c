"""Any honest file in, nothing wrong through: reads bars, repairs what can be, rejects what cannot."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from trading_assets.arguments import as_path, require
from trading_assets.config.settings import IngestPolicy
from trading_assets.errors import BarsRejected, MarketError
from trading_assets.market.alignment import shifted_opens
from trading_assets.market.bars import COLUMNS, check_symbol, symbol_of
from trading_assets.market.columns import FUNDING, PRICES
from trading_assets.market.files import RawBars, read_file
from trading_assets.market.report import Finding, IngestReport, duration, listed
from trading_assets.market.sessions import closed_between
from trading_assets.market.side_files import (
    LARGEST_RATE,
    funding_of_bars,
    funding_within_bars,
    read_side_file,
    side_file,
    split_factors,
)
from trading_assets.market.times import DAY, read_times
from trading_assets.registry.digests import sha256_file
from trading_assets.registry.files import replacing
from trading_assets.representation import one_line

Floats = NDArray[np.float64]

LARGEST = 1e15
"""No price or volume is larger; 1e308 stands for a missing value somewhere upstream."""
SPLIT_SIZED = 1.45
"""A jump by this factor between a close and the next open: 3:2 is the smallest common split."""
SPIKE_SIGMAS, WICK_SIGMAS = 10.0, 15.0
"""Liquidations make wicks of more than 10 deviations in sound hours of crypto, hardly any of more than 15."""
SPIKE_WINDOW, SPIKE_MIN = 240, 30
FLAT_RUN = 12
TICK_SAMPLE = 1_000
"""Bars that show the tick size where it need only be about right."""
CORRECT = "Correct or remove the row."


@dataclass(frozen=True)
class IngestResult:
    """Attributes
    ----------
    bars : DataFrame
        `timestamp` (datetime64[ns, UTC], the bar's open), `open`, `high`, `low`, `close`, `volume`
        (float64), `funding_rate` where the symbol has one, and `funding_within`, the part of it that fell
        due after the open, where any of it did.
    report : IngestReport
        Every repair and warning.
    """

    bars: pd.DataFrame
    report: IngestReport

    __repr__ = one_line


@dataclass(frozen=True)
class _Bars:
    """Bars on their way: times in nanoseconds, and the rows of the file that they came from."""

    times: NDArray[np.int64]
    values: dict[str, Floats]
    rows: NDArray[np.int64]
    header: dict[str, str]
    """The file's own names of the columns, for messages."""

    def take(self, index: NDArray[np.int64] | NDArray[np.bool_]) -> _Bars:
        values = {name: column[index] for name, column in self.values.items()}
        return replace(self, times=self.times[index], values=values, rows=self.rows[index])


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
        CSV in any dialect (also gzip or zip), Parquet or Feather; recognised by content. Never altered.
    symbol : str, optional
        Picks the rows of one symbol, and the side files; by default the file's name.
    interval : str or Timedelta, optional
        What the bars must be, for instance '1h'. By default the commonest distance.
    policy : IngestPolicy, optional

    Raises
    ------
    BarsRejected
        What cannot be repaired, with file, row, column, value and remedy. With `policy.quarantine_dir`
        the file is copied there, with the report beside it; so is a side file that is at fault.
    MarketError
        When there is no such file, symbol or interval.
    SettingsError
        When there is no such calendar.
    """
    path, policy = as_path("path", path), IngestPolicy() if policy is None else policy
    require("policy", policy, IngestPolicy)
    if symbol is not None:
        check_symbol(symbol)
    wanted = _length(interval) if interval is not None else None
    report = IngestReport(str(path))
    try:
        bars = _read(path, symbol, wanted, policy, report)
    except BarsRejected as rejection:
        if policy.quarantine_dir is not None:
            _quarantine(path, policy.quarantine_dir, report, str(rejection))
            if isinstance(rejection.report, IngestReport) and rejection.report is not report:
                side = Path(rejection.report.file)
                _quarantine(side, policy.quarantine_dir, rejection.report, str(rejection))
        raise
    return IngestResult(bars, report)


def _length(interval: str | pd.Timedelta) -> pd.Timedelta:
    try:
        length = pd.Timedelta(interval)
    except (ValueError, OverflowError):
        length = pd.Timedelta(0)
    if length > pd.Timedelta(0):  # as NaT is not
        return length
    raise MarketError(f"'{interval}' is no interval of bars: use for instance '5min', '1h' or '1D'.")


def _read(
    path: Path, symbol: str | None, interval: pd.Timedelta | None, policy: IngestPolicy, report: IngestReport
) -> pd.DataFrame:
    raw = read_file(path, report)
    report.rows_read = len(raw)
    own = symbol or symbol_of(path) or path.stem
    raw = _of_symbol(raw, symbol, symbol or symbol_of(path), report)
    values = {name: _numbers(raw, name, report) for name in PRICES}
    values["volume"] = _numbers_or_0(raw, "volume", report)
    for name in FUNDING:
        if name in raw.columns:
            values[name] = _numbers_or_0(raw, name, report)
    bars = _Bars(read_times(raw, policy.time_zone, report), values, raw.rows, raw.header)
    _check_values(bars, policy, report)
    now = int(datetime.now(UTC).timestamp() * 1e9)
    _refuse_future(bars, now, report)
    bars = _in_order(bars, report)
    bars = _enclose(bars, policy, report)
    length = _interval(bars, interval, report)
    report.interval_seconds = length / 1e9
    if len(bars.times) > 1 or interval is not None:
        bars = _without_unfinished_bar(bars, length, now, report)
    _check_gaps(bars, length, policy, report)
    bars = _adjust_for_splits(bars, side_file(path, own, "splits"), policy, report)
    _warn_of_oddities(bars, report)
    _warn_of_shifts(bars, policy, report)
    if (funding := side_file(path, own, "funding")) is not None:
        at, rates = read_side_file(funding, "funding", policy.time_zone or "UTC")
        bars.values["funding_rate"] = funding_of_bars(bars.times, length, at, rates)
        within = funding_within_bars(bars.times, length, at, rates)
        bars.values.pop("funding_within", None)
        if within.any():
            bars.values["funding_within"] = within
        outside = (bars.times + length <= at[0]) | (bars.times > at[-1] + 2 * DAY)
        if outside.any():
            report.warned(
                "no funding rate",
                f"{funding.name} does not reach these; it is taken as 0",
                bars.rows[outside],
            )
    report.rows_kept = len(bars.times)
    frame = pd.DataFrame({"timestamp": pd.DatetimeIndex(bars.times, tz="UTC"), **bars.values}, copy=False)
    return frame[[*COLUMNS, *(name for name in frame if name not in COLUMNS)]]


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
            "Say which one is meant (symbol=...), or write a file for each.",
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


def _numbers(raw: RawBars, name: str, report: IngestReport) -> Floats:
    """A column as float64, NaN where it is empty; text in it is refused."""
    column, header = raw.columns[name], raw.header[name]
    kind = column.type
    if pa.types.is_decimal(kind):  # by way of text, which Arrow rounds correctly
        column = column.cast(pa.string()).cast(pa.float64())
    if pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind):
        return np.require(column.cast(pa.float64(), safe=False).to_numpy(), np.float64, "W")
    if pa.types.is_null(kind):
        return np.full(len(column), np.nan)
    bad = np.ones(len(column), dtype=bool)
    if pa.types.is_string(kind):
        text = pc.utf8_trim_whitespace(column)
        empty = pc.fill_null(pc.is_in(pc.utf8_lower(text), value_set=_EMPTY), True)
        empty = pc.or_(empty, pc.is_null(text))
        text = pc.if_else(empty, None, text)
        bad = ~pc.fill_null(pc.match_substring_regex(text, _NUMBERS[raw.decimal]), True).to_numpy()
        if not bad.any():
            plain = pc.replace_substring(pc.utf8_ltrim(text, "+"), ",", ".")
            return np.array(plain.cast(pa.float64()).to_numpy(), dtype=np.float64)
    value = column[int(bad.argmax())].as_py()
    report.reject(
        "not a number", "is not a number", CORRECT, rows=raw.rows[bad], column=header, value=f"'{value}'"
    )


_EMPTY = pa.array(["", "nan", "na", "n/a", "null", "none", "#n/a", "-nan"])
_NUMBERS = {
    mark: rf"^[+-]?(\d+[{mark}]?\d*|[{mark}]\d+)([eE][+-]?\d+)?$|^[+-]?(?i:inf(inity)?)$" for mark in ".,"
}


def _numbers_or_0(raw: RawBars, name: str, report: IngestReport) -> Floats:
    """A column that may be missing or have holes, which count as 0."""
    kind = f"no {name.replace('_', ' ')}"
    if name not in raw.columns:
        report.warned(kind, f"there is no {name} column; it is taken as 0")
        return np.zeros(len(raw))
    numbers = _numbers(raw, name, report)
    missing = np.isnan(numbers)
    if missing.any():
        report.warned(kind, f"the {name} is missing; it is taken as 0", raw.rows[missing], raw.header[name])
        numbers[missing] = 0.0
    return numbers


def _check_values(bars: _Bars, policy: IngestPolicy, report: IngestReport) -> None:
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


def _in_order(bars: _Bars, report: IngestReport) -> _Bars:
    """Sorted by time, exact duplicates left out; one time with two sets of values is refused."""
    step = np.diff(bars.times)
    if (step < 0).any():
        if (step <= 0).all():
            report.repaired("unsorted", "the rows were in descending order and have been turned round")
        else:
            report.repaired("unsorted", "rows before an earlier row, put in order", bars.rows[1:][step < 0])
        bars = bars.take(np.argsort(bars.times, kind="stable"))
        step = np.diff(bars.times)
    again = np.concatenate([[False], step == 0])
    if not again.any():
        return bars
    same = again.copy()
    for column in bars.values.values():
        same[1:] &= column[1:] == column[:-1]
    if (other := again & ~same).any():
        found = np.flatnonzero(other)
        report.reject(
            "same time, different values",
            f"is also the time of row {bars.rows[found[0] - 1]}, with other values",
            "Keep the right one of the rows.",
            rows=bars.rows[found],
            column=bars.header["timestamp"],
            value=_time(bars.times[found[0]]),
        )
    report.repaired("exact duplicate", "rows that repeat another exactly left out", bars.rows[same])
    return bars.take(~same)


def _enclose(bars: _Bars, policy: IngestPolicy, report: IngestReport) -> _Bars:
    """High and low enclose open and close: off by one tick they are moved, by more refused."""
    o, h, low, c = (bars.values[name] for name in PRICES)
    top, bottom = np.maximum(o, c), np.minimum(o, c)
    crossed = h < low
    under, over = top - h, low - bottom
    wrong = (under > 0) | (over > 0) | crossed
    if not wrong.any():
        return bars
    prices = np.stack([o, h, low, c])
    tick = policy.tick_size or _tick_size(prices)
    allowed = tick * (1 + 1e-6) + 1e-9 * np.abs(c)
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
                CORRECT,
                rows=bars.rows[found],
                column=bars.header[name],
                value=f"{bars.values[name][found[0]]:.10g}",
            )
    report.repaired(
        "high and low", f"high or low within one tick ({tick:g}) of the body moved to it", bars.rows[wrong]
    )
    values = {**bars.values, "high": prices.max(axis=0), "low": prices.min(axis=0)}
    return replace(bars, values=values)


def _tick_size(prices: Floats) -> float:
    """The last decimal that all prices are written with; 0 where they have no such decimal."""
    for decimals in range(9):
        scaled = prices * 10.0**decimals
        if (np.abs(scaled - np.round(scaled)) <= 1e-9 * np.abs(scaled)).all():
            return float(10.0**-decimals)
    return 0.0


def _interval(bars: _Bars, wanted: pd.Timedelta | None, report: IngestReport) -> int:
    """The commonest distance of bars in nanoseconds, which must be the one that was asked for."""
    if len(bars.times) < 2:
        return int(wanted.value) if wanted is not None else DAY
    steps = np.diff(bars.times)
    found = int(steps[0])
    if 2 * np.count_nonzero(steps == found) <= len(steps):
        distances, counts = np.unique(steps, return_counts=True)
        found = int(distances[counts.argmax()])
    if wanted is not None and found != wanted.value:
        report.reject(
            "interval",
            f"holds bars of {duration(found)}, not of {duration(wanted.value)}",
            "Bring the right file, or leave the interval to be found.",
        )
    if found < 10**9:
        close = int((steps == found).argmax()) + 1
        report.reject(
            "interval",
            f"comes {found / 1e9:g} s after the bar before it, as most do; bars are never that short",
            "Write times as ISO 8601 with a zone, or as an epoch with all of its digits.",
            rows=bars.rows[close],
            column=bars.header["timestamp"],
            value=_time(bars.times[close]),
        )
    odd = np.flatnonzero((bars.times - bars.times[0]) % found != 0)
    if len(odd) and found <= DAY:
        report.warned("off the grid", f"times that are no multiple of {duration(found)}", bars.rows[odd])
    return found


def _refuse_future(bars: _Bars, now: int, report: IngestReport) -> None:
    late = np.flatnonzero(bars.times > now)
    if len(late):
        report.reject(
            "future time",
            "lies in the future",
            "Correct the time or its zone.",
            rows=bars.rows[late],
            column=bars.header["timestamp"],
            value=_time(bars.times[late[0]]),
        )


def _without_unfinished_bar(bars: _Bars, interval: int, now: int, report: IngestReport) -> _Bars:
    closed = int(np.searchsorted(bars.times, now - interval, side="right"))
    if closed == len(bars.times):
        return bars
    if closed == 0:
        report.reject(
            "empty",
            f"holds no bar that has closed: the first one ends at {_time(bars.times[0] + interval)}",
            "Read the file again when a bar has closed.",
        )
    report.repaired("unfinished bar", "the last bar is still open and was left out", bars.rows[closed:])
    return bars.take(np.arange(closed))


def _check_gaps(bars: _Bars, interval: int, policy: IngestPolicy, report: IngestReport) -> None:
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
            value=_time(bars.times[place]),
        )
    hint = "" if policy.calendar else "; market.calendar tells nights and holidays from gaps"
    report.warned("gap", f"bars missing before these, at most {duration(longest)}{hint}", bars.rows[after])


def _adjust_for_splits(bars: _Bars, file: Path | None, policy: IngestPolicy, report: IngestReport) -> _Bars:
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


def _report_splits(times: NDArray[np.int64], at: NDArray[np.int64], file: Path, report: IngestReport) -> None:
    within = int(((at > times[0]) & (at <= times[-1])).sum())
    later = int((at > times[-1]).sum())
    if within + later == 0:
        report.warned("splits", f"none of the {len(at)} split(s) of {file.name} lies within the bars")
        return
    counts = [(within, "within the bars"), (later, "after the last bar")]
    found = " and ".join(f"{count} {where}" for count, where in counts if count)
    report.repaired("splits", f"split(s) of {file.name} taken out of prices and volume: {found}")


def _warn_of_oddities(bars: _Bars, report: IngestReport) -> None:
    """Spikes, wicks and flat runs: possible, and worth a look."""
    close = bars.values["close"]
    if len(close) < 3 or (bars.values["low"] <= 0).any():
        return
    returns = np.diff(np.log(close))
    usual = _usual_move(returns)
    spikes = np.flatnonzero(np.abs(returns) > SPIKE_SIGMAS * usual) + 1
    if len(spikes):
        report.warned("spike", f"moves of more than {SPIKE_SIGMAS:g} deviations", bars.rows[spikes], "close")
    _warn_of_wicks(bars, np.concatenate([usual[:1], usual]), report)
    still = bars.values["high"] == bars.values["low"]
    still[1:] &= close[1:] == close[:-1]
    still[0] = False
    edges = np.flatnonzero(np.diff(np.concatenate([[False], still, [False]])))
    starts, stops = edges[::2], edges[1::2]
    long = stops - starts >= FLAT_RUN
    if long.any():
        report.warned(
            "flat run",
            f"runs of bars without any movement start here, the longest of {int((stops - starts).max())}",
            bars.rows[starts[long]],
            "close",
        )


def _warn_of_shifts(bars: _Bars, policy: IngestPolicy, report: IngestReport) -> None:
    prices = np.stack([bars.values[name] for name in PRICES])
    some = prices[:, :: max(len(bars.times) // TICK_SAMPLE, 1)]
    found = shifted_opens(prices[0], prices[3], policy.tick_size or _tick_size(some))
    if found is not None:
        message, at = found
        report.warned("shifted prices", message, bars.rows[at], bars.header["open"])


def _usual_move(returns: Floats) -> Floats:
    """Deviation of the returns before each; infinite where nothing moved, so that nothing stands out."""
    usual = pd.Series(returns).rolling(SPIKE_WINDOW, min_periods=SPIKE_MIN).std().shift().to_numpy(copy=True)
    # The first ones are judged by the first window that they are not part of, where there is one.
    after = returns[SPIKE_MIN : SPIKE_MIN + SPIKE_WINDOW]
    usual[:SPIKE_MIN] = np.std(after if len(after) >= SPIKE_MIN else returns, ddof=1)
    usual[usual == 0] = np.inf
    return usual


def _warn_of_wicks(bars: _Bars, usual: Floats, report: IngestReport) -> None:
    """`usual` as of each bar."""
    # No wick is longer than its bar, and ln(1 + x) <= x: few bars are left to be measured.
    wide = np.flatnonzero(bars.values["high"] > bars.values["low"] * (1 + WICK_SIGMAS * usual))
    o, high, low, c = (bars.values[name][wide] for name in PRICES)
    for name, wick in (("high", np.log(high / np.maximum(o, c))), ("low", np.log(np.minimum(o, c) / low))):
        found = wide[wick > WICK_SIGMAS * usual[wide]]
        if len(found):
            report.warned("spike", f"wicks of more than {WICK_SIGMAS:g} deviations", bars.rows[found], name)


def _quarantine(path: Path, folder: Path, report: IngestReport, reason: str) -> None:
    """Copy the file, and write the report beside it; an earlier file of that name is kept."""
    if all(finding.message != reason for finding in report.findings):
        report.findings.append(Finding(kind="side file", reaction="rejected", message=reason))
    try:
        target = folder / path.name
        digest = sha256_file(path)
        if target.exists() and sha256_file(target) != digest:
            target = folder / f"{digest[:8]}-{path.name}"
        with replacing(target) as draft:
            shutil.copyfile(path, draft)
        report.write(folder / f"{target.name}.report.json")
    except OSError as error:
        raise MarketError(f"{reason} The file could not be copied to {folder}: {error}.") from None


def _time(nanoseconds: np.int64) -> str:
    return str(pd.Timestamp(int(nanoseconds), tz="UTC"))
