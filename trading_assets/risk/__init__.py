"""Limits on what an account may do: advice in training, enforcement in execution, by the same rules."""

from trading_assets.lazy import lazy_exports

__getattr__ = lazy_exports(
    __name__,
    {
        "advisor": ("ProductionRiskAdvisor", "RiskAssessment"),
        "agent": ("RiskAgent", "RiskDecision", "RiskRequest"),
        "rules": ("RULES",),
        "state": ("AccountState", "RiskLimits", "RiskState"),
    },
)
