"""Checks of single arguments; each raises `ValueError` with the name, what was given and what is expected."""

from __future__ import annotations

from typing import Any

import numpy as np

WHOLE = (int, np.integer)
REAL = (int, float, np.integer, np.floating)


def check_whole_number(name: str, value: Any, least: int, what: str = "a whole number") -> None:
    """A whole number of `least` or more; neither text nor a truth value is one."""
    if isinstance(value, bool) or not isinstance(value, WHOLE) or value < least:
        raise ValueError(f"{name} is {value!r}; expected at least {least}, {what}.")


def check_number(name: str, value: Any) -> None:
    """One number, which may be NaN; of several strategies each has its own."""
    if isinstance(value, bool) or not isinstance(value, REAL):
        raise ValueError(f"{name} is {value!r}; expected one number. Call it once for each strategy.")


def check_between_0_and_1(name: str, value: Any, what: str) -> None:
    """A number strictly between 0 and 1."""
    if not isinstance(value, REAL) or not 0 < value < 1:
        raise ValueError(f"{name} is {value!r}; expected between 0 and 1, {what}.")


def check_periods_per_year(periods_per_year: Any) -> None:
    """A finite number above 0."""
    check_number("periods_per_year", periods_per_year)
    if not 0 < periods_per_year < np.inf:
        raise ValueError(f"periods_per_year is {periods_per_year}; expected more than 0, such as 252.")


def check_costs(fee_bps: Any, slippage_bps: Any) -> None:
    """Both are basis points of 0 or more."""
    for name, value in (("fee_bps", fee_bps), ("slippage_bps", slippage_bps)):
        check_number(name, value)
        if not 0 <= value < np.inf:
            raise ValueError(f"{name} is {value}; expected basis points of traded notional, 0 or more.")
