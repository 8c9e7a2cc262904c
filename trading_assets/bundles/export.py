"""From trained parts to a policy bundle: one set of weights, three runtimes, measured against training."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
from numpy.typing import NDArray

from trading_assets.bundles.graph import PolicyGraph, example_inputs, to_onnx, to_torchscript
from trading_assets.execution.ensemble import PolicyNetwork
from trading_assets.execution.forecasters import BUILT_IN
from trading_assets.execution.loader import RUNTIMES
from trading_assets.execution.networks import require_finite
from trading_assets.execution.schema import FORMAT
from trading_assets.forecasters.preprocessing import RobustScaler
from trading_assets.forecasters.stacking import StackedForecasters
from trading_assets.registry.tensors import save_tensors
from trading_assets.simulation.kernel import ACCOUNT_NAMES

ONNX_FACTS = ("features", "account", "targets", "max_leverage", "window", "warm_up_bars")
"""Of the architecture, what `policy.onnx` says itself."""
BUNDLE_FILES = ("architecture.json", "weights.safetensors", "limits.json")
"""What a bundle is; the exports follow from it and differ from run to run."""


@dataclass(frozen=True)
class MemberParts:
    """One trained policy: its name, share, scaler, actor and, for a hybrid, encoder arrays.

    Examples
    --------
    See `write_bundle`.
    """

    name: str
    share: float
    scaler: RobustScaler
    actor: Mapping[str, NDArray[Any]]
    encoder: Mapping[str, NDArray[Any]] | None = None


def write_bundle(
    folder: Path,
    stack: StackedForecasters,
    members: Sequence[MemberParts],
    *,
    trained_on: Mapping[str, Any],
    warm_up_bars: int,
) -> PolicyNetwork:
    """Fill `folder` with architecture, weights, `policy.pt` and `policy.onnx`.

    Parameters
    ----------
    folder : Path
    stack : StackedForecasters
    members : sequence of MemberParts
    trained_on : mapping
        The terms of the members, see `simulation.spaces`.
    warm_up_bars : int

    Raises
    ------
    ArtifactError
        When weights are not finite.

    Returns
    -------
    PolicyNetwork
        The numpy network the exports were made from.

    Examples
    --------
    >>> write_bundle(folder, stack, members, trained_on=market.terms, warm_up_bars=512)  # doctest: +SKIP
    """
    architecture = {
        "format": FORMAT,
        **stack.architecture,
        "account": list(ACCOUNT_NAMES),
        "targets": trained_on["levels"],
        "max_leverage": trained_on["max_leverage"],
        "window": trained_on["window"],
        "warm_up_bars": warm_up_bars,
        "members": [{"name": member.name, "weight": member.share} for member in members],
    }
    weights = dict(stack.weights)
    for member in members:
        parts = {
            "scaler": member.scaler.arrays(),
            "net": member.actor,
            "encoder": member.encoder or {},
        }
        for part, arrays in parts.items():
            for name, value in arrays.items():
                weights[f"members.{member.name}.{part}.{name}"] = value
    require_finite(weights)
    (folder / "architecture.json").write_text(json.dumps(architecture, indent=1) + "\n")
    save_tensors(folder / "weights.safetensors", weights)
    network = PolicyNetwork(architecture, weights)
    graph, example = PolicyGraph(architecture, weights), example_inputs(architecture, network)
    (folder / "policy.pt").write_bytes(to_torchscript(graph, example))
    (folder / "policy.onnx").write_bytes(to_onnx(graph, example))
    return network


def stamp_onnx(folder: Path, name: str, version: str) -> None:
    """Write into `policy.onnx` itself, as its metadata map, what a user of plain onnxruntime has to know.

    `name` and `version` as they stand; `features`, `account`, `targets`, `max_leverage`, `window` and
    `warm_up_bars` as JSON.
    """
    architecture = json.loads((folder / "architecture.json").read_bytes())
    told = {key: json.dumps(architecture[key]) for key in ONNX_FACTS}
    model = onnx.load(folder / "policy.onnx")
    onnx.helper.set_model_props(model, {"name": name, "version": version, **told})
    onnx.save(model, folder / "policy.onnx")


def contract_of(stack: StackedForecasters, trained_on: Mapping[str, Any]) -> dict[str, Any]:
    """What a consumer of the bundle relies on."""
    return {
        "format": FORMAT,
        "features": stack.architecture["features"],
        "account": list(ACCOUNT_NAMES),
        "targets": trained_on["levels"],
        "max_leverage": trained_on["max_leverage"],
        "window": trained_on["window"],
        "runtimes": list(RUNTIMES),
    }


def forms_of(architecture: Mapping[str, Any]) -> list[dict[str, Any]]:
    """How each forecaster of a bundle runs, and whether loading it needs a plug-in."""
    return [
        {"kind": about["kind"], "form": about["form"], "plug-in": about["form"] not in BUILT_IN}
        for about in architecture["forecasters"]
    ]
