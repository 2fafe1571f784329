"""Both incidents, from the fault to the notification, with the real engines.

As a command it prints the figures over several runs::

    python -m tests.incidents.replay --runs 10 --domains 300

Agents of three regions run as processes against the lab; Prometheus scrapes them and Alertmanager
notifies, both with the configuration of ``deploy/``. Nothing is changed but addresses.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trio
import yaml

from probe.demo.agents import open_agents
from probe.demo.configuration import CLI, write_files
from probe.demo.engines import Engines, open_engines
from probe.lab.board import Where
from probe.lab.info import Layout, WorldInfo, store_names
from probe.lab.process import RemoteLab, open_lab_process
from probe.lab.world import cdn_host

from .receiver import Received, Receiver, receiving

_LOOK_EVERY = 0.05
PATIENCE = 240.0
"""Seconds after which something that must happen counts as not happening."""

REGION = "sa-east"
FAULTY = "cdn-b"
CHECK = "stores"
_VICTIMS = 0.03
_HANDSHAKES = 0.4
_CALLS = 0.6
_CALM = 0.99  # lab, agents and engines share one machine: now and then an attempt is late


@dataclass(frozen=True, slots=True)
class Measured:
    """One incident.

    Attributes:
        paged: seconds from the fault to the first right page.
        resolved: seconds from the repair to the notification that it is over.
        page: the alert in that page.
    """

    name: str
    paged: float
    resolved: float
    page: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything that runs."""

    lab: RemoteLab
    engines: Engines
    receiver: Receiver


@asynccontextmanager
async def stage(
    folder: Path, layout: Layout, adapt: Callable[[dict[str, Any]], None] = lambda _: None
) -> AsyncIterator[Stage]:
    """Lab, three agents, engines and receiver, all calm: every edge has been seen to pass.

    ``adapt`` changes the agents' configuration.
    """
    with receiving() as receiver:
        async with open_lab_process(folder, layout) as lab:
            files = {}
            for region in layout.regions:
                files[region] = file = write_files(folder, lab.info, region, ())
                document = _two_cdns(yaml.safe_load(file.read_text()), lab.info, region)
                adapt(document)
                file.write_text(yaml.safe_dump(document, sort_keys=False))
            async with (
                open_agents(folder, files) as agents,
                open_engines(
                    folder,
                    {agent.region: agent.url for agent in agents},
                    receiver.url,
                    mail=receiver.mail,
                ) as engines,
            ):
                running = Stage(lab, engines, receiver)
                await _calm(running)
                yield running


def _two_cdns(document: dict[str, Any], info: WorldInfo, region: str) -> dict[str, Any]:
    """The demo's flow beside one check of all stores on both CDNs, with the shipped defaults."""
    host, port = info.resolvers[region]
    dns: dict[str, Any] = {"servers": [f"{host}:{port}"], "hosts_file": False, "families": [4]}
    cdns = {
        cdn: {"hostname": cdn_host(cdn), "dns": dict(dns), "port": info.port}
        for cdn in ("cdn-a", "cdn-b")
    }
    stores: dict[str, Any] = {
        "name": CHECK,
        "kind": "tls",
        "targets": CHECK,
        "providers": list(cdns),
    }
    stores |= {"interval": "20s", "labels": {"team": "edge"}}
    flow = next(check for check in document["checks"] if check["name"] == CLI)
    flow |= {"interval": "10s", "labels": {"team": "identity"}}
    document["providers"] = {"api": document["providers"]["api"], **cdns}
    document["targets"] = {CHECK: document["targets"][CHECK]}
    document["checks"] = [stores, flow]
    return document


