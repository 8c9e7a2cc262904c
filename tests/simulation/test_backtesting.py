"""Backtests: one accounting for all ways to run one, round trips, fingerprints, real funding."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.simulation.worlds import CLOSE, FUNDING, OPEN, free, make_bars, random_bars
from trading_assets.config.settings import EnvConfig
from trading_assets.market.bars import to_matrix
from trading_assets.market.ingest import read_bars
from trading_assets.market.side_files import funding_of_bars
from trading_assets.simulation import TradingEnv, backtest
from trading_assets.simulation.kernel import COSTS
from trading_assets.simulation.market import Market

REAL = Path(__file__).parents[3] / "shared" / "market"
START, STOP = 100, 400


def a_market(bars, **changes) -> Market:
    return Market.make(bars, config=EnvConfig(**changes), start=START, stop=STOP)


def random_targets(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).choice([-1.0, 0.0, 1.0], n)


def follow_the_last_bar(bars):
    """Long after a rise, short after a fall, shyer in a drawdown; reads bars up to `t` alone."""

    def decide(t, account):
        side = float(np.sign(bars[t, CLOSE] - bars[t - 1, CLOSE]))
        return side / 2 if account[2] > 0.5 else side

    return decide


def test_every_row_covers_the_bar_after_its_decision(bars):
    result = backtest(follow_the_last_bar(bars), a_market(bars))
    n = STOP - START - 1
    assert len(result.equity) == n + 1
    assert {len(x) for x in (result.exposure, result.costs, result.asked, result.market_returns)} == {n}
    assert result.accounts.shape == (n, 4)
    close = bars[START:STOP, CLOSE]
    np.testing.assert_allclose(result.market_returns, np.diff(close) / close[:-1], atol=1e-15)
    np.testing.assert_allclose(result.returns, np.diff(result.equity) / result.equity[:-1], atol=1e-15)


def test_a_policy_is_asked_once_a_bar_in_order_of_time(bars):
    asked = []
    backtest(lambda t, _: asked.append(t) or 0.0, a_market(bars))
    assert asked == list(range(START, STOP - 1))


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**16), fee=st.floats(0, 50))
def test_targets_known_beforehand_equal_deciding_them_bit_for_bit(bars, seed, fee):
    targets, market = (
        random_targets(STOP - START - 1, seed),
        a_market(bars, costs={"fee_bps": fee, "impact": 0.5}),
    )
    decided = backtest(lambda t, _: targets[t - START], market)
    replayed = backtest(targets, market)
    np.testing.assert_array_equal(decided.path, replayed.path)
    assert decided.fingerprint == replayed.fingerprint


@settings(max_examples=15, deadline=None)
@given(after=st.integers(START, STOP - 2), seed=st.integers(0, 2**16))
def test_altering_the_future_changes_no_decision_and_no_account_before_it(bars, after, seed):
    """Bars up to `after` are known; all later ones are replaced."""
    other = bars.copy()
    other[after + 1 :, 1:5] *= np.random.default_rng(seed).uniform(0.5, 2.0, (len(bars) - after - 1, 1))
    known = after - START + 1
    a, b = (backtest(follow_the_last_bar(x), a_market(x)) for x in (bars, other))
    np.testing.assert_array_equal(a.accounts[:known], b.accounts[:known])
    np.testing.assert_array_equal(a.asked[:known], b.asked[:known])
    np.testing.assert_array_equal(a.path[: known - 1], b.path[: known - 1])
    assert a.equity[-1] != b.equity[-1]


def test_an_order_gains_nothing_from_the_bar_that_gave_the_signal(bars):
    """The bar of the decision may jump as it likes: the fill is the next open."""
    targets = np.r_[np.zeros(10), np.ones(STOP - START - 11)]
    jumped = bars.copy()
    jumped[START + 10, 1:5] *= 3
    calm, wild = (backtest(targets, a_market(x)) for x in (bars, jumped))
    np.testing.assert_array_equal(calm.equity, wild.equity)


def test_no_bar_outside_the_stretch_is_used(bars):
    other = bars.copy()
    for part in (other[:START], other[STOP:]):
        part[:, 1:5] = 7.0
    targets = random_targets(STOP - START - 1)
    np.testing.assert_array_equal(
        backtest(targets, a_market(bars)).path, backtest(targets, a_market(other)).path
    )


class Chooser:
    """A policy with Stable-Baselines3's `predict`, which acts on what it sees and remembers it."""

    def __init__(self, space) -> None:
        self.space, self.seen = space, []

    def predict(self, observation, deterministic=False):
        assert deterministic and self.space.contains(observation)
        self.seen.append(observation.copy())
        return np.array(int(abs(observation[:-4].sum()) * 10) % 3), None


