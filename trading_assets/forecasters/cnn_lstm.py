"""The causal CNN-LSTM as a forecaster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from trading_assets.config.settings import CNNLSTMSettings
from trading_assets.features.catalogue import SEQUENCE_NAMES
from trading_assets.forecasters.base import Floats, ModelAdapter, Rows
from trading_assets.forecasters.sequence import CausalCNNLSTM, spans_of, train_sequence


class CNNLSTMForecaster(ModelAdapter):
    """A sequence model on the stationary features; parameters as in `CNNLSTMSettings`."""

    module_: CausalCNNLSTM

    def __init__(self, seed: int = 0, **parameters: Any) -> None:
        self.seed = seed
        self.parameters = CNNLSTMSettings(**parameters)

    def settings(self) -> dict[str, Any]:
        return {"seed": self.seed, **self.parameters.model_dump()}

    @property
    def columns(self) -> list[int]:
        """Positions of the sequence inputs among the features it was fitted on."""
        names = self.feature_names_in_
        chosen = [i for i, name in enumerate(names) if name in SEQUENCE_NAMES]
        return chosen or list(range(len(names)))

    def _fit(self, Z: NDArray[np.float32], y: Floats, rows: Rows) -> None:
        inputs = np.ascontiguousarray(Z[:, self.columns])
        self.module_ = train_sequence(inputs, y, spans_of(rows), self.parameters, self.seed)

    def _predict(self, Z: NDArray[np.float32]) -> Floats:
        with torch.inference_mode():
            logits = self.module_(torch.from_numpy(np.ascontiguousarray(Z[:, self.columns]))[None])[0]
            return torch.sigmoid(logits.double()).numpy()

    def weights(self) -> dict[str, NDArray[Any]]:
        """As the arrays of `execution.networks.Encoder` and its head."""
        return {name: value.numpy() for name, value in self.module_.state_dict().items()}

    def _save(self, folder: Path) -> None:
        save_file(self.module_.state_dict(), folder / "model.safetensors")

    def _load(self, folder: Path) -> None:
        self.module_ = CausalCNNLSTM(len(self.columns), self.parameters)
        self.module_.load_state_dict(load_file(folder / "model.safetensors"))
        self.module_.eval()
