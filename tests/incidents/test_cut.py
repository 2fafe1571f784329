"""An agent whose network is cut accuses no target; it says that it is ill."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.real
def test_a_cut_network_is_the_vantages_illness_and_no_targets_fault() -> None:
    unshare = shutil.which("unshare")
    if unshare is None or shutil.which("ip") is None:
        pytest.fail("unshare or ip is missing: apt-get install util-linux iproute2")
    done = subprocess.run(
        [unshare, "--map-root-user", "--net", sys.executable, "-m", "tests.incidents.cut"],
        cwd=Path(__file__).parents[2],
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