async def _calm(running: Stage) -> None:
    """Wait until Prometheus knows edges and flows as passing."""
    layout = running.lab.info.layout
    edges = sum(
        len(layout.domains) * len(running.lab.info.seen(region, cdn))
        for region in layout.regions
        for cdn in ("cdn-a", "cdn-b")
    )
    states = "count by (region, state) (probe_edge_state or probe_flow_state)"
    wanted = _CALM * (edges + len(layout.regions))
    found: list[dict[str, Any]] = []
    with trio.move_on_after(PATIENCE):
        while True:
            found = await running.engines.query(states)
            passing = (one for one in found if one["metric"]["state"] == "passing")
            if sum(float(one["value"][1]) for one in passing) >= wanted:
                return
            await trio.sleep(0.5)
    told = [f"{' '.join(one['metric'].values())} {one['value'][1]}" for one in found]
    raise RuntimeError(f"not calm: {wanted:.0f} passing wanted, found {', '.join(told)}")


async def page(
    running: Stage, status: str, after: float, says: str = "", **labels: str
) -> Received:
    """The first page with such an alert that says so, as soon as it is there."""
    with trio.fail_after(PATIENCE):
        while True:
            found = running.receiver.first(status, after, says, **labels)
            if found is not None:
                return found
            await trio.sleep(_LOOK_EVERY)


async def propagation(running: Stage) -> Measured:
    """2021: certificates that are not on all edges of one CDN, as one region sees them."""
    info = running.lab.info
    stores = info.layout.domains
    victims = frozenset(stores[:: max(1, round(1 / _VICTIMS))])
    places = info.seen(REGION, FAULTY)
    edges = frozenset(place.name for place in places[: len(places) // 2])
    fault_at = time.time()
    number = await running.lab.inject(
        "alert_unrecognized_name", Where(domains=victims, edges=edges), probability=_HANDSHAKES
    )
    labels = {"alertname": "ProbeProviderFailing", "region": REGION, "provider": FAULTY}
    says = "mostly tls/alert_unrecognized_name"
    return await _measured(running, "tls-propagation", fault_at, number, says, labels)


async def authorization(running: Stage) -> Measured:
    """2023: six of ten authorized calls answer 500."""
    fault_at = time.time()
    number = await running.lab.inject("authorization_500", probability=_CALLS)
    labels = {"alertname": "ProbeFlowFailing", "check": CLI}
    says = "authorization is to blame"
    return await _measured(running, "cli-authorization", fault_at, number, says, labels)


async def _measured(
    running: Stage, name: str, fault_at: float, number: int, says: str, labels: dict[str, str]
) -> Measured:
    paged = await page(running, "firing", fault_at, says, **labels)
    found = paged.alerts("firing", says, **labels)[0]
    await running.lab.remove(number)
    repaired_at = time.time()
    over = await page(running, "resolved", repaired_at, **labels)
    return Measured(name, paged.at - fault_at, over.at - repaired_at, found)


async def both(folder: Path, domains: int) -> list[Measured]:
    """One run: one incident after the other, as shipped."""
    async with stage(folder, Layout(domains=store_names(domains))) as running:
        return [await propagation(running), await authorization(running)]


def _row(name: str, values: list[float]) -> str:
    return (
        f"{name:34} {statistics.median(values):6.1f} {max(values):6.1f}   "
        + " ".join(f"{value:.1f}" for value in values)
        + "\n"
    )


def main() -> None:
    """Print seconds, median and worst, over the runs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--domains", type=int, default=300)
    options = parser.parse_args()
    seen: dict[str, list[Measured]] = {}
    for number in range(options.runs):
        with tempfile.TemporaryDirectory(prefix="probe-replay-") as folder:
            for one in trio.run(both, Path(folder), options.domains):
                seen.setdefault(one.name, []).append(one)
                sys.stdout.write(
                    f"run {number + 1}: {one.name}: paged {one.paged:.1f} s, "
                    f"over {one.resolved:.1f} s: {one.page['annotations']['description']}\n"
                )
                sys.stdout.flush()
    sys.stdout.write(f"\n{'seconds':34} median  worst   each\n")
    for name, runs in seen.items():
        sys.stdout.write(_row(f"{name}, fault to page", [one.paged for one in runs]))
        sys.stdout.write(_row(f"{name}, repair to over", [one.resolved for one in runs]))


if __name__ == "__main__":
    main()
