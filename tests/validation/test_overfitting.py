"""Sharpe inference and overfitting: values of the papers, and serial definitions."""

import math
from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import norm, rankdata

from trading_assets.validation.overfitting import (
    bootstrap_interval,
    deflated_sharpe_ratio,
    expected_maximum_sharpe,
    minimum_backtest_length,
    minimum_track_record_length,
    probabilistic_sharpe_ratio,
    probability_of_backtest_overfitting,
)


@pytest.mark.parametrize(
    ("shape", "expected"), [({}, 0.9816749), ({"skew": -2.448, "kurtosis": 10.164}, 0.9133611)]
)
def test_probabilistic_sharpe_ratio_is_that_of_the_paper(shape, expected: float):
    # Bailey and Lopez de Prado (2012): 24 monthly returns, Sharpe ratio 0.458 a month.
    assert probabilistic_sharpe_ratio(0.458, 24, **shape) == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize(("n_trials", "expected"), [(10, 1.5745983013), (100, 2.5306028932)])
def test_expected_maximum_of_standard_normals(n_trials: int, expected: float):
    # Bailey and Lopez de Prado (2014), equation 1.
    assert expected_maximum_sharpe(n_trials, 1.0) == pytest.approx(expected, abs=1e-8)
    assert expected_maximum_sharpe(n_trials, 0.25) == pytest.approx(expected / 2, abs=1e-8)


@pytest.mark.parametrize("n_trials", [10, 100, 1_000])
def test_the_expected_maximum_is_about_that_of_simulated_normals(n_trials: int):
    best = np.random.default_rng(0).normal(size=(4_000, n_trials)).max(axis=1)
    assert expected_maximum_sharpe(n_trials, 1.0) == pytest.approx(best.mean(), abs=0.06)


def test_deflated_sharpe_ratio_is_that_of_the_paper():
    # Bailey and Lopez de Prado (2014), the example of section 4. Excess kurtosis would give
    # 0.9017786, T instead of T - 1 0.9004867.
    daily = {"n_trials": 100, "trial_variance": 0.5 / 250}
    assert expected_maximum_sharpe(100, 0.5 / 250) == pytest.approx(0.1131720, abs=1e-7)
    deflated = deflated_sharpe_ratio(2.5 / math.sqrt(250), 1250, skew=-3, kurtosis=10, **daily)
    assert deflated == pytest.approx(0.9003968344, abs=1e-8)


@given(sharpe=st.floats(-1, 1), n=st.integers(2, 5_000), skew=st.floats(-2, 2), variance=st.floats(0, 1))
def test_of_one_trial_the_deflated_sharpe_ratio_is_exactly_the_probabilistic_one(sharpe, n, skew, variance):
    shape = {"skew": skew, "kurtosis": 3 + skew**2}
    deflated = deflated_sharpe_ratio(sharpe, n, n_trials=1, trial_variance=variance, **shape)
    assert deflated == probabilistic_sharpe_ratio(sharpe, n, **shape)


@given(sharpe=st.floats(0.01, 1), n_trials=st.integers(1, 1_000))
def test_more_trials_never_make_a_sharpe_ratio_more_credible(sharpe: float, n_trials: int):
    some, more = (
        deflated_sharpe_ratio(sharpe, 500, n_trials=n, trial_variance=0.01) for n in (n_trials, n_trials + 1)
    )
    assert more <= some


def test_minimum_track_record_length_is_that_of_the_paper():
    # By hand: annual Sharpe ratio 2 against 1 at 95 %, normal daily returns, 250 a year.
    daily = minimum_track_record_length(2 / math.sqrt(250), benchmark=1 / math.sqrt(250))
    assert daily / 250 == pytest.approx(2.7311878, abs=1e-7)


