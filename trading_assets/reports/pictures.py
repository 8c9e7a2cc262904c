"""One picture an asset, as PNG files in the artifact's folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from trading_assets.arrays import Floats, Rows
from trading_assets.forecasters.calibration_error import reliability_curve
from trading_assets.validation.eras import ERA_NAMES, Eras
from trading_assets.validation.splits import PurgedSplitter

ERA_COLORS = dict(zip(ERA_NAMES, ("#4c78a8", "#59a14f", "#f2b134", "#d1495b"), strict=True))
SPLIT_COLORS = ("#9ecae9", "#ff9d4d")
"""Training rows, test rows."""
LEFT_OUT_COLOR = "#e4e4e4"
MAX_POINTS = 2_000


def figure_of(rows: int = 1, height: float = 2.8, **kwargs: Any) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(8, height * rows), layout="constrained")
    axes = np.atleast_1d(figure.subplots(rows, 1, **kwargs))
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(alpha=0.25)
    return figure, list(axes)


def save(figure: Figure, folder: Path, name: str, dpi: int = 80) -> str:
    figure.savefig(folder / name, dpi=dpi)
    return name


def thin(*columns: Any) -> list[Any]:
    step = max(len(columns[0]) // MAX_POINTS, 1)
    return [column[::step] for column in columns]


def price(folder: Path, bars: pd.DataFrame) -> str:
    figure, (top, bottom) = figure_of(2, 2.2, sharex=True)
    times, close, volume = thin(bars["timestamp"], bars["close"], bars["volume"])
    top.plot(times, close, lw=0.8)
    top.set(yscale="log", ylabel="close")
    bottom.plot(times, volume, lw=0.5, color="grey")
    bottom.set(yscale="log", ylabel="volume")
    return save(figure, folder, "price.png")


def candles(folder: Path, bars: pd.DataFrame) -> str:
    """The last 120 bars: wicks from low to high, bodies from open to close, volume below."""
    part = bars.iloc[-120:].reset_index(drop=True)
    up = (part["close"] >= part["open"]).to_numpy()
    figure, (top, bottom) = figure_of(2, 2.4, sharex=True)
    for rows, color in ((up, "#59a14f"), (~up, "#d1495b")):
        some = part[rows]
        top.vlines(some.index, some["low"], some["high"], color=color, lw=0.8)
        body = (some["close"] - some["open"]).abs()
        top.bar(some.index, body, bottom=some[["open", "close"]].min(axis=1), color=color, width=0.7)
        bottom.bar(some.index, some["volume"], color=color, width=0.7)
    ticks = np.linspace(0, len(part) - 1, 5).astype(int)
    bottom.set_xticks(ticks, [f"{part['timestamp'][i]:%Y-%m-%d %H:%M}" for i in ticks], fontsize=7)
    top.set(ylabel=f"the last {len(part)} bars")
    bottom.set(ylabel="volume")
    return save(figure, folder, "candles.png")


def missing(folder: Path, features: pd.DataFrame) -> str:
    """Rows without a value, a feature."""
    counts = features.isna().sum()
    figure, (axis,) = figure_of(1, 0.8 + 0.13 * len(counts))
    axis.barh(range(len(counts)), counts.to_numpy())
    axis.set_yticks(range(len(counts)), counts.index, fontsize=5.5)
    axis.invert_yaxis()
    axis.set(xlabel=f"rows without a value, of {len(features)} (the warm-up)")
    return save(figure, folder, "missing.png", dpi=120)


def correlations(folder: Path, features: pd.DataFrame) -> str:
    sample = features.dropna().iloc[:: max(len(features) // 5_000, 1)]
    figure, (axis,) = figure_of(1, 8.0)
    image = axis.imshow(sample.corr().to_numpy(), cmap="RdBu_r", vmin=-1, vmax=1)
    axis.set_xticks(range(len(sample.columns)), sample.columns, rotation=90, fontsize=5)
    axis.set_yticks(range(len(sample.columns)), sample.columns, fontsize=5)
    axis.grid(visible=False)
    figure.colorbar(image, label="correlation of features", shrink=0.6)
    return save(figure, folder, "correlations.png", dpi=150)


def forward_returns(folder: Path, forward: Floats, horizon: int) -> str:
    figure, (axis,) = figure_of()
    known = forward[np.isfinite(forward)]
    if len(known):
        axis.hist(np.clip(known, *np.percentile(known, [0.5, 99.5])), bins=80)
    axis.axvline(0, color="black", lw=0.8)
    axis.set(xlabel=f"return from the next open over {horizon} bars", ylabel="bars")
    return save(figure, folder, "forward_returns.png")


def balance(folder: Path, times: pd.Series[Any], direction: Floats, variance: Floats) -> str:
    figure, (axis,) = figure_of()
    for name, values in (("up", direction), ("high variance", variance)):
        share = pd.Series(values).rolling(1_000, min_periods=200).mean()
        axis.plot(*thin(times, share), lw=1, label=name)
    axis.axhline(0.5, color="black", lw=0.8)
    axis.set(ylabel="share of labels, 1000 bars", ylim=(0, 1))
    axis.legend()
    return save(figure, folder, "balance.png")


def folds(folder: Path, eras: Eras, splits: Sequence[tuple[Rows, Rows]], n_bars: int) -> str:
    """Eras in the top row; below, each fold's training bars (blue) and test bars (orange)."""
    figure, (axis,) = figure_of(1, 3.2)
    for name in ERA_NAMES:
        era = getattr(eras, name)
        axis.barh(0, len(era), left=era.start, color=ERA_COLORS[name])
        axis.text(era.start + len(era) / 2, 0, name, ha="center", va="center", fontsize=6.5)
    for number, split in enumerate(splits, start=1):
        _draw_split(axis, number, split)
    names = ["eras", *(f"fold {i + 1}" for i in range(len(splits)))]
    axis.set_yticks(range(len(names)), names)
    axis.invert_yaxis()
    axis.set(xlim=(0, n_bars), xlabel="bar (white: purged, embargoed, or warm-up)")
    return save(figure, folder, "folds.png")


