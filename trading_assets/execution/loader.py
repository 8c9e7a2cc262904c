"""From a bundle's folder to a policy, verified before anything in it is opened."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np

from trading_assets.errors import ArtifactError
from trading_assets.execution.networks import F32, F64, PolicyNetwork, require_finite
from trading_assets.execution.policy import Evaluate, Policy
from trading_assets.registry.manifest import verify_manifest

Runtime = Literal["numpy", "onnx", "torchscript", "fastest"]
RUNTIMES: tuple[Runtime, ...] = ("numpy", "onnx", "torchscript")
FORMAT = 3


def load_bundle(path: str | Path, *, runtime: Runtime = "numpy") -> Policy:
    """Verify a policy bundle and load it.

    Parameters
    ----------
    path : str or Path
        The bundle's folder.
    runtime : {'numpy', 'onnx', 'torchscript', 'fastest'}
        `numpy` is what the backtest in the bundle's report ran on, bit for bit. `fastest` is the one
        whose measured median latency in `metadata.json` is the lowest; all passed the parity test.

    Raises
    ------
    ArtifactError
        When a file was changed, is missing or is extra, the bundle has another format, or weights that are
        not finite.
    """
    folder = Path(path).resolve()  # a link such as `current` may point elsewhere in a moment
    if not (folder / "architecture.json").is_file():
        raise ArtifactError(f"There is no bundle at {folder}.")
    verify_manifest(folder)
    metadata = json.loads((folder / "metadata.json").read_bytes())
    architecture = json.loads((folder / "architecture.json").read_bytes())
    if architecture.get("format") != FORMAT:
        raise ArtifactError(
            f"{folder} has bundle format {architecture.get('format')}; this version reads {FORMAT}."
        )
    if runtime == "fastest":
        latency = metadata["details"]["latency"]["runtimes"]
        runtime = min(latency, key=lambda name: latency[name]["p50_us"])
    evaluate, state_size = open_runtime(folder, architecture, runtime)
    return Policy(architecture, evaluate, state_size, metadata)


def open_runtime(folder: Path, architecture: dict[str, Any], runtime: str) -> tuple[Evaluate, int]:
    """The network of a verified bundle's folder in one runtime, and the length of its state."""
    from safetensors.numpy import load_file

    weights = load_file(folder / "weights.safetensors")
    require_finite(weights)
    network = PolicyNetwork(architecture, weights)
    if runtime == "numpy":
        return network, network.state_size
    if runtime == "onnx":
        return _onnx(folder / "policy.onnx"), network.state_size
    if runtime == "torchscript":
        return _torchscript(folder / "policy.pt"), network.state_size
    raise ArtifactError(f"Unknown runtime '{runtime}'; expected one of {', '.join(RUNTIMES)}.")


def _onnx(path: Path) -> Evaluate:
    try:
        import onnxruntime as ort
    except ImportError:
        raise ArtifactError("The onnx runtime is missing; pip install onnxruntime.") from None
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def evaluate(features: F32, account: F32, state: F32) -> F64:
        probabilities, moved = session.run(None, {"features": features, "account": account, "state": state})
        state[:] = moved
        return np.asarray(probabilities, dtype=np.float64)

    return evaluate


def _torchscript(path: Path) -> Evaluate:
    try:
        import torch
    except ImportError:
        raise ArtifactError("The torchscript runtime is missing; pip install torch.") from None
    torch.set_num_threads(1)
    module = torch.jit.load(path)  # type: ignore[no-untyped-call]

    def evaluate(features: F32, account: F32, state: F32) -> F64:
        with torch.inference_mode():
            probabilities, moved = module(torch.tensor(features), torch.tensor(account), torch.tensor(state))
        state[:] = moved.numpy()
        return np.asarray(probabilities.numpy(), dtype=np.float64)

    return evaluate
