"""Builds the parts, opens the top nursery; reload and shutdown."""

from probe.agent.process import AgentError
from probe.agent.service import NoRegionError, Options, run_agent

__all__ = ["AgentError", "NoRegionError", "Options", "run_agent"]
