"""What ``probe check`` costs for an attempt, beside what the agent costs for one, in one run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from .agent import agent, tls_config
from .case import Bench, Report, Spread
from .process import BYTECODE, BenchmarkError
from .server import Server, nginx

ADDRESSES = 12
EDGES, QUICK_EDGES = 12_000, 1_200
INTERVAL = 40.0  # of the agent with 12,000 edges: 300 attempts a second, as in the other cases
ROUNDS = 3
BAR = 1.2


def gate(bench: Bench) -> Report:
    """Let the agent and the command take turns at the same edges."""
    edges = QUICK_EDGES if bench.quick else EDGES
    report = Report(
        f"check: {edges:,} edges, beside the agent",
        ("round", "agent µs CPU/attempt", "check µs", "ratio"),
    )
    ours: list[float] = []
    theirs: list[float] = []
    with nginx(bench.folder, bench.pki, core=bench.theirs) as server:
        config = tls_config(
            bench.folder,
            bench.pki,
            server.wide_port,
            targets=edges // ADDRESSES,
            interval=INTERVAL * edges / EDGES,
            addresses=ADDRESSES,
        )
        for number in range(1 if bench.quick else ROUNDS):
            theirs.append(_agent(bench, config, server, edges))
            ours.append(_check(bench, edges))
            ratio = ours[-1] / theirs[-1]
            cells = (f"{1e6 * theirs[-1]:.0f}", f"{1e6 * ours[-1]:.0f}", f"{ratio:.2f}")
            report.add(str(number + 1), *cells)
    ratios = Spread.of([mine / its for mine, its in zip(ours, theirs, strict=True)])
    report.hold(f"at most {BAR} × the agent: {ratios.text(form='.2f')}", ratios.median <= BAR)
    report.notes.append("of the command, what it costs to start is left out (one target)")
    report.data = {"check": ours, "agent": theirs}
    return report


def _agent(bench: Bench, config: str, server: Server, edges: int) -> float:
    """CPU of the agent for an attempt, once it has seen every edge; seconds."""
    with agent(bench.folder, config, core=bench.ours) as running:
        before = server.handshakes()
        process = running.process
        process.until(lambda: server.handshakes() - before >= edges, within=300)
        time.sleep(2)
        shaken, used = server.handshakes(), process.cpu()
        time.sleep(3 if bench.quick else 15)
        return (process.cpu() - used) / (server.handshakes() - shaken)


def _check(bench: Bench, edges: int) -> float:
    """CPU of the command for an attempt, without that of its start; seconds."""
    everything = _run(bench.folder, bench.ours, edges)
    one = _run(bench.folder, bench.ours, ADDRESSES, "--target", "s00000.bench.example")
    return (everything - one) / (edges - ADDRESSES)


def _run(folder: Path, core: int, edges: int, *more: str) -> float:
    command = [sys.executable, "-m", "probe", "check", "-c", str(folder / "probe.yaml"), *more]
    before = _children()
    done = subprocess.run(
        ["taskset", "-c", str(core), *command, "-o", "json"],
        capture_output=True,
        env={**os.environ, **BYTECODE, "BENCH_SECRET": "not-secret"},
        check=False,
    )
    used = _children() - before
    passed = json.loads(done.stdout or b"{}").get("summary", {}).get("pass")
    if passed != edges:
        raise BenchmarkError(f"{passed} of {edges} attempts passed: {done.stderr.decode()[-500:]}")
    return used


def _children() -> float:
    """CPU of children that have ended, in seconds."""
    times = os.times()
    return times.children_user + times.children_system
