"""The tear sheet of one strategy: six pictures of what it earned, held, traded and paid."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator
from numpy.typing import NDArray

from trading_assets.arrays import Floats
from trading_assets.market.bars import bar_seconds
from trading_assets.reports.drawdowns import deepest_drawdowns
from trading_assets.reports.pictures import figure_of, save, thin
from trading_assets.simulation.backtesting import BacktestResult
from trading_assets.simulation.baselines import buy_and_hold
from trading_assets.validation.metrics import max_drawdown, sharpe_ratio
from trading_assets.validation.returns import until_ruin

Times = NDArray[np.datetime64]
GAIN, LOSS, LONG, SHORT, NEUTRAL = "#59a14f", "#d1495b", "#4c78a8", "#f2a134", "#8c8c8c"
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
SHARPE_DAYS, DAYS_PER_YEAR = 90, 365.25
MAX_BINS = 200
"""Of exposure over time: about 4 pixels each."""
DPI = 100
_RETURNS = LinearSegmentedColormap.from_list("returns", (LOSS, "#f9f9f9", GAIN)).with_extremes(bad="white")


def tear_sheet(
    folder: Path | str, times: pd.Series[Any], result: BacktestResult, periods_per_year: float
) -> tuple[str, ...]:
    """Draw all pictures into the folder.

    Parameters
    ----------
    folder : Path or str
    times : Series of timestamps, of length n_decisions
        Of the bar after each decision.
    result : BacktestResult
    periods_per_year : float
        Bars a year.

    Returns
    -------
    tuple of str
        Names of the files.

    Examples
    --------
    >>> import tempfile
    >>> from trading_assets.market import SyntheticMarket
    >>> from trading_assets.simulation import Market
    >>> bars = SyntheticMarket("price", 1.0, n_bars=500).bars
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     names = tear_sheet(folder, bars["timestamp"][1:], buy_and_hold(Market.make(bars)), 8_766)
    >>> names[0]
    'equity_and_drawdown.png'
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    return (
        equity_and_drawdown(folder, times, result),
        exposure(folder, times, result),
        monthly_table(folder, times, result),
        sharpe_over_time(folder, times, result, periods_per_year),
        round_trips(folder, result),
        costs(folder, result),
    )


def utc_times(times: pd.Series[Any], n: int) -> pd.DatetimeIndex:
    """The times of `n` returns, in UTC but without saying so; those without a zone are taken to be in UTC."""
    if len(times) != n:
        raise ValueError(f"{len(times)} times for {n} returns; expected the bar after each decision.")
    return pd.DatetimeIndex(pd.to_datetime(times, utc=True)).tz_localize(None)


def monthly_returns(times: pd.Series[Any], returns: Floats) -> pd.DataFrame:
    """Compounded by calendar month (UTC): years by months 1 to 12, NaN where there are no bars.

    Once all is lost a month earns 0.
    """
    stamps = utc_times(times, len(returns))
    months = pd.Series(1 + until_ruin(returns)).groupby([stamps.year, stamps.month]).prod() - 1
    years = range(stamps.year.min(), stamps.year.max() + 1)
    table = months.unstack().reindex(index=years, columns=range(1, 13))
    return table.rename_axis(index="year", columns="month")


def rolling_sharpe(returns: Floats, window: int, periods_per_year: float) -> Floats:
    """Annualized Sharpe ratio of the last `window` returns (ddof 1), one for each return.

    NaN where there are fewer, or where they do not vary (as while nothing is held); none is above 0 once all
    is lost.
    """
    if window < 2:
        raise ValueError(f"window is {window}; a Sharpe ratio needs 2 returns or more.")
    returns = until_ruin(returns)
    rolling = pd.Series(returns).rolling(window)
    # Counted, as the deviation of equal returns is not quite 0 after larger ones have left the window.
    changes = np.concatenate([[0], np.cumsum(np.diff(returns) != 0)])
    varies = changes - np.concatenate([np.zeros(window - 1), changes])[: len(returns)] > 0
    ratio = rolling.mean().to_numpy() / np.where(varies, rolling.std().to_numpy(), np.nan)
    ratio = np.where(rolling.min() <= -1, np.minimum(ratio, 0.0), ratio)
    return np.asarray(ratio * np.sqrt(periods_per_year))


