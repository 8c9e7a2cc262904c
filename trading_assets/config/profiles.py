"""From a profile (a YAML file) and overrides to the settings of one symbol.

A profile holds settings, optionally `extends:` another profile, and a `symbols:` section whose keys
are symbols or patterns (`SYN-*`) with the settings that differ for them.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator, Mapping
from fnmatch import fnmatchcase, translate
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from trading_assets.config.explain import explain, listed
from trading_assets.config.forecasters import settings_class
from trading_assets.config.settings import Settings
from trading_assets.config.strict_yaml import read_yaml
from trading_assets.errors import SettingsError

Tree = Mapping[str, Any]

_PATTERN = re.compile(r"(?:[A-Z0-9._*?-]|\[!?[A-Z0-9._-]+\])+")


def profile_names() -> list[str]:
    """Names of the profiles that come with the package.

    Returns
    -------
    list of str

    Examples
    --------
    >>> profile_names()
    ['demo', 'research', 'smoke', 'standard']
    """
    folder = resources.files("trading_assets.config") / "profiles"
    return sorted(item.name.removesuffix(".yaml") for item in folder.iterdir() if item.name.endswith(".yaml"))


def load_settings(profile: str, symbol: str, overrides: Mapping[str, Any] | None = None) -> Settings:
    """Settings of `symbol`: the profile, then its section for the symbol, then the overrides.

    Parameters
    ----------
    profile : str
        Name of a profile, or path of a YAML file.
    symbol : str
    overrides : mapping, optional
        As a tree: `{"costs": {"fee_bps": 5}}`.

    Returns
    -------
    Settings

    Raises
    ------
    SettingsError
        When the profile does not exist, the YAML is ambiguous, or a value is unknown or out of range.

    Examples
    --------
    >>> load_settings("smoke", "BTCUSDT", {"costs": {"fee_bps": 5}}).costs.fee_bps
    5.0
    """
    tree: Tree = {}
    sections: Tree = {}
    for name, own in _lineage(profile):
        tree = _merge(tree, _without(own, "symbols"))
        sections = _merge(sections, _sections(name, own))
    for pattern, section in sections.items():
        if fnmatchcase(symbol, pattern):
            tree = _merge(tree, section)
    model = settings_class()
    try:
        return model.model_validate(_merge(tree, overrides or {}))
    except ValidationError as error:
        raise SettingsError(explain(error, model, f"profile '{profile}'")) from None


def profile_tree(profile: str) -> Tree:
    """All that a profile and those it extends say, by name, with their sections of symbols."""
    return dict(_lineage(profile))


def idle_sections(profile: str, symbols: Collection[str]) -> list[str]:
    """A sentence for each section of a user's own profile that holds for none of the symbols there are."""
    sentences = []
    for name, tree in _lineage(profile):
        for pattern in _sections(name, tree) if name not in profile_names() else ():
            if not any(fnmatchcase(symbol, pattern) for symbol in symbols):
                close = difflib.get_close_matches(pattern, symbols, n=1)
                hint = f"did you mean '{close[0]}'?" if close else f"there are {listed(symbols)}."
                sentences.append(f"Profile '{name}': '{pattern}' under symbols matches no symbol; {hint}")
    return sentences


def _sections(profile: str, tree: Tree) -> dict[str, Tree]:
    """What stands under `symbols`, checked to be mappings under keys that a symbol can match."""
    sections = tree.get("symbols")
    if sections is None:
        return {}
    if not isinstance(sections, dict):
        raise SettingsError(f"Profile '{profile}': 'symbols' must map symbols to settings.")
    for pattern, section in sections.items():
        # An empty set of characters, such as [Z-A], is translated to what matches nothing.
        if not _PATTERN.fullmatch(pattern) or "(?!)" in translate(pattern):
            raise SettingsError(
                f"Profile '{profile}': '{pattern}' under symbols can match no symbol; expected A-Z, 0-9, "
                "'.', '_' and '-', with *, ? and [AB] for any characters, any one, and one of some."
            )
        if not isinstance(section, dict):
            raise SettingsError(
                f"Profile '{profile}': '{pattern}' under symbols must be a mapping of settings, not "
                f"{section!r}."
            )
    return sections


def _lineage(profile: str) -> Iterator[tuple[str, Tree]]:
    """What a profile extends, from the farthest on, then itself: names, and what stands in each."""
    found: dict[str, Tree] = {}
    name: str | None = profile
    while name is not None:
        if name in found:
            raise SettingsError(f"Profiles extend each other in a circle: {' -> '.join([*found, name])}.")
        tree = _parse(_read(name), f"Profile '{name}'")
        found[name] = _without(tree, "extends")
        parent = tree.get("extends")
        name = None if parent is None else str(parent)
    yield from reversed(found.items())


def _read(profile: str) -> str:
    if profile in profile_names():
        source = resources.files("trading_assets.config") / "profiles" / f"{profile}.yaml"
        return source.read_text(encoding="utf-8")
    if Path(profile).suffix in {".yaml", ".yml"} and Path(profile).is_file():
        try:
            return Path(profile).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"Profile '{profile}' cannot be read as UTF-8 text: {error}") from None
    raise SettingsError(
        f"No profile '{profile}'. Known profiles: {', '.join(profile_names())}; "
        "or give the path of a YAML file."
    )


@lru_cache(maxsize=32)
def _parse(text: str, name: str) -> Tree:
    """Parsed once, since every symbol asks for the same profile; not to be changed."""
    return read_yaml(text, name)


def _without(tree: Tree, key: str) -> Tree:
    return {name: value for name, value in tree.items() if name != key}


def _merge(base: Mapping[str, Any], top: object, name: str = "") -> Tree:
    if not isinstance(top, Mapping):
        of = f" for '{name}'" if name else ""
        raise SettingsError(f"Expected a mapping of settings{of}, got {top!r}.")
    merged: dict[str, Any] = dict(base)
    for key, value in top.items():
        below = merged.get(key)
        merged[key] = _merge(below, value, key) if isinstance(below, Mapping) else value
    return merged
