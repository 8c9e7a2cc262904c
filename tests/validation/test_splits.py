"""Purged cross-validation: golden splits, brute force, and leaks planted by hand."""

import contextlib

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from trading_assets.errors import LeakageError
from trading_assets.reports import pictures
from trading_assets.validation import _label_spans as spans_module
from trading_assets.validation.splits import (
    BlockingTimeSeriesSplit,
    CombinatorialPurgedCV,
    PurgedKFold,
    PurgedTimeSeriesSplit,
    assert_no_leakage,
)

# Each kind with arguments that suit from 12 rows on.
KINDS = {
    "k-fold": lambda **spans: PurgedKFold(4, **spans),
    "walk-forward": lambda **spans: PurgedTimeSeriesSplit(3, **spans),
    "rolling": lambda **spans: PurgedTimeSeriesSplit(2, test_size=3, max_train_size=4, **spans),
    "blocking": lambda **spans: BlockingTimeSeriesSplit(2, train_size=0.7, **spans),
    "combinatorial": lambda **spans: CombinatorialPurgedCV(5, 2, **spans),
}
every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))


@st.composite
def label_spans(draw, max_rows=40, ordered=False):
    """Starts that need not be sorted, and ends at or after them; `ordered`: neither ever falls."""
    n = draw(st.integers(4, max_rows))
    jitter = draw(st.lists(st.integers(-5, 5), min_size=n, max_size=n))
    lengths = draw(st.lists(st.integers(0, 8), min_size=n, max_size=n))
    start = 3 * np.arange(n) + np.array(jitter)
    end = start + np.array(lengths)
    return (np.sort(start), np.sort(end)) if ordered else (start, end)


def meets(first: int, last: int, start: int, end: int) -> bool:
    """Whether two closed intervals share a bar."""
    return start <= last and end >= first


def test_embargo_counts_from_the_last_label_end_of_the_test_block():
    # By hand: n=100, k=5, horizon 5, embargo 10.
    splits = list(PurgedKFold(5, label_horizon=5, embargo=10).split(np.zeros(100)))
    assert [len(train) for train, _ in splits] == [65, 60, 60, 60, 75]
    np.testing.assert_array_equal(splits[0][0], np.arange(35, 100))
    np.testing.assert_array_equal(splits[1][0], np.r_[0:15, 55:100])


def test_label_spans_are_closed_intervals():
    # By hand: of bars 0 to 9 with horizon 2, testing bars 1 and 2 leaves bars 5 to 9. Bar 0 is left
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


@every_kind
def test_a_purge_without_label_spans_or_with_two_kinds_of_them_is_refused(kind):
    with pytest.raises(ValueError, match=r"needs label_end .* or label_horizon .* given neither"):
        kind()
    with pytest.raises(ValueError, match=r"needs label_end .* or label_horizon .* given both"):
        kind(label_end=np.arange(20), label_horizon=3)


@every_kind
def test_a_negative_embargo_is_refused(kind):
    with pytest.raises(ValueError, match="embargo is -1; expected at least 0, a whole number of bars"):
        kind(label_horizon=1, embargo=-1)


@every_kind
def test_an_embargo_that_is_a_share_is_refused_with_the_bars_it_would_be(kind):
    with pytest.raises(
        ValueError, match=r"embargo is 0\.01; .* whole number of bars, .* of 5,000 rows .*=50\."
    ):
        kind(label_end=np.arange(5_000) + 3, embargo=0.01)
    with pytest.raises(
        ValueError, match=r"embargo is 0\.05; .* not a share .* of 1,000 rows it would be .*=50\."
    ):
        kind(label_horizon=3, embargo=0.05)
    with pytest.raises(ValueError, match=r"of 20 rows it would be embargo=1\."):
        kind(label_start=np.arange(20), label_horizon=3, embargo=np.float32(0.01))


@every_kind
@pytest.mark.parametrize("value", ["5", "", 5.0, -1, True, None, [5], np.nan, 1.5])
@pytest.mark.parametrize("name", ["embargo", "label_horizon"])
def test_bars_that_are_no_whole_number_are_refused_at_construction(kind, name: str, value):
    if name == "label_horizon" and value is None:
        return  # is not given
    with pytest.raises(ValueError, match=rf"{name} is .*; expected at least 0, a whole number of bars"):
        kind(**{"label_horizon": 5, name: value})


