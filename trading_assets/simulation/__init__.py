"""The market as agents and backtests meet it: costs, fills, accounts."""

from trading_assets.lazy import lazy_exports

__getattr__ = lazy_exports(
    __name__,
    {
        "backtesting": ("BacktestResult", "backtest"),
        "baselines": (
            "always_flat",
            "band_targets",
            "buy_and_hold",
            "choose_band",
            "no_trade_band",
        ),
        "environments": ("TradingEnv", "TradingVecEnv", "make_env"),
        "kernel": ("ACCOUNT_NAMES", "COSTS"),
        "market": ("EnvConfig", "Market"),
        "spaces": ("build_action_space", "build_observation_space"),
    },
)
