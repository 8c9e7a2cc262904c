"""From a profile (a YAML file) and overrides to the settings of one symbol.

A profile holds settings, optionally `extends:` another profile, and a `symbols:` section whose keys
are symbols or patterns (`SYN-*`) with the settings that differ for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from trading_assets.config.explain import explain
from trading_assets.config.settings import Settings
from trading_assets.config.strict_yaml import read_yaml
from trading_assets.errors import SettingsError

Tree = dict[str, Any]


_parsed = lru_cache(maxsize=16)(read_yaml)
"""Parsing costs 100 times what the rest does, and sensors ask for the settings of thousands of symbols."""


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
        raise SettingsError(explain(error, Settings, f"profile '{profile}'")) from None


def profile_tree(profile: str) -> Tree:
    """All that a profile says, with what it extends and with its section of symbols."""
    return _read_profile(profile)


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
    tree = dict(_parsed(text, f"Profile '{profile}'"))
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
