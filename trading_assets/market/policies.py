"""Whether what an ingest policy names exists; found before a file is read."""

from __future__ import annotations

import difflib
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from trading_assets.config.settings import IngestPolicy
from trading_assets.errors import SettingsError


def check_policy(policy: IngestPolicy) -> None:
    """Raise `SettingsError` where the zone or the calendar of a policy is not known."""
    if policy.time_zone is not None:
        check_zone(policy.time_zone)
    if policy.calendar is not None:
        check_calendar(policy.calendar)


def check_zone(name: str) -> None:
    """Raise `SettingsError` unless `name` is in the zone database of this machine, or of `tzdata`."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        close = difflib.get_close_matches(name, available_timezones(), n=1)
        hint = f"Did you mean '{close[0]}'?" if close else "Use 'UTC' or a name such as 'Europe/Berlin'."
        raise SettingsError(f"market.time_zone is '{name}', which is no known zone. {hint}") from None


def check_calendar(name: str) -> None:
    """Raise `SettingsError` unless exchange-calendars has a calendar, or an alias of one, of that name."""
    import exchange_calendars

    if name not in exchange_calendars.get_calendar_names():
        known = exchange_calendars.get_calendar_names(include_aliases=False)
        raise SettingsError(
            f"market.calendar is '{name}'; exchange-calendars has no such calendar. "
            f"There are, for instance, XNYS, 24/5, 24/7 ({len(known)} in all)."
        )
