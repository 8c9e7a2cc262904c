"""Forms of forecasters once more in torch, for export to TorchScript and ONNX: one bar at a time.

A graph takes a bar's features (n_features,) and its state (state_size,) to its log-odds, a float64 without
dimensions, and the state moved on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from trading_assets.execution.networks import GRU, Encoder, Weights, sub


def tensor_of(array: NDArray[Any]) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(array))


class ScalerGraph(nn.Module):
    center: torch.Tensor
    scale: torch.Tensor

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        self.register_buffer("center", tensor_of(weights["center"]))
        self.register_buffer("scale", tensor_of(weights["scale"]))
        self.limit = float(weights["limit"][0])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return ((x.double() - self.center) / self.scale).clamp(-self.limit, self.limit).float()


class TreesGraph(nn.Module):
    feature: torch.Tensor
    threshold: torch.Tensor
    next_node: torch.Tensor
    value: torch.Tensor
    roots: torch.Tensor

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        for name in ("feature", "threshold", "value", "roots"):
            self.register_buffer(name, tensor_of(weights[name]))
        self.register_buffer("next_node", tensor_of(weights["children"].ravel()))
        self.depth = int(weights["depth"][0])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x, node = x.double(), self.roots
        for _ in range(self.depth):
            right = (x[self.feature[node]] > self.threshold[node]).long()
            node = self.next_node[node + node + right]
        return self.value[node].sum()


class EncoderGraph(nn.Module):
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
            self.register_buffer(name, tensor_of(getattr(step, name)))

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


class GRUGraph(nn.Module):
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
            self.register_buffer(name, tensor_of(getattr(step, name)))

    def forward(self, z: torch.Tensor, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        h = self.hidden
        features = torch.tanh(torch.mv(self.layer, z) + self.layer_bias)
        new = torch.mv(self.inputs, features) + self.inputs_bias
        old = torch.mv(self.past, state) + self.past_bias
        gates = torch.sigmoid(new[: 2 * h] + old[: 2 * h])
        candidate = torch.tanh(new[2 * h :] + gates[:h] * old[2 * h :])
        hidden = candidate + gates[h:] * (state - candidate)
        return hidden, hidden


class ForecasterGraph(nn.Module):
    """One forecaster at the close of a bar, as `execution.forecasters.ForecasterForm` runs it."""

    state_size: int = 0


class TreesForecasterGraph(ForecasterGraph):
    """`execution.forecasters.TreesForm`."""

    def __init__(self, about: Mapping[str, Any], weights: Weights) -> None:
        super().__init__()
        self.scaler, self.trees = ScalerGraph(sub(weights, "scaler")), TreesGraph(sub(weights, "trees"))

    def forward(self, features: torch.Tensor, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.trees(self.scaler(features)), state


class SequenceForecasterGraph(ForecasterGraph):
    """`execution.forecasters.SequenceForm`, from the graph of its encoder."""

    columns: torch.Tensor

    def __init__(
        self,
        about: Mapping[str, Any],
        weights: Weights,
        encoder_type: type[EncoderGraph] | type[GRUGraph],
    ) -> None:
        super().__init__()
        self.register_buffer("columns", torch.tensor(about["columns"]))
        self.scaler, self.encoder = ScalerGraph(sub(weights, "scaler")), encoder_type(sub(weights, "encoder"))
        self.state_size = self.encoder.state_size
        self.head = nn.Linear(self.encoder.hidden, 1)
        self.head.weight.data = tensor_of(weights["head.weight"])
        self.head.bias.data = tensor_of(weights["head.bias"])

    def inputs(self, features: torch.Tensor) -> torch.Tensor:
        """Its scaled inputs."""
        z: torch.Tensor = self.scaler(features[self.columns])
        return z

    def read(self, hidden: torch.Tensor) -> torch.Tensor:
        """The log-odds that a hidden state stands for."""
        score: torch.Tensor = self.head(hidden).double()[0]
        return score

    def forward(self, features: torch.Tensor, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        hidden, moved = self.encoder(self.inputs(features), state)
        return self.read(hidden), moved