def test_an_agents_backtest_equals_playing_its_training_environment_bar_by_bar(bars):
    table = np.random.default_rng(0).normal(size=(len(bars), 3)).astype(np.float32)
    risk = {"drawdown": {"soft": 0.01, "hard": 0.2, "cool_down": 5}}
    config = EnvConfig(
        window=4,
        starts="sequential",
        episode_bars=10_000,
        risk=risk,
        costs={"impact": 1.0, "borrow_rate": 0.1},
    )
    market = Market.make(bars, table, config, start=START, stop=STOP)
    env = TradingEnv(market)
    agent = Chooser(env.observation_space)
    result = backtest(agent, market)
    played = Chooser(env.observation_space)
    observation, _ = env.reset(seed=0)
    equity, penalty, over = [1.0], [], False
    while not over:
        action, _ = played.predict(observation, deterministic=True)
        observation, _, terminated, truncated, info = env.step(action)
        equity.append(info["equity"])
        penalty.append(info["penalty"])
        over = terminated or truncated
    np.testing.assert_array_equal(result.equity, equity)
    np.testing.assert_array_equal(result.penalty, penalty)
    np.testing.assert_array_equal(agent.seen, played.seen)
    assert max(penalty) > 0


def test_an_agent_of_stable_baselines_can_be_backtested(bars):
    import torch
    from stable_baselines3 import PPO

    torch.set_num_threads(1)
    table = np.random.default_rng(0).normal(size=(len(bars), 3)).astype(np.float32)
    for levels in ((-1.0, 0.0, 0.5, 1.0), None):
        market = Market.make(bars, table, EnvConfig(window=2, levels=levels), start=START, stop=STOP)
        model = PPO("MlpPolicy", TradingEnv(market), n_steps=16, batch_size=16, seed=0, device="cpu")
        result = backtest(model, market)
        assert (np.abs(result.asked) <= 1).all() and len(set(result.asked)) > 1
        assert levels is None or set(result.asked) <= set(levels)
        assert result.fingerprint == backtest(model, market).fingerprint


def test_targets_may_be_a_list_or_a_series_and_are_kept_as_they_were(bars):
    market, targets = a_market(bars), random_targets(STOP - START - 1)
    result = backtest(targets, market)
    for other in (targets.tolist(), pd.Series(targets)):
        assert backtest(other, market).fingerprint == result.fingerprint
    before = result.asked.copy()
    targets[:] = 0
    np.testing.assert_array_equal(result.asked, before)


class Remembers:
    """A recurrent policy: its state is the number of bars it was asked about."""

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        state = 0 if episode_start[0] else state + 1
        return np.array(state % 3), state


def test_a_policy_with_a_memory_gets_its_state_back(bars):
    result = backtest(Remembers(), a_market(bars))
    np.testing.assert_array_equal(result.asked, np.arange(STOP - START - 1) % 3 - 1.0)


@pytest.mark.parametrize("bad", [np.nan, 1.5, -np.inf])
def test_what_is_no_target_is_refused_with_its_bar(bars, bad):
    market, targets = a_market(bars), np.zeros(STOP - START - 1)
    targets[7] = bad
    with pytest.raises(ValueError, match=f"decided at bar {START + 7} is .*from -1 to 1"):
        backtest(targets, market)
    with pytest.raises(ValueError, match=f"decided at bar {START + 7} is .*from -1 to 1"):
        backtest(lambda t, _: targets[t - START], market)


