"""Modules outside the package that register what they bring, such as another kind of forecaster."""

from __future__ import annotations

import os
from importlib import import_module

from trading_assets.errors import SettingsError

VARIABLE = "TRADING_ASSETS_PLUGINS"


def load_plugins() -> None:
    """Import the modules that the environment variable `TRADING_ASSETS_PLUGINS` names, separated by commas.

    Importing one again does nothing, so whoever needs what they register calls this first.

    Raises
    ------
    SettingsError
        When a module cannot be imported.
    """
    for name in filter(None, map(str.strip, os.environ.get(VARIABLE, "").split(","))):
        try:
            import_module(name)
        except ImportError as error:
            raise SettingsError(
                f"{VARIABLE} names the module '{name}', which cannot be imported ({error}); expected "
                "names of modules on Python's path, separated by commas."
            ) from error
