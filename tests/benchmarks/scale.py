"""Growth: what an edge costs in CPU, memory and scrapes, from 100 edges to 20,000."""

from __future__ import annotations

import time
from dataclasses import dataclass

from .agent import OPENMETRICS, TEXT, Agent, Scrape, agent, quantile, tls_config, write_targets
from .case import Bench, Report
from .process import BenchmarkError
from .server import Server, nginx

SIZES = ((100, 1), (1_000, 3), (10_000, 30), (20_000, 60))
"""Edges and interval in seconds; from 1,000 on the rate is the same, 333 probes a second."""

QUICK = ((100, 1), (1_000, 3))
ADDRESSES = 10  # of one provider: 10,000 edges are 1,000 targets through 10 addresses
SERIES_BAR, MIB = 10_000, 1024 * 1024


@dataclass(frozen=True)
class Size:
    """What was measured with so many edges."""

    edges: int
    interval: float
    cost: float
    share: float
    lateness: float
    lag: float
    resident: int
    series: int
    scrapes: dict[str, float]
    scrape_bytes: dict[str, int]
    scrape_lag: float


def growth(bench: Bench) -> Report:
    """Each size in turn, with a real agent."""
    report = Report(
        "growth: one agent on one core",
        (
            "edges",
            "every s",
            "µs CPU/probe",
            "% of core",
            "late p99 ms",
            "lag p99 ms",
            "MiB",
            "series",
            "scrape text s",
            "openmetrics s",
            "gzip s",
            "lag at scrapes p99 ms",
        ),
    )
    sizes = []
    for edges, interval in QUICK if bench.quick else SIZES:
        with nginx(bench.folder, bench.pki, core=bench.theirs) as server:
            config = tls_config(
                bench.folder,
                bench.pki,
                server.wide_port,
                targets=edges // ADDRESSES,
                interval=interval,
                addresses=ADDRESSES,
            )
            with agent(bench.folder, config, core=bench.ours) as running:
                size = _measure(running, server, edges, interval, 3.0 if bench.quick else 10.0)
        sizes.append(size)
        report.add(
            f"{edges:,}",
            f"{interval}",
            f"{1e6 * size.cost:.0f}",
            f"{100 * size.share:.0f}",
            f"{1e3 * size.lateness:.0f}",
            f"{1e3 * size.lag:.0f}",
            f"{size.resident / MIB:.0f}",
            f"{size.series:,}",
            *(f"{size.scrapes[form]:.3f}" for form in ("text", "openmetrics", "gzip")),
            f"{1e3 * size.scrape_lag:.0f}",
        )
    _judge(report, sizes)
    return report


def _judge(report: Report, sizes: list[Size]) -> None:
    first, last = sizes[0], sizes[-1]
    each = (last.resident - first.resident) / (last.edges - first.edges)
    report.notes.append(f"memory for one more edge: {each:.0f} bytes")
    for size in sizes:
        if size.edges == SERIES_BAR:
            report.hold(f"one core at most: {100 * size.share:.0f} %", size.share <= 1)
            report.hold(
                f"start lateness p99 at most 50 ms: {1e3 * size.lateness:.0f}",
                size.lateness <= 0.05,
            )
            report.hold(f"loop lag p99 at most 20 ms: {1e3 * size.lag:.0f}", size.lag <= 0.02)
            report.hold(
                f"memory at most 200 MiB: {size.resident / MIB:.0f}", size.resident <= 200 * MIB
            )
            worst = max(size.scrapes.values())
            report.hold(f"a scrape at most 0.3 s of CPU: {worst:.3f}", worst <= 0.3)
            report.hold(
                f"lag while being scraped p99 at most 20 ms: {1e3 * size.scrape_lag:.0f}",
                size.scrape_lag <= 0.02,
            )
    report.data = {
        "bytes_per_edge": each,
        "sizes": [{name: getattr(size, name) for name in Size.__annotations__} for size in sizes],
    }


