"""Checks of JSON that others wrote, in plain Python: a trading machine has nothing more."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NoReturn

from trading_assets.errors import ArtifactError


def require_mapping(tree: Mapping[str, Any], key: str, above: str = "") -> dict[str, Any]:
    """The mapping at `key`; `above` is the path of `tree`, for the message."""
    value = tree.get(key)
    if not isinstance(value, dict):
        refuse(above + key, value, "a mapping")
    return value


def require_list(tree: Mapping[str, Any], key: str, above: str = "") -> list[Any]:
    """The list at `key`, which has one entry at least."""
    value = tree.get(key)
    if not isinstance(value, list) or not value:
        refuse(above + key, value, "a list that is not empty")
    return value


def require_distinct(name: str, values: list[Any]) -> list[str]:
    """The values, all of them names that differ."""
    if not all(isinstance(value, str) and value for value in values) or len(set(values)) < len(values):
        refuse(name, values, "names that differ")
    return values


def is_whole(value: object, low: int, high: int) -> bool:
    """Whether a value is a whole number from `low` to `high`."""
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def is_number(value: object) -> bool:
    """Whether a value is a finite number."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return abs(value) <= 1e300 and math.isfinite(value)


def refuse(name: str, value: object, expected: str) -> NoReturn:
    """Raise `ArtifactError` for what stands at `name` of a bundle's architecture."""
    text = repr(value)
    shown = text if len(text) <= 80 else f"{text[:77]}..."
    raise ArtifactError(f"'{name}' of the bundle's architecture is {shown}; expected {expected}.")
