"""Targets: what they are, which bars decide them, and that no other bar does."""

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import linregress

from trading_assets.config.settings import LabelSettings
from trading_assets.errors import MarketError
from trading_assets.features.dataset import label_table
from trading_assets.features.labels import (
    TARGETS,
    Events,
    Labels,
    cusum_events,
    forward_return,
    make_labels,
    meta_labels,
    trend_scanning,
    triple_barrier,
    volatility_target,
)
from trading_assets.market.bars import to_matrix
from trading_assets.market.synthetic import SyntheticMarket
from trading_assets.validation.splits import PurgedKFold, assert_no_leakage

Floats = NDArray[np.float64]
OPEN, HIGH, LOW, CLOSE = 1, 2, 3, 4
KINDS = ("direction", "triple_barrier", "trend")
NAN = np.nan

horizons = st.integers(1, 6)
lookbacks = st.integers(1, 12)
kinds = st.sampled_from(KINDS)


def bars_of(opens: list[float], closes: list[float] | None = None) -> Floats:
    bars = np.ones((len(opens), 7))
    bars[:, 0] = 3_600.0 * np.arange(len(opens))
    bars[:, OPEN] = opens
    bars[:, CLOSE] = opens if closes is None else closes
    bars[:, HIGH] = bars[:, [OPEN, CLOSE]].max(axis=1)
    bars[:, LOW] = bars[:, [OPEN, CLOSE]].min(axis=1)
    return bars


def random_bars(n: int, seed: int, gaps: float = 0.0) -> Floats:
    """Bars with shadows; with `gaps`, opens away from the close before them."""
    rng = np.random.default_rng(seed)
    path = 100 * np.exp(rng.normal(0, 0.02, n + 1).cumsum())
    bars = bars_of((path[:-1] * np.exp(rng.normal(0, gaps, n))).tolist(), path[1:].tolist())
    bars[:, HIGH] *= np.exp(np.abs(rng.normal(0, 0.01, n)))
    bars[:, LOW] *= np.exp(-np.abs(rng.normal(0, 0.01, n)))
    return bars


def settings_of(
    horizon: int = 1, variance: int = 1, lookback: int = 2, kind: str = "direction", weights: str = "none"
) -> LabelSettings:
    return LabelSettings(
        kind=kind,
        horizon=horizon,
        profit_taking=1.0,
        stop_loss=0.8,
        variance_horizon=variance,
        variance_lookback=f"{lookback}h",
        variance_lookback_bars=lookback,
        weights=weights,
    )


def labels_of(
    bars: Floats, horizon: int = 1, variance: int = 1, lookback: int = 2, kind: str = "direction"
) -> Labels:
    return make_labels(bars, settings_of(horizon, variance, lookback, kind))


# --- direction and forward return


def test_the_forward_return_enters_at_the_next_open_and_leaves_h_opens_later() -> None:
    opens = [7.0, 100.0, 110.0, 99.0, 99.0, 50.0]
    one, two = labels_of(bars_of(opens), 1), labels_of(bars_of(opens), 2)
    np.testing.assert_allclose(one.forward_return, [0.1, -0.1, 0.0, 50 / 99 - 1, NAN, NAN], atol=1e-15)
    np.testing.assert_allclose(two.forward_return, [-0.01, -0.1, 50 / 99 - 1, NAN, NAN, NAN], atol=1e-15)
    np.testing.assert_array_equal(forward_return(bars_of(opens), 2), two.forward_return)


def test_the_direction_is_the_sign_of_the_forward_return_and_missing_where_there_is_none() -> None:
    direction = labels_of(bars_of([7.0, 100.0, 110.0, 99.0, 99.0, 50.0])).direction
    np.testing.assert_array_equal(direction, [1, 0, NAN, 0, NAN, NAN])


def test_closes_do_not_decide_the_direction() -> None:
    bars = random_bars(50, 0)
    other = bars.copy()
    other[:, CLOSE] = other[::-1, CLOSE]
    np.testing.assert_array_equal(labels_of(other, 3).direction, labels_of(bars, 3).direction)


@pytest.mark.parametrize(("horizon", "variance", "span"), [(1, 1, 2), (24, 24, 25), (3, 9, 9)])
def test_a_direction_depends_on_the_next_bar_to_the_end_of_the_longer_horizon(
    horizon: int, variance: int, span: int
) -> None:
    labels = labels_of(random_bars(40, 1), horizon, variance)
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


def slow_high_variance(bars: Floats, horizon: int, hours: int, least: int) -> Floats:
    """Against the median over the last hours, or over the last bars where these are fewer than `least`."""
    n, (time, opening, high, low, close) = len(bars), bars[:, :5].T
    variance = [NAN] + [
        np.log(opening[i] / close[i - 1]) ** 2 + np.log(high[i] / low[i]) ** 2 / (4 * np.log(2))
        for i in range(1, n)
    ]
    trailing = [sum(variance[t - horizon + 1 : t + 1]) if t >= horizon else NAN for t in range(n)]
    answers = np.full(n, NAN)
    for t in range(n - horizon):
        past = [i for i in range(horizon, t + 1) if time[i] > time[t] - 3_600 * hours]
        past = past if len(past) >= least else list(range(t - least + 1, t + 1))
        if past[0] >= horizon:
            answers[t] = trailing[t + horizon] > np.median([trailing[i] for i in past])
    return answers


