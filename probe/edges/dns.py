"""Asks DNS servers over UDP and TCP: thin I/O on trio, every verdict as a value.

Sockets are our own rather than dnspython's trio backend, whose deadlines follow the wall clock,
which leaves a socket open when a connect is cancelled, and which does not connect its UDP sockets,
so that a resolver that is not running shows as a time-out instead of an ICMP error.
"""

from __future__ import annotations

import errno
import secrets
import socket
from collections.abc import Sequence
from dataclasses import replace

import trio

from probe.edges.manners import Manners
from probe.edges.message import Reply, Truncated, Unrelated, Unusable, build, read
from probe.edges.question import Answer, NoAnswer, Outcome, Question, server_label
from probe.edges.wire import UnaskableName
from probe.model.failure import Failure, Phase, Reason
from probe.model.spec import NameServer
from probe.net.errors import name_of, reason_of

_SLICES = (1.0, 1.5, 2.5)
"""Shares of the time-out that the rounds over the servers get: one packet may be lost."""

_LARGEST = 4096
"""More than the payload we announce: a server that overdoes it a little is still read."""

_NO_SIGN_OF_LIFE = {
    Reason.NO_ROUTE,
    Reason.LOCAL_RESOURCE,
    Reason.UNREACHABLE,
    Reason.UNKNOWN,
    Reason.DEFECT,
}
_SOCKET_FAULTS = (
    OSError,
    trio.BrokenResourceError,
    trio.ClosedResourceError,
    trio.BusyResourceError,
)


class _ServerLine:
    """The way to one server for one question: a connected UDP socket, kept over retries.

    The same message id and socket serve every retry, so that a slow answer to the first
    packet still counts while the second is under way.
    """

    def __init__(self, server: NameServer, question: Question, manners: Manners) -> None:
        self.label = server_label(server)
        self._server = server
        self._question = question
        self._family = socket.AF_INET6 if ":" in server.ip else socket.AF_INET
        self._udp: trio.socket.SocketType | None = None
        self._id = secrets.randbits(16)
        self._manners = manners
        self._edns = manners.takes_edns(server, trio.current_time())

    def close(self) -> None:
        """Give the socket back; a late answer then finds nobody."""
        if self._udp is not None:
            self._udp.close()

    async def ask(self, *, last: bool) -> Reply:
        """One packet out, and the first answer to our question back; may wait forever.

        Args:
            last: the server stayed silent so far and is not asked again: a second packet
                leaves out EDNS, which some servers and firewalls drop.
        """
        dropped = last and self._edns
        reply = await self._over_udp(also_plain=dropped)
        refused = isinstance(reply, Unusable) and reply.without_edns and self._edns
        if refused:
            self._edns = False
            reply = await self._over_udp()
        if isinstance(reply, Truncated):
            self._edns = self._edns and not last
            reply = await self._over_tcp()
        if isinstance(reply, Answer):
            self._learn(reply, refused=refused, dropped=dropped)
        return reply

    def _learn(self, answer: Answer, *, refused: bool, dropped: bool) -> None:
        now = trio.current_time()
        if answer.edns:
            self._manners.spoke_edns(self._server)
        elif refused:
            self._manners.refused(self._server, now)
        elif dropped:
            self._manners.dropped(self._server, now)

    async def _over_udp(self, *, also_plain: bool = False) -> Reply:
        if self._udp is None:
            self._udp = trio.socket.socket(self._family, socket.SOCK_DGRAM)
            await self._udp.connect((self._server.ip, self._server.port))
        await self._udp.send(build(self._question, self._id, edns=self._edns))
        if also_plain:
            await self._udp.send(build(self._question, self._id, edns=False))
        while True:
            wire = await self._udp.recv(_LARGEST)
            reply = read(wire, self._question, self._id, self.label)
            if not isinstance(reply, Unrelated):
                return reply

    async def _over_tcp(self) -> Reply:
        """RFC 7766: the same message behind a length of two bytes."""
        with trio.socket.socket(self._family, socket.SOCK_STREAM) as sock:
            await sock.connect((self._server.ip, self._server.port))
            stream = trio.SocketStream(sock)
            wire = build(self._question, self._id, edns=self._edns)
            await stream.send_all(len(wire).to_bytes(2, "big") + wire)
            size = int.from_bytes(await _exactly(stream, 2), "big")
            reply = read(await _exactly(stream, size), self._question, self._id, self.label)
        if isinstance(reply, (Truncated, Unrelated)):
            return Unusable(Reason.MALFORMED, f"{self.label}: no answer to our question over TCP")
        return reply


