"""Cases: a fault of the lab's table, a place, a share, and the cause that must be named."""

from __future__ import annotations

import random
import socket
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from probe.lab.board import Where
from probe.lab.faults import wire
from probe.lab.faults.kinds import Chain, Fault, Greeting, Listening, Negotiation, Preamble, Talk
from probe.lab.faults.kinds import Wire as WireFault
from probe.lab.faults.row import Given, Row
from probe.lab.faults.table import TABLE
from probe.lab.hello import NotAHello, handshake_bytes
from probe.model.cause import OLD_CERTIFICATE, UNKNOWN_NAME, Cause
from probe.model.failure import Phase, Reason
from probe.model.tls import ClientProfile

SEED = 20_211_116
SHARES = (1.0, 0.6, 0.3)
GIVEN = {Given.DEFAULT, Given.OWN_NAMES, Given.ISSUERS, Given.NOT_BEFORE, Given.ALPN}
"""What a case can set its check to. Others make healthy edges of the lab fail as well."""

DOMAINS = 5
EDGES = 3


class Spot(StrEnum):
    """Where a fault is."""

    ONE_DOMAIN_ONE_EDGE = "one domain on one edge"
    ONE_DOMAIN_SOME_EDGES = "one domain on two edges"
    ONE_EDGE = "one edge"
    ONE_DOMAIN_ONE_PROVIDER = "one domain at one provider"
    ONE_PROVIDER = "one provider"
    ONE_DOMAIN = "one domain everywhere"
    EVERYTHING = "everything"
    ONE_FAMILY = "one IP version"
    ONE_KEY_TYPE = "one key type"
    ONE_CLIENT = "one kind of client"


@dataclass(frozen=True)
class Injected:
    """One fault at one place.

    Attributes:
        causes: any of these is right.
        reasons: how it shows.
        nth: which of the domains and edges is the one that is hit; the second fault of a pair is
            at the other provider.
    """

    name: str
    fault: Fault
    spot: Spot
    share: float
    causes: frozenset[Cause]
    phase: Phase
    reasons: frozenset[Reason]
    given: Given = Given.DEFAULT
    nth: int = 0

    def where(self, domains: list[str], edges: dict[str, list[str]]) -> Where:
        """Say it to the lab's board. ``edges`` are the names of places by provider."""
        all_a, all_b = (edges["b"], edges["a"]) if self.nth else (edges["a"], edges["b"])
        first = all_a[self.nth : self.nth + 1]
        one = frozenset(domains[self.nth : self.nth + 1])
        match self.spot:
            case Spot.ONE_DOMAIN_ONE_EDGE:
                return Where(domains=one, edges=frozenset(first))
            case Spot.ONE_DOMAIN_SOME_EDGES:
                return Where(domains=one, edges=frozenset(all_a[:2]))
            case Spot.ONE_EDGE:
                return Where(edges=frozenset(first))
            case Spot.ONE_DOMAIN_ONE_PROVIDER:
                return Where(domains=one, edges=frozenset(all_a))
            case Spot.ONE_PROVIDER:
                return Where(edges=frozenset(all_a))
            case Spot.ONE_DOMAIN:
                return Where(domains=one, edges=frozenset(all_a + all_b))
            case Spot.EVERYTHING:
                return Where(edges=frozenset(all_a + all_b))
            case Spot.ONE_FAMILY:
                return Where(edges=frozenset(edges["a6"]))
            case Spot.ONE_KEY_TYPE | Spot.ONE_CLIENT:
                return Where(edges=frozenset(all_a[:2]))


@dataclass(frozen=True)
class Case:
    """Faults that are injected together."""

    number: int
    injected: tuple[Injected, ...]
    profiles: tuple[ClientProfile, ...] = (ClientProfile(),)

    @property
    def pair(self) -> bool:
        """Two independent faults."""
        return len(self.injected) > 1

    @property
    def title(self) -> str:
        """Say what is injected where."""
        return " and ".join(f"{one.name} at {one.spot} in {one.share:.0%}" for one in self.injected)


# ---------------------------------------------------------------- faults of one kind of client


