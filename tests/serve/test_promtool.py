"""promtool, the judge of names and conventions, accepts the exposition."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from probe.serve import Store
from probe.serve.exposition import blocks
from probe.serve.text import Format

from .world import filled


@pytest.fixture
def promtool() -> str:
    found = shutil.which("promtool")
    assert found, "promtool is missing: apt-get install prometheus"
    return found


@pytest.mark.real
@pytest.mark.parametrize("store", [filled(targets=12), filled(broken_targets=0, cli_broken=False)])
def test_promtool_accepts_the_exposition(promtool: str, store: Store) -> None:
    store.agent.vantage(healthy=False, causes=("dns", "clock"))
    store.agent.skipped_run("stores", "vantage")
    exposition = b"".join(blocks(store, Format.TEXT))
    done = subprocess.run(
        [promtool, "check", "metrics"],
        input=exposition,
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout.decode(), done.stderr.decode()) == (0, "", "")
