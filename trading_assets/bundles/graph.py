"""The network of `execution.ensemble` once more in torch, for export to TorchScript and ONNX.

Built from the bundle's own architecture and weights, one bar at a time, with the state as input and
output. Each kind of forecaster brings its own part (`forecasters.base.ModelAdapter.graph`). Parity with the
numpy network is measured on every export.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import torch
from torch import nn

from trading_assets.execution.ensemble import PolicyNetwork
from trading_assets.execution.networks import MARGIN, Weights, sub
from trading_assets.forecasters.graphs import (
    EncoderGraph,
    ForecasterGraph,
    GRUGraph,
    ScalerGraph,
    SequenceForecasterGraph,
    tensor_of,
)
from trading_assets.forecasters.loading import forecaster_class

ONNX_OPSET = 17


class _Calibrator(nn.Module):
    x: torch.Tensor
    y: torch.Tensor

    def __init__(self, spec: Mapping[str, Any]) -> None:
        super().__init__()
        self.isotonic = spec["form"] == "isotonic"
        if self.isotonic:
            # Flat ends, so that a search below the first or beyond the last knot finds a segment.
            x, y = np.array(spec["x"]), np.array(spec["y"])
            self.register_buffer("x", tensor_of(np.concatenate([[-1.0], x, [2.0]])))
            self.register_buffer("y", tensor_of(np.concatenate([y[:1], y, y[-1:]])))
        else:
            self.a, self.b, self.c = float(spec["a"]), float(spec["b"]), float(spec["c"])

    def forward(self, p: torch.Tensor) -> torch.Tensor:
        if self.isotonic:
            i = (p >= self.x[1:-1]).long().sum()
            low, high = self.y[i], self.y[i + 1]
            return low + (p - self.x[i]) / (self.x[i + 1] - self.x[i]) * (high - low)
        p = p.clamp(MARGIN, 1 - MARGIN)
        return torch.sigmoid(self.a * p.log() - self.b * (1 - p).log() + self.c)


class _Member(nn.Module):
    def __init__(
        self,
        weights: Weights,
        share: float,
        n_features: int,
        encoder_type: type[EncoderGraph] | type[GRUGraph],
    ) -> None:
        super().__init__()
        self.scaler = ScalerGraph(sub(weights, "scaler"))
        encoder = sub(weights, "encoder")
        self.encoder = encoder_type(encoder) if encoder else None
        self.state_size = self.encoder.state_size if self.encoder else 0
        self.share, self.n_features = share, n_features
        layers: list[nn.Module] = []
        for name in ("0", "1", "out"):
            weight = weights[f"net.{name}.weight"]
            layer = nn.Linear(weight.shape[1], weight.shape[0])
            layer.weight.data = tensor_of(weight)
            layer.bias.data = tensor_of(weights[f"net.{name}.bias"])
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
        graphs: list[ForecasterGraph] = []
        calibrators: list[_Calibrator] = []
        for about in architecture["forecasters"]:
            kind = about["kind"]
            graphs.append(forecaster_class(kind).graph(about, sub(weights, kind)))
            calibrators.append(_Calibrator(about["calibrator"]))
        self.forecasters, self.calibrators = nn.ModuleList(graphs), nn.ModuleList(calibrators)
        kinds = [about["kind"] for about in architecture["forecasters"]]
        encoder = self.encoder = graphs[kinds.index(architecture["encoder"])]
        assert isinstance(encoder, SequenceForecasterGraph)
        n = len(architecture["features"])
        self.members = nn.ModuleList(
            _Member(sub(weights, f"members.{m['name']}"), float(m["weight"]), n, type(encoder.encoder))
            for m in architecture["members"]
        )
        self.requires_grad_(False)
        self.eval()

    def forward(
        self, features: torch.Tensor, account: torch.Tensor, state: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        end, states, probabilities = 0, [], []
        hidden = z = torch.empty(0)
        for model, calibrate in zip(self.forecasters, self.calibrators, strict=True):
            assert isinstance(model, ForecasterGraph)
            part = state[end : end + model.state_size]
            end += model.state_size
            if model is self.encoder:
                assert isinstance(model, SequenceForecasterGraph)
                z = model.inputs(features)
                hidden, moved = model.encoder(z, part)
                score = model.read(hidden)
            else:
                score, moved = model(features, part)
            probabilities.append(calibrate(torch.sigmoid(score)))
            states.append(moved)
        market = torch.cat([features, hidden, torch.stack(probabilities).float()])
        total = torch.zeros(1, dtype=torch.float64)
        for member in self.members:
            assert isinstance(member, _Member)
            part = state[end : end + member.state_size]
            end += member.state_size
            shares, part = member(market, z, account, part)
            states.append(part)
            total = total + shares
        return total, torch.cat(states)


def example_inputs(architecture: Mapping[str, Any], network: PolicyNetwork) -> tuple[torch.Tensor, ...]:
    """Inputs of the right shapes, for tracing."""
    sizes = len(architecture["features"]), len(architecture["account"]), network.state_size
    return tuple(torch.zeros(size) for size in sizes)


def to_torchscript(graph: PolicyGraph, example: tuple[torch.Tensor, ...]) -> bytes:
    """The traced and frozen graph.

    torch calls TorchScript deprecated; it stays as long as the versions of torch that are pinned load it, for
    those who embed libtorch. Nothing of ours needs it: numpy is the runtime that bundles are judged on.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # shapes are constant by design
        traced = torch.jit.freeze(torch.jit.trace(graph, example))  # type: ignore[no-untyped-call]
    buffer = io.BytesIO()
    torch.jit.save(traced, buffer)
    return buffer.getvalue()


def to_onnx(graph: PolicyGraph, example: tuple[torch.Tensor, ...]) -> bytes:
    """The graph as ONNX, checked.

    By torch's older exporter: the newer one (dynamo) needs onnxscript and writes the same graph of operators
    more slowly.
    """
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
