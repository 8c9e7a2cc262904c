"""How the toy runs where bundles are loaded; a trading machine names this module, which needs only numpy."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from trading_assets.arrays import Singles
from trading_assets.execution.forecasters import SCALER, ForecasterForm, Layout, register_form
from trading_assets.execution.networks import Scaler, Weights, sub


class LogisticRegressionForm(ForecasterForm):
    """Log-odds that are linear in a bar's scaled features."""

    layout: ClassVar[Layout] = {
        **SCALER,
        "linear.coef": "float64 inputs",
        "linear.intercept": "float64 1",
    }

    def __init__(self, about: Mapping[str, Any], weights: Weights) -> None:
        self.scaler = Scaler(sub(weights, "scaler"))
        self.coef, self.intercept = weights["linear.coef"], float(weights["linear.intercept"][0])

    def score(self, x: Singles, state: Singles) -> float:
        return float(self.scaler(x).astype(np.float64) @ self.coef + self.intercept)


register_form("logistic_regression", LogisticRegressionForm)
