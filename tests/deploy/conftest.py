"""What tests of the deployment share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from .tools import neighbour

_agents: Any = neighbour("agent/conftest.py")  # pytest gives a conftest to its own folder alone
agents = _agents.agents
config = _agents.config
lab = _agents.lab
plain = _agents.plain


@pytest.fixture
def hasty(plain: Path) -> Path:
    """The same as ``plain``, and what fails is believed within half a second."""
    quick = "interval: 1s, timeout: 500ms, confirm: {attempts: 1, spacing: 50ms}"
    plain.write_text(plain.read_text().replace("interval: 2s, timeout: 1s", quick))
    return plain
