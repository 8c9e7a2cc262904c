"""What is stored, and what is fresh."""

import sys
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from trading_assets.cli.display import GROUPS, group_label
from trading_assets.cli.home import open_instance, registered_symbols
from trading_assets.cli.tables import fits, print_whole
from trading_assets.config.explain import listed
from trading_assets.config.paths import artifacts_dir, ledger_file
from trading_assets.defs.pipeline import lost_trials
from trading_assets.defs.resources import Workspace
from trading_assets.defs.staleness import asset_states
from trading_assets.errors import MarketError, TradingAssetsError
from trading_assets.registry.artifacts import ArtifactRef
from trading_assets.registry.ledger import TrialLedger
from trading_assets.registry.store import CATEGORIES, ArtifactStore

_MARKS = {"fresh": "✓", "stale": "✗", "unknown": "?"}
_COLORS = {"stale": "yellow", "unknown": "dim", "fresh": "green"}


def show_status(profile: str, overrides: dict[str, Any]) -> int:
    """Of every symbol and group of assets: fresh, stale, or not known before a table is built."""
    workspace, console = Workspace(profile=profile, overrides=overrides), Console()
    states, problems = dict[str, list[str]](), []
    registered = registered_symbols(open_instance())
    warn_of_lost_trials(workspace.store, registered)
    source = workspace.source.snapshot() if registered else workspace.source
    for symbol in registered:
        settings = workspace.settings(symbol)
        try:
            assets = asset_states(workspace.store, source, settings, symbol)
        except TradingAssetsError as error:
            problems.append(str(error))
            continue
        groups = [{asset.state for asset in assets if asset.asset.group == group} for group in GROUPS]
        states[symbol] = [next(s for s in ("stale", "unknown", "fresh") if s in group) for group in groups]
    if not registered:
        console.print("No symbols are registered; see 'trading-assets symbols add' or 'demo'.")
    if states:
        _print_states(states, console)
    for problem in dict.fromkeys(problems):
        console.print(f"[red]{escape(problem)}[/]", soft_wrap=True)
    for name, reason in source.passed_over().items():
        console.print(
            f"not taken: {name}: {reason}", style="yellow", markup=False, highlight=False, soft_wrap=True
        )
    return 1 if problems else 0


def _print_states(states: dict[str, list[str]], console: Console) -> None:
    """In words, or in marks where the terminal is too narrow for them."""
    words = Table("symbol", *map(group_label, GROUPS), box=None, pad_edge=False)
    marks = Table("symbol", *(group_label(group)[:4] for group in GROUPS), box=None, pad_edge=False)
    for symbol, row in states.items():
        words.add_row(symbol, *(f"[{_COLORS[state]}]{state}[/]" for state in row))
        marks.add_row(symbol, *(f"[{_COLORS[state]}]{_MARKS[state]}[/]" for state in row))
    if fits(words):
        print_whole(words)
    else:
        print_whole(marks)
        console.print(*(f"{mark} {state}" for state, mark in _MARKS.items()), sep="   ", style="dim")


def show_models(*, every_version: bool) -> int:
    """Current versions (or all) of models, bundles and reports; as many columns as there is room for."""
    store, console = ArtifactStore(artifacts_dir()), Console()
    columns = ["kind", "symbol", "version", "built (UTC)", "says", "seconds", "identity"]
    rows = []
    for category in CATEGORIES[1:]:
        for current in store.all_current(category):
            versions = [current]
            if every_version:
                versions = store.history(category, current.kind, current.symbol)
            for ref in versions:
                mark = "*" if every_version and ref.version == current.version else ""
                rows.append(
                    (
                        ref.kind,
                        ref.symbol,
                        ref.version + mark,
                        ref.metadata["built_at"].removesuffix("+00:00"),
                        _headline(ref),
                        f"{ref.metadata['build_seconds']:.1f}",
                        ref.identity[:10],
                    )
                )
    if not rows:
        console.print("Nothing is trained yet; see 'trading-assets demo'.")
        return 0
    for n_columns in range(len(columns), 3, -1):
        table = Table(*columns[:n_columns], box=None, pad_edge=False)
        for row in rows:
            table.add_row(*row[:n_columns])
        if fits(table):
            break
    print_whole(table)
    return 0


def show_trials(symbols: list[str]) -> int:
    """Everything that was tried on symbols (all without names): what their Sharpe ratios are deflated by."""
    console, ledger = Console(), TrialLedger(ledger_file())
    warn_of_lost_trials(ArtifactStore(artifacts_dir()), symbols or registered_symbols(open_instance()))
    rows = ledger.rows()
    known = {row["symbol"] for row in rows}
    if unknown := [symbol for symbol in symbols if symbol not in known]:
        raise MarketError(f"Nothing was tried on '{unknown[0]}'. Something was on: {listed(known)}.")
    if not rows:
        console.print("Nothing was tried yet.")
    wanted = [row for row in rows if row["symbol"] in symbols or not symbols]
    for symbol, target in dict.fromkeys((row["symbol"], row["target"]) for row in wanted):
        n_trials = ledger.count(symbol, target).n_trials
        console.print(
            f"{symbol}, {target}: {n_trials} tried", style="italic", highlight=False, soft_wrap=True
        )
        table = Table("asset", "method", "seed", "tried", "Sharpe/bar", "started (UTC)", box=None)
        for row in ledger.rows(symbol, target):
            table.add_row(
                row["name"],
                row["method"][:8],
                str(row["seed"]),
                str(row["alternatives"]),
                "-" if row["sharpe"] is None else f"{row['sharpe']:+.4f}",
                row["started_at"][:16].replace("T", " "),
            )
        print_whole(table)
    return 0


def warn_of_lost_trials(store: ArtifactStore, symbols: list[str]) -> None:
    """Say it on stderr where the ledger of trials knows less than the artifacts beside it."""
    if (warning := lost_trials(store, symbols)) is not None:
        print(f"trading-assets: {warning}", file=sys.stderr)


def _headline(ref: ArtifactRef) -> str:
    name, value = next(iter(ref.summary.numbers.items()), ("", ""))
    return f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
