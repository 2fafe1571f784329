"""Servers, token service and DNS die under an agent whose own code raises: what it says is true.

The lab knows what was up and when; every sample of the metrics, and the page's sentence with it,
is held against that. ``PROBE_TEST_CHAOS=10`` makes every outage ten times as long.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trio
import yaml

from probe.demo.configuration import CLI, configuration, write_files
from probe.lab.board import Where
from probe.lab.info import Layout, store_names
from probe.lab.process import RemoteLab, open_lab_process
from tests.support.agents import StartAgent

LENGTH = 20.0 * float(os.environ.get("PROBE_TEST_CHAOS", "1"))
INTERVAL, TIMEOUT = 2.0, 1.5
LATE = 12.0
"""Seconds after which an outage must be seen: two intervals and time-outs, as one run of a
hundred is lost, and what a machine with other work adds."""

STORES = store_names(4)
LOST = STORES[3]
"""A store whose every attempt raises."""


@dataclass
class Truth:
    """What the lab did, and when; and each sample of what the agent said meanwhile."""

    outages: list[tuple[str, float, float]] = field(default_factory=list)
    samples: list[tuple[float, list[str], dict[str, Any]]] = field(default_factory=list)

    @asynccontextmanager
    async def outage(self, *kinds: str) -> AsyncIterator[None]:
        began = trio.current_time()
        yield
        self.outages += [(kind, began, trio.current_time()) for kind in kinds]

    def down(self, kind: str, at: float) -> bool:
        """Whether it had been down at that time for so long that it must be seen."""
        return any(k == kind and began + LATE <= at < over for k, began, over in self.outages)

    async def watch(self, agent: Any) -> None:
        """Take a sample twice a second, the time before it was asked for."""
        while True:
            at = trio.current_time()
            lines = (await agent.get("/metrics")).text.splitlines()
            status = (await agent.get("/api/v1/status")).json()
            self.samples.append((at, lines, status))
            await trio.sleep(0.5)


def claims(lines: list[str], *names: str, **labels: str) -> list[str]:
    """Series of these names that say that something is well."""
    words = [f'{label}="{value}"' for label, value in labels.items()]
    return [
        line
        for line in lines
        if line.startswith(tuple(f"{name}{{" for name in names))
        and line.endswith(" 1.0")
        and all(word in line for word in words)
    ]


def lies(truth: Truth) -> list[str]:
    """Everything said that the lab knows to be untrue."""
    found = []
    for at, lines, status in truth.samples:
        said = claims(lines, "probe_success", "probe_edge_up", target=LOST)
        said += claims(lines, "probe_edge_state", state="passing", target=LOST)
        if status["level"] == "ok":
            said.append(f"level ok: {status['sentence']}")
        if truth.down("servers", at):
            said += claims(lines, "probe_success", check="stores")
            said += claims(lines, "probe_edge_up", "probe_edge_handshake_seconds")
            said += claims(lines, "probe_edge_state", state="passing")
            said += [status["sentence"]] if "edges pass" in status["sentence"] else []
        if truth.down("tokens", at):
            said += claims(lines, "probe_success", check=CLI)
            said += claims(lines, "probe_flow_up")
            said += claims(lines, "probe_step_success", step="login")
            said += claims(lines, "probe_flow_diagnosis", layer="none")
            said += claims(lines, "probe_flow_state", state="passing")
            said += [status["sentence"]] if "flow passes" in status["sentence"] else []
        if truth.down("names", at):
            said += claims(lines, "probe_resolve_success")
        found += [f"{at:.1f}: {line}" for line in said]
    return found


def write(folder: Path, lab: RemoteLab) -> Path:
    """The demo's configuration, faster, with a log-in in every run of the flow."""
    path = write_files(folder, lab.info, "sa-east", ())
    document = configuration(lab.info, "sa-east", folder)
    pace = {"interval": f"{INTERVAL:g}s", "timeout": f"{TIMEOUT * 1000:g}ms"}
    stores, _, flow = document["checks"]
    login = flow.pop("auth")["person"]
    flow["steps"] = [
        flow["steps"][0],
        {"name": "login", "layer": "login", "post": login["url"], "json": login["json"],
         "expect": {"json": login["success"]}},
    ]  # fmt: skip
    document["checks"] = [stores | pace, flow | pace | {"flow_timeout": "2s"}]
    document["targets"] = {"stores": document["targets"]["stores"]}
    for provider in document["providers"].values():
        provider["dns"] |= {"ttl_floor": "1s", "timeout": "1s"}
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return path


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    with trio.fail_after(120):
        while not await holds():
            await trio.sleep(0.5)


@pytest.mark.real
@pytest.mark.slow
async def test_no_series_claims_health_for_what_was_not_seen(
    tmp_path: Path, agents: StartAgent
) -> None:
    truth = Truth()
    environ = {"CHAOS_SHARE": "0.01", "CHAOS_DOOMED": LOST}
    program = (sys.executable, str(Path(__file__).with_name("chaotic.py")))
    layout = Layout(domains=STORES, ttl=1)
    async with (
        open_lab_process(tmp_path, layout) as lab,
        agents(write(tmp_path, lab), environ=environ, program=program) as agent,
        trio.open_nursery() as watching,
    ):

        async def well() -> bool:
            lines = (await agent.get("/metrics")).text.splitlines()
            up = len(claims(lines, "probe_success"))
            return up == len(STORES) and len(claims(lines, "probe_resolve_success")) >= len(STORES)

        await until(well)
        watching.start_soon(truth.watch, agent)
        stores = Where(domains=frozenset(STORES))
        async with truth.outage("servers", "tokens"):
            for place in lab.info.seen("sa-east", "cdn-a"):
                await lab.inject("refused", Where(edges=frozenset({place.name})))
            await lab.inject("login_500")
            await trio.sleep(LENGTH)
        await lab.clear()
        await until(well)
        async with truth.outage("names"):
            await lab.inject("dns_silence", stores)
            await trio.sleep(LENGTH)
        await lab.clear()
        await until(well)
        assert agent.process.returncode is None, "it lives"
        watching.cancel_scope.cancel()
    assert len(truth.samples) > LENGTH
    assert [kind for kind, *_ in truth.outages] == ["servers", "tokens", "names"]
    assert any(truth.down("servers", at) for at, *_ in truth.samples)
    assert lies(truth) == []
    defects = [line for line in agent.log if line["event"] == "defect"]
    assert {line.get("target") for line in defects} > {LOST}, json.dumps(defects[:3])
