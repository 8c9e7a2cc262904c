"""What forecasters and finished bundles were worth: figures, verdicts, pictures, the tear sheet."""

from trading_assets.lazy import lazy_exports

__getattr__ = lazy_exports(
    __name__,
    {
        "backtest": ("compare_on_test",),
        "daily": ("daily_returns", "days_per_year"),
        "html": ("write_html",),
        "tearsheet": ("tear_sheet",),
    },
)
