"""The tear sheet of quantstats as one HTML file, written without a network, a browser or a screen."""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trading_assets.errors import TradingAssetsError
from trading_assets.registry.files import replace_file
from trading_assets.reports.tearsheet import utc_times
from trading_assets.validation.returns import until_ruin

Floats = NDArray[np.float64]
HOLD = "Buy and hold"
_STYLE: Any = {
    "axes.axisbelow": True,
    "axes.edgecolor": "white",
    "axes.grid": True,
    "figure.facecolor": "white",
    "grid.color": "#dddddd",
    "grid.linewidth": 0.5,
    "svg.hashsalt": "trading-assets",
    "text.color": "#333333",
    "xtick.color": "#666666",
    "ytick.color": "#666666",
}


def write_html(
    path: Path | str,
    times: pd.Series[Any],
    returns: Floats,
    market_returns: Floats,
    *,
    title: str,
    periods_per_year: float,
) -> Path:
    """Write the tear sheet of daily returns beside those of the market; equal results give equal files.

    The strategy is net of all costs, the market bought and held is before costs. An account whose value never
    changed is shown alone: quantstats cannot compare it.

    Parameters
    ----------
    path : Path or str
        Written whole or not at all.
    times : Series of timestamps, of length n_bars
    returns, market_returns : ndarray of shape (n_bars,)
        Of each bar, for instance of a `BacktestResult`.
    title : str
    periods_per_year : float
        Bars a year.

    Raises
    ------
    TradingAssetsError
        When quantstats is not installed.
    """
    path = Path(path)
    strategy, market = daily_returns(times, returns), daily_returns(times, market_returns)
    per_year = days_per_year(times, periods_per_year)
    held = f"{np.prod(1 + market.to_numpy()) - 1:+.2%}"
    strategy, market = _not_prices(strategy, market)
    compared = len(strategy) == 1 or strategy.nunique() > 1
    about = {"Returns": "by day (UTC), strategy net of costs, market before costs"}
    with TemporaryDirectory() as folder, _quiet(), _own_style():
        page = Path(folder) / "tear_sheet.html"
        quantstats = _quantstats()
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        quantstats.reports.html(
            strategy,
            market if compared else None,
            title=escape(title),
            output=str(page),
            periods_per_year=per_year,
            match_dates=False,  # or days before the first trade are cut off, of the market too
            strategy_title="Strategy",
            benchmark_title=HOLD,
            parameters=about if compared else {**about, HOLD: held},
        )
        replace_file(path, _tidy(page.read_text(encoding="utf-8"), title).encode())
    return path


def daily_returns(times: pd.Series[Any], returns: Floats) -> pd.Series[float]:
    """Compounded by day (UTC); days without bars are left out."""
    days = utc_times(times, len(returns)).floor("D")
    return pd.Series(1 + until_ruin(returns), index=days).groupby(level=0).prod() - 1


def days_per_year(times: pd.Series[Any], periods_per_year: float) -> int:
    """Days with bars in a year: 365 where markets never close, 252 for stocks, 52 for weekly bars."""
    days = utc_times(times, len(times)).floor("D").nunique()
    return max(round(min(periods_per_year * days / len(times), 365)), 1)


def _not_prices(*columns: pd.Series[float]) -> list[pd.Series[float]]:
    """Quantstats takes a column for prices that has no negative value and one above 1.

    Such returns (no day lost, one more than doubled) begin a day earlier, by losing next to nothing.
    """
    if not any(column.min() >= 0 and column.max() > 1 for column in columns):
        return list(columns)
    day = pd.DatetimeIndex(columns[0].index[:1]) - pd.Timedelta(days=1)
    return [pd.concat([pd.Series([-1e-12], index=day), column]) for column in columns]


def _quantstats() -> Any:
    try:
        import quantstats  # restyles matplotlib, the first time
    except ImportError:
        raise TradingAssetsError(
            "The HTML tear sheet needs quantstats, which is not installed: "
            'pip install "trading-assets[report]"'
        ) from None
    return quantstats


@contextmanager
def _quiet() -> Iterator[None]:
    """Without warnings: of divisions, of libraries that will change, of a font for every text."""
    fonts = logging.getLogger("matplotlib.font_manager")
    level = fonts.level
    fonts.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            yield
    finally:
        fonts.setLevel(level)


@contextmanager
def _own_style() -> Iterator[None]:
    """No screen, and whatever is set of matplotlib's style is the caller's again afterwards."""
    from matplotlib import pyplot

    backend = mpl.get_backend()
    pyplot.switch_backend("agg")
    try:
        with mpl.rc_context():
            yield
    finally:
        pyplot.switch_backend(backend)


def _tidy(page: str, title: str) -> str:
    """Without what is fetched from the network, called but not there, drawn wrong, or the time of drawing."""
    page = re.sub(r"<title>.*?</title>", lambda _: f"<title>{escape(title)}</title>", page, count=1)
    page = re.sub(r'<link rel="shortcut icon"[^>]*>', "", page)
    page = re.sub(r"<dc:date>.*?</dc:date>", "", page)
    # Quantstats 0.0.86 with pandas 3.1 writes 2019 below the bars of 2018; the table of years is right.
    page = re.sub(r'<div id="eoy_returns">.*?</div>', "", page, flags=re.DOTALL)
    return page.replace(' onload="save()"', "")
