"""An agent whose network is cut accuses no target; it says that it is ill.

Minutes of waiting beside three agents, so a long test: ``sh tests/run long``.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.support.programs import ROOT, program


def _played(module: str) -> Any:
    """What a module saw in a network namespace of its own."""
    command = [program("unshare"), "--map-root-user", "--net", sys.executable, "-m", module]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.real
def test_a_cut_network_is_the_vantages_illness_and_no_targets_fault() -> None:
    program("ip")
    seen = _played("tests.incidents.cut")
    ill = {(one["region"], one["cause"]) for one in seen["ill"]}
    busy = {"lag", "late"}  # of the machine that runs all this
    assert {one for one in ill if one[1] not in busy} == {("sa-east", "network")}
    assert seen["over"]
    assert seen["targets"] == []
    assert seen["pages"] == []
    assert seen["inconclusive"] > 0


@pytest.mark.real
def test_without_references_one_provider_is_blamed_and_a_cut_network_is_not() -> None:
    program("ip")
    program("iptables")
    seen = _played("tests.incidents.own_cut")
    assert seen["calm"] == []
    assert seen["one provider"] == ["cdn-a failing"]
    assert not seen["ill then"]
    assert seen["both"] == []
    assert "2 of 2 that are independent fell together" in seen["ill"]
    assert any(line.startswith("network: ") for line in seen["page"])
    assert seen["after"] == []
