"""Training from the command line: plan, run what is stale in a process a symbol, show the results."""

import contextlib
import logging
import multiprocessing
import os
import queue
import signal
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from typing import IO, Any

import dagster as dg

from trading_assets.cli.display import Display
from trading_assets.cli.home import open_instance, registered_symbols
from trading_assets.cli.inspect import warn_of_lost_trials
from trading_assets.cli.interruption import GRACE_SECONDS, follow_parent
from trading_assets.cli.results import print_results
from trading_assets.cli.workers import explain_end, read_from, start_server
from trading_assets.config.paths import THREADS, artifacts_dir, dagster_home
from trading_assets.definitions import build_defs
from trading_assets.defs.assets import PIPELINE
from trading_assets.defs.jobs import REFRESH
from trading_assets.defs.liveness import fail_dead_runs
from trading_assets.defs.locks import Holder, locked
from trading_assets.defs.materialize import REBUILD_TAG, watch
from trading_assets.defs.pipeline import with_ancestors
from trading_assets.defs.resources import Workspace
from trading_assets.defs.staleness import asset_states, to_run
from trading_assets.errors import ArtifactError, MarketError, TradingAssetsError, explain_machine
from trading_assets.market.bars import check_symbol
from trading_assets.registry.store import ArtifactStore

HEAVY = [
    "trading_assets.agents.storage",
    "trading_assets.bundles.verification",
    "trading_assets.bundles.graph",
    "trading_assets.forecasters.pipeline",
    "trading_assets.reports.backtest",
    "trading_assets.reports.pictures",
    "onnxruntime",
    "torch.onnx",
    "torch._dynamo",
]
"""Loaded once by the server that workers are forked from."""
_SILENT = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True, kw_only=True)
class TrainRequest:
    symbols: list[str]
    profile: str
    overrides: dict[str, Any] = field(default_factory=dict)
    max_workers: int = 2
    rebuild: bool = False
    stale_only: bool = False

    @property
    def workspace(self) -> Workspace:
        return Workspace(profile=self.profile, overrides=self.overrides)


def train(request: TrainRequest, goals: list[str] | None = None) -> int:
    """Bring the goals (all assets without them) of every symbol up to date; return the exit code.

    Mistakes in settings are raised before anything runs. A symbol that fails, or whose bars are missing
    or cannot be read, does not stop the others.
    """
    instance, workspace = open_instance(), request.workspace
    source = workspace.source.snapshot()
    selections: dict[str, list[str]] = {}
    failed: dict[str, str] = {}
    for symbol in request.symbols:
        settings = workspace.settings(check_symbol(symbol))
        try:
            stale = to_run(asset_states(workspace.store, source, settings, symbol), goals)
        except (MarketError, ArtifactError) as error:
            failed[symbol] = str(error)
            continue
        selections[symbol] = [n for n in PIPELINE if n in (goals or PIPELINE)] if request.rebuild else stale
    warn_of_lost_trials(workspace.store, list(selections))
    if not selections:
        raise MarketError(" ".join(dict.fromkeys(failed.values())))
    instance.add_dynamic_partitions("symbols", list(selections))
    busy = {symbol: names for symbol, names in selections.items() if names}
    if busy:
        failed |= _run_all(request, busy, goals)
    if goals is None and not _rank(instance):
        failed["leaderboard"] = "see its run in the user interface"
    print_results(ArtifactStore(artifacts_dir()), request.symbols, [*busy, *failed], failed)
    return 1 if failed else 0


