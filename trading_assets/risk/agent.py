"""The limits enforced: what of an order may be sent."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from trading_assets.arguments import as_numbers, require
from trading_assets.arrays import Array, Floats
from trading_assets.compilation import compiled
from trading_assets.risk import rules
from trading_assets.risk.advisor import RiskAssessment
from trading_assets.risk.rules import REJECT, RULES
from trading_assets.risk.state import AccountState, assess, plain_floats
from trading_assets.risk.watcher import RiskWatcher

Action = Literal["approve", "clip", "reject"]
ACTIONS: tuple[Action, ...] = ("approve", "clip", "reject")
FAULTS = ("unusable number", "clock went back", "stale price")
REASONS = (*RULES, "no equity", *FAULTS)
"""In the order of the bits of a batch's reasons."""
_UNUSABLE, _CLOCK, _STALE = (1 << (len(RULES) + 1 + i) for i in range(len(FAULTS)))


class RiskRequest(NamedTuple):
    """What a policy asks for at the close of a bar.

    Attributes
    ----------
    account : AccountState
        After the bar.
    held, target : float
        Exposure over equity that the account follows now, and that is asked for.
    price_time : float, optional
        When the price was seen, in seconds since 1970; without it at `account.time`. Clocks may differ, but
        not by more than `max_price_age` either way.

    Examples
    --------
    See `RiskAgent`.
    """

    account: AccountState
    held: float
    target: float
    price_time: float | None = None


class RiskDecision(NamedTuple):
    """What of it may be done.

    Attributes
    ----------
    action : {'approve', 'clip', 'reject'}
        Follow `target` as it was asked for; trade to the `target` given here; send no order.
    target : float
        Exposure over equity to follow: after a rejection what is held, NaN where even that is unusable.
    reasons : tuple of str
        The rules that changed it, see `REASONS`.
    assessment : RiskAssessment or None
        As the advisor gives it; None where the request was faulty and nothing was taken in.

    Examples
    --------
    See `RiskAgent`.
    """

    action: Action
    target: float
    reasons: tuple[str, ...]
    assessment: RiskAssessment | None


class RiskAgent(RiskWatcher):
    """Stands between a policy and the exchange; see `RiskWatcher`.

    It fails closed: on a number that is not usable, a price that is stale or a clock that goes back nothing
    is ordered, and what it remembers stays as it was.

    Parameters
    ----------
    limits : RiskLimits
    n_accounts : int
    state : RiskState, optional
        What was remembered earlier; see `RiskWatcher`.

    Examples
    --------
    >>> from trading_assets.risk import AccountState, RiskLimits
    >>> limits = RiskLimits.from_yaml("leverage: {soft: 0.5, hard: 1.0, cool_down: 0}")
    >>> account = AccountState(time=0.0, price=100.0, equity=1_000.0, quantity=5.0)
    >>> decision = RiskAgent(limits).evaluate_and_enforce(RiskRequest(account, held=0.5, target=2.0))
    >>> decision.action, decision.target, decision.reasons
    ('clip', 1.0, ('leverage',))
    """

    def evaluate_and_enforce(self, request: RiskRequest) -> RiskDecision:
        """Take in the bar just closed and decide; call it once a bar, in order of time.

        Parameters
        ----------
        request : RiskRequest

        Returns
        -------
        RiskDecision

        Raises
        ------
        ArgumentError
            When `request` is no `RiskRequest`, or one of its numbers is none; nothing is taken in then.
        """
        require("request", request, RiskRequest)
        require("account", request.account, AccountState)
        own, (account, held, target, price_time) = self._single(), request
        use = np.empty(len(RULES))
        seen = account.time if price_time is None else price_time
        numbers = plain_floats({**account._asdict(), "held": held, "target": target, "price_time": seen})
        action, allowed, reasons, penalty = _decide(
            own.accounts[0],
            own.windows[0],
            own.levels,
            own.limits.window,
            own.limits.tail,
            own.limits.max_price_age,
            own.unit,
            use,
            *numbers,
        )
        return RiskDecision(
            ACTIONS[action],
            allowed,
            names_of(reasons) if reasons else (),
            None if math.isnan(penalty) else RiskAssessment(penalty, use),
        )

    def evaluate_and_enforce_many(
        self, states: Floats, held: Floats, targets: Floats, price_times: Floats | None = None
    ) -> tuple[NDArray[np.int64], Floats, NDArray[np.int64], Floats]:
        """The same for all accounts at once.

        Parameters
        ----------
        states : ndarray of shape (n_accounts, 7)
            The fields of `AccountState`.
        held, targets : ndarray of shape (n_accounts,)
        price_times : ndarray of shape (n_accounts,), optional

        Returns
        -------
        action : ndarray of int of shape (n_accounts,)
            Place in `ACTIONS`.
        allowed : ndarray of shape (n_accounts,)
        reasons : ndarray of int of shape (n_accounts,)
            Bits, see `names_of`.
        penalty : ndarray of shape (n_accounts,)
            NaN for a faulty request.
        """
        own, states = self.state, self._rows(states)
        times = states[:, 0] if price_times is None else price_times
        n = len(states)
        columns = {"held": held, "targets": targets, "price_times": times}
        for name, column in columns.items():
            columns[name] = as_numbers(name, column)
            if columns[name].shape != (n,):
                raise ValueError(f"{name} has shape {columns[name].shape}; expected ({n},).")
        action, reasons = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64)
        allowed, penalty = np.empty(n), np.empty(n)
        limits = own.limits
        _decide_many(
            own.accounts,
            own.windows,
            own.levels,
            limits.window,
            limits.tail,
            limits.max_price_age,
            own.unit,
            np.empty(len(RULES)),
            states,
            columns["held"],
            columns["targets"],
            columns["price_times"],
            action,
            allowed,
            reasons,
            penalty,
        )
        return action, allowed, reasons, penalty


