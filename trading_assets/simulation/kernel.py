"""The accounting of one bar, written once for training, backtests and baselines.

A decision made at the close of bar t fills at the open of bar t+1, slipped against the order, and the
account is marked at the close of bar t+1. Units are bought or sold only when the target changes, so a
held position drifts with the market and pays nothing.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from trading_assets.risk.drawdown import drawdown_penalty

Array = NDArray[Any]
jit = numba.njit(cache=True)

ACCOUNT_NAMES = ("position", "unrealised_pnl", "drawdown", "time_in_trade")
"""What a policy sees of its account: the target held (-1 to 1); the log return since entry and the
drawdown from the peak, both in units of 10 % and within 5; bars since entry in units of 48, within 3."""

# Columns of an account.
CASH, UNITS, EQUITY, PEAK, ENTRY, TARGET, AGE = range(7)
ACCOUNT_SIZE = 7
# Entries of the rules: proportions, then what the reward is made of.
FEE, SLIPPAGE, SOFT, HARD, PENALTY, SCALE = range(6)
_OPEN, _CLOSE = 1, 4
RUIN = 0.01


@jit
def open_account(account: Array) -> None:
    """An account of 1 in cash."""
    account[:] = 0.0
    account[CASH] = account[EQUITY] = account[PEAK] = account[ENTRY] = 1.0


@jit
def step_account(bars: Array, t: int, account: Array, target: float, rules: Array) -> tuple[float, float]:
    """Trade to `target` at the open of bar t+1 and mark at its close; return reward and cost.

    The reward is the log return of equity net of costs in units of `rules[SCALE]`, less the drawdown
    penalty. An account below 1 % of its start is ruined: closed at that value, it trades no more.
    """
    if account[EQUITY] <= RUIN:
        target = 0.0
    price, before, cost = bars[t + 1, _OPEN], account[EQUITY], 0.0
    if target != account[TARGET]:
        at_open = account[CASH] + account[UNITS] * price
        traded = target * max(at_open, 0.0) / price - account[UNITS]
        slip = rules[SLIPPAGE] * abs(traded) * price
        fee = rules[FEE] * (abs(traded) * price + (slip if traded > 0 else -slip))
        cost = slip + fee
        account[CASH] -= traded * price + cost
        account[UNITS] += traded
        account[TARGET] = target
        account[ENTRY] = account[CASH] + account[UNITS] * price
        account[AGE] = 0.0
    account[AGE] += 1.0
    account[EQUITY] = account[CASH] + account[UNITS] * bars[t + 1, _CLOSE]
    if account[EQUITY] <= RUIN:
        account[EQUITY] = account[CASH] = RUIN
        account[UNITS] = account[TARGET] = 0.0
    account[PEAK] = max(account[PEAK], account[EQUITY])
    drawdown = 1.0 - account[EQUITY] / account[PEAK]
    reward = np.log(account[EQUITY] / before) / rules[SCALE]
    return reward - rules[PENALTY] * drawdown_penalty(drawdown, rules[SOFT], rules[HARD]), cost


@jit
def observe_account(account: Array, out: Array) -> None:
    """Write the values of `ACCOUNT_NAMES` into `out`."""
    held = account[TARGET] != 0.0
    entry = max(account[ENTRY], RUIN)
    pnl = 10 * np.log(account[EQUITY] / entry) if held else 0.0
    out[0] = account[TARGET]
    out[1] = min(max(pnl, -5.0), 5.0)
    out[2] = min(10 * (1.0 - account[EQUITY] / account[PEAK]), 5.0)
    out[3] = min(account[AGE] / 48.0, 3.0) if held else 0.0


@jit
def step_many(
    bars: Array,
    clock: Array,
    accounts: Array,
    targets: Array,
    rules: Array,
    rewards: Array,
    costs: Array,
) -> None:
    """Step every account at its own bar; `clock` moves on by one."""
    for i in range(len(clock)):
        rewards[i], costs[i] = step_account(bars, clock[i], accounts[i], targets[i], rules)
        clock[i] += 1


@jit
def observe_many(table: Array, clock: Array, accounts: Array, out: Array) -> None:
    """Observations: the rows of `table` at the clocks, then the account."""
    width = table.shape[1]
    for i in range(len(clock)):
        out[i, :width] = table[clock[i]]
        observe_account(accounts[i], out[i, width:])


@jit
def replay(bars: Array, start: int, targets: Array, rules: Array, path: Array) -> None:
    """Follow `targets` from the close of bar `start`; write equity, exposure and cost of every bar."""
    account = np.empty(ACCOUNT_SIZE)
    open_account(account)
    for i in range(len(targets)):
        _, path[i, 2] = step_account(bars, start + i, account, targets[i], rules)
        path[i, 0] = account[EQUITY]
        path[i, 1] = account[UNITS] * bars[start + i + 1, _CLOSE] / account[EQUITY]
