"""When things run by themselves: on new bars, and on anything that makes a symbol's training stale."""

import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq

from trading_assets.config import Settings
from trading_assets.defs.jobs import refresh, retrain
from trading_assets.defs.liveness import unfinished_runs
from trading_assets.defs.memory import Memory, read_cursor, write_cursor
from trading_assets.defs.partitions import symbols
from trading_assets.defs.pipeline import PIPELINE, inputs_of
from trading_assets.defs.resources import Workspace
from trading_assets.defs.staleness import asset_states, settings_digest, to_run
from trading_assets.errors import TradingAssetsError
from trading_assets.registry.digests import digest_json
from trading_assets.registry.store import ArtifactStore

TICK_SECONDS = 20.0
"""Work on symbols that need more than a look; the rest waits for the next tick (Dagster ends one at 60 s)."""
UNFINISHED_RUNS = 100
"""As many under way or queued are enough: more would wait in the queue, and each look would read them all."""
_TOLD = 5
"""Symbols named of each kind in the reason of a tick."""


@dg.sensor(
    job=refresh,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Registers symbols and refreshes them when their file is not what is in force.",
)
def new_bars_sensor(context: dg.SensorEvaluationContext, workspace: Workspace) -> dg.SensorResult:
    """A file counts once two looks in a row see the same; then its content is compared with what is in force.

    A run that failed or never began is asked for again, later each time, see `memory.WAITS`; another
    content or other settings start anew.
    """
    memories = read_cursor(context.cursor)
    try:
        source, basis = workspace.source.snapshot(), _basis(workspace)
    except TradingAssetsError as error:
        return dg.SensorResult(skip_reason=str(error))
    store, busy, until = workspace.store, unfinished_runs(context.instance), time.monotonic() + TICK_SECONDS
    asked, told = list[str](), dict[str, list[str]]()
    for symbol, files in source.listing().items():
        memory = memories.setdefault(symbol, Memory())
        try:
            look = _look(files.parts())
            state = f"{look} {store.version_in_force('tables', 'bars', symbol)} {basis}"
            if memory.done == state:
                continue
            if memory.look != look:
                memory.look, memory.digest = look, ""
                told.setdefault("watching", []).append(symbol)
                continue
            if _has_to_wait(symbol, busy, asked, until, told):
                continue
            if not _is_whole(files.file):
                told.setdefault("watching", []).append(symbol)
                continue
            memory.digest = memory.digest or files.digest()
            settings = workspace.settings(symbol)
            if _is_refreshed(store, settings, symbol, memory.digest):
                memory.done = state
            elif why := memory.ask(f"{memory.digest}:{settings_digest(settings)}"):
                told.setdefault("failed", []).append(f"{symbol}: {why}")
            else:
                asked.append(symbol)
        except (TradingAssetsError, OSError) as error:
            told.setdefault("unusable", []).append(f"{symbol}: {error}")
    if not_taken := source.passed_over():
        told["not taken"] = [f"{name} ({reason})" for name, reason in not_taken.items()]
    return _result(context, asked, memories, told, "Nothing has changed.", new=asked)


