"""Positions that follow a forecast, and what positions earned on a series of returns.

Costs are a share of what is traded here. Those that depend on size, time or the market (impact, interest,
funding, margin calls) are in `simulation.backtest`, by which the whole pipeline counts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from trading_assets.arguments import as_numbers
from trading_assets.arrays import Floats
from trading_assets.validation._arguments import check_costs, check_periods_per_year
from trading_assets.validation.metrics import calmar_ratio, max_drawdown, sharpe_ratio, sortino_ratio
from trading_assets.validation.returns import check_finite, equity_curve, until_ruin


def forecast_positions(probabilities: ArrayLike, threshold: float) -> Floats:
    """How forecasts are followed here: long above 1/2 + threshold, short below 1/2 - threshold, else flat.

    Parameters
    ----------
    probabilities : array-like of shape (n_bars,)
        Of a rise.
    threshold : float
        How far from 1/2 a probability must be, itself excluded.

    Returns
    -------
    ndarray of shape (n_bars,)
        1, -1 or 0.

    Examples
    --------
    >>> forecast_positions([0.7, 0.6, 0.5, 0.2], 0.1).tolist()
    [1.0, 0.0, 0.0, -1.0]
    """
    p = as_numbers("probabilities", probabilities)
    return (p > 0.5 + threshold).astype(float) - (p < 0.5 - threshold)


@dataclass(frozen=True)
class TradingFigures:
    """What a series of positions earned; fractions of a constant capital, annualized where said.

    Attributes
    ----------
    net_return, gross_return : float
        Compounded over all bars, after and before costs.
    mean_net, mean_gross : float
        Mean a bar.
    net_sharpe, gross_sharpe, net_sortino, net_calmar : float
        Annualized.
    max_drawdown : float
        Of the net returns, as a negative fraction.
    turnover : float
        Mean absolute change of position a bar.
    exposure : float
        Mean absolute position.
    orders : int
        Bars in which the position changed.
    hit_rate : float
        Share of the bars with a position whose net return is positive; NaN without a position.
    profit_factor : float
        Sum of the net gains over that of the net losses; infinite without a loss, NaN without either.
    costs : float
        Sum of the costs.
    cost_share : float
        Costs as a share of the sum of gross returns; NaN where that is not positive.

    Examples
    --------
    See `TradingMetrics`.
    """

    net_return: float
    gross_return: float
    mean_net: float
    mean_gross: float
    net_sharpe: float
    gross_sharpe: float
    net_sortino: float
    net_calmar: float
    max_drawdown: float
    turnover: float
    exposure: float
    orders: int
    hit_rate: float
    profit_factor: float
    costs: float
    cost_share: float


@dataclass(frozen=True)
class TradingMetrics:
    """Figures of positions net of proportional costs: position[t] earns returns[t], and a change of it pays.

    The first position is entered from flat; the last one is not closed. A bar whose net return is -1 or below
    ends the account: it loses all, the bars after it are flat, and no ratio is above 0.

    Parameters
    ----------
    fee_bps, slippage_bps : float
        Basis points of the change of position, each 0 or more.
    periods_per_year : float
        Bars a year, to annualize by.

    Examples
    --------
    >>> metrics = TradingMetrics(fee_bps=10, slippage_bps=0, periods_per_year=252)
    >>> figures = metrics.evaluate([1, 1, 0], [0.01, 0.02, -0.05])
    >>> figures.orders, round(figures.costs, 4), round(figures.net_return, 4)
    (2, 0.002, 0.0282)
    """

    fee_bps: float
    slippage_bps: float
    periods_per_year: float

    def __post_init__(self) -> None:
        check_costs(self.fee_bps, self.slippage_bps)
        check_periods_per_year(self.periods_per_year)

    def evaluate(self, positions: ArrayLike, returns: ArrayLike) -> TradingFigures:
        """The figures of positions on a series of returns.

        Parameters
        ----------
        positions : array-like of shape (n_bars,)
            Fractions of capital, signed.
        returns : array-like of shape (n_bars,)
            What a position of 1 earns in each bar.

        Raises
        ------
        ValueError
            When the two are no series of the same length, are empty, or hold a value that is not finite.

        Examples
        --------
        >>> figures = TradingMetrics(fee_bps=0, slippage_bps=0, periods_per_year=52).evaluate(
        ...     [-3, -3, 0], [0.9, 0.9, 0]
        ... )
        >>> figures.net_return, figures.net_calmar, figures.orders
        (-1.0, -1.0, 1)
        """
        held, market = as_numbers("positions", positions), as_numbers("returns", returns)
        if held.shape != market.shape or held.ndim != 1 or len(held) == 0:
            raise ValueError(
                f"positions have shape {held.shape}, returns {market.shape}; expected one of each a bar."
            )
        for name, values in (("positions", held), ("returns", market)):
            check_finite(name, values)
        change = np.abs(np.diff(held, prepend=0.0))
        gross, costs = held * market, change * (self.fee_bps + self.slippage_bps) / 1e4
        net = until_ruin(gross - costs)
        alive = np.logical_and.accumulate(np.concatenate([[True], net[:-1] > -1]))
        held, change, gross, costs = (np.where(alive, one, 0.0) for one in (held, change, gross, costs))
        gross = until_ruin(gross)
        gains, losses = net[net > 0].sum(), -net[net < 0].sum()
        per_year = self.periods_per_year
        return TradingFigures(
            net_return=float(equity_curve(net)[-1] - 1),
            gross_return=float(equity_curve(gross)[-1] - 1),
            mean_net=float(net.mean()),
            mean_gross=float(gross.mean()),
            net_sharpe=sharpe_ratio(net, periods_per_year=per_year),
            gross_sharpe=sharpe_ratio(gross, periods_per_year=per_year),
            net_sortino=sortino_ratio(net, periods_per_year=per_year),
            net_calmar=calmar_ratio(net, periods_per_year=per_year),
            max_drawdown=max_drawdown(net),
            turnover=float(change.mean()),
            exposure=float(np.abs(held).mean()),
            orders=int(np.count_nonzero(change)),
            hit_rate=float((net[held != 0] > 0).mean()) if held.any() else float("nan"),
            profit_factor=float(np.inf) if gains > 0 == losses else _ratio(gains, losses),
            costs=float(costs.sum()),
            cost_share=_ratio(costs.sum(), gross.sum()),
        )


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole > 0 else float("nan")