def splits(folder: Path, splitter: PurgedSplitter, n_rows: int) -> str:
    """Training rows (blue), test rows (orange) and rows left out (grey) of every split, first on top."""
    numbered = list(enumerate(splitter.split(np.empty(n_rows)), start=1))
    figure, (axis,) = figure_of(1, 0.9 + 0.22 * len(numbered))
    for number, split in numbered:
        axis.barh(number, n_rows, color=LEFT_OUT_COLOR)
        _draw_split(axis, number, split)
    axis.set_yticks([number for number, _ in numbered], [f"split {number}" for number, _ in numbered])
    axis.tick_params(axis="y", labelsize=7)
    axis.invert_yaxis()
    axis.set(title=type(splitter).__name__, xlim=(0, n_rows))
    axis.set(xlabel="row (blue: train, orange: test, grey: left out)")
    return save(figure, folder, "splits.png")


def _draw_split(axis: Axes, y: int, split: tuple[Rows, Rows]) -> None:
    for rows, color in zip(split, SPLIT_COLORS, strict=True):
        for part in np.split(rows, np.flatnonzero(np.diff(rows) != 1) + 1):
            axis.barh(y, len(part), left=part[0], color=color)


def bars_chart(folder: Path, name: str, values: Mapping[str, float], label: str) -> str:
    """Horizontal bars, the largest on top, at most 20."""
    chosen = sorted(values.items(), key=lambda item: item[1])[-20:]
    figure, (axis,) = figure_of(1, 0.8 + 0.22 * len(chosen))
    axis.barh([key for key, _ in chosen], [value for _, value in chosen])
    axis.tick_params(axis="y", labelsize=7)
    axis.set_xlabel(label)
    return save(figure, folder, name)


def fold_scores(folder: Path, rows: Sequence[Mapping[str, Any]]) -> str:
    figure, (axis,) = figure_of()
    axis.bar([f"fold {row['fold'] + 1}" for row in rows], [row["AUC"] for row in rows])
    axis.axhline(0.5, color="black", lw=0.8)
    axis.set(ylabel="AUC out of fold", ylim=(0.4, None))
    return save(figure, folder, "fold_scores.png")


