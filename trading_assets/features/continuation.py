"""Whether an earlier feature table can be continued, so that an update costs what changed."""

from __future__ import annotations

import pandas as pd

from trading_assets.config.settings import FeatureSet
from trading_assets.errors import ArtifactError
from trading_assets.features.table import FeatureTable, append_features, choose_columns, compute_features
from trading_assets.registry.artifacts import ArtifactRef
from trading_assets.registry.tables import digest_table


def features_of(
    bars: pd.DataFrame, feature_set: FeatureSet, previous: ArtifactRef | None, *, method: int
) -> tuple[FeatureTable, str]:
    """Features of `bars`, continued from `previous` where its bars are the first of these, and how it went.

    Parameters
    ----------
    bars : DataFrame
    feature_set : FeatureSet
    previous : ArtifactRef or None
        A version of the `features` asset.
    method : int
        The asset's method number; a table made by another one is not continued.
    """
    if previous is None:
        return compute_features(bars, feature_set), "computed in full"
    recipe = previous.metadata["recipe"]
    if recipe["method"] != method or recipe["settings"] != {"features": feature_set.model_dump(mode="json")}:
        return compute_features(bars, feature_set), "computed in full: other settings or another method"
    try:
        table = FeatureTable.load(previous.open())
    except ArtifactError as error:
        return compute_features(bars, feature_set), f"computed in full: {error}"
    rows = len(table)
    if rows > len(bars) or digest_table(bars.iloc[:rows]) != previous.metadata["inputs"]["bars"]["identity"]:
        return compute_features(bars, feature_set), "computed in full: the bars of the past are not the same"
    columns, _, interval = choose_columns(bars, feature_set)
    if interval != table.interval or [c.name for c in columns] != [c.name for c in table.columns]:
        return compute_features(bars, feature_set), "computed in full: the market has other inputs now"
    made = append_features(table, bars.iloc[rows:])
    return made, f"continued from version {previous.version} by {len(bars) - rows} bars"
