"""What a flood may hold, counted: connections, bytes, answers under way. No clock is asked."""

from __future__ import annotations

import errno
import random
import resource
import socket
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import AsyncExitStack, aclosing, suppress
from dataclasses import dataclass
from itertools import count

import pytest
import trio
import trio.testing

from probe.serve import application
from probe.serve.http import accept, server, web
from probe.serve.http.accept import Acceptor, most_waiting
from probe.serve.http.crowds import PACE, in_the_way, network
from probe.serve.http.message import HEAD, RequestReader, WebAnswer, WebRequest
from probe.serve.http.metrics import PIECE
from probe.serve.http.server import PART, ClientConnection, Handler, Places, WebServer
from probe.serve.http.tls import Turns

from .world import filled

CROWD, SCRAPER = "198.51.100.7", "192.0.2.1"


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    """Where an acceptor listens; closed also when the test fails."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as created:
        created.setblocking(False)
        yield created


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


async def idle_or_dripping(
    stack: AsyncExitStack, address: tuple[str, int], number: int
) -> trio.SocketStream:
    """A client of a crowd: each second one begins a request, the others say nothing."""
    client = await stack.enter_async_context(await trio.open_tcp_stream(*address))
    if number % 2:
        await client.send_all(b"GET / HTTP/1.1\r\nX: ")
    return client


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
            await idle_or_dripping(stack, address, number)
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


async def test_a_crowd_that_asks_nothing_costs_no_task_and_keeps_nobody_out(
    listening: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Idle, dripping and over the bound: closed from a table, the longest waiting first."""
    monkeypatch.setattr(server, "IDLE", 120.0)
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
        clients = [await idle_or_dripping(each, address, n) for n in range(2 * accept.WAITING)]
        assert (await ask(address, "/healthz")).startswith(b"HTTP/1.1 200 ")
        assert most_waiting() - 1 <= acceptor.held <= most_waiting()
        assert len(handled.child_tasks) <= 1, "none but the one that was answered"
        first, last = clients[1], clients[-1]
        assert await ended(first), "closed though it dripped"
        await last.send_all(b"a\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert b"".join([data async for data in last]).startswith(b"HTTP/1.1 200 ")
        handled.cancel_scope.cancel()
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("files", "most"), [(resource.RLIM_INFINITY, 256), (65536, 256), (256, 32), (40, 5)]
)
def test_a_crowd_leaves_descriptors_to_probes(
    files: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (files, files))
    assert most_waiting() == most


async def test_without_descriptors_the_longest_waiting_makes_room(
    listening: socket.socket,
) -> None:
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


async def test_who_answered_our_part_of_a_handshake_comes_before_a_crowd_that_began() -> None:
    turns, order = Turns(), []

    async def step(name: str, begun: bool) -> None:
        async with turns.taken(CROWD, begun=begun):
            order.append(name)

    async with trio.open_nursery() as nursery, turns.taken(CROWD, begun=False):
        for name, begun in (("old", False), ("answers", True), ("new", False)):
            nursery.start_soon(step, name, begun)
            await trio.testing.wait_all_tasks_blocked()
    assert order == ["answers", "new", "old"]


@dataclass
class Crowding:
    """Clients that say hello without end, several for each turn, and never answer our part."""

    turns: Turns
    clients: Sequence[str]
    each: int
    served: int = 0

    async def come(self, nursery: trio.Nursery) -> None:
        chance = random.Random(7)
        for number in count():
            nursery.start_soon(self._hello, self.clients[number % len(self.clients)])
            await trio.sleep(chance.expovariate(self.each / PACE))

    async def _hello(self, client: str) -> None:
        with trio.move_on_after(64 * PACE):  # then it makes room for newer ones
            async with self.turns.taken(client, begun=False):
                self.served += 1


@pytest.mark.parametrize("addresses", [1, 30])
async def test_a_scraper_of_another_address_needs_few_turns_beside_a_crowd(
    addresses: int, autojump_clock: trio.testing.MockClock
) -> None:
    """A handshake is two steps; time between them does not make it stand behind the crowd."""
    crowd = Crowding(turns := Turns(), [f"198.51.100.{n}" for n in range(addresses)], each=4)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(crowd.come, nursery)
        await trio.sleep(0.2)
        for begun in (False, True, False, True):
            before = crowd.served
            async with turns.taken(SCRAPER, begun=begun):
                assert crowd.served - before <= 1, "the one that was under way"
            await trio.sleep(0.05)
        nursery.cancel_scope.cancel()


