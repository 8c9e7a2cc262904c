"""Risk of one unit, kept up bar by bar, against the same worked out anew from the returns at every bar."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.risk.accounts import Floats, random_prices, unit_risk_of
from trading_assets.risk.market_window import MIN_RETURNS, UNIT_NAMES, unit_risk
from trading_assets.validation.metrics import conditional_value_at_risk, value_at_risk


def incremental(prices: Floats, window: int, tail: float) -> Floats:
    out = np.full((len(prices), len(UNIT_NAMES)), np.nan)
    unit_risk(prices, window, tail, out)
    return out


def from_the_metrics(prices: Floats, bar: int, window: int, tail: float) -> list[float]:
    """The five figures at one bar, by the metrics of `validation`.

    Of a quarter of each return, which is exact: to the metrics, who loses more than all has lost it for good.
    """
    seen = prices[max(bar - window, 0) : bar + 1]
    returns = seen[1:] / seen[:-1] - 1
    return [
        returns.std(ddof=1),
        max(-4 * value_at_risk(returns / 4, tail), 0.0),
        max(-4 * value_at_risk(-returns / 4, tail), 0.0),
        max(-4 * conditional_value_at_risk(returns / 4, tail), 0.0),
        max(-4 * conditional_value_at_risk(-returns / 4, tail), 0.0),
    ]


def powers_of_two(n: int, seed: int) -> Floats:
    """Prices whose returns are -3/4, -1/2, 0, 1 and 3 without rounding: almost all returns are ties."""
    rng = np.random.default_rng(seed)
    return 2.0 ** rng.integers(0, 3, n)


MARKETS = {
    "walk": random_prices(560, 1),
    "rounded to ticks": np.round(random_prices(560, 2), 0),
    "many ties": powers_of_two(560, 3),
    "constant": np.full(560, 7.3),
    "rising, then falling": np.concatenate([1.01 ** np.arange(280), 1.01**280 * 0.99 ** np.arange(280)]),
}


@pytest.mark.parametrize("tail", [0.01, 0.05, 0.49])
@pytest.mark.parametrize("window", [20, 33, 256])
@pytest.mark.parametrize("market", MARKETS)
def test_every_bar_has_the_risk_that_the_metrics_find_in_its_last_returns(
    market: str, window: int, tail: float
) -> None:
    prices = MARKETS[market]
    found = incremental(prices, window, tail)
    expected = np.array([from_the_metrics(prices, bar, window, tail) for bar in range(20, len(prices))])
    # The variance is a difference of sums: where all returns are nearly the same 1%, rounding leaves 1e-10.
    np.testing.assert_allclose(found[20:, 0], expected[:, 0], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(found[20:, 1:], expected[:, 1:], rtol=1e-12, atol=1e-15)


@settings(max_examples=60, deadline=None)
@given(
    powers=st.lists(st.integers(0, 3), min_size=21, max_size=90),
    window=st.integers(20, 30),
    tail=st.floats(0.001, 0.499),
)
def test_ties_that_enter_and_leave_the_tails_in_any_order_are_counted_right(
    powers: list[int], window: int, tail: float
) -> None:
    prices = 2.0 ** np.array(powers)
    found = incremental(prices, window, tail)
    for bar in range(MIN_RETURNS, len(prices)):
        for column, side in ((0, 1.0), (1, -1.0)):
            expected = unit_risk_of(prices[: bar + 1].tolist(), side, window, tail)
            assert found[bar, 0] == pytest.approx(expected.volatility, rel=1e-9, abs=1e-9)
            assert found[bar, 1 + column] == pytest.approx(expected.value_at_risk, rel=1e-12, abs=1e-12)
            assert found[bar, 3 + column] == pytest.approx(expected.conditional, rel=1e-12, abs=1e-12)


def test_five_figures_of_twenty_returns_are_those_worked_out_by_hand() -> None:
    # Ten returns of 1 and ten of -1/2: mean 1/4, squared deviations (3/4)^2, tail .05 at place .95 of 19.
    prices = 2.0 ** (np.arange(21) % 2)
    deviation = np.sqrt(20 * 0.75**2 / 19)
    assert incremental(prices, 20, 0.05)[20] == pytest.approx([deviation, 0.5, 1.0, 0.5, 1.0], abs=1e-15)
    # Place 9.31 of 19 lies between the tenth worst (-1/2) and the next (1): -1/2 + .31 * 1.5 < 0.
    assert incremental(prices, 20, 0.49)[20, 1] == pytest.approx(0.5 - 0.31 * 1.5, abs=1e-15)


def test_constant_prices_have_no_risk() -> None:
    assert (incremental(MARKETS["constant"], 33, 0.05)[20:] == 0).all()


def test_a_market_that_only_rises_has_no_risk_for_who_is_long() -> None:
    volatility, var_long, var_short, cvar_long, cvar_short = incremental(1.01 ** np.arange(60), 40, 0.05)[-1]
    assert var_long == cvar_long == 0
    assert var_short == pytest.approx(0.01)
    assert cvar_short == pytest.approx(0.01)
    assert volatility == pytest.approx(0, abs=1e-9)


def test_long_and_short_change_places_when_the_returns_are_negated() -> None:
    returns = np.random.default_rng(4).normal(0, 0.01, 300)
    up = np.concatenate([[1.0], np.cumprod(1 + returns)])
    down = np.concatenate([[1.0], np.cumprod(1 - returns)])
    one, other = incremental(up, 64, 0.05)[20:], incremental(down, 64, 0.05)[20:]
    np.testing.assert_allclose(one[:, [0, 1, 2, 3, 4]], other[:, [0, 2, 1, 4, 3]], rtol=1e-9)


def test_the_risk_counts_as_infinite_until_twenty_returns_are_known() -> None:
    found = incremental(MARKETS["walk"], 33, 0.05)
    assert MIN_RETURNS == 20
    assert (found[:20] == np.inf).all()
    assert np.isfinite(found[20:]).all()


@pytest.mark.parametrize("window", [20, 97, 256])
def test_ten_thousand_bars_do_not_drift(window: int) -> None:
    prices = random_prices(10_000, 5)
    found = incremental(prices, window, 0.05)
    bars = [*range(300, 9_700, 97), *range(9_700, 10_000)]
    expected = np.array([from_the_metrics(prices, bar, window, 0.05) for bar in bars])
    np.testing.assert_allclose(found[bars], expected, rtol=1e-9, atol=0)


@pytest.mark.parametrize("window", [20, 33, 256])
@pytest.mark.parametrize("older", [1, 40, 333])
def test_only_the_last_returns_matter(window: int, older: int) -> None:
    same = random_prices(window + 1, 6)
    one = incremental(np.concatenate([random_prices(500, 7, 0.03), same]), window, 0.05)[-1]
    other = incremental(np.concatenate([random_prices(older, 8, 0.005), same]), window, 0.05)[-1]
    np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-14)
    longer = incremental(np.concatenate([[55.0], same]), window + 1, 0.05)[-1]
    assert not np.allclose(one[0], longer[0], rtol=1e-3), (
        "the return before the window counts in a longer one"
    )


@pytest.mark.parametrize("factor", [10.0, 1e3, 1e6])
def test_a_bad_tick_that_has_left_the_window_has_left_no_trace(factor: float) -> None:
    prices = random_prices(900, 9, 0.001)
    prices[300] *= factor
    found = incremental(prices, 64, 0.05)
    bars = range(366, 900)
    expected = np.array([from_the_metrics(prices, bar, 64, 0.05) for bar in bars])
    np.testing.assert_allclose(found[366:], expected, rtol=1e-5)
