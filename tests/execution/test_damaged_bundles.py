"""A bundle that is not what it should be, though its manifest fits it, is refused in one sentence."""

import copy
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.pipeline import current
from trading_assets.errors import ArtifactError
from trading_assets.execution import load_bundle
from trading_assets.execution.loader import open_runtime
from trading_assets.execution.policy import Policy
from trading_assets.execution.schema import check_architecture, check_weights
from trading_assets.registry.manifest import write_manifest
from trading_assets.registry.tensors import load_tensors, save_tensors

JUNK: list[Any] = [
    None, True, -1, 0, 3, 10**18, 10**400, 0.5, -1e308, "", "x", "isotonic", [], {},
    [None], [[]], [-1], ["x"], {"x": 1},
]  # fmt: skip


@pytest.fixture
def bundle(trained: Path, tmp_path: Path) -> Path:
    """A copy of the trained bundle."""
    return Path(shutil.copytree(current("policy_bundle").path, tmp_path / "bundle"))


@pytest.fixture
def architecture(bundle: Path) -> dict[str, Any]:
    return json.loads((bundle / "architecture.json").read_bytes())


@pytest.fixture
def weights(bundle: Path) -> dict[str, np.ndarray]:
    return load_tensors(bundle / "weights.safetensors")[0]


def places(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths of all that is in a tree; of a list the first and the last."""
    keys = (
        tree.keys()
        if isinstance(tree, dict)
        else {0, len(tree) - 1}
        if isinstance(tree, list) and tree
        else ()
    )
    for key in keys:
        if key != "settings":  # of the training; nothing here reads them
            yield (*path, key)
            yield from places(tree[key], (*path, key))


def decides_or_refuses(decide: Callable[[], object]) -> bool:
    """Whether it is refused as a damaged artifact; anything else that is raised fails the test."""
    try:
        with np.errstate(all="ignore"):
            decide()
    except ArtifactError as refusal:
        assert len(str(refusal).splitlines()) == 1
        return True
    return False


def show(tree: dict[str, Any], weights: dict[str, np.ndarray]) -> None:
    """Check, and decide on three bars."""
    from trading_assets.execution.ensemble import PolicyNetwork

    check_architecture(tree)
    check_weights(tree, weights)
    network = PolicyNetwork(tree, weights)
    policy = Policy(tree, network, network.state_size, {})
    for row in np.random.default_rng(0).normal(size=(3, len(policy.observation_names))):
        policy.predict(row.astype(np.float32))


def test_whatever_stands_in_an_architecture_it_decides_or_is_refused(
    architecture: dict[str, Any], weights: dict[str, np.ndarray]
) -> None:
    show(architecture, weights)
    refused = tried = 0
    for path in places(architecture):
        for junk in JUNK:
            tree = copy.deepcopy(architecture)
            branch = tree
            for key in path[:-1]:
                branch = branch[key]
            branch[path[-1]] = copy.deepcopy(junk)
            refused += decides_or_refuses(lambda tree=tree: show(tree, weights))
            tried += 1
    assert tried > 500 and refused > 0.8 * tried
    for path in places(architecture):
        if isinstance(path[-1], str) and path[-1] != "method":
            tree = copy.deepcopy(architecture)
            branch = tree
            for key in path[:-1]:
                branch = branch[key]
            del branch[path[-1]]
            assert decides_or_refuses(lambda tree=tree: show(tree, weights)), path


DAMAGE: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "another type": lambda a: a.astype("float16"),
    "double": lambda a: a.astype("float64" if a.dtype != np.float64 else "float32"),
    "whole numbers": lambda a: np.nan_to_num(a, posinf=0).astype("int32"),
    "no rows": lambda a: a[:0],
    "one row less": lambda a: a[:-1],
    "one row more": lambda a: np.concatenate([a, a[:1]]),
    "another dimension": lambda a: a[None],
    "a number": lambda a: a.ravel()[0],
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_tensor_of_another_type_or_shape_is_refused_by_name(
    architecture: dict[str, Any], weights: dict[str, np.ndarray], damage: str
) -> None:
    for name, array in weights.items():
        changed = weights | {name: DAMAGE[damage](array)}
        if changed[name].shape == array.shape and changed[name].dtype == array.dtype:
            continue
        if name == "lightgbm.trees.roots" and damage in {"one row less", "one row more"}:
            continue  # another number of trees is a forest, too
        with pytest.raises(ArtifactError, match=name.rpartition(".")[0].replace(".", r"\.")):
            check_weights(architecture, changed)


def test_a_tensor_that_is_missing_or_unknown_is_refused_by_name(
    architecture: dict[str, Any], weights: dict[str, np.ndarray]
) -> None:
    for name in weights:
        with pytest.raises(ArtifactError, match="lack"):
            check_weights(architecture, {n: a for n, a in weights.items() if n != name})
    with pytest.raises(ArtifactError, match=r"hold members\.ghost\.net"):
        check_weights(architecture, weights | {"members.ghost.net": np.zeros(1)})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("feature", -1),
        ("feature", 10**9),
        ("children", -1),
        ("children", 10**9),
        ("roots", 10**9),
        ("roots", -(2**62)),
        ("depth", -1),
        ("depth", 2**62),
        ("depth", 0),
    ],
)
def test_an_index_out_of_range_is_refused(
    architecture: dict[str, Any], weights: dict[str, np.ndarray], name: str, value: int
) -> None:
    name = f"lightgbm.trees.{name}"
    array = weights[name].copy()
    array.flat[0] = value
    with pytest.raises(ArtifactError, match=r"lightgbm\.trees"):
        check_weights(architecture, weights | {name: array})


@pytest.mark.parametrize(
    "spec",
    [
        {"form": "logistic", "method": "platt", "a": -1.05, "b": -1.05, "c": 0.0},
        {"form": "logistic", "method": "beta", "a": 1.0, "b": -0.1, "c": 0.0},
        {"form": "isotonic", "method": "isotonic", "x": [0.2, 0.8], "y": [0.9, 0.1]},
    ],
)
def test_a_calibrator_that_turns_forecasts_round_is_refused(
    architecture: dict[str, Any], spec: dict[str, Any]
) -> None:
    tree = copy.deepcopy(architecture)
    tree["forecasters"][0]["calibrator"] = spec
    with pytest.raises(ArtifactError, match=r"calibrator' of the bundle's architecture is .* expected"):
        check_architecture(tree)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"encoder": "svm"},
            "'encoder' of the bundle's architecture is 'svm'; expected one of lightgbm",
        ),
        ({"encoder": "lightgbm"}, "is 'lightgbm'; expected a forecaster with a hidden state"),
        ({"forecasters": [{"kind": "a.b", "form": "trees"}]}, "expected a name without a dot"),
        ({"forecasters": [{"kind": "members", "form": "trees"}]}, "other than 'members'"),
        (
            {"forecasters": [{"kind": "svm", "form": "kernel"}]},
            "svm runs as 'kernel', which this process",
        ),
        ({"forecasters": [{"kind": "a"}, {"kind": "a"}]}, "expected names that differ"),
    ],
)
def test_forecasters_that_could_not_run_together_are_refused(
    architecture: dict[str, Any], change: dict[str, Any], message: str
) -> None:
    with pytest.raises(ArtifactError, match=message):
        check_architecture({**architecture, **change})


def test_trees_that_run_in_a_circle_are_refused(
    architecture: dict[str, Any], weights: dict[str, np.ndarray]
) -> None:
    """A walk would end in a node that is no leaf, whose value is 0."""
    array = weights["lightgbm.trees.children"].copy()
    leaf = int(np.flatnonzero((array == np.arange(len(array))[:, None]).all(axis=1))[0])
    array[leaf] = weights["lightgbm.trees.roots"][0]
    with pytest.raises(ArtifactError, match="no leaf"):
        check_weights(architecture, weights | {"lightgbm.trees.children": array})


@pytest.mark.parametrize(
    ("part", "value"), [("scale", 0.0), ("scale", -1.0), ("limit", 0.0), ("limit", np.nan)]
)
def test_a_scaling_that_divides_by_nothing_is_refused(
    architecture: dict[str, Any], weights: dict[str, np.ndarray], part: str, value: float
) -> None:
    for name in [name for name in weights if name.endswith(f".scaler.{part}")]:
        array = weights[name].copy()
        array[-1] = value
        with pytest.raises(ArtifactError, match="not positive"):
            check_weights(architecture, weights | {name: array})


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (name, content)
        for name in ("architecture.json", "metadata.json", "weights.safetensors", "policy.onnx", "policy.pt")
        for content in (
            b"",
            b"{",
            b"[]",
            b"null",
            b"\xff\xfe\x00",
            b"[" * 100_000,
            b'{"format": NaN}',
            b"9" * 5000,
        )
    ],
)
def test_a_file_that_is_something_else_is_refused_whoever_vouches_for_it(
    bundle: Path, name: str, content: bytes
) -> None:
    (bundle / name).write_bytes(content)
    write_manifest(bundle)
    runtime = {"policy.onnx": "onnx", "policy.pt": "torchscript"}.get(name, "numpy")
    with pytest.raises(ArtifactError, match=r"bundle") as refusal:
        load_bundle(bundle, runtime=runtime)  # type: ignore[arg-type]
    assert len(str(refusal.value).splitlines()) == 1


@pytest.mark.parametrize(("runtime", "name"), [("onnx", "policy.onnx"), ("torchscript", "policy.pt")])
def test_an_export_cut_short_or_of_another_policy_is_refused(
    bundle: Path, architecture: dict[str, Any], weights: dict[str, np.ndarray], runtime: str, name: str
) -> None:
    whole = (bundle / name).read_bytes()
    (bundle / name).write_bytes(whole[: len(whole) // 2])
    write_manifest(bundle)
    with pytest.raises(ArtifactError, match="cannot be opened"):
        load_bundle(bundle, runtime=runtime)  # type: ignore[arg-type]
    (bundle / name).write_bytes(whole)
    for key in ("0.weight", "0.bias"):  # one row less, and what follows it
        arrays = {
            n: a[:-1] for n, a in weights.items() if n.startswith("members.") and n.endswith(f"net.{key}")
        }
        weights |= arrays
    weights |= {n: a[:, :-1] for n, a in weights.items() if n.endswith("net.1.weight")}
    architecture["account"] = architecture["account"][:-1]
    weights |= {n: a[:, :-1] for n, a in weights.items() if n.endswith("net.0.weight")}
    save_tensors(bundle / "weights.safetensors", weights)
    open_runtime(bundle, architecture, "numpy")
    with pytest.raises(ArtifactError, match="cannot decide"):
        open_runtime(bundle, architecture, runtime)


@pytest.mark.parametrize(
    "details", [{}, {"latency": 3}, {"latency": {"runtimes": {"numpy": {"p50_us": "x"}}}}]
)
def test_the_fastest_of_unmeasured_runtimes_is_refused(bundle: Path, details: object) -> None:
    metadata = json.loads((bundle / "metadata.json").read_bytes())
    (bundle / "metadata.json").write_text(json.dumps(metadata | {"details": details}))
    write_manifest(bundle)
    load_bundle(bundle)
    with pytest.raises(ArtifactError, match="no latency"):
        load_bundle(bundle, runtime="fastest")
