"""Every feature against a formulation that shares no code with the kernels."""

from collections.abc import Callable
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
import talib
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

from trading_assets.config.settings import FeatureSet
from trading_assets.features import CATALOGUE, FeatureTable, compute_features
from trading_assets.features.catalogue import Column, select
from trading_assets.market.synthetic import SyntheticMarket

Oracle = Callable[..., ArrayLike]
PRICES = ["open", "high", "low", "close"]


def returns(f: pd.DataFrame) -> pd.Series:
    return np.log(f["close"]).diff()


def standardized(f: pd.DataFrame) -> pd.Series:
    """Returns over their RiskMetrics deviation (decay .95) as of the bar before."""
    deviation = np.sqrt((returns(f) ** 2).ewm(alpha=0.05, adjust=False).mean())
    return (returns(f) / deviation.shift()).clip(-3, 3).fillna(0.0)


def ema(x: pd.Series, span: float) -> pd.Series:
    return x.ewm(span=span, adjust=False).mean()


def windows(x: pd.Series, n: int) -> NDArray[np.float64]:
    """The last `n` values at every bar, NaN where there are fewer."""
    return sliding_window_view(np.concatenate([np.full(n - 1, np.nan), x.to_numpy()]), n)


def over(a: pd.Series, b: pd.Series, otherwise: float) -> pd.Series:
    """a / b, and what a feature is defined as where b is 0."""
    return (a / b.where(b > 0)).mask(b == 0, otherwise)


def macd(f: pd.DataFrame, fast: int, slow: int, signal: int) -> pd.Series:
    return talib.MACD(f["close"], fast, slow, signal)[2] / f["close"]


def efficiency(f: pd.DataFrame, n: int) -> pd.Series:
    """Kaufman (1995), with the sign of the way."""
    return over(np.log(f["close"]).diff(n), returns(f).abs().rolling(n).sum(), 0.0)


def slope(f: pd.DataFrame, n: int) -> NDArray[np.float64]:
    y = windows(np.log(f["close"]), n)[n - 1 :]
    return np.concatenate([np.full(n - 1, np.nan), np.polyfit(np.arange(n), y.T, 1)[0] * n])


def trend_correlation(f: pd.DataFrame, n: int) -> NDArray[np.float64]:
    y, time = windows(np.log(f["close"]), n), np.arange(n) - (n - 1) / 2
    y = y - y.mean(axis=1, keepdims=True)
    return y @ time / np.sqrt((y**2).sum(axis=1) * (time**2).sum())


def channel(f: pd.DataFrame, n: int) -> pd.Series:
    top, bottom = talib.MAX(f["high"], n), talib.MIN(f["low"], n)
    return over(f["close"] - bottom, top - bottom, 0.5)


def surprise(x: pd.Series, n: int) -> pd.Series:
    """ln(x) less its average before; an x of 0 is as surprising as can be, and forgotten."""
    known = np.log(x[x > 0])
    found = (known - known.ewm(alpha=1 / n, adjust=False).mean().shift()).clip(-4, 4)
    return found.reindex(x.index, fill_value=-4.0)


def parkinson(f: pd.DataFrame, n: int) -> pd.Series:
    """Parkinson (1980), The extreme value method for estimating the variance."""
    return np.sqrt((np.log(f["high"] / f["low"]) ** 2).rolling(n).mean() / (4 * np.log(2)))


def garman_klass(f: pd.DataFrame, n: int) -> pd.Series:
    """Garman and Klass (1980), On the estimation of security price volatilities."""
    high_low, close_open = np.log(f["high"] / f["low"]), np.log(f["close"] / f["open"])
    return np.sqrt((0.5 * high_low**2 - (2 * np.log(2) - 1) * close_open**2).rolling(n).mean())


def satchell(f: pd.DataFrame, n: int) -> pd.Series:
    """Mean of Rogers and Satchell (1991), Estimating variance from high, low and closing prices."""
    up = np.log(f["high"] / f["close"]) * np.log(f["high"] / f["open"])
    return (up + np.log(f["low"] / f["close"]) * np.log(f["low"] / f["open"])).rolling(n).mean()


