"""Timings that are true: a server that delays its ServerHello by exactly 50 ms.

The server notes, for each handshake, how long after the kernel's arrival of the ClientHello its
answer really left; what the agent reported for the same handshake is compared with that. The
agent is the real one, with a tap where results are filed.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from .agent import agent, tls_config
from .case import Bench, Report, percentile
from .peer import blackbox
from .process import BenchmarkError, Process, running
from .server import free_ports

DELAY = 0.050
RATES = (50, 200, 400)


def timings(bench: Bench) -> Report:
    """Each rate in turn."""
    report = Report(
        "error of the reported handshake time against a ServerHello delayed by 50 ms, ms",
        ("per second", "p50", "p99", "from kernel", "dropped as late", "peer p50", "peer p99"),
    )
    seconds = 4.0 if bench.quick else 10.0
    for rate in (200,) if bench.quick else RATES:
        errors, kernel, untrusted = _ours(bench, rate, seconds)
        peers = _peers(bench, rate, seconds)
        report.add(
            str(rate),
            *(f"{1e3 * percentile(errors, share):.2f}" if errors else "-" for share in (0.5, 0.99)),
            f"{100 * kernel:.0f} %",
            f"{100 * untrusted:.1f} %",
            f"{1e3 * percentile(peers, 0.5):.2f}",
            f"{1e3 * percentile(peers, 0.99):.2f}",
        )
        right = not errors or (
            abs(percentile(errors, 0.5)) <= 0.002 and abs(percentile(errors, 0.99)) <= 0.010
        )
        report.hold(f"{rate}/s: within 2 ms at p50 and 10 ms at p99, or dropped as late", right)
        report.data[str(rate)] = {
            "errors": sorted(errors),
            "untrusted": untrusted,
            "kernel": kernel,
            "peer_errors": sorted(peers),
        }
    report.notes.append("the peer's is its probe_duration_seconds less 50 ms: it tells no phases")
    return report


def _ours(bench: Bench, rate: int, seconds: float) -> tuple[list[float], float, float]:
    """Errors of results that count; shares that the kernel timed, and that were too late."""
    tapped, noted = bench.folder / "tap.jsonl", bench.folder / "delays.jsonl"
    tapped.unlink(missing_ok=True)
    (port,) = free_ports(1)
    with running(_server(bench, port, noted)) as server:
        server.until(lambda: "ready" in server.log.read_text())
        config = tls_config(bench.folder, bench.pki, port, targets=2 * rate, interval=2)
        with agent(
            bench.folder,
            config,
            core=bench.ours,
            module=f"{__package__}.tapped",
            environ={"BENCH_TAP": str(tapped)},
        ):
            time.sleep(4 + seconds)
    results = [json.loads(line) for line in tapped.read_text().splitlines()]
    delays: dict[str, list[float]] = {}
    for line in noted.read_text().splitlines():
        name, delay = json.loads(line)
        delays.setdefault(name, []).append(delay)
    errors, kernel, late, counted = [], 0, 0, 0
    seen: dict[str, int] = {}
    for result in results:
        place = seen.get(result["target"], 0)
        seen[result["target"]] = place + 1
        known = delays.get(result["target"], [])
        if result["tls"] is None:
            raise BenchmarkError(f"an attempt failed: {result}")
        if place == 0 or place >= len(known):
            continue  # the first of each: the agent was starting
        counted += 1
        if result["lag"] > result["bound"]:
            late += 1
            continue
        kernel += result["clock"] == "kernel"
        errors.append(result["tls"] - known[place])
    if not counted:
        raise BenchmarkError("no result can be matched with what the server noted")
    return errors, kernel / max(1, len(errors)), late / counted


def _peers(bench: Bench, rate: int, seconds: float) -> list[float]:
    (port,) = free_ports(1)
    with running(_server(bench, port, bench.folder / "peer-delays.jsonl")) as server:
        server.until(lambda: "ready" in server.log.read_text())
        with blackbox(bench.folder, bench.pki, core=bench.ours) as peer:
            durations = peer.drive(
                "tls", f"127.0.0.1:{port}", seconds, rate=rate, clients=max(8, rate // 8)
            )
    return [duration - DELAY for duration in durations]


def _server(bench: Bench, port: int, noted: Path) -> Process:
    noted.unlink(missing_ok=True)
    arguments = [str(port), str(bench.pki.chain), str(bench.pki.key), str(DELAY), str(noted)]
    command = [sys.executable, "-m", f"{__package__}.late_server", *arguments]
    return Process(command, bench.folder / "late.out", core=bench.theirs)
