"""Fitting and asking forecasters beside the usual ways.

    python -m benchmarks.forecasters [--repeats 3] [--rows 200000]

Peers: a loop over the folds with `lightgbm.train` on one thread; `lightgbm.Booster.predict` of one row; the
same torch modules trained on overlapping windows by a Dataset and a DataLoader. The first needs two cores,
the others are the better for one (`taskset -c 0`, and `--only rows windows`).
"""

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import statistics
import time

import lightgbm as lgb
import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from benchmarks.timing import header, medians, row, show
from trading_assets.config.settings import GRUSettings
from trading_assets.forecasters import CNNLSTMForecaster, GRUForecaster, LightGBMForecaster
from trading_assets.forecasters.crossfit import cross_fit
from trading_assets.forecasters.sequence import SequenceForecaster
from trading_assets.validation import PurgedKFold

N_FEATURES, N_TREES, WINDOW = 60, 300, 64


def market(n: int) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, N_FEATURES), dtype=np.float32)
    y = (X[:, 0] * X[:, 1] + X[:, 2] + 4 * rng.standard_normal(n) > 0).astype(float)
    return pd.DataFrame(X, columns=[f"x{i}" for i in range(N_FEATURES)]), y


def folds(n: int, repeats: int) -> None:
    """Five purged folds, each with bins of its own training rows."""
    X, y = market(n)
    splits = list(PurgedKFold(5, label_horizon=24, embargo=24).split(X))
    model = LightGBMForecaster(0, n_estimators=N_TREES, preprocessing=())
    chosen = model.settings.model_dump(exclude={"n_estimators", "preprocessing", "early_stopping", "holdout"})
    parameters = {**chosen, "objective": "binary", "subsample_freq": 1, "num_threads": 1, "verbosity": -1}

    def naive() -> None:
        for train, test in splits:
            data = lgb.Dataset(X.iloc[train], y[train])
            lgb.train(parameters, data, N_TREES).predict(X.iloc[test], num_threads=1)

    ours, theirs = medians(repeats, lambda: cross_fit(model.clone, X, y, splits, n_threads=2), naive)
    what = f"5-fold LightGBM, {n:,} x {N_FEATURES}, {N_TREES} trees, two cores"
    row(what, show(ours), show(theirs), theirs / ours, ">= 1.7")


def one_row(repeats: int) -> None:
    """A loaded forecaster's stream, calibration aside, against `Booster.predict` of the same row."""
    X, y = market(20_000)
    model = LightGBMForecaster(0, n_estimators=N_TREES).fit(X, y)
    push, booster = model.stream(), lgb.Booster(model_str=model.booster_.model_to_string())
    rows = X.to_numpy()[:2_000]
    scaled = model.preprocessor_.transform(X)[:2_000]

    def ours() -> None:
        for x in rows:
            push(x)

    def theirs() -> None:
        for i in range(len(scaled)):
            booster.predict(scaled[i : i + 1], num_threads=1)

    mine, peer = (value / len(rows) for value in medians(repeats, ours, theirs))
    what = f"one row, {N_TREES} trees"
    row(what, f"{mine * 1e6:.1f} us", f"{peer * 1e6:.1f} us", peer / mine, ">= 6")


class PlainGRU(nn.Module):
    """torch's own GRU and a head, as large as ours."""

    def __init__(self, n_inputs: int, settings: GRUSettings) -> None:
        super().__init__()
        self.gru = nn.GRU(n_inputs, settings.hidden_size, batch_first=True)
        self.head = nn.Linear(settings.hidden_size, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.gru(x)[0])


class Windows(Dataset):
    """The usual way: bar i is seen through the 64 bars up to it."""

    def __init__(self, x: torch.Tensor, y: torch.Tensor) -> None:
        self.x, self.y = x, y

    def __len__(self) -> int:
        return len(self.x) - WINDOW

    def __getitem__(self, i: int) -> tuple[torch.Tensor, torch.Tensor]:
        return self.x[i : i + WINDOW], self.y[i + WINDOW - 1]


def windowed_rate(module: nn.Module, x: torch.Tensor, y: torch.Tensor, steps: int) -> float:
    """Bars a second."""
    loader = DataLoader(Windows(x, y), batch_size=256, shuffle=True)
    optimiser = torch.optim.AdamW(module.parameters())
    start, seen = time.perf_counter(), 0
    for _, (window, answer) in zip(range(steps), loader, strict=False):
        loss = nn.functional.binary_cross_entropy_with_logits(module(window)[:, -1, 0], answer)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        seen += len(answer)
    return seen / (time.perf_counter() - start)


def windows(kind: type[SequenceForecaster], repeats: int) -> None:
    """Bars that a loss is taken of, a second, of one module with its default settings."""
    torch.set_num_threads(1)
    X, y = market(20_000)
    n_inputs = 12
    x, answers = torch.from_numpy(X.to_numpy()[:, :n_inputs].copy()), torch.from_numpy(y.astype(np.float32))
    model = kind(0, steps=100, burn_in=WINDOW, inputs="all")
    seen = model.settings.steps * model.settings.batch_size * model.settings.chunk
    rates = []
    for _ in range(repeats):
        start = time.perf_counter()
        model.fit(X.iloc[:, :n_inputs], y)
        ours = seen / (time.perf_counter() - start)
        usual = PlainGRU(n_inputs, model.settings) if kind is GRUForecaster else model.module_.train()
        rates.append((ours, windowed_rate(usual, x, answers, 20)))
    ours, theirs = (statistics.median(column) for column in zip(*rates, strict=True))
    what = f"training the {model.kind}, window {WINDOW}, bars a second"
    row(what, f"{ours:,.0f}", f"{theirs:,.0f}", ours / theirs, ">= 12")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=["folds", "rows", "windows"])
    options = parser.parse_args()
    chosen = options.only or ["folds", "rows", "windows"]
    header()
    if "folds" in chosen:
        folds(options.rows, options.repeats)
    if "rows" in chosen:
        one_row(options.repeats)
    if "windows" in chosen:
        for kind in (GRUForecaster, CNNLSTMForecaster):
            windows(kind, options.repeats)


if __name__ == "__main__":
    main()
