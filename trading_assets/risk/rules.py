"""The rules of `RiskLimits`, written once for training, backtests and execution.

What an account did is packed into one row: a head, the bars that each rule still cools down, and rings of
what was traded and ordered in the last bars. `take_in` takes in the bar just closed and says how much of
each limit is used; `enforce` says how much of a target is allowed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trading_assets.arrays import Array
from trading_assets.compilation import compiled
from trading_assets.config.limits import RiskLimits
from trading_assets.risk.market_window import CVAR, VAR, VOLATILITY

RULES = (
    "position",
    "leverage",
    "gross_notional",
    "value_at_risk",
    "conditional_value_at_risk",
    "volatility",
    "turnover",
    "order_rate",
    "drawdown",
    "daily_loss",
    "loss_streak",
)
N_RULES = len(RULES)
_POSITION, _LEVERAGE, _NOTIONAL, _VAR, _CVAR, _VOLATILITY, _TURNOVER, _ORDERS, _DRAWDOWN, _DAY, _STREAK = (
    range(N_RULES)
)
_SOFT, _HARD, _COOL_DOWN, _PER_HARD, _PER_SPAN = range(5)

# The head of an account's row.
OPENED, TIME, _PEAK, _DAY_EQUITY, _EQUITY, _LOSSES, _TRADED, _ORDERED, _AT, _ACTING = range(10)
_COOLING = 10
_RINGS = _COOLING + N_RULES

APPROVE, CLIP, REJECT = range(3)
NO_EQUITY = 1 << N_RULES
"""The reason that is none of the rules: nothing is left to trade with."""
_DAY_SECONDS = 86_400.0
_ROUNDING = 1e-9
_NEAR = 0.9
"""Share of an exposure limit that a position which has outgrown it is cut to."""
_MOST_TURNOVER = 1e6
"""Of a bar, whatever is left of equity: larger ones would swallow the others in the sum."""


def pack_limits(limits: RiskLimits, capital: float = 1.0) -> NDArray[np.float64]:
    """Soft level, hard level, cool-down, 1 / hard and 1 / (hard - soft) of every rule, shape (11, 5).

    No limit is an infinite one.

    Parameters
    ----------
    limits : RiskLimits
    capital : float
        What an equity of 1 stands for, in the account's currency.
    """
    packed = np.array([[0.0, np.inf, 0.0, 0.0, 0.0]] * N_RULES)
    for row, name in zip(packed, RULES, strict=True):
        limit = getattr(limits, name)
        if limit is not None:
            unit = capital if name in {"position", "gross_notional"} else 1.0
            soft, hard = limit.soft / unit, limit.hard / unit
            row[:] = soft, hard, limit.cool_down, 1 / hard, 1 / (hard - soft)
    return packed


def account_size(limits: RiskLimits) -> int:
    """Length of an account's row."""
    return _RINGS + 2 * limits.activity_window


def watches(limits: RiskLimits) -> bool:
    """Whether there is a limit at all."""
    return any(getattr(limits, name) is not None for name in RULES)


def watches_market(limits: RiskLimits) -> bool:
    """Whether a limit needs the risk of one unit."""
    return any((limits.value_at_risk, limits.conditional_value_at_risk, limits.volatility))


@compiled
def open_account(account: Array, equity: float, time: float) -> None:
    """An account that has done nothing yet."""
    account[:] = 0.0
    account[_PEAK] = account[_DAY_EQUITY] = account[_EQUITY] = equity
    account[OPENED], account[TIME] = 1.0, time


