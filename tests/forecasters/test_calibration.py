"""Calibrators: what each promises, golden values, reference libraries as oracles, and which one is chosen."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.exceptions import NotFittedError

from trading_assets.execution.networks import MARGIN, make_calibrator
from trading_assets.forecasters.calibration import (
    choose_calibrator,
    cross_fit_calibrators,
    slope_t,
    with_mirror_image,
)
from trading_assets.forecasters.calibration_error import brier_score, expected_calibration_error
from trading_assets.forecasters.calibrators import (
    CALIBRATORS,
    BetaCalibrator,
    Calibrator,
    IsotonicCalibrator,
    PlattCalibrator,
    TemperatureCalibrator,
    calibrator_from_json,
    platt_scaling,
)

ALL = [IsotonicCalibrator, PlattCalibrator, BetaCalibrator, TemperatureCalibrator]


def sigmoid(x):
    return 0.5 + 0.5 * np.tanh(0.5 * x)


def simulate(distort, n: int = 4_000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Outcomes of true probabilities, and the forecasts that `distort` makes of these."""
    rng = np.random.default_rng(seed)
    true = rng.beta(2, 2, size=n)
    return distort(true), (rng.random(n) < true).astype(float)


def simulate_classes(power: float, n: int = 4_000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Classes drawn from true probabilities q, and forecasts proportional to q^power."""
    rng = np.random.default_rng(seed)
    true = rng.dirichlet([1.0, 2.0, 1.5], size=n)
    y = (rng.random(n)[:, None] > true.cumsum(axis=1)).sum(axis=1)
    p = true**power
    return p / p.sum(axis=1, keepdims=True), y


DISTORTIONS = {
    "calibrated": lambda p: p,
    "too sure": lambda p: sigmoid(2.5 * np.log(p / (1 - p))),
    "shifted": lambda p: sigmoid(np.log(p / (1 - p)) + 1),
    "skewed": lambda p: p**2,
    "in steps": lambda p: np.where(p < 0.5, p / 10, 0.9 + p / 20),
}


@pytest.fixture(params=ALL, ids=lambda kind: kind.method)
def kind(request) -> type[Calibrator]:
    return request.param


def too_sure(kind: type[Calibrator], n: int = 2_000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Forecasts that are too sure of themselves, in the shape that `kind` takes."""
    if kind is TemperatureCalibrator:
        return simulate_classes(2.5, n, seed)
    return simulate(DISTORTIONS["too sure"], n, seed)


def log_loss(p: np.ndarray, y: np.ndarray) -> float:
    of_classes = p if p.ndim == 2 else np.column_stack([1 - p, p])
    return -np.log(np.maximum(of_classes[np.arange(len(y)), y.astype(int)], 1e-3)).mean()


def test_calibrated_forecasts_are_probabilities_of_the_same_shape(kind):
    p, y = too_sure(kind)
    q = kind().fit(p, y).transform(p)
    assert q.shape == p.shape and q.dtype == np.float64
    assert q.min() >= 0 and q.max() <= 1
    if q.ndim == 2:
        np.testing.assert_allclose(q.sum(axis=1), 1, rtol=1e-14)


def test_calibrating_forecasts_that_are_too_sure_mends_them(kind):
    calibrator = kind().fit(*too_sure(kind))
    later, truth = too_sure(kind, seed=1)
    assert log_loss(calibrator.transform(later), truth) < 0.98 * log_loss(later, truth)


def test_fitting_returns_the_calibrator_and_leaves_what_it_was_given_alone(kind):
    p, y = too_sure(kind)
    weight = np.linspace(0, 1, len(p))
    before = p.copy(), y.copy(), weight.copy()
    calibrator = kind()
    assert calibrator.fit(p, y, weight) is calibrator
    calibrator.transform(p)
    for now, then in zip((p, y, weight), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_fitting_again_forgets_the_first_fit(kind):
    calibrator = kind().fit(*too_sure(kind))
    again = calibrator.fit(*too_sure(kind, seed=1)).to_json()
    assert again == kind().fit(*too_sure(kind, seed=1)).to_json()


def test_a_calibrator_survives_json_bit_for_bit(kind):
    p, y = too_sure(kind)
    calibrator = kind().fit(p, y)
    again = calibrator_from_json(json.loads(json.dumps(calibrator.to_json(), allow_nan=False)))
    assert type(again) is kind
    assert again.to_json() == calibrator.to_json()
    np.testing.assert_array_equal(again.transform(p), calibrator.transform(p))


def test_the_trading_box_says_the_same_bit_for_bit_row_by_row(kind):
    p, y = too_sure(kind)
    calibrator = kind().fit(p, y)
    live = make_calibrator(json.loads(json.dumps(calibrator.to_json())))
    np.testing.assert_array_equal(calibrator.transform(p), [live(row) for row in p])


def test_the_json_form_is_a_copy(kind):
    calibrator = kind().fit(*too_sure(kind))
    tree = calibrator.to_json()
    for value in tree.values():
        if isinstance(value, list):
            value.append(-1.0)
    again = calibrator_from_json(calibrator.to_json())
    tree.clear()
    assert again.to_json() == calibrator.to_json()
    assert -1.0 not in again.to_json().get("x", [])


def test_rows_of_weight_zero_do_not_count(kind):
    p, y = too_sure(kind)
    weight = (np.arange(len(p)) % 3 > 0).astype(float)
    weighted = kind().fit(p, y, weight).transform(p)
    np.testing.assert_allclose(weighted, kind().fit(p[weight > 0], y[weight > 0]).transform(p), atol=1e-9)


@settings(max_examples=100)
@given(kind=st.sampled_from(ALL), seed=st.integers(0, 1_000), n=st.integers(30, 200))
def test_a_weight_counts_as_repeated_rows(kind, seed: int, n: int):
    p, y = too_sure(kind, n, seed)
    weight = np.random.default_rng(seed).integers(0, 4, size=n)
    weighted = kind().fit(p, y, weight).transform(p)
    repeated = kind().fit(np.repeat(p, weight, axis=0), np.repeat(y, weight)).transform(p)
    np.testing.assert_allclose(weighted, repeated, atol=1e-9)


def test_the_order_of_the_rows_does_not_matter(kind):
    p, y = too_sure(kind)
    order = np.random.default_rng(0).permutation(len(p))
    np.testing.assert_allclose(
        kind().fit(p[order], y[order]).transform(p), kind().fit(p, y).transform(p), atol=1e-9
    )


def test_single_precision_integers_and_lists_will_do(kind):
    p, y = too_sure(kind, 200)
    p = np.round(p * 2**10) / 2**10  # exact in float32
    if p.ndim == 2:
        p[:, 2] = 1 - p[:, 0] - p[:, 1]
    expected = kind().fit(p, y).to_json()
    assert kind().fit(p.astype(np.float32), y.astype(np.int64)).to_json() == expected
    assert kind().fit(p.tolist(), y.tolist()).to_json() == expected


def test_certain_forecasts_can_be_learnt_from_and_calibrated(kind):
    p, y = too_sure(kind)
    sure = np.eye(3)[p.argmax(axis=1)] if p.ndim == 2 else np.round(p)
    calibrator = kind().fit(sure, y)
    q = calibrator.transform(sure)
    assert np.isfinite(q).all() and q.min() > 0.02 and q.max() < 0.98


def test_an_unfitted_calibrator_says_so(kind):
    p, _ = too_sure(kind, 30)
    for ask in (lambda: kind().transform(p), lambda: kind().to_json(), lambda: kind().parameters_):
        with pytest.raises(NotFittedError, match=rf"This {kind.__name__} was not fitted; call fit first"):
            ask()


@pytest.mark.parametrize("value", [-0.01, 1.01, np.nan, np.inf])
def test_a_forecast_that_is_no_probability_is_refused_by_row(kind, value: float):
    p, y = too_sure(kind, 100)
    calibrator = kind().fit(p, y)
    p[7] = value
    message = rf"p is {value} in row 7; .* Pass probabilities, not scores"
    with pytest.raises(ValueError, match=message):
        calibrator.transform(p)
    with pytest.raises(ValueError, match=message):
        kind().fit(p, y)


def test_forecasts_of_another_shape_are_refused(kind):
    p, y = too_sure(kind, 100)
    calibrator = kind().fit(p, y)
    other = np.column_stack([1 - p, p]) if p.ndim == 1 else p[:, 0]
    with pytest.raises(ValueError, match=r"p has shape \(100.*; expected \(n,.* pass \[:, 1\]"):
        calibrator.transform(other)
    with pytest.raises(ValueError, match="p has shape"):
        kind().fit(other, y)


def test_outcomes_of_one_class_are_refused(kind):
    p, y = too_sure(kind, 100)
    message = rf"y is 1 in all \d+ rows of positive weight; {kind.__name__} needs two classes"
    with pytest.raises(ValueError, match=message):
        kind().fit(p, np.ones(100))
    with pytest.raises(ValueError, match=message):
        kind().fit(p, y, y == 1)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda y, w: (y[1:], w), r"y has shape \(99,\) and p has 100 rows"),
        (lambda y, w: (np.where(np.arange(100) == 3, 0.5, y), w), r"y is 0.5 in row 3; expected one of 0 to"),
        (lambda y, w: (np.where(np.arange(100) == 3, 3, y), w), r"y is 3.0 in row 3; expected one of 0 to"),
        (lambda y, w: (np.where(np.arange(100) == 3, np.nan, y), w), r"y is nan in row 3"),
        (lambda y, w: (y, w[1:]), r"sample_weight has shape \(99,\) and p has 100 rows"),
        (lambda y, w: (y, w - 2 * (np.arange(100) == 3)), r"sample_weight is -1.0 in row 3"),
        (lambda y, w: (y, 0 * w), "sample_weight is 0 in all 100 rows"),
    ],
)
def test_outcomes_and_weights_that_cannot_be_are_refused(kind, spoil, message: str):
    p, y = too_sure(kind, 100)
    with pytest.raises(ValueError, match=message):
        kind().fit(p, *spoil(y, np.ones(100)))


