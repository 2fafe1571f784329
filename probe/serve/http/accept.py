"""Accepts connections, and holds each without a task until its first request is whole.

Who connects and says nothing, or says it slowly, costs an entry of a table here. Where there are
too many, the one that has waited longest is closed: no task, no exception, some microseconds. All
that waits in the kernel's queue is accepted in few turns of the loop, so that a scraper which
stands behind a crowd is soon looked at.
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


class Acceptor:
    """Accepts on one socket, and hands over what asks for something.

    Args:
        listening: non-blocking; the caller closes it.
        serve: takes a connection and what was read of it.
        plain: whether new connections speak HTTP; those that speak TLS are handed over with
            their first byte.
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
                with trio.CancelScope(deadline=ends):
                    await trio.lowlevel.wait_readable(self._selector.fileno())
                for key, _ in self._selector.select(0):
                    sock = key.fileobj
                    if sock is self._listening:
                        await self._accept()
                    elif isinstance(sock, socket.socket) and sock in self._waiting:
                        self._read(sock)
                self._send_away()
        finally:
            for sock in list(self._waiting):
                self._drop(sock)
            self._selector.close()

    async def _accept(self) -> None:
        for _ in range(AT_ONCE):
            try:
                sock, _ = self._listening.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno not in _NO_ROOM:
                    continue  # it has gone already (accept(2))
                if self._waiting:
                    self._drop(next(iter(self._waiting)))
                    continue
                await trio.sleep(0.1)  # all descriptors are in use elsewhere
                return
            if len(self._waiting) >= self._most:
                self._drop(next(iter(self._waiting)))
            sock.setblocking(False)
            self._waiting[sock] = _Waiting(RequestReader(), trio.current_time() + server.IDLE)
            self._selector.register(sock, selectors.EVENT_READ)

    def _read(self, sock: socket.socket) -> None:
        reader = self._waiting[sock].reader
        if self._plain():
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
            if not reader.requests and reader.refused is None:
                return
        self._hand_over(sock)

    def _send_away(self) -> None:
        """Those whose time has passed; who has begun a request is told so."""
        now = trio.current_time()
        while self._waiting:
            sock, (reader, deadline) = next(iter(self._waiting.items()))
            if deadline > now:
                return
            if reader.begun:
                reader.refused = Refused(408)
                self._hand_over(sock)
            else:
                self._drop(sock)

    def _hand_over(self, sock: socket.socket) -> None:
        self._selector.unregister(sock)
        reader = self._waiting.pop(sock).reader
        self._serve(trio.SocketStream(trio.socket.from_stdlib_socket(sock)), reader)

    def _drop(self, sock: socket.socket) -> None:
        self._selector.unregister(sock)
        del self._waiting[sock]
        sock.close()
