"""Resident memory is mostly modules: what the daemon must not carry along."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {
    "asyncio": "trio is the only event loop",
    "jinja2": "only pages need it: imported by the first look at one",
    "pydantic": "the configuration is read in a process of its own",
    "probe.probers.sessions": "only for profiles that offer session tickets",
    "probe.connection.resumption": "likewise",
    "rich": "only commands that print need it",
    "starlette": "brings asyncio along",
    "dns.asyncresolver": "brings asyncio along",
}


@pytest.fixture(scope="module")
def imported() -> set[str]:
    code = "import sys, probe.cli.main, probe.agent, probe.agent.log; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    return set(done.stdout.split())


@pytest.mark.parametrize("module", HEAVY)
def test_the_daemon_does_without(module: str, imported: set[str]) -> None:
    assert module not in imported, HEAVY[module]