@given(
    sharpe=st.floats(0.02, 0.5),
    benchmark=st.floats(-0.2, 0.01),
    skew=st.floats(-2, 2),
    confidence=st.floats(0.6, 0.999),
)
def test_at_its_minimum_length_a_track_record_has_just_the_confidence(sharpe, benchmark, skew, confidence):
    shape = {"skew": skew, "kurtosis": 3 + skew**2, "benchmark": benchmark}
    length = minimum_track_record_length(sharpe, confidence=confidence, **shape)
    assert probabilistic_sharpe_ratio(sharpe, max(math.ceil(length), 2), **shape) >= confidence - 1e-12
    if length > 3:
        assert probabilistic_sharpe_ratio(sharpe, math.ceil(length) - 1, **shape) < confidence


def test_no_length_shows_that_a_sharpe_ratio_exceeds_a_larger_one():
    assert minimum_track_record_length(0.1, benchmark=0.1) == math.inf


def test_five_years_bear_45_trials_without_skill():
    # Bailey, Borwein, Lopez de Prado and Zhu (2014): try no more than 45 independent configurations on 5
    # years, or the best of them is expected to show a Sharpe ratio of 1.
    assert minimum_backtest_length(45, 1.0) <= 5 < minimum_backtest_length(46, 1.0)
    assert minimum_backtest_length(45, 2.0) == pytest.approx(minimum_backtest_length(45, 1.0) / 4)
    assert minimum_backtest_length(1, 1.0) == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: probabilistic_sharpe_ratio(0.1, 1), "n_observations is 1; expected at least 2"),
        (
            lambda: probabilistic_sharpe_ratio(0.1, 9, kurtosis=0),
            r"kurtosis is 0 .* raw .* Add 3 to an excess",
        ),
        (lambda: probabilistic_sharpe_ratio(0.1, 9, skew=-2, kurtosis=4), r"at least 1 \+ skew\^2 = 5"),
        (lambda: expected_maximum_sharpe(0, 1.0), "n_trials is 0; expected at least 1"),
        (lambda: expected_maximum_sharpe(9, -1.0), "variance is -1.0; expected the trials' variance"),
        (
            lambda: minimum_track_record_length(0.1, confidence=95),
            "confidence is 95; expected between 0 and 1",
        ),
        (lambda: minimum_backtest_length(9, 0.0), "target_sharpe is 0.0; expected an annualized"),
        (lambda: probabilistic_sharpe_ratio([0.1, 0.2], 9), r"sharpe is \[0.1, 0.2\]; expected one number"),
        (lambda: probabilistic_sharpe_ratio(np.zeros(2), 9), r"sharpe is array.*; expected one number. Call"),
        (lambda: probabilistic_sharpe_ratio("0.1", 9), "sharpe is '0.1'; expected one number"),
        (lambda: probabilistic_sharpe_ratio(0.1, 9.5), "n_observations is 9.5; expected at least 2, a whole"),
        (lambda: probabilistic_sharpe_ratio(0.1, 9, skew=[0.1]), r"skew is \[0.1\]; expected one number"),
        (lambda: expected_maximum_sharpe("9", 1.0), "n_trials is '9'; expected at least 1, a whole number"),
        (lambda: expected_maximum_sharpe(9, [1.0]), r"variance is \[1.0\]; expected one number"),
        (lambda: minimum_track_record_length([0.1]), r"sharpe is \[0.1\]; expected one number"),
        (lambda: minimum_backtest_length(9, [1.0]), r"target_sharpe is \[1.0\]; expected one number"),
    ],
)
def test_arguments_that_make_no_sense_are_refused_with_what_was_expected(call, message: str):
    with pytest.raises(ValueError, match=message):
        call()


def test_the_probability_agrees_with_the_normal_distribution_of_scipy():
    z = (0.1 - 0.03) * math.sqrt(99) / math.sqrt(1 + 0.5 * 0.1 + (5 - 1) / 4 * 0.01)
    ours = probabilistic_sharpe_ratio(0.1, 100, skew=-0.5, kurtosis=5, benchmark=0.03)
    assert ours == pytest.approx(norm.cdf(z), abs=1e-12)


