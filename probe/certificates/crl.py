"""One certificate revocation list (RFC 5280 section 5), read once into plain values. Pure.

A list of half a million entries is objects of some 300 MiB and bytes of 12: what is kept is the
serial numbers in order, each with the date and the reason, one beside the other.
"""

from __future__ import annotations

import hashlib
import json
import pickle
import warnings
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from probe.certificates.certificate import Certificate, name_key, read
from probe.certificates.der import UNREADABLE

MOST_BYTES = 24 * 1024 * 1024
"""Of a list as it is served: twice the largest that public authorities publish."""

MOST_ENTRIES = 750_000
"""Of one list."""

_MOST_WIDTH = 32
"""Octets of a serial number; RFC 5280 allows 20."""

_DATE, _WHY = 4, 1
_LAST = 2 ** (8 * _DATE) - 1
_REASONS = tuple(x509.ReasonFlags)
_NONE = 255
_KNOWN_OF_ENTRIES = (x509.CRLReason.oid, x509.InvalidityDate.oid)
_KNOWN = (
    x509.AuthorityKeyIdentifier.oid,
    x509.CRLNumber.oid,
    x509.DeltaCRLIndicator.oid,
    x509.IssuingDistributionPoint.oid,
    x509.FreshestCRL.oid,
)


class UnusableList(Exception):
    """Bytes that say nothing about any certificate; the message says why."""


@dataclass(frozen=True, slots=True)
class Revoked:
    """What a list says of a serial number.

    Attributes:
        at: revocationDate, seconds since the epoch.
        why: reasonCode (RFC 5280 section 5.3.1) as ``keyCompromise``; empty when none is given.
    """

    at: float
    why: str


@dataclass(frozen=True, slots=True)
class RevocationList:
    """A list whose signature holds.

    Attributes:
        issuer_key: digest of the issuer's name (``certificate.name_key``).
        signer: SHA-256 of the public key that signed.
        this_update: seconds since the epoch.
        next_update: when a newer one is due; None when the list does not say.
        number: cRLNumber, or None.
        base: of a delta list, the number of the complete list that it builds on; else None.
        names: URLs of the part that it is (issuingDistributionPoint); empty for all parts.
        only: the kind of certificates that it is about, when not all.
        deltas: URLs of lists with later changes (freshestCRL).
        width: octets of each serial number in ``entries``.
        entries: serial number, date and reason of each, in the order of the serial numbers.
    """

    issuer_key: bytes
    signer: bytes
    this_update: float
    next_update: float | None
    number: int | None = None
    base: int | None = None
    names: tuple[str, ...] = ()
    only: Literal["", "servers", "authorities"] = ""
    deltas: tuple[str, ...] = ()
    width: int = 1
    entries: bytes = b""

    @property
    def count(self) -> int:
        """Return how many certificates it names."""
        return len(self.entries) // (self.width + _DATE + _WHY)

    def find(self, serial: int) -> Revoked | None:
        """Return what it says of a serial number; None when it does not name it."""
        try:
            wanted = serial.to_bytes(self.width, "big", signed=True)
        except OverflowError:
            return None
        step, width, held = self.width + _DATE + _WHY, self.width, self.entries
        at = bisect_left(range(self.count), wanted, key=lambda n: held[n * step : n * step + width])
        entry = held[at * step : (at + 1) * step]
        if entry[:width] != wanted:
            return None
        why = entry[-1]
        return Revoked(
            float(int.from_bytes(entry[width:-_WHY], "big")),
            "" if why == _NONE else str(_REASONS[why].value),
        )


def key_digest(certificate: x509.Certificate) -> bytes:
    """Return the SHA-256 of a certificate's SubjectPublicKeyInfo. Raises one of ``UNREADABLE``."""
    key = certificate.public_key()
    encoded = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(encoded).digest()


def read_list(der: bytes, issuers: Sequence[bytes]) -> RevocationList:
    """Read a list and verify its signature.

    Args:
        der: as served.
        issuers: DER certificates of the authorities that it may be from.

    Raises:
        UnusableList: it must not be used.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of names and serial numbers that are odd
            return _read_list(x509.load_der_x509_crl(der), issuers)
    except (*UNREADABLE, OverflowError) as error:
        raise UnusableList(f"it cannot be read ({type(error).__name__}: {error})"[:200]) from error


def _read_list(parsed: x509.CertificateRevocationList, issuers: Sequence[bytes]) -> RevocationList:
    signer = _signer(parsed, issuers)
    values = _extensions(parsed)
    scope = values.get(x509.IssuingDistributionPoint.oid)
    width, entries = _entries(parsed)
    following = parsed.next_update_utc
    return RevocationList(
        issuer_key=signer.subject_key,
        signer=key_digest(signer.parsed),
        this_update=parsed.last_update_utc.timestamp(),
        next_update=None if following is None else following.timestamp(),
        number=_number(values.get(x509.CRLNumber.oid)),
        base=_number(values.get(x509.DeltaCRLIndicator.oid)),
        names=_names(scope),
        only=_only(scope),
        deltas=_deltas(values.get(x509.FreshestCRL.oid)),
        width=width,
        entries=entries,
    )


def _signer(parsed: x509.CertificateRevocationList, issuers: Sequence[bytes]) -> Certificate:
    named = name_key(parsed.issuer)
    candidates = [one for one in map(read, issuers) if isinstance(one, Certificate)]
    alike = [one for one in candidates if one.subject_key == named and not one.costly_key]
    if not alike:
        shown = parsed.issuer.rfc4514_string()[:120]
        raise UnusableList(f"it is by another authority ('{shown}')")
    named_key = _named_key(parsed)
    for one in alike:
        key = one.parsed.public_key()
        if None not in (named_key, one.key_id) and named_key != one.key_id:
            continue
        if isinstance(key, dsa.DSAPublicKey) or not parsed.is_signature_valid(key):  # type: ignore[arg-type]  # others raise TypeError
            continue
        usage = one.extensions.get(x509.KeyUsage)
        if usage is not None and not usage.crl_sign:  # RFC 5280 section 6.3.3 (f)
            raise UnusableList("the authority's certificate may not sign lists (no cRLSign)")
        return one
    raise UnusableList("its signature is not by the authority")


def _named_key(parsed: x509.CertificateRevocationList) -> bytes | None:
    """Return the key that the list names as its signer's (section 5.2.1), if it does."""
    try:
        aki = parsed.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    except x509.ExtensionNotFound:
        return None
    return aki.key_identifier


