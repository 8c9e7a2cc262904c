"""Which of several values is the best, where rounding must not decide."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

TIE = 1e-9
"""Values that differ by less than this share of what they are made of count as equal."""


def tied_for_best(values: ArrayLike, slack: ArrayLike) -> NDArray[np.bool_]:
    """Which values are the largest along the last axis, but for rounding; NaN never is.

    Parameters
    ----------
    values : array-like of shape (..., n)
        At least one of each row a number.
    slack : array-like that broadcasts to the shape of `values`
        How far rounding may have moved each of them.

    Returns
    -------
    ndarray of bool, of the shape of `values`

    Examples
    --------
    >>> tied_for_best([0.1, 0.3, 0.1 + 0.2], TIE).tolist()
    [False, True, True]
    """
    array = np.asarray(values, dtype=float)
    width = np.broadcast_to(np.asarray(slack, dtype=float), array.shape)
    best = np.where(np.isnan(array), -np.inf, array).argmax(axis=-1, keepdims=True)
    reach = np.take_along_axis(array, best, -1) - np.take_along_axis(width, best, -1)
    return np.asarray(array + width >= reach)


def first_best(values: ArrayLike, slack: ArrayLike) -> int:
    """Position of the first of the values that are tied for the largest; see `tied_for_best`.

    Parameters
    ----------
    values : array-like of shape (n,)
    slack : array-like that broadcasts to the shape of `values`
        How far rounding may have moved each of them.

    Returns
    -------
    int

    Examples
    --------
    >>> first_best([0.1, 0.3, 0.1 + 0.2], TIE)
    1
    """
    return int(tied_for_best(values, slack).argmax())
