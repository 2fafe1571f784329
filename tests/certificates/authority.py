"""Builds certificates: valid defaults, and every property can be changed one at a time."""

from __future__ import annotations

import hashlib
import ipaddress
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from probe.certificates.der import elements

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)

SERVER = (ExtendedKeyUsageOID.SERVER_AUTH,)
CLIENT = (ExtendedKeyUsageOID.CLIENT_AUTH,)


@dataclass(frozen=True)
class Made:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: Key

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.der).hexdigest()

    @property
    def spki_sha256(self) -> str:
        spki = self.certificate.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return hashlib.sha256(spki).hexdigest()


@cache
def rsa_key(bits: int = 2048, number: int = 0) -> rsa.RSAPrivateKey:
    """One key per size and number: making them is slow, and which it is does not matter."""
    return rsa.generate_private_key(65537, bits)


def ec_key(curve: ec.EllipticCurve | None = None) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(curve or ec.SECP256R1())


def dn(common_name: str, organization: str = "") -> x509.Name:
    attributes = []
    if organization:
        attributes.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    if common_name:
        attributes.append(x509.NameAttribute(NameOID.COMMON_NAME, common_name))
    return x509.Name(attributes)


def usage(*, digital_signature: bool = False, key_cert_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=not digital_signature and not key_cert_sign,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=key_cert_sign,
        encipher_only=False,
        decipher_only=False,
    )


