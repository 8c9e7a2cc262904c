"""A lasting DAGSTER_HOME, made ready before anything opens it."""

import os
import shutil
from pathlib import Path
from typing import Any

import dagster as dg
import yaml
from filelock import FileLock

from trading_assets.config.paths import dagster_home
from trading_assets.defs.liveness import fail_dead_runs
from trading_assets.errors import SettingsError, explain_machine
from trading_assets.registry.files import rename, replace_file

_DAGSTER_YAML = """\
telemetry: {enabled: false}
nux: {enabled: false}
concurrency:
  runs: {max_concurrent_runs: 2}
  pools: {default_limit: 1}
# A run whose process died is started again; one whose step failed is left to the sensors.
run_retries: {enabled: true, max_retries: 2, retry_on_asset_or_op_failure: false}
"""
_SETTINGS = "command_line.yaml"
_DATABASES = ("schedules", "history")
_MEND = "Mend it, or delete it to have it written anew."
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
        written = _text_of(settings) if settings.exists() else ""
        if written != _DAGSTER_YAML and _DAGSTER_YAML.startswith(written):  # missing, or cut short
            replace_file(settings, _DAGSTER_YAML.encode())
        ours = {**_read(settings), "compute_logs": _NO_COMPUTE_LOGS}
        text, path = yaml.safe_dump(ours), home / _SETTINGS
        if not path.exists() or path.read_text() != text:
            replace_file(path, text.encode())
        if not all((home / name).exists() for name in _DATABASES):
            _lay_out(home)
        instance = _open(home, home)
    fail_dead_runs(instance)
    return instance


def _lay_out(home: Path) -> None:
    """Make Dagster's databases aside: half of one, which a kill would leave, is of no use."""
    draft = home / ".draft"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    shutil.copy(home / _SETTINGS, draft)
    _open(draft, home).dispose()
    for name in _DATABASES:
        if (draft / name).exists() and not (home / name).exists():
            rename(draft / name, home / name)
    shutil.rmtree(draft)


def _open(folder: Path, home: Path) -> dg.DagsterInstance:
    """The instance whose databases are in `folder`, for the settings of `home`."""
    try:
        return dg.DagsterInstance.from_config(str(folder), _SETTINGS)
    except Exception as error:  # Dagster checks little of its settings before it uses them
        if explain_machine(error) is not None:
            raise
        problem = " ".join(str(error).split())[:300]
        if "alembic" in type(error).__module__:
            raise SettingsError(
                f"Dagster's databases in {home} are damaged: {problem}. Restore them, or move their folders "
                "history and schedules away; that loses the list of runs, no bars and no artifacts."
            ) from None
        raise SettingsError(
            f"Dagster refuses what {home / 'dagster.yaml'} says: {problem}. {_MEND}"
        ) from None


def _text_of(path: Path) -> str:
    try:
        return path.read_text()
    except ValueError as error:
        raise SettingsError(f"{path} is not text: {error}. {_MEND}") from None


def _read(path: Path) -> dict[str, Any]:
    try:
        tree = yaml.safe_load(_text_of(path))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        problem = " ".join(str(error).split())
        raise SettingsError(f"{path} is not valid YAML: {problem[:300]}. {_MEND}") from None
    if not isinstance(tree or {}, dict):
        raise SettingsError(f"{path} holds a {type(tree).__name__}, expected Dagster's settings. {_MEND}")
    return tree or {}


def registered_symbols(instance: dg.DagsterInstance) -> list[str]:
    return sorted(instance.get_dynamic_partitions("symbols"))
