"""The network of `execution.networks` once more in torch, for export to TorchScript and ONNX.

Built from the bundle's own architecture and weights, one bar at a time, with the state as input and
output. Parity with the numpy network is measured on every export.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import nn

from trading_assets.execution.networks import EDGE, GRU, Encoder, PolicyNetwork, Weights, sub

ONNX_OPSET = 17


def _tensor(array: NDArray[Any]) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(array))


class _Scaler(nn.Module):
    center: torch.Tensor
    scale: torch.Tensor

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        self.register_buffer("center", _tensor(weights["center"]))
        self.register_buffer("scale", _tensor(weights["scale"]))
        self.limit = float(weights["limit"][0])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return ((x.double() - self.center) / self.scale).clamp(-self.limit, self.limit).float()


class _Trees(nn.Module):
    feature: torch.Tensor
    threshold: torch.Tensor
    next_node: torch.Tensor
    value: torch.Tensor
    roots: torch.Tensor

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        for name in ("feature", "threshold", "value", "roots"):
            self.register_buffer(name, _tensor(weights[name]))
        self.register_buffer("next_node", _tensor(weights["children"].ravel()))
        self.depth = int(weights["depth"][0])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x, node = x.double(), self.roots
        for _ in range(self.depth):
            right = (x[self.feature[node]] > self.threshold[node]).long()
            node = self.next_node[node + node + right]
        return self.value[node].sum()


class _Calibrator(nn.Module):
    x: torch.Tensor
    y: torch.Tensor

    def __init__(self, spec: Mapping[str, Any]) -> None:
        super().__init__()
        self.isotonic = spec["form"] == "isotonic"
        if self.isotonic:
            # Flat ends, so that a search below the first or beyond the last knot finds a segment.
            x, y = np.array(spec["x"]), np.array(spec["y"])
            self.register_buffer("x", _tensor(np.concatenate([[-1.0], x, [2.0]])))
            self.register_buffer("y", _tensor(np.concatenate([y[:1], y, y[-1:]])))
        else:
            self.a, self.b, self.c = float(spec["a"]), float(spec["b"]), float(spec["c"])

    def forward(self, p: torch.Tensor) -> torch.Tensor:
        if self.isotonic:
            i = (p >= self.x[1:-1]).long().sum()
            low, high = self.y[i], self.y[i + 1]
            return low + (p - self.x[i]) / (self.x[i + 1] - self.x[i]) * (high - low)
        p = p.clamp(EDGE, 1 - EDGE)
        return torch.sigmoid(self.a * p.log() - self.b * (1 - p).log() + self.c)


class _Encoder(nn.Module):
    conv: torch.Tensor
    conv_bias: torch.Tensor
    gates: torch.Tensor
    gates_bias: torch.Tensor

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        step = Encoder(weights)
        self.past, self.hidden, self.n_inputs = step.past, step.hidden, step.n_inputs
        self.state_size = step.state_size
        for name in ("conv", "conv_bias", "gates", "gates_bias"):
            self.register_buffer(name, _tensor(getattr(step, name)))

    def forward(self, z: torch.Tensor, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        n, h = self.past, self.hidden
        window = torch.cat([state[:n], z])
        features = torch.tanh(torch.mv(self.conv, window) + self.conv_bias)
        joint = torch.cat([features, state[n : n + h]])
        gates = torch.mv(self.gates, joint) + self.gates_bias
        keep = torch.sigmoid(gates[h : 2 * h])
        cell = keep * state[n + h :] + torch.sigmoid(gates[:h]) * torch.tanh(gates[2 * h : 3 * h])
        hidden = torch.sigmoid(gates[3 * h :]) * torch.tanh(cell)
        return hidden, torch.cat([window[self.n_inputs :], hidden, cell])


class _GRU(nn.Module):
    layer: torch.Tensor
    layer_bias: torch.Tensor
    inputs: torch.Tensor
    inputs_bias: torch.Tensor
    past: torch.Tensor
    past_bias: torch.Tensor

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        step = GRU(weights)
        self.hidden, self.state_size = step.hidden, step.state_size
        for name in ("layer", "layer_bias", "inputs", "inputs_bias", "past", "past_bias"):
            self.register_buffer(name, _tensor(getattr(step, name)))

    def forward(self, z: torch.Tensor, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        h = self.hidden
        features = torch.tanh(torch.mv(self.layer, z) + self.layer_bias)
        new = torch.mv(self.inputs, features) + self.inputs_bias
        old = torch.mv(self.past, state) + self.past_bias
        gates = torch.sigmoid(new[: 2 * h] + old[: 2 * h])
        candidate = torch.tanh(new[2 * h :] + gates[:h] * old[2 * h :])
        hidden = candidate + gates[h:] * (state - candidate)
        return hidden, hidden


class _SequenceModel(nn.Module):
    columns: torch.Tensor

    def __init__(self, about: Mapping[str, Any], weights: Weights, encoder: _Encoder | _GRU) -> None:
        super().__init__()
        self.register_buffer("columns", torch.tensor(about["columns"]))
        self.scaler, self.encoder = _Scaler(sub(weights, "scaler")), encoder
        self.head = nn.Linear(encoder.hidden, 1)
        self.head.weight.data = _tensor(weights["head.weight"])
        self.head.bias.data = _tensor(weights["head.bias"])
        self.calibrator = _Calibrator(about["calibrator"])

    def inputs(self, features: torch.Tensor) -> torch.Tensor:
        z: torch.Tensor = self.scaler(features[self.columns])
        return z

    def forward(
        self, z: torch.Tensor, state: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        hidden, moved = self.encoder(z, state)
        return hidden, self.calibrator(torch.sigmoid(self.head(hidden).double()[0])), moved


class _Member(nn.Module):
    def __init__(self, weights: Weights, share: float, n_features: int) -> None:
        super().__init__()
        self.scaler = _Scaler(sub(weights, "scaler"))
        encoder = sub(weights, "encoder")
        self.encoder = _Encoder(encoder) if encoder else None
        self.state_size = self.encoder.state_size if self.encoder else 0
        self.share, self.n_features = share, n_features
        layers: list[nn.Module] = []
        for name in ("0", "1", "out"):
            weight = weights[f"net.{name}.weight"]
            layer = nn.Linear(weight.shape[1], weight.shape[0])
            layer.weight.data = _tensor(weight)
            layer.bias.data = _tensor(weights[f"net.{name}.bias"])
            layers += [layer, nn.Tanh()]
        self.net = nn.Sequential(*layers[:-1])

    def forward(
        self, market: torch.Tensor, z: torch.Tensor, account: torch.Tensor, state: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if self.encoder is not None:
            hidden, state = self.encoder(z, state)
            n, h = self.n_features, self.encoder.hidden
            market = torch.cat([market[:n], hidden, market[n + h :]])
        scores = self.net(torch.cat([self.scaler(market), account])).double()
        return self.share * torch.softmax(scores, 0), state


class PolicyGraph(nn.Module):
    """(features, account, state) -> (probabilities of the targets, state moved on)."""

    def __init__(self, architecture: Mapping[str, Any], weights: Weights) -> None:
        super().__init__()
        self.tree_scaler = _Scaler(sub(weights, "lightgbm.scaler"))
        self.trees = _Trees(sub(weights, "lightgbm.trees"))
        self.tree_calibrator = _Calibrator(architecture["lightgbm"]["calibrator"])
        parts = {name: sub(weights, name) for name in ("gru", "cnn_lstm")}
        gru, encoder = _GRU(sub(parts["gru"], "encoder")), _Encoder(sub(parts["cnn_lstm"], "encoder"))
        self.gru = _SequenceModel(architecture["gru"], parts["gru"], gru)
        self.cnn_lstm = _SequenceModel(architecture["cnn_lstm"], parts["cnn_lstm"], encoder)
        self.split, self.state_size = encoder.state_size, encoder.state_size + gru.state_size
        n = len(architecture["features"])
        self.members = nn.ModuleList(
            _Member(sub(weights, f"members.{m['name']}"), float(m["weight"]), n)
            for m in architecture["members"]
        )
        self.requires_grad_(False)
        self.eval()

    def forward(
        self, features: torch.Tensor, account: torch.Tensor, state: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        z, end = self.cnn_lstm.inputs(features), self.state_size
        hidden, p_cnn_lstm, moved = self.cnn_lstm(z, state[: self.split])
        _, p_gru, moved_gru = self.gru(self.gru.inputs(features), state[self.split : end])
        p_trees = self.tree_calibrator(torch.sigmoid(self.trees(self.tree_scaler(features))))
        market = torch.cat([features, hidden, torch.stack([p_trees, p_gru, p_cnn_lstm]).float()])
        states, total = [moved, moved_gru], torch.zeros(1, dtype=torch.float64)
        for member in self.members:
            part = state[end : end + member.state_size]
            end += member.state_size
            probabilities, part = member(market, z, account, part)
            states.append(part)
            total = total + probabilities
        return total, torch.cat(states)


def example_inputs(architecture: Mapping[str, Any], network: PolicyNetwork) -> tuple[torch.Tensor, ...]:
    """Inputs of the right shapes, for tracing."""
    sizes = len(architecture["features"]), len(architecture["account"]), network.state_size
    return tuple(torch.zeros(size) for size in sizes)


def to_torchscript(graph: PolicyGraph, example: tuple[torch.Tensor, ...]) -> bytes:
    """The traced and frozen graph."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # shapes are constant by design
        traced = torch.jit.freeze(torch.jit.trace(graph, example))  # type: ignore[no-untyped-call]
    buffer = io.BytesIO()
    torch.jit.save(traced, buffer)
    return buffer.getvalue()


def to_onnx(graph: PolicyGraph, example: tuple[torch.Tensor, ...]) -> bytes:
    """The graph as ONNX, checked."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            graph,
            example,
            buffer,  # type: ignore[arg-type]
            dynamo=False,
            opset_version=ONNX_OPSET,
            input_names=["features", "account", "state"],
            output_names=["probabilities", "next_state"],
        )
    onnx.checker.check_model(onnx.load_from_string(buffer.getvalue()))
    return buffer.getvalue()
