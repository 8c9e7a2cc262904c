"""Targets: what they are, which bars decide them, and that no other bar does."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from trading_assets.features.kernels import CLOSE, OPEN
from trading_assets.features.labels import Labels, label_span, make_labels

Floats = NDArray[np.float64]

horizons = st.integers(1, 6)
lookbacks = st.integers(1, 12)


def bars_of(opens: list[float], closes: list[float] | None = None) -> Floats:
    bars = np.ones((len(opens), 6))
    bars[:, OPEN] = opens
    bars[:, CLOSE] = opens if closes is None else closes
    return bars


def random_bars(n: int, seed: int) -> Floats:
    path = 100 * np.exp(np.random.default_rng(seed).normal(0, 0.02, n + 1).cumsum())
    return bars_of(path[:-1].tolist(), path[1:].tolist())


def labels_of(bars: Floats, horizon: int = 1, variance: int = 1, lookback: int = 2) -> Labels:
    return make_labels(bars, horizon=horizon, variance_horizon=variance, variance_lookback=lookback)


def test_the_forward_return_enters_at_the_next_open_and_leaves_h_opens_later() -> None:
    opens = [7.0, 100.0, 110.0, 99.0, 99.0, 50.0]
    one, two = labels_of(bars_of(opens), 1), labels_of(bars_of(opens), 2)
    nan = np.nan
    np.testing.assert_allclose(one.forward_return, [0.1, -0.1, 0.0, 50 / 99 - 1, nan, nan], atol=1e-15)
    np.testing.assert_allclose(two.forward_return, [-0.01, -0.1, 50 / 99 - 1, nan, nan, nan], atol=1e-15)


def test_the_direction_is_up_only_where_the_forward_return_is_positive() -> None:
    direction = labels_of(bars_of([7.0, 100.0, 110.0, 99.0, 99.0, 50.0])).direction
    np.testing.assert_array_equal(direction, [1, 0, 0, 0, np.nan, np.nan])


def test_closes_do_not_decide_the_direction() -> None:
    bars = random_bars(50, 0)
    other = bars.copy()
    other[:, CLOSE] = other[::-1, CLOSE]
    np.testing.assert_array_equal(labels_of(other, 3).direction, labels_of(bars, 3).direction)


@pytest.mark.parametrize(("horizon", "variance", "span"), [(1, 1, 2), (24, 24, 25), (3, 9, 9)])
def test_labels_depend_on_the_next_bar_to_the_end_of_the_longer_horizon(
    horizon: int, variance: int, span: int
) -> None:
    labels = labels_of(random_bars(40, 1), horizon, variance)
    assert label_span(horizon, variance) == span
    np.testing.assert_array_equal(labels.label_start, np.arange(1, 41))
    np.testing.assert_array_equal(labels.label_end, np.arange(span, 40 + span))
    assert labels.label_start.dtype == labels.label_end.dtype == np.int64


@settings(deadline=None)
@given(n=st.integers(0, 60), horizon=horizons, variance=horizons, lookback=lookbacks)
def test_labels_are_missing_exactly_where_their_bars_are(
    n: int, horizon: int, variance: int, lookback: int
) -> None:
    labels = labels_of(random_bars(n, 2), horizon, variance, lookback)
    t = np.arange(n)
    np.testing.assert_array_equal(np.isfinite(labels.forward_return), t + horizon + 1 < n)
    np.testing.assert_array_equal(np.isfinite(labels.direction), t + horizon + 1 < n)
    # The first return is that of bar 1, so the first realised variance is that of bar `variance`.
    known = (t >= variance + lookback - 1) & (t + variance < n)
    np.testing.assert_array_equal(np.isfinite(labels.high_variance), known)


def slow_high_variance(close: Floats, horizon: int, lookback: int) -> Floats:
    n = len(close)
    high = np.full(n, np.nan)
    for t in range(n):
        past = range(t - lookback + 1, t + 1)
        if past[0] < horizon or t + horizon >= n:
            continue
        realised = {
            end: sum(np.log(close[i] / close[i - 1]) ** 2 for i in range(end - horizon + 1, end + 1))
            for end in (*past, t + horizon)
        }
        high[t] = realised[t + horizon] > np.median([realised[end] for end in past])
    return high


@pytest.mark.parametrize(("horizon", "lookback"), [(1, 2), (3, 7), (6, 30), (24, 50)])
def test_high_variance_is_that_of_a_loop_over_bars(horizon: int, lookback: int) -> None:
    bars = random_bars(300, 3)
    made = labels_of(bars, 1, horizon, lookback).high_variance
    expected = slow_high_variance(bars[:, CLOSE], horizon, lookback)
    np.testing.assert_array_equal(made, expected)
    assert 0.2 < np.nanmean(made) < 0.8


@settings(deadline=None)
@given(
    t=st.integers(0, 79),
    seed=st.integers(0, 1_000),
    horizon=horizons,
    variance=horizons,
    lookback=lookbacks,
)
def test_no_bar_after_its_end_changes_a_label(
    t: int, seed: int, horizon: int, variance: int, lookback: int
) -> None:
    bars = random_bars(80, 4)
    before = labels_of(bars, horizon, variance, lookback)
    end = before.label_end[t]
    other = bars.copy()
    noise = np.random.default_rng(seed).normal(0, 0.5, other[end + 1 :].shape)
    other[end + 1 :] *= np.exp(noise)
    changed = labels_of(other, horizon, variance, lookback)
    shorter = labels_of(bars[: end + 1], horizon, variance, lookback)
    for name in ("forward_return", "direction", "high_variance"):
        value = getattr(before, name)[t]
        np.testing.assert_equal(getattr(changed, name)[t], value)
        np.testing.assert_equal(getattr(shorter, name)[t], value)


@settings(deadline=None)
@given(t=st.integers(20, 60), horizon=horizons)
def test_the_last_bar_of_a_label_does_decide_it(t: int, horizon: int) -> None:
    bars = random_bars(80, 5)
    for factor, up in ((1e3, 1.0), (1e-3, 0.0)):
        other = bars.copy()
        other[t + horizon + 1, OPEN] *= factor
        assert labels_of(other, horizon).direction[t] == up
    still = bars.copy()
    still[t + 1 : t + horizon + 1, CLOSE] = still[t, CLOSE]
    assert labels_of(still, 1, horizon).high_variance[t] == 0.0
    still[t + horizon, CLOSE] *= 10
    assert labels_of(still, 1, horizon).high_variance[t] == 1.0
