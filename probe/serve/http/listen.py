"""Listens on one address, which a new release can take over while the old one still serves.

Both sockets have SO_REUSEPORT then (socket(7)): the kernel lets processes of one user share the
address, and gives new connections to those that listen. The new one binds at once, so that an
address which cannot be shared is known before anything starts, and listens when it has something
to say.
"""

from __future__ import annotations

import ctypes
import errno
import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import trio

from probe.model.spec import Listen
from probe.model.target import endpoint
from probe.serve.http.accept import Acceptor
from probe.serve.http.server import Router, WebServer

if TYPE_CHECKING:  # bcrypt and YAML are for those who have a web configuration
    from probe.serve.http.guard import Guard

_BACKLOG = 1024
"""Connections that the kernel holds until they are accepted, some microseconds each. Beyond it
the kernel drops a SYN, which its sender repeats a second later."""

DRAIN = 0.5
"""Seconds in which one that hands its address over still accepts what had begun to connect."""

_SO_ATTACH_FILTER = 26  # socket(7); Python has no name for it
_DROP_SYN = (
    # BPF's instructions (operation, jump if true, jump if false, operand), on a TCP header.
    (0x30, 0, 0, 13),  # load the byte of flags
    (0x54, 0, 0, 0x12),  # keep SYN and ACK of them
    (0x15, 0, 1, 0x02),  # SYN alone?
    (0x06, 0, 0, 0),  # drop it
    (0x06, 0, 0, 0xFFFF),  # take the segment
)


class ListenError(Exception):
    """The address cannot be listened on; the message says which and why."""


async def serve(
    router: Router,
    listen: Listen,
    *,
    guard: Guard | None = None,
    stop: Callable[[], Awaitable[None]] = trio.sleep_forever,
    turn: Callable[[], Awaitable[None]] | None = None,
    on_serving: Callable[[], None] = lambda: None,
    task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until stopped or cancelled.

    Reports ``http://host:port``, or ``https``, with the port really bound. When ``stop`` returns,
    no new connection is accepted and answers under way get ``GRACE`` seconds; cancellation cuts
    them off. Who shares the address accepts for ``DRAIN`` seconds more what had begun to connect,
    since the kernel resets what waits at a socket that is closed.

    Args:
        router: finds who answers.
        listen: where.
        guard: says who may ask, and whether over TLS; the caller keeps it up to date.
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
        scheme = "http" if guard is None or guard.tls is None else "https"
        task_status.started(f"{scheme}://{endpoint(*sock.getsockname()[:2])}")
        if turn is not None and taken:
            await turn()
        sock.listen(_BACKLOG)  # a second call on a socket that listens changes nothing
        on_serving()
        drain = DRAIN if turn is not None else 0.0
        await _accept(WebServer(router, guard), sock, guard, stop, drain)


async def _accept(
    server: WebServer,
    listening: socket.socket,
    guard: Guard | None,
    stop: Callable[[], Awaitable[None]],
    drain: float,
) -> None:
    async with trio.open_nursery() as connections:
        acceptor = Acceptor(
            listening,
            lambda stream, reader: connections.start_soon(server.handle, stream, reader),
            lambda: guard is None or guard.tls is None,
        )
        try:
            async with trio.open_nursery() as accepting:
                accepting.start_soon(acceptor.run)
                await stop()
                server.ending = True
                if drain:
                    _leave_new_ones(listening)
                    await trio.sleep(drain)
                accepting.cancel_scope.cancel()
        finally:
            with trio.CancelScope(shield=True):
                await server.finish()
            connections.cancel_scope.cancel()


def _leave_new_ones(listening: socket.socket) -> None:
    """Let the kernel drop each SYN that comes to this socket.

    Its sender repeats it a second later, and then it goes to those that still listen.
    """
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *one) for one in _DROP_SYN))
    program = struct.pack("HP", len(_DROP_SYN), ctypes.addressof(code))  # struct sock_fprog
    with suppress(OSError):  # a sandbox may forbid filters: then a connection in flight is reset
        listening.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)


async def _bound(listen: Listen, *, shared: bool) -> tuple[socket.socket, bool]:
    """A bound socket, and whether somebody else listens on the same address."""
    try:
        found = await trio.socket.getaddrinfo(
            listen.host, listen.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, _, _, _, address = found[0]
        taken = shared and _taken(family, address)
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setblocking(False)
    except OSError as error:
        raise ListenError(_problem(listen, error)) from error
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(address)
        if not shared:
            sock.listen(_BACKLOG)  # here, because that too can find the address in use
    except OSError as error:
        sock.close()
        raise ListenError(_problem(listen, error)) from error
    return sock, taken


def _taken(family: int, address: Any) -> bool:
    """Whether the address is in use, found out by binding a socket that shares nothing."""
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(address)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            return True
    return False


def _problem(listen: Listen, error: OSError) -> str:
    where = endpoint(listen.host, listen.port)
    return f"cannot listen on {where}: {error.strerror or error}"
