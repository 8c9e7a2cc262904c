"""Targets, each with the bars its answer is made of, so that validation knows what to purge.

A bar is observed at its close and an order fills at the next open: the label of bar t begins at open[t+1].
A label's span holds every bar that decided it, also those that decided which of several answers it got.
A price that did not move went neither up nor down: there is no label, and the answers to 1 / price are the
opposite ones wherever there are any.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view

from trading_assets.arrays import Floats, Rows
from trading_assets.compilation import compiled
from trading_assets.config.settings import LabelSettings
from trading_assets.errors import MarketError
from trading_assets.features.catalogue import timeframe_seconds
from trading_assets.features.series import DECAY
from trading_assets.representation import one_line

TARGETS = ("forward_return", "direction", "high_variance")
ROUNDING = 1e-12
"""Moves of ln(price) up to this are no moves."""
TIED = 1e-9
"""Share by which two figures made of such moves may differ and still be the same."""
_TIME, _OPEN, _HIGH, _LOW, _CLOSE = range(5)


@dataclass(frozen=True)
class Labels:
    """Targets of every bar; NaN where the bars that decide them are not there yet, or do not decide them.

    Attributes
    ----------
    forward_return : ndarray of shape (n_bars,)
        What a long position earns from open[t+1] to where the label ends, before costs.
    direction : ndarray of shape (n_bars,)
        1.0 up, 0.0 down, in the sense of `LabelSettings.kind`; NaN where the price did not move, or one bar
        reached both barriers.
    high_variance : ndarray of shape (n_bars,)
        1.0 where the next bars' variance (of the gap to each open, and Parkinson's of its range) exceeds the
        median of the trailing ones, 0.0 where it is below; NaN where it is the same, as in a market that
        stands still.
    label_start, label_end : ndarray of shape (n_bars,), int64
        First and last bar that the targets depend on, both included; the end may lie beyond the last bar.
    direction_end : ndarray of shape (n_bars,), int64
        Last bar that `direction` and `forward_return` depend on, at most `label_end`.

    Examples
    --------
    See `make_labels`.
    """

    forward_return: Floats
    direction: Floats
    high_variance: Floats
    label_start: Rows
    label_end: Rows
    direction_end: Rows

    __repr__ = one_line


@dataclass(frozen=True)
class Events:
    """Labels of chosen bars.

    Attributes
    ----------
    position : ndarray of shape (n_events,), int64
        The bar at whose close each is asked.
    outcome : ndarray of shape (n_events,)
        Triple barrier: 1 profit taken, -1 stopped, 0 time was up. Meta: 1 the side was right, 0 it was
        not, NaN where the price was the same in the end. Trend: its sign, 0 for none. NaN where it is not
        decided yet.
    value : ndarray of shape (n_events,)
        Return of the position (barriers, meta), or the t-value of the trend.
    label_start, label_end : ndarray of shape (n_events,), int64
        In bars, both included.

    Examples
    --------
    See `triple_barrier`.
    """

    position: Rows
    outcome: Floats
    value: Floats
    label_start: Rows
    label_end: Rows

    __repr__ = one_line


def make_labels(bars: Floats, settings: LabelSettings) -> Labels:
    """Labels of every bar as the settings ask for them.

    Parameters
    ----------
    bars : ndarray of shape (n_bars, 7)
        As from `market.to_matrix`.
    settings : LabelSettings

    Returns
    -------
    Labels

    Raises
    ------
    MarketError
        When the horizon is too short for what is asked.

    Examples
    --------
    >>> from trading_assets.market import SyntheticMarket, to_matrix
    >>> bars = to_matrix(SyntheticMarket("price", 1.0, n_bars=500, seed=1).bars)
    >>> labels = make_labels(bars, LabelSettings(horizon=24))
    >>> int(labels.label_end[0]), bool(np.isnan(labels.direction[-1]))
    (25, True)
    """
    n, horizon = len(bars), settings.horizon
    position = np.arange(n)
    if settings.kind == "direction":
        forward = forward_return(bars, horizon)
        direction = _is_up(forward)
        end = position + horizon + 1
    elif settings.kind == "triple_barrier":
        take, stop = settings.profit_taking, settings.stop_loss
        long = triple_barrier(bars, horizon=horizon, profit_taking=take, stop_loss=stop)
        short = triple_barrier(
            bars, horizon=horizon, profit_taking=stop, stop_loss=take, side=np.full(len(bars), -1.0)
        )
        forward = long.value
        # A bar that reaches both barriers stops either position: it does not say which way the price went.
        direction = np.where(long.value * short.value < 0, _is_up(forward), np.nan)
        end = long.label_end
    else:
        trend = trend_scanning(bars, horizons=(max(horizon // 4, 3), max(horizon // 2, 3), max(horizon, 3)))
        forward = forward_return(bars, horizon)
        direction = np.where(np.isnan(forward), np.nan, _is_up(trend.outcome))
        end = np.maximum(trend.label_end, position + horizon + 1)
    return Labels(
        forward_return=forward,
        direction=direction,
        high_variance=_high_variance(bars, settings),
        label_start=position + 1,
        label_end=np.maximum(end, position + settings.variance_horizon),
        direction_end=end,
    )


def _is_up(move: Floats) -> Floats:
    """1 for up, 0 for down, NaN for a move that is none or not known."""
    return np.where(np.isnan(move) | (move == 0), np.nan, move > 0)


def forward_return(bars: Floats, horizon: int) -> Floats:
    """open[t+1+horizon] / open[t+1] - 1 of every bar t."""
    forward = np.full(len(bars), np.nan)
    if len(bars) > horizon + 1:
        opens = bars[:, _OPEN]
        forward[: len(bars) - horizon - 1] = opens[horizon + 1 :] / opens[1 : len(bars) - horizon] - 1
    return forward


def volatility_target(bars: Floats) -> Floats:
    """EWMA deviation (decay 0.95) of one bar's log return, up to and with each bar; NaN at the first."""
    returns = np.diff(np.log(bars[:, _CLOSE]), prepend=np.nan)
    variance = pd.Series(returns**2).ewm(alpha=1 - DECAY, adjust=False).mean()
    return np.asarray(np.sqrt(variance), dtype=np.float64)


