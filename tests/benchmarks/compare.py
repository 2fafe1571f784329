"""CPU for one probe, ours and blackbox_exporter's in turns, against the same server.

Both probe at the same rate from the same core; server and clients sit on the other one. Ours is
the whole agent (schedule, DNS cache, judgement, state, metrics), measured between two scrapes;
the peer's is what Prometheus makes it do, one request to /probe for each attempt.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from .agent import LIKE_GO, Agent, agent, flow_config, https_config, tls_config
from .case import Bench, Report, Spread
from .peer import Blackbox, blackbox
from .pki import DOMAIN, Pki
from .process import BenchmarkError
from .server import Server, nginx

RATE = 333
"""Probes a second: an agent with 10,000 edges every 30 s, for which it is designed."""

INTERVAL = 2
"""Seconds between two probes of the same target."""


@dataclass(frozen=True)
class Duel:
    """One kind of probe.

    Attributes:
        configure: folder, certificates, port, number of targets → the agent's configuration.
        module: of blackbox_exporter.
        calls: handshakes in one run of ours, each of which is one attempt of the peer.
        bar: the most that ours may cost, as a share of the peer's; None where it does more work.
    """

    title: str
    configure: Callable[[Path, Pki, Server, int], str]
    module: str
    url: Callable[[Server], str]
    counter: str
    failed: str
    calls: int = 1
    bar: float | None = 1.0


def _tls(folder: Path, pki: Pki, server: Server, targets: int) -> str:
    return tls_config(
        folder, pki, server.tls_port, targets=targets, interval=INTERVAL, profile=LIKE_GO
    )


def _browser(folder: Path, pki: Pki, server: Server, targets: int) -> str:
    return tls_config(folder, pki, server.tls_port, targets=targets, interval=INTERVAL)


def _https(folder: Path, pki: Pki, server: Server, targets: int) -> str:
    return https_config(folder, pki, server.https_port, targets=targets, interval=INTERVAL)


def _flow(folder: Path, pki: Pki, server: Server, targets: int) -> str:
    return flow_config(folder, pki, server.https_port, targets=targets, interval=INTERVAL)


_TLS = Duel(
    "TLS probe: connect, full handshake, chain judged; same key exchange offered",
    _tls,
    "tls",
    lambda server: f"127.0.0.1:{server.tls_port}",
    "probe_edge_attempts_total",
    "probe_edge_failed_attempts_total",
    bar=0.76,
)

DUELS = {
    "tls": _TLS,
    "browser": replace(
        _TLS,
        title="TLS probe as browsers do it: with a key share of X25519MLKEM768, "
        "which the peer lacks",
        configure=_browser,
        bar=None,
    ),
    "https": Duel(
        "HTTPS GET over a fresh connection",
        _https,
        "https",
        lambda server: f"https://127.0.0.1:{server.https_port}/",
        "probe_step_attempts_total",
        "probe_step_failed_attempts_total",
        bar=0.80,
    ),
    "flow": Duel(
        "three-step API flow with a kept token, cost of one call",
        _flow,
        "api",
        lambda server: f"https://127.0.0.1:{server.https_port}/api/items",
        "probe_step_attempts_total",
        "probe_step_failed_attempts_total",
        calls=3,
        bar=0.90,
    ),
}


def duel(bench: Bench, name: str) -> Report:
    """Alternate the two and compare."""
    case = DUELS[name]
    report = Report(case.title, ("prober", "µs of CPU per probe", "probes", "full handshakes"))
    rounds, seconds = (1, 2.0) if bench.quick else (3, 5.0)
    ours: list[float] = []
    theirs: list[float] = []
    probes = [0, 0]
    counted = [0, 0]
    with nginx(bench.folder, bench.pki, core=bench.theirs) as server:
        for _ in range(rounds):
            before = server.handshakes()
            with blackbox(bench.folder, bench.pki, core=bench.ours) as peer:
                cost, count = _peer(peer, case, server, seconds)
            theirs.append(cost)
            middle = server.handshakes()
            with agent(
                bench.folder,
                case.configure(bench.folder, bench.pki, server, RATE * INTERVAL // case.calls),
                core=bench.ours,
            ) as running:
                cost, own = _own(running, case, server, seconds)
            ours.append(cost)
            probes = [probes[0] + own[0], probes[1] + count]
            counted = [counted[0] + own[1], counted[1] + middle - before]
    ratios = Spread.of([our / their for our, their in zip(ours, theirs, strict=True)])
    mine, peers = Spread.of(ours), Spread.of(theirs)
    report.add("this agent", mine.text(1e6), str(probes[0]), str(counted[0]))
    report.add("blackbox_exporter", peers.text(1e6), str(probes[1]), str(counted[1]))
    report.add("ratio", ratios.text(1, ".2f"), "", "")
    if case.bar is not None:
        report.hold(f"ratio at most {case.bar:g}: {ratios.median:.2f}", ratios.median <= case.bar)
    report.data = {
        "ours_seconds": ours,
        "theirs_seconds": theirs,
        "ratios": ratios.values,
        "ratio": ratios.median,
        "probes": probes,
        "handshakes": counted,
    }
    return report


def _peer(peer: Blackbox, case: Duel, server: Server, seconds: float) -> tuple[float, int]:
    """CPU of one attempt, and how many there were, the warm-up included."""
    warm = peer.drive(case.module, case.url(server), 1.0, rate=RATE)
    start = peer.process.cpu()
    done = peer.drive(case.module, case.url(server), seconds, rate=RATE)
    return (peer.process.cpu() - start) / len(done), len(warm) + len(done)


def _own(
    running: Agent, case: Duel, server: Server, seconds: float
) -> tuple[float, tuple[int, int]]:
    """CPU of one attempt; attempts and full handshakes in the window."""
    running.process.until(
        lambda: running.scrape().total(case.counter, 'check="bench"') >= RATE * (INTERVAL + 1)
    )
    outer = server.handshakes()
    first = running.scrape()
    shaken, start = server.handshakes(), running.process.cpu()
    time.sleep(seconds)
    used, shaken = running.process.cpu() - start, server.handshakes() - shaken
    last = running.scrape()
    outer = server.handshakes() - outer
    if last.total(case.failed):
        raise BenchmarkError(f"attempts of the agent failed: {running.process.log}")
    # Cost is by the server's count; what the agent counts must fit between two counts of it.
    attempts = round(last.total(case.counter) - first.total(case.counter))
    if not 0.95 * shaken <= attempts <= 1.05 * outer:
        raise BenchmarkError(f"{attempts} attempts, the server saw {shaken} to {outer} handshakes")
    return used / shaken, (attempts, shaken)


def facts(bench: Bench) -> Report:
    """What each can tell of a chain that nobody trusts, and of a name with two addresses."""
    report = Report(
        "what one run tells: an edge with an untrusted chain beside a good one",
        ("fact", "this agent", "blackbox_exporter"),
    )
    with nginx(bench.folder, bench.pki, core=bench.theirs) as server:
        config = tls_config(bench.folder, bench.pki, server.tls_port, targets=1, interval=INTERVAL)
        config = config.replace("[127.0.0.1]", f'["127.0.0.1", "127.0.0.1:{server.stranger_port}"]')
        with agent(bench.folder, config, core=bench.ours) as running:
            running.process.until(
                lambda: running.scrape().total("probe_edge_failed_attempts_total") > 0
            )
            seen = running.scrape()
        with blackbox(bench.folder, bench.pki, core=bench.ours) as peer:
            body = peer.probe("tls", f"127.0.0.1:{server.stranger_port}")
    bad = f'edge="127.0.0.1:{server.stranger_port}"'
    mine = {
        "reason of the failure": _label(seen.text, "probe_edge_failures_total", bad, "reason"),
        "expiry of the bad certificate": _has(
            seen.text, "probe_edge_certificate_not_after_timestamp_seconds", bad
        ),
        "its fingerprint": _has(seen.text, "probe_edge_certificate_info", bad),
        "the good edge beside it": _has(
            seen.text, "probe_edge_up", f'edge="127.0.0.1:{server.tls_port}"'
        ),
    }
    peers = {
        "reason of the failure": "no (log only)",
        "expiry of the bad certificate": _has(body, "probe_ssl_earliest_cert_expiry", ""),
        "its fingerprint": _has(body, "probe_ssl_last_chain_info", ""),
        "the good edge beside it": "no (one address per attempt)",
    }
    for fact, answer in mine.items():
        report.add(fact, answer, peers[fact])
    report.notes.append(f"server name s00000.{DOMAIN}; the peer's metrics after a failed handshake")
    report.data = {"ours": mine, "theirs": peers}
    return report


def _has(text: str, name: str, label: str) -> str:
    found = any(
        line.startswith((f"{name}{{", f"{name} ")) and label in line for line in text.splitlines()
    )
    return "yes" if found else "no"


def _label(text: str, name: str, label: str, wanted: str) -> str:
    for line in text.splitlines():
        if line.startswith(f"{name}{{") and label in line:
            return line.split(f'{wanted}="')[1].split('"')[0]
    return "no"