class _Ended(Exception):
    """The server closed a TCP connection before its message was whole."""


async def _exactly(stream: trio.SocketStream, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        chunk = await stream.receive_some(size - len(data))
        if not chunk:
            raise _Ended
        data += chunk
    return bytes(data)


async def ask(
    servers: Sequence[NameServer],
    question: Question,
    timeout: float,
    manners: Manners | None = None,
) -> Outcome:
    """Ask servers in order, silent ones again, until one says something about the name.

    Args:
        servers: tried in this order in every round.
        question: what to ask.
        timeout: seconds for everything together.
        manners: what is known of servers, and learnt here; None keeps nothing.

    Returns:
        the answer, or what went wrong at the last server that gave any sign of life.
    """
    try:
        build(question, 0)
    except UnaskableName as error:
        return NoAnswer(Failure(Phase.RESOLVE, Reason.MALFORMED, str(error)))
    manners = manners or Manners()
    lines = [_ServerLine(server, question, manners) for server in servers]
    begin = trio.current_time()
    try:
        reply = await _rounds(lines, begin, timeout)
    finally:
        for line in lines:
            line.close()
    seconds = trio.current_time() - begin
    match reply:
        case Answer():
            return replace(reply, seconds=seconds)
        case Unusable(reason, detail):
            failure = Failure(Phase.RESOLVE, reason, f"{question}: {detail}")
            return NoAnswer(failure, alive=reason not in _NO_SIGN_OF_LIFE, seconds=seconds)
        case _:
            labels = ", ".join(line.label for line in lines)
            detail = f"{question}: no answer from {labels} in {timeout:g} s"
            failure = Failure(Phase.RESOLVE, Reason.TIMEOUT, detail)
            return NoAnswer(failure, seconds=seconds)


async def _rounds(
    lines: Sequence[_ServerLine], start: float, timeout: float
) -> Answer | Unusable | None:
    """Rounds of tries; a server that gave a verdict, or cannot be reached, is not asked again."""
    silent, verdict, share = list(lines), None, 0.0
    for number, slice_ in enumerate(_SLICES, 1):
        share += slice_ / sum(_SLICES)
        batch = tuple(silent)
        for place, line in enumerate(batch):
            now = trio.current_time()
            left = start + timeout * share - now  # negative after a pause of this process
            last = number == len(_SLICES)
            reply = await _try(line, now + left / (len(batch) - place), last=last)
            if isinstance(reply, Answer):
                return reply
            if reply is not None:
                verdict = reply
                silent.remove(line)
    return verdict


async def _try(line: _ServerLine, deadline: float, *, last: bool) -> Answer | Unusable | None:
    """One try at one server; None when it stayed silent."""
    try:
        with trio.move_on_at(deadline):
            reply = await line.ask(last=last)
            return reply if isinstance(reply, (Answer, Unusable)) else None
    except _Ended:
        return Unusable(Reason.CLOSED, f"{line.label} closed the connection")
    except _SOCKET_FAULTS as error:
        return _from_os_error(error, line.label)
    return None


def _from_os_error(error: Exception, server: str) -> Unusable:
    cause = error if isinstance(error, OSError) else error.__cause__
    number = cause.errno if isinstance(cause, OSError) else None
    name = name_of(number) if number else type(error).__name__
    if isinstance(error, (trio.ClosedResourceError, trio.BusyResourceError)):
        return Unusable(Reason.DEFECT, f"asking {server}: our socket was closed ({name})")
    # Whatever refuses here, refuses at once; but "no route to host" may come from the network.
    reason = reason_of(number, at_once=number != errno.EHOSTUNREACH)
    if reason is Reason.NO_ROUTE or isinstance(cause, socket.gaierror):
        return Unusable(Reason.NO_ROUTE, f"no route to {server} ({name})")
    if reason in (Reason.REFUSED, Reason.UNREACHABLE):
        return Unusable(Reason.UNREACHABLE, f"nothing answers at {server} ({name})")
    if reason is Reason.RESET:
        return Unusable(Reason.RESET, f"{server} reset the connection ({name})")
    return Unusable(reason, f"asking {server}: {name}")
