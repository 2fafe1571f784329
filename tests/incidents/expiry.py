"""Certificates of every lifetime in a simulated day: renewed in time, late, or by nobody."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

from probe.certificates.renewal import renewal_of
from probe.model.result import CertificateFacts
from probe.model.tls import ChainExpectations

from .series import Series
from .virtual import DAY, Span, leaf

LIFETIMES = (6, 14, 45, 90)
"""In days."""
EACH = 15
_LATE_EVERY = 10
_LATE_LEFT = 0.1
_IN_TIME_LEFT = 1 / 3


def renewals(number: int, seed: int) -> Iterator[tuple[str, CertificateFacts, float]]:
    """Give every certificate of a day with the second at which a new one takes its place.

    Most are renewed with a third of their life left, or a little later; one in ten with a tenth,
    which is late and not urgent.
    """
    dice = random.Random(f"certificates {seed}")
    for days in LIFETIMES:
        life = days * DAY
        for n in range(EACH):
            left = _LATE_LEFT if n % _LATE_EVERY == 9 else _IN_TIME_LEFT - dice.uniform(0, 0.05)
            lasts = life * (1 - left)
            issued = -((number * DAY + dice.uniform(0, lasts)) % lasts)
            yield f"{days}d-{n}", lived(issued, life), issued + lasts


def lived(issued: float, life: float) -> CertificateFacts:
    """Give a certificate by its seconds of the day."""
    return replace(leaf("ecdsa", new=True), not_before=issued, not_after=issued + life)


def expiring(series: Series, region: str, target: str, old: CertificateFacts, at: float) -> None:
    """Write what an agent says of a certificate that is renewed at a second of this day."""
    new = lived(at, old.not_after - old.not_before)
    before, after = (renewal_of(facts, ChainExpectations()) for facts in (old, new))
    here = f'region="{region}",check="stores",target="{target}"'
    for name, labels, values in (
        ("ssl_last_chain_expiry", "", (old.not_after, new.not_after)),
        ("certificate_renewal_late", "", (before.late, after.late)),
        ("certificate_renewal_urgent", "", (before.urgent, after.urgent)),
        ("edge_certificate_not_after", ',provider="live"', (old.not_after, new.not_after)),
    ):
        series.span(f"probe_{name}_timestamp_seconds{{{here}{labels}}}", Span(0, at), *values)


def stuck(days: int, span: Span) -> tuple[str, CertificateFacts, float]:
    """Give a certificate that is urgent from a span's start, until somebody renews it by hand."""
    life = days * DAY
    urgent = renewal_of(lived(0, life), ChainExpectations()).urgent
    return f"stuck-{days}d", lived(span.start - urgent, life), span.end
