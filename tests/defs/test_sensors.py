"""Automation, with a real instance: nothing missed, nothing twice."""

import os
import time
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest

from tests import pipeline
from tests.pipeline import SYMBOL
from trading_assets.cli.home import open_instance
from trading_assets.definitions import build_defs
from trading_assets.defs import memory, sensors
from trading_assets.defs.jobs import REFRESH, RETRAIN
from trading_assets.defs.resources import Workspace
from trading_assets.defs.schedules import weekly_schedule
from trading_assets.defs.sensors import new_bars_sensor, retrain_sensor
from trading_assets.defs.staleness import asset_states, to_run
from trading_assets.market import sources
from trading_assets.market.synthetic import SyntheticMarket


def tick(sensor: dg.SensorDefinition, cursor: str | None) -> dg.SensorResult:
    """One evaluation, as the daemon makes it: requested partitions are added."""
    instance = open_instance()
    resources = {"workspace": Workspace()}
    with dg.build_sensor_context(instance=instance, cursor=cursor, resources=resources) as context:
        result = sensor(context)
    assert isinstance(result, dg.SensorResult)
    for request in result.dynamic_partitions_requests or []:
        instance.add_dynamic_partitions("symbols", list(request.partition_keys))
    return result


def weekly_round() -> list[dg.RunRequest | dg.SkipReason]:
    with dg.build_schedule_context(
        instance=open_instance(),
        scheduled_execution_time=datetime(2026, 1, 4, 3, tzinfo=UTC),
        resources={"workspace": Workspace()},
    ) as context:
        return list(weekly_schedule(context))


def keys(result: dg.SensorResult) -> list[str | None]:
    return [request.partition_key for request in result.run_requests or []]


def touch(path: Path) -> None:
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1_000_000_000))


def test_a_new_file_is_registered_and_refreshed_at_the_second_equal_look(data_dir: Path) -> None:
    pipeline.write_bars(data_dir)
    first = tick(new_bars_sensor, None)
    assert keys(first) == []
    second = tick(new_bars_sensor, first.cursor)
    assert keys(second) == [SYMBOL]
    assert open_instance().get_dynamic_partitions("symbols") == [SYMBOL]
    assert keys(tick(new_bars_sensor, second.cursor)) == []


def test_no_more_runs_are_asked_for_than_can_be_looked_at_and_the_rest_is_told_to_wait(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sensors, "UNFINISHED_RUNS", 2)
    for symbol in "ABCD":
        pipeline.write_bars(data_dir, symbol, n_bars=1_000)
    cursor = tick(new_bars_sensor, None).cursor
    both = tick(new_bars_sensor, cursor)
    assert keys(both) == ["A", "B"]
    job = build_defs().resolve_job_def("refresh")
    for symbol in "AB":
        open_instance().create_run_for_job(
            job, status=dg.DagsterRunStatus.STARTING, tags={"dagster/partition": symbol}
        )
    third = tick(new_bars_sensor, both.cursor)
    assert keys(third) == []
    assert "left until fewer than 2 runs are unfinished: C, D" in str(third.skip_reason)


def test_a_file_that_still_grows_waits(data_dir: Path) -> None:
    pipeline.write_bars(data_dir, n_bars=1_000)
    cursor = tick(new_bars_sensor, None).cursor
    pipeline.write_bars(data_dir, n_bars=2_000)
    grown = tick(new_bars_sensor, cursor)
    assert keys(grown) == []
    assert keys(tick(new_bars_sensor, grown.cursor)) == [SYMBOL]


def test_half_a_parquet_file_waits_for_its_footer(data_dir: Path) -> None:
    pipeline.write_bars(data_dir)
    path = data_dir / "market" / f"{SYMBOL}.parquet"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    cursor = None
    for _ in range(3):
        result = tick(new_bars_sensor, cursor)
        assert keys(result) == []
        cursor = result.cursor
    path.write_bytes(whole)
    cursor = tick(new_bars_sensor, cursor).cursor
    assert keys(tick(new_bars_sensor, cursor)) == [SYMBOL]