@compiled
def take_in(
    account: Array,
    limits: Array,
    unit: Array,
    time: float,
    price: float,
    equity: float,
    quantity: float,
    traded: float,
    orders: float,
    closed_pnl: float,
    use: Array,
) -> float:
    """Take in a bar at its close; write the use of every limit into `use` (11,) and return the penalty.

    Use is the figure over its hard level. The penalty is the sum over the rules of
    `clip((figure - soft) / (hard - soft), 0, 1) ** 2`.

    Parameters
    ----------
    account, limits, unit : ndarray
        The account's row, `pack_limits`, the risk of one unit.
    time : float
        Of the close, in seconds since 1970.
    price, equity, quantity : float
        Of the asset; of the account; units held, signed.
    traded, orders : float
        Notional and number of orders since the bar before.
    closed_pnl : float
        Of a round trip that ended since the bar before, 0 where none did.
    """
    # A bar that closes at midnight belongs to the day that ends.
    if np.ceil(time / _DAY_SECONDS) != np.ceil(account[TIME] / _DAY_SECONDS):
        account[_DAY_EQUITY] = account[_EQUITY]
    account[TIME], account[_EQUITY] = time, equity
    account[_PEAK] = max(account[_PEAK], equity)
    if closed_pnl != 0.0:
        account[_LOSSES] = account[_LOSSES] + 1.0 if closed_pnl < 0.0 else 0.0
    turnover = min(traded / equity, _MOST_TURNOVER) if equity > 0.0 else 0.0
    _take_activity(account, turnover, orders)
    if account[_ACTING] > 0.0:
        _cool_down(account)
    held = abs(quantity)
    exposure = held * price / equity if equity > 0.0 else (np.inf if held > 0.0 else 0.0)
    short = 1 if quantity < 0.0 else 0
    use[_POSITION] = held
    use[_LEVERAGE] = exposure
    use[_NOTIONAL] = held * price
    use[_VAR] = _scaled(exposure, unit[VAR + short])
    use[_CVAR] = _scaled(exposure, unit[CVAR + short])
    use[_VOLATILITY] = _scaled(exposure, unit[VOLATILITY])
    use[_TURNOVER] = account[_TRADED]
    use[_ORDERS] = account[_ORDERED]
    use[_DRAWDOWN] = _fall(account[_PEAK], equity)
    use[_DAY] = _fall(account[_DAY_EQUITY], equity)
    use[_STREAK] = account[_LOSSES]
    penalty = 0.0
    for rule in range(N_RULES):
        soft, hard = limits[rule, _SOFT], limits[rule, _HARD]
        if hard == np.inf:
            use[rule] = 0.0
            continue
        over = min(max((use[rule] - soft) * limits[rule, _PER_SPAN], 0.0), 1.0)
        penalty += over * over
        use[rule] *= limits[rule, _PER_HARD]
        # A loss acts when it reaches its limit, the others when they exceed it.
        reached = use[rule] >= (1.0 - _ROUNDING if rule >= _DRAWDOWN else 1.0 + _ROUNDING)
        if reached and account[_COOLING + rule] == 0.0 and limits[rule, _COOL_DOWN] > 0.0:
            account[_COOLING + rule] = limits[rule, _COOL_DOWN]
            account[_ACTING] += 1.0
    return penalty


@compiled
def _scaled(exposure: float, risk: float) -> float:
    """Risk of an exposure; one without equity behind it is infinite, none at all has no risk."""
    return exposure * risk if 0.0 < exposure < np.inf else exposure


@compiled
def _fall(start: float, equity: float) -> float:
    """As a fraction of the start; all of it where nothing was there and nothing is."""
    if start > 0.0:
        return max(1.0 - equity / start, 0.0)
    return 0.0 if equity > 0.0 else 1.0


@compiled
def _take_activity(account: Array, turnover: float, orders: float) -> None:
    size = (len(account) - _RINGS) // 2
    at = _RINGS + int(account[_AT])
    account[_TRADED] += turnover - account[at]
    account[_ORDERED] += orders - account[at + size]
    account[at], account[at + size] = turnover, orders
    account[_AT] += 1.0
    if account[_AT] == size:  # summed anew once a round, so that rounding cannot pile up
        account[_AT] = account[_TRADED] = 0.0
        for k in range(_RINGS, _RINGS + size):
            account[_TRADED] += account[k]


@compiled
def _cool_down(account: Array) -> None:
    for rule in range(N_RULES):
        if account[_COOLING + rule] > 0.0:
            account[_COOLING + rule] -= 1.0
            if account[_COOLING + rule] == 0.0:
                account[_ACTING] -= 1.0
                _restart(account, rule)


@compiled
def _restart(account: Array, rule: int) -> None:
    """After its cool-down a rule measures from here, or it would act for ever."""
    size = (len(account) - _RINGS) // 2
    if rule == _DRAWDOWN:
        if account[_EQUITY] > 0.0:
            account[_PEAK] = account[_EQUITY]
    elif rule == _DAY:
        if account[_EQUITY] > 0.0:
            account[_DAY_EQUITY] = account[_EQUITY]
    elif rule == _STREAK:
        account[_LOSSES] = 0.0
    elif rule == _TURNOVER:
        account[_RINGS : _RINGS + size] = account[_TRADED] = 0.0
    elif rule == _ORDERS:
        account[_RINGS + size :] = account[_ORDERED] = 0.0


