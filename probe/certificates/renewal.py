"""By when a certificate should be renewed: by the share of its life that is left."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from probe.certificates.verdict import Finding, called, instant
from probe.model.failure import Reason
from probe.model.result import CertificateFacts, Renewal
from probe.model.tls import ChainExpectations, DaysLeft

HOUR = 3600.0
DAY = 24 * HOUR


def expires_soon(
    path: Sequence[CertificateFacts], renewals: Sequence[Renewal], now: float
) -> Iterator[Finding]:
    """A certificate of the verified path is late to be renewed; those off the path are ignored."""
    late = [(one.late, depth) for depth, one in enumerate(renewals)]
    first, depth = min(late, default=(math.inf, 0))
    if now >= first:
        whose = "the certificate" if depth == 0 else f"the authority {called(path[depth].subject)}"
        yield Finding(
            Reason.EXPIRES_SOON,
            f"{whose} expires at {instant(path[depth].not_after)} and should have been renewed "
            f"by {instant(first)}",
            fatal=False,
        )


_DUE = 1 / 3
_URGENT = 1 / 30
_URGENT_AT_MOST = 3 * DAY
_URGENT_AT_LEAST = 12 * HOUR


def renewal_of(facts: CertificateFacts, expect: ChainExpectations) -> Renewal:
    """Return by when a certificate should be renewed: by the share of its life that is left.

    Renewal is due with a third left, which is when ACME clients renew; it is late with what
    ``days_left`` asks for; it is urgent with a thirtieth, at most 3 days and at least 12 hours,
    but never with more than half of what makes it late, or would by default: a certificate of a
    day has no 12 hours, whatever days a check asks for.
    """
    lifetime = facts.not_after - facts.not_before
    late = expect.days_left.seconds(lifetime)
    urgent = min(max(lifetime * _URGENT, _URGENT_AT_LEAST), _URGENT_AT_MOST)
    urgent = min(urgent, late / 2, DaysLeft().seconds(lifetime) / 2)
    ends = facts.not_after
    return Renewal(ends - max(lifetime * _DUE, late), ends - late, ends - urgent)


def earliest(renewals: Iterable[Renewal]) -> Renewal | None:
    """Return the earliest of each time; None of nothing."""
    every = list(renewals)
    if not every:
        return None
    return Renewal(
        min(one.due for one in every),
        min(one.late for one in every),
        min(one.urgent for one in every),
    )
