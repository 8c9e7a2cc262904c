"""Calibration beside its peers, in one process, one after the other.

    taskset -c 1 python -m benchmarks.calibration [--rows 100000] [--repeats 21]

Peers: betacal (fit and predict) and netcal's ECE and MCE. netcal has no Brier score; it is lent numpy's,
which takes about a hundredth of its time. Forecasts are the true probability, squared. Figures are medians.
"""

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from betacal import BetaCalibration
from netcal.metrics import ECE, MCE

from benchmarks.timing import header, medians, row, show
from trading_assets.forecasters.calibration_error import (
    brier_score,
    calibration_scores,
    expected_calibration_error,
    maximum_calibration_error,
)
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

    def netcal() -> tuple[float, float, float]:
        return ECE(15).measure(p, y), MCE(15).measure(p, y), float(np.mean((p - y) ** 2))

    def one_by_one() -> tuple[float, float, float]:
        return expected_calibration_error(y, p), maximum_calibration_error(y, p), brier_score(y, p)

    np.testing.assert_allclose(list(calibration_scores(y, p).values()), netcal(), rtol=1e-9)
    np.testing.assert_allclose(one_by_one(), netcal(), rtol=1e-9)
    together, single, peer = medians(repeats, lambda: calibration_scores(y, p), one_by_one, netcal)
    named = f"{show(peer)}, netcal"
    row("ECE, MCE and Brier score in one pass", f"{together * 1e3:.3f} ms", named, peer / together, ">= 150")
    row("the same in three calls", f"{single * 1e3:.3f} ms", named, peer / single, "-")


if __name__ == "__main__":
    main()
