"""What a strategy earned, net of costs, and whether that is more than luck and the market."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
EDGE, NO_EDGE = "edge after costs", "no edge after costs"
EDGE_T = 2.0
"""t-statistic of the return unexplained by the market, from which a report speaks of an edge."""


def sharpe_ratio(returns: Floats, *, periods_per_year: float, risk_free: float | Floats = 0.0) -> float:
    """Annualised mean over standard deviation (ddof 1) of the excess returns; NaN rows are skipped.

    `risk_free` is a return a period: one for all, or one each. Infinite where nothing varies.
    """
    excess = _excess(returns, risk_free, "risk_free")
    if len(excess) < 2:
        return float("nan")
    deviation = excess.std(ddof=1)
    if deviation <= 1e-15 * max(abs(excess.mean()), 1e-300):
        return float(np.inf * np.sign(excess.mean())) if excess.mean() else float("nan")
    return float(excess.mean() / deviation * np.sqrt(periods_per_year))


def sortino_ratio(
    returns: Floats, *, periods_per_year: float, required_return: float | Floats = 0.0
) -> float:
    """Annualised mean excess over the required return, divided by `downside_risk`; NaN rows are skipped.

    Infinite where no return is below the required one (a return a period: one for all, or one each).
    """
    excess = _excess(returns, required_return, "required_return")
    if len(excess) < 2:
        return float("nan")
    mean = excess.mean() * periods_per_year
    risk = downside_risk(excess, periods_per_year=periods_per_year)
    if risk == 0:
        return float(np.inf) if mean > 0 else float("nan")
    return float(mean / risk)


def downside_risk(
    returns: Floats, *, periods_per_year: float, required_return: float | Floats = 0.0
) -> float:
    """Annualised root mean square of what returns fall short of the required one; NaN rows are skipped.

    The mean is over all returns, not only those that fall short (Sortino's target downside deviation).
    """
    short = np.minimum(_excess(returns, required_return, "required_return"), 0)
    return float(np.sqrt((short**2).mean() * periods_per_year)) if len(short) else float("nan")


def annual_return(returns: Floats, *, periods_per_year: float) -> float:
    """Compound growth a year; NaN rows count as periods without a return, -1 where all is lost."""
    if len(returns) == 0:
        return float("nan")
    final = np.prod(1 + np.nan_to_num(np.asarray(returns, dtype=float)))
    return float(max(final, 0.0) ** (periods_per_year / len(returns)) - 1)


def annual_volatility(returns: Floats, *, periods_per_year: float) -> float:
    """Annualised standard deviation (ddof 1); NaN rows are skipped."""
    known = _known(returns)
    return float(known.std(ddof=1) * np.sqrt(periods_per_year)) if len(known) > 1 else float("nan")


def calmar_ratio(returns: Floats, *, periods_per_year: float) -> float:
    """`annual_return` over the depth of `max_drawdown`; NaN where there is no drawdown."""
    drawdown = max_drawdown(returns)
    if drawdown == 0:
        return float("nan")
    return annual_return(returns, periods_per_year=periods_per_year) / -drawdown


def omega_ratio(returns: Floats, *, required_return: float | Floats = 0.0) -> float:
    """What returns exceed the required one by, in sum, over what they fall short; NaN where they never do.

    `required_return` is a return a period: one for all, or one each. NaN rows are skipped.
    """
    excess = _excess(returns, required_return, "required_return")
    short = -excess[excess < 0].sum()
    return float(excess[excess > 0].sum() / short) if short > 0 else float("nan")


def value_at_risk(returns: Floats, cutoff: float = 0.05) -> float:
    """The `cutoff` percentile of the returns, interpolated: a loss is negative. NaN rows are skipped."""
    _check_cutoff(cutoff)
    known = _known(returns)
    return float(np.percentile(known, 100 * cutoff)) if len(known) else float("nan")


def conditional_value_at_risk(returns: Floats, cutoff: float = 0.05) -> float:
    """Mean of the worst returns, as many as lie up to the `cutoff` percentile. NaN rows are skipped."""
    _check_cutoff(cutoff)
    known = _known(returns)
    if len(known) == 0:
        return float("nan")
    last = int((len(known) - 1) * cutoff)
    return float(np.partition(known, last)[: last + 1].mean())


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
    traded: Floats,
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
    traded : ndarray of shape (n_bars,)
        Notional traded in each bar; what is not 0 is an order.
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
        "orders": float(np.count_nonzero(traded)),
        "costs paid": float(costs.sum() / equity[0]),
        "t": t_statistic(returns),
        "alpha t": alpha_t_statistic(returns, market),
    }


def verdict(metrics: Mapping[str, float]) -> str:
    """`edge after costs` only if the net return is positive and the market does not explain it."""
    has_edge = metrics["net return"] > 0 and metrics["alpha t"] > EDGE_T
    return EDGE if has_edge else NO_EDGE


def _excess(returns: Floats, benchmark: float | Floats, name: str) -> Floats:
    """Returns less a benchmark, without those that are not finite."""
    values, less = np.asarray(returns, dtype=float), np.asarray(benchmark, dtype=float)
    if less.ndim and less.shape != values.shape:
        raise ValueError(
            f"{name} has shape {less.shape}, the returns {values.shape}; give a number or one a period."
        )
    return _known(values - less)


def _known(returns: Floats) -> Floats:
    values = np.asarray(returns, dtype=float)
    return np.asarray(values[np.isfinite(values)])


def _check_cutoff(cutoff: float) -> None:
    if not 0 <= cutoff <= 1:
        raise ValueError(f"cutoff is {cutoff}; expected a share of the returns, 0 to 1.")
