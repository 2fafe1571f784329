"""Memory, start-up, and throughput of one core."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

from .agent import LIKE_GO, Agent, agent, tls_config
from .case import Bench, Report, Spread
from .peer import blackbox
from .process import BYTECODE, BenchmarkError
from .server import nginx

MIB = 1024 * 1024
EXAMPLE = Path(__file__).parents[2] / "config" / "probe.yaml"
PROBES = 10_000
_SATURATING = 8_000
"""Targets, each of them every 4 s: more than one core can do."""


def _example() -> str:
    """The example configuration; its target files are found from anywhere."""
    return EXAMPLE.read_text().replace("[targets/", f"[{EXAMPLE.parent}/targets/")


def memory(bench: Bench) -> Report:
    """Resident memory: idle with the example configuration, and after many probes."""
    report = Report("resident memory, MiB", ("", "this agent", "blackbox_exporter"))
    probes = 1_000 if bench.quick else PROBES
    idle_for = 3.0 if bench.quick else 10.0
    with agent(bench.folder, _example(), core=None) as running:
        time.sleep(idle_for)
        start = running.process.cpu()
        time.sleep(idle_for)
        share = (running.process.cpu() - start) / idle_for
        idle = running.process.resident() / MIB
    with nginx(bench.folder, bench.pki, core=bench.theirs) as server:
        with agent(
            bench.folder,
            tls_config(bench.folder, bench.pki, server.tls_port, targets=800, interval=4),
            core=bench.ours,
        ) as running:
            running.process.until(lambda: server.handshakes() >= probes, within=180)
            worked = running.process.resident() / MIB
        with blackbox(bench.folder, bench.pki, core=bench.ours) as peer:
            time.sleep(1)
            peer_idle = peer.process.resident() / MIB
            done = 0
            while done < probes:
                done += len(peer.drive("tls", f"127.0.0.1:{server.tls_port}", 2, rate=None))
            peer_worked = peer.process.resident() / MIB
    report.add("idle", f"{idle:.1f}", f"{peer_idle:.1f}")
    report.add(f"after {probes} probes (ours: of 800 edges)", f"{worked:.1f}", f"{peer_worked:.1f}")
    report.add("share of a core when idle", f"{100 * share:.2f} %", "")
    report.hold(f"idle at most 60 MiB: {idle:.1f}", idle <= 60)
    report.hold(f"idle under 0.5 % of a core: {100 * share:.2f} %", share < 0.005)
    report.data = {
        "idle_mib": idle,
        "worked_mib": worked,
        "idle_share": share,
        "peer_idle_mib": peer_idle,
        "peer_worked_mib": peer_worked,
    }
    return report


def startup(bench: Bench) -> Report:
    """Seconds until there is an answer."""
    report = Report("start-up, seconds", ("until", "this agent", "blackbox_exporter"))
    rounds = 1 if bench.quick else 7
    helped, ready, peers = [], [], []
    for _ in range(rounds):
        start = time.monotonic()
        subprocess.run(
            [sys.executable, "-m", "probe", "--help"],
            stdout=subprocess.DEVNULL,
            check=True,
            env={**os.environ, **BYTECODE},
        )
        helped.append(time.monotonic() - start)
        with agent(bench.folder, _example(), core=None) as running:
            ready.append(time.monotonic() - running.process.began)
        with blackbox(bench.folder, bench.pki, core=None) as peer:
            peers.append(time.monotonic() - peer.process.began)
    helps, readies = Spread.of(helped), Spread.of(ready)
    report.add("--help is printed", helps.text(1, ".2f"), "")
    report.add("ready", readies.text(1, ".2f"), Spread.of(peers).text(1, ".2f"))
    report.notes.append("as installed: with bytecode; PYTHONDONTWRITEBYTECODE makes it slower")
    report.hold(f"probe --help under 0.3 s: {helps.median:.2f}", helps.median < 0.3)
    report.data = {"help": helped, "ready": ready, "peer": peers}
    return report


def _all_seen(running: Agent) -> bool:
    return running.scrape().count("probe_edge_attempts_total") == _SATURATING


def saturation(bench: Bench) -> Report:
    """TLS probes a second when asked for more than one core can do.

    Measured when every target was seen once: a first look judges a new name and renders all of
    its series, which says nothing of the years that follow.
    """
    report = Report(
        "throughput of one core, TLS probes", ("prober", "probes per second", "µs of CPU per probe")
    )
    rounds, seconds = (1, 2.0) if bench.quick else (2, 6.0)
    ours, theirs, costs, peer_costs = [], [], [], []
    with nginx(bench.folder, bench.pki, core=bench.theirs) as server:
        url = f"127.0.0.1:{server.tls_port}"
        for _ in range(rounds):
            with blackbox(bench.folder, bench.pki, core=bench.ours) as peer:
                peer.drive("tls", url, 1, rate=None)
                start, before = time.monotonic(), peer.process.cpu()
                done = len(peer.drive("tls", url, seconds, rate=None, clients=16))
                theirs.append(done / (time.monotonic() - start))
                peer_costs.append((peer.process.cpu() - before) / done)
            config = tls_config(
                bench.folder,
                bench.pki,
                server.tls_port,
                targets=_SATURATING,
                interval=4,
                profile=LIKE_GO,
            )
            with agent(bench.folder, config, core=bench.ours) as running:
                running.process.until(partial(_all_seen, running), within=180, every=1.0)
                start, before, shaken = time.monotonic(), running.process.cpu(), server.handshakes()
                time.sleep(seconds)
                count = server.handshakes() - shaken
                if not count:
                    raise BenchmarkError("no handshake while saturated")
                ours.append(count / (time.monotonic() - start))
                costs.append((running.process.cpu() - before) / count)
    mine, peers = Spread.of(costs), Spread.of(peer_costs)
    report.add("this agent", Spread.of(ours).text(), mine.text(1e6))
    report.add("blackbox_exporter", Spread.of(theirs).text(), peers.text(1e6))
    ratios = [our / their for our, their in zip(costs, peer_costs, strict=True)]
    report.add("ratio of CPU", "", Spread.of(ratios).text(1, ".2f"))
    ratio = Spread.of(ratios).median
    report.hold(f"ratio of CPU at most 0.95: {ratio:.2f}", ratio <= 0.95)
    report.data = {"ours": ours, "theirs": theirs, "costs": costs, "peer_costs": peer_costs}
    return report
