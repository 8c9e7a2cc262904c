"""Settings, the profiles they come from, and the places they name."""

from trading_assets.config.profiles import load_settings, profile_names
from trading_assets.config.settings import Settings

__all__ = ["Settings", "load_settings", "profile_names"]