@pytest.mark.parametrize("value", ["5", 5.0, 0, 1, -3, True, None, [5], np.nan])
@pytest.mark.parametrize("splitter", [PurgedKFold, PurgedTimeSeriesSplit, BlockingTimeSeriesSplit])
def test_a_number_of_splits_that_cannot_be_is_refused_at_construction(splitter, value):
    with pytest.raises(ValueError, match=r"n_splits is .*; expected at least 2, a whole number"):
        splitter(value, label_horizon=5)


@pytest.mark.parametrize(
    ("splitter", "name", "values"),
    [
        (PurgedTimeSeriesSplit, "test_size", ["5", 0.2, 0, -1, True]),
        (PurgedTimeSeriesSplit, "max_train_size", ["5", 0.2, 0, -1, True]),
        (BlockingTimeSeriesSplit, "train_size", ["0.8", 0, 1, 8, True, None, np.nan]),
        (CombinatorialPurgedCV, "n_folds", ["6", 6.0, 1, 0, True, None]),
        (CombinatorialPurgedCV, "n_test_folds", ["2", 2.0, 0, -1, True, None]),
    ],
)
def test_every_other_argument_is_checked_at_construction_too(splitter, name: str, values):
    for value in values:
        with pytest.raises(ValueError, match=rf"{name} is .*; expected"):
            splitter(**{"label_horizon": 5, name: value})


@every_kind
@pytest.mark.parametrize("name", ["label_start", "label_end"])
def test_label_spans_are_checked_at_construction(kind, name: str):
    other = {"label_horizon": 1} if name == "label_start" else {}
    for wrong, message in (
        (np.arange(40) + 0.5, f"{name} holds float64"),
        (["a", "b"], f"{name} holds <U1"),
        (np.zeros((40, 2), dtype=int), rf"{name} has shape \(40, 2\)"),
    ):
        with pytest.raises(ValueError, match=message):
            kind(**{name: wrong}, **other)
    with pytest.raises(ValueError, match="row 3 ends at bar 2, before it starts at bar 3"):
        kind(label_end=[1, 2, 3, 2])


@every_kind
def test_numpy_numbers_and_lists_are_taken_as_they_are(kind):
    expected = list(kind(label_end=np.arange(40) + 2, embargo=1).split(np.zeros(40)))
    found = list(kind(label_end=[row + 2 for row in range(40)], embargo=np.int16(1)).split(np.zeros(40)))
    for ours, same in zip(found, expected, strict=True):
        for rows, others in zip(ours, same, strict=True):
            np.testing.assert_array_equal(rows, others)


@every_kind
def test_labels_that_end_before_they_start_are_refused_with_their_row(kind):
    end = np.arange(20)
    end[7] = 5
    with pytest.raises(ValueError, match=r"row 7 ends at bar 5, before it starts at bar 7; .*label_end >="):
        next(kind(label_end=end).split(np.zeros(20)))
    with pytest.raises(ValueError, match="label_horizon is -2; expected at least 0"):
        next(kind(label_horizon=-2).split(np.zeros(20)))


def test_times_in_place_of_bar_positions_are_refused_with_a_remedy():
    times = np.arange(20).astype("datetime64[h]")
    with pytest.raises(
        ValueError, match=r"label_end holds datetime64\[h\]; .*searchsorted\(bar_times, label_end"
    ):
        next(PurgedKFold(2, label_end=times).split(np.zeros(20)))
    with pytest.raises(ValueError, match="label_end holds float64"):
        next(PurgedKFold(2, label_end=np.arange(20) + 0.5).split(np.zeros(20)))


@pytest.mark.parametrize("name", ["label_start", "label_end"])
def test_spans_of_another_length_than_the_rows_are_refused_by_name(name: str):
    spans = {"label_start": np.arange(10), "label_end": np.arange(10)} | {name: np.arange(9)}
    with pytest.raises(ValueError, match=r"label_start has \d+ rows, label_end \d+; expected one of each"):
        PurgedKFold(2, **spans)
    with pytest.raises(ValueError, match=f"{name} has 10 rows, X has 9"):
        other = {"label_horizon": 1} if name == "label_start" else {}
        next(PurgedKFold(2, **{name: np.arange(10)}, **other).split(np.zeros(9)))


