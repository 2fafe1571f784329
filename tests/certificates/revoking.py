"""Builds revocation lists and certificates that name them; each property can be changed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from .authority import NOW, Made, leaf

URL = "http://crl.example/issuing.crl"
OTHER = "http://backup.example/issuing.crl"
DELTA = "http://crl.example/delta.crl"


def points(*urls: str, together: bool = True) -> x509.CRLDistributionPoints:
    """The extension that names lists: one place with several URLs, or a place for each."""
    names = [x509.UniformResourceIdentifier(url) for url in urls]
    groups = [names] if together else [[name] for name in names]
    return x509.CRLDistributionPoints(
        [x509.DistributionPoint(group, None, None, None) for group in groups]
    )


def named(issuer: Made, *urls: str, together: bool = True) -> Made:
    """A server's certificate that names lists."""
    extension = points(*(urls or (URL,)), together=together)
    return leaf(issuer, extra=[(extension, False)])


def scope(
    *urls: str,
    servers: bool = False,
    authorities: bool = False,
    indirect: bool = False,
    reasons: frozenset[x509.ReasonFlags] | None = None,
) -> x509.IssuingDistributionPoint:
    """The extension that says what a list is about."""
    names = [x509.UniformResourceIdentifier(url) for url in urls] or None
    return x509.IssuingDistributionPoint(
        names, None, servers, authorities, reasons, indirect, False
    )


def entry(
    revoked: Made | int,
    why: x509.ReasonFlags | None = x509.ReasonFlags.key_compromise,
    at: datetime = NOW - timedelta(days=3),
    extra: x509.UnrecognizedExtension | None = None,
) -> x509.RevokedCertificate:
    serial = revoked if isinstance(revoked, int) else revoked.certificate.serial_number
    builder = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(at)
    if why is not None:
        builder = builder.add_extension(x509.CRLReason(why), False)
    if extra is not None:
        builder = builder.add_extension(extra, critical=True)
    return builder.build()


def revocation_list(
    issuer: Made,
    *entries: x509.RevokedCertificate,
    signer: Made | None = None,
    begins: datetime = NOW - timedelta(hours=1),
    lasts: timedelta | None = timedelta(days=7),
    number: int | None = 7,
    base: int | None = None,
    about: x509.IssuingDistributionPoint | None = None,
    deltas: Sequence[str] = (),
    key_of: Made | None = None,
    extra: Iterable[tuple[x509.ExtensionType, bool]] = (),
) -> bytes:
    """A signed list as DER; ``key_of`` is whose key its authorityKeyIdentifier names."""
    builder = x509.CertificateRevocationListBuilder(
        issuer.certificate.subject, begins, begins + (lasts or timedelta(0)), [], list(entries)
    )
    aki = (key_of or issuer).certificate.public_key()
    extensions: list[tuple[x509.ExtensionType, bool]] = [
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(aki), False),  # type: ignore[arg-type]  # keys of ours
        *extra,
    ]
    if number is not None:
        extensions.append((x509.CRLNumber(number), False))
    if base is not None:
        extensions.append((x509.DeltaCRLIndicator(base), True))
    if about is not None:
        extensions.append((about, True))
    if deltas:
        extensions.append((x509.FreshestCRL(list(points(*deltas))), False))
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    key = (signer or issuer).key
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, algorithm).public_bytes(serialization.Encoding.DER)
