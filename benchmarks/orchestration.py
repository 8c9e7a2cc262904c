"""CPU that orchestration adds to a step: the command line's runs beside Dagster's multiprocess executor.

    python -m benchmarks.orchestration [--repeats 3]

Every variant trains the same small symbols from nothing, each run in a fresh data folder and fresh
processes; CPU is user + system time of the whole process tree. `domain` calls the steps' functions one
after another in one process, with the store but without a Dagster run; what the others need beyond it,
divided by the steps, is what orchestration adds.
"""

import argparse
import ctypes
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

SYMBOLS = ("SYN-A", "SYN-B", "SYN-C")
N_BARS = 4_032
_SUBREAPER = 36


def write_market(folder: Path) -> None:
    from trading_assets.market.synthetic import SyntheticMarket

    for seed, symbol in enumerate(SYMBOLS):
        SyntheticMarket("price", 1.0, n_bars=N_BARS, seed=seed).write(folder / "market", symbol)


def run_domain() -> None:
    """The steps' functions without Dagster runs."""
    from trading_assets.defs.assets import STEPS
    from trading_assets.defs.resources import Workspace
    from trading_assets.defs.steps import SOURCE_FILE, Work
    from trading_assets.registry.digests import sha256_file

    workspace = Workspace()
    for symbol in SYMBOLS:
        settings, source, refs = workspace.settings(symbol), workspace.source.file(symbol), {}
        for step in STEPS.values():
            inputs = {name: refs[name] for name in step.inputs}
            versions = {name: ref.data_version for name, ref in inputs.items()}
            digest = sha256_file(source) if step.reads_source else ""
            if step.reads_source:
                versions[SOURCE_FILE] = digest
            recipe = step.recipe(settings, symbol, versions)

            def build(folder: Path, step=step, digest=digest, inputs=inputs) -> object:  # type: ignore[no-untyped-def]
                return step.build(Work(folder, settings, symbol, source, digest), **inputs)  # noqa: B023

            refs[step.name] = workspace.store.obtain(recipe, inputs, build).ref  # type: ignore[arg-type]


def command_line(*extra: str) -> list[str]:
    arguments = ["train", "all", "--symbols", *SYMBOLS, "--max-workers", "1", *extra]
    return [sys.executable, "-m", "trading_assets.cli.main", *arguments]


def multiprocess(symbol: str) -> list[str]:
    arguments = ["asset", "materialize", "--select", "*", "--partition", symbol]
    return [sys.executable, "-m", "dagster", *arguments, "-m", "benchmarks.multiprocess"]


def cpu_of(run: Callable[[], None]) -> tuple[float, float]:
    """CPU seconds of all descendants of this process while `run` runs, and wall seconds."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    run()
    wall = time.perf_counter() - started
    while True:  # what the commands left to us, such as a fork server
        try:
            os.wait()
        except ChildProcessError:
            break
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


def quietly(*commands: list[str]) -> Callable[[], None]:
    def run() -> None:
        for command in commands:
            subprocess.run(command, check=True, capture_output=True)

    return run


PEER = "dagster multiprocess executor"


def measure(*, peer: bool = True) -> dict[str, tuple[float, float]]:
    """One run of every variant, each in its own folder."""
    domain = [sys.executable, "-c", "from benchmarks.orchestration import run_domain; run_domain()"]
    bare = [sys.executable, "-c", "import trading_assets.definitions"]
    results = {}
    for name, run in (
        ("import of the definitions", quietly(bare)),
        ("domain", quietly(domain)),
        ("command line", quietly(command_line())),
        ("command line, nothing changed", quietly(command_line())),
        (PEER, quietly(*map(multiprocess, SYMBOLS))),
    ):
        if name == PEER and not peer:
            continue
        if name != "command line, nothing changed":
            folder = Path(tempfile.mkdtemp(prefix="orchestration-"))
            write_market(folder)
            home = folder / "dagster_home"
            home.mkdir()
            (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
            os.environ |= {"TRADING_ASSETS_DATA_DIR": str(folder), "DAGSTER_HOME": str(home)}
        if name == PEER:
            from trading_assets.cli.home import open_instance

            open_instance().add_dynamic_partitions("symbols", list(SYMBOLS))
        results[name] = cpu_of(run)
    return results


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=3)
    repeats = parser.parse_args().repeats
    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
    os.environ |= {"OMP_NUM_THREADS": "1", "TRADING_ASSETS_PROFILE": "smoke"}
    os.environ.pop("TRADING_ASSETS_MARKET_DIR", None)
    from trading_assets.defs.assets import STEPS

    measure(peer=False)  # compiles and warms the caches
    runs = [measure() for _ in range(repeats)]
    cpu = {name: statistics.median(run[name][0] for run in runs) for name in runs[0]}
    wall = {name: statistics.median(run[name][1] for run in runs) for name in runs[0]}
    steps = len(STEPS) * len(SYMBOLS)
    # The domain's run imports the definitions to find the functions; that is orchestration's.
    own = cpu["domain"] - cpu["import of the definitions"]
    print(f"{len(SYMBOLS)} symbols x {len(STEPS)} steps, medians of {repeats} runs")
    print("| variant | CPU s | wall s | CPU s added a step |\n| --- | --- | --- | --- |")
    for name, seconds in cpu.items():
        trains = name in {"command line", PEER}
        added = f"{(seconds - own) / steps:.3f}" if trains else ""
        print(f"| {name} | {seconds:.2f} | {wall[name]:.2f} | {added} |")


if __name__ == "__main__":
    main()