# Known values, PBO by CSCV.
MATRIX = np.array(
    [
        [0.08, -0.09, 0.02, 0],
        [-0.05, 0, 0.03, -0.04],
        [0.01, -0.07, 0.08, -0.09],
        [-0.02, -0.02, -0.08, -0.02],
    ]
)


def test_overfitting_of_the_golden_matrix():
    found = probability_of_backtest_overfitting(MATRIX, n_blocks=4, metric="mean")
    expected = [1.386294, 0.405465, 0.405465, -0.405465, -1.386294, 1.386294]
    np.testing.assert_allclose(found.logits, expected, atol=1e-6)
    assert found.pbo == pytest.approx(1 / 3)
    # Worked out by hand: the halves choose these columns, which earn this on the other half.
    np.testing.assert_array_equal(found.chosen, [2, 2, 0, 2, 1, 2])
    np.testing.assert_allclose(found.in_sample, [0.025, 0.05, 0.03, 0.055, -0.01, 0.0], atol=1e-15)
    np.testing.assert_allclose(found.out_of_sample, [0.0, -0.025, -0.02, -0.03, -0.08, 0.025], atol=1e-15)
    assert found.probability_of_loss == pytest.approx(4 / 6)


def serial(returns, n_blocks: int, metric: str):
    """CSCV as the paper states it: one choice of blocks after the other."""
    blocks = np.array_split(returns, n_blocks)
    logits, inside, outside = [], [], []
    for choice in combinations(range(n_blocks), n_blocks // 2):
        halves = (
            np.concatenate([blocks[b] for b in range(n_blocks) if (b in choice) is wanted])
            for wanted in (True, False)
        )
        scores = [
            half.mean(axis=0) / (half.std(axis=0, ddof=1) if metric == "sharpe" else 1) for half in halves
        ]
        best = scores[0].argmax()
        rank = rankdata(scores[1])[best] / (returns.shape[1] + 1)
        logits.append(math.log(rank / (1 - rank)))
        inside.append(scores[0][best])
        outside.append(scores[1][best])
    return np.array(logits), np.array(inside), np.array(outside)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    n_blocks=st.sampled_from([2, 4, 6, 8]),
    n_strategies=st.integers(2, 9),
    extra=st.integers(0, 30),
    metric=st.sampled_from(["sharpe", "mean"]),
    offset=st.sampled_from([0.0, 0.01, 100.0]),
)
def test_overfitting_by_matrix_products_equals_the_serial_definition(
    seed, n_blocks, n_strategies, extra, metric, offset
):
    returns = np.random.default_rng(seed).normal(offset, 0.01, size=(3 * n_blocks + extra, n_strategies))
    found = probability_of_backtest_overfitting(returns, n_blocks=n_blocks, metric=metric)
    logits, inside, outside = serial(returns, n_blocks, metric)
    np.testing.assert_allclose(found.logits, logits, atol=1e-12)
    np.testing.assert_allclose(found.in_sample, inside, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.out_of_sample, outside, rtol=1e-9, atol=1e-12)
    assert found.pbo == np.mean(logits <= 0)
    assert found.probability_of_loss == np.mean(outside < 0)
    if n_blocks > 2:
        covariance = np.cov(inside, outside)
        assert found.degradation_slope == pytest.approx(covariance[0, 1] / covariance[0, 0], rel=1e-6)


@pytest.mark.parametrize("metric", ["sharpe", "mean"])
def test_a_strategy_that_is_best_everywhere_is_not_overfitted(metric: str):
    returns = np.random.default_rng(0).normal(0, 0.01, size=(400, 20))
    returns[:, 7] += 0.05
    found = probability_of_backtest_overfitting(returns, n_blocks=8, metric=metric)
    assert found.pbo == 0 == found.probability_of_loss
    assert (found.chosen == 7).all()