@lru_cache(maxsize=4_096)
def names_of(reasons: int) -> tuple[str, ...]:
    """The names behind the bits of a batch's reasons."""
    return tuple(name for i, name in enumerate(REASONS) if reasons >> i & 1)


@compiled
def _decide(
    account: Array,
    window: Array,
    limits: Array,
    n_returns: int,
    tail: float,
    max_price_age: float,
    unit: Array,
    use: Array,
    time: float,
    price: float,
    equity: float,
    quantity: float,
    traded: float,
    orders: float,
    closed_pnl: float,
    held: float,
    target: float,
    price_time: float,
) -> tuple[int, float, int, float]:
    faults = 0
    if account[rules.OPENED] != 0.0 and time <= account[rules.TIME]:
        faults |= _CLOCK
    if abs(time - price_time) > max_price_age:
        faults |= _STALE
    penalty = np.nan
    if not np.isfinite(held + target + price_time):
        faults = _UNUSABLE
    if faults == 0:
        penalty = assess(
            account,
            window,
            limits,
            n_returns,
            tail,
            unit,
            use,
            time,
            price,
            equity,
            quantity,
            traded,
            orders,
            closed_pnl,
        )
        if np.isnan(penalty):
            faults = _UNUSABLE
    if faults:
        return REJECT, held, faults, penalty
    action, allowed, reasons = rules.enforce(account, limits, unit, price, equity, quantity, held, target)
    return action, allowed, reasons, penalty


@compiled
def _decide_many(
    accounts: Array,
    windows: Array,
    limits: Array,
    n_returns: int,
    tail: float,
    max_price_age: float,
    unit: Array,
    use: Array,
    states: Array,
    held: Array,
    targets: Array,
    price_times: Array,
    action: Array,
    allowed: Array,
    reasons: Array,
    penalty: Array,
) -> None:
    for i in range(len(accounts)):
        s = states[i]
        action[i], allowed[i], reasons[i], penalty[i] = _decide(
            accounts[i],
            windows[i],
            limits,
            n_returns,
            tail,
            max_price_age,
            unit,
            use,
            s[0],
            s[1],
            s[2],
            s[3],
            s[4],
            s[5],
            s[6],
            held[i],
            targets[i],
            price_times[i],
        )
