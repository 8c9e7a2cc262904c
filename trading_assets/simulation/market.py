"""Bars, what a policy sees of them, and what trading in them is like."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trading_assets.arguments import as_numbers, as_whole_number, require
from trading_assets.arrays import Floats
from trading_assets.config.settings import CostSettings, EnvConfig
from trading_assets.market.bars import bar_seconds, to_matrix
from trading_assets.risk.market_window import N_UNITS, unit_risk
from trading_assets.risk.rules import pack_limits, watches_market
from trading_assets.simulation.kernel import LIQUIDITY, UNIT, VOLATILITY, pack_config

if TYPE_CHECKING:
    from trading_assets.features.table import FeatureTable

Table = NDArray[np.float32]
N_BAR_COLUMNS = 8


@dataclass(frozen=True)
class Market:
    """One symbol's bars under one configuration; make it with `Market.make`.

    Attributes
    ----------
    bars : ndarray of shape (n_bars, 8)
        As from `market.bars.to_matrix`: open time in seconds, prices, volume, funding rate, and the part of
        the rate that falls due after the open (0 where bars have no such column).
    table : ndarray of shape (n_bars, n_columns), float32
        What a policy sees of each bar at its close.
    config : EnvConfig
    conditions : ndarray of shape (n_bars, 7)
        As known at the close of each bar: volatility and volume that costs depend on, risk of one unit.
    start, stop : int
        Bars `start` to `stop - 1` are used; no price beyond them is read.

    Examples
    --------
    >>> from trading_assets.market import SyntheticMarket
    >>> Market.make(SyntheticMarket("price", 1.0, n_bars=500).bars).between(100, 200)
    Market(500 bars of 3600 s with 0 columns, traded from 100 to 199)
    """

    bars: Floats
    table: Table
    config: EnvConfig
    conditions: Floats
    start: int
    stop: int
    made_for: EnvConfig
    """The configuration that `conditions` were computed for."""
    interval: float
    """Seconds from a bar's open to its close."""

    def __post_init__(self) -> None:
        for name in ("start", "stop"):
            as_whole_number(name, getattr(self, name))
        if self.config != self.made_for:
            raise ValueError("A market is made for its configuration; market.under(config) makes another.")
        if self.table.ndim != 2 or len(self.table) != len(self.bars):
            raise ValueError(
                f"table has shape {self.table.shape}; expected a row for each of the {len(self.bars)} bars."
            )
        first = self.start - self.config.window + 1
        if not 0 <= first <= self.start <= self.stop - 2 < len(self.bars) - 1:
            raise ValueError(
                f"start={self.start}, stop={self.stop}: expected at least two bars from "
                f"{self.config.window - 1} on (a window of {self.config.window} bars is seen), within "
                f"{len(self.bars)}."
            )
        wrong = ~np.isfinite(self.table[first : self.stop]).all(axis=1)
        if wrong.any():
            raise ValueError(
                f"The table holds values that are not finite in {wrong.sum()} of the bars to be seen, the "
                f"first at bar {first + wrong.argmax()}; begin after the features' warm-up."
            )

    def __repr__(self) -> str:
        return (
            f"Market({len(self.bars):,} bars of {self.interval:g} s with {self.table.shape[1]} columns, "
            f"traded from {self.start:,} to {self.stop - 1:,})"
        )

    @classmethod
    def make(
        cls,
        bars: Floats | pd.DataFrame,
        table: NDArray[np.floating] | pd.DataFrame | FeatureTable | None = None,
        config: EnvConfig | None = None,
        *,
        start: int | None = None,
        stop: int | None = None,
    ) -> Self:
        """A market of all bars, or of `start` to `stop - 1`; without a table a policy sees its account only.

        Parameters
        ----------
        bars : DataFrame or ndarray of shape (n_bars, 7)
            As from `market.read_bars`, or from `market.bars.to_matrix`.
        table : FeatureTable, DataFrame or ndarray of shape (n_bars, n_columns), optional
            What a policy sees of each bar at its close; finite from `start - window + 1` on.
        config : EnvConfig, optional
        start, stop : int, optional
            The first bar at whose close is decided, and the one after the last; by default as many as there
            are.

        Raises
        ------
        ArgumentError
            When one of them is something else.
        MarketError
            When `bars` is a frame of something else.
        ValueError
            When shapes do not fit, a bar is none (prices, volume, order of time), or the table holds a value
            that is not finite in a bar that a policy would see.
        """
        config = EnvConfig() if config is None else config
        require("config", config, EnvConfig)
        bars = to_matrix(bars) if isinstance(bars, pd.DataFrame) else as_numbers("bars", bars)
        bars = _checked_bars(bars)
        return cls(
            bars,
            np.empty((len(bars), 0), dtype=np.float32) if table is None else _table_of(table),
            config,
            _conditions(bars, config),
            config.window - 1 if start is None else start,
            len(bars) if stop is None else stop,
            config,
            bar_seconds(bars[:, 0]),
        )

    def between(self, start: int, stop: int) -> Self:
        """The same market, traded from the close of bar `start` to that of bar `stop - 1`.

        Parameters
        ----------
        start, stop : int

        Returns
        -------
        Market

        Raises
        ------
        ValueError
            When there are not two bars between them, or a window before the first.
        """
        return replace(self, start=start, stop=stop)

    def showing(self, table: NDArray[np.floating] | pd.DataFrame | FeatureTable) -> Self:
        """The same market, seen through another table.

        Parameters
        ----------
        table : FeatureTable, DataFrame or ndarray of shape (n_bars, n_columns)

        Returns
        -------
        Market

        Raises
        ------
        ValueError
            When it has not one row a bar, or is not finite in a bar that a policy would see.
        """
        return replace(self, table=_table_of(table))

    def under(self, config: EnvConfig) -> Self:
        """The same stretch of the same market under another configuration.

        Parameters
        ----------
        config : EnvConfig

        Returns
        -------
        Market
        """
        return self.make(self.bars, self.table, config, start=self.start, stop=self.stop)

    @property
    def world(self) -> tuple[Floats, Floats, Floats, Floats]:
        """Bars, conditions, configuration and limits, as the kernel takes them."""
        limits = pack_limits(self.config.risk, self.config.costs.capital)
        return self.bars, self.conditions, pack_config(self.config, self.interval), limits

    @property
    def n_decisions(self) -> int:
        """Decisions between start and stop: the last one fills at the open of the last bar."""
        return self.stop - self.start - 1


