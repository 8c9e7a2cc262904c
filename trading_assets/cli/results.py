"""What came out, symbol by symbol, and where it lies."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from trading_assets.cli.tables import print_whole
from trading_assets.errors import ArtifactError
from trading_assets.registry.store import ArtifactStore
from trading_assets.reports.figures import BUY_AND_HOLD, NO_TRADE_BAND, BacktestFigures


def print_results(store: ArtifactStore, symbols: list[str], ran: list[str], failed: dict[str, str]) -> None:
    """The newest report of every symbol, then what failed, then the folders."""
    console = Console()
    fresh = [symbol for symbol in symbols if symbol not in ran]
    if fresh:
        console.print(f"Fresh, nothing to run: {', '.join(fresh)}", highlight=False)
    reports = {symbol: store.current("reports", "backtest_report", symbol) for symbol in symbols}
    table = Table(
        title="Test era, net of costs",
        title_justify="left",
        header_style="bold",
        box=None,
        padding=(0, 1, 0, 0),
    )
    for name in ("symbol", "verdict", "return", "band", "hold", "dip", "alpha t", "DSR", "orders"):
        table.add_column(name, justify="left" if name in {"symbol", "verdict"} else "right", no_wrap=True)
    outdated = []
    for symbol, report in reports.items():
        if report is None:
            continue
        try:
            figures = BacktestFigures.read(report)
        except ArtifactError as error:
            outdated.append(str(error))
            continue
        policy = figures.policy
        color = "green" if policy.verdict.startswith("edge") else "yellow"
        table.add_row(
            symbol,
            f"[{color}]{policy.verdict}[/]",
            _growth(policy.net_return),
            _growth(figures.strategy(NO_TRADE_BAND).net_return),
            _growth(figures.strategy(BUY_AND_HOLD).net_return),
            f"{policy.max_drawdown:.1%}",
            f"{policy.alpha_t:.1f}",
            f"{figures.luck.deflated:.2f}",
            f"{policy.orders:.0f}",
        )
    if table.row_count:
        print_whole(table)
    for message in outdated:
        console.print(f"[yellow]{escape(message)}[/]", highlight=False, soft_wrap=True)
    for symbol, message in failed.items():
        console.print(f"[red]{symbol} failed:[/] {escape(message)}", highlight=False, soft_wrap=True)
    for symbol, report in reports.items():
        bundle = store.current("bundles", "policy_bundle", symbol)
        if bundle and report:
            console.print(f"{symbol}  bundle {bundle.path}", highlight=False, soft_wrap=True)
            picture = report.path / report.summary.pictures[0]
            console.print(f"{symbol}  report {picture}", highlight=False, soft_wrap=True)


def _growth(net: float) -> str:
    """A return in per cent, or as a multiple of the start where that is large."""
    return f"{net:+.1%}" if net < 9 else f"x{1 + net:.1f}"