def yang_zhang(f: pd.DataFrame, n: int) -> pd.Series:
    """Yang and Zhang (2000), Drift-independent volatility estimation."""
    night = np.log(f["open"] / f["close"].shift()).rolling(n).var()
    day = np.log(f["close"] / f["open"]).rolling(n).var()
    k = 0.34 / (1.34 + (n + 1) / (n - 1))
    return np.sqrt(night + k * day + (1 - k) * satchell(f, n))


def jump_share(f: pd.DataFrame, n: int) -> pd.Series:
    """Barndorff-Nielsen and Shephard (2004): what bipower variation leaves of the realised variance."""
    size = returns(f).abs()
    share = np.pi / 2 * (size * size.shift()).rolling(n).sum() / (size**2).rolling(n).sum()
    return (1 - share).clip(-1, 1)


def volume_z(f: pd.DataFrame, n: int) -> pd.Series:
    rolling = np.log1p(f["volume"]).rolling(n)
    return ((np.log1p(f["volume"]) - rolling.mean()) / rolling.std()).clip(-5, 5)


def balance(a: pd.Series, b: pd.Series) -> pd.Series:
    return (a - b) / (a + b)


def vwap_gap(f: pd.DataFrame, n: int) -> pd.Series:
    money = f[["high", "low", "close"]].mean(axis=1) * f["volume"]
    return f["close"] / (money.rolling(n).sum() / f["volume"].rolling(n).sum()) - 1


def illiquidity(f: pd.DataFrame, n: int, m: int) -> pd.Series:
    """Amihud (2002), Illiquidity and stock returns; a bar without volume counts as 0."""
    ratio = over(returns(f).abs(), f["volume"], 0.0)
    return balance(ratio.rolling(n).mean(), ratio.rolling(m).mean())


def return_volume_correlation(f: pd.DataFrame, n: int) -> NDArray[np.float64]:
    a, b = windows(returns(f), n), windows(np.log1p(f["volume"]), n)
    a, b = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
    return (a * b).sum(axis=1) / np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))


def autocorrelation(f: pd.DataFrame, n: int, lag: int) -> NDArray[np.float64]:
    """Box and Jenkins: autocovariance over n, divided by the variance over n."""
    apart = windows(returns(f), n)
    apart = apart - apart.mean(axis=1, keepdims=True)
    return (apart[:, lag:] * apart[:, :-lag]).sum(axis=1) / (apart**2).sum(axis=1)


def variance_ratio(f: pd.DataFrame, n: int, q: int) -> pd.Series:
    """Lo and MacKinlay (1988), over returns that overlap and without their mean."""
    return (np.log(f["close"]).diff(q) ** 2).rolling(n).sum() / (q * (returns(f) ** 2).rolling(n).sum())


def fractional_difference(f: pd.DataFrame, d: float, n: int) -> NDArray[np.float64]:
    """Hosking (1981): the binomial series of (1 - L)^d, cut off after n terms."""
    weights = special.binom(d, np.arange(n)) * (-1.0) ** np.arange(n)
    y = windows(np.log(f["close"]), n + 1)
    return (y[:, :0:-1] - y[:, :1]) @ weights


def body_share(f: pd.DataFrame, low: pd.Series, high: pd.Series) -> pd.Series:
    return over(high - low, f["high"] - f["low"], 0.0)


def turn(f: pd.DataFrame, *, week: bool) -> pd.Series:
    """Of the clock at midnight, of the week at Thursday's midnight (1970 began on a Thursday)."""
    times = f["timestamp"].dt
    day = (times.hour * 3_600 + times.minute * 60 + times.second) / 86_400
    return 2 * np.pi * (((times.dayofweek - 3) % 7 + day) / 7 if week else day)


def due(f: pd.DataFrame) -> pd.Series:
    return f["funding_rate"].where(f["funding_rate"] != 0)