@pytest.mark.parametrize(
    ("horizon", "hours", "least"), [(1, 2, 2), (3, 7, 3), (6, 30, 1), (24, 50, 20), (4, 10, 15)]
)
def test_high_variance_is_that_of_a_loop_over_bars(horizon: int, hours: int, least: int) -> None:
    bars = random_bars(300, 3, gaps=0.01)
    bars[140:, 0] += 17 * 3_600  # a gap in time leaves fewer bars than the least in the hours after it
    chosen = LabelSettings(
        variance_horizon=horizon, variance_lookback=f"{hours}h", variance_lookback_bars=least
    )
    made = make_labels(bars, chosen).high_variance
    np.testing.assert_array_equal(made, slow_high_variance(bars, horizon, hours, least))
    assert 0.2 < np.nanmean(made) < 0.8
    assert np.isfinite(made).sum() == 300 - 2 * horizon - least + 1


def test_the_line_between_high_and_low_variance_is_of_the_same_time_whatever_the_bars() -> None:
    """30 days are 720 hours; of days, there are 60 at the least."""
    bars = random_bars(850, 9)
    daily = bars.copy()
    daily[:, 0] *= 24
    by_hours, by_days = (make_labels(each, LabelSettings()).high_variance for each in (bars, daily))
    np.testing.assert_array_equal(by_hours, slow_high_variance(bars, 24, 720, 60))
    np.testing.assert_array_equal(by_days, slow_high_variance(bars, 24, 60, 60))


# --- triple barrier

CALM = 100.0
ASKED = 40
"""The bar of `path_after` at whose close is asked."""


def path_after(*bars: tuple[float, float, float, float]) -> tuple[Floats, float]:
    """Bars that swing by 1 % up to `ASKED`, then those given; and the deviation over 4 bars known there.

    The deviation is one of log returns.
    """
    closes = [CALM * (1.01 if i % 2 else 1.0) for i in range(ASKED + 1)]
    matrix = bars_of(closes + [bar[0] for bar in bars], closes + [bar[3] for bar in bars])
    matrix[ASKED + 1 :, HIGH] = [bar[1] for bar in bars]
    matrix[ASKED + 1 :, LOW] = [bar[2] for bar in bars]
    return matrix, float(volatility_target(matrix)[ASKED] * 2)


def asked(bars: Floats, side: float = 1.0, take: float = 1.0, stop: float = 1.0) -> tuple[float, float, int]:
    """Outcome, return and last bar of the position entered after `ASKED`, over at most 4 bars."""
    sides = np.full(len(bars), side)
    events = np.array([ASKED])
    found = triple_barrier(bars, horizon=4, profit_taking=take, stop_loss=stop, events=events, side=sides)
    assert found.label_start.tolist() == [ASKED + 1]
    return float(found.outcome[0]), float(found.value[0]), int(found.label_end[0]) - ASKED


QUIET = (100.0, 100.5, 99.5, 100.0)


def test_the_volatility_target_is_the_ewma_of_squared_returns_up_to_the_bar() -> None:
    bars = random_bars(60, 6)
    squares = np.diff(np.log(bars[:, CLOSE])) ** 2
    variance, expected = squares[0], [np.nan]
    for square in squares:
        variance = 0.95 * variance + 0.05 * square
        expected.append(np.sqrt(variance))
    np.testing.assert_allclose(volatility_target(bars), expected, rtol=1e-12)


def test_what_rises_to_its_barrier_first_is_a_profit_at_the_barrier() -> None:
    bars, deviation = path_after(QUIET, (100.0, 103.0, 99.9, 102.0), (102.0, 102.0, 90.0, 90.0), QUIET, QUIET)
    assert 0.015 < deviation < 0.025
    assert asked(bars) == (1.0, pytest.approx(np.expm1(deviation)), 2)


def test_what_falls_to_its_stop_first_is_a_loss_at_the_stop() -> None:
    bars, deviation = path_after(QUIET, (100.0, 100.1, 97.0, 98.0), (98.0, 110.0, 98.0, 110.0), QUIET, QUIET)
    assert asked(bars) == (-1.0, pytest.approx(np.expm1(-deviation)), 2)
    assert asked(bars, stop=0.5) == (-1.0, pytest.approx(np.expm1(-deviation / 2)), 2)


def test_a_bar_that_reaches_both_barriers_counts_as_a_stop() -> None:
    bars, deviation = path_after(QUIET, QUIET, (100.0, 110.0, 90.0, 100.0), QUIET, QUIET)
    assert asked(bars) == (-1.0, pytest.approx(np.expm1(-deviation)), 3)
    assert asked(bars, side=-1.0) == (-1.0, pytest.approx(-np.expm1(deviation)), 3)


def test_the_bar_of_entry_can_stop_already() -> None:
    bars, deviation = path_after((100.0, 110.0, 90.0, 100.0), QUIET, QUIET, QUIET, QUIET)
    assert asked(bars) == (-1.0, pytest.approx(np.expm1(-deviation)), 1)


