"""Eras, purged folds, cost-aware metrics."""

from trading_assets.lazy import lazy_exports

__getattr__ = lazy_exports(
    __name__,
    {
        "eras": ("Era", "Eras", "border", "make_eras"),
        "splits": ("PurgedKFold", "assert_no_leakage"),
        "metrics": ("alpha_t_statistic", "evaluate", "max_drawdown", "sharpe_ratio", "verdict"),
    },
)