# pandas and numpy start their averages as the kernels do; TA-Lib starts its MACD from simple means and its
# ADX from sums one bar longer, which is forgotten within the warm-up.
ORACLES: dict[str, Oracle] = {
    "return": lambda f, n: np.log(f["close"]).diff(n),
    "return_z": standardized,
    "return_z_ema": lambda f, n: standardized(f).ewm(alpha=1 / n, adjust=False).mean(),
    "rsi": lambda f, n: talib.RSI(f["close"], n) / 100,
    "macd_histogram": macd,
    "efficiency": efficiency,
    "up_share": lambda f, n: (returns(f) > 0).rolling(n).mean(),
    "ema_gap": lambda f, n, m: ema(np.log(f["close"]), n) - ema(np.log(f["close"]), m),
    "sma_gap": lambda f, n: np.log(f["close"]) - talib.SMA(np.log(f["close"]), n),
    "slope": slope,
    "trend_correlation": trend_correlation,
    "adx": lambda f, n: talib.ADX(f["high"], f["low"], f["close"], n) / 100,
    "channel": channel,
    "aroon": lambda f, n: talib.AROONOSC(f["high"], f["low"], n) / 100,
    "below_high": lambda f, n: np.log(f["close"] / talib.MAX(f["high"], n)),
    "above_low": lambda f, n: np.log(f["close"] / talib.MIN(f["low"], n)),
    "volatility": lambda f, n: returns(f).rolling(n).std(),
    "volatility_ratio": lambda f, n, m: np.log(returns(f).rolling(n).std() / returns(f).rolling(m).std()),
    "ewma_volatility": lambda f: np.sqrt((returns(f) ** 2).ewm(alpha=0.05, adjust=False).mean()),
    "parkinson": parkinson,
    "garman_klass": garman_klass,
    "rogers_satchell": lambda f, n: np.sqrt(satchell(f, n)),
    "yang_zhang": yang_zhang,
    "atr": lambda f, n: talib.ATR(f["high"], f["low"], f["close"], n) / f["close"],
    "range_surprise": lambda f, n: surprise(np.log(f["high"] / f["low"]), n),
    "downside_share": lambda f, n: (
        (returns(f).clip(upper=0) ** 2).rolling(n).sum() / (returns(f) ** 2).rolling(n).sum()
    ),
    "jump_share": jump_share,
    "volume_surprise": lambda f, n: surprise(f["volume"], n),
    "volume_z": volume_z,
    "volume_ratio": lambda f, n, m: balance(f["volume"].rolling(n).mean(), f["volume"].rolling(m).mean()),
    "money_flow": lambda f, n: talib.MFI(f["high"], f["low"], f["close"], f["volume"], n) / 100,
    "signed_volume": lambda f, n: (
        (np.sign(returns(f)) * f["volume"]).rolling(n).sum() / f["volume"].rolling(n).sum()
    ),
    "vwap_gap": vwap_gap,
    "illiquidity_ratio": illiquidity,
    "return_volume_correlation": return_volume_correlation,
    "body": lambda f: body_share(f, f["open"], f["close"]),
    "upper_shadow": lambda f: body_share(f, f[["open", "close"]].max(axis=1), f["high"]),
    "lower_shadow": lambda f: body_share(f, f["low"], f[["open", "close"]].min(axis=1)),
    "skewness": lambda f, n: stats.skew(windows(returns(f), n), axis=1),
    "kurtosis": lambda f, n: stats.kurtosis(windows(returns(f), n), axis=1),
    "autocorrelation": autocorrelation,
    "variance_ratio": variance_ratio,
    "fractional_difference": fractional_difference,
    "day_sin": lambda f, _: np.sin(turn(f, week=False)),
    "day_cos": lambda f, _: np.cos(turn(f, week=False)),
    "week_sin": lambda f, _: np.sin(turn(f, week=True)),
    "week_cos": lambda f, _: np.cos(turn(f, week=True)),
    "funding_last": lambda f: due(f).ffill().fillna(0.0),
    "funding_sum": lambda f, n: f["funding_rate"].rolling(n).sum(),
}

