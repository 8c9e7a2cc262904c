"""Bars and features as assets: what they show, what they continue, what they refuse and why they ran."""

import json
import shutil
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from tests import pipeline
from tests.pipeline import SYMBOL, current
from trading_assets.cli.home import open_instance
from trading_assets.cli.train import TrainRequest, run_assets
from trading_assets.config import load_settings
from trading_assets.defs.jobs import REFRESH
from trading_assets.defs.resources import Workspace
from trading_assets.defs.staleness import asset_states, to_run
from trading_assets.features.table import compute_features
from trading_assets.market.updates import compare
from trading_assets.registry.tables import digest_table, read_table

TABLES = ["bars", "features"]
N_BARS = 1_008
HIDDEN = ("features.parquet", "state.safetensors", "features.json")


@pytest.fixture(scope="module")
def started_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with the tables of 1,008 bars. Do not write to it."""
    folder = tmp_path_factory.mktemp("started")
    with pytest.MonkeyPatch.context() as patch:
        pipeline.use(folder, patch)
        pipeline.write_bars(folder, n_bars=N_BARS)
        assert pipeline.train(names=list(REFRESH))
    return folder


@pytest.fixture
def started(started_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of `started_dir` that the test may change."""
    folder = tmp_path / "data"
    shutil.copytree(started_dir, folder, symlinks=True)
    pipeline.use(folder, monkeypatch)
    return folder


def shown(name: str) -> dict[str, Any]:
    """Metadata of an asset's last materialization."""
    event = open_instance().get_latest_materialization_event(dg.AssetKey(name))
    assert event and event.asset_materialization
    return {key: value.value for key, value in event.asset_materialization.metadata.items()}


def rows_of(name: str, table: str) -> list[dict[str, Any]]:
    value = shown(name)[table]
    return [] if value == "none" else [record.data for record in value.records]


def why_it_failed() -> str:
    instance = open_instance()
    run = instance.get_run_records(limit=1)[0].dagster_run
    (failure,) = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
    assert failure.dagster_event and failure.dagster_event.step_failure_data.user_failure_data
    return str(failure.dagster_event.step_failure_data.user_failure_data.description)


def market_file(folder: Path, name: str = f"{SYMBOL}.parquet") -> Path:
    return folder / "market" / name


def revise(folder: Path, row: int, **factors: float) -> None:
    """Another past: one bar's columns times a factor."""
    frame = pd.read_parquet(market_file(folder))
    for column, factor in factors.items():
        frame.loc[row, column] *= factor
    frame.to_parquet(market_file(folder), index=False)


