#!/usr/bin/env bash
# TA-Lib's ADX depends on the unit of the price: rounding decides which of two equal movements was the larger.
#
# Wilder: where a bar's high rises by as much as its low falls, neither counts. In decimal ticks both moves are
# differences of rounded numbers (9.35 - 9.32 < 9.15 - 9.12), and TA-Lib compares them exactly, though its MFI
# takes such differences for 0. On coarse ticks the index is off by more than 10 of 100 points.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check "ta-lib==0.8.2" "numpy<3"
"$work/venv/bin/python" - <<'PYTHON'
import numpy as np
import talib

rng = np.random.default_rng(0)
close = 2_000 + np.cumsum(rng.integers(-1, 2, 6_000))
start = np.concatenate([close[:1], close[:-1]])
high = np.maximum(start, close) + rng.integers(0, 2, len(close))
low = np.minimum(start, close) - rng.integers(0, 2, len(close))


def adx(tick):
    return talib.ADX(high * tick, low * tick, close * tick, 14)[500:]


def mfi(tick):
    return talib.MFI(high * tick, low * tick, close * tick, np.ones(len(close)), 14)[500:]


print("TA-Lib", talib.__version__, "C", talib.__ta_version__.decode())
for tick in (0.25, 0.05, 0.01):
    apart = np.abs(adx(tick) - adx(1.0)).max(), np.abs(mfi(tick) - mfi(1.0)).max()
    print(f"tick {tick}: ADX differs from that in whole ticks by {apart[0]:.3g}, MFI by {apart[1]:.3g}")
assert np.abs(adx(0.25) - adx(1.0)).max() < 1e-6, "a binary tick is not rounded"
assert np.abs(mfi(0.05) - mfi(1.0)).max() < 1e-6, "MFI tells rounding from a move"
assert np.abs(adx(0.05) - adx(1.0)).max() > 5, "ADX does so now, too"
PYTHON