OTHERS = FeatureSet(
    parameters={
        "return": ((3,), (500,)),
        "return_z_ema": ((2,),),
        "rsi": ((2,), (7,)),
        "macd_histogram": ((5, 35, 7),),
        "efficiency": ((10,),),
        "up_share": ((50,),),
        "ema_gap": ((5, 20),),
        "sma_gap": ((2,), (600,)),
        "slope": ((2,), (600,)),
        "trend_correlation": ((12,), (600,)),
        "adx": ((20,),),
        "channel": ((7,), (600,)),
        "aroon": ((25,),),
        "below_high": ((600,),),
        "above_low": ((24,),),
        "volatility": ((2,), (600,)),
        "volatility_ratio": ((5, 600),),
        "parkinson": ((100,),),
        "garman_klass": ((100,),),
        "rogers_satchell": ((100,),),
        "yang_zhang": ((10,), (600,)),
        "atr": ((20,),),
        "range_surprise": ((20,),),
        "downside_share": ((100,),),
        "jump_share": ((24,),),
        "volume_surprise": ((20,),),
        "volume_z": ((100,),),
        "volume_ratio": ((5, 20),),
        "money_flow": ((30,),),
        "signed_volume": ((100,),),
        "vwap_gap": ((600,),),
        "illiquidity_ratio": ((12, 48),),
        "return_volume_correlation": ((100,),),
        "skewness": ((24,), (600,)),
        "kurtosis": ((24,), (600,)),
        "autocorrelation": ((100, 5), (600, 100)),
        "variance_ratio": ((50, 2), (100, 300)),
        "fractional_difference": ((0.25, 600), (1.3, 16)),
        "funding_sum": ((8,), (600,)),
    },
    timeframes=("2h", "12h", "1w"),
    timeframe_names=("return_3", "volatility_2", "slope_2", "channel_7", "funding_sum_8", "body"),
)


def expected(column: Column, f: pd.DataFrame) -> NDArray[np.float64]:
    """A column by its oracle; one of larger bars as of their close, bars being hourly."""
    oracle = ORACLES[column.indicator.name]
    parameters = [int(p) if p == int(p) else p for p in column.parameters]
    if not column.timeframe:
        return np.asarray(oracle(f, *parameters), dtype=np.float64)
    step = column.timeframe.replace("1w", "W-MON")
    buckets = f.set_index("timestamp").resample(step, closed="left", label="left")
    how = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
    larger = buckets.agg(how | {"funding_rate": "sum"}).dropna().reset_index()
    ends = larger["timestamp"] + pd.Timedelta(column.timeframe.replace("1w", "7d"))
    values = pd.DataFrame({"end": ends, "value": np.asarray(oracle(larger, *parameters))})
    small = pd.DataFrame({"end": f["timestamp"] + pd.Timedelta(hours=1)})
    return pd.merge_asof(small, values, on="end")["value"].to_numpy()


def assert_agrees(column: Column, actual: pd.Series, oracle: NDArray[np.float64], first: int) -> None:
    assert np.isfinite(oracle[first:]).all(), column.name
    assert oracle[first:].std() > 0, column.name
    # float32 carries 6e-8; the absolute part is for values that cancel to nearly nothing.
    floor = 1e-10 if column.family == "funding" else 1e-8
    np.testing.assert_allclose(
        actual.to_numpy()[first:], oracle[first:], rtol=2e-7, atol=floor, err_msg=column.name
    )


def with_funding(bars: pd.DataFrame, seed: int = 3) -> pd.DataFrame:
    """A rate that falls due every eight hours."""
    rates = np.random.default_rng(seed).normal(1e-4, 2e-4, len(bars))
    return bars.assign(funding_rate=np.where(bars["timestamp"].dt.hour % 8 == 0, rates, 0.0))


@pytest.fixture(scope="module")
def lively(market: SyntheticMarket) -> pd.DataFrame:
    return with_funding(market.bars)


