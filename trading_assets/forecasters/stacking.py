"""All forecasters together: what they say of every bar, in the form in which they are deployed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trading_assets.arrays import Singles
from trading_assets.config.forecasters import ENCODER
from trading_assets.errors import ArtifactError
from trading_assets.execution.forecasters import Forecasters, probability_names
from trading_assets.execution.networks import prefixed
from trading_assets.forecasters.base import ModelAdapter
from trading_assets.forecasters.calibrators import Calibrator
from trading_assets.registry.tensors import load_tensors, save_tensors

PARITY_TOLERANCE = 1e-5


@dataclass(frozen=True)
class StackedForecasters:
    """Architecture (JSON) and weights of `execution.forecasters.Forecasters`."""

    architecture: dict[str, Any]
    weights: dict[str, NDArray[Any]]

    @classmethod
    def stack(cls, models: Mapping[str, ModelAdapter], encoder: str = ENCODER) -> Self:
        """Put fitted, calibrated forecasters together.

        Parameters
        ----------
        models : mapping of str to ModelAdapter
            By kind, in the order of their probabilities; all fitted on the same features.
        encoder : str
            The kind whose hidden state is part of what agents see.

        Raises
        ------
        ArtifactError
            When the encoder is not among them, one has no calibrator, or they were fitted on different
            features.
        """
        if encoder not in models:
            raise ArtifactError(f"The encoder '{encoder}' is not among {', '.join(models) or 'no models'}.")
        features = models[encoder].feature_names_in_
        forecasters: list[dict[str, Any]] = []
        weights: dict[str, NDArray[Any]] = {}
        for kind, model in models.items():
            if model.feature_names_in_ != features:
                raise ArtifactError(
                    f"{kind} and {encoder} were fitted on different features; fit them alike."
                )
            about, arrays = model.deploy()
            forecasters.append({"kind": kind, **about, "calibrator": _calibrator_of(model).to_json()})
            weights |= prefixed({kind: arrays})
        return cls({"features": features, "forecasters": forecasters, "encoder": encoder}, weights)

    @property
    def network(self) -> Forecasters:
        return Forecasters(self.architecture, self.weights)

    @property
    def probabilities(self) -> list[str]:
        """The last columns of the table, one a forecaster."""
        return probability_names(self.architecture)

    @property
    def encoder(self) -> dict[str, Any]:
        """What the architecture says of the encoder."""
        kind, forecasters = self.architecture["encoder"], self.architecture["forecasters"]
        found: dict[str, Any] = next(about for about in forecasters if about["kind"] == kind)
        return found

    @property
    def embedding(self) -> slice:
        """Columns of the table, with the features before it, that hold the encoder's hidden state."""
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
        names = [f"h{i}" for i in range(network.encoder.hidden)] + self.probabilities
        return pd.DataFrame(out, columns=names)

    def require_parity(
        self, table: pd.DataFrame, features: pd.DataFrame, models: Mapping[str, ModelAdapter]
    ) -> None:
        """Raise `ArtifactError` unless `table` has the probabilities of the fitted models themselves.

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

    def encoder_inputs(self, features: pd.DataFrame) -> Singles:
        """The encoder's scaled inputs, shape (n_bars, n_inputs); zeros in the warm-up."""
        model = self.network.encoder
        return np.nan_to_num(model.scaler(features.to_numpy()[:, model.columns]))

    def write(self, folder: Path) -> None:
        """As `architecture.json` and `weights.safetensors`."""
        (folder / "architecture.json").write_text(json.dumps(self.architecture))
        save_tensors(folder / "weights.safetensors", self.weights)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """What `write` wrote."""
        architecture = json.loads((folder / "architecture.json").read_bytes())
        weights, _ = load_tensors(folder / "weights.safetensors")
        return cls(architecture, weights)


def _calibrator_of(model: ModelAdapter) -> Calibrator:
    if model.calibrator_ is None:
        raise ArtifactError(f"The {model.kind} forecaster has no calibrator; calibrate it before it ships.")
    return model.calibrator_
