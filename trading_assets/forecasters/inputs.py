"""What estimators are given, checked before anything is learnt; errors are of scikit-learn's kinds, too."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn import exceptions
from sklearn.utils import check_array

from trading_assets.arrays import Floats, Rows
from trading_assets.errors import SchemaError


class NotFittedError(SchemaError, exceptions.NotFittedError):  # type: ignore[misc]
    """Something learnt is asked of what has learnt nothing yet.

    Examples
    --------
    >>> from trading_assets.forecasters import LightGBMForecaster
    >>> try:
    ...     LightGBMForecaster().predict_proba([[0.0]])
    ... except NotFittedError:
    ...     print("not fitted")
    not fitted
    """


class Estimator:
    """Has attributes that its class declares and fitting sets; until then they raise `NotFittedError`."""

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            found = inspect.getattr_static(type(self), name, None)
            if hasattr(found, "__get__"):
                return found.__get__(self, type(self))  # for the error of what it is made of, which led here
            if any(name in inspect.get_annotations(kind) for kind in type(self).__mro__):
                raise NotFittedError(f"This {type(self).__name__} was not fitted; call fit first.")
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")


def require_frame(X: Any) -> pd.DataFrame:
    """`X`, or a SchemaError unless it is a table with columns."""
    if isinstance(X, pd.DataFrame):
        return X
    given = f"an array of shape {X.shape}" if isinstance(X, np.ndarray) else f"a {type(X).__name__}"
    raise SchemaError(
        f"X is {given}; expected a DataFrame, whose columns are checked by name: "
        "pd.DataFrame(X, columns=names)."
    )


def as_frame(X: Any, names: Sequence[object] | None = None, model: str = "the model") -> pd.DataFrame:
    """A table as it is; what numpy can make an array of shape (n_bars, n_features) with numbered columns.

    `names` are the columns that `model` was fitted on: with a table it takes no array, whose columns could be
    any.

    Raises
    ------
    SchemaError
        When `X` is neither, or does not go with the fit.
    """
    if isinstance(X, pd.DataFrame):
        return X
    if X is None or isinstance(X, pd.Series):
        return require_frame(X)
    try:
        array = check_array(X, dtype=np.float64, ensure_all_finite=False)
    except (ValueError, TypeError) as error:
        raise SchemaError(str(error)) from None
    if names is not None:
        if list(names) != list(range(len(names))):
            return require_frame(array)
        if array.shape[1] != len(names):
            raise SchemaError(
                f"X has {array.shape[1]} features, but {model} is expecting {len(names)} features as input."
            )
    return pd.DataFrame(array)


def require_numbers(name: str, values: ArrayLike | None, n_rows: int) -> Floats:
    """One number a row as float64 of shape (n_rows,), NaN for what is not known.

    A single column will do, with scikit-learn's `DataConversionWarning`.

    Raises
    ------
    SchemaError
        When values are no numbers, or not one a row.
    """
    numbers = as_numbers(name, values)
    if numbers.ndim == 2 and numbers.shape[1] == 1:
        warnings.warn(
            f"A column-vector {name} was passed when a 1d array was expected: it has shape {numbers.shape}; "
            f"expected ({len(numbers)},): pass {name}.ravel().",
            exceptions.DataConversionWarning,
            stacklevel=3,
        )
        numbers = numbers.ravel()
    if numbers.ndim != 1:
        raise SchemaError(f"{name} has shape {numbers.shape}; expected ({n_rows},): one number a row of X.")
    if len(numbers) != n_rows:
        raise SchemaError(f"{name} has {len(numbers)} rows, X has {n_rows}.")
    return numbers


def as_numbers(name: str, values: ArrayLike | None) -> Floats:
    """`values` as float64 of their shape, or a SchemaError where they are no numbers."""
    if isinstance(values, pd.Series) and pd.api.types.is_numeric_dtype(values):
        values = values.to_numpy(dtype=np.float64, na_value=np.nan)
    try:
        array = np.asarray(values)
    except ValueError:  # lists of unequal length
        array = np.asarray(values, dtype=object)
    # Text that reads as a number is text: "1" would become 1.0.
    texts = [value for value in array.ravel() if isinstance(value, str)] if array.dtype.kind == "O" else []
    if values is not None and array.dtype.kind in "biufO" and not texts:
        with suppress(TypeError, ValueError):
            return array.astype(np.float64, copy=False)
    first = next(iter([*texts, *array.ravel()[:1].tolist()]), None)
    raise SchemaError(
        f"{name} has {first!r}, which is no number; expected numbers, NaN where one is not known. "
        "Of texts make classes: (y == 'up').astype(float)."
    )


def require_answers(y: Floats, *, classes: bool) -> None:
    """Raise SchemaError unless the answers that are known are finite, and classes are whole numbers."""
    infinite = int(np.isinf(y).sum())
    if infinite:
        raise SchemaError(
            f"y is infinite in {infinite} of {len(y)} rows; expected finite answers, NaN where one is not "
            "known."
        )
    between = y[(y != np.round(y)) & ~np.isnan(y)]
    if classes and len(between):
        raise SchemaError(
            f"y has {between[0]:g} and {len(between) - 1} more continuous values that are no classes; "
            "expected whole numbers. Of values make classes, such as (y > 0), or pass task='regression'."
        )


def require_rows(rows: ArrayLike | None, n_rows: int) -> Rows:
    """Positions of rows in order, all of them without any, or a SchemaError unless there are such rows."""
    if rows is None:
        return np.arange(n_rows)
    found = np.asarray(rows)
    if found.ndim != 1 or (len(found) and found.dtype.kind not in "iu"):
        raise SchemaError(
            f"rows has shape {found.shape} and type {found.dtype}; expected positions of rows. "
            "Of a mask pass np.flatnonzero(mask)."
        )
    if len(found) and not 0 <= found.min() <= found.max() < n_rows:
        raise SchemaError(f"rows has positions {found.min()} to {found.max()}; X has rows 0 to {n_rows - 1}.")
    ordered = np.unique(found).astype(np.int64)
    if len(ordered) < len(found):
        raise SchemaError(
            f"rows names {len(found) - len(ordered)} rows again; name each once, and count it by its weight."
        )
    return ordered
