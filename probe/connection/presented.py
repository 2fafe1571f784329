"""What a completed handshake showed: collected from OpenSSL, and as facts of a result."""

from __future__ import annotations

import sys
from typing import NamedTuple

from OpenSSL import SSL

from probe.certificates import Verdict
from probe.connection import openssl
from probe.model.result import Handshake

_APPLICATION_DATA = 23  # RFC 8446 section 5.1: what an encrypted record calls itself


class Presented(NamedTuple):
    """What a completed handshake showed, unjudged.

    Attributes:
        version: ``TLS 1.3``, as blackbox_exporter writes it.
        cipher: OpenSSL's name.
        group: key exchange group, ``X25519MLKEM768``; None when unknown or plain RSA.
        alpn: protocol chosen, or None.
        certificates: DER, in the order sent; leaf first.
        ocsp: the stapled OCSP response as sent (DER), or None.
        client_certificate_asked: TLS 1.3 only: the server asked for a client certificate, and
            may still refuse ours, or its absence, after the handshake.
    """

    version: str
    cipher: str
    group: str | None
    alpn: str | None
    certificates: tuple[bytes, ...] = ()
    ocsp: bytes | None = None
    client_certificate_asked: bool = False


def collect(tls: SSL.Connection, last_flight: bytes | None) -> Presented:
    """Collect the facts of a handshake; without a last flight, what was agreed so far."""
    version = tls.get_protocol_version_name().replace("TLSv", "TLS ", 1)
    complete = last_flight is not None
    return Presented(
        # Interned, because tens of thousands of results say the same.
        version=sys.intern(version),
        cipher=sys.intern(tls.get_cipher_name() or ""),
        group=_intern(tls.get_group_name()),
        alpn=_intern(tls.get_alpn_proto_negotiated().decode("ascii", "backslashreplace")),
        certificates=openssl.presented_chain(tls) if complete else (),
        ocsp=openssl.staple(tls),
        client_certificate_asked=(
            last_flight is not None and version == "TLS 1.3" and _encrypted_records(last_flight) > 1
        ),
    )


def _intern(text: str | None) -> str | None:
    return sys.intern(text) if text else None


def _encrypted_records(flight: bytes) -> int:
    """Count the encrypted records of the client's last flight.

    With TLS 1.3 the answer to a CertificateRequest is the only thing that a client sends
    beside its Finished (RFC 8446, section 2), and pyOpenSSL has no question for it.
    """
    count = at = 0
    while at + 5 <= len(flight):
        count += flight[at] == _APPLICATION_DATA
        at += 5 + int.from_bytes(flight[at + 3 : at + 5], "big")
    return count


def facts_of(presented: Presented, verdict: Verdict) -> Handshake:
    """Join what the handshake showed with what the judge read out of the certificates."""
    return Handshake(
        version=presented.version,
        cipher=presented.cipher,
        chain=verdict.chain,
        group=presented.group,
        alpn=presented.alpn,
        verified_not_after=verdict.verified_not_after,
        ocsp=verdict.ocsp,
    )
