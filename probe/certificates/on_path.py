"""Findings about one path, leaf first and trust anchor last: one small function each."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from cryptography.x509.oid import ExtendedKeyUsageOID

from probe.certificates.certificate import Certificate
from probe.certificates.paths import Path
from probe.certificates.verdict import Finding, called, instant, some
from probe.model.failure import Reason

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
