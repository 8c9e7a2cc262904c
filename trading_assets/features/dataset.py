"""What all training reads: features, labels and prices of every bar up to the border, and nothing after."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trading_assets.errors import LeakageError
from trading_assets.features.catalogue import NAMES, WARM_UP
from trading_assets.market.bars import bar_seconds, to_matrix
from trading_assets.registry.tables import read_table, write_table

Floats = NDArray[np.float64]
SECONDS_PER_YEAR = 365 * 86_400
_BARS = ("timestamp", "open", "high", "low", "close", "volume")
_LABELS = ("forward_return", "direction", "high_variance", "label_start", "label_end")


@dataclass(frozen=True)
class Dataset:
    """One row a bar; a row's number is the bar's position, also in labels, eras and folds."""

    frame: pd.DataFrame

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def bars(self) -> Floats:
        """Shape (n_bars, 6), as kernels read it."""
        return to_matrix(self.frame)

    @property
    def features(self) -> pd.DataFrame:
        """Shape (n_bars, n_features), float32."""
        return self.frame[list(NAMES)]

    @property
    def label_start(self) -> NDArray[np.int64]:
        return self.frame["label_start"].to_numpy()

    @property
    def label_end(self) -> NDArray[np.int64]:
        return self.frame["label_end"].to_numpy()

    def target(self, name: str) -> Floats:
        """`direction`, `high_variance` or `forward_return`; NaN where it is not known."""
        return self.frame[name].to_numpy()

    @property
    def periods_per_year(self) -> float:
        """Bars that a year would hold if it had no gaps, 8,760 for hourly bars."""
        return SECONDS_PER_YEAR / bar_seconds(self.bars)

    def write(self, folder: Path) -> None:
        write_table(self.frame, folder / "dataset.parquet")

    @classmethod
    def read(cls, folder: Path) -> Dataset:
        return cls(read_table(folder / "dataset.parquet"))


def assemble(bars: pd.DataFrame, features: pd.DataFrame, labels: pd.DataFrame, *, border: int) -> Dataset:
    """Join the tables row by row, cut them at `border` and forget every label that ends beyond it.

    Raises
    ------
    LeakageError
        When a feature is NaN after its warm-up or the tables do not have the same rows.
    """
    if not len(bars) == len(features) == len(labels):
        raise LeakageError(
            f"bars, features and labels have {len(bars)}, {len(features)} and {len(labels)} rows; "
            "they must be made from the same bars."
        )
    labels = labels.copy()
    targets = ["forward_return", "direction", "high_variance"]
    labels.loc[labels["label_end"] >= border, targets] = np.nan
    frame = pd.concat([bars[list(_BARS)], features[list(NAMES)], labels[list(_LABELS)]], axis=1)
    frame = frame.iloc[:border].reset_index(drop=True)
    broken = frame[list(NAMES)].iloc[WARM_UP:].isna().any()
    if broken.any():
        raise LeakageError(
            f"Features without a value after their warm-up: {', '.join(broken.index[broken])}."
        )
    return Dataset(frame)


def describe(dataset: Dataset) -> dict[str, float | int | str]:
    """Balance and oddities of a dataset."""
    usable = dataset.features.iloc[WARM_UP:]
    constant = usable.columns[usable.nunique() <= 1]
    return {
        "rows": len(dataset),
        "features": len(NAMES),
        "warm-up (bars)": WARM_UP,
        "first bar": str(dataset.frame["timestamp"].iloc[0]),
        "last bar": str(dataset.frame["timestamp"].iloc[-1]),
        "up labels": float(np.nanmean(dataset.target("direction"))),
        "high-variance labels": float(np.nanmean(dataset.target("high_variance"))),
        "constant features": ", ".join(constant) or "none",
    }