def _extensions(parsed: x509.CertificateRevocationList) -> dict[object, x509.ExtensionType]:
    for extension in parsed.extensions:
        if extension.critical and extension.oid not in _KNOWN:  # RFC 5280 section 5.2
            raise UnusableList(f"a critical extension is unknown here ({_dotted(extension)})")
    return {extension.oid: extension.value for extension in parsed.extensions}


def _dotted(extension: x509.Extension[x509.ExtensionType]) -> str:
    return extension.oid.dotted_string


def _number(value: x509.ExtensionType | None) -> int | None:
    match value:
        case x509.CRLNumber(crl_number=number) | x509.DeltaCRLIndicator(crl_number=number):
            return number
        case _:
            return None


def _names(scope: x509.ExtensionType | None) -> tuple[str, ...]:
    if not isinstance(scope, x509.IssuingDistributionPoint):
        return ()
    if scope.indirect_crl:
        raise UnusableList("it is about several authorities (indirect)")
    if scope.only_some_reasons is not None:
        raise UnusableList("it is about some reasons of revocation only")
    if scope.only_contains_attribute_certs:
        raise UnusableList("it is about attribute certificates only")
    if scope.relative_name is not None:
        raise UnusableList("it names its part by a relative name")
    names = tuple(urls_of(scope.full_name or ()))
    if scope.full_name and not names:
        raise UnusableList("it names its part without a URL")
    return names


def _only(scope: x509.ExtensionType | None) -> Literal["", "servers", "authorities"]:
    if not isinstance(scope, x509.IssuingDistributionPoint):
        return ""
    if scope.only_contains_user_certs:
        return "servers"
    return "authorities" if scope.only_contains_ca_certs else ""


def _deltas(value: x509.ExtensionType | None) -> tuple[str, ...]:
    points = value if isinstance(value, x509.FreshestCRL) else ()
    return tuple(url for point in points for url in urls_of(point.full_name or ()))


def urls_of(names: Sequence[x509.GeneralName]) -> Iterator[str]:
    """Yield the URLs among names."""
    return (one.value for one in names if isinstance(one, x509.UniformResourceIdentifier))


def _entries(parsed: x509.CertificateRevocationList) -> tuple[int, bytes]:
    """Return the octets of a serial number, and all entries in order."""
    if len(parsed) > MOST_ENTRIES:
        raise UnusableList(f"it names {len(parsed)} certificates, more than {MOST_ENTRIES}")
    found: list[tuple[int, int, int]] = []
    longest = 1
    for one in parsed:
        serial, date = one.serial_number, int(one.revocation_date_utc.timestamp())
        longest = max(longest, serial.bit_length() // 8 + 1)
        found.append((serial, min(max(date, 0), _LAST), _why(one)))
    if longest > _MOST_WIDTH:
        raise UnusableList(f"a serial number has {longest} octets")
    records = sorted(
        serial.to_bytes(longest, "big", signed=True) + date.to_bytes(_DATE, "big") + bytes([why])
        for serial, date, why in found
    )
    return longest, b"".join(records)


def _why(entry: x509.RevokedCertificate) -> int:
    why = _NONE
    for extension in entry.extensions:
        if extension.critical and extension.oid not in _KNOWN_OF_ENTRIES:  # section 5.3
            raise UnusableList(f"an entry has an extension that is unknown ({_dotted(extension)})")
        if isinstance(extension.value, x509.CRLReason):
            why = _REASONS.index(extension.value.reason)
    return why


# ---------------------------------------------------------------- in a process of its own


def asked(der: bytes, issuers: Sequence[bytes]) -> bytes:
    """Write the question that `answer` reads."""
    return pickle.dumps((der, tuple(issuers)))


def answer(data: bytes) -> bytes:
    """Do as `read_list` in a process of its own: a line of JSON, then the entries as they are."""
    der, issuers = pickle.loads(data)  # noqa: S301 - our own parent wrote it
    try:
        found = read_list(der, issuers)
    except UnusableList as why:
        return json.dumps({"unusable": str(why)}).encode() + b"\n"
    plain = {name: value for name, value in asdict(found).items() if name != "entries"}
    plain |= {"issuer_key": found.issuer_key.hex(), "signer": found.signer.hex()}
    return json.dumps(plain).encode() + b"\n" + found.entries


def answered(said: bytes) -> RevocationList:
    """Read what `answer` wrote.

    Raises:
        UnusableList: that was the answer, or it is none.
    """
    head, _, entries = said.partition(b"\n")
    try:
        plain = json.loads(head)
        if "unusable" in plain:
            raise UnusableList(str(plain["unusable"]))
        plain |= {name: bytes.fromhex(plain[name]) for name in ("issuer_key", "signer")}
        plain |= {name: tuple(plain[name]) for name in ("names", "deltas")}
        known = {one.name for one in fields(RevocationList)}
        return RevocationList(**{k: v for k, v in plain.items() if k in known}, entries=entries)
    except (ValueError, TypeError, LookupError) as error:
        raise UnusableList("the process that reads it answered nonsense") from error
