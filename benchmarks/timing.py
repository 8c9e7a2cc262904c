"""How benchmarks measure, and the table they print."""

import statistics
import time
from collections.abc import Callable


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def medians(repeats: int, *works: Callable[[], object]) -> list[float]:
    """Median seconds of each, taken in turns so that a busy moment meets all alike."""
    for work in works:
        work()
    taken = [[seconds(work) for work in works] for _ in range(repeats)]
    return [statistics.median(column) for column in zip(*taken, strict=True)]


def header() -> None:
    print("| work | ours | peer | ratio | goal |\n| --- | --- | --- | --- | --- |", flush=True)


def row(work: str, ours: str, peer: str, ratio: float | None, goal: str) -> None:
    shown = "-" if ratio is None else f"{ratio:.2f}"
    print(f"| {work} | {ours} | {peer} | {shown} | {goal} |", flush=True)


def show(value: float) -> str:
    return f"{value:.2f} s" if value >= 1 else f"{value * 1e3:.1f} ms"