@pytest.mark.parametrize("name", ["p", "y", "sample_weight"])
@pytest.mark.parametrize(("value", "shown"), [("high", "'high'"), ("1", "'1'"), (None, "None")])
def test_what_is_no_number_is_refused_by_name(kind, name: str, value, shown: str):
    p, y = too_sure(kind, 100)
    given = {"p": p, "y": y, "sample_weight": np.ones(100)}
    given[name] = value if value is None else np.full(given[name].shape, value)
    if (name, value) == ("sample_weight", None):
        kind().fit(**given)
        return
    with pytest.raises(ValueError, match=f"{name} has {shown}, which is no number"):
        kind().fit(**given)


def test_no_rows_at_all_are_refused(kind):
    p, _ = too_sure(kind, 100)
    with pytest.raises(ValueError, match="p has 0 rows"):
        kind().fit(p[:0], [])


def test_platt_scaling_matches_the_golden_fit():
    # By hand: F=[5,-4,1], y=[1,-1,-1] gives P = 1/(1+exp(A F + B)) with
    # (A, B) = (-.20261, .65236); here P = sigmoid(slope F + intercept), so the signs are turned.
    slope, intercept = platt_scaling([5.0, -4, 1], [1, 0, 0])
    assert (-slope, -intercept) == pytest.approx((-0.20261, 0.65236), abs=1e-4)


