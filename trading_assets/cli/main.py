"""`trading-assets`: parse the arguments, run the command, turn mistakes into one line."""

import difflib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from trading_assets import __version__
from trading_assets.cli.interruption import exit_code, interruptible
from trading_assets.cli.options import (
    ManySymbols,
    MaxWorkers,
    NoCache,
    ProfileOption,
    StaleOnly,
    takes_settings,
)
from trading_assets.errors import SettingsError, TradingAssetsError, explain_machine
from trading_assets.processes import prepare_openmp

SHORT_NAMES = {
    "folds": "cv_folds",
    "embeddings": "market_embeddings",
    "ppo": "ppo_agent",
    "hybrid": "ppo_hybrid",
    "ensemble": "policy_ensemble",
    "bundle": "policy_bundle",
    "forecasts": "forecast_report",
    "report": "backtest_report",
}
"""Forecasters go by their kind, with - for _; other assets by their own name."""
TRAINING, DATA, RESULTS, SERVICE = "Train", "Bars and symbols", "Results", "Dagster"
"""Headings of the help."""


class _Commands(TyperGroup):
    """Runs a command so that SIGTERM and SIGHUP interrupt it as Ctrl-C does."""

    def invoke(self, ctx: Any) -> Any:
        try:
            with interruptible():
                return super().invoke(ctx)
        except KeyboardInterrupt as interrupt:
            print("trading-assets: interrupted", file=sys.stderr)
            raise typer.Exit(exit_code(interrupt)) from interrupt