def test_more_splits_than_rows_are_refused():
    with pytest.raises(ValueError, match="n_splits is 11; expected 2 to 10"):
        next(PurgedKFold(11, label_horizon=0).split(np.zeros(10)))


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


@every_kind
def test_scikit_learn_scores_the_same_splits_as_a_loop_by_hand(kind):
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_score

    rng = np.random.default_rng(0)
    X = rng.normal(size=(240, 3))
    y = np.arange(240) % 2
    # Small blocks need both classes in training sets of four rows too: they alternate.
    splitter = kind(label_horizon=5, embargo=3)
    by_hand = [
        LogisticRegression().fit(X[train], y[train]).score(X[test], y[test])
        for train, test in splitter.split(X)
    ]
    assert splitter.get_n_splits(X, y) == len(by_hand)
    np.testing.assert_array_equal(cross_val_score(LogisticRegression(), X, y, cv=splitter), by_hand)


def split_or_discard(splitter, n_rows: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """All splits, unless the drawn spans leave nothing to train on."""
    try:
        return list(splitter.split(np.zeros(n_rows)))
    except ValueError as error:
        assert "No training row" in str(error)
        assume(False)


@every_kind
@given(data=st.data())
def test_binary_search_on_ordered_spans_gives_what_comparing_every_row_gives(kind, data):
    start, end = data.draw(label_spans(ordered=True))
    assume(len(start) >= 12)
    embargo = data.draw(st.integers(0, 10))
    splitter = kind(label_start=start, label_end=end, embargo=embargo)
    fast = split_or_discard(splitter, len(start))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spans_module, "_never_falls", lambda values: False)
        general = split_or_discard(splitter, len(start))
    assert len(fast) == len(general)
    for ours, theirs in zip(fast, general, strict=True):
        for some, same in zip(ours, theirs, strict=True):
            assert some.dtype == same.dtype == np.int64
            np.testing.assert_array_equal(some, same)


@every_kind
@given(data=st.data())
def test_no_training_label_meets_a_test_label_in_any_split_of_any_kind(kind, data):
    start, end = data.draw(label_spans())
    assume(len(start) >= 12)
    splitter = kind(label_start=start, label_end=end, embargo=data.draw(st.integers(0, 5)))
    splits = split_or_discard(splitter, len(start))
    for train, test in splits:
        assert (np.diff(train) > 0).all() and (np.diff(test) > 0).all()
        assert not any(meets(start[j], end[j], start[i], end[i]) for i in train for j in test)
    assert_no_leakage(splits, end, start)
    assert len(splits) == splitter.get_n_splits()


def ahead(start, end, rows, test, embargo: int) -> list[int]:
    first = min(start[i] for i in test)
    return [i for i in rows if i < test[0] and first - end[i] > embargo]


@given(
    spans=label_spans(),
    k=st.integers(2, 4),
    embargo=st.integers(0, 6),
    size=st.none() | st.integers(1, 3),
    most=st.none() | st.integers(1, 8),
)
def test_walk_forward_trains_on_the_latest_rows_whose_labels_end_an_embargo_before(
    spans, k, embargo, size, most
):
    start, end = spans
    n = len(start)
    block = n // (k + 1) if size is None else size
    assume(k < n and 0 < k * block < n)
    splitter = PurgedTimeSeriesSplit(
        k, label_start=start, label_end=end, embargo=embargo, test_size=size, max_train_size=most
    )
    splits = split_or_discard(splitter, n)
    assert [list(test) for _, test in splits] == [
        list(range(first, first + block)) for first in range(n - k * block, n, block)
    ]
    for train, test in splits:
        expected = ahead(start, end, range(n), test, embargo)
        assert list(train) == expected[-most:] if most else list(train) == expected


