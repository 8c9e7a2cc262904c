"""Accounts that tests of the risk rules share, and the rules once more, slowly and from the docstrings."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from trading_assets.config.limits import Limit, RiskLimits
from trading_assets.risk import RULES, AccountState

Floats = NDArray[np.float64]

HOUR, DAY = 3_600.0, 86_400.0
START = 18_000 * DAY + 1.0
"""A second after midnight: a bar that closes at midnight belongs to the day that ends."""
LOSSES = ("drawdown", "daily_loss", "loss_streak")
EXPOSURES = RULES[:6]


def limit(soft: float, hard: float, cool_down: int = 0) -> Limit:
    return Limit(soft=soft, hard=hard, cool_down=cool_down)


def every_rule(cool_down: int = 3, **changes: Limit | float | None) -> RiskLimits:
    """Limits for all rules, such that `random_states` runs into each; no round figure meets one exactly."""
    limits = {
        "position": limit(0.5, 1.5432, cool_down),
        "leverage": limit(0.5, 1.4321, cool_down),
        "gross_notional": limit(50, 154.32, cool_down),
        "value_at_risk": limit(0.005, 0.02987, cool_down),
        "conditional_value_at_risk": limit(0.005, 0.03456, cool_down),
        "volatility": limit(0.005, 0.01765, cool_down),
        "turnover": limit(0.5, 1.7654, cool_down),
        "order_rate": limit(2, 7, cool_down),
        "drawdown": limit(0.05, 0.12345, cool_down),
        "daily_loss": limit(0.02, 0.05678, cool_down),
        "loss_streak": limit(1, 3, cool_down),
    }
    return RiskLimits.model_validate({"window": 40, "activity_window": 6, **limits, **changes})


def random_prices(n: int, seed: int, scale: float = 0.01) -> Floats:
    return 100 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, scale, n)))


def random_states(n: int, seed: int) -> Floats:
    """Fields of `AccountState`, shape (n, 7): positions on both sides, losses, orders, gaps in time."""
    rng = np.random.default_rng(seed)
    time = START + np.cumsum(rng.choice([1, 1, 1, 5, 24, 70], n)) * HOUR
    equity = 100 * np.exp(0.1 * np.sin(np.arange(n) / 15) + np.cumsum(rng.normal(0, 0.01, n)))
    quantity = rng.uniform(-2, 2, n) * (rng.random(n) < 0.8)
    traded = equity * rng.random(n) * (rng.random(n) < 0.6)
    closed_pnl = rng.choice([0.0, -1.0, -2.5, 1.0], n, p=[0.4, 0.3, 0.2, 0.1])
    price = random_prices(n, seed + 1)
    orders = rng.integers(0, 4, n)
    return np.column_stack([time, price, equity, quantity, traded, orders, closed_pnl])


def settings_of_limits() -> st.SearchStrategy[RiskLimits]:
    """Limits of any subset of the rules."""

    def levels(rule: str) -> st.SearchStrategy[Limit | None]:
        least = 1 if rule in LOSSES else 0
        known: Limit = getattr(every_rule(), rule)
        cooled = st.integers(least, 5).map(lambda bars: known.model_copy(update={"cool_down": bars}))
        return st.none() | cooled

    return st.builds(
        RiskLimits,
        **{rule: levels(rule) for rule in RULES},
        window=st.integers(20, 45),
        tail=st.sampled_from([0.01, 0.05, 0.2, 0.49]),
        activity_window=st.integers(1, 8),
        max_price_age=st.floats(1, 1e6),
    )


def streams(most: int = 40) -> st.SearchStrategy[list[AccountState]]:
    """Histories of an account, a bar a state."""
    bar = st.tuples(
        st.sampled_from([1, 5, 13, 24, 70]),
        st.integers(80, 120),
        st.integers(70, 130),
        st.integers(-20, 20),
        st.integers(0, 60),
        st.integers(0, 4),
        st.sampled_from([0.0, -1.0, -1.0, 2.0]),
    )

    def states(bars: list[tuple[float, ...]]) -> list[AccountState]:
        time, history = START, []
        for hours, price, equity, quantity, traded, orders, pnl in bars:
            time += hours * HOUR
            history.append(
                AccountState(
                    time, float(price), float(equity), quantity / 10, float(traded), float(orders), pnl
                )
            )
        return history

    return st.lists(bar, min_size=1, max_size=most).map(states)


@dataclass
class UnitRisk:
    """Of an exposure of 1 to one side, from the returns of the market seen from that side."""

    volatility: float
    value_at_risk: float
    conditional: float


def unit_risk_of(prices: Iterable[float], side: float, window: int, tail: float) -> UnitRisk:
    """Sorted anew from all the prices; infinite with fewer than 20 returns."""
    seen = list(prices)[-window - 1 :]
    returns = sorted(side * (after / before - 1) for before, after in pairwise(seen))
    n = len(returns)
    if n < 20:
        return UnitRisk(math.inf, math.inf, math.inf)
    mean = math.fsum(returns) / n
    place = (n - 1) * tail
    last = math.floor(place)
    quantile = returns[last] + (place - last) * (returns[last + 1] - returns[last])
    worst = math.fsum(returns[: last + 1]) / (last + 1)
    deviation = math.sqrt(math.fsum((one - mean) ** 2 for one in returns) / (n - 1))
    return UnitRisk(deviation, max(-quantile, 0.0), max(-worst, 0.0))


class SlowRules:
    """Use and penalty of all rules, each figure worked out from the whole history at every bar."""

    def __init__(self, limits: RiskLimits, past_prices: Iterable[float] = ()) -> None:
        self.limits = limits
        self.prices = list(past_prices)
        self.bars: list[AccountState] = []
        self.measured_since = dict.fromkeys(RULES, -1)
        self.acting_until = dict.fromkeys(RULES, -1)

    def evaluate(self, state: AccountState) -> tuple[float, dict[str, float]]:
        now = len(self.bars)
        self.bars.append(state)
        self.prices.append(state.price)
        penalty, uses = 0.0, dict.fromkeys(RULES, 0.0)
        for rule in RULES:
            if self.acting_until[rule] == now:
                self.measured_since[rule] = now
            levels: Limit | None = getattr(self.limits, rule)
            if levels is None:
                continue
            figure = self._figures[rule](self, self.measured_since[rule])
            uses[rule] = figure / levels.hard
            penalty += min(max((figure - levels.soft) / (levels.hard - levels.soft), 0.0), 1.0) ** 2
            reached = figure >= levels.hard if rule in LOSSES else figure > levels.hard
            if reached and levels.cool_down and now >= self.acting_until[rule]:
                self.acting_until[rule] = now + levels.cool_down
        return penalty, uses

    def _position(self, _: int) -> float:
        return abs(self.bars[-1].quantity)

    def _notional(self, _: int) -> float:
        return abs(self.bars[-1].quantity) * self.bars[-1].price

    def _leverage(self, _: int) -> float:
        return self._notional(0) / self.bars[-1].equity

    def _market(self) -> UnitRisk:
        side = -1.0 if self.bars[-1].quantity < 0 else 1.0
        return unit_risk_of(self.prices, side, self.limits.window, self.limits.tail)

    def _value_at_risk(self, _: int) -> float:
        return self._leverage(0) * self._market().value_at_risk if self.bars[-1].quantity else 0.0

    def _conditional(self, _: int) -> float:
        return self._leverage(0) * self._market().conditional if self.bars[-1].quantity else 0.0

    def _volatility(self, _: int) -> float:
        return self._leverage(0) * self._market().volatility if self.bars[-1].quantity else 0.0

    def _recent(self, since: int) -> list[AccountState]:
        first = max(len(self.bars) - self.limits.activity_window, since + 1, 0)
        return self.bars[first:]

    def _turnover(self, since: int) -> float:
        return math.fsum(bar.traded / bar.equity for bar in self._recent(since))

    def _orders(self, since: int) -> float:
        return sum(bar.orders for bar in self._recent(since))

    def _drawdown(self, since: int) -> float:
        peak = max(bar.equity for bar in self.bars[max(since, 0) :])
        return 1 - self.bars[-1].equity / peak

    def _daily_loss(self, since: int) -> float:
        today = math.ceil(self.bars[-1].time / DAY)
        before = [i for i, bar in enumerate(self.bars) if math.ceil(bar.time / DAY) < today]
        base = self.bars[max([0, since, *before])].equity
        return max(1 - self.bars[-1].equity / base, 0.0)

    def _streak(self, since: int) -> float:
        losses = 0
        for bar in self.bars[since + 1 :]:
            if bar.closed_pnl:
                losses = losses + 1 if bar.closed_pnl < 0 else 0
        return losses

    _figures: dict[str, Callable[["SlowRules", int], float]] = dict(
        zip(
            RULES,
            (
                _position,
                _leverage,
                _notional,
                _value_at_risk,
                _conditional,
                _volatility,
                _turnover,
                _orders,
                _drawdown,
                _daily_loss,
                _streak,
            ),
            strict=True,
        )
    )
