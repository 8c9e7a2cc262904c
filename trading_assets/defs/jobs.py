"""Which assets run together."""

import dagster as dg

from trading_assets.defs.assets import PIPELINE

REFRESH = ("bars", "features", "labels", "dataset")
"""What new bars touch; none of it trains anything."""
RETRAIN = (*(name for name in PIPELINE if name != "bars"), "leaderboard")
"""From the bars in force on: changed settings of labels or eras reach the tables too."""

refresh = dg.define_asset_job(
    "refresh", dg.AssetSelection.assets(*REFRESH), description="New bars, up to the dataset."
)
retrain = dg.define_asset_job(
    "retrain", dg.AssetSelection.assets(*RETRAIN), description="Everything made from the bars in force."
)
train_all = dg.define_asset_job(
    "train_all",
    dg.AssetSelection.assets("bars", *RETRAIN),
    description="The whole hierarchy; what is fresh is found, not built.",
)
rank = dg.define_asset_job(
    "rank", dg.AssetSelection.assets("leaderboard"), description="All symbols side by side."
)
