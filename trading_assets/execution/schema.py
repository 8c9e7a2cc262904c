"""What `architecture.json` and the weights of a bundle must be, so that nothing in it can fail later.

Plain Python, because a live machine has nothing more; keys that are not named here are left to others.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from trading_assets.errors import ArtifactError
from trading_assets.execution.checks import (
    is_number,
    is_whole,
    refuse,
    require_distinct,
    require_list,
    require_mapping,
)
from trading_assets.execution.forecasters import SCALER, Layout, SequenceForm, form_of
from trading_assets.execution.networks import Weights, sub

FORMAT = 4
MAX_BARS = 10_000_000
"""Of a warm-up."""
NET: Layout = {
    "net.0.weight": "float32 first observation",
    "net.0.bias": "float32 first",
    "net.1.weight": "float32 second first",
    "net.1.bias": "float32 second",
    "net.out.weight": "float32 targets second",
    "net.out.bias": "float32 targets",
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
    n_features = len(require_distinct("features", require_list(tree, "features")))
    require_distinct("account", require_list(tree, "account"))
    targets = require_list(tree, "targets")
    if not all(is_number(value) for value in targets):
        refuse("targets", targets, "finite numbers")
    leverage, window = tree.get("max_leverage"), tree.get("window")
    if leverage is None or not (is_number(leverage) and leverage > 0):
        refuse("max_leverage", leverage, "a number above 0")
    if not is_whole(window, 1, MAX_BARS):
        refuse("window", window, f"a whole number from 1 to {MAX_BARS:,}")
    bars = tree.get("warm_up_bars")
    if not is_whole(bars, 0, MAX_BARS):
        refuse("warm_up_bars", bars, f"a whole number from 0 to {MAX_BARS:,}")
    _check_forecasters(tree, n_features)
    members = require_list(tree, "members")
    if not all(isinstance(member, dict) for member in members):
        refuse("members", members, "mappings with 'name' and 'weight'")
    require_distinct("members' names", [member.get("name") for member in members])
    shares = [member.get("weight") for member in members]
    if not all(is_number(share) and 0 <= share <= 1 for share in shares) or abs(sum(shares) - 1) > 1e-6:
        refuse("members' weights", shares, "shares from 0 to 1 whose sum is 1")


def _check_forecasters(tree: Mapping[str, Any], n_features: int) -> None:
    forecasters = require_list(tree, "forecasters")
    if not all(isinstance(about, dict) for about in forecasters):
        refuse("forecasters", forecasters, "mappings with 'kind', 'form' and 'calibrator'")
    kinds = require_distinct("forecasters' kinds", [about.get("kind") for about in forecasters])
    encoder = tree.get("encoder")
    for kind, about in zip(kinds, forecasters, strict=True):
        if "." in kind or kind == "members":
            refuse("forecasters' kinds", kind, "a name without a dot other than 'members'")
        form = form_of(about, kind)
        form.n_inputs(about, n_features, kind)
        _check_calibrator(require_mapping(about, "calibrator", f"{kind}."), f"{kind}.calibrator")
        if kind == encoder and not issubclass(form, SequenceForm):
            refuse("encoder", encoder, "a forecaster with a hidden state")
    if encoder not in kinds:
        refuse("encoder", encoder, f"one of {', '.join(kinds)}")


def check_weights(tree: Mapping[str, Any], weights: Weights) -> None:
    """Raise `ArtifactError` unless the tensors are those of a checked architecture.

    Names, types, shapes, and what each form of a forecaster asks of its own, such as that every walk down a
    tree ends in a leaf.
    """
    seen: set[str] = set()

    def part(prefix: str, layout: Layout, **sizes: int) -> dict[str, int]:
        return _check_part(weights, prefix, layout, sizes, seen)

    n_features = len(tree["features"])
    encoder_layout: Layout = {}
    encoder_sizes: dict[str, int] = {}
    for about in tree["forecasters"]:
        kind = about["kind"]
        form = form_of(about, kind)
        n_inputs = form.n_inputs(about, n_features, kind)
        sizes = part(kind, form.layout, inputs=n_inputs)
        form.check_weights(sub(weights, kind), n_inputs, kind)
        if kind == tree["encoder"] and issubclass(form, SequenceForm):
            encoder_layout = form.encoder_layout
            encoder_sizes = {"inputs": n_inputs, "hidden": sizes["hidden"]}
    market = n_features + encoder_sizes["hidden"] + len(tree["forecasters"])
    for member in tree["members"]:
        prefix = f"members.{member['name']}"
        part(prefix, SCALER, inputs=market)
        part(prefix, NET, observation=market + len(tree["account"]), targets=len(tree["targets"]))
        if any(name.startswith(f"{prefix}.encoder.") for name in weights):
            part(f"{prefix}.encoder", encoder_layout, **encoder_sizes)
    if unknown := sorted(weights.keys() - seen):
        raise ArtifactError(f"The weights hold {unknown[0]}, which the architecture does not know.")


def _check_part(
    weights: Weights, prefix: str, layout: Layout, sizes: dict[str, int], seen: set[str]
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
    scaler = [weights[f"{prefix}.{name}"] for name in ("scaler.scale", "scaler.limit") if name in layout]
    if not all((values > 0).all() for values in scaler):
        raise ArtifactError(f"{prefix}.scaler divides by, or clips at, a number that is not positive.")
    return sizes


def _fits(expected: str, size: int, sizes: dict[str, int]) -> bool:
    """Whether one size of a shape is as expected; a name met for the first time takes it."""
    factor, _, name = expected.rpartition("*")
    if name.isdigit():
        return size == int(name)
    number, rest = divmod(size, int(factor or 1))
    return rest == 0 and number > 0 and sizes.setdefault(name, number) == number


def _check_calibrator(spec: Mapping[str, Any], name: str) -> None:
    form = spec.get("form")
    if form == "isotonic":
        x, y = (require_list(spec, axis, f"{name}.") for axis in ("x", "y"))
        if not all(is_number(value) and 0 <= value <= 1 for value in (*x, *y)):
            refuse(name, form, "knots from 0 to 1")
        if len(x) != len(y) or x != sorted(x) or y != sorted(y):
            refuse(name, form, "as many x as y, both in rising order")
    elif form == "logistic":
        if not all(is_number(spec.get(key)) for key in "abc"):
            refuse(name, {key: spec.get(key) for key in "abc"}, "finite numbers a, b, c")
        if spec["a"] < 0 or spec["b"] < 0:
            refuse(name, {key: spec[key] for key in "ab"}, "slopes that do not turn a forecast round")
    else:
        refuse(f"{name}.form", form, "isotonic or logistic")


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")
