"""What a setting is, and one line for one that is refused: which, what was given, what is expected."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

_BOUNDS = (("gt", "above"), ("ge", "at least"), ("lt", "below"), ("le", "at most"))


def explain(error: ValidationError, model: type[BaseModel], source: str) -> str:
    """One line for the first problem of a validation error of `model`, whose values came from `source`."""
    first = error.errors()[0]
    location = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        known = sorted(_fields(model, first["loc"][:-1]))
        close = difflib.get_close_matches(str(first["loc"][-1]), known, n=1)
        hint = f" Did you mean '{close[0]}'?" if close else f" Known here: {', '.join(known)}."
        return f"Unknown setting '{location}' ({source}).{hint}"
    if first["type"] == "missing":
        return f"Setting '{location}' ({source}) is missing."
    message = str(first["msg"]).removeprefix("Value error, ")
    if not location:
        return f"{source}: {message}."
    names = [part for part in first["loc"] if isinstance(part, str)]  # without places in a list
    field = _fields(model, names[:-1]).get(names[-1])
    bounds = bounds_of(field) if field is not None else ""
    if bounds and first["type"].startswith(("greater_than", "less_than", "finite_number")):
        message = f"expected a number {bounds}"
    return f"Setting '{location}' ({source}) is {first['input']!r}: {message}."


def describe(model: type[BaseModel], setting: str) -> str:
    """What a setting is, its dotted name and its range, for instance of `folds.embargo`."""
    *path, name = setting.split(".")
    field = _fields(model, path)[name]
    about = " ".join((field.description or "").split())
    return f"{about} ({', '.join(filter(None, (setting, bounds_of(field))))})".strip()


def listed(names: Collection[str], n: int = 10) -> str:
    """The first names in order, and how many more there are."""
    shown = ", ".join(sorted(names)[:n]) or "none"
    return f"{shown} and {len(names) - n:,} more" if len(names) > n else shown


def bounds_of(field: FieldInfo) -> str:
    """All bounds of a number; pydantic names only the one that was crossed."""
    given = [
        f"{word} {value}"
        for part in _constraints(field)
        for name, word in _BOUNDS
        if (value := getattr(part, name, None)) is not None
    ]
    return " and ".join(given)


def _constraints(annotated: Any) -> Iterator[Any]:
    """Of a field, or of the entries of one that is a list."""
    if isinstance(annotated, FieldInfo):
        yield from annotated.metadata
        yield from _constraints(annotated.annotation)
    for part in get_args(annotated):
        yield from _constraints(part)


def _fields(model: type[BaseModel], location: Sequence[int | str]) -> dict[str, FieldInfo]:
    for part in location:
        field = model.model_fields.get(str(part))
        inner: list[Any] = [] if field is None else [field.annotation, *get_args(field.annotation)]
        models = [one for one in inner if isinstance(one, type) and issubclass(one, BaseModel)]
        if not models:
            return {}
        model = models[0]
    return dict(model.model_fields)
