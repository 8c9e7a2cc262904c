"""How long one decision takes on this machine, in each runtime."""

from __future__ import annotations

import os
import platform
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from trading_assets.execution.loader import RUNTIMES, open_runtime
from trading_assets.execution.policy import Policy

_LIBRARIES = {"numpy": "numpy", "onnx": "onnxruntime", "torchscript": "torch"}


def measure_latency(
    folder: Path, architecture: dict[str, Any], observations: NDArray[np.float32], calls: int
) -> dict[str, Any]:
    """Microseconds of `Policy.predict`, after a tenth of the calls as a warm-up.

    Parameters
    ----------
    folder : Path
        Of the bundle.
    architecture : dict
        Its `architecture.json`.
    observations : ndarray of shape (n, n_features + n_account), float32
    calls : int

    Returns
    -------
    dict
        `runtimes` with p50, p99 and p99.9 of each, and the processor, threads and versions they hold
        for.

    Examples
    --------
    >>> measure_latency(folder, architecture, observations, 2_000)["runtimes"]["numpy"]  # doctest: +SKIP
    """
    runtimes = {}
    for runtime in RUNTIMES:
        policy = Policy(architecture, *open_runtime(folder, architecture, runtime), {})
        taken = np.empty(calls)
        for i in range(-(calls // 10), calls):
            observation = observations[i % len(observations)]
            started = time.perf_counter_ns()
            policy.predict(observation)
            taken[max(i, 0)] = time.perf_counter_ns() - started
        p50, p99, p999 = np.percentile(taken / 1e3, [50, 99, 99.9]).round(1).tolist()
        runtimes[runtime] = {
            "p50_us": p50,
            "p99_us": p99,
            "p99.9_us": p999,
            "version": version(_LIBRARIES[runtime]),
        }
    return {
        "runtimes": runtimes,
        "calls": calls,
        "threads": torch.get_num_threads(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