@pytest.mark.parametrize(
    ("gap", "side", "outcome", "value"),
    [
        ((95.0, 96.0, 94.0, 95.0), 1.0, -1.0, -0.05),
        ((95.0, 96.0, 94.0, 95.0), -1.0, 1.0, 0.05),
        ((107.0, 108.0, 106.0, 107.0), 1.0, 1.0, 0.07),
        ((107.0, 108.0, 106.0, 107.0), -1.0, -1.0, -0.07),
    ],
)
def test_a_bar_that_opens_beyond_a_barrier_fills_at_its_open(
    gap: tuple[float, float, float, float], side: float, outcome: float, value: float
) -> None:
    bars, _ = path_after(QUIET, gap, QUIET, QUIET, QUIET)
    assert asked(bars, side) == (outcome, pytest.approx(value), 2)


@pytest.mark.parametrize(("side", "gap"), [(1.0, (107, 108, 90, 91)), (-1.0, (93, 110, 92, 109))])
def test_a_profit_taken_at_the_open_is_not_lost_to_a_stop_later_in_the_bar(
    side: float, gap: tuple[float, float, float, float]
) -> None:
    bars, _ = path_after(QUIET, gap, QUIET, QUIET, QUIET)
    assert asked(bars, side) == (1.0, pytest.approx(0.07), 2)


def test_without_a_touch_time_is_up_at_the_open_after_the_horizon() -> None:
    bars, _ = path_after(QUIET, QUIET, QUIET, QUIET, (101.0, 150.0, 50.0, 60.0))
    assert asked(bars) == (0.0, pytest.approx(0.01), 5)
    assert asked(bars, side=-1.0) == (0.0, pytest.approx(-0.01), 5)
    # The bar of that open is not asked for a touch, and nothing in it but the open counts.
    assert asked(bars, take=5.0) == (0.0, pytest.approx(0.01), 5)


@pytest.mark.parametrize("n_after", [0, 1, 4])
def test_what_is_not_decided_at_the_last_bar_is_nan_and_ends_with_its_horizon(n_after: int) -> None:
    bars, _ = path_after(*[QUIET] * n_after)
    outcome, value, end = asked(bars)
    assert np.isnan([outcome, value]).all()
    assert end == 5


def test_a_touch_decides_although_the_horizon_is_not_over() -> None:
    bars, deviation = path_after(QUIET, (100.0, 103.0, 99.9, 102.0))
    assert asked(bars) == (1.0, pytest.approx(np.expm1(deviation)), 2)


def test_a_short_position_is_a_long_one_in_the_mirror() -> None:
    bars, deviation = path_after(QUIET, (100.0, 100.1, 97.0, 98.0), QUIET, QUIET, QUIET)
    assert asked(bars, side=-1.0) == (1.0, pytest.approx(-np.expm1(-deviation)), 2)
    bars, deviation = path_after(QUIET, (100.0, 103.0, 99.9, 102.0), QUIET, QUIET, QUIET)
    assert asked(bars, side=-1.0) == (-1.0, pytest.approx(-np.expm1(deviation)), 2)


def slow_barriers(
    bars: Floats, horizon: int, take: float, stop: float, side: float
) -> tuple[list[float], list[float], list[int]]:
    """One position a bar, followed through its bars in the order of what happens in them."""
    deviation = volatility_target(bars) * np.sqrt(horizon)
    outcomes, values, ends = [], [], []
    for t in range(len(bars)):
        outcome, exit_price, end = NAN, NAN, t + 1 + horizon
        entry = bars[t + 1, OPEN] if t + 1 < len(bars) else NAN
        best = entry * np.exp(side * take * deviation[t])
        worst = entry * np.exp(-side * stop * deviation[t])
        for j in range(t + 1, min(t + 1 + horizon, len(bars))):
            at_open = bars[j, OPEN]
            furthest, nearest = (bars[j, HIGH], bars[j, LOW]) if side > 0 else (bars[j, LOW], bars[j, HIGH])
            if side * (at_open - worst) < 0:
                outcome, exit_price = -1.0, at_open
            elif side * (at_open - best) > 0:
                outcome, exit_price = 1.0, at_open
            elif side * (nearest - worst) <= 0:
                outcome, exit_price = -1.0, worst
            elif side * (furthest - best) >= 0:
                outcome, exit_price = 1.0, best
            if not np.isnan(outcome):
                end = j
                break
        else:
            if end < len(bars):
                outcome, exit_price = 0.0, bars[end, OPEN]
        outcomes.append(outcome)
        values.append(side * (exit_price / entry - 1))
        ends.append(end)
    return outcomes, values, ends