@pytest.fixture(scope="module")
def patchy(lively: pd.DataFrame) -> pd.DataFrame:
    """Opens away from the close before; every tenth bar has no volume, every thirteenth no movement."""
    rng = np.random.default_rng(5)
    gap = np.exp(rng.normal(0, 2e-3, len(lively)))
    bars = lively.assign(open=lively["open"] * gap)
    bars["high"] = bars[PRICES].max(axis=1)
    bars["low"] = bars[PRICES].min(axis=1)
    bars.loc[::10, "volume"] = 0.0
    for name in PRICES:
        bars.loc[13::13, name] = bars["close"].shift()[13::13]
    return bars


@pytest.fixture(scope="module")
def table(lively: pd.DataFrame) -> FeatureTable:
    return compute_features(lively)


@pytest.fixture(scope="module")
def other(lively: pd.DataFrame) -> FeatureTable:
    return compute_features(lively, OTHERS)


@pytest.fixture(scope="module")
def patched(patchy: pd.DataFrame) -> FeatureTable:
    return compute_features(patchy)


def test_every_column_has_an_oracle_and_was_tried_with_other_parameters(table: FeatureTable) -> None:
    assert set(ORACLES) == {indicator.name for indicator in CATALOGUE}
    assert {column.name for column in table.columns} == {column.name for column in select(FeatureSet())}
    fixed = {indicator.name for indicator in CATALOGUE if indicator.needs in {"day", "week"}}
    fixed |= {indicator.name for indicator in CATALOGUE if indicator.defaults == ((),)}
    assert set(OTHERS.parameters) == set(ORACLES) - fixed


@pytest.mark.parametrize("column", select(FeatureSet()), ids=lambda column: column.name)
def test_a_feature_is_what_its_formula_says(
    column: Column, lively: pd.DataFrame, table: FeatureTable
) -> None:
    oracle = expected(column, lively)
    assert_agrees(column, table.frame[column.name], oracle, column.rows_of_warm_up(3_600))


@pytest.mark.parametrize("column", select(OTHERS), ids=lambda column: column.name)
def test_a_feature_is_what_its_formula_says_whatever_its_parameters(
    column: Column, lively: pd.DataFrame, other: FeatureTable
) -> None:
    oracle = expected(column, lively)
    assert_agrees(column, other.frame[column.name], oracle, column.rows_of_warm_up(3_600))


@pytest.mark.parametrize("column", select(FeatureSet(timeframes=("4h",))), ids=lambda column: column.name)
def test_bars_without_volume_or_movement_and_jumps_at_the_open_change_no_formula(
    column: Column, patchy: pd.DataFrame, patched: FeatureTable
) -> None:
    oracle = expected(column, patchy)
    assert_agrees(column, patched.frame[column.name], oracle, column.rows_of_warm_up(3_600))
    if column.name == "volume_surprise_50":
        assert (patched.frame[column.name][260::10] == -4).all()


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
def test_after_sixty_thousand_bars_no_error_has_piled_up(unit: float) -> None:
    """The last two spans between anchors, to the same tolerance; oracles need only the last 4,000 bars."""
    bars = with_funding(SyntheticMarket("mixed", 1.0, n_bars=60_000, seed=11).bars)
    table = compute_features(bars.assign(**{name: bars[name] * unit for name in PRICES}))
    tail = bars.iloc[-4_008:].reset_index(drop=True)  # from a midnight on
    assert tail["timestamp"][0].hour == 0
    for column in table.columns:
        oracle = expected(column, tail)
        assert_agrees(column, table.frame[column.name].iloc[-4_008:], oracle, 4_008 - 1_100)


