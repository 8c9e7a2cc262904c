"""The hierarchy as a whole: what is built, what is found again, what a change reaches."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest

from tests import pipeline
from tests.pipeline import SYMBOL, current
from trading_assets.cli.home import open_instance
from trading_assets.config import load_settings
from trading_assets.definitions import build_defs
from trading_assets.defs.assets import PIPELINE
from trading_assets.defs.jobs import REFRESH
from trading_assets.defs.resources import Workspace
from trading_assets.defs.staleness import asset_states, to_run
from trading_assets.forecasters import FORECASTERS

STAGE1 = [f"{kind}_{part}" for part in ("forecaster", "calibrator") for kind in FORECASTERS]


def stale(**overrides: object) -> list[str]:
    settings = load_settings("smoke", SYMBOL, overrides)
    workspace = Workspace()
    return to_run(asset_states(workspace.store, workspace.source, settings, SYMBOL))


@pytest.mark.slow
def test_training_twice_gives_identical_identities_of_every_asset(
    trained_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.use(trained_dir, monkeypatch)
    first = {name: current(name).identity for name in PIPELINE}
    pipeline.use(tmp_path, monkeypatch)
    pipeline.write_bars(tmp_path)
    assert pipeline.train()
    assert {name: current(name).identity for name in PIPELINE} == first


def test_nothing_is_stale_after_training(trained: Path) -> None:
    assert stale() == []


def test_a_cached_run_builds_nothing_and_records_the_same_data_versions(own_trained: Path) -> None:
    before = {name: current(name).version for name in PIPELINE}
    assert pipeline.train()
    assert {name: current(name).version for name in PIPELINE} == before
    instance = open_instance()
    for name in PIPELINE:
        records = instance.fetch_materializations(dg.AssetKey(name), limit=2).records
        assert len(records) == 2
        newest, first = (record.asset_materialization for record in records)
        assert newest and first and newest.tags and first.tags
        assert newest.tags["outcome"] == "cached"
        assert first.tags["outcome"] == "built"
        assert newest.tags["dagster/data_version"] == current(name).data_version


def test_the_assets_are_those_of_the_flow() -> None:
    assert list(PIPELINE) == [
        *REFRESH,
        "cv_folds",
        *STAGE1,
        "market_embeddings",
        "ppo_agent",
        "ppo_hybrid",
        "policy_ensemble",
        "policy_bundle",
        "forecast_report",
        "backtest_report",
    ]


def test_another_fee_leaves_the_forecasters_fresh(trained: Path) -> None:
    """From the calibrators on everything knows costs: they choose the threshold of trading."""
    forecasters = {f"{kind}_forecaster" for kind in FORECASTERS}
    assert set(stale(costs={"fee_bps": 7})) == set(PIPELINE) - {*REFRESH, "cv_folds", *forecasters}


@pytest.mark.parametrize("kind", FORECASTERS)
def test_another_setting_of_one_forecaster_leaves_the_others_fresh(trained: Path, kind: str) -> None:
    names = stale(**{kind: {"early_stopping": 3}})
    others = {name for name in STAGE1 if not name.startswith(kind)}
    assert set(names) == set(PIPELINE) - {*REFRESH, "cv_folds", *others}


def test_another_seed_leaves_the_tables_fresh(trained: Path) -> None:
    assert stale(seed=9) == [name for name in PIPELINE if name not in {*REFRESH, "cv_folds"}]


def test_going_back_to_earlier_settings_finds_the_earlier_models(own_trained: Path) -> None:
    agent = current("ppo_agent")
    assert pipeline.train(names=["ppo_agent"], costs={"fee_bps": 7})
    assert current("ppo_agent").version == "1.1.0"
    assert "ppo_agent" in stale()
    assert pipeline.train(names=["ppo_agent"])
    assert current("ppo_agent").version == agent.version


def test_a_new_bar_changes_the_tables_but_not_the_dataset(own_trained: Path) -> None:
    dataset = current("dataset")
    pipeline.write_bars(own_trained, n_bars=pipeline.N_BARS + 1)
    assert stale()[:2] == ["bars", "features"]
    assert pipeline.train(names=list(REFRESH))
    assert current("bars").version == "1.0.1"
    assert current("dataset").data_version == dataset.data_version
    assert stale() == []


def test_revised_volumes_pass_through_tables_that_do_not_read_them(own_trained: Path) -> None:
    """Labels keep their content; what is made from them must not take them for outdated."""
    labels = current("labels")
    path = own_trained / "market" / f"{SYMBOL}.parquet"
    frame = pd.read_parquet(path)
    frame.loc[100:200, "volume"] *= 2
    frame.to_parquet(path, index=False)
    assert pipeline.train(names=[*REFRESH, "cv_folds"])
    assert current("labels").data_version == labels.data_version
    assert current("dataset").version == "1.0.1"


def test_a_completed_step_makes_everything_below_the_dataset_stale(own_trained: Path) -> None:
    pipeline.write_bars(own_trained, n_bars=pipeline.N_BARS + 168)
    assert pipeline.train(names=list(REFRESH))
    assert current("dataset").version == "1.0.1"
    assert stale() == [name for name in PIPELINE if name not in REFRESH]


def test_the_bars_of_one_symbol_do_not_touch_another(own_trained: Path) -> None:
    pipeline.write_bars(own_trained, "SYN-OTHER", n_bars=2_016)
    assert pipeline.train("SYN-OTHER", names=list(REFRESH))
    assert stale() == []


def test_every_asset_shows_numbers_and_a_picture(trained: Path) -> None:
    instance = open_instance()
    for name in PIPELINE:
        event = instance.get_latest_materialization_event(dg.AssetKey(name))
        assert event and event.asset_materialization
        metadata = event.asset_materialization.metadata
        kinds = {type(value).__name__ for value in metadata.values()}
        assert "MarkdownMetadataValue" in kinds, name
        assert kinds & {"FloatMetadataValue", "IntMetadataValue"}, name


def test_artifacts_record_the_versions_they_are_made_from(trained: Path) -> None:
    for name, asset in PIPELINE.items():
        made_from = current(name).metadata["inputs"]
        assert {parent: made["version"] for parent, made in made_from.items()} == {
            parent: current(parent).version for parent in asset.inputs
        }


def test_stored_artifacts_verify(trained: Path) -> None:
    for name in PIPELINE:
        assert current(name).open().is_dir()


def test_a_broken_file_fails_its_symbol_with_its_own_words(own_trained: Path) -> None:
    (own_trained / "market" / f"{SYMBOL}.parquet").write_bytes(b"not bars")
    assert not pipeline.train(names=["bars"])
    instance = open_instance()
    run = instance.get_run_records(limit=1)[0].dagster_run
    failure = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE)[0]
    told = failure.dagster_event.step_failure_data.user_failure_data.description
    assert f"{SYMBOL}.parquet" in told and "no column timestamp" in told
    assert current("bars").version == "1.0.0"


def test_parents_that_do_not_belong_together_are_refused(own_trained: Path) -> None:
    pipeline.write_bars(own_trained, n_bars=pipeline.N_BARS + 168)
    assert pipeline.train(names=list(REFRESH))
    assert not pipeline.train(names=["lightgbm_forecaster"])
    instance = open_instance()
    run = instance.get_run_records(limit=1)[0].dagster_run
    failure = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE)[0]
    assert "cv_folds of SYN-PRICE was made from dataset 1.0.0" in str(failure.dagster_event)


def test_a_missing_parent_is_named(data_dir: Path) -> None:
    pipeline.write_bars(data_dir)
    assert not pipeline.train(names=["features"])
    instance = open_instance()
    run = instance.get_run_records(limit=1)[0].dagster_run
    failure = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE)[0]
    assert f"bars of {SYMBOL} does not exist yet" in str(failure.dagster_event)


def test_too_few_bars_say_how_many_are_missing(data_dir: Path) -> None:
    pipeline.write_bars(data_dir, n_bars=1_344)
    assert not pipeline.train(names=[*REFRESH, "cv_folds"])
    instance = open_instance()
    run = instance.get_run_records(limit=1)[0].dagster_run
    failure = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE)[0]
    assert "156 are missing" in str(failure.dagster_event)


def test_definitions_load_without_the_training_stack() -> None:
    code = (
        "import sys, trading_assets.definitions\n"
        "heavy = {'torch', 'stable_baselines3', 'lightgbm', 'sklearn', 'numba', 'matplotlib', 'optuna', "
        "'arch'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_groups_are_in_the_order_of_the_flow() -> None:
    groups = [asset.group for asset in PIPELINE.values()]
    assert groups == sorted(groups)
    position = {name: i for i, name in enumerate(PIPELINE)}
    assert all(position[p] < position[n] for n, asset in PIPELINE.items() for p in asset.inputs)


def test_groups_are_selected_without_quotes() -> None:
    graph = build_defs().resolve_asset_graph()
    found: set[str] = set()
    for group in {asset.group for asset in PIPELINE.values()}:
        keys = {
            key.to_user_string() for key in dg.AssetSelection.from_string(f"group:{group}").resolve(graph)
        }
        assert keys - {"leaderboard"} == {name for name, asset in PIPELINE.items() if asset.group == group}
        found |= keys
    assert found == {*PIPELINE, "leaderboard"}


def test_a_run_without_a_partition_is_told_the_symbols_to_choose_from(data_dir: Path) -> None:
    instance = open_instance()
    instance.add_dynamic_partitions("symbols", [SYMBOL, "SYN-OTHER"])
    job = build_defs().resolve_job_def("train_all")
    assert not job.execute_in_process(instance=instance, raise_on_error=False).success
    run = instance.get_run_records(limit=1)[0].dagster_run
    failure = str(instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE)[0].dagster_event)
    assert "this run has no partition. Choose one, under Materialize, in the launchpad or by" in failure
    assert f"--partition: SYN-OTHER, {SYMBOL}." in failure


GOLDEN = Path(__file__).parent / "golden.json"
TOLERANCE = {
    **dict.fromkeys(("rows", "n_splits", "training bars", "out-of-fold rows", "trials", "test bars"), 0.0),
    **dict.fromkeys(("up", "high variance", "buy and hold"), 1e-4),
    **dict.fromkeys(
        ("out-of-fold AUC", "next-era AUC", "validation AUC before", "validation AUC after"), 0.02
    ),
    "control: high-variance AUC": 0.02,
}


def test_an_asset_whose_results_change_raises_its_method(trained: Path) -> None:
    """Raise `method` in its declaration, then write the new figures into golden.json."""
    golden = json.loads(GOLDEN.read_text())
    assert set(golden) == set(PIPELINE)
    for name, pinned in golden.items():
        numbers = current(name).summary.numbers
        assert PIPELINE[name].method == pinned["method"], name
        for key, value in pinned["numbers"].items():
            assert numbers[key] == pytest.approx(value, abs=TOLERANCE.get(key, 0.05)), (name, key)


def test_an_artifact_that_lost_its_folder_is_built_again(own_trained: Path) -> None:
    shutil.rmtree(current("policy_bundle").path)
    assert "policy_bundle" in stale()
    assert pipeline.train(names=["policy_bundle"])
    assert stale() == []