def write_funding(folder: Path, n_bars: int = N_BARS, factor: float = 1.0) -> None:
    times = pd.date_range("2018-01-01", periods=n_bars // 8, freq="8h", tz="UTC", unit="ns")
    rates = factor * 1e-4 * (1 + np.sin(np.arange(len(times))))
    side = pd.DataFrame({"timestamp": times, "funding_rate": rates})
    side.to_parquet(market_file(folder, f"{SYMBOL}.funding.parquet"), index=False)


def stale() -> list[str]:
    workspace = Workspace()
    steps = to_run(asset_states(workspace.store, workspace.source, load_settings("smoke", SYMBOL), SYMBOL))
    return [name for name in steps if name in REFRESH]


def notes(name: str) -> str:
    return "\n".join(current(name).summary.notes)


def computed_in_full(folder: Path) -> str:
    """Identity that the features of the market file have when nothing is continued."""
    bars = read_table(current("bars").path / "bars.parquet")
    return digest_table(compute_features(bars, load_settings("smoke", SYMBOL).features).frame)


# --- what is shown


def test_every_asset_says_why_it_ran(started: Path) -> None:
    assert {name: shown(name)["why"] for name in REFRESH} == dict.fromkeys(REFRESH, "nothing was there yet")
    assert pipeline.train(names=list(REFRESH))
    for name in REFRESH:
        assert shown(name)["why"] == f"version {current(name).version} has the same recipe"
        assert shown(name)["outcome"] == "cached"


def test_the_reason_names_what_changed(started: Path) -> None:
    revise(started, 500, volume=2.0)
    assert pipeline.train(names=list(REFRESH), labels={"horizon": 2})
    assert shown("bars")["why"] == "since version 1.0.0: input file changed"
    assert shown("features")["why"] == "since version 1.0.0: input bars changed"
    assert shown("labels")["why"] == "since version 1.0.0: labels.horizon changed, input bars changed"
    assert "input features changed, input labels changed" in shown("dataset")["why"]


def test_a_rebuild_says_that_it_was_asked_for(started: Path) -> None:
    request = TrainRequest(symbols=[SYMBOL], profile="smoke", overrides={})
    assert run_assets(request, SYMBOL, list(REFRESH), rebuild=True)
    for name in REFRESH:
        assert (shown(name)["why"], shown(name)["outcome"]) == ("asked to build again", "unchanged")


def test_bars_show_candles_quality_and_span(started: Path) -> None:
    metadata = shown("bars")
    assert metadata["picture: candles"].startswith("![candles](data:image/png;base64,iVBOR")
    assert metadata["picture: price"].startswith("![price](data:image/png;base64,iVBOR")
    assert metadata["rows"] == metadata["rows read"] == metadata["dagster/row_count"] == N_BARS
    assert metadata["first bar"] == "2018-01-01 00:00:00+00:00"
    assert metadata["last bar"] == "2018-02-11 23:00:00+00:00"
    assert metadata["interval (s)"] == 3_600
    assert (metadata["repairs"], metadata["warnings"]) == (0, 0)
    assert metadata["quality"] == "none"
    assert f"read from {SYMBOL}.parquet: parquet" in metadata["notes"]


def test_what_was_repaired_in_bars_stands_in_their_quality_table(started: Path) -> None:
    frame = pd.read_parquet(market_file(started))
    pd.concat([frame, frame.iloc[[-1]]]).to_parquet(market_file(started), index=False)
    assert pipeline.train(names=["bars"])
    (row,) = rows_of("bars", "quality")
    assert (row["reaction"], row["what"], row["rows"]) == ("repaired", "exact duplicate", 1)
    assert shown("bars")["repairs"] == 1
    report = json.loads((current("bars").path / "report.json").read_bytes())
    assert report["rows_read"] == N_BARS + 1 and report["rows_kept"] == N_BARS


def test_features_show_correlations_missing_counts_and_what_was_left_out(started: Path) -> None:
    metadata = shown("features")
    for name in ("correlations", "missing"):
        assert metadata[f"picture: {name}"].startswith(f"![{name}](data:image/png;base64,iVBOR")
    table = read_table(current("features").path / "features.parquet")
    rows = {row["feature"]: row for row in rows_of("features", "columns")}
    assert list(rows) == list(table.columns)
    assert {name: row["missing"] for name, row in rows.items()} == table.isna().sum().to_dict()
    usable = table.iloc[int(metadata["warm-up (bars)"]) :]
    assert rows["rsi_14"]["mean"] == pytest.approx(usable["rsi_14"].mean(), abs=1e-5)
    assert rows["rsi_14"]["formula"] and rows["rsi_14"]["family"] == "momentum"
    left_out = {row["feature"]: row["why"] for row in rows_of("features", "left out")}
    assert left_out["funding_last"] == "no funding rate, or always the same"
    assert not set(left_out) & set(rows)
    assert (metadata["rows"], metadata["features"]) == (N_BARS, len(rows))


def test_labels_show_their_balance_over_time_and_what_was_asked(started: Path) -> None:
    metadata = shown("labels")
    assert metadata["picture: balance"].startswith("![balance](data:image/png;base64,iVBOR")
    table = read_table(current("labels").path / "labels.parquet")
    assert metadata["kind"] == "direction"
    assert metadata["horizon (bars)"] == 1
    assert metadata["up"] == pytest.approx(table["direction"].mean())
    assert metadata["high variance"] == pytest.approx(table["high_variance"].mean())
    assert metadata["unknown yet"] == table["direction"].isna().sum() == 2
    assert metadata["span (bars, mean)"] == 24
    assert metadata["weight (mean)"] == pytest.approx(table["weight"].mean())


@pytest.mark.parametrize("kind", ["triple_barrier", "trend"])
def test_the_dataset_has_the_labels_that_were_asked_for(started: Path, kind: str) -> None:
    assert pipeline.train(names=["labels", "dataset"], labels={"kind": kind, "horizon": 12})
    assert shown("labels")["kind"] == kind
    assert shown("labels")["why"] == ("since version 1.0.0: labels.horizon changed, labels.kind changed")
    table = read_table(current("labels").path / "labels.parquet")
    made = read_table(current("dataset").path / "dataset.parquet")
    known = made["label_end"] < len(made)
    pd.testing.assert_series_equal(
        made["direction"][known], table["direction"][: len(made)][known], check_exact=True
    )


def test_the_dataset_shows_digests_of_its_parents_and_tests_of_stationarity(started: Path) -> None:
    metadata = shown("dataset")
    for name in ("bars", "features", "labels"):
        assert metadata[f"digest of {name}"] == current(name).identity
    tested = rows_of("dataset", "stationarity")
    assert len(tested) == metadata["features"] == shown("features")["features"]
    doubtful = sum(row["verdict"] != "stationary" for row in tested)
    assert metadata["features that may have a unit root"] == doubtful
    assert metadata["picture: balance"].startswith("![balance]")
    assert metadata["rows"] == N_BARS


# --- bars: what is refused, revised, and brought along


def test_a_file_that_is_none_is_rejected_with_its_words_and_quarantined(started: Path) -> None:
    market_file(started).write_bytes(b"PAR1 not bars at all PAR1")
    assert not pipeline.train(names=["bars"])
    assert f"{SYMBOL}.parquet" in why_it_failed()
    kept = started / "quarantine"
    assert (kept / f"{SYMBOL}.parquet").read_bytes() == b"PAR1 not bars at all PAR1"
    report = json.loads((kept / f"{SYMBOL}.parquet.report.json").read_bytes())
    assert report["findings"][-1]["reaction"] == "rejected"
    assert report["findings"][-1]["message"] == why_it_failed()
    assert current("bars").version == "1.0.0"


def test_a_bar_that_cannot_be_is_rejected_by_row_and_column(started: Path) -> None:
    revise(started, 500, high=0.5)
    assert not pipeline.train(names=["bars"])
    message = why_it_failed()
    assert "row 501" in message and "'high'" in message
    assert {path.name for path in (started / "quarantine").iterdir()} == {
        f"{SYMBOL}.parquet",
        f"{SYMBOL}.parquet.report.json",
    }
    revise(started, 500, high=2.0)
    assert pipeline.train(names=["bars"])


def test_a_revised_past_is_said_in_the_quality_table(started: Path) -> None:
    before = read_table(current("bars").path / "bars.parquet")
    pipeline.write_bars(started, n_bars=N_BARS + 24)
    revise(started, 500, volume=2.0)
    assert pipeline.train(names=["bars"])
    change = compare(before, read_table(current("bars").path / "bars.parquet"))
    assert (change.appended, change.revised) == (24, 1)
    (row,) = rows_of("bars", "quality")
    assert (row["reaction"], row["what"]) == ("warned", "revised history")
    assert row["message"] == f"{change} (since version 1.0.0)"
    assert "2018-01-21 20:00" in row["message"]
    assert f"since version 1.0.0: {change}" in notes("bars")
    assert shown("bars")["warnings"] == 1


def test_bars_that_were_only_appended_are_said_and_no_warning(started: Path) -> None:
    pipeline.write_bars(started, n_bars=N_BARS + 24)
    assert pipeline.train(names=["bars"])
    assert "since version 1.0.0: 24 bars appended" in notes("bars")
    assert shown("bars")["quality"] == "none"


def test_bars_are_built_although_the_version_before_is_damaged(started: Path) -> None:
    (current("bars").path / "bars.parquet").write_bytes(b"damaged")
    pipeline.write_bars(started, n_bars=N_BARS + 24)
    assert pipeline.train(names=["bars"])
    assert current("bars").version == "1.0.1" and "since version" not in notes("bars")


def test_funding_from_a_side_file_becomes_a_column_and_its_features(started: Path) -> None:
    assert stale() == []
    write_funding(started)
    assert stale()[0] == "bars"
    assert pipeline.train(names=list(REFRESH))
    bars = read_table(current("bars").path / "bars.parquet")
    side = pd.read_parquet(market_file(started, f"{SYMBOL}.funding.parquet"))
    np.testing.assert_array_equal(bars["funding_rate"].iloc[::8], side["funding_rate"])
    assert (bars["funding_rate"].drop(bars.index[::8]) == 0).all()
    features = read_table(current("features").path / "features.parquet")
    assert {"funding_last", "funding_sum_24", "funding_sum_168"} <= set(features.columns)
    assert "computed in full" in notes("features")
    assert shown("features")["left out"] == "none"
    dataset = read_table(current("dataset").path / "dataset.parquet")
    assert {"funding_rate", "funding_last"} <= set(dataset.columns)
    assert stale() == []


def test_a_changed_side_file_makes_bars_stale(started: Path) -> None:
    write_funding(started)
    assert pipeline.train(names=TABLES)
    before = current("bars")
    write_funding(started, factor=2.0)
    assert stale()[0] == "bars"
    assert pipeline.train(names=TABLES)
    assert current("bars").identity != before.identity
    assert shown("bars")["why"] == f"since version {before.version}: input file changed"
    market_file(started, f"{SYMBOL}.funding.parquet").unlink()
    assert stale()[0] == "bars"


def test_a_side_file_that_cannot_be_read_rejects_the_symbol(started: Path) -> None:
    write_funding(started, factor=1e6)
    assert not pipeline.train(names=["bars"])
    assert f"{SYMBOL}.funding.parquet" in why_it_failed() and "no rate within" in why_it_failed()


# --- features: continued where that is the same


def test_features_of_bars_that_grew_are_continued_and_equal_computing_in_full(
    started: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, n_bars in enumerate((N_BARS + 1, N_BARS + 169), start=1):
        before = current("features").version
        more = n_bars - len(read_table(current("bars").path / "bars.parquet"))
        pipeline.write_bars(started, n_bars=n_bars)
        assert pipeline.train(names=TABLES)
        assert notes("features") == f"continued from version {before} by {more} bars"
        assert current("features").version == f"1.0.{number}"
        assert current("features").identity == computed_in_full(started)
    continued = current("features")
    pipeline.use(tmp_path / "fresh", monkeypatch)
    (tmp_path / "fresh").mkdir()
    pipeline.write_bars(tmp_path / "fresh", n_bars=N_BARS + 169)
    assert pipeline.train(names=TABLES)
    fresh = current("features")
    assert notes("features") == "computed in full"
    assert fresh.identity == continued.identity
    for name in HIDDEN[:1] + HIDDEN[2:]:
        assert (fresh.path / name).read_bytes() == (continued.path / name).read_bytes()


def test_a_rebuild_of_continued_features_reproduces_them(started: Path) -> None:
    pipeline.write_bars(started, n_bars=N_BARS + 24)
    assert pipeline.train(names=TABLES)
    continued = current("features")
    assert "continued" in notes("features")
    request = TrainRequest(symbols=[SYMBOL], profile="smoke", overrides={})
    assert run_assets(request, SYMBOL, TABLES, rebuild=True)
    assert shown("features")["outcome"] == "unchanged"
    assert current("features").identity == continued.identity == computed_in_full(started)


def test_a_rebuild_computes_in_full_and_finds_out_what_a_continuation_carried_on(started: Path) -> None:
    """A table that is wrong, and says so of itself nowhere, must not survive being built again."""
    from trading_assets.features.table import FeatureTable
    from trading_assets.registry.manifest import write_manifest

    folder = current("features").path
    table = FeatureTable.load(folder)
    table._buffer.values[0, 900] += 1
    table.save(folder)
    (folder / "manifest.json").unlink()
    write_manifest(folder)
    pipeline.write_bars(started, n_bars=N_BARS + 24)
    assert pipeline.train(names=TABLES)
    assert "continued" in notes("features")
    assert current("features").identity != computed_in_full(started)
    request = TrainRequest(symbols=[SYMBOL], profile="smoke", overrides={})
    assert run_assets(request, SYMBOL, ["features"], rebuild=True)
    assert shown("features")["outcome"] == "not reproduced"
    assert current("features").identity == computed_in_full(started)
    assert notes("features").startswith("computed in full")


def test_a_revised_past_is_computed_in_full(started: Path) -> None:
    revise(started, 500, volume=2.0)
    assert pipeline.train(names=TABLES)
    assert notes("features") == "computed in full: the bars of the past are not the same"
    assert current("features").identity == computed_in_full(started)


def test_other_settings_of_features_are_computed_in_full(started: Path) -> None:
    assert pipeline.train(names=["features"], features={"timeframes": ["4h"]})
    assert notes("features") == "computed in full: other settings or another method"
    assert shown("features")["why"] == "since version 1.0.0: features.timeframes changed"
    assert not any(name.startswith("1d_") for name in read_table(current("features").path / HIDDEN[0]))


@pytest.mark.parametrize("name", HIDDEN)
def test_features_are_computed_in_full_where_the_version_before_is_damaged(started: Path, name: str) -> None:
    (current("features").path / name).write_bytes(b"damaged")
    pipeline.write_bars(started, n_bars=N_BARS + 24)
    assert pipeline.train(names=TABLES)
    assert notes("features").startswith("computed in full: ") and name in notes("features")
    assert current("features").identity == computed_in_full(started)


# --- little data


@pytest.mark.parametrize("n_bars", [1, 2, 20, 100, 600])
def test_too_few_bars_for_a_dataset_are_named_by_the_dataset_and_by_no_asset_above(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch, n_bars: int
) -> None:
    pipeline.use(data_dir, monkeypatch)
    pipeline.write_bars(data_dir, n_bars=n_bars)
    assert pipeline.train(names=["bars", "features", "labels"])
    assert not pipeline.train(names=["dataset"])
    assert why_it_failed().startswith("Not ready: ")
