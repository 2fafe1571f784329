"""Targets, providers' edges, and the keys under which results are filed.

Keys are named tuples: each attempt looks one up some twenty times, and a tuple's hash and
comparison cost a fifth of a dataclass's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

from probe.model.failure import Failure

_NO_LABELS: Mapping[str, str] = MappingProxyType({})


def endpoint(host: str, port: int | str) -> str:
    """Join host and port; an IPv6 address stands in brackets (RFC 3986 section 3.2.2)."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@dataclass(frozen=True, slots=True)
class Target:
    """What a customer uses: a domain (its SNI).

    Attributes:
        name: host name in A-label form, lower case, no trailing dot; or an IP address.
            For a flow without a target list, the check's own name.
        port: port written with the target, or None for the provider's or the check's.
        labels: labels of the list it came from, kept for info series, never on hot series.
        written: whether the configuration itself holds it, and no list that others write. Only
            such a target names hosts that credentials go to.
    """

    name: str
    port: int | None = None
    labels: Mapping[str, str] = field(default_factory=lambda: _NO_LABELS, hash=False)
    written: bool = False

    @property
    def label(self) -> str:
        """The ``target`` label: the name, with the port if one was written with it."""
        return self.name if self.port is None else endpoint(self.name, self.port)


@dataclass(frozen=True, slots=True)
class AddressRules:
    """Which addresses may be connected to, beyond `probe.net.addresses`.

    Attributes:
        allow: networks that may, in CIDR form.
        deny: networks that may not.
        nat64: further prefixes behind which IPv4 addresses stand (RFC 6052).
    """

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    nat64: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Edge:
    """One address of one provider for one target.

    Attributes:
        ip: IPv4 or IPv6 address in canonical text form.
        port: TCP port.
        seen_from: names of the client regions for which DNS named this edge (RFC 7871);
            empty when no client subnet was asked for.
        cnames: the chain of canonical names that led here, as evidence.
        unnamed: seconds for which DNS has not named it any more, when that was last asked; None
            while it does. It is kept for the configured time.
        written: whether the configuration itself writes the address, or ``localhost`` for it. Any
            other is connected to only where `AddressRules` permit it.
    """

    ip: str
    port: int
    seen_from: tuple[str, ...] = field(default=(), compare=False)
    cnames: tuple[str, ...] = field(default=(), compare=False)
    unnamed: float | None = field(default=None, compare=False)
    written: bool = field(default=False, compare=False)

    @property
    def stale(self) -> bool:
        """No current answer of DNS names it."""
        return self.unnamed is not None

    @property
    def label(self) -> str:
        """``192.0.2.1:443`` or ``[2001:db8::1]:443``: the ``edge`` label."""
        return endpoint(self.ip, self.port)

    @property
    def version(self) -> int:
        """IP version: 4 or 6."""
        return 6 if ":" in self.ip else 4


class ProviderKey(NamedTuple):
    """One target as seen through one provider, in one check."""

    check: str
    target: str
    provider: str


class EdgeKey(NamedTuple):
    """One edge under one client profile: what a TLS result is filed under."""

    check: str
    target: str
    provider: str
    edge: str
    client: str

    @property
    def through(self) -> ProviderKey:
        """The same without edge and client."""
        return ProviderKey(self.check, self.target, self.provider)


class FlowKey(NamedTuple):
    """One flow of one persona for one target through one provider."""

    check: str
    target: str
    provider: str
    persona: str


@dataclass(frozen=True, slots=True)
class Resolution:
    """What asking a provider for a target's edges gave.

    Attributes:
        edges: every address, in a stable order, without duplicates. Fixed addresses
            are a resolution that cannot fail.
        failure: DNS's own signal; edges known from before may still stand in ``edges``.
        ttl: seconds until asking again is worthwhile, floor and cap applied.
        seconds: time the question took; None when nothing was asked.
        took: time of the question that gave this, asked now or before; 0 where none was needed.
        skipped_ipv6: addresses left out because this host has no IPv6 route.
        nat64: IPv6 addresses that stand for IPv4 addresses, so that a server may be there twice.
        notes: evidence in words, e.g. a server that ignored the client subnet.
    """

    edges: tuple[Edge, ...]
    failure: Failure | None = None
    ttl: float | None = None
    seconds: float | None = None
    skipped_ipv6: int = 0
    nat64: int = 0
    notes: tuple[str, ...] = ()
    took: float = field(default=0.0, compare=False)
