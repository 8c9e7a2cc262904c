"""What advisor and agent have in common: limits, a memory, and ways to fill, keep and restore it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trading_assets.config.limits import RiskLimits
from trading_assets.risk.state import N_FIELDS, AccountState, RiskState

Floats = NDArray[np.float64]


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
        chosen = limits if limits is not None else RiskLimits.from_yaml(policy_yaml or "")
        self.state = RiskState(chosen, n_accounts)

    @property
    def limits(self) -> RiskLimits:
        return self.state.limits

    def warm_up(self, prices: Floats) -> None:
        """See `RiskState.warm_up`."""
        self.state.warm_up(prices)

    def save(self, path: Path) -> None:
        """See `RiskState.save`."""
        self.state.save(path)

    def restore(self, path: Path) -> None:
        """See `RiskState.restored`."""
        self.state = self.state.restored(path)

    def _rows(self, states: Floats) -> Floats:
        """`states` as the kernels read them; raises `ValueError` for another shape."""
        array, n_accounts = np.ascontiguousarray(states, dtype=np.float64), len(self.state.accounts)
        if array.shape != (n_accounts, N_FIELDS):
            raise ValueError(
                f"states have shape {array.shape}; expected ({n_accounts}, {N_FIELDS}): "
                f"{', '.join(AccountState._fields)} of every account."
            )
        return array
