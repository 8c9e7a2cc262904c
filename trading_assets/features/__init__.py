"""Causal features, labels, and the dataset that training reads."""

from trading_assets.lazy import lazy_exports

__getattr__ = lazy_exports(
    __name__,
    {
        "catalogue": ("CATALOGUE", "SEQUENCE_NAMES", "catalogue_page", "select"),
        "table": ("FeatureSet", "FeatureTable", "append_features", "compute_features"),
        "engine": ("FeatureState",),
        "stream": ("FeatureStream",),
        "timeframes": ("join_timeframe", "to_timeframe"),
        "labels": (
            "Events",
            "LabelSettings",
            "Labels",
            "cusum_events",
            "make_labels",
            "meta_labels",
            "trend_scanning",
            "triple_barrier",
        ),
        "weights": ("average_uniqueness", "return_attribution", "time_decay"),
        "dataset": ("Dataset", "DatasetBuilder", "DatasetReport", "assemble", "label_table"),
    },
)
