"""Calibrated forecasters side by side: every figure from their folders and bars none of them has seen."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.forecasters.test_forecast_backtest import cost_settings
from trading_assets.config import Settings
from trading_assets.config.settings import CostSettings, EnvConfig
from trading_assets.features.dataset import Dataset
from trading_assets.forecasters import forecaster_class, load_forecaster
from trading_assets.forecasters.crossfit import score
from trading_assets.forecasters.forecast_backtest import (
    follow_forecast,
    forecast_market,
    read_threshold,
    write_threshold,
)
from trading_assets.forecasters.pipeline import calibrate_forecaster, fit_forecaster
from trading_assets.forecasters.sequence import integrated_gradients
from trading_assets.registry.ledger import TrialCount
from trading_assets.reports import pictures
from trading_assets.reports.forecasts import ComparedForecasters, compare_forecasters
from trading_assets.reports.significance import sharpe_statistics
from trading_assets.simulation.backtesting import backtest
from trading_assets.simulation.market import Market
from trading_assets.validation.folds import Folds
from trading_assets.validation.metrics import EDGE, NO_EDGE
from trading_assets.validation.overfitting import probability_of_backtest_overfitting

KINDS = ["lightgbm", "gru"]
FEW = TrialCount(2, (0.02, 0.03))
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def folders(
    stage1_folders: tuple[Path, Path], stage1_settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """Calibrated forecasters of two kinds."""
    made = {}
    for kind in KINDS:
        bare, made[kind] = tmp_path_factory.mktemp(kind), tmp_path_factory.mktemp(f"{kind}_calibrated")
        model = forecaster_class(kind)(0, **getattr(stage1_settings, kind).model_dump())
        fit_forecaster(model, *stage1_folders, stage1_settings).write(bare)
        model = load_forecaster(bare)
        calibrate_forecaster(model, bare, *stage1_folders, stage1_settings).write(made[kind])
    return made


@pytest.fixture(scope="module")
def folds(stage1_folders: tuple[Path, Path]) -> Folds:
    return Folds.read(stage1_folders[1])


@pytest.fixture(scope="module")
def compared(
    folders: dict[str, Path], dataset: Dataset, folds: Folds, stage1_settings: Settings
) -> ComparedForecasters:
    return compare_forecasters(folders, dataset, folds.eras.validation, stage1_settings, FEW)


def priced(base: Settings, **costs: Any) -> Settings:
    """The settings with other costs."""
    return base.model_copy(update={"costs": CostSettings(**costs)})


def said(folder: Path, dataset: Dataset, bars: np.ndarray, **given: Any) -> np.ndarray:
    """By the model in a folder, after all bars from the warm-up on."""
    X = dataset.features.iloc[dataset.warm_up : bars[-1] + 1]
    return load_forecaster(folder).predict_proba(X, **given)[bars - dataset.warm_up, 1]


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_has_the_scores_and_the_net_result_of_the_calibrated_forecast(
    compared: ComparedForecasters,
    folders: dict[str, Path],
    dataset: Dataset,
    folds: Folds,
    stage1_settings: Settings,
    kind: str,
) -> None:
    bars = np.arange(len(dataset))[folds.eras.validation.rows]
    np.testing.assert_array_equal(compared.bars, bars[1:])
    (row,) = [row for row in compared.rows if row["forecaster"] == kind]
    y = dataset.target("direction")[bars]
    known, threshold = np.isfinite(y), read_threshold(folders[kind])
    p = said(folders[kind], dataset, bars)
    raw = said(folders[kind], dataset, bars, calibrated=False)
    # After 256 bars a GRU has forgotten where it began, to the last digits.
    for name, value in score(y[known], p[known]).items():
        assert row[name] == pytest.approx(value, abs=1e-6), name
    assert row["AUC raw"] == pytest.approx(score(y[known], raw[known])["AUC"], abs=1e-6)
    assert row["Brier raw"] == pytest.approx(np.mean((raw - y)[known] ** 2), abs=1e-6)
    result = follow_forecast(forecast_market(dataset, stage1_settings), bars, p, threshold)
    net, orders = result.returns, int((np.diff(np.r_[0, result.targets]) != 0).sum())
    metrics = result.metrics(dataset.periods_per_year, label_horizon=stage1_settings.labels.horizon)
    luck = sharpe_statistics(net, dataset.periods_per_year, FEW, orders)
    assert row["net return"] == pytest.approx(np.prod(1 + net) - 1, rel=1e-6)
    assert row["net Sharpe"] == pytest.approx(luck.pop("Sharpe"), rel=1e-6)
    assert {name: row[name] for name in luck} == pytest.approx(luck, rel=1e-6)
    assert row["orders"] == orders > 5
    assert row["alpha t"] == pytest.approx(metrics["alpha t"], rel=1e-6)
    edge = metrics["net return"] > 0 and metrics["alpha t"] > 2 and luck["deflated Sharpe"] > 0.95
    assert row["verdict"] == (EDGE if edge else NO_EDGE)
    np.testing.assert_allclose(compared.growth[kind], np.cumprod(1 + net), rtol=1e-6)
    outcomes, before, after = compared.reliability[kind]
    np.testing.assert_array_equal(outcomes, y[known])
    np.testing.assert_allclose(before, raw[known], atol=1e-6)
    np.testing.assert_allclose(after, p[known], atol=1e-6)


def test_there_is_a_row_for_each_forecaster_in_the_order_given(
    compared: ComparedForecasters, folders: dict[str, Path]
) -> None:
    assert [row["forecaster"] for row in compared.rows] == list(folders) == list(compared.growth)
    assert all(row.keys() == compared.rows[0].keys() for row in compared.rows)
    assert compared.rows[0]["AUC"] != compared.rows[1]["AUC"]


def test_overfitting_is_asked_of_every_forecaster_at_every_threshold(
    compared: ComparedForecasters,
    folders: dict[str, Path],
    dataset: Dataset,
    folds: Folds,
    stage1_settings: Settings,
) -> None:
    candidates, market = [], forecast_market(dataset, stage1_settings)
    bars = np.arange(len(dataset))[folds.eras.validation.rows]
    for folder in folders.values():
        p = said(folder, dataset, bars)
        for share in range(20):
            threshold = share / 20 * np.abs(p - 0.5).max()
            candidates.append(follow_forecast(market, bars, p, threshold).returns)
    expected = probability_of_backtest_overfitting(np.column_stack(candidates))
    assert len(candidates) == 40
    assert compared.overfitting == pytest.approx(expected.pbo, abs=0.02)
    assert compared.loss == pytest.approx(expected.probability_of_loss, abs=0.02)


@settings(max_examples=8)
@given(costs=cost_settings, margin=st.floats(0, 0.9), fine=st.floats(0, 500))
def test_the_report_s_equity_is_the_backtest_of_the_same_targets_under_any_costs(
    folders: dict[str, Path],
    dataset: Dataset,
    folds: Folds,
    stage1_settings: Settings,
    costs: CostSettings,
    margin: float,
    fine: float,
) -> None:
    called = {"maintenance_margin": margin, "liquidation_bps": fine}
    environment = stage1_settings.environment.model_copy(update=called)
    given = stage1_settings.model_copy(update={"costs": costs, "environment": environment})
    funded = replace(dataset, frame=dataset.frame.assign(funding_rate=1e-4))
    era, folder = folds.eras.validation, folders["lightgbm"]
    made = compare_forecasters({"lightgbm": folder}, funded, era, given, FEW)
    p, threshold = said(folder, dataset, np.arange(era.start, era.stop - 1)), read_threshold(folder)
    targets = np.where(p > 0.5 + threshold, 1.0, np.where(p < 0.5 - threshold, -1.0, 0.0))
    config = EnvConfig(costs=costs, **called)
    result = backtest(targets, Market.make(funded.bars, config=config, start=era.start, stop=era.stop))
    assert np.array_equal(made.growth["lightgbm"], result.equity[1:])
    assert made.rows[0]["orders"] == np.count_nonzero(result.traded)
    assert made.rows[0]["net return"] == result.equity[-1] - 1


def test_where_nothing_earns_its_costs_the_best_one_loses_whatever_the_probability_of_overfitting(
    folders: dict[str, Path], dataset: Dataset, folds: Folds, stage1_settings: Settings
) -> None:
    """The best of bad ones stays the best, which says nothing for it."""
    dear = priced(stage1_settings, fee_bps=500)
    made = compare_forecasters(folders, dataset, folds.eras.validation, dear, FEW)
    assert all(row["net return"] < 0 for row in made.rows)
    assert made.overfitting < 0.1 and made.loss > 0.8


def test_funding_is_in_every_figure_of_what_was_earned(
    folders: dict[str, Path], dataset: Dataset, folds: Folds, stage1_settings: Settings
) -> None:
    funded = replace(dataset, frame=dataset.frame.assign(funding_rate=1e-4))
    rows = {}
    for funding in (True, False):
        charged = stage1_settings.costs.model_dump() | {"funding": funding}
        given = priced(stage1_settings, **charged)
        made = compare_forecasters(folders, funded, folds.eras.validation, given, FEW)
        rows[funding] = made.rows[0]
        bars, threshold = np.r_[made.bars[0] - 1, made.bars], read_threshold(folders["lightgbm"])
        p = said(folders["lightgbm"], dataset, bars)
        result = follow_forecast(forecast_market(funded, given), bars, p, threshold)
        assert made.growth["lightgbm"][-1] == pytest.approx(result.equity[-1], rel=1e-9)
        assert (result.costs_by_kind["funding"] != 0) == funding
    paid = -1e-4 * result.targets.sum()
    earned = np.log1p(rows[True]["net return"]) - np.log1p(rows[False]["net return"])
    assert earned == pytest.approx(paid, rel=0.05) and abs(paid) > 1e-4
    assert rows[True]["net Sharpe"] != rows[False]["net Sharpe"]
    assert rows[True]["AUC"] == rows[False]["AUC"]


def test_many_more_trials_take_the_verdict_and_leave_the_rest(
    compared: ComparedForecasters,
    folders: dict[str, Path],
    dataset: Dataset,
    folds: Folds,
    stage1_settings: Settings,
) -> None:
    many = TrialCount(100_000, (-0.2, 0.2))
    again = compare_forecasters(folders, dataset, folds.eras.validation, stage1_settings, many)
    assert EDGE in {row["verdict"] for row in compared.rows}
    assert {row["verdict"] for row in again.rows} == {NO_EDGE}
    for before, after in zip(compared.rows, again.rows, strict=True):
        assert after["deflated Sharpe"] < before["deflated Sharpe"]
        changed = {name for name in before if before[name] != after[name]}
        assert changed <= {"deflated Sharpe", "trials", "verdict"}


def test_a_forecaster_that_never_trades_has_neither_result_nor_edge(
    folders: dict[str, Path], dataset: Dataset, folds: Folds, stage1_settings: Settings, tmp_path: Path
) -> None:
    load_forecaster(folders["lightgbm"]).save(tmp_path)
    write_threshold(tmp_path, 0.5)
    both = {"idle": tmp_path, **folders}
    made = compare_forecasters(both, dataset, folds.eras.validation, stage1_settings, FEW)
    row = made.rows[0]
    assert (row["net return"], row["net Sharpe"], row["orders"], row["verdict"]) == (0.0, 0.0, 0, NO_EDGE)
    assert row["AUC"] == made.rows[1]["AUC"]
    assert (made.growth["idle"] == 1).all()


def test_without_a_calibrator_the_forecast_is_taken_as_it_is(
    folders: dict[str, Path], dataset: Dataset, folds: Folds, stage1_settings: Settings, tmp_path: Path
) -> None:
    model = load_forecaster(folders["lightgbm"])
    model.calibrator_, model.fold_calibrators_ = None, {}
    model.save(tmp_path)
    write_threshold(tmp_path, 0.01)
    made = compare_forecasters({"raw": tmp_path}, dataset, folds.eras.validation, stage1_settings, FEW)
    assert made.rows[0]["ECE"] == made.rows[0]["ECE raw"] > 0


def test_the_last_bar_is_valued_and_decides_nothing(
    folders: dict[str, Path], dataset: Dataset, folds: Folds, stage1_settings: Settings
) -> None:
    made = compare_forecasters(folders, dataset, folds.eras.test, stage1_settings, FEW)
    assert folds.eras.test.stop == len(dataset)
    assert made.bars[-1] == len(dataset) - 1
    assert all(len(equity) == len(made.bars) for equity in made.growth.values())


def test_every_picture_is_a_png(
    compared: ComparedForecasters, folders: dict[str, Path], dataset: Dataset, tmp_path: Path
) -> None:
    model: Any = load_forecaster(folders["gru"])
    ways = {
        "mean integrated gradient": integrated_gradients(model, dataset.features.iloc[700:1_000]),
        "one only": {"return_1": 0.1},
    }
    times = dataset.frame["timestamp"].iloc[compared.bars]
    trials = [
        {"trial": 0, "median loss": 0.7},
        {"trial": 1, "median loss": None},
        {"trial": 2, "median loss": 0.69},
    ]
    written = [
        pictures.growth(tmp_path, times, compared.growth),
        pictures.reliability(tmp_path, compared.reliability),
        pictures.importances(tmp_path, ways),
        pictures.search(tmp_path, trials, {"steps": 0.6, "dropout": 0.4}),
    ]
    assert written == ["growth.png", "reliability.png", "importance.png", "search.png"]
    for name in written:
        data = (tmp_path / name).read_bytes()
        assert data.startswith(PNG) and len(data) > 5_000, name


def test_a_search_of_a_single_set_has_a_picture_too(tmp_path: Path) -> None:
    name = pictures.search(tmp_path, [{"trial": 0, "median loss": 0.7}], {})
    assert (tmp_path / name).read_bytes().startswith(PNG)


def test_a_forecast_whose_first_order_costs_more_than_everything_is_over(
    folders: dict[str, Path], dataset: Dataset, folds: Folds, stage1_settings: Settings
) -> None:
    # More than settings allow; a short position whose price doubles does the same.
    ruinous = CostSettings().model_copy(update={"fee_bps": 12_000.0})
    given = stage1_settings.model_copy(update={"costs": ruinous})
    found = compare_forecasters(folders, dataset, folds.eras.validation, given, FEW)
    for row in found.rows:
        assert row["net return"] == -0.99 and found.growth[row["forecaster"]][-1] == 0.01
        assert row["orders"] == 1 and row["net Sharpe"] <= 0
        assert row["verdict"] == NO_EDGE
