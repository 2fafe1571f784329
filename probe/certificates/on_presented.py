"""Findings about what was sent, whatever verifies: one small function each."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from probe.certificates.certificate import Certificate, Unparsable
from probe.certificates.der import Extensions
from probe.certificates.opinions import openssl_reads
from probe.certificates.paths import Path
from probe.certificates.verdict import Finding, called, clip, instant
from probe.model.failure import Reason

MOST_CERTIFICATES = 10
MOST_BYTES = 100 * 1024


@dataclass(frozen=True, slots=True)
class PresentedChain:
    """A presented chain, read.

    Attributes:
        ders: as sent.
        read: one entry for each of the certificates that were looked at, in the order sent.
    """

    ders: Sequence[bytes]
    read: tuple[Certificate | Unparsable, ...]

    @property
    def certificates(self) -> tuple[Certificate, ...]:
        """Those that can be parsed."""
        return tuple(c for c in self.read if isinstance(c, Certificate))


def unparsable(presented: PresentedChain) -> Iterator[Finding]:
    """Bytes that are no certificate, or one with an extension that cannot be read (RFC 5280).

    Fatal when the server's own is none, and for any that OpenSSL cannot read: its clients then
    break off the handshake with decode_error. Extensions that matter are judged on the path.
    """
    if not presented.ders:
        yield Finding(Reason.UNPARSABLE, "the server presented no certificate")
    for at, entry in enumerate(presented.read):
        breaks = not openssl_reads(presented.ders[at])
        lost = isinstance(entry, Unparsable)
        match entry:
            case Unparsable(detail=why):
                what = "certificate"
            case Certificate(extensions=Extensions(flaw=why, odd_names=())) if why:
                what = "extensions of certificate"
            case _ if breaks:
                what, why = "certificate", "OpenSSL cannot parse it"
            case _:
                continue
        yield Finding(
            Reason.UNPARSABLE,
            f"{what} {at + 1} of {len(presented.ders)}: {clip(why)}",
            fatal=breaks or (at == 0 and lost),
        )


def odd_names(presented: PresentedChain) -> Iterator[Finding]:
    """Alternative names that match nothing (RFC 5280 section 4.2.1.6).

    OpenSSL passes over them; Go and others refuse the whole certificate.
    """
    for certificate in presented.certificates[:1]:
        for why in certificate.extensions.odd_names[:1]:
            yield Finding(
                Reason.UNPARSABLE,
                f"{clip(why)} in the subjectAltName; some clients refuse such a certificate",
                fatal=False,
            )


def costly_key(presented: PresentedChain) -> Iterator[Finding]:
    """RSA exponents over 2^33 and the longest DSA keys, which BoringSSL and Go refuse."""
    for certificate in presented.certificates:
        if certificate.costly_key:
            yield Finding(
                Reason.WEAK_KEY,
                f"{called(certificate.facts.subject)} has a key ({certificate.facts.key}) that "
                "browsers refuse: DSA over 3072 bits, or an RSA exponent over 2^33",
            )


def chain_too_long(presented: PresentedChain) -> Iterator[Finding]:
    """More than clients take: Java 10 certificates, GnuTLS 16, OpenSSL 100 KiB by default."""
    count, size = len(presented.ders), sum(map(len, presented.ders))
    if count > MOST_CERTIFICATES or size > MOST_BYTES:
        yield Finding(
            Reason.CHAIN_TOO_LONG,
            f"{count} certificates of {size} bytes were sent; some clients take at most "
            f"{MOST_CERTIFICATES} or {MOST_BYTES} bytes",
        )


def wrong_order(presented: PresentedChain, ancestors: frozenset[bytes]) -> Iterator[Finding]:
    """An issuer stands before all that it issued (RFC 5246 7.4.2; RFC 8446 4.4.2 relaxes it).

    Old and small clients walk the chain as sent. Certificates that have nothing to do with
    the leaf are left aside here; they are superfluous.
    """
    sent = presented.certificates
    for at, certificate in enumerate(sent[1:], 1):
        if certificate.digest not in ancestors:
            continue
        if not any(below.issuer_key == certificate.subject_key for below in sent[:at]):
            yield Finding(
                Reason.WRONG_ORDER,
                f"{called(certificate.facts.subject)} was sent as number {at + 1}, before "
                "every certificate that it issued",
                fatal=False,
            )
            return


def superfluous(
    presented: PresentedChain, ancestors: frozenset[bytes], verified: Sequence[Path], now: float
) -> Iterator[Finding]:
    """Certificates that no client needs (RFC 8446 section 4.4.2: SHOULD NOT be sent).

    Repeated ones, ones that do not stand above the leaf, and expired ones off every verified
    path. Cross-signed ones for older clients and the root itself are no finding.
    """
    used = {certificate.digest for path in verified for certificate in path}
    seen: set[bytes] = {c.digest for c in presented.certificates[:1]}
    for certificate in presented.certificates[1:]:
        name = called(certificate.facts.subject)
        if certificate.digest in seen:
            why = f"{name} was sent more than once"
        elif certificate.digest not in ancestors:
            why = f"{name} issued nothing in this chain"
        elif verified and certificate.digest not in used and _over(certificate, now):
            why = f"{name} ended at {instant(certificate.facts.not_after)} and nothing needs it"
        else:
            why = ""
        if why:
            yield Finding(Reason.SUPERFLUOUS, why, fatal=False)
        seen.add(certificate.digest)


def _over(certificate: Certificate, now: float) -> bool:
    return math.floor(now) > certificate.facts.not_after
