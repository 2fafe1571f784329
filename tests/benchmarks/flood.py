"""The port under a flood: idle, dripping and slow clients, and TLS handshakes that never end.

A real agent with 10,000 edges that all fail, which is when its answers are longest and somebody
wants to see why. A second process floods it from 127.0.0.2; this one asks from 127.0.0.1, as
Prometheus and the kubelet do. One row floods from 127.0.0.1 too, as if all came through one NAT:
nobody can tell them apart there, so that some answers must come, and not all.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import ssl
import sys
import time

from .agent import Agent, agent
from .case import Bench, Report
from .process import BYTECODE, Process, running

MIB = 1024 * 1024
WITHIN, MEMORY = 1.0, 64
"""Seconds for each answer, and MiB that a flood may cost."""

PATIENCE, QUICK_PATIENCE = 10.0, 3.0
"""Seconds after which nobody waits for an answer; Prometheus waits ten by default."""

RATE, QUICK_EDGES, EDGES = 200, 100, 10_000
"""Connections a second that one attacker opens for those that were closed; failing edges."""

FLOODS: dict[str, dict[str, int]] = {
    "nobody": {},
    "2,000 idle": {"idle": 2000},
    "2,000 dripping": {"drip": 2000},
    "2,000 dripping, reconnecting without bound": {"drip": 2000, "rate": 0},
    "2,000 dripping, 100 slow readers of /metrics": {"drip": 2000, "/metrics": 100},
    "2,000 idle, 100 slow readers of the API": {"idle": 2000, "/api/v1/status?edges=10000": 100},
    "250 readers of the API": {"read /api/v1/status?edges=10000": 250},
}
TLS_FLOODS = {
    "2,000 handshakes that stop after ClientHello": {"hello": 2000},
    "the same, reconnecting without bound": {"hello": 2000, "rate": 0},
    "the same, from the scraper's own address": {"hello": 2000, "rate": 0, "from": 1},
    "2,000 idle, over TLS": {"idle": 2000},
}
"""Clients of each kind; ``rate`` where it is another: 0 is as fast as the flooder can; ``from``:
the last number of the address that they have."""

QUICKLY = ("2,000 dripping, 100", "2,000 dripping, rec", "250", "2,000 handshakes", "the same")


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
        f" interval: {max(edges // 60, 5)}s, timeout: 5s}}",
    ]
    if web is not None:
        lines.insert(1, f"web_config: {web}")
    return "\n".join(lines) + "\n"


def flood(bench: Bench) -> Report:
    """How long scrapes and health checks take, and what memory does."""
    report = Report(
        f"the port under a flood, {QUICK_EDGES if bench.quick else EDGES} failing edges",
        (
            "flood",
            "health, s",
            "ready, s",
            "metrics, s",
            "answers",
            "MiB more",
            "descriptors",
            "CPU, %",
        ),
    )
    seconds = 1.0 if bench.quick else 20.0
    edges = QUICK_EDGES if bench.quick else EDGES
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
                if bench.quick and not name.startswith(QUICKLY):
                    continue
                _one(report, bench, name, clients, started, seconds)
    return report


def _seen(started: Agent, edges: int) -> None:
    port, tls = _where(started)

    def all_seen() -> bool:
        # Prepared: every edge has failed, so that its evidence is kept and shown.
        return _answer(port, "/metrics", tls=tls).count(b'state="failing"') >= edges

    started.process.until(all_seen, within=400, every=1.0)


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
    kinds = [f"{kind}={count}" for kind, count in clients.items()]
    command = [sys.executable, "-m", "tests.benchmarks.flood", str(port), *kinds]
    slowest = dict.fromkeys(("/healthz", "/readyz", "/metrics"), 0.0)
    held = came = asked = 0
    patience = QUICK_PATIENCE if bench.quick else PATIENCE
    with running(Process(command, bench.folder / "flood.log", core=bench.theirs, environ=BYTECODE)):
        time.sleep(2)
        began, used = time.monotonic(), started.process.cpu()
        ends = began + seconds
        while time.monotonic() < ends:
            for path in slowest:
                took = _asked(port, path, tls=tls, patience=patience)
                slowest[path] = max(slowest[path], took)
                asked, came = asked + 1, came + (took < patience)
            most = max(most, started.process.resident())
            held = max(held, len(os.listdir(f"/proc/{started.process.pid}/fd")))  # noqa: PTH208
            time.sleep(0.2)
        share = (started.process.cpu() - used) / (time.monotonic() - began)
    more = (most - before) / MIB
    report.add(
        name,
        *(f"{value:.2f}" for value in slowest.values()),
        f"{came} of {asked}",
        f"{more:.0f}",
        str(held),
        f"{share:.0%}",
    )
    if clients.get("from") == 1:
        words, held_to = f"some answers come whole: {came} of {asked}", came > 0
    else:
        words = f"every answer within {WITHIN:.0f} s: {max(slowest.values()):.2f} s"
        held_to = max(slowest.values()) <= WITHIN
    report.hold(f"{name}: {words}", held_to)
    report.hold(f"{name}: {MEMORY} MiB more at most: {more:.0f} MiB", more <= MEMORY)
    report.data[name] = {"slowest": slowest, "came": came, "asked": asked, "mib": more}
    report.data[name] |= {"descriptors": held, "cpu": share}


def _where(started: Agent) -> tuple[int, bool]:
    """Its port, and whether it speaks TLS."""
    return int(started.address.rpartition(":")[2]), started.address.startswith("https")


def _asked(port: int, path: str, *, tls: bool, patience: float) -> float:
    """Seconds until the whole answer is there; all that one waits when it does not come whole."""
    began = time.monotonic()
    answer = _answer(port, path, tls=tls, patience=patience)
    whole = answer.endswith((b"\r\n0\r\n\r\n", b"ok\n", b"ready\n"))
    return time.monotonic() - began if whole and b" 200 " in answer[:20] else patience


def _answer(port: int, path: str, *, tls: bool, patience: float = PATIENCE) -> bytes:
    ends = time.monotonic() + patience
    try:
        sock = socket.create_connection(("127.0.0.1", port), timeout=patience)
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
                sock.settimeout(max(0.001, ends - time.monotonic()))
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


_BIND_ADDRESS_NO_PORT = 24  # ip(7): the port is chosen when it connects, so that none is refused


class Flooder:
    """Holds clients of some kinds, and connects again for those that were sent away.

    A client of the kind ``idle`` says nothing, ``drip`` a byte of a header each second, ``hello``
    a ClientHello and no more. A path is asked for and read at 1 kB a second, one after the word
    ``read`` as fast as it comes.

    Args:
        port: of the agent.
        source: the address to come from.
        clients: how many of each kind.
        rate: connections a second for those that were sent away; 0 bounds nothing.
    """

    def __init__(self, port: int, source: str, clients: dict[str, int], rate: int) -> None:
        self._port, self._source, self._rate = port, source, rate
        self._missing = [kind for kind, count in clients.items() for _ in range(count)]
        self._allowed = float(len(self._missing))  # at first all at once
        self._open: dict[socket.socket, str] = {}
        self._selector = selectors.DefaultSelector()
        self._hello = hello()

    def run(self) -> None:
        """Flood for ever."""
        last = slow = time.monotonic()
        while True:
            for key, mask in self._selector.select(0.01):
                if isinstance(key.fileobj, socket.socket):
                    self._moved(key.fileobj, begin=bool(mask & selectors.EVENT_WRITE))
            now = time.monotonic()
            if self._rate:
                self._allowed += (now - last) * self._rate
            last = now
            if now - slow >= 1:
                slow = now
                for sock, kind in list(self._open.items()):
                    self._slowly(sock, kind)
            for _ in range(200):
                if not self._missing or (self._rate and self._allowed < 1):
                    break
                self._allowed -= 1
                self._connect(self._missing.pop())
            self._allowed = min(self._allowed, len(self._missing) + 1)

    def _connect(self, kind: str) -> None:
        sock = socket.socket()
        if kind.startswith("/"):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_IP, _BIND_ADDRESS_NO_PORT, 1)
        sock.bind((self._source, 0))
        sock.connect_ex(("127.0.0.1", self._port))
        self._open[sock] = kind
        self._selector.register(sock, selectors.EVENT_READ | selectors.EVENT_WRITE)

    def _moved(self, sock: socket.socket, *, begin: bool) -> None:
        """It is connected, or there is something to read, or its end."""
        kind = self._open[sock]
        path = kind.removeprefix("read ")
        first = {"idle": b"", "hello": self._hello, "drip": b"GET / HTTP/1.1\r\nX: "}.get(
            kind, f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
        )
        try:
            if begin:
                sock.send(first)
                if kind.startswith("/"):
                    self._selector.unregister(sock)
                else:
                    self._selector.modify(sock, selectors.EVENT_READ)
            elif not sock.recv(1 << 16):
                self._gone(sock)
        except BlockingIOError:
            pass
        except OSError:
            self._gone(sock)

    def _slowly(self, sock: socket.socket, kind: str) -> None:
        """What a client does once a second."""
        try:
            if kind == "drip":
                sock.send(b"a")
            elif kind.startswith("/") and not sock.recv(1024):
                self._gone(sock)
        except BlockingIOError:
            pass
        except OSError:
            self._gone(sock)

    def _gone(self, sock: socket.socket) -> None:
        with contextlib.suppress(KeyError):  # a slow reader is not registered
            self._selector.unregister(sock)
        self._missing.append(self._open.pop(sock))
        sock.close()


if __name__ == "__main__":
    words = {kind: int(count) for kind, _, count in (one.rpartition("=") for one in sys.argv[2:])}
    bound, last = words.pop("rate", RATE), words.pop("from", 2)
    Flooder(int(sys.argv[1]), f"127.0.0.{last}", words, bound).run()
