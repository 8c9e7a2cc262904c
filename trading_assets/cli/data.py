"""Bars into the market folder, and a look at files before they get there."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from trading_assets import progress
from trading_assets.config import load_settings
from trading_assets.config.paths import market_dir
from trading_assets.errors import BarsRejected, SettingsError, TradingAssetsError
from trading_assets.market.bars import symbol_of
from trading_assets.market.exchange import ExchangeSource
from trading_assets.market.ingest import read_bars
from trading_assets.market.names import is_freqtrade, other_of_freqtrade, side_of, why_not_taken
from trading_assets.market.report import IngestReport, duration
from trading_assets.market.side_files import side_times
from trading_assets.market.updates import update_file, update_funding


def fetch(source: ExchangeSource, symbols: Sequence[str], since: pd.Timestamp | None) -> int:
    """Bring the files of symbols up to date; one that fails does not stop the others.

    Symbols that the exchange does not have are raised before anything is asked for. Interrupted, each
    file keeps what has come.
    """
    for symbol in symbols:
        source.market(symbol)
    failed = 0
    columns = (TextColumn("{task.fields[symbol]}"), BarColumn(), TextColumn("{task.description}"))
    for symbol in symbols:
        with Progress(*columns, console=Console(), transient=True) as bar:
            task = bar.add_task("", total=1.0, symbol=symbol)

            def show(fraction: float, text: str, bar: Progress = bar, task: Any = task) -> None:
                bar.update(task, completed=fraction, description=text)

            try:
                with progress.listen(show):
                    line = _update(source, symbol, since)
            except (TradingAssetsError, OSError) as error:
                failed, line = failed + 1, ""
                print(f"trading-assets: {symbol}: {error}", file=sys.stderr)
        if line:
            print(line)
    return 1 if failed else 0


def _update(source: ExchangeSource, symbol: str, since: pd.Timestamp | None) -> str:
    folder = market_dir()
    path, change = update_file(source, symbol, folder, since=since, interval=source.interval)
    line = f"{symbol}  {change}  {path}"
    if source.pays_funding(symbol):
        line += f"  ({update_funding(source, symbol, folder)} funding rates)"
    return line


def check(
    files: Sequence[str],
    profile: str,
    overrides: dict[str, Any],
    *,
    symbol: str | None = None,
    as_json: bool = False,
) -> int:
    """Report on each file as the pipeline would read it; 1 where one is rejected, or would not be taken.

    The profile's market settings for the file's symbol hold, then the overrides. Side files are read as such;
    files without bars are passed over. Nothing is copied.
    """
    failed, several = 0, []
    for file in files:
        checked = _check(Path(file), profile, overrides, symbol)
        failed += checked.error is not None or checked.not_taken is not None
        several.append(asdict(checked))
        if not as_json:
            _show(checked)
    if as_json:
        print(json.dumps(several, indent=1, ensure_ascii=False))
    return 1 if failed else 0


@dataclass
class _Checked:
    """What `data check` has found out about a file; the fields of `--json`."""

    file: str
    symbol: str | None = None
    holds: str = "bars"
    rows: int = 0
    first: str | None = None
    last: str | None = None
    not_taken: str | None = None
    error: str | None = None
    report: IngestReport | None = None

    def note_times(self, times: pd.DatetimeIndex) -> None:
        self.rows = len(times)
        if self.rows:
            self.first, self.last = str(times.min()), str(times.max())

    def span(self) -> str:
        return f"{self.first} to {self.last}" if self.first else "no bars"


def _check(path: Path, profile: str, overrides: dict[str, Any], symbol: str | None) -> _Checked:
    own, side = symbol_of(path), side_of(path.name)
    beside = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
    checked = _Checked(str(path), symbol=symbol or own or (side[0] if side else None))
    market = load_settings(profile, checked.symbol or path.stem, overrides).market
    try:
        if (
            other := "a hidden file" if path.name.startswith(".") else other_of_freqtrade(path.name)
        ) is not None:
            checked.holds = other
        elif side is not None:
            checked.holds = side[1]
            checked.note_times(side_times(path, side[1], market.time_zone or "UTC"))
            if not _has_bars(side[0], beside):
                checked.not_taken = f"no file of the bars of {side[0]} stands beside it"
        else:
            checked.not_taken = why_not_taken(path, beside)
            policy = market.model_copy(update={"quarantine_dir": None})
            result = read_bars(path, symbol=symbol or own, policy=policy)
            checked.report = result.report
            checked.note_times(pd.DatetimeIndex(result.bars["timestamp"]))
    except TradingAssetsError as error:
        checked.error = str(error)
        if isinstance(error, BarsRejected) and isinstance(error.report, IngestReport):
            checked.report = error.report
    return checked


def _show(checked: _Checked) -> None:
    console = Console()

    def say(line: str) -> None:
        console.print(line, markup=False, highlight=False, soft_wrap=True)

    if checked.error is not None:
        print(f"trading-assets: {checked.error}", file=sys.stderr)
        return
    say(checked.file)
    for name, value in _facts(checked).items():
        say(f"  {name:9} {value}")
    if checked.not_taken is not None:
        say(f"  not taken from the market folder: {checked.not_taken}")
    if checked.report is not None:
        _show_findings(checked.report, console)


def _facts(checked: _Checked) -> dict[str, str]:
    report, rows = checked.report, f"{checked.rows:,}"
    if report is None:
        if checked.first is None:
            return {"holds": f"{checked.holds}, no bars: passed over"}
        return {"holds": f"{checked.holds} of {checked.symbol}", "rows": rows, "span": checked.span()}
    left_out = report.rows_read - report.rows_kept
    return {
        "format": report.format,
        "layout": report.layout,
        "columns": ", ".join(f"{ours} from '{theirs}'" for ours, theirs in report.columns.items()),
        "interval": duration(int(report.interval_seconds * 1e9)),
        "rows": rows + (f" ({left_out:,} left out)" if left_out else ""),
        "span": checked.span(),
    }


def _show_findings(report: IngestReport, console: Console) -> None:
    findings = report.table()
    if not findings:
        console.print("  nothing to repair, nothing to warn of")
        return
    table = Table(*findings[0], box=None, pad_edge=False)
    for finding in findings:
        table.add_row(*(Text(str(value)) for value in finding.values()))
    console.print(table)


def _has_bars(symbol: str, names: Sequence[str]) -> bool:
    """Whether one of the files is of the symbol, or of the pair that freqtrade's funding rates are of."""
    symbols = (symbol_of(Path(name)) for name in names)
    return any(
        one and (one == symbol or (is_freqtrade(one) and one.rpartition("-")[0] == symbol)) for one in symbols
    )


def since_of(text: str | None) -> pd.Timestamp | None:
    """The time of `--since`, in UTC; raises `SettingsError` where it is none."""
    if text is None:
        return None
    try:
        when = pd.Timestamp(datetime.fromisoformat(text)).as_unit("ns")
    except ValueError:
        raise SettingsError(f"--since expects a date such as 2024-01-31, got '{text}'.") from None
    return when.tz_localize("UTC") if when.tzinfo is None else when.tz_convert("UTC")


def ccxt_options(pairs: Sequence[str]) -> dict[str, Any]:
    """From `urls.api.public=...` to nested options; values are JSON, or text where they are not."""
    tree: dict[str, Any] = {}
    for pair in pairs:
        name, separator, text = pair.partition("=")
        if not separator:
            raise SettingsError(f"--option expects NAME=VALUE, got '{pair}'.")
        *path, last = name.split(".")
        branch = tree
        for part in path:
            branch = branch.setdefault(part, {})
            if not isinstance(branch, dict):
                raise SettingsError(f"--option gives '{part}' a value and '{name}' a part of it; keep one.")
        try:
            branch[last] = json.loads(text)
        except (ValueError, RecursionError):
            branch[last] = text
    return tree