def test_platt_calibrates_the_log_odds():
    F, y = np.array([5.0, -4, 1]), np.array([1, 0, 0])
    slope, intercept = platt_scaling(F, y)
    fitted = PlattCalibrator().fit(sigmoid(F), y).to_json()
    assert fitted["a"] == fitted["b"] == pytest.approx(slope, rel=1e-9)
    assert fitted["c"] == pytest.approx(intercept, rel=1e-9)


@pytest.mark.parametrize(
    ("scores", "y", "message"),
    [
        ([1.0, np.inf], [0, 1], r"scores have shape \(2,\); expected \(n,\), all finite"),
        ([[1.0, 2.0]], [0, 1], r"scores have shape \(1, 2\)"),
        ([1.0, 2.0], [1, 1], "y has 2 ups and 0 downs by weight; Platt scaling needs both"),
        ([1.0, 2.0], [-1, 1], r"y is -1.0 in row 0; expected one of 0 to 1"),
    ],
)
def test_scores_that_cannot_be_scaled_are_refused(scores, y, message: str):
    with pytest.raises(ValueError, match=message):
        platt_scaling(scores, y)


@pytest.mark.parametrize("name", DISTORTIONS)
def test_platt_finds_what_scikit_learn_finds_on_smoothed_targets(name: str):
    from sklearn.linear_model import LogisticRegression

    p, y = simulate(DISTORTIONS[name])
    weight = np.random.default_rng(0).random(len(p))
    x = np.log(p / (1 - p))[:, None]
    up = (weight[y == 1].sum() + 1) / (weight[y == 1].sum() + 2)
    down = 1 / (weight[y == 0].sum() + 2)
    target = np.where(y == 1, up, down)
    model = LogisticRegression(C=np.inf, tol=1e-10, solver="newton-cholesky").fit(
        np.concatenate([x, x]),
        np.repeat([1, 0], len(x)),
        np.concatenate([weight * target, weight * (1 - target)]),
    )
    fitted = PlattCalibrator().fit(p, y, weight).to_json()
    assert fitted["a"] == pytest.approx(model.coef_[0, 0], rel=1e-7)
    assert fitted["c"] == pytest.approx(model.intercept_[0], rel=1e-7, abs=1e-8)


def test_isotonic_matches_the_golden_pool_of_adjacent_violators():
    # By hand: PAVA of [3,7,5,9,8,7,10]; tenths of a row's weight happened.
    p = np.linspace(0.1, 0.9, 7)
    tenths = np.array([3, 7, 5, 9, 8, 7, 10])
    calibrator = IsotonicCalibrator().fit(
        np.concatenate([p, p]), np.repeat([1, 0], 7), np.concatenate([tenths, 10 - tenths])
    )
    np.testing.assert_allclose(10 * calibrator.transform(p), [3, 6, 6, 8, 8, 8, 10], rtol=1e-12)


