"""All columns of a feature set over the bars of one market, and what it takes to go on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trading_assets.arrays import Floats, Singles
from trading_assets.config.settings import FeatureSet
from trading_assets.errors import ArtifactError, MarketError
from trading_assets.features.catalogue import Column, timeframe_seconds
from trading_assets.features.kernels.advance import KERNELS, advance
from trading_assets.features.kernels.rolling import ANCHOR
from trading_assets.features.series import N_SERIES
from trading_assets.features.timeframes import nothing_begun, resample, spread, start_of_buckets
from trading_assets.registry.tensors import load_tensors, save_tensors
from trading_assets.representation import one_line

Arrays = dict[str, NDArray[Any]]

FIELDS = ("timestamp", "open", "high", "low", "close", "volume", "funding_rate")
_NO_TIME = np.iinfo(np.int64).min / 1e9
"""What a missing time is in seconds."""


class _Bank:
    """The kernels of some columns on bars of one length, and all that they remember."""

    def __init__(self, columns: list[Column], kept: Mapping[str, NDArray[Any]] | None = None) -> None:
        numbers = [KERNELS.index(column.indicator.kernel) for column in columns]
        order = np.argsort(numbers, kind="stable")
        self._rows = order.astype(np.int64)
        self._starts = np.searchsorted(np.sort(numbers), np.arange(len(KERNELS) + 1)).astype(np.int64)
        sizes = [columns[i].indicator.state for i in order]
        self._offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        width = max(len(column.parameters) for column in columns)
        self._parameters = np.zeros((len(columns), max(width, 1)))
        for j, i in enumerate(order):
            self._parameters[j, : len(columns[i].parameters)] = columns[i].parameters
        self._history = max(column.memory for column in columns) + 2
        self._x = np.zeros((N_SERIES, self._history + 4 * ANCHOR))
        self._position = self._history
        self.seen = 0
        self._memory = np.zeros(self._offsets[-1])
        if kept is not None:
            self.seen = int(kept["seen"][0])
            self._memory[:] = kept["memory"]
            self._x[:, : self._history] = kept["history"]

    def advance(self, bars: Floats, out: Singles, first: int = 0) -> None:
        """Take in `bars` (shape (7, n)); column `c`'s values go to `out[c, first:first + n]`."""
        self._position = advance(
            bars, self._x, self._position, self.seen, self._history, self._starts, self._rows,
            self._offsets, self._memory, self._parameters, out, first,
        )  # fmt: skip
        self.seen += bars.shape[1]

    def state(self) -> Arrays:
        return {
            "seen": np.array([self.seen], dtype=np.int64),
            "memory": self._memory.copy(),
            "history": self._x[:, self._position - self._history : self._position].copy(),
        }


class _LargerBank:
    """Columns on larger bars, spread over the smaller ones they are made from."""

    def __init__(
        self,
        timeframe: str,
        columns: list[Column],
        interval: float,
        kept: Mapping[str, NDArray[Any]] | None = None,
    ) -> None:
        self._bank = _Bank(columns, kept)
        self._size, self._origin = float(timeframe_seconds(timeframe)), start_of_buckets(timeframe)
        self._warm_up = [column.warm_up + 1 for column in columns]
        self._partial = nothing_begun(interval) if kept is None else kept["partial"].copy()
        self._last = np.full(len(columns), np.nan, dtype=np.float32) if kept is None else kept["last"].copy()

    def advance(self, bars: Floats, out: Singles) -> None:
        n = bars.shape[1]
        larger, closed = np.empty((7, n + 1)), np.empty(n, dtype=np.int64)
        made = resample(bars, self._size, self._origin, self._partial, larger, closed)
        if made == 0:
            out[:] = self._last[:, None]
            return
        seen, values = self._bank.seen, np.empty((len(self._last), made), dtype=np.float32)
        self._bank.advance(np.ascontiguousarray(larger[:, :made]), values)
        for column, warm_up in zip(values, self._warm_up, strict=True):
            column[: max(warm_up - seen, 0)] = np.nan
        spread(values, self._last, closed, out)
        self._last = values[:, -1].copy()

    def state(self) -> Arrays:
        return {**self._bank.state(), "partial": self._partial.copy(), "last": self._last.copy()}


