"""Returns, and how they go on."""

from __future__ import annotations

from trading_assets.compilation import inner
from trading_assets.features.indicators import Indicator, no_bars, one_bar, window, window_and_one
from trading_assets.features.kernels.rolling import as_count, clipped, is_anchored, wilder_weight
from trading_assets.features.series import CLOSE, INDEX, LOG_CLOSE, RETURN, Array, Z


@inner
def log_return(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    n = int(p[0])
    for t in range(lo, hi):
        out[t - lo] = x[LOG_CLOSE, t] - x[LOG_CLOSE, t - n]


@inner
def return_z(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    for t in range(lo, hi):
        out[t - lo] = x[Z, t]


@inner
def return_z_ema(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    keep, mean = 1 - 1 / p[0], state[0]
    for t in range(lo, hi):
        mean = keep * mean + (1 - keep) * x[Z, t]
        out[t - lo] = mean
    state[0] = mean


@inner
def rsi(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    """Wilder's index with his seed, the mean of the first `n` moves. State: gain, loss."""
    n, share, gain, loss = p[0], 1 / p[0], state[0], state[1]
    for t in range(lo, hi):
        if x[INDEX, t] > 0:
            move = x[CLOSE, t] - x[CLOSE, t - 1]
            weight = wilder_weight(x[INDEX, t], n, share)
            gain += (max(move, 0.0) - gain) * weight
            loss += (max(-move, 0.0) - loss) * weight
        total = gain + loss
        out[t - lo] = gain / total if total > 0 else 0.5
    state[0], state[1] = gain, loss


@inner
def macd_histogram(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    """State: fast EMA, slow EMA, signal."""
    a, b, c = 2 / (p[0] + 1), 2 / (p[1] + 1), 2 / (p[2] + 1)
    fast, slow, signal = state[0], state[1], state[2]
    for t in range(lo, hi):
        price = x[CLOSE, t]
        if x[INDEX, t] == 0:
            fast, slow = price, price
        fast += a * (price - fast)
        slow += b * (price - slow)
        signal += c * (fast - slow - signal)
        out[t - lo] = (fast - slow - signal) / price
    state[0], state[1], state[2] = fast, slow, signal


@inner
def efficiency(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    """State: the path's length, the number of moves in it."""
    n, path, moves = int(p[0]), state[0], state[1]
    if is_anchored(x, lo):
        path = 0.0
        for t in range(lo - n, lo):
            path += abs(x[RETURN, t])
    for t in range(lo, hi):
        new, old = abs(x[RETURN, t]), abs(x[RETURN, t - n])
        path += new - old
        moves += as_count(new > 0) - as_count(old > 0)
        way = x[LOG_CLOSE, t] - x[LOG_CLOSE, t - n]
        out[t - lo] = clipped(way / path, 1.0) if moves > 0 and path > 0 else 0.0
    state[0], state[1] = path, moves


@inner
def up_share(x: Array, lo: int, hi: int, state: Array, out: Array, p: Array) -> None:
    n, ups = int(p[0]), state[0]
    for t in range(lo, hi):
        ups += as_count(x[RETURN, t] > 0) - as_count(x[RETURN, t - n] > 0)
        out[t - lo] = ups / n
    state[0] = ups


INDICATORS = (
    Indicator(
        "return",
        family="returns",
        kernel=log_return,
        defaults=((1,), (2,), (4,), (8,), (12,), (24,), (72,), (168,)),
        formula="ln(close[t] / close[t - {0}])",
        state=0,
        memory=window,
        warm_up=window,
        unit="log",
    ),
    Indicator(
        "return_z",
        family="returns",
        kernel=return_z,
        defaults=((),),
        formula="return / its EWMA deviation (0.95) before it, in +-3",
        state=0,
        memory=no_bars,
        warm_up=lambda: 64,
        unit="sd",
        sequence="odd",
    ),
    Indicator(
        "return_z_ema",
        family="momentum",
        kernel=return_z_ema,
        defaults=((5,), (10,), (32,)),
        formula="EMA of return_z, centered {0} bars back",
        state=1,
        memory=no_bars,
        warm_up=lambda n: 64 + 8 * n,
        unit="sd",
        sequence="odd",
    ),
    Indicator(
        "rsi",
        family="momentum",
        kernel=rsi,
        defaults=((14,), (28,)),
        formula="Wilder's RSI of {0} bars / 100, seeded with the mean of the first",
        state=2,
        memory=one_bar,
        warm_up=lambda n: 10 * n,
    ),
    Indicator(
        "macd_histogram",
        family="momentum",
        kernel=macd_histogram,
        defaults=((12, 26, 9),),
        formula="(EMA {0} - EMA {1} - its EMA {2}) / close, seeded with the first close",
        state=3,
        memory=no_bars,
        warm_up=lambda _, n, m: 8 * n + 8 * m,
    ),
    Indicator(
        "efficiency",
        family="momentum",
        kernel=efficiency,
        defaults=((24,), (96,)),
        formula="way / path of ln(close) in {0} bars (Kaufman), signed",
        state=2,
        memory=window,
        warm_up=window_and_one,
    ),
    Indicator(
        "up_share",
        family="momentum",
        kernel=up_share,
        defaults=((24,),),
        formula="share of rising closes in {0} bars",
        state=1,
        memory=window,
        warm_up=window_and_one,
    ),
)
