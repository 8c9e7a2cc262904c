"""The feature table: in batch, by appending, and live, from the same kernels."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import isfinite
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file

from trading_assets.config.settings import FeatureSet
from trading_assets.errors import MarketError, SchemaError, SettingsError
from trading_assets.features.catalogue import Column, leave_out, select, timeframe_seconds
from trading_assets.features.kernels import ANCHOR, KERNELS, advance
from trading_assets.features.series import N_SERIES
from trading_assets.features.timeframes import nothing_begun, resample, spread, start_of_buckets
from trading_assets.market.bars import bar_seconds, to_rows
from trading_assets.registry.tables import read_table, write_table

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Arrays = dict[str, NDArray[Any]]

_FIELDS = ("timestamp", "open", "high", "low", "close", "volume", "funding_rate")
_LARGEST_BLOCK = 65_536


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


class _Engine:
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
    """

    feature_set: FeatureSet
    funding: bool
    arrays: Arrays

    def save(self, path: Path) -> None:
        """Write to a safetensors file."""
        about = {"feature_set": self.feature_set.model_dump_json(), "funding": json.dumps(self.funding)}
        save_file(self.arrays, path, about)

    @classmethod
    def load(cls, path: Path) -> FeatureState:
        with safe_open(path, "numpy") as file:
            about = file.metadata()
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return cls(FeatureSet.model_validate_json(about["feature_set"]), json.loads(about["funding"]), arrays)


class _Buffer:
    """Rows of a table with room at the end, so that appending copies nothing that is there."""

    def __init__(self, n_columns: int, capacity: int) -> None:
        self.values = np.empty((n_columns, capacity), dtype=np.float32)
        self.used = 0


