"""What people look at: pictures, the backtest of a finished bundle."""

from trading_assets.lazy import lazy_exports

__getattr__ = lazy_exports(__name__, {"backtest": ("replay_bundle", "run_baselines")})
