"""A GRU's walk through the bars on a CPU, with a gradient of its own.

torch calls some thirty small operations a bar, forward and back; fused by hand into a few numpy calls the
same takes a third of the time at the sizes of our models (its LSTM it hands to oneDNN, which is fast).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

F32 = NDArray[np.float32]
_HALF = np.float32(0.5)


def run_gru(gru: nn.GRU, x: torch.Tensor) -> torch.Tensor:
    """Hidden states (batch, bars, hidden) of a one-layer `gru` from inputs (batch, bars, inputs)."""
    inputs, past, inputs_bias, past_bias = gru.all_weights[0]
    given = nn.functional.linear(x.transpose(0, 1), inputs, inputs_bias).float()
    hidden: torch.Tensor = _Recurrence.apply(given, past, past_bias)  # type: ignore[no-untyped-call]
    return hidden.transpose(0, 1)


class _Recurrence(torch.autograd.Function):
    """From what the inputs give to the gates (bars, batch, 3 hidden: reset, update, candidate)."""

    @staticmethod
    def forward(ctx: Any, given: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        a, w, b = (tensor.detach().numpy() for tensor in (given, weight, bias))
        n_bars, batch, size = a.shape[0], a.shape[1], w.shape[1]
        hidden = np.zeros((n_bars + 1, batch, size), dtype=np.float32)
        gates = np.empty((n_bars, batch, 2 * size), dtype=np.float32)
        candidate, past = (np.empty((n_bars, batch, size), dtype=np.float32) for _ in range(2))
        transposed, u = np.ascontiguousarray(w.T), np.empty((batch, 3 * size), dtype=np.float32)
        for t in range(n_bars):
            np.matmul(hidden[t], transposed, out=u)
            u += b
            gate, new, moved = gates[t], candidate[t], hidden[t + 1]
            # sigmoid(x) = (1 + tanh(x / 2)) / 2
            np.add(u[:, : 2 * size], a[t, :, : 2 * size], out=gate)
            gate *= _HALF
            np.tanh(gate, out=gate)
            gate += 1
            gate *= _HALF
            past[t] = u[:, 2 * size :]
            np.multiply(gate[:, :size], u[:, 2 * size :], out=new)
            new += a[t, :, 2 * size :]
            np.tanh(new, out=new)
            np.subtract(hidden[t], new, out=moved)
            moved *= gate[:, size:]
            moved += new
        ctx.walk = hidden, gates, candidate, past, w
        return torch.from_numpy(hidden[1:])

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        hidden, gates, candidate, past, w = ctx.walk
        outer: F32 = gradients[0].numpy()
        n_bars, batch, size = candidate.shape
        reset, update = gates[:, :, :size], gates[:, :, size:]
        # By how much each gate's argument moves per unit of the new hidden state, for all bars at once.
        by_update = (hidden[:-1] - candidate) * update * (1 - update)
        by_candidate = (1 - update) * (1 - candidate * candidate)
        by_reset = past * reset * (1 - reset)
        d_given, d_past = (np.empty((n_bars, batch, 3 * size), dtype=np.float32) for _ in range(2))
        flow = np.zeros((batch, size), dtype=np.float32)
        for t in range(n_bars - 1, -1, -1):
            flow += outer[t]
            given, back = d_given[t], d_past[t]
            np.multiply(flow, by_candidate[t], out=given[:, 2 * size :])
            np.multiply(given[:, 2 * size :], by_reset[t], out=given[:, :size])
            np.multiply(flow, by_update[t], out=given[:, size : 2 * size])
            back[:, : 2 * size] = given[:, : 2 * size]
            np.multiply(given[:, 2 * size :], reset[t], out=back[:, 2 * size :])
            flow *= update[t]
            flow += back @ w
        flat = d_past.reshape(-1, 3 * size)
        d_weight = flat.T @ hidden[:-1].reshape(-1, size)
        return torch.from_numpy(d_given), torch.from_numpy(d_weight), torch.from_numpy(flat.sum(axis=0))
