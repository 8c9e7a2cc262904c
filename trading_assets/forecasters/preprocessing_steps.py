"""The steps of a preprocessor: what each learns from the training rows, and how it changes bars.

A step is fitted on complete training rows alone, so it has no way to see another. All compute in float64, and
one bar comes out as it does among many, bit for bit.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from trading_assets.arrays import Array, Floats
from trading_assets.config.settings import (
    FractionalDifference,
    PrincipalComponents,
    QuantileTransform,
    RobustScale,
    Standardize,
    Winsorize,
)
from trading_assets.errors import SettingsError
from trading_assets.execution.networks import Scaler
from trading_assets.representation import one_line

ROBUST = RobustScale()
RANK_MARGIN = 1e-7
"""Ranks are kept this far from 0 and 1 before they become normal scores, as in scikit-learn: +-5.2."""
MAX_WINDOW = 10_000
"""Most bars of a fractional difference; a smaller tolerance would cost more than it tells."""
BLOCK = 256
"""Bars differenced at once. They stay in the cache: 0.3 s for 60,000 bars of 200 columns instead of 1.7 s."""


class Step(ABC):
    """A fitted step; its settings are a class of `config.settings` with the same `step`."""

    @classmethod
    @abstractmethod
    def fit(cls, X: Array, settings: Any) -> Self:
        """From complete training rows of shape (n_rows, n_columns)."""

    @classmethod
    @abstractmethod
    def restore(cls, arrays: Mapping[str, Array], settings: Any) -> Self:
        """From the arrays of an equal step."""

    @classmethod
    def lookback(cls, settings: Any) -> int:
        """Bars before a bar that decide, with it, what it becomes."""
        return 0

    @abstractmethod
    def arrays(self) -> dict[str, Array]:
        """What was learnt."""

    @abstractmethod
    def transform(self, X: Array) -> Array:
        """Consecutive bars of shape (n_bars, n_columns); a NaN stays a NaN."""

    def stream(self) -> Callable[[Array], Array]:
        """The same bar by bar: a function of rows of shape (n_columns,)."""
        return lambda row: self.transform(row[None])[0]

    def names_out(self, names: list[str]) -> list[str]:
        """Names of the columns that come out."""
        return names


@dataclass(frozen=True)
class Winsorizer(Step):
    """Clip every column at two quantiles of the training rows."""

    low: Floats
    high: Floats

    __repr__ = one_line

    @classmethod
    def fit(cls, X: Array, settings: Winsorize) -> Self:
        return cls(*np.quantile(X, [settings.lower, settings.upper], axis=0))

    @classmethod
    def restore(cls, arrays: Mapping[str, Array], settings: Winsorize) -> Self:
        return cls(arrays["low"], arrays["high"])

    def arrays(self) -> dict[str, Array]:
        return {"low": self.low, "high": self.high}

    def transform(self, X: Array) -> Array:
        return np.clip(X, self.low, self.high)


@dataclass(frozen=True)
class RobustScaler(Step):
    """Center on the median, divide by the interquartile range over 1.349, clip at +-`limit`.

    For a normal column that is the standard score. A column whose middle half is one value is divided by
    its standard deviation; a constant column becomes 0.

    Examples
    --------
    >>> values = np.array([[0.0], [1.0], [2.0], [3.0], [100.0]], dtype=np.float32)
    >>> RobustScaler.fit(values).transform(values)[2].tolist()
    [0.0]
    """

    center: Floats
    scale: Floats
    limit: float = ROBUST.limit

    __repr__ = one_line

    @classmethod
    def fit(cls, X: Array, settings: RobustScale | Standardize = ROBUST) -> Self:
        """From rows of shape (n_rows, n_columns)."""
        low, center, high = np.percentile(X.astype(np.float64), [25, 50, 75], axis=0)
        spread = (high - low) / 1.349
        spread = np.where(spread > 0, spread, _deviation(X))
        return cls(center, np.where(spread > 0, spread, 1.0), settings.limit)

    @classmethod
    def restore(cls, arrays: Mapping[str, Array], settings: RobustScale | Standardize) -> Self:
        return cls(arrays["center"], arrays["scale"], float(arrays["limit"][0]))

    def arrays(self) -> dict[str, Array]:
        """As weights of a bundle."""
        return {"center": self.center, "scale": self.scale, "limit": np.array([self.limit])}

    def transform(self, X: Array) -> NDArray[np.float32]:
        return Scaler(self.arrays())(X)

    def stream(self) -> Callable[[Array], Array]:
        return Scaler(self.arrays())

    def to_json(self) -> dict[str, Any]:
        return {
            "center": self.center.tolist(),
            "scale": self.scale.tolist(),
            "limit": self.limit,
        }

    @classmethod
    def from_json(cls, tree: dict[str, Any]) -> Self:
        return cls(np.array(tree["center"]), np.array(tree["scale"]), tree["limit"])


class StandardScaler(RobustScaler):
    """Center on the mean, divide by the standard deviation, clip at +-`limit`."""

    @classmethod
    def fit(cls, X: Array, settings: RobustScale | Standardize = ROBUST) -> Self:
        """From rows of shape (n_rows, n_columns)."""
        spread = _deviation(X)
        return cls(X.mean(axis=0, dtype=np.float64), np.where(spread > 0, spread, 1.0), settings.limit)


def _deviation(X: Array) -> Floats:
    """Standard deviation, and exactly 0 where a column is constant: rounding of its mean is no spread."""
    return np.where(np.ptp(X, axis=0) > 0, X.std(axis=0, dtype=np.float64), 0.0)


@dataclass(frozen=True)
class QuantileTransformer(Step):
    """Replace a value by its rank among quantiles of the training rows, or the normal score of that rank.

    As scikit-learn's `QuantileTransformer(subsample=None)`: linear between quantiles, the middle of the
    ranks where quantiles are tied. Other than there, ties at the smallest and largest value take the middle
    as well, so that a column that is mostly 0 does not turn it into the most extreme value.
    """

    quantiles: Floats
    normal: bool

    __repr__ = one_line

    @classmethod
    def fit(cls, X: Array, settings: QuantileTransform) -> Self:
        n = max(min(settings.n_quantiles, len(X)), 2)
        return cls(np.percentile(X, np.linspace(0, 1, n) * 100, axis=0), settings.output == "normal")

    @classmethod
    def restore(cls, arrays: Mapping[str, Array], settings: QuantileTransform) -> Self:
        return cls(arrays["quantiles"], settings.output == "normal")

    def arrays(self) -> dict[str, Array]:
        return {"quantiles": self.quantiles}

    def transform(self, X: Array) -> Array:
        last = len(self.quantiles) - 1
        below, upto = self._count(X, "left"), self._count(X, "right")
        left = np.clip(upto - 1, 0, last - 1)
        low = np.take_along_axis(self.quantiles, left, axis=0)
        high = np.take_along_axis(self.quantiles, left + 1, axis=0)
        # Only beyond the ends may `low` and `high` be equal without a tie.
        share = (np.clip(X, low, high) - low) / np.where(high > low, high - low, 1.0)
        between = np.where(upto > last, last, left + share)
        rank = np.where(upto > below, (below + upto - 1) / 2, between) / last
        rank = np.where(np.isnan(X), np.nan, rank)
        return ndtri(np.clip(rank, RANK_MARGIN, 1 - RANK_MARGIN)) if self.normal else rank

    def _count(self, X: Array, side: Literal["left", "right"]) -> NDArray[np.intp]:
        """Quantiles of its column below every value ('left'), or not above it ('right')."""
        if len(X) == 1:  # a live bar: one comparison instead of a search in every column
            compare = np.less if side == "left" else np.less_equal
            counts: NDArray[np.intp] = np.count_nonzero(compare(self.quantiles, X), axis=0)
            return counts[None]
        columns = zip(self.quantiles.T, X.T, strict=True)
        return np.column_stack([knots.searchsorted(values, side) for knots, values in columns])


@dataclass(frozen=True)
class FractionalDifferencer(Step):
    """The difference (1 - L)^d of every column over a window of fixed width; NaN until it is full.

    The weights are those of the binomial series, w_0 = 1 and w_k = w_{k-1} (k - 1 - d) / k (Hosking 1981),
    up to the first below the tolerance (López de Prado 2018, ch. 5.5). Nothing is learnt.
    """

    weights: Floats
    """Of the bar itself, the bar before it, and so on."""

    __repr__ = one_line

    @classmethod
    def fit(cls, X: Array, settings: FractionalDifference) -> Self:
        return cls(cls._weights(settings))

    @classmethod
    def restore(cls, arrays: Mapping[str, Array], settings: FractionalDifference) -> Self:
        return cls(arrays["weights"])

    @classmethod
    def lookback(cls, settings: FractionalDifference) -> int:
        return len(cls._weights(settings)) - 1

    @staticmethod
    def _weights(settings: FractionalDifference) -> Floats:
        k = np.arange(1, MAX_WINDOW + 1)
        weights = np.cumprod(np.concatenate([[1.0], (k - 1 - settings.order) / k]))
        small = np.abs(weights) < settings.tolerance
        if not small.any():
            raise SettingsError(
                f"fractional_difference: at order {settings.order} more than {MAX_WINDOW:,} weights reach "
                f"the tolerance {settings.tolerance}; raise it."
            )
        return weights[: small.argmax()]

    def arrays(self) -> dict[str, Array]:
        return {"weights": self.weights}

    def transform(self, X: Array) -> Array:
        past = len(self.weights) - 1
        out = np.full(X.shape, np.nan)
        for first in range(past, len(X), BLOCK):
            stop = min(first + BLOCK, len(X))
            total = out[first:stop]
            np.multiply(X[first - past : stop - past], self.weights[past], out=total)
            for k in range(past - 1, -1, -1):
                total += X[first - k : stop - k] * self.weights[k]
        return out

    def stream(self) -> Callable[[Array], Array]:
        oldest_first = self.weights[::-1, None]
        window: Floats | None = None

        def push(row: Array) -> Array:
            nonlocal window
            if window is None:
                window = np.full((len(self.weights), len(row)), np.nan)
            window[:-1] = window[1:]
            window[-1] = row
            # Unlike a sum, which may add in pairs, this adds in the order of `transform`.
            total: Array = np.add.accumulate(window * oldest_first, axis=0)[-1]
            return total

        return push


@dataclass(frozen=True)
class PrincipalProjection(Step):
    """Project on the directions of largest variance; the largest loading of each is positive."""

    center: Floats
    components: Floats
    """Directions of shape (n_components, n_columns), from the largest variance to the smallest."""

    __repr__ = one_line

    @classmethod
    def fit(cls, X: Array, settings: PrincipalComponents) -> Self:
        n = settings.n_components
        if n > min(X.shape):
            raise SettingsError(
                f"pca: {n} components need at least as many columns and training rows, and there are "
                f"{X.shape[1]:,} columns and {len(X):,} rows; lower n_components to {min(X.shape)}."
            )
        center = X.mean(axis=0, dtype=np.float64)
        Z = X - center
        _, vectors = np.linalg.eigh(Z.T @ Z / len(Z))
        components = vectors.T[::-1][:n]
        largest = np.abs(components).argmax(axis=1, keepdims=True)
        signs = np.sign(np.take_along_axis(components, largest, axis=1))
        return cls(center, np.ascontiguousarray(components * signs))

    @classmethod
    def restore(cls, arrays: Mapping[str, Array], settings: PrincipalComponents) -> Self:
        return cls(arrays["center"], arrays["components"])

    def arrays(self) -> dict[str, Array]:
        return {"center": self.center, "components": self.components}

    def transform(self, X: Array) -> Array:
        # A product for every bar: one of all bars would add in an order that depends on how many there are.
        projected: Array = ((X - self.center)[:, None] @ self.components.T)[:, 0]
        return projected

    def names_out(self, names: list[str]) -> list[str]:
        return [f"pc_{i}" for i in range(len(self.components))]


STEPS: Mapping[str, type[Step]] = {
    "winsorize": Winsorizer,
    "robust_scale": RobustScaler,
    "standardize": StandardScaler,
    "quantile": QuantileTransformer,
    "fractional_difference": FractionalDifferencer,
    "pca": PrincipalProjection,
}
