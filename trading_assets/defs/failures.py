"""What happens when a run fails that nobody watches: a line in a log, and a call to whoever wants to know."""

import json
import urllib.request
from datetime import UTC, datetime

import dagster as dg

from trading_assets.config.paths import failures_log, failures_webhook

TIMEOUT_SECONDS = 10.0


@dg.run_failure_sensor(
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=30,
    monitor_all_code_locations=True,  # runs of the command line belong to none
    description="Writes every failed run to a log file, and posts it to a webhook where one is set.",
)
def failure_sensor(context: dg.RunFailureSensorContext) -> None:
    """Append the failure to `config.paths.failures_log` and post the same JSON to the webhook.

    A webhook that does not answer is noted in the log; the failure itself is never lost.
    """
    run = context.dagster_run
    symbol = run.tags.get("dagster/partition")
    failure = {
        "text": f"{run.job_name} of {symbol or 'all symbols'} failed: {_message(context)}",
        "job": run.job_name,
        "symbol": symbol,
        "run": run.run_id,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    _log(failure)
    webhook = failures_webhook()
    if webhook:
        try:
            _post(webhook, failure)
        except (OSError, ValueError) as error:
            _log({**failure, "text": f"The webhook did not take the failure: {error}"})


def _message(context: dg.RunFailureSensorContext) -> str:
    """The errors of the failed steps; of a run that ended outside its steps, what Dagster knows of it."""
    messages = []
    for event in context.get_step_failure_events():
        data = event.step_failure_data
        own = data.user_failure_data.description if data.user_failure_data else None
        messages.append(
            f"{event.step_key}: {own or (data.error.message.strip() if data.error else 'unknown')}"
        )
    return "; ".join(messages) or context.failure_event.message or "unknown"


def _log(line: dict[str, str | None]) -> None:
    path = failures_log()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def _post(url: str, body: dict[str, str | None]) -> None:
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS):
        pass
