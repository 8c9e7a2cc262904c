"""Every feature against a formulation that shares no code with the kernels."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import talib
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from trading_assets.features.catalogue import CATALOGUE, NAMES, SEQUENCE_NAMES, WARM_UP, Feature
from trading_assets.features.table import compute_features
from trading_assets.market.bars import to_matrix
from trading_assets.market.synthetic import SyntheticMarket

Oracle = Callable[[pd.DataFrame], ArrayLike]


def returns(f: pd.DataFrame) -> pd.Series:
    return np.log(f["close"]).diff()


def standardised(f: pd.DataFrame) -> pd.Series:
    """Returns over their RiskMetrics deviation (decay .95) as of the bar before."""
    deviation = np.sqrt((returns(f) ** 2).ewm(alpha=0.05, adjust=False).mean())
    return (returns(f) / deviation.shift()).clip(-3, 3).fillna(0.0)


def ema(x: pd.Series, span: int) -> pd.Series:
    return x.ewm(span=span, adjust=False).mean()


def windows(x: pd.Series, n: int) -> NDArray[np.float64]:
    """The last `n` values at every bar, NaN where there are fewer."""
    padded = np.concatenate([np.full(n - 1, np.nan), x.to_numpy()])
    return sliding_window_view(padded, n)


def position(f: pd.DataFrame, n: int) -> pd.Series:
    top, bottom = talib.MAX(f["high"], n), talib.MIN(f["low"], n)
    return (f["close"] - bottom) / (top - bottom)


def surprise(x: pd.Series) -> pd.Series:
    return (x - x.ewm(alpha=0.02, adjust=False).mean().shift()).clip(-4, 4)


def parkinson(f: pd.DataFrame) -> pd.Series:
    """Parkinson (1980), The extreme value method for estimating the variance."""
    return np.sqrt((np.log(f["high"] / f["low"]) ** 2).rolling(24).mean() / (4 * np.log(2)))


def garman_klass(f: pd.DataFrame) -> pd.Series:
    """Garman and Klass (1980), On the estimation of security price volatilities."""
    high_low, close_open = np.log(f["high"] / f["low"]), np.log(f["close"] / f["open"])
    return np.sqrt((0.5 * high_low**2 - (2 * np.log(2) - 1) * close_open**2).rolling(24).mean())


def volume_z(f: pd.DataFrame) -> pd.Series:
    rolling = np.log1p(f["volume"]).rolling(48)
    return ((np.log1p(f["volume"]) - rolling.mean()) / rolling.std()).clip(-5, 5)


def autocorrelation(f: pd.DataFrame) -> NDArray[np.float64]:
    """Box and Jenkins: autocovariance over n, divided by the variance over n."""
    apart = windows(returns(f), 48)
    apart = apart - apart.mean(axis=1, keepdims=True)
    return (apart[:, 1:] * apart[:, :-1]).sum(axis=1) / (apart**2).sum(axis=1)


def body_share(f: pd.DataFrame, low: pd.Series, high: pd.Series) -> pd.Series:
    return (high - low) / (f["high"] - f["low"])


def angle(f: pd.DataFrame, *, week: bool) -> pd.Series:
    """Of the clock at midnight, of the week at Thursday's midnight (1970 began on a Thursday)."""
    times = f["timestamp"].dt
    day = (times.hour * 3_600 + times.minute * 60 + times.second) / 86_400
    return 2 * np.pi * (((times.dayofweek - 3) % 7 + day) / 7 if week else day)


ORACLES: dict[str, Oracle] = {
    **{f"return_{n}": lambda f, n=n: np.log(f["close"]).diff(n) for n in (1, 4, 12, 24, 72)},
    "return_z": standardised,
    **{
        f"return_z_ema_{name}": lambda f, keep=keep: standardised(f).ewm(alpha=1 - keep, adjust=False).mean()
        for name, keep in ((5, 0.8), (10, 0.9), (32, 0.97))
    },
    "ema_gap_12_26": lambda f: np.log(ema(f["close"], 12) / ema(f["close"], 26)),
    "ema_gap_24_96": lambda f: np.log(ema(f["close"], 24) / ema(f["close"], 96)),
    "sma_gap_24": lambda f: np.log(f["close"] / talib.SMA(f["close"], 24)),
    "sma_gap_168": lambda f: np.log(f["close"] / talib.SMA(f["close"], 168)),
    "rsi_14": lambda f: talib.RSI(f["close"], 14) / 100,
    "channel_24": lambda f: position(f, 24),
    "channel_96": lambda f: position(f, 96),
    "volatility_24": lambda f: returns(f).rolling(24).std(),
    "volatility_96": lambda f: returns(f).rolling(96).std(),
    "volatility_ratio": lambda f: np.log(returns(f).rolling(24).std() / returns(f).rolling(96).std()),
    "ewma_volatility": lambda f: np.sqrt((returns(f) ** 2).ewm(alpha=0.05, adjust=False).mean()),
    "parkinson_24": parkinson,
    "garman_klass_24": garman_klass,
    "volume_surprise": lambda f: surprise(np.log(f["volume"])),
    "volume_z_48": volume_z,
    "range_surprise": lambda f: surprise(np.log(np.log(f["high"] / f["low"]))),
    "body": lambda f: body_share(f, f["open"], f["close"]),
    "upper_shadow": lambda f: body_share(f, f[["open", "close"]].max(axis=1), f["high"]),
    "lower_shadow": lambda f: body_share(f, f["low"], f[["open", "close"]].min(axis=1)),
    "skewness_48": lambda f: stats.skew(windows(returns(f), 48), axis=1),
    "kurtosis_48": lambda f: stats.kurtosis(windows(returns(f), 48), axis=1),
    "autocorrelation_48": autocorrelation,
    "day_sin": lambda f: np.sin(angle(f, week=False)),
    "day_cos": lambda f: np.cos(angle(f, week=False)),
    "week_sin": lambda f: np.sin(angle(f, week=True)),
    "week_cos": lambda f: np.cos(angle(f, week=True)),
}