def reliability(folder: Path, curves: Mapping[str, tuple[Floats, Floats, Floats]]) -> str:
    """Observed frequency against probability; a panel for each (outcomes, before, after calibration)."""
    figure = Figure(figsize=(4 * len(curves) + 1, 4), layout="constrained")
    for axis, (title, (y, before, after)) in zip(
        np.atleast_1d(figure.subplots(1, len(curves))), curves.items(), strict=True
    ):
        axis.plot([0, 1], [0, 1], color="black", lw=0.8)
        for name, p in (("raw", before), ("calibrated", after)):
            curve = reliability_curve(y, p, strategy="quantile")
            axis.plot(curve.predicted, curve.observed, "o-", ms=3, label=name)
        low, high = np.percentile(np.concatenate([before, after]), [0.5, 99.5])
        axis.set(
            title=title,
            xlabel="predicted",
            ylabel="observed",
            xlim=(low - 0.05, high + 0.05),
            ylim=(low - 0.1, high + 0.1),
        )
        axis.grid(alpha=0.25)
        axis.legend()
    return save(figure, folder, "reliability.png")


def importances(folder: Path, ways: Mapping[str, Mapping[str, float]]) -> str:
    """A panel for each way of asking, the 15 most important features on top."""
    figure = Figure(figsize=(4.5 * len(ways), 4.2), layout="constrained")
    for axis, (way, values) in zip(np.atleast_1d(figure.subplots(1, len(ways))), ways.items(), strict=True):
        chosen = sorted(values.items(), key=lambda item: item[1])[-15:]
        axis.barh([name for name, _ in chosen], [value for _, value in chosen])
        axis.tick_params(labelsize=7)
        axis.spines[["top", "right"]].set_visible(False)
        axis.set_xlabel(way)
    return save(figure, folder, "importance.png")


def search(folder: Path, trials: Sequence[Mapping[str, Any]], importance: Mapping[str, float]) -> str:
    """Loss of every set that was tried and the best so far; below, what the losses differ by."""
    figure, (top, bottom) = figure_of(2, 2.6)
    done = [row for row in trials if row["median loss"] is not None]
    numbers, losses = [row["trial"] for row in done], [row["median loss"] for row in done]
    top.plot(numbers, losses, "o", ms=4)
    top.step(numbers, np.minimum.accumulate(losses), where="post", lw=1)
    for row in trials:
        if row["median loss"] is None:
            top.axvline(row["trial"], color="grey", lw=0.6, alpha=0.5)
    top.set(xlabel="trial (grey: given up)", ylabel="median loss of the folds")
    bottom.barh(list(importance), list(importance.values()))
    bottom.set(xlabel="share of what the losses differ by")
    return save(figure, folder, "search.png")


def growth(folder: Path, times: pd.Series[Any], equities: Mapping[str, Floats]) -> str:
    figure, (axis,) = figure_of()
    for name, equity in equities.items():
        axis.plot(*thin(times, equity), lw=1, label=name)
    axis.axhline(1, color="black", lw=0.8)
    axis.set(yscale="log", ylabel="equity, net of costs")
    axis.legend()
    return save(figure, folder, "growth.png")


def probabilities(folder: Path, times: pd.Series[Any], columns: Mapping[str, Floats]) -> str:
    figure, (axis,) = figure_of()
    for name, p in columns.items():
        smooth = pd.Series(p).rolling(48, min_periods=1).mean()
        axis.plot(*thin(times, smooth), lw=0.7, label=name)
    axis.axhline(0.5, color="black", lw=0.8)
    axis.set(ylabel="P(up), mean of 48 bars")
    axis.legend()
    return save(figure, folder, "probabilities.png")


def training(folder: Path, history: Sequence[Mapping[str, float]]) -> str:
    figure, (axis,) = figure_of()
    axis.plot([row["steps"] for row in history], [row["equity"] for row in history], "o-")
    kept = [row for row in history if row["kept"]]
    axis.plot([row["steps"] for row in kept], [row["equity"] for row in kept], "o", ms=9, color="#d1495b")
    axis.axhline(1, color="black", lw=0.8)
    axis.set(xlabel="steps (red: kept)", ylabel="final equity on validation")
    return save(figure, folder, "training.png")
