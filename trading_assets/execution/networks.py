"""The parts of inference in plain numpy: scalers, trees, encoders, calibrators, actors.

The same code fills the tables that agents are trained on, so training and trading cannot differ. Every
part works on one bar; an encoder carries its memory in a slice of one flat state. `forecasters` and
`ensemble` put them together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trading_assets.arrays import Floats, Singles
from trading_assets.errors import ArtifactError, DivergedError

Weights = Mapping[str, NDArray[Any]]
MARGIN = 1e-6
"""Probabilities are kept this far from 0 and 1 before their logarithm is taken."""
BLOCK = 512
"""Rows that walk the trees at once: 240,000 rows together took 2 GB."""
_SUM_TOLERANCE = 1e-3
_MAY_BE_INFINITE = ("trees.threshold", "scaler.limit")
_ONE = np.float32(1.0)
_HALF = np.float32(0.5)


def sub(weights: Weights, prefix: str) -> dict[str, NDArray[Any]]:
    """The weights below `prefix.`, without it."""
    start = prefix + "."
    return {k.removeprefix(start): v for k, v in weights.items() if k.startswith(start)}


def prefixed(parts: Mapping[str, Weights]) -> dict[str, NDArray[Any]]:
    """All weights of all parts, each below the name of its part; the inverse of `sub`."""
    return {f"{part}.{name}": value for part, weights in parts.items() for name, value in weights.items()}


def require_finite(weights: Weights) -> None:
    """Raise `ArtifactError` for the first weights not finite.

    Thresholds of trees may be infinite, and limits of scalers, where nothing is clipped.
    """
    for name, value in weights.items():
        finite = ~np.isnan(value) if name.endswith(_MAY_BE_INFINITE) else np.isfinite(value)
        if not finite.all():
            raise ArtifactError(
                f"The weights '{name}' are not finite; a policy of them would decide at random."
            )


def likeliest(probabilities: Floats) -> int:
    """The place of the highest probability, the first of equal ones.

    Raises
    ------
    DivergedError
        When they are no probabilities. NaN counts as the highest to numpy: a policy of NaN would follow its
        first target, a full short.
    """
    values: list[float] = probabilities.tolist()  # of so few, faster than numpy
    if not (abs(sum(values) - 1.0) < _SUM_TOLERANCE and min(values) >= 0.0):
        raise DivergedError(
            f"The policy answered {values}; expected probabilities. No decision is made on it."
        )
    return values.index(max(values))


class Scaler:
    """(x - center) / scale within +-limit, in float64, cast to float32."""

    def __init__(self, weights: Weights) -> None:
        self.center, self.scale = weights["center"], weights["scale"]
        self.limit = float(weights["limit"][0])

    def __call__(self, x: NDArray[Any]) -> Singles:
        z = (x - self.center) / self.scale
        np.maximum(z, -self.limit, out=z)
        np.minimum(z, self.limit, out=z)
        return z.astype(np.float32)


class Trees:
    """The raw score (log-odds) of a boosted ensemble; leaves are nodes that lead to themselves."""

    def __init__(self, weights: Weights) -> None:
        self.feature = weights["feature"]
        self.threshold = weights["threshold"]
        self.children = weights["children"].ravel()
        self.value = weights["value"]
        self.roots = weights["roots"]
        self.depth = int(weights["depth"][0])

    def __call__(self, x: Singles) -> float:
        x64 = x.astype(np.float64)
        node = self.roots
        for _ in range(self.depth):
            right = x64.take(self.feature.take(node)) > self.threshold.take(node)
            node = self.children.take(node + node + right)
        return float(self.value.take(node).sum())

    def batch(self, x: Singles) -> Floats:
        """Raw scores of many rows, equal bit for bit to row by row."""
        scores = np.empty(len(x))
        for start in range(0, len(x), BLOCK):
            x64 = x[start : start + BLOCK].astype(np.float64)
            node = np.broadcast_to(self.roots, (len(x64), len(self.roots)))
            for _ in range(self.depth):
                right = np.take_along_axis(x64, self.feature[node], axis=1) > self.threshold[node]
                node = self.children[2 * node + right]
            scores[start : start + BLOCK] = [row.sum() for row in self.value[node]]
        return scores


def make_calibrator(spec: Mapping[str, Any]) -> Callable[[Any], Any]:
    """From a calibrator's JSON form to a function of a probability or an array of them.

    Only the form `temperature` is of several classes, which are the last axis.
    """
    if spec["form"] == "isotonic":
        knots, values = np.array(spec["x"]), np.array(spec["y"])
        return lambda p: np.interp(p, knots, values)
    if spec["form"] == "temperature":
        power = spec["a"]

        def softmax(p: Any) -> Any:
            scores = power * np.log(np.maximum(p, MARGIN))
            odds = np.exp(scores - scores.max(axis=-1, keepdims=True))
            return odds / odds.sum(axis=-1, keepdims=True)

        return softmax
    a, b, c = spec["a"], spec["b"], spec["c"]

    def logistic(p: Any) -> Any:
        p = np.minimum(np.maximum(p, MARGIN), 1 - MARGIN)
        return sigmoid(a * np.log(p) - b * np.log1p(-p) + c)

    return logistic


def sigmoid(x: Any) -> Any:
    return 0.5 + 0.5 * np.tanh(0.5 * x)  # overflows nowhere


class Encoder:
    """A causal convolution and an LSTM, one bar at a time; memory: the last inputs, h and c."""

    def __init__(self, weights: Weights) -> None:
        conv = weights["conv.weight"]
        channels, n_inputs, kernel = conv.shape
        self.conv = np.ascontiguousarray(conv.transpose(0, 2, 1).reshape(channels, kernel * n_inputs))
        self.conv_bias = weights["conv.bias"]
        self.gates = np.hstack([weights["lstm.weight_ih_l0"], weights["lstm.weight_hh_l0"]])
        self.gates_bias = weights["lstm.bias_ih_l0"] + weights["lstm.bias_hh_l0"]
        self.hidden = self.gates.shape[0] // 4
        self.past = (kernel - 1) * n_inputs
        self.n_inputs, self.channels = n_inputs, channels
        self.state_size = self.past + 2 * self.hidden
        self._window = np.zeros(kernel * n_inputs, dtype=np.float32)
        self._joint = np.zeros(channels + self.hidden, dtype=np.float32)
        # sigmoid(x) = (1 + tanh(x / 2)) / 2: one tanh serves all four gates.
        self._slope = np.full(4 * self.hidden, 0.5, dtype=np.float32)
        self._slope[2 * self.hidden : 3 * self.hidden] = 1.0

    def __call__(self, z: Singles, state: Singles) -> Singles:
        """The hidden state (n_hidden,) after inputs `z` (n_inputs,); `state` is moved on in place."""
        n, h = self.past, self.hidden
        window, joint = self._window, self._joint
        window[:n] = state[:n]
        window[n:] = z
        state[:n] = window[self.n_inputs :]
        features = self.conv @ window
        features += self.conv_bias
        np.tanh(features, out=joint[: self.channels])
        joint[self.channels :] = state[n : n + h]
        gates = self.gates @ joint
        gates += self.gates_bias
        gates *= self._slope
        np.tanh(gates, out=gates)
        open_in = (gates[:h] + _ONE) * _HALF
        keep = (gates[h : 2 * h] + _ONE) * _HALF
        open_out = (gates[3 * h :] + _ONE) * _HALF
        cell = keep * state[n + h :] + open_in * gates[2 * h : 3 * h]
        hidden: Singles = open_out * np.tanh(cell)
        state[n : n + h] = hidden
        state[n + h :] = cell
        return hidden


class GRU:
    """A tanh layer and a gated recurrent unit, one bar at a time; memory: the hidden state."""

    def __init__(self, weights: Weights) -> None:
        self.layer, self.layer_bias = weights["layer.weight"], weights["layer.bias"]
        self.inputs, self.inputs_bias = weights["gru.weight_ih_l0"], weights["gru.bias_ih_l0"]
        self.past, self.past_bias = weights["gru.weight_hh_l0"], weights["gru.bias_hh_l0"]
        self.hidden = self.state_size = self.past.shape[1]

    def __call__(self, z: Singles, state: Singles) -> Singles:
        """The hidden state (n_hidden,) after inputs `z` (n_inputs,); `state` is moved on in place."""
        h = self.hidden
        features = np.tanh(self.layer @ z + self.layer_bias)
        new, old = self.inputs @ features + self.inputs_bias, self.past @ state + self.past_bias
        gates = (np.tanh((new[: 2 * h] + old[: 2 * h]) * _HALF) + _ONE) * _HALF
        candidate = np.tanh(new[2 * h :] + gates[:h] * old[2 * h :])
        hidden: Singles = candidate + gates[h:] * (state - candidate)
        state[:] = hidden
        return hidden


class ActorNet:
    """Two tanh layers and a softmax over the targets; softmax in float64."""

    def __init__(self, weights: Weights) -> None:
        self.layers = [(weights[f"{name}.weight"], weights[f"{name}.bias"]) for name in ("0", "1", "out")]

    def __call__(self, observation: Singles) -> Floats:
        (w0, b0), (w1, b1), (w2, b2) = self.layers
        x = np.tanh(w0 @ observation + b0)
        x = np.tanh(w1 @ x + b1)
        scores = (w2 @ x + b2).astype(np.float64)
        odds = np.exp(scores - scores.max())
        probabilities: Floats = odds / odds.sum()
        return probabilities
