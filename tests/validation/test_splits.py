"""Purged cross-validation: golden splits, brute force, and leaks planted by hand."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from trading_assets.errors import LeakageError
from trading_assets.validation.splits import PurgedKFold, assert_no_leakage


@st.composite
def label_spans(draw, max_rows=40):
    """Starts that need not be sorted, and ends at or after them."""
    n = draw(st.integers(4, max_rows))
    jitter = draw(st.lists(st.integers(-5, 5), min_size=n, max_size=n))
    lengths = draw(st.lists(st.integers(0, 8), min_size=n, max_size=n))
    start = 3 * np.arange(n) + np.array(jitter)
    return start, start + np.array(lengths)


def meets(first: int, last: int, start: int, end: int) -> bool:
    """Whether two closed intervals share a bar."""
    return start <= last and end >= first


def test_embargo_counts_from_the_last_label_end_of_the_test_block():
    # golden.md, cross-validation: n=100, k=5, horizon 5, embargo 10.
    splits = list(PurgedKFold(5, label_horizon=5, embargo=10).split(np.zeros(100)))
    assert [len(train) for train, _ in splits] == [65, 60, 60, 60, 75]
    np.testing.assert_array_equal(splits[0][0], np.arange(35, 100))
    np.testing.assert_array_equal(splits[1][0], np.r_[0:15, 55:100])


def test_label_spans_are_closed_intervals():
    # golden.md: of bars 0 to 9 with horizon 2, testing bars 1 and 2 leaves bars 5 to 9. Bar 0 is left
    # out here so that bars 1 and 2 are the first of the contiguous blocks.
    bar = np.arange(1, 10)
    splitter = PurgedKFold(5, label_start=bar, label_end=bar + 2)
    train, test = next(splitter.split(bar))
    np.testing.assert_array_equal(bar[test], [1, 2])
    np.testing.assert_array_equal(bar[train], [5, 6, 7, 8, 9])


@pytest.mark.parametrize("leaked", [0, 3, 4])
def test_every_bar_that_the_purge_drops_would_have_leaked(leaked: int):
    # The same golden case with bar 0: bars 5 to 9 may stay, each of 0, 3 and 4 may not.
    end, test = np.arange(10) + 2, np.array([1, 2])
    assert_no_leakage([(np.arange(5, 10), test)], end)
    with pytest.raises(LeakageError, match=rf"Split 0: .*training row {leaked} \(bars {leaked} to"):
        assert_no_leakage([(np.append(np.arange(5, 10), leaked), test)], end)


def test_a_purge_without_label_spans_is_refused():
    with pytest.raises(ValueError, match=r"needs label_end .* or label_horizon"):
        PurgedKFold(5)


@pytest.mark.parametrize("name", ["label_start", "label_end"])
def test_spans_of_another_length_than_the_rows_are_refused_by_name(name: str):
    spans = {"label_start": np.arange(10), "label_end": np.arange(10)} | {name: np.arange(9)}
    with pytest.raises(ValueError, match=f"{name} has 9 rows, X has 10"):
        next(PurgedKFold(2, **spans).split(np.zeros(10)))


@pytest.mark.parametrize("n_splits", [-1, 0, 1, 11])
def test_a_number_of_splits_out_of_range_is_refused(n_splits: int):
    with pytest.raises(ValueError, match=f"n_splits is {n_splits}; expected 2 to 10"):
        next(PurgedKFold(n_splits, label_horizon=0).split(np.zeros(10)))


def test_an_embargo_that_leaves_nothing_to_train_on_is_refused_with_a_remedy():
    with pytest.raises(ValueError, match=r"No training row .* 0 to 4 .* fewer splits or a smaller"):
        next(PurgedKFold(2, label_horizon=1, embargo=50).split(np.zeros(10)))


@given(n=st.integers(2, 200), k=st.integers(2, 12))
def test_every_row_is_tested_exactly_once_in_contiguous_near_equal_blocks(n: int, k: int):
    k = min(k, n)
    tests = [test for _, test in PurgedKFold(k, label_horizon=0).split(np.zeros(n))]
    np.testing.assert_array_equal(np.concatenate(tests), np.arange(n))
    sizes = [len(test) for test in tests]
    assert len(tests) == k and max(sizes) - min(sizes) <= 1


@given(spans=label_spans(), k=st.integers(2, 4), embargo=st.integers(0, 20))
def test_exactly_the_rows_that_brute_force_would_drop_are_dropped(spans, k: int, embargo: int):
    start, end = spans
    rows = range(len(start))
    expected = []
    for block in np.array_split(np.arange(len(start)), k):
        first, last = min(start[i] for i in block), max(end[i] for i in block)
        kept = [
            i
            for i in rows
            if i not in block
            and not meets(first, last, start[i], end[i])
            and not last < start[i] <= last + embargo
        ]
        expected.append(kept)
    splitter = PurgedKFold(k, label_start=start, label_end=end, embargo=embargo)
    if not all(expected):
        with pytest.raises(ValueError, match="No training row"):
            list(splitter.split(start))
        return
    splits = list(splitter.split(start))
    assert [train.tolist() for train, _ in splits] == expected
    assert_no_leakage(splits, end, start)


@given(spans=label_spans(max_rows=15), data=st.data())
def test_the_leakage_check_agrees_with_comparing_all_pairs(spans, data):
    start, end = spans
    n = len(start)
    part = np.array(data.draw(st.lists(st.integers(0, 2), min_size=n, max_size=n)))
    train, test = np.flatnonzero(part == 1), np.flatnonzero(part == 2)
    assume(len(test))
    leaks = any(meets(start[j], end[j], start[i], end[i]) for i in train for j in test)
    if leaks:
        with pytest.raises(LeakageError):
            assert_no_leakage([(train, test)], end, start)
    else:
        assert_no_leakage([(train, test)], end, start)


def test_a_long_test_label_is_not_hidden_by_a_shorter_one_that_starts_later():
    start, end = np.array([0, 2, 5]), np.array([10, 3, 6])
    with pytest.raises(LeakageError, match=r"training row 2 \(bars 5 to 6\)"):
        assert_no_leakage([(np.array([2]), np.array([0, 1]))], end, start)


def test_a_split_that_tests_nothing_leaks_nothing():
    assert_no_leakage([(np.arange(5), np.arange(0))], np.arange(5) + 2)


def test_a_leak_planted_in_a_later_split_is_reported_with_its_split_and_row():
    splits = list(PurgedKFold(4, label_horizon=3, embargo=2).split(np.zeros(80)))
    end = np.arange(80) + 3
    assert_no_leakage(splits, end)
    train, test = splits[2]
    splits[2] = (np.sort(np.append(train, test[0] - 1)), test)
    with pytest.raises(LeakageError, match=r"Split 2: .* training row 39 \(bars 39 to 42\)"):
        assert_no_leakage(splits, end)


def test_scikit_learn_scores_the_same_folds_as_a_loop_by_hand():
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_score

    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 3))
    y = (X[:, 0] + rng.normal(size=120) > 0).astype(int)
    splitter = PurgedKFold(4, label_horizon=5, embargo=3)
    by_hand = [
        LogisticRegression().fit(X[train], y[train]).score(X[test], y[test])
        for train, test in splitter.split(X)
    ]
    assert splitter.get_n_splits() == 4
    np.testing.assert_array_equal(cross_val_score(LogisticRegression(), X, y, cv=splitter), by_hand)