def peeking(condition: Callable[[bytes], bool]) -> Callable[[Talk], Awaitable[bool]]:
    """Reset connections whose ClientHello fulfils a condition; let TLS follow for all others."""

    async def act(talk: Talk) -> bool:
        seen = b""
        sock = talk.stream.socket
        while True:
            more = await sock.recv(16384, socket.MSG_PEEK)
            if not more or len(more) == len(seen):
                break
            seen = more
            size = 5 + int.from_bytes(seen[3:5], "big")
            if len(seen) >= size:
                break
        if condition(seen):
            await wire.reset(talk)
            return False
        return True

    return act


def extensions(raw: bytes) -> dict[int, bytes]:
    """Take the extensions off a ClientHello (RFC 8446 section 4.1.2)."""
    try:
        body = handshake_bytes(raw)[4:]
    except NotAHello:
        return {}
    at = 34 + 1 + body[34]
    at += 2 + int.from_bytes(body[at : at + 2], "big")
    at += 1 + body[at]
    found: dict[int, bytes] = {}
    at += 2
    while at + 4 <= len(body):
        kind, size = int.from_bytes(body[at : at + 2], "big"), body[at + 2 : at + 4]
        length = int.from_bytes(size, "big")
        found[kind] = body[at + 4 : at + 4 + length]
        at += 4 + length
    return found


_GROUPS, _ALPN, _VERSIONS = 10, 16, 43
_HYBRID = (0x11EC).to_bytes(2, "big")  # X25519MLKEM768
_TLS13 = b"\x03\x04"


def _offers(raw: bytes, kind: int, what: bytes) -> bool:
    return what in extensions(raw).get(kind, b"")


CLIENTS: dict[Cause, tuple[Callable[[bytes], bool], ClientProfile]] = {
    Cause.LARGE_HELLO: (lambda raw: len(raw) > 1200, ClientProfile()),
    Cause.POST_QUANTUM: (lambda raw: _offers(raw, _GROUPS, _HYBRID), ClientProfile()),
    Cause.WITH_ALPN: (lambda raw: _offers(raw, _ALPN, b"\x02h2"), ClientProfile()),
    Cause.WITHOUT_ALPN: (lambda raw: _ALPN not in extensions(raw), ClientProfile("bare", alpn=())),
    Cause.ONLY_TLS13: (lambda raw: _offers(raw, _VERSIONS, _TLS13), ClientProfile()),
    Cause.ONLY_TLS12: (
        lambda raw: not _offers(raw, _VERSIONS, _TLS13),
        ClientProfile("old", max_version="TLSv1.2"),
    ),
}
KEY_TYPES = {
    "no_rsa_twin": (Cause.ONLY_RSA, ClientProfile("rsa", "tls12-rsa")),
    "no_ecdsa_twin": (Cause.ONLY_ECDSA, ClientProfile("ecdsa", "tls12-ecdsa")),
}

DEPENDING = {"long_hello_lost": Cause.LARGE_HELLO, "p521_key": Cause.ONLY_TLS13}
"""Faults that only some clients meet, wherever they are. TLS 1.2 does not tie an ECDSA signature
to a curve, so a key on P-521 is refused in TLS 1.3 alone (RFC 8446 section 4.2.3)."""

# ---------------------------------------------------------------- drawing


def rows() -> list[Row]:
    """Every fault of the table that breaks TLS and that a check of a case can notice."""
    kinds = (Chain, Greeting, Listening, Negotiation, WireFault)
    return [
        row
        for row in TABLE
        if isinstance(row.fault, kinds)
        and row.phase is not None
        and not row.warning
        and row.given in GIVEN
    ]


