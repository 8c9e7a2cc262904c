"""`trading-assets`: parse the arguments, run the command, turn mistakes into one line."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from trading_assets import __version__
from trading_assets.cli.interruption import exit_code, interruptible
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
"""A forecaster goes by its kind, `cnn-lstm` for `cnn_lstm_forecaster`; other steps go by their own name."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    prepare_openmp()
    options = _parser().parse_args(arguments)
    try:
        with interruptible():
            return int(options.run(options))
    except TradingAssetsError as error:
        print(f"trading-assets: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as interrupt:
        print("trading-assets: interrupted", file=sys.stderr)
        return exit_code(interrupt)
    except Exception as error:
        if (line := explain_machine(error)) is None:
            raise
        print(f"trading-assets: {line}", file=sys.stderr)
        return 1


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="trading-assets", description="Market bars in, verified trading policies out.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    demo = commands.add_parser("demo", help="the whole hierarchy on a synthetic market")
    demo.add_argument("--bars", type=_at_least(2_000), default=20_000, help="bars a symbol")
    _add_training(demo)
    demo.set_defaults(run=_demo)

    train = commands.add_parser("train", help="bring symbols up to date, or one floor of them")
    train.add_argument("what", help="all, or a step: lightgbm, cnn-lstm, ppo, hybrid, bundle, ...")
    train.add_argument("--symbols", nargs="+", metavar="SYMBOL", help="default: all registered")
    _add_training(train)
    train.set_defaults(run=_train)

    symbols = commands.add_parser("symbols", help="which symbols there are")
    actions = symbols.add_subparsers(required=True, metavar="ACTION", dest="action")
    actions.add_parser("list", help="registered symbols and files in the market folder")
    for name in ("add", "remove"):
        action = actions.add_parser(name)
        action.add_argument("symbols", nargs="+", metavar="SYMBOL")
    symbols.set_defaults(run=_symbols)

    _add_data(commands.add_parser("data", help="fetch bars from an exchange, check files of bars"))

    status = commands.add_parser("status", help="what is fresh and what is stale")
    _add_settings(status)
    status.set_defaults(run=_status)

    models = commands.add_parser("models", help="stored models, bundles and reports")
    model_actions = models.add_subparsers(required=True, metavar="ACTION")
    listing = model_actions.add_parser("list", help="versions in force")
    listing.add_argument("--all", action="store_true", help="every version")
    models.set_defaults(run=_models)

    report = commands.add_parser("report", help="a symbol's backtest: verdict, pictures, HTML tear sheet")
    report.add_argument("symbol", help="for instance BTCUSDT")
    report.add_argument("--html", type=Path, metavar="FILE", help="write quantstats' tear sheet there")
    report.set_defaults(run=_report)

    trials = commands.add_parser("trials", help="what was tried, by which Sharpe ratios are deflated")
    trials.add_argument("symbols", nargs="*", metavar="SYMBOL", help="default: all")
    trials.set_defaults(run=_trials)

    automation = commands.add_parser("automation", help="retrain_sensor and the weekly schedule")
    automation.add_argument("action", choices=["on", "off", "status"])
    automation.set_defaults(run=_automation)

    ui = commands.add_parser("ui", help="Dagster's user interface, with sensors and schedules")
    ui.add_argument("--host", default="127.0.0.1")
    ui.add_argument("--port", type=int, default=3000)
    ui.set_defaults(run=_ui)
    return parser


def _add_data(data: argparse.ArgumentParser) -> None:
    from trading_assets.config.paths import default_profile

    actions = data.add_subparsers(required=True, metavar="ACTION")
    fetch = actions.add_parser("fetch", help="bring files in the market folder up to date")
    fetch.add_argument("symbols", nargs="+", metavar="SYMBOL", help="BTCUSDT, BTC-USDT-PERP, ...")
    fetch.add_argument("--exchange", default="binance", help="as ccxt calls it (binance)")
    fetch.add_argument("--interval", default="1h", help="of the bars: 1m, 1h, 1d, ... (1h)")
    fetch.add_argument("--since", metavar="DATE", help="where a new file begins (the exchange's first bar)")
    fetch.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="for ccxt, for instance httpsProxy=http://127.0.0.1:3128 or timeout=30000",
    )
    fetch.set_defaults(run=_fetch)

    check = actions.add_parser("check", help="read files and report what was found in them")
    check.add_argument("files", nargs="+", metavar="FILE")
    check.add_argument("--profile", default=default_profile(), help="whose market settings are used")
    check.add_argument("--time-zone", metavar="ZONE", help="of times written without one, for instance UTC")
    check.add_argument("--calendar", metavar="NAME", help="exchange-calendars' name: XNYS, 24/5, ...")
    check.add_argument("--accept-jumps", action="store_true", default=None, help="split-sized jumps are real")
    check.add_argument("--symbol", help="whose rows are meant, of a file with several symbols")
    check.add_argument("--json", action="store_true", help="everything as a JSON list, an object a file")
    check.set_defaults(run=_check)


def _add_settings(parser: argparse.ArgumentParser) -> None:
    from trading_assets.config.paths import default_profile

    parser.add_argument("--profile", default=default_profile(), help="name or YAML file of a profile")
    for name, setting in (
        ("--fee-bps", "costs.fee_bps"),
        ("--slippage-bps", "costs.slippage_bps"),
        ("--n-splits", "folds.n_splits"),
        ("--embargo", "folds.embargo"),
        ("--seed", "seed"),
        ("--optimize", "search.trials"),
    ):
        parser.add_argument(name, dest=setting, metavar="N", help=f"the setting {setting}")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="any other setting, for instance --set ppo.gamma=0.95",
    )


