"""The port under a flood: idle, dripping and slow clients, and TLS handshakes that never end.

A real agent with 10,000 edges that all fail, which is when its answers are longest and somebody
wants to see why. A second process floods it; this one asks as Prometheus and the kubelet do.
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import sys
import time
from collections.abc import Callable

from .agent import Agent, agent
from .case import Bench, Report
from .process import BYTECODE, Process, running

MIB = 1024 * 1024
WITHIN, MEMORY = 1.0, 64
"""Seconds for each answer, and MiB that a flood may cost."""

FLOODS: dict[str, dict[str, int]] = {
    "nobody": {},
    "2,000 idle": {"idle": 2000},
    "2,000 dripping": {"drip": 2000},
    "2,000 dripping, 100 slow readers of /metrics": {"drip": 2000, "/metrics": 100},
    "2,000 idle, 100 slow readers of the API": {"idle": 2000, "/api/v1/status?edges=10000": 100},
    "250 readers of the API": {"read /api/v1/status?edges=10000": 250},
}
TLS_FLOODS = {
    "2,000 handshakes that stop after ClientHello": {"hello": 2000},
    "2,000 idle, over TLS": {"idle": 2000},
}


def config(edges: int, *, web: str | None) -> str:
    """Edges of the loopback where nobody listens."""
    names = ", ".join(f"store-{number:05}.example" for number in range(edges // 20))
    places = [", ".join(f"127.{net}.0.{host}" for host in range(1, 11)) for net in (1, 2)]
    lines = [
        "region: sa-east",
        "providers:",
        *(f"  p{number}: {{addresses: [{one}]}}" for number, one in enumerate(places, 1)),
        f"targets: {{stores: {{static: [{names}]}}}}",
        "checks:",
        "  - {name: stores, kind: tls, targets: stores, providers: [p1, p2], port: 1,"
        " interval: 10m, timeout: 5s}",
    ]
    if web is not None:
        lines.insert(1, f"web_config: {web}")
    return "\n".join(lines) + "\n"


def flood(bench: Bench) -> Report:
    """How long scrapes and health checks take, and what memory does."""
    report = Report(
        "the port under a flood, 10,000 failing edges",
        ("flood", "health, s", "ready, s", "metrics, s", "MiB more", "connections"),
    )
    seconds = 4.0 if bench.quick else 20.0
    edges = 2000 if bench.quick else 10_000
    web = bench.folder / "web.yml"
    web.write_text(
        f"tls_server_config: {{cert_file: {bench.pki.chain}, key_file: {bench.pki.key}}}\n"
    )
    for floods, over in ((FLOODS, None), (TLS_FLOODS, str(web))):
        scheme = "http" if over is None else "https"
        text = config(edges, web=over)
        with agent(bench.folder, text, core=bench.ours, scheme=scheme) as started:
            _seen(started, edges)
            for name, clients in floods.items():
                _one(report, bench, name, clients, started, seconds)
    return report


def _seen(started: Agent, edges: int) -> None:
    port, tls = _where(started)

    def all_seen() -> bool:
        # Prepared: every edge has failed, so that its evidence is kept and shown.
        return _answer(port, "/metrics", tls=tls).count(b'state="failing"') >= edges

    started.process.until(all_seen, within=400, every=3.0)


def _one(
    report: Report,
    bench: Bench,
    name: str,
    clients: dict[str, int],
    started: Agent,
    seconds: float,
) -> None:
    """One flood against an agent that knows everything."""
    port, tls = _where(started)
    for _ in range(3):  # the first answers fill pools that stay
        for path in ("/metrics", "/api/v1/status?edges=500"):
            _answer(port, path, tls=tls)
    before = most = started.process.resident()
    words = [f"{kind}={count}" for kind, count in clients.items()]
    command = [sys.executable, "-m", "tests.benchmarks.flood", str(port), *words]
    slowest = dict.fromkeys(("/healthz", "/readyz", "/metrics"), 0.0)
    held = 0
    with running(Process(command, bench.folder / "flood.log", core=bench.theirs, environ=BYTECODE)):
        time.sleep(2)
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            for path in slowest:
                slowest[path] = max(slowest[path], _asked(port, path, tls=tls))
            most = max(most, started.process.resident())
            held = max(held, len(os.listdir(f"/proc/{started.process.pid}/fd")))  # noqa: PTH208
            time.sleep(0.2)
    more = (most - before) / MIB
    report.add(name, *(f"{value:.2f}" for value in slowest.values()), f"{more:.0f}", str(held))
    report.hold(
        f"{name}: every answer within {WITHIN:.0f} s, {MEMORY} MiB more at most: "
        f"{max(slowest.values()):.2f} s, {more:.0f} MiB",
        max(slowest.values()) <= WITHIN and more <= MEMORY,
    )
    report.data[name] = {"slowest": slowest, "mib": more, "descriptors": held}


def _where(started: Agent) -> tuple[int, bool]:
    """Its port, and whether it speaks TLS."""
    return int(started.address.rpartition(":")[2]), started.address.startswith("https")


def _asked(port: int, path: str, *, tls: bool) -> float:
    """Seconds until the whole answer is there; a minute when it does not come whole."""
    began = time.monotonic()
    answer = _answer(port, path, tls=tls)
    whole = answer.endswith((b"\r\n0\r\n\r\n", b"ok\n", b"ready\n"))
    return time.monotonic() - began if whole and b" 200 " in answer[:20] else 60.0


def _answer(port: int, path: str, *, tls: bool) -> bytes:
    try:
        sock = socket.create_connection(("127.0.0.1", port), timeout=10)
        if tls:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            sock = context.wrap_socket(sock)
        with sock:
            lines = (f"GET {path} HTTP/1.1", "Host: localhost", "Connection: close", "", "")
            sock.sendall("\r\n".join(lines).encode())
            answer = bytearray()
            while data := sock.recv(1 << 20):
                answer += data
    except OSError:
        return b""
    return bytes(answer)


# ---------------------------------------------------------------- the flooding process


def hello() -> bytes:
    """A ClientHello as this Python sends it."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context()
    tls = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


