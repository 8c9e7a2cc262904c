"""Risk rules bar by bar, beside numpy, in one process, one after the other.

    OMP_NUM_THREADS=1 taskset -c 0 python -m benchmarks.risk [--bars 60000] [--repeats 400]

All eleven limits, 256 returns, windows full, accounts on random walks, states and requests made beforehand.
Single calls are timed one by one, clock included, in turns of 1,000 bars. Peer: the same eleven figures with
numpy (percentile, std, sums over the last bars of arrays that are ready), without penalty, cool-downs or
checks. Batches: one call is one bar of 1,000 accounts, which trade in a market each, or all in one.
"""

import argparse
import math
import os
import time
from collections.abc import Callable, Iterable
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from benchmarks.timing import header, row
from trading_assets.config.limits import Limit, RiskLimits
from trading_assets.risk.advisor import ProductionRiskAdvisor
from trading_assets.risk.agent import ACTIONS, RiskAgent, RiskRequest
from trading_assets.risk.rules import RULES
from trading_assets.risk.state import AccountState

WINDOW, TAIL, ACTIVITY, WARM_UP = 256, 0.05, 24, 300
LIMITS = RiskLimits(
    position=Limit(soft=50, hard=120, cool_down=2),
    leverage=Limit(soft=0.8, hard=1.2, cool_down=2),
    gross_notional=Limit(soft=6_000, hard=12_000, cool_down=2),
    value_at_risk=Limit(soft=0.005, hard=0.03, cool_down=2),
    conditional_value_at_risk=Limit(soft=0.01, hard=0.04, cool_down=2),
    volatility=Limit(soft=0.005, hard=0.03, cool_down=2),
    turnover=Limit(soft=5, hard=30, cool_down=4),
    order_rate=Limit(soft=5, hard=23, cool_down=4),
    drawdown=Limit(soft=0.1, hard=0.3, cool_down=24),
    daily_loss=Limit(soft=0.02, hard=0.1, cool_down=12),
    loss_streak=Limit(soft=5, hard=20, cool_down=6),
    window=WINDOW,
    tail=TAIL,
    activity_window=ACTIVITY,
)
"""For an account of 10,000 and prices about 100."""
RESTARTING = ("turnover", "order_rate", "drawdown", "daily_loss", "loss_streak")
"""Rules that measure anew after a cool-down, which the peer does not know."""
NEVER_REACHED = LIMITS.model_copy(
    update=dict.fromkeys(RESTARTING, Limit(soft=1.0, hard=1e6, cool_down=1)),
)


def walks(n_bars: int, n_accounts: int, n_markets: int) -> tuple[np.ndarray, np.ndarray]:
    """States (n_bars, n_accounts, 7) and exposures of accounts that trade about every tenth bar."""
    rng, shape = np.random.default_rng(0), (n_bars, n_accounts)
    moves = np.broadcast_to(rng.normal(0, 0.005, (n_bars, n_markets)), shape)
    price = 100 * np.exp(np.cumsum(moves, axis=0))
    equity = 10_000 * np.exp(np.cumsum(rng.normal(0, 0.002, shape), axis=0))
    bars = np.broadcast_to(np.arange(n_bars)[:, None], shape)
    decided = np.maximum.accumulate(np.where(rng.random(shape) < 0.1, bars, 0), axis=0)

    def as_decided(values: np.ndarray) -> np.ndarray:
        return np.take_along_axis(values, decided, axis=0)

    exposure = as_decided(rng.uniform(-1.5, 1.5, shape) * (rng.random(shape) < 0.8))
    quantity = exposure * as_decided(equity) / as_decided(price)
    change = np.diff(quantity, axis=0, prepend=0.0)
    side = np.sign(quantity)
    closed = np.diff(side, axis=0, prepend=0.0) * np.roll(side, 1, axis=0) < 0
    pnl = np.where(closed, rng.normal(0, 100, shape), 0.0)
    columns = 3_600.0 * bars, price, equity, quantity, np.abs(change) * price, change != 0.0, pnl
    return np.stack(columns, axis=-1), exposure


class NumpyFigures:
    """The eleven figures from the last bars, computed anew each bar; peak, day and streak are kept."""

    def __init__(self, states: np.ndarray) -> None:
        self.price, self.orders = states[:, 1].copy(), states[:, 5].copy()
        self.turnover = states[:, 4] / states[:, 2]
        self.t = -1
        self.peak = self.day_equity = self.last_equity = states[0, 2]
        self.day, self.streak = 0.0, 0

    def evaluate(self, state: AccountState) -> list[float]:
        time_, price, equity, quantity, _, _, closed_pnl = state
        self.t += 1
        if math.ceil(time_ / 86_400) != self.day:
            self.day, self.day_equity = math.ceil(time_ / 86_400), self.last_equity
        self.peak, self.last_equity = max(self.peak, equity), equity
        if closed_pnl:
            self.streak = self.streak + 1 if closed_pnl < 0 else 0
        closes = self.price[max(self.t - WINDOW, 0) : self.t + 1]
        returns = np.sign(quantity) * (closes[1:] / closes[:-1] - 1)
        recent = slice(max(self.t - ACTIVITY + 1, 0), self.t + 1)
        notional = abs(quantity) * price
        exposure = notional / equity
        tail = np.percentile(returns, 100 * TAIL) if len(returns) else 0.0
        return [
            abs(quantity),
            exposure,
            notional,
            exposure * max(-tail, 0.0),
            exposure * max(-returns[returns <= tail].mean(), 0.0) if len(returns) else 0.0,
            exposure * returns.std(ddof=1) if quantity and len(returns) > 1 else 0.0,
            self.turnover[recent].sum(),
            self.orders[recent].sum(),
            1 - equity / self.peak,
            max(1 - equity / self.day_equity, 0.0),
            self.streak,
        ]


