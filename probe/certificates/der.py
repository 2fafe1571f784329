"""What is read from a certificate's bytes by hand (X.690 section 8.1): fields and extensions.

The library reads all extensions or none, and one policy qualifier that it does not know would
hide what the judgement needs. Here they are read one by one: what cannot be read costs only
itself.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding

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
TIMESTAMPS = "signedCertificateTimestampList"
"""Of Certificate Transparency (RFC 6962 section 3.3)."""
_NEEDED[bytes.fromhex("2b06010401d679020402")] = TIMESTAMPS
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
        sent = list(_each_extension(parsed.tbs_certificate_bytes))
    except ValueError as error:
        return Extensions(flaw=_words(error), unreadable=frozenset(_NEEDED.values()))
    values = {identifier: value for identifier, value, _ in sent}
    names = _all_or_none(values.get(_NAMES))
    constraints = _all_or_none(values.get(_NAME_CONSTRAINTS)) or ()
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
        _STATUS_REQUEST in (_all_or_none(values.get(_TLS_FEATURE)) or ()),
        sum(len(_all_or_none(side) or ()) for side in constraints),
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
                alone = _with_only(whole, alike[0])
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
        held = content(name)
        if name[0] == _DNS_NAME and held.isascii():
            dns.append(held.decode("ascii"))
        elif name[0] == _DNS_NAME:
            odd.append(f"the DNS name {held[:100]!r} is not ASCII")
        elif name[0] == _IP_ADDRESS and len(held) in (4, 16):
            ips.append(str(ipaddress.ip_address(held)))
        elif name[0] == _IP_ADDRESS:
            odd.append(f"an IP address has {len(held)} octets")
    return dns, ips, odd


def _all_or_none(value: bytes | None) -> list[bytes] | None:
    """Return all elements or, as clients read them, None when one runs past its end."""
    try:
        return [] if value is None else list(elements(value))
    except ValueError:
        return None


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:200]


# ---------------------------------------------------------------- DER

_VERSION = 0xA0
_EXTENSIONS = 0xA3
_SEQUENCE = 0x30
_LONG_FORM = 0x80


def tbs_fields(tbs_certificate: bytes) -> list[bytes]:
    """Split a TBSCertificate into its fields, the version left out (RFC 5280 section 4.1).

    Taken from the bytes and not encoded anew, so that digests hold even for names and keys that
    the library cannot read: serialNumber, signature, issuer, validity, subject,
    subjectPublicKeyInfo, then what is optional.

    Raises:
        ValueError: the bytes are no TBSCertificate.
    """
    fields = [field for field in elements(tbs_certificate) if field[0] != _VERSION]
    if len(fields) < 6:
        raise ValueError("too few fields for a certificate")
    return fields


def subject_public_key(tbs_certificate: bytes) -> bytes:
    """Return the key's own bits, which OCSP hashes (RFC 6960 section 4.1.1: issuerKeyHash).

    Raises:
        ValueError: the bytes are no TBSCertificate.
    """
    _, bits = elements(tbs_fields(tbs_certificate)[5])
    return content(bits)[1:]  # the first octet counts unused bits


def _each_extension(tbs_certificate: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Yield each extension (section 4.2): its identifier's content, its value, and all of it.

    Raises:
        ValueError: the bytes are no TBSCertificate.
    """
    for optional in tbs_fields(tbs_certificate)[6:]:
        if optional[0] == _EXTENSIONS:
            for extension in elements(content(optional)):
                identifier, *_, value = elements(extension)
                yield content(identifier), content(value), extension


def _with_only(certificate: bytes, extension: bytes) -> bytes:
    """Encode the certificate with this one extension; its signature no longer verifies.

    Raises:
        ValueError: the bytes are no certificate.
    """
    tbs, *signature = elements(certificate)
    fields = [field for field in elements(tbs) if field[0] != _EXTENSIONS]
    only = encoded(_EXTENSIONS, encoded(_SEQUENCE, extension))
    return encoded(_SEQUENCE, encoded(_SEQUENCE, *fields, only), *signature)


def elements(der: bytes) -> Iterator[bytes]:
    """Yield the elements inside the outermost one, each with its tag and length.

    Raises:
        ValueError: lengths run past the end.
    """
    start, end = _content(der, 0)
    while start < end:
        _, following = _content(der, start)
        if following > end:
            raise ValueError("an element runs past its container")
        yield der[start:following]
        start = following


def content(element: bytes) -> bytes:
    """Return what an element holds, without tag and length.

    Raises:
        ValueError: the bytes end inside it.
    """
    start, end = _content(element, 0)
    return element[start:end]


def encoded(tag: int, *parts: bytes) -> bytes:
    """Write an element with a tag of one octet; the parts follow each other inside."""
    inside = b"".join(parts)
    length = len(inside)
    if length < _LONG_FORM:
        return bytes([tag, length]) + inside
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag, _LONG_FORM | len(size)]) + size + inside


def _content(der: bytes, at: int) -> tuple[int, int]:
    """Return where the content of the element at ``at`` begins and ends."""
    if at + 2 > len(der):
        raise ValueError("the bytes end inside an element")
    length, start = der[at + 1], at + 2
    if length >= _LONG_FORM:
        size = length - _LONG_FORM
        length = int.from_bytes(der[start : start + size], "big")
        start += size
    if start + length > len(der):
        raise ValueError("the bytes end inside an element")
    return start, start + length
