"""When things run by themselves: on new bars, and on anything that makes a symbol's training stale."""

import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq

from trading_assets.compilation import source_digest
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
"""For symbols that need more than a look; others wait for the next tick (Dagster ends one after 60 s)."""
UNFINISHED_RUNS = 100
"""No more are requested while so many are under way or queued: each tick reads them all."""
_MAX_NAMED = 5
"""Symbols that the reason of a tick names of each kind."""


@dg.sensor(
    job=refresh,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Registers symbols, and refreshes those whose file is not what their bars were made from.",
)
def new_bars_sensor(context: dg.SensorEvaluationContext, workspace: Workspace) -> dg.SensorResult:
    """Once a file is the same in two ticks, its content is compared with that of the current bars' file.

    A run that failed or never began is requested again, after `memory.WAITS`; other content or other
    settings are requested at once.
    """
    memories = read_cursor(context.cursor)
    try:
        source, basis = workspace.source.snapshot(), _basis(workspace)
    except TradingAssetsError as error:
        return dg.SensorResult(skip_reason=str(error))
    store, busy, until = workspace.store, unfinished_runs(context.instance), time.monotonic() + TICK_SECONDS
    requested, notes = list[str](), dict[str, list[str]]()
    for symbol, files in source.listing().items():
        memory = memories.setdefault(symbol, Memory())
        try:
            look = _look(files.parts())
            state = f"{look} {store.current_version('tables', 'bars', symbol)} {basis}"
            if memory.done == state:
                continue
            if memory.look != look:
                memory.look, memory.digest = look, ""
                notes.setdefault("watching", []).append(symbol)
                continue
            if _has_to_wait(symbol, busy, requested, until, notes):
                continue
            if not _is_whole(files.file):
                notes.setdefault("watching", []).append(symbol)
                continue
            memory.digest = memory.digest or files.digest()
            settings = workspace.settings(symbol)
            if _is_refreshed(store, settings, symbol, memory.digest):
                memory.done = state
            elif why := memory.ask(f"{memory.digest}:{settings_digest(settings)}"):
                notes.setdefault("failed", []).append(f"{symbol}: {why}")
            else:
                requested.append(symbol)
        except (TradingAssetsError, OSError) as error:
            notes.setdefault("unusable", []).append(f"{symbol}: {error}")
    if left_out := source.passed_over():
        notes["not taken"] = [f"{name} ({reason})" for name, reason in left_out.items()]
    return _result(context, requested, memories, notes, "Nothing has changed.", new=requested)


@dg.sensor(
    job=retrain,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="Retrains a symbol when its dataset or its settings have changed.",
)
def retrain_sensor(context: dg.SensorEvaluationContext, workspace: Workspace) -> dg.SensorResult:
    """A run for each symbol that was not trained on its current dataset and settings.

    That includes what became stale before the sensor was switched on, and leaves out what was trained by
    hand. A run that failed or never began is requested again, see `new_bars_sensor`.
    """
    memories = read_cursor(context.cursor)
    try:
        basis = _basis(workspace)
    except TradingAssetsError as error:
        return dg.SensorResult(skip_reason=str(error))
    store, busy, until = workspace.store, unfinished_runs(context.instance), time.monotonic() + TICK_SECONDS
    requested, notes = list[str](), dict[str, list[str]]()
    for symbol in context.instance.get_dynamic_partitions("symbols"):
        version = store.current_version("tables", "dataset", symbol)
        memory = memories.setdefault(symbol, Memory())
        state = f"{version} {basis}"
        if not version or memory.done == state:
            continue
        if _has_to_wait(symbol, busy, requested, until, notes):
            continue
        try:
            dataset, settings = store.current("tables", "dataset", symbol), workspace.settings(symbol)
            if dataset is None or not to_run(asset_states(store, None, settings, symbol)):
                memory.done = state
            elif why := memory.ask(f"{dataset.data_version}:{settings_digest(settings)}"):
                notes.setdefault("failed", []).append(f"{symbol}: {why}")
            else:
                requested.append(symbol)
        except (TradingAssetsError, OSError) as error:
            notes.setdefault("unusable", []).append(f"{symbol}: {error}")
    return _result(context, requested, memories, notes, "Nothing is stale.")


def _has_to_wait(
    symbol: str, busy: dict[str, str], requested: list[str], until: float, notes: dict[str, list[str]]
) -> bool:
    """Whether the symbol waits: for its own run, for other runs, or for the next tick; why is in `notes`."""
    if symbol in busy:
        notes.setdefault("waiting for", []).append(busy[symbol])
    elif len(busy) + len(requested) >= UNFINISHED_RUNS:
        notes.setdefault(f"left until fewer than {UNFINISHED_RUNS} runs are unfinished:", []).append(symbol)
    elif time.monotonic() > until:
        notes.setdefault("left for the next look", []).append(symbol)
    else:
        return False
    return True


def _result(
    context: dg.SensorEvaluationContext,
    requested: list[str],
    memories: dict[str, Memory],
    notes: dict[str, list[str]],
    nothing: str,
    new: Sequence[str] = (),
) -> dg.SensorResult:
    """Runs without a run key: Dagster would pass over a request whose key an earlier, failed run had."""
    parts = []
    for kind, cases in notes.items():
        more = f" and {len(cases) - _MAX_NAMED} more" if len(cases) > _MAX_NAMED else ""
        parts.append(f"{kind} {', '.join(cases[:_MAX_NAMED])}{more}")
    reason = "; ".join(parts)
    reason = f"{reason[0].upper()}{reason[1:]}" if reason else nothing
    if requested and parts:  # a tick that requests runs may have no reason to skip
        context.log.info(reason)
    return dg.SensorResult(
        run_requests=[dg.RunRequest(partition_key=symbol) for symbol in requested],
        dynamic_partitions_requests=[symbols.build_add_request(new)] if new else [],
        cursor=write_cursor(memories),
        skip_reason=None if requested else reason,
    )


def _basis(workspace: Workspace) -> str:
    """Digest of the settings of all symbols, the methods and the compiled code.

    A change has all symbols looked at again.
    """
    methods = {name: asset.method for name, asset in PIPELINE.items()}
    return digest_json([workspace.settings_basis(), methods, source_digest()])[:12]


def _look(paths: Iterable[Path]) -> str:
    """What changes with a file's content: also its inode and its time of change, which no tool sets back."""
    status = [path.stat() for path in paths]
    return digest_json([[s.st_size, s.st_mtime_ns, s.st_ctime_ns, s.st_ino] for s in status])[:16]


def _is_refreshed(store: ArtifactStore, settings: Settings, symbol: str, digest: str) -> bool:
    """Whether the current bars were made from these files and settings, and the dataset from these bars."""
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