def test_isotonic_joins_its_knots_by_lines_and_stays_flat_beyond_them():
    calibrator = IsotonicCalibrator().fit([0.2, 0.4], [0, 1])
    np.testing.assert_allclose(calibrator.transform([0.0, 0.2, 0.3, 0.4, 1.0]), [0, 0, 0.5, 1, 1], atol=1e-12)


@pytest.mark.parametrize("name", DISTORTIONS)
def test_isotonic_predicts_what_scikit_learn_predicts(name: str):
    from sklearn.isotonic import IsotonicRegression

    p, y = simulate(DISTORTIONS[name])
    weight = np.random.default_rng(0).random(len(p))
    model = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(p, y, weight)
    grid = np.linspace(0, 1, 501)
    q = IsotonicCalibrator().fit(p, y, weight).transform(grid)
    np.testing.assert_allclose(q, model.predict(grid), atol=1e-9)


@pytest.mark.parametrize("name", DISTORTIONS)
def test_beta_predicts_what_betacal_predicts(name: str):
    # betacal stops its solver at a gradient of 1e-4, hence the tolerance.
    from betacal import BetaCalibration

    p, y = simulate(DISTORTIONS[name])
    grid = np.linspace(0.001, 0.999, 501)
    expected = BetaCalibration(parameters="abm").fit(p[:, None], y).predict(grid)
    np.testing.assert_allclose(BetaCalibrator().fit(p, y).transform(grid), expected, atol=1e-3)


@pytest.mark.parametrize("name", DISTORTIONS)
def test_beta_is_fitted_until_the_gradient_vanishes_or_pushes_a_slope_of_zero_below_it(name: str):
    p, y = simulate(DISTORTIONS[name])
    weight = np.random.default_rng(0).random(len(p))
    fitted = BetaCalibrator().fit(p, y, weight).to_json()
    found = np.array([fitted["a"], fitted["b"], fitted["c"]])
    inside = np.clip(p, MARGIN, 1 - MARGIN)
    X = np.array([np.log(inside), -np.log1p(-inside), np.ones(len(p))])
    residual = weight * (sigmoid(found @ X) - y)
    gradient = X @ residual / (np.abs(X) @ np.abs(residual))
    free = np.array([fitted["a"] > 0, fitted["b"] > 0, True])
    assert (np.abs(gradient[free]) <= 1e-9).all()
    assert (gradient[~free] > 0).all()


def test_a_step_that_leaps_to_where_all_is_certain_is_halved():
    # Of a plain Newton step from the base rate the slopes become 1e24, and the next Hessian is zero.
    p = np.array([6.25687073e-12, 7.84886120e-05, 0.997319065, 0.999440197, 0.999997046, 1.0, 1.0])
    y, weight = np.array([1, 1, 0, 0, 1, 0, 1]), np.array([1e-3, 1e-3, 1e-3, 1e-3, 50, 1e-3, 1e-3])
    base = weight @ y / weight.sum()
    q = BetaCalibrator().fit(p, y, weight).transform(p)
    loss = -weight @ np.log(np.where(y == 1, q, 1 - q))
    assert loss <= -weight @ np.log(np.where(y == 1, base, 1 - base))


def test_beta_is_no_further_from_the_truth_than_betacal():
    from betacal import BetaCalibration

    ours, theirs = [], []
    for seed in range(5):
        true, y = simulate(DISTORTIONS["calibrated"], seed=seed)
        p = true**2
        q = BetaCalibration(parameters="abm").fit(p[:, None], y).predict(p)
        ours.append(((BetaCalibrator().fit(p, y).transform(p) - true) ** 2).mean())
        theirs.append(((q - true) ** 2).mean())
    assert np.sqrt(np.mean(ours)) <= 1.005 * np.sqrt(np.mean(theirs))


def test_beta_represents_the_identity():
    # By hand: a = b = 1, c = 0; the standard errors at this n are about 0.01.
    fitted = BetaCalibrator().fit(*simulate(DISTORTIONS["calibrated"], n=200_000)).to_json()
    assert (fitted["a"], fitted["b"]) == pytest.approx((1, 1), abs=0.05)
    assert fitted["c"] == pytest.approx(0, abs=0.05)
    identity = calibrator_from_json({"form": "logistic", "method": "beta", "a": 1.0, "b": 1.0, "c": 0.0})
    grid = np.linspace(0, 1, 101)
    np.testing.assert_allclose(identity.transform(grid), grid, atol=2e-6)


def test_beta_refits_without_a_slope_that_came_out_negative():
    # Outcomes of sigmoid(2 ln p + 0.3 ln(1 - p) + 1): the second slope wants to be -0.3.
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    p = rng.uniform(0.01, 0.99, size=20_000)
    y = (rng.random(len(p)) < sigmoid(2 * np.log(p) + 0.3 * np.log1p(-p) + 1)).astype(float)
    fitted = BetaCalibrator().fit(p, y).to_json()
    alone = LogisticRegression(C=np.inf, tol=1e-10, solver="newton-cholesky").fit(np.log(p)[:, None], y)
    assert fitted["b"] == 0
    assert fitted["a"] == pytest.approx(alone.coef_[0, 0], rel=1e-7)
    assert fitted["c"] == pytest.approx(alone.intercept_[0], rel=1e-7)


