"""One presented certificate, read once into plain values; every oddity of parsing ends here."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

from probe.certificates.der import UNREADABLE, Extensions, read_extensions, tbs_fields
from probe.model.result import CertificateFacts

GREATEST_EXPONENT = 2**33
"""Of RSA keys, as in BoringSSL: a verification costs as many squarings as it has bits."""

GREATEST_DSA = 3072
"""Bits (FIPS 186-4); OpenSSL would take 10,000, at ten milliseconds a verification."""

_CURVES = {"secp256r1": "p256", "secp384r1": "p384", "secp521r1": "p521"}


@dataclass(frozen=True, slots=True)
class Unparsable:
    """Bytes that stood where a certificate was due."""

    digest: bytes
    detail: str


@dataclass(frozen=True, slots=True, eq=False)
class Certificate:
    """A certificate as the judgement needs it; compare by ``digest``.

    Attributes:
        digest: SHA-256 of the DER bytes.
        subject_key: digest of the subject in canonical form (see ``name_key``).
        issuer_key: the same of the issuer.
        serial: its serial number, even one that is not positive.
        key_id: subjectKeyIdentifier (RFC 5280 section 4.2.1.2), or None.
        issuer_key_id: authorityKeyIdentifier's key (section 4.2.1.1), or None.
        is_ca: what basicConstraints says (section 4.2.1.9); None without the extension.
        path_length: how many further intermediates it may have below it, or None.
        signs_certificates: keyUsage has keyCertSign; None without the extension.
        signs_handshakes: keyUsage has digitalSignature; None without the extension.
        purposes: extended key usages as dotted numbers; None without the extension.
        hash_name: hash of its signature (``sha256``); empty when there is none or unknown.
        extensions: those that are asked for seldom, and what could not be read.
        costly_key: verifying a signature with its key takes clients many milliseconds.
    """

    der: bytes
    digest: bytes
    parsed: x509.Certificate
    facts: CertificateFacts
    subject_key: bytes
    issuer_key: bytes
    serial: int
    key_id: bytes | None = None
    issuer_key_id: bytes | None = None
    is_ca: bool | None = None
    path_length: int | None = None
    signs_certificates: bool | None = None
    signs_handshakes: bool | None = None
    purposes: frozenset[str] | None = None
    hash_name: str = ""
    extensions: Extensions = field(default_factory=Extensions)
    costly_key: bool = False

    def subject_organizations(self) -> frozenset[str]:
        """Return the organizations that the subject names, case folded."""
        return _organizations(lambda: self.parsed.subject)

    def issuer_organizations(self) -> frozenset[str]:
        """Return the organizations that the issuer's name holds, case folded."""
        return _organizations(lambda: self.parsed.issuer)


def read(der: bytes) -> Certificate | Unparsable:
    """Read one DER certificate. Never raises, whatever the bytes are."""
    digest = hashlib.sha256(der).digest()
    try:
        with warnings.catch_warnings():
            # cryptography warns of serial numbers that are not positive; roots have them too.
            warnings.simplefilter("ignore")
            return _read(der, digest, x509.load_der_x509_certificate(der))
    except UNREADABLE as error:
        return Unparsable(digest, f"{type(error).__name__}: {error}"[:200])


def name_key(name: x509.Name) -> bytes:
    """Digest a name in canonical form, so that names that mean the same are equal.

    String types, case and repeated white space do not matter (RFC 5280 section 7.1, in the
    reading of OpenSSL). Path validation itself may be stricter.
    """
    canonical = [
        sorted((a.oid.dotted_string, _canonical_value(a.value)) for a in rdn) for rdn in name.rdns
    ]
    return hashlib.blake2b(repr(canonical).encode(), digest_size=16).digest()


def _name(read_name: Callable[[], x509.Name], encoded: bytes) -> tuple[str, bytes]:
    """Return a name's text and key; one that cannot be read has no text and equals only itself."""
    try:
        name = read_name()
        return name.rfc4514_string(), name_key(name)
    except UNREADABLE:
        return "", hashlib.blake2b(encoded, digest_size=16).digest()


