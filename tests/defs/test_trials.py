"""What the pipeline counts without being asked, what its reports make of it, and its alarms."""

import json
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pytest
from scipy.stats import kurtosis, skew

from tests import pipeline
from tests.pipeline import SYMBOL, current
from trading_assets.agents.storage import load_market
from trading_assets.cli.home import open_instance
from trading_assets.cli.train import TrainRequest, run_assets
from trading_assets.config import load_settings
from trading_assets.config.paths import ledger_file
from trading_assets.definitions import build_defs
from trading_assets.defs.assets import PIPELINE
from trading_assets.defs.materialize import watch
from trading_assets.defs.resources import Workspace
from trading_assets.defs.staleness import asset_states, to_run
from trading_assets.features.dataset import Dataset
from trading_assets.forecasters import FORECASTERS, diagnostics, load_forecaster
from trading_assets.forecasters.forecast_backtest import (
    N_THRESHOLDS,
    follow_forecast,
    forecast_market,
    read_threshold,
)
from trading_assets.registry.artifacts import ArtifactRef, BuildResult, Recipe, Summary
from trading_assets.registry.ledger import TrialCount, TrialLedger
from trading_assets.registry.tables import read_table
from trading_assets.reports.figures import BacktestFigures, SharpeFigures, StrategyFigures
from trading_assets.simulation.backtesting import backtest
from trading_assets.simulation.baselines import BAND_WIDTHS
from trading_assets.validation.folds import Folds
from trading_assets.validation.metrics import sharpe_ratio
from trading_assets.validation.overfitting import deflated_sharpe_ratio

TARGET = "direction over 1 bars"
STAGE1 = [f"{kind}_{part}" for part in ("forecaster", "calibrator") for kind in FORECASTERS]
REPORTS = ["forecast_report", "backtest_report"]


def rows() -> list[dict[str, Any]]:
    return TrialLedger(ledger_file()).rows(SYMBOL, TARGET)


def counted(steps: list[str] | None = None) -> TrialCount:
    return TrialLedger(ledger_file()).count(SYMBOL, TARGET, steps)


def stale() -> list[str]:
    workspace = Workspace()
    return to_run(asset_states(workspace.store, workspace.source, load_settings("smoke", SYMBOL), SYMBOL))


def add_trials(step: str, n: int) -> None:
    """Trials of which nothing came, as a crash leaves them."""
    for seed in range(1_000, 1_000 + n):
        TrialLedger(ledger_file()).start(SYMBOL, TARGET, step, "another", seed)


# --- what is counted


def test_every_step_that_fits_is_counted_once_with_all_it_looked_at(trained: Path) -> None:
    found = {row["name"]: row for row in rows()}
    assert len(found) == len(rows())
    assert set(found) == {*STAGE1, "ppo_agent", "ppo_hybrid", "policy_ensemble"}
    looked = {name: 1 if name.endswith("forecaster") else N_THRESHOLDS for name in STAGE1}
    for name in ("ppo_agent", "ppo_hybrid"):
        looked[name] = len(current(name).summary.tables["training"])
    weights = current("policy_ensemble").summary.tables["weights looked at"]
    looked["policy_ensemble"] = len(weights) + len(BAND_WIDTHS)
    assert {name: row["alternatives"] for name, row in found.items()} == looked
    assert min(looked["ppo_agent"], looked["ppo_hybrid"]) > 1
    assert {row["seed"] for row in found.values()} == {load_settings("smoke", SYMBOL).seed}


def test_what_was_kept_is_noted_with_its_sharpe_ratio_a_bar(trained: Path) -> None:
    noted = {row["name"]: row["sharpe"] for row in rows()}
    for kind in FORECASTERS:
        told = current(f"{kind}_calibrator").summary.numbers["out-of-fold Sharpe per bar"]
        assert noted[f"{kind}_calibrator"] == told
        assert noted[f"{kind}_forecaster"] is None and told > 0, "the forecaster knows no costs"
    for name in ("ppo_agent", "ppo_hybrid"):
        history = current(name).summary.tables["training"]
        (kept,) = [row["sharpe per bar"] for row in history if row["kept"]]
        assert noted[name] == kept
    assert 0 < noted["policy_ensemble"] < 1


def test_a_second_run_counts_nothing_and_launches_nothing(own_trained: Path) -> None:
    before = rows()
    assert stale() == []
    assert pipeline.train()
    assert rows() == before and stale() == []


