"""From a profile (a YAML file) and overrides to the settings of one symbol.

A profile holds settings, optionally `extends:` another profile, and a `symbols:` section whose keys
are symbols or patterns (`SYN-*`) with the settings that differ for them.
"""

from __future__ import annotations

import difflib
from collections.abc import Hashable, Mapping
from fnmatch import fnmatchcase
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from trading_assets.config.settings import Settings
from trading_assets.errors import SettingsError

Tree = dict[str, Any]


def profile_names() -> list[str]:
    """Names of the profiles that come with the package."""
    folder = resources.files("trading_assets.config") / "profiles"
    return sorted(item.name.removesuffix(".yaml") for item in folder.iterdir() if item.name.endswith(".yaml"))


def load_settings(profile: str, symbol: str, overrides: Mapping[str, Any] | None = None) -> Settings:
    """Settings of `symbol`: the profile, then its section for the symbol, then the overrides.

    Raises
    ------
    SettingsError
        When the profile does not exist, the YAML is ambiguous, or a value is unknown or out of range.
    """
    tree = _read_profile(profile)
    sections = tree.pop("symbols", None) or {}
    if not isinstance(sections, dict):
        raise SettingsError(f"Profile '{profile}': 'symbols' must map symbols to settings.")
    for pattern, section in sections.items():
        if fnmatchcase(symbol, pattern):
            tree = _merge(tree, section)
    try:
        return Settings.model_validate(_merge(tree, dict(overrides or {})))
    except ValidationError as error:
        raise SettingsError(_explain(error, profile)) from None


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


def read_yaml(text: str, name: str) -> Tree:
    """Parse a YAML mapping strictly; `name` stands in the error messages."""
    try:
        tree = yaml.load(text, Loader=_StrictLoader)
    except yaml.YAMLError as error:
        problem = " ".join(str(error).split())
        raise SettingsError(f"{name} is not valid YAML: {problem}") from None
    except SettingsError as error:
        raise SettingsError(f"{name}: {error}") from None
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise SettingsError(f"{name} must hold a mapping of settings, not a {type(tree).__name__}.")
    return tree


def _read_profile(profile: str, seen: tuple[str, ...] = ()) -> Tree:
    if profile in seen:
        raise SettingsError(f"Profiles extend each other in a circle: {' -> '.join(seen)}.")
    if profile in profile_names():
        source = resources.files("trading_assets.config") / "profiles" / f"{profile}.yaml"
        text = source.read_text(encoding="utf-8")
    elif Path(profile).suffix in {".yaml", ".yml"} and Path(profile).is_file():
        try:
            text = Path(profile).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"Profile '{profile}' cannot be read as UTF-8 text: {error}") from None
    else:
        raise SettingsError(
            f"No profile '{profile}'. Known profiles: {', '.join(profile_names())}; "
            "or give the path of a YAML file."
        )
    tree = read_yaml(text, f"Profile '{profile}'")
    parent = tree.pop("extends", None)
    return tree if parent is None else _merge(_read_profile(str(parent), (*seen, profile)), tree)


def _merge(base: Mapping[str, Any], top: object, name: str = "") -> Tree:
    if not isinstance(top, Mapping):
        of = f" for '{name}'" if name else ""
        raise SettingsError(f"Expected a mapping of settings{of}, got {top!r}.")
    merged = dict(base)
    for key, value in top.items():
        below = merged.get(key)
        merged[key] = _merge(below, value, key) if isinstance(below, Mapping) else value
    return merged


def _explain(error: ValidationError, profile: str) -> str:
    """One line for the first problem of a validation error."""
    first = error.errors()[0]
    location = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        known = _fields_beside(first["loc"])
        close = difflib.get_close_matches(str(first["loc"][-1]), known, n=1)
        hint = f" Did you mean '{close[0]}'?" if close else f" Known here: {', '.join(known)}."
        return f"Unknown setting '{location}' (profile '{profile}').{hint}"
    message = str(first["msg"]).removeprefix("Value error, ")
    return f"Setting '{location}' (profile '{profile}') is {first['input']!r}: {message}."


def _fields_beside(location: tuple[int | str, ...]) -> list[str]:
    model: type[BaseModel] = Settings
    for part in location[:-1]:
        annotation = model.model_fields[str(part)].annotation
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        model = annotation
    return sorted(model.model_fields)
