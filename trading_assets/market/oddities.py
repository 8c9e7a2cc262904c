"""What is possible and worth a look: spikes, wicks, runs without movement, shifted prices."""

from __future__ import annotations

import numpy as np
import pandas as pd

from trading_assets.arrays import Floats
from trading_assets.config.settings import IngestPolicy
from trading_assets.market.alignment import shifted_opens
from trading_assets.market.checks import written_tick
from trading_assets.market.columns import PRICES
from trading_assets.market.draft import Draft
from trading_assets.market.report import IngestReport

SPIKE_SIGMAS, WICK_SIGMAS = 10.0, 15.0
"""Liquidations make wicks of more than 10 deviations in sound hours of crypto, hardly any of more than 15."""
SPIKE_WINDOW, SPIKE_MIN = 240, 30
FLAT_RUN = 12
TICK_SAMPLE = 1_000
"""Bars that show the tick size where it need only be about right."""


def warn_of_oddities(bars: Draft, report: IngestReport) -> None:
    """Spikes, wicks and flat runs: possible, and worth a look."""
    close = bars.values["close"]
    if len(close) < 3 or (bars.values["low"] <= 0).any():
        return
    returns = np.diff(np.log(close))
    usual = _usual_move(returns)
    spikes = np.flatnonzero(np.abs(returns) > SPIKE_SIGMAS * usual) + 1
    if len(spikes):
        report.warned("spike", f"moves of more than {SPIKE_SIGMAS:g} deviations", bars.rows[spikes], "close")
    _warn_of_wicks(bars, np.concatenate([usual[:1], usual]), report)
    still = bars.values["high"] == bars.values["low"]
    still[1:] &= close[1:] == close[:-1]
    still[0] = False
    edges = np.flatnonzero(np.diff(np.concatenate([[False], still, [False]])))
    starts, stops = edges[::2], edges[1::2]
    long = stops - starts >= FLAT_RUN
    if long.any():
        report.warned(
            "flat run",
            f"runs of bars without any movement start here, the longest of {int((stops - starts).max())}",
            bars.rows[starts[long]],
            "close",
        )


def warn_of_shifts(bars: Draft, policy: IngestPolicy, report: IngestReport) -> None:
    """Opens that continue another close than the one just before."""
    o, h, low, c = (bars.values[name] for name in PRICES)
    some = slice(None, None, max(len(bars) // TICK_SAMPLE, 1))
    found = shifted_opens(o, c, policy.tick_size or written_tick(np.stack([h[some], low[some]])))
    if found is not None:
        message, at = found
        report.warned("shifted prices", message, bars.rows[at], bars.header["open"])


def _usual_move(returns: Floats) -> Floats:
    """Deviation of the returns before each; infinite where nothing moved, so that nothing stands out."""
    usual = pd.Series(returns).rolling(SPIKE_WINDOW, min_periods=SPIKE_MIN).std().shift().to_numpy(copy=True)
    # The first ones are judged by the first window that they are not part of, where there is one.
    after = returns[SPIKE_MIN : SPIKE_MIN + SPIKE_WINDOW]
    usual[:SPIKE_MIN] = np.std(after if len(after) >= SPIKE_MIN else returns, ddof=1)
    usual[usual == 0] = np.inf
    return usual


def _warn_of_wicks(bars: Draft, usual: Floats, report: IngestReport) -> None:
    """`usual` as of each bar."""
    # No wick is longer than its bar, and ln(1 + x) <= x: few bars are left to be measured.
    wide = np.flatnonzero(bars.values["high"] > bars.values["low"] * (1 + WICK_SIGMAS * usual))
    o, high, low, c = (bars.values[name][wide] for name in PRICES)
    with np.errstate(over="ignore"):  # a wick may be infinitely long
        wicks = {"high": np.log(high / np.maximum(o, c)), "low": np.log(np.minimum(o, c) / low)}
    for name, wick in wicks.items():
        found = wide[wick > WICK_SIGMAS * usual[wide]]
        if len(found):
            report.warned("spike", f"wicks of more than {WICK_SIGMAS:g} deviations", bars.rows[found], name)
