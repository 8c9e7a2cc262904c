"""The forecasters as one network: what they say of every bar, in the form that ships."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from trading_assets.errors import ArtifactError
from trading_assets.execution.networks import Forecasters
from trading_assets.forecasters.calibration import Calibrator, calibrate
from trading_assets.forecasters.cnn_lstm import CNNLSTMForecaster
from trading_assets.forecasters.lightgbm import LightGBMForecaster

F32 = NDArray[np.float32]
PROBABILITIES = ("p_lightgbm", "p_cnn_lstm")
PARITY_TOLERANCE = 1e-5


@dataclass(frozen=True)
class Stage1:
    """Architecture (JSON) and weights of `execution.networks.Forecasters`."""

    architecture: dict[str, Any]
    weights: dict[str, NDArray[Any]]

    @classmethod
    def join(
        cls,
        lightgbm: LightGBMForecaster,
        lightgbm_calibrator: Calibrator,
        cnn_lstm: CNNLSTMForecaster,
        cnn_lstm_calibrator: Calibrator,
    ) -> Self:
        """Put fitted forecasters and their calibrators together."""
        columns = cnn_lstm.columns
        sequence_scaler = {
            name: value[columns] if len(value) > 1 else value
            for name, value in cnn_lstm.preprocessor_.arrays().items()
        }
        encoder = {name: value for name, value in cnn_lstm.weights().items() if not name.startswith("head.")}
        parts: dict[str, dict[str, NDArray[Any]]] = {
            "lightgbm.scaler": lightgbm.preprocessor_.arrays(),
            "lightgbm.trees": lightgbm.trees(),
            "cnn_lstm.scaler": sequence_scaler,
            "cnn_lstm.encoder": encoder,
        }
        weights = {f"{p}.{name}": value for p, part in parts.items() for name, value in part.items()}
        for name in ("head.weight", "head.bias"):
            weights[f"cnn_lstm.{name}"] = cnn_lstm.weights()[name]
        architecture = {
            "features": lightgbm.feature_names_in_,
            "lightgbm": {"calibrator": lightgbm_calibrator},
            "cnn_lstm": {
                "columns": columns,
                "calibrator": cnn_lstm_calibrator,
                "parameters": cnn_lstm.settings(),
            },
        }
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
        self,
        table: pd.DataFrame,
        features: pd.DataFrame,
        lightgbm: LightGBMForecaster,
        cnn_lstm: CNNLSTMForecaster,
    ) -> None:
        """Raise `ArtifactError` unless `table` has the probabilities of LightGBM and torch themselves.

        A calibrator's step may widen the last bit of a score, so a row in a thousand may differ.
        """
        first = int(features.notna().all(axis=1).to_numpy().argmax())
        models = zip(PROBABILITIES, ("lightgbm", "cnn_lstm"), (lightgbm, cnn_lstm), strict=True)
        for column, part, model in models:
            said = model.predict_proba(features.iloc[first:])[:, 1]
            said = calibrate(self.architecture[part]["calibrator"], said)
            differs = np.abs(table[column].to_numpy()[first:] - said) > PARITY_TOLERANCE
            if differs.mean() > 1e-3:
                raise ArtifactError(
                    f"{column} differs from the trained {part} on {differs.sum()} of {len(differs)} bars; "
                    "the forecaster was not taken over faithfully."
                )

    def encoder_inputs(self, features: pd.DataFrame) -> F32:
        """The encoder's scaled inputs, shape (n_bars, n_inputs); zeros in the warm-up."""
        network = self.network
        z = network.scaler(features.to_numpy()[:, network.columns])
        return np.nan_to_num(z)

    def write(self, folder: Path) -> None:
        (folder / "architecture.json").write_text(json.dumps(self.architecture))
        save_file(self.weights, folder / "weights.safetensors")

    @classmethod
    def read(cls, folder: Path) -> Self:
        architecture = json.loads((folder / "architecture.json").read_bytes())
        return cls(architecture, load_file(folder / "weights.safetensors"))
