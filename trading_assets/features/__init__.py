"""Causal features, labels, and the dataset that training reads."""

from trading_assets.lazy import lazy_exports

__getattr__ = lazy_exports(
    __name__,
    {
        "catalogue": ("CATALOGUE", "SEQUENCE_NAMES", "catalogue_page", "select"),
        "table": ("FeatureState", "FeatureStream", "FeatureTable", "append_features", "compute_features"),
        "timeframes": ("join_timeframe", "to_timeframe"),
        "labels": ("Labels", "make_labels"),
        "dataset": ("Dataset", "assemble"),
    },
)
