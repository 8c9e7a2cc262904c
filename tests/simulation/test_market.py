"""What a market refuses, and that what it knows at a bar comes from bars up to it."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.simulation.worlds import CLOSE, HIGH, LOW, TIME, VOLUME, free, random_bars
from trading_assets.config.settings import EnvConfig
from trading_assets.errors import MarketError
from trading_assets.simulation.kernel import UNIT
from trading_assets.simulation.market import Market

RISK = {"value_at_risk": {"soft": 0.01, "hard": 0.02, "cool_down": 0}, "window": 30}


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**16), known=st.integers(0, 98))
def test_conditions_at_a_bar_do_not_depend_on_later_ones(seed, known):
    bars = random_bars(100, seed)
    other = bars.copy()
    other[known + 1 :, 1:6] *= 3
    config = EnvConfig(costs={"impact": 1.0}, risk=RISK)
    a, b = (Market.make(x, config=config).conditions for x in (bars, other))
    np.testing.assert_array_equal(a[: known + 1], b[: known + 1])
    assert np.isfinite(a[30:]).all()


def test_the_risk_of_one_unit_comes_from_the_closes():
    from trading_assets.validation.metrics import value_at_risk

    bars = random_bars(100, 1)
    conditions = Market.make(bars, config=EnvConfig(risk=RISK)).conditions
    returns = bars[70:100, CLOSE] / bars[69:99, CLOSE] - 1
    assert conditions[99, UNIT + 1] == pytest.approx(-value_at_risk(returns, 0.05), rel=1e-9)


def test_bars_that_are_none_are_refused():
    bars = random_bars(50, 0)
    with pytest.raises(ValueError, match=r"shape \(50, 6\); expected \(n_bars, 7\) with 2 bars or more"):
        Market.make(bars[:, :6])
    with pytest.raises(ValueError, match=r"shape \(1, 8\)"):
        Market.make(bars[:1])
    for value in (np.nan, 0.0, -1.0):
        bad = bars.copy()
        bad[7, CLOSE] = value
        with pytest.raises(ValueError, match=r"Bar 7 is .*close .* is not (finite|positive)"):
            Market.make(bad)
    for column, value in ((HIGH, 1.0), (LOW, 1e6), (VOLUME, -1.0), (TIME, 0.0)):
        bad = bars.copy()
        bad[7, column] = value
        with pytest.raises(
            ValueError, match=r"Bar 7 is .*(lies (below|above)|is negative|is not after the bar before it)"
        ):
            Market.make(bad)


def test_a_market_keeps_to_what_it_was_made_of():
    bars, config = random_bars(50, 0), EnvConfig(costs={"impact": 1.0})
    market = Market.make(bars, np.zeros((50, 2), dtype=np.float32), start=9)
    with pytest.raises(ValueError, match=r"table has shape \(5, 2\); expected a row for each of the 50 bars"):
        market.showing(np.zeros((5, 2)))
    with pytest.raises(ValueError, match=r"market\.under\(config\) makes another"):
        replace(market, config=config)
    other = market.under(config)
    assert (other.start, other.stop, other.config) == (9, 50, config)
    assert other.conditions.any() and not market.conditions.any()


def test_a_table_needs_a_row_a_bar_and_a_number_wherever_it_is_seen():
    bars, table = random_bars(50, 0), np.zeros((50, 3), dtype=np.float32)
    with pytest.raises(
        ValueError, match=r"table has shape \(49, 3\); expected a row for each of the 50 bars"
    ):
        Market.make(bars, table[1:])
    table[:10] = np.nan
    with pytest.raises(ValueError, match=r"not finite in 3 of the bars to be seen, the first at bar 7"):
        Market.make(bars, table, EnvConfig(window=4), start=10)
    market = Market.make(bars, table, EnvConfig(window=4), start=13)
    with pytest.raises(ValueError, match=r"not finite in 1 .*begin after the features' warm-up"):
        market.between(12, 50)


@pytest.mark.parametrize(("start", "stop"), [(0, 50), (10, 11), (10, 51), (30, 20)])
def test_a_stretch_outside_the_bars_or_too_short_to_trade_in_is_refused(start, stop):
    market = Market.make(random_bars(50, 0), config=free(window=5))
    with pytest.raises(ValueError, match=f"start={start}, stop={stop}: expected at least two bars from 4 on"):
        market.between(start, stop)


def test_without_a_table_a_policy_sees_its_account_alone():
    from trading_assets.simulation import TradingEnv

    env = TradingEnv(Market.make(random_bars(50, 0)))
    assert env.reset(seed=0)[0].tolist() == [0, 0, 0, 0]


def test_frames_and_feature_tables_are_taken_as_they_are(market, table, bars):
    config = EnvConfig(window=4)
    plain = Market.make(bars, table.frame.to_numpy(), config, start=1_000)
    for given_bars, given_table in ((market.bars, table), (market.bars, table.frame), (bars, table)):
        made = Market.make(given_bars, given_table, config, start=1_000)
        for name in ("bars", "table", "conditions"):
            np.testing.assert_array_equal(getattr(made, name), getattr(plain, name))
        assert made.showing(table.frame[["return_1"]]).table.shape == (len(bars), 1)
    written = market.bars.set_index("timestamp").rename(columns=str.capitalize)
    np.testing.assert_array_equal(Market.make(written).bars[:, :7], bars)
    with pytest.raises(MarketError, match=r"A bar needs the fields .* \(missing: close\)"):
        Market.make(market.bars.drop(columns="close"))
    with pytest.raises(ValueError, match=r"a row for each of the 100 bars"):
        Market.make(market.bars.iloc[:100], table)