@pytest.fixture(scope="module")
def frame(market: SyntheticMarket) -> pd.DataFrame:
    return market.bars


@pytest.fixture(scope="module")
def table(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(compute_features(to_matrix(frame)).values, columns=list(NAMES))


def test_every_feature_has_an_oracle() -> None:
    assert set(ORACLES) == set(NAMES)


def test_names_are_unique_and_the_warm_up_is_the_longest() -> None:
    assert len(set(NAMES)) == len(NAMES) == len(CATALOGUE)
    assert max(feature.warm_up for feature in CATALOGUE) == WARM_UP
    assert set(SEQUENCE_NAMES) < set(NAMES)


@pytest.mark.parametrize("feature", CATALOGUE, ids=lambda feature: feature.name)
def test_a_feature_is_what_its_formula_says(
    feature: Feature, frame: pd.DataFrame, table: pd.DataFrame
) -> None:
    expected = np.asarray(ORACLES[feature.name](frame), dtype=np.float64)[feature.warm_up :]
    assert np.isfinite(expected).all()
    assert expected.std() > 0
    actual = table[feature.name].to_numpy()[feature.warm_up :]
    # float32 carries 6e-8; the absolute part is for values that cancel to nearly nothing.
    np.testing.assert_allclose(actual, expected, rtol=2e-7, atol=1e-8)


@pytest.mark.parametrize("n", [1, 2, 24, 100])
def test_a_bar_without_volume_is_as_surprising_as_can_be_and_forgotten(frame: pd.DataFrame, n: int) -> None:
    dry = frame.assign(volume=frame["volume"].where(frame.index % 10 != 0, 0.0)).iloc[: 500 + n]
    column = compute_features(to_matrix(dry)).values[:, NAMES.index("volume_surprise")]
    wet = dry[dry["volume"] > 0]
    expected = surprise(np.log(wet["volume"])).reindex(dry.index, fill_value=-4.0).to_numpy()
    np.testing.assert_allclose(column[256:], expected[256:], rtol=2e-7, atol=1e-8)
    assert (column[260::10] == -4).all()


def test_a_market_that_stands_still_has_defined_features(frame: pd.DataFrame) -> None:
    """After lively bars, 120 without any movement or volume: no noise of rounding may show."""
    still = frame.iloc[:620].copy()
    prices = ["open", "high", "low", "close"]
    still.loc[500:, prices] = still.loc[499, "close"]
    still.loc[500:, "volume"] = 0.0
    values = compute_features(to_matrix(still)).values
    last = dict(zip(NAMES, values[-1].tolist(), strict=True))
    assert np.isfinite(values[WARM_UP:]).all()
    zero = ["return_1", "return_72", "return_z", "sma_gap_24", "volatility_24", "volatility_96"]
    zero += ["volatility_ratio", "parkinson_24", "garman_klass_24", "volume_z_48", "body"]
    zero += ["upper_shadow", "lower_shadow", "skewness_48", "autocorrelation_48"]
    for name in zero:
        assert last[name] == pytest.approx(0.0, abs=1e-6), name
    assert last["channel_24"] == last["channel_96"] == 0.5
    assert last["range_surprise"] == last["volume_surprise"] == -4.0
    assert last["kurtosis_48"] == -3.0


@pytest.mark.parametrize("still", range(20, 60))
def test_the_volatility_ratio_of_a_still_market_is_that_of_its_definition(
    frame: pd.DataFrame, still: int
) -> None:
    """ln(a / b), and 0 where one of them is 0; the residue of a running sum must not pass for a."""
    part = frame.iloc[:400].copy()
    part.loc[400 - still :, "close"] = part.loc[400 - still - 1, "close"]
    r = np.log(part["close"]).diff().to_numpy()
    fast, slow = r[-24:].std(ddof=1), r[-96:].std(ddof=1)
    expected = np.log(fast / slow) if fast > 0 else 0.0
    actual = compute_features(to_matrix(part)).values[-1, NAMES.index("volatility_ratio")]
    assert actual == pytest.approx(expected, abs=1e-5)
