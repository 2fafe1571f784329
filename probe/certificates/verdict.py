"""What the judgement of a presented chain says: findings in order of importance, and facts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from probe.model.failure import Failure, Phase, Reason
from probe.model.result import CertificateFacts


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
        ocsp: ``good``, ``revoked``, ``unknown`` as the stapled answer says of this
            certificate; None when nothing usable was stapled.
        valid_from: the verdict holds for every instant from here …
        valid_until: … up to, not including, this one. Seconds since the epoch.
    """

    failures: tuple[Failure, ...] = ()
    warnings: tuple[Failure, ...] = ()
    chain: tuple[CertificateFacts, ...] = ()
    verified_not_after: float | None = None
    ocsp: str | None = None
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
