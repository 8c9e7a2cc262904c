"""Which features there are, which of them a set chooses, and which a market has no input for."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from trading_assets.config.profiles import load_settings
from trading_assets.config.settings import FeatureSet
from trading_assets.errors import SettingsError
from trading_assets.features import SEQUENCE_NAMES, FeatureStream, catalogue_page, compute_features
from trading_assets.features.catalogue import FAMILIES, select
from trading_assets.market.synthetic import SyntheticMarket

ALL = [column.name for column in select(FeatureSet())]
OWN = [column.name for column in select(FeatureSet(timeframes=()))]
VOLUME = {
    "volume_surprise_50", "volume_z_48", "volume_ratio_12_96", "money_flow_14", "signed_volume_24",
    "vwap_gap_24", "illiquidity_ratio_24_168", "return_volume_correlation_48",
}  # fmt: skip
FUNDING = {"funding_last", "funding_sum_24", "funding_sum_168"}


@pytest.fixture(scope="module")
def some(market: SyntheticMarket) -> pd.DataFrame:
    funding = np.where(np.arange(1_000) % 8 == 0, np.arange(1_000) * 1e-6 + 1e-6, 0.0)
    return market.bars.iloc[:1_000].assign(funding_rate=funding)


def spaced(bars: pd.DataFrame, interval: str) -> pd.DataFrame:
    times = pd.date_range("2001-01-01", periods=len(bars), freq=pd.Timedelta(interval), tz="UTC")
    return bars.assign(timestamp=times)


def named(*names: str, **parameters: Any) -> list[str]:
    return [column.name for column in select(FeatureSet(names=names, parameters=parameters, timeframes=()))]


def refusal(**settings: Any) -> str:
    with pytest.raises(SettingsError) as caught:
        select(FeatureSet(**settings))
    return str(caught.value)


def test_there_are_many_features_each_with_a_family_a_unit_a_formula_and_a_warm_up() -> None:
    columns = select(FeatureSet(timeframes=()))
    assert len(columns) >= 64
    assert len({column.name for column in columns}) == len(columns)
    assert {column.family for column in columns} == set(FAMILIES)
    assert {"returns", "momentum", "trend", "volatility", "volume", "calendar", "funding"} < set(FAMILIES)
    for column in columns:
        assert column.unit
        assert column.formula
        assert "{" not in column.formula
        assert column.warm_up >= 0
    assert set(SEQUENCE_NAMES) < {column.name for column in columns}


def test_the_page_of_the_catalogue_is_the_one_in_the_docs() -> None:
    page = Path(__file__).parents[2] / "docs" / "features.md"
    assert page.read_text(encoding="utf-8") == catalogue_page()


def test_the_page_names_every_column_and_every_family() -> None:
    page = catalogue_page()
    assert all(f"| `{name}` |" in page for name in OWN)
    assert all(f"## {family.capitalize()}\n" in page for family in FAMILIES)


def test_names_are_columns_families_and_patterns_and_can_be_taken_back() -> None:
    assert named("rsi_14") == ["rsi_14"]
    assert named("bar shape") == ["body", "upper_shadow", "lower_shadow"]
    assert named("return_?") == ["return_1", "return_2", "return_4", "return_8", "return_z"]
    assert named("bar shape", "!body", "atr_*") == ["atr_14", "upper_shadow", "lower_shadow"]
    assert set(OWN) - set(named("*", "!volume", "!funding")) == VOLUME | FUNDING
    assert named("volatility", "!volatility", "body") == ["body"]
    assert named("!body", "bar shape") == ["body", "upper_shadow", "lower_shadow"]


def test_columns_come_in_the_order_of_the_catalogue_whatever_the_order_asked_for() -> None:
    assert named("week_cos", "volume_z_48", "return_4", "return_1") == [
        "return_1", "return_4", "volume_z_48", "week_cos",
    ]  # fmt: skip
    frames = FeatureSet(
        names=("body",), timeframes=("1d", "90m", "4h", "4h"), timeframe_names=("body", "rsi*")
    )
    assert [column.name for column in select(frames)] == [
        "body", "90m_rsi_14", "90m_rsi_28", "90m_body", "4h_rsi_14", "4h_rsi_28", "4h_body",
        "1d_rsi_14", "1d_rsi_28", "1d_body",
    ]  # fmt: skip


def test_parameters_replace_the_columns_of_an_indicator() -> None:
    assert named("rsi*", rsi=((7,), (28,))) == ["rsi_7", "rsi_28"]
    assert named("fractional*", "ema_gap*", fractional_difference=((0.25, 100),), ema_gap=((3, 9),)) == [
        "ema_gap_3_9", "fractional_difference_0.25_100",
    ]  # fmt: skip
    assert named("momentum", rsi=()) == [name for name in named("momentum") if not name.startswith("rsi")]


def test_parameters_given_twice_make_one_column() -> None:
    assert named("rsi*", rsi=((7,), (7.0,), (28,))) == ["rsi_7", "rsi_28"]


def test_a_profile_chooses_features(tmp_path: Path) -> None:
    chosen = load_settings(
        "smoke",
        "BTCUSDT",
        {"features": {"names": ["rsi_*"], "parameters": {"rsi": [[7], [28]]}, "timeframes": []}},
    )
    assert [column.name for column in select(chosen.features)] == ["rsi_7", "rsi_28"]
    profile = tmp_path / "mine.yaml"
    profile.write_text(
        "extends: smoke\n"
        "features: {names: ['trend', '!adx*'], timeframes: ['8h'], timeframe_names: [adx_14]}\n"
        "symbols: {ETH*: {features: {parameters: {slope: [[10]]}}}}\n"
    )
    columns = [column.name for column in select(load_settings(str(profile), "ETHUSDT").features)]
    assert columns == [*named("trend", "!adx*", slope=((10,),)), "8h_adx_14"]
    with pytest.raises(SettingsError, match="timeframes"):
        load_settings("smoke", "BTCUSDT", {"features": {"timeframes": ["4 hours"]}})
    with pytest.raises(SettingsError, match="names"):
        load_settings("smoke", "BTCUSDT", {"features": {"name": ["rsi_14"]}})


def test_what_is_unknown_is_refused_with_what_comes_close_to_it() -> None:
    assert "Did you mean rsi_14" in refusal(names=("rsi_41",))
    assert "volatility" in refusal(names=("*", "!volatillity"))
    assert "Families: returns, momentum" in refusal(names=("qqqqqqq",))
    assert "'slop'" in (text := refusal(parameters={"slop": ((7,),)}))
    assert "Did you mean slope" in text
    assert "features.timeframe_names" in refusal(timeframe_names=("rsi_15",))
    assert "features.names chooses no feature" in refusal(names=())
    assert "features.names chooses no feature" in refusal(names=("body", "!body"))


@pytest.mark.parametrize(
    ("indicator", "values"),
    [
        ("rsi", ()),
        ("rsi", (14, 3)),
        ("macd_histogram", (12, 26)),
        ("body", (3,)),
        ("rsi", (-14,)),
        ("rsi", (0,)),
        ("rsi", (7.5,)),
        ("ema_gap", (12, 26.5)),
        ("fractional_difference", (0.4, 64.5)),
        ("fractional_difference", (-0.4, 64)),
        ("return", (10_001,)),
        ("sma_gap", (50_000,)),
        ("return", (1e12,)),
        *(
            (name, (1,))
            for name in ("volatility", "slope", "trend_correlation", "volume_z", "skewness", "rsi")
        ),
        *((name, (1,)) for name in ("channel", "up_share", "aroon", "yang_zhang", "jump_share", "kurtosis")),
        ("volume_ratio", (1, 96)),
        ("variance_ratio", (96, 1)),
        ("fractional_difference", (0.4, 20_000)),
    ],
)
def test_parameters_that_make_no_sense_are_refused_by_name(indicator: str, values: tuple[float, ...]) -> None:
    text = refusal(parameters={indicator: (values,)})
    assert f"features.parameters.{indicator}: ({', '.join(f'{value:g}' for value in values)})" in text
    assert "expected" in text or "must" in text


@pytest.mark.parametrize(
    ("indicator", "values"),
    [
        ("autocorrelation", (24, 48)),
        ("autocorrelation", (24, 24)),
        ("volatility_ratio", (96, 24)),
        ("volatility_ratio", (24, 24)),
        ("volume_ratio", (96, 12)),
        ("illiquidity_ratio", (168, 24)),
        ("ema_gap", (26, 12)),
        ("macd_histogram", (26, 12, 9)),
    ],
)
def test_windows_in_the_wrong_order_are_refused_by_name(indicator: str, values: tuple[float, ...]) -> None:
    """A lag beyond the window would read bars to come; a slow window that is the shorter one, garbage."""
    assert f"features.parameters.{indicator}" in refusal(parameters={indicator: (values,)})


@pytest.mark.parametrize(("volume", "told"), [(0.0, "always the same"), (7.0, "always the same")])
def test_a_market_without_volume_leaves_out_what_is_made_of_it(
    some: pd.DataFrame, volume: float, told: str
) -> None:
    table = compute_features(some.assign(volume=volume))
    assert set(table.left_out) == VOLUME
    assert all("no volume" in reason and told in reason for reason in table.left_out.values())
    assert list(table.frame) == [name for name in ALL if name not in VOLUME]


def test_a_market_without_funding_leaves_out_what_is_made_of_it(some: pd.DataFrame) -> None:
    for bars in (some.drop(columns="funding_rate"), some.assign(funding_rate=0.0)):
        table = compute_features(bars)
        assert set(table.left_out) == FUNDING
        assert all("no funding rate" in reason for reason in table.left_out.values())
        assert list(table.frame) == [name for name in ALL if name not in FUNDING]
    assert compute_features(some).left_out == {}


@pytest.mark.parametrize(
    ("interval", "gone"),
    [
        ("1m", set()),
        ("2h", set()),
        ("3h", {"4h_"}),
        ("4h", {"4h_"}),
        ("13h", {"4h_", "1d_"}),
        ("1d", {"4h_", "1d_", "day_"}),
        ("7d", {"4h_", "1d_", "day_", "week_"}),
        ("31d", {"4h_", "1d_", "day_", "week_"}),
    ],
)
def test_long_bars_leave_out_the_cycles_within_them_and_bars_that_are_no_larger(
    some: pd.DataFrame, interval: str, gone: set[str]
) -> None:
    table = compute_features(spaced(some, interval))
    assert list(table.frame) == [name for name in ALL if not name.startswith(tuple(gone))]
    assert set(table.left_out) == {name for name in ALL if name.startswith(tuple(gone))}
    for name, reason in table.left_out.items():
        length = name.split("_")[0]
        said = {"day": "constant for bars of a day", "week": "constant for bars of a week"}
        assert reason == said.get(length, f"{length} bars are not larger than these")
    values = table.frame.iloc[table.warm_up :]
    if len(values) > 1:
        assert (values.max() > values.min()).all()


def test_larger_bars_leave_out_the_cycles_within_them(some: pd.DataFrame) -> None:
    table = compute_features(some, FeatureSet(names=("body",), timeframe_names=("day_sin", "week_sin")))
    assert list(table.frame) == ["body", "4h_day_sin", "4h_week_sin", "1d_week_sin"]
    assert table.left_out == {"1d_day_sin": "constant for bars of a day"}


def test_a_market_that_has_no_input_for_any_of_the_features_says_so(some: pd.DataFrame) -> None:
    without = some.drop(columns="funding_rate")
    for frames in ((), ("4h",)):
        with pytest.raises(SettingsError, match="funding"):
            compute_features(without, FeatureSet(names=("funding",), timeframes=frames))


@pytest.mark.parametrize("what", ["all", "volume", "funding", "daily", "weekly", "chosen"])
def test_the_set_of_a_table_names_its_columns_and_gives_a_stream_the_same(
    some: pd.DataFrame, what: str
) -> None:
    bars, chosen = some, None
    if what == "volume":
        bars = some.assign(volume=0.0)
    elif what == "funding":
        bars = some.assign(funding_rate=0.0)
    elif what == "daily":
        bars = spaced(some, "1d")
        chosen = FeatureSet(timeframes=("1d", "1w", "3d"))
    elif what == "weekly":
        bars = spaced(some, "7d")
    elif what == "chosen":
        chosen = FeatureSet(
            names=("rsi*", "volume", "!volume_z*"),
            parameters={"rsi": ((7,), (28,)), "volume_ratio": ((5, 50),)},
            timeframes=("12h", "2h"),
            timeframe_names=("rsi_7", "vwap*"),
        )
    table = compute_features(bars, chosen)
    names = [column.name for column in table.columns]
    assert names == list(table.frame)
    assert [column.name for column in select(table.feature_set)] == names
    again = compute_features(bars, table.feature_set)
    assert list(again.frame) == names
    assert again.left_out == {}
    stream = FeatureStream(table.feature_set)
    live = np.stack([stream.push(bar) for bar in bars.iloc[:300].itertuples(index=False)])
    assert [column.name for column in stream.columns] == names
    assert live.tobytes() == table.frame.iloc[:300].to_numpy().tobytes()
