"""How much of a Sharpe ratio may be luck, after all that was tried."""

from __future__ import annotations

from scipy.stats import kurtosis, skew

from trading_assets.arrays import Floats
from trading_assets.registry.ledger import TrialCount
from trading_assets.validation.metrics import sharpe_ratio
from trading_assets.validation.overfitting import (
    bootstrap_interval,
    deflated_sharpe_ratio,
    probabilistic_sharpe_ratio,
)
from trading_assets.validation.returns import until_ruin

CONFIDENCE = 0.95
MIN_ORDERS = 20
"""Of a Sharpe ratio that has an interval: fewer than ten round trips are too few to draw again from."""


def sharpe_statistics(
    returns: Floats, periods_per_year: float, tried: TrialCount, orders: int
) -> dict[str, float]:
    """The Sharpe ratio, its interval, and the probability that it is above 0, before and after deflation.

    Parameters
    ----------
    returns : ndarray of shape (n_bars,)
        Net of costs.
    periods_per_year : float
    tried : TrialCount
        What it was chosen among; the deflated Sharpe ratio is the probability that the true one exceeds what
        the best of so many worthless trials would show (Bailey and Lopez de Prado 2014).
    orders : int
        Bars in which something was traded; below `MIN_ORDERS` the interval is NaN.
    """
    returns = until_ruin(returns)

    def annual(sample: Floats) -> float:
        # A resample of few orders may hold none of them.
        return sharpe_ratio(sample, periods_per_year=periods_per_year) if sample.any() else 0.0

    low = high = float("nan")
    if orders >= MIN_ORDERS:
        low, high = bootstrap_interval(returns, annual, confidence=CONFIDENCE)
    sharpe = {"Sharpe": annual(returns), "Sharpe, low": low, "Sharpe, high": high}
    if not returns.any():
        return {**sharpe, "probabilistic Sharpe": 0.5, "deflated Sharpe": 0.5, "trials": tried.n_trials}
    per_bar, n = sharpe_ratio(returns, periods_per_year=1), len(returns)
    shape = {"skew": float(skew(returns)), "kurtosis": float(kurtosis(returns, fisher=False))}
    return {
        **sharpe,
        "probabilistic Sharpe": probabilistic_sharpe_ratio(per_bar, n, **shape),
        "deflated Sharpe": deflated_sharpe_ratio(
            per_bar, n, n_trials=max(tried.n_trials, 1), trial_variance=tried.variance(n), **shape
        ),
        "trials": tried.n_trials,
    }
