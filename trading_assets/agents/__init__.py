"""Stages 2 to 4: agents, hybrids trained end to end, the ensemble of both."""

from trading_assets.lazy import lazy_exports

__getattr__ = lazy_exports(
    __name__,
    {
        "ensemble": ("choose_weights", "run_ensemble"),
        "hybrid": ("EraEncoder", "train_hybrid"),
        "observations": ("AgentMarket",),
        "ppo": ("train_ppo",),
    },
)