def issue(
    subject: x509.Name,
    issuer: Made | None,
    *,
    key: Key | None = None,
    not_before: datetime = NOW - 30 * DAY,
    not_after: datetime = NOW + 60 * DAY,
    serial: int | None = None,
    hash_algorithm: hashes.SHA256 | hashes.SHA384 | None = None,
    basic: x509.BasicConstraints | None = None,
    key_usage: x509.KeyUsage | None = None,
    purposes: Sequence[x509.ObjectIdentifier] = (),
    dns: Sequence[str] = (),
    ips: Sequence[str] = (),
    critical_names: bool = False,
    names_issuer_key: bool = True,
    claims_key_of: Made | None = None,
    issuer_url: str = "",
    extra: Iterable[tuple[x509.ExtensionType, bool]] = (),
) -> Made:
    """Sign a certificate; ``claims_key_of`` puts another issuer's key into the AKI."""
    key = key or ec_key()
    signer = issuer.key if issuer else key
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(serial or x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
    )
    if names_issuer_key:
        known = (claims_key_of.key if claims_key_of else signer).public_key()
        aki = x509.AuthorityKeyIdentifier.from_issuer_public_key(known)
        builder = builder.add_extension(aki, False)
    if basic:
        builder = builder.add_extension(basic, True)
    if key_usage:
        builder = builder.add_extension(key_usage, True)
    if purposes:
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), False)
    if dns or ips:
        names: list[x509.GeneralName] = [x509.DNSName(name) for name in dns]
        names += [x509.IPAddress(ipaddress.ip_address(ip)) for ip in ips]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical_names)
    if issuer_url:
        access = x509.AccessDescription(
            AuthorityInformationAccessOID.CA_ISSUERS, x509.UniformResourceIdentifier(issuer_url)
        )
        builder = builder.add_extension(x509.AuthorityInformationAccess([access]), False)
    for extension, critical in extra:
        builder = builder.add_extension(extension, critical)
    algorithm = None if isinstance(signer, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return Made(builder.sign(signer, hash_algorithm or algorithm), key)


CA = x509.BasicConstraints(ca=True, path_length=None)
YEARS = 3650 * DAY


def root(name: str = "Root", organization: str = "Trust Services", **changes: object) -> Made:
    """A self-signed authority."""
    return _issue(
        dn(name, organization),
        None,
        {
            "not_before": NOW - YEARS,
            "not_after": NOW + YEARS,
            "basic": CA,
            "key_usage": usage(key_cert_sign=True),
        },
        changes,
    )


def intermediate(
    issuer: Made, name: str = "Issuing", organization: str = "Issuing Company", **changes: object
) -> Made:
    """An authority below another."""
    return _issue(
        dn(name, organization),
        issuer,
        {
            "not_before": NOW - 365 * DAY,
            "not_after": NOW + 365 * DAY,
            "basic": CA,
            "key_usage": usage(key_cert_sign=True),
        },
        changes,
    )


def leaf(issuer: Made | None, *dns: str, common_name: str = "shop", **changes: object) -> Made:
    """A server's certificate, for ``shop.example`` unless other names are given."""
    return _issue(
        dn(common_name),
        issuer,
        {
            "basic": x509.BasicConstraints(ca=False, path_length=None),
            "key_usage": usage(digital_signature=True),
            "purposes": SERVER,
            "dns": dns or ("shop.example",),
        },
        changes,
    )


def _issue(
    subject: x509.Name, issuer: Made | None, defaults: dict[str, object], changes: dict[str, object]
) -> Made:
    settings: dict[str, object] = {**defaults, **changes}
    return issue(subject, issuer, **settings)  # type: ignore[arg-type] # checked by issue itself


# DER of sha256WithRSAEncryption and its forerunners (RFC 8017 appendix A.2.4): one length,
# so that they can be exchanged in place.
_SHA256_WITH_RSA = bytes.fromhex("06092a864886f70d01010b")
_WEAK = {
    "sha1": ("06092a864886f70d010105", "3021300906052b0e03021a05000414"),
    "md5": ("06092a864886f70d010104", "3020300c06082a864886f70d020505000410"),
}


def weakly_signed(made: Made, issuer: Made, hash_name: str) -> Made:
    """The same certificate, signed anew by the issuer's RSA key with a broken hash.

    Libraries no longer make such signatures, so this is RSASSA-PKCS1-v1_5 by hand.
    """
    assert isinstance(issuer.key, rsa.RSAPrivateKey)
    oid, digest_info = (bytes.fromhex(text) for text in _WEAK[hash_name])
    old = made.certificate
    tbs = old.tbs_certificate_bytes.replace(_SHA256_WITH_RSA, oid)
    digest = hashlib.new(hash_name, tbs, usedforsecurity=False).digest()
    numbers = issuer.key.private_numbers()
    modulus = numbers.public_numbers.n
    size = (modulus.bit_length() + 7) // 8
    content = digest_info + digest
    padded = b"\x00\x01" + b"\xff" * (size - len(content) - 3) + b"\x00" + content
    signature = pow(int.from_bytes(padded, "big"), numbers.d, modulus).to_bytes(size, "big")
    der = made.der.replace(old.tbs_certificate_bytes, tbs).replace(_SHA256_WITH_RSA, oid)
    der = der.replace(old.signature, signature)
    return Made(x509.load_der_x509_certificate(der), made.key)


def sequence(*parts: bytes, tag: int = 0x30) -> bytes:
    """A DER element around others (X.690 section 8.1)."""
    inside = b"".join(parts)
    size = len(inside)
    if size < 0x80:
        return bytes([tag, size]) + inside
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + inside


def version_1(made: Made) -> Made:
    """The same self-signed certificate as X.509 version 1, which has no extensions."""
    assert isinstance(made.key, ec.EllipticCurvePrivateKey)
    fields = list(elements(made.certificate.tbs_certificate_bytes))
    _, algorithm, _ = elements(made.der)
    tbs = sequence(*(field for field in fields if field[0] not in (0xA0, 0xA3)))
    signature = made.key.sign(tbs, ec.ECDSA(hashes.SHA256()))
    der = sequence(tbs, algorithm, sequence(b"\x00", signature, tag=0x03))
    return Made(x509.load_der_x509_certificate(der), made.key)


@cache
def key_with_huge_exponent(bits: int = 2048) -> rsa.RSAPrivateKey:
    """An RSA key whose public exponent is as long as its modulus: legal, and slow to verify."""
    private = rsa_key(bits).private_numbers()
    p, q, n = private.p, private.q, private.public_numbers.n
    order = (p - 1) * (q - 1)
    e = (1 << (n.bit_length() - 2)) + 1
    while math.gcd(e, order) != 1:
        e += 2
    d = pow(e, -1, order)
    numbers = rsa.RSAPrivateNumbers(
        p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), rsa.RSAPublicNumbers(e, n)
    )
    return numbers.private_key(unsafe_skip_rsa_key_validation=True)
