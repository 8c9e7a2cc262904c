"""Which assets run together."""

import dagster as dg

from trading_assets.defs.assets import PIPELINE

REFRESH = ("bars", "features", "labels", "dataset")
"""What new bars reach without any training."""
RETRAIN = (*(name for name in PIPELINE if name != "bars"), "leaderboard")
"""All but the bars: changed settings of labels or eras reach the tables too."""

refresh = dg.define_asset_job(
    "refresh", dg.AssetSelection.assets(*REFRESH), description="New bars, up to the dataset."
)
retrain = dg.define_asset_job(
    "retrain", dg.AssetSelection.assets(*RETRAIN), description="Everything made from the current bars."
)
train_all = dg.define_asset_job(
    "train_all",
    dg.AssetSelection.assets("bars", *RETRAIN),
    description="The whole hierarchy; what is fresh is not built again.",
)
rank = dg.define_asset_job(
    "rank", dg.AssetSelection.assets("leaderboard"), description="All symbols side by side."
)
