"""The feature table: computed in full, or by appending."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from trading_assets.arguments import require
from trading_assets.arrays import Singles
from trading_assets.config.settings import FeatureSet
from trading_assets.errors import MarketError, SettingsError
from trading_assets.features.catalogue import Column, leave_out, select
from trading_assets.features.engine import Engine, FeatureState, make_sense, narrowed, refuse
from trading_assets.market.bars import as_bars, bar_seconds, no_bar, to_rows
from trading_assets.registry.tables import read_table, write_table

_LARGEST_BLOCK = 65_536


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

    Examples
    --------
    See `compute_features`.
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

    def __repr__(self) -> str:
        return f"FeatureTable({len(self):,} bars of {self.interval:g} s, {len(self.columns)} features)"

    def save(self, folder: Path | str) -> None:
        """Write the rows, what continues them, and what they are to `folder`, which need not be there yet."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        write_table(self.frame, folder / "features.parquet")
        self.state.save(folder / "state.safetensors")
        about = {"interval": self.interval, "warm_up": self.warm_up, "left_out": dict(self.left_out)}
        (folder / "features.json").write_text(json.dumps(about, indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path | str) -> FeatureTable:
        """Read what `save` wrote, ready to be continued."""
        folder = Path(folder)
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
        In the form of `market.read_bars`; `funding_rate` is optional. Capital names and times in the index
        are taken.
    feature_set : FeatureSet, optional
        By default the whole catalogue. Columns whose input is missing or always the same are left out.

    Returns
    -------
    FeatureTable

    Raises
    ------
    MarketError
        When there are no bars or not all of their columns, prices are text or times have no zone, or bars are
        not in order or hold what no bar can.
    SettingsError
        When the set names what is not in the catalogue, or the bars have no input for any of it.

    Examples
    --------
    >>> from trading_assets.market import SyntheticMarket
    >>> bars = SyntheticMarket("price", 1.0, n_bars=500).bars
    >>> table = compute_features(bars, FeatureSet(timeframes=(), names=("return_1", "rsi_14")))
    >>> table.frame.shape
    (500, 2)
    """
    feature_set = FeatureSet() if feature_set is None else feature_set
    require("feature_set", feature_set, FeatureSet)
    bars = as_bars(bars)
    if len(bars) == 0:
        raise no_bar("a frame without rows", "the first bar settles what a table has columns of")
    columns, left_out, interval = choose_columns(bars, feature_set)
    engine = Engine(columns, interval)
    buffer = _Buffer(len(columns), _roomy(len(bars)))
    _fill(engine, bars, buffer.values, 0)
    buffer.used = len(bars)
    state = FeatureState(narrowed(feature_set, columns), "funding_rate" in bars, engine.state())
    return FeatureTable(tuple(columns), left_out, interval, state, buffer, len(bars))


def choose_columns(bars: pd.DataFrame, feature_set: FeatureSet) -> tuple[list[Column], dict[str, str], float]:
    """Columns that these bars have the input for, the others with the reason, and the bars' interval (s)."""
    interval = bar_seconds(pd.DatetimeIndex(bars["timestamp"]).as_unit("ns").asi8 / 1e9)
    there = {
        "volume": _varies(bars["volume"]),
        "funding": "funding_rate" in bars and _varies(bars["funding_rate"]),
        "range": bool((bars["high"] > bars["low"]).any()),
    }
    has = [name for name, is_there in there.items() if is_there]
    columns, left_out = leave_out(select(feature_set), interval=interval, has=has)
    if all(column.timeframe for column in columns):
        reasons = "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
        raise SettingsError(f"These bars have no input for any of the features asked for ({reasons}).")
    return columns, left_out, interval


def append_features(table: FeatureTable, new_bars: pd.DataFrame) -> FeatureTable:
    """The table continued by `new_bars`; equal bit for bit to computing all bars at once.

    Costs what the new bars cost: the rows that are there are shared with `table`, which stays as it is. How
    long bars are was settled by the bars of the table (`interval`): a few with gaps are too few.

    Parameters
    ----------
    table : FeatureTable
    new_bars : DataFrame
        As from `market.read_bars`.

    Returns
    -------
    FeatureTable

    Raises
    ------
    MarketError
        When `new_bars` do not come after the bars of the table, hold what no bar can, or are more than
        those and of another interval.

    Examples
    --------
    >>> from trading_assets.market import SyntheticMarket
    >>> bars = SyntheticMarket("price", 1.0, n_bars=500).bars
    >>> table = compute_features(bars[:400], FeatureSet(timeframes=(), names=("return_1",)))
    >>> len(append_features(table, bars[400:]))
    500
    """
    require("table", table, FeatureTable)
    new_bars = as_bars(new_bars)
    engine = Engine(list(table.columns), table.interval, table.state.arrays)
    if ("funding_rate" in new_bars) != table.state.funding:
        raise MarketError("Bars with and without a funding_rate cannot be one table; compute it anew.")
    interval = table.interval
    if interval == 0 or len(new_bars) > len(table):
        seen = [engine.last_time] * (engine.seen > 0)
        found = bar_seconds(np.concatenate([np.array(seen), to_rows(new_bars)[0]]))
        if interval not in {0, found}:
            raise MarketError(
                f"The bars of the table are {interval:g} s apart, most of the {len(new_bars)} new ones "
                f"{found:g} s; compute it anew."
            )
        interval = found
    rows, buffer = len(table) + len(new_bars), table._buffer
    if buffer.used != len(table) or rows > buffer.values.shape[1]:
        buffer = _Buffer(len(table.columns), _roomy(rows))
        buffer.values[:, : len(table)] = table._buffer.values[:, : len(table)]
    _fill(engine, new_bars, buffer.values, len(table))
    buffer.used = rows
    state = FeatureState(table.feature_set, table.state.funding, engine.state())
    return FeatureTable(table.columns, table.left_out, interval, state, buffer, rows)


def _fill(engine: Engine, bars: pd.DataFrame, values: Singles, first: int) -> None:
    """Advance in blocks, so that working memory stays small."""
    for start in range(0, len(bars), _LARGEST_BLOCK):
        rows = to_rows(bars.iloc[start : start + _LARGEST_BLOCK])
        if not make_sense(rows, engine.last_time):
            refuse(rows, engine.last_time, first + start)
        engine.advance(rows, values, first + start)


def _roomy(rows: int) -> int:
    """Capacity for a table of so many rows; memory that is not written to costs nothing."""
    return rows + max(rows // 8, 4_096)


def _varies(column: pd.Series[Any]) -> bool:
    return bool(np.ptp(column.to_numpy()) > 0)
