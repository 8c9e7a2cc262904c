"""The simulator as a gymnasium environment and as a Stable-Baselines3 vectorized one.

Both are thin: `DummyVecEnv` over n `TradingEnv` and a `TradingVecEnv` of n agree bit for bit.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
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
    render_mode : {None, 'rgb_array'}
        With `rgb_array`, `render` draws the position and equity of the episode so far.

    Examples
    --------
    >>> from trading_assets.market import SyntheticMarket
    >>> env = TradingEnv(Market.make(SyntheticMarket("price", 1.0, n_bars=500).bars))
    >>> observation, info = env.reset(seed=0)
    >>> observation, reward, terminated, truncated, info = env.step(2)
    >>> info["target"]
    1.0
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 8}  # noqa: RUF012 - as gymnasium declares it

    def __init__(
        self, market: Market, *, rank: int = 0, n_envs: int = 1, render_mode: str | None = None
    ) -> None:
        self.render_mode = _known(render_mode)
        self.simulator = Simulator(market, 1, first=rank, of=n_envs, remembering=render_mode is not None)
        self.observation_space = self.simulator.observation_space
        self.action_space = self.simulator.action_space
        self._running = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observations, dict[str, Any]]:
        """Begin an episode: at bar `options["start"]`, or where the configuration has it begin."""
        starts = self.simulator.starts_of({0: options})
        super().reset(seed=seed)
        if seed is not None:
            self.simulator.rewind(0)
        self.simulator.begin(_ONLY, [self.np_random], starts)
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

    def action_masks(self) -> NDArray[np.bool_]:
        """Which levels the risk rules leave as they are, shape (n_levels,); see `Simulator.allowed`."""
        return np.asarray(self.simulator.allowed()[0])

    def render(self) -> NDArray[np.uint8] | None:
        """The episode so far as a picture, shape (480, 640, 3)."""
        return _picture(self.simulator, 0, self.render_mode)


class TradingVecEnv(VecEnv):
    """Many accounts on one market, each at its own bar; see `TradingEnv`.

    Of an episode that has ended, `infos` has the last observation, the equity, and under `episode` what
    `stable_baselines3.common.monitor.Monitor` tells: its return, length and the seconds since the start.

    Parameters
    ----------
    market : Market
    n_envs : int
    seed : int, optional
        Environment i draws its starts from `seed + i`.
    render_mode : {None, 'rgb_array'}

    Examples
    --------
    >>> from trading_assets.market import SyntheticMarket
    >>> many = TradingVecEnv(Market.make(SyntheticMarket("price", 1.0, n_bars=500).bars), 8, seed=0)
    >>> many.reset().shape
    (8, 4)
    """

    def __init__(
        self, market: Market, n_envs: int, *, seed: int | None = None, render_mode: str | None = None
    ) -> None:
        if n_envs < 1:
            raise ValueError(f"n_envs is {n_envs}; expected 1 or more.")
        remembering = _known(render_mode) is not None
        self.simulator = Simulator(market, n_envs, recording=False, remembering=remembering)
        self.render_mode = render_mode
        self._accounts = [_Account(self, i) for i in range(n_envs)]
        self._made = time.time()
        super().__init__(n_envs, self.simulator.observation_space, self.simulator.action_space)
        self._generators = [np.random.default_rng() for _ in range(n_envs)]
        self._running = False
        # Making so many dictionaries anew takes as long as stepping the accounts.
        self._infos: list[dict[str, Any]] = [{} for _ in range(n_envs)]
        self._actions: NDArray[Any] = np.zeros(n_envs, dtype=np.int64)
        if seed is not None:
            self.seed(seed)

    def reset(self) -> Observations:
        """Begin every episode, by what `seed` and `set_options` (a `start` for all, or a list) have said."""
        if len(self._options) != self.num_envs:
            raise ValueError(f"There are options for {len(self._options)} of {self.num_envs} environments.")
        starts = self.simulator.starts_of(dict(enumerate(self._options)))
        for i, seed in enumerate(self._seeds):
            if seed is not None:
                self._generators[i] = np.random.default_rng(seed)
                self.simulator.rewind(i)
        self._begin(np.arange(self.num_envs), starts)
        self._running = True
        self._reset_seeds()
        self._reset_options()
        return self.simulator.observe()

    def _begin(self, rows: NDArray[np.int64], starts: Mapping[int, int]) -> None:
        self.simulator.begin(rows, self._generators, starts)
        for i in rows.tolist():
            self.reset_infos[i] = {"bar": int(self.simulator.clock[i])}

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
                    "episode": {
                        "r": round(float(simulator.state[i, kernel.REWARDED]), 6),
                        "l": int(simulator.clock[i] - simulator.began[i]),
                        "t": round(time.time() - self._made, 6),
                    },
                }
            self._begin(ended, {})
            observations[ended] = simulator.observe(ended)
        return observations, rewards, dones, infos

    def close(self) -> None:
        pass

    def action_masks(self) -> NDArray[np.bool_]:
        """Which levels the risk rules leave, shape (n_envs, n_levels); see `Simulator.allowed`."""
        return self.simulator.allowed()

    def get_images(self) -> list[NDArray[np.uint8] | None]:
        return [account.render() for account in self._accounts]

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """Of every environment that `indices` names, its own attribute or the one that all share."""
        return [getattr(account, attr_name) for account in self._of(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Give environments an attribute of their own; what all share cannot be set."""
        accounts = self._of(indices)
        if hasattr(self, attr_name):
            raise AttributeError(f"All environments share '{attr_name}'; make_env makes others.")
        for account in accounts:
            setattr(account, attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any
    ) -> list[Any]:
        """Call `reset`, `action_masks`, `render` or what `set_attr` has set, environment by environment."""
        methods = [getattr(account, method_name) for account in self._of(indices)]
        return [method(*method_args, **method_kwargs) for method in methods]

    def env_is_wrapped(self, wrapper_class: type[Any], indices: Any = None) -> list[bool]:
        return [False] * len(self._of(indices))

    def _of(self, indices: Any) -> list[_Account]:
        """The environments that `indices` names: all, one, or several; from the end where below 0."""
        if indices is None:
            return self._accounts
        places = np.atleast_1d(np.asarray(indices))
        n = self.num_envs
        if places.size and (places.dtype.kind not in "iu" or places.min() < -n or places.max() >= n):
            raise IndexError(f"indices are {indices}; expected places of environments, from 0 to {n - 1}.")
        return [self._accounts[place] for place in places.tolist()]


