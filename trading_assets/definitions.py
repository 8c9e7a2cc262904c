"""The code location: every asset, job, sensor and schedule, listed."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from trading_assets.defs import assets
from trading_assets.defs.failures import failure_sensor
from trading_assets.defs.jobs import rank, refresh, retrain, train_all
from trading_assets.defs.resources import Workspace
from trading_assets.defs.schedules import weekly_schedule
from trading_assets.defs.sensors import new_bars_sensor, retrain_sensor
from trading_assets.processes import prepare_openmp

prepare_openmp()  # here: a server of Dagster's or a run of its own begins with this module

ASSETS = [
    assets.bars.bars,
    assets.features.features,
    assets.features.labels,
    assets.features.dataset,
    assets.folds.cv_folds,
    *assets.forecasters.forecasters.values(),
    *assets.calibrators.calibrators.values(),
    assets.embeddings.market_embeddings,
    assets.agents.ppo_agent,
    assets.hybrids.ppo_hybrid,
    assets.ensembles.policy_ensemble,
    assets.bundles.policy_bundle,
    assets.reports.forecast_report,
    assets.reports.backtest_report,
    assets.reports.leaderboard,
]


def build_defs(*, resource_overrides: Mapping[str, Any] | None = None) -> dg.Definitions:
    """Everything Dagster needs; the same for the server, the command line and the tests."""
    return dg.Definitions(
        assets=ASSETS,
        jobs=[train_all, refresh, retrain, rank],
        sensors=[new_bars_sensor, retrain_sensor, failure_sensor],
        schedules=[weekly_schedule],
        resources={"workspace": Workspace(), **(resource_overrides or {})},
        executor=dg.in_process_executor,
    )


@dg.definitions
def defs() -> dg.Definitions:
    return build_defs()
