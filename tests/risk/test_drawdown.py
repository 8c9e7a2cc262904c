"""The drawdown rule that advises agents in training."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from trading_assets.risk.drawdown import drawdown_penalty

levels = st.floats(0.01, 0.98)


@pytest.mark.parametrize(
    ("drawdown", "penalty"),
    [(0.0, 0.0), (0.1, 0.0), (0.15, 0.25), (0.175, 0.5625), (0.2, 1.0), (0.99, 1.0)],
)
def test_the_penalty_is_the_square_of_the_way_from_soft_to_hard(drawdown: float, penalty: float):
    assert drawdown_penalty(drawdown, 0.1, 0.2) == pytest.approx(penalty, abs=1e-12)


@given(soft=levels, hard=levels, a=st.floats(0, 1), b=st.floats(0, 1))
def test_the_penalty_never_falls_with_the_drawdown_and_stays_between_zero_and_one(soft, hard, a, b):
    assume(soft < hard)
    low, high = (drawdown_penalty(x, soft, hard) for x in sorted([a, b]))
    assert 0 <= low <= high <= 1
    assert low == 0 or min(a, b) > soft
    assert high == 1 or max(a, b) < hard
