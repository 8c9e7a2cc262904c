"""Splits and overfitting statistics beside their peers, in one process, one after the other.

    taskset -c 0 python -m benchmarks.validation [--repeats 7]

Usual peers: skfolio's CombinatorialPurgedCV, a CSCV that slices and concatenates the blocks of every choice.
Careful peer: a CSCV by two matrix products. Figures are medians, but the serial CSCV is timed once.
Combinatorial splits are compared as a cross-validation uses them, one at a time, and as `list(split)`, where
both have to write the same 36 MB of row numbers and wait for fresh memory. skfolio counts rows (purged_size,
embargo_size), we compare label spans: of a constant horizon here, so that both give the same rows.
"""

import argparse
import os
from collections.abc import Iterable
from itertools import combinations

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from skfolio.model_selection import CombinatorialPurgedCV as PeerCombinatorialPurgedCV

from benchmarks.timing import header, medians, row, seconds, show
from trading_assets.validation.overfitting import probability_of_backtest_overfitting
from trading_assets.validation.splits import (
    BlockingTimeSeriesSplit,
    CombinatorialPurgedCV,
    PurgedKFold,
    PurgedSplitter,
    PurgedTimeSeriesSplit,
)

HORIZON, EMBARGO = 24, 10
"""Bars."""


def use_each(splits: Iterable[object]) -> None:
    for _ in splits:
        pass


def leaks(splitter: PurgedSplitter, start: np.ndarray, end: np.ndarray) -> int:
    """Pairs of a training and a test row whose labels share a bar, by comparing all pairs."""
    found = 0
    for train, test in splitter.split(start):
        meets = (start[train][:, None] <= end[test]) & (end[train][:, None] >= start[test])
        found += int(meets.sum())
    return found


def all_leaks(n_sets: int = 20, n_rows: int = 400) -> int:
    """Leaks of every kind of splitter on random label spans, ordered and not."""
    rng, found = np.random.default_rng(0), 0
    for number in range(n_sets):
        start = 2 * np.arange(n_rows) + rng.integers(-5, 6, n_rows)
        end = start + rng.integers(0, 12, n_rows)
        if number % 2:
            start, end = np.sort(start), np.sort(end)
        spans = {"label_start": start, "label_end": end, "embargo": int(rng.integers(0, 20))}
        for splitter in (
            PurgedKFold(5, **spans),
            PurgedTimeSeriesSplit(4, **spans),
            PurgedTimeSeriesSplit(4, max_train_size=60, **spans),
            BlockingTimeSeriesSplit(4, **spans),
            CombinatorialPurgedCV(8, 2, **spans),
        ):
            found += leaks(splitter, start, end)
    return found


def serial_pbo(returns: np.ndarray, n_blocks: int = 16) -> float:
    """CSCV as the paper states it, one choice of blocks after the other."""
    blocks, overfitted = np.array_split(returns, n_blocks), []
    for choice in combinations(range(n_blocks), n_blocks // 2):
        rest = [number for number in range(n_blocks) if number not in choice]
        inside, outside = (np.concatenate([blocks[number] for number in half]) for half in (choice, rest))
        best = (inside.mean(axis=0) / inside.std(axis=0, ddof=1)).argmax()
        scores = outside.mean(axis=0) / outside.std(axis=0, ddof=1)
        rank = (scores <= scores[best]).sum() / (len(scores) + 1)
        overfitted.append(rank <= 0.5)
    return float(np.mean(overfitted))


def careful_pbo(returns: np.ndarray, n_blocks: int = 16) -> float:
    """CSCV from sums a block: two matrix products give the moments of every choice."""
    blocks = np.array_split(returns, n_blocks)
    choices = np.array(list(combinations(range(n_blocks), n_blocks // 2)))
    chosen = np.zeros((len(choices), n_blocks))
    np.put_along_axis(chosen, choices, 1.0, axis=1)
    lengths = np.array([len(block) for block in blocks])
    sums, squares = (np.array([(block**k).sum(axis=0) for block in blocks]) for k in (1, 2))

    def sharpe(half: np.ndarray) -> np.ndarray:
        n = (half @ lengths)[:, None]
        mean, square = half @ sums / n, half @ squares / n
        return mean / np.sqrt((square - mean**2) * n / (n - 1))

    inside, outside = sharpe(chosen), sharpe(1 - chosen)
    best = np.take_along_axis(outside, inside.argmax(axis=1)[:, None], axis=1)
    ranks = (outside <= best).sum(axis=1) / (returns.shape[1] + 1)
    return float(np.mean(ranks <= 0.5))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=7)
    repeats = parser.parse_args().repeats
    rng = np.random.default_rng(0)
    header()

    X, end = np.zeros(1_000_000), np.arange(1_000_000) + HORIZON
    kfold = PurgedKFold(5, label_end=end, embargo=EMBARGO)
    one, kept = medians(3 * repeats, lambda: use_each(kfold.split(X)), lambda: list(kfold.split(X)))
    row("purged 5-fold, 1,000,000 rows, one split at a time", show(one), "-", None, "< 20 ms")
    row("purged 5-fold, 1,000,000 rows, list(split)", show(kept), "-", None, "< 20 ms")

    combinatorial = CombinatorialPurgedCV(10, 2, label_horizon=HORIZON, embargo=EMBARGO)
    peer_splitter = PeerCombinatorialPurgedCV(10, 2, purged_size=HORIZON, embargo_size=EMBARGO)
    for n, work, use in (
        (200_000, "one split at a time", use_each),
        (100_000, "one split at a time", use_each),
        (100_000, "list(split)", list),
    ):
        X = np.zeros((n, 1))
        ours, peer = medians(
            repeats,
            lambda X=X, use=use: use(combinatorial.split(X)),
            lambda X=X, use=use: use(peer_splitter.split(X)),
        )
        label = f"combinatorial (10, 2), {n:,} rows, {work}"
        row(label, show(ours), f"{show(peer)}, skfolio", peer / ours, ">= 50")

    row("leaks by brute force, all kinds, random spans", str(all_leaks()), "-", None, "0")

    table = rng.normal(0, 0.01, size=(2_000, 50))
    assert probability_of_backtest_overfitting(table).pbo == serial_pbo(table) == careful_pbo(table)
    ours, careful = medians(
        repeats, lambda: probability_of_backtest_overfitting(table), lambda: careful_pbo(table)
    )
    peer = seconds(lambda: serial_pbo(table))
    row("PBO, 2,000 x 50, 16 blocks", show(ours), f"{show(peer)}, serial", peer / ours, ">= 200")
    row("the same", show(ours), f"{show(careful)}, two matrix products", careful / ours, "-")


if __name__ == "__main__":
    main()
