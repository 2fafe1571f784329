"""Builds the parts, opens the top nursery; reload and shutdown."""

from probe.agent.service import AgentError, NoRegionError, Options, run_agent

__all__ = ["AgentError", "NoRegionError", "Options", "run_agent"]
