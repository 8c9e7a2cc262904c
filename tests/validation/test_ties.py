"""Which of several values is the best, where rounding must not decide."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading_assets.validation.ties import TIE, first_best, tied_for_best


def test_what_only_rounding_tells_apart_is_tied():
    values = [0.3, 0.1 + 0.2, 0.3 - 1e-6, 0.1]
    assert values[1] > values[0]
    assert tied_for_best(values, TIE).tolist() == [True, True, False, False]
    assert first_best(values, TIE) == 0


def test_what_is_undefined_is_never_the_best():
    assert tied_for_best([np.nan, -2.0, np.nan, -1.0], TIE).tolist() == [False, False, False, True]
    assert first_best([np.nan, -np.inf, -1.0], TIE) == 2


def test_every_value_may_have_its_own_slack():
    assert tied_for_best([1.0, 0.9, 0.9], [0.0, 0.1, 0.05]).tolist() == [True, True, False]
    assert tied_for_best([1.0, 0.9, 0.9], [0.06, 0.1, 0.05]).tolist() == [True, True, True]


@given(
    rows=st.lists(st.lists(st.integers(-3, 3), min_size=4, max_size=4), min_size=1, max_size=5),
    factor=st.sampled_from([0.1, 1 / 3, 1e-5, 7e5]),
)
def test_along_the_last_axis_of_a_table_every_row_has_its_best(rows, factor: float):
    table = np.array(rows)
    found = tied_for_best(factor * table, TIE * factor)
    np.testing.assert_array_equal(found, table == table.max(axis=1, keepdims=True))
    assert [first_best(row, TIE) for row in table] == [row.index(max(row)) for row in rows]


@pytest.mark.parametrize("values", [[2.0], [5.0, 5.0]])
def test_the_only_values_are_the_best(values):
    assert tied_for_best(values, 0.0).all()