@settings(deadline=None)
@given(
    n=st.integers(0, 80),
    seed=st.integers(0, 10_000),
    horizon=st.integers(1, 12),
    take=st.floats(0.1, 3),
    stop=st.floats(0.1, 3),
    side=st.sampled_from([1.0, -1.0]),
    gaps=st.sampled_from([0.0, 0.02]),
)
def test_barriers_are_those_of_a_loop_that_follows_each_position(
    n: int, seed: int, horizon: int, take: float, stop: float, side: float, gaps: float
) -> None:
    bars = random_bars(n, seed, gaps)
    sides = np.full(n, side)
    found = triple_barrier(bars, horizon=horizon, profit_taking=take, stop_loss=stop, side=sides)
    outcome, value, end = slow_barriers(bars, horizon, take, stop, side)
    np.testing.assert_array_equal(found.outcome, outcome)
    np.testing.assert_allclose(found.value, value, rtol=1e-12, atol=1e-15)
    np.testing.assert_array_equal(found.label_end, end)


def test_all_three_outcomes_occur_on_a_random_walk() -> None:
    found = triple_barrier(random_bars(2_000, 7), horizon=12, profit_taking=1, stop_loss=1)
    assert all(np.mean(found.outcome == outcome) > 0.1 for outcome in (-1, 0, 1))


def test_barriers_of_chosen_events_are_those_of_the_same_bars_among_all() -> None:
    bars = random_bars(300, 8)
    every = triple_barrier(bars, horizon=6, profit_taking=1, stop_loss=1)
    some = np.array([5, 17, 17, 200, 299])
    chosen = triple_barrier(bars, horizon=6, profit_taking=1, stop_loss=1, events=some)
    np.testing.assert_array_equal(chosen.position, some)
    for name in ("outcome", "value", "label_start", "label_end"):
        np.testing.assert_array_equal(getattr(chosen, name), getattr(every, name)[some])


@pytest.mark.parametrize("event", [-1, 300])
def test_events_outside_the_bars_are_refused(event: int) -> None:
    events = np.array([3, event])
    with pytest.raises(MarketError, match="positions of bars, 0 to 299"):
        triple_barrier(random_bars(300, 8), horizon=6, profit_taking=1, stop_loss=1, events=events)


def test_no_events_have_no_barriers() -> None:
    events = np.array([], dtype=np.int64)
    found = triple_barrier(random_bars(30, 8), horizon=6, profit_taking=1, stop_loss=1, events=events)
    assert len(found.outcome) == len(found.label_end) == 0


# --- meta-labels


def test_a_meta_label_says_whether_the_side_earned_something() -> None:
    bars = random_bars(400, 9)
    side = np.random.default_rng(0).choice([-1.0, 0.0, 1.0], 400)
    found = meta_labels(bars, side, horizon=8, profit_taking=1.5, stop_loss=1)
    np.testing.assert_array_equal(found.position, np.flatnonzero(side))
    for sign in (1.0, -1.0):
        mine = side[found.position] == sign
        expected = triple_barrier(bars, horizon=8, profit_taking=1.5, stop_loss=1, side=np.full(400, sign))
        at = found.position[mine]
        np.testing.assert_array_equal(found.value[mine], expected.value[at])
        np.testing.assert_array_equal(found.label_end[mine], expected.label_end[at])
    known = np.isfinite(found.value)
    np.testing.assert_array_equal(found.outcome[known], found.value[known] > 0)
    assert np.isnan(found.outcome[~known]).all() and 0 < (~known).sum() <= 9
    still = meta_labels(bars_of([100.0] * 30), side[:30], horizon=8, profit_taking=1.5, stop_loss=1)
    assert np.isnan(still.outcome).all() and (still.value[:10] == 0).all()


def test_a_side_for_other_bars_or_of_half_a_position_is_refused() -> None:
    bars = random_bars(30, 9)
    with pytest.raises(MarketError, match="side has 29 values for 30 bars"):
        meta_labels(bars, np.ones(29), horizon=3, profit_taking=1, stop_loss=1)
    with pytest.raises(MarketError, match=r"\+1 \(long\), -1 \(short\) or 0"):
        meta_labels(bars, np.full(30, 0.5), horizon=3, profit_taking=1, stop_loss=1)


# --- trend scanning


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    lengths=st.lists(st.integers(3, 20), min_size=1, max_size=4).map(tuple),
)
def test_a_trend_is_the_slope_with_the_largest_t_value_of_a_regression(
    seed: int, lengths: tuple[int, ...]
) -> None:
    bars = random_bars(60, seed)
    y, longest = np.log(bars[:, CLOSE]), max(lengths)
    found = trend_scanning(bars, horizons=lengths)
    for t in range(60):
        if t + longest >= 60:
            assert np.isnan(found.outcome[t]) and np.isnan(found.value[t])
            continue
        fits = [linregress(np.arange(h), y[t + 1 : t + 1 + h]) for h in lengths]
        strongest = max((fit.slope / fit.stderr for fit in fits), key=abs)
        assert found.value[t] == pytest.approx(strongest, rel=1e-6)
        assert found.outcome[t] == np.sign(strongest)
    np.testing.assert_array_equal(found.label_start, np.arange(1, 61))
    np.testing.assert_array_equal(found.label_end, np.arange(60) + longest)


