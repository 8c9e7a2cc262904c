"""Forecasters that remember: causal modules trained on dense chunks, each bar computed once."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import nn

from trading_assets.arrays import Floats, Rows, Singles
from trading_assets.config.settings import SequenceSettings
from trading_assets.errors import NotReadyError, SettingsError
from trading_assets.execution.forecasters import FORMS, SequenceForm
from trading_assets.execution.networks import GRU, Encoder, prefixed, sub
from trading_assets.features.catalogue import SEQUENCE_NAMES
from trading_assets.forecasters.base import ModelAdapter
from trading_assets.forecasters.graphs import EncoderGraph, ForecasterGraph, GRUGraph, SequenceForecasterGraph
from trading_assets.forecasters.training import Items, train
from trading_assets.forecasters.training_data import TrainingData
from trading_assets.registry.digests import digest_arrays, digest_json
from trading_assets.registry.tensors import save_tensors

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Spans = list[tuple[int, int]]


class CausalModule(nn.Module):
    """From (batch, bars, inputs) to hidden states and outputs; no output sees a later input."""

    def __init__(self, n_inputs: int, settings: SequenceSettings, n_outputs: int) -> None:
        super().__init__()
        self.dropout = nn.Dropout(settings.dropout)
        self.head = nn.Linear(settings.hidden_size, n_outputs)

    @abstractmethod
    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """Hidden states (batch, bars, hidden); the past is zeros."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Outputs (batch, bars, n_outputs): log-odds, scores of the classes, or a value."""
        outputs: torch.Tensor = self.head(self.dropout(self.encode(x)))
        return outputs


