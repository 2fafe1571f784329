"""The kernel's clock: right although this process was busy when the bytes arrived."""

from __future__ import annotations

import contextlib
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest
import trio

from probe.connection import tcp
from probe.connection.contexts import TlsContexts
from probe.connection.tcp import connect
from probe.connection.timeline import Timeline
from probe.connection.tls import handshake
from probe.lab.ca import Pki
from probe.model.result import Clock
from probe.model.target import Edge
from probe.model.tls import ClientProfile
from tests.support.ports import HERE
from tests.support.record_layer import Server

from .conftest import NAME

DELAY, BUSY_AFTER = 0.050, 0.030
LINUX = sys.platform == "linux"
CLOSE_ENOUGH = 0.001  # between two clocks that are read one after the other


class SlowServer:
    """Answers one ClientHello after ``DELAY``, from a thread of its own, and keeps its times.

    Attributes:
        before: when it began to send, by ``time.perf_counter``.
        after: when it had sent.
    """

    def __init__(self, pki: Pki, listener: socket.socket) -> None:
        self.edge = Edge(*listener.getsockname())
        self.sent = threading.Event()
        self.before = self.after = 0.0
        self._pki = pki
        self._listener = listener

    def serve(self) -> None:
        with contextlib.suppress(OSError):
            connection, _ = self._listener.accept()
            with connection:
                hello = connection.recv(65536)
                answer = Server(self._pki.credential(NAME)).take(hello)
                time.sleep(DELAY)
                self.before = time.perf_counter()
                connection.sendall(answer)
                self.after = time.perf_counter()
                self.sent.set()
                connection.recv(65536)


@contextlib.contextmanager
def slow_server(pki: Pki) -> Iterator[SlowServer]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = SlowServer(pki, listener)
        thread = threading.Thread(target=server.serve)
        thread.start()
        try:
            yield server
        finally:
            listener.close()
            thread.join()


async def hold_the_loop(server: SlowServer, started: trio.Event) -> None:
    """Block the event loop until well after the answer arrived."""
    await started.wait()
    assert server.sent.wait(5)
    time.sleep(BUSY_AFTER)  # noqa: ASYNC251 - blocking the loop is the point


async def test_handshake_time_does_not_count_our_own_lateness(
    pki: Pki, contexts: TlsContexts
) -> None:
    context = contexts.get(ClientProfile())
    started = trio.Event()
    with slow_server(pki) as server:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(hold_the_loop, server, started)
            wire = await connect(server.edge, Timeline(trio.current_time()), HERE)
            offset = trio.current_time() - time.perf_counter()
            begun = trio.current_time()
            started.set()
            stream = await handshake(wire, context, server_name=b"x.example")
            by_application = trio.current_time() - begun
            stream.close()
    assert (wire.timeline.tls or 0.0) >= DELAY
    if not LINUX:
        assert wire.timeline.clock is Clock.APPLICATION
        return
    assert wire.timeline.clock is Clock.KERNEL
    arrived = wire.timeline.arrived - offset
    assert server.before - CLOSE_ENOUGH <= arrived <= server.after + CLOSE_ENOUGH
    assert (wire.timeline.tls or 0.0) <= by_application - BUSY_AFTER + CLOSE_ENOUGH
    assert wire.timeline.lag >= BUSY_AFTER - CLOSE_ENOUGH


async def test_without_stamps_the_applications_clock_serves(
    pki: Pki, contexts: TlsContexts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tcp, "ANCILLARY_SPACE", 0)
    with slow_server(pki) as server:
        wire = await connect(server.edge, Timeline(trio.current_time()), HERE)
        context = contexts.get(ClientProfile())
        stream = await handshake(wire, context, server_name=None)
        stream.close()
    assert wire.timeline.clock is Clock.APPLICATION
    assert (wire.timeline.tls or 0.0) >= DELAY
    assert wire.timeline.lag == 0.0


def stamp(seconds_ago: float, size: int = 16) -> list[tuple[int, int, bytes]]:
    at = time.time_ns() - int(seconds_ago * 1e9)
    data = struct.pack("@qq", *divmod(at, 1_000_000_000))
    return [(socket.SOL_SOCKET, 35, data[:size])]


def test_age_of_a_stamp() -> None:
    age = tcp.age_of(stamp(0.25))
    assert age is not None
    assert 0.25 <= age < 1.0


@pytest.mark.parametrize("ancillary", [[], stamp(1, size=8), [(0, 35, b"x" * 16)]])
def test_anything_else_is_no_stamp(ancillary: list[tuple[int, int, bytes]]) -> None:
    assert tcp.age_of(ancillary) is None


@pytest.mark.parametrize("jump", [-3600.0, 3600.0])
async def test_a_wall_clock_that_was_set_is_noticed(
    jump: float, pki: Pki, contexts: TlsContexts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An age that is impossible is not believed."""
    real = tcp.age_of

    def set_meanwhile(ancillary: list[tuple[int, int, bytes]]) -> float | None:
        age = real(ancillary)
        return None if age is None else age + jump

    monkeypatch.setattr(tcp, "age_of", set_meanwhile)
    with slow_server(pki) as server:
        wire = await connect(server.edge, Timeline(trio.current_time()), HERE)
        context = contexts.get(ClientProfile())
        stream = await handshake(wire, context, server_name=None)
        stream.close()
    assert wire.timeline.clock is Clock.APPLICATION
    assert DELAY <= (wire.timeline.tls or 0.0) < 5


async def test_the_round_trip_of_the_syn_is_at_most_what_connecting_took() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        begun = trio.current_time()
        with closing(
            await connect(Edge(*listener.getsockname()), Timeline(trio.current_time()), HERE)
        ) as wire:
            assert 0 < wire.connect_seconds <= trio.current_time() - begun


def test_keeping_stamps_on_holds_one_socket_and_lets_it_go() -> None:
    with tcp.kernel_stamps():
        pass