def expected(spot: Spot, reason: Reason, *, named: bool) -> frozenset[Cause]:
    """The causes that are right for a fault at a place.

    Args:
        spot: where it is.
        reason: how it shows.
        named: the fault can be limited to a domain.
    """
    match spot:
        case Spot.ONE_DOMAIN_ONE_EDGE | Spot.ONE_DOMAIN_SOME_EDGES:
            if reason in UNKNOWN_NAME:
                return frozenset({Cause.CERTIFICATE_MISSING})
            old = reason in OLD_CERTIFICATE
            return frozenset({Cause.CERTIFICATE_OLD if old else Cause.DOMAIN_ON_EDGE})
        case Spot.ONE_EDGE:
            return frozenset({Cause.EDGE})
        case Spot.ONE_DOMAIN_ONE_PROVIDER:
            return frozenset({Cause.DOMAIN_ON_PROVIDER})
        case Spot.ONE_PROVIDER:
            return frozenset({Cause.PROVIDER})
        case Spot.ONE_DOMAIN:
            return frozenset({Cause.DOMAIN})
        case Spot.EVERYTHING:
            return frozenset({Cause.OUR_SIDE})
        case Spot.ONE_FAMILY:
            return frozenset({Cause.ONLY_IPV6})
        case _:
            raise ValueError(f"{spot} has causes of its own: {named}")


_NAMED = (
    Spot.ONE_DOMAIN_ONE_EDGE,
    Spot.ONE_DOMAIN_SOME_EDGES,
    Spot.ONE_EDGE,
    Spot.ONE_DOMAIN_ONE_PROVIDER,
    Spot.ONE_PROVIDER,
    Spot.ONE_DOMAIN,
    Spot.ONE_FAMILY,
    Spot.EVERYTHING,
)
_NAMELESS = (Spot.ONE_EDGE, Spot.ONE_PROVIDER, Spot.ONE_FAMILY)


def _single(row: Row, spot: Spot, share: float) -> Injected:
    assert row.phase is not None
    assert row.reason is not None
    named = not isinstance(row.fault, Greeting | Listening)
    if isinstance(row.fault, Listening):
        share = 1.0  # a socket listens or it does not
    causes = expected(spot, row.reason, named=named)
    if row.name in DEPENDING:
        causes = frozenset({DEPENDING[row.name]})
    return Injected(
        row.name, row.fault, spot, share, causes, row.phase, frozenset({row.reason}), row.given
    )


def _of_clients(share: float) -> Iterator[tuple[Injected, ClientProfile]]:
    reset = frozenset({Reason.RESET, Reason.CLOSED})
    for cause, (condition, profile) in CLIENTS.items():
        fault = Preamble(peeking(condition), "smtp")
        yield (
            Injected(
                cause.value, fault, Spot.ONE_CLIENT, share, frozenset({cause}), Phase.TLS, reset
            ),
            profile,
        )
    for row in TABLE:
        if row.name in KEY_TYPES and row.reason is not None and row.phase is not None:
            cause, profile = KEY_TYPES[row.name]
            yield (
                Injected(
                    row.name,
                    row.fault,
                    Spot.ONE_KEY_TYPE,
                    share,
                    frozenset({cause}),
                    row.phase,
                    frozenset({row.reason}),
                ),
                profile,
            )


def drawn(count: int, seed: int = SEED) -> list[Case]:
    """Draw cases: each fault at several places, each kind of client, and some pairs."""
    dice = random.Random(seed)
    faults = rows()
    dice.shuffle(faults)
    found: list[Case] = []
    turn = 0

    def one(spots: tuple[Spot, ...], share: float) -> Injected:
        nonlocal turn
        row = faults[turn % len(faults)]
        turn += 1
        named = not isinstance(row.fault, Greeting | Listening)
        allowed = [spot for spot in spots if named or spot in _NAMELESS] or [Spot.ONE_EDGE]
        return _single(row, dice.choice(allowed), share)

    while len(found) < count:
        number, share = len(found), dice.choice(SHARES)
        match number % 10:
            case 7:
                clients = list(_of_clients(share))
                injected, profile = clients[(number // 10) % len(clients)]
                found.append(Case(number, (injected,), (ClientProfile(), profile)))
            case 3 | 9:
                first = one(_NAMED[:5], share)
                second = one((Spot.ONE_DOMAIN_ONE_EDGE,), dice.choice(SHARES))
                if second.reasons & first.reasons or second.spot is Spot.ONE_EDGE:
                    continue
                if {first.given, second.given} != {Given.DEFAULT} and first.given != second.given:
                    continue
                found.append(Case(number, (first, replace(second, nth=2))))
            case _:
                found.append(Case(number, (one(_NAMED, share),)))
    return found
