"""A certificate's extensions, read one by one: what cannot be read costs only itself.

The library reads all of them or none, and one policy qualifier that it does not know would
hide what the judgement needs.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding

from probe.certificates import der as asn1

UNREADABLE = (
    ValueError,  # malformed DER; UnicodeDecodeError is one too
    KeyError,  # a TLS feature without a name
    TypeError,  # a public key that cannot sign certificates (X25519)
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""What cryptography raises for certificates that it cannot read or use."""

E = TypeVar("E", bound=x509.ExtensionType)

_NAMES = bytes.fromhex("551d11")
_NAME_CONSTRAINTS = bytes.fromhex("551d1e")
_TLS_FEATURE = bytes.fromhex("2b06010505070118")
# Content octets of their identifiers (RFC 5280 sections 4.2.1 and 4.2.2).
_NEEDED = {
    bytes.fromhex("551d0e"): "subjectKeyIdentifier",
    bytes.fromhex("551d0f"): "keyUsage",
    bytes.fromhex("551d13"): "basicConstraints",
    bytes.fromhex("551d23"): "authorityKeyIdentifier",
    bytes.fromhex("551d25"): "extKeyUsage",
    bytes.fromhex("2b06010505070101"): "authorityInfoAccess",
}
_DNS_NAME, _IP_ADDRESS = 0x82, 0x87
_STATUS_REQUEST = bytes.fromhex("020105")


@dataclass(frozen=True, slots=True)
class Extensions:
    """What could be read.

    Attributes:
        dns_names: subject alternative names (RFC 5280 section 4.2.1.6) that a client can match.
        ip_names: the same of type iPAddress.
        odd_names: why further names match nothing, in words.
        must_staple: TLS feature status_request (RFC 7633).
        constraints: how many subtrees nameConstraints lists (section 4.2.1.10).
        flaw: why the library cannot read some extension; empty when it reads all.
        unreadable: those that the judgement needs and that cannot be read.
    """

    dns_names: tuple[str, ...] = ()
    ip_names: tuple[str, ...] = ()
    odd_names: tuple[str, ...] = ()
    must_staple: bool = False
    constraints: int = 0
    flaw: str = ""
    unreadable: frozenset[str] = frozenset()
    _read: x509.Extensions = field(default_factory=lambda: x509.Extensions([]))

    def get(self, kind: type[E]) -> E | None:
        """Return the value of an extension that the judgement needs; None without it."""
        try:
            return self._read.get_extension_for_class(kind).value
        except x509.ExtensionNotFound:
            return None


def read_extensions(parsed: x509.Certificate) -> Extensions:
    """Read a certificate's extensions. Never raises, whatever they hold."""
    try:
        sent = list(asn1.extensions(parsed.tbs_certificate_bytes))
    except ValueError as error:
        return Extensions(flaw=_words(error), unreadable=frozenset(_NEEDED.values()))
    values = {identifier: value for identifier, value, _ in sent}
    names = _elements(values.get(_NAMES))
    dns, ips, odd = _sorted(names or [])
    unreadable: set[str] = set()
    flaw = ""
    try:
        read = parsed.extensions
    except UNREADABLE as error:
        flaw = _words(error)
        read, unreadable = _one_by_one(parsed, sent)
        if names is None or sum(identifier == _NAMES for identifier, *_ in sent) > 1:
            unreadable.add("subjectAltName")
    return Extensions(
        tuple(dns),
        tuple(ips),
        tuple(odd),
        _STATUS_REQUEST in (_elements(values.get(_TLS_FEATURE)) or ()),
        sum(len(_elements(side) or ()) for side in _elements(values.get(_NAME_CONSTRAINTS)) or ()),
        flaw,
        frozenset(unreadable),
        read,
    )


def _one_by_one(
    parsed: x509.Certificate, sent: list[tuple[bytes, bytes, bytes]]
) -> tuple[x509.Extensions, set[str]]:
    whole = parsed.public_bytes(Encoding.DER)
    found: list[x509.Extension[x509.ExtensionType]] = []
    unreadable: set[str] = set()
    for wanted, name in _NEEDED.items():
        alike = [extension for identifier, _, extension in sent if identifier == wanted]
        if len(alike) > 1:  # RFC 5280 section 4.2 forbids it, and clients differ in which counts
            unreadable.add(name)
        elif alike:
            try:
                alone = asn1.with_only(whole, alike[0])
                found += x509.load_der_x509_certificate(alone).extensions
            except UNREADABLE:
                unreadable.add(name)
    return x509.Extensions(found), unreadable


def _sorted(names: Sequence[bytes]) -> tuple[list[str], list[str], list[str]]:
    """Sort names into DNS names, addresses, and what is wrong with further ones."""
    dns: list[str] = []
    ips: list[str] = []
    odd: list[str] = []
    for name in names:
        content = asn1.content(name)
        if name[0] == _DNS_NAME and content.isascii():
            dns.append(content.decode("ascii"))
        elif name[0] == _DNS_NAME:
            odd.append(f"the DNS name {content[:100]!r} is not ASCII")
        elif name[0] == _IP_ADDRESS and len(content) in (4, 16):
            ips.append(str(ipaddress.ip_address(content)))
        elif name[0] == _IP_ADDRESS:
            odd.append(f"an IP address has {len(content)} octets")
    return dns, ips, odd


def _elements(value: bytes | None) -> list[bytes] | None:
    """Return all elements or, as clients read them, None when one runs past its end."""
    try:
        return [] if value is None else list(asn1.elements(value))
    except ValueError:
        return None


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:200]
