"""What tests of the deployment share."""

from __future__ import annotations

from typing import Any

from .tools import neighbour

_agents: Any = neighbour("agent/conftest.py")  # pytest gives a conftest to its own folder alone
agents = _agents.agents
config = _agents.config
lab = _agents.lab
plain = _agents.plain
