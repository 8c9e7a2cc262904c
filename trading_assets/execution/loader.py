"""From a bundle's folder to a policy, verified before anything in it is opened."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np

from trading_assets.arrays import Floats, Singles
from trading_assets.errors import ArtifactError
from trading_assets.execution.ensemble import PolicyNetwork
from trading_assets.execution.networks import require_finite
from trading_assets.execution.policy import Evaluate, Policy
from trading_assets.execution.schema import check_architecture, check_weights, read_json
from trading_assets.plugins import load_plugins
from trading_assets.registry.manifest import verify_manifest
from trading_assets.registry.tensors import load_tensors

Runtime = Literal["numpy", "onnx", "torchscript", "fastest"]
RUNTIMES: tuple[Runtime, ...] = ("numpy", "onnx", "torchscript")


def load_bundle(path: str | Path, *, runtime: Runtime = "numpy") -> Policy:
    """Verify a policy bundle and load it.

    Parameters
    ----------
    path : str or Path
        The bundle's folder.
    runtime : {'numpy', 'onnx', 'torchscript', 'fastest'}
        `numpy` is what the backtest in the bundle's report ran on, bit for bit. `fastest` is the one
        whose measured median latency in `metadata.json` is the lowest; all passed the parity test.

    Returns
    -------
    Policy

    Raises
    ------
    ArtifactError
        When a file was changed, is missing or is extra, the bundle has another format, or what its files
        hold is not a policy that can decide.

    Examples
    --------
    >>> policy = load_bundle("policy_bundle/BTCUSDT/1.0.0")  # doctest: +SKIP
    >>> policy.warm_up(past_features)  # doctest: +SKIP
    >>> action, info = policy.predict(observation)  # doctest: +SKIP
    """
    folder = Path(path).resolve()  # a link such as `current` may point elsewhere in a moment
    if not (folder / "architecture.json").is_file():
        raise ArtifactError(f"There is no bundle at {folder}.")
    verify_manifest(folder)
    metadata = read_json(folder / "metadata.json")
    architecture = read_json(folder / "architecture.json")
    if runtime == "fastest":
        runtime = _fastest(metadata, folder)
    evaluate, state_size = open_runtime(folder, architecture, runtime)
    return Policy(architecture, evaluate, state_size, metadata)


def open_runtime(folder: Path, architecture: dict[str, Any], runtime: str) -> tuple[Evaluate, int]:
    """The network of a verified bundle's folder in one runtime, and the length of its state."""
    if runtime not in RUNTIMES:
        raise ArtifactError(f"Unknown runtime '{runtime}'; expected one of {', '.join(RUNTIMES)}.")
    weights, _ = load_tensors(folder / "weights.safetensors")
    load_plugins()  # a forecaster may run in a way that only a plug-in knows
    try:
        check_architecture(architecture)
        require_finite(weights)
        check_weights(architecture, weights)
    except ArtifactError as error:
        raise ArtifactError(f"{folder} holds no policy that can decide. {error}") from None
    network = PolicyNetwork(architecture, weights)
    if runtime == "numpy":
        return network, network.state_size
    name, opened = {"onnx": ("policy.onnx", _onnx), "torchscript": ("policy.pt", _torchscript)}[runtime]
    evaluate = opened(folder / name)
    sizes = (len(architecture["features"]), len(architecture["account"]), network.state_size)
    try:
        probabilities = evaluate(*(np.zeros(size, dtype=np.float32) for size in sizes))
    except Exception as error:  # whatever a runtime raises on a graph of other inputs, outputs or sizes
        raise ArtifactError(f"{folder / name} cannot decide: {_first_line(error)}") from None
    if probabilities.shape != (len(architecture["targets"]),):
        raise ArtifactError(
            f"{folder / name} answers with shape {probabilities.shape}; expected one probability for each of "
            f"the {len(architecture['targets'])} targets."
        )
    return evaluate, network.state_size


def _fastest(metadata: dict[str, Any], folder: Path) -> Runtime:
    try:
        measured = metadata["details"]["latency"]["runtimes"]
        return min(RUNTIMES, key=lambda name: float(measured[name]["p50_us"]))
    except (KeyError, TypeError, ValueError):
        raise ArtifactError(
            f"{folder / 'metadata.json'} has no latency of {', '.join(RUNTIMES)}; name the runtime."
        ) from None


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"


def _onnx(path: Path) -> Evaluate:
    try:
        import onnxruntime as ort
    except ImportError:
        raise ArtifactError("The onnx runtime is missing; pip install onnxruntime.") from None
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what goes wrong is raised
    try:
        session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors have no base of their own
        raise ArtifactError(f"{path} cannot be opened: {_first_line(error)}") from None

    def evaluate(features: Singles, account: Singles, state: Singles) -> Floats:
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
    try:
        module = torch.jit.load(path)  # type: ignore[no-untyped-call]
    except Exception as error:
        raise ArtifactError(f"{path} cannot be opened: {_first_line(error)}") from None

    def evaluate(features: Singles, account: Singles, state: Singles) -> Floats:
        with torch.inference_mode():
            probabilities, moved = module(torch.tensor(features), torch.tensor(account), torch.tensor(state))
        state[:] = moved.numpy()
        return np.asarray(probabilities.numpy(), dtype=np.float64)

    return evaluate
