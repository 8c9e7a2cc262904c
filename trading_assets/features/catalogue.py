"""The features there are. Adding one is a kernel and a line here.

An indicator makes a column for each of its default parameters; a `FeatureSet` chooses among the columns,
changes parameters, and says on which larger bars some of them are seen too.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal

from trading_assets.config.settings import FeatureSet
from trading_assets.errors import SettingsError
from trading_assets.features import kernels as k

_DAY, _WEEK = 86_400, 604_800
LONGEST_MEMORY = 10_000
_UNITS = {"m": 60, "h": 3_600, "d": _DAY, "w": _WEEK}

Span = Callable[..., float]


@dataclass(frozen=True)
class Indicator:
    """A kernel and what has to be known of it.

    Parameters
    ----------
    name, family : str
    kernel : callable
        One of `kernels.KERNELS`.
    defaults : tuple of tuple of float
        Parameters of its columns in the default set; the first ones are in bars unless `spans` is False.
    formula : str
        `{0}`, `{1}` stand for the parameters.
    state : int
        float64 slots that the kernel remembers.
    memory, warm_up : callable
        From the parameters: bars before the current one that it reads, and rows at the start whose value
        is NaN.
    unit : str
    needs : {'', 'volume', 'funding', 'range', 'day', 'week'}
        What a market must have for it: volume or funding that varies, highs above lows, bars shorter than
        a day or a week.
    sequence : {'', 'odd', 'even'}
        Stationary and small enough in number to be an input of sequence models; odd if it changes its sign
        where rises become falls and falls rises.
    spans : bool
        Whether the parameters are whole numbers of bars.
    """

    name: str
    family: str
    kernel: Callable[..., None]
    defaults: tuple[tuple[float, ...], ...]
    formula: str
    state: int
    memory: Span
    warm_up: Span
    unit: str = "1"
    needs: str = ""
    sequence: Literal["", "odd", "even"] = ""
    spans: bool = True

    def columns(self, parameters: Iterable[tuple[float, ...]]) -> list[Column]:
        return [Column(self, given) for given in parameters]


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


def timeframe_seconds(timeframe: str) -> int:
    """Seconds of '15m', '4h', '1d' or '1w'."""
    return int(timeframe[:-1]) * _UNITS[timeframe[-1]]


def _none(*_: float) -> float:
    return 0


def _one(*_: float) -> float:
    return 1


def _window(n: float, *_: float) -> float:
    return n


def _returns(n: float, *_: float) -> float:
    return n + 1


def _second(_: float, n: float, *__: float) -> float:
    return n


def _second_returns(_: float, n: float, *__: float) -> float:
    return n + 1


_BARE = frozenset({"day_sin", "day_cos", "week_sin", "week_cos"})
"""Indicators whose parameter is in their name already."""
_A = Indicator

CATALOGUE: tuple[Indicator, ...] = (
    _A("return", "returns", k.log_return, ((1,), (2,), (4,), (8,), (12,), (24,), (72,), (168,)), "ln(close[t] / close[t - {0}])", 0, _window, _window, "log"),
    _A("return_z", "returns", k.return_z, ((),), "return / its EWMA deviation (0.95) before it, in +-3", 0, _none, lambda: 64, "sd", sequence="odd"),
    _A("return_z_ema", "momentum", k.return_z_ema, ((5,), (10,), (32,)), "EMA of return_z, centred {0} bars back", 1, _none, lambda n: 64 + 8 * n, "sd", sequence="odd"),
    _A("rsi", "momentum", k.rsi, ((14,), (28,)), "Wilder's RSI of {0} bars / 100, seeded with the mean of the first", 2, _one, lambda n: 10 * n),
    _A("macd_histogram", "momentum", k.macd_histogram, ((12, 26, 9),), "(EMA {0} - EMA {1} - its EMA {2}) / close, seeded with the first close", 3, _none, lambda _, n, m: 8 * n + 8 * m),
    _A("efficiency", "momentum", k.efficiency, ((24,), (96,)), "way / path of ln(close) in {0} bars (Kaufman), signed", 2, _window, _returns),
    _A("up_share", "momentum", k.up_share, ((24,),), "share of rising closes in {0} bars", 1, _window, _returns),
    _A("ema_gap", "trend", k.ema_gap, ((12, 26), (24, 96)), "EMA {0} - EMA {1} of ln(close), seeded with the first", 2, _none, lambda _, n: 4 * n, "log"),
    _A("sma_gap", "trend", k.sma_gap, ((24,), (168,)), "ln(close) - its mean over {0} bars", 2, _window, _window, "log"),
    _A("slope", "trend", k.slope, ((24,), (96,)), "least-squares slope of ln(close) on time, times {0} bars", 4, _window, _window, "log"),
    _A("trend_correlation", "trend", k.trend_correlation, ((24,), (96,)), "correlation of ln(close) with time, {0} bars", 5, _window, _window),
    _A("adx", "trend", k.adx, ((14,),), "Wilder's ADX of {0} bars / 100, seeded with the first moves", 3, _one, lambda n: 24 * n),
    _A("channel", "price position", k.channel_position, ((24,), (96,), (168,)), "(close - lowest low) / (highest high - lowest low), {0} bars", 0, _window, _window),
    _A("aroon", "price position", k.aroon, ((48,),), "(bars since the low - bars since the high) / {0}, of {0} + 1 bars", 0, _returns, _returns),
    _A("below_high", "price position", k.below_high, ((168,),), "ln(close / highest high), {0} bars", 0, _window, _window, "log"),
    _A("above_low", "price position", k.above_low, ((168,),), "ln(close / lowest low), {0} bars", 0, _window, _window, "log"),
    _A("volatility", "volatility", k.volatility, ((24,), (96,)), "standard deviation of {0} returns", 3, _window, _returns, "log"),
    _A("volatility_ratio", "volatility", k.volatility_ratio, ((24, 96),), "ln(volatility {0} / volatility {1})", 6, _second, _second_returns, "log", sequence="even"),
    _A("ewma_volatility", "volatility", k.ewma_volatility, ((),), "EWMA (0.95) deviation of returns", 0, _none, lambda: 64, "log"),
    _A("parkinson", "volatility", k.parkinson, ((24,),), "sqrt(mean ln(high / low)^2 / (4 ln 2)), {0} bars", 2, _window, _window, "log", needs="range"),
    _A("garman_klass", "volatility", k.garman_klass, ((24,),), "sqrt(mean(ln(high/low)^2 / 2 - (2 ln 2 - 1) ln(close/open)^2)), {0} bars", 2, _window, _window, "log", needs="range"),
    _A("rogers_satchell", "volatility", k.rogers_satchell, ((24,),), "sqrt(mean(ln(h/c) ln(h/o) + ln(l/c) ln(l/o))), {0} bars", 2, _window, _window, "log", needs="range"),
    _A("yang_zhang", "volatility", k.yang_zhang, ((24,),), "sqrt(overnight + k open-to-close + (1 - k) Rogers-Satchell), {0} bars", 6, _returns, _returns, "log", needs="range"),
    _A("atr", "volatility", k.atr, ((14,),), "Wilder's average true range of {0} bars / close, seeded with the mean of the first", 1, _one, lambda n: 24 * n),
    _A("range_surprise", "volatility", k.range_surprise, ((50,),), "ln(ln(high / low)) - its EMA, centred {0} bars back, in +-4", 2, _none, lambda n: 5 * n, "log", needs="range", sequence="even"),
    _A("downside_share", "volatility", k.downside_share, ((48,),), "squared falls / squared returns, {0} bars", 3, _window, _returns),
    _A("jump_share", "volatility", k.jump_share, ((96,),), "1 - bipower variation / squared returns, {0} bars", 3, _returns, lambda n: n + 2),
    _A("volume_surprise", "volume", k.volume_surprise, ((50,),), "ln(volume) - its EMA, centred {0} bars back, in +-4", 2, _none, lambda n: 5 * n, "log", needs="volume", sequence="even"),
    _A("volume_z", "volume", k.volume_z, ((48,),), "z-score of ln(1 + volume) in {0} bars, in +-5", 3, _window, _window, "sd", needs="volume"),
    _A("volume_ratio", "volume", k.volume_ratio, ((12, 96),), "(a - b) / (a + b), a and b the mean volume of {0} and {1} bars", 4, _second, _second, "1", needs="volume"),
    _A("money_flow", "volume", k.money_flow, ((14,),), "money flow index of {0} bars / 100", 3, _returns, _returns, needs="volume"),
    _A("signed_volume", "volume", k.signed_volume, ((24,),), "(volume of rises - volume of falls) / volume, {0} bars", 3, _window, _returns, needs="volume"),
    _A("vwap_gap", "volume", k.vwap_gap, ((24,),), "close / volume-weighted typical price - 1, {0} bars", 3, _returns, _window, "1", needs="volume"),
    _A("illiquidity_ratio", "volume", k.illiquidity_ratio, ((24, 168),), "(a - b) / (a + b), a and b the mean of |return| / volume of {0} and {1} bars (Amihud)", 4, _second, _second_returns, "1", needs="volume"),
    _A("return_volume_correlation", "volume", k.return_volume_correlation, ((48,),), "correlation of returns with ln(1 + volume), {0} bars", 7, _window, _returns, needs="volume"),
    _A("body", "bar shape", k.body, ((),), "(close - open) / (high - low)", 0, _none, _none, needs="range"),
    _A("upper_shadow", "bar shape", k.upper_shadow, ((),), "share of the range above the body", 0, _none, _none, needs="range"),
    _A("lower_shadow", "bar shape", k.lower_shadow, ((),), "share of the range below the body", 0, _none, _none, needs="range"),
    _A("skewness", "higher moments", k.skewness, ((48,), (168,)), "skewness of {0} returns", 4, _window, _returns),
    _A("kurtosis", "higher moments", k.kurtosis, ((48,), (168,)), "excess kurtosis of {0} returns", 5, _window, _returns),
    _A("autocorrelation", "autocorrelation", k.autocorrelation, ((48, 1), (168, 1), (168, 24)), "autocorrelation of {0} returns at lag {1}", 6, lambda n, lag: n + lag, _returns),
    _A("variance_ratio", "autocorrelation", k.variance_ratio, ((96, 4), (168, 24)), "squared returns over {1} bars / ({1} x those over one), {0} bars", 3, lambda n, q: n + q, lambda n, q: n + q),
    _A("fractional_difference", "fractional differences", k.fractional_difference, ((0.4, 64), (0.7, 64)), "(1 - L)^{0} of ln(close) since {1} bars ago", 0, _second, _second, "log", spans=False),
    _A("day_sin", "calendar", k.cycle_sin, ((_DAY,),), "sin of the time of day, UTC", 0, _none, _none, needs="day"),
    _A("day_cos", "calendar", k.cycle_cos, ((_DAY,),), "cos of the time of day, UTC", 0, _none, _none, needs="day"),
    _A("week_sin", "calendar", k.cycle_sin, ((_WEEK,),), "sin of the time of week, UTC", 0, _none, _none, needs="week"),
    _A("week_cos", "calendar", k.cycle_cos, ((_WEEK,),), "cos of the time of week, UTC", 0, _none, _none, needs="week"),
    _A("funding_last", "funding", k.funding_last, ((),), "the last rate other than 0 that fell due", 1, _none, _none, "rate", needs="funding"),
    _A("funding_sum", "funding", k.funding_sum, ((24,), (168,)), "sum of the rates that fell due, {0} bars", 1, _window, _window, "rate", needs="funding"),
)  # fmt: skip

_BY_NAME: Mapping[str, Indicator] = {indicator.name: indicator for indicator in CATALOGUE}
FAMILIES: tuple[str, ...] = tuple(dict.fromkeys(indicator.family for indicator in CATALOGUE))
SEQUENCE_NAMES: Mapping[str, Literal["", "odd", "even"]] = {
    column.name: indicator.sequence
    for indicator in CATALOGUE
    if indicator.sequence
    for column in indicator.columns(indicator.defaults)
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
        column for indicator in CATALOGUE for column in indicator.columns(_given(feature_set, indicator))
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
        elif column.indicator.needs == "day" and length >= _DAY:
            reason = "constant for bars of a day"
        elif column.indicator.needs == "week" and length >= _WEEK:
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
                    for c in indicator.columns(indicator.defaults)
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
