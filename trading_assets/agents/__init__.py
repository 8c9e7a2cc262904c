"""Stages 2 to 4: agents, hybrids trained end to end, the ensemble of both."""

from typing import TYPE_CHECKING

from trading_assets.lazy import lazy_exports

if TYPE_CHECKING:
    from trading_assets.agents.ensemble import choose_weights as choose_weights
    from trading_assets.agents.ensemble import run_ensemble as run_ensemble
    from trading_assets.agents.hybrid import EraEncoder as EraEncoder
    from trading_assets.agents.hybrid import train_hybrid as train_hybrid
    from trading_assets.agents.observations import AgentData as AgentData
    from trading_assets.agents.ppo import train_ppo as train_ppo
else:
    __getattr__, __dir__, __all__ = lazy_exports(__name__)
