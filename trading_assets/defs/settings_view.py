"""A view of a symbol's settings that shows an asset what it declares, and raises on anything else.

An asset is built again when what it declares changes. A change of a setting that it reads and does not
declare would go unnoticed: the old result would stay the current one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trading_assets.config.section import Section
from trading_assets.errors import SettingsError, UndeclaredError


class DeclaredSettings:
    """The declared part of the settings, read like the settings themselves.

    Parameters
    ----------
    settings : Settings
        Of the symbol.
    declared : sequence of str
        Sections (`costs`) and dotted names of fields (`bundle.warm_up_bars`).
    asset : str
        Named in errors.

    Raises
    ------
    UndeclaredError
        On reading anything else; the message has the declaration that mends it.
    """

    def __init__(self, settings: Section, declared: Sequence[str], asset: str, prefix: str = "") -> None:
        self._settings, self._declared, self._asset, self._prefix = settings, tuple(declared), asset, prefix

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # copying and pickling ask for these
            raise AttributeError(name)
        path = f"{self._prefix}{name}"
        value = getattr(self._settings, name)
        if path in self._declared:
            return value
        if any(declared.startswith(f"{path}.") for declared in self._declared):
            return DeclaredSettings(value, self._declared, self._asset, f"{path}.")
        is_field = name in type(self._settings).model_fields
        raise undeclared(self._asset, path if is_field else self._prefix.rstrip("."), self._declared)

    def __repr__(self) -> str:
        return f"DeclaredSettings({self._asset}: {', '.join(self._declared) or 'none'})"

    def values(self) -> dict[str, Any]:
        """The declared values by their names, as JSON has them."""
        tree = self._settings.model_dump(mode="json")
        return {name: _look_up(tree, name, self._asset) for name in self._declared}


def undeclared(asset: str, path: str, declared: Sequence[str]) -> UndeclaredError:
    """The error of an asset that reads the setting at `path`, or with an empty one all of them at once."""
    if not path:
        return UndeclaredError(
            f"{asset} reads all settings at once; let it read the sections it needs, one by one, and declare "
            "those."
        )
    names = [name for name in declared if not name.startswith(f"{path}.")] + [path]
    line = ", ".join(f'"{name}"' for name in names) + ("," if len(names) == 1 else "")
    return UndeclaredError(
        f"{asset} reads the setting {path} without declaring it; a change of it would go unnoticed. "
        f"Declare it: settings=({line})"
    )


def _look_up(tree: Any, dotted: str, asset: str) -> Any:
    for part in dotted.split("."):
        if not isinstance(tree, dict) or part not in tree:
            raise SettingsError(f"{asset} declares the setting {dotted}, which does not exist.")
        tree = tree[part]
    return tree
