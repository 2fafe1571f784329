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

from probe.edges.answers import (
    DnsAnswer,
    DnsOutcome,
    DnsQuestion,
    NoAnswer,
    Truncated,
    Unrelated,
    build,
    no_answer,
    read,
)
from probe.edges.message import UnaskableName
from probe.model.failure import Failure, Phase, Reason
from probe.model.spec import NameServer
from probe.net.errors import name_of, reason_of

_SLICES = (1.0, 1.5, 2.5)
"""Shares of the time-out that the rounds over the servers get: one packet may be lost."""

_LARGEST = 4096
"""More than the payload we announce: a server that overdoes it a little is still read."""

_MOST_UNRELATED = 50
"""Packets that answer another question, before TCP is tried, where no id can be guessed: floods of
guesses (RFC 5452), or a server that repeats what it said."""

_MOST_READS = 200
"""Reads that one message over TCP may take: the longest one in the smallest segments."""

_SOCKET_FAULTS = (
    OSError,
    trio.BrokenResourceError,
    trio.ClosedResourceError,
    trio.BusyResourceError,
)

PLAIN_FOR = 300.0
"""Seconds after which a server is asked with EDNS again."""

_STRIKES = 2
"""Questions that only plain DNS got answered, before that is believed: one may be chance, and
without EDNS nothing can be asked on behalf of clients elsewhere."""


class Manners:
    """Which servers cannot take questions with EDNS (RFC 6891). Pure: time is an argument.

    Some answer FORMERR and say so. Others, or a firewall in front of them, drop such questions
    without a word. Either is remembered for a while, so that not every question pays for it.
    """

    def __init__(self) -> None:
        self._strikes: dict[NameServer, int] = {}
        self._plain_until: dict[NameServer, float] = {}

    def takes_edns(self, server: NameServer, now: float) -> bool:
        """Tell whether to ask this server with EDNS."""
        return self._plain_until.get(server, now) <= now

    def spoke_edns(self, server: NameServer) -> None:
        """Note that an answer came with an OPT record."""
        self._strikes.pop(server, None)
        self._plain_until.pop(server, None)

    def refused(self, server: NameServer, now: float) -> None:
        """Note that the server answered a plain question after an error about EDNS."""
        self._strikes[server] = _STRIKES
        self._plain_until[server] = now + PLAIN_FOR

    def dropped(self, server: NameServer, now: float) -> None:
        """Note that the server left questions with EDNS unanswered and answered a plain one."""
        strikes = self._strikes[server] = self._strikes.get(server, 0) + 1
        if strikes >= _STRIKES:
            self._plain_until[server] = now + PLAIN_FOR


class _Dialogue:
    """One question to one server: a connected UDP socket, kept over retries.

    The same message id and socket serve every retry, so that a slow answer to the first
    packet still counts while the second is under way.
    """

    def __init__(self, server: NameServer, question: DnsQuestion, manners: Manners) -> None:
        self.server = server
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

    async def ask(self, deadline: float, *, last: bool) -> DnsOutcome | None:
        """Send one packet and wait for the first answer to our question.

        Args:
            deadline: on trio's clock.
            last: the server stayed silent so far and is not asked again: a second packet
                leaves out EDNS, which some servers and firewalls drop.

        Returns:
            None when the server stayed silent.
        """
        try:
            with trio.move_on_at(deadline):
                return await self._exchange(last=last)
        except UnaskableName as error:
            return NoAnswer(Failure(Phase.RESOLVE, Reason.MALFORMED, str(error)))
        except _Ended:
            detail = f"{self.server.label} sent no whole message over TCP: it closed, or drips"
            return self._no_answer(Reason.CLOSED, detail)
        except _SOCKET_FAULTS as error:
            return self._no_answer(*_from_os_error(error, self.server.label))
        return None

    async def _exchange(self, *, last: bool) -> DnsOutcome:
        dropped = last and self._edns
        reply = await self._over_udp(also_plain=dropped)
        refused = isinstance(reply, NoAnswer) and reply.without_edns and self._edns
        if refused:
            self._edns = False
            reply = await self._over_udp()
        if isinstance(reply, Truncated):
            self._edns = self._edns and not last
            reply = await self._over_tcp()
        if isinstance(reply, DnsAnswer):
            now = trio.current_time()
            if reply.edns:
                self._manners.spoke_edns(self.server)
            elif refused:
                self._manners.refused(self.server, now)
            elif dropped:
                self._manners.dropped(self.server, now)
        return reply

    async def _over_udp(self, *, also_plain: bool = False) -> DnsOutcome | Truncated:
        packet = build(self._question, self._id, edns=self._edns)
        if self._udp is None:
            self._udp = trio.socket.socket(self._family, socket.SOCK_DGRAM)
            await self._udp.connect((self.server.ip, self.server.port))
        await self._udp.send(packet)
        if also_plain:
            await self._udp.send(build(self._question, self._id, edns=False))
        for _ in range(_MOST_UNRELATED):
            wire = await self._udp.recv(_LARGEST)
            reply = read(wire, self._question, self._id, self.server.label)
            if not isinstance(reply, Unrelated):
                return reply
        return Truncated()

    async def _over_tcp(self) -> DnsOutcome:
        """RFC 7766: the same message behind a length of two bytes."""
        with trio.socket.socket(self._family, socket.SOCK_STREAM) as sock:
            await sock.connect((self.server.ip, self.server.port))
            stream = trio.SocketStream(sock)
            wire = build(self._question, self._id, edns=self._edns)
            await stream.send_all(len(wire).to_bytes(2, "big") + wire)
            size = int.from_bytes(await _exactly(stream, 2), "big")
            data = await _exactly(stream, size)
        reply = read(data, self._question, self._id, self.server.label)
        if isinstance(reply, (Truncated, Unrelated)):
            detail = f"{self.server.label}: no answer to our question over TCP"
            return self._no_answer(Reason.MALFORMED, detail)
        return reply

    def _no_answer(self, reason: Reason, detail: str) -> NoAnswer:
        return no_answer(self._question, reason, detail)


