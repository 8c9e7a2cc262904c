"""The weekly round."""

from collections.abc import Iterator

import dagster as dg

from trading_assets.defs.jobs import train_all
from trading_assets.defs.resources import Workspace
from trading_assets.defs.sensors import stale_symbols


@dg.schedule(
    job=train_all,
    cron_schedule="0 3 * * 0",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.STOPPED,
    description="Sundays at 3:00 UTC: ingest, and retrain whatever changed.",
)
def weekly_schedule(
    context: dg.ScheduleEvaluationContext, workspace: Workspace
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """One run for each symbol that has anything stale."""
    found = False
    for symbol in stale_symbols(context.instance, workspace):
        found = True
        key = f"{symbol}:{context.scheduled_execution_time.isoformat()}"
        yield dg.RunRequest(run_key=key, partition_key=symbol)
    if not found:
        yield dg.SkipReason("Every symbol is fresh.")
