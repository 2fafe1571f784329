"""One edge: a listening address that terminates TLS for every name it holds a certificate for."""

from __future__ import annotations

import select
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import Literal

import trio
from OpenSSL import SSL

from probe.lab.board import Board, Situation
from probe.lab.faults.kinds import (
    Chain,
    Greeting,
    Listening,
    Negotiation,
    Preamble,
    Talk,
    Tickets,
    Tunnel,
    Wire,
)
from probe.lab.faults.wire import alert
from probe.lab.hello import NotAHello, read_hello
from probe.lab.places import Place
from probe.lab.shelf import Shelf
from probe.lab.terminator import TlsStream

Mode = Literal["open", "closed", "deaf"]
_PATIENCE = 120.0  # longer than any client's deadline; a forgotten connection ends all the same
_UNRECOGNIZED_NAME = 112
_FILLERS = 4
_QUEUE = 1024
_AT_ONCE = 256
_PAUSE = 0.05  # seconds, when nobody could be taken: out of file descriptors, most likely


@dataclass(slots=True)
class EdgeServer:
    """One edge.

    Attributes:
        names: what it holds certificates for; any other name gets ``unrecognized_name``.
        serve: speaks HTTP on a connection whose handshake is done.
        handshakes: how many were completed.
    """

    place: Place
    board: Board
    shelf: Shelf
    names: frozenset[str]
    serve: Callable[[TlsStream, str], Awaitable[None]]
    handshakes: int = 0
    _mode: Mode = "closed"
    _scope: trio.CancelScope | None = None
    _stopped: trio.Event = field(default_factory=trio.Event)

    async def follow(self, nursery: trio.Nursery) -> None:
        """Make the listening socket what the board wants it to be; returns when it is."""
        wanted = self._wanted()
        if wanted == self._mode:
            return
        if self._scope is not None:
            self._scope.cancel()
            await self._stopped.wait()
            self._scope = None
        self._mode = wanted
        if wanted == "open":
            await nursery.start(self._listen, nursery)
        elif wanted == "deaf":
            await nursery.start(self._listen_deaf)

    def _wanted(self) -> Mode:
        fault = self.board.strike(Listening, self._situation(""))
        return fault.mode if fault is not None else "open"

    def _situation(self, domain: str) -> Situation:
        return Situation(domain=domain, edge=self.place.name, region=self.place.region)

    async def _listen(self, handlers: trio.Nursery, *, task_status: trio.TaskStatus[None]) -> None:
        """Take whoever waits, all of them each time.

        One at a time, as ``trio.serve_listeners`` does, lets the queue of an edge that is asked
        a little more than others grow until nobody in it is served in time.
        """
        with trio.CancelScope() as self._scope, ExitStack() as stack:
            self._stopped = trio.Event()
            stack.callback(self._stopped.set)
            listening = stack.enter_context(self._bound())
            listening.setblocking(False)
            listening.listen(_QUEUE)
            task_status.started()
            while True:
                await trio.lowlevel.wait_readable(listening)
                taken = list(_waiting(listening))
                for stream in taken:
                    handlers.start_soon(self._handle, stream)
                if not taken:
                    await trio.sleep(_PAUSE)

    def _socket(self) -> socket.socket:
        return socket.socket(socket.AF_INET6 if ":" in self.place.ip else socket.AF_INET)

    def _bound(self) -> socket.socket:
        listening = self._socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((self.place.ip, self.place.port))
        return listening

    async def _listen_deaf(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Listen without ever accepting, the queue filled: further SYNs are dropped (Linux)."""
        with trio.CancelScope() as self._scope, ExitStack() as stack:
            self._stopped = trio.Event()
            stack.callback(self._stopped.set)
            stack.enter_context(self._bound()).listen(0)
            for _ in range(_FILLERS):
                filler = stack.enter_context(self._socket())
                filler.setblocking(False)
                filler.connect_ex((self.place.ip, self.place.port))
            task_status.started()
            await trio.sleep_forever()

    # ------------------------------------------------------------ one connection

    async def _handle(self, stream: trio.SocketStream) -> None:
        try:
            # The client went away or refused us: its affair, and often the point.
            with (
                trio.move_on_after(_PATIENCE),
                suppress(trio.BrokenResourceError, trio.ClosedResourceError, SSL.Error),
            ):
                await self._converse(stream)
        finally:
            await trio.aclose_forcefully(stream)

    async def _converse(self, stream: trio.SocketStream) -> None:
        greeting = self.board.strike(Greeting, self._situation(""))
        if greeting is not None:
            await greeting.act(Talk(stream))
            return
        preamble = self.board.strike(Preamble, self._situation(""))
        if preamble is not None and not await preamble.act(Talk(stream)):
            return
        try:
            hello = await read_hello(stream)
        except NotAHello:
            return
        here = self._situation(hello.server_name)
        wire = self.board.strike(Wire, here)
        if wire is not None and len(hello.raw) > wire.longer:
            await wire.act(Talk(stream, hello))
            return
        if hello.server_name and hello.server_name not in self.names:
            await alert(_UNRECOGNIZED_NAME)(Talk(stream, hello))
            return
        if _has_left(stream):
            return
        tickets = self.board.strike(Tickets, here)
        if hello.ticket and tickets is not None and tickets.act is not None:
            await tickets.act(Talk(stream, hello))
            return
        context = self._context(here, tickets)
        tls = await TlsStream.accept(stream, context, hello.raw, tickets=tickets is not None)
        self.handshakes += 1
        tunnel = self.board.strike(Tunnel, here)
        if tunnel is not None:
            await tunnel.act(tls)
        else:
            await self.serve(tls, self.place.name)
        await tls.aclose()

    def _context(self, here: Situation, tickets: Tickets | None) -> SSL.Context:
        fault = self.board.strike(Chain, here) or self.board.strike(Negotiation, here)
        return self.shelf.context(here.domain, fault or tickets, self.place.name)


def _waiting(listening: socket.socket) -> Iterator[trio.SocketStream]:
    """The connections that wait to be accepted."""
    for _ in range(_AT_ONCE):
        try:
            accepted, _sender = listening.accept()
        except ConnectionAbortedError:
            continue
        except OSError:
            return
        yield trio.SocketStream(trio.socket.from_stdlib_socket(accepted))


def _has_left(stream: trio.SocketStream) -> bool:
    """Whether the client has hung up: after its hello, an honest one is silent until answered.

    When the machine is too busy, clients give up while they stand in the queue. Handshakes with
    them would delay those behind them until these give up too, and nobody would be served.
    """
    look = select.poll()
    look.register(stream.socket.fileno(), select.POLLIN)
    return bool(look.poll(0))