def in_ticks(n: int = 1_000) -> pd.DataFrame:
    """Bars in whole ticks, a few ticks high, so that moves and typical prices are often equal."""
    rng = np.random.default_rng(8)
    close = 1_200 + np.cumsum(rng.integers(-1, 2, n))
    start = np.concatenate([close[:1], close[:-1]])
    return pd.DataFrame(
        {
            "timestamp": pd.date_range("2024-01-01", periods=n, freq="h", tz="UTC"),
            "open": start,
            "high": np.maximum(start, close) + rng.integers(0, 2, n),
            "low": np.minimum(start, close) - rng.integers(0, 2, n),
            "close": close,
            "volume": rng.integers(1, 1_000, n),
        }
    ).astype(dict.fromkeys([*PRICES, "volume"], float))


def digits(prices: pd.DataFrame, tick: str) -> pd.DataFrame:
    """The float64 that is nearest to each price, as a file's digits are read."""
    return prices.map(lambda price: float(int(price) * Decimal(tick)))


COMPARED = [
    column
    for column in select(FeatureSet(timeframes=()))
    if column.indicator.name
    in {"rsi", "up_share", "adx", "channel", "aroon", "atr", "money_flow", "signed_volume", "body"}
]
"""Columns of indicators that compare prices, all but two of TA-Lib's."""


@pytest.mark.parametrize("tick", ["0.25", "0.05", "0.01", "0.1", "0.00001", "3"])
def test_rounding_is_not_taken_for_a_move(tick: str) -> None:
    """In whole ticks there is no rounding: what the oracles make of them holds for every tick size."""
    ticks = in_ticks()
    bars = ticks.assign(**digits(ticks[PRICES], tick))
    table = compute_features(bars, FeatureSet(timeframes=()))
    for column in COMPARED:
        assert_agrees(
            column, table.frame[column.name], expected(column, ticks), column.rows_of_warm_up(3_600)
        )


@pytest.mark.parametrize("tick", ["0.25", "0.05", "0.01", "0.1", "0.00001"])
def test_on_coarse_ticks_money_flow_is_that_of_ta_lib(tick: str) -> None:
    ticks = in_ticks()
    bars = ticks.assign(**digits(ticks[PRICES], tick))
    typical = bars[["high", "low", "close"]].sum(axis=1)
    same = ticks[["high", "low", "close"]].sum(axis=1).diff() == 0
    table = compute_features(bars, FeatureSet(timeframes=(), names=("money_flow*",)))
    (column,) = table.columns
    assert_agrees(column, table.frame[column.name], expected(column, bars), column.warm_up)
    if tick != "0.25":  # a binary fraction: nothing is rounded
        assert (typical.diff()[same] != 0).any()


def standing_still(bars: pd.DataFrame, n: int, *, volume: float) -> pd.DataFrame:
    still = bars.iloc[: 500 + n].copy()
    still.loc[500:, PRICES] = still.loc[499, "close"]
    still.loc[500:, "volume"] = volume
    still.loc[500:, "funding_rate"] = 0.0
    return still


STILL = {
    0.0: [
        "return_*", "macd*", "efficiency*", "up_share*", "sma_gap*", "slope*", "trend_correlation*", "aroon*",
        "below*", "above*", "volatility*", "ewma*", "parkinson*", "garman*", "rogers*", "yang*", "atr*",
        "jump*", "volume_z*", "volume_ratio*", "signed*", "vwap*", "illiquidity*", "return_volume*", "body",
        "*shadow", "skewness*", "autocorrelation*", "fractional*", "funding_sum*",
    ],
    0.5: ["channel*", "downside*", "money_flow*"],
    1.0: ["variance_ratio*"],
    -3.0: ["kurtosis*"],
    -4.0: ["range_surprise*", "volume_surprise*"],
}  # fmt: skip


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
def test_a_market_that_stands_still_has_defined_features(lively: pd.DataFrame, unit: float) -> None:
    """After lively bars, 400 without any movement or volume: no noise of rounding may show."""
    still = standing_still(lively, 400, volume=0.0)
    still[PRICES] *= unit
    table = compute_features(still)
    assert np.isfinite(table.frame.iloc[table.warm_up :].to_numpy()).all()
    last = table.frame.iloc[-1]
    seen = set()
    for value, patterns in STILL.items():
        for column in select(FeatureSet(names=tuple(patterns), timeframes=())):
            assert last[column.name] == pytest.approx(value, abs=1e-6), column.name
            seen.add(column.name)
    # The first two keep their last reading, the next two fade and the others are about something else.
    others = {"rsi_14", "rsi_28", "adx_14", "ema_gap_12_26", "ema_gap_24_96", "funding_last"}
    own = {column.name for column in table.columns if not column.timeframe}
    assert own - seen == others | {"day_sin", "day_cos", "week_sin", "week_cos"}
    exact = ["return_1", "volatility_24", "volatility_96", "volatility_ratio_24_96", "yang_zhang_24"]
    exact += ["trend_correlation_96", "skewness_168", "autocorrelation_168_24", "volume_z_48", "body"]
    assert (last[exact] == 0).all()


