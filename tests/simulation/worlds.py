"""Markets that tests of the simulator share, and its accounting once more, slowly and from the rules."""

import math
from dataclasses import dataclass, field

import numpy as np

from trading_assets.config.settings import EnvConfig
from trading_assets.simulation.market import Market

TIME, OPEN, HIGH, LOW, CLOSE, VOLUME, FUNDING, WITHIN = range(8)
HOUR = 3_600.0
YEAR = 365 * 86_400.0


def make_bars(opens, closes, *, funding=0.0, within=0.0, volume=1.0, reach=0.0) -> np.ndarray:
    """Hourly bars whose high and low are `reach` beyond the outer of open and close."""
    opens, closes = np.array(opens, dtype=float), np.array(closes, dtype=float)
    n = len(opens)
    high, low = np.maximum(opens, closes) * (1 + reach), np.minimum(opens, closes) * (1 - reach)
    time = 1.6e9 + np.arange(n) * HOUR
    others = (np.broadcast_to(column, n) for column in (volume, funding, within))
    return np.column_stack([time, opens, high, low, closes, *others]).astype(float)


def random_bars(n: int, seed: int, *, scale: float = 0.01, gaps: bool = False) -> np.ndarray:
    """A random walk whose bars open off the close before, with volume, funding and wicks."""
    rng = np.random.default_rng(seed)
    moves, jumps = rng.normal(0, scale, n), rng.normal(0, scale / 3, n)
    close = 100 * np.exp(np.cumsum(moves + jumps))
    opens = close / np.exp(moves)
    due, within = rng.normal(0, 1e-4, (2, n))
    volume = rng.lognormal(3, 1, n)
    bars = make_bars(opens, close, funding=due + within, within=within, volume=volume, reach=0.003)
    if gaps:
        bars[:, TIME] += np.cumsum(rng.random(n) < 0.05) * 30 * HOUR
    return bars


def free(**changes) -> EnvConfig:
    """A configuration without costs, margin calls or risk rules, but for the changes."""
    costs = {"fee_bps": 0.0, "slippage_bps": 0.0, "funding": False} | changes.pop("costs", {})
    return EnvConfig(**{"maintenance_margin": 0.0, "risk_penalty": 0.0} | changes, costs=costs)


@dataclass
class SlowAccount:
    """One account, stepped in plain Python by what the settings' documentation says."""

    market: Market
    cash: float = 1.0
    units: float = 0.0
    target: float = 0.0
    equity: float = 1.0
    opened: float = 0.0
    ruined: bool = False
    costs: dict[str, float] = field(default_factory=dict)
    closed_pnl: float = 0.0
    traded: float = 0.0

    def step(self, t: int, target: float) -> None:
        config, costs = self.market.config, self.market.config.costs
        now, after = self.market.bars[t], self.market.bars[t + 1]
        self.costs = dict.fromkeys(("fee", "slippage", "impact", "funding", "borrow", "liquidation"), 0.0)
        self.closed_pnl = self.traded = 0.0
        if self.ruined:
            return
        price, length = after[OPEN], np.median(np.diff(self.market.bars[:, TIME]))
        due = after[FUNDING] - after[WITHIN]
        self._finance(price, price * due, after[TIME] - (now[TIME] + length))
        if target != self.target:
            worth = self.cash + self.units * price
            order = target * config.max_leverage * max(worth, 0.0) / price - self.units
            notional = abs(order) * price
            if notional == 0:
                self.target = target
            elif notional * costs.capital >= costs.min_order or target == 0:
                volatility, volume = self._conditions(t)
                slip = costs.slippage_bps / 1e4 + costs.slippage_volatility * volatility
                share = min(notional * costs.capital / volume, 1.0) if volume > 0 else 1.0
                self.costs["slippage"] = slip * notional
                self.costs["impact"] = costs.impact * volatility * math.sqrt(share) * notional
                lost = self.costs["slippage"] + self.costs["impact"]
                self.costs["fee"] = costs.fee_bps / 1e4 * max(notional + math.copysign(lost, order), 0.0)
                paid = lost + self.costs["fee"]
                old, self.units = self.units, self.units + order if target else 0.0
                self.cash -= order * price + paid
                if old * self.units <= 0:
                    closing = worth - paid * min(abs(old / order), 1.0)
                    self.closed_pnl = closing - self.opened if old else 0.0
                    self.opened = closing
                self.target, self.traded = target, notional
        self._finance(price, (price + after[CLOSE]) / 2 * after[WITHIN], length)
        self._margin_call(after)
        self.equity = self.cash + self.units * after[CLOSE]
        if self.equity <= 0.01:
            self.closed_pnl += 0.01 - (self.opened if self.units else self.cash)
            self.equity = self.cash = 0.01
            self.units, self.target, self.ruined = 0.0, 0.0, True

    def _finance(self, price, funding_of_a_unit, seconds) -> None:
        """Pay funding, and the interest of so many seconds, on what is held now."""
        costs, notional = self.market.config.costs, self.units * price
        funding = self.units * funding_of_a_unit if costs.funding else 0.0
        borrowed = max(-notional, 0.0) + max(-self.cash, 0.0)  # a short under water owes both
        interest = costs.borrow_rate * borrowed * seconds / YEAR
        self.costs["funding"] += funding
        self.costs["borrow"] += interest
        self.cash -= funding + interest

    def _margin_call(self, after) -> None:
        config = self.market.config
        worst = after[LOW] if self.units > 0 else after[HIGH]
        if self.units == 0 or self.cash + self.units * worst > (
            config.maintenance_margin * abs(self.units) * worst
        ):
            return
        side = math.copysign(1.0, self.units)
        price = -self.cash / (self.units * (1 - side * config.maintenance_margin))
        price = min(price, after[OPEN]) if side > 0 else max(price, after[OPEN])
        notional = abs(self.units) * price
        self.costs["liquidation"] = config.liquidation_bps / 1e4 * notional
        self.cash += self.units * price - self.costs["liquidation"]
        self.closed_pnl += self.cash - self.opened
        self.traded += notional
        self.units = self.target = 0.0

    def _conditions(self, t: int) -> tuple[float, float]:
        """Deviation of log returns and mean notional volume of the last bars."""
        bars, window = self.market.bars, self.market.config.costs.liquidity_window
        close = bars[max(t - window, 0) : t + 1, CLOSE]
        returns = np.diff(np.log(close))
        if t < window:
            returns = np.concatenate([[0.0], returns])
        volumes = (bars[:, CLOSE] * bars[:, VOLUME])[max(t - window + 1, 0) : t + 1]
        return (float(returns[-window:].std(ddof=1)) if len(returns) > 1 else 0.0), float(volumes.mean())
