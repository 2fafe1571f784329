"""An agent whose network is cut accuses no target; it says that it is ill."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.support.programs import ROOT, program


@pytest.mark.real
@pytest.mark.slow
def test_a_cut_network_is_the_vantages_illness_and_no_targets_fault() -> None:
    program("ip")
    done = subprocess.run(
        [
            program("unshare"),
            "--map-root-user",
            "--net",
            sys.executable,
            "-m",
            "tests.incidents.cut",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    ill = {(one["region"], one["cause"]) for one in seen["ill"]}
    busy = {"lag", "late"}  # of the machine that runs all this
    assert {one for one in ill if one[1] not in busy} == {("sa-east", "network")}
    assert seen["over"]
    assert seen["targets"] == []
    assert seen["pages"] == []
    assert seen["inconclusive"] > 0
