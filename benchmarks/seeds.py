"""Every forecaster on real bars over many seeds: mean and standard deviation, as qlib's tables show them.

    python -m benchmarks.seeds FOLDER [--symbols BTCUSDT ETHUSDT] [--seeds 10] [--workers 2] [--out rows.csv]

FOLDER holds a Parquet file of bars a symbol. Each forecaster is cross-fitted and calibrated on the first
era of its symbol, fitted on the whole of it, and scored on the validation era, as the pipeline does it with
the default profile. Nothing here looks at the test era.
"""

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import multiprocessing
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from trading_assets.config import Settings, load_settings
from trading_assets.features.dataset import Dataset, DatasetBuilder
from trading_assets.forecasters import FORECASTERS, choose_calibrator, forecaster_class
from trading_assets.forecasters.calibration import with_mirror_image
from trading_assets.forecasters.calibration_error import calibration_scores
from trading_assets.forecasters.crossfit import answered, cross_fit, predict_block, score
from trading_assets.forecasters.forecast_backtest import choose_threshold, follow_forecast, forecast_market
from trading_assets.market.ingest import read_bars
from trading_assets.validation.eras import border
from trading_assets.validation.folds import Folds, make_folds
from trading_assets.validation.metrics import sharpe_ratio


@cache
def prepare(path: Path) -> tuple[Dataset, Folds, Settings]:
    settings = load_settings("demo", path.stem)
    bars = read_bars(path).bars
    end = border(len(bars), settings.folds.step_bars)
    data, _ = DatasetBuilder(settings.features, settings.labels).build(bars, border=end)
    return data, make_folds(data, settings), settings


def evaluate(job: tuple[Path, str, int]) -> dict[str, float | int | str]:
    """One forecaster of one symbol with one seed."""
    path, kind, seed = job
    data, folds, settings = prepare(path)
    X, y = data.features, data.target("direction")
    given = {"sample_weight": np.nan_to_num(data.frame["weight"].to_numpy()), "label_end": data.label_end}
    model = forecaster_class(kind)(seed, **getattr(settings, kind).model_dump())
    frame = cross_fit(model.clone, X, y, folds.splits, **given).frame
    p, answers, fold, weight = (answered(frame)[name].to_numpy() for name in ("p", "y", "fold", "weight"))
    calibrator, _ = choose_calibrator(**with_mirror_image(p, answers, fold, weight))
    calibrated_p = calibrator.transform(frame["p"])
    market = forecast_market(data, settings)
    chosen = choose_threshold(market, frame["row"].to_numpy(), calibrated_p)
    era = folds.eras.forecaster_train
    model.fit(X, y, rows=np.arange(era.start, era.stop), **given)
    rows = np.arange(folds.eras.validation.start, folds.eras.validation.stop)
    before = predict_block(model, X, rows)[:, 1]
    after = calibrator.transform(before)
    net = follow_forecast(market, rows, after, chosen.threshold if chosen else 0.5).returns
    known = np.isfinite(y[rows])
    raw, calibrated = (calibration_scores(y[rows][known], q[known]) for q in (before, after))
    return {
        "symbol": path.stem,
        "forecaster": kind,
        "seed": seed,
        "AUC": score(y[rows][known], after[known])["AUC"],
        "Brier raw": raw["Brier"],
        "Brier": calibrated["Brier"],
        "ECE raw": raw["ECE"],
        "ECE": calibrated["ECE"],
        "net Sharpe": sharpe_ratio(net, periods_per_year=data.periods_per_year) if net.any() else 0.0,
    }


def table(rows: pd.DataFrame) -> str:
    """Mean and deviation over the seeds, a row a symbol and forecaster, then over all symbols."""
    figures = ["AUC", "Brier raw", "Brier", "ECE raw", "ECE", "net Sharpe"]
    lines = [
        f"| symbol | forecaster | {' | '.join(figures)} |",
        f"| --- | --- | {' | '.join('---' for _ in figures)} |",
    ]

    def line(symbol: str, kind: str, some: pd.DataFrame) -> str:
        cells = [f"{some[name].mean():.4f} +- {some[name].std():.4f}" for name in figures[:-1]]
        cells.append(f"{some['net Sharpe'].mean():.2f} +- {some['net Sharpe'].std():.2f}")
        return f"| {symbol} | {kind} | {' | '.join(cells)} |"

    for symbol, of_symbol in rows.groupby("symbol"):
        lines += [line(str(symbol), str(k), part) for k, part in of_symbol.groupby("forecaster", sort=False)]
    means = rows.groupby(["forecaster", "seed"], sort=False)[figures].mean().reset_index()
    lines += [line("mean of all", str(k), part) for k, part in means.groupby("forecaster", sort=False)]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--symbols", nargs="+")
    parser.add_argument("--forecasters", nargs="+", choices=list(FORECASTERS), default=list(FORECASTERS))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    paths = [p for p in sorted(options.folder.glob("*.parquet")) if p.stem in (options.symbols or [p.stem])]
    jobs = [
        (path, kind, seed) for path in paths for kind in options.forecasters for seed in range(options.seeds)
    ]
    with multiprocessing.get_context("spawn").Pool(options.workers) as pool:
        rows = []
        for done, made in enumerate(pool.imap(evaluate, jobs), start=1):
            rows.append(made)
            print(f"\r{done} of {len(jobs)}", end="", flush=True)
            if options.out:
                pd.DataFrame(rows).to_csv(options.out, index=False)
    print("\n" + table(pd.DataFrame(rows)))


if __name__ == "__main__":
    main()
