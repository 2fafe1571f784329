"""Commands of docs/deploy.md that need neither a VM nor a cluster, run as they are written."""

from __future__ import annotations

import re
import subprocess

import pytest

from .tools import ROOT, program

pytestmark = pytest.mark.real

PAGE = (ROOT / "docs" / "deploy.md").read_text()
COMMANDS = [
    line
    for block in re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
]
HERE = ("promtool check", "kubectl kustomize", "sed ", "systemd-analyze ")


def test_it_runs_as_written() -> None:
    for name, package in (("promtool", "prometheus"), ("kubectl", "kubernetes-client")):
        program(name, package)
    ran = [command for command in COMMANDS if command.startswith(HERE)]
    assert len(ran) >= 6
    for command in ran:
        done = subprocess.run(
            ["sh", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"


def test_every_file_that_it_names_is_there() -> None:
    """Paths of the source tree; what is made elsewhere starts with another folder."""
    for path in set(re.findall(r"(?:deploy|config|docs)/[\w./@-]*\w", PAGE)):
        assert (ROOT / path).exists() or not PAGE.count(f"`{path}"), path


def test_the_sums_are_right() -> None:
    """The formula of docs/metrics.md for 20,000 targets, two providers, four addresses."""
    targets, providers, addresses = 20_000, 2, 4
    per_target = 13 * targets + 7 * targets * providers
    everything = 9 * targets * providers * addresses + per_target
    assert f"{everything:,}" in PAGE
    assert f"{per_target:,}" in PAGE
    assert f"{everything * 12 / 30:,.0f}" in PAGE
    assert f"{per_target * 12 / 30:,.0f}" in PAGE
