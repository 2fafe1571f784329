"""The 2021 incident: a few domains, some edges, now and then; all named, no other.

At a ninth of its size, because the suite runs on machines that are busy with other things too.
At its size, 300 domains and 4,800 attempts every 15 s, on a machine that has nothing else to do::

    PROBE_TEST_STORES=300 .venv/bin/pytest tests/agent/test_propagation.py
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from probe.lab.board import Where
from probe.lab.info import Layout, store_names
from probe.lab.process import RemoteLab, open_lab_process
from tests.support.agents import StartAgent

PATIENCE = 180.0
"""Seconds until an affected (domain, edge) counts as not named; it takes less than a minute."""

STORES = int(os.environ.get("PROBE_TEST_STORES", "34"))

EDGES = ("cdn-b/gru", "cdn-b/scl")


@pytest.fixture
async def large(tmp_path: Path) -> AsyncIterator[RemoteLab]:
    """A lab on two CDNs of four edges in each region."""
    layout = Layout(domains=store_names(STORES), with_rsa=True)
    async with open_lab_process(tmp_path, layout) as running:
        yield running


def write(folder: Path, lab: RemoteLab) -> Path:
    ip, port = lab.info.resolvers["sa-east"]
    stores = ", ".join(lab.info.layout.domains)
    path = folder / "probe.yaml"
    path.write_text(f"""\
region: sa-east
listen: 127.0.0.1:0
defaults: {{interval: 15s, timeout: 10s}}
addresses: {{allow: 127.0.0.0/8}}
providers:
  cdn-a: {{hostname: stores.cdn-a.example, dns: {{servers: ["{ip}:{port}"]}}}}
  cdn-b: {{hostname: stores.cdn-b.example, dns: {{servers: ["{ip}:{port}"]}}}}
targets:
  stores: {{static: [{stores}]}}
checks:
  - name: stores
    kind: tls
    targets: stores
    providers: [cdn-a, cdn-b]
    profiles: [tls13, tls12-rsa]
    port: {lab.info.port}
    trust: {{file: roots.pem}}
""")
    return path


@pytest.mark.slow
async def test_three_in_a_hundred_domains_on_two_edges_four_in_ten_handshakes(
    tmp_path: Path, large: RemoteLab, agents: StartAgent
) -> None:
    domains = large.info.layout.domains[::33]  # three in a hundred
    where = Where(frozenset(domains), frozenset(EDGES))
    affected = {(domain, large.info.place(edge).label) for domain in domains for edge in EDGES}
    async with agents(write(tmp_path, large)) as agent:

        async def whole() -> bool:
            status = (await agent.get("/api/v1/status")).json()
            return bool(status["totals"]["edges"] == STORES * 2 * 4 * 2)

        await agent.until(whole, patience=120)
        await large.inject("alert_unrecognized_name", where, probability=0.4)
        began = trio.current_time()

        def named() -> set[tuple[str, str]]:
            return {
                (line["target"], line["edge"])
                for line in agent.log
                if line["event"] == "state" and line.get("after") in ("failing", "flapping")
            }

        while trio.current_time() < began + PATIENCE and not affected <= named():
            await trio.sleep(0.5)
        assert named() == affected
