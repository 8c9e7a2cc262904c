"""How much of a Sharpe ratio may be luck: the estimate, its interval, and what many trials leave of it."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kurtosis, skew

from trading_assets.registry.ledger import TrialCount
from trading_assets.reports.significance import sharpe_statistics
from trading_assets.validation.overfitting import deflated_sharpe_ratio, probabilistic_sharpe_ratio

PER_YEAR = 8_766
MANY = 50
"""Orders, enough of them for an interval."""
ONE = TrialCount(1, ())


def sample(mean: float = 0.0008, n: int = 800, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_t(5, n) * 0.01 + mean


@pytest.mark.parametrize("seed", range(5))
def test_the_interval_contains_the_estimate(seed: int) -> None:
    found = sharpe_statistics(sample(seed=seed), PER_YEAR, ONE, MANY)
    assert found["Sharpe, low"] < found["Sharpe"] < found["Sharpe, high"]
    returns = sample(seed=seed)
    assert found["Sharpe"] == pytest.approx(returns.mean() / returns.std(ddof=1) * np.sqrt(PER_YEAR))
    # 95 % of about 1 / sqrt(n) a bar either side
    width = 2 * 1.96 * np.sqrt(PER_YEAR / len(returns))
    assert found["Sharpe, high"] - found["Sharpe, low"] == pytest.approx(width, rel=0.25)


def test_the_probabilities_are_those_of_the_returns_length_and_shape_per_bar() -> None:
    returns, tried = sample(), TrialCount(37, (0.01, -0.02, 0.05))
    found = sharpe_statistics(returns, PER_YEAR, tried, MANY)
    per_bar = returns.mean() / returns.std(ddof=1)
    shape = {"skew": float(skew(returns)), "kurtosis": float(kurtosis(returns)) + 3}
    assert found["probabilistic Sharpe"] == pytest.approx(
        probabilistic_sharpe_ratio(per_bar, len(returns), **shape), rel=1e-12
    )
    deflated = deflated_sharpe_ratio(
        per_bar, len(returns), n_trials=37, trial_variance=np.var([0.01, -0.02, 0.05], ddof=1), **shape
    )
    assert found["deflated Sharpe"] == pytest.approx(deflated, rel=1e-12)
    assert found["trials"] == 37
    assert 0.01 < deflated < found["probabilistic Sharpe"] < 1


def test_one_trial_deflates_nothing_and_none_counts_as_one() -> None:
    for tried in (ONE, TrialCount(0, ())):
        found = sharpe_statistics(sample(), PER_YEAR, tried, MANY)
        assert found["deflated Sharpe"] == pytest.approx(found["probabilistic Sharpe"], rel=1e-12)


@settings(max_examples=15, deadline=None)
@given(
    n=st.lists(st.integers(1, 3_000), min_size=2, max_size=5, unique=True),
    spread=st.floats(1e-4, 0.2),
    mean=st.floats(-0.002, 0.002),
    seed=st.integers(0, 999),
)
def test_more_trials_never_raise_the_deflated_value(
    n: list[int], spread: float, mean: float, seed: int
) -> None:
    returns = sample(mean, 60, seed)
    values = [
        sharpe_statistics(returns, PER_YEAR, TrialCount(count, (-spread, spread)), MANY)["deflated Sharpe"]
        for count in sorted(n)
    ]
    assert all(after <= before for before, after in pairwise(values))


def test_trials_that_differ_more_deflate_more() -> None:
    values = [
        sharpe_statistics(sample(), PER_YEAR, TrialCount(20, (-spread, spread)), MANY)["deflated Sharpe"]
        for spread in (0.001, 0.01, 0.1)
    ]
    assert values[0] > values[1] > values[2]


def test_without_known_sharpe_ratios_the_trials_are_taken_to_differ_as_estimates_do() -> None:
    returns = sample()
    n = len(returns)
    spread = np.sqrt(1 / n / 2)  # of two values whose variance (ddof 1) is 1 / n
    known = sharpe_statistics(returns, PER_YEAR, TrialCount(20, (-spread, spread)), MANY)
    assert sharpe_statistics(returns, PER_YEAR, TrialCount(20, ()), MANY) == pytest.approx(known)


def test_what_never_traded_has_no_sharpe_ratio_and_nothing_to_say_for_itself() -> None:
    found = sharpe_statistics(np.zeros(300), PER_YEAR, TrialCount(12, (0.1, 0.2)), 0)
    assert found == {
        "Sharpe": 0.0,
        "Sharpe, low": pytest.approx(np.nan, nan_ok=True),
        "Sharpe, high": pytest.approx(np.nan, nan_ok=True),
        "probabilistic Sharpe": 0.5,
        "deflated Sharpe": 0.5,
        "trials": 12,
    }


@pytest.mark.parametrize("size", [0.002, -0.002])
def test_the_interval_of_few_trades_reaches_to_none_of_them(size: float) -> None:
    """Some resamples hold hardly any, and one without any has a Sharpe ratio of 0 and not an unknown one."""
    returns = np.zeros(400)
    returns[10:400:40] = size * np.arange(1, 11)
    found = sharpe_statistics(returns, PER_YEAR, ONE, 20)
    assert all(np.isfinite(value) for value in found.values())
    assert found["Sharpe, low"] < found["Sharpe"] < found["Sharpe, high"]


def test_of_few_orders_there_is_no_interval_and_all_else_stays() -> None:
    """Two orders gave .90 (.00 to 1.72), as if that were known."""
    few, enough = (sharpe_statistics(sample(), PER_YEAR, ONE, orders) for orders in (19, 20))
    edges = {"Sharpe, low", "Sharpe, high"}
    assert all(np.isnan(few[edge]) and np.isfinite(enough[edge]) for edge in edges)
    assert {name: few[name] for name in few.keys() - edges} == {
        name: enough[name] for name in enough.keys() - edges
    }


def test_the_same_returns_give_the_same_statistics() -> None:
    assert sharpe_statistics(sample(), PER_YEAR, ONE, MANY) == sharpe_statistics(
        sample(), PER_YEAR, ONE, MANY
    )
