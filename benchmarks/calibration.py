"""Calibration beside its peer, in one process, one after the other.

    taskset -c 1 python -m benchmarks.calibration [--rows 100000] [--repeats 21]

Peer: betacal (fit and predict). Forecasts are the true probability, squared. Figures are medians.
"""

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from betacal import BetaCalibration

from benchmarks.timing import header, medians, row, show
from trading_assets.forecasters.calibrators import BetaCalibrator


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=21)
    options = parser.parse_args()
    n, repeats = options.rows, options.repeats
    rng = np.random.default_rng(0)
    true = rng.beta(2, 2, size=n)
    y = (rng.random(n) < true).astype(float)
    p = true**2
    print(f"{n:,} forecasts, medians of {repeats}")
    header()

    def distance(q: np.ndarray) -> float:
        return float(np.sqrt(np.mean((q - true) ** 2)))

    fitted, other = BetaCalibrator().fit(p, y), BetaCalibration("abm").fit(p[:, None], y)
    ours, peer = medians(
        repeats, lambda: BetaCalibrator().fit(p, y), lambda: BetaCalibration("abm").fit(p[:, None], y)
    )
    row("fit beta calibration", show(ours), f"{show(peer)}, betacal", peer / ours, ">= 2.5")
    ours, peer = medians(repeats, lambda: fitted.transform(p), lambda: other.predict(p))
    row("apply it", show(ours), f"{show(peer)}, betacal", peer / ours, "-")
    ours, peer = distance(fitted.transform(p)), distance(other.predict(p))
    row("its RMSE to the true probability", f"{ours:.6f}", f"{peer:.6f}, betacal", ours / peer, "<= 1")


if __name__ == "__main__":
    main()
