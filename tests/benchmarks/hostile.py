"""Hostile servers beside a healthy check: how late the healthy one starts in a real agent."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import trio

from tests.support.http_server import Ca
from tests.support.zoo import NAME, ZOO, Beast, running

from .agent import Agent, agent, quantile, write_targets
from .case import Bench, Report
from .process import BenchmarkError
from .server import nginx

HEALTHY = 20
"""Targets of the healthy check, each every second."""

FOES = 4
"""Checks of the hostile server, each every two seconds."""

ON_TIME = 0.05
"""Seconds: what is due within 30 ms starts together, and a bucket of the histogram ends here."""

SHARE = 0.99
_LATENESS, _LAG = "probe_agent_schedule_lateness_seconds", "probe_agent_loop_lag_seconds"
QUICK = 8  # each so many-th server


def hostile(bench: Bench) -> Report:
    """Each hostile server in turn, and first none."""
    report = Report(
        "hostile servers: lateness of a healthy check beside each",
        ("server", "starts", "on time %", "late p99 ms", "lag p99 ms", "CPU %"),
    )
    seconds = 4.0 if bench.quick else 5.0
    ca = Ca(bench.folder)
    chosen = ZOO[::QUICK] if bench.quick else ZOO
    worst: dict[str, float] = {}
    with nginx(bench.folder, bench.pki, core=bench.theirs) as server:
        for one in (None, *chosen):
            name = "none" if one is None else one.name
            with _served(one, ca, bench.theirs) as port:
                config = _config(bench, server.tls_port, one, port, ca)
                try:
                    with agent(bench.folder, config, core=bench.ours) as started:
                        worst[name] = _measure(report, name, started, seconds)
                except BenchmarkError as error:  # the others are measured all the same
                    report.notes.append(f"{name}: not measured: {error}")
                    worst[name] = 0.0
    late = [name for name, share in worst.items() if share < SHARE and name != "none"]
    report.hold(
        f"{SHARE:.0%} of a healthy check's starts on time beside each of {len(chosen)}"
        + (f"; not beside {', '.join(late)}" if late else ""),
        not late,
    )
    if worst["none"] < SHARE:
        report.notes.append("not even beside none: this machine is busy, and the bar says nothing")
    report.data = {"on_time": worst}
    return report


def _measure(report: Report, name: str, started: Agent, seconds: float) -> float:
    """A row; gives the share of the healthy check's starts that were on time."""
    time.sleep(2.0)  # the first round, with its compilations and caches
    before, cpu, began = started.scrape(), started.process.cpu(), time.monotonic()
    time.sleep(seconds)
    after, spent = started.scrape(), time.monotonic() - began
    cpu = (started.process.cpu() - cpu) / spent
    at_first, at_last = (_buckets(one.text, 'check="healthy"') for one in (before, after))
    counts = {bound: count - at_first.get(bound, 0.0) for bound, count in at_last.items()}
    starts = counts.get(math.inf, 0.0)
    if starts < HEALTHY:
        raise BenchmarkError(f"beside {name}: {starts:.0f} starts of the healthy check")
    share = counts[ON_TIME] / starts
    late = quantile(at_first, at_last, 0.99)
    lag = quantile(before.buckets(_LAG), after.buckets(_LAG), 0.99)
    row = (f"{starts:.0f}", f"{100 * share:.1f}", f"{1e3 * late:.0f}", f"{1e3 * lag:.0f}")
    report.add(name, *row, f"{100 * cpu:.0f}")
    return share


def _buckets(text: str, label: str) -> dict[float, float]:
    found: dict[float, float] = {}
    for line in text.splitlines():
        if line.startswith(f"{_LATENESS}_bucket{{") and label in line:
            bound = line.partition('le="')[2].partition('"')[0]
            found[float(bound)] = found.get(float(bound), 0.0) + float(line.rsplit(" ", 1)[1])
    return found


@contextmanager
def _served(one: Beast | None, ca: Ca, core: int | None) -> Iterator[int]:
    """Run a hostile server in a thread of this process, on the servers' core."""
    if one is None:
        yield 0
        return
    ports: list[int] = []
    ready, over = threading.Event(), threading.Event()

    async def serve() -> None:
        if core is not None:
            os.sched_setaffinity(0, {core})  # this thread alone
        async with running(one, ca) as port:
            ports.append(port)
            ready.set()
            while not over.is_set():
                await trio.sleep(0.05)

    thread = threading.Thread(target=trio.run, args=(serve,))
    thread.start()
    try:
        if not ready.wait(60):
            raise BenchmarkError(f"{one.name} does not start")
        yield ports[0]
    finally:
        over.set()
        thread.join()


def _config(bench: Bench, healthy: int, one: Beast | None, port: int, ca: Ca) -> str:
    write_targets(bench.folder, HEALTHY)
    return f"""\
region: bench
defaults: {{interval: 2s, timeout: 2s}}
targets:
  stores: {{files: [targets.json]}}
  foe: {{static: [{NAME}]}}
providers:
  well: {{addresses: ["127.0.0.1:{healthy}"]}}
{_provider(one, port)}
checks:
  - name: healthy
    kind: tls
    targets: stores
    providers: [well]
    interval: 1s
    timeout: 1s
    trust: {{file: {bench.pki.root}}}
{_check(one, port, ca.roots)}
"""


def _provider(one: Beast | None, port: int) -> str:
    if one is None:
        return ""
    if one.kind == "dns":
        return f'  foe: {{dns: {{servers: ["127.0.0.1:{port}"]}}}}'
    return f'  foe: {{addresses: ["127.0.0.1:{port}"]}}'


def _check(one: Beast | None, port: int, roots: Path) -> str:
    if one is None:
        return ""
    common = f"targets: foe, providers: [foe], trust: {{file: {roots}}}"
    if one.kind in {"tls", "smtp", "dns"}:
        starttls = ", starttls: smtp" if one.kind == "smtp" else ""
        return "\n".join(
            f"  - {{name: foe-{n}, kind: tls, {common}{starttls}}}" for n in range(FOES)
        )
    http2 = ", http2: true" if one.kind == "http2" else ", http2: false"
    expect = """{status: 200, json: "sort_by(@, &to_string(@))[0]", matches: "([ab]*a[ab]{30})z"}"""
    url = f"https://{NAME}:{port}/"
    step = f'{{name: home, layer: edge, get: "{url}", follow_redirects: 3, expect: {expect}}}'
    return "\n".join(
        f"  - {{name: foe-{n}, kind: api, {common}{http2}, steps: [{step}]}}" for n in range(FOES)
    )