def test_building_again_counts_nothing_new_and_leaves_the_reports_fresh(own_trained: Path) -> None:
    before, versions = rows(), [current(name).version for name in STAGE1]
    request = TrainRequest(symbols=[SYMBOL], profile="smoke", overrides={})
    assert run_assets(request, SYMBOL, ["lightgbm_forecaster", "lightgbm_calibrator"], rebuild=True)
    assert rows() == before
    assert [current(name).version for name in STAGE1] == versions
    assert stale() == []


def test_another_seed_counts_again_and_makes_the_reports_stale(own_trained: Path) -> None:
    before = rows()
    assert pipeline.train(names=["gru_forecaster"], seed=9)
    *old, new = rows()
    assert old == before
    assert (new["name"], new["seed"]) == ("gru_forecaster", 9)
    assert pipeline.train(names=["gru_forecaster"])  # found again, and not counted
    assert rows() == [*before, new]
    assert stale() == REPORTS
    assert pipeline.train(names=REPORTS)
    assert stale() == []
    assert current("forecast_report").summary.numbers["trials"] == counted(STAGE1).n_trials == 64


def test_other_settings_of_an_ancestor_count_again_at_every_step_they_reach(own_trained: Path) -> None:
    before = counted()
    names = ["lightgbm_forecaster", "lightgbm_calibrator"]
    assert pipeline.train(names=names, lightgbm={"n_estimators": 5})
    assert [row["name"] for row in rows()[-2:]] == names
    assert counted().n_trials == before.n_trials + 1 + N_THRESHOLDS
    assert pipeline.train(names=names)
    assert stale() == REPORTS


def test_settings_that_no_ancestor_reads_count_nothing(own_trained: Path) -> None:
    before = rows()
    assert pipeline.train(names=["gru_forecaster"], ppo={"gamma": 0.5}, bundle={"latency_calls": 101})
    assert rows() == before


def test_another_fee_leaves_no_old_sharpe_ratio_and_trains_no_network_again(own_trained: Path) -> None:
    """What a forecast earns is noted by the step that knows the costs: that one runs again, and only it."""
    before, versions = rows(), {kind: current(f"{kind}_forecaster").version for kind in FORECASTERS}
    old = current("gru_calibrator").summary.numbers["out-of-fold Sharpe per bar"]
    dear = {"costs": {"fee_bps": 40.0}}
    workspace = Workspace()
    planned = asset_states(workspace.store, workspace.source, load_settings("smoke", SYMBOL, dear), SYMBOL)
    assert not {f"{kind}_forecaster" for kind in FORECASTERS} & set(to_run(planned))
    assert pipeline.train(names=[*STAGE1, "forecast_report"], **dear)
    new = rows()[len(before) :]
    assert sorted(row["name"] for row in new) == sorted(f"{kind}_calibrator" for kind in FORECASTERS)
    told = current("gru_calibrator").summary.numbers["out-of-fold Sharpe per bar"]
    assert {row["name"]: row["sharpe"] for row in new}["gru_calibrator"] == told < old
    assert {kind: current(f"{kind}_forecaster").version for kind in FORECASTERS} == versions


def test_another_target_is_counted_apart(own_trained: Path) -> None:
    before = rows()
    goals = ["labels", "dataset", "cv_folds", "lightgbm_forecaster"]
    assert pipeline.train(names=goals, labels={"horizon": 3})
    assert rows() == before
    (other,) = TrialLedger(ledger_file()).rows(SYMBOL, "direction over 3 bars")
    assert other["name"] == "lightgbm_forecaster"


def test_a_step_that_fails_has_been_counted(own_trained: Path) -> None:
    before = rows()
    assert not pipeline.train(names=["gru_forecaster"], gru={"chunk": 100_000})
    *old, new = rows()
    assert old == before
    assert (new["name"], new["alternatives"], new["sharpe"]) == ("gru_forecaster", 1, None)
    assert stale() == REPORTS