@settings(deadline=None)  # the first call imports scikit-learn
@given(
    n=st.integers(20, 300),
    k=st.integers(2, 5),
    horizon=st.integers(0, 4),
    embargo=st.integers(0, 3),
    size=st.none() | st.integers(1, 10),
    most=st.none() | st.integers(1, 60),
)
def test_walk_forward_with_a_horizon_is_scikit_learns_split_with_that_gap(n, k, horizon, embargo, size, most):
    from sklearn.model_selection import TimeSeriesSplit

    assume(n - k * (size or n // (k + 1)) > horizon + embargo)
    ours = PurgedTimeSeriesSplit(
        k, label_horizon=horizon, embargo=embargo, test_size=size, max_train_size=most
    )
    theirs = TimeSeriesSplit(k, gap=horizon + embargo, test_size=size, max_train_size=most)
    for split, expected in zip(ours.split(np.zeros(n)), theirs.split(np.zeros(n)), strict=True):
        for rows, same in zip(split, expected, strict=True):
            np.testing.assert_array_equal(rows, same)


def test_walk_forward_without_rows_to_train_on_is_refused_with_a_remedy():
    with pytest.raises(ValueError, match=r"2 test blocks of 5 rows leave nothing of 10 rows.* test_size"):
        next(PurgedTimeSeriesSplit(2, label_horizon=0, test_size=5).split(np.zeros(10)))
    with pytest.raises(ValueError, match="test_size is 0; expected at least 1, a whole number of rows"):
        PurgedTimeSeriesSplit(2, label_horizon=0, test_size=0)
    with pytest.raises(ValueError, match="max_train_size is -3"):
        PurgedTimeSeriesSplit(2, label_horizon=0, max_train_size=-3)
    with pytest.raises(ValueError, match="n_splits is 10; expected 2 to 9"):
        next(PurgedTimeSeriesSplit(10, label_horizon=0).split(np.zeros(10)))
    with pytest.raises(
        ValueError, match=r"No training row .* 4 to 6 of 10: the embargo of 4 bars .* smaller embargo"
    ):
        next(PurgedTimeSeriesSplit(2, label_horizon=0, embargo=4).split(np.zeros(10)))


@every_kind
def test_what_leaves_nothing_to_train_on_is_named(kind):
    spans = {"label_horizon": 50}
    with pytest.raises(
        ValueError, match=r"No training row .* of 40: labels reach up to 50 bars ahead"
    ) as refused:
        list(kind(**spans).split(np.zeros(40)))
    assert "embargo" not in str(refused.value)
    with pytest.raises(
        ValueError, match="labels reach up to 50 bars"
    ) as refused:  # with or without an embargo
        list(kind(**spans, embargo=9).split(np.zeros(40)))
    assert "embargo" not in str(refused.value)
    with pytest.raises(ValueError, match=r"No training row .*: the embargo of 60 bars") as refused:
        list(kind(label_horizon=1, embargo=60).split(np.zeros(40)))
    assert "labels" not in str(refused.value)


@given(spans=label_spans(), k=st.integers(2, 4), embargo=st.integers(0, 6), share=st.floats(0.3, 0.9))
def test_blocking_trains_and_tests_inside_windows_that_share_nothing(spans, k, embargo, share):
    start, end = spans
    splitter = BlockingTimeSeriesSplit(k, label_start=start, label_end=end, embargo=embargo, train_size=share)
    windows = np.array_split(np.arange(len(start)), k)
    for window, (train, test) in zip(windows, split_or_discard(splitter, len(start)), strict=True):
        n_train = int(share * len(window))
        assert list(test) == list(window[n_train:])
        assert list(train) == ahead(start, end, window, test, embargo)


@pytest.mark.parametrize("share", [0, 1, 1.5])
def test_a_share_of_a_window_out_of_range_is_refused(share: float):
    with pytest.raises(
        ValueError, match=f"train_size is {share}; expected between 0 and 1, a share of a window"
    ):
        BlockingTimeSeriesSplit(2, label_horizon=0, train_size=share)


def test_a_window_too_short_for_a_training_row_is_refused():
    with pytest.raises(ValueError, match="No training row is left for test rows 0 to 0"):
        next(BlockingTimeSeriesSplit(10, label_horizon=0).split(np.zeros(10)))


# By hand: n=12, 3 folds, 2 test folds, horizon 1 (also the documentation of skfolio's splitter).
def test_combinatorial_splits_are_purged_around_each_run_of_test_folds():
    splits = list(CombinatorialPurgedCV(3, 2, label_horizon=1).split(np.zeros(12)))
    assert [list(train) for train, _ in splits] == [[9, 10, 11], [5, 6], [0, 1, 2]]
    assert [list(test) for _, test in splits] == [
        [0, 1, 2, 3, 4, 5, 6, 7],
        [0, 1, 2, 3, 8, 9, 10, 11],
        [4, 5, 6, 7, 8, 9, 10, 11],
    ]


@pytest.mark.parametrize(("n", "k", "n_splits", "n_paths"), [(6, 2, 15, 5), (10, 2, 45, 9), (5, 1, 5, 1)])
def test_numbers_of_combinatorial_splits_and_paths(n: int, k: int, n_splits: int, n_paths: int):
    # By hand: (6,2) 15/5; (10,2) 45/9 (Lopez de Prado 2018, 12.3).
    splitter = CombinatorialPurgedCV(n, k, label_horizon=0)
    assert (splitter.get_n_splits(), splitter.n_paths) == (n_splits, n_paths)
    assert len(list(splitter.split(np.zeros(3 * n)))) == n_splits
    assert splitter.paths.shape == (n_paths, n)


@given(data=st.data(), n=st.integers(2, 7))
def test_paths_use_every_pair_of_split_and_tested_fold_exactly_once(data, n: int):
    k = data.draw(st.integers(1, n - 1))
    splitter = CombinatorialPurgedCV(n, k, label_horizon=0)
    used = {(split, fold) for path in splitter.paths for fold, split in enumerate(path)}
    # One row a fold: a split's test rows are its tested folds.
    tested = {(i, fold) for i, (_, test) in enumerate(splitter.split(np.zeros(n))) for fold in test}
    assert used == tested
    assert len(tested) == splitter.paths.size


@given(data=st.data(), n_rows=st.integers(7, 40))
def test_recombined_paths_hold_for_each_row_the_prediction_of_the_split_that_supplies_its_fold(data, n_rows):
    n = data.draw(st.integers(2, 7))
    splitter = CombinatorialPurgedCV(n, data.draw(st.integers(1, n - 1)), label_horizon=0)
    predictions = [1_000.0 * i + test for i, (_, test) in enumerate(splitter.split(np.zeros(n_rows)))]
    recombined = splitter.recombine(predictions)
    fold_of_row = np.repeat(np.arange(n), [len(part) for part in np.array_split(np.arange(n_rows), n)])
    np.testing.assert_array_equal(recombined, 1_000.0 * splitter.paths[:, fold_of_row] + np.arange(n_rows))


def test_predictions_that_do_not_fit_the_splits_are_refused():
    splitter = CombinatorialPurgedCV(4, 2, label_horizon=0)
    predictions = [np.zeros(len(test)) for _, test in splitter.split(np.zeros(20))]
    assert splitter.recombine(predictions).shape == (3, 20)
    with pytest.raises(ValueError, match="5 predictions given; expected 6, one a split"):
        splitter.recombine(predictions[:-1])
    with pytest.raises(ValueError, match=r"split 2 have shape \(10, 1\); expected \(10,\), one a test row"):
        splitter.recombine([*predictions[:2], np.zeros((10, 1)), *predictions[3:]])
    with pytest.raises(ValueError, match=r"split 0 have shape \(12,\); expected \(10,\)"):
        splitter.recombine([np.zeros(12), np.zeros(8), *predictions[2:]])


@pytest.mark.parametrize(
    ("n", "k", "message"),
    [
        (5, 0, "n_test_folds is 0; expected at least 1"),
        (5, 5, "n_test_folds is 5 of n_folds 5; expected fewer than n_folds"),
        (1, 1, "n_folds is 1; expected at least 2"),
    ],
)
def test_a_number_of_test_folds_that_leaves_nothing_to_test_or_train_on_is_refused(n: int, k: int, message):
    with pytest.raises(ValueError, match=message):
        CombinatorialPurgedCV(n, k, label_horizon=0)


@pytest.mark.parametrize(
    ("n", "k", "number"),
    [(50, 25, "1.3e14"), (30, 10, "3.0e7"), (2_000, 1_000, "2.0e600"), (10**9, 5 * 10**8, r"1\.2e301029991")],
)
def test_more_splits_than_anybody_fits_are_refused_with_their_number(n: int, k: int, number: str):
    message = rf"n_test_folds={k} of n_folds={n} would be about {number} splits; expected 1,000,000 at most"
    with pytest.raises(ValueError, match=message):
        CombinatorialPurgedCV(n, k, label_horizon=0)


def test_a_million_splits_are_the_most():
    assert CombinatorialPurgedCV(1_000_000, 1, label_horizon=0).n_splits == 1_000_000
    assert CombinatorialPurgedCV(20, 10, label_horizon=0).n_splits == 184_756
    with pytest.raises(ValueError, match=r"about 1\.0e6 splits"):
        CombinatorialPurgedCV(1_000_001, 1, label_horizon=0)


def test_more_folds_than_rows_are_refused():
    with pytest.raises(ValueError, match="n_folds is 8; expected 2 to 5"):
        next(CombinatorialPurgedCV(8, 2, label_horizon=0).split(np.zeros(5)))


@given(data=st.data(), spans=label_spans(max_rows=24), embargo=st.integers(0, 10))
def test_combinatorial_splits_drop_exactly_the_rows_that_brute_force_would_drop(data, spans, embargo: int):
    start, end = spans
    n = data.draw(st.integers(2, 4))
    k = data.draw(st.integers(1, n - 1))
    splitter = CombinatorialPurgedCV(n, k, label_start=start, label_end=end, embargo=embargo)
    for train, test in split_or_discard(splitter, len(start)):
        dropped = set(test)
        for run in np.split(test, np.flatnonzero(np.diff(test) > 1) + 1):
            first, last = min(start[i] for i in run), max(end[i] for i in run)
            dropped |= {
                i
                for i in range(len(start))
                if meets(first, last, start[i], end[i]) or last < start[i] <= last + embargo
            }
        assert list(train) == [i for i in range(len(start)) if i not in dropped]


@pytest.mark.parametrize(
    ("n", "k", "horizon", "embargo"),
    [(6, 2, 3, 5), (10, 2, 0, 4), (8, 3, 7, 0), (5, 4, 2, 2)],
)
def test_combinatorial_splits_with_a_horizon_are_those_of_skfolio_with_that_purge(n, k, horizon, embargo):
    peer = pytest.importorskip("skfolio.model_selection").CombinatorialPurgedCV(
        n, k, purged_size=horizon, embargo_size=embargo
    )
    X = np.zeros((20 * n, 1))
    ours = CombinatorialPurgedCV(n, k, label_horizon=horizon, embargo=embargo)
    for (train, test), (peer_train, peer_tests) in zip(ours.split(X), peer.split(X), strict=True):
        np.testing.assert_array_equal(train, peer_train)
        np.testing.assert_array_equal(test, np.concatenate(peer_tests))


def test_one_test_fold_makes_a_purged_k_fold():
    spans = {"label_horizon": 4, "embargo": 2}
    pairs = zip(
        CombinatorialPurgedCV(5, 1, **spans).split(np.zeros(63)),
        PurgedKFold(5, **spans).split(np.zeros(63)),
        strict=True,
    )
    for ours, same in pairs:
        for rows, others in zip(ours, same, strict=True):
            np.testing.assert_array_equal(rows, others)


@every_kind
def test_no_later_split_changes_with_rows_handed_out(kind):
    """They are slices of what all splits share only where they cannot be written to."""
    splitter = kind(label_horizon=2)
    kept = list(splitter.split(np.zeros(40)))
    for (train, test), (expected, tested) in zip(splitter.split(np.zeros(40)), kept, strict=True):
        np.testing.assert_array_equal(train, expected)
        np.testing.assert_array_equal(test, tested)
        for rows in (train, test):
            with contextlib.suppress(ValueError):
                rows[:] = -1


@every_kind
def test_every_kind_can_be_drawn(kind, tmp_path):
    from matplotlib.image import imread

    name = pictures.splits(tmp_path, kind(label_horizon=4, embargo=2), 60)
    image = imread(tmp_path / name)
    assert name == "splits.png"
    # The three colors of the picture, as they are on the screen.
    seen = {tuple(pixel) for pixel in np.round(image[..., :3] * 255).astype(int).reshape(-1, 3)}
    assert seen >= {(158, 202, 233), (255, 157, 77), (228, 228, 228)}
