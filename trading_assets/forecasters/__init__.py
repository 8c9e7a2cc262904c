"""Stage 1: what will the market do, and how sure is that."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from trading_assets.errors import ArtifactError, SettingsError
from trading_assets.lazy import lazy_exports

if TYPE_CHECKING:
    from trading_assets.forecasters.base import ModelAdapter

FORECASTERS = {
    "lightgbm": "LightGBMForecaster",
    "gru": "GRUForecaster",
    "cnn_lstm": "CNNLSTMForecaster",
}
"""Every kind of forecaster, by the name of its settings and its steps; one more is a module and a line."""
OUT_OF_FOLD = "out_of_fold.parquet"
"""File of a forecaster's out-of-fold predictions, on which its calibrator is fitted."""

__getattr__ = lazy_exports(
    __name__,
    {
        "base": ("ModelAdapter",),
        "calibration": (
            "BetaCalibrator",
            "IsotonicCalibrator",
            "PlattCalibrator",
            "TemperatureCalibrator",
            "calibrator_from_json",
            "choose_calibrator",
            "cross_fit_calibrators",
        ),
        "calibration_error": (
            "brier_decomposition",
            "brier_score",
            "expected_calibration_error",
            "maximum_calibration_error",
            "reliability_curve",
        ),
        "cnn_lstm": ("CNNLSTMForecaster", "CNNLSTMSettings"),
        "crossfit": ("OutOfFold", "cross_fit"),
        "devices": ("DeviceManager",),
        "gru": ("GRUForecaster", "GRUSettings"),
        "hyperparameters": ("SearchResult", "define_search_space", "search"),
        "inputs": ("NotFittedError",),
        "importance": ("integrated_gradients", "permutation_importance", "shap_importance"),
        "lightgbm": ("LightGBMForecaster", "LightGBMSettings"),
        "preprocessing": ("PreprocessorManager", "RobustScaler"),
        "training": ("TrainingRecord", "train"),
    },
)


def forecaster_class(kind: str) -> type[ModelAdapter]:
    """The class of a kind of forecaster."""
    if kind not in FORECASTERS:
        raise SettingsError(f"No forecaster '{kind}'. Known: {', '.join(FORECASTERS)}.")
    found: type[ModelAdapter] = __getattr__(FORECASTERS[kind])  # type: ignore[assignment]
    return found


def load_forecaster(folder: Path | str) -> ModelAdapter:
    """The fitted forecaster, of any kind, that was saved in `folder`."""
    path = Path(folder) / "model.json"
    try:
        kind = json.loads(path.read_bytes())["kind"]
    except (OSError, ValueError, KeyError, TypeError):
        raise ArtifactError(f"{path} is not there or damaged; expected the folder of a forecaster.") from None
    return forecaster_class(kind).load(Path(folder))
