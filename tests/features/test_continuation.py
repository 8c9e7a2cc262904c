"""An earlier feature table is continued where that gives the same, and made anew where it would not."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_assets.config.settings import FeatureSet
from trading_assets.features import continuation
from trading_assets.features.continuation import features_of
from trading_assets.features.table import FeatureTable, compute_features
from trading_assets.market.synthetic import SyntheticMarket
from trading_assets.registry.artifacts import ArtifactRef, BuildResult, Recipe, Summary
from trading_assets.registry.store import ArtifactStore
from trading_assets.registry.tables import digest_table

ALL = FeatureSet()
METHOD = 5


def recipe(kind: str, settings_: dict[str, object], inputs: dict[str, str], method: int = METHOD) -> Recipe:
    return Recipe(category="tables", kind=kind, symbol="A", method=method, settings=settings_, inputs=inputs)


@dataclass
class Shelf:
    """Versions of bars and features in a store, as the assets keep them."""

    store: ArtifactStore

    def keep(self, bars: pd.DataFrame, feature_set: FeatureSet = ALL, method: int = METHOD) -> ArtifactRef:
        """Features of `bars`, computed in full."""
        identity = digest_table(bars)
        parent = self.store.get_or_build(
            recipe("bars", {}, {"file": identity}), {}, lambda _: BuildResult(identity=identity)
        )
        asked = recipe(
            "features", {"features": feature_set.model_dump(mode="json")}, {"bars": identity}, method
        )

        def build(folder: Path) -> BuildResult:
            table = compute_features(bars, feature_set)
            table.save(folder)
            summary = Summary(numbers={"rows": len(table)})
            return BuildResult(identity=digest_table(table.frame), summary=summary)

        return self.store.get_or_build(asked, {"bars": parent.ref}, build).ref


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(ArtifactStore(tmp_path))


@pytest.fixture(scope="module")
def kept(market: SyntheticMarket, tmp_path_factory: pytest.TempPathFactory) -> ArtifactRef:
    """Features of the first 1,000 bars."""
    return Shelf(ArtifactStore(tmp_path_factory.mktemp("kept"))).keep(market.bars.iloc[:1_000])


def assert_same(made: FeatureTable, expected: FeatureTable, tmp_path: Path) -> None:
    """Bit for bit: the values, what is said of them, and what the next continuation goes on from."""
    assert digest_table(made.frame) == digest_table(expected.frame)
    assert [c.name for c in made.columns] == [c.name for c in expected.columns]
    assert (made.warm_up, made.interval) == (expected.warm_up, expected.interval)
    assert made.left_out == expected.left_out
    assert made.feature_set == expected.feature_set
    assert made.state.funding == expected.state.funding
    assert made.state.arrays.keys() == expected.state.arrays.keys()
    for table, folder in ((made, tmp_path / "made"), (expected, tmp_path / "expected")):
        folder.mkdir(parents=True)
        table.save(folder)
    assert (tmp_path / "made/features.json").read_bytes() == (
        tmp_path / "expected/features.json"
    ).read_bytes()


def test_without_an_earlier_table_all_is_computed(market: SyntheticMarket, tmp_path: Path) -> None:
    bars = market.bars.iloc[:800]
    table, how = features_of(bars, ALL, None, method=METHOD)
    assert how == "computed in full"
    assert_same(table, compute_features(bars), tmp_path)


@pytest.mark.parametrize("more", [0, 1, 168, 2_000])
def test_bars_that_only_grew_are_continued_bit_for_bit(
    market: SyntheticMarket, kept: ArtifactRef, tmp_path: Path, more: int
) -> None:
    bars = market.bars.iloc[: 1_000 + more]
    table, how = features_of(bars, ALL, kept, method=METHOD)
    assert how == f"continued from version 1.0.0 by {more} bars"
    assert_same(table, compute_features(bars), tmp_path)


def test_a_continuation_computes_the_new_bars_and_no_others(
    market: SyntheticMarket, kept: ArtifactRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    append = continuation.append_features
    monkeypatch.setattr(continuation, "compute_features", None)
    monkeypatch.setattr(
        continuation, "append_features", lambda table, bars: (seen.append(len(bars)), append(table, bars))[1]
    )
    features_of(market.bars.iloc[:1_003], ALL, kept, method=METHOD)
    assert seen == [3]


@settings(max_examples=8, deadline=None)
@given(cuts=st.lists(st.integers(700, 1_400), min_size=1, max_size=4, unique=True).map(sorted))
def test_a_table_continued_again_and_again_is_that_of_all_bars(
    market: SyntheticMarket, tmp_path_factory: pytest.TempPathFactory, cuts: list[int]
) -> None:
    shelf = Shelf(ArtifactStore(tmp_path_factory.mktemp("shelf")))
    previous = shelf.keep(market.bars.iloc[:650])
    for number, stop in enumerate(cuts):
        bars = market.bars.iloc[:stop]
        table, how = features_of(bars, ALL, previous, method=METHOD)
        assert how.startswith(f"continued from version {previous.version}")
        assert digest_table(table.frame) == digest_table(compute_features(bars).frame)
        if number + 1 < len(cuts):
            previous = keep_made(shelf, bars, table)


def keep_made(shelf: Shelf, bars: pd.DataFrame, table: FeatureTable) -> ArtifactRef:
    """What was continued, kept as the asset keeps it."""
    identity = digest_table(bars)
    parent = shelf.store.get_or_build(
        recipe("bars", {}, {"file": identity}), {}, lambda _: BuildResult(identity=identity)
    )
    asked = recipe("features", {"features": ALL.model_dump(mode="json")}, {"bars": identity})

    def build(folder: Path) -> BuildResult:
        table.save(folder)
        return BuildResult(identity=digest_table(table.frame), summary=Summary(numbers={"rows": len(table)}))

    return shelf.store.get_or_build(asked, {"bars": parent.ref}, build).ref


def test_a_past_that_was_revised_is_computed_in_full(
    market: SyntheticMarket, kept: ArtifactRef, tmp_path: Path
) -> None:
    bars = market.bars.iloc[:1_100].copy()
    bars.loc[3, "volume"] *= 1.000001
    table, how = features_of(bars, ALL, kept, method=METHOD)
    assert how == "computed in full: the bars of the past are not the same"
    assert_same(table, compute_features(bars), tmp_path)


def test_a_past_that_lost_its_first_or_last_bars_is_computed_in_full(
    market: SyntheticMarket, kept: ArtifactRef, tmp_path: Path
) -> None:
    for name, part in (("first", slice(1, 1_100)), ("last", slice(0, 999))):
        bars = market.bars.iloc[part].reset_index(drop=True)
        table, how = features_of(bars, ALL, kept, method=METHOD)
        assert how == "computed in full: the bars of the past are not the same"
        assert_same(table, compute_features(bars), tmp_path / name)


def test_a_past_that_now_has_funding_is_computed_in_full(
    market: SyntheticMarket, kept: ArtifactRef, tmp_path: Path
) -> None:
    rates = np.where(np.arange(1_100) % 8 == 0, 1e-4 * np.sin(np.arange(1_100)), 0)
    bars = market.bars.iloc[:1_100].assign(funding_rate=rates)
    table, how = features_of(bars, ALL, kept, method=METHOD)
    assert how == "computed in full: the bars of the past are not the same"
    assert "funding_last" in table.frame
    assert_same(table, compute_features(bars), tmp_path)


@pytest.mark.parametrize(
    "chosen",
    [
        FeatureSet(names=("momentum",)),
        FeatureSet(timeframes=("4h",)),
        FeatureSet(parameters={"rsi": ((14.0,), (50.0,))}),
    ],
)
def test_other_settings_are_computed_in_full(
    market: SyntheticMarket, kept: ArtifactRef, tmp_path: Path, chosen: FeatureSet
) -> None:
    bars = market.bars.iloc[:1_100]
    table, how = features_of(bars, chosen, kept, method=METHOD)
    assert how == "computed in full: other settings or another method"
    assert_same(table, compute_features(bars, chosen), tmp_path)


def test_parameters_of_an_indicator_survive_the_settings_on_record(
    market: SyntheticMarket, shelf: Shelf
) -> None:
    chosen = FeatureSet(parameters={"rsi": ((14.0,), (50.0,))}, timeframes=("1d",))
    previous = shelf.keep(market.bars.iloc[:1_000], chosen)
    table, how = features_of(market.bars.iloc[:1_050], chosen, previous, method=METHOD)
    assert how.startswith("continued")
    assert digest_table(table.frame) == digest_table(compute_features(market.bars.iloc[:1_050], chosen).frame)


def test_another_method_is_computed_in_full(
    market: SyntheticMarket, kept: ArtifactRef, tmp_path: Path
) -> None:
    bars = market.bars.iloc[:1_100]
    table, how = features_of(bars, ALL, kept, method=METHOD + 1)
    assert how == "computed in full: other settings or another method"
    assert_same(table, compute_features(bars), tmp_path)


@pytest.mark.parametrize("name", ["features.parquet", "state.safetensors", "features.json"])
def test_a_damaged_table_is_computed_in_full_and_named(
    market: SyntheticMarket, shelf: Shelf, tmp_path: Path, name: str
) -> None:
    previous = shelf.keep(market.bars.iloc[:1_000])
    path = previous.path / name
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(bytes(raw))
    bars = market.bars.iloc[:1_100]
    table, how = features_of(bars, ALL, previous, method=METHOD)
    assert how.startswith("computed in full: ") and name in how
    assert_same(table, compute_features(bars), tmp_path / "here")


def test_a_market_whose_volume_begins_is_computed_in_full(
    market: SyntheticMarket, shelf: Shelf, tmp_path: Path
) -> None:
    bars = market.bars.iloc[:1_100].copy()
    bars.loc[:1_049, "volume"] = 0.0
    previous = shelf.keep(bars.iloc[:1_000])
    assert features_of(bars.iloc[:1_050], ALL, previous, method=METHOD)[1].startswith("continued")
    table, how = features_of(bars, ALL, previous, method=METHOD)
    assert how == "computed in full: the market has other inputs now"
    assert "volume_z_48" in table.frame
    assert_same(table, compute_features(bars), tmp_path)


def test_a_market_whose_interval_changes_is_computed_in_full(
    market: SyntheticMarket, shelf: Shelf, tmp_path: Path
) -> None:
    """Bars of two hours, then of one: the median tips, and with it the rows that larger bars need."""
    bars = pd.concat([market.bars.iloc[:1_600:2], market.bars.iloc[1_600:]], ignore_index=True)
    previous = shelf.keep(bars.iloc[:1_500])
    table, how = features_of(bars, ALL, previous, method=METHOD)
    assert FeatureTable.load(previous.path).interval == 7_200 != table.interval
    assert how == "computed in full: the market has other inputs now"
    assert_same(table, compute_features(bars), tmp_path)