def test_a_file_that_is_only_touched_is_not_refreshed(data_dir: Path) -> None:
    pipeline.write_bars(data_dir)
    cursor = tick(new_bars_sensor, tick(new_bars_sensor, None).cursor).cursor
    touch(data_dir / "market" / f"{SYMBOL}.parquet")
    for _ in range(3):
        result = tick(new_bars_sensor, cursor)
        assert keys(result) == []
        cursor = result.cursor


def test_a_reverted_file_is_refreshed_again(data_dir: Path) -> None:
    """Without a run key, which would have Dagster pass over the request as known."""
    requests, cursor = list[dg.RunRequest](), None
    for n_bars in (1_000, 2_000, 1_000):
        pipeline.write_bars(data_dir, n_bars=n_bars)
        touch(data_dir / "market" / f"{SYMBOL}.parquet")
        cursor = tick(new_bars_sensor, cursor).cursor
        result = tick(new_bars_sensor, cursor)
        cursor = result.cursor
        requests += result.run_requests or []
    assert [(request.partition_key, request.run_key) for request in requests] == [(SYMBOL, None)] * 3


def test_a_folder_that_is_missing_is_said_and_nothing_is_forgotten(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRADING_ASSETS_MARKET_DIR", str(data_dir / "nowhere"))
    result = tick(new_bars_sensor, '{"X": {"look": null, "digest": null, "count": 3}}')
    assert result.skip_reason and "does not exist" in str(result.skip_reason)
    assert result.cursor is None


def test_what_waited_before_retraining_was_switched_on_is_found(data_dir: Path) -> None:
    pipeline.write_bars(data_dir)
    assert pipeline.train(names=list(REFRESH))
    first = tick(retrain_sensor, None)
    assert keys(first) == [SYMBOL]
    assert keys(tick(retrain_sensor, first.cursor)) == []


def test_what_was_trained_by_hand_is_not_trained_again(trained: Path) -> None:
    result = tick(retrain_sensor, None)
    assert keys(result) == []
    assert result.cursor and SYMBOL in result.cursor


def test_a_new_bar_retrains_nothing_and_a_completed_step_retrains_once(own_trained: Path) -> None:
    cursor = tick(retrain_sensor, None).cursor
    pipeline.write_bars(own_trained, n_bars=pipeline.N_BARS + 1)
    assert pipeline.train(names=list(REFRESH))
    result = tick(retrain_sensor, cursor)
    assert keys(result) == []
    pipeline.write_bars(own_trained, n_bars=pipeline.N_BARS + 168)
    assert pipeline.train(names=list(REFRESH))
    result = tick(retrain_sensor, result.cursor)
    assert keys(result) == [SYMBOL]
    assert keys(tick(retrain_sensor, result.cursor)) == []


def test_changed_settings_retrain_and_changing_them_back_asks_for_nothing(
    own_trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cursor = tick(retrain_sensor, None).cursor
    profile = own_trained / "mine.yaml"
    profile.write_text("extends: smoke\ncosts: {fee_bps: 3}\nsymbols: {'SYN-*': {costs: {fee_bps: 3}}}\n")
    monkeypatch.setenv("TRADING_ASSETS_PROFILE", str(profile))
    changed = tick(retrain_sensor, cursor)
    assert keys(changed) == [SYMBOL]
    monkeypatch.setenv("TRADING_ASSETS_PROFILE", "smoke")
    assert keys(tick(retrain_sensor, changed.cursor)) == []


def test_another_label_horizon_retrains_on_new_labels(
    own_trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cursor = tick(retrain_sensor, None).cursor
    profile = own_trained / "mine.yaml"
    profile.write_text("extends: smoke\nsymbols: {'SYN-*': {labels: {horizon: 3}}}\n")
    monkeypatch.setenv("TRADING_ASSETS_PROFILE", str(profile))
    assert keys(tick(retrain_sensor, cursor)) == [SYMBOL]
    workspace = Workspace()
    stale = set(to_run(asset_states(workspace.store, None, workspace.settings(SYMBOL), SYMBOL)))
    assert {"labels", "dataset", "cv_folds"} <= stale <= set(RETRAIN)


def test_a_symbol_in_training_is_left_alone_until_the_run_is_over(own_trained: Path) -> None:
    pipeline.write_bars(own_trained, n_bars=pipeline.N_BARS + 168)
    assert pipeline.train(names=list(REFRESH))
    instance = open_instance()
    job = build_defs().resolve_job_def("retrain")
    run = instance.create_run_for_job(
        job, status=dg.DagsterRunStatus.STARTED, tags={"dagster/partition": SYMBOL}
    )
    waiting = tick(retrain_sensor, None)
    assert keys(waiting) == []
    instance.report_run_failed(run)
    assert keys(tick(retrain_sensor, waiting.cursor)) == [SYMBOL]


def test_odd_entries_in_the_market_folder_disturb_nobody(data_dir: Path) -> None:
    pipeline.write_bars(data_dir)
    (data_dir / "market" / "GONE.csv").symlink_to(data_dir / "nowhere")
    (data_dir / "market" / "FOLDER.parquet").mkdir()
    assert keys(tick(new_bars_sensor, tick(new_bars_sensor, None).cursor)) == [SYMBOL]


def test_a_file_that_is_not_taken_is_named_by_every_tick(data_dir: Path) -> None:
    pipeline.write_bars(data_dir)
    (data_dir / "market" / "btcusdt.csv").touch()
    (data_dir / "market" / "._ETHUSDT.csv").touch()
    result = tick(new_bars_sensor, None)
    words = "btcusdt.csv (a symbol is written in capitals: call it BTCUSDT.csv)"
    assert words in str(result.skip_reason)
    assert "ETHUSDT" not in str(result.skip_reason)


def test_the_weekly_schedule_says_what_is_wrong(own_trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADING_ASSETS_MARKET_DIR", str(own_trained / "nowhere"))
    (skipped,) = weekly_round()
    assert isinstance(skipped, dg.SkipReason) and "does not exist" in str(skipped.skip_message)


def test_a_restart_neither_misses_nor_doubles(own_trained: Path) -> None:
    """An evaluation whose cursor was lost finds the runs of the one before under way."""
    pipeline.write_bars(own_trained, n_bars=pipeline.N_BARS + 168)
    assert pipeline.train(names=list(REFRESH))
    assert keys(tick(retrain_sensor, None)) == [SYMBOL]
    job, instance = build_defs().resolve_job_def("retrain"), open_instance()
    run = instance.create_run_for_job(
        job, status=dg.DagsterRunStatus.STARTING, tags={"dagster/partition": SYMBOL}
    )
    waiting = tick(retrain_sensor, None)
    assert keys(waiting) == []
    assert f"Waiting for run {run.run_id[:8]} of {SYMBOL} (retrain, starting)" in str(waiting.skip_reason)


@pytest.mark.parametrize("cursor", ["", "{", "[1]", '{"SYN-PRICE": {"look": null}}', "null"])
def test_a_cursor_that_was_reset_or_is_broken_runs_nothing_that_is_in_force(
    trained: Path, cursor: str
) -> None:
    first = tick(new_bars_sensor, cursor)
    assert keys(first) == keys(tick(new_bars_sensor, first.cursor)) == []
    assert keys(tick(retrain_sensor, cursor)) == []


def test_a_run_that_never_began_is_asked_for_again_later_each_time_and_not_for_ever(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.write_bars(data_dir)
    now = time.time()
    monkeypatch.setattr(memory.time, "time", lambda: now)
    cursor = tick(new_bars_sensor, None).cursor
    asked = []
    for minute in range(0, 24 * 60, 5):
        monkeypatch.setattr(memory.time, "time", lambda minute=minute: now + 60 * minute)
        result = tick(new_bars_sensor, cursor)
        cursor = result.cursor
        asked += [minute] * len(keys(result))
    assert asked == [0, 5, 35, 155]
    assert f"{SYMBOL}: given up after 4 runs" in str(result.skip_reason)


def test_a_rejected_file_is_tried_again_under_other_settings(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = pd.DataFrame(SyntheticMarket("price", 1.0, n_bars=2_000, seed=5).bars)
    frame["timestamp"] = frame["timestamp"].dt.tz_localize(None)
    frame.to_csv(data_dir / "market" / f"{SYMBOL}.csv", index=False)
    cursor = tick(new_bars_sensor, tick(new_bars_sensor, None).cursor).cursor
    assert not pipeline.train(names=list(REFRESH))
    assert keys(tick(new_bars_sensor, cursor)) == []
    profile = data_dir / "mine.yaml"
    profile.write_text("extends: smoke\nmarket: {time_zone: UTC}\n")
    monkeypatch.setenv("TRADING_ASSETS_PROFILE", str(profile))
    assert keys(tick(new_bars_sensor, cursor)) == [SYMBOL]


def test_other_content_of_the_same_size_and_time_is_refreshed(own_trained: Path) -> None:
    cursor = tick(new_bars_sensor, tick(new_bars_sensor, None).cursor).cursor
    assert keys(tick(new_bars_sensor, cursor)) == []
    path = own_trained / "market" / f"{SYMBOL}.parquet"
    before = path.stat()
    content = bytearray(path.read_bytes())
    content[1_000] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    cursor = tick(new_bars_sensor, cursor).cursor
    assert keys(tick(new_bars_sensor, cursor)) == [SYMBOL]


def test_one_bad_symbol_fails_alone(data_dir: Path) -> None:
    market = data_dir / "market"
    pipeline.write_bars(data_dir)
    (market / "DOUBLED.csv").touch()
    (market / "DOUBLED.parquet").touch()
    (market / "UNREADABLE.csv").symlink_to("/proc/self/mem")
    cursor = tick(new_bars_sensor, None).cursor
    result = tick(new_bars_sensor, cursor)
    assert keys(result) == [SYMBOL]
    said = str(tick(new_bars_sensor, result.cursor).skip_reason)
    assert "DOUBLED.csv and DOUBLED.parquet" in said and "bars of UNREADABLE cannot be read" in said


def test_a_look_at_many_symbols_lists_the_folder_once(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(90):
        (data_dir / "market" / f"S{number}.csv").write_text(f"{number}")
    listed, scandir = list[object](), os.scandir
    monkeypatch.setattr(sources.os, "scandir", lambda path: listed.append(path) or scandir(path))
    first = tick(new_bars_sensor, None)
    assert listed.count(data_dir / "market") == 1
    assert len(keys(tick(new_bars_sensor, first.cursor))) == 90
    assert listed.count(data_dir / "market") == 2


def test_what_does_not_fit_into_a_tick_is_found_in_the_next(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.write_bars(data_dir)
    cursor = tick(new_bars_sensor, None).cursor
    monkeypatch.setattr(sensors, "TICK_SECONDS", -1.0)
    full = tick(new_bars_sensor, cursor)
    assert keys(full) == [] and "Left for the next look" in str(full.skip_reason)
    monkeypatch.undo()
    pipeline.use(data_dir, monkeypatch)
    assert keys(tick(new_bars_sensor, full.cursor)) == [SYMBOL]


def test_a_broken_profile_is_said_and_stops_no_other_symbol(
    own_trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile = own_trained / "mine.yaml"
    profile.write_text(f"extends: smoke\nsymbols: {{{SYMBOL}: {{costs: {{fee: 3}}}}}}\n")
    monkeypatch.setenv("TRADING_ASSETS_PROFILE", str(profile))
    result = tick(retrain_sensor, None)
    assert "Unknown setting 'costs.fee'" in str(result.skip_reason)


def test_the_weekly_schedule_runs_what_changed_and_skips_what_is_fresh(own_trained: Path) -> None:
    assert isinstance(weekly_round()[0], dg.SkipReason)
    pipeline.write_bars(own_trained, n_bars=pipeline.N_BARS + 1)
    requests = weekly_round()
    assert [r.partition_key for r in requests if isinstance(r, dg.RunRequest)] == [SYMBOL]


def test_new_bars_are_watched_from_the_start_and_retraining_is_switched_on_by_hand() -> None:
    assert new_bars_sensor.default_status == dg.DefaultSensorStatus.RUNNING
    assert retrain_sensor.default_status == dg.DefaultSensorStatus.STOPPED
    assert weekly_schedule.default_status == dg.DefaultScheduleStatus.STOPPED
