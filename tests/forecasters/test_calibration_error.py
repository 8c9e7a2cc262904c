"""Calibration errors, the Brier score and its parts: golden values, brute force and scikit-learn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading_assets.forecasters.calibration_error import (
    brier_decomposition,
    brier_score,
    calibration_scores,
    expected_calibration_error,
    maximum_calibration_error,
    reliability_curve,
)

# By hand: two bins, L1 .29, L2 .291833, max .316667.
GOLDEN_P = np.array([0.25, 0.25, 0.55, 0.75, 0.75])
GOLDEN_Y = np.array([0, 0, 1, 1, 1])

rows = st.lists(
    st.tuples(st.integers(0, 1), st.floats(0, 1), st.integers(0, 3)), min_size=1, max_size=60
).filter(lambda sample: any(weight for *_, weight in sample))
few_bins = st.integers(1, 20)
strategies = st.sampled_from(["uniform", "quantile"])


def columns(sample) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    y, p, weight = np.array(sample, dtype=float).T
    return y, p, weight.astype(int)


def simulate(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    true = rng.beta(2, 2, size=n)
    return (rng.random(n) < true).astype(float), true**2


def brute_force(y, p, n_bins: int) -> list[tuple[int, float]]:
    """Rows and distance of every filled bin of equal width."""
    bins = [[] for _ in range(n_bins)]
    for happened, said in zip(y, p, strict=True):
        bins[min(int(said * n_bins), n_bins - 1)].append((said, happened))
    return [(len(b), abs(sum(s for s, _ in b) / len(b) - sum(h for _, h in b) / len(b))) for b in bins if b]


@pytest.mark.parametrize(("norm", "expected"), [("l1", 0.29), ("l2", 0.291833), ("max", 0.316667)])
def test_expected_calibration_error_matches_the_golden_values(norm: str, expected: float):
    error = expected_calibration_error(GOLDEN_Y, GOLDEN_P, n_bins=2, norm=norm)
    assert error == pytest.approx(expected, abs=5e-7)


def test_maximum_calibration_error_matches_the_golden_value():
    assert maximum_calibration_error(GOLDEN_Y, GOLDEN_P, n_bins=2) == pytest.approx(0.95 / 3, abs=1e-12)


def test_brier_score_matches_the_golden_value():
    # Known values, calibration.
    assert brier_score([0, 1, 1, 0], [0.1, 0.9, 0.8, 0.3]) == pytest.approx(0.0375, abs=1e-12)


@given(sample=rows, n_bins=few_bins)
def test_errors_over_uniform_bins_equal_brute_force(sample, n_bins: int):
    y, p, _ = columns(sample)
    bins = brute_force(y, p, n_bins)
    l1 = sum(count * gap for count, gap in bins) / len(y)
    l2 = (sum(count * gap**2 for count, gap in bins) / len(y)) ** 0.5
    largest = max(gap for _, gap in bins)
    for norm, expected in (("l1", l1), ("l2", l2), ("max", largest)):
        got = expected_calibration_error(y, p, n_bins=n_bins, norm=norm)
        assert got == pytest.approx(expected, abs=1e-12)
        again = expected_calibration_error(y, p, n_bins=n_bins, norm=norm, sample_weight=np.ones(len(y)))
        assert again == pytest.approx(expected, abs=1e-12)
    assert maximum_calibration_error(y, p, n_bins=n_bins) == pytest.approx(largest, abs=1e-12)
    assert brier_score(y, p) == pytest.approx(sum((p - y) ** 2) / len(y), abs=1e-12)


@given(sample=rows, n_bins=few_bins, strategy=strategies, norm=st.sampled_from(["l1", "l2", "max"]))
def test_a_weight_counts_as_repeated_rows(sample, n_bins: int, strategy: str, norm: str):
    y, p, weight = columns(sample)
    options = {"n_bins": n_bins, "strategy": strategy, "norm": norm}
    weighted = expected_calibration_error(y, p, sample_weight=weight, **options)
    repeated = expected_calibration_error(np.repeat(y, weight), np.repeat(p, weight), **options)
    assert weighted == pytest.approx(repeated, abs=1e-12)
    expected = brier_score(np.repeat(y, weight), np.repeat(p, weight))
    assert brier_score(y, p, weight) == pytest.approx(expected, abs=1e-12)


@given(sample=rows, n_bins=few_bins)
def test_the_parts_of_the_brier_score_add_up_to_it(sample, n_bins: int):
    y, p, _ = columns(sample)
    parts = brier_decomposition(y, p, n_bins=n_bins)
    whole = parts.reliability - parts.resolution + parts.uncertainty + parts.remainder
    assert whole == pytest.approx(brier_score(y, p), abs=1e-12)
    assert min(parts.reliability, parts.resolution, parts.uncertainty) >= 0


def test_the_parts_of_the_brier_score_are_those_of_murphy_where_each_bin_says_one_number():
    # Two forecasts, 0.2 (1 of 4 happened) and 0.7 (2 of 4), by hand; base rate 3/8.
    p = np.repeat([0.2, 0.7], 4)
    parts = brier_decomposition([1, 0, 0, 0, 1, 1, 0, 0], p, n_bins=2)
    assert parts.reliability == pytest.approx((0.05**2 + 0.2**2) / 2, abs=1e-15)
    assert parts.resolution == pytest.approx(0.125**2, abs=1e-15)
    assert parts.uncertainty == pytest.approx(15 / 64, abs=1e-15)
    assert parts.remainder == pytest.approx(0, abs=1e-15)


def test_the_remainder_is_the_variance_within_bins_less_twice_the_covariance():
    y, p = simulate(500)
    bins = np.minimum((p * 10).astype(int), 9)
    expected = 0.0
    for k in np.unique(bins):
        inside = bins == k
        expected += inside.sum() * (p[inside].var() - 2 * np.cov(p[inside], y[inside], ddof=0)[0, 1])
    assert brier_decomposition(y, p, n_bins=10).remainder == pytest.approx(expected / 500, abs=1e-12)


@pytest.mark.parametrize("n", [1, 15, 257, 20_000])
def test_scores_asked_for_together_are_those_of_one_at_a_time(n: int):
    y, p = simulate(n)
    scores = calibration_scores(y, p)
    assert scores == {
        "ECE": expected_calibration_error(y, p),
        "MCE": maximum_calibration_error(y, p),
        "Brier": pytest.approx(brier_score(y, p), rel=1e-12),
    }
    bins = brute_force(y, p, 15)
    assert scores["ECE"] == pytest.approx(sum(count * gap for count, gap in bins) / n, abs=1e-12)
    assert scores["MCE"] == pytest.approx(max(gap for _, gap in bins), abs=1e-12)
    assert scores["Brier"] == pytest.approx(np.mean((p - y) ** 2), rel=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_brier_score_is_that_of_scikit_learn(weighted: bool):
    from sklearn.metrics import brier_score_loss

    y, p = simulate(1_000)
    weight = np.random.default_rng(1).random(1_000) if weighted else None
    assert brier_score(y, p, weight) == pytest.approx(brier_score_loss(y, p, sample_weight=weight), rel=1e-12)


def test_the_reliability_curve_is_that_of_scikit_learn():
    from sklearn.calibration import calibration_curve

    y, p = simulate(5_000)
    happened, said = calibration_curve(y, p, n_bins=10)
    curve = reliability_curve(y, p, n_bins=10)
    np.testing.assert_allclose(curve.predicted, said, rtol=1e-12)
    np.testing.assert_allclose(curve.observed, happened, rtol=1e-12)
    assert curve.rows.sum() == 5_000


@given(sample=rows, n_bins=few_bins, strategy=strategies)
def test_the_reliability_curve_holds_every_row_once_in_bins_from_low_to_high(sample, n_bins, strategy):
    y, p, _ = columns(sample)
    curve = reliability_curve(y, p, n_bins=n_bins, strategy=strategy)
    assert 1 <= len(curve.rows) <= n_bins and curve.rows.min() > 0 and curve.rows.sum() == len(y)
    assert curve.rows @ curve.predicted == pytest.approx(p.sum(), abs=1e-9)
    assert curve.rows @ curve.observed == pytest.approx(y.sum(), abs=1e-9)
    assert (np.diff(curve.predicted) > -1e-12).all()
    gaps = np.abs(curve.predicted - curve.observed)
    assert maximum_calibration_error(y, p, n_bins=n_bins, strategy=strategy) == pytest.approx(
        gaps.max(), abs=1e-12
    )


def test_quantile_bins_hold_equally_many_rows_and_keep_equal_forecasts_together():
    y, p = simulate(1_500)
    assert (reliability_curve(y, p, strategy="quantile").rows == 100).all()
    tied = np.repeat([0.2, 0.6], [70, 30])
    curve = reliability_curve(np.zeros(100), tied, n_bins=10, strategy="quantile")
    np.testing.assert_allclose(curve.predicted, [0.2, 0.6], rtol=1e-12)
    assert curve.rows.tolist() == [70, 30]


def test_a_forecast_of_one_belongs_to_the_last_bin():
    curve = reliability_curve([1, 1, 0], [0.95, 1.0, 0.0], n_bins=10)
    assert curve.rows.tolist() == [1, 2]
    assert curve.predicted.tolist() == [0.0, 0.975]


def test_certain_and_right_forecasts_have_no_calibration_error_and_wrong_ones_all_of_it():
    y = np.array([0.0, 1, 1])
    assert calibration_scores(y, y) == {"ECE": 0, "MCE": 0, "Brier": 0}
    assert calibration_scores(y, 1 - y) == {"ECE": 1, "MCE": 1, "Brier": 1}


def test_true_probabilities_of_100000_rows_score_near_0_004_and_not_zero():
    # Known values, calibration and statistics.
    rng = np.random.default_rng(0)
    errors = []
    for _ in range(5):
        true = rng.beta(2, 2, size=100_000)
        errors.append(expected_calibration_error(rng.random(100_000) < true, true))
    assert 0.002 < np.mean(errors) < 0.006


def test_outcomes_may_be_booleans_integers_or_a_list():
    expected = expected_calibration_error(GOLDEN_Y.astype(float), GOLDEN_P)
    for y in (GOLDEN_Y, GOLDEN_Y > 0, GOLDEN_Y.tolist()):
        assert expected_calibration_error(y, GOLDEN_P) == expected


ALL = [
    expected_calibration_error,
    maximum_calibration_error,
    brier_score,
    brier_decomposition,
    reliability_curve,
    calibration_scores,
]


@pytest.mark.parametrize("score", ALL)
@pytest.mark.parametrize(
    ("y", "p", "message"),
    [
        ([0, 1], [0.5, 1.5], r"p is 1.5 in row 1; 1 of 2 values are NaN or outside 0 to 1"),
        ([0, 1], [-0.1, 0.5], r"p is -0.1 in row 0"),
        ([0, 1], [0.5, np.nan], r"p is nan in row 1.*leave out rows without a forecast"),
        ([0, 2], [0.5, 0.5], r"y is 2.0 in row 1; expected one of 0 to 1"),
        ([np.nan, 1], [0.5, 0.5], r"y is nan in row 0"),
        ([0.5, 1], [0.5, 0.5], r"y is 0.5 in row 0"),
        ([0, 1, 1], [0.5, 0.5], r"y has shape \(3,\) and p has 2 rows"),
        ([], [], r"p has 0 rows; expected one outcome a row, and rows at all"),
        ([0, 1], [[0.5, 0.5], [0.5, 0.5]], r"p has shape \(2, 2\); expected \(n,\).*pass \[:, 1\]"),
    ],
)
def test_what_cannot_be_scored_is_refused_with_row_value_and_remedy(score, y, p, message: str):
    with pytest.raises(ValueError, match=message):
        score(y, p)


def test_a_bad_row_far_into_the_sample_is_found():
    y, p = simulate(1_280)
    p[775] = np.nan
    with pytest.raises(ValueError, match="p is nan in row 775"):
        calibration_scores(y, p)


@pytest.mark.parametrize("score", [expected_calibration_error, brier_score])
@pytest.mark.parametrize(
    ("weight", "message"),
    [
        ([1, -1], r"sample_weight is -1.0 in row 1; weights are finite and not negative"),
        ([1, np.inf], r"sample_weight is inf in row 1"),
        ([np.nan, 1], r"sample_weight is nan in row 0"),
        ([1, 1, 1], r"sample_weight has shape \(3,\) and p has 2 rows"),
        ([0, 0], r"sample_weight is 0 in all 2 rows"),
    ],
)
def test_weights_that_cannot_be_are_refused(score, weight, message: str):
    with pytest.raises(ValueError, match=message):
        score([0, 1], [0.5, 0.5], sample_weight=weight)


def test_unknown_options_are_refused_and_named():
    with pytest.raises(ValueError, match=r"norm must be one of 'l1', 'l2', 'max'\. Got 'l3' instead"):
        expected_calibration_error([0, 1], [0.5, 0.5], norm="l3")
    with pytest.raises(
        ValueError, match=r"strategy must be one of 'uniform', 'quantile'\. Got 'equal' instead"
    ):
        reliability_curve([0, 1], [0.5, 0.5], strategy="equal")
    for n_bins in (0, -1):
        with pytest.raises(ValueError, match=f"n_bins is {n_bins}; expected at least 1"):
            expected_calibration_error([0, 1], [0.5, 0.5], n_bins=n_bins)
