"""The forecasters as one network: what they say of every bar, in the form that ships."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trading_assets.errors import ArtifactError
from trading_assets.execution.networks import PROBABILITIES, Forecasters
from trading_assets.forecasters.base import F32, ModelAdapter
from trading_assets.forecasters.calibration import Calibrator
from trading_assets.forecasters.lightgbm import LightGBMForecaster
from trading_assets.forecasters.sequence import SequenceForecaster
from trading_assets.registry.tensors import load_tensors, save_tensors

PARITY_TOLERANCE = 1e-5


@dataclass(frozen=True)
class Stage1:
    """Architecture (JSON) and weights of `execution.networks.Forecasters`."""

    architecture: dict[str, Any]
    weights: dict[str, NDArray[Any]]

    @classmethod
    def join(cls, models: Mapping[str, ModelAdapter]) -> Self:
        """Put fitted, calibrated forecasters together, by kind."""
        weights: dict[str, NDArray[Any]] = {}
        architecture: dict[str, Any] = {"features": models["lightgbm"].feature_names_in_}
        for kind, model in models.items():
            about: dict[str, Any] = {"calibrator": _calibrator_of(model).to_json()}
            scaler = model.preprocessor_.as_scaler().arrays()
            if isinstance(model, LightGBMForecaster):
                parts = {"trees": model.trees()}
            elif isinstance(model, SequenceForecaster):
                columns = model.columns
                scaler = {k: v[columns] if len(v) > 1 else v for k, v in scaler.items()}
                about |= {"columns": columns, "settings": model.settings_.model_dump(mode="json")}
                heads = {k: v for k, v in model.weights().items() if k.startswith("head.")}
                encoder = {k: v for k, v in model.weights().items() if k not in heads}
                parts = {"encoder": encoder, "head": {k.removeprefix("head."): v for k, v in heads.items()}}
            for part, arrays in {"scaler": scaler, **parts}.items():
                weights |= {f"{kind}.{part}.{name}": value for name, value in arrays.items()}
            architecture[kind] = about
        return cls(architecture, weights)

    @property
    def network(self) -> Forecasters:
        return Forecasters(self.architecture, self.weights)

    @property
    def embedding(self) -> slice:
        """Columns of the stage-1 table that hold the encoder's hidden state."""
        n = len(self.architecture["features"])
        return slice(n, n + self.network.encoder.hidden)

    def table(self, features: pd.DataFrame) -> pd.DataFrame:
        """Hidden states and calibrated probabilities of consecutive bars.

        Computed bar by bar with the network that ships, from the first bar whose features are
        complete; NaN before it.
        """
        network = self.network
        values = features.to_numpy()
        first = int(np.isfinite(values).all(axis=1).argmax())
        state = np.zeros(network.state_size, dtype=np.float32)
        out = np.full((len(values), network.width - values.shape[1]), np.nan, dtype=np.float32)
        out[first:] = network.table(values[first:], state)[:, values.shape[1] :]
        names = [f"h{i}" for i in range(network.encoder.hidden)] + list(PROBABILITIES)
        return pd.DataFrame(out, columns=names)

    def require_parity(
        self, table: pd.DataFrame, features: pd.DataFrame, models: Mapping[str, ModelAdapter]
    ) -> None:
        """Raise `ArtifactError` unless `table` has the probabilities of LightGBM and torch themselves.

        A calibrator's step may widen the last bit of a score, so a row in a thousand may differ.
        """
        first = int(features.notna().all(axis=1).to_numpy().argmax())
        for kind, model in models.items():
            said = model.predict_proba(features.iloc[first:])[:, 1]
            differs = np.abs(table[f"p_{kind}"].to_numpy()[first:] - said) > PARITY_TOLERANCE
            if differs.mean() > 1e-3:
                raise ArtifactError(
                    f"p_{kind} differs from the trained {kind} on {differs.sum()} of {len(differs)} bars; "
                    "the forecaster was not taken over faithfully."
                )

    def encoder_inputs(self, features: pd.DataFrame) -> F32:
        """The CNN-LSTM's scaled inputs, shape (n_bars, n_inputs); zeros in the warm-up."""
        model = self.network.cnn_lstm
        return np.nan_to_num(model.scaler(features.to_numpy()[:, model.columns]))

    def write(self, folder: Path) -> None:
        (folder / "architecture.json").write_text(json.dumps(self.architecture))
        save_tensors(folder / "weights.safetensors", self.weights)

    @classmethod
    def read(cls, folder: Path) -> Self:
        architecture = json.loads((folder / "architecture.json").read_bytes())
        weights, _ = load_tensors(folder / "weights.safetensors")
        return cls(architecture, weights)


def _calibrator_of(model: ModelAdapter) -> Calibrator:
    if model.calibrator_ is None:
        raise ArtifactError(f"The {model.kind} forecaster has no calibrator; calibrate it before it ships.")
    return model.calibrator_
