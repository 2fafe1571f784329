"""The kinds of fault: each is asked for by one part of the lab."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

import trio

from probe.lab.chains import ChainMaker
from probe.lab.hello import ClientHello
from probe.lab.http import Exchange, Reply
from probe.lab.question import Answer, Question
from probe.lab.terminator import TlsSettings, TlsStream
from probe.model.tls import Starttls


@dataclass(frozen=True, slots=True)
class Listening:
    """The listening socket itself: closed, or open and never accepting (Linux)."""

    mode: Literal["closed", "deaf"]


@dataclass(frozen=True, slots=True)
class Talk:
    """A connection that a fault takes over.

    Attributes:
        hello: what the client said; None for faults that do not wait for it.
    """

    stream: trio.SocketStream
    hello: ClientHello | None = None


@dataclass(frozen=True, slots=True)
class Greeting:
    """Takes the connection over before a byte is read. Knows no domain, only the edge."""

    act: Callable[[Talk], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Preamble:
    """Speaks another protocol first, as servers with STARTTLS do.

    Attributes:
        act: says whether TLS follows; otherwise the connection is finished.
        protocol: what the client must speak to understand it.
    """

    act: Callable[[Talk], Awaitable[bool]]
    protocol: Starttls


@dataclass(frozen=True, slots=True)
class Wire:
    """Takes the connection over once the ClientHello is read.

    Attributes:
        longer: only where the hello has more octets than this.
    """

    act: Callable[[Talk], Awaitable[None]]
    longer: int = 0


@dataclass(frozen=True, slots=True)
class Chain:
    """Presents another chain in an otherwise healthy handshake."""

    make: ChainMaker


@dataclass(frozen=True, slots=True)
class Negotiation:
    """Negotiates otherwise, with the healthy chain or the twin that is left."""

    settings: TlsSettings
    kinds: tuple[str, ...] = ("ecdsa", "rsa")


@dataclass(frozen=True, slots=True)
class Tickets:
    """Gives session tickets, in otherwise healthy handshakes.

    Attributes:
        act: takes a connection over whose hello brings a ticket; None goes on with it.
        own_keys: each edge has keys of its own, and refuses the tickets of others.
    """

    act: Callable[[Talk], Awaitable[None]] | None = None
    own_keys: bool = False


@dataclass(frozen=True, slots=True)
class Tunnel:
    """Takes the connection over after a good handshake, before a request is read."""

    act: Callable[[TlsStream], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Http:
    """Answers a request in place of the layer it has reached.

    Attributes:
        act: may answer, end the connection, or let the request go on.
        layer: where it strikes unless the rule names layers: ``edge`` is every request.
    """

    act: Callable[[Exchange], Awaitable[Reply]]
    layer: str = "edge"


@dataclass(frozen=True, slots=True)
class Dns:
    """Answers a DNS question in place of the zone."""

    act: Callable[[Question], Awaitable[Answer]]


Fault = Listening | Greeting | Preamble | Wire | Chain | Negotiation | Tickets | Tunnel | Http | Dns
