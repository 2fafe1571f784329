"""Commands of docs/deploy.md that need neither a VM nor a cluster, run as they are written."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.programs import ROOT, program, run

pytestmark = pytest.mark.real

PAGE = (ROOT / "docs" / "deploy.md").read_text()
COMMANDS = [
    line
    for block in re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
]
HERE = (
    "promtool check",
    "kubectl kustomize",
    "cp -R deploy/",
    "printf ",
    "probe validate ",
    "sed ",
    "systemd-analyze ",
)


def test_it_runs_as_written(tmp_path: Path) -> None:
    """In a copy of the tree, because some change it."""
    program("promtool")
    program("kubectl")
    ran = [command for command in COMMANDS if command.startswith(HERE)]
    assert len(ran) >= 10
    assert {start for start in HERE if any(c.startswith(start) for c in ran)} == set(HERE)
    run("cp", "-R", ROOT / "deploy", ROOT / "config", tmp_path)
    environ = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    for command in ran:
        done = subprocess.run(
            ["sh", "-c", command],
            cwd=tmp_path,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"


def test_every_file_that_it_names_is_there() -> None:
    """Paths of the source tree; what is made elsewhere starts with another folder."""
    for path in set(re.findall(r"(?:deploy|config|docs)/[\w./@-]*\w", PAGE)):
        assert (ROOT / path).exists() or not PAGE.count(f"`{path}"), path


def test_the_sums_are_right() -> None:
    """The formula of docs/metrics.md for 20,000 targets, two providers, four addresses.

    That its numbers are those of the exposition, tests/serve/test_reference.py holds.
    """
    formula = re.search(
        r"series   = (\d+) × edges \+ (\d+) × T \+ \((\d+) \+ (\d+) × K\) × T × P\n"
        r" +\+ (\d+) × T where targets have labels",
        (ROOT / "docs" / "metrics.md").read_text(),
    )
    assert formula is not None
    edge, target, dns, key_type, info = map(int, formula.groups())
    targets, providers, addresses = 20_000, 2, 4
    per_target = (target + info) * targets + (dns + key_type) * targets * providers
    everything = edge * targets * providers * addresses + per_target
    assert f"{everything:,}" in PAGE
    assert f"{per_target:,}" in PAGE
    assert f"{everything * 12 / 30:,.0f}" in PAGE
    assert f"{per_target * 12 / 30:,.0f}" in PAGE
