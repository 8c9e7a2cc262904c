"""Environments and backtests beside their peers, in one process, one after the other.

    OMP_NUM_THREADS=1 taskset -c 0 python -m benchmarks.simulation [--repeats 15]

Peers: gym-anytrading 2.x (its StocksEnv with our table as signal features) and gym-trading-env 0.3.x, both in
Stable-Baselines3's DummyVecEnv, and numpy copying ready-made rows. Rates are steps of single environments a
second: the steps of one timed call over its median time, calls taken in turns. Beside the peers, episodes are
all of the market, as theirs; in the rows after those, each call is one whole episode of 512 bars with its
resets. gym-anytrading knows no flat position and charges fees on longs alone.
gym-trading-env pins an old ccxt: pip install --no-deps gym-trading-env==0.3.5 nest_asyncio.
"""

import argparse
import os
import warnings
from collections.abc import Callable

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from benchmarks.risk import LIMITS
from benchmarks.timing import header, medians, row, show
from trading_assets.config.settings import CostSettings, EnvConfig
from trading_assets.market.bars import to_matrix
from trading_assets.market.synthetic import SyntheticMarket
from trading_assets.simulation.backtesting import backtest
from trading_assets.simulation.environments import TradingVecEnv, make_env
from trading_assets.simulation.kernel import CASH, RUIN
from trading_assets.simulation.market import Market

with warnings.catch_warnings():  # gym_trading_env turns every warning of the process into an error
    from gym_anytrading.envs import StocksEnv
    from gym_trading_env.environments import TradingEnv as PeerTradingEnv

WINDOW, N_FEATURES, EPISODE = 16, 16, 512
N_OWN = N_FEATURES - 2
"""Columns of the table that gym-trading-env shows; the other two are its positions."""
FEE, SLIPPAGE = 10.0, 5.0
"""Basis points; the peers, which know fees only, pay the sum."""
PEER_FEE = (FEE + SLIPPAGE) / 1e4
COSTS = CostSettings(fee_bps=FEE, slippage_bps=SLIPPAGE)
ALL_COSTS = COSTS.model_copy(
    update={"impact": 1.0, "slippage_volatility": 0.1, "borrow_rate": 0.05, "min_order": 100.0}
)
Work = tuple[Callable[[], object], int]
"""What to time, and the environment steps in it."""


class AnyTradingEnv(StocksEnv):
    """gym-anytrading's stocks, seen through a table of ours."""

    def __init__(self, bars: pd.DataFrame, table: np.ndarray) -> None:
        self.table = table
        super().__init__(bars, window_size=WINDOW, frame_bound=(WINDOW, len(bars)))
        self.trade_fee_bid_percent = self.trade_fee_ask_percent = PEER_FEE

    def _process_data(self) -> tuple[np.ndarray, np.ndarray]:
        return self.df["Close"].to_numpy(np.float32), self.table


def any_trading(bars: pd.DataFrame, table: np.ndarray, n_envs: int) -> VecEnv:
    closes = pd.DataFrame({"Close": bars["close"].to_numpy()})
    return DummyVecEnv([lambda: AnyTradingEnv(closes, table)] * n_envs)


def gym_trading(bars: pd.DataFrame, table: np.ndarray, n_envs: int) -> VecEnv:
    """With prices and volume beside the features, as its documentation has them; two of them are its own."""
    frame = pd.DataFrame(table[:, :N_OWN], columns=[f"feature_{i}" for i in range(N_OWN)])
    for name in ("open", "high", "low", "close", "volume"):
        frame[name] = bars[name].to_numpy()
    settings = {"positions": [-1, 0, 1], "windows": WINDOW, "trading_fees": PEER_FEE, "verbose": 0}
    return DummyVecEnv([lambda: PeerTradingEnv(frame, initial_position=0, **settings)] * n_envs)


PEERS = any_trading, gym_trading


def walk(env: VecEnv, n_steps: int, n_actions: int) -> Work:
    """Random actions, drawn beforehand, from wherever the environment stands."""
    actions = np.random.default_rng(0).integers(0, n_actions, size=(n_steps, env.num_envs))

    def work() -> None:
        for chosen in actions:
            env.step(chosen)

    return work, actions.size


