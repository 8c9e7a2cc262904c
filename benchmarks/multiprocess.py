"""The same assets under Dagster's default executor, which gives every step a process of its own."""

import dagster as dg

from trading_assets.definitions import ASSETS
from trading_assets.defs.resources import Workspace

defs = dg.Definitions(
    assets=[asset for asset in ASSETS if asset.partitions_def],
    resources={"workspace": Workspace()},
    executor=dg.multiprocess_executor.configured({"max_concurrent": 1}),
)
