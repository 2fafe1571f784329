"""Looks up what DNS says about a name besides addresses: HTTPS and CAA records.

A look-up that failed is told as not looked at. Everything that is asked for is asked at once and
within one time-out; answers are remembered and shared as those for addresses are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import trio

from probe.edges.answers import DnsAnswer
from probe.edges.inquiry import Heard, Inquiry
from probe.edges.system import canonical_ip
from probe.model.records import (
    CaaRecord,
    CaaSet,
    HttpsRecord,
    HttpsSet,
    NameRecords,
    NotLookedAt,
    RecordType,
)
from probe.model.spec import DnsOptions

_HTTPS_PORT = 443

_MOST_NAMES = 8
"""Names asked for HTTPS records, one leading to the next (RFC 9460 section 2.4.2)."""

_MOST_LABELS = 16
"""Labels of a name whose CAA records are looked up: each costs a question, and target lists are
written by others."""


@dataclass(slots=True)
class _Found:
    """What is known so far; None was not asked for."""

    https: HttpsSet | NotLookedAt | None
    caa: CaaSet | NotLookedAt | None
    wildcard_caa: CaaSet | NotLookedAt | None


class RecordFinder:
    """Looks up records of names; raises nothing for faults of DNS.

    Args:
        inquiry: how a provider asks DNS.
    """

    def __init__(self, inquiry: Callable[[DnsOptions], Inquiry]) -> None:
        self._inquiry = inquiry

    async def look(
        self,
        wanted: Sequence[RecordType],
        options: DnsOptions,
        *,
        name: str,
        reached: str | None,
        port: int,
    ) -> NameRecords:
        """Look up the records of a name within one time-out of ``options``.

        Args:
            wanted: which.
            options: how to ask.
            name: the certificate is for it; CAA records are asked for it and its parent.
            reached: its addresses were asked for, and its HTTPS records are. None where the
                configuration writes the addresses: no HTTPS record leads to those.
            port: of the service (RFC 9460 section 9.1).
        """
        late = NotLookedAt(f"no answer in {options.timeout:g} s")
        asks_caa = "CAA" in wanted and canonical_ip(name) is None
        asks_https = "HTTPS" in wanted and reached is not None and canonical_ip(reached) is None
        found = _Found(*(late if asks else None for asks in (asks_https, asks_caa, asks_caa)))
        inquiry = self._inquiry(options)

        async def https() -> None:
            found.https = await _https(inquiry, reached or "", port)

        async def caa() -> None:
            found.caa = await _caa(inquiry, name)

        async def wildcard_caa() -> None:
            found.wildcard_caa = await _caa(inquiry, name.partition(".")[2])

        with trio.move_on_after(options.timeout):
            async with trio.open_nursery() as nursery:
                if asks_https:
                    nursery.start_soon(https)
                if asks_caa:
                    nursery.start_soon(caa)
                    nursery.start_soon(wildcard_caa)
        return NameRecords(found.https, found.caa, found.wildcard_caa)


async def _https(inquiry: Inquiry, name: str, port: int) -> HttpsSet | NotLookedAt:
    """Ask for HTTPS records, for each client region, and follow aliases."""
    if "." not in name:
        return NotLookedAt("a name without a dot, which search domains may complete")
    first = name if port == _HTTPS_PORT else f"_{port}._https.{name}"
    names, services = [first], dict[HttpsRecord, None]()
    for number, one in enumerate(names):  # grows
        if number == _MOST_NAMES:
            return NotLookedAt(f"{first} leads to more than {_MOST_NAMES} names")
        for heard in await inquiry.records(one, "HTTPS", everywhere=True):
            if not isinstance(heard.outcome, DnsAnswer):
                return NotLookedAt(heard.outcome.failure.detail)
            records = [rr for rr in heard.outcome.records if isinstance(rr, HttpsRecord)]
            aliases = [record.target for record in records if record.priority == 0]
            names += [alias for alias in aliases if alias and alias not in names]
            if not aliases:  # beside an alias, services count for nothing
                owner = (one, *heard.outcome.cnames)[-1]
                services |= dict.fromkeys(
                    record if record.target else replace(record, target=owner) for record in records
                )
    return HttpsSet(first, tuple(sorted(services, key=lambda record: record.priority)))


async def _caa(inquiry: Inquiry, name: str) -> CaaSet | NotLookedAt:
    """Climb from a name to the first one that has CAA records (RFC 8659 section 3).

    A name that does not exist has none. Where nobody answers, what stands above is unknown too.
    """
    labels = name.split(".") if name else []
    if len(labels) > _MOST_LABELS:
        return NotLookedAt(f"{name} has more than {_MOST_LABELS} labels")
    for at in range(len(labels)):
        one = ".".join(labels[at:])
        [heard] = await inquiry.records(one, "CAA", everywhere=False)
        found = _caa_records(heard)
        if isinstance(found, NotLookedAt):
            return found
        if found:
            return CaaSet(one, found)
    return CaaSet()


def _caa_records(heard: Heard) -> tuple[CaaRecord, ...] | NotLookedAt:
    if not isinstance(heard.outcome, DnsAnswer):
        return NotLookedAt(heard.outcome.failure.detail)
    return tuple(record for record in heard.outcome.records if isinstance(record, CaaRecord))