@pytest.mark.parametrize("volume", [0.0, 123.456])
def test_features_of_a_still_market_stay_finite_for_good(lively: pd.DataFrame, volume: float) -> None:
    """Until every average has faded below the smallest number there is."""
    first = standing_still(lively, 10, volume=volume)
    rest = pd.concat([first.iloc[-1:]] * 30_000, ignore_index=True)
    rest["timestamp"] = first["timestamp"].iloc[-1] + pd.to_timedelta(np.arange(1, 30_001), unit="h")
    table = compute_features(pd.concat([first, rest], ignore_index=True))
    assert np.isfinite(table.frame.iloc[table.warm_up :].to_numpy()).all()
    last = table.frame.iloc[-1]
    assert last["rsi_14"] == last["rsi_28"] == 0.5
    assert last["adx_14"] == last["ewma_volatility"] == last["return_z"] == 0


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
def test_a_volume_that_never_changes_has_no_surprise_in_it(lively: pd.DataFrame, unit: float) -> None:
    """After volumes that did, so that sums of them have been rounded."""
    bars = lively.iloc[:900].copy()
    bars.loc[400:, "volume"] = 0.1
    bars["volume"] *= unit
    frame = compute_features(bars).frame
    for row in (620, 899):  # between two anchors, and after another one
        last = frame.iloc[row]
        for name in ("volume_z_48", "volume_ratio_12_96", "return_volume_correlation_48"):
            assert last[name] == pytest.approx(0.0, abs=1e-6), (name, row)
        up = bars["close"].diff()[row - 23 : row + 1]
        assert last["signed_volume_24"] == pytest.approx(np.sign(up).mean(), abs=1e-6)
    assert frame["volume_surprise_50"].iloc[-1] == pytest.approx(0.0, abs=1e-3)


def test_prices_that_rise_by_the_same_share_every_bar_have_no_volatility(lively: pd.DataFrame) -> None:
    bars = lively.iloc[:1_000].copy()
    steps = np.exp(0.001 * np.arange(1_000))
    for name in ("open", "high", "low", "close"):
        bars[name] = 100 * steps
    last = compute_features(bars).frame.iloc[-1]
    for name in ("volatility_24", "volatility_96", "volatility_ratio_24_96", "skewness_48"):
        assert last[name] == 0, name
    assert last["kurtosis_168"] == -3
    assert last["efficiency_96"] == last["trend_correlation_96"] == pytest.approx(1)
    assert last["up_share_24"] == last["rsi_14"] == 1
    assert last["slope_24"] == pytest.approx(0.024)


@pytest.mark.parametrize("still", range(20, 60))
def test_the_volatility_ratio_of_a_still_market_is_that_of_its_definition(
    lively: pd.DataFrame, still: int
) -> None:
    """ln(a / b), and 0 where one of them is 0; the residue of a running sum must not pass for a."""
    part = lively.iloc[:400].copy()
    part.loc[400 - still :, list(PRICES)] = part.loc[400 - still - 1, "close"]
    r = np.log(part["close"]).diff().to_numpy()
    fast, slow = r[-24:].std(ddof=1), r[-96:].std(ddof=1)
    ratio = np.log(fast / slow) if fast > 0 else 0.0
    table = compute_features(part, FeatureSet(names=("volatility_ratio*",), timeframes=()))
    assert table.frame.iloc[-1, 0] == pytest.approx(ratio, abs=1e-5)