def _add_training(parser: argparse.ArgumentParser) -> None:
    _add_settings(parser)
    parser.add_argument("--max-workers", type=_at_least(1), default=2, help="symbols at once")
    parser.add_argument("--no-cache", action="store_true", help="build again what is known")
    parser.add_argument(
        "--stale-only", action="store_true", help="look again after each floor, run only what must"
    )


def _at_least(low: int) -> Any:
    def number(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"'{text}' is not a whole number") from None
        if value < low:
            raise argparse.ArgumentTypeError(f"{value} is too small, expected {low} or more")
        return value

    return number


def overrides_of(options: argparse.Namespace) -> dict[str, Any]:
    """Settings given as flags, as the tree that profiles have."""
    from trading_assets.config.strict_yaml import read_yaml

    tree: dict[str, Any] = {}
    given = {name: value for name, value in vars(options).items() if "." in name or name == "seed"}
    for pair in options.set:
        name, separator, value = pair.partition("=")
        if not separator:
            raise SettingsError(f"--set expects NAME=VALUE, got '{pair}'.")
        given[name] = value
    for name, value in given.items():
        if value is not None:
            *path, last = name.split(".")
            branch = tree
            for part in path:
                branch = branch.setdefault(part, {})
                if not isinstance(branch, dict):
                    raise SettingsError(f"--set gives '{part}' a value and '{name}' a part of it; keep one.")
            branch[last] = read_yaml(f"value: {value}", f"The value of {name}")["value"]
    return tree


def _demo(options: argparse.Namespace) -> int:
    # Before anything heavy is loaded, which takes seconds.
    print(f"{options.bars:,} bars of three synthetic symbols go through the whole hierarchy.", flush=True)
    from trading_assets.cli.demo import run_demo

    return run_demo(options.bars, _request(options, []))


def _train(options: argparse.Namespace) -> int:
    from trading_assets.cli.home import open_instance, registered_symbols
    from trading_assets.cli.symbols import tell_idle_sections
    from trading_assets.cli.train import train
    from trading_assets.config.forecasters import forecaster_kinds
    from trading_assets.defs.assets import STEPS
    from trading_assets.errors import MarketError

    short = {kind.replace("_", "-"): f"{kind}_forecaster" for kind in forecaster_kinds()} | SHORT_NAMES
    goal = short.get(options.what, options.what)
    if goal != "all" and goal not in STEPS:
        known = ", ".join(["all", *short, *(n for n in STEPS if n not in short.values())])
        raise SettingsError(f"Unknown step '{options.what}'. Known: {known}.")
    symbols = options.symbols or registered_symbols(open_instance())
    if not symbols:
        raise MarketError(
            "No symbols are registered; name some with --symbols, or 'trading-assets symbols add'."
        )
    tell_idle_sections(options.profile, symbols)
    return train(_request(options, symbols), None if goal == "all" else [goal])


def _request(options: argparse.Namespace, symbols: list[str]) -> Any:
    from trading_assets.cli.train import TrainRequest

    return TrainRequest(
        symbols=list(dict.fromkeys(symbols)),
        profile=options.profile,
        overrides=overrides_of(options),
        max_workers=options.max_workers,
        rebuild=options.no_cache,
        stale_only=options.stale_only,
    )


def _symbols(options: argparse.Namespace) -> int:
    from trading_assets.cli import symbols

    if options.action == "list":
        return symbols.show()
    return (symbols.add if options.action == "add" else symbols.remove)(options.symbols)


def _fetch(options: argparse.Namespace) -> int:
    from trading_assets.cli.data import ccxt_options, fetch, since_of
    from trading_assets.market.exchange import ExchangeSource

    source = ExchangeSource(options.exchange, options.interval, ccxt_options(options.option))
    return fetch(source, list(dict.fromkeys(options.symbols)), since_of(options.since))


def _check(options: argparse.Namespace) -> int:
    from trading_assets.cli.data import check

    given = {name: getattr(options, name) for name in ("time_zone", "calendar", "accept_jumps")}
    market = {name: value for name, value in given.items() if value is not None}
    return check(
        options.files, options.profile, {"market": market}, symbol=options.symbol, as_json=options.json
    )


def _status(options: argparse.Namespace) -> int:
    from trading_assets.cli.inspect import show_status
    from trading_assets.cli.symbols import tell_idle_sections

    tell_idle_sections(options.profile, [])
    return show_status(options.profile, overrides_of(options))


def _models(options: argparse.Namespace) -> int:
    from trading_assets.cli.inspect import show_models

    return show_models(every_version=options.all)


def _report(options: argparse.Namespace) -> int:
    from trading_assets.cli.report import show_report

    return show_report(options.symbol, options.html)


def _trials(options: argparse.Namespace) -> int:
    from trading_assets.cli.inspect import show_trials

    return show_trials(options.symbols)


def _automation(options: argparse.Namespace) -> int:
    from trading_assets.cli.automation import switch

    return switch(options.action)


def _ui(options: argparse.Namespace) -> int:
    from trading_assets.cli.ui import start_ui

    return start_ui(options.host, options.port)


if __name__ == "__main__":
    sys.exit(main())
