"""CPU that orchestration adds to a step: the command line's runs beside Dagster's multiprocess executor.

    python -m benchmarks.orchestration [--repeats 3]

Every variant trains the same small symbols from nothing, in a fresh data folder and fresh processes. What
the steps' own functions used stands in the artifacts' metadata (`build_cpu_seconds`); all CPU beyond it
(user + system), divided by the steps, is what orchestration adds. A *run* is the Dagster run of one
symbol inside its process; a *command* is the whole process tree, with the start of every process and
the loading of every library.
"""

import argparse
import ctypes
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from trading_assets.config.paths import artifacts_dir
from trading_assets.defs.assets import PIPELINE

SYMBOLS = ("SYN-A", "SYN-B", "SYN-C")
N_BARS = 4_032
PYTHON = [sys.executable, "-m"]
TRAIN = [*PYTHON, "trading_assets.cli.main", "train", "all", "--max-workers", "1", "--symbols", *SYMBOLS]
MODULE = ["-m", "benchmarks.multiprocess"]
PEER = [
    [*PYTHON, "dagster", "asset", "materialize", "--select", "*", "--partition", symbol, *MODULE]
    for symbol in SYMBOLS
]
_SUBREAPER = 36


def fresh_folder() -> None:
    """Point the package at a new data folder with bars and a Dagster home."""
    from trading_assets.cli.home import open_instance
    from trading_assets.market.synthetic import SyntheticMarket

    folder = Path(tempfile.mkdtemp(prefix="orchestration-"))
    for seed, symbol in enumerate(SYMBOLS):
        SyntheticMarket("price", 1.0, n_bars=N_BARS, seed=seed).write(folder / "market", symbol)
    os.environ["TRADING_ASSETS_DATA_DIR"] = str(folder)
    os.environ["DAGSTER_HOME"] = str(folder / "dagster_home")
    open_instance().add_dynamic_partitions("symbols", list(SYMBOLS))


def built_cpu() -> float:
    """CPU seconds that the steps' own functions took in the current folder."""
    found = [json.loads(path.read_bytes()) for path in artifacts_dir().glob("*/*/*/1.0.0/metadata.json")]
    return float(sum(metadata["build_cpu_seconds"] for metadata in found))


def tree_cpu(*commands: list[str]) -> float:
    """CPU seconds of the commands and everything they start."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    for command in commands:
        subprocess.run(command, check=True, capture_output=True)
    while True:  # what they left to us, such as a fork server
        try:
            os.wait()
        except ChildProcessError:
            break
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def run_inside() -> float:
    """CPU seconds of the symbols' runs, in this process, as a worker of the command line makes them."""
    from trading_assets.cli.train import TrainRequest, run_assets

    used = 0.0
    for symbol in SYMBOLS:
        before = time.process_time()
        run_assets(TrainRequest(symbols=[symbol], profile="smoke"), symbol, list(PIPELINE))
        used += time.process_time() - before
    return used


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=3)
    repeats = parser.parse_args().repeats
    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
    os.environ |= {"OMP_NUM_THREADS": "1", "TRADING_ASSETS_PROFILE": "smoke"}
    os.environ.pop("TRADING_ASSETS_MARKET_DIR", None)
    fresh_folder()
    run_inside()  # compiles, and loads the libraries into this process
    variants = {
        "command line: runs": run_inside,
        "command line: whole command": lambda: tree_cpu(TRAIN),
        "dagster multiprocess executor: whole commands": lambda: tree_cpu(*PEER),
    }
    rows: dict[str, list[tuple[float, float]]] = {name: [] for name in variants}
    for _ in range(repeats):
        for name, run in variants.items():
            fresh_folder()
            rows[name].append((run(), built_cpu()))
    steps = len(PIPELINE) * len(SYMBOLS)
    print(f"{len(SYMBOLS)} symbols x {len(PIPELINE)} steps, medians of {repeats}")
    print("| variant | CPU s | of it the steps' own | added a step |\n| --- | --- | --- | --- |")
    for name, measured in rows.items():
        total = statistics.median(cpu for cpu, _ in measured)
        own = statistics.median(built for _, built in measured)
        added = statistics.median((cpu - built) / steps for cpu, built in measured)
        print(f"| {name} | {total:.1f} | {own:.1f} | {added:.3f} |")
    print(
        f"second command, nothing changed: {tree_cpu(TRAIN):.1f} CPU s; import of the definitions: ", end=""
    )
    print(f"{tree_cpu([sys.executable, '-c', 'import trading_assets.definitions']):.2f} CPU s")


if __name__ == "__main__":
    main()
