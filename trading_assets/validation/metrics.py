"""What a strategy earned, net of costs, and whether that is more than luck and the market.

One rule for all figures of a series of returns:

- Returns are fractions, one a period: an array, a list or a column, of shape (n_periods,). A table of several
  strategies is refused, as are text and infinite numbers.
- NaN is a period whose return is not known: averages leave it out, compounding takes it for 0.
- Where too few returns are known for a figure (none, or one where it needs two), the figure is NaN.
- A return of -1 or below ends the account: that return is -1 and all later ones are 0 (`until_ruin`), and
  neither the Sharpe nor the Sortino nor the Calmar ratio is above 0. Only the two t-statistics take numbers
  as they are, for they are also asked about differences of returns.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from trading_assets.arrays import Floats
from trading_assets.validation._arguments import check_number, check_periods_per_year, check_whole_number
from trading_assets.validation.returns import (
    check_finite,
    equity_curve,
    equity_until_ruin,
    series,
    until_ruin,
)

EDGE, NO_EDGE = "edge after costs", "no edge after costs"
EDGE_T = 2.0
"""t-statistic of the return unexplained by the market, from which a report speaks of an edge."""
ROUNDING = 1e-12
"""Numbers that differ by less than this share of the largest do not vary."""


def sharpe_ratio(returns: ArrayLike, *, periods_per_year: float, risk_free: float | ArrayLike = 0.0) -> float:
    """Annualized mean over standard deviation (ddof 1) of the excess returns.

    Parameters
    ----------
    returns : array-like of shape (n_periods,)
        Fractions; NaN where a return is not known.
    periods_per_year : float
        Periods a year, above 0: 252 for days of an exchange, 8,766 for hours that never stop.
    risk_free : float or array-like of shape (n_periods,)
        Return a period that is taken off: one for all, or one each.

    Returns
    -------
    float
        Infinite where the excess does not vary and is not 0, NaN where fewer than 2 are known.

    Raises
    ------
    ValueError
        When an argument is no series of finite numbers, or `periods_per_year` is not above 0.

    Examples
    --------
    >>> round(sharpe_ratio([0.01, -0.01, 0.02], periods_per_year=252), 2)
    6.93
    """
    check_periods_per_year(periods_per_year)
    earned = until_ruin(returns)
    excess = _excess(earned, risk_free, "risk_free")
    if len(excess) < 2:
        return float("nan")
    mean = excess.mean()
    if not _varies(excess):
        return float(np.inf * np.sign(mean)) if mean else float("nan")
    return _no_gain_of_ruin(mean / excess.std(ddof=1) * np.sqrt(periods_per_year), earned)


def sortino_ratio(
    returns: ArrayLike, *, periods_per_year: float, required_return: float | ArrayLike = 0.0
) -> float:
    """Annualized mean excess over the required return, divided by `downside_risk`.

    Parameters
    ----------
    returns : array-like of shape (n_periods,)
        Fractions; NaN where a return is not known.
    periods_per_year : float
        Periods a year, above 0: 252 for days of an exchange, 8,766 for hours that never stop.
    required_return : float or array-like of shape (n_periods,)
        A period: one for all, or one each.

    Returns
    -------
    float
        Infinite where no return is below the required one, NaN where fewer than 2 are known.

    Raises
    ------
    ValueError
        When an argument is no series of finite numbers, or `periods_per_year` is not above 0.

    Examples
    --------
    >>> round(sortino_ratio([0.01, -0.01, 0.02], periods_per_year=252), 2)
    18.33
    """
    check_periods_per_year(periods_per_year)
    earned = until_ruin(returns)
    excess = _excess(earned, required_return, "required_return")
    if len(excess) < 2:
        return float("nan")
    mean = excess.mean() * periods_per_year
    risk = downside_risk(earned, periods_per_year=periods_per_year, required_return=required_return)
    if risk == 0 and not mean > 0:
        return float("nan")
    return _no_gain_of_ruin(mean / risk if risk else np.inf, earned)


def downside_risk(
    returns: ArrayLike, *, periods_per_year: float, required_return: float | ArrayLike = 0.0
) -> float:
    """Annualized root mean square of what returns fall short of the required one.

    The mean is over all returns, not only those that fall short (Sortino's target downside deviation).

    Parameters
    ----------
    returns : array-like of shape (n_periods,)
        Fractions; NaN where a return is not known.
    periods_per_year : float
        Periods a year, above 0: 252 for days of an exchange, 8,766 for hours that never stop.
    required_return : float or array-like of shape (n_periods,)
        A period: one for all, or one each.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        When an argument is no series of finite numbers, or `periods_per_year` is not above 0.

    Examples
    --------
    >>> round(downside_risk([0.01, -0.01, 0.02], periods_per_year=252), 4)
    0.0917
    """
    check_periods_per_year(periods_per_year)
    short = np.minimum(_excess(until_ruin(returns), required_return, "required_return"), 0)
    return float(np.sqrt((short**2).mean() * periods_per_year)) if len(short) else float("nan")


def annual_return(returns: ArrayLike, *, periods_per_year: float) -> float:
    """Compound growth a year; -1 where all is lost.

    Parameters
    ----------
    returns : array-like of shape (n_periods,)
        Fractions; NaN where a return is not known.
    periods_per_year : float
        Periods a year, above 0: 252 for days of an exchange, 8,766 for hours that never stop.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        When an argument is no series of finite numbers, or `periods_per_year` is not above 0.

    Examples
    --------
    >>> round(annual_return([0.1, -0.05], periods_per_year=2), 3)
    0.045
    """
    check_periods_per_year(periods_per_year)
    earned = until_ruin(returns)
    if not len(_known(earned)):
        return float("nan")
    return float(equity_curve(earned)[-1] ** (periods_per_year / len(earned)) - 1)


def annual_volatility(returns: ArrayLike, *, periods_per_year: float) -> float:
    """Annualized standard deviation (ddof 1).

    Parameters
    ----------
    returns : array-like of shape (n_periods,)
        Fractions; NaN where a return is not known.
    periods_per_year : float
        Periods a year, above 0: 252 for days of an exchange, 8,766 for hours that never stop.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        When an argument is no series of finite numbers, or `periods_per_year` is not above 0.

    Examples
    --------
    >>> round(annual_volatility([0.01, -0.01, 0.02], periods_per_year=252), 3)
    0.242
    """
    check_periods_per_year(periods_per_year)
    known = _known(until_ruin(returns))
    return float(known.std(ddof=1) * np.sqrt(periods_per_year)) if len(known) > 1 else float("nan")


def calmar_ratio(returns: ArrayLike, *, periods_per_year: float) -> float:
    """`annual_return` over the depth of `max_drawdown`.

    Parameters
    ----------
    returns : array-like of shape (n_periods,)
        Fractions; NaN where a return is not known.
    periods_per_year : float
        Periods a year, above 0: 252 for days of an exchange, 8,766 for hours that never stop.

    Returns
    -------
    float
        -1 where all is lost, NaN without drawdown.

    Raises
    ------
    ValueError
        When an argument is no series of finite numbers, or `periods_per_year` is not above 0.

    Examples
    --------
    >>> round(calmar_ratio([0.1, -0.05], periods_per_year=2), 2)
    0.9
    """
    growth, drawdown = annual_return(returns, periods_per_year=periods_per_year), max_drawdown(returns)
    return growth / -drawdown if drawdown else float("nan")


def omega_ratio(returns: ArrayLike, *, required_return: float | ArrayLike = 0.0) -> float:
    """What returns exceed the required one by, in sum, over what they fall short.

    Parameters
    ----------
    returns : array-like of shape (n_periods,)
        Fractions; NaN where a return is not known.
    required_return : float or array-like of shape (n_periods,)
        A period: one for all, or one each.

    Returns
    -------
    float
        NaN where no return falls short.

    Raises
    ------
    ValueError
        When an argument is no series of finite numbers.

    Examples
    --------
    >>> omega_ratio([0.02, -0.01])
    2.0
    """
    excess = _excess(until_ruin(returns), required_return, "required_return")
    short = -excess[excess < 0].sum()
    return float(excess[excess > 0].sum() / short) if short > 0 else float("nan")


def value_at_risk(returns: ArrayLike, cutoff: float = 0.05) -> float:
    """The `cutoff` percentile of the returns, interpolated: a loss is negative.

    Parameters
    ----------
    returns : array-like of shape (n_periods,)
        Fractions; NaN where a return is not known.
    cutoff : float
        Share of the returns, 0 to 1.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        When returns are no series of finite numbers, or `cutoff` is no share.

    Examples
    --------
    >>> value_at_risk([-0.03, -0.01, 0.0, 0.01, 0.02], cutoff=0.25)
    -0.01
    """
    _check_cutoff(cutoff)
    known = _known(until_ruin(returns))
    return float(np.percentile(known, 100 * cutoff)) if len(known) else float("nan")


def conditional_value_at_risk(returns: ArrayLike, cutoff: float = 0.05) -> float:
    """Mean of the worst returns, as many as lie up to the `cutoff` percentile.

    Parameters
    ----------
    returns : array-like of shape (n_periods,)
        Fractions; NaN where a return is not known.
    cutoff : float
        Share of the returns, 0 to 1.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        When returns are no series of finite numbers, or `cutoff` is no share.

    Examples
    --------
    >>> conditional_value_at_risk([-0.03, -0.01, 0.0, 0.01, 0.02], cutoff=0.25)
    -0.02
    """
    _check_cutoff(cutoff)
    known = _known(until_ruin(returns))
    if len(known) == 0:
        return float("nan")
    last = int((len(known) - 1) * cutoff)
    return float(np.partition(known, last)[: last + 1].mean())


def max_drawdown(returns: ArrayLike) -> float:
    """The deepest fall from a peak of the compounded returns.

    Parameters
    ----------
    returns : array-like of shape (n_periods,)
        Fractions; NaN where a return is not known.

    Returns
    -------
    float
        A negative fraction of the peak; 0 where nothing falls.

    Raises
    ------
    ValueError
        When returns are no series of finite numbers.

    Examples
    --------
    >>> max_drawdown([0.5, -0.5, 0.5])
    -0.5
    """
    earned = until_ruin(returns)
    if not len(_known(earned)):
        return float("nan")
    equity = equity_curve(earned)
    return float((equity / np.maximum.accumulate(equity) - 1).min())


def t_statistic(returns: ArrayLike, *, lags: int = 0) -> float:
    """Mean over its standard error.

    Parameters
    ----------
    returns : array-like of shape (n_periods,)
        Fractions; NaN where a return is not known.
    lags : int
        Periods over which returns depend on each other, see `alpha_t_statistic`.

    Returns
    -------
    float
        0 where nothing varies, which is no evidence of anything; NaN where fewer than 2 are known.

    Raises
    ------
    ValueError
        When returns are no series of finite numbers, or `lags` is negative or no whole number.

    Examples
    --------
    >>> round(t_statistic([0.01, -0.01, 0.02]), 2)
    0.76
    """
    check_whole_number("lags", lags, 0)
    known = _known(series("returns", returns))
    if len(known) < 2:
        return float("nan")
    return _intercept_t(known, np.empty((len(known), 0)), lags) if _varies(known) else 0.0


def alpha_t_statistic(returns: ArrayLike, market: ArrayLike, *, lags: int = 0) -> float:
    """t-statistic of the intercept when `returns` are regressed on the market's.

    Always being long explains itself by the market and scores about minus its costs; so does any constant
    exposure. Standard errors are consistent where the size of what is unexplained varies and where it depends
    on that of up to `lags` periods before (Newey and West 1987, Bartlett's weights, n / (n - 2)).

    Parameters
    ----------
    returns, market : array-like of shape (n_periods,)
    lags : int
        0 where a period's return does not depend on those before. Positions held for k periods make it so
        over about k; see `holding_lags`.

    Returns
    -------
    float
        0 where one of the two does not vary; NaN where fewer than 3 periods are known of both.

    Raises
    ------
    ValueError
        When the two are no series of the same length, or `lags` is negative or no whole number.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> market = rng.normal(0, 0.01, 400)
    >>> returns = 0.5 * market + 0.002 + rng.normal(0, 0.01, 400)
    >>> alpha_t_statistic(0.5 * market, market), round(alpha_t_statistic(returns, market, lags=5), 1)
    (0.0, 3.8)
    """
    check_whole_number("lags", lags, 0)
    own, other = series("returns", returns), series("market", market)
    if own.shape != other.shape:
        raise ValueError(f"market has shape {other.shape}, the returns {own.shape}; expected one of each.")
    both = ~np.isnan(own + other)
    own, other = own[both], other[both]
    n = len(own)
    if n < 3:
        return float("nan")
    if not (_varies(own) and _varies(other)):
        return 0.0
    return _intercept_t(own, other[:, None], lags)


def _intercept_t(y: Floats, x: Floats, lags: int) -> float:
    """t of the intercept of `y` on the columns of `x`; 0 where they explain it all."""
    from statsmodels.regression.linear_model import OLS

    design = np.column_stack([np.ones(len(y)), x])
    options = {"maxlags": min(lags, len(y) - 1), "use_correction": True}
    fit = OLS(y, design).fit(cov_type="HAC", cov_kwds=options)
    unexplained = fit.resid @ fit.resid > 1e-18 * (y @ y)
    return float(fit.params[0] / fit.bse[0]) if unexplained and fit.bse[0] > 0 else 0.0


def holding_lags(exposure: ArrayLike, label_horizon: int = 1) -> int:
    """Periods over which the returns of a strategy depend on each other, for `alpha_t_statistic`.

    The mean length of its positions, at least the horizon of the label it follows less one, and at most a
    tenth of all periods.

    Parameters
    ----------
    exposure : array-like of shape (n_periods,)
        Held in each period, signed.
    label_horizon : int
        Periods that the forecast looks ahead.

    Returns
    -------
    int

    Examples
    --------
    >>> holding_lags([0, 1, 1, 1, 0, -1, -1, -1] * 10), holding_lags([0, 1] * 50, label_horizon=6)
    (3, 5)
    """
    check_whole_number("label_horizon", label_horizon, 1)
    side = np.sign(series("exposure", exposure))
    begun = np.count_nonzero((side != 0) & (np.diff(side, prepend=0.0) != 0))
    length = math.ceil(np.count_nonzero(side) / begun) if begun else 0
    return min(max(length, label_horizon - 1), len(side) // 10)


def evaluate(
    equity: ArrayLike,
    exposure: ArrayLike,
    costs: ArrayLike,
    traded: ArrayLike,
    market: ArrayLike,
    *,
    periods_per_year: float,
    label_horizon: int = 1,
) -> dict[str, float]:
    """The figures of one strategy; an account whose equity is 0 or less is over, and counts nothing after.

    Parameters
    ----------
    equity : array-like of shape (n_bars + 1,)
        Net of all costs, at every close, the starting capital first.
    exposure : array-like of shape (n_bars,)
        Fraction of equity held in each bar, signed.
    costs : array-like of shape (n_bars,)
        Paid in each bar, in the units of equity.
    traded : array-like of shape (n_bars,)
        Notional traded in each bar; what is not 0 is an order.
    market : array-like of shape (n_bars,)
        Returns of the market, close to close.
    periods_per_year : float
    label_horizon : int
        Bars that what is followed looks ahead: with the length of the positions it decides over how many bars
        returns are taken to depend on each other in the two t-statistics, see `holding_lags`.

    Returns
    -------
    dict of str to float
        `net return` and `gross return`, compounded; `Sharpe`, annualized, 0 where nothing was earned or lost;
        `max drawdown`; `exposure`, its mean size; `orders`; `costs paid`, in starting capitals; `t` of the
        returns and `alpha t`, see `alpha_t_statistic`.

    Raises
    ------
    ValueError
        When one of them is no series of finite numbers, or of another length.

    Examples
    --------
    >>> figures = evaluate(
    ...     [1, 1.1, 1.21], [0.5, 0.5], [0.01, 0], [0.5, 0], [0.2, 0.2], periods_per_year=252
    ... )
    >>> round(figures["net return"], 2), figures["orders"], figures["costs paid"]
    (0.21, 1.0, 0.01)
    """
    value = _finite_series("equity", equity)
    held, paid, notional, benchmark = (
        _finite_series(name, values)
        for name, values in (("exposure", exposure), ("costs", costs), ("traded", traded), ("market", market))
    )
    shapes = {len(values) for values in (held, paid, notional, benchmark)}
    if len(value) < 2 or shapes != {len(value) - 1}:
        raise ValueError(
            f"equity has {len(value)} values, the others {sorted(shapes)}; expected one of each a bar, and "
            "the starting capital before the first."
        )
    if not value[0] > 0:
        raise ValueError(f"equity starts at {value[0]}; expected a starting capital above 0.")
    value = equity_until_ruin(value)
    alive = value[:-1] > 0
    before = np.where(alive, value[:-1], 1.0)
    held, paid, notional = (np.where(alive, values, 0.0) for values in (held, paid, notional))
    returns = np.where(alive, value[1:] / before - 1, 0.0)
    gross = returns + paid / before
    lags = holding_lags(held, label_horizon)
    return {
        "net return": float(value[-1] / value[0] - 1),
        "gross return": float(equity_curve(gross)[-1] - 1),
        "Sharpe": sharpe_ratio(returns, periods_per_year=periods_per_year) if returns.any() else 0.0,
        "max drawdown": max_drawdown(returns),
        "exposure": float(np.abs(held).mean()),
        "orders": float(np.count_nonzero(notional)),
        "costs paid": float(paid.sum() / value[0]),
        "t": t_statistic(returns, lags=lags),
        "alpha t": alpha_t_statistic(returns, benchmark, lags=lags),
    }


def verdict(metrics: Mapping[str, float]) -> str:
    """`edge after costs` only if the net return is positive and the market does not explain it.

    Parameters
    ----------
    metrics : mapping of str to float
        Of `evaluate`.

    Returns
    -------
    str
        `EDGE` where the net return is above 0 and the t-statistic of alpha above `EDGE_T`, or `NO_EDGE`.

    Examples
    --------
    >>> verdict({"net return": 0.2, "alpha t": 1.4})
    'no edge after costs'
    """
    has_edge = metrics["net return"] > 0 and metrics["alpha t"] > EDGE_T
    return EDGE if has_edge else NO_EDGE


def _finite_series(name: str, values: ArrayLike) -> Floats:
    array = series(name, values)
    check_finite(name, array)
    return array


def _excess(returns: Floats, benchmark: float | ArrayLike, name: str) -> Floats:
    """Known returns less a benchmark; what only rounding leaves of two equal numbers is 0."""
    less = series(name, np.atleast_1d(benchmark))
    if np.ndim(benchmark) and less.shape != returns.shape:
        raise ValueError(
            f"{name} has shape {less.shape}, the returns {returns.shape}; give a number or one a period."
        )
    excess = returns - less
    equal = np.abs(excess) <= ROUNDING * np.maximum(np.abs(returns), np.abs(less))
    return _known(np.where(equal, 0.0, excess))


def _known(returns: Floats) -> Floats:
    return np.asarray(returns[~np.isnan(returns)])


def _varies(values: Floats) -> bool:
    return bool(np.ptp(values) > ROUNDING * np.abs(values).max())


def _no_gain_of_ruin(ratio: float, returns: Floats) -> float:
    """The ratio, and no more than 0 where the returns end in the loss of everything."""
    return float(min(ratio, 0.0) if (returns <= -1).any() else ratio)


def _check_cutoff(cutoff: float) -> None:
    check_number("cutoff", cutoff)
    if not 0 <= cutoff <= 1:
        raise ValueError(f"cutoff is {cutoff}; expected a share of the returns, 0 to 1.")
