"""Builds the parts, opens the top nursery; reload and shutdown."""

from probe.agent.options import AgentError, NoRegionError, Options
from probe.agent.service import run_agent

__all__ = ["AgentError", "NoRegionError", "Options", "run_agent"]
