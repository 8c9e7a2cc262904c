"""The weekly round."""

from collections.abc import Iterator

import dagster as dg

from trading_assets.defs.jobs import train_all
from trading_assets.defs.liveness import unfinished_runs
from trading_assets.defs.resources import Workspace
from trading_assets.defs.staleness import asset_states, to_run
from trading_assets.errors import TradingAssetsError


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
    try:
        source = workspace.source.snapshot()
    except TradingAssetsError as error:
        yield dg.SkipReason(str(error))
        return
    problems, requested = [], False
    busy = unfinished_runs(context.instance)
    for symbol in context.instance.get_dynamic_partitions("symbols"):
        if symbol in busy:
            problems.append(f"{symbol} is left to {busy[symbol]}.")
            continue
        try:
            settings = workspace.settings(symbol)
            stale = to_run(asset_states(workspace.store, source, settings, symbol))
        except (TradingAssetsError, OSError) as error:
            problems.append(f"{symbol}: {error}")
            continue
        if stale:
            requested = True
            key = f"{symbol}:{context.scheduled_execution_time.isoformat()}"
            yield dg.RunRequest(run_key=key, partition_key=symbol)
    for problem in problems:
        context.log.error(problem)
    if not requested:
        yield dg.SkipReason("; ".join(dict.fromkeys(problems)) or "Every symbol is fresh.")