def exactly(table: list[list[int]], n_blocks: int, metric: str) -> tuple[list[float], float]:
    """Logits and probability of loss by the definition, in fractions: nothing is rounded."""
    n_strategies = len(table[0])
    blocks = np.array_split(np.arange(len(table)), n_blocks)

    def score(rows: list[int], strategy: int) -> Fraction:
        returns = [Fraction(table[row][strategy]) for row in rows]
        mean = sum(returns) / len(returns)
        if metric == "mean":
            return mean
        variance = sum((value - mean) ** 2 for value in returns) / (len(returns) - 1)
        return (
            (1 if mean > 0 else -1) * mean**2 / variance if variance else Fraction(0)
        )  # as the ratio orders

    logits, losses = [], 0
    for choice in combinations(range(n_blocks), n_blocks // 2):
        inside, outside = (
            [
                score(
                    [row for b in range(n_blocks) if (b in choice) is wanted for row in blocks[b]], strategy
                )
                for strategy in range(n_strategies)
            ]
            for wanted in (True, False)
        )
        chosen = min(outside[k] for k in range(n_strategies) if inside[k] == max(inside))
        below, equal = sum(one < chosen for one in outside), sum(one == chosen for one in outside)
        rank = below + (equal + 1) / 2
        logits.append(math.log(rank / (n_strategies + 1 - rank)))
        losses += chosen < 0
    return logits, losses / len(logits)


# Few levels, so that strategies tie in many halves, and idle or constant through some of them.
coarse_tables = st.integers(2, 5).flatmap(
    lambda n: st.lists(st.lists(st.integers(-2, 2), min_size=n, max_size=n), min_size=8, max_size=14)
)


@settings(max_examples=150, deadline=None)
@given(
    table=coarse_tables,
    n_blocks=st.sampled_from([2, 4]),
    metric=st.sampled_from(["sharpe", "mean"]),
    unit=st.sampled_from([0.01, 0.1, 1 / 3, 1e-7, 123.4]),
    data=st.data(),
)
def test_ties_are_decided_by_the_definition_and_not_by_rounding_order_or_leverage(
    table, n_blocks, metric, unit, data
):
    logits, losses = exactly(table, n_blocks, metric)
    n = len(table[0])
    order = data.draw(st.permutations(range(n)))
    leverage = np.full(n, unit)
    if metric == "sharpe":
        leverage *= data.draw(arrays(np.float64, n, elements=st.sampled_from([1.0, 0.7, 3.0, 1e-3, 1e4])))
    returns = (np.array(table, dtype=float) * leverage)[:, order]
    found = probability_of_backtest_overfitting(returns, n_blocks=n_blocks, metric=metric)
    np.testing.assert_allclose(found.logits, logits, rtol=0, atol=1e-12)
    assert found.pbo == np.mean(np.array(logits) <= 1e-12)
    assert found.probability_of_loss == losses


@settings(max_examples=60, deadline=None)
@given(table=coarse_tables, copies=st.integers(2, 3), metric=st.sampled_from(["sharpe", "mean"]))
def test_giving_every_strategy_several_times_changes_no_probability(table, copies, metric):
    returns = np.array(table) * 0.1
    once = probability_of_backtest_overfitting(returns, n_blocks=4, metric=metric)
    again = probability_of_backtest_overfitting(np.tile(returns, copies), n_blocks=4, metric=metric)
    assert (again.pbo, again.probability_of_loss) == (once.pbo, once.probability_of_loss)
    np.testing.assert_allclose(again.out_of_sample, once.out_of_sample, rtol=1e-9, atol=1e-15)
    assert again.degradation_slope == pytest.approx(once.degradation_slope, rel=1e-9, nan_ok=True)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), twins=st.integers(1, 4), offset=st.sampled_from([0.0, 1e-3, 1.0]))
