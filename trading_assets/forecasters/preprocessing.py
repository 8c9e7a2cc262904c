"""Preprocessors: steps fitted on training rows only, with the columns they were fitted on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from trading_assets.arrays import Array, Rows, Singles
from trading_assets.config.forecasters import forecaster_kinds
from trading_assets.config.settings import PreprocessingStep
from trading_assets.errors import ArtifactError, SchemaError, SettingsError
from trading_assets.execution.networks import sub
from trading_assets.forecasters.inputs import Estimator, require_frame, require_rows
from trading_assets.forecasters.preprocessing_steps import STEPS, RobustScaler, Step
from trading_assets.registry.digests import digest_arrays, digest_json
from trading_assets.registry.tensors import load_tensors, save_tensors
from trading_assets.representation import one_line

__all__ = ["PreprocessorManager", "RobustScaler", "check_columns"]

FORMAT = 1
FILES = ("preprocessor.json", "preprocessor.safetensors")
_STEPS = TypeAdapter(tuple[PreprocessingStep, ...])


class PreprocessorManager(Estimator):
    """The steps of one preprocessor, applied in order to consecutive bars.

    Parameters
    ----------
    steps : sequence of PreprocessingStep
        Settings of the steps; without any, values are only cast to float32.

    Attributes
    ----------
    feature_names_in, dtypes : list of str
        Columns it was fitted on, in order, and their types; `transform` refuses any other.
    steps_ : list of Step
        The fitted steps.
    feature_names_out : list of str
        Columns that come out.

    Examples
    --------
    >>> import pandas as pd
    >>> from trading_assets.config.settings import RobustScale
    >>> X = pd.DataFrame({"a": [0.0, 1.0, 2.0, 3.0, 100.0]})
    >>> PreprocessorManager([RobustScale(limit=5.0)]).fit(X).transform(X).max()
    np.float32(5.0)
    """

    feature_names_in: list[str]
    dtypes: list[str]
    steps_: list[Step]
    feature_names_out: list[str]

    def __init__(self, steps: Sequence[PreprocessingStep]) -> None:
        self.steps = tuple(steps)

    def __repr__(self) -> str:
        names = tuple(step.step for step in self.steps)
        fitted = hasattr(self, "feature_names_in")
        note = f", fitted on {len(self.feature_names_in)} columns" if fitted else ", not fitted"
        return one_line(self, {"steps": names}, note)

    @classmethod
    def for_model(cls, name: str) -> Self:
        """An unfitted preprocessor by the template of a kind of forecaster: the default of its settings.

        Raises
        ------
        SettingsError
            When there is no such template.
        """
        kinds = forecaster_kinds()
        if name not in kinds:
            raise SettingsError(
                f"There is no preprocessing template for '{name}'; known are {', '.join(kinds)}."
            )
        return cls(kinds[name].settings().preprocessing)

    @property
    def lookback(self) -> int:
        """Bars before a bar that decide, with it, what it becomes; 0 without fractional differences.

        Purge by as much more: a row shortly after a hole in the training rows looks into it.
        """
        return sum(STEPS[settings.step].lookback(settings) for settings in self.steps)

    def fit(self, X: pd.DataFrame, rows: Rows | None = None, *, seen: Rows | None = None) -> Self:
        """Fit every step on what the steps before it made of the training rows.

        Training rows that are not complete, the first `lookback` of a stretch among them, are left out.

        Parameters
        ----------
        X : DataFrame of shape (n_bars, n_columns)
            Consecutive bars.
        rows : ndarray of int, optional
            The bars that may be learnt from; all without it. No other leaves a trace.
        seen : ndarray of int, optional
            Other bars that windows over several bars may reach into; none without it.

        Raises
        ------
        SchemaError
            When there is nothing to fit on, or a column is no number or there twice.
        SettingsError
            When a step cannot be had of these columns.
        """
        X, rows = require_frame(X), require_rows(rows, len(X))
        names = _require_numbers(X)
        if not len(rows) or not names:
            raise SchemaError(
                f"A preprocessor is fitted on at least one training row of one column; given are {len(rows)} "
                f"rows of {len(names)} columns."
            )
        # Other bars are hidden, so that no window over several bars reaches them.
        values: Array = np.full(X.shape, np.nan)
        visible = rows if seen is None else np.union1d(rows, require_rows(seen, len(X)))
        values[visible] = _values(X)[visible]
        complete = self._complete(values[rows], names)
        fitted = []
        for settings in self.steps:
            step = STEPS[settings.step].fit(complete, settings)
            values, names = step.transform(values), step.names_out(names)
            complete = self._complete(values[rows], names)
            fitted.append(step)
        self.feature_names_in, self.dtypes = list(X.columns), [str(dtype) for dtype in X.dtypes]
        self.steps_, self.feature_names_out = fitted, names
        return self

    def transform(self, X: pd.DataFrame) -> Singles:
        """Consecutive bars of shape (n_bars, n_columns_out).

        NaN comes out where a bar, or one of the `lookback` bars before it, is NaN or not there.

        Raises
        ------
        SchemaError
            When columns are missing, extra, in another order or of another type than in training.
        """
        check_columns(self.feature_names_in, require_frame(X))
        self._check_dtypes(X)
        values: Array = _values(X)
        for step in self.steps_:
            values = step.transform(values)
        return values.astype(np.float32, copy=False)

    def stream(self) -> Callable[[Array], Singles]:
        """A function of the rows of consecutive bars, equal to `transform` bit for bit.

        Each stream remembers bars of its own, and says NaN until it was given `lookback` of them.
        """
        shape = (len(self.feature_names_in),)
        steps = [step.stream() for step in self.steps_]

        def push(row: Array) -> Singles:
            if row.shape != shape:
                raise SchemaError(f"A row of shape {row.shape} was given, expected {shape}: one bar.")
            for step in steps:
                row = step(row)
            return row.astype(np.float32)

        return push

    def as_scaler(self) -> RobustScaler:
        """The same as a scaler that a bundle can carry.

        Raises
        ------
        ArtifactError
            When there is more to it than a single robust_scale or standardize, or nothing.
        """
        if not self.steps_:
            n = len(self.feature_names_in)
            return RobustScaler(np.zeros(n), np.ones(n), np.inf)
        first, *others = self.steps_
        if isinstance(first, RobustScaler) and not others:
            return first
        names = [settings.step for settings in self.steps]
        scales = [isinstance(step, RobustScaler) for step in self.steps_]
        foreign = [name for name, is_scale in zip(names, scales, strict=True) if not is_scale]
        raise ArtifactError(
            f"A bundle cannot carry {', '.join(foreign or names[1:])} of the preprocessing "
            f"{', '.join(names)}; it carries a single robust_scale or standardize, or nothing. "
            "Fit the model with one of these."
        )

    @property
    def digest(self) -> str:
        """Of steps, columns and all that was learnt."""
        return _digest(self._content(), self._arrays())

    def save(self, folder: Path | str) -> None:
        """Write `preprocessor.json` and `preprocessor.safetensors` into `folder`, made if it is not there."""
        content, folder = self._content(), Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / FILES[0]).write_text(json.dumps({**content, "digest": self.digest}, indent=1))
        save_tensors(folder / FILES[1], self._arrays())

    @classmethod
    def load(cls, folder: Path | str) -> Self:
        """The fitted preprocessor that `save` wrote; transforms the same, bit for bit.

        Raises
        ------
        ArtifactError
            When it is not there, of another version, or not what was saved.
        """
        folder = Path(folder)
        try:
            content = json.loads((folder / FILES[0]).read_bytes())
            arrays, _ = load_tensors(folder / FILES[1])
        except (OSError, ValueError, ArtifactError) as error:
            raise ArtifactError(f"{folder} has no readable preprocessor ({error}); save it again.") from error
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            given = content.get("format") if isinstance(content, dict) else None
            raise ArtifactError(f"{folder} has preprocessor format {given}; this version reads {FORMAT}.")
        try:
            manager = cls(_STEPS.validate_python(content.get("steps")))
        except ValidationError as error:
            raise ArtifactError(
                f"{folder} has steps unknown to this version: {error.errors()[0]['msg']}. Read them with the "
                "version that wrote them, or fit again."
            ) from error
        expected, found = content.pop("digest", None), _digest(content, arrays)
        if found != expected:
            raise ArtifactError(
                f"The preprocessor in {folder} is not what was saved: its digest is {found}, expected "
                f"{expected}. Restore both files, or fit it again."
            )
        manager.feature_names_in = content["schema"]["names"]
        manager.dtypes = content["schema"]["dtypes"]
        manager.feature_names_out = content["names_out"]
        manager.steps_ = [
            STEPS[settings.step].restore(sub(arrays, str(i)), settings)
            for i, settings in enumerate(manager.steps)
        ]
        return manager

    def _content(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "steps": [settings.model_dump(mode="json") for settings in self.steps],
            "schema": {"names": self.feature_names_in, "dtypes": self.dtypes},
            "names_out": self.feature_names_out,
        }

    def _arrays(self) -> dict[str, Array]:
        return {
            f"{i}.{name}": value
            for i, step in enumerate(self.steps_)
            for name, value in step.arrays().items()
        }

    def _complete(self, train: Array, names: list[str]) -> Array:
        """The training rows that are finite in every column."""
        finite = np.isfinite(train)
        complete = finite.all(axis=1)
        if not complete.any():
            never = [name for name, column in zip(names, finite.T, strict=True) if not column.any()]
            raise SchemaError(
                f"None of the {len(train)} training rows is finite in every column; never finite: "
                f"{_listed(never) or 'none'}. Start after the warm-up, with more than {self.lookback} "
                "consecutive bars."
            )
        return train[complete]

    def _check_dtypes(self, X: pd.DataFrame) -> None:
        columns = zip(self.feature_names_in, X.dtypes, self.dtypes, strict=True)
        other = [
            f"'{name}' is {given}, expected {dtype}" for name, given, dtype in columns if str(given) != dtype
        ]
        if other:
            raise SchemaError(
                f"Columns are of another type than in training: {_listed(other)}; convert them with X.astype."
            )


def check_columns(expected: list[str], X: pd.DataFrame) -> None:
    """Raise `SchemaError` naming the columns that are missing, extra, there twice or out of order."""
    given = list(X.columns)
    if given == expected:
        return
    missing = [name for name in expected if name not in given]
    extra = [name for name in given if name not in expected]
    if missing or extra:
        raise SchemaError(
            f"Missing columns: {_listed(missing) or 'none'}; extra: {_listed(extra) or 'none'}."
        )
    if len(given) > len(expected):
        twice = list(dict.fromkeys(name for name in given if given.count(name) > 1))
        raise SchemaError(f"Columns that are there more than once: {_listed(twice)}; keep one of each.")
    moved = next(i for i, name in enumerate(expected) if given[i] != name)
    raise SchemaError(
        f"Columns are in another order than in training: column {moved} is '{given[moved]}', "
        f"expected '{expected[moved]}'."
    )


def _require_numbers(X: pd.DataFrame) -> list[str]:
    """The columns of a table that can be fitted on."""
    names = list(dict.fromkeys(X.columns))
    check_columns(names, X)
    odd = [f"{name!r}" for name in names if not isinstance(name, str | int | float)]
    if odd:
        raise SchemaError(f"Columns whose names are neither text nor numbers: {_listed(odd)}; rename them.")
    other = [f"'{name}' is {X[name].dtype}" for name in names if not pd.api.types.is_numeric_dtype(X[name])]
    if other:
        raise SchemaError(f"Columns that are no numbers: {_listed(other)}; drop or convert them.")
    return names


def _values(X: pd.DataFrame) -> NDArray[np.float64]:
    """As float64, row after row: sums come out alike however pandas keeps its columns."""
    return np.ascontiguousarray(X.to_numpy(dtype=np.float64))


def _digest(content: Mapping[str, Any], arrays: Mapping[str, Array]) -> str:
    return digest_json({**content, "arrays": digest_arrays(dict(sorted(arrays.items())))})


def _listed(names: Iterable[object], most: int = 10) -> str:
    """The first names, and how many more there are."""
    texts = [str(name) for name in names]
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return ", ".join(texts[:most]) + more
