"""What coming near the limits costs: advice, nothing is enforced."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trading_assets.config.limits import RiskLimits
from trading_assets.risk.rules import RULES
from trading_assets.risk.state import N_FIELDS, AccountState, RiskState, assess, assess_many

Floats = NDArray[np.float64]


class RiskAssessment:
    """How an account stands to its limits.

    Attributes
    ----------
    penalty : float
        Sum over the rules of the squared share of the way from soft to hard level.
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


class ProductionRiskAdvisor:
    """Watches one account, or many, against limits.

    Parameters
    ----------
    limits : RiskLimits, optional
    policy_yaml : Path or str, optional
        The limits as a YAML file or text; instead of `limits`.
    n_accounts : int
        With more than one, `evaluate_many` is what to call.
    """

    def __init__(
        self,
        limits: RiskLimits | None = None,
        *,
        policy_yaml: Path | str | None = None,
        n_accounts: int = 1,
    ) -> None:
        self.state = RiskState(chosen_limits(limits, policy_yaml), n_accounts)

    @property
    def limits(self) -> RiskLimits:
        return self.state.limits

    def evaluate(self, state: AccountState) -> RiskAssessment:
        """Take in the account at the close of a bar; call it once a bar, in order of time.

        Raises
        ------
        ValueError
            When a number is not finite or the price not positive; nothing is taken in then.
        """
        own = self.state
        use = np.empty(len(RULES))
        penalty = assess(
            own.accounts[0],
            own.windows[0],
            own.levels,
            own.limits.window,
            own.limits.tail,
            own.unit,
            use,
            *map(float, state),
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
        own, states = self.state, check_states(states, len(self.state.accounts))
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

    def warm_up(self, prices: Floats) -> None:
        """See `RiskState.warm_up`."""
        self.state.warm_up(prices)

    def save(self, path: Path) -> None:
        """See `RiskState.save`."""
        self.state.save(path)

    def restore(self, path: Path) -> None:
        """See `RiskState.restored`."""
        self.state = self.state.restored(path)


def chosen_limits(limits: RiskLimits | None, policy_yaml: Path | str | None) -> RiskLimits:
    """The one of the two that is given."""
    if (limits is None) == (policy_yaml is None):
        raise ValueError("Give the limits either as RiskLimits or as policy_yaml.")
    return limits if limits is not None else RiskLimits.from_yaml(policy_yaml or "")


def check_states(states: Floats, n_accounts: int) -> Floats:
    """`states` as the kernels read them; raises `ValueError` for another shape."""
    array = np.ascontiguousarray(states, dtype=np.float64)
    if array.shape != (n_accounts, N_FIELDS):
        raise ValueError(
            f"states have shape {array.shape}; expected ({n_accounts}, {N_FIELDS}): "
            f"{', '.join(AccountState._fields)} of every account."
        )
    return array
