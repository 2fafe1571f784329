"""The demo as a person starts it: processes, pages, and an end that leaves nothing behind."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
from click.testing import CliRunner

from probe.cli.main import main
from probe.demo import DemoError
from probe.demo.agents import open_agents
from probe.demo.verdict import Watch
from tests.demo.test_display import INCIDENT

PAGE = re.compile(r"agent (\S+): status page (http://127\.0\.0\.1:\d+)/")
START_SECONDS = 120.0
END_SECONDS = 60.0


async def start(folder: Path, *arguments: str) -> trio.Process:
    """A demo in a session of its own, whose temporary files go to ``folder``."""
    return await trio.lowlevel.open_process(
        [sys.executable, "-m", "probe", "demo", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "TMPDIR": str(folder)},
        start_new_session=True,
    )


async def pages(process: trio.Process) -> dict[str, str]:
    """Addresses of the three status pages, as they are printed."""
    assert process.stdout is not None
    said = ""
    found: dict[str, str] = {}
    with trio.fail_after(START_SECONDS):
        while len(found) < 3:
            more = await process.stdout.receive_some()
            assert more, said
            said += more.decode()
            found = dict(PAGE.findall(said))
    return found


def left_behind(session: int) -> list[str]:
    """Processes of a session that are still there."""
    listed = subprocess.run(
        ["ps", "-o", "stat=,args=", "-s", str(session)], capture_output=True, text=True, check=False
    )
    return [line for line in listed.stdout.splitlines() if not line.startswith("Z")]


async def gone(session: int) -> None:
    with trio.fail_after(END_SECONDS):
        while left_behind(session):
            await trio.sleep(0.05)


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
async def test_three_agents_serve_pages_until_a_signal_ends_everything(
    tmp_path: Path, ending: signal.Signals
) -> None:
    report = tmp_path / "report.json"
    folder = tmp_path / "temporary"
    folder.mkdir()
    process = await start(folder, "--seconds", "120", "--report", str(report))
    addresses = await pages(process)
    assert set(addresses) == {"sa-east", "us-east", "eu-west"}
    async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
        for region, url in addresses.items():
            status = (await client.get(f"{url}/api/v1/status")).json()
            assert status["region"] == region
            assert (await client.get(f"{url}/")).status_code == 200
    process.send_signal(ending)
    with trio.fail_after(END_SECONDS):
        assert await process.wait() == 130
    await gone(process.pid)
    assert list(folder.iterdir()) == []
    names = [incident["name"] for incident in json.loads(report.read_text())["incidents"]]
    assert names == ["tls-propagation", "cli-authorization"]


@pytest.mark.parametrize(("found", "status"), [(True, 0), (False, 130)])
def test_ctrl_c_after_both_were_found_is_success(
    found: bool, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def played(demo: Any) -> None:
        seen = Watch(INCIDENT, fault_at=1.0, detected_at=2.0, region="sa-east")
        demo.watches = (seen, seen if found else Watch(INCIDENT, fault_at=1.0))
        demo.interrupted = True

    monkeypatch.setattr("probe.demo.run._Demo.run", played)
    done = CliRunner().invoke(main, ["demo", "--seconds", "20"])
    assert done.exit_code == status
    assert "found after 1.0 s" in done.stdout


async def test_a_demo_that_is_killed_takes_its_processes_with_it(tmp_path: Path) -> None:
    process = await start(tmp_path)
    await pages(process)
    process.kill()
    await process.wait()
    await gone(process.pid)


async def test_an_agent_that_does_not_start_says_why(tmp_path: Path) -> None:
    file = tmp_path / "sa-east.yaml"
    file.write_text("regoin: sa-east\n")
    with pytest.raises(ExceptionGroup) as caught:
        async with open_agents(tmp_path, {"sa-east": file}):
            pytest.fail("it started")
    assert caught.group_contains(DemoError, match="regoin")
