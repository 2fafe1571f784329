"""Findings that compare the server's certificate with what the check asks for."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Sequence

from probe.certificates.verdict import Finding, called, instant, presented_names, some
from probe.model.failure import Reason
from probe.model.result import CertificateFacts
from probe.model.tls import ChainExpectations

DAY = 86_400.0


def wrong_name(leaf: CertificateFacts, name: str, own_names: Sequence[str]) -> Iterator[Finding]:
    """The certificate is for other names (RFC 9525).

    When all of them belong to the provider itself, the edge fell back to its default
    certificate: it has none for the name that was asked for.
    """
    if covers(leaf, name):
        return
    # Without any subjectAltName the subject's common name tells at least whose it is.
    presented = leaf.dns_names or _common_names(leaf.subject)
    own = bool(presented) and all(belongs_to(n, own_names) for n in presented)
    if own:
        yield Finding(
            Reason.DEFAULT_CERTIFICATE,
            f"asked for {name}, the edge shows its provider's own certificate, for "
            f"{some(presented)}",
        )
    else:
        as_dns = is_address_as_dns_name(leaf, name)
        remark = " as a DNS name; an IP entry is needed" if as_dns else ""
        yield Finding(
            Reason.NAME_MISMATCH,
            f"asked for {name}, the certificate is for {presented_names(leaf)}{remark}",
        )


def unexpected_issuer(leaf: CertificateFacts, expect: ChainExpectations) -> Iterator[Finding]:
    """None of the expected texts stands in the issuer's name; case does not matter."""
    issuer = leaf.issuer.casefold()
    if expect.issuers and not any(text.casefold() in issuer for text in expect.issuers):
        yield Finding(
            Reason.UNEXPECTED_ISSUER,
            f"issued by {called(leaf.issuer)}, expected {some(expect.issuers)}",
        )


def unexpected_fingerprint(leaf: CertificateFacts, expect: ChainExpectations) -> Iterator[Finding]:
    """The certificate or its public key is not among the expected (SHA-256)."""
    if expect.fingerprints and leaf.fingerprint_sha256 not in expect.fingerprints:
        yield Finding(
            Reason.UNEXPECTED_FINGERPRINT,
            f"the certificate has SHA-256 {leaf.fingerprint_sha256}, expected "
            f"{some(expect.fingerprints)}",
        )
    if expect.spki and leaf.spki_sha256 not in expect.spki:
        yield Finding(
            Reason.UNEXPECTED_FINGERPRINT,
            f"the public key has SHA-256 {leaf.spki_sha256}, expected {some(expect.spki)}",
        )


def older_than_expected(leaf: CertificateFacts, expect: ChainExpectations) -> Iterator[Finding]:
    """The edge still holds a certificate from before the renewal that is waited for."""
    if expect.not_before is not None and leaf.not_before < expect.not_before:
        yield Finding(
            Reason.OLDER_THAN_EXPECTED,
            f"the certificate begins at {instant(leaf.not_before)}, expected "
            f"{instant(expect.not_before)} or later",
        )


def expires_soon(
    verified_not_after: float | None, now: float, expect: ChainExpectations
) -> Iterator[Finding]:
    """The verified path ends within ``days_left`` days; certificates off the path are ignored."""
    if verified_not_after is not None and now >= soon_from(verified_not_after, expect):
        yield Finding(
            Reason.EXPIRES_SOON,
            f"the verified path ends at {instant(verified_not_after)}, in less than "
            f"{expect.days_left:g} days",
            fatal=False,
        )


def soon_from(verified_not_after: float, expect: ChainExpectations) -> float:
    """Return the instant from which a path with this NotAfter is reported as expiring soon."""
    return verified_not_after - expect.days_left * DAY


def _common_names(subject: str) -> tuple[str, ...]:
    return tuple(part.removeprefix("CN=") for part in subject.split(",") if part.startswith("CN="))


_LEAST_LABELS_UNDER_WILDCARD = 2  # as OpenSSL, curl and browsers: never *.com


def covers(facts: CertificateFacts, name: str) -> bool:
    """Tell whether the subjectAltName covers a DNS name in A-labels or an IP address.

    The common name is ignored (RFC 9525 section 2), and so are IP addresses written as DNS
    names: an address matches only an iPAddress entry (section 6.5).
    """
    address = _address(name)
    if address is not None:
        return any(_address(ip) == address for ip in facts.ip_names)
    wanted = name.lower().removesuffix(".")
    first, _, parent = wanted.partition(".")
    patterns = {wanted} if first != "*" else set()
    # A wildcard is a whole left-most label and stands for exactly one (RFC 9525 section 6.3).
    if first and parent.count(".") >= _LEAST_LABELS_UNDER_WILDCARD - 1:
        patterns.add(f"*.{parent}")
    return any(pattern.lower() in patterns for pattern in facts.dns_names)


def is_address_as_dns_name(facts: CertificateFacts, name: str) -> bool:
    """Tell whether an IP address stands among the DNS names, where it has no effect."""
    address = _address(name)
    return address is not None and any(_address(entry) == address for entry in facts.dns_names)


def belongs_to(name: str, patterns: Iterable[str]) -> bool:
    """Tell whether a presented name is one of a provider's own.

    ``*.cdn-b.example`` covers every name below ``cdn-b.example``, at any depth and even when
    it is itself a wildcard, and ``cdn-b.example`` itself; a pattern without a star only itself.
    """
    own = name.lower().rstrip(".")
    for written in patterns:
        pattern = written.lower().rstrip(".")
        domain = pattern.removeprefix("*.")
        if own == domain or (pattern != domain and own.endswith(f".{domain}")):
            return True
    return False


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return None
