"""One bar of one account, written once for training, backtests and baselines.

A decision made at the close of bar t fills at the open of bar t+1, slipped against the order; the account
is marked at the close of bar t+1. What falls due within a bar belongs to whoever holds after the fill, what
falls due at its open or in the gap before it to whoever held until then. Units are bought or sold only
when the target changes, so a held position drifts with the market and pays no fee. Equity is in units of
the starting capital, and always cash plus position.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trading_assets.arrays import Array
from trading_assets.compilation import compiled
from trading_assets.config.settings import EnvConfig
from trading_assets.risk import rules as risk

ACCOUNT_NAMES = ("position", "unrealised_pnl", "drawdown", "time_in_trade")
"""What a policy sees of its account: the target held (-1 to 1); the return since entry and the drawdown
from the peak, both in units of 10 % and within 5; bars since entry in units of 48, within 3."""
N_SEEN = len(ACCOUNT_NAMES)
COSTS = ("fee", "slippage", "impact", "funding", "borrow", "liquidation")
"""Kinds of costs, in units of the starting capital; funding that is received is negative."""
PATH = ("equity", "exposure", "target", "traded", "closed_pnl", "penalty", *COSTS)
"""What is recorded of every bar: equity and exposure (a fraction of it) at the close, the target held,
notional traded, profit of a round trip that ended, risk penalty, what was paid."""
GOES_ON, TRUNCATED, RUINED = range(3)

# Columns of the accounts: ENTRY is the equity after the last trade, OPENED that before the round trip, LEFT
# the bars to the end of the episode, REWARDED the sum of its rewards, MEAN and SQUARE what the differential
# Sharpe ratio averages.
CASH, UNITS, EQUITY, PEAK, ENTRY, TARGET, AGE, OPENED, LEFT, REWARDED, MEAN, SQUARE = range(12)
N_COLUMNS = 12
# Entries of the packed configuration: `pack_config`.
(
    FEE,
    SLIPPAGE,
    SLIPPAGE_VOLATILITY,
    IMPACT,
    FUNDING,
    BORROW,
    MIN_ORDER,
    LEVERAGE,
    MARGIN,
    LIQUIDATION,
    REWARD,
    DECAY,
    AVERSION,
    LAMBDA,
    PER_SCALE,
    WATCH,
    ENFORCE,
    INTERVAL,
) = range(18)
# Columns of bars and of conditions (`Market.conditions`).
_TIME, _OPEN, _HIGH, _LOW, _CLOSE, _RATE, _WITHIN = 0, 1, 2, 3, 4, 6, 7
VOLATILITY, LIQUIDITY, UNIT = 0, 1, 2
_YEAR = 365 * 86_400.0
RUIN = 0.01
"""Equity at which an account is closed for good."""
_REWARDS = ("log_return", "differential_sharpe", "mean_variance")
_SHARPE, _MEAN_VARIANCE = 1, 2
_SAME = 1e-9
"""Targets that differ by less are one target."""


def pack_config(config: EnvConfig, interval: float) -> NDArray[np.float64]:
    """The numbers that `simulate` works by; `interval` is the seconds of a bar."""
    costs = config.costs
    return np.array(
        [
            costs.fee_bps / 1e4,
            costs.slippage_bps / 1e4,
            costs.slippage_volatility,
            costs.impact,
            float(costs.funding),
            costs.borrow_rate / _YEAR,
            costs.min_order / costs.capital,
            config.max_leverage,
            config.maintenance_margin,
            config.liquidation_bps / 1e4,
            _REWARDS.index(config.reward),
            config.sharpe_decay,
            config.risk_aversion,
            config.risk_penalty,
            1 / config.reward_scale,
            float(risk.watches(config.risk)),
            float(config.enforce_limits),
            interval,
        ]
    )


@compiled
def open_accounts(
    bars: Array, config: Array, state: Array, memory: Array, clock: Array, rows: Array, n_bars: int, last: int
) -> None:
    """Give the accounts in `rows` 1 in cash at the close of their bar, for `n_bars` or up to bar `last`."""
    for i in rows:
        for column in range(N_COLUMNS):
            state[i, column] = 0.0
        state[i, CASH] = state[i, EQUITY] = state[i, PEAK] = state[i, ENTRY] = 1.0
        state[i, LEFT] = min(n_bars, last - clock[i])
        risk.open_account(memory[i], 1.0, bars[clock[i], _TIME] + config[INTERVAL])


@compiled
def choose(levels: Array, actions: Array, targets: Array) -> bool:
    """Write what every action stands for into `targets` (1, n_accounts); False where one is none.

    An action is the place of one of the levels, or without levels a number from -1 to 1.
    """
    if len(actions) != targets.shape[1]:
        return False
    known = True
    for i in range(len(actions)):
        if len(levels) > 0:
            place = int(actions[i])
            inside = 0 <= place < len(levels)
            targets[0, i] = levels[place if inside else 0]
        else:
            targets[0, i] = actions[i]
            inside = abs(targets[0, i]) <= 1.0
        known &= inside
    return known


@compiled
def step(
    actions: Array,
    rewards: Array,
    out: Array,
    levels: Array,
    bars: Array,
    conditions: Array,
    config: Array,
    limits: Array,
    state: Array,
    memory: Array,
    clock: Array,
    targets: Array,
    path: Array,
    use: Array,
    ended: Array,
    table: Array,
) -> int:
    """`choose`, `simulate` and `observe` at once; -1 for actions that are none, and nothing has moved."""
    if not choose(levels, actions, targets):
        return -1
    row = rewards.reshape((1, len(rewards)))
    n_ended = simulate(bars, conditions, config, limits, state, memory, clock, targets, row, path, use, ended)
    write_observations(table, clock, state, out)
    return n_ended


@compiled
def simulate(  # noqa: PLR0912, PLR0915 - see the comment on its one loop
    bars: Array,
    conditions: Array,
    config: Array,
    limits: Array,
    state: Array,
    memory: Array,
    clock: Array,
    targets: Array,
    rewards: Array,
    path: Array,
    use: Array,
    ended: Array,
) -> int:
    """Take every account through as many bars as there are rows of targets; return how many have ended.

    In each bar, in order: risk rules, funding and interest due at the open on what was held, the trade at the
    open, funding and interest of the bar on what is held then, a margin call, the mark at the close. An
    account below 1 % of its start is ruined: closed at that value, it trades no more.

    Parameters
    ----------
    bars, conditions : ndarray
        From `Market`.
    config, limits : ndarray
        From `pack_config` and `risk.rules.pack_limits`.
    state, memory : ndarray of shape (n_accounts, 12) and (n_accounts, size)
        The accounts, and what the risk rules remember of them; changed.
    clock : ndarray of int of shape (n_accounts,)
        The bar whose close each account is at; moved on.
    targets : ndarray of shape (n_steps, n_accounts)
        From -1 to 1, in units of `max_leverage` times equity.
    rewards, path, use : ndarray of shape (n_steps, n_accounts[, 12 | 11])
        Written: rewards, the values of `PATH` if it has rows, use of every limit at the close.
    ended : ndarray of int of shape (n_accounts,)
        Written: whether the episode `GOES_ON`, was `TRUNCATED` or is `RUINED` after the last step.
    """
    # One loop in one function: an array that is handed on costs as much as the arithmetic.
    recording, n_ended = path.shape[0] > 0, 0
    for k in range(targets.shape[0]):
        touched = 0.0
        for i in range(targets.shape[1]):  # all bars are fetched at once, or each account waits for its own
            touched += bars[clock[i] + 1, _TIME]
        rewards[k, 0] = touched
        for i in range(targets.shape[1]):
            t, target = clock[i], targets[k, i]
            clock[i] = t + 1
            cash, units, before, held = state[i, CASH], state[i, UNITS], state[i, EQUITY], state[i, TARGET]
            opening, close = bars[t + 1, _OPEN], bars[t + 1, _CLOSE]
            fee = slippage = impact = funding = borrow = liquidation = 0.0
            traded = closed_pnl = penalty = 0.0
            equity, must_trade = before, False
            if before > RUIN:
                if config[ENFORCE] > 0.0:
                    target, must_trade = _enforce(
                        memory[i],
                        limits,
                        conditions[t, UNIT:],
                        bars[t, _CLOSE],
                        before,
                        units,
                        held,
                        target,
                        config[LEVERAGE],
                    )
                within = bars[t + 1, _WITHIN]
                funding = config[FUNDING] * units * opening * (bars[t + 1, _RATE] - within)
                if config[BORROW] > 0.0:
                    gap = bars[t + 1, _TIME] - bars[t, _TIME] - config[INTERVAL]
                    borrow = config[BORROW] * _borrowed(cash, units, opening) * gap
                cash -= funding + borrow
                if target != held or must_trade:
                    at_open = cash + units * opening
                    order = target * config[LEVERAGE] * max(at_open, 0.0) / opening - units
                    traded = abs(order) * opening
                    if traded < config[MIN_ORDER] and target != 0.0:
                        traded = 0.0
                    elif traded == 0.0:
                        held = target
                    else:
                        slippage = config[SLIPPAGE] * traded
                        if config[SLIPPAGE_VOLATILITY] > 0.0:
                            slippage += config[SLIPPAGE_VOLATILITY] * conditions[t, VOLATILITY] * traded
                        if config[IMPACT] > 0.0:
                            strength = config[IMPACT] * conditions[t, VOLATILITY]
                            impact = _impact(strength, traded, conditions[t, LIQUIDITY])
                        slipped = slippage + impact
                        fee = config[FEE] * max(traded + (slipped if order > 0.0 else -slipped), 0.0)
                        cash -= order * opening + slipped + fee
                        if units * (units + order) <= 0.0:  # a round trip ends, paying its part, or begins
                            closed_at = at_open - (slipped + fee) * min(abs(units / order), 1.0)
                            closed_pnl = closed_at - state[i, OPENED] if units != 0.0 else 0.0
                            state[i, OPENED] = closed_at
                        units += order
                        held = target
                        state[i, ENTRY] = cash + units * opening
                        state[i, AGE] = 0.0
                # At a time within the bar, whose price is taken to be midway.
                due = config[FUNDING] * units * 0.5 * (opening + close) * within
                funding += due
                if config[BORROW] > 0.0:
                    interest = config[BORROW] * _borrowed(cash, units, opening) * config[INTERVAL]
                    borrow += interest
                    due += interest
                cash -= due
                worst = bars[t + 1, _LOW if units > 0.0 else _HIGH]
                if units != 0.0 and cash + units * worst <= config[MARGIN] * abs(units) * worst:
                    price = _margin_price(cash, units, config[MARGIN], opening)
                    liquidation = config[LIQUIDATION] * abs(units) * price
                    traded += abs(units) * price
                    cash += units * price - liquidation
                    closed_pnl += cash - state[i, OPENED]
                    units = held = 0.0
                equity = cash + units * close
                if equity <= RUIN:
                    closed_pnl += RUIN - state[i, OPENED] if units != 0.0 else RUIN - cash
                    equity = cash = RUIN
                    units = held = 0.0
                state[i, CASH], state[i, UNITS] = cash, units
                state[i, TARGET], state[i, EQUITY] = held, equity
                state[i, AGE] += 1.0
                state[i, PEAK] = max(state[i, PEAK], equity)
            if config[WATCH] > 0.0:
                penalty = risk.take_in(
                    memory[i],
                    limits,
                    conditions[t + 1, UNIT:],
                    bars[t + 1, _TIME] + config[INTERVAL],
                    close,
                    equity,
                    units,
                    traded,
                    1.0 if traded > 0.0 else 0.0,
                    closed_pnl,
                    use[k, i],
                )
            earned = np.log(equity / before) * config[PER_SCALE]
            if config[REWARD] == _SHARPE:
                mean, square = state[i, MEAN], state[i, SQUARE]
                state[i, MEAN] += config[DECAY] * (earned - mean)
                state[i, SQUARE] += config[DECAY] * (earned * earned - square)
                earned = _differential_sharpe(earned, mean, square)
            elif config[REWARD] == _MEAN_VARIANCE:
                earned -= 0.5 * config[AVERSION] * earned * earned
            rewards[k, i] = earned - config[LAMBDA] * penalty
            state[i, REWARDED] += rewards[k, i]
            if recording:
                path[k, i, 0], path[k, i, 1], path[k, i, 2] = equity, units * close / equity, held
                path[k, i, 3], path[k, i, 4], path[k, i, 5] = traded, closed_pnl, penalty
                path[k, i, 6], path[k, i, 7], path[k, i, 8] = fee, slippage, impact
                path[k, i, 9], path[k, i, 10], path[k, i, 11] = funding, borrow, liquidation
            state[i, LEFT] -= 1.0
            ended[i] = RUINED if equity <= RUIN else (TRUNCATED if state[i, LEFT] <= 0.0 else GOES_ON)
            n_ended += ended[i] != GOES_ON
    return n_ended


@compiled
def allow(
    levels: Array,
    bars: Array,
    conditions: Array,
    config: Array,
    limits: Array,
    state: Array,
    memory: Array,
    clock: Array,
    masks: Array,
) -> None:
    """Write which levels the risk rules leave as they are, or else the nearest, into `masks`.

    `masks` is of shape (n_accounts, n_levels), bool.
    """
    for i in range(len(clock)):
        equity, units, held = state[i, EQUITY], state[i, UNITS], state[i, TARGET]
        price, unit = bars[clock[i], _CLOSE], conditions[clock[i], UNIT:]
        nearest, least = 0, np.inf
        for k in range(len(levels)):
            target = levels[k]
            followed, _ = _enforce(
                memory[i], limits, unit, price, equity, units, held, target, config[LEVERAGE]
            )
            away = abs(followed - target)
            masks[i, k] = away <= _SAME
            if away < least:
                nearest, least = k, away
        masks[i, nearest] = True


@compiled
def _borrowed(cash: float, units: float, price: float) -> float:
    """The notional of a short, and the cash beyond one's own of a long."""
    return max(-units * price, 0.0) + max(-cash, 0.0)


