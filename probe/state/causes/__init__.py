"""Why a confirmed failure happens: which experiment tells most, and what the answers mean. Pure."""

from probe.state.causes.planner import BUDGET, Planner, Settled
from probe.state.causes.setting import Setting, Trial

__all__ = ["BUDGET", "Planner", "Setting", "Settled", "Trial"]
