"""Limits on what an account may do: advice in training, enforcement in execution, by the same rules."""

from typing import TYPE_CHECKING

from trading_assets.lazy import lazy_exports

if TYPE_CHECKING:
    from trading_assets.config.limits import RiskLimits as RiskLimits
    from trading_assets.risk.advisor import ProductionRiskAdvisor as ProductionRiskAdvisor
    from trading_assets.risk.advisor import RiskAssessment as RiskAssessment
    from trading_assets.risk.agent import RiskAgent as RiskAgent
    from trading_assets.risk.agent import RiskDecision as RiskDecision
    from trading_assets.risk.agent import RiskRequest as RiskRequest
    from trading_assets.risk.rules import RULES as RULES
    from trading_assets.risk.state import AccountState as AccountState
    from trading_assets.risk.state import RiskState as RiskState
else:
    __getattr__, __dir__, __all__ = lazy_exports(__name__)
