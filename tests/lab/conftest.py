from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from probe.lab.info import Layout, store_names
from probe.lab.world import World, open_world


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A lab with three stores whose edges hold ECDSA and RSA certificates."""
    async with open_world(tmp_path, Layout(domains=store_names(3), with_rsa=True)) as running:
        yield running