def overlapping(table: np.ndarray) -> np.ndarray:
    """A view of shape (n_windows, width): each row is a window of the table, as an observation shows it."""
    shape = len(table) - WINDOW + 1, WINDOW * table.shape[1]
    return np.lib.stride_tricks.as_strided(table, shape, table.strides, writeable=False)


def gather(rows: np.ndarray, *, whole: bool, n_envs: int = 512) -> Work:
    """Copy a row for each environment and step; `whole` rows by take, overlapping ones by fancy indexing."""
    starts = np.random.default_rng(0).integers(0, len(rows) - EPISODE, n_envs)

    def work() -> None:
        clock = starts.copy()
        for _ in range(EPISODE):
            clock += 1
            np.take(rows, clock, axis=0) if whole else rows[clock]

    return work, EPISODE * n_envs


def rates(repeats: int, *works: Work) -> list[float]:
    taken = medians(repeats, *(work for work, _ in works))
    return [count / seconds for (_, count), seconds in zip(works, taken, strict=True)]


def compare(label: str, ours: float, peer: float, name: str, goal: str) -> None:
    row(label, f"{ours:,.0f} steps/s", f"{peer:,.0f}, {name}", ours / peer, goal)


def check(ours: TradingVecEnv, peers: list[VecEnv], table: np.ndarray) -> None:
    """All show 16 bars of the same table, and charge what they should."""
    n, seen, first = ours.num_envs, ours.reset(), ours.simulator.clock - WINDOW + 1
    assert seen.shape == (n, WINDOW * N_FEATURES + 4) and seen.dtype == np.float32
    assert np.array_equal(seen[0, :-4].reshape(WINDOW, -1), table[first[0] : first[0] + WINDOW])
    ours.step(np.full(n, 2))
    np.testing.assert_allclose(ours.simulator.state[:, CASH], -0.0005 - 0.001 * 1.0005)
    for peer in peers:
        windows = peer.reset()
        assert windows.shape == (n, WINDOW, N_FEATURES) and windows.dtype == np.float32
        first, own = (1, N_FEATURES) if peer is peers[0] else (0, N_OWN)
        assert np.array_equal(windows[0, :, :own], table[first : first + WINDOW, :own])
    closes = peers[0].get_attr("prices")[0].astype(float)
    bought, sold = (peers[0].step(np.full(n, action))[-1][0]["total_profit"] for action in (1, 0))
    assert bought == 1.0 and np.isclose(sold, (1 - PEER_FEE) ** 2 * closes[WINDOW + 2] / closes[WINDOW + 1])
    value = peers[1].step(np.full(n, 2))[-1][0]["portfolio_valuation"]
    assert np.isclose(value, 1_000 * (1 - PEER_FEE) * closes[WINDOW] / closes[WINDOW - 1], rtol=1e-4)


def check_all_on(market: Market) -> None:
    """Every cost is paid, and every risk rule has something to measure."""
    market = market.between(300, 300 + EPISODE)
    result = backtest(np.random.default_rng(1).choice([-1.0, 0.0, 1.0], market.n_decisions), market)
    paid, used = result.costs_by_kind, result.risk_use
    assert all(paid[kind] != 0 for kind in ("fee", "slippage", "impact", "funding", "borrow")), paid
    assert all(0 < use < np.inf for use in used.values()), used


