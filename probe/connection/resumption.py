"""Session tickets: taken from one connection, kept in memory, offered on another.

A ticket lets a client skip the full handshake. Which server can read it depends on the key that
wrote it, so the edges of a provider must share such keys, or refuse foreign tickets in peace
(RFC 5077 section 3.1, RFC 8446 section 4.6.1). Each holds a secret: none is written or logged, and
what is kept is bounded in number, size and time. Imported when a profile first asks for it.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

import trio

from probe.certificates.der import content, elements, encoded
from probe.connection.failures import AttemptFailed
from probe.connection.tls import TlsStream
from probe.model.target import EdgeKey

MOST_AGE = 7200.0
"""Seconds for which a ticket is kept at most, whatever its server allows: OpenSSL's default."""

MOST_BYTES = 16 * 1024 * 1024
"""Of all tickets together; the groups that were used longest ago go first."""

_LARGEST = 8 * 1024  # one with a client's certificate inside has some three kilobytes
_A_GROUP = 4
_MOST_TURNS = 64
_READS = 8
_MOMENT = 0.25

_TLS13 = 0x0304
_SEQUENCE = 0x30
# OpenSSL's SSL_SESSION_ASN1: [3] is the server's certificate, [9] the lifetime in seconds.
_PEER, _LIFETIME, _TICKET = 0xA3, 0xA9, 0xAA


@dataclass(frozen=True, slots=True)
class SessionTicket:
    """A ticket with what its client must know to use it.

    Attributes:
        session: as `openssl.session` writes it, without the server's certificate. A secret.
        taken: trio's time.
        expires: trio's time from which on it must not be offered.
    """

    session: bytes = field(repr=False)
    taken: float
    expires: float


def ticket_of(session: bytes, now: float) -> SessionTicket | None:
    """Return the ticket that a session holds; None without one, or one that may not be used.

    Without a lifetime (0) a ticket of TLS 1.2 is its client's to judge (RFC 5077 section 3.3), and
    one of TLS 1.3 is to be thrown away (RFC 8446 section 4.6.1).

    Args:
        session: DER; empty for none.
        now: trio's time.
    """
    if not session:
        return None
    try:
        fields = list(elements(session))
        by_tag = {one[0]: one for one in fields[5:]}
        version = int.from_bytes(content(fields[1]), "big")
        lifetime = 0
        if _LIFETIME in by_tag:
            lifetime = int.from_bytes(content(content(by_tag[_LIFETIME])), "big")
    except (ValueError, IndexError):
        return None  # another release of OpenSSL writes it otherwise
    if _TICKET not in by_tag or (lifetime == 0 and version >= _TLS13):
        return None
    written = encoded(_SEQUENCE, *(one for one in fields if one[0] != _PEER))
    if len(written) > _LARGEST:
        return None
    return SessionTicket(written, now, now + min(lifetime or MOST_AGE, MOST_AGE))


async def take_ticket(stream: TlsStream, deadline: float) -> SessionTicket | None:
    """Wait for the server's ticket, after a good handshake. Takes application data away.

    With TLS 1.3 it comes behind the client's last flight, so the server gets two round trips and a
    moment, until ``deadline`` (trio's time) at most. That it ends the connection instead is no
    fault: it was sent no request.
    """
    found = ticket_of(stream.session(), trio.current_time())
    if stream.presented.version != "TLS 1.3" or found is not None:
        return found
    patience = trio.current_time() + 2 * stream.wire.connect_seconds + _MOMENT
    with trio.move_on_at(min(patience, deadline)):
        try:
            await stream.flush()
            for _ in range(_READS):
                if not await stream.hear():
                    break
                found = ticket_of(stream.session(), trio.current_time())
                if found is not None:
                    break
        except AttemptFailed:
            return None
    return found


@dataclass(slots=True)
class _Group:
    """The tickets of one target, provider and client: by edge, the oldest first.

    Attributes:
        turns: whose ticket each edge was offered last.
        broken: edges that are offered the same one again.
    """

    tickets: OrderedDict[str, SessionTicket] = field(default_factory=OrderedDict)
    turns: OrderedDict[str, str] = field(default_factory=OrderedDict)
    broken: set[str] = field(default_factory=set)

    @property
    def size(self) -> int:
        return sum(len(one.session) for one in self.tickets.values())


class TicketStore:
    """Keeps the newest tickets of a few edges of each target, provider and client. Pure.

    Args:
        most_bytes: of all of them together.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._groups: OrderedDict[EdgeKey, _Group] = OrderedDict()
        self._most = most_bytes
        self._bytes = 0

    @property
    def size(self) -> int:
        """Bytes of all tickets."""
        return self._bytes

    def keep(self, key: EdgeKey, ticket: SessionTicket) -> None:
        """Keep the ticket of an edge in place of those that it gave before."""
        shared = key._replace(edge="")
        group = self._groups.setdefault(shared, _Group())
        self._groups.move_to_end(shared)
        self._bytes -= group.size
        group.tickets.pop(key.edge, None)
        group.tickets[key.edge] = ticket
        if len(group.tickets) > _A_GROUP:
            group.tickets.popitem(last=False)
        self._bytes += group.size
        while self._bytes > self._most:
            _, gone = self._groups.popitem(last=False)
            self._bytes -= gone.size

    def other(self, key: EdgeKey, now: float) -> tuple[str, SessionTicket] | None:
        """Return another edge and its ticket to offer to this one; None when there is none.

        The others take turns, so that no pair of edges stays untried. After one that broke the
        handshake the same is offered, so that the next attempt says if that was chance.
        """
        group = self._groups.get(key._replace(edge=""))
        if group is None:
            return None
        self._bytes -= group.size
        for edge in [edge for edge, one in group.tickets.items() if one.expires <= now]:
            del group.tickets[edge]
        self._bytes += group.size
        others = sorted(group.tickets.keys() - {key.edge})
        if not others:
            return None
        last = group.turns.pop(key.edge, "")
        if key.edge not in group.broken or last not in others:
            last = next((edge for edge in others if edge > last), others[0])
        group.turns[key.edge] = last
        if len(group.turns) > _MOST_TURNS:
            gone, _ = group.turns.popitem(last=False)
            group.broken.discard(gone)
        return last, group.tickets[last]

    def note(self, key: EdgeKey, *, broken: bool) -> None:
        """Remember whether the ticket that an edge was offered last broke the handshake."""
        group = self._groups.get(key._replace(edge=""))
        if group is not None:
            (group.broken.add if broken else group.broken.discard)(key.edge)
