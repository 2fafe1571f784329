"""Chains and stapled answers that a server presents, through ``TlsProber.probe`` and its judge.

An input is one byte that chooses how is judged, then DER elements one after the other; the last
may be the staple. Most handshakes are skipped: what OpenSSL would hand on is handed on. Where the
first byte says so, the bytes go over loopback instead, as a server's records.

The keys are the same in every process, so that a corpus keeps its signatures.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import cache
from typing import Any
from unittest.mock import patch

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509 import ocsp

from probe.certificates import Judge
from probe.certificates.trust import Roots
from probe.connection.contexts import TlsContexts
from probe.connection.timeline import Presented, Timeline
from probe.model.result import TlsResult
from probe.model.spec import TlsCheck
from probe.model.target import AddressRules, Edge, EdgeKey
from probe.model.target import Target as ProbeTarget
from probe.model.tls import ChainExpectations, ClientProfile, Starttls
from probe.probers import tls
from tests.certificates import authority, mutation
from tests.fuzz.loopback import Loopback
from tests.fuzz.target import SEPARATOR, Target, in_virtual_time, judge

_SERVER = Loopback()
_NOW = authority.NOW.timestamp()
_NAME = "shop.example"
_KEY = EdgeKey("check", _NAME, "live", "192.0.2.1:443", "default")
_STARTTLS: tuple[Starttls | None, ...] = (None, "ldap", "postgres", None, "smtp", "imap", "pop3")
_OCSP: tuple[Any, ...] = ("ignore", "if_must_staple", "require", "if_must_staple")
_EXPECT = ChainExpectations(issuers=("Issuing",), fingerprints=("00" * 32,), spki=("00" * 32,))
_CHECK = TlsCheck("check", "stores", ("live",))


class _Shaken:
    """A handshake that took place, of which only what was presented matters."""

    def __init__(self, presented: Presented) -> None:
        self.presented = presented

    async def settle(self, _deadline: float) -> None:
        pass

    def close(self) -> None:
        pass


def run(data: bytes) -> None:
    """One attempt with a judge that knows nothing, and one more when it knows the chain."""
    judge(in_virtual_time(_run, data, patience=0.001))


async def _run(data: bytes) -> list[TlsResult]:
    how, rest = (data[0] if data else 0), data[1:]
    prober = tls.TlsProber(_CONTEXTS, Judge(lambda _trust: roots()), lambda: _NOW)
    if how & 0x80:
        check = replace(_CHECK, starttls=_STARTTLS[how % 7])
        edge = Edge("127.0.0.1", _SERVER.port, written=True)
        async with _SERVER.answering(rest.split(SEPARATOR), greets=how % 7 >= 4):
            return [await prober.probe(_KEY, edge, ProbeTarget(_NAME), check, ClientProfile())]
    elements = split(rest)
    staple = elements.pop() if how & 1 and elements else None
    shaken: Any = _Shaken(
        Presented("TLS 1.3", "TLS_AES_128_GCM_SHA256", "X25519", "h2", tuple(elements), staple)
    )

    async def connect(_edge: Edge, _timeline: Timeline, _rules: AddressRules) -> Any:
        return shaken

    async def handshake(_wire: Any, _context: Any, **_options: Any) -> Any:
        return shaken

    expect = replace(_EXPECT if how & 2 else ChainExpectations(), ocsp=_OCSP[how >> 2 & 3])
    name = "192.0.2.1" if how & 16 else _NAME
    check = replace(_CHECK, expect=expect, sni=name)
    edge = Edge("192.0.2.1", 443)
    with patch.multiple(tls, connect=connect, handshake=handshake):
        return [
            await prober.probe(_KEY, edge, ProbeTarget(name), check, ClientProfile())
            for _ in range(2)
        ]


def _no_secret(_ref: object) -> Any:
    raise AssertionError("no profile here has a client certificate")


_CONTEXTS = TlsContexts(_no_secret)
"""Making a context takes as long as judging a chain."""


def split(data: bytes) -> list[bytes]:
    """DER elements one after the other; what is none is one more."""
    found = []
    while data:
        size, head = data[1:2], 2
        length = size[0] if size else 0
        if length & 0x80:
            head += length & 0x7F
            length = int.from_bytes(data[2:head], "big")
        found.append(data[: head + length])
        data = data[head + length :]
    return found


def mutate(data: bytes, most: int, seed: int, changed: Callable[[bytes, int], bytes]) -> bytes:
    """Change an element somewhere inside, and perhaps sign it anew, so that it is looked at."""
    chance = random.Random(seed)
    elements = split(data[1:])
    if not data or data[0] & 0x80 or not elements or chance.random() < 0.25:
        return changed(data, most)
    how = data[:1] if chance.random() < 0.9 else bytes([chance.randrange(128)])
    for _ in range(chance.choice((1, 1, 2, 4))):
        at = chance.randrange(len(elements))
        match chance.randrange(8):
            case 0:
                chance.shuffle(elements)
            case 1:
                elements.insert(at, chance.choice(elements))
            case _:
                elements[at] = _changed(elements, at, chance, changed)
    return how + b"".join(elements)


def _changed(
    elements: list[bytes], at: int, chance: random.Random, changed: Callable[[bytes, int], bytes]
) -> bytes:
    """An element with changes; signed by whichever of our keys its issuer has, or its own."""
    kinds = ("content", "content", "content", "tag", "drop", "double", "swap", "flip")
    octets = chance.choice(
        (b"", b"\0" * 8, b"\0" * 40, b"*.", b"\x80\xff", chance.randbytes(8), changed(b"ab", 24))
    )
    # Most of what the judge reads stands in the extensions, which come last.
    wanted = [
        (chance.random() ** chance.choice((1, 0.3)), chance.choice(kinds), octets)
        for _ in range(chance.choice((1, 1, 3)))
    ]
    try:
        parts = mutation.Node.read(elements[at]).inside
        if len(parts) != 3 or chance.random() < 0.3:
            return mutation.changed(elements[at], wanted)
        tbs = mutation.changed(parts[0].encode(), wanted)
        issuer = next(
            (one for one in _signers() if any(one[0] in e for e in elements[at + 1 :])), None
        )
        signature = (issuer or _signers()[0])[1].sign(tbs, ec.ECDSA(hashes.SHA256()))
    except (ValueError, IndexError, StopIteration):
        return changed(elements[at], len(elements[at]) + 16)
    return authority.sequence(
        tbs, parts[1].encode(), authority.sequence(b"\0", signature, tag=0x03)
    )


@cache
def key(number: int) -> ec.EllipticCurvePrivateKey:
    """One key for each number above zero."""
    return ec.derive_private_key(number, ec.SECP256R1())


@cache
def _signers() -> list[tuple[bytes, ec.EllipticCurvePrivateKey]]:
    """Our keys, the root's first, each with the bytes by which a certificate names it."""
    encoding, form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    return [(key(n).public_key().public_bytes(encoding, form), key(n)) for n in range(1, 5)]