def flooding(port: int, words: dict[str, int]) -> None:
    """Keep so many clients of each kind at the port, each replaced when it is sent away."""
    asking = "GET {} HTTP/1.1\r\nHost: localhost\r\nX: "
    hand = hello()
    first: dict[str, Callable[[], bytes]] = {
        "idle": lambda: b"",
        "drip": lambda: asking.format("/").encode(),
        "hello": lambda: hand,
    }
    clients: list[tuple[str, socket.socket | None]] = [
        (kind, None) for kind, count in words.items() for _ in range(count)
    ]
    while True:
        for place, (kind, sock) in enumerate(clients):
            clients[place] = (kind, _renewed(port, kind, sock, first))
            time.sleep(0.0002)  # some thousand a second, as one machine can send


def _renewed(
    port: int, kind: str, sock: socket.socket | None, first: dict[str, Callable[[], bytes]]
) -> socket.socket | None:
    try:
        if sock is None:
            sock = socket.socket()
            if kind not in first and not kind.startswith("read "):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.settimeout(0.5)
            sock.connect(("127.0.0.1", port))
            sock.setblocking(False)
            path = kind.removeprefix("read ")
            ask = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
            sock.send(first[kind]() if kind in first else ask.encode())
        elif kind == "drip":
            sock.send(b"a")
        elif kind in first or kind.startswith("read "):
            while data := sock.recv(1 << 16):
                del data
            sock.close()
            return None
        elif not sock.recv(1024):  # a slow reader takes a kilobyte now and then
            sock.close()
            return None
    except BlockingIOError:
        pass
    except OSError:
        if sock is not None:
            sock.close()
        return None
    return sock


if __name__ == "__main__":
    flooding(
        int(sys.argv[1]),
        {kind: int(count) for kind, _, count in (word.rpartition("=") for word in sys.argv[2:])},
    )
