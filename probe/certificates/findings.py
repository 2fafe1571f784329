"""Findings, one small function each: first on what was sent, whatever verifies, then on one path.

A path has the leaf first and the trust anchor last.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from cryptography.x509.oid import ExtendedKeyUsageOID

from probe.certificates.certificate import Certificate, Unparsable
from probe.certificates.der import Extensions
from probe.certificates.opinions import openssl_reads
from probe.certificates.paths import Path
from probe.certificates.verdict import Finding, called, clip, instant, some
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


SERVER_AUTH = ExtendedKeyUsageOID.SERVER_AUTH.dotted_string
_BROKEN_HASHES = frozenset({"md5", "sha1"})
_LEAST_RSA = 2048
_COMMON_KEYS = frozenset({"ec-p256", "ec-p384"})
_UNCOMMON_KEYS = frozenset({"ec-p521", "ed25519", "ed448"})


def on_path(path: Path, now: float, *, anchored: bool = True) -> tuple[Finding, ...]:
    """Find all that is wrong with a path at ``now``; ``anchored``: it ends in a trust root."""
    found = [*expired(path, now), *not_yet_valid(path, now)]
    found += weak_signature(path, anchored=anchored)
    found += not_an_authority(path, anchored=anchored)
    found += [finding for look in _LOOKS for finding in look(path)]
    return tuple(found)


def not_after(path: Path) -> float:
    """Return the instant at which the first certificate of the path ends."""
    return min(certificate.facts.not_after for certificate in path)


def expired(path: Path, now: float) -> Iterator[Finding]:
    """NotAfter lies in the past (RFC 5280 section 4.1.2.5: the last second still counts)."""
    for at, certificate in enumerate(path):
        if math.floor(now) > certificate.facts.not_after:
            yield Finding(
                Reason.EXPIRED,
                f"{_role(path, at)} ended at {instant(certificate.facts.not_after)}",
            )


def not_yet_valid(path: Path, now: float) -> Iterator[Finding]:
    """NotBefore lies in the future (RFC 5280 section 4.1.2.5)."""
    for at, certificate in enumerate(path):
        if math.floor(now) < certificate.facts.not_before:
            yield Finding(
                Reason.NOT_YET_VALID,
                f"{_role(path, at)} begins at {instant(certificate.facts.not_before)}",
            )


def weak_key(path: Path) -> Iterator[Finding]:
    """RSA under 2048 bits, curves under 256 bits or unknown to browsers (CA/B BR 6.1.5, 6.1.6).

    Keys that are strong and that some browsers do not offer (P-521, Ed25519) only warn: they
    break browsers, not the API clients that such keys are chosen for.
    """
    for at, certificate in enumerate(path):
        key = certificate.facts.key
        if key in _COMMON_KEYS or certificate.costly_key:  # that has a finding of its own
            continue
        if certificate.facts.key_type == "rsa":
            if int(key.removeprefix("rsa-")) < _LEAST_RSA:
                yield Finding(Reason.WEAK_KEY, f"{_role(path, at)} has a key of kind {key}")
        elif key not in _UNCOMMON_KEYS:
            yield Finding(Reason.WEAK_KEY, f"{_role(path, at)} has a key of kind {key}")
        elif at == 0:
            yield Finding(
                Reason.WEAK_KEY,
                f"{_role(path, at)} has a key of kind {key}, which not every browser supports",
                fatal=False,
            )


def weak_signature(path: Path, *, anchored: bool) -> Iterator[Finding]:
    """Signed with MD5 or SHA-1 by another certificate (CA/B BR 7.1.3.2)."""
    # A root is trusted as it is: its own signature proves nothing, and clients ignore it.
    own = anchored or path[-1].facts.self_signed
    for at, certificate in enumerate(path[:-1] if own else path):
        if certificate.hash_name in _BROKEN_HASHES:
            yield Finding(
                Reason.WEAK_SIGNATURE,
                f"{_role(path, at)} is signed with {certificate.hash_name.upper()}",
            )


def not_server_certificate(path: Path) -> Iterator[Finding]:
    """Extended key usage without serverAuth (RFC 5280 section 4.2.1.12, CA/B BR 7.1.2.7.10).

    An authority must name it too, and so must a root: "any" is not enough for OpenSSL.
    """
    for at, certificate in enumerate(path):
        if certificate.purposes is not None and SERVER_AUTH not in certificate.purposes:
            yield Finding(
                Reason.NOT_SERVER_CERTIFICATE,
                f"{_role(path, at)} is for {some(sorted(certificate.purposes))}, "
                "not for TLS servers",
            )


def wrong_key_usage(path: Path) -> Iterator[Finding]:
    """Key usage forbids what the key does (RFC 5280 4.2.1.3; RFC 8446 section 4.4.2.2)."""
    if path[0].signs_handshakes is False:
        yield Finding(
            Reason.WRONG_KEY_USAGE,
            f"{_role(path, 0)} may not make digital signatures, as TLS 1.3 and every "
            "forward-secret cipher of TLS 1.2 demand",
        )
    for at, certificate in enumerate(path[1:], 1):
        if certificate.signs_certificates is False:
            yield Finding(Reason.WRONG_KEY_USAGE, f"{_role(path, at)} may not sign certificates")


def unreadable(path: Path) -> Iterator[Finding]:
    """Extensions that say what a certificate may be used for cannot be read."""
    for at, certificate in enumerate(path):
        # A server's certificate need not say that it is no authority.
        needed = {"keyUsage", "extKeyUsage", "basicConstraints" if at else "subjectAltName"}
        if lost := needed & certificate.extensions.unreadable:
            yield Finding(
                Reason.UNPARSABLE,
                f"{_role(path, at)} has extensions that cannot be read: {', '.join(sorted(lost))}",
            )


def not_an_authority(path: Path, *, anchored: bool) -> Iterator[Finding]:
    """An issuer without basicConstraints CA (RFC 5280 section 4.2.1.9, 6.1.4 k).

    A root without the extension, as all of X.509 version 1, is left to OpenSSL, which takes
    those of version 1 and those whose keyUsage says that they sign certificates.
    """
    for at, certificate in enumerate(path[1:], 1):
        old_root = anchored and at == len(path) - 1 and certificate.is_ca is None
        if not certificate.is_ca and not old_root:
            yield Finding(Reason.CHAIN_INVALID, f"{_role(path, at)} is no certificate authority")


def path_length(path: Path) -> Iterator[Finding]:
    """More intermediates below an authority than it allows (RFC 5280 section 4.2.1.9).

    Self-issued ones do not count (section 6.1.4 l).
    """
    for at, certificate in enumerate(path[1:], 1):
        below = sum(c.subject_key != c.issuer_key for c in path[1:at])
        if certificate.path_length is not None and below > certificate.path_length:
            yield Finding(
                Reason.CHAIN_INVALID,
                f"{_role(path, at)} allows {certificate.path_length} intermediates below it, "
                f"and there are {below}",
            )


_LOOKS: tuple[Callable[[Path], Iterator[Finding]], ...] = (
    weak_key,
    not_server_certificate,
    wrong_key_usage,
    unreadable,
    path_length,
)


def _role(path: Path, at: int) -> str:
    certificate: Certificate = path[at]
    what = "the server's certificate" if at == 0 else "the issuing certificate"
    return f"{what} {called(certificate.facts.subject)}"