def test_every_searched_set_is_counted_with_the_step(own_trained: Path) -> None:
    before = len(rows())
    assert pipeline.train(names=["lightgbm_forecaster"], search={"trials": 3}, lightgbm={"n_estimators": 6})
    new = rows()[before:]
    assert sorted(row["name"] for row in new) == ["lightgbm_forecaster", *["lightgbm_forecaster.search"] * 3]
    found = json.loads((current("lightgbm_forecaster").path / "search.json").read_text())
    assert len(found["trials"]) == 3
    kept = load_forecaster(current("lightgbm_forecaster").path)
    assert {name: getattr(kept.settings, name) for name in found["parameters"]} == found["parameters"]
    assert len(current("lightgbm_forecaster").summary.tables["search"]) == 3
    assert "search.png" in current("lightgbm_forecaster").summary.pictures
    assert counted(["lightgbm_forecaster"]).n_trials == 5


def test_the_ledger_lies_outside_what_may_be_deleted(trained: Path) -> None:
    assert ledger_file().is_file()
    assert Workspace().store.root not in ledger_file().parents


# --- what the reports make of it


def test_the_forecast_report_counts_forecasters_and_calibrators_the_backtest_all(own_trained: Path) -> None:
    assert counted(STAGE1).n_trials == 3 + 3 * N_THRESHOLDS
    assert current("forecast_report").summary.numbers["trials"] == counted(STAGE1).n_trials
    assert current("backtest_report").summary.numbers["trials"] == counted().n_trials
    assert counted().n_trials > counted(STAGE1).n_trials
    add_trials("ppo_agent", 1)
    assert stale() == ["backtest_report"]
    add_trials("cnn_lstm_calibrator", 1)
    assert stale() == REPORTS
    assert pipeline.train(names=REPORTS)
    assert current("forecast_report").summary.numbers["trials"] == 3 + 3 * N_THRESHOLDS + 1
    assert current("backtest_report").summary.numbers["trials"] == counted().n_trials


def deflated(returns: np.ndarray, tried: TrialCount) -> float:
    return deflated_sharpe_ratio(
        returns.mean() / returns.std(ddof=1),
        len(returns),
        n_trials=tried.n_trials,
        trial_variance=float(np.var(tried.sharpes, ddof=1)),
        skew=float(skew(returns)),
        kurtosis=float(kurtosis(returns)) + 3,
    )


def test_the_backtest_s_deflated_sharpe_ratio_follows_from_its_decisions(trained: Path) -> None:
    names = ("dataset", "cv_folds", "market_embeddings")
    market = load_market(*(current(name).path for name in names), load_settings("smoke", SYMBOL))
    frame = read_table(current("backtest_report").path / "decisions.parquet").dropna()
    actions = dict(zip(frame["bar"], frame["action"], strict=True))
    era = market.eras.test
    result = backtest(lambda t, _: actions[t], market.during(era))
    numbers = current("backtest_report").summary.numbers
    assert numbers["deflated Sharpe"] == pytest.approx(deflated(result.returns, counted()), rel=1e-9)
    assert numbers["Sharpe"] == pytest.approx(sharpe_ratio(result.returns, periods_per_year=8_766))
    assert numbers["Sharpe, low"] < numbers["Sharpe"] < numbers["Sharpe, high"]
    assert 0 < numbers["deflated Sharpe"] < numbers["probabilistic Sharpe"] < 1
    figures = BacktestFigures.read(current("backtest_report"))
    assert figures.luck.labelled().items() <= dict(numbers).items()
    assert figures.headline() == numbers
    assert figures.periods_per_year == Dataset.read(current("dataset").path).periods_per_year == 8_766


def test_the_forecasters_deflated_sharpe_ratios_follow_from_their_folders(trained: Path) -> None:
    data = Dataset.read(current("dataset").path)
    era = Folds.read(current("cv_folds").path).eras.validation
    market = forecast_market(data, load_settings("smoke", SYMBOL))
    bars = np.arange(era.start, era.stop)
    table = {row["forecaster"]: row for row in current("forecast_report").summary.tables["validation era"]}
    assert list(table) == list(FORECASTERS)
    for kind, row in table.items():
        folder = current(f"{kind}_calibrator").path
        first = era.start - 256
        p = load_forecaster(folder).predict_proba(data.features.iloc[first : era.stop])[256:, 1]
        result = follow_forecast(market, bars, p, read_threshold(folder))
        net = result.returns
        assert row["net return"] == pytest.approx(np.prod(1 + net) - 1, rel=1e-9), kind
        assert row["deflated Sharpe"] == pytest.approx(deflated(net, counted(STAGE1)), rel=1e-9), kind
        assert row["alpha t"] == pytest.approx(result.metrics(8_766)["alpha t"], rel=1e-9), kind
        edge = row["net return"] > 0 and row["alpha t"] > 2 and row["deflated Sharpe"] > 0.95
        assert row["verdict"] == ("edge after costs" if edge else "no edge after costs")


