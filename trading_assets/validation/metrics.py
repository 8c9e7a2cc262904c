"""What a strategy earned, net of costs, and whether that is more than luck and the market."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
EDGE_T = 2.0
"""t-statistic of the return unexplained by the market, from which a report speaks of an edge."""


def sharpe_ratio(returns: Floats, *, periods_per_year: float, risk_free: float = 0.0) -> float:
    """Annualised mean over standard deviation (ddof 1) of the excess returns; NaN rows are skipped."""
    excess = np.asarray(returns, dtype=float) - risk_free
    excess = excess[np.isfinite(excess)]
    if len(excess) < 2:
        return float("nan")
    deviation = excess.std(ddof=1)
    if deviation <= 1e-15 * max(abs(excess.mean()), 1e-300):
        return float(np.inf * np.sign(excess.mean())) if excess.mean() else float("nan")
    return float(excess.mean() / deviation * np.sqrt(periods_per_year))


def max_drawdown(returns: Floats) -> float:
    """The deepest fall from a peak of compounded `returns`, as a negative fraction."""
    equity = np.concatenate([[1.0], np.cumprod(1 + np.nan_to_num(np.asarray(returns, dtype=float)))])
    return float((equity / np.maximum.accumulate(equity) - 1).min())


def t_statistic(returns: Floats) -> float:
    """Mean over its standard error; 0 where nothing varies."""
    if len(returns) < 2:
        return 0.0
    deviation = returns.std(ddof=1)
    return float(returns.mean() / deviation * np.sqrt(len(returns))) if deviation > 1e-15 else 0.0


def alpha_t_statistic(returns: Floats, market: Floats) -> float:
    """t-statistic of the intercept when `returns` are regressed on the market's (ordinary least squares).

    Always being long explains itself by the market and scores about minus its costs; so does any
    constant exposure.
    """
    n = len(returns)
    if n < 3 or returns.std() < 1e-15 or market.std() < 1e-15:
        return 0.0
    design = np.column_stack([np.ones(n), market])
    inverse = np.linalg.inv(design.T @ design)
    coefficients = inverse @ design.T @ returns
    residual = returns - design @ coefficients
    variance = residual @ residual / (n - 2)
    if variance < 1e-18 * returns.var():
        return 0.0
    return float(coefficients[0] / np.sqrt(variance * inverse[0, 0]))


def evaluate(
    equity: Floats,
    exposure: Floats,
    costs: Floats,
    targets: Floats,
    market: Floats,
    *,
    periods_per_year: float,
) -> dict[str, float]:
    """The figures of one strategy.

    Parameters
    ----------
    equity : ndarray of shape (n_bars + 1,)
        Net of all costs, at every close, the starting capital first.
    exposure : ndarray of shape (n_bars,)
        Fraction of equity held in each bar, signed.
    costs : ndarray of shape (n_bars,)
        Paid in each bar, in the units of equity.
    targets : ndarray of shape (n_bars,)
        Positions decided; a change of target is a trade.
    market : ndarray of shape (n_bars,)
        Returns of the market, close to close.
    periods_per_year : float
    """
    returns = equity[1:] / equity[:-1] - 1
    gross = returns + costs / equity[:-1]
    return {
        "net return": float(equity[-1] / equity[0] - 1),
        "gross return": float(np.prod(1 + gross) - 1),
        "Sharpe": sharpe_ratio(returns, periods_per_year=periods_per_year) if returns.any() else 0.0,
        "max drawdown": max_drawdown(returns),
        "exposure": float(np.abs(exposure).mean()),
        "trades": float(np.count_nonzero(np.diff(targets, prepend=0.0))),
        "costs paid": float(costs.sum() / equity[0]),
        "t": t_statistic(returns),
        "alpha t": alpha_t_statistic(returns, market),
    }


def verdict(metrics: Mapping[str, float]) -> str:
    """`edge after costs` only if the net return is positive and the market does not explain it."""
    has_edge = metrics["net return"] > 0 and metrics["alpha t"] > EDGE_T
    return "edge after costs" if has_edge else "no edge after costs"
