"""Returns by day, as the reports of other libraries (quantstats, empyrical) ask for them."""

from __future__ import annotations

from typing import Any

import pandas as pd

from trading_assets.arrays import Floats
from trading_assets.reports.tearsheet import utc_times
from trading_assets.validation.returns import until_ruin


def daily_returns(times: pd.Series[Any], returns: Floats) -> pd.Series[float]:
    """Compounded by day (UTC); days without bars are left out.

    Parameters
    ----------
    times : Series of timestamps, of length n_bars
    returns : ndarray of shape (n_bars,)
        Of each bar; once all is lost a day earns 0.

    Returns
    -------
    Series of length n_days
        By day, without a time zone.

    Examples
    --------
    >>> import numpy as np
    >>> times = pd.Series(pd.to_datetime(["2024-01-01 10:00", "2024-01-01 11:00", "2024-01-02 10:00"]))
    >>> daily_returns(times, np.array([0.1, 0.1, -0.5])).round(2).tolist()
    [0.21, -0.5]
    """
    days = utc_times(times, len(returns)).floor("D")
    return pd.Series(1 + until_ruin(returns), index=days).groupby(level=0).prod() - 1


def days_per_year(times: pd.Series[Any], periods_per_year: float) -> int:
    """Days with bars in a year: 365 where markets never close, 252 for stocks, 52 for weekly bars.

    Parameters
    ----------
    times : Series of timestamps, of length n_bars
    periods_per_year : float
        Bars a year.

    Returns
    -------
    int

    Examples
    --------
    >>> days_per_year(pd.Series(pd.date_range("2024-01-01", periods=500, freq="h")), 8_766)
    365
    """
    days = utc_times(times, len(times)).floor("D").nunique()
    return max(round(min(periods_per_year * days / len(times), 365)), 1)