class Engine:
    """All columns of a feature set over the bars of one market, `interval` seconds apart (0: not known)."""

    def __init__(
        self, columns: list[Column], interval: float, kept: Mapping[str, NDArray[Any]] | None = None
    ) -> None:
        self.columns = columns
        self.last_time = -np.inf if kept is None else float(kept["last_time"][0])
        own = [column for column in columns if not column.timeframe]
        self._bank = _Bank(own, _part(kept, "own"))
        self._warm_up = np.array([column.warm_up for column in own])
        self._longest_warm_up = int(self._warm_up.max())
        self._frames = list(dict.fromkeys(column.timeframe for column in columns if column.timeframe))
        self._larger, self._slices, start = [], [], len(own)
        for frame in self._frames:
            some = [column for column in columns if column.timeframe == frame]
            self._larger.append(_LargerBank(frame, some, interval, _part(kept, frame)))
            self._slices.append(slice(start, start + len(some)))
            start += len(some)

    @property
    def seen(self) -> int:
        return self._bank.seen

    def advance(self, bars: Floats, out: Singles, first: int = 0) -> None:
        """Features of `bars` (shape (7, n)) into `out[:, first:first + n]`, a row a column."""
        n = bars.shape[1]
        if n == 0:
            return
        seen = self._bank.seen
        self._bank.advance(bars, out, first)
        if seen < self._longest_warm_up:
            for column in np.flatnonzero(self._warm_up > seen):
                out[column, first : first + min(self._warm_up[column] - seen, n)] = np.nan
        for larger, rows in zip(self._larger, self._slices, strict=True):
            larger.advance(bars, out[rows, first : first + n])
        self.last_time = float(bars[0, -1])

    def state(self) -> Arrays:
        arrays: Arrays = {"last_time": np.array([self.last_time])}
        banks: list[_Bank | _LargerBank] = [self._bank, *self._larger]
        for name, bank in zip(("own", *self._frames), banks, strict=True):
            arrays |= {f"{name}.{key}": array for key, array in bank.state().items()}
        return arrays


@dataclass(frozen=True)
class FeatureState:
    """What continuing a table needs.

    Attributes
    ----------
    feature_set : FeatureSet
        With every column named.
    funding : bool
        Whether the bars have a funding rate.
    arrays : dict of str to ndarray

    Examples
    --------
    >>> from trading_assets.features import FeatureStream, compute_features
    >>> from trading_assets.market import SyntheticMarket
    >>> bars = SyntheticMarket("price", 1.0, n_bars=500).bars
    >>> state = compute_features(bars[:400], FeatureSet(timeframes=(), names=("return_1",))).state
    >>> FeatureStream(state=state).push(bars.iloc[400]).shape
    (1,)
    """

    feature_set: FeatureSet
    funding: bool
    arrays: Arrays

    __repr__ = one_line

    def save(self, path: Path | str) -> None:
        """Write to a safetensors file."""
        about = {"feature_set": self.feature_set.model_dump(mode="json"), "funding": self.funding}
        save_tensors(Path(path), self.arrays, about)

    @classmethod
    def load(cls, path: Path | str) -> FeatureState:
        """Read what `save` wrote.

        Parameters
        ----------
        path : Path or str

        Returns
        -------
        FeatureState

        Raises
        ------
        ArtifactError
            When the file is damaged or something else.
        """
        arrays, about = load_tensors(Path(path))
        try:
            return cls(FeatureSet.model_validate(about["feature_set"]), bool(about["funding"]), arrays)
        except (KeyError, TypeError, ValueError) as error:
            raise ArtifactError(f"{path} is no state of features ({error}); compute them again.") from None


def narrowed(feature_set: FeatureSet, columns: list[Column]) -> FeatureSet:
    """The set that names exactly these columns."""
    larger = tuple(column for column in columns if column.timeframe)
    return feature_set.model_copy(
        update={
            "names": tuple(column.name for column in columns if not column.timeframe),
            "timeframes": tuple(dict.fromkeys(column.timeframe for column in larger)),
            "timeframe_names": tuple(column.name for column in larger),
        }
    )


def make_sense(rows: Floats, last: float) -> bool:
    """Whether bars come in order, after `last`, and hold nothing that no bar can."""
    if rows.shape[1] == 0:
        return True
    return bool(
        rows[0, 0] > max(last, _NO_TIME)
        and (np.diff(rows[0]) > 0).all()
        and rows[1:5].min() > 0
        and (rows[2] >= rows[3]).all()
        and rows[5].min() >= 0
        and isfinite(rows.sum())
    )


def refuse(rows: Floats, last: float, first: int) -> NoReturn:
    """Name the first bar that makes no sense; `first` is the number of the first of `rows`."""
    before = np.append(max(last, _NO_TIME), rows[0, :-1])
    for problem, bad in (
        ("does not come after the one before it", ~(rows[0] > before)),
        ("holds a number that is missing or infinite", ~np.isfinite(rows).all(axis=0)),
        ("has a price that is not positive; features are made of logarithms", (rows[1:5] <= 0).any(axis=0)),
        ("has its high below its low", rows[2] < rows[3]),
        ("has a negative volume", rows[5] < 0),
    ):
        if bad.any():
            bar = int(bad.argmax())
            time, earlier = _shown(rows[0, bar]), _shown(before[bar])
            names = zip(FIELDS[1:], rows[1:, bar], strict=True)
            shown = ", ".join(f"{name} {value:.10g}" for name, value in names)
            raise MarketError(
                f"Bar {first + bar} ({time}, the one before it {earlier}) {problem}: {shown}. "
                "market.read_bars repairs or rejects such bars."
            )
    raise MarketError("Bars add up to more than a number can hold.")


def _shown(time: float) -> str:
    return str(pd.Timestamp(time, unit="s", tz="UTC")) if time > _NO_TIME else "none"


def _part(kept: Mapping[str, NDArray[Any]] | None, name: str) -> Arrays | None:
    if kept is None:
        return None
    prefix = f"{name}."
    return {key.removeprefix(prefix): array for key, array in kept.items() if key.startswith(prefix)}
