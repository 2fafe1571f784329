"""Findings that compare the server's certificate with what the check asks for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from probe.certificates.names import belongs_to, covers, is_address_as_dns_name
from probe.certificates.verdict import Finding
from probe.certificates.wording import called, instant, presented_names, some
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
    """The verified path ends in less than the wanted days; what it does not use counts not."""
    if verified_not_after is not None and now >= soon_from(verified_not_after, expect):
        yield Finding(
            Reason.EXPIRES_SOON,
            f"the verified path ends at {instant(verified_not_after)}, in less than "
            f"{expect.days_left:g} days",
            fatal=False,
        )


def soon_from(verified_not_after: float, expect: ChainExpectations) -> float:
    """From when on a path that ends then ends soon."""
    return verified_not_after - expect.days_left * DAY


def _common_names(subject: str) -> tuple[str, ...]:
    return tuple(part.removeprefix("CN=") for part in subject.split(",") if part.startswith("CN="))
