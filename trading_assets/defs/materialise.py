"""The one way an asset comes to be: find it by its recipe, or build it, and say what it is."""

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
from trading_assets.defs.resources import Workspace
from trading_assets.defs.steps import (
    STEPS,
    Step,
    Work,
    inputs_of,
    lost_trials,
    trials_of,
)
from trading_assets.errors import ArtifactError, TradingAssetsError, explain_machine
from trading_assets.registry.artifacts import ArtifactRef, Built
from trading_assets.registry.store import ArtifactStore

REBUILD_TAG = "trading_assets/rebuild"
"""Run tag: build every selected asset even if its recipe is known."""

Watcher = Callable[[str, str, float, str], None]
"""Called with (step, 'started' | 'running' | outcome | 'failed', fraction, text)."""

_watcher: ContextVar[Watcher | None] = ContextVar("step_watcher", default=None)


@contextmanager
def watch(watcher: Watcher) -> Iterator[None]:
    """Tell `watcher` of every step that runs in this process inside the block."""
    token = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(token)


def materialise(context: dg.AssetExecutionContext, step: Step) -> dg.MaterializeResult[Any]:
    """Make the step's artifact for the run's symbol the current one, from its parents in force.

    A mistake of the user's (settings, bars) fails the step without retries and with its own text.
    """
    workspace: Workspace = context.resources.workspace
    symbol = _symbol(context, step)
    tell = _watcher.get() or _log_watcher(context)
    tell(step.name, "started", 0.0, "")
    try:
        settings = workspace.settings(symbol)
        refs = _parents(workspace.store, step, symbol)
        versions = {name: ref.data_version for name, ref in refs.items()}
        inputs = inputs_of(step, settings, symbol, versions, lambda: workspace.source.digest(symbol))
        rebuild = context.run.tags.get(REBUILD_TAG) == "true"
        checkpoints = workspace.store.root / "checkpoints" / inputs.recipe.digest
        trials = trials_of(step, settings, symbol)
        work = partial(
            Work,
            step=step,
            inputs=inputs,
            symbol=symbol,
            market_file=workspace.source.file(symbol) if step.reads_source else None,
            previous=workspace.store.current(step.category, step.name, symbol),
            rebuild=rebuild,
            checkpoints=checkpoints,
            studies=workspace.store.root / "studies" / f"{step.name}@{symbol}.journal",
            trials=trials,
        )

        def build(folder: Path) -> Built:
            if not step.fits:
                return step.build(work(folder=folder), **refs)
            with trials.trial() as trial:
                built = step.build(work(folder=folder), **refs)
            if built.sharpe is not None:
                trial.finish(built.sharpe, built.alternatives)
            return built

        with progress.listen(lambda fraction, text: tell(step.name, "running", fraction, text)):
            obtained = workspace.store.obtain(inputs.recipe, refs, build, rebuild=rebuild)
        shutil.rmtree(checkpoints, ignore_errors=True)
        metadata = artifact_metadata(obtained)
    except TradingAssetsError as error:
        tell(step.name, "failed", 0.0, str(error))
        raise dg.Failure(str(error), allow_retries=False) from error
    except BaseException as error:
        tell(step.name, "failed", 0.0, explain_machine(error) or f"{type(error).__name__}: {error}")
        raise
    if obtained.outcome == "not reproduced":
        context.log.warning(
            f"{step.name} of {symbol} was built again from the same recipe and came out different; "
            f"version {obtained.ref.version} is now in force."
        )
    if step.reads_trials and (warning := lost_trials(workspace.store, [symbol])) is not None:
        context.log.warning(warning)
        metadata["trials lost"] = warning
    tell(step.name, obtained.outcome, 1.0, "")
    return dg.MaterializeResult(
        data_version=dg.DataVersion(obtained.ref.data_version),
        metadata=metadata,
        tags={"outcome": obtained.outcome.replace(" ", "_")},
        check_results=[
            dg.AssetCheckResult(
                check_name=name,
                passed=check.passed,
                severity=dg.AssetCheckSeverity.WARN,
                description=check.text,
            )
            for name, check in obtained.ref.summary.checks.items()
        ],
    )


def _symbol(context: dg.AssetExecutionContext, step: Step) -> str:
    if context.has_partition_key:
        return str(context.partition_key)
    known = context.instance.get_dynamic_partitions("symbols")
    raise dg.Failure(
        f"{step.name} is made for one symbol at a time, and this run has no partition. Choose one, under "
        f"Materialize, in the launchpad or by --partition: {listed(known)}.",
        allow_retries=False,
    )


def _parents(store: ArtifactStore, step: Step, symbol: str) -> dict[str, ArtifactRef]:
    """The step's inputs in force, checked to be made from each other and not from earlier versions."""
    refs = {}
    for name in step.inputs:
        ref = store.current(STEPS[name].category, name, symbol)
        if ref is None:
            raise ArtifactError(f"{name} of {symbol} is not there yet; materialise it first.")
        refs[name] = ref
    for name, ref in refs.items():
        for parent, made in ref.metadata["inputs"].items():
            if parent in refs and refs[parent].identity != made["identity"]:
                raise ArtifactError(
                    f"{name} of {symbol} was made from {parent} {made['version']}, but {parent} "
                    f"{refs[parent].version} is in force now; materialise {name} again first."
                )
    return refs


def _log_watcher(context: dg.AssetExecutionContext) -> Watcher:
    """Progress into Dagster's log, in quarters."""
    told = [0.0]

    def tell(step: str, event: str, fraction: float, text: str) -> None:
        if event == "running" and fraction >= told[0] + 0.25:
            told[0] = fraction
            context.log.info(f"{step}: {fraction:.0%} {text}")

    return tell