@compiled
def enforce(
    account: Array,
    limits: Array,
    unit: Array,
    price: float,
    equity: float,
    quantity: float,
    held: float,
    target: float,
) -> tuple[int, float, int]:
    """What of a target is allowed after `take_in` took in the same bar.

    Parameters
    ----------
    held, target : float
        Exposure over equity that the account follows now, and that is asked for.

    Returns
    -------
    action : int
        `APPROVE` the target, `CLIP` it, or `REJECT`: order nothing.
    allowed : float
        What to follow.
    reasons : int
        A bit for every rule that says so, by its place in `RULES`, or `NO_EQUITY`.
    """
    closing = _cooling(account, _DRAWDOWN, N_RULES)
    if closing or not equity > 0.0:
        if target == held == quantity == 0.0:
            return APPROVE, 0.0, 0
        return CLIP, 0.0, closing if closing else NO_EQUITY
    position = quantity * price / equity
    cap, reasons = _exposure_cap(limits, unit, price, equity, target)
    own_cap, outgrown = _exposure_cap(limits, unit, price, equity, position)
    allowed = min(max(target, -cap), cap)
    # Limits move with every bar. What has outgrown them is cut to below them, and what is near them stays.
    if allowed * position > 0.0:
        if outgrown:
            allowed = min(max(allowed, -_NEAR * own_cap), _NEAR * own_cap)
        elif reasons and abs(position) >= _NEAR * _NEAR * abs(allowed):
            return REJECT, held, reasons
    if allowed == held and not outgrown:
        return (CLIP if reasons else APPROVE), allowed, reasons
    reasons |= outgrown
    kept = abs(position) if position * allowed > 0.0 else 0.0
    growth = abs(allowed) - kept
    if growth > 0.0:
        room, limiting = _room(account, limits, abs(position) - kept)
        if growth > room:
            reasons |= limiting
            allowed = np.sign(allowed) * (kept + room)
            if room == 0.0 and kept == abs(position):
                return REJECT, held, reasons
    return (CLIP if reasons else APPROVE), allowed, reasons


@compiled
def _cooling(account: Array, first: int, stop: int) -> int:
    """A bit for every rule from `first` to `stop - 1` that cools down."""
    found = 0
    if account[_ACTING] == 0.0:
        return found
    for rule in range(first, stop):
        if account[_COOLING + rule] > 0.0:
            found |= 1 << rule
    return found


@compiled
def _exposure_cap(
    limits: Array, unit: Array, price: float, equity: float, exposure: float
) -> tuple[float, int]:
    """The largest exposure to that side, and a bit for every rule that `exposure` exceeds."""
    lowest, exceeded = np.inf, 0
    short = 1 if exposure < 0.0 else 0
    for rule in range(_TURNOVER):
        cap = limits[rule, _HARD]
        if cap == np.inf:
            continue
        if rule == _POSITION:
            cap *= price / equity
        elif rule == _NOTIONAL:
            cap /= equity
        elif rule == _VAR:
            cap = _ratio(cap, unit[VAR + short])
        elif rule == _CVAR:
            cap = _ratio(cap, unit[CVAR + short])
        elif rule == _VOLATILITY:
            cap = _ratio(cap, unit[VOLATILITY])
        if abs(exposure) > cap * (1.0 + _ROUNDING):
            exceeded |= 1 << rule
        lowest = min(lowest, cap)
    return lowest, exceeded


@compiled
def _ratio(limit: float, risk: float) -> float:
    if np.isnan(risk):
        return 0.0
    return limit / risk if risk > 0.0 else np.inf


@compiled
def _room(account: Array, limits: Array, reduction: float) -> tuple[float, int]:
    """By how much exposure may grow in the next bar, and a bit for every rule that says so.

    The oldest bar leaves the rings before the order is filled; `reduction` is traded first.
    """
    cooling = _cooling(account, 0, _DRAWDOWN)
    if cooling:
        return 0.0, cooling
    size = (len(account) - _RINGS) // 2
    oldest = _RINGS + int(account[_AT])
    if account[_ORDERED] - account[oldest + size] + 1.0 > limits[_ORDERS, _HARD]:
        return 0.0, 1 << _ORDERS
    traded = account[_TRADED] - account[oldest] + reduction
    return max(limits[_TURNOVER, _HARD] - traded, 0.0), 1 << _TURNOVER
