"""A series of returns: what is taken for one, how it compounds, and where it ends; no figures of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from trading_assets.arrays import Floats


def series(name: str, values: ArrayLike) -> Floats:
    """One number a period as an array; NaN where it is not known.

    Parameters
    ----------
    name : str
        Of the argument, for the message.
    values : array-like of shape (n_periods,)

    Returns
    -------
    ndarray of shape (n_periods,)

    Raises
    ------
    ValueError
        When it is a table or a single number, is no numbers, or is infinite somewhere.

    Examples
    --------
    >>> series("returns", [1, 2])
    array([1., 2.])
    """
    try:
        array = np.asarray(values, dtype=float)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{name} cannot be read as numbers ({error}); expected one a period, NaN where it is not known."
        ) from error
    if array.ndim != 1:
        raise ValueError(
            f"{name} has shape {array.shape}; expected (n_periods,), the series of one strategy. Of a table "
            "pass one column at a time."
        )
    infinite = np.isinf(array)
    if infinite.any():
        raise ValueError(
            f"{name} holds {array[infinite][0]} in period {infinite.argmax()}; expected finite numbers, or "
            "NaN where one is not known."
        )
    return array


def until_ruin(returns: ArrayLike) -> Floats:
    """The returns of an account that is over once all is lost.

    The first return of -1 or below is -1, whatever was lost beyond it, and every later one 0.

    Parameters
    ----------
    returns : array-like of shape (n_periods,)

    Returns
    -------
    ndarray of shape (n_periods,)

    Raises
    ------
    ValueError
        When returns are no series of finite numbers.

    Examples
    --------
    >>> until_ruin([0.1, -3.0, 0.5]).tolist()
    [0.1, -1.0, 0.0]
    """
    values = series("returns", returns)
    lost = values <= -1
    if not lost.any():
        return values
    ended = np.zeros(len(values))
    last = int(lost.argmax())
    ended[:last] = values[:last]
    ended[last] = -1.0
    return ended


def equity_curve(returns: ArrayLike) -> Floats:
    """What 1 grows to: 1, then its value after every return; 0 from the return on that loses all.

    Parameters
    ----------
    returns : array-like of shape (n_periods,)
        NaN counts as a period without a return.

    Returns
    -------
    ndarray of shape (n_periods + 1,)

    Examples
    --------
    >>> equity_curve([0.5, -2.0, -2.0]).tolist()
    [1.0, 1.5, 0.0, 0.0]
    """
    return np.concatenate([[1.0], np.cumprod(1 + np.nan_to_num(until_ruin(returns)))])


def equity_until_ruin(equity: ArrayLike) -> Floats:
    """The values of an account that is over once nothing is left: 0 from the first one of 0 or below.

    Parameters
    ----------
    equity : array-like of shape (n_values,)

    Returns
    -------
    ndarray of shape (n_values,)

    Examples
    --------
    >>> equity_until_ruin([1.0, -0.5, 2.0]).tolist()
    [1.0, 0.0, 0.0]
    """
    values = series("equity", equity)
    return np.where(np.logical_or.accumulate(values <= 0), 0.0, values)


def check_finite(name: str, values: Floats) -> None:
    """Raise `ValueError` that names the first bar whose value is not finite."""
    wrong = ~np.isfinite(values)
    if wrong.any():
        raise ValueError(
            f"{name} hold {values[wrong][0]} at bar {wrong.argmax()}, and {wrong.sum()} values that are not "
            "finite in all; leave those bars out, or say what they earned (0 where nothing did)."
        )
