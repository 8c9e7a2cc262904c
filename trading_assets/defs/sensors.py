"""When things run by themselves: on new bars, and on anything that makes a symbol's training stale."""

import json
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq

from trading_assets.defs.jobs import refresh, retrain
from trading_assets.defs.partitions import symbols
from trading_assets.defs.planning import plan, settings_digest, to_run
from trading_assets.defs.resources import Workspace
from trading_assets.errors import TradingAssetsError
from trading_assets.market.names import told


@dg.sensor(
    job=refresh,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Registers symbols and refreshes them when the content of their file has changed.",
)
def new_bars_sensor(context: dg.SensorEvaluationContext, workspace: Workspace) -> dg.SensorResult:
    """A file counts once two looks in a row see the same size and time of change; then its content decides.

    The cursor holds, per symbol, the last look, the digest last refreshed and how often: a file that
    is put back to older content is refreshed again, one that is only touched is not.
    """
    seen: dict[str, dict[str, object]] = json.loads(context.cursor or "{}")
    try:
        files = workspace.source.files()
    except TradingAssetsError as error:
        return dg.SensorResult(skip_reason=str(error))
    requests, added, waiting = [], [], []
    for symbol, path in files.items():
        if not path.is_file():
            continue
        entry = seen.setdefault(symbol, {"look": None, "digest": None, "count": 0})
        status = [one.stat() for one in workspace.source.parts(symbol)]
        look = [number for one in status for number in (one.st_size, one.st_mtime_ns)]
        if entry["look"] != look:
            entry["look"] = look
            waiting.append(symbol)
            continue
        if entry.get("settled") == look:
            continue
        if not _is_whole(path):
            waiting.append(symbol)
            continue
        entry["settled"] = look
        digest = workspace.source.digest(symbol)
        if digest == entry["digest"]:
            continue
        count = int(str(entry["count"])) + 1
        entry |= {"digest": digest, "count": count}
        added.append(symbol)
        requests.append(dg.RunRequest(run_key=f"{symbol}:{digest}:{count}", partition_key=symbol))
    watched, not_taken = ", ".join(waiting) or "on", told(workspace.source.passed_over())
    if requests and not_taken:
        context.log.warning(not_taken)
    return dg.SensorResult(
        run_requests=requests,
        dynamic_partitions_requests=[symbols.build_add_request(added)] if added else [],
        cursor=json.dumps(seen),
        skip_reason=None if requests else f"No settled change; watching {watched}. {not_taken}".rstrip(),
    )


@dg.sensor(
    job=retrain,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="Retrains a symbol when its dataset or its settings have changed.",
)
def retrain_sensor(context: dg.SensorEvaluationContext, workspace: Workspace) -> dg.SensorResult:
    """One run for each new pair of dataset and settings whose training is not fresh already.

    The cursor holds the pair last dealt with per symbol. It starts empty, so that what waited before
    the sensor was switched on is found, and what was trained by hand is not trained again.
    """
    dealt_with: dict[str, dict[str, object]] = json.loads(context.cursor or "{}")
    requests, problems = [], []
    for symbol in context.instance.get_dynamic_partitions("symbols"):
        dataset = workspace.store.current("tables", "dataset", symbol)
        if dataset is None:
            continue
        try:
            settings = workspace.settings(symbol)
        except TradingAssetsError as error:
            problems.append(str(error))
            continue
        pair = f"{dataset.data_version}:{settings_digest(settings)}"
        entry = dealt_with.get(symbol, {"pair": None, "count": 0})
        if entry["pair"] == pair or _is_running(context.instance, symbol):
            continue
        count = int(str(entry["count"])) + 1
        dealt_with[symbol] = {"pair": pair, "count": count}
        if to_run(plan(workspace.store, None, settings, symbol)):
            requests.append(dg.RunRequest(run_key=f"{symbol}:{pair}:{count}", partition_key=symbol))
    return dg.SensorResult(
        run_requests=requests,
        cursor=json.dumps(dealt_with),
        skip_reason=None if requests else "; ".join(problems) or "Nothing is stale.",
    )


def _is_whole(path: Path) -> bool:
    """Whether a Parquet file has its footer; other formats have none to look at."""
    if path.suffix != ".parquet":
        return True
    try:
        pq.read_metadata(path)
    except (OSError, pa.ArrowInvalid):
        return False
    return True


def _is_running(instance: dg.DagsterInstance, symbol: str) -> bool:
    """Whether a run of the symbol is under way; what it leaves stale is found at a later look."""
    unfinished = dg.RunsFilter(
        tags={"dagster/partition": symbol},
        statuses=[
            dg.DagsterRunStatus.QUEUED,
            dg.DagsterRunStatus.NOT_STARTED,
            dg.DagsterRunStatus.STARTING,
            dg.DagsterRunStatus.STARTED,
        ],
    )
    return bool(instance.get_runs(unfinished, limit=1))
