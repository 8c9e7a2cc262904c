"""Scaling fitted on training rows only, in the form that the trading box applies it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from trading_assets.execution.networks import Scaler

Array = NDArray[Any]
LIMIT = 5.0


@dataclass(frozen=True)
class RobustScaler:
    """Centre on the median, divide by the interquartile range over 1.349, clip at +-`limit`.

    For a normal column that is the standard score; a constant column becomes 0.
    """

    center: NDArray[np.float64]
    scale: NDArray[np.float64]
    limit: float = LIMIT

    @classmethod
    def fit(cls, X: Array) -> Self:
        """From rows of shape (n_rows, n_columns)."""
        low, center, high = np.percentile(X.astype(np.float64), [25, 50, 75], axis=0)
        spread = (high - low) / 1.349
        spread = np.where(spread > 0, spread, X.std(axis=0, dtype=np.float64))
        return cls(center, np.where(spread > 0, spread, 1.0))

    def arrays(self) -> dict[str, Array]:
        """As weights of a bundle."""
        return {"center": self.center, "scale": self.scale, "limit": np.array([self.limit])}

    def transform(self, X: Array) -> NDArray[np.float32]:
        return Scaler(self.arrays())(X)

    def to_json(self) -> dict[str, Any]:
        return {
            "center": self.center.tolist(),
            "scale": self.scale.tolist(),
            "limit": self.limit,
        }

    @classmethod
    def from_json(cls, tree: dict[str, Any]) -> Self:
        return cls(np.array(tree["center"]), np.array(tree["scale"]), tree["limit"])
