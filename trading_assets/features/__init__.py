"""Causal features, labels, and the dataset that training reads."""

from trading_assets.lazy import lazy_exports

__getattr__ = lazy_exports(
    __name__,
    {
        "catalogue": ("CATALOGUE", "NAMES", "SEQUENCE_NAMES", "WARM_UP"),
        "table": ("FeatureStream", "FeatureTable", "append_features", "compute_features"),
        "labels": ("Labels", "make_labels"),
        "dataset": ("Dataset", "assemble"),
    },
)
