"""What is wrong with an installation or its data folder, and what to do about each."""

import json
from collections.abc import Iterator

from rich.console import Console

from trading_assets.cli.home import open_instance, registered_symbols
from trading_assets.config.explain import listed
from trading_assets.config.paths import artifacts_dir, dagster_home, data_dir, market_dir
from trading_assets.defs.assets import PIPELINE
from trading_assets.defs.pipeline import lost_trials
from trading_assets.defs.resources import Workspace
from trading_assets.errors import TradingAssetsError
from trading_assets.execution.schema import FORMAT
from trading_assets.market.sources import FolderSource
from trading_assets.registry.artifacts import ArtifactRef
from trading_assets.registry.store import CATEGORIES, ArtifactStore

TRAIN = "trading-assets train all --symbols"


def examine(profile: str) -> int:
    """Print one line for everything that is wrong; return 1 if anything is."""
    console = Console()
    for name, folder in (("data", data_dir()), ("market", market_dir()), ("Dagster", dagster_home())):
        console.print(f"{name} folder {folder}", highlight=False, soft_wrap=True)
    store, symbols = ArtifactStore(artifacts_dir()), registered_symbols(open_instance())
    problems = [*_settings(profile, symbols), *_files(), *_old_artifacts(store), *_trials(store, symbols)]
    for problem in problems:
        console.print(f"- {problem}", style="yellow", markup=False, highlight=False, soft_wrap=True)
    if not problems:
        console.print("Nothing is wrong.")
    return 1 if problems else 0


def _settings(profile: str, symbols: list[str]) -> Iterator[str]:
    workspace, messages = Workspace(profile=profile), dict[str, None]()
    for symbol in symbols or ["BTCUSDT"]:
        try:
            workspace.settings(symbol)
        except TradingAssetsError as error:
            messages[str(error)] = None
    yield from messages


def _files() -> Iterator[str]:
    try:
        source = FolderSource(market_dir())
        source.listing()
    except TradingAssetsError as error:
        yield str(error)
        return
    for name, reason in source.passed_over().items():
        yield f"{name} in the market folder is not taken: {reason}"


def _old_artifacts(store: ArtifactStore) -> Iterator[str]:
    """Current artifacts of another method than this version's, by symbol, and bundles it cannot read."""
    old: dict[str, list[str]] = {}
    for category in CATEGORIES:
        for ref in store.all_current(category):
            if ref.kind == "leaderboard":
                continue
            asset = PIPELINE.get(ref.kind)
            if asset is None:
                yield f"{ref.path} is of an asset that there is no longer; delete its folder when you like."
            elif ref.metadata["recipe"]["method"] != asset.method:
                old.setdefault(ref.symbol, []).append(f"{ref.kind} {ref.version}")
            if category == "bundles" and (given := _format(ref)) != FORMAT:
                yield (
                    f"{ref.path} has bundle format {given}, and this version reads {FORMAT}: keep the "
                    f"version that wrote it where it is in use, or make it again: {TRAIN} {ref.symbol}"
                )
    for symbol, names in old.items():
        yield f"{symbol} has artifacts of earlier methods ({listed(names, 3)}): {TRAIN} {symbol}"


def _format(ref: ArtifactRef) -> object:
    try:
        return json.loads((ref.path / "architecture.json").read_bytes()).get("format")
    except (OSError, ValueError, AttributeError):
        return "unknown"


def _trials(store: ArtifactStore, symbols: list[str]) -> Iterator[str]:
    if (warning := lost_trials(store, symbols)) is not None:
        yield warning.removeprefix("WARNING: ")
