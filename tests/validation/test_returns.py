"""How returns compound, and where an account ends."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from trading_assets.validation.returns import equity_curve, equity_until_ruin, until_ruin

any_returns = arrays(np.float64, st.integers(0, 30), elements=st.floats(-4, 4) | st.just(np.nan))


@given(any_returns)
def test_until_all_is_lost_returns_are_as_they_are_and_then_nothing(returns):
    found = until_ruin(returns)
    lost = [i for i, value in enumerate(returns) if value <= -1]
    if not lost:
        np.testing.assert_array_equal(found, returns)
        return
    np.testing.assert_array_equal(found[: lost[0]], returns[: lost[0]])
    assert found[lost[0]] == -1
    assert not found[lost[0] + 1 :].any()
    assert len(found) == len(returns)


@given(any_returns)
def test_the_equity_curve_compounds_one_return_after_the_other_and_never_comes_back(returns):
    value, expected = 1.0, [1.0]
    for one in returns:
        value = 0.0 if value == 0 or one <= -1 else value if np.isnan(one) else value * (1 + one)
        expected.append(value)
    np.testing.assert_allclose(equity_curve(returns), expected, rtol=1e-12)
    np.testing.assert_array_equal(equity_until_ruin(equity_curve(returns)), equity_curve(returns))


def test_no_argument_is_written_to():
    returns, equity = np.array([0.1, -2.0, 0.3]), np.array([1.0, -1.0, 2.0])
    until_ruin(returns), equity_curve(returns), equity_until_ruin(equity)
    assert returns.tolist() == [0.1, -2.0, 0.3] and equity.tolist() == [1.0, -1.0, 2.0]
