"""YAML without its traps: what is written means the same to every reader, or is refused.

A plain value is a number only where it is written in decimal: 10, 1_000, .5, 1e3. What YAML 1.1 takes for
an octal number (`010`, 8) or a sexagesimal one (`1:30`, 90) is refused, for others read 10 or text there.
Words (`ON`, `NO`) and dates stay text, and settings of another type take from it what they understand. A
key that stands twice is an error; a merge key (`<<`) adds what a mapping does not have itself.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import Any, NoReturn

import yaml

from trading_assets.errors import SettingsError

_TAG = "tag:yaml.org,2002:"
_MERGE = f"{_TAG}merge"
_AMBIGUOUS = "!ambiguous"
_WHOLE = r"(?:0|[1-9](?:_?[0-9])*)"


class _StrictLoader(yaml.SafeLoader):
    """A loader whose plain scalars are decimal numbers, null or text."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - as in yaml


for _tag, _pattern, _first in (
    (f"{_TAG}null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    (_MERGE, "<<", ["<"]),
    (f"{_TAG}int", rf"[-+]?{_WHOLE}", list("-+0123456789")),
    (
        f"{_TAG}float",
        rf"[-+]?(?:{_WHOLE}(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
    (
        _AMBIGUOUS,
        r"[-+]?(?:0[0-9_]+(?:\.[0-9_]*)?(?:[eE][-+]?[0-9]+)?|0[xob][0-9a-fA-F_]+"
        r"|[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?)",
        list("-+0123456789"),
    ),
):
    _StrictLoader.add_implicit_resolver(_tag, re.compile(f"(?:{_pattern})$"), _first)


def _refuse(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> NoReturn:
    raise SettingsError(
        f"Line {node.start_mark.line + 1}: '{node.value}' is a number that readers of YAML take differently; "
        "write it in decimal without leading zeros, or in quotes where text is meant."
    )


def _text(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> str:
    return str(node.value)


def _strict_mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Hashable, Any]:
    mapping: dict[Hashable, Any] = {}
    merged: dict[Hashable, Any] | None = None
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode):
            raise SettingsError(f"Line {line}: a key must be plain text.")
        key, value = key_node.value, loader.construct_object(value_node, deep=True)
        if key_node.tag == _MERGE and merged is None:
            merged = _merged(value, line)
        elif key in mapping or key_node.tag == _MERGE:
            raise SettingsError(f"The key '{key}' stands twice (line {line}); keep one.")
        else:
            mapping[key] = value
    return (merged or {}) | mapping


def _merged(value: Any, line: int) -> dict[Hashable, Any]:
    """Of a mapping, or a list of them, in which earlier ones win."""
    mappings = value if isinstance(value, list) else [value]
    if not mappings or not all(isinstance(mapping, dict) for mapping in mappings):
        raise SettingsError(f"Line {line}: '<<' expects a mapping, such as *anchor, or a list of them.")
    return {key: entry for mapping in reversed(mappings) for key, entry in mapping.items()}


_StrictLoader.add_constructor(f"{_TAG}map", _strict_mapping)
_StrictLoader.add_constructor(_MERGE, _text)  # where it is a value and no key
_StrictLoader.add_constructor(_AMBIGUOUS, _refuse)


def read_yaml(text: str, name: str) -> dict[str, Any]:
    """Parse a YAML mapping strictly; `name` stands in the error messages."""
    try:
        tree = yaml.load(text, Loader=_StrictLoader)
    except yaml.YAMLError as error:
        problem = " ".join(str(error).split())
        raise SettingsError(f"{name} is not valid YAML: {problem}") from None
    except SettingsError as error:
        raise SettingsError(f"{name}: {error}") from None
    except RecursionError:
        raise SettingsError(f"{name} is nested too deeply to be settings.") from None
    except ValueError as error:  # a number of thousands of digits, a date that no calendar has
        raise SettingsError(f"{name} has a value that cannot be read: {error}.") from None
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise SettingsError(f"{name} must hold a mapping of settings, not a {type(tree).__name__}.")
    return tree
