"""Accepts connections, and holds each without a task until its first request is whole.

Who connects and says nothing, or says it slowly, costs an entry of a table here. Where there are
too many, the one of the largest crowd that has waited longest is closed: no task, no exception,
some microseconds. All that waits in the kernel's queue is accepted in few turns of the loop, so
that a scraper which stands behind a crowd is soon looked at.

Where the port speaks TLS, who has sent a first byte waits here too, until it is its turn to begin
the handshake: a crowd that says hello costs no more than one that says nothing. Whose network began
fewest lately comes first, and then who came last.
"""

from __future__ import annotations

import errno
import math
import resource
import selectors
import socket
from collections.abc import Callable
from typing import NamedTuple

import trio

from probe.serve.http import server
from probe.serve.http.crowds import PACE, SPAN, Shares, in_the_way, network
from probe.serve.http.message import CHUNK, Refused, RequestReader

WAITING = 256
"""Connections at once of which no whole request has come; fewer where the process may open few
files, so that no crowd takes the descriptors that probes need."""

AT_ONCE = 64
"""Connections that are accepted in one turn of the loop: less than a millisecond."""

_NO_ROOM = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})


def most_waiting() -> int:
    """Connections that may wait: an eighth of what the process may open, ``WAITING`` at most."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return WAITING if files == resource.RLIM_INFINITY else min(WAITING, max(4, files // 8))


class _Waiting(NamedTuple):
    reader: RequestReader
    deadline: float
    client: str


class Acceptor:
    """Accepts on one socket, and hands over what asks for something.

    Args:
        listening: non-blocking; the caller closes it.
        serve: takes a connection and what was read of it.
        plain: whether new connections speak HTTP; those that speak TLS are handed over after
            their first byte, one each ``PACE``.
    """

    def __init__(
        self,
        listening: socket.socket,
        serve: Callable[[trio.SocketStream, RequestReader], None],
        plain: Callable[[], bool],
    ) -> None:
        self._listening = listening
        self._serve = serve
        self._most = most_waiting()
        self._plain = plain
        self._selector = selectors.DefaultSelector()
        self._waiting: dict[socket.socket, _Waiting] = {}  # the longest first
        self._ready: dict[socket.socket, str] = {}  # of these: to begin a handshake; whose they are
        self._begun = Shares(SPAN, 1)
        self._next = 0.0

    @property
    def held(self) -> int:
        """Connections that wait now."""
        return len(self._waiting)

    async def run(self) -> None:
        """Accept until cancelled; then close what waits."""
        try:
            self._selector.register(self._listening, selectors.EVENT_READ)
            while True:
                longest = next(iter(self._waiting.values()), None)
                ends = math.inf if longest is None else longest.deadline
                ends = min(ends, self._next) if self._ready else ends
                with trio.CancelScope(deadline=ends):
                    await trio.lowlevel.wait_readable(self._selector.fileno())
                for key, _ in self._selector.select(0):
                    sock = key.fileobj
                    if sock is self._listening:
                        await self._accept()
                    elif isinstance(sock, socket.socket) and sock in self._waiting:
                        self._read(sock)
                self._send_away()
                self._begin()
        finally:
            for sock in list(self._waiting):
                self._drop(sock)
            self._selector.close()

    async def _accept(self) -> None:
        for _ in range(AT_ONCE):
            try:
                sock, address = self._listening.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno not in _NO_ROOM:
                    continue  # it has gone already (accept(2))
                if self._waiting:
                    self._make_room()
                    continue
                await trio.sleep(0.1)  # all descriptors are in use elsewhere
                return
            if len(self._waiting) >= self._most:
                self._make_room()
            sock.setblocking(False)
            ends = trio.current_time() + server.IDLE
            self._waiting[sock] = _Waiting(RequestReader(), ends, network(address[0]))
            self._selector.register(sock, selectors.EVENT_READ)

    def _read(self, sock: socket.socket) -> None:
        reader = self._waiting[sock].reader
        if not self._plain():
            self._selector.unregister(sock)
            self._ready[sock] = self._waiting[sock].client
            return
        try:
            data = sock.recv(CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._drop(sock)
            return
        reader.feed(data)
        if reader.requests or reader.refused is not None:
            self._hand_over(sock)

    def _begin(self) -> None:
        """Let one begin its handshake, when it is time."""
        now = trio.current_time()
        if not self._ready or now < self._next:
            return
        self._next = now + PACE
        sock = min(reversed(self._ready), key=lambda one: self._begun.above(self._ready[one]))
        self._begun.serve(self._ready[sock], now)
        self._hand_over(sock)

    def _send_away(self) -> None:
        """Those whose time has passed; who has begun a request is told so."""
        now = trio.current_time()
        while self._waiting:
            sock, (reader, deadline, _) = next(iter(self._waiting.items()))
            if deadline > now:
                return
            if reader.begun:
                reader.refused = Refused(408)
                self._hand_over(sock)
            else:
                self._drop(sock)

    def _hand_over(self, sock: socket.socket) -> None:
        self._leave(sock)
        reader = self._waiting.pop(sock).reader
        self._serve(trio.SocketStream(trio.socket.from_stdlib_socket(sock)), reader)

    def _make_room(self) -> None:
        self._drop(in_the_way(list(self._waiting), lambda sock: self._waiting[sock].client))

    def _drop(self, sock: socket.socket) -> None:
        self._leave(sock)
        del self._waiting[sock]
        sock.close()

    def _leave(self, sock: socket.socket) -> None:
        if self._ready.pop(sock, None) is None:
            self._selector.unregister(sock)
