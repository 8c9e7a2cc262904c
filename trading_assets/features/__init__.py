"""Causal features, labels, and the dataset that training reads."""

from typing import TYPE_CHECKING

from trading_assets.lazy import lazy_exports

if TYPE_CHECKING:
    from trading_assets.config.settings import FeatureSet as FeatureSet
    from trading_assets.config.settings import LabelSettings as LabelSettings
    from trading_assets.features.catalogue import SEQUENCE_NAMES as SEQUENCE_NAMES
    from trading_assets.features.catalogue import catalogue_page as catalogue_page
    from trading_assets.features.catalogue import select as select
    from trading_assets.features.dataset import Dataset as Dataset
    from trading_assets.features.dataset import DatasetBuilder as DatasetBuilder
    from trading_assets.features.dataset import DatasetReport as DatasetReport
    from trading_assets.features.dataset import assemble as assemble
    from trading_assets.features.dataset import label_table as label_table
    from trading_assets.features.engine import FeatureState as FeatureState
    from trading_assets.features.kernels.advance import CATALOGUE as CATALOGUE
    from trading_assets.features.labels import Events as Events
    from trading_assets.features.labels import Labels as Labels
    from trading_assets.features.labels import cusum_events as cusum_events
    from trading_assets.features.labels import make_labels as make_labels
    from trading_assets.features.labels import meta_labels as meta_labels
    from trading_assets.features.labels import trend_scanning as trend_scanning
    from trading_assets.features.labels import triple_barrier as triple_barrier
    from trading_assets.features.stream import FeatureStream as FeatureStream
    from trading_assets.features.table import FeatureTable as FeatureTable
    from trading_assets.features.table import append_features as append_features
    from trading_assets.features.table import compute_features as compute_features
    from trading_assets.features.timeframes import join_timeframe as join_timeframe
    from trading_assets.features.timeframes import to_timeframe as to_timeframe
    from trading_assets.features.weights import average_uniqueness as average_uniqueness
    from trading_assets.features.weights import return_attribution as return_attribution
    from trading_assets.features.weights import time_decay as time_decay
else:
    __getattr__, __dir__, __all__ = lazy_exports(__name__)
