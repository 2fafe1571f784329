"""A server on loopback that says what the fuzzer wants, whatever is asked."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import trio

_PATIENCE = 3.0
"""Seconds of virtual time until the server ends a connection on which nobody asks any more."""


class Loopback:
    """One port for the life of the process; the answers belong to one execution."""

    def __init__(self) -> None:
        """Listen."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        self._answers: list[bytes] = []
        self._greets = False

    @asynccontextmanager
    async def answering(self, answers: list[bytes], *, greets: bool = False) -> AsyncIterator[None]:
        """Say one answer after each piece of a request, on whichever connection it comes.

        Args:
            answers: in this order; then connections are closed.
            greets: the first is said before anything is asked.
        """
        self._answers = list(answers)
        self._greets = greets
        listener = trio.socket.from_stdlib_socket(self._listener.dup())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._accept, listener, nursery)
            yield
            nursery.cancel_scope.cancel()
        listener.close()

    async def _accept(self, listener: trio.socket.SocketType, nursery: trio.Nursery) -> None:
        while True:
            connection, _ = await listener.accept()
            nursery.start_soon(self._serve, connection)

    async def _serve(self, connection: trio.socket.SocketType) -> None:
        with connection, suppress(OSError, trio.BrokenResourceError):
            if self._greets and self._answers:
                await trio.SocketStream(connection).send_all(self._answers.pop(0))
            while self._answers:
                with trio.move_on_after(_PATIENCE):
                    if not await connection.recv(65536):
                        return
                    if self._answers:
                        await trio.SocketStream(connection).send_all(self._answers.pop(0))
                    continue
                return
