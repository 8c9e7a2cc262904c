"""Which assets run together."""

import dagster as dg

from trading_assets.defs.assets import STEPS

REFRESH = ("bars", "features", "labels", "dataset")
"""What new bars touch; none of it trains anything."""
RETRAIN = (*(name for name in STEPS if name not in REFRESH), "leaderboard")

refresh = dg.define_asset_job(
    "refresh", dg.AssetSelection.assets(*REFRESH), description="New bars, up to the dataset."
)
retrain = dg.define_asset_job(
    "retrain", dg.AssetSelection.assets(*RETRAIN), description="Everything trained on the dataset."
)
train_all = dg.define_asset_job(
    "train_all",
    dg.AssetSelection.assets(*REFRESH, *RETRAIN),
    description="The whole hierarchy; what is fresh is found, not built.",
)
rank = dg.define_asset_job(
    "rank", dg.AssetSelection.assets("leaderboard"), description="All symbols side by side."
)
