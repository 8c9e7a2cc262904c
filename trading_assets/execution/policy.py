"""A policy as a live machine uses it: features and account in, a position target out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trading_assets.errors import DivergedError
from trading_assets.execution.networks import likeliest

Vector = NDArray[np.float32]
Evaluate = Callable[[Vector, Vector, Vector], NDArray[np.float64]]
"""(features, account, state) -> probabilities of the targets; moves the state on in place."""


class Policy:
    """A loaded bundle. It remembers the bars it was shown: ask it once a bar, in order of time.

    Parameters
    ----------
    architecture : mapping
        The bundle's `architecture.json`.
    evaluate : callable
        One of the runtimes of `execution.loader`.
    state_size : int
    metadata : mapping
        The bundle's `metadata.json`.

    Attributes
    ----------
    observation_names : list of str
        The features of the bar just closed, then the account.
    targets : ndarray
        Position targets an action can be, in units of `max_leverage` times equity.
    trained_on : dict
        `levels`, `max_leverage`, `window` and `columns`: where it is used they have to be the same.

    Examples
    --------
    See `load_bundle`.
    """

    def __init__(
        self,
        architecture: Mapping[str, Any],
        evaluate: Evaluate,
        state_size: int,
        metadata: Mapping[str, Any],
    ) -> None:
        self.metadata = metadata
        self.observation_names: list[str] = [*architecture["features"], *architecture["account"]]
        self.targets = np.array(architecture["targets"])
        self.warm_up_bars = int(architecture["warm_up_bars"])
        self.trained_on = {
            "levels": list(architecture["targets"]),
            "max_leverage": architecture["max_leverage"],
            "window": architecture["window"],
            "columns": len(architecture["features"]),
        }
        self._n_features = len(architecture["features"])
        self._no_account = np.zeros(len(architecture["account"]), dtype=np.float32)
        self._evaluate = evaluate
        self._state = np.zeros(state_size, dtype=np.float32)
        self._seen = 0
        self._rng = np.random.default_rng()

    def __repr__(self) -> str:
        low, high = self.targets.min(), self.targets.max()
        return (
            f"Policy({self._n_features} features, {len(self.targets)} targets from {low:g} to {high:g}, "
            f"{self._seen:,} bars seen, warm-up {self.warm_up_bars:,})"
        )

    def reset(self) -> None:
        """Forget all bars."""
        self._state[:] = 0.0
        self._seen = 0

    def warm_up(self, features: ArrayLike) -> None:
        """Show the policy past bars, oldest first, shape (n_bars, n_features), without deciding."""
        rows = np.asarray(features, dtype=np.float32)
        for row in rows:
            self._check(row, self._n_features)
            self._evaluate(row, self._no_account, self._state)
        self._require_finite_memory()
        self._seen += len(rows)

    def predict(self, obs: ArrayLike, deterministic: bool = True) -> tuple[float, dict[str, Any]]:
        """Decide at the close of a bar.

        Parameters
        ----------
        obs : array-like of shape (n_features + n_account,)
            In the order of `observation_names`.
        deterministic : bool
            The likeliest target; otherwise one drawn by its probability.

        Returns
        -------
        action : float
            Position target. 0 while the policy has seen fewer than `warm_up_bars` bars.
        info : dict
            `probabilities` of the targets, and `missing_bars` to the end of the warm-up.

        Raises
        ------
        ValueError
            When `obs` has another length or a value that is not finite; nothing is decided then.
        DivergedError
            When the probabilities, or what the policy remembers, are not finite; it has to be loaded again.
        """
        values = np.asarray(obs, dtype=np.float32)
        self._check(values, len(self.observation_names))
        n = self._n_features
        probabilities = self._evaluate(values[:n], values[n:], self._state)
        choice = likeliest(probabilities)
        self._require_finite_memory()
        missing = max(self.warm_up_bars - self._seen, 0)
        self._seen += 1
        if missing:
            return 0.0, {"probabilities": probabilities, "missing_bars": missing}
        if not deterministic:
            choice = int(self._rng.choice(len(self.targets), p=probabilities))
        return float(self.targets[choice]), {"probabilities": probabilities, "missing_bars": 0}

    def _require_finite_memory(self) -> None:
        """Runtimes may hide a NaN behind a limit, and go on by it."""
        if not isfinite(self._state.dot(self._state)):
            raise DivergedError("What the policy remembers is not finite; load it again and warm it up.")

    def _check(self, values: NDArray[np.float32], expected: int) -> None:
        if values.shape != (expected,):
            raise ValueError(
                f"The observation has shape {values.shape}; expected ({expected},): "
                f"{', '.join(self.observation_names[:3])}, ... (see observation_names)."
            )
        if not np.isfinite(values).all():
            bad = self.observation_names[int(np.flatnonzero(~np.isfinite(values))[0])]
            raise ValueError(f"'{bad}' of the observation is not finite; no decision is made on it.")