def test_targets_that_are_not_one_a_decision_are_refused(bars):
    with pytest.raises(
        ValueError, match=r"shape \(5,\); expected \(299,\): a target for every bar from 100 to 398"
    ):
        backtest(np.zeros(5), a_market(bars))


def test_round_trips_are_listed_with_what_they_earned():
    bars = make_bars([100, 100, 110, 120, 110, 100], [100, 110, 120, 110, 100, 90])
    market = Market.make(bars, config=free(costs={"fee_bps": 100.0}))
    result = backtest(np.array([1.0, 1.0, -1.0, -1.0, 0.0]), market)
    trades = result.trades
    assert trades[["entry_bar", "exit_bar", "side", "bars"]].to_numpy().tolist() == [
        [1, 3, 1, 2],
        [3, 5, -1, 2],
    ]
    # Long from 100 to 120 with 1/100 units and 1 % on either side, then short of all that is left.
    first = 0.2 - 0.01 - 0.012
    assert trades["pnl"][0] == pytest.approx(first, rel=1e-9)
    worth = 1 - 0.01 + 0.2
    second = -worth * 0.01 + worth * (120 - 100) / 120 - worth / 120 * 100 * 0.01
    assert trades["pnl"][1] == pytest.approx(second, rel=1e-9)
    assert trades["pnl"].sum() == pytest.approx(result.equity[-1] - 1, rel=1e-9)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**16), leverage=st.sampled_from([1.0, 10.0]))
def test_round_trips_earn_together_what_the_account_did(seed, leverage):
    """With the last position closed, and whatever margin calls came in between."""
    bars = random_bars(150, seed, scale=0.03)
    targets = np.repeat(random_targets(149, seed), 4)[:149]
    targets[-2:] = 0.0
    config = EnvConfig(max_leverage=leverage, maintenance_margin=0.09, costs={"borrow_rate": 0.2})
    result = backtest(targets, Market.make(bars, config=config))
    assert result.trades["pnl"].sum() == pytest.approx(result.equity[-1] - 1, rel=1e-7, abs=1e-9)
    assert (result.trades["exit_bar"] >= result.trades["entry_bar"]).all()
    assert len(result.trades) == np.count_nonzero(result.path[:, 4])


def test_a_policy_that_never_trades_has_no_round_trips_and_no_edge(bars):
    result = backtest(np.zeros(STOP - START - 1), a_market(bars))
    assert len(result.trades) == 0 and list(result.trades.columns)[:2] == ["entry_bar", "exit_bar"]
    assert set(result.costs_by_kind) == set(COSTS) and not any(result.costs_by_kind.values())
    assert result.metrics(8_766)["orders"] == 0


def test_a_fingerprint_changes_with_bars_configuration_and_targets_and_with_nothing_else(bars):
    targets = random_targets(STOP - START - 1)
    base = backtest(targets, a_market(bars)).fingerprint
    assert base == backtest(targets.copy(), a_market(bars.copy())).fingerprint
    later = bars.copy()
    later[STOP:, 1:5] *= 2
    assert base == backtest(targets, a_market(later)).fingerprint
    moved = bars.copy()
    moved[START + 5, 1:5] *= 1.001
    others = [
        backtest(targets, a_market(moved)),
        backtest(-targets, a_market(bars)),
        backtest(targets, a_market(bars, costs={"fee_bps": 11.0})),
        backtest(targets[:-1], a_market(bars).between(START, STOP - 1)),
    ]
    assert len({base, *(result.fingerprint for result in others)}) == 5


def test_costs_and_uses_of_limits_are_summed_up_by_name(bars):
    risk = {"leverage": {"soft": 0.5, "hard": 2.0, "cool_down": 0}}
    result = backtest(random_targets(STOP - START - 1), a_market(bars, risk=risk))
    assert result.costs_by_kind["fee"] == pytest.approx(result.costs[:, 0].sum())
    assert result.risk_use["leverage"] == pytest.approx(np.abs(result.exposure).max() / 2, rel=1e-9)
    assert result.risk_use["drawdown"] == 0


