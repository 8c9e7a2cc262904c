"""The simulator as a gymnasium environment and as a Stable-Baselines3 vectorised one.

Both are thin: `DummyVecEnv` over n `TradingEnv` and a `TradingVecEnv` of n agree bit for bit.
"""

from __future__ import annotations

from typing import Any, overload

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvStepReturn

from trading_assets.simulation import kernel
from trading_assets.simulation.market import Market
from trading_assets.simulation.simulator import Observations, Simulator

_BOOL = np.dtype(np.bool_)
_ONLY = np.zeros(1, dtype=np.int64)


class TradingEnv(gym.Env[Any, Any]):
    """One account on one market.

    The end of an episode is a truncation, ruin a termination. After a step, `info` has the values of
    `kernel.PATH` and the bar.

    Parameters
    ----------
    market : Market
    rank, n_envs : int
        With sequential starts, this environment takes every `n_envs`-th stretch, from the `rank`-th on.
    """

    metadata = {"render_modes": []}  # noqa: RUF012 - as gymnasium declares it

    def __init__(self, market: Market, *, rank: int = 0, n_envs: int = 1) -> None:
        self.simulator = Simulator(market, 1, first=rank, of=n_envs)
        self.observation_space = self.simulator.observation_space
        self.action_space = self.simulator.action_space
        self._running = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observations, dict[str, Any]]:
        super().reset(seed=seed)
        if seed is not None:
            self.simulator.rewind(0)
        self.simulator.begin(_ONLY, [self.np_random])
        self._running = True
        return self.simulator.observe()[0], {"bar": int(self.simulator.clock[0])}

    def step(self, action: Any) -> tuple[Observations, float, bool, bool, dict[str, Any]]:
        if not self._running:
            raise gym.error.ResetNeeded("There is no running episode to step; call reset() first.")
        simulator = self.simulator
        observations, rewards, n_ended = simulator.step(np.asarray(action))
        self._running = n_ended == 0
        info = dict(zip(kernel.PATH, simulator.path[0, 0].tolist(), strict=True))
        info["bar"] = int(simulator.clock[0])
        reward, ended = float(rewards[0]), int(simulator.ended[0])
        return observations[0], reward, ended == kernel.RUINED, ended == kernel.TRUNCATED, info


class TradingVecEnv(VecEnv):
    """Many accounts on one market, each at its own bar; see `TradingEnv`.

    Of an episode that has ended, `infos` has the last observation and the equity.

    Parameters
    ----------
    market : Market
    n_envs : int
    seed : int, optional
        Environment i draws its starts from `seed + i`.
    """

    def __init__(self, market: Market, n_envs: int, *, seed: int | None = None) -> None:
        if n_envs < 1:
            raise ValueError(f"n_envs is {n_envs}; expected 1 or more.")
        self.simulator = Simulator(market, n_envs, recording=False)
        self.render_mode = None
        super().__init__(n_envs, self.simulator.observation_space, self.simulator.action_space)
        self._generators = [np.random.default_rng() for _ in range(n_envs)]
        self._running = False
        # Making so many dictionaries anew takes as long as stepping the accounts.
        self._infos: list[dict[str, Any]] = [{} for _ in range(n_envs)]
        self._actions: NDArray[Any] = np.zeros(n_envs, dtype=np.int64)
        if seed is not None:
            self.seed(seed)

    def reset(self) -> Observations:
        for i, seed in enumerate(self._seeds):
            if seed is not None:
                self._generators[i] = np.random.default_rng(seed)
                self.simulator.rewind(i)
        self.simulator.begin(np.arange(self.num_envs), self._generators)
        self._running = True
        self._reset_seeds()
        self._reset_options()
        return self.simulator.observe()

    def step_async(self, actions: NDArray[Any]) -> None:
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        return self.step(self._actions)

    def step(self, actions: NDArray[Any]) -> VecEnvStepReturn:
        """Take every account one bar on; nothing here is worth waiting for."""
        if not self._running:
            raise gym.error.ResetNeeded("There is no running episode to step; call reset() first.")
        simulator = self.simulator
        observations, rewards, n_ended = simulator.step(actions)
        if any(self._infos):  # somebody wrote into them: they are no longer ours to hand out
            self._infos = [{} for _ in range(self.num_envs)]
        infos = self._infos.copy()
        dones = np.zeros(self.num_envs, _BOOL)
        if n_ended:
            dones[:] = simulator.ended
            ended = np.flatnonzero(dones)
            for i in ended.tolist():
                infos[i] = {
                    "terminal_observation": observations[i].copy(),
                    "TimeLimit.truncated": bool(simulator.ended[i] == kernel.TRUNCATED),
                    "equity": float(simulator.state[i, kernel.EQUITY]),
                }
            simulator.begin(ended, self._generators)
            observations[ended] = simulator.observe(ended)
        return observations, rewards, dones, infos

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


@overload
def make_env(market: Market, n_envs: None = None, *, seed: int | None = None) -> TradingEnv: ...
@overload
def make_env(market: Market, n_envs: int, *, seed: int | None = None) -> TradingVecEnv: ...
def make_env(
    market: Market, n_envs: int | None = None, *, seed: int | None = None
) -> TradingEnv | TradingVecEnv:
    """The environment of a market: one for gymnasium, or `n_envs` at once for Stable-Baselines3.

    A seed decides where episodes begin from the first reset on.
    """
    if n_envs is not None:
        return TradingVecEnv(market, n_envs, seed=seed)
    env = TradingEnv(market)
    if seed is not None:
        env.np_random = np.random.default_rng(seed)
    return env
