"""Eras and folds of one dataset, as they are stored."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from trading_assets.arrays import Rows
from trading_assets.config.settings import Settings
from trading_assets.features.dataset import Dataset
from trading_assets.registry.tensors import load_tensors, save_tensors
from trading_assets.representation import one_line
from trading_assets.validation.eras import Eras, make_eras
from trading_assets.validation.splits import PurgedKFold, assert_no_leakage


@dataclass(frozen=True)
class Folds:
    """The eras of a dataset and its purged folds.

    Attributes
    ----------
    eras : Eras
    splits : list of (train bars, test bars)
        Inside `forecaster_train`; positions of bars in the dataset.

    Examples
    --------
    >>> from trading_assets.config import load_settings
    >>> from trading_assets.features import DatasetBuilder, FeatureSet
    >>> from trading_assets.market import SyntheticMarket
    >>> settings = load_settings("smoke", "SYN")
    >>> builder = DatasetBuilder(FeatureSet(timeframes=(), names=("return_1", "rsi_14")), settings.labels)
    >>> data, _ = builder.build(SyntheticMarket("price", 1.0, n_bars=5_000).bars)
    >>> len(make_folds(data, settings).splits) == settings.folds.n_splits
    True
    """

    eras: Eras
    splits: list[tuple[Rows, Rows]]

    __repr__ = one_line

    def write(self, folder: Path | str) -> None:
        """Write eras and splits to `folder`, which need not be there yet."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "eras.json").write_text(json.dumps(self.eras.to_json(), indent=1))
        arrays = {}
        for number, (train, test) in enumerate(self.splits):
            arrays[f"{number:02d}.train"], arrays[f"{number:02d}.test"] = train, test
        save_tensors(folder / "splits.safetensors", arrays)

    @classmethod
    def read(cls, folder: Path | str) -> Self:
        """Read what `write` wrote."""
        folder = Path(folder)
        arrays, _ = load_tensors(folder / "splits.safetensors")
        numbers = sorted({name.split(".")[0] for name in arrays})
        splits = [(arrays[f"{n}.train"], arrays[f"{n}.test"]) for n in numbers]
        return cls(Eras.from_json(json.loads((folder / "eras.json").read_bytes())), splits)


def make_folds(data: Dataset, settings: Settings) -> Folds:
    """Eras of the dataset and purged folds, checked for leakage.

    Parameters
    ----------
    data : Dataset
    settings : Settings
        Of which `folds` is read.

    Returns
    -------
    Folds

    Raises
    ------
    NotReadyError
        When there are too few bars.
    LeakageError
        When a training label reaches into a test block, which would be a fault of ours.

    Examples
    --------
    See `Folds`.
    """
    chosen = settings.folds
    eras = make_eras(
        len(data),
        first=data.warm_up,
        min_bars=chosen.min_bars,
        shares=(chosen.forecaster_train, chosen.agent_train, chosen.validation),
        label_span=int((data.label_end - np.arange(len(data))).max()),
        embargo=chosen.embargo,
    )
    era = eras.forecaster_train
    start, end = data.label_start[era.rows], data.label_end[era.rows]
    splitter = PurgedKFold(chosen.n_splits, label_start=start, label_end=end, embargo=chosen.embargo)
    splits = list(splitter.split(end))
    assert_no_leakage(splits, end, start)
    return Folds(eras, [(train + era.start, test + era.start) for train, test in splits])
