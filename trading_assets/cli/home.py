"""A lasting DAGSTER_HOME, made ready before anything opens it."""

import os
from pathlib import Path
from typing import Any

import dagster as dg
import yaml

from trading_assets.config.paths import dagster_home
from trading_assets.errors import SettingsError, explain_machine

_DAGSTER_YAML = """\
telemetry: {enabled: false}
nux: {enabled: false}
concurrency:
  runs: {max_concurrent_runs: 2}
  pools: {default_limit: 1}
"""
_MEND = "Mend it, or delete it to have it written anew."
_NO_COMPUTE_LOGS = {
    "module": "dagster._core.storage.noop_compute_log_manager",
    "class": "NoOpComputeLogManager",
}


def open_instance() -> dg.DagsterInstance:
    """The instance at DAGSTER_HOME, created with quiet settings where there is none.

    Opening it here also lays out its database, which a webserver and a daemon that start together on
    a fresh one would do twice. The command line's own runs keep no copy of stdout: capturing it costs
    two processes a step.
    """
    home = dagster_home()
    home.mkdir(parents=True, exist_ok=True)
    os.environ["DAGSTER_HOME"] = str(home)
    settings = home / "dagster.yaml"
    if not settings.exists():
        settings.write_text(_DAGSTER_YAML)
    ours = {**_read(settings), "compute_logs": _NO_COMPUTE_LOGS}
    text, path = yaml.safe_dump(ours), home / "command_line.yaml"
    if not path.exists() or path.read_text() != text:
        temporary = path.with_suffix(f".{os.getpid()}")
        temporary.write_text(text)
        temporary.replace(path)
    try:
        return dg.DagsterInstance.from_config(str(home), path.name)
    except Exception as error:  # Dagster checks little of its settings before it uses them
        if explain_machine(error) is not None:
            raise
        problem = " ".join(str(error).split())[:300]
        if "alembic" in type(error).__module__:
            raise SettingsError(
                f"Dagster's databases in {home} are damaged: {problem}. Restore them, or move their folders "
                "history and schedules away; that loses the list of runs, no bars and no artifacts."
            ) from None
        raise SettingsError(f"Dagster refuses what {settings} says: {problem}. {_MEND}") from None


def _read(path: Path) -> dict[str, Any]:
    try:
        tree = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        problem = " ".join(str(error).split())
        raise SettingsError(f"{path} is not valid YAML: {problem[:300]}. {_MEND}") from None
    if not isinstance(tree or {}, dict):
        raise SettingsError(f"{path} holds a {type(tree).__name__}, expected Dagster's settings. {_MEND}")
    return tree or {}


def registered_symbols(instance: dg.DagsterInstance) -> list[str]:
    return sorted(instance.get_dynamic_partitions("symbols"))
