"""Runs of processes that were killed are found, and only those."""

import json
import multiprocessing
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from tests.pipeline import SYMBOL
from trading_assets.cli.home import open_instance
from trading_assets.definitions import build_defs
from trading_assets.defs import liveness
from trading_assets.defs.liveness import fail_dead_runs, unfinished_runs, working_on
from trading_assets.defs.locks import SILENT_SECONDS, Holder, is_abandoned, locked
from trading_assets.defs.resources import Workspace


def started_run() -> dg.DagsterRun:
    job = build_defs().resolve_job_def("retrain")
    return open_instance().create_run_for_job(
        job, status=dg.DagsterRunStatus.STARTED, tags={"dagster/partition": SYMBOL}
    )


def status_of(run: dg.DagsterRun) -> dg.DagsterRunStatus:
    found = open_instance().get_run_by_id(run.run_id)
    assert found is not None
    return found.status


def work(run_id: str, began: Any) -> None:
    instance = open_instance()
    run = instance.get_run_by_id(run_id)
    assert run is not None
    with working_on(instance, run):
        began.set()
        time.sleep(600)


def execute(job: str, began: Any) -> None:
    """Execute a job that has the workspace, though none of our steps is at work."""

    @dg.op(required_resource_keys={"workspace"})
    def wait() -> None:
        began.set()
        time.sleep(600)

    graph = dg.GraphDefinition(job, node_defs=[wait])
    graph.to_job(resource_defs={"workspace": Workspace()}).execute_in_process(instance=open_instance())


@contextmanager
def worker(target: Callable[[str, Any], None], argument: str) -> Iterator[BaseProcess]:
    context = multiprocessing.get_context("spawn")
    began = context.Event()
    process = context.Process(target=target, args=(argument, began))
    process.start()
    try:
        assert began.wait(120)
        yield process
    finally:
        process.kill()
        process.join()


def test_the_run_of_a_killed_process_is_marked_failed_when_the_instance_is_opened(data_dir: Path) -> None:
    run = started_run()
    with worker(work, run.run_id) as process:
        assert status_of(run) == dg.DagsterRunStatus.STARTED
        assert f"process {process.pid} on {socket.gethostname()}" in unfinished_runs(open_instance())[SYMBOL]
        process.kill()
        process.join()
    assert status_of(run) == dg.DagsterRunStatus.FAILURE
    assert unfinished_runs(open_instance()) == {}
    assert list((data_dir / "dagster_home" / "running").iterdir()) == []


def test_a_run_is_known_to_be_dead_wherever_it_was_killed_between_steps_too(data_dir: Path) -> None:
    with worker(execute, "patience") as process:
        (run,) = open_instance().get_runs()
        assert status_of(run) == dg.DagsterRunStatus.STARTED
        process.kill()
        process.join()
    assert status_of(run) == dg.DagsterRunStatus.FAILURE


def test_a_lock_left_behind_is_seen_though_its_number_belongs_to_another_process(data_dir: Path) -> None:
    run = started_run()
    lock = data_dir / "dagster_home" / "running" / f"{run.run_id}.lock"
    lock.parent.mkdir()
    lock.write_text(json.dumps({"host": socket.gethostname(), "pid": os.getpid(), "since": time.time()}))
    assert fail_dead_runs(open_instance()) == [] and status_of(run) == dg.DagsterRunStatus.FAILURE


def test_a_run_of_another_host_lives_as_long_as_it_beats(tmp_path: Path) -> None:
    lock = tmp_path / "run.lock"
    lock.write_text(json.dumps({"host": "elsewhere", "pid": os.getpid(), "since": 0.0}))
    assert not is_abandoned(lock)
    past = time.time() - SILENT_SECONDS - 1
    os.utime(lock, (past, past))
    assert is_abandoned(lock)


def test_a_run_that_nobody_works_on_is_given_time_to_begin(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = started_run()
    assert status_of(run) == dg.DagsterRunStatus.STARTED
    monkeypatch.setattr(liveness, "START_SECONDS", -1.0)
    assert status_of(run) == dg.DagsterRunStatus.FAILURE


def test_a_run_between_two_steps_is_not_taken_for_dead(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, instance = started_run(), open_instance()
    monkeypatch.setattr(liveness, "START_SECONDS", 1.0)
    with working_on(instance, run):
        time.sleep(1.5)
        assert fail_dead_runs(instance) == []
    monkeypatch.setattr(liveness, "START_SECONDS", 60.0)
    assert fail_dead_runs(instance) == []


def test_a_lock_is_waited_for_with_the_name_of_its_holder(tmp_path: Path) -> None:
    path, told = tmp_path / "turn.lock", list[Holder | None]()
    first = locked(path, told.append)
    first.__enter__()

    def end(holder: Holder | None) -> None:
        told.append(holder)
        first.__exit__(None, None, None)

    with locked(path, end):
        (holder,) = told
        assert holder is not None and holder.pid == os.getpid()
    assert not path.exists()
