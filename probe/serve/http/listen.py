"""The HTTP server: an ASGI application on Hypercorn's trio worker, on one address.

Hypercorn's own ``serve`` is not used, only its handler of connections: it shields every write
from cancellation, so one client that asks for the metrics and stops reading would keep the agent
from ending. Here the accept loop is ours (a few lines with trio), it knows every connection, and
closes what is left after a short grace.

A new release can take an address over that the old one still serves. Both sockets have
SO_REUSEPORT then (socket(7)): the kernel lets processes of one user share the address, and gives
new connections to those that listen. The new one binds at once, so that an address which cannot
be shared is known before anything starts, and listens when it has something to say.
"""

from __future__ import annotations

import errno
import logging
import socket
from collections.abc import Awaitable, Callable
from functools import partial

import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ASGIFramework, ConnectionState, LifespanState

from probe.model.spec import Listen
from probe.model.target import endpoint

GRACE = 0.5
"""Seconds that answers under way have left when the server is told to stop."""

CONNECTIONS = 256
"""Connections at once; a scraper needs one, a browser six."""

_IDLE = 120.0  # longer than scrape intervals, so that a scraper keeps its connection
_log = logging.getLogger("probe.serve")


class ListenError(Exception):
    """The address cannot be listened on; the message says which and why."""


async def serve(
    app: ASGIFramework,
    listen: Listen,
    *,
    stop: Callable[[], Awaitable[None]] = trio.sleep_forever,
    turn: Callable[[], Awaitable[None]] | None = None,
    on_serving: Callable[[], None] = lambda: None,
    task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until stopped or cancelled.

    Reports ``http://host:port`` with the port really bound. When ``stop`` returns, no new
    connection is accepted and answers under way get ``GRACE`` seconds; cancellation cuts them off.

    Args:
        app: what answers.
        listen: where.
        stop: returns when it is time to end.
        turn: given, the address may be shared with a process that gave one too. It returns when
            we may answer, and is not called when nobody else serves the address.
        on_serving: called once connections are accepted.
        task_status: told the address.

    Raises:
        ListenError: the address is in use, unknown, or not allowed.
    """
    sock, taken = await _bound(listen, shared=turn is not None)
    with sock:
        task_status.started(f"http://{endpoint(*sock.getsockname()[:2])}")
        if turn is not None and taken:
            await turn()
        sock.listen(128)  # a second call on a socket that listens changes nothing
        on_serving()
        await _accept(_Server(app), trio.SocketListener(sock), stop)


async def _accept(
    server: _Server, listener: trio.SocketListener, stop: Callable[[], Awaitable[None]]
) -> None:
    async with trio.open_nursery() as connections:
        accept = partial(trio.serve_listeners, handler_nursery=connections)
        try:
            async with trio.open_nursery() as accepting:
                accepting.start_soon(accept, server.handle, [listener])
                await stop()
                accepting.cancel_scope.cancel()
        finally:
            with trio.CancelScope(shield=True):
                await server.finish()
            connections.cancel_scope.cancel()


async def _bound(listen: Listen, *, shared: bool) -> tuple[trio.socket.SocketType, bool]:
    """A bound socket, and whether somebody else listens on the same address."""
    try:
        found = await trio.socket.getaddrinfo(
            listen.host, listen.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, _, _, _, address = found[0]
        taken = shared and await _taken(family, address)
        sock = trio.socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise ListenError(_problem(listen, error)) from error
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        await sock.bind(address)
        if not shared:
            sock.listen(128)  # here, because that too can find the address in use
    except OSError as error:
        sock.close()
        raise ListenError(_problem(listen, error)) from error
    return sock, taken


async def _taken(family: int, address: object) -> bool:
    """Whether the address is in use, found out by binding a socket that shares nothing."""
    with trio.socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            await sock.bind(address)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            return True
    return False


def _problem(listen: Listen, error: OSError) -> str:
    where = endpoint(listen.host, listen.port)
    return f"cannot listen on {where}: {error.strerror or error}"


class _Server:
    """Handles connections, and knows those that are open."""

    def __init__(self, app: ASGIFramework) -> None:
        self._app = ASGIWrapper(app)
        self._config = _config()
        self._context = WorkerContext(None)
        self._open: set[trio.SocketStream] = set()
        self._empty = trio.Event()

    async def handle(self, stream: trio.SocketStream) -> None:
        """Serve one connection to its end."""
        if len(self._open) >= CONNECTIONS:
            await trio.aclose_forcefully(stream)
            return
        self._open.add(stream)
        state = ConnectionState(LifespanState({}))
        try:
            await _Connection(
                self._app,
                self._config,
                self._context,
                state,
                stream,  # type: ignore[arg-type]  # it takes plain streams too, its hint says TLS
            )
        except Exception:
            # One connection's trouble, whatever it is, must not end the agent.
            _log.exception("connection failed")
        finally:
            self._open.discard(stream)
            if not self._open:
                self._empty.set()

    async def finish(self) -> None:
        """Let answers under way end, idle connections go, and close what is left."""
        await self._context.terminated.set()
        if self._open:
            self._empty = trio.Event()
            with trio.move_on_after(GRACE):
                await self._empty.wait()
        for stream in list(self._open):
            await trio.aclose_forcefully(stream)


class _Connection(TCPServer):
    """A connection that is over when its client has gone, not only when it was idle for long.

    Hypercorn's own waits for the idle time-out first. With ours, a scraper or health check that
    comes with a new connection each time would have used up all ``CONNECTIONS`` within minutes.
    """

    async def run(self) -> None:
        self._gone = trio.Event()
        await super().run()

    async def _read_data(self) -> None:
        await super()._read_data()
        self._gone.set()

    async def _idle_timeout(self) -> None:
        async with trio.open_nursery() as waiting:

            async def until_gone() -> None:
                await self._gone.wait()
                waiting.cancel_scope.cancel()

            waiting.start_soon(until_gone)
            await super()._idle_timeout()
            waiting.cancel_scope.cancel()


def _config() -> Config:
    config = Config()
    config.errorlog = _log
    config.accesslog = None
    config.include_server_header = False
    config.keep_alive_timeout = _IDLE
    config.keep_alive_max_requests = 1_000_000
    return config