def triple_barrier(
    bars: Floats,
    *,
    horizon: int,
    profit_taking: float,
    stop_loss: float,
    events: Rows | None = None,
    side: Floats | None = None,
) -> Events:
    """Which barrier a position meets first (Lopez de Prado 2018, ch. 3).

    Barriers lie `profit_taking` and `stop_loss` times the volatility target (`volatility_target` times
    sqrt(horizon)) from the entry at open[t+1], as log returns, so that a short of 1 / price is a long of the
    price; after `horizon` bars the position is closed at the open. A bar that reaches both is taken for a
    stop; one that opens beyond a barrier fills there. Where nothing has moved yet there are no barriers, and
    a price that stays at its entry reaches none.

    Parameters
    ----------
    bars : ndarray of shape (n_bars, 7)
        As from `market.to_matrix`.
    horizon : int
        Bars, at least 1.
    profit_taking, stop_loss : float
        In deviations over the horizon, positive; `inf` is no barrier.
    events : ndarray of int, optional
        Bars to ask about, for instance from `cusum_events`; all without.
    side : ndarray of shape (n_bars,), optional
        +1 long, -1 short; long without.

    Returns
    -------
    Events

    Raises
    ------
    MarketError
        Naming the argument that makes no sense.

    Examples
    --------
    >>> from trading_assets.market import SyntheticMarket, to_matrix
    >>> bars = to_matrix(SyntheticMarket("price", 1.0, n_bars=500, seed=1).bars)
    >>> touched = triple_barrier(bars, horizon=24, profit_taking=2.0, stop_loss=2.0)
    >>> set(touched.outcome[20:-30].tolist()) <= {-1.0, 0.0, 1.0}
    True
    """
    if horizon < 1 or not (profit_taking > 0 and stop_loss > 0):
        raise MarketError(
            f"horizon {horizon}, profit_taking {profit_taking} and stop_loss {stop_loss} must be positive."
        )
    position = _positions(events, len(bars))
    sides = np.ones(len(bars)) if side is None else np.asarray(side, dtype=np.float64)
    if len(sides) != len(bars):
        raise MarketError(f"side has {len(sides)} values for {len(bars)} bars; give one a bar.")
    if not np.isin(sides[position], (-1, 1)).all():
        raise MarketError("side must be +1 (long) or -1 (short) at every event.")
    target = volatility_target(bars) * np.sqrt(horizon)
    outcome, value, end = _first_touch(
        np.ascontiguousarray(bars), position, sides, target, horizon, profit_taking, stop_loss
    )
    return Events(position, outcome, value, position + 1, end)


