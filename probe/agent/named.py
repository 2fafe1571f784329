"""What DNS says about a target's name besides addresses, for checks that ask for it."""

from __future__ import annotations

import trio

from probe.agent.parts import Parts
from probe.model.failure import Phase, defect
from probe.model.records import NameRecords, NotLookedAt
from probe.model.result import TlsResult
from probe.model.spec import Provider, TlsCheck
from probe.model.target import Target
from probe.model.tls import ClientProfile
from probe.state.promises import with_promises

MOST_LOOKS = 3.0
"""Intervals between two looks after which records are too old to judge an edge by."""

_SLACK = 1.0


async def look_up(parts: Parts, check: TlsCheck, provider: Provider, target: Target) -> NameRecords:
    """Look up the records that a check asks for, within a time-out of the provider; never raises.

    HTTPS records are asked of the name that is asked for addresses; none leads to addresses that
    the configuration writes. CAA records are asked of the name that the certificate is for.
    """
    why = "the look-up did not end"
    try:
        with trio.move_on_after(provider.dns.timeout + _SLACK):
            return await parts.records.look(
                check.records,
                provider.dns,
                name=(check.sni or target.name).lower(),
                reached=None if provider.addresses else (provider.hostname or target.name).lower(),
                port=target.port or provider.port or check.port,
            )
    except Exception as error:  # what we did wrong must cost neither addresses nor edges
        why = str(defect(error, Phase.RESOLVE))
    asked = (one in check.records for one in ("HTTPS", "CAA", "CAA"))
    return NameRecords(*(NotLookedAt(why) if one else None for one in asked))


def judged(
    result: TlsResult,
    check: TlsCheck,
    target: Target,
    profile: ClientProfile,
    records: NameRecords | None,
) -> TlsResult:
    """Add to an attempt what its edge does not keep of what DNS says; None is not known yet."""
    if records is None:
        return result
    return with_promises(
        result,
        records,
        name=(check.sni or target.name).lower(),
        offered=profile.alpn,
        issuers=check.caa_issuers,
    )