app = typer.Typer(
    name="trading-assets",
    cls=_Commands,
    help="Market bars in, verified trading policies out.",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
symbols_app = typer.Typer(help="List, add and remove symbols.")
data_app = typer.Typer(help="Fetch bars from an exchange, check files of bars.")
models_app = typer.Typer(help="List stored models, bundles and reports.")
app.add_typer(symbols_app, name="symbols", rich_help_panel=DATA)
app.add_typer(data_app, name="data", rich_help_panel=DATA)
app.add_typer(models_app, name="models", rich_help_panel=RESULTS)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code: 0, 1 for a mistake or a failure, 2 for a wrong command line."""
    prepare_openmp()
    words = None if arguments is None else list(arguments)
    try:
        return int(app(words, prog_name="trading-assets", standalone_mode=False) or 0)
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "trading-assets"
        print(f"{command}: {error.format_message()} (see {command} --help)", file=sys.stderr)
        return 2
    except TradingAssetsError as error:
        print(f"trading-assets: {error}", file=sys.stderr)
        return 1
    except Exception as error:
        if (line := explain_machine(error)) is None:
            raise
        print(f"trading-assets: {line}", file=sys.stderr)
        return 1


def _print_version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def _known_goals() -> list[str]:
    from trading_assets.defs.assets import PIPELINE

    short = _short_names()
    return ["all", *short, *(name for name in PIPELINE if name not in short.values())]


def _short_names() -> dict[str, str]:
    from trading_assets.config.forecasters import forecaster_kinds

    return {kind.replace("_", "-"): f"{kind}_forecaster" for kind in forecaster_kinds()} | SHORT_NAMES


def _registered(incomplete: str) -> list[str]:
    from trading_assets.cli.home import open_instance, registered_symbols

    return [name for name in registered_symbols(open_instance()) if name.startswith(incomplete)]


@app.command(rich_help_panel=TRAINING)
@takes_settings
def demo(
    *,
    bars: Annotated[int, typer.Option(min=2_000, help="Bars of each symbol.")] = 20_000,
    profile: ProfileOption,
    overrides: dict[str, Any],
    max_workers: MaxWorkers = 2,
    no_cache: NoCache = False,
    stale_only: StaleOnly = False,
) -> int:
    """Train everything on a synthetic market of three symbols, one of them without any edge."""
    # Before anything heavy is loaded, which takes seconds.
    print(f"{bars:,} bars of three synthetic symbols go through the whole hierarchy.", flush=True)
    from trading_assets.cli.demo import run_demo
    from trading_assets.cli.train import TrainRequest

    request = TrainRequest(
        symbols=[],
        profile=profile,
        overrides=overrides,
        max_workers=max_workers,
        rebuild=no_cache,
        stale_only=stale_only,
    )
    return run_demo(bars, request)


@app.command(rich_help_panel=TRAINING, cls=ManySymbols)
@takes_settings
def train(
    *,
    what: Annotated[
        str,
        typer.Argument(
            metavar="WHAT",
            help="all, or one asset and what it needs: lightgbm, cnn-lstm, ppo, hybrid, bundle, ...",
            autocompletion=lambda incomplete: [n for n in _known_goals() if n.startswith(incomplete)],
        ),
    ],
    symbols: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SYMBOL...",
            help="Symbols to train.",
            show_default="all registered",
            autocompletion=_registered,
        ),
    ] = None,
    profile: ProfileOption,
    overrides: dict[str, Any],
    max_workers: MaxWorkers = 2,
    no_cache: NoCache = False,
    stale_only: StaleOnly = False,
) -> int:
    """Bring symbols up to date, wholly or as far as one asset."""
    from trading_assets.cli.home import open_instance, registered_symbols
    from trading_assets.cli.symbols import tell_idle_sections
    from trading_assets.cli.train import TrainRequest, train
    from trading_assets.errors import MarketError

    goal = _goal(what)
    names = symbols or registered_symbols(open_instance())
    if not names:
        raise MarketError(
            "No symbols are registered; name some with --symbols, or 'trading-assets symbols add'."
        )
    tell_idle_sections(profile, names)
    request = TrainRequest(
        symbols=list(dict.fromkeys(names)),
        profile=profile,
        overrides=overrides,
        max_workers=max_workers,
        rebuild=no_cache,
        stale_only=stale_only,
    )
    return train(request, None if goal == "all" else [goal])


def _goal(name: str) -> str:
    """The asset of that name, short or whole, or `all`."""
    from trading_assets.defs.assets import PIPELINE

    goal = _short_names().get(name, name)
    if goal != "all" and goal not in PIPELINE:
        known = _known_goals()
        close = difflib.get_close_matches(name, [*known, *PIPELINE], n=1)
        hint = f" Did you mean '{close[0]}'?" if close else ""
        raise SettingsError(f"Unknown asset '{name}'.{hint} Known: {', '.join(known)}.")
    return goal


@app.command(rich_help_panel=TRAINING)
@takes_settings
def status(*, profile: ProfileOption, overrides: dict[str, Any]) -> int:
    """Show what is fresh and what is stale."""
    from trading_assets.cli.inspect import show_status
    from trading_assets.cli.symbols import tell_idle_sections

    tell_idle_sections(profile, [])
    return show_status(profile, overrides)


Symbols = Annotated[list[str], typer.Argument(metavar="SYMBOL...", autocompletion=_registered)]


@symbols_app.command("list")
def list_symbols() -> int:
    """List registered symbols, and files in the market folder."""
    from trading_assets.cli import symbols

    return symbols.show()


@symbols_app.command("add")
def add_symbols(names: Annotated[list[str], typer.Argument(metavar="SYMBOL...")]) -> int:
    """Register symbols that have a file in the market folder."""
    from trading_assets.cli import symbols

    return symbols.add(names)


@symbols_app.command("remove")
def remove_symbols(names: Symbols) -> int:
    """Take symbols off the list; their artifacts stay."""
    from trading_assets.cli import symbols

    return symbols.remove(names)


@data_app.command("fetch")
def fetch_bars(
    names: Annotated[list[str], typer.Argument(metavar="SYMBOL...", help="BTCUSDT, BTC-USDT-PERP, ...")],
    exchange: Annotated[str, typer.Option(help="Name of the exchange in ccxt.")] = "binance",
    interval: Annotated[str, typer.Option(help="Of the bars: 1m, 1h, 1d, ...")] = "1h",
    since: Annotated[
        str | None,
        typer.Option(
            metavar="DATE", help="Where a new file begins.", show_default="the exchange's first bar"
        ),
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="For ccxt, for instance httpsProxy=http://127.0.0.1:3128 or timeout=30000 (ms).",
        ),
    ] = None,
) -> int:
    """Bring files in the market folder up to date."""
    from trading_assets.cli.data import ccxt_options, fetch, since_of
    from trading_assets.market.exchange import ExchangeSource

    source = ExchangeSource(exchange, interval, ccxt_options(option or []))
    return fetch(source, list(dict.fromkeys(names)), since_of(since))


@data_app.command("check")
def check_files(
    files: Annotated[list[str], typer.Argument(metavar="FILE...")],
    profile: ProfileOption,
    time_zone: Annotated[
        str | None, typer.Option(metavar="ZONE", help="Of times written without one, for instance UTC.")
    ] = None,
    calendar: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of exchange-calendars: XNYS, 24/5, ...")
    ] = None,
    accept_jumps: Annotated[
        bool | None, typer.Option("--accept-jumps", help="Jumps that look like splits are real.")
    ] = None,
    symbol: Annotated[
        str | None, typer.Option(help="Whose rows are meant, of a file with several symbols.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print everything as a JSON list, an object a file.")
    ] = False,
) -> int:
    """Read files and report what was found in them."""
    from trading_assets.cli.data import check

    values = {"time_zone": time_zone, "calendar": calendar, "accept_jumps": accept_jumps}
    market = {name: value for name, value in values.items() if value is not None}
    return check(files, profile, {"market": market}, symbol=symbol, as_json=as_json)


@models_app.command("list")
def list_models(
    every_version: Annotated[
        bool, typer.Option("--all", help="Every version, not only the current ones.")
    ] = False,
) -> int:
    """List the current versions."""
    from trading_assets.cli.inspect import show_models

    return show_models(every_version=every_version)


@app.command(rich_help_panel=RESULTS)
def report(
    symbol: Annotated[str, typer.Argument(help="For instance BTCUSDT.", autocompletion=_registered)],
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the report as one HTML page there.")
    ] = None,
) -> int:
    """Show a symbol's backtest: verdict, pictures, HTML page."""
    from trading_assets.cli.report import show_report

    return show_report(symbol, html)


@app.command(rich_help_panel=RESULTS)
def trials(
    symbols: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SYMBOL...]", show_default="all", autocompletion=_registered),
    ] = None,
) -> int:
    """Show what was tried, by which Sharpe ratios are deflated."""
    from trading_assets.cli.inspect import show_trials

    return show_trials(symbols or [])


@app.command(rich_help_panel=SERVICE)
def doctor(profile: ProfileOption) -> int:
    """Look for what is wrong: settings, files, artifacts of earlier versions; say what to do."""
    from trading_assets.cli.doctor import examine

    return examine(profile)


@app.command(rich_help_panel=SERVICE)
def automation(
    action: Annotated[Literal["on", "off", "status"], typer.Argument(metavar="on|off|status")],
) -> int:
    """Switch retrain_sensor and the weekly schedule on or off, or show what is on."""
    from trading_assets.cli.automation import switch

    return switch(action)


@app.command(rich_help_panel=SERVICE)
def ui(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Port to listen on.")] = 3000,
) -> int:
    """Start Dagster's user interface, with sensors and schedules."""
    from trading_assets.cli.ui import start_ui

    return start_ui(host, port)


if __name__ == "__main__":
    sys.exit(main())