def meta_labels(
    bars: Floats, side: Floats, *, horizon: int, profit_taking: float, stop_loss: float
) -> Events:
    """Whether a primary model's side would have earned something: 1 yes, 0 no, at bars where it has one.

    NaN where it would have earned nothing because the price was the same in the end.

    Parameters
    ----------
    bars : ndarray of shape (n_bars, 7)
        As from `market.to_matrix`.
    side : ndarray of shape (n_bars,)
        +1, -1, or 0 where the primary model stands aside.
    horizon : int
        Bars, at least 1.
    profit_taking, stop_loss : float
        See `triple_barrier`.

    Returns
    -------
    Events

    Raises
    ------
    MarketError
        When a side is something else, and as `triple_barrier`.

    Examples
    --------
    >>> from trading_assets.market import SyntheticMarket, to_matrix
    >>> bars = to_matrix(SyntheticMarket("price", 1.0, n_bars=500, seed=1).bars)
    >>> side = np.zeros(500)
    >>> side[[100, 300]] = 1, -1
    >>> meta_labels(bars, side, horizon=24, profit_taking=2.0, stop_loss=2.0).position.tolist()
    [100, 300]
    """
    if not np.isin(side, (-1, 0, 1)).all():
        raise MarketError("side must be +1 (long), -1 (short) or 0 (none) at every bar.")
    touched = triple_barrier(
        bars,
        horizon=horizon,
        profit_taking=profit_taking,
        stop_loss=stop_loss,
        events=np.flatnonzero(side[: len(bars)]),
        side=side,
    )
    return Events(
        touched.position, _is_up(touched.value), touched.value, touched.label_start, touched.label_end
    )


def trend_scanning(bars: Floats, *, horizons: tuple[int, ...], events: Rows | None = None) -> Events:
    """Sign and t-value of the most significant trend that begins (Lopez de Prado 2020, sec. 5.4).

    A line is fitted to ln(close) of bars t+1 .. t+h for every horizon h; the one with the largest |t| of
    its slope counts, the shortest of equal ones. As all were looked at, the label ends with the longest. A
    slope that rounding could have made is none.

    Parameters
    ----------
    bars : ndarray of shape (n_bars, 7)
        As from `market.to_matrix`.
    horizons : tuple of int
        Bars, each at least 3.
    events : ndarray of int, optional
        Bars to ask about; all without.

    Returns
    -------
    Events

    Raises
    ------
    MarketError
        When a horizon is too short, or an event is no bar.

    Examples
    --------
    >>> from trading_assets.market import SyntheticMarket, to_matrix
    >>> bars = to_matrix(SyntheticMarket("price", 1.0, n_bars=500, seed=1).bars)
    >>> trend = trend_scanning(bars, horizons=(6, 12), events=np.array([100]))
    >>> int(trend.label_end[0])
    112
    """
    if not horizons or min(horizons) < 3:
        raise MarketError(f"horizons are {horizons}; a trend needs at least 3 bars.")
    position = _positions(events, len(bars))
    lengths = np.unique(np.asarray(horizons, dtype=np.int64))
    value = _strongest_trend(np.log(bars[:, _CLOSE]), position, lengths)
    return Events(position, np.sign(value), value, position + 1, position + int(lengths[-1]))


def cusum_events(bars: Floats, threshold: float) -> Rows:
    """Bars at which moves in one direction have added up to `threshold` since the last one.

    The symmetric CUSUM filter (Lopez de Prado 2018, snippet 2.4).

    Parameters
    ----------
    bars : ndarray of shape (n_bars, 7)
        As from `market.to_matrix`.
    threshold : float
        A log return, positive.

    Returns
    -------
    ndarray of int of shape (n_events,)

    Raises
    ------
    MarketError
        When the threshold is not positive.

    Examples
    --------
    >>> from trading_assets.market import SyntheticMarket, to_matrix
    >>> bars = to_matrix(SyntheticMarket("price", 1.0, n_bars=500, seed=1).bars)
    >>> bool((np.diff(cusum_events(bars, 0.02)) > 0).all())
    True
    """
    if not threshold > 0:
        raise MarketError(f"threshold is {threshold}; it must be a positive log return, such as 0.02.")
    returns = np.diff(np.log(bars[:, _CLOSE]), prepend=np.log(bars[:1, _CLOSE]))
    return np.asarray(_cusum(returns, threshold), dtype=np.int64)


def _positions(events: Rows | None, n_bars: int) -> Rows:
    position = np.arange(n_bars) if events is None else np.asarray(events, dtype=np.int64)
    if len(position) and not (position.min() >= 0 and position.max() < n_bars):
        raise MarketError(f"events must be positions of bars, 0 to {n_bars - 1}.")
    return position


