"""Materializing an asset: find its artifact by the recipe, or build it, and report it to Dagster."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg

from trading_assets import progress
from trading_assets.config.explain import listed
from trading_assets.defs.metadata import artifact_metadata
from trading_assets.defs.pipeline import (
    PIPELINE,
    BuildContext,
    PipelineAsset,
    inputs_of,
    lost_trials,
    trials_of,
)
from trading_assets.defs.resources import Workspace
from trading_assets.errors import ArtifactError, TradingAssetsError, explain_machine
from trading_assets.registry.artifacts import ArtifactRef, BuildResult
from trading_assets.registry.store import ArtifactStore

REBUILD_TAG = "trading_assets/rebuild"
"""Run tag: build every selected asset even if its recipe is known."""

Watcher = Callable[[str, str, float, str], None]
"""Called with (asset, 'started' | 'running' | outcome | 'failed', fraction, text)."""

_watcher: ContextVar[Watcher | None] = ContextVar("asset_watcher", default=None)


@contextmanager
def watch(watcher: Watcher) -> Iterator[None]:
    """Have `watcher` called with every event of the assets that run in this process inside the block."""
    token = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(token)


def materialize(context: dg.AssetExecutionContext, asset: PipelineAsset) -> dg.MaterializeResult[Any]:
    """Make what the asset's current inputs give the current artifact for the run's symbol: found, or built.

    An error of the user's (settings, bars) fails the asset without retries, with the error's own text.
    """
    workspace: Workspace = context.resources.workspace
    symbol = _symbol(context, asset)
    notify = _watcher.get() or _log_watcher(context)
    notify(asset.name, "started", 0.0, "")
    try:
        settings = workspace.settings(symbol)
        refs = _parents(workspace.store, asset, symbol)
        versions = {name: ref.data_version for name, ref in refs.items()}
        inputs = inputs_of(asset, settings, symbol, versions, lambda: workspace.source.digest(symbol))
        rebuild = context.run.tags.get(REBUILD_TAG) == "true"
        checkpoints = workspace.store.root / "checkpoints" / inputs.recipe.digest
        trials = trials_of(asset, settings, symbol)
        build_context = partial(
            BuildContext,
            asset=asset,
            inputs=inputs,
            symbol=symbol,
            market_file=workspace.source.file(symbol) if asset.reads_source else None,
            previous=workspace.store.current(asset.category, asset.name, symbol),
            rebuild=rebuild,
            checkpoints=checkpoints,
            studies=workspace.store.root / "studies" / f"{asset.name}@{symbol}.journal",
            trials=trials,
        )

        def build(folder: Path) -> BuildResult:
            if not asset.fits:
                return asset.build(build_context(folder=folder), **refs)
            with trials.trial() as trial:
                result = asset.build(build_context(folder=folder), **refs)
            if result.sharpe is not None:
                trial.finish(result.sharpe, result.alternatives)
            return result

        with progress.listen(lambda fraction, text: notify(asset.name, "running", fraction, text)):
            stored = workspace.store.get_or_build(inputs.recipe, refs, build, rebuild=rebuild)
        shutil.rmtree(checkpoints, ignore_errors=True)
        metadata = artifact_metadata(stored)
    except TradingAssetsError as error:
        notify(asset.name, "failed", 0.0, str(error))
        raise dg.Failure(str(error), allow_retries=False) from error
    except BaseException as error:
        notify(asset.name, "failed", 0.0, explain_machine(error) or f"{type(error).__name__}: {error}")
        raise
    if stored.outcome == "not reproduced":
        context.log.warning(
            f"{asset.name} of {symbol} was built again from the same recipe and came out different; "
            f"version {stored.ref.version} is now the current one."
        )
    if asset.reads_trials and (warning := lost_trials(workspace.store, [symbol])) is not None:
        context.log.warning(warning)
        metadata["trials lost"] = warning
    notify(asset.name, stored.outcome, 1.0, "")
    return dg.MaterializeResult(
        data_version=dg.DataVersion(stored.ref.data_version),
        metadata=metadata,
        tags={"outcome": stored.outcome.replace(" ", "_")},
        check_results=[
            dg.AssetCheckResult(
                check_name=name,
                passed=check.passed,
                severity=dg.AssetCheckSeverity.WARN,
                description=check.text,
            )
            for name, check in stored.ref.summary.checks.items()
        ],
    )


def _symbol(context: dg.AssetExecutionContext, asset: PipelineAsset) -> str:
    if context.has_partition_key:
        return str(context.partition_key)
    known = context.instance.get_dynamic_partitions("symbols")
    raise dg.Failure(
        f"{asset.name} is made for one symbol at a time, and this run has no partition. Choose one, under "
        f"Materialize, in the launchpad or by --partition: {listed(known)}.",
        allow_retries=False,
    )


def _parents(store: ArtifactStore, asset: PipelineAsset, symbol: str) -> dict[str, ArtifactRef]:
    """The asset's current inputs, checked to be made from each other's current versions."""
    refs = {}
    for name in asset.inputs:
        ref = store.current(PIPELINE[name].category, name, symbol)
        if ref is None:
            raise ArtifactError(f"{name} of {symbol} does not exist yet; materialize it first.")
        refs[name] = ref
    for name, ref in refs.items():
        for parent, built_from in ref.metadata["inputs"].items():
            if parent in refs and refs[parent].identity != built_from["identity"]:
                raise ArtifactError(
                    f"{name} of {symbol} was made from {parent} {built_from['version']}, but {parent} "
                    f"{refs[parent].version} is the current one; materialize {name} again first."
                )
    return refs


def _log_watcher(context: dg.AssetExecutionContext) -> Watcher:
    """Progress into Dagster's log, in quarters."""
    reported = [0.0]

    def notify(asset: str, event: str, fraction: float, text: str) -> None:
        if event == "running" and fraction >= reported[0] + 0.25:
            reported[0] = fraction
            context.log.info(f"{asset}: {fraction:.0%} {text}")

    return notify
