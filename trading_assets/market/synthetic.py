"""A market with a known answer: the true probability of every next move is written down.

Three regimes of volatility, volatility that clusters, volume that follows both, and a direction whose
probability depends on past bars alone, so that nothing hidden has to be guessed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from trading_assets.arrays import Floats
from trading_assets.compilation import compiled
from trading_assets.registry.files import replacing

Design = Literal["price", "memory", "mixed"]

# Columns of the state that the next bar depends on.
_REGIME, _LOG_VOL, _VOLUME_NOISE, _VARIANCE, _VOLUME_MEAN, _X, _M, _LEVEL = range(8)
_MULTIPLIERS = np.array([0.7, 1.0, 1.8])


@dataclass(frozen=True)
class SyntheticMarket:
    """Hourly bars whose next move is up with a known probability.

    Parameters
    ----------
    design : {'price', 'memory', 'mixed'}
        `price` reverts recent returns, `memory` reverts recent returns that came with unusual volume,
        `mixed` does both by half.
    strength : float
        Scales the log-odds; 0 is a random walk without any edge.
    n_bars : int
    seed : int

    Examples
    --------
    >>> market = SyntheticMarket("price", 1.0, n_bars=2_000, seed=1)
    >>> market.bars.shape, bool(market.bayes_accuracy() > 0.5)
    ((2000, 6), True)
    """

    design: Design = "price"
    strength: float = 1.0
    n_bars: int = 20_000
    seed: int = 0

    @cached_property
    def _paths(self) -> tuple[Floats, Floats, Floats]:
        return _simulate(np.random.default_rng(self.seed), self.n_bars, *self._weights, self.strength)

    @property
    def _weights(self) -> tuple[float, float]:
        return {"price": (1.0, 0.0), "memory": (0.0, 1.0), "mixed": (0.7, 0.7)}[self.design]

    @cached_property
    def bars(self) -> pd.DataFrame:
        """Bars in the form of the contract, starting on 2018-01-01."""
        matrix = self._paths[0]
        times = pd.date_range("2018-01-01", periods=self.n_bars, freq="h", tz="UTC", unit="ns")
        names = ["open", "high", "low", "close", "volume"]
        return pd.DataFrame(matrix, columns=names).assign(timestamp=times)[["timestamp", *names]]

    @property
    def probability(self) -> Floats:
        """Of every bar, the true probability that the bar after it closes higher than it opens."""
        return self._paths[1]

    def bayes_accuracy(self, horizon: int = 1, *, n_starts: int = 400, n_paths: int = 1_000) -> float:
        """Best accuracy anyone can reach on the sign of the return over `horizon` bars.

        Exact for one bar. Beyond, the market is continued from `n_starts` of its bars along `n_paths`
        paths each; half of the paths choose the side and the other half score it, so that chance in
        the choice is not counted as skill (the figure errs low by less than 1/sqrt(n_paths)).
        """
        if horizon == 1:
            return float(np.maximum(self.probability, 1 - self.probability).mean())
        starts = np.linspace(1_000, self.n_bars - 1, n_starts).astype(np.int64)
        rng = np.random.default_rng([self.seed, horizon])
        states = self._paths[2][starts]
        weights = self._weights
        up = _chances(rng, states, horizon, n_paths, *weights, self.strength)
        again = _chances(rng, states, horizon, n_paths, *weights, self.strength)
        return float(np.where(up >= 0.5, again, 1 - again).mean())

    def write(self, folder: Path, symbol: str) -> None:
        """Write the bars to `{symbol}.parquet` and the truth beside them into `truth/`.

        Parameters
        ----------
        folder : Path
        symbol : str
        """
        for frame, path in (
            (self.bars, folder / f"{symbol}.parquet"),
            (
                pd.DataFrame({"probability": self.probability}),
                folder / "truth" / f"{symbol}.parquet",
            ),
        ):
            with replacing(path) as draft:
                frame.to_parquet(draft, index=False)


@compiled(error_model="python")
def _next_bar(
    rng: Any, state: Floats, bar: Floats, w_price: float, w_memory: float, strength: float
) -> float:
    """Advance `state` by one bar, write open, high, low, close, volume; return P(next bar up)."""
    if rng.random() < 0.005:
        state[_REGIME] = (state[_REGIME] + 1 + int(rng.random() * 2)) % 3
    state[_LOG_VOL] = 0.97 * state[_LOG_VOL] + 0.08 * rng.standard_normal()
    sd = 0.006 * _MULTIPLIERS[int(state[_REGIME])] * np.exp(state[_LOG_VOL])
    size = sd * min(abs(rng.standard_normal()), 4.0)
    up = 1 / (1 + np.exp(strength * _pull(state, w_price, w_memory)))
    r = size if rng.random() < up else -size
    # Maximum and minimum of a Brownian bridge from 0 to r, each by its exact distribution.
    top = 0.5 * (r + np.sqrt(r * r - 2 * sd * sd * np.log(1 - rng.random())))
    bottom = 0.5 * (r - np.sqrt(r * r - 2 * sd * sd * np.log(1 - rng.random())))
    state[_VOLUME_NOISE] = 0.9 * state[_VOLUME_NOISE] + 0.3 * rng.standard_normal()
    log_volume = 5 + state[_VOLUME_NOISE] + 0.7 * np.log(sd / 0.006) + 0.3 * size / sd
    price = state[_LEVEL]
    bar[0] = np.exp(price)
    bar[1] = np.exp(price + top)
    bar[2] = np.exp(price + bottom)
    bar[3] = np.exp(price + r)
    bar[4] = np.exp(log_volume)
    state[_LEVEL] = price + r
    z = min(max(r / np.sqrt(state[_VARIANCE]), -3.0), 3.0)
    state[_VARIANCE] = 0.95 * state[_VARIANCE] + 0.05 * r * r
    u = log_volume - state[_VOLUME_MEAN]
    state[_VOLUME_MEAN] = 0.98 * state[_VOLUME_MEAN] + 0.02 * log_volume
    state[_X] = 0.8 * state[_X] + 0.6 * z
    state[_M] = 0.8 * state[_M] + 0.6 * 1.6 * z * np.tanh(1.5 * u)
    return float(1 / (1 + np.exp(strength * _pull(state, w_price, w_memory))))


@compiled(error_model="python")
def _pull(state: Floats, w_price: float, w_memory: float) -> float:
    """Minus the log-odds of an up move, at strength 1."""
    return float(w_price * np.tanh(1.5 * state[_X]) + w_memory * np.tanh(1.5 * state[_M]))


@compiled(error_model="python")
def _simulate(
    rng: Any, n: int, w_price: float, w_memory: float, strength: float
) -> tuple[Floats, Floats, Floats]:
    bars, probability, states = np.empty((n, 5)), np.empty(n), np.empty((n, 8))
    state = np.zeros(8)
    state[_REGIME], state[_VARIANCE], state[_VOLUME_MEAN] = 1.0, 0.006**2, 5.0
    state[_LEVEL] = np.log(100.0)
    for t in range(n):
        probability[t] = _next_bar(rng, state, bars[t], w_price, w_memory, strength)
        states[t] = state
        if t > 0:
            bars[t, 0] = bars[t - 1, 3]
    return bars, probability, states


@compiled(error_model="python")
def _chances(
    rng: Any, states: Floats, horizon: int, n_paths: int, w_price: float, w_memory: float, s: float
) -> Floats:
    """Of every state, the share of paths that stand higher after `horizon` bars."""
    up, bar = np.zeros(len(states)), np.empty(5)
    for i in range(len(states)):
        for _ in range(n_paths):
            state = states[i].copy()
            for _ in range(horizon):
                _next_bar(rng, state, bar, w_price, w_memory, s)
            up[i] += state[_LEVEL] > states[i, _LEVEL]
    return up / n_paths
