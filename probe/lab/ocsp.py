"""Stapled OCSP answers (RFC 6960), right and wrong, signed by the lab's issuing authority."""

from __future__ import annotations

from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp

from probe.lab.ca import Authority

_DER = serialization.Encoding.DER


def answer(
    certificate: x509.Certificate,
    issuer: Authority,
    now: datetime,
    *,
    revoked: bool = False,
    updated: timedelta = timedelta(hours=-1),
    lasts: timedelta = timedelta(days=3),
) -> bytes:
    """An OCSP response about one certificate, as DER.

    ``updated`` is thisUpdate, counted from now; nextUpdate follows it by ``lasts``.
    """
    status = ocsp.OCSPCertStatus.REVOKED if revoked else ocsp.OCSPCertStatus.GOOD
    builder = (
        ocsp.OCSPResponseBuilder()
        .add_response(
            cert=certificate,
            issuer=issuer.certificate,
            algorithm=hashes.SHA1(),  # noqa: S303 - names the issuer (RFC 6960, 4.1.1), proves nothing
            cert_status=status,
            this_update=now + updated,
            next_update=now + updated + lasts,
            revocation_time=now + updated if revoked else None,
            revocation_reason=None,
        )
        .responder_id(ocsp.OCSPResponderEncoding.HASH, issuer.certificate)
    )
    return builder.sign(issuer.key, hashes.SHA256()).public_bytes(_DER)


def try_later() -> bytes:
    """A response that says the responder could not answer: no statement at all."""
    status = ocsp.OCSPResponseStatus.TRY_LATER
    return ocsp.OCSPResponseBuilder.build_unsuccessful(status).public_bytes(_DER)


def forged(response: bytes) -> bytes:
    """The same answer with a signature that does not fit (its last byte changed)."""
    return response[:-1] + bytes([response[-1] ^ 0xFF])
