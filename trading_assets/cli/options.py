"""Options that several commands share."""

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from inspect import Parameter
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from trading_assets.config.explain import describe
from trading_assets.config.paths import default_profile
from trading_assets.config.settings import Settings
from trading_assets.config.strict_yaml import read_yaml
from trading_assets.errors import SettingsError

SETTINGS, RUN = "Settings", "Run"
"""Headings of the help."""
SHORTCUTS = {
    "fee_bps": "costs.fee_bps",
    "slippage_bps": "costs.slippage_bps",
    "n_splits": "folds.n_splits",
    "embargo": "folds.embargo",
    "seed": "seed",
    "optimize": "search.trials",
}
"""Settings that have an option of their own."""

ProfileOption = Annotated[
    str,
    typer.Option(
        default_factory=default_profile,
        metavar="NAME|FILE",
        help="Name or YAML file of a profile.",
        show_default="demo, or TRADING_ASSETS_PROFILE",
        rich_help_panel=SETTINGS,
    ),
]
MaxWorkers = Annotated[int, typer.Option(min=1, help="Symbols trained at once.", rich_help_panel=RUN)]
NoCache = Annotated[
    bool, typer.Option("--no-cache", help="Build again what is up to date.", rich_help_panel=RUN)
]
StaleOnly = Annotated[
    bool,
    typer.Option(
        "--stale-only",
        help="Look again after every run, so that nothing runs whose inputs came out unchanged.",
        rich_help_panel=RUN,
    ),
]


class ManySymbols(TyperCommand):
    """A command whose `--symbols` takes all words up to the next option, as in `--symbols A B C`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        words: list[str] = []
        listing = False
        for word in args:
            listing = word == "--symbols" or (listing and not word.startswith("-"))
            if listing and word != "--symbols" and words[-1] != "--symbols":
                words.append("--symbols")
            words.append(word)
        return super().parse_args(ctx, words)


def takes_settings(command: Callable[..., int]) -> Callable[..., int]:
    """Give a command options for settings, which it gets as its parameter `overrides`."""
    signature = inspect.signature(command, eval_str=True)
    own = [one for one in signature.parameters.values() if one.name != "overrides"]
    options = [*(_option(name, setting) for name, setting in SHORTCUTS.items()), _any_setting()]

    @wraps(command)
    def run(*, any_setting: list[str] | None = None, **arguments: Any) -> int:
        values = {setting: arguments.pop(name, None) for name, setting in SHORTCUTS.items()}
        return command(overrides=overrides_of(values, any_setting or []), **arguments)

    parameters = [one.replace(kind=Parameter.KEYWORD_ONLY) for one in own] + options
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in parameters} | {"return": int}
    return run


def overrides_of(values: Mapping[str, str | None], pairs: list[str]) -> dict[str, Any]:
    """Settings by dotted name and as NAME=VALUE, as the tree that profiles have; None is left out.

    Raises
    ------
    SettingsError
        When a pair has no '=', a value is no YAML, or one name is part of another.
    """
    tree: dict[str, Any] = {}
    given = {name: value for name, value in values.items() if value is not None}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator:
            raise SettingsError(f"--set expects NAME=VALUE, got '{pair}'.")
        given[name] = value
    for name, value in given.items():
        *path, last = name.split(".")
        branch = tree
        for part in path:
            branch = branch.setdefault(part, {})
            if not isinstance(branch, dict):
                raise SettingsError(f"--set gives '{part}' a value and '{name}' a part of it; keep one.")
        branch[last] = read_yaml(f"value: {value}", f"The value of {name}")["value"]
    return tree


def _option(name: str, setting: str) -> Parameter:
    option = typer.Option(
        f"--{name.replace('_', '-')}",
        metavar="N",
        help=describe(Settings, setting),
        show_default="of the profile",
        rich_help_panel=SETTINGS,
    )
    return Parameter(name, Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[str | None, option])


def _any_setting() -> Parameter:
    option = typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Any other setting, for instance ppo.gamma=0.95; may be repeated.",
        rich_help_panel=SETTINGS,
    )
    return Parameter(
        "any_setting", Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[list[str] | None, option]
    )