def test_more_trials_leave_less_of_the_same_sharpe_ratio_and_take_the_verdict(own_trained: Path) -> None:
    """The same bundle on the same bars, after 500 more trials of which nothing is known."""
    before = current("backtest_report").summary.numbers
    add_trials("ppo_agent", 500)
    assert pipeline.train(names=["backtest_report"])
    after = current("backtest_report").summary.numbers
    assert after["trials"] == before["trials"] + 500
    assert after["deflated Sharpe"] < before["deflated Sharpe"]
    unchanged = ("net return", "Sharpe", "probabilistic Sharpe", "Sharpe, low", "alpha t")
    assert [after[name] for name in unchanged] == [before[name] for name in unchanged]
    assert after["verdict"] == "no edge after costs"
    assert after["deflated Sharpe"] < 0.95


# --- asset checks


def checks_of(name: str) -> dict[str, Any]:
    """The newest evaluation of every check of an asset, for the symbol."""
    log = open_instance().event_log_storage
    found = {}
    for check in PIPELINE[name].checks:
        key = dg.AssetCheckKey(dg.AssetKey(name), check)
        (record,) = log.get_asset_check_execution_history(key, limit=1)
        assert record.event is not None and record.event.dagster_event is not None
        found[check] = record.event.dagster_event.event_specific_data
    return found


def test_every_declared_check_is_evaluated_as_a_warning_of_the_symbol(trained: Path) -> None:
    names = [name for name, asset in PIPELINE.items() if asset.checks]
    assert names == [*(f"{kind}_forecaster" for kind in FORECASTERS), *REPORTS]
    for name in names:
        summary = current(name).summary
        assert set(summary.checks) == set(PIPELINE[name].checks)
        for check, told in checks_of(name).items():
            assert told.partition == SYMBOL, (name, check)
            assert told.severity == dg.AssetCheckSeverity.WARN
            assert told.passed == summary.checks[check].passed
            assert told.description == summary.checks[check].text


def test_checks_have_the_verdict_of_the_figures_beside_them(trained: Path) -> None:
    for kind in FORECASTERS:
        numbers, told = current(f"{kind}_forecaster").summary.numbers, checks_of(f"{kind}_forecaster")
        auc = [numbers["out-of-fold AUC"], numbers["next-era AUC"]]
        skill = [numbers["out-of-fold Brier skill"], numbers["next-era Brier skill"]]
        assert told[diagnostics.AUC].passed == (max(auc) <= 0.60), kind
        assert told[diagnostics.SKILL].passed == (max(skill) <= 0.03), kind
        assert told[diagnostics.GAP].passed == (auc[0] - auc[1] <= 0.05), kind
    # The synthetic market is far too easy: what would be a leak on a real one is told.
    assert not checks_of("lightgbm_forecaster")[diagnostics.AUC].passed
    best = max(row["net Sharpe"] for row in current("forecast_report").summary.tables["validation era"])
    assert checks_of("forecast_report")[diagnostics.SHARPE].passed == (best <= 2)
    sharpe = current("backtest_report").summary.numbers["Sharpe"]
    assert checks_of("backtest_report")[diagnostics.SHARPE].passed == (sharpe <= 2)
    assert sharpe > 2, "far too easy too"


def test_only_lightgbm_is_asked_for_the_positive_control(trained: Path) -> None:
    asked = [name for name, asset in PIPELINE.items() if diagnostics.CONTROL in asset.checks]
    assert asked == ["lightgbm_forecaster"]
    auc = current("lightgbm_forecaster").summary.numbers["control: high-variance AUC"]
    assert checks_of("lightgbm_forecaster")[diagnostics.CONTROL].passed == (auc >= 0.6)
    assert auc > 0.6
    assert "control: high-variance AUC" not in current("gru_forecaster").summary.numbers


def test_a_failed_check_stops_nothing(trained: Path) -> None:
    """Alarms went off above, and everything below them was built."""
    assert not checks_of("lightgbm_forecaster")[diagnostics.AUC].passed
    assert current("backtest_report").path.is_dir()