@pytest.mark.parametrize("kind", [PlattCalibrator, BetaCalibrator])
def test_a_forecast_that_is_the_wrong_way_round_is_answered_with_the_base_rate(kind: type[Calibrator]):
    p, y = simulate(lambda p: 1 - p)
    y[:400] = 1
    calibrator = kind().fit(p, y)
    assert (calibrator.to_json()["a"], calibrator.to_json()["b"]) == (0, 0)
    np.testing.assert_allclose(calibrator.transform(p), y.mean(), rtol=1e-3)  # Platt's targets are smoothed


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("method", ["best", *CALIBRATORS])
def test_no_calibrator_that_is_chosen_turns_a_forecast_round(method: str, mirror: bool):
    rng = np.random.default_rng(0)
    p = rng.uniform(size=4_000)
    given = {"p": p, "y": (rng.random(4_000) < 1 - p).astype(float), "fold": folds_of(4_000)}
    given["sample_weight"] = np.ones(4_000)
    if mirror:
        given = with_mirror_image(**given)
    chosen, _ = choose_calibrator(**given, method=method)
    for calibrator in (chosen, *cross_fit_calibrators(**given, method=chosen.method).values()):
        q = calibrator.transform(np.linspace(0, 1, 101))
        assert (np.diff(q) >= 0).all() and 0.48 < q[1] <= q[-2] < 0.52


def test_a_slope_is_the_score_test_of_a_logistic_regression_with_an_intercept_a_fold():
    import statsmodels.api as sm

    p, y = simulate(DISTORTIONS["skewed"], n=600)
    y[:150] = 1 - y[:150]
    fold = folds_of(600, 3)
    dummies = np.eye(3)[fold]
    x = np.log(p / (1 - p))
    null = sm.Logit(y, dummies).fit(disp=False)
    full = sm.Logit(y, np.column_stack([dummies, x]))
    at_null = np.append(null.params, 0.0)
    score, information = full.score(at_null), -full.hessian(at_null)
    expected = score[-1] * np.sqrt(np.linalg.inv(information)[-1, -1])
    assert slope_t(p, y, fold) == pytest.approx(expected, rel=1e-6)
    assert slope_t(p, y, fold, overlap=4) == pytest.approx(expected / 2, rel=1e-6)
    assert slope_t(p, 1 - y, fold) == pytest.approx(-expected, rel=1e-6)
    assert np.isnan(slope_t(np.full(600, 0.4), y, fold)) and np.isnan(slope_t(p, np.ones(600), fold))


def test_a_slope_by_chance_is_within_three_of_its_errors_although_labels_overlap():
    """Forecasts as slow as the labels, which share 11 of 12 bars; and the falling line between folds."""
    rng, overlap, n = np.random.default_rng(0), 12, 6_000
    fold, found = folds_of(n, 5), []
    for _ in range(200):
        steps, slow = rng.normal(size=n + overlap), rng.normal(size=n + overlap)
        y = (np.convolve(steps, np.ones(overlap), "valid")[1:] > 0).astype(float)
        share = np.array([y[fold != k].mean() for k in range(5)])
        p = sigmoid(0.1 * np.convolve(slow, np.ones(overlap), "valid")[:-1] + 9 * (share[fold] - 0.5))
        found.append(slope_t(p, y, fold, overlap=overlap))
    assert np.mean(np.abs(found) > 3) <= 0.02 and 0.5 < np.std(found) < 1.2
    assert abs(np.mean(found)) < 0.25


@pytest.mark.parametrize(
    ("tree"),
    [
        {"form": "logistic", "method": "platt", "a": -1.05, "b": -1.05, "c": 0.0},
        {"form": "logistic", "method": "beta", "a": 1.0, "b": -0.1, "c": 0.0},
        {"form": "logistic", "method": "beta", "a": np.nan, "b": 1.0, "c": 0.0},
        {"form": "logistic", "method": "beta", "a": 1.0, "b": 1.0, "c": np.inf},
        {"form": "temperature", "method": "temperature", "a": -1.0},
        {"form": "isotonic", "method": "isotonic", "x": [0.2, 0.8], "y": [0.6, 0.4]},
        {"form": "isotonic", "method": "isotonic", "x": [0.8, 0.2], "y": [0.4, 0.6]},
        {"form": "isotonic", "method": "isotonic", "x": [0.2, 0.8], "y": [0.4, 1.6]},
        {"form": "isotonic", "method": "isotonic", "x": [0.2, 0.8], "y": [0.4]},
        {"form": "isotonic", "method": "isotonic", "x": [0.2, np.nan], "y": [0.4, 0.6]},
        {"form": "isotonic", "method": "isotonic", "x": [], "y": []},
    ],
)
def test_json_of_a_calibrator_that_turns_forecasts_round_is_refused(tree):
    with pytest.raises(ValueError, match=f"A {tree['method']} calibrator never turns a forecast round"):
        calibrator_from_json(tree)


