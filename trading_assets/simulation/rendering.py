"""A picture of an episode, for `render`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from trading_assets.market.contract import CLOSE
from trading_assets.simulation.market import Market

_SIZE, _DPI = (6.4, 4.8), 100


def draw_episode(market: Market, story: Sequence[tuple[int, float, float]]) -> NDArray[np.uint8]:
    """Equity beside the price, and the position, from the start of an episode on.

    Parameters
    ----------
    market : Market
    story : sequence of (int, float, float)
        Bar, equity and target, as the simulator keeps them while it records.

    Returns
    -------
    ndarray of shape (480, 640, 3), uint8
    """
    bars, equity, target = (np.array(column) for column in zip(*story, strict=True))
    price = market.bars[bars, CLOSE] / market.bars[bars[0], CLOSE]
    figure = Figure(_SIZE, dpi=_DPI, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    upper.plot(bars, price, color="0.6", label="price")
    upper.plot(bars, equity, color="C0", label="equity")
    upper.set_ylabel("1 at the start")
    upper.legend(loc="upper left")
    lower.step(bars, target, where="post", color="C1")
    lower.fill_between(bars, target, step="post", color="C1", alpha=0.3)
    lower.set(ylabel="position", xlabel="bar", ylim=(-1.1, 1.1))
    canvas.draw()  # type: ignore[no-untyped-call]
    return np.array(canvas.buffer_rgba())[..., :3]  # type: ignore[no-untyped-call]
