"""A forecaster's whole training and its calibration: which bars each figure is from, and what is written."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trading_assets.config import Settings
from trading_assets.errors import NotReadyError
from trading_assets.features.dataset import Dataset
from trading_assets.forecasters import diagnostics, forecaster_class, load_forecaster
from trading_assets.forecasters.base import ModelAdapter
from trading_assets.forecasters.calibration import choose_calibrator, slope_t
from trading_assets.forecasters.calibrators import CALIBRATORS
from trading_assets.forecasters.crossfit import cross_fit, predict_block, score
from trading_assets.forecasters.forecast_backtest import choose_threshold, forecast_market, read_threshold
from trading_assets.forecasters.lightgbm import LightGBMForecaster
from trading_assets.forecasters.loading import OUT_OF_FOLD
from trading_assets.forecasters.pipeline import (
    FittedForecaster,
    calibrate_forecaster,
    fit_forecaster,
)
from trading_assets.progress import listen
from trading_assets.registry.ledger import TrialLedger, Trials
from trading_assets.registry.tables import read_table, write_table
from trading_assets.validation.folds import Folds, make_folds

Fit = Callable[..., FittedForecaster]


def changed(settings: Settings, **sections: Mapping[str, Any]) -> Settings:
    """The settings with other values in some sections."""
    update = {name: getattr(settings, name).model_copy(update=value) for name, value in sections.items()}
    return settings.model_copy(update=update)


@pytest.fixture(scope="module")
def fit(stage1_folders: tuple[Path, Path], stage1_settings: Settings) -> Fit:
    """Train a forecaster of a kind on the folders, with settings that may differ."""

    def run(kind: str = "lightgbm", settings: Settings = stage1_settings, **given: Any) -> FittedForecaster:
        model = forecaster_class(kind)(settings.seed, **getattr(settings, kind).model_dump())
        return fit_forecaster(model, *stage1_folders, settings, **given)

    return run


@pytest.fixture(scope="module")
def folds(stage1_folders: tuple[Path, Path]) -> Folds:
    return Folds.read(stage1_folders[1])


@pytest.fixture(scope="module")
def fitted(fit: Fit) -> FittedForecaster:
    return fit(control=True)


@pytest.fixture
def folder(fitted: FittedForecaster, tmp_path: Path) -> Path:
    """The fitted forecaster, written."""
    path = tmp_path / "forecaster"
    path.mkdir()
    fitted.write(path)
    return path


# --- fitting


def test_the_model_is_fitted_on_the_first_era_and_scored_on_bars_it_has_not_seen(
    fitted: FittedForecaster, dataset: Dataset, folds: Folds, stage1_settings: Settings
) -> None:
    era, later = folds.eras.forecaster_train, folds.eras.agent_train
    y, weight = dataset.target("direction"), np.nan_to_num(dataset.frame["weight"].to_numpy())
    model = forecaster_class("lightgbm")(0, **stage1_settings.lightgbm.model_dump())
    model.fit(dataset.features, y, rows=np.arange(era.start, era.stop), sample_weight=weight)
    X = dataset.features.iloc[later.start : later.stop]
    p = model.predict_proba(X)[:, 1]
    np.testing.assert_array_equal(fitted.model.predict_proba(X)[:, 1], p)
    expected = score(y[later.rows], p)
    for name in ("AUC", "accuracy", "Brier skill"):
        assert fitted.numbers[f"next-era {name}"] == pytest.approx(expected[name], rel=1e-12)
    assert fitted.numbers["training bars"] == len(era)


def test_a_kind_with_nothing_to_search_is_fitted_as_it_is(
    fit: Fit, stage1_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LightGBMForecaster, "search_space", dict)
    found = fit(settings=changed(stage1_settings, search={"trials": 2}))
    assert found.search is None and found.model.settings == stage1_settings.lightgbm


def test_out_of_fold_figures_are_those_of_the_folds_alone(fitted: FittedForecaster, folds: Folds) -> None:
    frame, era = fitted.out_of_fold.frame, folds.eras.forecaster_train
    np.testing.assert_array_equal(frame["row"], np.concatenate([test for _, test in folds.splits]))
    assert era.start <= frame["row"].min() and frame["row"].max() < era.stop
    whole = score(frame["y"].to_numpy(), frame["p"].to_numpy())
    assert fitted.numbers["out-of-fold AUC"] == whole["AUC"]
    assert fitted.numbers["out-of-fold Brier skill"] == whole["Brier skill"]
    assert [row["test"] for row in fitted.out_of_fold.folds] == [len(test) for _, test in folds.splits]


def test_the_positive_control_forecasts_high_variance_on_the_same_folds(
    fitted: FittedForecaster, fit: Fit, dataset: Dataset, folds: Folds
) -> None:
    made = cross_fit(fitted.model.clone, dataset.features, dataset.target("high_variance"), folds.splits)
    assert fitted.numbers["control: high-variance AUC"] == made.score["AUC"] > 0.5
    assert fitted.checks[diagnostics.CONTROL].passed == (made.score["AUC"] >= 0.6)
    bare = fit()
    assert diagnostics.CONTROL not in bare.checks and "control: high-variance AUC" not in bare.numbers
    assert set(bare.checks) == {diagnostics.AUC, diagnostics.SKILL, diagnostics.GAP, diagnostics.SLOPE}
    assert bare.numbers.items() <= fitted.numbers.items()


def test_a_forecaster_of_the_opposite_answers_rings(
    fitted: FittedForecaster, stage1_settings: Settings, fit: Fit, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = fitted.out_of_fold.frame
    t = slope_t(frame["p"], frame["y"], frame["fold"], overlap=stage1_settings.labels.horizon)
    assert fitted.numbers["out-of-fold slope (t)"] == t > 3
    assert fitted.checks[diagnostics.SLOPE].passed
    predict = LightGBMForecaster._predict
    monkeypatch.setattr(LightGBMForecaster, "_predict", lambda model, Z: -predict(model, Z))
    assert not fit().checks[diagnostics.SLOPE].passed


def test_alarms_know_the_horizon_of_the_labels(fit: Fit, stage1_settings: Settings) -> None:
    far = fit(settings=changed(stage1_settings, labels={"horizon": 24}))
    assert "alarm above 0.58" in far.checks[diagnostics.AUC].text
    assert "alarm above 0.6." in fit().checks[diagnostics.AUC].text


def test_a_folder_holds_the_model_its_folds_scores_and_its_out_of_fold_forecasts(
    fitted: FittedForecaster, folder: Path
) -> None:
    assert json.loads((folder / "cv_results.json").read_text()) == fitted.out_of_fold.folds
    assert read_table(folder / OUT_OF_FOLD).equals(fitted.out_of_fold.frame)
    assert load_forecaster(folder).kind == "lightgbm"
    assert not (folder / "search.json").exists() and not (folder / "calibrator.json").exists()


@pytest.mark.parametrize("kind", ["lightgbm", "gru"])
def test_importance_is_told_in_every_way_that_suits_the_kind(fit: Fit, kind: str) -> None:
    ways = set(fit(kind).importance)
    own = {"share of gain", "mean SHAP value"} if kind == "lightgbm" else {"mean integrated gradient"}
    assert ways == {*own, "rise of the Brier score"}


def test_an_interrupted_training_goes_on_and_comes_out_the_same(
    fit: Fit, stage1_settings: Settings, tmp_path: Path
) -> None:
    settings = changed(stage1_settings, gru={"checkpoint_every": 5, "evaluate_every": 5})
    heard: list[str] = []

    def listener(fraction: float, text: str) -> None:
        heard.append(text)
        if sum(line.startswith("step") for line in heard) == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), listen(listener):
        fit("gru", settings, checkpoints=tmp_path / "checkpoints")
    left = {path.name for path in (tmp_path / "checkpoints").iterdir()}
    assert left == {"fold0.pt", "fold1.pt"}
    resumed = fit("gru", settings, checkpoints=tmp_path / "checkpoints")
    whole = fit("gru", settings)
    assert [model.training_["resumed_at"] for model in resumed.out_of_fold.models] == [20, 10, 0]
    assert resumed.out_of_fold.frame.equals(whole.out_of_fold.frame)
    assert resumed.numbers == whole.numbers and resumed.importance == whole.importance
    for name, value in whole.model.weights().items():  # type: ignore[attr-defined]
        assert np.array_equal(value, resumed.model.weights()[name]), name  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", ["lightgbm", "gru"])
def test_bars_whose_price_did_not_move_are_neither_fitted_nor_scored(
    dataset: Dataset, stage1_folders: tuple[Path, Path], stage1_settings: Settings, tmp_path: Path, kind: str
) -> None:
    """Every seventh of them: no stretch of labels is as long as a sequence."""
    frame = dataset.frame.copy()
    frame.loc[::7, ["direction", "weight"]] = np.nan
    still = Dataset(frame, dataset.feature_names, dataset.warm_up, dataset.periods_per_year)
    still.write(tmp_path)
    model = forecaster_class(kind)(0, **getattr(stage1_settings, kind).model_dump())
    made = fit_forecaster(model, tmp_path, stage1_folders[1], stage1_settings)
    known = np.isfinite(still.target("direction"))
    frame, era = made.out_of_fold.frame, Folds.read(stage1_folders[1]).eras.forecaster_train
    np.testing.assert_array_equal(frame["row"], np.arange(era.start, era.stop))
    np.testing.assert_array_equal(frame["y"].notna(), known[era.rows])
    rows = Folds.read(stage1_folders[1]).eras.agent_train.rows
    p = predict_block(made.model, still.features, np.arange(rows.start, rows.stop))[:, 1]
    expected = score(still.target("direction")[rows][known[rows]], p[known[rows]])
    assert made.numbers["next-era AUC"] == expected["AUC"] > 0.5
    made.write(tmp_path)
    calibrated = calibrate(tmp_path, (tmp_path, stage1_folders[1]), stage1_settings)
    assert np.isfinite(np.concatenate(calibrated.validation)).all()
    assert calibrated.numbers["out-of-fold rows"] == known[era.rows].sum()
    # Bars without a label are traded like all others: a threshold is judged on every bar of the era.
    p = np.concatenate(
        [
            calibrated.model.fold_calibrators_[k].transform(part["p"].to_numpy())
            for k, part in frame.groupby("fold")
        ]
    )
    chosen = choose_threshold(forecast_market(still, stage1_settings), np.arange(era.start, era.stop), p)
    assert chosen is not None and (calibrated.threshold, calibrated.sharpe) == (
        chosen.threshold,
        chosen.value,
    )


def test_a_validation_era_in_which_no_price_moved_is_named(
    dataset: Dataset,
    folder: Path,
    stage1_folders: tuple[Path, Path],
    stage1_settings: Settings,
    tmp_path: Path,
) -> None:
    frame = dataset.frame.copy()
    era = Folds.read(stage1_folders[1]).eras.validation
    frame.loc[era.start : era.stop - 1, ["direction", "weight"]] = np.nan
    Dataset(frame, dataset.feature_names, dataset.warm_up, dataset.periods_per_year).write(tmp_path)
    with pytest.raises(NotReadyError, match=f"validation era, bars {era.start} to {era.stop - 1}: the"):
        calibrate(folder, (tmp_path, stage1_folders[1]), stage1_settings)


# --- searching


def test_what_a_search_finds_is_fitted_written_and_counted(
    fit: Fit, stage1_settings: Settings, tmp_path: Path
) -> None:
    ledger = TrialLedger(tmp_path / "ledger.sqlite")
    trials = Trials(ledger, "A", "up", "lightgbm_forecaster", "m", 0)
    settings = changed(stage1_settings, search={"trials": 3}, lightgbm={"n_estimators": 50})
    made = fit(settings=settings, trials=trials)
    assert made.search is not None and len(made.search.trials) == 3
    for model in (made.model, *made.out_of_fold.models):
        assert {name: getattr(model.settings, name) for name in made.search.parameters} == (
            made.search.parameters
        )
    assert [row["sharpe"] for row in ledger.rows("A", "up")] == [None] * 3, "it would depend on costs"
    assert made.search.trials[0]["n_estimators"] == 50
    made.write(tmp_path)
    assert json.loads((tmp_path / "search.json").read_text())["trials"] == made.search.trials


def test_more_trials_of_the_same_go_on_and_other_folds_begin_anew(
    stage1_folders: tuple[Path, Path], stage1_settings: Settings, dataset: Dataset, tmp_path: Path
) -> None:
    """Losses on other folds cannot be compared; nor may what was found on them be taken."""
    studies = tmp_path / "studies" / "lightgbm.journal"

    def searched(n_trials: int, cv_folds: Path) -> list[dict[str, Any]]:
        settings = changed(stage1_settings, search={"trials": n_trials})
        model = forecaster_class("lightgbm")(0, n_estimators=50, max_depth=3)
        made = fit_forecaster(model, stage1_folders[0], cv_folds, settings, studies=studies)
        assert made.search is not None
        return made.search.trials

    first = searched(1, stage1_folders[1])
    more = searched(2, stage1_folders[1])
    assert more[:1] == first and len(more) == 2
    other = tmp_path / "cv_folds"
    other.mkdir()
    make_folds(dataset, changed(stage1_settings, folds={"embargo": 60})).write(other)
    (anew,) = searched(1, other)
    assert anew["fold losses"] != first[0]["fold losses"]


# --- calibrating


def calibrate(folder: Path, folders: tuple[Path, Path], settings: Settings) -> Any:
    return calibrate_forecaster(load_forecaster(folder), folder, *folders, settings)


@pytest.mark.parametrize("mirror", [False, True])
def test_the_calibrator_is_chosen_on_out_of_fold_forecasts_with_their_weights(
    fitted: FittedForecaster,
    folder: Path,
    stage1_folders: tuple[Path, Path],
    stage1_settings: Settings,
    mirror: bool,
) -> None:
    """With a mirror image also on every forecast of down as one of up."""
    settings = changed(stage1_settings, calibration={"mirror": mirror})
    made = calibrate(folder, stage1_folders, settings)
    p, y, fold, weight = (fitted.out_of_fold.frame[name].to_numpy() for name in ("p", "y", "fold", "weight"))
    if mirror:
        p, y, fold, weight = np.r_[p, 1 - p], np.r_[y, 1 - y], np.r_[fold, fold], np.r_[weight, weight]
    expected, scores = choose_calibrator(p, y, fold, "best", weight)
    said = np.linspace(0.05, 0.95, 19)
    np.testing.assert_allclose(
        made.model.calibrator_.transform(said), expected.transform(said), rtol=0, atol=1e-7
    )
    if mirror:
        both = made.model.calibrator_.transform(said) + made.model.calibrator_.transform(1 - said)
        np.testing.assert_allclose(both, 1, rtol=0, atol=1e-6)
    assert made.numbers["method"] == expected.method
    told = {row["method"]: row["Brier"] for row in made.tables["Brier score, cross-fitted"]}
    assert told == pytest.approx(scores, abs=1e-9)


@pytest.mark.parametrize("method", CALIBRATORS)
def test_a_calibrator_that_is_asked_for_is_taken(
    folder: Path, stage1_folders: tuple[Path, Path], stage1_settings: Settings, method: str
) -> None:
    settings = changed(stage1_settings, calibration={"method": method})
    made = calibrate(folder, stage1_folders, settings)
    assert made.numbers["method"] == method
    assert {calibrator.method for calibrator in made.model.fold_calibrators_.values()} == {method}


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("altered", [0, 1, 2])
def test_a_fold_s_calibrator_was_not_fitted_on_that_fold(
    folder: Path, stage1_folders: tuple[Path, Path], stage1_settings: Settings, altered: int, mirror: bool
) -> None:
    """Other answers in a fold change every calibrator but its own."""
    settings = changed(stage1_settings, calibration={"method": "platt", "mirror": mirror})

    def made() -> dict[int, dict[str, Any]]:
        model: ModelAdapter = calibrate(folder, stage1_folders, settings).model
        assert model.calibrator_ is not None
        return {-1: model.calibrator_.to_json()} | {
            k: calibrator.to_json() for k, calibrator in model.fold_calibrators_.items()
        }

    before = made()
    frame = read_table(folder / OUT_OF_FOLD)
    mine = frame["fold"] == altered
    frame.loc[mine, "y"] = 1 - frame.loc[mine, "y"]
    write_table(frame, folder / OUT_OF_FOLD)
    after = made()
    assert set(before) == {-1, 0, 1, 2}
    assert {k for k in before if before[k] == after[k]} == {altered}


def test_another_fee_moves_the_threshold_and_nothing_that_was_fitted(
    folder: Path, stage1_folders: tuple[Path, Path], stage1_settings: Settings
) -> None:
    cheap, dear = (
        calibrate(folder, stage1_folders, changed(stage1_settings, costs={"fee_bps": fee, "impact": impact}))
        for fee, impact in ((0.0, 0.0), (20.0, 0.5))
    )
    assert dear.threshold > cheap.threshold and dear.sharpe < cheap.sharpe
    assert dear.model.calibrator_.to_json() == cheap.model.calibrator_.to_json()
    changing = {"threshold", "out-of-fold Sharpe per bar"}
    assert {name for name in cheap.numbers if cheap.numbers[name] != dear.numbers[name]} == changing


def test_the_threshold_is_chosen_on_forecasts_that_their_own_fold_did_not_calibrate(
    fitted: FittedForecaster,
    folder: Path,
    dataset: Dataset,
    stage1_folders: tuple[Path, Path],
    stage1_settings: Settings,
) -> None:
    made = calibrate(folder, stage1_folders, stage1_settings)
    frame = fitted.out_of_fold.frame
    p = np.concatenate(
        [made.model.fold_calibrators_[k].transform(part["p"].to_numpy()) for k, part in frame.groupby("fold")]
    )
    chosen = choose_threshold(forecast_market(dataset, stage1_settings), frame["row"].to_numpy(), p)
    assert chosen is not None
    assert (made.threshold, made.sharpe) == (chosen.threshold, chosen.value)
    assert made.numbers["out-of-fold Sharpe per bar"] == chosen.value
    told = made.tables["thresholds looked at"]
    assert [row["threshold"] for row in told] == chosen.thresholds.tolist()
    assert [row["orders"] for row in told] == chosen.orders.tolist()


def test_calibration_is_scored_on_the_validation_era(
    folder: Path,
    dataset: Dataset,
    folds: Folds,
    stage1_folders: tuple[Path, Path],
    stage1_settings: Settings,
) -> None:
    made = calibrate(folder, stage1_folders, stage1_settings)
    rows = folds.eras.validation.rows
    y = dataset.target("direction")[rows]
    answers, before, after = made.validation
    known = np.isfinite(y)
    np.testing.assert_array_equal(answers, y[known])
    raw = load_forecaster(folder).predict_proba(dataset.features.iloc[rows])[known, 1]
    np.testing.assert_array_equal(before, raw)
    np.testing.assert_array_equal(after, made.model.calibrator_.transform(raw))
    assert made.numbers["validation Brier before"] == pytest.approx(np.mean((raw - answers) ** 2))
    assert made.numbers["validation Brier after"] == pytest.approx(np.mean((after - answers) ** 2))
    assert made.numbers["validation AUC before"] == score(answers, raw)["AUC"]
    assert made.numbers["validation AUC after"] == score(answers, made.validation[2])["AUC"]


def test_what_is_written_is_the_calibrated_model(
    folder: Path,
    dataset: Dataset,
    stage1_folders: tuple[Path, Path],
    stage1_settings: Settings,
    tmp_path: Path,
) -> None:
    made = calibrate(folder, stage1_folders, stage1_settings)
    target = tmp_path / "calibrated"
    target.mkdir()
    made.write(target)
    X = dataset.features.iloc[dataset.warm_up : dataset.warm_up + 300]
    again = load_forecaster(target)
    raw = load_forecaster(folder).predict_proba(X)[:, 1]
    np.testing.assert_array_equal(again.predict_proba(X)[:, 1], made.model.calibrator_.transform(raw))
    assert read_threshold(target) == made.threshold
    assert {path.name for path in target.glob("calibrator*")} == {
        "calibrator.json",
        *(f"calibrator_fold{k}.json" for k in range(3)),
    }