def _run_all(
    request: TrainRequest, selections: dict[str, list[str]], goals: list[str] | None
) -> dict[str, str]:
    """One process a symbol, at most `max_workers` at once; what failed, with its message."""
    at_once = min(request.max_workers, len(selections))
    os.environ.setdefault(THREADS, str(max(len(os.sched_getaffinity(0)) // at_once, 1)))
    context = multiprocessing.get_context("forkserver")
    trains = any(name not in REFRESH for names in selections.values() for name in names)
    context.set_forkserver_preload(["trading_assets.definitions", *(HEAVY if trains else [])])
    output = start_server()
    position = output.seek(0, os.SEEK_END)
    events: Any = context.Queue()
    waiting, running = list(selections), dict[str, BaseProcess]()
    with Display(selections, at_once) as display:
        try:
            while waiting or running:
                while waiting and len(running) < request.max_workers:
                    symbol = waiting.pop(0)
                    running[symbol] = context.Process(
                        target=_work,
                        args=(request, symbol, selections[symbol], goals, events, dict(os.environ)),
                        name=symbol,
                    )
                    _start(running[symbol], output, position)
                _drain(events, display, 0.1)
                for symbol, process in list(running.items()):
                    if not process.is_alive():
                        _drain(events, display, 0.0)
                        display.finish(symbol, _failure(symbol, process, display, output, position))
                        del running[symbol]
        except KeyboardInterrupt:
            _stop(list(running.values()))
            raise
    return display.failures


def _start(process: BaseProcess, output: IO[bytes], position: int) -> None:
    try:
        process.start()
    except (EOFError, ConnectionError):
        words = read_from(output, position)
        line = explain_machine(ChildProcessError(words)) or f"No worker could be started: {words.strip()}"
        raise TradingAssetsError(line) from None


def _failure(symbol: str, process: BaseProcess, display: Display, output: IO[bytes], position: int) -> str:
    """Why a worker ended, empty where it did its work or told of it itself."""
    if not process.exitcode or symbol in display.failures:
        return ""
    words = read_from(output, position)
    line = explain_end(process.exitcode, words)
    if line is None:
        sys.stderr.write(words)
    return line or f"the worker process ended with exit code {process.exitcode}"


def _drain(events: Any, display: Display, timeout: float) -> None:
    with contextlib.suppress(queue.Empty):
        display.show(*events.get(timeout=timeout) if timeout else events.get_nowait())
        while True:
            display.show(*events.get_nowait())


def _stop(processes: Iterable[BaseProcess]) -> None:
    """Interrupt the workers, which hear of no signal themselves; end what is left after a while."""
    for ask in (_interrupt, BaseProcess.kill):
        deadline = time.monotonic() + GRACE_SECONDS
        for process in processes:
            if process.is_alive():
                ask(process)
        for process in processes:
            process.join(max(deadline - time.monotonic(), 0.0))
    fail_dead_runs(open_instance())


def _interrupt(process: BaseProcess) -> None:
    if process.pid is not None:
        os.kill(process.pid, signal.SIGINT)


def _work(
    request: TrainRequest,
    symbol: str,
    names: list[str],
    goals: list[str] | None,
    events: Any,
    environment: dict[str, str],
) -> None:
    """In a process of its own: run the symbol's assets and report on each."""
    follow_parent()
    os.environ.update(environment)  # the server that this is forked from has that of the first training
    logging.disable(logging.CRITICAL)
    try:
        done = _run(request, symbol, names, goals, events)
    except Exception as error:
        text = str(error) if isinstance(error, TradingAssetsError) else explain_machine(error)
        if text is None:
            raise
        events.put((symbol, "run", "failed", 0.0, text))
        done = False
    if not done:
        sys.exit(1)


def _run(request: TrainRequest, symbol: str, names: list[str], goals: list[str] | None, events: Any) -> bool:
    """In turn with other trainings of the symbol; whether all succeeded."""

    def wait(holder: Holder | None) -> None:
        events.put((symbol, names[0], "waiting", 0.0, f"waits for another training: {holder or 'starting'}"))

    turn = dagster_home() / "running" / f"train-{symbol}.lock"
    with locked(turn, wait), watch(lambda *event: events.put((symbol, *event))):
        if request.rebuild:
            ancestors = sorted(with_ancestors(goals or []) - set(names), key=list(PIPELINE).index)
            return _run_stale(request, symbol, ancestors) and run_assets(request, symbol, names, rebuild=True)
        if request.stale_only:
            return _run_stale(request, symbol, goals)
        return run_assets(request, symbol, names)


def _run_stale(request: TrainRequest, symbol: str, goals: list[str] | None) -> bool:
    """Run what is surely stale, look again, until nothing is; whether all succeeded."""
    workspace = request.workspace
    while True:
        planned = asset_states(workspace.store, workspace.source, workspace.settings(symbol), symbol)
        names = to_run([p for p in planned if p.state == "stale"], goals)
        if not names:
            return True
        if not run_assets(request, symbol, names):
            return False


def run_assets(request: TrainRequest, symbol: str, names: list[str], *, rebuild: bool = False) -> bool:
    """One Dagster run of the named assets of a symbol, in this process; whether it succeeded."""
    result = (
        build_defs()
        .resolve_job_def("train_all")
        .execute_in_process(
            instance=open_instance(),
            partition_key=symbol,
            asset_selection=[dg.AssetKey(name) for name in names],
            run_config={
                "resources": {
                    "workspace": {"config": {"profile": request.profile, "overrides": request.overrides}}
                },
                **_SILENT,
            },
            tags={REBUILD_TAG: "true"} if rebuild else None,
            raise_on_error=False,
        )
    )
    return result.success


def _rank(instance: dg.DagsterInstance) -> bool:
    """Bring the leaderboard up to date, in a run only if it is not; whether it is."""
    from trading_assets.defs.assets.reports import leaderboard_recipe

    store = ArtifactStore(artifacts_dir())
    recipe, _ = leaderboard_recipe(store, registered_symbols(instance))
    if store.is_current(recipe):
        return True
    job = build_defs().resolve_job_def("rank")
    return job.execute_in_process(instance=instance, run_config=_SILENT, raise_on_error=False).success
