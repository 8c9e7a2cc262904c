"""What an object is, in one line: a notebook shows that where numbers by the thousand would say nothing."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

_short = reprlib.Repr()
_short.maxstring = _short.maxother = 80


def one_line(instance: Any, values: Mapping[str, object] | None = None, note: str = "") -> str:
    """Class and `values` (without them the fields of a dataclass); arrays and tables by their shape."""
    if values is None:
        values = {field.name: getattr(instance, field.name) for field in fields(instance)}
    shown = ", ".join(f"{name}={brief(value)}" for name, value in values.items())
    return f"{type(instance).__name__}({shown}){note}"


def brief(value: Any) -> str:
    """A value in one short line; arrays, tables and long lists by their size."""
    if shape := getattr(value, "shape", ()):
        return f"<{type(value).__name__} {' x '.join(f'{n:,}' for n in shape)}>"
    if isinstance(value, list | dict) and len(value) > 2:
        return f"<{type(value).__name__} of {len(value):,}>"
    plain = value.item() if hasattr(value, "item") else value
    return " ".join(_short.repr(plain).split())