def test_checks_of_another_symbol_do_not_touch_this_one(own_trained: Path) -> None:
    before = checks_of("lightgbm_forecaster")
    pipeline.write_bars(own_trained, "SYN-OTHER", n_bars=pipeline.N_BARS)
    goals = ["bars", "features", "labels", "dataset", "cv_folds", "lightgbm_forecaster"]
    assert pipeline.train("SYN-OTHER", names=goals)
    log = open_instance().event_log_storage
    for check, told in before.items():
        key = dg.AssetCheckKey(dg.AssetKey("lightgbm_forecaster"), check)
        history = log.get_asset_check_execution_history(key, limit=9)
        assert [record.partition for record in history] == ["SYN-OTHER", SYMBOL]
        assert history[1].event is not None and history[1].event.dagster_event is not None
        assert history[1].event.dagster_event.event_specific_data == told


# --- what the steps leave


@pytest.mark.parametrize("kind", FORECASTERS)
def test_the_calibrator_s_folder_holds_the_whole_calibrated_model(own_trained: Path, kind: str) -> None:
    """With a calibrator that is asked for: the best may leave the forecast as it is."""
    assert pipeline.train(names=[f"{kind}_calibrator"], calibration={"method": "platt"})
    folder, bare = current(f"{kind}_calibrator").path, current(f"{kind}_forecaster").path
    names = {path.name for path in folder.iterdir()}
    folds = {f"calibrator_fold{k}.json" for k in range(3)}
    assert {"model.json", "calibrator.json", "cv_results.json", "threshold.json", *folds} <= names
    assert {path.name for path in bare.iterdir()} & {"calibrator.json", "threshold.json", *folds} == set()
    whole, raw = load_forecaster(folder), load_forecaster(bare)
    assert raw.calibrator_ is None and whole.calibrator_ is not None
    data = Dataset.read(current("dataset").path)
    X = data.features.iloc[data.warm_up : data.warm_up + 600]
    said = raw.predict_proba(X)[:, 1]
    np.testing.assert_array_equal(whole.predict_proba(X)[:, 1], whole.calibrator_.transform(said))
    np.testing.assert_array_equal(whole.predict_proba(X, calibrated=False)[:, 1], said)
    assert np.abs(whole.predict_proba(X)[:, 1] - said).max() > 1e-3
    assert sorted(whole.fold_calibrators_) == [0, 1, 2]
    assert read_threshold(folder) == current(f"{kind}_calibrator").summary.numbers["threshold"]
    scores = json.loads((folder / "cv_results.json").read_text())
    assert scores == current(f"{kind}_forecaster").summary.tables["cross-validation"]


@pytest.mark.parametrize("kind", FORECASTERS)
def test_every_forecaster_reaches_embeddings_and_bundle(kind: str, trained: Path) -> None:
    table = read_table(current("market_embeddings").path / "embeddings.parquet")
    assert list(table.columns[-3:]) == [f"p_{name}" for name in FORECASTERS]
    data = Dataset.read(current("dataset").path)
    first = int(data.features.notna().all(axis=1).to_numpy().argmax())
    said = load_forecaster(current(f"{kind}_calibrator").path).predict_proba(data.features.iloc[first:])
    np.testing.assert_allclose(table[f"p_{kind}"].to_numpy()[first:], said[:, 1], atol=1e-5)
    bundle = json.loads((current("policy_bundle").path / "architecture.json").read_text())
    calibrator = json.loads((current(f"{kind}_calibrator").path / "calibrator.json").read_text())
    about = next(about for about in bundle["forecasters"] if about["kind"] == kind)
    assert about["calibrator"] == calibrator


# --- interrupted


