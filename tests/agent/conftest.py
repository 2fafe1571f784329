"""Real agents as processes, and a lab in a process of its own."""

from __future__ import annotations

from tests.support.agents import agents, config, lab, plain

__all__ = ["agents", "config", "lab", "plain"]