def test_the_t_value_of_a_trend_is_that_of_statsmodels() -> None:
    from statsmodels.api import OLS, add_constant

    bars = random_bars(40, 10)
    found = trend_scanning(bars, horizons=(12,), events=np.array([4, 20]))
    for t, value in zip(found.position, found.value, strict=True):
        fit = OLS(np.log(bars[t + 1 : t + 13, CLOSE]), add_constant(np.arange(12))).fit()
        assert value == pytest.approx(fit.tvalues[1], rel=1e-9)


def test_a_straight_rise_is_a_strong_trend_and_standing_still_is_none() -> None:
    rising = bars_of((100 * 1.01 ** np.arange(30)).tolist())
    assert (trend_scanning(rising, horizons=(5,)).value[:24] > 1e3).all()
    assert (trend_scanning(rising[::-1], horizons=(5,)).value[:24] < -1e3).all()
    still = trend_scanning(bars_of([100.0] * 30), horizons=(5,))
    np.testing.assert_array_equal(still.outcome[:25], 0)


@pytest.mark.parametrize("lengths", [(), (2, 10)])
def test_a_trend_of_less_than_three_bars_is_refused(lengths: tuple[int, ...]) -> None:
    with pytest.raises(MarketError, match="a trend needs at least 3 bars"):
        trend_scanning(random_bars(30, 0), horizons=lengths)


# --- events


def slow_cusum(close: Floats, threshold: float) -> list[int]:
    events, up, down = [], 0.0, 0.0
    for t in range(1, len(close)):
        move = np.log(close[t]) - np.log(close[t - 1])
        up, down = max(0.0, up + move), min(0.0, down + move)
        if up >= threshold or down <= -threshold:
            events.append(t)
            up = down = 0.0
    return events


@settings(deadline=None)
@given(n=st.integers(0, 200), seed=st.integers(0, 1_000), threshold=st.floats(0.001, 0.3))
def test_cusum_events_are_those_of_a_plain_loop(n: int, seed: int, threshold: float) -> None:
    bars = random_bars(n, seed)
    events = cusum_events(bars, threshold)
    assert events.dtype == np.int64
    assert events.tolist() == slow_cusum(bars[:, CLOSE], threshold)


def test_an_event_is_known_at_its_bar() -> None:
    bars = random_bars(200, 11)
    events = cusum_events(bars, 0.05)
    assert 10 < len(events) < 100
    np.testing.assert_array_equal(cusum_events(bars[:100], 0.05), events[events < 100])


@pytest.mark.parametrize("threshold", [0.0, -0.1, NAN])
def test_a_threshold_that_is_not_positive_is_refused(threshold: float) -> None:
    with pytest.raises(MarketError, match="must be a positive log return"):
        cusum_events(random_bars(30, 0), threshold)


# --- the law of time


@settings(deadline=None)
@given(
    t=st.integers(0, 79),
    seed=st.integers(0, 1_000),
    horizon=horizons,
    variance=horizons,
    lookback=lookbacks,
    kind=kinds,
)
def test_no_bar_after_its_end_changes_a_label(
    t: int, seed: int, horizon: int, variance: int, lookback: int, kind: str
) -> None:
    bars = random_bars(80, 4)
    before = labels_of(bars, horizon, variance, lookback, kind)
    end = before.label_end[t]
    other = bars.copy()
    noise = np.random.default_rng(seed).normal(0, 0.5, (max(79 - end, 0), 1))
    other[end + 1 :, OPEN : CLOSE + 1] *= np.exp(noise)
    changed = labels_of(other, horizon, variance, lookback, kind)
    shorter = labels_of(bars[: end + 1], horizon, variance, lookback, kind)
    assert changed.label_end[t] == end
    for name in TARGETS:
        value = getattr(before, name)[t]
        np.testing.assert_equal(getattr(changed, name)[t], value)
        np.testing.assert_equal(getattr(shorter, name)[t], value)


@settings(deadline=None)
@given(t=st.integers(0, 79), seed=st.integers(0, 1_000), horizon=horizons, kind=kinds)
def test_no_bar_before_its_start_changes_a_label_but_by_the_deviation_known_then(
    t: int, seed: int, horizon: int, kind: str
) -> None:
    bars = random_bars(80, 4)
    rng = np.random.default_rng(seed)
    other = bars.copy()
    names = [OPEN, HIGH, LOW] if kind == "triple_barrier" else [OPEN, HIGH, LOW, CLOSE]
    other[: t + 1, names] *= np.exp(rng.normal(0, 0.5, (t + 1, 1)))
    before, changed = (labels_of(some, horizon, kind=kind) for some in (bars, other))
    for name in ("forward_return", "direction"):
        np.testing.assert_equal(getattr(changed, name)[t], getattr(before, name)[t])


@settings(deadline=None)
@given(t=st.integers(20, 60), horizon=horizons)
def test_the_last_bar_of_a_direction_does_decide_it(t: int, horizon: int) -> None:
    bars = random_bars(80, 5)
    for factor, up in ((1e3, 1.0), (1e-3, 0.0)):
        other = bars.copy()
        other[t + horizon + 1, OPEN] *= factor
        assert labels_of(other, horizon).direction[t] == up
    still = bars.copy()
    still[t + 1 : t + horizon + 1, OPEN : CLOSE + 1] = still[t, CLOSE]
    assert labels_of(still, 1, horizon).high_variance[t] == 0.0
    still[t + horizon, HIGH] *= 10
    assert labels_of(still, 1, horizon).high_variance[t] == 1.0


