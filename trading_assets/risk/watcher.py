"""What advisor and agent have in common: limits, a memory, and ways to fill, keep and restore it."""

from __future__ import annotations

from pathlib import Path

from numpy.typing import ArrayLike

from trading_assets.arguments import as_numbers
from trading_assets.arrays import Floats
from trading_assets.config.limits import RiskLimits
from trading_assets.risk.rules import RULES
from trading_assets.risk.state import N_FIELDS, AccountState, RiskState


class RiskWatcher:
    """Watches one account, or many, against limits.

    Parameters
    ----------
    limits : RiskLimits, optional
    policy_yaml : Path or str, optional
        The limits as a YAML (or JSON) file or text; instead of `limits`.
    n_accounts : int
        With more than one, the methods that end in `_many` are what to call.
    """

    def __init__(
        self,
        limits: RiskLimits | None = None,
        *,
        policy_yaml: Path | str | None = None,
        n_accounts: int = 1,
    ) -> None:
        if (limits is None) == (policy_yaml is None):
            raise ValueError("Give the limits either as RiskLimits or as policy_yaml.")
        if limits is not None and not isinstance(limits, RiskLimits):
            raise TypeError(f"limits is {limits!r}; expected RiskLimits. Files and text go to policy_yaml.")
        chosen = limits if limits is not None else RiskLimits.from_yaml(policy_yaml or "")
        self.state = RiskState(chosen, n_accounts)

    def __repr__(self) -> str:
        watched = [rule for rule in RULES if getattr(self.limits, rule) is not None]
        n = len(self.state.accounts)
        return f"{type(self).__name__}({n:,} account{'s' * (n > 1)}, limits: {', '.join(watched) or 'none'})"

    @property
    def limits(self) -> RiskLimits:
        return self.state.limits

    def warm_up(self, prices: ArrayLike) -> None:
        """Show closes of past bars, oldest first, without the bar that is asked about next.

        Without them the risk of the market is unknown for 20 bars, and counts as infinite.
        """
        self.state.warm_up(prices)

    def save(self, path: Path | str) -> None:
        """See `RiskState.save`."""
        self.state.save(path)

    def restore(self, path: Path | str) -> None:
        """See `RiskState.restored`."""
        self.state = self.state.restored(path)

    def _single(self) -> RiskState:
        if len(self.state.accounts) != 1:
            raise ValueError(
                f"This watches {len(self.state.accounts)} accounts; ask it about all of them at once."
            )
        return self.state

    def _rows(self, states: Floats) -> Floats:
        """`states` as the kernels read them; raises `ValueError` for another shape."""
        array, n_accounts = as_numbers("states", states), len(self.state.accounts)
        if array.shape != (n_accounts, N_FIELDS):
            raise ValueError(
                f"states have shape {array.shape}; expected ({n_accounts}, {N_FIELDS}): "
                f"{', '.join(AccountState._fields)} of every account."
            )
        return array
