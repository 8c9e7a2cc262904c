"""YAML without its traps: a key that stands twice is an error, and `ON` and `NO` are words."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import yaml

from trading_assets.errors import SettingsError


class _StrictLoader(yaml.SafeLoader):
    """Refuses duplicate keys; keys, and values such as `ON` and `NO`, stay the strings they look like."""


_StrictLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _strict_mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Hashable, Any]:
    mapping: dict[Hashable, Any] = {}
    for key_node, value_node in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            raise SettingsError(f"Line {key_node.start_mark.line + 1}: a key must be plain text.")
        key = key_node.value
        if key in mapping:
            raise SettingsError(
                f"The key '{key}' stands twice (line {key_node.start_mark.line + 1}); keep one."
            )
        mapping[key] = loader.construct_object(value_node, deep=True)
    return mapping


_StrictLoader.add_constructor("tag:yaml.org,2002:map", _strict_mapping)


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
