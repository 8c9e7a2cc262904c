"""What an agent sees of the market: the stage-1 table, scaled on the agent's own era."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trading_assets.config.settings import Settings
from trading_assets.execution.networks import PROBABILITIES
from trading_assets.simulation.backtest import make_rules
from trading_assets.validation.eras import Era, Eras

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]


@dataclass(frozen=True)
class AgentMarket:
    """One symbol as agents are trained and chosen on it.

    Attributes
    ----------
    bars : ndarray of shape (n_bars, 6)
    stage1 : ndarray of shape (n_bars, width), float32
        Features, the forecaster's hidden state, calibrated probabilities; see
        `execution.networks.Forecasters`.
    eras : Eras
    rules : ndarray
        Costs, risk and reward scale, see `simulation.backtest.make_rules`.
    """

    bars: F64
    stage1: F32
    eras: Eras
    rules: F64

    @property
    def probability(self) -> F64:
        """Mean of the forecasters' calibrated probabilities of up, shape (n_bars,)."""
        return np.asarray(self.stage1[:, -len(PROBABILITIES) :].mean(axis=1, dtype=np.float64))

    @classmethod
    def make(cls, bars: F64, stage1: F32, eras: Eras, settings: Settings) -> AgentMarket:
        scale = return_scale(bars, eras.agent_train)
        return cls(bars, stage1, eras, make_rules(settings.costs, settings.risk, scale))


def return_scale(bars: F64, era: Era) -> float:
    """Standard deviation of the era's log returns, close to close: the unit of rewards."""
    return float(np.diff(np.log(bars[era.rows, 4])).std())
