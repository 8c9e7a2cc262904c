"""What `architecture.json` and the weights of a bundle must be, so that nothing in it can fail later.

Plain Python, because the trading box has nothing more; keys that are not named here are left to others.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from trading_assets.errors import ArtifactError
from trading_assets.execution.networks import PROBABILITIES, Weights

FORMAT = 3
MAX_BARS = 10_000_000
"""Of a warm-up."""
MAX_DEPTH = 10_000
"""Of a tree."""

# Type, then sizes: a number, a name that stands for one size in the whole part, or a multiple of it.
SCALER = {"center": "float64 inputs", "scale": "float64 inputs", "limit": "float64 1"}
TREES = {
    "feature": "int64 nodes",
    "threshold": "float64 nodes",
    "children": "int64 nodes 2",
    "value": "float64 nodes",
    "roots": "int64 trees",
    "depth": "int64 1",
}
ENCODER = {
    "conv.weight": "float32 channels inputs kernel",
    "conv.bias": "float32 channels",
    "lstm.weight_ih_l0": "float32 4*hidden channels",
    "lstm.weight_hh_l0": "float32 4*hidden hidden",
    "lstm.bias_ih_l0": "float32 4*hidden",
    "lstm.bias_hh_l0": "float32 4*hidden",
}
GRU = {
    "layer.weight": "float32 channels inputs",
    "layer.bias": "float32 channels",
    "gru.weight_ih_l0": "float32 3*hidden channels",
    "gru.weight_hh_l0": "float32 3*hidden hidden",
    "gru.bias_ih_l0": "float32 3*hidden",
    "gru.bias_hh_l0": "float32 3*hidden",
}
HEAD = {"weight": "float32 1 hidden", "bias": "float32 1"}
NET = {
    "0.weight": "float32 first inputs",
    "0.bias": "float32 first",
    "1.weight": "float32 second first",
    "1.bias": "float32 second",
    "out.weight": "float32 targets second",
    "out.bias": "float32 targets",
}


def read_json(path: Path) -> dict[str, Any]:
    """A file's JSON mapping; raises `ArtifactError` for anything else."""
    try:
        tree = json.loads(path.read_bytes(), parse_constant=_no_number)
    except (OSError, ValueError, RecursionError) as error:
        raise ArtifactError(f"{path} is not readable JSON ({type(error).__name__}: {error}).") from None
    if not isinstance(tree, dict):
        raise ArtifactError(f"{path} must hold a mapping, not a {type(tree).__name__}.")
    return tree


def check_architecture(tree: Mapping[str, Any]) -> None:
    """Raise `ArtifactError` unless every part is there, of the right type and within its bounds."""
    if tree.get("format") != FORMAT:
        raise ArtifactError(f"The bundle has format {tree.get('format')!r}; this version reads {FORMAT}.")
    n_features = len(_names(tree, "features"))
    _names(tree, "account")
    targets = _list(tree, "targets")
    if not all(_is_number(value) for value in targets):
        _refuse("targets", targets, "finite numbers")
    leverage, window = tree.get("max_leverage"), tree.get("window")
    if leverage is None or not (_is_number(leverage) and leverage > 0):
        _refuse("max_leverage", leverage, "a number above 0")
    if not _is_whole(window, 1, MAX_BARS):
        _refuse("window", window, f"a whole number from 1 to {MAX_BARS:,}")
    bars = tree.get("warm_up_bars")
    if not _is_whole(bars, 0, MAX_BARS):
        _refuse("warm_up_bars", bars, f"a whole number from 0 to {MAX_BARS:,}")
    for kind in ("lightgbm", "gru", "cnn_lstm"):
        about = _mapping(tree, kind)
        _check_calibrator(_mapping(about, "calibrator", f"{kind}."), f"{kind}.calibrator")
        if kind != "lightgbm":
            columns = _list(about, "columns", f"{kind}.")
            if not all(_is_whole(column, 0, n_features - 1) for column in columns):
                _refuse(f"{kind}.columns", columns, f"positions among the {n_features} features")
    members = _list(tree, "members")
    if not all(isinstance(member, dict) for member in members):
        _refuse("members", members, "mappings with 'name' and 'weight'")
    _distinct("members' names", [member.get("name") for member in members])
    shares = [member.get("weight") for member in members]
    if not all(_is_number(share) and 0 <= share <= 1 for share in shares) or abs(sum(shares) - 1) > 1e-6:
        _refuse("members' weights", shares, "shares from 0 to 1 whose sum is 1")


def check_weights(tree: Mapping[str, Any], weights: Weights) -> None:
    """Raise `ArtifactError` unless the tensors are those of a checked architecture.

    Names, types, shapes, indices (of features, nodes and roots), and that every walk down a tree ends in a
    leaf.
    """
    seen: set[str] = set()

    def part(prefix: str, layout: Mapping[str, str], **sizes: int) -> dict[str, int]:
        return _check_part(weights, prefix, layout, sizes, seen)

    n_features = len(tree["features"])
    part("lightgbm.scaler", SCALER, inputs=n_features)
    part("lightgbm.trees", TREES)
    _check_trees({name: weights[f"lightgbm.trees.{name}"] for name in TREES}, n_features)
    hidden, inputs = 0, 0
    for kind, layout in (("gru", GRU), ("cnn_lstm", ENCODER)):
        inputs = len(tree[kind]["columns"])
        part(f"{kind}.scaler", SCALER, inputs=inputs)
        hidden = part(f"{kind}.encoder", layout, inputs=inputs)["hidden"]
        part(f"{kind}.head", HEAD, hidden=hidden)
    market = n_features + hidden + len(PROBABILITIES)
    for member in tree["members"]:
        prefix = f"members.{member['name']}"
        part(f"{prefix}.scaler", SCALER, inputs=market)
        part(f"{prefix}.net", NET, inputs=market + len(tree["account"]), targets=len(tree["targets"]))
        if any(name.startswith(f"{prefix}.encoder.") for name in weights):
            part(f"{prefix}.encoder", ENCODER, inputs=inputs, hidden=hidden)
    if unknown := sorted(weights.keys() - seen):
        raise ArtifactError(f"The weights hold {unknown[0]}, which the architecture does not know.")


