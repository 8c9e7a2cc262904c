"""The simulator as a Stable-Baselines3 vectorised environment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvStepReturn

from trading_assets.simulation import kernel
from trading_assets.simulation.kernel import ACCOUNT_NAMES, ACCOUNT_SIZE

TARGETS = (-1.0, 0.0, 1.0)
"""Position targets, as fractions of equity, in the order of the discrete actions."""


class TradingVecEnv(VecEnv):
    """Many accounts on one market, each at its own bar.

    The observation of an account at bar t is row t of `table` and the values of
    `kernel.ACCOUNT_NAMES`. An episode starts at a random bar; its end is a truncation, ruin a
    termination.

    Parameters
    ----------
    bars : ndarray of shape (n_bars, 6)
    table : ndarray of shape (n_bars, n_columns), float32
    start, stop : int
        Only bars `start` to `stop - 1` are used.
    rules : ndarray
        From `backtest.make_rules`.
    n_envs : int
    episode_bars : int
        Decisions in an episode, at most what the stretch of bars holds.
    seed : int
    """

    def __init__(
        self,
        bars: NDArray[np.float64],
        table: NDArray[np.float32],
        *,
        start: int,
        stop: int,
        rules: NDArray[np.float64],
        n_envs: int,
        episode_bars: int,
        seed: int,
    ) -> None:
        if stop - start < 3:
            raise ValueError(f"start={start}, stop={stop}: an environment needs at least 3 bars.")
        width = table.shape[1] + len(ACCOUNT_NAMES)
        space = gym.spaces.Box(-np.inf, np.inf, (width,), np.float32)
        self.render_mode = None
        super().__init__(n_envs, space, gym.spaces.Discrete(len(TARGETS)))
        self.bars, self.table, self.rules = bars, np.ascontiguousarray(table), rules
        self.start, self.stop = start, stop
        self.episode_bars = min(episode_bars, stop - start - 1)
        self._rng = np.random.default_rng(seed)
        self._clock = np.zeros(n_envs, dtype=np.int64)
        self._left = np.zeros(n_envs, dtype=np.int64)
        self._accounts = np.empty((n_envs, ACCOUNT_SIZE))
        self._rewards, self._costs = np.empty(n_envs), np.empty(n_envs)
        self._targets = np.array(TARGETS)
        self._actions = np.zeros(n_envs, dtype=np.int64)

    def reset(self) -> NDArray[np.float32]:
        for i in range(self.num_envs):
            self._begin(i)
        return self._observe()

    def step_async(self, actions: NDArray[Any]) -> None:
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        kernel.step_many(
            self.bars,
            self._clock,
            self._accounts,
            self._targets[self._actions],
            self.rules,
            self._rewards,
            self._costs,
        )
        self._left -= 1
        ruined = self._accounts[:, kernel.EQUITY] <= kernel.RUIN
        dones = ruined | (self._left == 0)
        observations = self._observe()
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        if dones.any():
            ended = np.flatnonzero(dones)
            for i in ended.tolist():
                infos[i]["terminal_observation"] = observations[i].copy()
                infos[i]["TimeLimit.truncated"] = not bool(ruined[i])
                self._begin(i)
            observations[ended] = self._observe()[ended]
        return observations, self._rewards.astype(np.float32), dones, infos

    def _begin(self, i: int) -> None:
        last = self.stop - self.episode_bars - 1
        self._clock[i] = self._rng.integers(self.start, last + 1)
        self._left[i] = self.episode_bars
        kernel.open_account(self._accounts[i])

    def _observe(self) -> NDArray[np.float32]:
        # A new array each time: Stable-Baselines3 keeps the last observation across a step.
        shape = (self.num_envs, *(self.observation_space.shape or ()))
        out = np.empty(shape, dtype=np.float32)
        kernel.observe_many(self.table, self._clock, self._accounts, out)
        return out

    def close(self) -> None:
        pass

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        return [getattr(self, attr_name)] * len(list(self._get_indices(indices)))

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        setattr(self, attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any
    ) -> list[Any]:
        raise AttributeError(f"TradingVecEnv has no single environments to call '{method_name}' on.")

    def env_is_wrapped(self, wrapper_class: type[Any], indices: Any = None) -> list[bool]:
        return [False] * len(list(self._get_indices(indices)))

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Restart the draw of starting bars."""
        self._rng = np.random.default_rng(seed)
        return [seed] * self.num_envs
