"""Runs that fail while nobody watches."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import dagster as dg
import pytest

from tests.pipeline import SYMBOL
from trading_assets.cli.home import open_instance
from trading_assets.definitions import build_defs
from trading_assets.defs.failures import failure_sensor


def fail() -> None:
    """A refresh of a file without prices, and what the daemon does about it."""
    instance = open_instance()
    instance.add_dynamic_partitions("symbols", [SYMBOL])
    job = build_defs().resolve_job_def("refresh")
    result = job.execute_in_process(instance=instance, partition_key=SYMBOL, raise_on_error=False)
    assert not result.success
    run = instance.get_run_by_id(result.run_id)
    (event,) = [e for e in result.all_events if e.event_type == dg.DagsterEventType.RUN_FAILURE]
    assert run is not None
    context = dg.build_run_status_sensor_context("failure_sensor", event, instance, run)
    failure_sensor(context.for_run_failure())


def logged(data_dir: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (data_dir / "failures.jsonl").read_text().splitlines()]


@pytest.fixture
def broken(data_dir: Path) -> Path:
    (data_dir / "market" / f"{SYMBOL}.csv").write_text("timestamp,open\n1,2\n")
    return data_dir


@contextmanager
def webhook(status: int) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The address of a server on this machine, and what was posted to it."""
    posted: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", posted
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_failure_is_logged_with_what_the_step_said(broken: Path) -> None:
    fail()
    (line,) = logged(broken)
    assert line["text"].startswith(f"refresh of {SYMBOL} failed: bars: ")
    assert "has no column high" in line["text"] and "Traceback" not in line["text"]
    assert line["symbol"] == SYMBOL and line["job"] == "refresh"


def test_the_failed_run_of_a_command_line_is_told_too_though_it_belongs_to_no_code_location(
    data_dir: Path,
) -> None:
    instance, repository = open_instance(), build_defs().get_repository_def()
    run = instance.create_run_for_job(
        repository.get_job("train_all"),
        status=dg.DagsterRunStatus.STARTED,
        tags={"dagster/partition": SYMBOL},
    )

    def tick(cursor: str | None) -> str | None:
        with dg.build_sensor_context(
            instance, cursor, repository.name, repository_def=repository, sensor_name="failure_sensor"
        ) as context:
            return failure_sensor.evaluate_tick(context).cursor

    cursor = tick(None)
    instance.report_run_failed(run, "Process 7 on here died.")
    tick(cursor)
    (line,) = logged(data_dir)
    assert line["run"] == run.run_id and "Process 7 on here died." in line["text"]


def test_a_failure_is_posted_to_the_webhook(broken: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with webhook(204) as (address, posted):
        monkeypatch.setenv("TRADING_ASSETS_FAILURE_WEBHOOK", address)
        fail()
    assert posted == logged(broken)


def test_a_webhook_that_refuses_loses_no_failure(broken: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with webhook(500) as (address, _):
        monkeypatch.setenv("TRADING_ASSETS_FAILURE_WEBHOOK", address)
        fail()
    failure, complaint = logged(broken)
    assert "has no column high" in failure["text"] and "500" in complaint["text"]
    monkeypatch.setenv("TRADING_ASSETS_FAILURE_WEBHOOK", "nonsense")
    fail()
    assert "did not take the failure" in logged(broken)[-1]["text"]


def test_crashed_runs_are_retried_and_failed_steps_are_not(data_dir: Path) -> None:
    open_instance()
    written = (data_dir / "dagster_home" / "dagster.yaml").read_text()
    assert "run_retries: {enabled: true, max_retries: 2, retry_on_asset_or_op_failure: false}" in written
    assert open_instance().run_retries_enabled and open_instance().run_retries_max_retries == 2
