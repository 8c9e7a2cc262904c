"""Features live, one bar at a time, from the same kernels as the table."""

from __future__ import annotations

from math import isfinite
from typing import Any

import numpy as np
import pandas as pd

from trading_assets.arguments import require
from trading_assets.arrays import Singles
from trading_assets.config.settings import FeatureSet
from trading_assets.errors import MarketError, SchemaError
from trading_assets.features.catalogue import Column, select
from trading_assets.features.engine import Engine, FeatureState, narrowed, refuse
from trading_assets.market.bars import no_bar


class FeatureStream:
    """Features live, one bar at a time.

    Parameters
    ----------
    feature_set : FeatureSet, optional
        By default the whole catalogue. What a market has no input for cannot be seen from its first bar:
        to have the columns of a table, give `FeatureTable.feature_set` or a state.
    state : FeatureState, optional
        `FeatureTable.state` to go on from; without it the stream starts before the first bar, and learns
        from the first three how long bars are.

    Examples
    --------
    >>> from trading_assets.market import SyntheticMarket
    >>> stream = FeatureStream(FeatureSet(timeframes=(), names=("return_1", "rsi_14")))
    >>> bars = SyntheticMarket("price", 1.0, n_bars=50).bars
    >>> [stream.push(bar) for bar in bars.itertuples()][-1].shape
    (2,)
    """

    def __init__(self, feature_set: FeatureSet | None = None, state: FeatureState | None = None) -> None:
        if state is not None:
            require("state", state, FeatureState)
        if feature_set is None:
            feature_set = FeatureSet() if state is None else state.feature_set
        require("feature_set", feature_set, FeatureSet)
        self._feature_set = feature_set
        self._engine: Engine | None = None
        self._funding = False
        self._bar = np.zeros((7, 1))
        if state is not None:
            self._start(state.funding, state)

    def __repr__(self) -> str:
        if self._engine is None:
            return "FeatureStream(no bar seen)"
        return f"FeatureStream({self._engine.seen:,} bars seen, {len(self.columns)} features)"

    @property
    def columns(self) -> tuple[Column, ...]:
        """What `push` returns; known once there is a state or a first bar."""
        return tuple(self._engine.columns) if self._engine else ()

    @property
    def state(self) -> FeatureState:
        """After the last bar pushed; raises `MarketError` before the first."""
        if self._engine is None:
            raise MarketError("The stream has seen no bar yet, so there is no state to save.")
        chosen = narrowed(self._feature_set, self._engine.columns)
        return FeatureState(chosen, self._funding, self._engine.state())

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
            raise no_bar(repr(bar), error, funding=funding) from None
        engine = self._engine
        last = engine.last_time if engine else -np.inf
        self._bar[:, 0] = numbers
        if not (  # as `make_sense`, which takes longer for one bar than its features do
            numbers[0] > last
            and min(numbers[1:5]) > 0
            and numbers[2] >= numbers[3]
            and numbers[5] >= 0
            and isfinite(sum(numbers))
        ):
            refuse(self._bar, last, engine.seen if engine else 0)
        engine = engine or self._start(funding, None)
        out = np.empty((len(engine.columns), 1), dtype=np.float32)
        engine.advance(self._bar, out)
        features: Singles = out[:, 0]
        return features

    def _start(self, funding: bool, state: FeatureState | None) -> Engine:
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
        self._engine = Engine(columns, 0.0, state.arrays if state else None)
        return self._engine


def _fields_of(bar: Any, funding: bool) -> tuple[float, ...]:
    """The seven numbers of a bar given as a named tuple or a mapping."""
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