@dataclass(frozen=True)
class FeatureTable:
    """Features of every bar and what it takes to go on.

    Attributes
    ----------
    columns : tuple of Column
    left_out : dict of str to str
        Columns that this market has no input for, and why.
    interval : float
        Seconds between bars.
    state : FeatureState
        After the last bar.
    """

    columns: tuple[Column, ...]
    left_out: Mapping[str, str]
    interval: float
    state: FeatureState
    _buffer: _Buffer
    _rows: int

    def __len__(self) -> int:
        return self._rows

    @cached_property
    def frame(self) -> pd.DataFrame:
        """Shape (n_bars, n_features), float32, a row a bar; NaN in the warm-up and nowhere else."""
        names = [column.name for column in self.columns]
        return pd.DataFrame(self._buffer.values[:, : self._rows].T, columns=names, copy=False)

    @property
    def feature_set(self) -> FeatureSet:
        """The set with every column named, as it is after what had to be left out."""
        return self.state.feature_set

    @cached_property
    def warm_up(self) -> int:
        """Rows at the start in which some value may be NaN."""
        stated = max(column.rows_of_warm_up(self.interval) for column in self.columns)
        # Larger bars take longer to come where the interval of the bars changes or bars are missing.
        larger = [i for i, column in enumerate(self.columns) if column.timeframe]
        missing = (int(np.isnan(self._buffer.values[i, : self._rows]).sum()) for i in larger)
        return max(stated, *missing, 0)

    def save(self, folder: Path) -> None:
        """Write the rows, what continues them, and what they are to `folder`."""
        write_table(self.frame, folder / "features.parquet")
        self.state.save(folder / "state.safetensors")
        about = {"interval": self.interval, "warm_up": self.warm_up, "left_out": dict(self.left_out)}
        (folder / "features.json").write_text(json.dumps(about, indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path) -> FeatureTable:
        """Read what `save` wrote, ready to be continued."""
        about = json.loads((folder / "features.json").read_bytes())
        state = FeatureState.load(folder / "state.safetensors")
        columns = tuple(select(state.feature_set))
        frame = read_table(folder / "features.parquet")
        buffer = _Buffer(len(columns), _roomy(len(frame)))
        for row, column in zip(buffer.values, columns, strict=True):
            row[: len(frame)] = frame[column.name].to_numpy()
        buffer.used = len(frame)
        return cls(columns, about["left_out"], about["interval"], state, buffer, len(frame))


def compute_features(bars: pd.DataFrame, feature_set: FeatureSet | None = None) -> FeatureTable:
    """Features of all bars.

    Parameters
    ----------
    bars : DataFrame
        In the form of `market.read_bars`; `funding_rate` is optional.
    feature_set : FeatureSet, optional
        By default the whole catalogue. Columns whose input is missing or always the same are left out.

    Raises
    ------
    MarketError
        When bars are not in order, or hold what no bar can.
    SettingsError
        When the set names what is not in the catalogue, or the bars have no input for any of it.
    """
    feature_set = feature_set or FeatureSet()
    columns, left_out, interval = choose_columns(bars, feature_set)
    engine = _Engine(columns, interval)
    buffer = _Buffer(len(columns), _roomy(len(bars)))
    _fill(engine, bars, buffer.values, 0)
    buffer.used = len(bars)
    state = FeatureState(_named(feature_set, columns), "funding_rate" in bars, engine.state())
    return FeatureTable(tuple(columns), left_out, interval, state, buffer, len(bars))


def choose_columns(bars: pd.DataFrame, feature_set: FeatureSet) -> tuple[list[Column], dict[str, str], float]:
    """Columns that these bars have the input for, the others with the reason, and the bars' interval (s)."""
    interval = bar_seconds(pd.DatetimeIndex(bars["timestamp"]).as_unit("ns").asi8 / 1e9)
    there = {
        "volume": len(bars) == 0 or _varies(bars["volume"]),
        "funding": "funding_rate" in bars and _varies(bars["funding_rate"]),
        "range": len(bars) == 0 or bool((bars["high"] > bars["low"]).any()),
    }
    has = [name for name, is_there in there.items() if is_there]
    columns, left_out = leave_out(select(feature_set), interval=interval, has=has)
    if all(column.timeframe for column in columns):
        reasons = "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
        raise SettingsError(f"These bars have no input for any of the features asked for ({reasons}).")
    return columns, left_out, interval


def append_features(table: FeatureTable, new_bars: pd.DataFrame) -> FeatureTable:
    """The table continued by `new_bars`; equal bit for bit to computing all bars at once.

    Costs what the new bars cost: the rows that are there are shared with `table`, which stays as it is.

    Raises
    ------
    MarketError
        When `new_bars` do not come after the bars of the table, or hold what no bar can.
    """
    engine = _Engine(list(table.columns), table.interval, table.state.arrays)
    if ("funding_rate" in new_bars) != table.state.funding:
        raise MarketError("Bars with and without a funding_rate cannot be one table; compute it anew.")
    interval = table.interval or bar_seconds(
        np.concatenate([np.array([engine.last_time] * (engine.seen > 0)), to_rows(new_bars)[0]])
    )
    rows, buffer = len(table) + len(new_bars), table._buffer
    if buffer.used != len(table) or rows > buffer.values.shape[1]:
        buffer = _Buffer(len(table.columns), _roomy(rows))
        buffer.values[:, : len(table)] = table._buffer.values[:, : len(table)]
    _fill(engine, new_bars, buffer.values, len(table))
    buffer.used = rows
    state = FeatureState(table.feature_set, table.state.funding, engine.state())
    return FeatureTable(table.columns, table.left_out, interval, state, buffer, rows)


class FeatureStream:
    """Features live, one bar at a time.

    Parameters
    ----------
    feature_set : FeatureSet, optional
        By default the whole catalogue. What a market has no input for cannot be seen from its first bar:
        to have the columns of a table, give `table.feature_set` or a state.
    state : FeatureState, optional
        `FeatureTable.state` to go on from; without it the stream starts before the first bar.
    """

    def __init__(self, feature_set: FeatureSet | None = None, state: FeatureState | None = None) -> None:
        self._feature_set = feature_set or (state.feature_set if state else FeatureSet())
        self._engine: _Engine | None = None
        self._funding = False
        self._bar = np.zeros((7, 1))
        if state is not None:
            self._start(state.funding, state)

    @property
    def columns(self) -> tuple[Column, ...]:
        """What `push` returns; known once there is a state or a first bar."""
        return tuple(self._engine.columns) if self._engine else ()

    @property
    def state(self) -> FeatureState:
        """After the last bar pushed; raises `MarketError` before the first."""
        if self._engine is None:
            raise MarketError("The stream has seen no bar yet, so there is no state to save.")
        named = _named(self._feature_set, self._engine.columns)
        return FeatureState(named, self._funding, self._engine.state())

    def push(self, bar: Any) -> Singles:
        """Features of the bar that has just closed.

        Parameters
        ----------
        bar : mapping or named tuple
            With the fields of a row of bars: `timestamp`, `open`, `high`, `low`, `close`, `volume`, and
            `funding_rate` where the market has one.

        Returns
        -------
        ndarray of shape (n_features,), float32

        Raises
        ------
        MarketError
            When the bar does not come after the one before, has a time without zone, or cannot be.
        """
        funding = self._funding
        try:
            if self._engine is None:
                funding = _has(bar, "funding_rate")
            numbers = _fields_of(bar, funding)
        except (KeyError, AttributeError, TypeError, ValueError, OverflowError) as error:
            needed = _FIELDS if funding else _FIELDS[:-1]
            raise MarketError(f"A bar needs the fields {', '.join(needed)}; got {bar!r} ({error}).") from None
        engine = self._engine
        last = engine.last_time if engine else -np.inf
        self._bar[:, 0] = numbers
        if not (
            numbers[0] > last
            and min(numbers[1:5]) > 0
            and numbers[2] >= numbers[3]
            and numbers[5] >= 0
            and isfinite(sum(numbers))
        ):
            _refuse(self._bar, last, engine.seen if engine else 0)
        engine = engine or self._start(funding, None)
        out = np.empty((len(engine.columns), 1), dtype=np.float32)
        engine.advance(self._bar, out)
        features: Singles = out[:, 0]
        return features

    def _start(self, funding: bool, state: FeatureState | None) -> _Engine:
        self._funding = funding
        columns = select(self._feature_set)
        if state is None:
            columns = [column for column in columns if funding or column.indicator.needs != "funding"]
        else:
            expected = select(state.feature_set)
            names = {column.name for column in columns}
            if not {column.name for column in expected} <= names:
                raise SchemaError(
                    "The state belongs to other features than the feature set asks for; "
                    "use the state's own (state.feature_set), or compute the table anew."
                )
            columns = expected
        self._engine = _Engine(columns, 0.0, state.arrays if state else None)
        return self._engine


def _fill(engine: _Engine, bars: pd.DataFrame, values: Singles, first: int) -> None:
    """Advance in blocks, so that working memory stays small."""
    for start in range(0, len(bars), _LARGEST_BLOCK):
        rows = to_rows(bars.iloc[start : start + _LARGEST_BLOCK])
        if not _make_sense(rows, engine.last_time):
            _refuse(rows, engine.last_time, first + start)
        engine.advance(rows, values, first + start)


def _roomy(rows: int) -> int:
    """Capacity for a table of so many rows; memory that is not written to costs nothing."""
    return rows + max(rows // 8, 4_096)


def _varies(column: pd.Series[Any]) -> bool:
    return bool(len(column) and np.ptp(column.to_numpy()) > 0)


def _named(feature_set: FeatureSet, columns: list[Column]) -> FeatureSet:
    """The set that names exactly these columns."""
    larger = tuple(column for column in columns if column.timeframe)
    return feature_set.model_copy(
        update={
            "names": tuple(column.name for column in columns if not column.timeframe),
            "timeframes": tuple(dict.fromkeys(column.timeframe for column in larger)),
            "timeframe_names": tuple(column.name for column in larger),
        }
    )


def _part(kept: Mapping[str, NDArray[Any]] | None, name: str) -> Arrays | None:
    if kept is None:
        return None
    prefix = f"{name}."
    return {key.removeprefix(prefix): array for key, array in kept.items() if key.startswith(prefix)}


def _fields_of(bar: Any, funding: bool) -> tuple[float, ...]:
    """The seven numbers of a bar given as a named tuple or a mapping; NaN for a time that is none."""
    if isinstance(bar, tuple):
        given: Any = (bar.timestamp, bar.open, bar.high, bar.low, bar.close, bar.volume)  # type: ignore[attr-defined]
        rate = bar.funding_rate if funding else 0.0  # type: ignore[attr-defined]
    else:
        given = (bar["timestamp"], bar["open"], bar["high"], bar["low"], bar["close"], bar["volume"])
        rate = bar["funding_rate"] if funding else 0.0
    time = given[0]
    if not isinstance(time, pd.Timestamp):
        if isinstance(time, int | float | np.number):
            raise TypeError("the timestamp is a number; pd.Timestamp(number, unit='ms', tz='UTC') is a time")
        time = pd.Timestamp(time)
    if time.tzinfo is None:
        raise ValueError("the timestamp is missing or has no time zone")
    return (time.as_unit("ns").value / 1e9, *map(float, given[1:]), float(rate))


def _has(bar: Any, name: str) -> bool:
    return name in bar._fields if isinstance(bar, tuple) and hasattr(bar, "_fields") else name in bar


def _make_sense(rows: Floats, last: float) -> bool:
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


_NO_TIME = np.iinfo(np.int64).min / 1e9
"""What a missing time is in seconds."""


def _refuse(rows: Floats, last: float, first: int) -> NoReturn:
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
            names = zip(_FIELDS[1:], rows[1:, bar], strict=True)
            shown = ", ".join(f"{name} {value:.10g}" for name, value in names)
            raise MarketError(
                f"Bar {first + bar} ({time}, the one before it {earlier}) {problem}: {shown}. "
                "market.read_bars repairs or rejects such bars."
            )
    raise MarketError("Bars add up to more than a number can hold.")


def _shown(time: float) -> str:
    return str(pd.Timestamp(time, unit="s", tz="UTC")) if time > _NO_TIME else "none"
