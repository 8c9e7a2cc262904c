"""The features there are: the columns of all indicators in `features.kernels`.

An indicator makes a column for each of its default parameters; a `FeatureSet` chooses among the columns,
changes parameters, and says on which larger bars some of them are seen too.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal

from trading_assets.config.settings import FeatureSet
from trading_assets.errors import SettingsError
from trading_assets.features.indicators import DAY, WEEK, Indicator
from trading_assets.features.kernels.advance import CATALOGUE

LONGEST_MEMORY = 10_000
_UNITS = {"m": 60, "h": 3_600, "d": DAY, "w": WEEK}


@dataclass(frozen=True)
class Column:
    """One column of the feature table: an indicator with its parameters, on bars of one length."""

    indicator: Indicator
    parameters: tuple[float, ...]
    timeframe: str = ""
    name: str = field(init=False)

    def __post_init__(self) -> None:
        shown = [] if self.indicator.name in _BARE else [f"{value:g}" for value in self.parameters]
        name = "_".join([*([self.timeframe] if self.timeframe else []), self.indicator.name, *shown])
        object.__setattr__(self, "name", name)

    @property
    def family(self) -> str:
        return self.indicator.family

    @property
    def unit(self) -> str:
        return self.indicator.unit

    @property
    def formula(self) -> str:
        text = self.indicator.formula.format(*(f"{value:g}" for value in self.parameters))
        return f"{text}, of {self.timeframe} bars as of their close" if self.timeframe else text

    @property
    def memory(self) -> int:
        """Bars (of its own length) before the current one that it reads."""
        return int(self.indicator.memory(*self.parameters))

    @property
    def warm_up(self) -> int:
        """Bars (of its own length) whose value is NaN."""
        return int(self.indicator.warm_up(*self.parameters))

    def rows_of_warm_up(self, interval: float) -> int:
        """Rows of the table at most whose value is NaN, for bars of `interval` seconds (0: not known yet)."""
        if not self.timeframe or interval == 0:
            return self.warm_up
        return (self.warm_up + 2) * int(-(-timeframe_seconds(self.timeframe) // interval))


def columns_of(indicator: Indicator, parameters: Iterable[tuple[float, ...]]) -> list[Column]:
    return [Column(indicator, values) for values in parameters]


def timeframe_seconds(timeframe: str) -> int:
    """Seconds of '15m', '4h', '1d' or '1w'."""
    return int(timeframe[:-1]) * _UNITS[timeframe[-1]]


_BARE = frozenset({"day_sin", "day_cos", "week_sin", "week_cos"})
"""Indicators whose parameter is in their name already."""

_BY_NAME: Mapping[str, Indicator] = {indicator.name: indicator for indicator in CATALOGUE}
FAMILIES: tuple[str, ...] = tuple(dict.fromkeys(indicator.family for indicator in CATALOGUE))
SEQUENCE_NAMES: Mapping[str, Literal["", "odd", "even"]] = {
    column.name: indicator.sequence
    for indicator in CATALOGUE
    if indicator.sequence
    for column in columns_of(indicator, indicator.defaults)
}
"""The inputs of sequence models, and whether each is odd or even."""


def select(feature_set: FeatureSet) -> list[Column]:
    """The columns that a feature set asks for, in the order of the catalogue; larger bars come last.

    Parameters
    ----------
    feature_set : FeatureSet

    Returns
    -------
    list of Column

    Raises
    ------
    SettingsError
        Naming what is unknown, or out of range, and what comes close to it.

    Examples
    --------
    >>> [column.name for column in select(FeatureSet(timeframes=(), names=("return_1", "rsi_14")))]
    ['return_1', 'rsi_14']
    """
    offered = [
        column for indicator in CATALOGUE for column in columns_of(indicator, _given(feature_set, indicator))
    ]
    unknown = sorted(set(feature_set.parameters) - set(_BY_NAME))
    if unknown:
        raise SettingsError(_not_there(f"features.parameters names '{unknown[0]}'", unknown[0], _BY_NAME))
    chosen = _matching(offered, feature_set.names, "features.names")
    if not chosen:
        raise SettingsError(
            "features.names chooses no feature; begin with '*' to choose from the whole catalogue."
        )
    frames = sorted(set(feature_set.timeframes), key=timeframe_seconds)
    larger = [Column(column.indicator, column.parameters, frame) for frame in frames for column in offered]
    if not frames:
        return chosen
    return chosen + _matching(larger, feature_set.timeframe_names, "features.timeframe_names")


_ABSENT = {
    "volume": "no volume, or always the same",
    "funding": "no funding rate, or always the same",
    "range": "high equals low at all bars",
}


def leave_out(
    columns: Iterable[Column], *, interval: float, has: Collection[str]
) -> tuple[list[Column], dict[str, str]]:
    """Divide columns into those that a market has the input for, and the others with the reason.

    Parameters
    ----------
    columns : iterable of Column
    interval : float
        Seconds between bars.
    has : collection of str
        Which the market has of 'volume' and 'funding' that are not the same at all times, and 'range'.
    """
    kept, left = [], {}
    for column in columns:
        length = timeframe_seconds(column.timeframe) if column.timeframe else interval
        reason = ""
        if column.timeframe and length < 2 * interval:
            reason = f"{column.timeframe} bars are not larger than these"
        elif column.indicator.needs in _ABSENT and column.indicator.needs not in has:
            reason = _ABSENT[column.indicator.needs]
        elif column.indicator.needs == "day" and length >= DAY:
            reason = "constant for bars of a day"
        elif column.indicator.needs == "week" and length >= WEEK:
            reason = "constant for bars of a week"
        if reason:
            left[column.name] = reason
        else:
            kept.append(column)
    return kept, left


def catalogue_page() -> str:
    """The catalogue in Markdown; `docs/features.md` is this text.

    Returns
    -------
    str

    Examples
    --------
    >>> catalogue_page().startswith("#")
    True
    """
    lines = [
        "# Features",
        "Generated from the code: `python -m trading_assets.features.catalogue > docs/features.md`.",
        "",
        f"{len(select(FeatureSet(timeframes=())))} columns of {len(CATALOGUE)} indicators, each computed by one "
        "kernel in batch, when appending and live. *Warm-up* is the",
        "number of rows at the start that are NaN, *needs* what a market must have for it. Logarithms are natural;",
        "standard deviations have n - 1 below the line, skewness and kurtosis n. EMAs and Wilder's averages start",
        "from the first bar, so that they differ from other libraries' during the warm-up only. What is computed from",
        "prices and differs by rounding alone is the same: equal typical prices move no money, and where the high rises by",
        "as much as the low falls neither counts for the ADX (TA-Lib lets the rounding of decimal ticks decide there).",
    ]
    for family in FAMILIES:
        lines += ["", f"## {family.capitalize()}", "| column | formula | unit | warm-up | needs |"]
        lines += ["| --- | --- | --- | --- | --- |"]
        for indicator in CATALOGUE:
            if indicator.family == family:
                lines += [
                    f"| `{c.name}` | {c.formula.replace('|', chr(92) + '|')} | {c.unit} | {c.warm_up} "
                    f"| {indicator.needs or '-'} |"
                    for c in columns_of(indicator, indicator.defaults)
                ]
    larger = FeatureSet()
    lines += [
        "",
        "## Larger bars",
        f"`{'`, `'.join(larger.timeframe_names)}` are computed on bars of {' and '.join(larger.timeframes)} too "
        "(`4h_return_1`), and seen",
        "from the close of the larger bar on, never before. Both lists are settings (`features.timeframes`, "
        "`features.timeframe_names`).",
    ]
    return "\n".join(lines) + "\n"


def _given(feature_set: FeatureSet, indicator: Indicator) -> tuple[tuple[float, ...], ...]:
    given = tuple(dict.fromkeys(feature_set.parameters.get(indicator.name, indicator.defaults)))
    expected = len(indicator.defaults[0])
    for values in given:
        shown = ", ".join(f"{value:g}" for value in values)
        if len(values) != expected:
            raise SettingsError(
                f"features.parameters.{indicator.name}: ({shown}) has {len(values)} numbers, expected {expected}, "
                f"such as ({', '.join(f'{value:g}' for value in indicator.defaults[0])})."
            )
        whole = all(value == int(value) for value in values[0 if indicator.spans else 1 :])
        if not whole or min(values, default=1) <= 0 or max(values, default=1) > LONGEST_MEMORY * 100:
            raise SettingsError(
                f"features.parameters.{indicator.name}: ({shown}) must be positive numbers of bars."
            )
        column = Column(indicator, values)
        if column.memory > LONGEST_MEMORY or (
            column.memory > 0 and min(values) < 2 and indicator.name not in _SHORT
        ):
            raise SettingsError(
                f"features.parameters.{indicator.name}: ({shown}) must lie between 2 and {LONGEST_MEMORY} bars."
            )
        if indicator.name in _RISING and values[0] >= values[1]:
            raise SettingsError(
                f"features.parameters.{indicator.name}: ({shown}) must begin with the shorter of two windows."
            )
        if indicator.name == "autocorrelation" and values[0] <= values[1]:
            raise SettingsError(
                f"features.parameters.{indicator.name}: ({shown}) must have a lag, the second, below the window."
            )
    return given


_SHORT = frozenset({"return", "autocorrelation", "fractional_difference"})
"""Indicators that one of whose parameters may be below 2."""
_RISING = frozenset({"volatility_ratio", "volume_ratio", "illiquidity_ratio", "ema_gap", "macd_histogram"})


def _matching(columns: list[Column], patterns: Iterable[str], setting: str) -> list[Column]:
    wanted: set[str] = set()
    for pattern in patterns:
        name = pattern.removeprefix("!")
        found = {c.name for c in columns if name == c.family or _fits(c, name)}
        if not found:
            raise SettingsError(_not_there(f"{setting} has '{pattern}'", name, [c.name for c in columns]))
        wanted = wanted - found if pattern.startswith("!") else wanted | found
    return [column for column in columns if column.name in wanted]


def _fits(column: Column, pattern: str) -> bool:
    """By its whole name, or, on larger bars, by the name it has on every one of them."""
    bare = column.name.removeprefix(f"{column.timeframe}_")
    return fnmatchcase(column.name, pattern) or fnmatchcase(bare, pattern)


def _not_there(what: str, name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, [*known, *FAMILIES], n=3)
    hint = f" Did you mean {' or '.join(close)}?" if close else f" Families: {', '.join(FAMILIES)}."
    return f"{what}, which is no feature.{hint}"


if __name__ == "__main__":
    print(catalogue_page(), end="")