samples = st.lists(
    st.tuples(st.floats(0, 1), st.booleans(), st.integers(1, 3)), min_size=6, max_size=60
).filter(lambda rows: len({up for _, up, _ in rows}) == 2)


@settings(max_examples=100)
@given(rows=samples)
def test_beta_loses_no_more_than_the_best_that_scipy_finds_within_the_bounds(rows):
    from scipy.optimize import minimize

    p, y, weight = np.array(rows, dtype=float).T
    inside = np.clip(p, MARGIN, 1 - MARGIN)
    X = np.column_stack([np.log(inside), -np.log1p(-inside), np.ones(len(p))])

    def loss(x):
        eta = X @ x
        return weight @ (np.logaddexp(0, eta) - y * eta), X.T @ (weight * (sigmoid(eta) - y))

    bounds = [(0, None), (0, None), (None, None)]
    best = minimize(loss, np.zeros(3), jac=True, bounds=bounds, method="L-BFGS-B")
    fitted = BetaCalibrator().fit(p, y, weight).to_json()
    ours = np.array([fitted["a"], fitted["b"], fitted["c"]])
    assert (ours[:2] >= 0).all() and np.isfinite(ours).all()
    assert loss(ours)[0] <= best.fun + 1e-6 * weight.sum()


@settings(max_examples=150, deadline=None)
@given(rows=samples, method=st.sampled_from(sorted(CALIBRATORS)))
def test_calibration_keeps_the_order_of_forecasts_and_gives_probabilities(rows, method: str):
    p, y, weight = np.array(rows, dtype=float).T
    q = CALIBRATORS[method]().fit(p, y, weight).transform(np.linspace(0, 1, 101))
    assert np.isfinite(q).all() and q.min() >= 0 and q.max() <= 1
    assert (np.diff(q) >= -1e-12).all()


@pytest.mark.parametrize("method", CALIBRATORS)
def test_classes_that_are_parted_perfectly_and_forecasts_that_never_change_still_fit(method: str):
    p = np.linspace(0.3, 0.7, 40)
    parted = CALIBRATORS[method]().fit(p, p > 0.5).transform(p)
    assert ((parted > 0.5) == (p > 0.5)).all()
    same = CALIBRATORS[method]().fit(np.full(40, 0.4), np.arange(40) < 10).transform([0.4])
    assert same == pytest.approx(0.25, abs=0.02)  # Platt's smoothing draws towards the middle


@pytest.mark.parametrize("width", [1e-1, 1e-2, 1e-3])
def test_forecasts_in_a_narrow_band_are_fitted_as_well(width: float):
    # Such are those of a market's direction: nearly collinear columns.
    rng = np.random.default_rng(0)
    p = 0.5 + width * (rng.random(20_000) - 0.5)
    y = (rng.random(len(p)) < 0.5 + 0.5 * (p - 0.5) / width).astype(float)
    for method in ("platt", "beta"):
        q = CALIBRATORS[method]().fit(p, y).transform(p)
        assert q.mean() == pytest.approx(y.mean(), abs=1e-4)
        assert np.abs(q - (0.5 + 0.5 * (p - 0.5) / width)).max() < 0.05


@pytest.mark.parametrize("power", [0.5, 1.0, 2.5])
def test_temperature_undoes_the_power_that_distorted(power: float):
    p, y = simulate_classes(power, n=50_000)
    assert TemperatureCalibrator().fit(p, y).to_json()["a"] == pytest.approx(1 / power, rel=0.03)


def test_temperature_minimizes_the_weighted_log_loss():
    from scipy.optimize import minimize_scalar

    p, y = simulate_classes(2.5)
    weight = np.random.default_rng(0).random(len(p))
    z = np.log(np.maximum(p, MARGIN))

    def loss(a):
        scores = a * z
        return weight @ (np.log(np.exp(scores).sum(axis=1)) - scores[np.arange(len(y)), y])

    best = minimize_scalar(loss, bounds=(0.01, 10), method="bounded", options={"xatol": 1e-10})
    assert TemperatureCalibrator().fit(p, y, weight).to_json()["a"] == pytest.approx(best.x, rel=1e-6)


def test_temperature_one_is_the_identity():
    p, _ = simulate_classes(1.0, n=200)
    identity = calibrator_from_json({"form": "temperature", "method": "temperature", "a": 1.0})
    np.testing.assert_allclose(identity.transform(p), p, atol=2e-6)


