"""What a flood may hold, counted: connections, bytes, answers under way. No clock is asked."""

from __future__ import annotations

import errno
import resource
import socket
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing

import pytest
import trio
import trio.testing

from probe.serve import application
from probe.serve.http import accept, server, web
from probe.serve.http.accept import Acceptor, most_waiting
from probe.serve.http.message import HEAD, RequestReader, WebAnswer, WebRequest
from probe.serve.http.metrics import PIECE
from probe.serve.http.server import PART, ClientConnection, Handler, Places, WebServer
from probe.serve.http.tls import Turns

from .world import filled


class Counting:
    """The agent's own routes, with each answer's pieces counted while they are under way."""

    def __init__(self, path: str) -> None:
        self.path = path.partition("?")[0]
        self.router = application(filled(targets=40, broken_targets=40, broken_edges=4))
        self.under_way = self.most_under_way = self.largest = 0

    def __call__(self, request: WebRequest) -> tuple[Handler, Places | None]:
        handler, places = self.router(request)

        async def counted(request: WebRequest) -> WebAnswer:
            answer = await handler(request)
            if isinstance(answer.body, bytes):
                return answer
            return WebAnswer(self._counted(answer.body), answer.content_type)

        return (counted if request.path == self.path else handler), places

    async def _counted(self, pieces: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            async with aclosing(pieces):
                async for piece in pieces:
                    self.largest = max(self.largest, len(piece))
                    yield piece
        finally:
            self.under_way -= 1


async def ask(address: tuple[str, int], path: str) -> bytes:
    async with await trio.open_tcp_stream(*address) as stream:
        lines = (f"GET {path} HTTP/1.1", "Host: localhost", "Connection: close", "", "")
        await stream.send_all("\r\n".join(lines).encode())
        return b"".join([data async for data in stream])


@pytest.mark.parametrize(
    ("path", "at_once", "largest"),
    [("/api/v1/status?edges=10000", 2, 2 * web.SLICE), ("/metrics", 16, 2 * PIECE)],
)
async def test_a_crowd_of_readers_holds_few_answers_in_small_pieces(
    path: str, at_once: int, largest: int
) -> None:
    """Each of 60 readers that take nothing, and yet scrapes and health are whole."""
    counting = Counting(path)
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    address = listeners[0].socket.getsockname()
    async with trio.open_nursery() as nursery, AsyncExitStack() as stack:
        serving = WebServer(counting)
        nursery.start_soon(trio.serve_listeners, serving.handle, listeners)
        for _ in range(60):
            sock = trio.socket.socket()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            await sock.connect(address)
            stream = await stack.enter_async_context(trio.SocketStream(sock))
            await stream.send_all(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        for asked in ("/healthz", "/readyz", "/metrics"):
            assert (await ask(address, asked)).startswith(b"HTTP/1.1 200 ")
        # One that was told to go may still be there when its place is given away.
        assert 1 <= counting.most_under_way <= 2 * at_once
        assert counting.largest <= largest
        nursery.cancel_scope.cancel()


async def test_a_crowd_of_idle_and_dripping_clients_holds_no_more_than_the_bound() -> None:
    serving = WebServer(application(filled(targets=1)))
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1", backlog=1024)
    address = listeners[0].socket.getsockname()
    most = 0
    async with trio.open_nursery() as nursery, AsyncExitStack() as stack:
        nursery.start_soon(trio.serve_listeners, serving.handle, listeners)
        for number in range(2 * server.CONNECTIONS + 40):
            client = await stack.enter_async_context(await trio.open_tcp_stream(*address))
            if number % 2:
                await client.send_all(b"GET / HTTP/1.1\r\nX: ")
            most = max(most, serving.held)
        assert (await ask(address, "/healthz")).startswith(b"HTTP/1.1 200 ")
        assert serving.held <= server.CONNECTIONS
        assert server.CONNECTIONS <= most <= server.CONNECTIONS + 8, "those told to go go at once"
        nursery.cancel_scope.cancel()


def test_a_client_has_no_more_than_a_head_buffered_whatever_it_sends() -> None:
    for sent in (
        b"a",
        b"GET / HTTP/1.1\r\nX: ",
        b"\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: 9999999\r\n\r\n",
    ):
        reader = RequestReader()
        fed = 0
        while reader.refused is None and fed < 100 * HEAD:
            reader.feed(sent + b"a" * 4000)
            fed += 4000
        assert reader.refused is not None
        assert fed <= HEAD + 8000


async def test_no_more_than_a_part_is_written_at_once() -> None:
    sizes: list[int] = []

    class Stream:
        async def send_all(self, data: memoryview) -> None:
            sizes.append(len(data))
            await trio.lowlevel.checkpoint()

    connection = ClientConnection.__new__(ClientConnection)
    connection.stream = Stream()  # type: ignore[assignment]
    await connection.write(bytes(10 * PART + 1))
    assert max(sizes) == PART
    assert sum(sizes) == 10 * PART + 1


async def ended(stream: trio.SocketStream) -> bool:
    try:
        return not await stream.receive_some(1)
    except trio.BrokenResourceError:
        return True


async def test_a_crowd_that_asks_nothing_costs_no_task_and_keeps_nobody_out() -> None:
    """Idle, dripping and over the bound: closed from a table, the longest waiting first."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
    listening.setblocking(False)
    address = listening.getsockname()
    serving = WebServer(application(filled(targets=1)))
    async with (
        trio.open_nursery() as nursery,
        trio.open_nursery() as handled,
        AsyncExitStack() as each,
    ):
        acceptor = Acceptor(
            listening, lambda *given: handled.start_soon(serving.handle, *given), lambda: True
        )
        nursery.start_soon(acceptor.run)
        clients = []
        for number in range(2 * accept.WAITING):
            client = await each.enter_async_context(await trio.open_tcp_stream(*address))
            if number % 2:
                await client.send_all(b"GET / HTTP/1.1\r\nX: ")
            clients.append(client)
        assert (await ask(address, "/healthz")).startswith(b"HTTP/1.1 200 ")
        assert most_waiting() - 1 <= acceptor.held <= most_waiting()
        assert len(handled.child_tasks) <= 1, "none but the one that was answered"
        first, last = clients[1], clients[-1]
        assert await ended(first), "closed though it dripped"
        await last.send_all(b"a\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert b"".join([data async for data in last]).startswith(b"HTTP/1.1 200 ")
        handled.cancel_scope.cancel()
        nursery.cancel_scope.cancel()
    listening.close()


@pytest.mark.parametrize(
    ("files", "most"), [(resource.RLIM_INFINITY, 256), (65536, 256), (256, 32), (40, 5)]
)
def test_a_crowd_leaves_descriptors_to_probes(
    files: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (files, files))
    assert most_waiting() == most


async def test_without_descriptors_the_longest_waiting_makes_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setblocking(False)
    address = listening.getsockname()
    answered: list[trio.SocketStream] = []

    class Scarce:
        """A listening socket in a process that has two descriptors left."""

        def fileno(self) -> int:
            return listening.fileno()

        def accept(self) -> object:
            if acceptor.held >= 2:
                raise OSError(errno.EMFILE, "too many open files")
            return listening.accept()

    acceptor = Acceptor(Scarce(), lambda stream, _: answered.append(stream), lambda: True)  # type: ignore[arg-type]
    async with trio.open_nursery() as nursery, AsyncExitStack() as stack:
        nursery.start_soon(acceptor.run)
        for _ in range(4):
            client = await stack.enter_async_context(await trio.open_tcp_stream(*address))
        await client.send_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        with trio.fail_after(10):
            while not answered:
                await trio.sleep(0.01)
        nursery.cancel_scope.cancel()
    await answered[0].aclose()
    listening.close()


async def test_who_answered_our_part_of_a_handshake_comes_before_a_crowd_that_began() -> None:
    turns, order = Turns(), []

    async def step(name: str, begun: bool) -> None:
        async with turns.taken(begun=begun):
            order.append(name)

    async with trio.open_nursery() as nursery, turns.taken(begun=False):
        for name, begun in (("old", False), ("answers", True), ("new", False)):
            nursery.start_soon(step, name, begun)
            await trio.testing.wait_all_tasks_blocked()
    assert order == ["answers", "new", "old"]