needs_real = pytest.mark.skipif(not (REAL / "perp_1h").is_dir(), reason="needs the folder of real bars")


def real_perpetual(folder, hours: int, moving: bool) -> np.ndarray:
    """Bars of so many hours of the real perpetual with its funding file, as they come in from 2020 on."""
    prices = pd.read_parquet(REAL / "perp_1h" / "BTCUSDT.parquet").set_index("date").loc["2020":]
    if not moving:
        prices[["open", "high", "low", "close"]] = 10_000.0
    columns = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
    path = folder / f"{hours}-{moving}" / "BTCUSDT.parquet"
    path.parent.mkdir()
    larger = prices.resample(f"{hours}h").agg(columns).dropna()
    larger.rename_axis("timestamp").reset_index().to_parquet(path)
    rates = pd.read_parquet(REAL / "perp_funding_8h" / "BTCUSDT.parquet")
    rates.to_parquet(path.with_name("BTCUSDT.funding.parquet"))
    bars = read_bars(path, interval=f"{hours}h").bars
    return to_matrix(bars[bars["timestamp"] < pd.Timestamp("2024-09-29", tz="UTC")])


@needs_real
def test_funding_is_the_same_in_bars_of_1_8_12_and_24_hours(tmp_path):
    """Of a position that changes where they all have an open; to the last digits where the price stays."""
    sides = np.random.default_rng(1).choice([-1.0, 0.0, 1.0], 2_000)
    paid, gross = {}, 0.0
    for moving in (False, True):
        for hours in (1, 8, 12, 24):
            bars = real_perpetual(tmp_path, hours, moving)
            day = ((bars[:, 0] - bars[0, 0]) // 86_400).astype(int)
            # What is held from an open on was decided at the close before; on the first day nothing is.
            targets = np.where(day > 0, sides[day], 0.0)[1:] / 100
            result = backtest(targets, Market.make(bars, config=free(costs={"funding": True})))
            paid[moving, hours] = result.costs_by_kind["funding"]
            gross = max(gross, np.abs(result.costs).sum())
    for hours in (8, 12, 24):
        assert paid[False, hours] == pytest.approx(paid[False, 1], rel=1e-9)
        assert paid[True, hours] == pytest.approx(paid[True, 1], abs=0.005 * gross)
    assert abs(paid[False, 1]) > 0.02 * gross


@needs_real
def test_the_funding_of_a_constant_long_on_a_real_perpetual_is_the_sum_of_its_rates():
    prices = pd.read_parquet(REAL / "perp_1h" / "BTCUSDT.parquet").rename(columns={"date": "timestamp"})
    rates = pd.read_parquet(REAL / "perp_funding_8h" / "BTCUSDT.parquet")
    opened, due = (
        frame.astype("datetime64[ns, UTC]").astype("int64").to_numpy()
        for frame in (prices["timestamp"], rates["date"])
    )
    hour = 3_600_000_000_000
    rate = rates["funding_rate"].to_numpy()
    bars = to_matrix(prices.assign(funding_rate=funding_of_bars(opened, hour, due, rate)))
    market, shares = Market.make(bars, config=free(costs={"funding": True})), 0.0
    # Month by month: what has been paid is borrowed, so a long that is never rebalanced does not stay at 1.
    for start in range(0, len(bars) - 2, 700):
        part = market.between(start, min(start + 702, len(bars)))
        result = backtest(np.ones(part.n_decisions), part)
        notional = bars[part.start + 2 : part.stop, OPEN] / bars[part.start + 1, OPEN]
        shares += (result.costs[1:, COSTS.index("funding")] / notional).sum()
    owed = rate[(due >= opened[2]) & (due < opened[-1] + hour)].sum()
    assert np.count_nonzero(bars[:, FUNDING]) > 5_000
    assert shares == pytest.approx(owed, rel=1e-9)