def test_an_interrupted_forecaster_goes_on_and_is_what_it_would_have_been(own_trained: Path) -> None:
    """Stopped in the final fit, after three folds; the undisturbed build is made last, from nothing."""
    overrides = {"gru": {"steps": 40, "checkpoint_every": 10, "evaluate_every": 5}}
    checkpoints, before, heard = own_trained / "artifacts" / "checkpoints", rows(), 0

    def stop(step: str, event: str, fraction: float, text: str) -> None:
        nonlocal heard
        heard += event == "running" and text.startswith("step")
        if heard == 3 * 8 + 5:
            raise RuntimeError("pulled the plug")

    assert not checkpoints.exists() or not list(checkpoints.iterdir())
    with watch(stop):
        assert not pipeline.train(names=["gru_forecaster"], **overrides)
    (folder,) = checkpoints.iterdir()
    assert {path.name for path in folder.iterdir()} == {"fold0.pt", "fold1.pt", "fold2.pt", "final.pt"}
    assert len(rows()) == len(before) + 1 and rows()[-1]["sharpe"] is None
    assert pipeline.train(names=["gru_forecaster"], **overrides)
    done = current("gru_forecaster")
    assert done.metadata["details"]["training"]["resumed_at"] == 20
    assert list(checkpoints.iterdir()) == []
    assert len(rows()) == len(before) + 1, "counted once, though it was started twice"
    request = TrainRequest(symbols=[SYMBOL], profile="smoke", overrides=overrides)
    outcomes = []
    with watch(lambda step, event, *_: outcomes.append(event)):
        assert run_assets(request, SYMBOL, ["gru_forecaster"], rebuild=True)
    assert outcomes[-1] == "unchanged"
    assert current("gru_forecaster").version == done.version


def test_checkpoints_are_removed_after_success(trained: Path) -> None:
    checkpoints = trained / "artifacts" / "checkpoints"
    assert not checkpoints.exists() or list(checkpoints.iterdir()) == []


def write_report(symbol: str, alpha: float, *, as_before: bool = False) -> None:
    """A backtest report whose interval is not known; `as_before`, one that holds no figures for code."""
    row = {
        **dict.fromkeys(("net_return", "gross_return", "sharpe", "max_drawdown", "costs_paid", "t"), 0.0),
        **dict.fromkeys(("exposure", "orders"), 1.0),
        "verdict": "no edge after costs",
    }
    unknown = float("nan")
    luck = SharpeFigures(sharpe=0.1, low=unknown, high=unknown, probabilistic=0.6, deflated=0.5, trials=3)
    figures = BacktestFigures(
        strategies=tuple(
            StrategyFigures(strategy=name, alpha_t=alpha, **row) for name in ("policy", "buy and hold")
        ),
        luck=luck,
        periods_per_year=8_766,
        fee_bps=10,
        slippage_bps=5,
        test_bars=100,
        band_width=0.1,
    )

    def build(folder: Path) -> BuildResult:
        if not as_before:
            figures.write(folder)
        return BuildResult(identity="0", summary=Summary(numbers=figures.headline()))

    recipe = Recipe(
        category="reports", kind="backtest_report", symbol=symbol, method=1, settings={}, inputs={}
    )
    Workspace().store.get_or_build(recipe, {}, build)


def ranked() -> tuple[ArtifactRef, list[dict[str, Any]]]:
    """The leaderboard of the registered symbols, made now."""
    assert build_defs().resolve_job_def("rank").execute_in_process(instance=open_instance()).success
    ref = Workspace().store.current("reports", "leaderboard", "ALL")
    assert ref is not None

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return ref, json.loads((ref.path / "leaderboard.json").read_text(), parse_constant=refuse)


def test_a_report_whose_figures_are_not_all_known_is_ranked_like_all_others(data_dir: Path) -> None:
    """As after fewer orders than an interval needs; without an alpha it comes last."""
    alphas = {"NONE": float("nan"), "FEW": 1.5, "MANY": 0.5, "MORE": 2.5}
    open_instance().add_dynamic_partitions("symbols", list(alphas))
    for symbol, alpha in alphas.items():
        write_report(symbol, alpha)
    ref, rows = ranked()
    assert [row["symbol"] for row in rows] == ["MORE", "FEW", "MANY", "NONE"]
    assert rows[1]["Sharpe, low"] is None and rows[3]["alpha t"] is None
    assert ref.summary.notes == ()


def test_a_report_of_an_earlier_version_is_left_out_with_the_command_that_rebuilds_it(data_dir: Path) -> None:
    open_instance().add_dynamic_partitions("symbols", ["NEW", "OLD"])
    write_report("NEW", 0.5)
    write_report("OLD", 2.5, as_before=True)
    ref, rows = ranked()
    assert [row["symbol"] for row in rows] == ["NEW"]
    (note,) = ref.summary.notes
    assert note == (
        "OLD is left out: backtest_report 1.0.0 of OLD was built by an earlier version of this package, "
        "without metrics.json. Rebuild it: trading-assets train backtest_report --symbols OLD"
    )
