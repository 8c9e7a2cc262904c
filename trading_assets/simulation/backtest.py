"""One strategy through one stretch of bars, with the accounting it was trained on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trading_assets.config.settings import CostSettings, RiskSettings
from trading_assets.simulation import kernel
from trading_assets.simulation.kernel import ACCOUNT_NAMES, ACCOUNT_SIZE
from trading_assets.validation.metrics import evaluate

Floats = NDArray[np.float64]
Account = NDArray[np.float32]
Decide = Callable[[int, Account], float]
"""From the bar just closed and the account's observation to the target position."""


@dataclass(frozen=True)
class Backtest:
    """What happened, bar by bar; row i covers the bar after decision i.

    Attributes
    ----------
    equity : ndarray of shape (n_decisions + 1,)
        Net of all costs, 1 at the start.
    exposure, costs, targets, market : ndarray of shape (n_decisions,)
        Fraction of equity held at the close; paid, in units of the starting equity; what was decided;
        the market's return, close to close.
    accounts : ndarray of shape (n_decisions, 4), float32
        What the strategy saw of its account at each decision.
    """

    equity: Floats
    exposure: Floats
    costs: Floats
    targets: Floats
    market: Floats
    accounts: NDArray[np.float32]

    @property
    def returns(self) -> Floats:
        return self.equity[1:] / self.equity[:-1] - 1

    def metrics(self, periods_per_year: float) -> dict[str, float]:
        """See `validation.metrics.evaluate`."""
        return evaluate(
            self.equity,
            self.exposure,
            self.costs,
            self.targets,
            self.market,
            periods_per_year=periods_per_year,
        )


def make_rules(costs: CostSettings, risk: RiskSettings, reward_scale: float = 1.0) -> Floats:
    """The numbers `kernel.step_account` works by.

    Parameters
    ----------
    costs, risk : settings
    reward_scale : float
        Log return that counts as a reward of 1, for instance the deviation of a bar's return.
    """
    if not reward_scale > 0:
        raise ValueError(f"reward_scale is {reward_scale}; expected a positive log return.")
    rules = [
        costs.fee_bps / 1e4,
        costs.slippage_bps / 1e4,
        risk.drawdown_soft,
        risk.drawdown_hard,
        risk.penalty,
        reward_scale,
    ]
    return np.array(rules)


def backtest(decide: Decide, bars: Floats, start: int, stop: int, rules: Floats) -> Backtest:
    """Ask `decide` at the close of each bar from `start`; the last order fills before `stop`.

    Parameters
    ----------
    decide : callable
        Called once a bar, in order of time.
    bars : ndarray of shape (n_bars, 6)
    start, stop : int
        Bars `start` to `stop - 1` are used; no price beyond them is read.
    rules : ndarray
        From `make_rules`.
    """
    n = stop - start - 1
    account = np.empty(ACCOUNT_SIZE)
    kernel.open_account(account)
    path, targets = np.empty((n, 3)), np.empty(n)
    accounts = np.empty((n, len(ACCOUNT_NAMES)), dtype=np.float32)
    for i in range(n):
        kernel.observe_account(account, accounts[i])
        targets[i] = decide(start + i, accounts[i])
        _, path[i, 2] = kernel.step_account(bars, start + i, account, targets[i], rules)
        path[i, 0] = account[kernel.EQUITY]
        path[i, 1] = account[kernel.UNITS] * bars[start + i + 1, 4] / account[kernel.EQUITY]
    return _backtest(path, targets, accounts, bars, start)


def replay_targets(targets: Floats, bars: Floats, start: int, rules: Floats) -> Backtest:
    """Backtest of targets that are known beforehand: `targets[i]` is decided at bar `start + i`."""
    path = np.empty((len(targets), 3))
    kernel.replay(bars, start, targets, rules, path)
    unseen = np.full((len(targets), len(ACCOUNT_NAMES)), np.nan, dtype=np.float32)
    return _backtest(path, targets, unseen, bars, start)


def _backtest(
    path: Floats, targets: Floats, accounts: NDArray[np.float32], bars: Floats, start: int
) -> Backtest:
    close = bars[start : start + len(path) + 1, 4]
    equity = np.concatenate([[1.0], path[:, 0]])
    targets = np.where(equity[:-1] > kernel.RUIN, targets, 0.0)
    return Backtest(
        equity=equity,
        exposure=path[:, 1].copy(),
        costs=path[:, 2].copy(),
        targets=targets,
        market=close[1:] / close[:-1] - 1,
        accounts=accounts,
    )
