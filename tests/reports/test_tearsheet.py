"""The pictures of one strategy: what they draw agrees with sums and with others' figures."""

from collections.abc import Callable
from pathlib import Path

import empyrical
import numpy as np
import pandas as pd
import pytest

from trading_assets.config.limits import Limit, RiskLimits
from trading_assets.config.settings import CostSettings, EnvConfig
from trading_assets.market.synthetic import SyntheticMarket
from trading_assets.reports.drawdowns import deepest_drawdowns
from trading_assets.reports.tearsheet import (
    cost_waterfall,
    monthly_returns,
    rolling_sharpe,
    sharpe_over_time,
    tear_sheet,
)
from trading_assets.simulation.backtesting import BacktestResult, backtest
from trading_assets.simulation.baselines import always_flat, buy_and_hold
from trading_assets.simulation.kernel import COSTS
from trading_assets.simulation.market import Market
from trading_assets.validation.metrics import sharpe_ratio

PER_YEAR = 8_760
PNG = b"\x89PNG\r\n\x1a\n"
NAMES = (
    "equity_and_drawdown.png",
    "exposure.png",
    "monthly_returns.png",
    "rolling_sharpe.png",
    "round_trips.png",
    "costs.png",
)
Times = Callable[[BacktestResult], "pd.Series"]


