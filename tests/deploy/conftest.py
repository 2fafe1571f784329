"""What tests of the deployment share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.agents import agents, config, lab, plain

__all__ = ["agents", "config", "hasty", "lab", "plain"]


@pytest.fixture
def hasty(plain: Path) -> Path:
    """The same as ``plain``, and what fails is believed within half a second."""
    quick = "interval: 1s, timeout: 500ms, confirm: {attempts: 1, spacing: 50ms}"
    plain.write_text(plain.read_text().replace("interval: 2s, timeout: 1s", quick))
    return plain
