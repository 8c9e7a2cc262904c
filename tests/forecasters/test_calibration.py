"""Calibrators: golden values, betacal and scikit-learn as oracles, and which one is chosen."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_assets.forecasters.calibration import (
    METHODS,
    brier_score,
    calibrate,
    choose_calibrator,
    expected_calibration_error,
    fit_beta,
    fit_isotonic,
    fit_platt,
)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def simulate(distort, n: int = 4_000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Outcomes of true probabilities, and the forecasts that `distort` makes of these."""
    rng = np.random.default_rng(seed)
    true = rng.beta(2, 2, size=n)
    return distort(true), (rng.random(n) < true).astype(float)


DISTORTIONS = {
    "calibrated": lambda p: p,
    "too sure": lambda p: sigmoid(2.5 * np.log(p / (1 - p))),
    "shifted": lambda p: sigmoid(np.log(p / (1 - p)) + 1),
    "skewed": lambda p: p**2,
    "in steps": lambda p: np.where(p < 0.5, p / 10, 0.9 + p / 20),
}


def test_platt_matches_the_golden_fit():
    # golden.md, calibration: F=[5,-4,1], y=[1,-1,-1] gives P = 1/(1+exp(A F + B)) with
    # (A, B) = (-.20261, .65236); here P = sigmoid(a F + c), so a = -A and c = -B.
    fitted = fit_platt(sigmoid(np.array([5.0, -4, 1])), np.array([1.0, 0, 0]))
    assert fitted["a"] == fitted["b"] == pytest.approx(0.20261, abs=1e-4)
    assert fitted["c"] == pytest.approx(-0.65236, abs=1e-4)


def test_isotonic_matches_the_golden_pool_of_adjacent_violators():
    # golden.md, calibration: PAVA of [3,7,5,9,8,7,10].
    p = np.linspace(0.1, 0.9, 7)
    fitted = fit_isotonic(p, np.array([3, 7, 5, 9, 8, 7, 10]) / 10)
    np.testing.assert_allclose(10 * calibrate(fitted, p), [3, 6, 6, 8, 8, 8, 10], rtol=1e-12)


def test_isotonic_joins_its_knots_by_lines_and_stays_flat_beyond_them():
    fitted = fit_isotonic(np.array([0.2, 0.4]), np.array([0.0, 1.0]))
    p = np.array([0.0, 0.2, 0.3, 0.4, 1.0])
    np.testing.assert_allclose(calibrate(fitted, p), [0, 0, 0.5, 1, 1], atol=1e-12)


@pytest.mark.parametrize("name", DISTORTIONS)
def test_isotonic_predicts_what_scikit_learn_predicts(name: str):
    from sklearn.isotonic import IsotonicRegression

    p, y = simulate(DISTORTIONS[name])
    model = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(p, y)
    grid = np.linspace(0, 1, 501)
    np.testing.assert_allclose(calibrate(fit_isotonic(p, y), grid), model.predict(grid), atol=1e-9)


@pytest.mark.parametrize("name", DISTORTIONS)
def test_beta_predicts_what_betacal_predicts(name: str):
    # betacal stops its solver at a gradient of 1e-4, hence the tolerance.
    from betacal import BetaCalibration

    p, y = simulate(DISTORTIONS[name])
    grid = np.linspace(0.001, 0.999, 501)
    expected = BetaCalibration(parameters="abm").fit(p[:, None], y).predict(grid)
    np.testing.assert_allclose(calibrate(fit_beta(p, y), grid), expected, atol=1e-3)


def test_beta_represents_the_identity():
    # golden.md, calibration: a = b = 1, c = 0; the standard errors at this n are about 0.01.
    fitted = fit_beta(*simulate(DISTORTIONS["calibrated"], n=200_000))
    assert (fitted["a"], fitted["b"]) == pytest.approx((1, 1), abs=0.05)
    assert fitted["c"] == pytest.approx(0, abs=0.05)
    identity = {"form": "logistic", "method": "beta", "a": 1.0, "b": 1.0, "c": 0.0}
    grid = np.linspace(0, 1, 101)
    np.testing.assert_allclose(calibrate(identity, grid), grid, atol=2e-6)


def test_beta_refits_without_a_slope_that_came_out_negative():
    # Outcomes of sigmoid(2 ln p + 0.3 ln(1 - p) + 1): the second slope wants to be -0.3.
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    p = rng.uniform(0.01, 0.99, size=20_000)
    y = (rng.random(len(p)) < sigmoid(2 * np.log(p) + 0.3 * np.log1p(-p) + 1)).astype(float)
    fitted = fit_beta(p, y)
    alone = LogisticRegression(C=np.inf, tol=1e-10).fit(np.log(p)[:, None], y)
    assert fitted["b"] == 0
    assert fitted["a"] == pytest.approx(alone.coef_[0, 0], abs=1e-4)
    assert fitted["c"] == pytest.approx(alone.intercept_[0], abs=1e-4)