@compiled
def _enforce(
    memory: Array,
    limits: Array,
    unit: Array,
    price: float,
    equity: float,
    units: float,
    held: float,
    target: float,
    leverage: float,
) -> tuple[float, bool]:
    """The target that the risk rules allow, and whether it has to be traded to though it is held."""
    action, allowed, _ = risk.enforce(
        memory, limits, unit, price, equity, units, held * leverage, target * leverage
    )
    if action == risk.APPROVE:
        return target, False
    if action == risk.REJECT:
        return held, False
    return allowed / leverage, abs(units) * price / equity > abs(allowed) * (1.0 + 1e-9)


@compiled
def _impact(strength: float, notional: float, liquidity: float) -> float:
    """By the square-root law; nobody is a larger share of a bar's volume than all of it."""
    share = min(notional / liquidity, 1.0) if liquidity > 0.0 else 1.0
    return strength * np.sqrt(share) * notional  # type: ignore[no-any-return]


@compiled
def _margin_price(cash: float, units: float, margin: float, opening: float) -> float:
    """Where equity over notional meets the margin, or the open where it is past that."""
    if units > 0.0:
        return min(-cash / (units * (1.0 - margin)), opening)
    return max(-cash / (units * (1.0 + margin)), opening)


@compiled
def _differential_sharpe(earned: float, mean: float, square: float) -> float:
    """What a return adds to the Sharpe ratio, from the moving averages of returns and their squares.

    Moody and Saffell (2001), Learning to trade via direct reinforcement, eq. 9; within 10, since the first
    return after a long time without any would outweigh whole episodes.
    """
    variance = square - mean * mean
    if variance < 1e-12:
        return 0.0
    added = (square * (earned - mean) - 0.5 * mean * (earned * earned - square)) / variance**1.5
    return float(min(max(added, -10.0), 10.0))


@compiled
def write_observations(table: Array, clock: Array, state: Array, out: Array) -> None:
    """Write what every account sees: the last numbers of the table up to its bar's row, then `ACCOUNT_NAMES`.

    `out` is of shape (n_accounts, width), float32.
    """
    flat, n_columns, width = table.reshape(-1), table.shape[1], out.shape[1] - N_SEEN
    for i in range(len(clock)):
        first = np.uint64((clock[i] + 1) * n_columns - width)
        for k in range(np.uint64(width)):
            out[i, k] = flat[first + k]
        held = state[i, TARGET] != 0.0
        pnl = 10 * (state[i, EQUITY] / max(state[i, ENTRY], RUIN) - 1.0) if held else 0.0
        out[i, width] = state[i, TARGET]
        out[i, width + 1] = min(max(pnl, -5.0), 5.0)
        out[i, width + 2] = min(10 * (1.0 - state[i, EQUITY] / state[i, PEAK]), 5.0)
        out[i, width + 3] = min(state[i, AGE] / 48.0, 3.0) if held else 0.0