class SequenceForecaster(ModelAdapter):
    """A `CausalModule` as a forecaster; a subclass names the module, its settings and its step.

    Examples
    --------
    See `GRUForecaster`.
    """

    Settings: ClassVar[type[SequenceSettings]]
    Module: ClassVar[type[CausalModule]]
    form: ClassVar[str]
    """How it runs in a bundle: a `SequenceForm` of `execution.forecasters`."""
    Graph: ClassVar[type[EncoderGraph] | type[GRUGraph]]
    """`Module.encode` bar by bar, for export."""
    file = "model.safetensors"
    settings: SequenceSettings
    settings_: SequenceSettings
    module_: CausalModule

    @property
    def columns(self) -> list[int]:
        """Positions of the module's inputs among the preprocessed features."""
        names = self.preprocessor_.feature_names_out
        chosen = [i for i, name in enumerate(names) if name in SEQUENCE_NAMES]
        return chosen if chosen and self.settings_.inputs == "sequence" else list(range(len(names)))

    @property
    def input_names(self) -> list[str]:
        return [self.preprocessor_.feature_names_out[i] for i in self.columns]

    @classmethod
    def encoder_type(cls) -> type[Encoder] | type[GRU]:
        """What `encode` of the module does, bar by bar in numpy, as it is deployed."""
        form = FORMS[cls.form]
        assert issubclass(form, SequenceForm)
        return form.encoder_type

    @classmethod
    def search_space(cls) -> dict[str, BaseDistribution]:
        from optuna.distributions import FloatDistribution, IntDistribution

        return {
            "hidden_size": IntDistribution(16, 64, log=True),
            "dropout": FloatDistribution(0.1, 0.7),
            "learning_rate": FloatDistribution(1e-3, 2e-2, log=True),
            "weight_decay": FloatDistribution(1e-2, 3.0, log=True),
            "steps": IntDistribution(150, 800, log=True),
        }

    def importances(self, X: pd.DataFrame) -> dict[str, Mapping[str, float]]:
        return {"mean integrated gradient": integrated_gradients(self, X)}

    def deploy(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        scaler, weights = self.preprocessor_.as_scaler().arrays(), self.weights()
        about = {
            "form": self.form,
            "columns": self.columns,
            "settings": self.settings_.model_dump(mode="json"),
        }
        parts = {
            "scaler": {k: v if k == "limit" else v[self.columns] for k, v in scaler.items()},
            "encoder": {k: v for k, v in weights.items() if not k.startswith("head.")},
            "head": sub(weights, "head"),
        }
        return about, prefixed(parts)

    @classmethod
    def graph(cls, about: Mapping[str, Any], weights: Mapping[str, NDArray[Any]]) -> ForecasterGraph:
        return SequenceForecasterGraph(about, weights, cls.Graph)

    def _make(self) -> CausalModule:
        return self.Module(len(self.columns), self.settings_, self._n_outputs)

    def _fit(self, data: TrainingData) -> None:
        torch.manual_seed(self.seed)
        self.module_ = self._make()
        signs = self._signs() if self.settings.mirror else None
        task = ChunkTask(self._inputs(data.Z), data, self.settings, self._loss(), self.seed, signs)
        patience = self.settings.early_stopping
        record = train(
            self.module_, task, self.settings, seed=self.seed, patience=patience, checkpoint=self.checkpoint
        )
        self.training_ = record.to_json()

    def _predict(self, Z: Singles) -> Floats:
        scores: Floats = self._predict_variants(Z[None])[0]
        return scores

    def _predict_variants(self, Z: Singles) -> Floats:
        with torch.inference_mode():
            outputs: torch.Tensor = self.module_(torch.from_numpy(self._inputs(Z)))
            return np.asarray(outputs.double())

    def _stream_prepared(self) -> Callable[[Singles], Floats]:
        weights, columns = self.weights(), np.array(self.columns)
        step, head, bias = self.encoder_type()(weights), weights["head.weight"], weights["head.bias"]
        state = np.zeros(step.state_size, dtype=np.float32)

        def score(z: Singles) -> Floats:
            outputs: Floats = (head @ step(z.take(columns), state) + bias).astype(np.float64)
            return outputs

        return score

    def _inputs(self, Z: Singles) -> Singles:
        return np.ascontiguousarray(Z[..., self.columns])

    def _signs(self) -> Singles:
        """By what each input is multiplied where the market is mirrored."""
        names = self.input_names
        unknown = [name for name in names if name not in SEQUENCE_NAMES]
        if unknown or self.task_ != "classification" or self._n_outputs != 1:
            raise SettingsError(
                "mirror is for two classes and the catalogue's inputs for sequences; this is a "
                f"{self.task_} with {self._n_outputs} outputs, and what it reads besides is "
                f"{', '.join(map(str, unknown)) or 'nothing'}. Set mirror to false."
            )
        return np.array([-1.0 if SEQUENCE_NAMES[name] == "odd" else 1.0 for name in names], dtype=np.float32)

    def _loss(self) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
        """Loss of every bar from outputs (n, n_outputs) and answers (n,)."""
        functional = nn.functional
        if self.task_ == "regression":
            return lambda outputs, y: functional.mse_loss(outputs[:, 0], y, reduction="none")
        if self._n_outputs == 1:
            return lambda outputs, y: functional.binary_cross_entropy_with_logits(
                outputs[:, 0], y, reduction="none"
            )
        return lambda outputs, y: functional.cross_entropy(outputs, y.long(), reduction="none")

    def weights(self) -> dict[str, NDArray[Any]]:
        """Of the module, by name."""
        return {name: value.numpy() for name, value in self.module_.state_dict().items()}

    def save_weights(self, folder: Path) -> None:
        save_tensors(folder / self.file, self.weights())

    def load_weights(self, folder: Path) -> None:
        self.module_ = self._make()
        self.module_.load_state_dict(load_file(folder / self.file))
        self.module_.eval()


def integrated_gradients(
    model: SequenceForecaster, X: pd.DataFrame, *, n_steps: int = 32, n_bars: int = 1_024
) -> Mapping[str, float]:
    """Mean of |integrated gradient| of every input, from all inputs zero to the bars (Sundararajan 2017).

    Of the sum of the first output over the last half of the last `n_bars` bars, through the whole past that
    they remember; the parts of a bar sum to what the output differs by.

    Parameters
    ----------
    model : SequenceForecaster
        Fitted.
    X : DataFrame of shape (n_bars, n_features)
        Consecutive bars.
    n_steps : int
        Points between zero and the inputs.
    n_bars : int

    Returns
    -------
    dict of str to float

    Examples
    --------
    >>> from trading_assets.forecasters import GRUForecaster
    >>> rng = np.random.default_rng(0)
    >>> X = pd.DataFrame(rng.normal(size=(600, 2)), columns=["a", "b"])
    >>> model = GRUForecaster(steps=2, inputs="all", chunk=32, burn_in=8).fit(X, (X["a"] > 0).astype(float))
    >>> sorted(integrated_gradients(model, X, n_steps=2, n_bars=64))
    ['a', 'b']
    """
    parts = attributions(model, X.iloc[-n_bars:], n_steps=n_steps)
    return dict(zip(model.input_names, np.abs(parts).mean(axis=0).tolist(), strict=True))


def attributions(model: SequenceForecaster, X: pd.DataFrame, *, n_steps: int = 32) -> Floats:
    """Integrated gradients, shape (n_bars, n_inputs), of the output summed over the last half of the bars."""
    Z = model.preprocessor_.transform(X)[model.preprocessor_.lookback :]
    x = torch.from_numpy(np.ascontiguousarray(Z[:, model.columns]))
    # Midpoints: the error of the sum falls with the square of the number of steps.
    share = (torch.arange(n_steps) + 0.5) / n_steps
    scaled = (share[:, None, None] * x).requires_grad_()
    output = model.module_(scaled)[:, len(x) // 2 :, 0].sum()
    (gradient,) = torch.autograd.grad(output, scaled)
    parts: Floats = (gradient.mean(dim=0) * x).double().numpy()
    return parts


def spans_of(rows: Rows) -> Spans:
    """The stretches of consecutive bars in sorted `rows`, each as (first, last + 1)."""
    breaks = np.flatnonzero(np.diff(rows) != 1) + 1
    return [(int(part[0]), int(part[-1]) + 1) for part in np.split(rows, breaks) if len(part)]


def chunk_starts(spans: Spans, chunk: int, burn_in: int, shift: int) -> Items:
    """Where chunks of `burn_in + chunk` bars begin so that none leaves its span."""
    whole = burn_in + chunk
    starts = [
        np.arange(low + shift % chunk, high - whole + 1, chunk)
        for low, high in spans
        if high - low >= whole + shift % chunk
    ]
    if not starts:
        longest = max((high - low for low, high in spans), default=0)
        raise NotReadyError(
            f"No stretch of {whole} bars to train a sequence on (chunk {chunk} + burn_in {burn_in}); "
            f"the longest has {longest}. Lower chunk or bring more bars."
        )
    return np.concatenate(starts)


class ChunkTask:
    """Learning from dense chunks, laid anew over the spans in each epoch from a random bar on.

    The loss counts the bars after a chunk's burn-in whose answer is known, each by its weight; the others
    only move the state on, and a chunk of nothing else is left out. With `signs` about half of the chunks
    are shown mirrored: inputs times their signs, the other of the two answers.
    """

    def __init__(
        self,
        inputs: Singles,
        data: TrainingData,
        settings: SequenceSettings,
        loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
        seed: int,
        signs: Singles | None = None,
    ) -> None:
        self.signs = None if signs is None else torch.from_numpy(signs)
        self.spans, self.held_out, self.seed = spans_of(data.rows), spans_of(data.held_out), seed
        self.chunk, self.burn_in, self._loss = settings.chunk, settings.burn_in, loss
        answers, weight = np.nan_to_num(data.y), np.where(np.isfinite(data.y), data.weight, 0.0)
        # A span is as long as its bars without a hole; what lies in no span is never an answer.
        self._sums = np.concatenate([[0.0], np.cumsum(weight)])
        arrays = digest_arrays({"x": inputs, "y": answers, "weight": weight})
        self._digest = digest_json([arrays, self.spans, self.held_out])
        self.x, self.y, self.w = (torch.from_numpy(a.astype(np.float32)) for a in (inputs, answers, weight))
        self.offsets = torch.arange(self.burn_in + self.chunk)
        longest = max((high - low for low, high in self.spans), default=0)
        self._shifts = max(min(self.chunk, longest - self.burn_in - self.chunk), 1)

    def epoch(self, number: int) -> Items:
        rng = np.random.default_rng([self.seed, number])
        shift = int(rng.integers(self._shifts))
        starts = chunk_starts(self.spans, self.chunk, self.burn_in, shift)
        counted = self._weights(starts) > 0
        return rng.permutation(starts[counted] if counted.any() else starts)

    def weight(self, items: Items) -> float:
        return float(self._weights(items).sum())

    def _weights(self, items: Items) -> Floats:
        first = items + self.burn_in
        weights: Floats = self._sums[first + self.chunk] - self._sums[first]
        return weights

    def loss(self, module: nn.Module, items: Items) -> torch.Tensor:
        where = torch.from_numpy(items).to(self.x.device)[:, None] + self.offsets
        x, counted = self.x[where], where[:, self.burn_in :]
        y, w = self.y[counted], self.w[counted]
        if self.signs is not None:
            mirrored = (torch.rand(len(items)) < 0.5).to(x.device)[:, None]
            x = torch.where(mirrored[:, :, None], x * self.signs, x)
            y = torch.where(mirrored, 1 - y, y)
        outputs = module(x)[:, self.burn_in :].flatten(0, 1)
        return (self._loss(outputs.float(), y.flatten()) * w.flatten()).sum()

    def held_out_loss(self, module: nn.Module) -> float:
        """Each held-out stretch starts from zeros: the bars before it may be another fold's test block."""
        loss = total = torch.zeros((), device=self.x.device)
        for low, high in self.held_out:
            outputs, weight = module(self.x[None, low:high])[0], self.w[low:high]
            loss = loss + (self._loss(outputs, self.y[low:high]) * weight).sum()
            total = total + weight.sum()
        return float(loss / total.clamp_min(1e-12))

    def to(self, device: torch.device) -> None:
        self.x, self.y, self.w = self.x.to(device), self.y.to(device), self.w.to(device)
        self.offsets = self.offsets.to(device)
        if self.signs is not None:
            self.signs = self.signs.to(device)

    def digest(self) -> str:
        return self._digest
