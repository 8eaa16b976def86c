"""Risk control: limits, and what is blocked."""

from switch.riskcontrol.loader import load_risk
from switch.riskcontrol.models import RiskRules

__all__ = ["RiskRules", "load_risk"]