class _Account:
    """One environment of a `TradingVecEnv`: what it has of its own, and all that the others have too."""

    def __init__(self, env: TradingVecEnv, place: int) -> None:
        self._env, self._place = env, place

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._env, name)

    @property
    def np_random(self) -> np.random.Generator:
        return self._env._generators[self._place]

    @np_random.setter
    def np_random(self, generator: np.random.Generator) -> None:
        self._env._generators[self._place] = generator

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observations, dict[str, Any]]:
        env, row = self._env, np.array([self._place])
        starts = env.simulator.starts_of({self._place: options})
        if seed is not None:
            self.np_random = np.random.default_rng(seed)
            env.simulator.rewind(self._place)
        env._begin(row, starts)
        return env.simulator.observe(row)[0], env.reset_infos[self._place]

    def action_masks(self) -> NDArray[np.bool_]:
        return np.asarray(self._env.simulator.allowed()[self._place])

    def render(self) -> NDArray[np.uint8] | None:
        return _picture(self._env.simulator, self._place, self._env.render_mode)


def _known(render_mode: str | None) -> str | None:
    if render_mode not in {None, "rgb_array"}:
        raise ValueError(f"render_mode is {render_mode!r}; expected 'rgb_array', or None to draw nothing.")
    return render_mode


def _picture(simulator: Simulator, i: int, render_mode: str | None) -> NDArray[np.uint8] | None:
    if render_mode is None:
        gym.logger.warn("render() draws nothing without render_mode='rgb_array'.")
        return None
    from trading_assets.simulation.rendering import draw_episode

    return draw_episode(simulator.market, simulator.story[i])


@overload
def make_env(
    market: Market, n_envs: None = None, *, seed: int | None = None, render_mode: str | None = None
) -> TradingEnv: ...
@overload
def make_env(
    market: Market, n_envs: int, *, seed: int | None = None, render_mode: str | None = None
) -> TradingVecEnv: ...
def make_env(
    market: Market, n_envs: int | None = None, *, seed: int | None = None, render_mode: str | None = None
) -> TradingEnv | TradingVecEnv:
    """The environment of a market: one for gymnasium, or `n_envs` at once for Stable-Baselines3.

    Parameters
    ----------
    market : Market
    n_envs : int, optional
        Without it a single `TradingEnv`.
    seed : int, optional
        Decides where episodes begin from the first reset on.
    render_mode : {None, 'rgb_array'}
        With `rgb_array`, `render` draws position and equity.

    Returns
    -------
    TradingEnv or TradingVecEnv

    Raises
    ------
    ValueError
        When `n_envs` is below 1, or the render mode is another.

    Examples
    --------
    >>> from trading_assets.market import SyntheticMarket
    >>> make_env(Market.make(SyntheticMarket("price", 1.0, n_bars=500).bars), 4, seed=0).num_envs
    4
    """
    if n_envs is not None:
        return TradingVecEnv(market, n_envs, seed=seed, render_mode=render_mode)
    env = TradingEnv(market, render_mode=render_mode)
    if seed is not None:
        env.np_random = np.random.default_rng(seed)
    return env
