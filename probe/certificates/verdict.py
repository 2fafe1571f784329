"""What the judgement of a presented chain says: findings in order of importance, and facts.

Also the findings that compare the server's certificate with what the check asks for.
"""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from probe.certificates.subject import common_names
from probe.model.failure import Failure, Phase, Reason
from probe.model.result import CertificateFacts, Renewal, Timestamps
from probe.model.tls import ChainExpectations
from probe.net.names import belongs_to

if TYPE_CHECKING:
    from probe.certificates.revocation import Revocable, Status


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with a presented chain.

    Attributes:
        fatal: it breaks some client, or contradicts what the check expects; otherwise a
            person should know of it and nothing fails.
        detail: evidence for a person: names, dates, the issuer and where to get it.
    """

    reason: Reason
    detail: str = ""
    fatal: bool = True

    @property
    def failure(self) -> Failure:
        """Return the same in the vocabulary of results."""
        return Failure(Phase.CERTIFICATE, self.reason, self.detail)


IMPORTANCE: tuple[Reason, ...] = (
    Reason.LOCAL_RESOURCE,  # without roots nothing may be said of the target
    Reason.UNPARSABLE,
    # The edge shows somebody else's certificate: whatever else is wrong with it is noise.
    Reason.DEFAULT_CERTIFICATE,
    Reason.NAME_MISMATCH,
    Reason.EXPIRED,
    Reason.NOT_YET_VALID,
    Reason.OCSP_REVOKED,
    Reason.CRL_REVOKED,
    Reason.SELF_SIGNED,
    Reason.MISSING_INTERMEDIATE,
    Reason.UNKNOWN_ISSUER,
    Reason.WEAK_SIGNATURE,
    Reason.WEAK_KEY,
    Reason.NOT_SERVER_CERTIFICATE,
    Reason.WRONG_KEY_USAGE,
    Reason.NAME_CONSTRAINTS,
    Reason.CHAIN_TOO_LONG,
    Reason.CHAIN_INVALID,
    Reason.OLDER_THAN_EXPECTED,
    Reason.UNEXPECTED_FINGERPRINT,
    Reason.UNEXPECTED_ISSUER,
    Reason.OCSP_MISSING,
    Reason.OCSP_EXPIRED,
    Reason.OCSP_MISMATCH,
    Reason.OCSP_INVALID,
    Reason.TOO_FEW_SCTS,
    Reason.SCT_INVALID,
    Reason.CRL_EXPIRED,
    Reason.CRL_INVALID,
    Reason.CRL_UNAVAILABLE,
    Reason.EXPIRES_SOON,
    Reason.WRONG_ORDER,
    Reason.SUPERFLUOUS,
)
"""Which finding a person acts on first: the first one names the failure."""

_RANK = {reason: rank for rank, reason in enumerate(IMPORTANCE)}


@dataclass(frozen=True, slots=True)
class Verdict:
    """The judgement of one presented chain for one name. Immutable, shared between results.

    Attributes:
        failures: fatal findings, the one to act on first; empty means accepted.
        warnings: findings that fail nothing, in order of importance.
        chain: facts of the presented certificates in the order sent; those that cannot be
            parsed are left out (a finding says so), and nothing stands here if the first is.
        verified_not_after: of each verified path the least NotAfter (leaf to root), of these
            the greatest; None when no path verifies. Seconds since the epoch.
        renewal: by when the first certificate of that path should be renewed; None likewise.
        leaf_renewal: by when the server's own should be.
        ocsp: ``good``, ``revoked``, ``unknown`` as the stapled answer says of this
            certificate; None when nothing usable was stapled.
        timestamps: of Certificate Transparency; None when they were not asked for.
        crl: what the revocation lists say that the verified path names: ``good``, ``revoked``,
            ``unknown`` when one cannot be used, ``pending`` before it was fetched; None when
            nothing was looked at.
        revocable: certificates of that path that name a list.
        valid_from: the verdict holds for every instant from here …
        valid_until: … up to, not including, this one. Seconds since the epoch.
    """

    failures: tuple[Failure, ...] = ()
    warnings: tuple[Failure, ...] = ()
    chain: tuple[CertificateFacts, ...] = ()
    verified_not_after: float | None = None
    renewal: Renewal | None = None
    leaf_renewal: Renewal | None = None
    ocsp: str | None = None
    timestamps: Timestamps | None = None
    crl: Status | None = None
    revocable: tuple[Revocable, ...] = ()
    valid_from: float = -math.inf
    valid_until: float = math.inf

    @property
    def accepted(self) -> bool:
        """Tell whether a secret may be sent over this connection: nothing fatal was found."""
        return not self.failures


def in_order(findings: Iterable[Finding], *, fatal: bool) -> tuple[Failure, ...]:
    """Sort the fatal findings, or the warnings, by importance and without repetitions."""
    chosen = dict.fromkeys(finding for finding in findings if finding.fatal is fatal)
    return tuple(f.failure for f in sorted(chosen, key=lambda f: _RANK[f.reason]))


def with_more(known: Iterable[Failure], findings: Iterable[Failure]) -> tuple[Failure, ...]:
    """Add further findings to those that are in order already."""
    return tuple(sorted(dict.fromkeys((*known, *findings)), key=lambda f: _RANK[f.reason]))


def span(boundaries: Iterable[float], now: float) -> tuple[float, float]:
    """Return the stretch around ``now`` in which no boundary lies."""
    start, end = -math.inf, math.inf
    for at in boundaries:
        if at <= now:
            start = max(start, at)
        else:
            end = min(end, at)
    return start, end


_LONGEST = 120
_NAMES = 4


def clip(text: str) -> str:
    """Make foreign text safe to show: printable, and 120 characters at most."""
    shown = "".join(c if c.isprintable() else "�" for c in text[: _LONGEST + 1])
    return shown if len(text) <= _LONGEST else f"{shown[:_LONGEST]}…"


def instant(seconds: float) -> str:
    """Write an instant as RFC 3339 in UTC, in whole seconds."""
    return datetime.fromtimestamp(math.floor(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def some(names: Sequence[str]) -> str:
    """List a few names, and how many more there are."""
    shown = ", ".join(clip(name) for name in names[:_NAMES])
    return shown if len(names) <= _NAMES else f"{shown} and {len(names) - _NAMES} more"


def presented_names(facts: CertificateFacts) -> str:
    """Say what names a certificate is for."""
    names = (*facts.dns_names, *facts.ip_names)
    if names:
        return some(names)
    return f"no name at all (subject {called(facts.subject)})"


def called(subject: str) -> str:
    """Quote a distinguished name."""
    return f"'{clip(subject)}'" if subject else "'' (empty)"


def from_url(facts: CertificateFacts) -> str:
    """Say where the issuer's certificate is published, as a trailing remark."""
    if facts.issuer_url is None:
        return ""
    return f"; the issuer's certificate is published at {clip(facts.issuer_url)}"


def wrong_name(leaf: CertificateFacts, name: str, own_names: Sequence[str]) -> Iterator[Finding]:
    """The certificate is for other names (RFC 9525).

    When all of them belong to the provider itself, the edge fell back to its default
    certificate: it has none for the name that was asked for.
    """
    if covers(leaf, name):
        return
    # Without any subjectAltName the subject's common name tells at least whose it is.
    presented = leaf.dns_names or common_names(leaf.subject)
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


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return None
