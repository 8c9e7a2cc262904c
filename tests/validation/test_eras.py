"""The border and the four eras before it."""

import json
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from trading_assets.errors import NotReadyError
from trading_assets.validation.eras import ERA_NAMES, Era, Eras, border, make_eras

SHARES = (0.5, 0.25, 0.125)


def in_order(eras: Eras) -> list[Era]:
    return [getattr(eras, name) for name in ERA_NAMES]


@pytest.mark.parametrize(("n_bars", "known"), [(0, 0), (167, 0), (168, 168), (400, 336), (504, 504)])
def test_the_border_moves_in_whole_steps(n_bars: int, known: int):
    assert border(n_bars, 168) == known


@given(n_bars=st.integers(0, 10**6), step=st.integers(1, 1_000))
def test_the_border_is_the_last_whole_step_that_is_complete(n_bars: int, step: int):
    edge = border(n_bars, step)
    assert edge % step == 0
    assert edge <= n_bars < edge + step


@pytest.mark.parametrize("name", ["first", "label_span", "embargo"])
@pytest.mark.parametrize("value", [0.01, "24", -1, True, None])
def test_bars_that_are_no_whole_number_are_refused(name: str, value):
    given = {"first": 384, "label_span": 25, "embargo": 24, name: value}
    with pytest.raises(ValueError, match=rf"{name} is .*; expected at least 0, a whole number of bars"):
        make_eras(8_384, min_bars=5_000, shares=SHARES, **given)
    with pytest.raises(ValueError, match=r"step_bars is .*; expected at least 1, a whole number of bars"):
        border(1_000, value)


def test_eras_take_their_shares_and_leave_gaps_of_label_span_and_embargo():
    # 8,000 usable bars at 1/2, 1/4, 1/8 and the rest; each era but the last ends 25 + 24 bars early.
    eras = make_eras(8_384, first=384, min_bars=5_000, shares=SHARES, label_span=25, embargo=24)
    assert eras == Eras(
        forecaster_train=Era(384, 4_335),
        agent_train=Era(4_384, 6_335),
        validation=Era(6_384, 7_335),
        test=Era(7_384, 8_384),
    )
    assert [len(era) for era in in_order(eras)] == [3_951, 1_951, 951, 1_000]
    assert list(range(10_000))[eras.validation.rows] == list(range(6_384, 7_335))


eras_of = {
    "n_bars": st.integers(100, 20_000),
    "first": st.integers(0, 500),
    "label_span": st.integers(1, 60),
    "embargo": st.integers(0, 60),
    "shares": st.sampled_from([SHARES, (0.4, 0.3, 0.2), (0.1, 0.2, 0.3), (0.6, 0.2, 0.1)]),
}


@given(**eras_of)
def test_no_label_of_an_era_reaches_the_next_one_or_its_embargo(n_bars, first, label_span, embargo, shares):
    try:
        eras = make_eras(
            n_bars,
            first=first,
            min_bars=100,
            shares=shares,
            label_span=label_span,
            embargo=embargo,
        )
    except NotReadyError:
        assume(False)
    stretch = in_order(eras)
    for era, following in pairwise(stretch):
        assert era.start < era.stop
        last_label = era.stop - 1 + label_span
        assert last_label + embargo == following.start - 1
    assert stretch[0].start == first
    assert stretch[-1].stop == n_bars
    usable = n_bars - first
    for share, era, following in zip(shares, stretch, stretch[1:], strict=False):
        assert abs(following.start - era.start - share * usable) <= 0.5


def test_too_few_bars_are_answered_with_how_many_are_missing():
    with pytest.raises(NotReadyError, match=r"4200 bars .* 5000 are needed .* 800 are missing"):
        make_eras(4_200, first=384, min_bars=5_000, shares=SHARES, label_span=25, embargo=24)


def test_exactly_the_least_number_of_bars_is_enough():
    eras = make_eras(5_000, first=384, min_bars=5_000, shares=SHARES, label_span=25, embargo=24)
    assert eras.test.stop == 5_000
    with pytest.raises(NotReadyError, match="1 are missing"):
        make_eras(4_999, first=384, min_bars=5_000, shares=SHARES, label_span=25, embargo=24)


def test_an_era_that_the_gaps_eat_up_is_named_with_what_is_left_of_it_and_a_remedy():
    # validation: 1/8 of 800 bars, less 25 + 60, keeps 15.
    with pytest.raises(NotReadyError, match=r"'validation' keeps 15 bars .*\(85 .*folds.embargo"):
        make_eras(800, first=0, min_bars=100, shares=SHARES, label_span=25, embargo=60)


def test_an_era_smaller_than_its_gap_keeps_no_bars_rather_than_fewer_than_none():
    # validation: 1/8 of 200 bars is 25, less a gap of 49.
    with pytest.raises(NotReadyError, match=r"'validation' keeps 0 bars .*\(49 bars"):
        make_eras(200, first=0, min_bars=100, shares=SHARES, label_span=25, embargo=24)


def test_eras_survive_json():
    eras = make_eras(8_384, first=384, min_bars=1, shares=SHARES, label_span=25, embargo=24)
    assert Eras.from_json(json.loads(json.dumps(eras.to_json()))) == eras