def cost_waterfall(result: BacktestResult) -> list[tuple[str, float, float]]:
    """Name, start and end of each bar, from the gross to the net profit, in units of the starting capital.

    The first and the last start at 0; in between each of `simulation.kernel.COSTS` starts where the one
    before ended and rises where it was received. Gross is net and all costs: what the market paid for the
    positions held.
    """
    net = float(result.equity[-1]) - 1
    level = net + sum(result.costs_by_kind.values())
    bars = [("gross profit", 0.0, level)]
    for name, paid in result.costs_by_kind.items():
        bars.append((name, level, level - paid))
        level -= paid
    return [*bars, ("net profit", 0.0, net)]


def equity_and_drawdown(folder: Path, times: pd.Series[Any], result: BacktestResult) -> str:
    """Against the market bought and held under the same costs and limits; below, the fall from the peak."""
    stamps = _clock(times, result)
    hold = buy_and_hold(result.market)
    figure, (top, bottom) = figure_of(2, 2.5, sharex=True, height_ratios=(2, 1))
    for name, equity, color, width in (
        ("buy and hold", hold.equity, NEUTRAL, 0.9),
        ("strategy", result.equity, LONG, 1.4),
    ):
        top.plot(*thin(stamps, equity[1:]), lw=width, color=color, label=name)
    top.axhline(1, color="black", lw=0.6)
    top.set(ylabel="equity, net of costs (start = 1)")
    _log_scale(top)
    top.legend(frameon=False, loc="upper left", ncols=2)
    every = max(len(stamps) // (4 * MAX_BINS), 1)
    starts, deepest = np.arange(0, len(stamps), every), 100 * deepest_drawdowns(result.equity, every)
    bottom.fill_between(stamps[starts], deepest, color=LOSS, alpha=0.6, lw=0)
    bottom.set(ylabel="drawdown (%)", ylim=(1.08 * deepest.min() or -1, 0))
    _dates(bottom)
    _title(
        top,
        f"Net return {_percent(result.equity[-1] - 1)} (buy and hold {_percent(hold.equity[-1] - 1)}), "
        f"deepest drawdown {_percent(max_drawdown(result.returns))}",
    )
    return save(figure, folder, "equity_and_drawdown.png", DPI)


def exposure(folder: Path, times: pd.Series[Any], result: BacktestResult) -> str:
    """Long, short and net at each close, means of a few bars of many; below, what was not followed.

    Targets are not followed where a risk rule, a margin call, ruin or the smallest order had the last word.
    """
    stamps, n = _clock(times, result), len(result.exposure)
    starts = np.arange(0, n, max(-(-n // MAX_BINS), 1))
    edges = np.append(stamps[starts], stamps[-1] + _bar_length(result))
    gap = np.abs(result.asked - result.targets)
    changed = int((gap > 1e-12).sum())
    called = np.flatnonzero(result.costs[:, -1])
    figure, (top, bottom) = figure_of(2, 2.3, sharex=True, height_ratios=(2.5, 1))
    peak = 0.0
    for name, values, color in (
        ("long", np.maximum(result.exposure, 0), LONG),
        ("short", np.minimum(result.exposure, 0), SHORT),
    ):
        means = _means(values, starts)
        peak = max(peak, float(np.abs(means).max()))
        top.stairs(means, edges, fill=True, color=color, alpha=0.75, label=name)
    top.stairs(_means(result.exposure, starts), edges, baseline=None, color="black", lw=0.7, label="net")
    if len(called):
        label = f"margin calls: {len(called):,}"
        top.plot(stamps[called], np.zeros(len(called)), "X", ms=8, color=LOSS, mec="white", label=label)
    top.axhline(0, color="black", lw=0.6)
    reach = peak or 1.0
    top.set(ylabel=_per_bins("exposure / equity", starts), ylim=(-1.1 * reach, 1.5 * reach))
    top.legend(frameon=False, loc="upper left", ncols=4)
    missed = _means(gap, starts)
    bottom.stairs(missed, edges, fill=True, color=LOSS, alpha=0.75)
    bottom.set(ylabel="|asked - held|", ylim=(0, 1.1 * max(float(missed.max()), 1.0)))
    if changed == 0:
        _say(bottom, "every target was followed")
    _dates(bottom)
    mean, share = np.abs(result.exposure).mean(), np.mean(result.exposure != 0)
    _title(
        top,
        f"Exposure: mean {mean:.2f}, in the market in {share:.0%} of bars; "
        f"{changed:,} of {n:,} targets not followed",
    )
    return save(figure, folder, "exposure.png", DPI)


def monthly_table(folder: Path, times: pd.Series[Any], result: BacktestResult) -> str:
    """Returns by calendar month, and by year on the right, in %."""
    table = monthly_returns(times, result.returns)
    years = (1 + table).prod(axis=1, min_count=1) - 1
    cells = np.column_stack([table.to_numpy(), np.full(len(table), np.nan), years.to_numpy()])
    figure, (axis,) = figure_of(1, 0.75 + 0.36 * len(table))
    # A year is bluer than any month, and one wild month must not bleach the others.
    reach = max(float(np.nanpercentile(np.abs(table.to_numpy()), 95)), 0.005)
    axis.imshow(cells, cmap=_RETURNS, vmin=-reach, vmax=reach, aspect="auto")
    for (row, column), value in np.ndenumerate(cells):
        if np.isfinite(value):
            bold = "bold" if column == len(MONTHS) + 1 else "normal"
            axis.text(column, row, _cell(value), ha="center", va="center", fontsize=8, fontweight=bold)
    axis.set_xticks([*range(len(MONTHS)), len(MONTHS) + 1], [*MONTHS, "year"])
    axis.set_yticks(range(len(table)), [str(year) for year in table.index])
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    axis.grid(visible=False)
    known = table.to_numpy()[np.isfinite(table.to_numpy())]
    _title(axis, f"Monthly returns, net of costs (%): {(known > 0).sum()} of {len(known)} months gained")
    return save(figure, folder, "monthly_returns.png", DPI)


def sharpe_over_time(
    folder: Path,
    times: pd.Series[Any],
    result: BacktestResult,
    periods_per_year: float,
    window: int | None = None,
) -> str:
    """Rolling, over `window` bars: without it over 90 days, or half of a stretch that is shorter than 180."""
    stamps, returns = _clock(times, result), result.returns
    if window is None:
        window = max(min(round(SHARPE_DAYS * periods_per_year / DAYS_PER_YEAR), len(returns) // 2), 2)
    figure, (axis,) = figure_of()
    ratio = rolling_sharpe(returns, window, periods_per_year)
    if np.isfinite(ratio).any():
        some_times, some = thin(stamps, ratio)
        axis.plot(some_times, some, lw=1, color="black")
        for color, side in ((GAIN, np.fmax(some, 0)), (LOSS, np.fmin(some, 0))):
            axis.fill_between(
                some_times, np.where(np.isfinite(some), side, np.nan), color=color, alpha=0.45, lw=0
            )
    else:
        short = len(returns) < window
        _say(
            axis, f"fewer bars than the window of {window:,}" if short else "no window in which returns vary"
        )
    whole = sharpe_ratio(returns, periods_per_year=periods_per_year) if returns.any() else 0.0
    if np.isfinite(whole):
        axis.axhline(whole, color=LONG, lw=1, ls="--")
    axis.axhline(0, color="black", lw=0.8)
    axis.margins(y=0.1)
    axis.set(ylabel="Sharpe ratio, annualized", xlim=(stamps[0], stamps[-1] + _bar_length(result)))
    _dates(axis)
    days = window / periods_per_year * DAYS_PER_YEAR
    span = f"{days:,.0f}" if days >= 10 else f"{days:.1f}"
    dashed = f"; of the whole stretch {whole:.2f} (dashed)" if np.isfinite(whole) else ""
    _title(axis, f"Sharpe ratio of the last {window:,} bars ({span} days){dashed}")
    return save(figure, folder, "rolling_sharpe.png", DPI)


def round_trips(folder: Path, result: BacktestResult) -> str:
    """Profit of each against the bars it was held, by side."""
    trades = result.trades
    figure, (axis,) = figure_of(1, 3.6)
    pnl, bars = 100 * trades["pnl"].to_numpy(), trades["bars"].to_numpy()
    size = 30 if len(trades) < 200 else 14
    for name, side, color, marker in (("long", 1, LONG, "^"), ("short", -1, SHORT, "v")):
        rows = (trades["side"] == side).to_numpy()
        if rows.any():
            axis.scatter(
                bars[rows],
                pnl[rows],
                size,
                c=color,
                marker=marker,
                alpha=0.65,
                lw=0,
                label=f"{name}: {rows.sum():,}, {_percent(pnl[rows].sum() / 100)}",
            )
    axis.axhline(0, color="black", lw=0.8)
    axis.set(xlabel="bars held", ylabel="net profit (% of starting capital)")
    if len(trades):
        axis.legend(frameon=False, loc="best")
        _bars_held_scale(axis, bars)
        wins, losses = int((pnl > 0).sum()), int((pnl < 0).sum())
        _title(axis, f"Round trips, net of costs: {wins:,} won, {losses:,} lost")
    else:
        _say(axis, "no round trips")
        _title(axis, "Round trips, net of costs")
    return save(figure, folder, "round_trips.png", DPI)


def costs(folder: Path, result: BacktestResult) -> str:
    """From gross to net profit, in % of the starting capital; what was received rises."""
    names, starts, ends = zip(*cost_waterfall(result), strict=True)
    low, high = 100 * np.array(starts), 100 * np.array(ends)
    colors = [LONG, *(GAIN if b > a else LOSS for a, b in zip(low[1:-1], high[1:-1], strict=True)), LONG]
    figure, (axis,) = figure_of(1, 3.4)
    axis.bar(range(len(names)), high - low, bottom=low, color=colors, width=0.62)
    for i in range(len(names) - 1):
        axis.plot([i + 0.31, i + 0.69], [high[i], high[i]], color="black", lw=0.6)
    bottom, top = min(low.min(), high.min(), 0.0), max(low.max(), high.max(), 0.0)
    reach = top - bottom or 1.0
    digits = 2 if reach < 10 else 1
    for i, change in enumerate(high - low):
        text = f"{change:+,.{digits}f}" if change else "0"
        axis.text(i, max(low[i], high[i]) + 0.015 * reach, text, ha="center", va="bottom", fontsize=8.5)
    axis.axhline(0, color="black", lw=0.8)
    axis.set_xticks(range(len(names)), [name.replace(" ", "\n") for name in names])
    axis.grid(visible=False, axis="x")
    axis.set(ylabel="% of starting capital", ylim=(bottom - 0.05 * reach, top + 0.12 * reach))
    paid = sum(result.costs_by_kind.values())
    _title(axis, f"From gross to net profit: costs of {100 * paid:,.{digits}f} % of starting capital")
    return save(figure, folder, "costs.png", DPI)


def _clock(times: pd.Series[Any], result: BacktestResult) -> Times:
    return utc_times(times, len(result.returns)).to_numpy()


def _bar_length(result: BacktestResult) -> np.timedelta64:
    market = result.market
    return np.timedelta64(round(bar_seconds(market.bars[market.start : market.stop, 0])), "s")


def _means(values: Floats, starts: NDArray[np.int64]) -> Floats:
    """Of the values from each start to the next."""
    return np.asarray(np.add.reduceat(values, starts) / np.diff(np.append(starts, len(values))))


def _per_bins(label: str, starts: NDArray[np.int64]) -> str:
    width = int(starts[1]) if len(starts) > 1 else 1
    return label if width == 1 else f"{label}, mean of {width} bars"


def _dates(axis: Axes) -> None:
    locator = AutoDateLocator(minticks=3, maxticks=8)  # type: ignore[no-untyped-call]
    axis.xaxis.set_major_locator(locator)
    axis.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]


def _log_scale(axis: Axes) -> None:
    """With few labels, all of them plain numbers, and room for a legend at the top."""
    axis.set_yscale("log")
    low, high = axis.get_ylim()
    ratio = high / low
    axis.set_ylim(low, low * ratio**1.2)
    if ratio < 10:
        axis.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    else:
        axis.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if ratio < 1_000 else (1.0,)))
    axis.yaxis.set_major_formatter(FuncFormatter(_plain))
    axis.yaxis.set_minor_locator(NullLocator())


def _bars_held_scale(axis: Axes, bars: NDArray[np.int64]) -> None:
    """Logarithmic where some are held much longer, from 0: a margin call may end what began in its bar."""
    longest = int(bars.max())
    if longest > 20:
        axis.set_xscale("symlog", linthresh=1)
        decades = [d * 10**k for k in range(len(str(longest))) for d in (1, 2, 5)]
        axis.xaxis.set_major_locator(FixedLocator([0, *(tick for tick in decades if tick <= longest)]))
        axis.set_xlim(0.8 * bars.min() - 0.1, 1.2 * longest)
    else:
        axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axis.set_xlim(-0.5, longest + 0.5)
    axis.xaxis.set_major_formatter(FuncFormatter(_plain))


def _plain(value: float, _: int | None = None) -> str:
    return f"{value:,.10g}"


def _title(axis: Axes, text: str) -> None:
    axis.set_title(text, fontsize=11)


def _say(axis: Axes, text: str) -> None:
    axis.text(0.5, 0.6, text, transform=axis.transAxes, ha="center", va="bottom", color=NEUTRAL)


def _percent(fraction: float) -> str:
    return f"{100 * fraction:+,.1f} %" if fraction else "0 %"


def _cell(fraction: float) -> str:
    """At most five digits of a percentage; no -0.0."""
    value = 100 * fraction
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{round(value, 1) + 0.0:.1f}"
