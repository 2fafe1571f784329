"""Builds the parts, opens the top nursery; reload and shutdown."""

from probe.agent.service import AgentError, Options, run_agent

__all__ = ["AgentError", "Options", "run_agent"]