def test_temperature_keeps_the_order_of_the_classes():
    p, y = simulate_classes(2.5)
    q = TemperatureCalibrator().fit(p, y).transform(p)
    np.testing.assert_array_equal(q.argsort(axis=1), p.argsort(axis=1))


def test_temperature_answers_forecasts_worse_than_none_with_equal_probabilities():
    p, _ = simulate_classes(1.0)
    calibrator = TemperatureCalibrator().fit(p, p.argmin(axis=1))
    np.testing.assert_allclose(calibrator.transform(p), 1 / 3, rtol=1e-12)


def test_classes_that_do_not_add_up_to_one_are_refused_by_row():
    p, y = simulate_classes(1.0, n=50)
    p[4] /= 2
    with pytest.raises(ValueError, match=r"p adds up to 0.5 in row 4, and 1 of 50 rows do not add up to 1"):
        TemperatureCalibrator().fit(p, y)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"method": "magic"},
            r"method must be one of isotonic, platt, beta, none, temperature\. Got 'magic'",
        ),
        ({"form": "isotonic"}, r"A beta calibrator has form 'logistic' and the keys .* Got form 'isotonic'"),
        ({"d": 1.0}, r"Got form 'logistic' and \['a', 'b', 'c', 'd', 'form', 'method'\]"),
    ],
)
def test_json_of_no_calibrator_is_refused(change, message: str):
    tree = {"form": "logistic", "method": "beta", "a": 1.0, "b": 1.0, "c": 0.0}
    with pytest.raises(ValueError, match=message):
        calibrator_from_json({**tree, **change})
    with pytest.raises(ValueError, match=r"method must be one of .* Got None"):
        calibrator_from_json({})


def folds_of(n: int, k: int = 4) -> np.ndarray:
    return np.arange(n) * k // n


@pytest.mark.parametrize("method", CALIBRATORS)
def test_a_cross_fitted_calibrator_knows_all_folds_but_its_own(method: str):
    p, y = simulate(DISTORTIONS["skewed"], n=1_000)
    weight, fold = np.random.default_rng(0).random(1_000), folds_of(1_000)
    fitted = cross_fit_calibrators(p, y, fold, method, weight)
    assert list(fitted) == [0, 1, 2, 3]
    for k, calibrator in fitted.items():
        others = fold != k
        expected = CALIBRATORS[method]().fit(p[others], y[others], weight[others])
        assert calibrator.to_json() == expected.to_json()
    y[fold == 2] = 1 - y[fold == 2]
    again = cross_fit_calibrators(p, y, fold, method, weight)
    assert [again[k].to_json() == fitted[k].to_json() for k in range(4)] == [False, False, True, False]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", DISTORTIONS)
def test_the_method_with_the_lowest_brier_score_on_held_out_folds_is_chosen(name: str, weighted: bool):
    p, y = simulate(DISTORTIONS[name], n=1_000)
    fold = folds_of(1_000)
    weight = np.random.default_rng(1).random(1_000) if weighted else np.ones(1_000)
    chosen, scores = choose_calibrator(p, y, fold, sample_weight=weight if weighted else None)
    expected = {"none": np.average((p - y) ** 2, weights=weight)}
    for method, kind in CALIBRATORS.items():
        squares = 0.0
        for k in range(4):
            rest, mine = fold != k, fold == k
            q = kind().fit(p[rest], y[rest], weight[rest]).transform(p[mine])
            squares += weight[mine] @ (q - y[mine]) ** 2
        expected[method] = squares / weight.sum()
    assert scores == pytest.approx(expected, rel=1e-12)
    best = min(CALIBRATORS, key=lambda method: expected[method])
    if chosen.method == "none":
        assert name == "calibrated"
        np.testing.assert_allclose(chosen.transform(p), p, rtol=0, atol=1e-12)
    else:
        assert chosen.to_json() == CALIBRATORS[best]().fit(p, y, weight).to_json()


@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_a_calibrator_is_left_out_unless_it_gains_more_than_its_standard_error_over_the_folds(shift: float):
    """Probabilities that are right already, and others that are off by one in log-odds."""
    kept = 0
    for seed in range(20):
        p, y = simulate(lambda q: sigmoid(np.log(q / (1 - q)) + shift), n=2_000, seed=seed)
        kept += choose_calibrator(p, y, folds_of(2_000))[0].method != "none"
    assert kept <= 6 if shift == 0 else kept == 20


@pytest.mark.parametrize("seed", range(5))
def test_of_methods_that_only_rounding_tells_apart_the_one_with_the_fewest_parameters_is_chosen(seed: int):
    # Of two forecasts isotonic and beta calibration both say what happened after each.
    rng = np.random.default_rng(seed)
    p = rng.choice([0.3, 0.7], 1_000)
    y = (rng.random(1_000) < np.where(p < 0.5, 0.6, 0.9)).astype(float)
    for order in (np.arange(1_000), rng.permutation(1_000)):
        chosen, scores = choose_calibrator(p[order], y[order], folds_of(1_000)[order])
        assert scores["isotonic"] == pytest.approx(scores["beta"], rel=0, abs=1e-12)
        assert chosen.method == ("platt" if scores["platt"] <= scores["beta"] + 2e-9 else "beta")