class _Ended(Exception):
    """The server closed a TCP connection before its message was whole, or sent it byte by byte."""


async def _exactly(stream: trio.SocketStream, size: int) -> bytes:
    data = bytearray()
    for _ in range(_MOST_READS):
        chunk = await stream.receive_some(size - len(data)) if size else b""
        data += chunk
        if len(data) == size:
            return bytes(data)
        if not chunk:
            raise _Ended
    raise _Ended


async def ask(
    servers: Sequence[NameServer],
    question: DnsQuestion,
    timeout: float,
    manners: Manners | None = None,
) -> DnsOutcome:
    """Ask servers in order, silent ones again, until one says something about the name.

    Args:
        servers: tried in this order in every round.
        question: what to ask.
        timeout: seconds for everything together.
        manners: what is known of servers, and learnt here; None keeps nothing.

    Returns:
        the answer, or what went wrong at the last server that gave any sign of life.
    """
    manners = manners or Manners()
    begin = trio.current_time()
    dialogues = [_Dialogue(server, question, manners) for server in servers]
    try:
        outcome = await _rounds(dialogues, begin, timeout)
    finally:
        for dialogue in dialogues:
            dialogue.close()
    if outcome is None:
        labels = ", ".join(server.label for server in servers)
        detail = f"no answer from {labels} in {timeout:g} s"
        outcome = no_answer(question, Reason.TIMEOUT, detail)
    return replace(outcome, seconds=trio.current_time() - begin)


async def _rounds(
    dialogues: Sequence[_Dialogue], start: float, timeout: float
) -> DnsOutcome | None:
    """Rounds of tries; a server that gave a verdict, or cannot be reached, is not asked again."""
    silent, verdict, share = list(dialogues), None, 0.0
    for number, slice_ in enumerate(_SLICES, 1):
        share += slice_ / sum(_SLICES)
        batch = tuple(silent)
        for place, dialogue in enumerate(batch):
            now = trio.current_time()
            left = start + timeout * share - now  # negative after a pause of this process
            last = number == len(_SLICES)
            outcome = await dialogue.ask(now + left / (len(batch) - place), last=last)
            if isinstance(outcome, DnsAnswer):
                return outcome
            if outcome is not None:
                verdict = outcome
                silent.remove(dialogue)
    return verdict


def _from_os_error(error: Exception, server: str) -> tuple[Reason, str]:
    cause = error if isinstance(error, OSError) else error.__cause__
    number = cause.errno if isinstance(cause, OSError) else None
    name = name_of(number) if number else type(error).__name__
    if isinstance(error, (trio.ClosedResourceError, trio.BusyResourceError)):
        return Reason.DEFECT, f"asking {server}: our socket was closed ({name})"
    # Whatever refuses here, refuses at once; but "no route to host" may come from the network.
    reason = reason_of(number, at_once=number != errno.EHOSTUNREACH)
    if reason is Reason.NO_ROUTE or isinstance(cause, socket.gaierror):
        return Reason.NO_ROUTE, f"no route to {server} ({name})"
    if reason in (Reason.REFUSED, Reason.UNREACHABLE):
        return Reason.UNREACHABLE, f"nothing answers at {server} ({name})"
    if reason is Reason.RESET:
        return Reason.RESET, f"{server} reset the connection ({name})"
    return reason, f"asking {server}: {name}"
