"""Everything the rules remember of one account or of many, packed, saved and restored."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike

from trading_assets.arguments import as_number, as_numbers
from trading_assets.arrays import Array, Floats
from trading_assets.compilation import compiled
from trading_assets.config.limits import RiskLimits
from trading_assets.errors import ArtifactError
from trading_assets.registry.files import replace_file
from trading_assets.risk import rules
from trading_assets.risk.market_window import N_UNITS, push_price, window_size


class AccountState(NamedTuple):
    """An account at the close of a bar.

    Attributes
    ----------
    time : float
        When the bar closed, in seconds since 1970; a close at midnight (UTC) counts to the day before.
    price : float
        Of the asset.
    equity : float
        Of the account, in the currency of the price.
    quantity : float
        Units of the asset held, negative when short.
    traded : float
        Notional traded since the state before.
    orders : float
        Orders sent since then.
    closed_pnl : float
        What round trips that ended since then earned, 0 where none did.

    Examples
    --------
    >>> AccountState(time=3_600.0, price=100.0, equity=1_000.0, quantity=-2.0).traded
    0.0
    """

    time: float
    price: float
    equity: float
    quantity: float
    traded: float = 0.0
    orders: float = 0.0
    closed_pnl: float = 0.0


N_FIELDS = len(AccountState._fields)
_SECONDS = "seconds since 1970 as a number, for instance timestamp.timestamp()"
_EXPECTED = {"time": _SECONDS, "price_time": _SECONDS}


def plain_floats(numbers: dict[str, Any]) -> list[float]:
    """Numbers by name as Python's own; raises `ArgumentError` for what is none, text and times among it."""
    given = list(numbers.values())
    if all(type(number) is float for number in given):
        return given
    return [as_number(name, number, _EXPECTED.get(name, "a number")) for name, number in numbers.items()]


class RiskState:
    """The memory of the rules, packed into one array.

    Parameters
    ----------
    limits : RiskLimits
    n_accounts : int

    Attributes
    ----------
    packed : ndarray
        All there is; `accounts` and `windows` are views of it, a row an account.

    Examples
    --------
    >>> limits = RiskLimits.from_yaml("volatility: {soft: 0.01, hard: 0.02, cool_down: 1}")
    >>> state = RiskState(limits)
    >>> state.warm_up([100.0, 101.0, 99.0])
    """

    def __init__(self, limits: RiskLimits, n_accounts: int = 1) -> None:
        if n_accounts < 1:
            raise ValueError(f"n_accounts is {n_accounts}; expected 1 or more.")
        self.limits = limits
        self.levels = rules.pack_limits(limits)
        widths = rules.account_size(limits), window_size(limits.window, limits.tail)
        self.packed: Floats = np.zeros(n_accounts * sum(widths))
        self.accounts = self.packed[: n_accounts * widths[0]].reshape(n_accounts, -1)
        self.windows = self.packed[n_accounts * widths[0] :].reshape(n_accounts, -1)
        self.unit: Floats = np.empty(N_UNITS)

    def warm_up(self, prices: ArrayLike) -> None:
        """Show closes of past bars, oldest first, so that the risk of the market is known.

        Parameters
        ----------
        prices : array-like of shape (n_bars,)

        Raises
        ------
        ValueError
            When one is not finite and positive.
        """
        closes = as_numbers("prices", prices)
        if not (np.isfinite(closes) & (closes > 0)).all():
            raise ValueError("Past prices must be finite and positive; some are not.")
        for window in self.windows:
            for price in closes:
                push_price(window, self.limits.window, price, self.limits.tail, self.unit)

    def save(self, path: Path | str) -> None:
        """Write a JSON file that `restore` reads back exactly; the old one stays until the new is whole."""
        tree = {
            "limits": self.limits.model_dump(mode="json"),
            "packed": self.packed.tolist(),
            "digest": _digest(self.packed),
        }
        replace_file(Path(path), json.dumps(tree).encode())

    def restored(self, path: Path | str) -> Self:
        """The state in a file, for the same limits and as many accounts.

        Raises
        ------
        ArtifactError
            When the file is damaged, or was saved under other limits or for another number of accounts.
        """
        try:
            tree = json.loads(Path(path).read_bytes())
            saved = RiskLimits.model_validate(tree["limits"])
            packed = np.array(tree["packed"], dtype=np.float64)
            whole = tree["digest"] == _digest(packed)
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise ArtifactError(f"{path} holds no state of risk rules: {error}") from None
        limits = self.limits
        if saved != limits:
            names = [
                name for name in RiskLimits.model_fields if getattr(saved, name) != getattr(limits, name)
            ]
            raise ArtifactError(
                f"{path} was saved under other limits ({', '.join(names)} differ); "
                "restore it with those, or start anew."
            )
        if not whole:
            raise ArtifactError(f"{path} is damaged; restore it from a copy, or start anew.")
        if packed.shape != self.packed.shape:
            n = len(self.accounts)
            found = len(packed) * n // len(self.packed)
            raise ArtifactError(f"{path} holds {found} accounts; expected {n}.")
        state = type(self)(limits, len(self.accounts))
        state.packed[:] = packed
        return state


def _digest(packed: Floats) -> str:
    return hashlib.sha256(packed.tobytes()).hexdigest()


@compiled(inline="always")
def assess(
    account: Array,
    window: Array,
    limits: Array,
    n_returns: int,
    tail: float,
    unit: Array,
    use: Array,
    time: float,
    price: float,
    equity: float,
    quantity: float,
    traded: float,
    orders: float,
    closed_pnl: float,
) -> float:
    """Take in an account's bar; the penalty, or NaN, and nothing taken in, where a number is not usable."""
    finite = np.isfinite(time + price + equity + quantity + traded + orders + closed_pnl)
    if not (finite and price > 0.0 and traded >= 0.0 and orders >= 0.0):
        return np.nan
    if account[rules.OPENED] == 0.0:
        rules.open_account(account, equity, time)
    push_price(window, n_returns, price, tail, unit)
    return rules.take_in(
        account, limits, unit, time, price, equity, quantity, traded, orders, closed_pnl, use
    )


@compiled
def assess_many(
    accounts: Array,
    windows: Array,
    limits: Array,
    n_returns: int,
    tail: float,
    unit: Array,
    use: Array,
    states: Array,
    out: Array,
) -> None:
    """`assess` for every account; `states` has the fields of `AccountState` as columns."""
    for i in range(len(accounts)):
        s = states[i]
        out[i] = assess(
            accounts[i],
            windows[i],
            limits,
            n_returns,
            tail,
            unit,
            use[i],
            s[0],
            s[1],
            s[2],
            s[3],
            s[4],
            s[5],
            s[6],
        )
        if np.isnan(out[i]):
            use[i, :] = np.nan