def _organizations(read_name: Callable[[], x509.Name]) -> frozenset[str]:
    try:
        named = read_name().get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    except UNREADABLE:
        return frozenset()
    return frozenset(_canonical_value(a.value) for a in named)


def _canonical_value(value: str | bytes) -> str:
    return " ".join(value.casefold().split()) if isinstance(value, str) else value.hex()


def _read(der: bytes, digest: bytes, parsed: x509.Certificate) -> Certificate:
    fields = tbs_fields(parsed.tbs_certificate_bytes)
    issuer, issuer_key = _name(lambda: parsed.issuer, fields[2])
    subject, subject_key = _name(lambda: parsed.subject, fields[4])
    key, key_type, costly = _key(parsed)
    extensions = read_extensions(parsed)
    basic = extensions.get(x509.BasicConstraints)
    usage = extensions.get(x509.KeyUsage)
    purposes = extensions.get(x509.ExtendedKeyUsage)
    key_id = extensions.get(x509.SubjectKeyIdentifier)
    issuer_key_id = extensions.get(x509.AuthorityKeyIdentifier)
    own = key_id.digest if key_id else None
    above = issuer_key_id.key_identifier if issuer_key_id else None
    facts = CertificateFacts(
        fingerprint_sha256=digest.hex(),
        spki_sha256=hashlib.sha256(fields[5]).hexdigest(),
        subject=subject,
        issuer=issuer,
        serial=format(parsed.serial_number, "x"),
        not_before=parsed.not_valid_before_utc.timestamp(),
        not_after=parsed.not_valid_after_utc.timestamp(),
        dns_names=extensions.dns_names,
        ip_names=extensions.ip_names,
        key=key,
        key_type=key_type,
        issuer_url=_issuer_url(extensions),
        # By its words, as OpenSSL: to verify would let a server choose how long that takes.
        self_signed=subject_key == issuer_key and (None in (own, above) or own == above),
    )
    return Certificate(
        der=der,
        digest=digest,
        parsed=parsed,
        facts=facts,
        subject_key=subject_key,
        issuer_key=issuer_key,
        serial=parsed.serial_number,
        key_id=own,
        issuer_key_id=above,
        is_ca=basic.ca if basic else None,
        path_length=basic.path_length if basic else None,
        signs_certificates=usage.key_cert_sign if usage else None,
        signs_handshakes=usage.digital_signature if usage else None,
        purposes=frozenset(p.dotted_string for p in purposes) if purposes else None,
        hash_name=_hash_name(parsed),
        extensions=extensions,
        costly_key=costly,
    )


def _issuer_url(extensions: Extensions) -> str | None:
    """Find the URL of the issuer's certificate (RFC 5280 section 4.2.2.1, caIssuers)."""
    for description in extensions.get(x509.AuthorityInformationAccess) or ():
        location = description.access_location
        if description.access_method == AuthorityInformationAccessOID.CA_ISSUERS and isinstance(
            location, x509.UniformResourceIdentifier
        ):
            return location.value
    return None


def _hash_name(parsed: x509.Certificate) -> str:
    try:
        algorithm = parsed.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return ""
    return algorithm.name if algorithm else ""


def _key(parsed: x509.Certificate) -> tuple[str, str, bool]:
    """Return the key's kind and size, the group that consensus compares within, and its cost."""
    try:
        key = parsed.public_key()
    except UNREADABLE:
        return "unsupported", "other", False
    match key:
        case rsa.RSAPublicKey():
            return f"rsa-{key.key_size}", "rsa", key.public_numbers().e > GREATEST_EXPONENT
        case ec.EllipticCurvePublicKey():
            return f"ec-{_CURVES.get(key.curve.name, key.curve.name)}", "ecdsa", False
        case ed25519.Ed25519PublicKey():
            return "ed25519", "ed25519", False
        case ed448.Ed448PublicKey():
            return "ed448", "other", False
        case dsa.DSAPublicKey():
            return f"dsa-{key.key_size}", "other", key.key_size > GREATEST_DSA
        case _:
            return type(key).__name__.removesuffix("PublicKey").lower(), "other", False
