"""Which runs are under way, and which only look so because their process was killed.

The process of a run holds a lock named after it. A run whose lock was left is marked failed when the
instance is opened and whenever a sensor looks; so is one that nobody works on `START_SECONDS` after it began.
"""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from trading_assets.defs.locks import holder_of, is_abandoned, locked

PROCESS_TAG = "trading_assets/process"
"""Run tag: host and process that works on the run."""
START_SECONDS = 300.0
"""What a run may take from being launched to its first step, or from its last step to its end."""

_BEGUN = (
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
)


@contextmanager
def working_on(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Iterator[None]:
    """Show all others that this process works on `run` for as long as the block lasts."""
    if instance.is_ephemeral:
        yield
        return
    process = {PROCESS_TAG: f"{socket.gethostname()}:{os.getpid()}"}
    with locked(_lock_file(instance, run.run_id), lambda _: None):
        instance.add_run_tags(run.run_id, process)
        try:
            yield
        finally:
            # The time of change starts anew, or a long run would look dead while it is brought to its end.
            instance.add_run_tags(run.run_id, process)


def fail_dead_runs(instance: dg.DagsterInstance) -> list[str]:
    """Mark the runs of dead processes failed; their ids."""
    return [
        record.dagster_run.run_id
        for record in instance.get_run_records(dg.RunsFilter(statuses=list(_BEGUN)))
        if _failed(instance, record)
    ]


def unfinished_runs(instance: dg.DagsterInstance) -> dict[str, str]:
    """By symbol, the run that is under way or queued, in words; dead ones are marked failed first."""
    statuses = [*_BEGUN, dg.DagsterRunStatus.QUEUED]
    runs = {}
    for record in instance.get_run_records(dg.RunsFilter(statuses=statuses)):
        run = record.dagster_run
        symbol = run.tags.get("dagster/partition")
        if symbol and (run.status == dg.DagsterRunStatus.QUEUED or not _failed(instance, record)):
            holder = holder_of(_lock_file(instance, run.run_id))
            by = f" by {holder}" if holder else ""
            runs[symbol] = (
                f"run {run.run_id[:8]} of {symbol} ({run.job_name}, {run.status.value.lower()}{by})"
            )
    return runs


def _failed(instance: dg.DagsterInstance, record: dg.RunRecord) -> bool:
    """Whether the run is dead; it is marked failed then."""
    run, lock = record.dagster_run, _lock_file(instance, record.dagster_run.run_id)
    if is_abandoned(lock):
        why = f"{holder_of(lock)}, died while it worked on this run."
    elif lock.exists() or _is_elsewhere(run) or time.time() - _last_sign(record) < START_SECONDS:
        return False
    else:
        why = f"No process has worked on this run for {START_SECONDS:.0f} s."
    current = instance.get_run_by_id(run.run_id)
    if current is not None and not current.is_finished:
        instance.report_run_failed(current, f"{why[0].upper()}{why[1:]}")
    lock.unlink(missing_ok=True)
    return True


def _is_elsewhere(run: dg.DagsterRun) -> bool:
    """Whether another host works on the run, whose locks this one may be unable to see."""
    host, _, _ = run.tags.get(PROCESS_TAG, "").rpartition(":")
    return host not in {"", socket.gethostname()}


def _last_sign(record: dg.RunRecord) -> float:
    """Seconds since 1970 of the last change of the run."""
    return record.update_timestamp.timestamp()


def _lock_file(instance: dg.DagsterInstance, run_id: str) -> Path:
    return Path(instance.root_directory) / "running" / f"{run_id}.lock"
