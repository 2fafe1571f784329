"""Real agents whose clock is a year off: they say so, and call no certificate expired."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.support.agents import RunningAgent, StartAgent
from tests.support.estate import NAMES, certified, open_estate
from tests.support.programs import program

DAY = 86_400.0
DAYS = 400


def write(folder: Path, name: str, **parts: Any) -> Path:
    path = folder / f"{name}.yaml"
    document = {
        "region": "sa-east",
        "listen": "127.0.0.1:0",
        "defaults": {"interval": "1s", "timeout": "900ms", "trust": {"file": "roots.pem"}},
        **parts,
    }
    path.write_text(json.dumps(document))
    return path


def tls_alone(folder: Path, address: str) -> Path:
    """Six certificates by two issuers, and nothing that tells the time."""
    check = {"name": "stores", "kind": "tls", "targets": list(NAMES), "providers": ["cdn-a"]}
    providers = {"cdn-a": {"addresses": [address]}}
    return write(folder, "tls", providers=providers, checks=[check])


def flow_alone(folder: Path, address: str) -> Path:
    """One host: its certificate alone cannot tell whether it ended or the clock is wrong."""
    port = int(address.rpartition(":")[2])
    step = {"name": "home", "layer": "edge", "get": f"https://{NAMES[0]}:{port}/"}
    check = {
        "name": "home",
        "kind": "api",
        "targets": [NAMES[0]],
        "providers": ["cdn-a"],
        "timeout": "900ms",
        "flow_timeout": "900ms",
        "steps": [step],
    }
    providers = {"cdn-a": {"addresses": [address]}}
    return write(folder, "flow", providers=providers, checks=[check])


def library() -> Path:
    """What Debian's faketime preloads."""
    program("faketime")
    return next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))


async def is_ill(agent: RunningAgent) -> bool:
    if not agent.log:
        return False  # starting two takes half a minute on a busy machine
    return await agent.metric("probe_vantage_illness", cause="clock") == 1.0


async def blamed(agent: RunningAgent) -> list[str]:
    """Series that call an edge or a flow failing, or flapping."""
    return [
        line
        for line in (await agent.get("/metrics")).text.splitlines()
        if line.startswith(("probe_edge_state{", "probe_flow_state{"))
        and any(f'state="{state}"' in line for state in ("failing", "flapping"))
        and line.endswith((" 1", " 1.0"))
    ]


@pytest.mark.slow
@pytest.mark.parametrize("days", [DAYS, -DAYS])
async def test_a_clock_that_is_a_year_off_is_the_vantages_illness(
    days: int, tmp_path: Path, agents: StartAgent
) -> None:
    # Not the command faketime: it starts the agent as a child, which would outlive the test.
    environ = {"LD_PRELOAD": str(library()), "FAKETIME": f"{days:+}d"}
    async with trio.open_nursery() as nursery:
        (address,) = await open_estate(nursery, certified(tmp_path), ["127.0.0.1"])
        async with (
            agents(tls_alone(tmp_path, address), environ=environ) as tls,
            agents(flow_alone(tmp_path, address), environ=environ) as flow,
        ):
            for agent, evidence in ((tls, "the dates of 6 certificates"), (flow, "of 1 host")):
                await agent.until(partial(is_ill, agent), patience=90.0)
                assert await blamed(agent) == []
                offset = await agent.metric("probe_vantage_clock_offset_seconds")
                assert offset is not None
                assert (offset < -250 * DAY) if days > 0 else (offset > 250 * DAY)
                said = await agent.said("vantage ill")
                assert evidence in said["clock"]
                page = (await agent.get("/api/v1/status")).json()["agent"]
                assert any(evidence in line for line in page["vantage_evidence"])
        nursery.cancel_scope.cancel()
