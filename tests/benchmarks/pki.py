"""Certificates of the benchmark: a root, one intermediate, an ECDSA leaf for every name."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DOMAIN = "bench.example"

_Key = ec.EllipticCurvePrivateKey


@dataclass(frozen=True)
class Pki:
    """Paths of PEM files.

    Attributes:
        chain: leaf and intermediate, as the server sends them.
        stranger: a leaf that no known root stands behind; same key.
    """

    root: Path
    chain: Path
    key: Path
    stranger: Path


def write_pki(folder: Path) -> Pki:
    """Make everything anew."""
    root_key, middle_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
    root = _certificate("Benchmark Root", root_key, "Benchmark Root", root_key, ca=True)
    middle = _certificate("Benchmark Issuing 1", middle_key, "Benchmark Root", root_key, ca=True)
    leaf = _certificate(f"*.{DOMAIN}", key, "Benchmark Issuing 1", middle_key, ca=False)
    stranger = _certificate(f"*.{DOMAIN}", key, "Nobody's Root", middle_key, ca=False)
    pki = Pki(*(folder / f"{name}.pem" for name in ("root", "chain", "key", "stranger")))
    pki.root.write_bytes(_pem(root))
    pki.chain.write_bytes(_pem(leaf) + _pem(middle))
    pki.stranger.write_bytes(_pem(stranger))
    pki.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return pki


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _certificate(
    subject: str, key: _Key, issuer: str, issuer_key: _Key, *, ca: bool
) -> x509.Certificate:
    now = datetime.now(UTC).replace(microsecond=0)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=60))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(_usage(ca=ca), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),
            critical=False,
        )
    )
    if not ca:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.DNSName(subject)]), critical=False
        ).add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def _usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        key_cert_sign=ca,
        crl_sign=ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