def test_a_gain_of_rounding_is_none():
    # In every fold things happen exactly as often as the forecasts say.
    p, y, fold = (
        np.tile(np.repeat([0.3, 0.7], 10), 4),
        np.tile([1.0] * 3 + [0.0] * 7 + [1.0] * 7 + [0.0] * 3, 4),
        np.repeat(range(4), 20),
    )
    chosen, scores = choose_calibrator(p, y, fold)
    assert chosen.method == "none"
    assert scores["isotonic"] == pytest.approx(scores["none"], abs=1e-15)


def test_different_distortions_call_for_different_methods():
    chosen = set()
    for distort in DISTORTIONS.values():
        p, y = simulate(distort)
        chosen.add(choose_calibrator(p, y, np.arange(len(p)) % 5)[0].method)
    assert len(chosen) >= 2


@pytest.mark.parametrize("method", CALIBRATORS)
def test_a_method_that_is_asked_for_is_taken_whatever_its_score(method: str):
    p, y = simulate(DISTORTIONS["skewed"], n=500)
    chosen, scores = choose_calibrator(p, y, np.arange(500) % 3, method)
    assert chosen.to_json() == CALIBRATORS[method]().fit(p, y).to_json()
    assert set(scores) == {"none", *CALIBRATORS}


@pytest.mark.parametrize("method", CALIBRATORS)
def test_the_chosen_calibrator_lowers_error_and_score_on_later_rows(method: str):
    p, y = simulate(DISTORTIONS["too sure"])
    later, truth = simulate(DISTORTIONS["too sure"], seed=1)
    chosen, _ = choose_calibrator(p, y, folds_of(len(p)), method)
    q = chosen.transform(later)
    assert expected_calibration_error(truth, q) < 0.5 * expected_calibration_error(truth, later)
    assert brier_score(truth, q) < brier_score(truth, later)


@pytest.mark.parametrize(
    ("fold", "message"),
    [
        (np.zeros(100, dtype=int), r"fold has shape \(100,\) and type int64, 1 folds; .* two folds at least"),
        (np.arange(99), r"fold has shape \(99,\).* an integer for each of the 100 rows of p"),
        (np.arange(100) / 2, r"fold has shape \(100,\) and type float64"),
    ],
)
def test_folds_that_hold_nothing_out_are_refused(fold, message: str):
    p, y = simulate(DISTORTIONS["skewed"], n=100)
    with pytest.raises(ValueError, match=message):
        choose_calibrator(p, y, fold)
    with pytest.raises(ValueError, match=message):
        cross_fit_calibrators(p, y, fold, "beta")


def test_a_fold_that_holds_all_of_a_class_is_named():
    p, _ = simulate(DISTORTIONS["skewed"], n=100)
    fold = folds_of(100)
    y = (fold == 2) & (np.arange(100) % 2 == 0)
    with pytest.raises(ValueError, match="Without fold 2: y is 0 in all 75 rows"):
        cross_fit_calibrators(p, y, fold, "beta")


def test_an_unknown_method_is_refused_and_the_known_ones_named():
    p, y = simulate(DISTORTIONS["skewed"], n=100)
    message = r"method must be one of isotonic, platt, beta, none\. Got 'magic' instead"
    with pytest.raises(ValueError, match=message):
        cross_fit_calibrators(p, y, folds_of(100), "magic")
    with pytest.raises(
        ValueError, match=r"method must be one of best, isotonic, platt, beta, none\. Got 'magic'"
    ):
        choose_calibrator(p, y, folds_of(100), "magic")


@pytest.mark.parametrize("method", CALIBRATORS)
def test_what_is_fitted_with_mirror_images_knows_no_drift(method: str):
    """Outcomes that are up six times in ten, whatever was said: the mirrored calibrator answers one half."""
    rng = np.random.default_rng(0)
    p, fold = rng.uniform(0.3, 0.7, size=6_000), np.repeat([0, 1, 2], 2_000)
    y, weight = (rng.random(6_000) < 0.6).astype(float), np.ones(6_000)
    drifting, _ = choose_calibrator(p, y, fold, method, weight)
    mirrored, _ = choose_calibrator(**with_mirror_image(p, y, fold, weight), method=method)
    grid = np.linspace(0.31, 0.69, 39)
    assert drifting.transform(grid).mean() == pytest.approx(0.6, abs=0.03)
    assert mirrored.transform(grid).mean() == pytest.approx(0.5, abs=1e-6)
    np.testing.assert_allclose(mirrored.transform(grid), 1 - mirrored.transform(1 - grid), atol=1e-6)
