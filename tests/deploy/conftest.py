"""What tests of the deployment share."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).parents[2]


def _neighbour() -> ModuleType:
    """The agents of tests/agent, whose conftest pytest gives to that folder alone."""
    name = "agents_as_processes"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, ROOT / "tests/agent/conftest.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


_agents: Any = _neighbour()
agents = _agents.agents
config = _agents.config
lab = _agents.lab
plain = _agents.plain
