"""A certificate authority for the lab: a root, two intermediates, and leaves by the hundred.

Leaves share a few keys: signing one costs well under a millisecond, making a key does not, and
what the probers look at is the certificate. Every builder has valid defaults; a broken chain
(``probe.lab.chains``) changes one thing.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

LEAF_DAYS = 60
OLD_LEAF_DAYS = 25
REVOKED = 0x5EED_0BAD
"""Serial number of every leaf that the lab's revocation list names."""


@dataclass(frozen=True, slots=True)
class Credential:
    """What an edge presents, and the key it signs with.

    Attributes:
        chain: leaf first, root left out unless a fault sends it.
        key: usually the leaf's; a DER key when it is to be mismatched on purpose.
        ocsp: DER of the stapled answer, or None for no staple.
    """

    chain: tuple[x509.Certificate, ...]
    key: PrivateKey | bytes
    ocsp: bytes | None = None


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate that signs others."""

    certificate: x509.Certificate
    key: PrivateKey


@dataclass(frozen=True, slots=True)
class LeafShape:
    """What a leaf looks like; the defaults are valid.

    Attributes:
        usage: digital signature is what TLS 1.3 needs (RFC 8446 section 4.4.2.2).
        purposes: empty leaves the extension out.
        must_staple: demands a stapled OCSP answer (RFC 7633).
        garbage_names: the subject alternative name cannot be parsed.
        serial: None draws one.
        timestamps: value of the extension of Certificate Transparency (RFC 6962 section 3.3).
        list_url: where the certificate says that its revocation list is; empty names none.
    """

    not_before: timedelta = timedelta(days=-1)
    not_after: timedelta = timedelta(days=LEAF_DAYS)
    usage: bool = True
    purposes: tuple[x509.ObjectIdentifier, ...] = (ExtendedKeyUsageOID.SERVER_AUTH,)
    must_staple: bool = False
    garbage_names: bool = False
    serial: int | None = None
    timestamps: bytes | None = None
    list_url: str = ""


def _name(common: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Lab"),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )


def _key_usage(*, signs_certificates: bool, signs_handshakes: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=signs_handshakes,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=not signs_handshakes and not signs_certificates,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def subject_names(names: Sequence[str]) -> x509.SubjectAlternativeName:
    """Names as the extension wants them: addresses as IP, everything else as DNS."""
    general: list[x509.GeneralName] = []
    for name in names:
        try:
            general.append(x509.IPAddress(ip_address(name)))
        except ValueError:
            general.append(x509.DNSName(name))
    return x509.SubjectAlternativeName(general)


def _alternative_names(names: Sequence[str], shape: LeafShape) -> x509.ExtensionType:
    if shape.garbage_names:
        oid = x509.SubjectAlternativeName.oid
        return x509.UnrecognizedExtension(oid, b"\x30\x82\xff\xff\x00")
    return subject_names(names)


class Pki:
    """Everything that the lab's servers present, made on first use and kept.

    Args:
        now: wall time that "valid today" refers to, with a time zone.

    Attributes:
        lists: URL under which revocation lists are served; nothing answers at the first one.
    """

    def __init__(self, now: datetime) -> None:
        self.now = now.replace(microsecond=0)
        self.lists = "http://127.0.0.1:9"
        self._leaves: dict[tuple[str, str], x509.Certificate] = {}

    # ------------------------------------------------------------ keys

    @functools.cached_property
    def leaf_key(self) -> ec.EllipticCurvePrivateKey:
        """The P-256 key that all ECDSA leaves share."""
        return ec.generate_private_key(ec.SECP256R1())

    @functools.cached_property
    def rsa_key(self) -> rsa.RSAPrivateKey:
        """The RSA key that all RSA leaves share."""
        return rsa.generate_private_key(65537, 2048)

    # ------------------------------------------------------------ authorities

    def make_authority(
        self,
        common: str,
        *,
        issuer: Authority | None = None,
        key: PrivateKey | None = None,
        path_length: int | None = None,
        permitted: Sequence[str] = (),
        not_before: timedelta = timedelta(days=-1000),
        not_after: timedelta = timedelta(days=3650),
    ) -> Authority:
        """A CA certificate; self-signed without an issuer.

        ``permitted`` are DNS subtrees that a name constraint limits it to (RFC 5280, 4.2.1.10).
        """
        key = key or ec.generate_private_key(ec.SECP256R1())
        signer = issuer.key if issuer else key
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(common))
            .issuer_name(issuer.certificate.subject if issuer else _name(common))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.now + not_before)
            .not_valid_after(self.now + not_after)
            .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
            .add_extension(
                _key_usage(signs_certificates=True, signs_handshakes=False), critical=True
            )
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()),
                critical=False,
            )
        )
        if permitted:
            limits = x509.NameConstraints([x509.DNSName(name) for name in permitted], None)
            builder = builder.add_extension(limits, critical=True)
        return Authority(builder.sign(signer, hashes.SHA256()), key)

    @functools.cached_property
    def root(self) -> Authority:
        """The one root that a check is told to trust."""
        return self.make_authority("Lab Root")

    @functools.cached_property
    def issuer(self) -> Authority:
        """The intermediate that signs nearly everything."""
        return self.make_authority("Lab Issuing CA 1", issuer=self.root, path_length=0)

    @functools.cached_property
    def other_issuer(self) -> Authority:
        """A second, just as trusted intermediate (``expect: issuers`` tells them apart)."""
        return self.make_authority("Lab Issuing CA 2", issuer=self.root, path_length=0)

    @functools.cached_property
    def stranger(self) -> Authority:
        """A root that nobody trusts."""
        return self.make_authority("Unknown Root")

    def roots_pem(self) -> bytes:
        """The trusted root, for ``trust: {file: …}``."""
        return self.root.certificate.public_bytes(serialization.Encoding.PEM)

    # ------------------------------------------------------------ leaves

    def leaf(
        self,
        names: Sequence[str],
        *,
        key: PrivateKey | None = None,
        issuer: Authority | None = None,
        shape: LeafShape | None = None,
    ) -> x509.Certificate:
        """A leaf for these names; whatever is not given is valid."""
        key, issuer, shape = key or self.leaf_key, issuer or self.issuer, shape or LeafShape()
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(names[0]))
            .issuer_name(issuer.certificate.subject)
            .public_key(key.public_key())
            .serial_number(shape.serial or x509.random_serial_number())
            .not_valid_before(self.now + shape.not_before)
            .not_valid_after(self.now + shape.not_after)
            .add_extension(_alternative_names(names, shape), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(
                _key_usage(signs_certificates=False, signs_handshakes=shape.usage), critical=True
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(
                    issuer.certificate.extensions.get_extension_for_class(
                        x509.SubjectKeyIdentifier
                    ).value
                ),
                critical=False,
            )
        )
        if shape.purposes:
            builder = builder.add_extension(x509.ExtendedKeyUsage(shape.purposes), critical=False)
        if shape.must_staple:
            staple = x509.TLSFeature([x509.TLSFeatureType.status_request])
            builder = builder.add_extension(staple, critical=False)
        if shape.timestamps is not None:
            oid = x509.PrecertificateSignedCertificateTimestamps.oid
            value = x509.UnrecognizedExtension(oid, shape.timestamps)
            builder = builder.add_extension(value, critical=False)
        if shape.list_url:
            name = x509.UniformResourceIdentifier(shape.list_url)
            point = x509.DistributionPoint([name], None, None, None)
            builder = builder.add_extension(x509.CRLDistributionPoints([point]), critical=False)
        return builder.sign(issuer.key, hashes.SHA256())

    def kept_leaf(self, kind: str, name: str) -> x509.Certificate:
        """The leaf of one kind for a name: always the same one.

        Args:
            kind: ``ecdsa`` or ``rsa``; ``older`` and ``older-rsa`` are those before the renewal.
            name: the domain.
        """
        found = self._leaves.get((kind, name))
        if found is None:
            found = self._leaves[kind, name] = self._make_leaf(kind, name)
        return found

    def _make_leaf(self, kind: str, name: str) -> x509.Certificate:
        match kind:
            case "ecdsa":
                return self.leaf([name])
            case "rsa":
                return self.leaf([name], key=self.rsa_key)
            case "older" | "older-rsa":
                old = LeafShape(
                    not_before=timedelta(days=-40), not_after=timedelta(days=OLD_LEAF_DAYS)
                )
                key = self.rsa_key if kind == "older-rsa" else None
                return self.leaf([name], shape=old, key=key)
            case _:
                raise ValueError(f"no kind of leaf is called {kind!r}")

    def credential(self, name: str, kind: str = "ecdsa") -> Credential:
        """What a healthy edge presents for a name."""
        key = self.rsa_key if kind.endswith("rsa") else self.leaf_key
        return Credential((self.kept_leaf(kind, name), self.issuer.certificate), key)
