"""One strategy through one stretch of bars, with the accounting that agents are trained on."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trading_assets.arguments import as_number, as_numbers, require
from trading_assets.arrays import Floats
from trading_assets.errors import ArgumentError
from trading_assets.risk.rules import N_RULES, RULES, watches
from trading_assets.simulation.kernel import ACCOUNT_NAMES, COSTS, PATH, RUIN
from trading_assets.simulation.market import Market
from trading_assets.simulation.simulator import Simulator
from trading_assets.simulation.spaces import (
    require_finite_weights,
    require_same_spaces,
    require_same_terms,
    terms_of,
)
from trading_assets.validation.metrics import evaluate

Account = NDArray[np.float32]
Targets = Floats | Sequence[float] | pd.Series
Decide = Callable[[int, Account], float]
"""From the bar just closed and the account's observation to the target position."""
_EQUITY, _EXPOSURE, _TARGET, _TRADED, _CLOSED_PNL, _PENALTY = range(6)
_COSTS = slice(6, None)


class Predicts(Protocol):
    """A trained agent, for instance one of Stable-Baselines3."""

    def predict(self, observation: Any, /, *, deterministic: bool) -> tuple[Any, Any]: ...


@dataclass(frozen=True)
class BacktestResult:
    """What happened, bar by bar; row i covers the bar after decision i.

    Attributes
    ----------
    market : Market
    asked : ndarray of shape (n_decisions,)
        Targets decided.
    path : ndarray of shape (n_decisions, 12)
        The columns of `kernel.PATH`.
    use : ndarray of shape (n_decisions, 11)
        Of every risk limit, in the order of `risk.RULES`; of no rows without any limit.
    accounts : ndarray of shape (n_decisions, 4), float32
        What the policy saw of its account; of no rows for targets known beforehand.

    Examples
    --------
    See `backtest`.
    """

    market: Market
    asked: Floats
    path: Floats
    use: Floats
    accounts: NDArray[np.float32]

    def __repr__(self) -> str:
        return (
            f"BacktestResult({len(self.asked):,} decisions, {len(self.trades):,} round trips, "
            f"equity {self.equity[-1]:.4g})"
        )

    @cached_property
    def equity(self) -> Floats:
        """Net of all costs, 1 at the start, shape (n_decisions + 1,)."""
        return np.concatenate([[1.0], self.path[:, _EQUITY]])

    @property
    def returns(self) -> Floats:
        return self.equity[1:] / self.equity[:-1] - 1

    @property
    def ruined(self) -> bool:
        """Whether the account was closed for good, at 1 % of its start."""
        return bool(self.equity[-1] <= RUIN)

    @property
    def exposure(self) -> Floats:
        """Fraction of equity held at the close, signed."""
        return self.path[:, _EXPOSURE]

    @property
    def targets(self) -> Floats:
        """What was followed: less than was asked for where a risk rule, margin call or ruin intervened."""
        return self.path[:, _TARGET]

    @property
    def traded(self) -> Floats:
        """Notional, in units of the starting capital."""
        return self.path[:, _TRADED]

    @property
    def penalty(self) -> Floats:
        """Of the risk rules."""
        return self.path[:, _PENALTY]

    @property
    def costs(self) -> Floats:
        """What was paid, in units of the starting capital, by the kinds of `kernel.COSTS`; shape (n, 6)."""
        return self.path[:, _COSTS]

    @property
    def market_returns(self) -> Floats:
        """Close to close."""
        close = self.market.bars[self.market.start : self.market.stop, 4]
        return close[1:] / close[:-1] - 1

    @property
    def costs_by_kind(self) -> dict[str, float]:
        """Sums, in units of the starting capital; funding received is negative."""
        return dict(zip(COSTS, self.costs.sum(axis=0).tolist(), strict=True))

    @property
    def risk_use(self) -> dict[str, float]:
        """The highest use of every risk limit."""
        return dict(zip(RULES, self.use.max(axis=0, initial=0.0).tolist(), strict=True))

    def metrics(self, periods_per_year: float, *, label_horizon: int = 1) -> dict[str, float]:
        """See `validation.metrics.evaluate`."""
        return evaluate(
            self.equity,
            self.exposure,
            self.costs.sum(axis=1),
            self.traded,
            self.market_returns,
            periods_per_year=periods_per_year,
            label_horizon=label_horizon,
        )

    @cached_property
    def trades(self) -> pd.DataFrame:
        """One row a round trip, from flat (or the other side) to flat (or the other side).

        `entry_bar` and `exit_bar` are the bars at whose open it was filled, `side` is 1 or -1, `pnl` net of
        all costs in units of the starting capital, `return` the same over equity at entry, `bars` its
        length. A position that is open at the end is no round trip.
        """
        side = np.sign(self.exposure)
        before = np.concatenate([[0.0], side[:-1]])
        # Opened and closed within one bar, by a margin call.
        instant = (before == 0) & (side == 0) & (self.path[:, _CLOSED_PNL] != 0)
        starts = np.flatnonzero((side != 0) & (side != before) | instant)
        ends = np.flatnonzero((before != 0) & (side != before) | instant)
        entries = np.where(instant[ends], ends, starts[np.searchsorted(starts, ends) - 1])
        pnl, first = self.path[ends, _CLOSED_PNL], self.market.start + 1
        return pd.DataFrame(
            {
                "entry_bar": entries + first,
                "exit_bar": ends + first,
                "side": np.where(instant[entries], np.sign(self.asked[entries]), side[entries]).astype(int),
                "pnl": pnl,
                "return": pnl / self.equity[entries],
                "bars": ends - entries,
            }
        )

    @cached_property
    def fingerprint(self) -> str:
        """Of the bars, the configuration, what was asked for and what came of it: equal for equal runs."""
        market = self.market
        digest = hashlib.sha256(market.config.model_dump_json().encode())
        for array in (market.bars[market.start : market.stop], self.asked, self.path):
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()