@dg.sensor(
    job=retrain,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="Retrains a symbol when its dataset or its settings have changed.",
)
def retrain_sensor(context: dg.SensorEvaluationContext, workspace: Workspace) -> dg.SensorResult:
    """A run for each symbol whose training is not made from the dataset and the settings in force.

    What waited before the sensor was switched on is found, and what was trained by hand is not trained
    again. A run that failed or never began is asked for again, see `new_bars_sensor`.
    """
    memories = read_cursor(context.cursor)
    try:
        basis = _basis(workspace)
    except TradingAssetsError as error:
        return dg.SensorResult(skip_reason=str(error))
    store, busy, until = workspace.store, unfinished_runs(context.instance), time.monotonic() + TICK_SECONDS
    asked, told = list[str](), dict[str, list[str]]()
    for symbol in context.instance.get_dynamic_partitions("symbols"):
        version = store.version_in_force("tables", "dataset", symbol)
        memory = memories.setdefault(symbol, Memory())
        state = f"{version} {basis}"
        if not version or memory.done == state:
            continue
        if _has_to_wait(symbol, busy, asked, until, told):
            continue
        try:
            dataset, settings = store.current("tables", "dataset", symbol), workspace.settings(symbol)
            if dataset is None or not to_run(asset_states(store, None, settings, symbol)):
                memory.done = state
            elif why := memory.ask(f"{dataset.data_version}:{settings_digest(settings)}"):
                told.setdefault("failed", []).append(f"{symbol}: {why}")
            else:
                asked.append(symbol)
        except (TradingAssetsError, OSError) as error:
            told.setdefault("unusable", []).append(f"{symbol}: {error}")
    return _result(context, asked, memories, told, "Nothing is stale.")


def _has_to_wait(
    symbol: str, busy: dict[str, str], asked: list[str], until: float, told: dict[str, list[str]]
) -> bool:
    """For its own run, for the runs of others, or for the next look; why is noted in `told`."""
    if symbol in busy:
        told.setdefault("waiting for", []).append(busy[symbol])
    elif len(busy) + len(asked) >= UNFINISHED_RUNS:
        told.setdefault(f"left until fewer than {UNFINISHED_RUNS} runs are unfinished:", []).append(symbol)
    elif time.monotonic() > until:
        told.setdefault("left for the next look", []).append(symbol)
    else:
        return False
    return True


def _result(
    context: dg.SensorEvaluationContext,
    asked: list[str],
    memories: dict[str, Memory],
    told: dict[str, list[str]],
    nothing: str,
    new: Sequence[str] = (),
) -> dg.SensorResult:
    """Runs without a run key: Dagster would pass over a request whose key an earlier, failed run had."""
    parts = []
    for kind, cases in told.items():
        more = f" and {len(cases) - _TOLD} more" if len(cases) > _TOLD else ""
        parts.append(f"{kind} {', '.join(cases[:_TOLD])}{more}")
    said = "; ".join(parts)
    said = f"{said[0].upper()}{said[1:]}" if said else nothing
    if asked and parts:  # a tick that asks for runs may have no reason to skip
        context.log.info(said)
    return dg.SensorResult(
        run_requests=[dg.RunRequest(partition_key=symbol) for symbol in asked],
        dynamic_partitions_requests=[symbols.build_add_request(new)] if new else [],
        cursor=write_cursor(memories),
        skip_reason=None if asked else said,
    )


def _basis(workspace: Workspace) -> str:
    """Digest of the settings of all symbols and of the methods; a change anywhere has all looked at again."""
    methods = {name: asset.method for name, asset in PIPELINE.items()}
    return digest_json([workspace.settings_basis(), methods])[:12]


def _look(paths: Iterable[Path]) -> str:
    """What changes with a file's content: also its inode and its time of change, which no tool sets back."""
    status = [path.stat() for path in paths]
    return digest_json([[s.st_size, s.st_mtime_ns, s.st_ctime_ns, s.st_ino] for s in status])[:16]


def _is_refreshed(store: ArtifactStore, settings: Settings, symbol: str, digest: str) -> bool:
    """Whether the bars in force were made from these files and settings, and the dataset from these bars."""
    recipe = inputs_of(PIPELINE["bars"], settings, symbol, {}, lambda: digest).recipe
    bars = store.current("tables", "bars", symbol)
    dataset = store.current("tables", "dataset", symbol)
    if bars is None or dataset is None or not store.is_current(recipe):
        return False
    return bool(dataset.metadata["inputs"]["bars"]["identity"] == bars.identity)


def _is_whole(path: Path) -> bool:
    """Whether a Parquet file has its footer; other formats have none to look at."""
    if path.suffix != ".parquet":
        return True
    try:
        pq.read_metadata(path)
    except (OSError, pa.ArrowInvalid):
        return False
    return True