def backtests(repeats: int) -> None:
    frame = SyntheticMarket("price", 1.0, n_bars=59_000, seed=1).bars
    costs = CostSettings(fee_bps=1.0, slippage_bps=0.5)
    plain = Market.make(to_matrix(frame), config=EnvConfig(costs=costs))
    advising, ruled = (EnvConfig(costs=costs, risk=LIMITS, enforce_limits=acts) for acts in (False, True))
    advised, enforced = (Market.make(plain.bars, config=config) for config in (advising, ruled))
    rng, n = np.random.default_rng(0), plain.n_decisions
    changed = np.maximum.accumulate(np.where(rng.random(n) < 0.15, np.arange(n), 0))
    targets = rng.choice([-1.0, 0.0, 1.0], n)[changed]
    result, other = backtest(targets, plain), backtest(targets, enforced)
    assert result.equity.min() > 2 * RUIN and 0.05 < (np.diff(targets) != 0).mean() < 0.15
    assert (other.use.max(axis=0) > 0).all() and (other.targets != targets).any()
    taken = medians(
        3 * repeats,
        lambda: backtest(targets, plain).equity,
        lambda: result.metrics(8_766),
        lambda: backtest(targets, advised).equity,
        lambda: backtest(targets, enforced).equity,
        lambda: Market.make(plain.bars, config=ruled),
    )
    works = {
        "backtest, 59,000 bars, and its equity": "< 2 ms",
        "its metrics": "-",
        "the same backtest, 11 risk rules advising": "-",
        "the same backtest, 11 risk rules enforced": "-",
        "Market.make for it: risk of one unit at every bar": "-",
    }
    for (label, goal), seconds in zip(works.items(), taken, strict=True):
        row(label, show(seconds), "-", None, goal)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=15)
    repeats = parser.parse_args().repeats
    frame = SyntheticMarket("price", 1.0, n_bars=20_000, seed=1).bars
    bars = to_matrix(frame)
    table = np.random.default_rng(0).normal(size=(len(bars), N_FEATURES)).astype(np.float32)
    shape = {"window": WINDOW, "episode_bars": EPISODE}
    plain = Market.make(bars, table, EnvConfig(**shape, costs=COSTS))
    header()

    whole = Market.make(bars, table, EnvConfig(window=WINDOW, episode_bars=len(bars), costs=COSTS))
    for n, steps, goals in ((8, (160, 64), (">= 12", ">= 50")), (64, (32, 12), (">= 60", ">= 250"))):
        env, peers = make_env(whole, n, seed=0), [make(frame, table, n) for make in PEERS]
        check(env, peers, table)
        works = walk(env, EPISODE, 3), walk(peers[0], steps[0], 2), walk(peers[1], steps[1], 3)
        ours, *others = rates(repeats, *works)
        for peer, name, goal in zip(others, ("gym-anytrading", "gym-trading-env"), goals, strict=True):
            compare(f"{n} environments, window 16 x 16", ours, peer, name, goal)

    funded = bars.copy()
    funded[::8, 6] = 1e-4
    walks = []
    for enforced in (False, True):
        config = {"costs": ALL_COSTS, "risk": LIMITS, "enforce_limits": enforced}
        reward = {"reward": "differential_sharpe"}
        market = Market.make(funded, table, EnvConfig(**shape, **config, **reward))
        check_all_on(market)
        env = make_env(market, 64, seed=0)
        env.reset()
        walks.append(walk(env, EPISODE, 3))
    env = any_trading(frame, table, 64)
    env.reset()
    advised, enforced, peer = rates(repeats, *walks, walk(env, 32, 2))
    for ours, rules in ((advised, "advising"), (enforced, "enforced")):
        label = f"64 environments, all costs, 11 rules {rules}"
        compare(label, ours, peer, "gym-anytrading plain", ">= 12")

    rows, env = np.ascontiguousarray(overlapping(table)), make_env(plain, 512, seed=0)
    assert np.array_equal(env.reset()[:, :-4], rows[env.simulator.clock - WINDOW + 1])
    works = walk(env, EPISODE, 3), gather(rows, whole=True), gather(overlapping(table), whole=False)
    ours, taking, indexing = rates(repeats, *works)
    compare("512 environments, 16 bars x 16 features", ours, taking, "np.take of whole rows", ">= 0.5")
    compare("the same", ours, indexing, "overlapping rows by index", "-")

    wide = np.random.default_rng(1).normal(size=(len(bars), 64)).astype(np.float32)
    env = make_env(plain.showing(wide), 512, seed=0)
    assert np.array_equal(env.reset()[:, :-4], overlapping(wide)[env.simulator.clock - WINDOW + 1])
    ours, indexing = rates(repeats, walk(env, EPISODE, 3), gather(overlapping(wide), whole=False))
    compare("512 environments, 16 bars x 64 features", ours, indexing, "overlapping rows by index", "-")

    backtests(repeats)


if __name__ == "__main__":
    main()
