"""The backtest report as one HTML page: pictures and style inside it, nothing from elsewhere, no script."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from math import isnan
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from trading_assets.arrays import Floats
from trading_assets.registry.files import replace_file
from trading_assets.reports.drawdowns import drawdown_table
from trading_assets.reports.tearsheet import utc_times
from trading_assets.validation.returns import until_ruin

N_DRAWDOWNS = 10
NOT_KNOWN = "-"


def write_html(
    path: Path | str,
    times: pd.Series[Any],
    returns: Floats,
    *,
    title: str,
    strategies: Sequence[Mapping[str, Any]],
    luck: Mapping[str, float],
    pictures: Sequence[Path] = (),
    facts: Mapping[str, object] | None = None,
) -> Path:
    """Write the page; equal results give equal pages.

    Parameters
    ----------
    path : Path or str
        Written whole or not at all.
    times : Series of timestamps, of length n_bars
    returns : ndarray of shape (n_bars,)
        Of each bar, net of costs; drawdowns are counted by bars.
    title : str
    strategies, luck : list of mapping, mapping
        Of `reports.backtest.compare_on_test`; the first strategy is the one the page is about.
    pictures : sequence of Path
        PNG files, in the order in which they are shown.
    facts : mapping, optional
        More to say of the run, such as its costs.

    Returns
    -------
    Path

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np, pandas as pd
    >>> times = pd.Series(pd.date_range("2024-01-01", periods=3, freq="h", tz="UTC"))
    >>> row = {"strategy": "mine", "verdict": "no edge after costs", "net return": -0.01, "Sharpe": -1.0}
    >>> luck = {"Sharpe": -1.0, "deflated Sharpe": 0.2, "trials": 3}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page = write_html(
    ...         f"{folder}/report.html",
    ...         times,
    ...         np.array([0.01, -0.03, 0.01]),
    ...         title="Mine",
    ...         strategies=[row],
    ...         luck=luck,
    ...     )
    ...     "no edge after costs" in page.read_text()
    True
    """
    path, stamps = Path(path), utc_times(times, len(returns))
    page = _template().render(
        title=title,
        first=stamps[0],
        last=stamps[-1],
        n_bars=len(returns),
        strategies=strategies,
        luck=luck,
        drawdowns=drawdown_table(stamps, returns, N_DRAWDOWNS),
        years=pd.Series(1 + until_ruin(returns)).groupby(stamps.year).prod() - 1,
        pictures=[(_caption(picture), _inline(picture)) for picture in pictures],
        facts=facts or {},
    )
    replace_file(path, page.encode())
    return path


def _template() -> Any:
    environment = Environment(
        loader=PackageLoader("trading_assets.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": _percent, "figure": _figure, "minute": _minute}
    return environment.get_template("report.html.j2")


def _caption(picture: Path) -> str:
    return picture.stem.replace("_", " ").capitalize()


def _inline(picture: Path) -> str:
    return f"data:image/png;base64,{b64encode(picture.read_bytes()).decode()}"


def _percent(fraction: float | None) -> str:
    return NOT_KNOWN if fraction is None or isnan(fraction) else f"{100 * fraction:+,.2f} %"


def _figure(value: object) -> str:
    """Text as it is, whole numbers whole, others with three digits; a dash where there is none."""
    if value is None or (isinstance(value, float) and isnan(value)):
        return NOT_KNOWN
    if isinstance(value, float) and abs(value) < 1_000 and not value.is_integer():
        return f"{value:.3f}" if abs(value) < 1 else f"{value:.3g}"
    return f"{value:,.0f}" if isinstance(value, (int, float)) else str(value)


def _minute(time: pd.Timestamp) -> str:
    return f"{time:%Y-%m-%d %H:%M}"
