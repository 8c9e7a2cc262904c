"""A lasting DAGSTER_HOME, made ready before anything opens it."""

import os

import dagster as dg
import yaml
from filelock import FileLock

from trading_assets.config.paths import dagster_home
from trading_assets.defs.liveness import fail_dead_runs
from trading_assets.registry.files import replace_file

_DAGSTER_YAML = """\
telemetry: {enabled: false}
nux: {enabled: false}
concurrency:
  runs: {max_concurrent_runs: 2}
  pools: {default_limit: 1}
# A run whose process died is started again; one whose step failed is left to the sensors.
run_retries: {enabled: true, max_retries: 2, retry_on_asset_or_op_failure: false}
"""
_NO_COMPUTE_LOGS = {
    "module": "dagster._core.storage.noop_compute_log_manager",
    "class": "NoOpComputeLogManager",
}


def open_instance() -> dg.DagsterInstance:
    """The instance at DAGSTER_HOME, created with quiet settings where there is none.

    Opening it here also lays out its database, one process at a time: of several that start together on
    a fresh home all but one would fail. Runs whose process was killed are marked failed. The command
    line's own runs keep no copy of stdout: capturing it costs two processes a step.
    """
    home = dagster_home()
    home.mkdir(parents=True, exist_ok=True)
    os.environ["DAGSTER_HOME"] = str(home)
    with FileLock(home / ".opening.lock"):
        settings = home / "dagster.yaml"
        written = settings.read_text() if settings.exists() else ""
        if written != _DAGSTER_YAML and _DAGSTER_YAML.startswith(written):  # missing, or cut short
            replace_file(settings, _DAGSTER_YAML.encode())
        ours = {**(yaml.safe_load(settings.read_text()) or {}), "compute_logs": _NO_COMPUTE_LOGS}
        text, path = yaml.safe_dump(ours), home / "command_line.yaml"
        if not path.exists() or path.read_text() != text:
            replace_file(path, text.encode())
        instance = dg.DagsterInstance.from_config(str(home), path.name)
    fail_dead_runs(instance)
    return instance


def registered_symbols(instance: dg.DagsterInstance) -> list[str]:
    return sorted(instance.get_dynamic_partitions("symbols"))
