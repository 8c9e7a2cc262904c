"""Limits on what a policy may do, and what coming near them costs in training."""

from trading_assets.lazy import lazy_exports

__getattr__ = lazy_exports(__name__, {"drawdown": ("drawdown_penalty",)})