def test_leveraged_twins_of_a_strategy_are_ranked_as_copies_of_it(seed: int, twins: int, offset: float):
    rng = np.random.default_rng(seed)
    returns = rng.normal(offset, 0.01, size=(90, 6))
    returns[: rng.integers(90), 0] = 0.0  # idle at first
    of = rng.integers(6, size=twins)
    copies = probability_of_backtest_overfitting(np.column_stack([returns, returns[:, of]]), n_blocks=6)
    levered = np.column_stack([returns, returns[:, of] * rng.uniform(0.01, 30, twins)])
    order = rng.permutation(6 + twins)
    found = probability_of_backtest_overfitting(levered[:, order], n_blocks=6)
    np.testing.assert_allclose(found.logits, copies.logits, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.out_of_sample, copies.out_of_sample, rtol=1e-8, atol=1e-12)
    assert (found.pbo, found.probability_of_loss) == (copies.pbo, copies.probability_of_loss)


def test_of_strategies_that_tie_in_sample_the_one_that_disappoints_most_is_chosen():
    # In the first half both earn the same; in the second one gains and the other loses.
    returns = np.array([[0.02, 0.02, 0.0], [0.01, 0.01, 0.0], [0.03, -0.03, 0.0], [0.01, -0.01, 0.0]])
    for order in ([0, 1, 2], [1, 0, 2], [2, 1, 0]):
        found = probability_of_backtest_overfitting(returns[:, order], n_blocks=2, metric="mean")
        assert found.out_of_sample[0] == pytest.approx(-0.02)
        assert order[found.chosen[0]] == 1
        assert (found.pbo, found.probability_of_loss) == (0.5, 0.5)


def test_a_mean_that_only_rounding_puts_below_zero_is_no_loss():
    half = np.array([0.1, 0.2, -0.3])
    returns = np.column_stack([np.r_[half, half], np.full(6, -0.1)])
    found = probability_of_backtest_overfitting(returns, n_blocks=2, metric="mean")
    assert np.abs(found.out_of_sample).max() < 1e-15
    assert found.probability_of_loss == 0 == found.pbo


def test_a_half_of_little_variation_keeps_the_digits_of_its_sharpe_ratio():
    """1e-9 around 1e-5 in one half, 1 % in the other: in one-pass sums the first half's variance cancels."""
    rng = np.random.default_rng(5)
    quiet, loud = 1e-5 + 1e-9 * rng.normal(size=(40, 2)), rng.normal(0, 0.01, size=(40, 2))
    table = np.concatenate([quiet, loud])
    found = probability_of_backtest_overfitting(table, n_blocks=4)
    expected = quiet.mean(axis=0) / quiet.std(axis=0, ddof=1)
    assert found.in_sample[0] == pytest.approx(expected.max(), rel=1e-10)


def test_pure_noise_is_overfitted_half_of_the_time():
    # By hand: 0.5 on average with a standard deviation of 0.24 a seed; 60 seeds leave 0.03.
    found = [
        probability_of_backtest_overfitting(
            np.random.default_rng(seed).normal(size=(240, 10)), n_blocks=8
        ).pbo
        for seed in range(60)
    ]
    assert np.mean(found) == pytest.approx(0.5, abs=0.12)


def test_a_strategy_that_idles_or_never_varies_scores_zero_and_not_by_rounding():
    rng = np.random.default_rng(1)
    returns = rng.normal(-0.001, 0.01, size=(80, 3))
    returns[:40, 1] = 0.0  # idle in the first half
    returns[:, 2] = 0.1  # a constant, whose mean is not exact
    found = probability_of_backtest_overfitting(returns, n_blocks=8)
    assert np.abs(found.in_sample).max() < 1
    first = found.out_of_sample[-1]  # in sample the second half, out of sample the first
    assert found.chosen[-1] != 1 or first == 0


