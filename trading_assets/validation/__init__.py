"""Eras, purged splits, cost-aware metrics and thresholds, and how much of a backtest is luck."""

from trading_assets.lazy import lazy_exports

__getattr__ = lazy_exports(
    __name__,
    {
        "eras": ("Era", "Eras", "border", "make_eras"),
        "folds": ("Folds", "make_folds"),
        "splits": (
            "BlockingTimeSeriesSplit",
            "CombinatorialPurgedCV",
            "PurgedKFold",
            "PurgedSplitter",
            "PurgedTimeSeriesSplit",
            "assert_no_leakage",
        ),
        "metrics": (
            "alpha_t_statistic",
            "annual_return",
            "annual_volatility",
            "calmar_ratio",
            "conditional_value_at_risk",
            "downside_risk",
            "evaluate",
            "holding_lags",
            "max_drawdown",
            "omega_ratio",
            "sharpe_ratio",
            "sortino_ratio",
            "t_statistic",
            "value_at_risk",
            "verdict",
        ),
        "returns": ("equity_curve", "equity_until_ruin", "series", "until_ruin"),
        "ties": ("first_best", "tied_for_best"),
        "positions": ("TradingFigures", "TradingMetrics", "forecast_positions"),
        "thresholds": ("OptimalThreshold", "optimal_threshold", "threshold_grid"),
        "overfitting": (
            "BacktestOverfitting",
            "bootstrap_interval",
            "deflated_sharpe_ratio",
            "expected_maximum_sharpe",
            "minimum_backtest_length",
            "minimum_track_record_length",
            "probabilistic_sharpe_ratio",
            "probability_of_backtest_overfitting",
        ),
    },
)