def test_the_weights_of_a_fractional_difference_are_those_of_the_binomial_series() -> None:
    """One bar whose ln(close) is 1 among bars where it is 0 reads the weights off, one by one."""
    close = np.ones(200)
    close[100] = np.e
    times = pd.date_range("2020-01-01", periods=200, freq="h", tz="UTC")
    bars = pd.DataFrame({"timestamp": times} | dict.fromkeys(PRICES, close)).assign(volume=1.0)
    frame = compute_features(bars, FeatureSet(names=("fractional*",), timeframes=())).frame
    weights = frame["fractional_difference_0.4_64"].to_numpy()[99:164]
    np.testing.assert_allclose(weights[:7], [0, 1, -0.4, -0.12, -0.064, -0.0416, -0.029952], rtol=1e-7)
    assert (weights[1:] != 0).all()


def test_a_fractional_difference_of_order_1_is_the_return(lively: pd.DataFrame) -> None:
    chosen = FeatureSet(
        names=("fractional*",), timeframes=(), parameters={"fractional_difference": ((1, 64),)}
    )
    frame = compute_features(lively, chosen).frame
    plain = np.diff(np.log(lively["close"].to_numpy()))
    np.testing.assert_allclose(
        frame["fractional_difference_1_64"].to_numpy()[64:], plain[63:], rtol=2e-7, atol=1e-13
    )


@pytest.mark.parametrize("jump", [1.5, 9.0, 0.8])
def test_moments_survive_a_jump_among_tiny_moves(jump: float) -> None:
    """The fourth power of a jump, subtracted again, leaves its rounding and nothing else."""
    rng = np.random.default_rng(3)
    close = 60_000 + np.cumsum(rng.choice([-0.01, 0.01], 1_500))
    close[700:] *= jump
    chosen = FeatureSet(names=("skewness*", "kurtosis*"), timeframes=())
    frame = compute_features(flat_bars(close), chosen).frame
    returns = pd.Series(np.diff(np.log(close), prepend=np.log(close[0])))
    for name in frame:
        n = int(name.split("_")[1])
        windows = sliding_window_view(returns.to_numpy(), n)[1:]
        moment = stats.skew if name.startswith("skewness") else stats.kurtosis
        np.testing.assert_allclose(
            frame[name].iloc[n + 1 :], moment(windows, axis=1)[1:], rtol=1e-3, atol=1e-3
        )


def test_a_large_price_with_tiny_moves_has_right_features_from_the_first_bars_on() -> None:
    rng = np.random.default_rng(3)
    close = 60_000 + np.cumsum(rng.choice([-0.01, 0.01], 480))
    chosen = FeatureSet(names=("trend_correlation_24", "variance_ratio_96_4"), timeframes=())
    frame = compute_features(flat_bars(close), chosen).frame
    y = np.log(close)
    expected = pd.Series(y).rolling(24).corr(pd.Series(np.arange(480.0)))
    np.testing.assert_allclose(frame["trend_correlation_24"].iloc[30:], expected[30:], atol=2e-3)
    one, four = pd.Series(np.diff(y)) ** 2, pd.Series(y[4:] - y[:-4]) ** 2
    ratio = four.rolling(96).sum().to_numpy()[96:] / (4 * one.rolling(96).sum().to_numpy()[99:])
    np.testing.assert_allclose(frame["variance_ratio_96_4"].iloc[100:], ratio, atol=2e-3)


def flat_bars(close: NDArray[np.float64]) -> pd.DataFrame:
    times = pd.date_range("2020-01-01", periods=len(close), freq="h", tz="UTC", unit="ns")
    return pd.DataFrame({"timestamp": times} | dict.fromkeys(PRICES, close)).assign(volume=1.0)
