"""Stage 1: what will the market do, and how sure is that."""

from trading_assets.lazy import lazy_exports

OUT_OF_FOLD = "out_of_fold.parquet"
"""File of a forecaster's out-of-fold predictions, on which its calibrator is fitted."""

__getattr__ = lazy_exports(
    __name__,
    {
        "base": ("ModelAdapter",),
        "calibration": ("calibrate", "choose_calibrator", "fit_beta", "fit_isotonic", "fit_platt"),
        "cnn_lstm": ("CNNLSTMForecaster",),
        "crossfit": ("OutOfFold", "cross_fit"),
        "lightgbm": ("LightGBMForecaster",),
        "preprocessing": ("RobustScaler",),
    },
)
