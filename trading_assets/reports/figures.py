"""Figures of the backtest report for code: the leaderboard, the command line, programs that read its JSON."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from trading_assets.registry.figures import Figure, Figures, Row

BUY_AND_HOLD = "buy and hold"
NO_TRADE_BAND = "no-trade band"
POLICY = "policy"


class StrategyFigures(Row):
    """One strategy on the test era; see `validation.metrics.evaluate`."""

    strategy: str
    net_return: Figure = Field(alias="net return")
    gross_return: Figure = Field(alias="gross return")
    sharpe: Figure = Field(alias="Sharpe")
    max_drawdown: Figure = Field(alias="max drawdown")
    exposure: Figure
    orders: Figure
    costs_paid: Figure = Field(alias="costs paid")
    t: Figure
    alpha_t: Figure = Field(alias="alpha t")
    verdict: str


class SharpeFigures(Row):
    """How much of a Sharpe ratio may be luck; see `reports.significance.sharpe_statistics`."""

    sharpe: Figure = Field(alias="Sharpe")
    low: Figure = Field(alias="Sharpe, low")
    high: Figure = Field(alias="Sharpe, high")
    probabilistic: Figure = Field(alias="probabilistic Sharpe")
    deflated: Figure = Field(alias="deflated Sharpe")
    trials: int


class BacktestFigures(Figures):
    """The policy bundle and the strategies beside it on the test era, net of costs.

    Attributes
    ----------
    strategies : tuple of StrategyFigures
        The policy first.
    luck : SharpeFigures
        Of the policy.
    periods_per_year : float
    fee_bps, slippage_bps : float
        Basis points of traded notional, on each side.
    test_bars : int
    band_width : float
        Of the no-trade band.
    """

    FILE: ClassVar[str] = "metrics.json"

    strategies: tuple[StrategyFigures, ...]
    luck: SharpeFigures
    periods_per_year: Figure
    fee_bps: Figure
    slippage_bps: Figure
    test_bars: int
    band_width: Figure

    def strategy(self, name: str) -> StrategyFigures:
        return next(row for row in self.strategies if row.strategy == name)

    @property
    def policy(self) -> StrategyFigures:
        return self.strategy(POLICY)

    def headline(self) -> dict[str, Any]:
        """What people want to see first, by label."""
        policy = self.policy.labelled()
        shown = ("verdict", "net return", "gross return", "max drawdown", "orders", "alpha t")
        return {
            **{label: policy[label] for label in shown},
            **self.luck.labelled(),
            BUY_AND_HOLD: self.strategy(BUY_AND_HOLD).net_return,
            "fee (bps)": self.fee_bps,
            "slippage (bps)": self.slippage_bps,
            "test bars": self.test_bars,
            "band width": self.band_width,
        }
