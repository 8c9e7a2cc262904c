"""Falls of an account below its peak, counted by bars."""

from __future__ import annotations

import numpy as np
import pandas as pd

from trading_assets.arrays import Floats
from trading_assets.validation.returns import equity_curve, equity_until_ruin


def deepest_drawdowns(equity: Floats, every: int) -> Floats:
    """The deepest fall from the peak so far within each `every` bars, as a negative fraction.

    `equity` begins with the starting capital, which is the first peak and no bar.
    """
    return np.asarray(np.minimum.reduceat(_fall(equity)[1:], np.arange(0, len(equity) - 1, every)))


def drawdown_table(times: pd.DatetimeIndex, returns: Floats, n: int) -> pd.DataFrame:
    """The `n` deepest drawdowns of an account, deepest first.

    Parameters
    ----------
    times : DatetimeIndex of length n_bars
    returns : ndarray of shape (n_bars,)
        Net of costs.
    n : int

    Returns
    -------
    DataFrame
        `depth` (a negative fraction), `start` (the first bar below the peak), `trough`, `recovery` (the first
        bar at or above the peak again; NaT where there is none yet), `bars` (below the peak).

    Examples
    --------
    >>> times = pd.date_range("2024-01-01", periods=4, freq="D")
    >>> table = drawdown_table(times, np.array([0.1, -0.2, 0.3, -0.1]), 5)
    >>> table[["depth", "bars"]].round(3).values.tolist()
    [[-0.2, 1.0], [-0.1, 1.0]]
    """
    fall = _fall(equity_curve(returns))[1:]
    edges = np.diff(np.concatenate([[0], fall < 0, [0]]).astype(int))
    starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    troughs = np.array([a + fall[a:b].argmin() for a, b in zip(starts, ends, strict=True)], dtype=int)
    recoveries = times.append(pd.DatetimeIndex([pd.NaT]))[ends]
    table = pd.DataFrame(
        {
            "depth": fall[troughs],
            "start": times[starts],
            "trough": times[troughs],
            "recovery": recoveries,
            "bars": ends - starts,
        }
    )
    return table.sort_values("depth", kind="stable").head(n).reset_index(drop=True)


def _fall(equity: Floats) -> Floats:
    equity = equity_until_ruin(equity)
    return np.asarray(equity / np.maximum.accumulate(equity) - 1)
