"""What is asked of DNS and what comes back: plain values between decisions and I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from probe.model.failure import Failure
from probe.model.spec import NameServer
from probe.model.target import endpoint

Family = Literal[4, 6]


@dataclass(frozen=True, slots=True)
class Subnet:
    """A client network to ask on behalf of (RFC 7871).

    Attributes:
        version: 4 or 6.
        network: the address as an integer; bits after ``length`` are zero.
        length: significant bits.
    """

    version: Family
    network: int
    length: int

    @property
    def bits(self) -> int:
        """Width of an address of this family."""
        return 32 if self.version == 4 else 128

    def covers(self, other: Subnet) -> bool:
        """Whether every address of ``other`` lies in this network."""
        if self.version != other.version or self.length > other.length:
            return False
        shift = self.bits - self.length
        return self.network >> shift == other.network >> shift

    def shortened(self, length: int) -> Subnet:
        """The network around this one that has only ``length`` significant bits."""
        shift = self.bits - length
        return Subnet(self.version, (self.network >> shift) << shift, length)


@dataclass(frozen=True, slots=True)
class Question:
    """One question to DNS.

    Attributes:
        name: absolute, A-label form, lower case, no trailing dot.
        family: 4 asks for A, 6 for AAAA.
        subnet: asked on behalf of these clients, or None for our own.
    """

    name: str
    family: Family
    subnet: Subnet | None = None

    def __str__(self) -> str:
        return f"{'A' if self.family == 4 else 'AAAA'} {self.name}"


@dataclass(frozen=True, slots=True)
class Answer:
    """DNS answered, with addresses or with the statement that there are none.

    Attributes:
        addresses: canonical text, in the order of the message; empty for a negative answer.
        nxdomain: the name does not exist (RFC 8020); otherwise empty means no such record.
        cnames: canonical names that were followed, in order.
        ttl: seconds as DNS said, neither floor nor cap applied (RFC 2308 for negative answers).
        scope: prefix length for which the answer holds (RFC 7871); None when the server
            sent no client-subnet option back.
        server: who answered, as ``ip:port``.
        partial: the chain ends at this name and the message does not say where it leads.
        edns: the server speaks EDNS (RFC 6891).
        seconds: from the first packet to the answer, time in our own queue not included.
    """

    addresses: tuple[str, ...]
    nxdomain: bool
    cnames: tuple[str, ...]
    ttl: float
    scope: int | None = None
    server: str = ""
    partial: str | None = None
    edns: bool = False
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """No server said whether there are addresses; what was known before still holds.

    Attributes:
        alive: a server gave a sign of life, even if only to refuse.
        seconds: from the first packet to giving up.
    """

    failure: Failure
    alive: bool = False
    seconds: float = 0.0


Outcome = Answer | NoAnswer

ROOT = Question(".", 4)
"""Every resolver that works says something to this one, if only that it refuses."""


def server_label(server: NameServer) -> str:
    """``192.0.2.53:53`` or ``[2001:db8::53]:53``."""
    return endpoint(server.ip, server.port)
