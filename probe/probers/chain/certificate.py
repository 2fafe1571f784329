"""One presented certificate, read once into plain values; every oddity of parsing ends here."""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

from probe.model.result import CertificateFacts
from probe.probers.chain import der as asn1

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
        is_ca: basicConstraints says so (section 4.2.1.9).
        path_length: how many further intermediates it may have below it, or None.
        signs_certificates: keyUsage has keyCertSign; None without the extension.
        signs_handshakes: keyUsage has digitalSignature; None without the extension.
        purposes: extended key usages as dotted numbers; None without the extension.
        must_staple: TLS feature status_request (RFC 7633).
        hash_name: hash of its signature (``sha256``); empty when there is none or unknown.
        flaw: why its extensions cannot be read; empty when they can.
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
    is_ca: bool = False
    path_length: int | None = None
    signs_certificates: bool | None = None
    signs_handshakes: bool | None = None
    purposes: frozenset[str] | None = None
    must_staple: bool = False
    hash_name: str = ""
    flaw: str = ""

    def subject_organizations(self) -> frozenset[str]:
        """Organizations that the subject names, case folded."""
        return _organizations(self.parsed.subject)

    def issuer_organizations(self) -> frozenset[str]:
        """Organizations that the issuer's name holds, case folded."""
        return _organizations(self.parsed.issuer)


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
    """Digest of a name in canonical form: equal for names that name the same.

    String types, case and repeated white space do not matter (RFC 5280 section 7.1, in the
    reading of OpenSSL). Path validation itself may be stricter.
    """
    canonical = [
        sorted((a.oid.dotted_string, _canonical_value(a.value)) for a in rdn) for rdn in name.rdns
    ]
    return hashlib.blake2b(repr(canonical).encode(), digest_size=16).digest()


def _organizations(name: x509.Name) -> frozenset[str]:
    return frozenset(
        _canonical_value(a.value) for a in name.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    )


def _canonical_value(value: str | bytes) -> str:
    return " ".join(value.casefold().split()) if isinstance(value, str) else value.hex()


def _read(der: bytes, digest: bytes, parsed: x509.Certificate) -> Certificate:
    key, key_type = _key(parsed)
    extensions, flaw = _extensions(parsed)
    names = _extension(extensions, x509.SubjectAlternativeName)
    basic = _extension(extensions, x509.BasicConstraints)
    usage = _extension(extensions, x509.KeyUsage)
    purposes = _extension(extensions, x509.ExtendedKeyUsage)
    features = _extension(extensions, x509.TLSFeature)
    key_id = _extension(extensions, x509.SubjectKeyIdentifier)
    issuer_key_id = _extension(extensions, x509.AuthorityKeyIdentifier)
    facts = CertificateFacts(
        fingerprint_sha256=digest.hex(),
        spki_sha256=hashlib.sha256(
            asn1.subject_public_key_info(parsed.tbs_certificate_bytes)
        ).hexdigest(),
        subject=parsed.subject.rfc4514_string(),
        issuer=parsed.issuer.rfc4514_string(),
        serial=format(parsed.serial_number, "x"),
        not_before=parsed.not_valid_before_utc.timestamp(),
        not_after=parsed.not_valid_after_utc.timestamp(),
        dns_names=tuple(names.get_values_for_type(x509.DNSName)) if names else (),
        ip_names=tuple(str(ip) for ip in names.get_values_for_type(x509.IPAddress))
        if names
        else (),
        key=key,
        key_type=key_type,
        issuer_url=_issuer_url(extensions),
        self_signed=_self_signed(parsed),
    )
    return Certificate(
        der=der,
        digest=digest,
        parsed=parsed,
        facts=facts,
        subject_key=name_key(parsed.subject),
        issuer_key=name_key(parsed.issuer),
        serial=parsed.serial_number,
        key_id=key_id.digest if key_id else None,
        issuer_key_id=issuer_key_id.key_identifier if issuer_key_id else None,
        is_ca=basic.ca if basic else False,
        path_length=basic.path_length if basic else None,
        signs_certificates=usage.key_cert_sign if usage else None,
        signs_handshakes=usage.digital_signature if usage else None,
        purposes=frozenset(p.dotted_string for p in purposes) if purposes else None,
        must_staple=x509.TLSFeatureType.status_request in features if features else False,
        hash_name=_hash_name(parsed),
        flaw=flaw,
    )


def _extensions(parsed: x509.Certificate) -> tuple[x509.Extensions, str]:
    try:
        return parsed.extensions, ""
    except UNREADABLE as error:
        return x509.Extensions([]), f"{type(error).__name__}: {error}"[:200]


def _extension(extensions: x509.Extensions, kind: type[E]) -> E | None:
    try:
        return extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _issuer_url(extensions: x509.Extensions) -> str | None:
    """Where the issuer's certificate can be had (RFC 5280 section 4.2.2.1, caIssuers)."""
    access = _extension(extensions, x509.AuthorityInformationAccess)
    for description in access or ():
        location = description.access_location
        if description.access_method == AuthorityInformationAccessOID.CA_ISSUERS and isinstance(
            location, x509.UniformResourceIdentifier
        ):
            return location.value
    return None


def _self_signed(parsed: x509.Certificate) -> bool:
    if parsed.subject != parsed.issuer:
        return False
    try:
        parsed.verify_directly_issued_by(parsed)
    except (InvalidSignature, *UNREADABLE):
        return False
    return True


def _hash_name(parsed: x509.Certificate) -> str:
    try:
        algorithm = parsed.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return ""
    return algorithm.name if algorithm else ""


def _key(parsed: x509.Certificate) -> tuple[str, str]:
    """Kind and size of the public key, and the group that consensus compares within."""
    try:
        key = parsed.public_key()
    except UNREADABLE:
        return "unsupported", "other"
    match key:
        case rsa.RSAPublicKey():
            return f"rsa-{key.key_size}", "rsa"
        case ec.EllipticCurvePublicKey():
            return f"ec-{_CURVES.get(key.curve.name, key.curve.name)}", "ecdsa"
        case ed25519.Ed25519PublicKey():
            return "ed25519", "ed25519"
        case ed448.Ed448PublicKey():
            return "ed448", "other"
        case dsa.DSAPublicKey():
            return f"dsa-{key.key_size}", "other"
        case _:
            return type(key).__name__.removesuffix("PublicKey").lower(), "other"