@compiled(error_model="python")
def _first_touch(
    bars: Floats, position: Rows, side: Floats, target: Floats, horizon: int, take: float, stop: float
) -> tuple[Floats, Floats, Rows]:
    n = len(position)
    outcome, value, end = np.full(n, np.nan), np.full(n, np.nan), np.empty(n, np.int64)
    for i in range(n):
        t = position[i]
        end[i] = t + 1 + horizon
        if t + 1 >= len(bars):
            continue
        entry, long = bars[t + 1, _OPEN], side[t] > 0
        moved = min(take, stop) * target[t] > ROUNDING
        gain, loss = take * target[t], stop * target[t]
        best = entry * np.exp(gain if long else -gain)
        worst = entry * np.exp(-loss if long else loss)
        for j in range(t + 1, min(t + 1 + horizon, len(bars))):
            opened, high, low = bars[j, _OPEN], bars[j, _HIGH], bars[j, _LOW]
            stopped = low <= worst and opened <= best if long else high >= worst and opened >= best
            taken = high >= best if long else low <= best
            if moved and (stopped or taken):
                if stopped:
                    price = min(opened, worst) if long else max(opened, worst)
                else:
                    price = max(opened, best) if long else min(opened, best)
                outcome[i] = -1.0 if stopped else 1.0
                value[i] = side[t] * (price / entry - 1)
                end[i] = j
                break
        else:
            if end[i] < len(bars):
                outcome[i] = 0.0
                value[i] = side[t] * (bars[end[i], _OPEN] / entry - 1)
    return outcome, value, end


@compiled(error_model="python")
def _strongest_trend(y: Floats, position: Rows, lengths: Rows) -> Floats:
    """t-value of the slope that is furthest from 0; NaN where the longest window is not there yet."""
    best = np.full(len(position), np.nan)
    longest = lengths[-1]
    for k in range(len(position)):
        t = position[k]
        if t + longest >= len(y):
            continue
        level = y[t + 1]
        total, weighted, squares, done, strongest = 0.0, 0.0, 0.0, 0, 0.0
        for h in lengths:
            for i in range(done, h):
                value = y[t + 1 + i] - level
                total += value
                weighted += i * value
                squares += value * value
            done = h
            spread = h * (h * h - 1.0) / 12
            slope = (weighted - (h - 1) / 2 * total) / spread
            residual = max(squares - total * total / h - slope * slope * spread, 0.0)
            error = np.sqrt(residual / (h - 2) / spread)
            perfect = 0.0 if slope == 0 else np.sign(slope) * 1e6
            strength = slope / error if error > 0 else perfect
            if abs(slope) * h > ROUNDING and abs(strength) > abs(strongest) * (1 + TIED):
                strongest = strength
        best[k] = strongest
    return best


@compiled(error_model="python")
def _cusum(returns: Floats, threshold: float) -> list[int]:
    up, down = 0.0, 0.0
    found = [0 for _ in range(0)]
    for t in range(len(returns)):
        up, down = max(up + returns[t], 0.0), min(down + returns[t], 0.0)
        if up >= threshold or down <= -threshold:
            found.append(t)
            up, down = 0.0, 0.0
    return found


def _high_variance(bars: Floats, settings: LabelSettings) -> Floats:
    """Whether the variance of the next bars exceeds its trailing median."""
    n, horizon, least = len(bars), settings.variance_horizon, settings.variance_lookback_bars
    high = np.full(n, np.nan)
    if n <= horizon:
        return high
    # trailing[t] sums the variances of bars t-h+1 .. t; the next bars' is trailing[t+h].
    trailing = np.full(n, np.nan)
    trailing[horizon:] = sliding_window_view(_variance(bars)[1:], horizon).sum(axis=1)
    known = pd.Series(trailing, index=pd.to_datetime(bars[:, _TIME], unit="s"))
    lookback = pd.Timedelta(seconds=timeframe_seconds(settings.variance_lookback))
    lately = known.rolling(lookback, min_periods=least).median()
    median = lately.fillna(known.rolling(least).median()).to_numpy()
    future = np.full(n, np.nan)
    future[: n - horizon] = trailing[horizon:]
    decided = np.isfinite(median) & np.isfinite(future) & ~np.isclose(future, median, rtol=TIED, atol=0)
    high[decided] = future[decided] > median[decided]
    return high


def _variance(bars: Floats) -> Floats:
    """Of every bar: the gap to its open squared, and Parkinson's estimate from its range.

    Closes alone would do with far more bars: 24 of them leave a third of it to chance, in which the clusters
    of daily markets go under.
    """
    log = np.log(bars[:, [_OPEN, _HIGH, _LOW, _CLOSE]])
    gap = np.diff(log[:, 0], prepend=log[:1, 0])
    gap[1:] = log[1:, 0] - log[:-1, 3]
    return np.asarray(gap**2 + (log[:, 1] - log[:, 2]) ** 2 / (4 * np.log(2)))