def _measure(running: Agent, server: Server, edges: int, interval: float, seconds: float) -> Size:
    process = running.process
    process.until(lambda: server.handshakes() >= edges, within=3 * interval + 30)
    time.sleep(2)
    before = running.scrape()
    shaken, start, began = server.handshakes(), process.cpu(), time.monotonic()
    time.sleep(seconds)
    used, took = process.cpu() - start, time.monotonic() - began
    shaken = server.handshakes() - shaken
    after = running.scrape()
    if after.total("probe_edge_failed_attempts_total"):
        raise BenchmarkError("attempts failed")
    if after.total("probe_edge_up") != edges:
        raise BenchmarkError(f"{after.total('probe_edge_up'):.0f} of {edges} edges are up")
    share = used / took
    scrapes: dict[str, float] = {}
    sizes: dict[str, int] = {}
    for name, accept, squeezed in (
        ("text", TEXT, False),
        ("openmetrics", OPENMETRICS, False),
        ("gzip", OPENMETRICS, True),
    ):
        scrapes[name], sizes[name] = _scrape_cost(running, accept, squeezed, share)
    last = running.scrape()
    return Size(
        edges=edges,
        interval=interval,
        cost=used / shaken,
        share=share,
        lateness=_between(before, after, "probe_agent_schedule_lateness_seconds"),
        lag=_between(before, after, "probe_agent_loop_lag_seconds"),
        resident=process.resident(),
        series=after.series,
        scrapes=scrapes,
        scrape_bytes=sizes,
        scrape_lag=_between(after, last, "probe_agent_loop_lag_seconds"),
    )


def _between(before: Scrape, after: Scrape, name: str) -> float:
    return quantile(before.buckets(name), after.buckets(name), 0.99)


def _scrape_cost(running: Agent, accept: str, squeezed: bool, share: float) -> tuple[float, int]:
    """CPU of one scrape: what a few use beyond the probing that goes on meanwhile."""
    times, size = 5, 0
    start, began = running.process.cpu(), time.monotonic()
    for _ in range(times):
        size = running.scrape(accept=accept, squeezed=squeezed).size
    probing = share * (time.monotonic() - began)
    return max(0.0, (running.process.cpu() - start - probing) / times), size


# ---------------------------------------------------------------- long lists

LISTED = 50_000
"""As many targets as a list has by default."""


def lists(bench: Bench) -> Report:
    """A list that grows to its limit while the agent runs, and then changes a little.

    The provider's one edge is probed every ten minutes: what is measured is the list, and the first
    look at each target, which comes within a minute.
    """
    number = 5_000 if bench.quick else LISTED
    report = Report(
        f"a list of {number:,} targets in a running agent",
        ("what", "in use after s", "lag p99 ms", "lag most ms", "MiB"),
    )
    with nginx(bench.folder, bench.pki, core=bench.theirs) as server:
        port = server.tls_port
        config = tls_config(bench.folder, bench.pki, port, targets=1_000, interval=600)
        with agent(bench.folder, config, core=bench.ours) as running:
            running.process.until(lambda: server.handshakes() >= 1_000, within=120)
            report.add("1,000 targets", "", "", "", f"{running.process.resident() / MIB:.0f}")
            rows = []
            for what, first, last in (
                (f"grows to {number:,}", 0, number),
                ("a hundredth is replaced", number // 100, number + number // 100),
            ):
                rows.append(_followed(running, bench, what, first, last))
                report.add(*(str(cell) for cell in rows[-1]))
                running.process.until(lambda: server.handshakes() >= number, within=600, every=1.0)
    for what, _, lag, most, _ in rows:
        report.hold(f"lag at most 20 ms, p99, when the list {what}: {lag:.0f}", lag <= 20)
        report.hold(f"lag at most 20 ms, all, when the list {what}: {most:.0f}", most <= 20)
    report.data = {"number": number, "rows": rows}
    return report


def _followed(
    running: Agent, bench: Bench, what: str, first: int, last: int
) -> tuple[str, float, float, float, int]:
    """Replace the list, and wait until it is in use and some seconds more."""
    log = running.process.log
    told = log.read_text().count("targets changed")
    before, began = running.scrape(), time.monotonic()
    write_targets(bench.folder, last, first)
    running.process.until(
        lambda: log.read_text().count("targets changed") > told, within=120, every=0.2
    )
    took = time.monotonic() - began
    time.sleep(15)
    after = running.scrape()
    name = "probe_agent_loop_lag_seconds"
    lags = (quantile(before.buckets(name), after.buckets(name), share) for share in (0.99, 1.0))
    p99, most = (1e3 * one for one in lags)
    return what, round(took, 1), round(p99, 1), round(most, 1), running.process.resident() // MIB
