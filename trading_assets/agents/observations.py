"""What an agent sees of the market: features and forecasts, scaled on the agent's own era."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from trading_assets.arrays import Floats, Singles
from trading_assets.config.settings import EnvConfig, Settings
from trading_assets.representation import one_line
from trading_assets.simulation.market import Market
from trading_assets.simulation.spaces import terms_of
from trading_assets.validation.eras import Era, Eras


@dataclass(frozen=True)
class AgentData:
    """One symbol as agents are trained and chosen on it.

    Attributes
    ----------
    market : Market
        Costs, risk and the unit of rewards included; agents see it through tables of their own.
    table : ndarray of shape (n_bars, width), float32
        Features, the forecaster's hidden state, calibrated probabilities; see
        `execution.forecasters.Forecasters`.
    eras : Eras
    n_forecasters : int
        The last columns of `table`, which are their probabilities.

    Examples
    --------
    See `train_ppo`.
    """

    market: Market
    table: Singles
    eras: Eras
    n_forecasters: int

    __repr__ = one_line

    def during(self, era: Era) -> Market:
        """The market of one era."""
        return self.market.between(era.start, era.stop)

    @property
    def terms(self) -> dict[str, Any]:
        """What agents are trained on here, see `simulation.spaces`."""
        return terms_of(self.market.config, self.table.shape[1])

    @property
    def probability(self) -> Floats:
        """Mean of the forecasters' calibrated probabilities of up, shape (n_bars,)."""
        return np.asarray(self.table[:, -self.n_forecasters :].mean(axis=1, dtype=np.float64))

    @classmethod
    def make(
        cls, bars: Floats, table: Singles, eras: Eras, settings: Settings, n_forecasters: int
    ) -> AgentData:
        config = EnvConfig(
            **settings.environment.model_dump(),
            costs=settings.costs,
            risk=settings.risk,
            reward_scale=return_scale(bars, eras.agent_train),
        )
        return cls(Market.make(bars, config=config), table, eras, n_forecasters)


def return_scale(bars: Floats, era: Era) -> float:
    """Standard deviation of the era's log returns, close to close: the unit of rewards."""
    return float(np.diff(np.log(bars[era.rows, 4])).std())
