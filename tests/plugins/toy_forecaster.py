"""Logistic regression as a forecaster: fitting, searching, saving, deploying, exporting."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, FloatDistribution
from sklearn.linear_model import LogisticRegression

from tests.plugins.toy import ToySettings
from trading_assets.arrays import Floats, Singles
from trading_assets.errors import SchemaError
from trading_assets.execution.networks import prefixed, sub
from trading_assets.forecasters.base import ModelAdapter
from trading_assets.forecasters.graphs import ForecasterGraph, ScalerGraph, tensor_of
from trading_assets.forecasters.training_data import TrainingData
from trading_assets.registry.tensors import load_tensors, save_tensors


class ToyForecaster(ModelAdapter):
    """Logistic regression of up or down on the bar's scaled features."""

    kind = "toy"
    Settings = ToySettings
    file = "toy.safetensors"
    parallel = True
    settings: ToySettings
    weights_: dict[str, NDArray[Any]]

    def _fit(self, data: TrainingData) -> None:
        if self._n_outputs != 1 or self.task_ == "regression":
            raise SchemaError("The toy tells two classes apart, no more and no values.")
        rows = data.answered(data.rows)
        model = LogisticRegression(C=self.settings.C)
        model.fit(data.Z[rows].astype(np.float64), data.y[rows], sample_weight=data.weight[rows])
        self.weights_ = {"coef": model.coef_[0], "intercept": model.intercept_}
        self.training_ = {"device": {"name": "cpu"}, "iterations": int(model.n_iter_[0])}

    def _predict(self, Z: Singles) -> Floats:
        scores: Floats = Z.astype(np.float64) @ self.weights_["coef"] + self.weights_["intercept"]
        return scores

    def _stream_prepared(self) -> Callable[[Singles], Floats]:
        return lambda z: self._predict(z[None])

    def save_weights(self, folder: Path) -> None:
        save_tensors(folder / self.file, self.weights_)

    def load_weights(self, folder: Path) -> None:
        self.weights_, _ = load_tensors(folder / self.file)

    @classmethod
    def search_space(cls) -> dict[str, BaseDistribution]:
        return {"C": FloatDistribution(1e-4, 1.0, log=True)}

    def importances(self, X: Any) -> dict[str, Mapping[str, float]]:
        names = self.preprocessor_.feature_names_out
        return {"coefficient": dict(zip(names, np.abs(self.weights_["coef"]).tolist(), strict=True))}

    def deploy(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        scaler = self.preprocessor_.as_scaler().arrays()
        return {"form": "logistic_regression"}, prefixed({"scaler": scaler, "linear": self.weights_})

    @classmethod
    def graph(cls, about: Mapping[str, Any], weights: Mapping[str, NDArray[Any]]) -> ForecasterGraph:
        return ToyGraph(weights)


class ToyGraph(ForecasterGraph):
    """The same for TorchScript and ONNX."""

    coef: torch.Tensor
    intercept: torch.Tensor

    def __init__(self, weights: Mapping[str, NDArray[Any]]) -> None:
        super().__init__()
        self.scaler = ScalerGraph(sub(weights, "scaler"))
        self.register_buffer("coef", tensor_of(weights["linear.coef"]))
        self.register_buffer("intercept", tensor_of(weights["linear.intercept"]))

    def forward(self, features: torch.Tensor, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.scaler(features).double() @ self.coef + self.intercept[0], state