@pytest.mark.parametrize(
    ("returns", "options", "message"),
    [
        (np.zeros(10), {}, r"returns have shape \(10,\); expected \(n_periods, at least 2 strategies\)"),
        (np.zeros((10, 1)), {}, "at least 2 strategies"),
        (
            np.zeros((40, 2)),
            {"n_blocks": 5},
            "n_blocks is 5; expected an even number, 2 to 20 for 40 periods",
        ),
        (np.zeros((10, 2)), {"n_blocks": 8}, "n_blocks is 8; expected an even number, 2 to 5 for 10 periods"),
        (np.zeros((90, 2)), {"n_blocks": 22}, "n_blocks is 22; .* 2 to 20"),
        (np.zeros((90, 2)), {"n_blocks": "16"}, "n_blocks is '16'; expected at least 2, a whole number"),
        (np.zeros((90, 2)), {"n_blocks": 4.0}, "n_blocks is 4.0; expected at least 2, a whole number"),
        (np.zeros((90, 2)), {"metric": "sortino"}, "metric is 'sortino'; expected 'sharpe' or 'mean'"),
        (np.array([[0, 1], [0, np.nan]]), {}, "strategy 1 in period 1 is nan; expected finite returns"),
    ],
)
def test_returns_that_cannot_be_cut_are_refused(returns, options, message: str):
    with pytest.raises(ValueError, match=message):
        probability_of_backtest_overfitting(returns, **options)


def autoregressive(n: int, strength: float, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=n)
    for t in range(1, n):
        noise[t] += strength * noise[t - 1]
    return noise


def test_the_bootstrap_interval_is_the_same_for_the_same_seed_only():
    returns = autoregressive(300, 0.3, 0)
    one = bootstrap_interval(returns, np.mean, n_resamples=200, seed=3)
    assert one == bootstrap_interval(returns, np.mean, n_resamples=200, seed=3)
    assert one != bootstrap_interval(returns, np.mean, n_resamples=200, seed=4)
    assert one[0] < returns.mean() < one[1]


def test_without_dependence_the_bootstrap_interval_is_that_of_the_mean():
    returns = np.random.default_rng(0).normal(size=500)
    low, high = bootstrap_interval(returns, np.mean, confidence=0.9, n_resamples=4_000)
    half = 1.645 * returns.std() / math.sqrt(500)
    assert low == pytest.approx(returns.mean() - half, abs=0.015)
    assert high == pytest.approx(returns.mean() + half, abs=0.015)


def test_dependence_widens_the_interval_through_the_estimated_block():
    returns = autoregressive(1_000, 0.8, 1)
    width = [np.diff(bootstrap_interval(returns, np.mean, block=block))[0] for block in (1, None)]
    # The standard error of the mean grows by sqrt((1 + .8) / (1 - .8)) = 3.
    assert 1.8 < width[1] / width[0] < 3.6


def test_a_constant_series_has_an_interval_without_width():
    assert bootstrap_interval(np.full(50, 0.25), np.mean, n_resamples=20) == (0.25, 0.25)


def test_of_an_undefined_sharpe_ratio_every_probability_is_undefined():
    for found in (
        probabilistic_sharpe_ratio(math.nan, 9),
        deflated_sharpe_ratio(math.nan, 9, n_trials=3, trial_variance=0.1),
        minimum_track_record_length(math.nan),
    ):
        assert math.isnan(found)


@pytest.mark.parametrize(
    ("returns", "options", "message"),
    [
        (np.array([0.1, np.nan]), {}, "1 values that are not finite"),
        (np.zeros((9, 2)), {}, r"shape \(9, 2\)"),
        (np.zeros(9), {"confidence": 1}, "confidence is 1; expected between 0 and 1"),
        (np.zeros(9), {"n_resamples": 0}, "n_resamples is 0; expected at least 1"),
        (np.zeros(9), {"block": "5"}, "block is '5'; expected one number"),
        (np.zeros(9), {"block": 0.5}, "block is 0.5; expected a mean length of at least 1"),
    ],
)
def test_a_bootstrap_that_cannot_be_drawn_is_refused(returns, options, message: str):
    with pytest.raises(ValueError, match=message):
        bootstrap_interval(returns, np.mean, **options)
