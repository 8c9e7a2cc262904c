"""What functions are given, refused by name where it cannot be what they need."""

from __future__ import annotations

from operator import index
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trading_assets.errors import ArgumentError
from trading_assets.representation import brief


def require(name: str, value: object, kind: type) -> None:
    """Raise `ArgumentError` unless `value` is a `kind`."""
    if not isinstance(value, kind):
        raise ArgumentError(f"{name} is {brief(value)}; expected {_article(kind.__name__)}.")


def as_path(name: str, value: Any) -> Path:
    """`value` as a path; raises `ArgumentError` for what is none."""
    try:
        return Path(value)
    except TypeError:
        raise ArgumentError(f"{name} is {brief(value)}; expected a path.") from None


def as_number(name: str, value: Any, expected: str = "a number") -> float:
    """`value` as a float; raises `ArgumentError` for text, times and whatever else is no number."""
    try:
        return float(value.__float__())  # which text has not, though float() reads it
    except (AttributeError, TypeError, ValueError, OverflowError):
        raise ArgumentError(f"{name} is {brief(value)}; expected {expected}.") from None


def as_whole_number(name: str, value: Any) -> int:
    """`value` as an int; raises `ArgumentError` for what is none."""
    try:
        return index(value)
    except TypeError:
        raise ArgumentError(f"{name} is {brief(value)}; expected a whole number.") from None


def as_numbers(
    name: str, values: Any, dtype: type[np.floating[Any]] = np.float64, *, expected: str = "numbers"
) -> NDArray[Any]:
    """`values` as a contiguous array; raises `ArgumentError` for text, times and what else is no number."""
    try:
        array = np.asarray(values)
    except ValueError:  # rows of unequal length
        array = np.empty(0, dtype=str)
    if array.dtype.kind == "O":
        array = np.reshape([as_number(name, value, expected) for value in array.ravel()], array.shape)
    if array.dtype.kind not in "biuf":
        raise ArgumentError(f"{name} is {brief(values)}; expected {expected}.")
    return np.ascontiguousarray(array, dtype=dtype)


def _article(noun: str) -> str:
    return f"{'an' if noun[0] in 'AEIOUaeiou' else 'a'} {noun}"