def some_targets(n: int, seed: int = 0, held: int = 20) -> np.ndarray:
    """Short, flat or long for `held` bars each."""
    rng = np.random.default_rng(seed)
    return np.repeat(rng.choice([-1.0, 0.0, 1.0], n // held + 1), held)[:n]


def with_funding(bars: np.ndarray, rate: float) -> np.ndarray:
    funded = bars.copy()
    funded[::8, 6] = rate
    return funded


@pytest.fixture(scope="module")
def times(market: SyntheticMarket) -> Times:
    stamps = market.bars["timestamp"]
    return lambda result: stamps.iloc[result.market.start + 1 : result.market.stop]


@pytest.fixture(scope="module")
def result(bars: np.ndarray) -> BacktestResult:
    """Of some targets, with every kind of cost but liquidation."""
    costs = CostSettings(slippage_volatility=0.05, impact=0.2, borrow_rate=0.1)
    world = Market.make(with_funding(bars, 0.0002), config=EnvConfig(costs=costs))
    return backtest(some_targets(world.n_decisions), world)


def odd_results(bars: np.ndarray) -> dict[str, BacktestResult]:
    world = Market.make(bars)
    wild = Market.make(bars, config=EnvConfig(max_leverage=20.0, maintenance_margin=0.04))
    limits = RiskLimits(drawdown=Limit(soft=0.02, hard=0.05, cool_down=100))
    watched = Market.make(bars, config=EnvConfig(enforce_limits=True, risk=limits))
    month = world.between(0, 700)
    return {
        "always flat": always_flat(world),
        "ruined": backtest(some_targets(wild.n_decisions, held=3), wild),
        "three bars": backtest(np.array([1.0, -1.0, 0.0]), world.between(100, 104)),
        "one bar": backtest(np.ones(1), world.between(100, 102)),
        "with funding": backtest(
            some_targets(world.n_decisions), Market.make(with_funding(bars, -0.001), config=EnvConfig())
        ),
        "one month": backtest(some_targets(month.n_decisions), month),
        "stopped by risk rules": backtest(some_targets(watched.n_decisions), watched),
        "never sold": buy_and_hold(world),
    }


def test_months_agree_with_pandas_and_compound_to_the_whole(result: BacktestResult, times: Times) -> None:
    table = monthly_returns(times(result), result.returns)
    series = pd.Series(result.returns, index=pd.DatetimeIndex(times(result)))
    expected = series.resample("ME").apply(lambda part: (1 + part).prod() - 1)
    found = table.stack().dropna()
    assert list(found.index) == [(day.year, day.month) for day in expected.index]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert (1 + found).prod() == pytest.approx(result.equity[-1], rel=1e-12)


def test_months_agree_with_empyrical(result: BacktestResult, times: Times) -> None:
    series = pd.Series(result.returns, index=pd.DatetimeIndex(times(result)))
    expected = empyrical.aggregate_returns(series, "monthly")
    found = monthly_returns(times(result), result.returns).stack().dropna()
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_a_month_without_bars_has_no_return_and_a_year_without_any_a_row() -> None:
    stamps = pd.Series(
        pd.to_datetime(["2019-11-30 23:00", "2019-12-01 00:00", "2019-12-31 23:59", "2021-02-03 00:00"])
    )
    table = monthly_returns(stamps, np.array([0.1, 0.2, -0.5, 0.05]))
    assert list(table.index) == [2019, 2020, 2021] and list(table.columns) == list(range(1, 13))
    assert table.loc[2019, 11] == pytest.approx(0.1)
    assert table.loc[2019, 12] == pytest.approx(-0.4)
    assert table.loc[2021, 2] == pytest.approx(0.05)
    assert table.notna().sum().sum() == 3


def test_months_are_those_of_utc() -> None:
    stamps = pd.Series(pd.to_datetime(["2020-01-31 23:00"]).tz_localize("America/New_York"))
    assert monthly_returns(stamps, np.array([0.1])).loc[2020, 2] == pytest.approx(0.1)


def test_once_all_is_lost_no_month_gains_and_no_drawdown_is_deeper() -> None:
    stamps = pd.Series(pd.to_datetime(["2020-01-30", "2020-01-31", "2020-02-01", "2020-02-02", "2020-03-01"]))
    lost = np.array([0.1, -3.0, -3.0, 0.5, 2.0])
    table = monthly_returns(stamps, lost)
    assert table.loc[2020, [1, 2, 3]].tolist() == [-1.0, 0.0, 0.0]
    assert (1 + table).prod(axis=1).loc[2020] == 0
    assert deepest_drawdowns(np.array([1.0, 1.1, -2.2, -6.6, 4.0, 8.0]), 2).tolist() == [-1.0, -1.0, -1.0]


def test_the_rolling_sharpe_ratio_is_never_above_0_once_all_is_lost() -> None:
    returns = np.array([0.5, 0.4, 0.6, -1.5, 5.0, 6.0, 5.0, 6.0, 7.0])
    found = rolling_sharpe(returns, 3, PER_YEAR)
    assert found[2] > 0
    assert (found[3:6] <= 0).all() and np.isnan(found[6:]).all()


def test_the_number_of_times_must_be_that_of_the_returns(result: BacktestResult, times: Times) -> None:
    with pytest.raises(ValueError, match="2998 times for 2999 returns; expected the bar after each decision"):
        monthly_returns(times(result).iloc[1:], result.returns)


def test_the_rolling_sharpe_ratio_is_that_of_each_window(result: BacktestResult) -> None:
    found = rolling_sharpe(result.returns, 200, PER_YEAR)
    assert np.isnan(found[:199]).all() and len(found) == len(result.returns)
    for end in (199, 200, 1_234, len(found) - 1):
        window = result.returns[end - 199 : end + 1]
        assert found[end] == pytest.approx(sharpe_ratio(window, periods_per_year=PER_YEAR), rel=1e-6)
        assert found[end] == pytest.approx(empyrical.sharpe_ratio(window, annualization=PER_YEAR), rel=1e-6)


def test_there_is_no_rolling_sharpe_ratio_where_returns_do_not_vary() -> None:
    returns = np.concatenate([[-0.9, 0.3, 0.01], np.zeros(10), [0.02]])
    found = rolling_sharpe(returns, 4, PER_YEAR)
    assert np.isfinite(found).tolist() == [False] * 3 + [True] * 3 + [False] * 7 + [True]
    assert np.isnan(rolling_sharpe(np.zeros(50), 10, PER_YEAR)).all()


def test_a_window_longer_than_the_returns_has_no_sharpe_ratio_and_one_of_a_bar_is_refused() -> None:
    assert np.isnan(rolling_sharpe(np.array([0.1, 0.2, 0.1]), 4, PER_YEAR)).all()
    with pytest.raises(ValueError, match="window is 1; a Sharpe ratio needs 2 returns or more"):
        rolling_sharpe(np.zeros(5), 1, PER_YEAR)


def test_the_waterfall_falls_from_gross_to_net_by_every_cost(result: BacktestResult) -> None:
    first, *steps, last = cost_waterfall(result)
    assert [name for name, _, _ in steps] == list(COSTS)
    net = result.equity[-1] - 1
    assert first == ("gross profit", 0.0, pytest.approx(net + result.costs.sum()))
    assert last == ("net profit", 0.0, pytest.approx(net))
    level = first[2]
    for name, start, end in steps:
        assert start == level
        assert start - end == pytest.approx(result.costs_by_kind[name], abs=1e-12)
        level = end
    assert level == pytest.approx(net, abs=1e-12)
    assert result.costs_by_kind["impact"] > 0 and result.costs_by_kind["borrow"] > 0


def test_gross_profit_is_what_the_same_positions_earn_without_costs(bars: np.ndarray) -> None:
    """Of one round trip, as later sizes depend on what is left."""
    targets = np.zeros(50)
    targets[10:20] = 1.0
    world = Market.make(bars).between(100, 151)
    paid = backtest(targets, world)
    opens = bars[:, 1]
    gross = opens[121] / opens[111] - 1  # filled a bar after the decision
    assert cost_waterfall(paid)[0][2] == pytest.approx(gross, abs=1e-12)


def test_funding_received_rises_and_funding_paid_falls(bars: np.ndarray) -> None:
    for rate, sign in ((0.001, -1), (-0.001, 1)):
        steps = {name: end - start for name, start, end in cost_waterfall(buy_and_hold(_funded(bars, rate)))}
        assert np.sign(steps["funding"]) == sign


def _funded(bars: np.ndarray, rate: float) -> Market:
    return Market.make(with_funding(bars, rate), config=EnvConfig())


def test_the_waterfall_of_a_ruined_account_adds_up_too(bars: np.ndarray) -> None:
    ruined = odd_results(bars)["ruined"]
    assert ruined.equity[-1] == 0.01 and ruined.costs_by_kind["liquidation"] > 0
    *_, before, last = cost_waterfall(ruined)
    assert before[2] == pytest.approx(last[2], abs=1e-12) and last[2] == pytest.approx(-0.99)


def test_a_tear_sheet_is_six_pictures(result: BacktestResult, times: Times, tmp_path: Path) -> None:
    assert tear_sheet(tmp_path, times(result), result, PER_YEAR) == NAMES
    for name in NAMES:
        data = (tmp_path / name).read_bytes()
        assert data.startswith(PNG) and len(data) > 8_000, name


@pytest.mark.parametrize(
    "case",
    [
        "always flat",
        "ruined",
        "three bars",
        "one bar",
        "with funding",
        "one month",
        "stopped by risk rules",
        "never sold",
    ],
)
@pytest.mark.filterwarnings("error")
def test_odd_results_have_tear_sheets_without_a_warning(
    case: str, bars: np.ndarray, times: Times, tmp_path: Path
) -> None:
    odd = odd_results(bars)[case]
    for name in tear_sheet(tmp_path, times(odd), odd, PER_YEAR):
        data = (tmp_path / name).read_bytes()
        assert data.startswith(PNG) and len(data) > 3_000, name


def test_pictures_of_different_results_differ_and_of_equal_ones_are_equal(
    bars: np.ndarray, result: BacktestResult, times: Times, tmp_path: Path
) -> None:
    again = backtest(result.asked, result.market)
    other = backtest(some_targets(result.market.n_decisions, seed=1), result.market)
    drawn = []
    for number, one in enumerate((result, again, other)):
        folder = tmp_path / str(number)
        folder.mkdir()
        names = tear_sheet(folder, times(one), one, PER_YEAR)
        drawn.append([(folder / name).read_bytes() for name in names])
    assert drawn[0] == drawn[1]
    assert all(a != b for a, b in zip(drawn[0], drawn[2], strict=True))


def test_one_bar_s_drawdown_is_not_thinned_away(result: BacktestResult) -> None:
    equity = np.array([1.0, 0.9, 1.2, 0.3, 1.2, 1.5, 1.2])
    np.testing.assert_allclose(deepest_drawdowns(equity, 2), [-0.1, -0.75, -0.2])
    np.testing.assert_allclose(deepest_drawdowns(equity, 4), [-0.75, -0.2])
    for every in (1, 7, 5_000):
        found = deepest_drawdowns(result.equity, every)
        assert len(found) == -(-len(result.returns) // every)
        assert found.min() == pytest.approx(empyrical.max_drawdown(result.returns))


def test_the_window_of_the_sharpe_ratio_can_be_chosen(
    result: BacktestResult, times: Times, tmp_path: Path
) -> None:
    drawn = []
    for window in (None, 100, 5_000):
        name = sharpe_over_time(tmp_path, times(result), result, PER_YEAR, window)
        drawn.append((tmp_path / name).read_bytes())
    assert len(set(drawn)) == 3
