"""Serves connections: so many, so long, so many answers at once, whatever clients do.

The agent is watched through this port, so nobody may shut it. Two rules keep it open. Nothing
waits for a client without a limit: neither for its request nor for its reading. And where there
are too many, a crowd from one address makes room first, and of it who has taken longest: the one
that was idle longest among connections, the one that was sent to longest among answers. A scraper
or health check takes milliseconds.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import trio

from probe.serve.http.crowds import SPAN, Shares, in_the_way, network
from probe.serve.http.message import CHUNK, Refused, RequestReader, WebAnswer, WebRequest, refusal

if TYPE_CHECKING:
    from probe.serve.http.guard import Guard
    from probe.serve.http.tls import PortStream

CONNECTIONS = 256
"""Connections at once that have asked for something; a scraper needs one, a browser six."""

IDLE = 10.0
"""Seconds for a request to be whole, from the first byte of the connection or the last answer."""

WRITE = 10.0
"""Seconds for a client to take ``PART`` bytes."""

ANSWER = 60.0
"""Seconds for a client to take a whole answer."""

STALL, LONG = 0.5, 5.0
"""Seconds without reading, and seconds under way, after which an answer makes room for others."""

GRACE = 0.5
"""Seconds that answers under way have left when the server is told to stop."""

PART = 64 * 1024
"""Bytes to write at once."""

_LINGER = 1.0
_log = logging.getLogger("probe.serve")


class ClientConnection:
    """One connection.

    Attributes:
        scope: ends it when it is cancelled.
        client: address of who asks.
        network: that it is in.
        busy: a request is being answered.
        since: when it became busy, or idle.
        stalled: when the client was last sent something that it has not taken yet; None while
            it waits for us.
    """

    def __init__(self, stream: trio.SocketStream, reader: RequestReader) -> None:
        self.stream: trio.SocketStream | PortStream = stream
        self.scope = trio.CancelScope()
        self.reader = reader
        self.client = _address(stream)
        self.network = network(self.client)
        self.busy = False
        self.since = trio.current_time()
        self.stalled: float | None = None

    def turn(self, *, busy: bool) -> None:
        """It becomes busy, or idle."""
        self.busy, self.since, self.stalled = busy, trio.current_time(), None

    async def request(self) -> WebRequest | None:
        """The next request; None when there is none. Raises Refused."""
        with trio.move_on_after(IDLE) as wait:
            while not self.reader.requests and self.reader.refused is None:
                data = await self.stream.receive_some(CHUNK)
                if not data:
                    return None
                self.reader.feed(data)
        if wait.cancelled_caught:
            if self.reader.begun:
                raise Refused(408)
            return None
        if not self.reader.requests and self.reader.refused is not None:
            raise self.reader.refused
        return self.reader.requests.popleft()

    async def write(self, data: bytes) -> None:
        """Send it all. Raises trio.TooSlowError when the client does not read."""
        whole = memoryview(data)
        for start in range(0, len(whole), PART):
            self.stalled = trio.current_time()
            with trio.fail_after(WRITE):
                await self.stream.send_all(whole[start : start + PART])
        self.stalled = None

    async def linger(self) -> None:
        """Read what is still sent: closing before would destroy our last words (RFC 9112, 9.6)."""
        with trio.move_on_after(_LINGER):
            await self.stream.send_eof()
            for _ in range(16):
                if not await self.stream.receive_some(PART):
                    return


class Places:
    """So many answers of one kind at once, since each of them holds memory.

    Who comes when all places are taken gets that of the answer whose client has read nothing for
    longest, ``STALL`` at least; or else that of one which is under way for ``LONG``. Of those who
    wait the one whose network was served least in the last ``SPAN`` comes first, and of these the
    last: a scraper that has just come must not stand behind a hundred who never read.

    Args:
        most: how many.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: dict[ClientConnection, float] = {}  # since when; the longest first
        self._waiting: dict[ClientConnection, trio.Event] = {}
        self._shares = Shares(SPAN, 0)

    @asynccontextmanager
    async def taken(self, connection: ClientConnection) -> AsyncIterator[None]:
        """Hold a place; the connection ends when another answer needs it more."""
        granted = self._waiting[connection] = trio.Event()
        try:
            self._grant()
            while not granted.is_set():
                with trio.move_on_after(STALL / 2):
                    await granted.wait()
                self._grant()
            yield
        finally:
            self._waiting.pop(connection, None)
            self._held.pop(connection, None)
            self._grant()

    def _grant(self) -> None:
        now = trio.current_time()
        while self._waiting:
            if len(self._held) >= self._most:
                slow = self._slowest(now)
                if slow is None:
                    return
                del self._held[slow]
                slow.scope.cancel()
            newest_first = reversed(self._waiting)
            first = min(newest_first, key=lambda one: self._shares.above(one.network))
            self._shares.serve(first.network, now)
            granted = self._waiting.pop(first)
            self._held[first] = now
            granted.set()

    def _slowest(self, now: float) -> ClientConnection | None:
        stalled = [(one.stalled, one) for one in self._held if one.stalled is not None]
        if stalled:
            since, slowest = min(stalled, key=lambda pair: pair[0])
            if now - since >= STALL:
                return slowest
        longest, begun = next(iter(self._held.items()))
        return longest if now - begun >= LONG else None


