"""The features there are: name, kernel, parameters, warm-up, unit. Adding one is a kernel and a line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from trading_assets.features import kernels as k
from trading_assets.features.kernels import WINDOW_HEAD


@dataclass(frozen=True)
class Feature:
    """One column of the feature table.

    Parameters
    ----------
    name, family, formula, unit : str
    kernel : callable
        A range kernel of `features.kernels`.
    parameters : tuple
        Passed to the kernel after its five arrays.
    state_size : int
        float64 slots of memory the kernel needs.
    warm_up : int
        Rows at the start of the bars whose value is NaN.
    sequence : bool
        Stationary and small enough in number to be an input of sequence models.
    """

    name: str
    family: str
    kernel: Callable[..., None]
    parameters: tuple[float, ...]
    state_size: int
    warm_up: int
    formula: str
    unit: str = "1"
    sequence: bool = False


_DAY, _WEEK = 86_400.0, 604_800.0
_W = WINDOW_HEAD

CATALOGUE: tuple[Feature, ...] = (
    *(
        Feature(
            f"return_{n}",
            "returns",
            k.log_return,
            (n,),
            _W + n,
            n,
            f"ln(close / close[-{n}])",
            "log",
        )
        for n in (1, 4, 12, 24, 72)
    ),
    Feature(
        "return_z",
        "returns",
        k.return_z,
        (0.95,),
        3,
        64,
        "return / its EWMA deviation, in +-3",
        "sd",
        sequence=True,
    ),
    *(
        Feature(
            f"return_z_ema_{name}",
            "momentum",
            k.return_z_ema,
            (0.95, keep),
            4,
            128,
            f"EMA of return_z, keeping {keep} a bar",
            "sd",
            sequence=True,
        )
        for name, keep in ((5, 0.8), (10, 0.9), (32, 0.97))
    ),
    Feature("ema_gap_12_26", "trend", k.ema_gap, (12, 26), 2, 128, "ln(EMA 12 / EMA 26)", "log"),
    Feature("ema_gap_24_96", "trend", k.ema_gap, (24, 96), 2, 384, "ln(EMA 24 / EMA 96)", "log"),
    *(
        Feature(f"sma_gap_{n}", "trend", k.sma_gap, (n,), _W + n, n, f"ln(close / SMA {n})", "log")
        for n in (24, 168)
    ),
    Feature("rsi_14", "momentum", k.rsi, (14,), 4, 128, "Wilder's RSI / 100"),
    *(
        Feature(
            f"channel_{n}",
            "price position",
            k.channel_position,
            (n,),
            1 + 2 * n,
            n,
            f"(close - lowest low) / (highest high - lowest low), {n} bars",
        )
        for n in (24, 96)
    ),
    *(
        Feature(
            f"volatility_{n}",
            "volatility",
            k.volatility,
            (n,),
            _W + n + 2,
            n + 1,
            f"standard deviation of {n} returns",
            "log",
        )
        for n in (24, 96)
    ),
    Feature(
        "volatility_ratio",
        "volatility",
        k.volatility_ratio,
        (24, 96),
        2 * _W + 122,
        97,
        "ln(volatility_24 / volatility_96)",
        "log",
        sequence=True,
    ),
    Feature(
        "ewma_volatility",
        "volatility",
        k.ewma_volatility,
        (0.95,),
        3,
        64,
        "EWMA (0.95) deviation of returns",
        "log",
    ),
    Feature(
        "parkinson_24",
        "volatility",
        k.parkinson,
        (24,),
        _W + 24,
        24,
        "sqrt(mean ln(high / low)^2 / (4 ln 2))",
        "log",
    ),
    Feature(
        "garman_klass_24",
        "volatility",
        k.garman_klass,
        (24,),
        _W + 24,
        24,
        "sqrt(mean(ln(high/low)^2 / 2 - (2 ln 2 - 1) ln(close/open)^2))",
        "log",
    ),
    Feature(
        "volume_surprise",
        "volume",
        k.volume_surprise,
        (0.98,),
        2,
        256,
        "ln(volume) - its EWMA, in +-4",
        "log",
        sequence=True,
    ),
    Feature(
        "volume_z_48",
        "volume",
        k.volume_z,
        (48,),
        _W + 48,
        48,
        "z-score of ln(1 + volume) in 48 bars, in +-5",
        "sd",
    ),
    Feature(
        "range_surprise",
        "volatility",
        k.range_surprise,
        (0.98,),
        2,
        256,
        "ln(ln(high / low)) - its EWMA, in +-4",
        "log",
        sequence=True,
    ),
    Feature("body", "bar shape", k.body, (), 1, 0, "(close - open) / (high - low)"),
    Feature(
        "upper_shadow",
        "bar shape",
        k.upper_shadow,
        (),
        1,
        0,
        "share of the range above the body",
    ),
    Feature(
        "lower_shadow",
        "bar shape",
        k.lower_shadow,
        (),
        1,
        0,
        "share of the range below the body",
    ),
    Feature("skewness_48", "higher moments", k.skewness, (48,), _W + 50, 49, "of 48 returns"),
    Feature("kurtosis_48", "higher moments", k.kurtosis, (48,), _W + 50, 49, "excess, of 48 returns"),
    Feature(
        "autocorrelation_48",
        "autocorrelation",
        k.autocorrelation,
        (48,),
        _W + 50,
        49,
        "lag one, of 48 returns",
    ),
    Feature("day_sin", "calendar", k.cycle_sin, (_DAY,), 1, 0, "sin of the time of day"),
    Feature("day_cos", "calendar", k.cycle_cos, (_DAY,), 1, 0, "cos of the time of day"),
    Feature("week_sin", "calendar", k.cycle_sin, (_WEEK,), 1, 0, "sin of the time of week"),
    Feature("week_cos", "calendar", k.cycle_cos, (_WEEK,), 1, 0, "cos of the time of week"),
)

NAMES: tuple[str, ...] = tuple(feature.name for feature in CATALOGUE)
SEQUENCE_NAMES: tuple[str, ...] = tuple(feature.name for feature in CATALOGUE if feature.sequence)
WARM_UP: int = max(feature.warm_up for feature in CATALOGUE)
