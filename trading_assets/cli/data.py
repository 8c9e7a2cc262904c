"""Bars into the market folder, and a look at files before they get there."""

import json
import sys
from collections.abc import Sequence
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
from trading_assets.errors import SettingsError, TradingAssetsError
from trading_assets.market.bars import symbol_of
from trading_assets.market.exchange import ExchangeSource
from trading_assets.market.history import update_file, update_funding
from trading_assets.market.ingest import IngestResult, read_bars
from trading_assets.market.report import duration


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


def check(files: Sequence[str], profile: str, overrides: dict[str, Any]) -> int:
    """Report on each file as the pipeline would read it; 1 where one is rejected.

    The profile's market settings for the file's symbol hold, then the overrides. Nothing is copied.
    """
    failed = 0
    for file in files:
        path = Path(file)
        policy = load_settings(profile, symbol_of(path) or path.stem, overrides).market
        try:
            _show(read_bars(path, policy=policy.model_copy(update={"quarantine_dir": None})))
        except TradingAssetsError as error:
            failed += 1
            print(f"trading-assets: {error}", file=sys.stderr)
    return 1 if failed else 0


def _show(result: IngestResult) -> None:
    report, times, console = result.report, result.bars["timestamp"], Console()
    left_out = report.rows_read - report.rows_kept
    facts = {
        "format": report.format,
        "layout": report.layout,
        "interval": duration(int(report.interval_seconds * 1e9)),
        "rows": f"{report.rows_kept:,}" + (f" ({left_out:,} left out)" if left_out else ""),
        "span": f"{times.iloc[0]} to {times.iloc[-1]}" if len(times) else "no bars",
    }
    console.print(report.file, markup=False, highlight=False, soft_wrap=True)
    for name, value in facts.items():
        console.print(f"  {name:9} {value}", markup=False, highlight=False, soft_wrap=True)
    findings = report.table()
    if not findings:
        console.print("  nothing to repair, nothing to warn of")
        return
    table = Table(*findings[0], box=None, pad_edge=False)
    for finding in findings:
        table.add_row(*(Text(str(value)) for value in finding.values()))
    console.print(table)


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
