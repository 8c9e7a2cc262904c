"""What is stored, and what is fresh."""

from typing import Any

from rich.console import Console
from rich.table import Table

from trading_assets.cli.display import GROUPS
from trading_assets.cli.home import open_instance, registered_symbols
from trading_assets.config.paths import artifacts_dir, ledger_file
from trading_assets.defs.planning import plan
from trading_assets.defs.resources import Workspace
from trading_assets.errors import TradingAssetsError
from trading_assets.registry.artifacts import ArtifactRef
from trading_assets.registry.ledger import TrialLedger
from trading_assets.registry.store import CATEGORIES, ArtifactStore


def show_status(profile: str, overrides: dict[str, Any]) -> int:
    """Of every symbol and floor: fresh, stale, or not known before a table is built."""
    workspace = Workspace(profile=profile, overrides=overrides)
    table = Table("symbol", *(group.split("_")[1] for group in GROUPS), box=None, pad_edge=False)
    problems = []
    registered = registered_symbols(open_instance())
    for symbol in registered:
        settings = workspace.settings(symbol)
        try:
            planned = plan(workspace.store, workspace.source, settings, symbol)
        except TradingAssetsError as error:
            problems.append(str(error))
            continue
        cells = []
        for group in GROUPS:
            states = {p.state for p in planned if p.step.group == group}
            worst = next(state for state in ("stale", "unknown", "fresh") if state in states)
            colour = {"stale": "yellow", "unknown": "dim", "fresh": "green"}[worst]
            cells.append(f"[{colour}]{worst}[/]")
        table.add_row(symbol, *cells)
    console = Console()
    if registered:
        console.print(table)
    else:
        console.print("No symbols are registered; see 'trading-assets symbols add' or 'demo'.")
    for problem in dict.fromkeys(problems):
        console.print(f"[red]{problem}[/]", soft_wrap=True)
    for name, reason in workspace.source.passed_over().items():
        console.print(
            f"not taken: {name}: {reason}", style="yellow", markup=False, highlight=False, soft_wrap=True
        )
    return 1 if problems else 0


def show_models(*, every_version: bool) -> int:
    """Versions in force (or all) of models, bundles and reports."""
    store = ArtifactStore(artifacts_dir())
    table = Table("kind", "symbol", "version", "built (UTC)", "seconds", "identity", "says")
    for category in CATEGORIES[1:]:
        for current in store.all_current(category):
            versions = [current]
            if every_version:
                versions = store.history(category, current.kind, current.symbol)
            for ref in versions:
                mark = "*" if every_version and ref.version == current.version else ""
                table.add_row(
                    ref.kind,
                    ref.symbol,
                    ref.version + mark,
                    ref.metadata["built_at"].removesuffix("+00:00"),
                    f"{ref.metadata['build_seconds']:.1f}",
                    ref.identity[:10],
                    _headline(ref),
                )
    Console().print(table if table.row_count else "Nothing is trained yet; see 'trading-assets demo'.")
    return 0


def show_trials(symbols: list[str]) -> int:
    """Everything that was tried on symbols (all without names): what their Sharpe ratios are deflated by."""
    console, ledger = Console(), TrialLedger(ledger_file())
    rows = [row for row in ledger.rows() if row["symbol"] in symbols or not symbols]
    if not rows:
        console.print("Nothing was tried yet.")
    for symbol, target in dict.fromkeys((row["symbol"], row["target"]) for row in rows):
        tried = ledger.count(symbol, target).n_trials
        title = f"{symbol}, {target}: {tried} tried"
        table = Table("step", "method", "seed", "tried", "Sharpe/bar", "started (UTC)", title=title)
        table.title_justify, table.box = "left", None
        for row in ledger.rows(symbol, target):
            table.add_row(
                row["name"],
                row["method"][:8],
                str(row["seed"]),
                str(row["alternatives"]),
                "-" if row["sharpe"] is None else f"{row['sharpe']:+.4f}",
                row["started_at"][:16].replace("T", " "),
            )
        console.print(table)
    return 0


def _headline(ref: ArtifactRef) -> str:
    name, value = next(iter(ref.summary.numbers.items()), ("", ""))
    return f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
