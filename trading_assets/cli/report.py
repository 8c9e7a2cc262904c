"""The backtest report of a symbol: its verdict, its pictures, and its HTML page."""

from pathlib import Path

from rich.console import Console

from trading_assets.cli.inspect import warn_of_lost_trials
from trading_assets.cli.results import print_results
from trading_assets.config.explain import listed
from trading_assets.config.paths import artifacts_dir
from trading_assets.errors import ArtifactError
from trading_assets.market.bars import check_symbol
from trading_assets.registry.artifacts import ArtifactRef
from trading_assets.registry.files import replace_file
from trading_assets.registry.store import ArtifactStore


def show_report(symbol: str, html: Path | None) -> int:
    """Print the figures of the current report; copy its HTML page to `html`."""
    store, console = ArtifactStore(artifacts_dir()), Console()
    check_symbol(symbol)
    report = store.current("reports", "backtest_report", symbol)
    if report is None:
        known = {ref.symbol for ref in store.all_current("reports") if ref.kind == "backtest_report"}
        raise ArtifactError(
            f"{symbol} has no backtest_report. There is one of: {listed(known)}. "
            f"Make it: trading-assets train all --symbols {symbol}"
        )
    print_results(store, [symbol], [symbol], {})
    warn_of_lost_trials(store, [symbol])
    for picture in report.summary.pictures[1:]:
        console.print(f"{symbol}  picture {report.path / picture}", highlight=False, soft_wrap=True)
    if html is not None:
        console.print(f"{symbol}  HTML {_write(report, html)}", highlight=False, soft_wrap=True)
    return 0


def _write(report: ArtifactRef, path: Path) -> Path:
    from trading_assets.reports.backtest import HTML

    page = report.open() / HTML
    if not page.is_file():
        raise ArtifactError(
            f"{report.kind} {report.version} of {report.symbol} was built before reports had an HTML page. "
            f"Rebuild it: trading-assets train report --symbols {report.symbol}"
        )
    replace_file(path, page.read_bytes())
    return path
