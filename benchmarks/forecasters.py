"""Fitting and asking forecasters beside the usual ways.

    python -m benchmarks.forecasters [--repeats 3] [--rows 200000]

Usual peers: a loop over the folds with `lightgbm.train` on one thread; `lightgbm.Booster.predict` of one row;
the same torch modules trained on overlapping windows by a Dataset and a DataLoader. Careful peers: the same
loop on two threads; LightGBM's own call in C for a single row; the same torch modules on dense chunks, with a
loss at every bar after the burn-in. The folds need two cores, the others are the better for one
(`taskset -c 0`, and `--only rows sequences`).
"""

import argparse
import ctypes
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

import lightgbm as lgb
import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from benchmarks.timing import header, medians, row, show
from trading_assets.config.settings import GRUSettings, SequenceSettings
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
    parameters = {**chosen, "objective": "binary", "subsample_freq": 1, "verbosity": -1}

    def loop(n_threads: int) -> None:
        for train, test in splits:
            data = lgb.Dataset(X.iloc[train], y[train])
            booster = lgb.train({**parameters, "num_threads": n_threads}, data, N_TREES)
            booster.predict(X.iloc[test], num_threads=n_threads)

    ours, usual, careful = medians(
        repeats,
        lambda: cross_fit(model.clone, X, y, splits, n_threads=2),
        lambda: loop(1),
        lambda: loop(2),
    )
    what = f"5-fold LightGBM, {n:,} x {N_FEATURES}, {N_TREES} trees, two cores"
    row(what, show(ours), f"{show(usual)}, loop on one thread", usual / ours, ">= 1.7")
    row("the same", show(ours), f"{show(careful)}, loop on two threads", careful / ours, "-")


def single_row_call(booster: lgb.Booster, n_features: int) -> Callable[[np.ndarray], float]:
    """LightGBM's own fast call for one row of float64, prepared once."""
    library, fast = lgb.basic._LIB, ctypes.c_void_p()
    raw_score, dtype_float64 = 1, 1
    library.LGBM_BoosterPredictForMatSingleRowFastInit(
        booster._handle, raw_score, 0, -1, dtype_float64, n_features, b"num_threads=1", ctypes.byref(fast)
    )
    length, out = ctypes.c_int64(), ctypes.c_double()
    where = ctypes.byref(length), ctypes.byref(out)

    def predict(row: np.ndarray) -> float:
        library.LGBM_BoosterPredictForMatSingleRowFast(fast, row.ctypes.data_as(ctypes.c_void_p), *where)
        return out.value

    return predict


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

    def usual() -> None:
        for i in range(len(scaled)):
            booster.predict(scaled[i : i + 1], num_threads=1)

    call, doubles = single_row_call(booster, scaled.shape[1]), scaled.astype(np.float64)
    raw = booster.predict(scaled, raw_score=True)
    np.testing.assert_allclose([call(one) for one in doubles[:50]], raw[:50], rtol=1e-12)

    def careful() -> None:
        for one in doubles:
            call(one)

    mine, *peers = (value / len(rows) for value in medians(repeats, ours, usual, careful))
    what, shown = f"one row, {N_TREES} trees", f"{mine * 1e6:.1f} us"
    row(what, shown, f"{peers[0] * 1e6:.1f} us, Booster.predict", peers[0] / mine, ">= 6")
    row("the same", shown, f"{peers[1] * 1e6:.1f} us, the call in C", peers[1] / mine, "-")


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


def rate(module: nn.Module, batches: Iterable[tuple[torch.Tensor, torch.Tensor]], n_outputs: int) -> float:
    """Bars a second that a loss is taken of: the last `n_outputs` of each row of a batch."""
    optimizer = torch.optim.AdamW(module.parameters())
    start, seen = time.perf_counter(), 0
    for x, answers in batches:
        outputs = module(x)[:, -n_outputs:, 0]
        loss = nn.functional.binary_cross_entropy_with_logits(outputs, answers)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seen += answers.numel()
    return seen / (time.perf_counter() - start)


def dense_chunks(
    x: torch.Tensor, y: torch.Tensor, settings: SequenceSettings, steps: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Batches of chunks at random places, a burn-in before each."""
    rng, whole = np.random.default_rng(0), settings.burn_in + settings.chunk
    for _ in range(steps):
        starts = torch.from_numpy(rng.integers(0, len(x) - whole, settings.batch_size))
        where = starts[:, None] + torch.arange(whole)
        yield x[where], y[where[:, settings.burn_in :]]


def sequences(kind: type[SequenceForecaster], repeats: int) -> None:
    """Bars that a loss is taken of, a second, of one module with its default settings."""
    torch.set_num_threads(1)
    X, y = market(20_000)
    n_inputs, steps = 12, 100
    x, answers = torch.from_numpy(X.to_numpy()[:, :n_inputs].copy()), torch.from_numpy(y.astype(np.float32))
    model = kind(0, steps=steps, burn_in=WINDOW, inputs="all")
    settings = model.settings
    rates = []
    for _ in range(repeats):
        start = time.perf_counter()
        model.fit(X.iloc[:, :n_inputs], y)
        ours = steps * settings.batch_size * settings.chunk / (time.perf_counter() - start)
        module = PlainGRU(n_inputs, settings) if kind is GRUForecaster else model.module_.train()
        loader = DataLoader(Windows(x, answers), batch_size=256, shuffle=True)
        windows = ((window, answer[:, None]) for window, answer in islice(loader, 20))
        dense = dense_chunks(x, answers, settings, steps)
        rates.append((ours, rate(module, windows, 1), rate(module, dense, settings.chunk)))
    ours, usual, careful = (statistics.median(column) for column in zip(*rates, strict=True))
    what = f"training the {model.kind}, window {WINDOW}, bars a second"
    row(what, f"{ours:,.0f}", f"{usual:,.0f}, windows", ours / usual, ">= 12")
    row("the same", f"{ours:,.0f}", f"{careful:,.0f}, dense chunks", ours / careful, "-")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=["folds", "rows", "sequences"])
    options = parser.parse_args()
    chosen = options.only or ["folds", "rows", "sequences"]
    header()
    if "folds" in chosen:
        folds(options.rows, options.repeats)
    if "rows" in chosen:
        one_row(options.repeats)
    if "sequences" in chosen:
        for kind in (GRUForecaster, CNNLSTMForecaster):
            sequences(kind, options.repeats)


if __name__ == "__main__":
    main()
