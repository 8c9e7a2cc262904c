"""Bars and features beside their peers, in one process, one after the other.

    taskset -c 0 python -m benchmarks.features [--bars 1000000] [--repeats 5]

Usual peers: the same features in pandas (`benchmarks.pandas_features`), `pandas.merge_asof`,
`DataFrame.to_parquet`, `pandas.read_csv`. Careful peers: `numpy.searchsorted`, `to_parquet` without
dictionaries, and with what makes its file as small as ours. Figures are medians; peak memory is that of a
process of its own.
"""

import argparse
import multiprocessing
import os
import re
import statistics
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd
import pyarrow as pa

from benchmarks.pandas_features import pandas_features
from benchmarks.timing import header, medians, row, show
from trading_assets.config.settings import FeatureSet
from trading_assets.features.stream import FeatureStream
from trading_assets.features.table import append_features, compute_features
from trading_assets.features.timeframes import join_timeframe, to_timeframe
from trading_assets.market.ingest import read_bars
from trading_assets.market.synthetic import SyntheticMarket
from trading_assets.registry.tables import read_table, write_table

DAY = 1_440
"""Minute bars of a day."""
OWN_BARS = FeatureSet(timeframes=())


def minute_bars(n: int) -> pd.DataFrame:
    bars = SyntheticMarket("price", 1.0, n_bars=n, seed=1).bars.round({"volume": 3}).copy()
    prices = ["open", "high", "low", "close"]
    bars[prices] = bars[prices].round(4)
    bars["high"] = bars[prices].max(axis=1)
    bars["low"] = bars[prices].min(axis=1)
    bars["timestamp"] = pd.date_range("2023-01-01", periods=n, freq="min", tz="UTC", unit="ns")
    return bars


def peak_memory(n: int) -> float:
    """GB at most in a process that loads `n` bars and computes their features."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bars.parquet"
        write_table(minute_bars(n), path)
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            return pool.apply(_peak, (path,))


def _peak(path: Path) -> float:
    table = compute_features(read_table(path), OWN_BARS)
    assert len(table.columns) >= 64
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1e6


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--bars", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    n, repeats = options.bars, options.repeats
    pa.set_cpu_count(1)
    bars = minute_bars(n)
    print(f"{n:,} minute bars, medians of {repeats}")
    header()

    with tempfile.TemporaryDirectory() as name:
        for kind, stamps in (
            ("ISO times", bars["timestamp"].dt.strftime("%Y-%m-%dT%H:%M:%SZ")),
            ("epochs", bars["timestamp"].astype("int64") // 10**6),
        ):
            path = Path(name) / "bars.csv"
            bars.assign(timestamp=stamps).to_csv(path, index=False)
            ours, peer = medians(repeats, lambda p=path: read_bars(p), lambda p=path: pd.read_csv(p))
            row(f"read and check a CSV, {kind}", show(ours), f"{show(peer)}, read_csv", ours / peer, "<= 2")

    ours, peer = medians(repeats, lambda: compute_features(bars, OWN_BARS), lambda: pandas_features(bars))
    table = compute_features(bars, OWN_BARS)
    row(f"{len(table.columns)} features", show(ours), f"{show(peer)}, pandas", peer / ours, ">= 6")
    row("the same, peak memory", f"{peak_memory(n):.2f} GB", "-", None, "< 1.2 GB")

    start, new = compute_features(bars.iloc[:-DAY], OWN_BARS), bars.iloc[-DAY:]
    appending = []
    for _ in range(repeats):
        begun = time.perf_counter()
        append_features(start, new)
        appending.append(time.perf_counter() - begun)
        start = compute_features(bars.iloc[:-DAY], OWN_BARS)
    append = statistics.median(appending)
    row(f"append {DAY:,} bars", show(append), f"{show(ours)}, recomputing", ours / append, ">= 100")

    stream, taken = FeatureStream(state=table.state), []
    later = minute_bars(30_000)
    later["timestamp"] += bars["timestamp"].iloc[-1] - later["timestamp"].iloc[0] + pd.Timedelta(minutes=1)
    for bar in later.itertuples(index=False):
        begun = time.perf_counter()
        stream.push(bar)
        taken.append(time.perf_counter() - begun)
    p50, p99 = np.percentile(np.array(taken[1_000:]) * 1e6, [50, 99])
    row("one live bar", f"p50 {p50:.1f} us, p99 {p99:.1f} us", "-", None, "p99 < 30 us")

    larger, _ = to_timeframe(bars, "4h")
    values = compute_features(larger, FeatureSet(timeframes=(), names=("return_1", "rsi_14", "channel_24")))
    right = values.frame.assign(time=larger["timestamp"] + pd.Timedelta("4h"))
    left = pd.DataFrame({"time": bars["timestamp"] + pd.Timedelta("1min")})
    closes, at = (pd.DatetimeIndex(side["time"]).as_unit("ns").asi8 for side in (right, left))
    table_of_4h = values.frame.to_numpy()
    merged = pd.merge_asof(left, right, on="time")[list(values.frame)]
    np.testing.assert_array_equal(join_timeframe(table_of_4h, closes, at), merged.to_numpy())
    padded = np.vstack([np.full(table_of_4h.shape[1], np.nan), table_of_4h])

    def careful_join() -> np.ndarray:
        return padded[np.searchsorted(closes, at, side="right")]

    np.testing.assert_array_equal(careful_join(), merged.to_numpy())
    ours, usual, careful = medians(
        repeats,
        lambda: join_timeframe(table_of_4h, closes, at),
        lambda: pd.merge_asof(left, right, on="time"),
        careful_join,
    )
    row("join 3 features of 4h bars", show(ours), f"{show(usual)}, merge_asof", usual / ours, ">= 3")
    row("the same", show(ours), f"{show(careful)}, searchsorted", careful / ours, "-")

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        frame = table.frame
        plain = {"use_dictionary": False}
        small = {**plain, "compression": "zstd", "compression_level": 1, "use_byte_stream_split": True}
        peers = {"to_parquet": {}, "no dictionary": plain, "no dictionary, zstd, byte streams": small}
        path = folder / "ours.parquet"
        ours, *theirs = medians(
            repeats,
            lambda: write_table(frame, path),
            *(
                lambda peer=peer, options=options: frame.to_parquet(folder / peer, index=False, **options)
                for peer, options in peers.items()
            ),
        )
        for peer, taken in zip(peers, theirs, strict=True):
            row("write the features", show(ours), f"{show(taken)}, {peer}", taken / ours, "-")
        own = path.stat().st_size
        for peer in peers:
            other = (folder / peer).stat().st_size
            row("size of the file", f"{own / 1e6:.0f} MB", f"{other / 1e6:.0f} MB, {peer}", own / other, "-")
        middle = n // 2
        ours, peer = medians(
            repeats,
            lambda: read_table(folder / "ours.parquet", rows=(middle, middle + DAY)),
            lambda: read_table(folder / "ours.parquet"),
        )
        row("read one day of it", show(ours), f"{show(peer)}, all of it", peer / ours, ">= 4")


if __name__ == "__main__":
    main()
