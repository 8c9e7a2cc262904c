"""Weights of labels that overlap, against loops over bars and the examples of the book."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from trading_assets.config.settings import LabelSettings
from trading_assets.errors import MarketError
from trading_assets.features.dataset import label_table
from trading_assets.features.labels import make_labels
from trading_assets.features.weights import (
    average_uniqueness,
    concurrency,
    return_attribution,
    time_decay,
)
from trading_assets.market.bars import to_matrix
from trading_assets.market.synthetic import SyntheticMarket

Rows = NDArray[np.int64]
Spans = tuple[Rows, Rows, int]


@st.composite
def spans(draw: st.DrawFn) -> Spans:
    """Starts, ends, and the number of bars; some spans reach beyond the last bar, some begin there."""
    n_bars = draw(st.integers(1, 30))
    pairs = draw(st.lists(st.tuples(st.integers(0, n_bars + 3), st.integers(0, 12)), max_size=25))
    start = np.array([first for first, _ in pairs], dtype=np.int64)
    return start, start + np.array([length for _, length in pairs], dtype=np.int64), n_bars


def slow_concurrency(start: Rows, end: Rows, n_bars: int) -> list[int]:
    return [
        sum(first <= bar <= last for first, last in zip(start, end, strict=True)) for bar in range(n_bars)
    ]


@given(spans())
def test_concurrency_counts_the_labels_whose_span_covers_a_bar(given_spans: Spans) -> None:
    assert concurrency(*given_spans).tolist() == slow_concurrency(*given_spans)


@given(spans())
def test_average_uniqueness_is_the_mean_of_a_labels_shares_of_its_bars(given_spans: Spans) -> None:
    start, end, n_bars = given_spans
    count = slow_concurrency(*given_spans)
    for value, first, last in zip(average_uniqueness(*given_spans), start, end, strict=True):
        bars = range(first, min(last + 1, n_bars))
        if not bars:
            assert np.isnan(value)
        else:
            assert value == pytest.approx(np.mean([1 / count[bar] for bar in bars]), rel=1e-9)
            assert 0 < value <= 1 + 1e-12


@given(spans(), st.integers(0, 1_000))
def test_return_attribution_is_the_sum_of_a_labels_shares_of_the_returns(
    given_spans: Spans, seed: int
) -> None:
    start, end, n_bars = given_spans
    count, returns = slow_concurrency(*given_spans), np.random.default_rng(seed).normal(0, 0.01, n_bars)
    for value, first, last in zip(return_attribution(start, end, returns), start, end, strict=True):
        bars = range(first, min(last + 1, n_bars))
        if not bars:
            assert np.isnan(value)
        else:
            expected = abs(sum(returns[bar] / count[bar] for bar in bars))
            assert value == pytest.approx(expected, rel=1e-6, abs=1e-12)


@given(spans(), st.integers(0, 29), st.data())
def test_the_concurrency_of_a_bar_is_known_at_it(given_spans: Spans, bar: int, data: st.DataObject) -> None:
    """Labels that start later, and where open ones will end, make no difference."""
    start, end, n_bars = given_spans
    before = concurrency(start, end, n_bars)[: bar + 1]
    ends = st.lists(st.integers(0, 12), min_size=len(end), max_size=len(end))
    later = start > bar
    other_start = np.where(later, start + 2, start)
    moved = np.array(data.draw(ends), dtype=np.int64)
    other_end = np.where(end > bar, np.maximum(other_start, bar + 1) + moved, end)
    np.testing.assert_array_equal(concurrency(other_start, other_end, n_bars)[: bar + 1], before)
    more = np.append(start, bar + 1), np.append(end, bar + 5)
    np.testing.assert_array_equal(concurrency(*more, n_bars)[: bar + 1], before)
    fewer_bars = min(bar + 1, n_bars)
    np.testing.assert_array_equal(concurrency(start, end, fewer_bars), before)


def test_the_three_labels_of_the_book() -> None:
    """Lopez de Prado 2018, section 4.5.3: spans 0-2, 2-3 and 4-5 on six bars."""
    start, end = np.array([0, 2, 4]), np.array([2, 3, 5])
    assert concurrency(start, end, 6).tolist() == [1, 1, 2, 1, 1, 1]
    np.testing.assert_allclose(average_uniqueness(start, end, 6), [5 / 6, 3 / 4, 1])
    # With the second label drawn already, each as the next draw.
    drawn = [average_uniqueness(np.array([2, start[i]]), np.array([3, end[i]]), 6)[1] for i in range(3)]
    np.testing.assert_allclose(drawn, [5 / 6, 1 / 2, 1])
    returns = np.array([0.01, -0.03, 0.02, 0.01, 0.0, -0.05])
    np.testing.assert_allclose(return_attribution(start, end, returns), [0.01, 0.02, 0.05])


def slow_decay(uniqueness: NDArray[np.float64], oldest: float) -> list[float]:
    """Snippet 4.11 of the book, for factors that do not fall below 0."""
    total = sum(uniqueness)
    slope = (1 - oldest) / total
    constant = 1 - slope * total
    return [constant + slope * sum(uniqueness[: i + 1]) for i in range(len(uniqueness))]


@given(st.lists(st.floats(0.01, 1), min_size=1, max_size=40), st.floats(0, 1))
def test_time_decay_rises_in_cumulated_uniqueness_to_1_at_the_newest(
    uniqueness: list[float], oldest: float
) -> None:
    values = np.array(uniqueness)
    factors = time_decay(values, oldest)
    np.testing.assert_allclose(factors, slow_decay(values, oldest), rtol=1e-9)
    assert factors[-1] == pytest.approx(1)
    assert (np.diff(factors) >= 0).all() and factors[0] >= oldest


def test_no_decay_is_1_everywhere_and_no_rows_have_no_factors() -> None:
    np.testing.assert_array_equal(time_decay(np.array([0.2, 0.9, 0.4]), 1.0), 1)
    np.testing.assert_array_equal(time_decay(np.zeros(3), 0.5), 1)
    assert len(time_decay(np.array([]), 0.5)) == 0


@pytest.mark.parametrize("oldest", [-0.1, 1.1, float("nan")])
def test_a_decay_outside_0_and_1_is_refused(oldest: float) -> None:
    with pytest.raises(MarketError, match="must lie between 0"):
        time_decay(np.ones(3), oldest)


@pytest.mark.parametrize(
    ("start", "end"), [([0, 2], [1]), ([3], [2]), ([-1], [2])], ids=["lengths", "order", "before bar 0"]
)
def test_spans_that_are_none_are_refused(start: list[int], end: list[int]) -> None:
    with pytest.raises(MarketError, match="start before end, from bar 0 on"):
        concurrency(np.array(start), np.array(end), 10)


@pytest.fixture(scope="module")
def market() -> SyntheticMarket:
    return SyntheticMarket("price", 1.0, n_bars=900, seed=4)


@pytest.mark.parametrize("kind", ["direction", "triple_barrier", "trend"])
def test_the_weights_of_a_label_table_are_those_of_its_spans(market: SyntheticMarket, kind: str) -> None:
    chosen = LabelSettings(
        kind=kind, horizon=12, variance_horizon=6, variance_lookback="50h", variance_lookback_bars=50
    )
    table = label_table(market.bars, chosen)
    start = table["label_start"].to_numpy()
    end = make_labels(to_matrix(market.bars), chosen).direction_end
    known = table["direction"].notna().to_numpy()
    np.testing.assert_array_equal(table["weight"][known], average_uniqueness(start, end, 900)[known])
    returns = np.diff(np.log(market.bars["close"]), prepend=np.log(market.bars["close"].iloc[0]))
    by_return = label_table(market.bars, chosen.model_copy(update={"weights": "return"}))
    expected = return_attribution(start, end, returns)[known]
    np.testing.assert_allclose(by_return["weight"][known], expected, rtol=1e-12, atol=1e-15)
    alike = label_table(market.bars, chosen.model_copy(update={"weights": "none"}))
    assert (alike["weight"][known] == 1).all() and alike["weight"][~known].isna().all()


@pytest.mark.parametrize("weights", ["uniqueness", "return"])
@pytest.mark.parametrize("kind", ["direction", "triple_barrier", "trend"])
def test_no_bar_after_a_labels_end_changes_its_weight(
    market: SyntheticMarket, kind: str, weights: str
) -> None:
    chosen = LabelSettings(
        kind=kind,
        horizon=12,
        variance_horizon=6,
        variance_lookback="50h",
        variance_lookback_bars=50,
        weights=weights,
    )
    before = label_table(market.bars, chosen)
    for t in (100, 450, 800):
        end = before["label_end"][t]
        other = market.bars.copy()
        factor = np.exp(np.random.default_rng(t).normal(0, 0.3, len(other) - end - 1))
        for name in ("open", "high", "low", "close"):
            other.loc[end + 1 :, name] *= factor
        assert not np.array_equal(to_matrix(other), to_matrix(market.bars))
        assert label_table(other, chosen)["weight"][t] == before["weight"][t]
        assert label_table(market.bars.iloc[: end + 1], chosen)["weight"][t] == before["weight"][t]


def test_labels_that_end_early_are_more_of_their_own(market: SyntheticMarket) -> None:
    chosen = LabelSettings(horizon=24, variance_horizon=1, variance_lookback="50h", variance_lookback_bars=50)
    far = label_table(market.bars, chosen)
    near = label_table(
        market.bars,
        chosen.model_copy(update={"kind": "triple_barrier", "profit_taking": 0.3, "stop_loss": 0.3}),
    )
    middle = slice(100, 800)
    np.testing.assert_allclose(far["weight"][middle], 1 / 25)
    assert near["weight"][middle].min() > 1 / 25
    assert near["weight"][middle].std() > 0.01