# ---------------------------------------------------------------- seeds


@cache
def _root() -> authority.Made:
    return authority.root(key=key(1), serial=1)


@cache
def roots() -> Roots:
    """What is trusted: one root."""
    return Roots.of([_root().der])


def seeds() -> list[bytes]:
    """A good chain, and one for each part of certificates and staples that the judge reads."""
    root, issuer = _root(), authority.intermediate(_root(), key=key(2), serial=2)
    constrained = authority.intermediate(
        root,
        "Constrained",
        key=key(3),
        extra=[(x509.NameConstraints([x509.DNSName("example")], [x509.DNSName("a.b")]), True)],
    )
    further = authority.intermediate(constrained, "Further", key=key(4))

    def leaf(of: authority.Made = issuer, *names: str, **more: Any) -> authority.Made:
        return authority.leaf(of, *names, **{"key": key(5), "serial": 9, **more})

    feature = x509.TLSFeature([x509.TLSFeatureType.status_request])
    any_policy = x509.PolicyInformation(x509.ObjectIdentifier("2.5.29.32.0"), None)
    policies = x509.CertificatePolicies([any_policy])
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2"), b"\4\0")
    stapled = leaf(extra=[(feature, False)])
    rsa_leaf = leaf(key=_rsa_key())
    chains = [
        [leaf(), issuer],
        [leaf(), issuer, root],
        [leaf(constrained), constrained],
        [leaf(), root, issuer],
        [leaf(further, "*.shop.example", "shop.example"), further, constrained, root],
        [leaf(dns=("xn--shp-fka.example",), ips=("192.0.2.1", "2001:db8::1")), issuer],
        [
            leaf(extra=[(policies, False), (unknown, False)], issuer_url="http://ca.example/"),
            issuer,
        ],
        [leaf(not_after=authority.NOW - timedelta(days=1)), issuer],
        [leaf(purposes=authority.CLIENT, critical_names=True), issuer],
        [rsa_leaf, issuer],
        [leaf(key=ed25519.Ed25519PrivateKey.from_private_bytes(b"\1" * 32)), issuer],
        [authority.leaf(None, key=key(5))],
    ]
    found = [b"\x04" + b"".join(one.der for one in chain) for chain in chains]
    found += [b"\x10" + leaf(ips=("192.0.2.1",)).der + issuer.der, b"\x02" + leaf().der]
    found += [b"\x05" + stapled.der + issuer.der + _staple(stapled, issuer)]
    found += [b"\x09" + leaf().der + issuer.der + _staple(leaf(), issuer, revoked=True)]
    records = [b"\x15\x03\x03\0\x02\x02\x28", b"\x16\x03\x03\0\x04\x0e\0\0\0", b"HTTP/1.1 400\r\n"]
    plain: list[list[bytes]] = [
        [],
        [b"0\x0c\x02\x01\x01x\x07\x0a\x01\0\x04\0\x04\0"],
        [b"S"],
        [],
        [b"220 a ESMTP\r\n", b"250-a\r\n250 STARTTLS\r\n", b"220 go\r\n"],
        [b"* OK\r\n", b"a1 OK\r\n"],
        [b"+OK\r\n", b"+OK\r\n"],
    ]
    # 0x85 is the first of those that is a multiple of seven.
    found += [bytes([0x85 + n]) + SEPARATOR.join(plain[n] + records) for n in range(7)]
    return found


def _staple(leaf: authority.Made, issuer: authority.Made, *, revoked: bool = False) -> bytes:
    made = authority.NOW - timedelta(hours=1)
    builder = ocsp.OCSPResponseBuilder().add_response(
        cert=leaf.certificate,
        issuer=issuer.certificate,
        algorithm=hashes.SHA1(),  # noqa: S303 - names the issuer (RFC 6960, 4.1.1)
        cert_status=ocsp.OCSPCertStatus.REVOKED if revoked else ocsp.OCSPCertStatus.GOOD,
        this_update=made,
        next_update=made + timedelta(days=3),
        revocation_time=made if revoked else None,
        revocation_reason=x509.ReasonFlags.key_compromise if revoked else None,
    )
    named = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, issuer.certificate)
    answer = named.sign(issuer.key, hashes.SHA256())
    return answer.public_bytes(serialization.Encoding.DER)


@cache
def _rsa_key() -> rsa.RSAPrivateKey:
    return authority.rsa_key()


TARGET = Target(run, seeds, longest=16_384, mutate=mutate)
