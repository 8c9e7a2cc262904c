"""How much each member counts, chosen on validation and shrunk towards equal shares."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from trading_assets.agents.observations import AgentData
from trading_assets.arrays import Floats, Singles
from trading_assets.config.settings import POSITION_LEVELS, EnsembleSettings
from trading_assets.execution.networks import ActorNet, likeliest
from trading_assets.progress import report
from trading_assets.registry.figures import Figures
from trading_assets.simulation.backtesting import BacktestResult, backtest
from trading_assets.validation.eras import Era
from trading_assets.validation.ties import TIE, tied_for_best


class EnsembleFigures(Figures):
    """What the ensemble was chosen to be.

    Attributes
    ----------
    shares : dict of str to float
        Of each policy by its asset's name; they sum to 1.
    band_width : float
        Of the no-trade band, the simple rule that reports show beside the ensemble.
    """

    FILE: ClassVar[str] = "ensemble.json"

    shares: dict[str, float]
    band_width: float


Members = list[tuple[ActorNet, Singles]]
"""Each member's actor and the market as it sees it, shape (n_bars, width)."""


def run_ensemble(members: Members, weights: Floats, market: AgentData, era: Era) -> BacktestResult:
    """Follow the target with the highest weighted probability through an era.

    Parameters
    ----------
    members : mapping of str to member
        As from `agents.storage.load_members`.
    weights : ndarray of shape (n_members,)
    market : AgentData
    era : Era

    Returns
    -------
    BacktestResult

    Examples
    --------
    >>> run_ensemble(members, weights, market, market.eras.validation).equity[-1]  # doctest: +SKIP
    1.07
    """

    def decide(t: int, account: Singles) -> float:
        mixed = sum(
            weight * actor(np.concatenate([table[t], account]))
            for weight, (actor, table) in zip(weights, members, strict=True)
        )
        return POSITION_LEVELS[likeliest(np.asarray(mixed))]

    return backtest(decide, market.during(era))


def weight_grid(n_members: int, grid: int) -> NDArray[np.float64]:
    """All weights that are multiples of 1/grid and sum to 1, shape (n_points, n_members)."""
    points = [point for point in product(range(grid + 1), repeat=n_members) if sum(point) == grid]
    return np.array(points) / grid


def choose_weights(
    members: Members, market: AgentData, settings: EnsembleSettings
) -> tuple[Floats, list[dict[str, float]]]:
    """The grid's best weights by final equity on validation, shrunk to 1/N.

    Of points that are equally good the one nearest to equal shares is taken, and the mean of several as near:
    the shares are the same in whatever order the members come, and equal for members that do the same.

    Parameters
    ----------
    members : mapping of str to member
        As from `agents.storage.load_members`.
    market : AgentData
    settings : EnsembleSettings

    Returns
    -------
    weights : ndarray of shape (n_members,)
    trials : list of dict
        Final equity on validation of every point looked at.

    Examples
    --------
    >>> weights, trials = choose_weights(members, market, settings.ensemble)  # doctest: +SKIP
    """
    trials = []
    points = weight_grid(len(members), settings.grid)
    for number, point in enumerate(points):
        report(number / len(points), "weights on validation")
        result = run_ensemble(members, point, market, market.eras.validation)
        row = {f"w{i}": float(weight) for i, weight in enumerate(point)}
        trials.append({**row, "equity": float(result.equity[-1])})
    best, equal = best_weights(points, [trial["equity"] for trial in trials]), 1 / len(members)
    return (1 - settings.shrinkage) * best + settings.shrinkage * equal, trials


def best_weights(points: Floats, equities: Sequence[float]) -> Floats:
    """The point with the highest equity; see `choose_weights` for points that are equally good.

    Parameters
    ----------
    points : ndarray of shape (n_points, n_members)
    equities : sequence of float, one a point

    Returns
    -------
    ndarray of shape (n_members,)
    """
    equity = np.asarray(equities)
    best = points[tied_for_best(equity, TIE * np.abs(equity))]
    distance = ((best - 1 / best.shape[1]) ** 2).sum(axis=1)
    return np.asarray(best[tied_for_best(-distance, TIE)].mean(axis=0))