@settings(deadline=None)
@given(t=st.integers(20, 60), horizon=st.integers(2, 12))
def test_the_bar_of_the_touch_does_decide_a_barrier_label(t: int, horizon: int) -> None:
    bars = random_bars(80, 5)
    before = triple_barrier(bars, horizon=horizon, profit_taking=2, stop_loss=2)
    end = int(before.label_end[t])
    assume(end < 80)
    other = bars.copy()
    if before.outcome[t] == 0:
        other[end, OPEN] *= 1.01
    else:
        other[end, [OPEN, HIGH, LOW]] = other[t + 1, OPEN] * np.array([1, 1.001, 0.999])
    changed = triple_barrier(other, horizon=horizon, profit_taking=2, stop_loss=2)
    assert (changed.value[t], changed.label_end[t]) != (before.value[t], end)


def test_the_longest_horizon_does_decide_a_trend() -> None:
    bars, changed = random_bars(80, 5), []
    before = trend_scanning(bars, horizons=(3, 6, 12))
    for t in range(60):
        other = bars.copy()
        other[t + 12, CLOSE] *= 1.5
        changed.append(trend_scanning(other, horizons=(3, 6, 12)).value[t] != before.value[t])
    assert 0.2 < np.mean(changed) < 1


# --- tables of every kind, and what validation does with their spans


@pytest.fixture(scope="module")
def hourly() -> SyntheticMarket:
    return SyntheticMarket("price", 1.0, n_bars=1_500, seed=3)