def check(states: np.ndarray, accounts: list[AccountState], n: int = 3_000) -> None:
    """Advisor, batch and numpy agree on all eleven figures, and none is 0 throughout."""
    advisor, batch = ProductionRiskAdvisor(NEVER_REACHED), ProductionRiskAdvisor(NEVER_REACHED)
    peer, seen = NumpyFigures(states), np.zeros(len(RULES))
    hard = np.array([getattr(NEVER_REACHED, name).hard for name in RULES])
    for k in range(n):
        use = np.array(list(advisor.evaluate(accounts[k]).use.values()))
        together, figures = batch.evaluate_many(states[k : k + 1])[1][0], np.array(peer.evaluate(accounts[k]))
        np.testing.assert_array_equal(together, use)
        if k >= WARM_UP:
            np.testing.assert_allclose(use * hard, figures, rtol=1e-8, atol=1e-10)
            seen += figures != 0
    assert (seen > 0).all(), dict(zip(RULES, seen, strict=True))


def latencies(work: Callable[[Any], object], items: Iterable[Any]) -> list[int]:
    """Nanoseconds of each call."""
    clock, taken = time.perf_counter_ns, []
    for item in items:
        begun = clock()
        work(item)
        taken.append(clock() - begun)
    return taken


def percentiles(taken: list[int]) -> tuple[float, float]:
    p50, p99 = np.percentile(np.array(taken) / 1e3, [50, 99])
    return float(p50), float(p99)


def one_account(n_bars: int) -> None:
    batch, exposures = walks(n_bars, 1, 1)
    states, exposure = batch[:, 0], exposures[:, 0].tolist()
    accounts = [AccountState(*numbers) for numbers in states.tolist()]
    pairs = zip(accounts, [0.0, *exposure], exposure, strict=False)
    requests = [RiskRequest(account, held, target) for account, held, target in pairs]
    check(states, accounts)

    advisor, agent, peer = ProductionRiskAdvisor(LIMITS), RiskAgent(LIMITS), NumpyFigures(states)
    for k in range(WARM_UP):
        advisor.evaluate(accounts[k])
        agent.evaluate_and_enforce(requests[k])
        peer.evaluate(accounts[k])
    works = (advisor.evaluate, accounts), (agent.evaluate_and_enforce, requests), (peer.evaluate, accounts)
    taken: list[list[int]] = [[], [], []]
    for start in range(WARM_UP, n_bars, 1_000):
        for column, (work, items) in zip(taken, works, strict=True):
            column.extend(latencies(work, items[start : start + 1_000]))
    numpy = percentiles(taken[2])
    for name, goal, own in (
        ("ProductionRiskAdvisor.evaluate", "p99 < 5 us", taken[0]),
        ("RiskAgent.evaluate_and_enforce", "-", taken[1]),
    ):
        p50, p99 = percentiles(own)
        shown = f"p50 {numpy[0]:.1f} us, p99 {numpy[1]:.1f} us, numpy"
        row(f"{name}, {len(own):,} calls", f"p50 {p50:.2f} us, p99 {p99:.2f} us", shown, numpy[0] / p50, goal)


def many_accounts(n_accounts: int, n_markets: int, repeats: int) -> None:
    states, exposure = walks(WARM_UP + repeats, n_accounts, n_markets)
    advisor = ProductionRiskAdvisor(LIMITS, n_accounts=n_accounts)
    agent = RiskAgent(LIMITS, n_accounts=n_accounts)
    clock, counts = time.perf_counter_ns, np.zeros(len(ACTIONS), dtype=np.int64)
    taken: tuple[list[int], list[int]] = ([], [])
    for k in range(1, len(states)):
        begun = clock()
        advisor.evaluate_many(states[k])
        between = clock()
        action, _, _, penalty = agent.evaluate_and_enforce_many(states[k], exposure[k - 1], exposure[k])
        ended = clock()
        assert np.isfinite(penalty).all()
        if k >= WARM_UP:
            counts += np.bincount(action, minlength=len(ACTIONS))
            taken[0].append(between - begun)
            taken[1].append(ended - between)
    assert (counts > 0).all(), dict(zip(ACTIONS, counts, strict=True))
    markets = "one market" if n_markets == 1 else "a market each"
    for name, goal, own in (
        ("evaluate_many", "< 250", taken[0]),
        ("evaluate_and_enforce_many", "-", taken[1]),
    ):
        p50, p99 = (1e3 * value / n_accounts for value in percentiles(own))
        label = f"{name}, {n_accounts:,} accounts, {markets}"
        row(label, f"p50 {p50:.0f} ns an account, p99 {p99:.0f}", "-", None, goal)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--bars", type=int, default=60_000)
    parser.add_argument("--repeats", type=int, default=400)
    options = parser.parse_args()
    header()
    one_account(options.bars)
    for n_markets in (1_000, 1):
        many_accounts(1_000, n_markets, options.repeats)


if __name__ == "__main__":
    main()