def test_beta_answers_a_forecast_that_is_wrong_way_round_with_no_slope_at_all():
    p, y = simulate(lambda p: 1 - p)
    fitted = fit_beta(p, y)
    assert (fitted["a"], fitted["b"]) == (0, 0)


samples = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=6, max_size=60).filter(
    lambda rows: len({up for _, up in rows}) == 2
)


@settings(max_examples=50)
@given(rows=samples, method=st.sampled_from(["isotonic", "beta"]))
def test_calibration_keeps_the_order_of_forecasts_and_gives_probabilities(rows, method: str):
    p, y = np.array(rows, dtype=float).T
    q = calibrate(METHODS[method](p, y), np.linspace(0, 1, 101))
    assert np.isfinite(q).all() and q.min() >= 0 and q.max() <= 1
    assert (np.diff(q) >= -1e-12).all()


@pytest.mark.parametrize("method", METHODS)
def test_a_calibrator_survives_json_exactly(method: str):
    p, y = simulate(DISTORTIONS["skewed"])
    fitted = METHODS[method](p, y)
    again = json.loads(json.dumps(fitted))
    assert again == fitted
    grid = np.linspace(0, 1, 1_001)
    np.testing.assert_array_equal(calibrate(again, grid), calibrate(fitted, grid))


@pytest.mark.parametrize("method", METHODS)
def test_calibrating_forecasts_that_are_too_sure_mends_them(method: str):
    p, y = simulate(DISTORTIONS["too sure"])
    later, truth = simulate(DISTORTIONS["too sure"], seed=1)
    q = calibrate(METHODS[method](p, y), later)
    assert expected_calibration_error(truth, q) < 0.5 * expected_calibration_error(truth, later)
    assert brier_score(truth, q) < brier_score(truth, later)


def test_brier_score_matches_the_golden_value():
    # golden.md, calibration.
    score = brier_score(np.array([0.0, 1, 1, 0]), np.array([0.1, 0.9, 0.8, 0.3]))
    assert score == pytest.approx(0.0375, abs=1e-12)


def test_expected_calibration_error_matches_the_golden_value():
    # golden.md, calibration: L1, two bins.
    y, p = np.array([0.0, 0, 1, 1, 1]), np.array([0.25, 0.25, 0.55, 0.75, 0.75])
    assert expected_calibration_error(y, p, n_bins=2) == pytest.approx(0.29, abs=1e-12)


def test_certain_and_right_forecasts_have_no_calibration_error():
    y = np.array([0.0, 1, 1])
    assert expected_calibration_error(y, y) == 0
    assert expected_calibration_error(y, 1 - y) == 1


@pytest.mark.parametrize("name", DISTORTIONS)
def test_the_method_with_the_lowest_brier_score_on_held_out_folds_is_chosen(name: str):
    p, y = simulate(DISTORTIONS[name], n=1_000)
    fold = np.arange(len(p)) * 4 // len(p)
    chosen, scores = choose_calibrator(p, y, fold)
    expected = {"none": np.mean((p - y) ** 2)}
    for method, fit in METHODS.items():
        squares = 0.0
        for k in range(4):
            q = calibrate(fit(p[fold != k], y[fold != k]), p[fold == k])
            squares += ((q - y[fold == k]) ** 2).sum()
        expected[method] = squares / len(p)
    assert scores == pytest.approx(expected, rel=1e-12)
    assert expected[chosen["method"]] == min(expected[method] for method in METHODS)
    assert chosen == METHODS[chosen["method"]](p, y)


def test_different_distortions_call_for_different_methods():
    chosen = set()
    for distort in DISTORTIONS.values():
        p, y = simulate(distort)
        chosen.add(choose_calibrator(p, y, np.arange(len(p)) % 5)[0]["method"])
    assert len(chosen) >= 2


@pytest.mark.parametrize("method", METHODS)
def test_a_method_that_is_asked_for_is_taken_whatever_its_score(method: str):
    p, y = simulate(DISTORTIONS["skewed"], n=500)
    chosen, scores = choose_calibrator(p, y, np.arange(500) % 3, method)
    assert chosen == METHODS[method](p, y)
    assert set(scores) == {"none", *METHODS}
