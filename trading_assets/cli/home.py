"""A lasting DAGSTER_HOME, made ready before anything opens it."""

import os

import dagster as dg

from trading_assets.config.paths import dagster_home

_DAGSTER_YAML = """\
telemetry: {enabled: false}
nux: {enabled: false}
concurrency:
  runs: {max_concurrent_runs: 2}
  pools: {default_limit: 1}
"""


def open_instance() -> dg.DagsterInstance:
    """The instance at DAGSTER_HOME, created with quiet settings where there is none.

    Opening it here also lays out its database, which a webserver and a daemon that start together on
    a fresh one would do twice.
    """
    home = dagster_home()
    home.mkdir(parents=True, exist_ok=True)
    settings = home / "dagster.yaml"
    if not settings.exists():
        settings.write_text(_DAGSTER_YAML)
    os.environ["DAGSTER_HOME"] = str(home)
    return dg.DagsterInstance.get()


def registered_symbols(instance: dg.DagsterInstance) -> list[str]:
    return sorted(instance.get_dynamic_partitions("symbols"))
