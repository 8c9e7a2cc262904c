"""How much each label should count: labels that overlap say the same thing several times."""

from __future__ import annotations

import numpy as np

from trading_assets.arrays import Floats, Rows
from trading_assets.errors import MarketError


def concurrency(label_start: Rows, label_end: Rows, n_bars: int) -> Rows:
    """Of every bar, the number of labels whose span (both ends included) covers it; known at that bar."""
    _check(label_start, label_end)
    steps = np.zeros(n_bars + 1, dtype=np.int64)
    np.add.at(steps, np.minimum(label_start, n_bars), 1)
    np.add.at(steps, np.minimum(label_end + 1, n_bars), -1)
    return np.asarray(np.cumsum(steps)[:n_bars], dtype=np.int64)


def average_uniqueness(label_start: Rows, label_end: Rows, n_bars: int) -> Floats:
    """Mean over a label's bars of 1 / the number of labels that share the bar (Lopez de Prado 2018, 4.3).

    Parameters
    ----------
    label_start, label_end : ndarray of int, shape (n_labels,)
        First and last bar of each label, both included.
    n_bars : int
        Bars beyond the last one are not counted.

    Returns
    -------
    ndarray of shape (n_labels,)
        In (0, 1]; NaN where a label has no bar yet.

    Raises
    ------
    MarketError
        When the two differ in length, or a label ends before it starts.

    Examples
    --------
    >>> average_uniqueness(np.array([0, 1]), np.array([1, 2]), 3).tolist()
    [0.75, 0.75]
    """
    shares = 1 / np.maximum(concurrency(label_start, label_end, n_bars), 1)
    total, length = _over_spans(shares, label_start, label_end, n_bars)
    return np.asarray(np.where(length > 0, total / np.maximum(length, 1), np.nan))


def return_attribution(label_start: Rows, label_end: Rows, returns: Floats) -> Floats:
    """|Sum over a label's bars of the bar's log return / the labels that share it| (ibid., 4.4).

    Parameters
    ----------
    label_start, label_end : ndarray of int, shape (n_labels,)
        First and last bar of each label, both included.
    returns : ndarray of shape (n_bars,)
        Log returns.

    Returns
    -------
    ndarray of shape (n_labels,)
        NaN where a label has no bar yet.

    Raises
    ------
    MarketError
        When the two differ in length, or a label ends before it starts.

    Examples
    --------
    >>> start, end, returns = np.array([0, 1]), np.array([1, 2]), np.array([0.02, -0.02, 0.03])
    >>> return_attribution(start, end, returns).round(3).tolist()
    [0.01, 0.02]
    """
    shares = returns / np.maximum(concurrency(label_start, label_end, len(returns)), 1)
    total, length = _over_spans(shares, label_start, label_end, len(returns))
    return np.asarray(np.where(length > 0, np.abs(total), np.nan))


def time_decay(uniqueness: Floats, oldest: float) -> Floats:
    """Factors that rise linearly in cumulated uniqueness, from `oldest` to 1 at the newest (ibid., 4.6).

    Parameters
    ----------
    uniqueness : ndarray of shape (n_rows,)
        Of the rows that are fitted, in order of time.
    oldest : float
        0 to 1: the oldest row's factor; 1 is no decay.

    Returns
    -------
    ndarray of shape (n_rows,)

    Raises
    ------
    MarketError
        When `oldest` is not between 0 and 1.

    Examples
    --------
    >>> time_decay(np.array([1.0, 1.0]), oldest=0.5).tolist()
    [0.75, 1.0]
    """
    if not 0 <= oldest <= 1:
        raise MarketError(f"oldest is {oldest}; it must lie between 0 (forgotten) and 1 (no decay).")
    age = np.cumsum(np.nan_to_num(uniqueness))
    if len(age) == 0 or age[-1] == 0:
        return np.ones(len(age))
    return np.asarray(oldest + (1 - oldest) * age / age[-1])


def _over_spans(values: Floats, start: Rows, end: Rows, n_bars: int) -> tuple[Floats, Rows]:
    """Sums of `values` over the spans, and how many bars of each there are."""
    running = np.concatenate([[0.0], np.cumsum(values)])
    first, last = np.minimum(start, n_bars), np.minimum(end + 1, n_bars)
    return running[last] - running[first], last - first


def _check(start: Rows, end: Rows) -> None:
    if len(start) != len(end) or (len(start) and ((end < start).any() or start.min() < 0)):
        raise MarketError("label_start and label_end must be of one length, start before end, from bar 0 on.")
