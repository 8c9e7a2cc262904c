"""A causal CNN-LSTM and how it is trained: on dense chunks, each bar computed once."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from trading_assets.config.settings import CNNLSTMSettings
from trading_assets.progress import report

Floats = NDArray[np.float64]
Spans = list[tuple[int, int]]
AVERAGING = 0.985
"""Kept of the running average of the weights in each step; worth 0.02 of Bayes on noisy targets."""


class CausalCNNLSTM(nn.Module):
    """Convolution over the last `kernel_size` bars, LSTM, one logit. No output sees a later input."""

    def __init__(self, n_inputs: int, settings: CNNLSTMSettings) -> None:
        super().__init__()
        self.conv = nn.Conv1d(n_inputs, settings.channels, settings.kernel_size)
        self.lstm = nn.LSTM(settings.channels, settings.hidden_size, batch_first=True)
        self.dropout = nn.Dropout(settings.dropout)
        self.head = nn.Linear(settings.hidden_size, 1)
        self.kernel_size = settings.kernel_size

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """From (batch, bars, inputs) to hidden states (batch, bars, hidden); the past is zeros."""
        padded = nn.functional.pad(x.transpose(1, 2), (self.kernel_size - 1, 0))
        features = torch.relu(self.conv(padded))
        hidden, _ = self.lstm(features.transpose(1, 2))
        return torch.as_tensor(hidden)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (batch, bars)."""
        logits: torch.Tensor = self.head(self.dropout(self.encode(x))).squeeze(-1)
        return logits


def spans_of(rows: NDArray[np.int64]) -> Spans:
    """The stretches of consecutive bars in sorted `rows`, each as (first, last + 1)."""
    breaks = np.flatnonzero(np.diff(rows) != 1) + 1
    return [(int(part[0]), int(part[-1]) + 1) for part in np.split(rows, breaks) if len(part)]


def chunk_starts(spans: Spans, chunk: int, burn_in: int, shift: int) -> NDArray[np.int64]:
    """Where chunks of `burn_in + chunk` bars begin so that none leaves its span."""
    whole = burn_in + chunk
    starts = [
        np.arange(low + shift % chunk, high - whole + 1, chunk)
        for low, high in spans
        if high - low >= whole + shift % chunk
    ]
    if not starts:
        longest = max((high - low for low, high in spans), default=0)
        raise ValueError(
            f"No stretch of {whole} bars to train a sequence on (chunk {chunk} + burn_in {burn_in}); "
            f"the longest has {longest}. Lower cnn_lstm.chunk or bring more bars."
        )
    return np.concatenate(starts)


def train_sequence(
    inputs: NDArray[np.float32],
    targets: Floats,
    spans: Spans,
    settings: CNNLSTMSettings,
    seed: int,
) -> CausalCNNLSTM:
    """Fit a CNN-LSTM with AdamW for a fixed number of steps; the weights are averaged over the last ones.

    Chunks are laid anew over the spans in each pass, from a random bar on; the loss counts the bars
    after the burn-in whose target is known.

    Parameters
    ----------
    inputs : ndarray of shape (n_bars, n_inputs)
    targets : ndarray of shape (n_bars,)
        0, 1, or NaN.
    spans : list of (first, last + 1)
        Stretches of bars that may be learnt from.
    settings : CNNLSTMSettings
    seed : int
    """
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    module = CausalCNNLSTM(inputs.shape[1], settings)
    optimiser = torch.optim.AdamW(
        module.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    average = AveragedModel(module, multi_avg_fn=get_ema_multi_avg_fn(AVERAGING))  # type: ignore[no-untyped-call]
    x, y = torch.from_numpy(inputs), torch.from_numpy(targets.astype(np.float32))
    offsets = torch.arange(settings.burn_in + settings.chunk)
    longest = max(high - low for low, high in spans)
    shifts = max(min(settings.chunk, longest - settings.burn_in - settings.chunk), 1)
    queue = np.empty(0, dtype=np.int64)
    module.train()
    for step in range(settings.steps):
        if len(queue) == 0:
            shift = int(rng.integers(shifts))
            queue = rng.permutation(chunk_starts(spans, settings.chunk, settings.burn_in, shift))
        starts, queue = queue[: settings.batch_size], queue[settings.batch_size :]
        where = torch.from_numpy(starts)[:, None] + offsets
        logits = module(x[where])[:, settings.burn_in :]
        answers = y[where][:, settings.burn_in :]
        known = torch.isfinite(answers)
        loss = nn.functional.binary_cross_entropy_with_logits(logits[known], answers[known])
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimiser.step()
        average.update_parameters(module)
        if step % 25 == 0:
            report(step / settings.steps, f"loss {loss.item():.4f}")
    module.load_state_dict(average.module.state_dict())
    return module.eval()