def _address(stream: trio.SocketStream) -> str:
    try:
        return str(stream.socket.getpeername()[0])
    except OSError:  # gone already
        return ""


Handler = Callable[[WebRequest], Awaitable[WebAnswer]]
Router = Callable[[WebRequest], tuple[Handler, Places | None]]
"""Finds who answers a request, and whose places the answer takes. Raises Refused."""


class WebServer:
    """Serves connections until it is told to finish.

    Args:
        router: finds who answers.
        guard: says who may ask; None lets everybody.

    Attributes:
        ending: each connection is closed after its answer.
    """

    def __init__(self, router: Router, guard: Guard | None = None) -> None:
        self._router = router
        self._guard = guard
        self._open: set[ClientConnection] = set()
        self._empty = trio.Event()
        self.ending = False

    @property
    def held(self) -> int:
        """Connections that are there now."""
        return len(self._open)

    async def handle(self, stream: trio.SocketStream, reader: RequestReader | None = None) -> None:
        """Serve one connection to its end; the reader holds what was read of it already."""
        if len(self._open) >= CONNECTIONS:
            # Those that were told to go already are still there for a moment.
            staying = [one for one in self._open if not one.scope.cancel_called]
            if len(staying) >= CONNECTIONS:
                staying.sort(key=lambda one: (one.busy, one.since))
                in_the_way(staying, lambda one: one.network).scope.cancel()
        connection = ClientConnection(stream, reader or RequestReader())
        self._open.add(connection)
        try:
            with connection.scope:
                if await self._secured(connection, stream):
                    await self._converse(connection)
        except (trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError):
            pass  # the client has gone, or does not read
        except Exception:
            # One connection's trouble, whatever it is, must not end the agent.
            _log.exception("connection failed")
        finally:
            self._open.discard(connection)
            if not self._open:
                self._empty.set()
            await trio.aclose_forcefully(stream)

    async def _secured(self, connection: ClientConnection, stream: trio.SocketStream) -> bool:
        """Whether requests may be read: TLS is ready, where the port speaks it."""
        if self._guard is None:
            return True
        try:
            with trio.fail_after(IDLE):
                moved = partial(connection.turn, busy=False)
                connection.stream = await self._guard.secured(stream, connection.client, moved)
        except Refused as refused:
            await self._send(connection, WebRequest("GET", ""), refusal(refused), lasting=False)
            await connection.linger()
            return False
        return True

    async def finish(self) -> None:
        """Let answers under way end, idle connections go, and close what is left."""
        self.ending = True
        for connection in self._open:
            if not connection.busy:
                connection.scope.cancel()
        if self._open:
            self._empty = trio.Event()
            with trio.move_on_after(GRACE):
                await self._empty.wait()
        for connection in self._open:
            connection.scope.cancel()

    async def _converse(self, connection: ClientConnection) -> None:
        lasting = True
        while lasting:
            connection.turn(busy=False)
            try:
                request = await connection.request()
            except Refused as refused:
                answer = refusal(refused)
                nobody = WebRequest("GET", "")
                await self._send(connection, nobody, answer, lasting=False)
                break
            if request is None:
                return
            connection.turn(busy=True)
            lasting = await self._respond(connection, request)
        await connection.linger()

    async def _respond(self, connection: ClientConnection, request: WebRequest) -> bool:
        """Answer one request; whether the connection serves another one."""
        try:
            if self._guard is not None:
                await self._guard.admit(request, connection.stream, connection.client)
            handler, places = self._router(request)
            if places is None:
                return await self._answer(connection, request, handler)
            async with places.taken(connection):
                return await self._answer(connection, request, handler)
        except Refused as refused:
            return await self._send(connection, request, refusal(refused))

    async def _answer(
        self, connection: ClientConnection, request: WebRequest, handler: Handler
    ) -> bool:
        try:
            answer = await handler(request)
        except Refused:
            raise
        except Exception:
            # A defect of ours costs this answer, and nothing else.
            _log.exception("no answer: our own code crashed")
            raise Refused(500) from None
        return await self._send(connection, request, answer)

    async def _send(
        self,
        connection: ClientConnection,
        request: WebRequest,
        answer: WebAnswer,
        *,
        lasting: bool = True,
    ) -> bool:
        """Send an answer; whether the connection serves another one."""
        pieces, chunks = answer.body, request.chunks
        lasting = lasting and request.lasting and not self.ending
        lasting = lasting and (chunks or isinstance(pieces, bytes))
        if self._guard is not None and (added := self._guard.headers):
            answer = replace(answer, headers={**answer.headers, **added})
        head, silent = answer.head(request, lasting=lasting), request.method == "HEAD"
        with trio.fail_after(ANSWER):
            if isinstance(pieces, bytes):
                await connection.write(head if silent else head + pieces)
                return lasting
            async with aclosing(pieces):  # if the client goes half way too
                await connection.write(head)
                if silent:
                    return lasting
                async for piece in pieces:
                    if not piece:
                        continue  # a chunk without bytes would end the answer
                    framed = b"%x\r\n%b\r\n" % (len(piece), piece) if chunks else piece
                    await connection.write(framed)
            if chunks:
                await connection.write(b"0\r\n\r\n")
        return lasting
