"""What will the market do, and how sure is that: LightGBM, GRU, CNN-LSTM, or a kind of your own."""

from typing import TYPE_CHECKING

from trading_assets.lazy import lazy_exports

if TYPE_CHECKING:
    from trading_assets.config.forecasters import FORECASTERS as FORECASTERS
    from trading_assets.config.forecasters import register_forecaster as register_forecaster
    from trading_assets.config.settings import CNNLSTMSettings as CNNLSTMSettings
    from trading_assets.config.settings import GRUSettings as GRUSettings
    from trading_assets.config.settings import LightGBMSettings as LightGBMSettings
    from trading_assets.forecasters.base import ModelAdapter as ModelAdapter
    from trading_assets.forecasters.calibration import choose_calibrator as choose_calibrator
    from trading_assets.forecasters.calibration import cross_fit_calibrators as cross_fit_calibrators
    from trading_assets.forecasters.calibration_error import brier_decomposition as brier_decomposition
    from trading_assets.forecasters.calibration_error import brier_score as brier_score
    from trading_assets.forecasters.calibration_error import (
        expected_calibration_error as expected_calibration_error,
    )
    from trading_assets.forecasters.calibration_error import (
        maximum_calibration_error as maximum_calibration_error,
    )
    from trading_assets.forecasters.calibration_error import reliability_curve as reliability_curve
    from trading_assets.forecasters.calibrators import BetaCalibrator as BetaCalibrator
    from trading_assets.forecasters.calibrators import IsotonicCalibrator as IsotonicCalibrator
    from trading_assets.forecasters.calibrators import PlattCalibrator as PlattCalibrator
    from trading_assets.forecasters.calibrators import TemperatureCalibrator as TemperatureCalibrator
    from trading_assets.forecasters.calibrators import calibrator_from_json as calibrator_from_json
    from trading_assets.forecasters.cnn_lstm import CNNLSTMForecaster as CNNLSTMForecaster
    from trading_assets.forecasters.crossfit import OutOfFold as OutOfFold
    from trading_assets.forecasters.crossfit import cross_fit as cross_fit
    from trading_assets.forecasters.devices import DeviceManager as DeviceManager
    from trading_assets.forecasters.gru import GRUForecaster as GRUForecaster
    from trading_assets.forecasters.hyperparameters import SearchResult as SearchResult
    from trading_assets.forecasters.hyperparameters import define_search_space as define_search_space
    from trading_assets.forecasters.hyperparameters import search as search
    from trading_assets.forecasters.importance import permutation_importance as permutation_importance
    from trading_assets.forecasters.inputs import NotFittedError as NotFittedError
    from trading_assets.forecasters.lightgbm import LightGBMForecaster as LightGBMForecaster
    from trading_assets.forecasters.lightgbm import shap_importance as shap_importance
    from trading_assets.forecasters.loading import forecaster_class as forecaster_class
    from trading_assets.forecasters.loading import load_forecaster as load_forecaster
    from trading_assets.forecasters.preprocessing import PreprocessorManager as PreprocessorManager
    from trading_assets.forecasters.preprocessing_steps import RobustScaler as RobustScaler
    from trading_assets.forecasters.sequence import SequenceForecaster as SequenceForecaster
    from trading_assets.forecasters.sequence import integrated_gradients as integrated_gradients
    from trading_assets.forecasters.training import TrainingRecord as TrainingRecord
    from trading_assets.forecasters.training import train as train
else:
    __getattr__, __dir__, __all__ = lazy_exports(__name__)
