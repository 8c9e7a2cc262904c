"""Eras, purged splits, cost-aware metrics and thresholds, and how much of a backtest is luck."""

from typing import TYPE_CHECKING

from trading_assets.lazy import lazy_exports

if TYPE_CHECKING:
    from trading_assets.validation.eras import Era as Era
    from trading_assets.validation.eras import Eras as Eras
    from trading_assets.validation.eras import border as border
    from trading_assets.validation.eras import make_eras as make_eras
    from trading_assets.validation.folds import Folds as Folds
    from trading_assets.validation.folds import make_folds as make_folds
    from trading_assets.validation.metrics import alpha_t_statistic as alpha_t_statistic
    from trading_assets.validation.metrics import annual_return as annual_return
    from trading_assets.validation.metrics import annual_volatility as annual_volatility
    from trading_assets.validation.metrics import calmar_ratio as calmar_ratio
    from trading_assets.validation.metrics import conditional_value_at_risk as conditional_value_at_risk
    from trading_assets.validation.metrics import downside_risk as downside_risk
    from trading_assets.validation.metrics import evaluate as evaluate
    from trading_assets.validation.metrics import holding_lags as holding_lags
    from trading_assets.validation.metrics import max_drawdown as max_drawdown
    from trading_assets.validation.metrics import omega_ratio as omega_ratio
    from trading_assets.validation.metrics import sharpe_ratio as sharpe_ratio
    from trading_assets.validation.metrics import sortino_ratio as sortino_ratio
    from trading_assets.validation.metrics import t_statistic as t_statistic
    from trading_assets.validation.metrics import value_at_risk as value_at_risk
    from trading_assets.validation.metrics import verdict as verdict
    from trading_assets.validation.overfitting import BacktestOverfitting as BacktestOverfitting
    from trading_assets.validation.overfitting import bootstrap_interval as bootstrap_interval
    from trading_assets.validation.overfitting import deflated_sharpe_ratio as deflated_sharpe_ratio
    from trading_assets.validation.overfitting import expected_maximum_sharpe as expected_maximum_sharpe
    from trading_assets.validation.overfitting import minimum_backtest_length as minimum_backtest_length
    from trading_assets.validation.overfitting import (
        minimum_track_record_length as minimum_track_record_length,
    )
    from trading_assets.validation.overfitting import probabilistic_sharpe_ratio as probabilistic_sharpe_ratio
    from trading_assets.validation.overfitting import (
        probability_of_backtest_overfitting as probability_of_backtest_overfitting,
    )
    from trading_assets.validation.returns import equity_curve as equity_curve
    from trading_assets.validation.returns import equity_until_ruin as equity_until_ruin
    from trading_assets.validation.returns import series as series
    from trading_assets.validation.returns import until_ruin as until_ruin
    from trading_assets.validation.splits import BlockingTimeSeriesSplit as BlockingTimeSeriesSplit
    from trading_assets.validation.splits import CombinatorialPurgedCV as CombinatorialPurgedCV
    from trading_assets.validation.splits import PurgedKFold as PurgedKFold
    from trading_assets.validation.splits import PurgedSplitter as PurgedSplitter
    from trading_assets.validation.splits import PurgedTimeSeriesSplit as PurgedTimeSeriesSplit
    from trading_assets.validation.splits import assert_no_leakage as assert_no_leakage
    from trading_assets.validation.thresholds import OptimalThreshold as OptimalThreshold
    from trading_assets.validation.thresholds import optimal_threshold as optimal_threshold
    from trading_assets.validation.thresholds import threshold_grid as threshold_grid
    from trading_assets.validation.ties import first_best as first_best
    from trading_assets.validation.ties import tied_for_best as tied_for_best
    from trading_assets.validation.trading_metrics import TradingFigures as TradingFigures
    from trading_assets.validation.trading_metrics import TradingMetrics as TradingMetrics
    from trading_assets.validation.trading_metrics import forecast_positions as forecast_positions
else:
    __getattr__, __dir__, __all__ = lazy_exports(__name__)