async def test_of_a_crowd_from_one_address_one_in_so_many_as_come_for_a_turn_gets_through(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Nobody can tell a scraper there from the others, but neither is it kept out for ever."""
    crowd = Crowding(turns := Turns(), [CROWD], each=3)
    through = 0
    async with trio.open_nursery() as nursery:
        nursery.start_soon(crowd.come, nursery)
        await trio.sleep(0.1)
        for _ in range(12):
            with trio.move_on_after(32 * PACE):
                async with turns.taken(CROWD, begun=False):
                    pass
                await trio.sleep(5 * PACE)
                before = crowd.served
                async with turns.taken(CROWD, begun=True):
                    assert crowd.served - before <= 1
                through += 1
        nursery.cancel_scope.cancel()
    assert through >= 2, "a third of them, more or less"


def test_the_oldest_of_the_largest_crowd_makes_room() -> None:
    def gone(*held: str) -> int:
        return in_the_way(range(len(held)), lambda place: held[place])

    assert gone(SCRAPER, *[CROWD] * 20) == 1
    assert gone(CROWD, SCRAPER, *[CROWD] * 20) == 0
    assert gone(SCRAPER, *[f"198.51.100.{n}" for n in range(20)]) == 0, "no crowd: the oldest"
    assert gone("other", *[SCRAPER] * 6, *[f"198.51.100.{n}" for n in range(20)]) == 0
    assert network("2001:db8::1") == network("2001:db8::ffff")
    assert network("::ffff:192.0.2.1") == "192.0.2.1"


async def test_a_crowd_makes_room_for_itself_and_not_at_the_cost_of_others(
    listening: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One from here waits, then a crowd from another address comes; it is still there."""
    monkeypatch.setattr(accept, "WAITING", 32)
    address = listening.getsockname()
    serving = WebServer(application(filled(targets=1)))
    async with trio.open_nursery() as nursery, AsyncExitStack() as each:
        acceptor = Acceptor(
            listening, lambda *given: nursery.start_soon(serving.handle, *given), lambda: True
        )
        nursery.start_soon(acceptor.run)
        waits = await each.enter_async_context(await trio.open_tcp_stream(*address))
        await trio.testing.wait_all_tasks_blocked(0.01)
        for _ in range(2 * accept.WAITING):
            client = await trio.open_tcp_stream(*address, local_address="127.0.0.2")
            await each.enter_async_context(client)
        await waits.send_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        with trio.fail_after(10):
            assert b"".join([data async for data in waits]).startswith(b"HTTP/1.1 200 ")
        nursery.cancel_scope.cancel()


async def test_whose_network_holds_few_answers_comes_before_a_crowd_of_readers() -> None:
    places, order = Places(1), []

    def client(network: str) -> ClientConnection:
        connection = ClientConnection.__new__(ClientConnection)
        connection.network, connection.stalled = network, None
        return connection

    async def read(name: str, network: str) -> None:
        async with places.taken(client(network)):
            order.append(name)

    async with trio.open_nursery() as nursery, places.taken(client(CROWD)):
        for name, network in (("old", CROWD), ("scraper", SCRAPER), ("new", CROWD)):
            nursery.start_soon(read, name, network)
            await trio.testing.wait_all_tasks_blocked()
    assert order[0] == "scraper"


async def test_a_crowd_that_says_hello_waits_without_tasks_and_others_begin_before_it(
    listening: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is handed over first once somebody of another address is ready: it, and none of them."""
    monkeypatch.setattr(accept, "WAITING", 64)
    address = listening.getsockname()
    begun: list[str] = []

    def serve(stream: trio.SocketStream, _: RequestReader) -> None:
        begun.append(stream.socket.getpeername()[0])
        nursery.start_soon(stream.aclose)

    acceptor = Acceptor(listening, serve, lambda: False)
    async with trio.open_nursery() as nursery, AsyncExitStack() as each:
        nursery.start_soon(acceptor.run)
        for source in [*["127.0.0.2"] * 2 * accept.WAITING, "127.0.0.1"]:
            came = len(begun)
            client = await trio.open_tcp_stream(*address, local_address=source)
            await each.enter_async_context(client)
            with suppress(trio.BrokenResourceError):  # it has made room already
                await client.send_all(b"\x16")
        with trio.fail_after(10):
            while "127.0.0.1" not in begun:
                await trio.sleep(0.001)
        assert begun[came:].index("127.0.0.1") <= 20, "those that were accepted before it"
        assert acceptor.held >= most_waiting() - len(begun), "the others still wait"
        nursery.cancel_scope.cancel()