def _table_of(table: Any) -> Table:
    """A feature table, a frame or an array as the array that is seen."""
    return as_numbers("table", getattr(table, "frame", table), np.float32, expected="a row of numbers a bar")


def _checked_bars(bars: Floats) -> Floats:
    if bars.ndim != 2 or bars.shape[1] not in {N_BAR_COLUMNS - 1, N_BAR_COLUMNS} or len(bars) < 2:
        raise ValueError(
            f"bars have shape {bars.shape}; expected (n_bars, 7) with 2 bars or more: time, open, high, low, "
            "close, volume, funding rate, and an eighth where a part of the rate falls due after the open "
            "(market.bars.to_matrix makes them)."
        )
    given, bars = bars, _cache_lines(len(bars))
    bars[:, : given.shape[1]] = given
    time, opening, high, low, close, volume, *_ = bars.T
    usable = np.isfinite(bars).all(axis=1) & (bars[:, 1:5] > 0).all(axis=1) & (volume >= 0)
    usable &= (low <= np.minimum(opening, close)) & (high >= np.maximum(opening, close))
    usable[1:] &= np.diff(time) > 0
    if not usable.all():
        wrong = int(usable.argmin())
        raise ValueError(
            f"Bar {wrong} is {bars[wrong].tolist()}; expected finite numbers, positive prices between low "
            "and high, no negative volume, and a time after the bar before."
        )
    return bars


def _cache_lines(n_bars: int) -> Floats:
    """Zeros of shape (n_bars, 8) with every bar in one line of the cache, 64 bytes: one fetch a bar."""
    room = np.zeros((n_bars + 1) * N_BAR_COLUMNS)
    first = -room.ctypes.data % 64 // room.itemsize
    return room[first : first + n_bars * N_BAR_COLUMNS].reshape(n_bars, N_BAR_COLUMNS)


def _conditions(bars: Floats, config: EnvConfig) -> Floats:
    conditions = np.zeros((len(bars), UNIT + N_UNITS))
    costs = config.costs
    if costs.slippage_volatility > 0 or costs.impact > 0:
        conditions[:, VOLATILITY] = _volatility(bars, costs)
        notional = pd.Series(bars[:, 4] * bars[:, 5]).rolling(costs.liquidity_window, min_periods=1).mean()
        conditions[:, LIQUIDITY] = notional.to_numpy() / costs.capital
    if watches_market(config.risk):
        unit_risk(bars[:, 4].copy(), config.risk.window, config.risk.tail, conditions[:, UNIT:])
    return conditions


def _volatility(bars: Floats, costs: CostSettings) -> Floats:
    returns = pd.Series(np.diff(np.log(bars[:, 4]), prepend=np.log(bars[0, 4])))
    deviation = returns.rolling(costs.liquidity_window, min_periods=2).std().to_numpy()
    return np.asarray(np.nan_to_num(deviation))