def _check_part(
    weights: Weights, prefix: str, layout: Mapping[str, str], sizes: dict[str, int], seen: set[str]
) -> dict[str, int]:
    """Hold the tensors below `prefix` against a layout; returns what its names stand for."""
    for short, text in layout.items():
        name = f"{prefix}.{short}"
        if name not in weights:
            raise ArtifactError(f"The weights lack {name}.")
        kind, *expected = text.split()
        array = weights[name]
        fits = array.dtype == kind and array.ndim == len(expected)
        if not fits or not all(map(_fits, expected, array.shape, [sizes] * array.ndim)):
            known = [re.sub(r"[a-z]+", lambda m: str(sizes.get(m[0], m[0])), size) for size in expected]
            raise ArtifactError(
                f"{name} is {array.dtype} of shape {array.shape}; expected {kind} ({', '.join(known)})."
            )
        seen.add(name)
    if layout is SCALER and not (
        (weights[f"{prefix}.scale"] > 0).all() and (weights[f"{prefix}.limit"] > 0).all()
    ):
        raise ArtifactError(f"{prefix} divides by, or clips at, a number that is not positive.")
    return sizes


def _fits(expected: str, size: int, sizes: dict[str, int]) -> bool:
    """Whether one size of a shape is as expected; a name met for the first time takes it."""
    factor, _, name = expected.rpartition("*")
    if name.isdigit():
        return size == int(name)
    number, rest = divmod(size, int(factor or 1))
    return rest == 0 and number > 0 and sizes.setdefault(name, number) == number


def _check_trees(trees: Mapping[str, NDArray[Any]], n_features: int) -> None:
    nodes, depth = len(trees["value"]), int(trees["depth"][0])
    for name, stop in (("feature", n_features), ("children", nodes), ("roots", nodes), ("depth", MAX_DEPTH)):
        values = trees[name]
        if values.min() < 0 or values.max() >= stop:
            raise ArtifactError(
                f"lightgbm.trees.{name} reaches from {values.min()} to {values.max()}; "
                f"expected 0 to {stop - 1}."
            )
    reached = np.unique(trees["roots"])
    for _ in range(depth):
        below = np.unique(trees["children"][reached])
        if np.array_equal(below, reached):
            break
        reached = below
    if (trees["children"][reached] != reached[:, None]).any():
        raise ArtifactError(f"lightgbm.trees has nodes that lead to no leaf within its depth of {depth}.")


def _check_calibrator(spec: Mapping[str, Any], name: str) -> None:
    form = spec.get("form")
    if form == "isotonic":
        x, y = (_list(spec, axis, f"{name}.") for axis in ("x", "y"))
        if not all(_is_number(value) and 0 <= value <= 1 for value in (*x, *y)):
            _refuse(name, form, "knots from 0 to 1")
        if len(x) != len(y) or x != sorted(x) or y != sorted(y):
            _refuse(name, form, "as many x as y, both in rising order")
    elif form == "logistic":
        if not all(_is_number(spec.get(key)) for key in "abc"):
            _refuse(name, {key: spec.get(key) for key in "abc"}, "finite numbers a, b, c")
        if spec["a"] < 0 or spec["b"] < 0:
            _refuse(name, {key: spec[key] for key in "ab"}, "slopes that do not turn a forecast round")
    else:
        _refuse(f"{name}.form", form, "isotonic or logistic")


def _mapping(tree: Mapping[str, Any], key: str, above: str = "") -> dict[str, Any]:
    value = tree.get(key)
    if not isinstance(value, dict):
        _refuse(above + key, value, "a mapping")
    return value


def _list(tree: Mapping[str, Any], key: str, above: str = "") -> list[Any]:
    value = tree.get(key)
    if not isinstance(value, list) or not value:
        _refuse(above + key, value, "a list that is not empty")
    return value


def _names(tree: Mapping[str, Any], key: str) -> list[str]:
    return _distinct(key, _list(tree, key))


def _distinct(name: str, values: list[Any]) -> list[str]:
    if not all(isinstance(value, str) and value for value in values) or len(set(values)) < len(values):
        _refuse(name, values, "names that differ")
    return values


def _is_whole(value: object, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _is_number(value: object) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return abs(value) <= 1e300 and math.isfinite(value)


def _refuse(name: str, value: object, expected: str) -> NoReturn:
    given = repr(value)
    shown = given if len(given) <= 80 else f"{given[:77]}..."
    raise ArtifactError(f"'{name}' of the bundle's architecture is {shown}; expected {expected}.")


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")