@pytest.mark.parametrize("weights", ["uniqueness", "return", "none"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_label_makes_a_table_of_one_form(
    hourly: SyntheticMarket, kind: str, weights: str
) -> None:
    chosen = settings_of(24, 12, 100, kind, weights)
    table = label_table(hourly.bars, chosen)
    assert list(table.columns) == [*TARGETS, "label_start", "label_end", "weight"]
    assert len(table) == 1_500
    known = table["direction"].notna()
    assert set(table["direction"][known]) == set(table["high_variance"].dropna()) == {0.0, 1.0}
    assert known[:1_475].all() and not known.iloc[-1]
    assert (table["label_start"] == np.arange(1_500) + 1).all()
    length = table["label_end"] - np.arange(1_500)
    assert length.min() >= 12 and length.max() == 25
    if kind == "triple_barrier":
        assert 0.05 < (length == 12).mean() < 0.95
    else:
        assert (length == 25).all()
    np.testing.assert_array_equal(table["weight"].isna(), ~known)
    assert (table["weight"][known] >= 0).all() and (weights != "none" or (table["weight"][known] == 1).all())


def test_the_kinds_ask_different_questions_of_the_same_bars(hourly: SyntheticMarket) -> None:
    answers = {kind: label_table(hourly.bars, settings_of(24, 1, 100, kind)) for kind in KINDS}
    up = {kind: table["direction"].iloc[:1_400] for kind, table in answers.items()}
    assert 0.5 < (up["direction"] == up["triple_barrier"]).mean() < 1
    assert 0.5 < (up["direction"] == up["trend"]).mean() < 1
    matrix = to_matrix(hourly.bars)
    touched = triple_barrier(matrix, horizon=24, profit_taking=1.0, stop_loss=0.8)
    np.testing.assert_array_equal(answers["triple_barrier"]["forward_return"], touched.value)
    np.testing.assert_array_equal(answers["trend"]["forward_return"], forward_return(matrix, 24))
    trend = trend_scanning(matrix, horizons=(6, 12, 24))
    np.testing.assert_array_equal(up["trend"], trend.outcome[:1_400] > 0)


def spans_do_not_meet(start: Floats, end: Floats, splits: list[tuple[Floats, Floats]]) -> bool:
    """Row by row, bar by bar."""
    for train, test in splits:
        bars = {bar for row in test for bar in range(start[row], end[row] + 1)}
        if any(bars & set(range(start[row], end[row] + 1)) for row in train):
            return False
    return True


@pytest.mark.parametrize("kind", KINDS)
def test_folds_of_every_kind_of_label_leak_nothing(hourly: SyntheticMarket, kind: str) -> None:
    table = label_table(hourly.bars.iloc[:500], settings_of(24, 12, 100, kind))
    rows = table[table["direction"].notna()]
    start, end = rows["label_start"].to_numpy(), rows["label_end"].to_numpy()
    splits = list(PurgedKFold(4, label_start=start, label_end=end, embargo=3).split(end))
    assert_no_leakage(splits, end, start)
    assert spans_do_not_meet(start, end, splits)


def sampled(bars: Floats) -> dict[str, Events]:
    """Labels of the bars that the CUSUM filter picks."""
    events = cusum_events(bars, 0.03)
    side = np.zeros(len(bars))
    side[events] = np.sign(bars[events, CLOSE] - bars[events - 1, CLOSE])
    return {
        "barriers": triple_barrier(bars, horizon=24, profit_taking=1, stop_loss=1, events=events),
        "meta": meta_labels(bars, side, horizon=24, profit_taking=1, stop_loss=1),
        "trend": trend_scanning(bars, horizons=(6, 24), events=events),
    }


@pytest.mark.parametrize("name", ["barriers", "meta", "trend"])
def test_folds_of_sampled_events_leak_nothing(hourly: SyntheticMarket, name: str) -> None:
    """Rows that are not every bar: their spans are in bars all the same."""
    found = sampled(to_matrix(hourly.bars))[name]
    assert 20 < len(found.position) < 400
    start, end = found.label_start, found.label_end
    splits = list(PurgedKFold(4, label_start=start, label_end=end, embargo=3).split(end))
    assert_no_leakage(splits, end, start)
    assert spans_do_not_meet(start, end, splits)
    assert any(len(train) + len(test) < len(end) for train, test in splits)


def test_a_horizon_of_one_bar_makes_a_table_of_every_kind(hourly: SyntheticMarket) -> None:
    for kind in KINDS:
        table = label_table(hourly.bars, settings_of(1, 1, 2, kind))
        # Within one bar a price often reaches either barrier, in an order that the bar does not tell.
        least = 0.6 if kind == "triple_barrier" else 1.0
        assert table["direction"][:1_400].notna().mean() >= least


def test_settings_that_a_kind_does_not_read_change_nothing_in_it(hourly: SyntheticMarket) -> None:
    chosen = settings_of(24, 12, 100)
    other = chosen.model_copy(update={"profit_taking": 9.0, "stop_loss": 9.0})
    for kind, same in (("direction", True), ("trend", True), ("triple_barrier", False)):
        one, two = (
            label_table(hourly.bars, some.model_copy(update={"kind": kind})) for some in (chosen, other)
        )
        assert one.equals(two) is same


def test_a_price_that_never_moved_has_no_barriers() -> None:
    bars = random_bars(60, 6)
    bars[:, OPEN : CLOSE + 1] = 100.0
    found = triple_barrier(bars, horizon=5, profit_taking=1, stop_loss=1)
    assert (found.outcome[:54] == 0).all() and (found.value[:54] == 0).all()
    np.testing.assert_array_equal(found.label_end, np.arange(60) + 6)


@pytest.mark.parametrize(
    "wrong",
    [
        {"horizon": 0},
        {"horizon": -3},
        {"profit_taking": 0.0},
        {"stop_loss": -1.0},
        {"stop_loss": np.nan},
        {"events": np.array([60])},
        {"events": np.array([-1])},
        {"events": np.array([10, 20]), "side": np.array([-1.0, 1.0])},
        {"side": np.zeros(60)},
        {"side": np.full(60, np.nan)},
    ],
)
def test_barriers_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    given = {"horizon": 5, "profit_taking": 1.0, "stop_loss": 1.0} | wrong
    with pytest.raises(MarketError, match=next(reversed(wrong))):
        triple_barrier(random_bars(60, 6), **given)


@pytest.mark.parametrize("events", [[-5], [60]])
def test_a_trend_is_asked_for_at_a_bar(events: list[int]) -> None:
    with pytest.raises(MarketError, match="events"):
        trend_scanning(random_bars(60, 6), horizons=(5,), events=np.array(events))


def test_the_end_of_the_direction_is_its_own_and_never_beyond_the_label_s() -> None:
    bars = random_bars(400, 6)
    for kind in KINDS:
        chosen = settings_of(5, 24, 100, kind)
        labels = make_labels(bars, chosen)
        assert (labels.direction_end <= labels.label_end).all()
        np.testing.assert_array_equal(labels.label_end, np.maximum(labels.direction_end, np.arange(400) + 24))
    chosen = settings_of(5, 24, 100, "triple_barrier")
    touched = triple_barrier(bars, horizon=5, profit_taking=chosen.profit_taking, stop_loss=chosen.stop_loss)
    np.testing.assert_array_equal(make_labels(bars, chosen).direction_end, touched.label_end)


# --- 1 / price, and prices that do not move


def reciprocal(bars: Floats) -> Floats:
    """The same market quoted the other way round."""
    turned = bars.copy()
    turned[:, OPEN : CLOSE + 1] = 1 / bars[:, [OPEN, LOW, HIGH, CLOSE]]
    return turned


def tick_bars(n: int, seed: int, tick: float, halted: float = 0.0) -> Floats:
    """A symmetric walk of whole ticks around 100 that often stands still; with `halted` for stretches too."""
    rng = np.random.default_rng(seed)
    moves = rng.choice([-1, 0, 0, 0, 1], (n, 4)) * (rng.random((n // 10 + 1, 1)).repeat(10, 0)[:n] >= halted)
    path = np.concatenate([[0], moves.ravel()]).cumsum()
    prices = 100 + tick * sliding_window(path)
    bars = bars_of(prices[:, 0].tolist(), prices[:, -1].tolist())
    bars[:, HIGH], bars[:, LOW] = prices.max(axis=1), prices.min(axis=1)
    return bars


def sliding_window(path: NDArray[np.int64]) -> NDArray[np.int64]:
    """Five prices a bar, the last of one being the first of the next."""
    return np.lib.stride_tricks.sliding_window_view(path, 5)[::4]


paths = st.one_of(
    st.builds(random_bars, st.just(120), st.integers(0, 10_000), st.sampled_from([0.0, 0.02])),
    st.builds(
        tick_bars,
        st.just(120),
        st.integers(0, 10_000),
        st.sampled_from([0.01, 0.5]),
        st.sampled_from([0, 0.4]),
    ),
)


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None)
@given(bars=paths, horizon=st.integers(1, 12), take=st.floats(0.3, 2), stop=st.floats(0.3, 2))
def test_the_direction_of_one_over_the_price_is_the_opposite_wherever_there_is_one(
    kind: str, bars: Floats, horizon: int, take: float, stop: float
) -> None:
    """The barrier above the one is the barrier below the other: the distances change places."""
    chosen = settings_of(horizon, 3, 9, kind)
    own = chosen.model_copy(update={"profit_taking": take, "stop_loss": stop})
    turned = chosen.model_copy(update={"profit_taking": stop, "stop_loss": take})
    labels, other = make_labels(bars, own), make_labels(reciprocal(bars), turned)
    np.testing.assert_array_equal(other.direction, 1 - labels.direction)
    np.testing.assert_array_equal(other.high_variance, labels.high_variance)
    np.testing.assert_array_equal(other.label_end, labels.label_end)


@settings(deadline=None)
@given(bars=paths, horizon=st.integers(1, 12), take=st.floats(0.3, 2), stop=st.floats(0.3, 2))
def test_a_long_position_in_the_price_is_a_short_one_in_one_over_the_price(
    bars: Floats, horizon: int, take: float, stop: float
) -> None:
    side = np.random.default_rng(0).choice([-1.0, 0.0, 1.0], len(bars))
    chosen = {"horizon": horizon, "profit_taking": take, "stop_loss": stop}
    one, other = meta_labels(bars, side, **chosen), meta_labels(reciprocal(bars), -side, **chosen)
    np.testing.assert_array_equal(one.outcome, other.outcome)
    np.testing.assert_array_equal(one.label_end, other.label_end)


@pytest.mark.parametrize("kind", KINDS)
def test_a_market_that_halts_has_no_labels_until_one_reaches_beyond_the_halt(kind: str) -> None:
    bars, horizon, halt = random_bars(400, 12), 6, slice(200, 300)
    bars[halt, OPEN : CLOSE + 1] = bars[199, CLOSE]
    labels = labels_of(bars, horizon, 6, 20, kind)
    missing = np.flatnonzero(np.isnan(labels.direction[:390]))
    reached = int((np.isnan(labels.direction[:190])).sum())  # bars that reach both barriers
    inside = np.arange(199, 299 - horizon)
    assert set(inside) <= set(missing) and len(missing) <= len(inside) + 2 * reached + 6
    # Variance that is as low as it was before, none, is neither high nor low.
    assert np.isnan(labels.high_variance[240:290]).all()
    assert np.isfinite(labels.high_variance[50:190]).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_price_that_never_moves_has_no_label_at_all(kind: str) -> None:
    labels = labels_of(bars_of([100.0] * 60), 5, 3, 9, kind)
    assert np.isnan(labels.direction).all() and np.isnan(labels.high_variance).all()


@pytest.mark.parametrize("kind", KINDS)
def test_moved_prices_of_a_walk_with_coarse_ticks_rise_as_often_as_they_fall(kind: str) -> None:
    bars = tick_bars(20_000, 0, 0.01, 0.5)
    direction = labels_of(bars, 6, 6, 50, kind).direction
    assert 0.2 < np.isnan(direction).mean() < 0.7
    # 3 standard errors, with 6 labels to each of their own.
    assert np.nanmean(direction) == pytest.approx(0.5, abs=1.5 * np.sqrt(6 / np.isfinite(direction).sum()))


def test_a_bar_that_reaches_both_barriers_does_not_say_which_way_the_price_went() -> None:
    bars, _ = path_after(QUIET, QUIET, (100.0, 110.0, 90.0, 108.0), QUIET, QUIET)
    labels = make_labels(bars, settings_of(4, kind="triple_barrier"))
    assert np.isnan(labels.direction[ASKED]) and labels.forward_return[ASKED] < 0


def test_a_barrier_that_rounds_to_the_entry_is_none() -> None:
    """After a long halt the deviation has all but vanished."""
    bars = bars_of([100.0 + i % 2 for i in range(10)] + [100.0] * 1_500)
    found = triple_barrier(bars, horizon=5, profit_taking=1, stop_loss=1)
    assert 0 < volatility_target(bars)[1_400] < 1e-16
    assert (found.outcome[1_300:1_500] == 0).all() and (found.value[1_300:1_500] == 0).all()


def test_a_swing_that_comes_back_is_no_trend_whatever_rounding_makes_of_it() -> None:
    for start in np.linspace(90, 110, 200):
        swing = start + 0.01 * np.array([0.0, 0.0, 1.0, 3.0, 1.0, 0.0])
        assert trend_scanning(bars_of(swing.tolist()), horizons=(5,)).outcome[0] == 0
