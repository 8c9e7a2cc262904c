"""Many accounts on one market, each at its own bar: what both environments are faces of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trading_assets.arrays import Floats
from trading_assets.risk.rules import N_RULES, account_size
from trading_assets.simulation import kernel
from trading_assets.simulation.market import Market
from trading_assets.simulation.spaces import build_action_space, build_observation_space

Observations = NDArray[np.float32]
_EVERY = slice(None)
_BOOL = np.dtype(np.bool_)
_NO_STARTS: Mapping[int, int] = MappingProxyType({})
_SINGLE = np.dtype(np.float32)


class Simulator:
    """Steps accounts, and says where each episode begins.

    An episode begins at a random bar of the market's stretch, or with `starts: sequential` where the
    episode before ended, so that account i of n takes every n-th stretch.

    Parameters
    ----------
    market : Market
    n_accounts : int
    first : int
        Place of the first of these accounts among `of` that share the stretches of sequential starts.
    of : int, optional
        Without it `n_accounts`.
    recording : bool
        Fill `path`.
    remembering : bool
        Fill `story`.

    Attributes
    ----------
    clock : ndarray of int of shape (n_accounts,)
        The bar whose close each account is at.
    began : ndarray of int of shape (n_accounts,)
        The bar at whose close its episode began.
    state : ndarray of shape (n_accounts, 12)
        The accounts, see `kernel`.
    path, use, ended : ndarray
        Of the last step, see `kernel.simulate`.
    story : list of list of (int, float, float)
        Of every account, bar, equity and target from the start of its episode on.
    """

    def __init__(
        self,
        market: Market,
        n_accounts: int,
        *,
        first: int = 0,
        of: int | None = None,
        recording: bool = True,
        remembering: bool = False,
    ) -> None:
        config = market.config
        self.market, self.config = market, config
        self.episode_bars = min(config.episode_bars, market.n_decisions)
        self.observation_space = build_observation_space(market.table.shape[1], config)
        self.action_space = build_action_space(config)
        self.clock = np.full(n_accounts, market.start)
        self.began = self.clock.copy()
        self.state: Floats = np.zeros((n_accounts, kernel.N_COLUMNS))
        self.path: Floats = np.zeros((int(recording), n_accounts, len(kernel.PATH)))
        self.use: Floats = np.zeros((1, n_accounts, N_RULES))
        self._memory: Floats = np.zeros((n_accounts, account_size(config.risk)))
        self.ended = np.zeros(n_accounts, dtype=np.int64)
        self._width = config.window * market.table.shape[1] + kernel.N_SEEN
        self._first = np.arange(first, first + n_accounts)
        self._episodes = self._first.copy()
        self._of = n_accounts if of is None else of
        self._world = market.world
        self._levels = np.array(config.levels or (), dtype=np.float64)
        self._discrete = config.levels is not None
        self._targets: Floats = np.zeros((1, n_accounts))
        self._remembering = remembering
        self.story: list[list[tuple[int, float, float]]] = [[] for _ in range(n_accounts)]
        self._open(np.arange(n_accounts))
        self._n, self._shape = n_accounts, (n_accounts, self._width)
        # What the kernel is given at every step; looking it up each time takes as long as eight accounts.
        self._held = (
            self._levels,
            *self._world,
            self.state,
            self._memory,
            self.clock,
            self._targets,
            self.path,
            self.use,
            self.ended,
            market.table,
        )

    def begin(
        self,
        rows: NDArray[np.int64],
        generators: Sequence[np.random.Generator],
        starts: Mapping[int, int] = _NO_STARTS,
    ) -> None:
        """Put accounts at the start of their next episode: where `starts` says, or by its own generator."""
        first, n_bars = self.market.start, self.episode_bars
        places = self.market.n_decisions - n_bars + 1
        stretches = self.market.n_decisions // n_bars
        for i in rows.tolist():
            if i in starts:
                self.clock[i] = starts[i]
            elif self.config.starts == "random":
                self.clock[i] = first + int(generators[i].random() * places)
            else:
                self.clock[i] = first + self._episodes[i] % stretches * n_bars
                self._episodes[i] += self._of
        self._open(rows)

    def starts_of(self, options: Mapping[int, Mapping[str, Any] | None]) -> dict[int, int]:
        """The bars at which accounts are to begin, from the options of their reset.

        Raises
        ------
        ValueError
            When there is another option than `start`, or it is no bar from which a decision is left.
        """
        first, last = self.market.start, self.market.stop - 2
        starts = {}
        for i, given in options.items():
            if not given:
                continue
            start: Any = given.get("start")
            whole = isinstance(start, int | np.integer) and not isinstance(start, bool)
            if set(given) != {"start"} or not whole or not first <= start <= last:
                raise ValueError(
                    f"The options of a reset are {dict(given)}; expected {{'start': bar}} with a bar from "
                    f"{first} to {last}."
                )
            starts[i] = int(start)
        return starts

    def rewind(self, i: int) -> None:
        """Have account i take its sequential starts from the first one on again."""
        self._episodes[i] = self._first[i]

    def step(self, actions: NDArray[np.generic]) -> tuple[Observations, NDArray[np.float32], int]:
        """Take every account one bar on: what each sees then, its reward, and how many episodes have ended.

        Raises
        ------
        ValueError
            When an action is no place of a level, or no number from -1 to 1; no account has moved then.
        """
        # New arrays: callers keep the last across a step.
        observations, rewards = np.empty(self._shape, _SINGLE), np.empty(self._n, _SINGLE)
        n_ended: int = kernel.step(self._flat(actions), rewards, observations, *self._held)
        if n_ended < 0:
            raise ValueError(self._no_actions(actions))
        if self._remembering:
            self._remember(np.arange(self._n))
        return observations, rewards, n_ended

    def allowed(self) -> NDArray[np.bool_]:
        """Which levels every account may follow under its risk rules, shape (n_accounts, n_levels).

        All of them where the rules only advise. Where they allow none, the one that is nearest to what they
        would have instead.
        """
        if not self._discrete:
            raise AttributeError(
                "Only discrete levels have masks; this market's targets are numbers (levels=None)."
            )
        masks = np.ones((self._n, len(self._levels)), _BOOL)
        if self.config.enforce_limits:
            bars, conditions, rules, limits = self._world
            kernel.allow(
                self._levels, bars, conditions, rules, limits, self.state, self._memory, self.clock, masks
            )
        return masks

    def targets(self, actions: NDArray[np.generic]) -> Floats:
        """Position targets, from -1 to 1, of actions; raises `ValueError` for what is no action."""
        if not kernel.choose(self._levels, self._flat(actions), self._targets):
            raise ValueError(self._no_actions(actions))
        return np.array(self._targets[0])

    def _flat(self, actions: NDArray[np.generic]) -> NDArray[np.generic]:
        flat = np.asarray(actions)
        if flat.ndim != 1:
            flat = flat.reshape(-1)
        if flat.dtype.kind not in ("iu" if self._discrete else "iuf"):
            raise ValueError(self._no_actions(actions))
        return flat

    def _no_actions(self, actions: NDArray[np.generic]) -> str:
        n = len(self.clock)
        if self._discrete:
            wanted = f"{n} whole numbers, each the place of one of the levels {self.config.levels}"
        else:
            wanted = f"{n} numbers from -1 to 1"
        return f"actions are {actions}; expected {wanted}."

    def replay(self, targets: Floats, path: Floats, use: Floats) -> None:
        """Have the one account follow targets through one bar each; write what came of it, a row a bar."""
        kernel.simulate(
            *self._world,
            self.state,
            self._memory,
            self.clock,
            targets[:, None],
            np.empty((len(targets), 1), dtype=np.float32),
            path[:, None],
            use[:, None],
            self.ended,
        )

    def _open(self, rows: NDArray[np.int64]) -> None:
        bars, _, rules, _ = self._world
        self.began[rows] = self.clock[rows]
        last = self.market.stop - 1
        kernel.open_accounts(bars, rules, self.state, self._memory, self.clock, rows, self.episode_bars, last)
        if self._remembering:
            for i in rows.tolist():
                self.story[i] = []
            self._remember(rows)

    def _remember(self, rows: NDArray[np.int64]) -> None:
        for i in rows.tolist():
            equity, target = self.state[i, [kernel.EQUITY, kernel.TARGET]].tolist()
            self.story[i].append((int(self.clock[i]), equity, target))

    def observe(self, rows: NDArray[np.int64] | slice = _EVERY) -> Observations:
        """What accounts see, in a new array of shape (n_rows, width)."""
        clock = self.clock[rows]
        out = np.empty((len(clock), self._width), dtype=np.float32)
        kernel.write_observations(self.market.table, clock, self.state[rows], out)
        return out
