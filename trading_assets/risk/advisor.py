"""What coming near the limits costs: advice, nothing is enforced."""

from __future__ import annotations

import math

import numpy as np

from trading_assets.arguments import require
from trading_assets.arrays import Floats
from trading_assets.risk.rules import RULES
from trading_assets.risk.state import AccountState, assess, assess_many, plain_floats
from trading_assets.risk.watcher import RiskWatcher


class RiskAssessment:
    """How an account stands to its limits.

    Attributes
    ----------
    penalty : float
        Sum over the rules of the squared share of the way from soft to hard level.

    Examples
    --------
    See `ProductionRiskAdvisor`.
    """

    __slots__ = ("_use", "penalty")

    def __init__(self, penalty: float, use: Floats) -> None:
        self.penalty = penalty
        self._use = use

    @property
    def use(self) -> dict[str, float]:
        """Of every limit: the figure over its hard level, 0 where there is no limit."""
        return dict(zip(RULES, self._use.tolist(), strict=True))

    def __repr__(self) -> str:
        near = ", ".join(f"{name} {use:.0%}" for name, use in self.use.items() if use > 0)
        return f"RiskAssessment(penalty={self.penalty:.4g}, use: {near or 'none'})"


class ProductionRiskAdvisor(RiskWatcher):
    """Says how accounts stand to their limits, and what that costs; nothing is enforced. See `RiskWatcher`.

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
    >>> account = AccountState(time=0.0, price=100.0, equity=1_000.0, quantity=7.5)
    >>> ProductionRiskAdvisor(limits).evaluate(account)
    RiskAssessment(penalty=0.25, use: leverage 75%)
    """

    def evaluate(self, state: AccountState) -> RiskAssessment:
        """Take in the account at the close of a bar; call it once a bar, in order of time.

        Parameters
        ----------
        state : AccountState

        Returns
        -------
        RiskAssessment

        Raises
        ------
        ArgumentError
            When `state` is no `AccountState`, or one of its fields is no number.
        ValueError
            When a number is not finite or the price not positive; nothing is taken in then.
        """
        require("state", state, AccountState)
        own = self._single()
        use = np.empty(len(RULES))
        penalty = assess(
            own.accounts[0],
            own.windows[0],
            own.levels,
            own.limits.window,
            own.limits.tail,
            own.unit,
            use,
            *plain_floats(state._asdict()),
        )
        if math.isnan(penalty):
            raise ValueError(f"{state} cannot be assessed: expected finite numbers and a positive price.")
        return RiskAssessment(penalty, use)

    def evaluate_many(self, states: Floats) -> tuple[Floats, Floats]:
        """The same for all accounts at once.

        Parameters
        ----------
        states : ndarray of shape (n_accounts, 7)
            The fields of `AccountState`.

        Returns
        -------
        penalty : ndarray of shape (n_accounts,)
            NaN, as its use, with nothing taken in, for an account whose numbers are not usable.
        use : ndarray of shape (n_accounts, 11)
            In the order of `RULES`.
        """
        own, states = self.state, self._rows(states)
        penalty, use = np.empty(len(states)), np.empty((len(states), len(RULES)))
        assess_many(
            own.accounts,
            own.windows,
            own.levels,
            own.limits.window,
            own.limits.tail,
            own.unit,
            use,
            states,
            penalty,
        )
        return penalty, use
