"""The market as agents and backtests meet it: costs, fills, accounts."""

from trading_assets.lazy import lazy_exports

__getattr__ = lazy_exports(
    __name__,
    {
        "backtest": ("Backtest", "backtest", "make_rules", "replay_targets"),
        "baselines": (
            "always_flat",
            "band_targets",
            "buy_and_hold",
            "choose_band",
            "no_trade_band",
        ),
        "environments": ("TARGETS", "TradingVecEnv"),
        "kernel": ("ACCOUNT_NAMES",),
    },
)