def backtest(policy: Targets | Decide | Predicts, market: Market) -> BacktestResult:
    """Ask a policy at the close of each bar; the last order fills at the open of the last bar.

    Parameters
    ----------
    policy : array, callable or agent
        Targets from -1 to 1, one a decision; a function of the bar just closed and the account's
        observation; or whatever has Stable-Baselines3's `predict(observation, deterministic=)`, which sees
        what `TradingEnv` shows and answers in its action space. One whose `predict` takes a `state` gets back
        the one it returned. A bundle's policy, which answers a target, has to be warm.
    market : Market

    Returns
    -------
    BacktestResult

    Raises
    ------
    ArgumentError
        When `policy` is none of these, `market` is no market, or what was decided is no number.
    ValueError
        When a target is not a number from -1 to 1, or there is not one a decision.
    SchemaError
        Before the first bar, when a policy that says what it was trained on (the spaces of an agent of
        Stable-Baselines3, `trained_on` of a bundle) was trained on other levels, leverage, window or columns.
    DivergedError
        Before the first bar, when weights of an agent are not finite.

    Examples
    --------
    >>> from trading_assets.market import SyntheticMarket
    >>> market = Market.make(SyntheticMarket("price", 1.0, n_bars=500, seed=1).bars)
    >>> result = backtest(np.tile([1.0, 1.0, 0.0], 200)[: market.n_decisions], market)
    >>> len(result.trades), result.equity[-1] < 1
    (166, np.True_)
    """
    require("market", market, Market)
    if isinstance(policy, type):
        raise ArgumentError(f"policy is the class {policy.__name__}; expected an agent that was made of it.")
    n, simulator = market.n_decisions, Simulator(market, 1)
    path, use = np.empty((n, len(PATH))), np.empty((n if watches(market.config.risk) else 0, N_RULES))
    if not (callable(policy) or hasattr(policy, "predict")):
        asked = _checked(policy, market)
        accounts = np.empty((0, len(ACCOUNT_NAMES)), dtype=np.float32)
        simulator.replay(asked, path, use)
        return BacktestResult(market, asked, path, use, accounts)
    decide = _decider(policy, simulator)
    asked, accounts = np.empty(n), np.empty((n, len(ACCOUNT_NAMES)), dtype=np.float32)
    for k, t in enumerate(range(market.start, market.stop - 1)):
        seen = simulator.observe()[0]
        accounts[k] = seen[-len(ACCOUNT_NAMES) :]
        target = decide(t, seen)
        if not abs(target) <= 1:
            raise ValueError(_no_target(target, t))
        asked[k] = target
        one = slice(k, k + 1)
        simulator.replay(asked[one], path[one], use[one])
    return BacktestResult(market, asked, path, use, accounts)


def _checked(targets: Targets, market: Market) -> Floats:
    expected = "targets from -1 to 1, a function of bar and account, or an agent with predict()"
    asked = as_numbers("policy", targets, expected=expected).copy()
    if asked.shape != (market.n_decisions,):
        raise ValueError(
            f"policy has shape {asked.shape}; expected ({market.n_decisions},): a target for every bar from "
            f"{market.start} to {market.stop - 2}."
        )
    wrong = ~(np.abs(asked) <= 1)
    if wrong.any():
        raise ValueError(_no_target(asked[wrong][0], market.start + int(wrong.argmax())))
    return asked


def _no_target(value: float, bar: int) -> str:
    return f"The target decided at bar {bar} is {value}; expected a number from -1 to 1."


def _decider(policy: Any, simulator: Simulator) -> Callable[[int, NDArray[np.float32]], float]:
    """From a bar and the whole observation to the target."""
    if not hasattr(policy, "predict"):
        return lambda t, seen: as_number(
            f"The target decided at bar {t}", policy(t, seen[-len(ACCOUNT_NAMES) :]), "a number from -1 to 1"
        )
    market = simulator.market
    if hasattr(policy, "trained_on"):
        require_same_terms("The policy", policy.trained_on, terms_of(market.config, market.table.shape[1]))
        return lambda _, seen: float(policy.predict(seen)[0])
    require_same_spaces(policy, simulator.observation_space, simulator.action_space)
    require_finite_weights(policy)

    def target_of(action: Any) -> float:
        return float(simulator.targets(np.asarray(action))[0])

    if "state" not in inspect.signature(policy.predict).parameters:
        return lambda _, seen: target_of(policy.predict(seen, deterministic=True)[0])
    state: Any = None

    def decide(t: int, seen: NDArray[np.float32]) -> float:
        nonlocal state
        first = np.array([t == market.start])
        action, state = policy.predict(seen, state=state, episode_start=first, deterministic=True)
        return target_of(action)

    return decide
