"""What was learned from DNS and for how long it holds. Pure: time is an argument, in seconds.

Two memories. ``AnswerCache`` keeps answers for their TTL and knows for which client subnets an
answer holds (RFC 7871 section 7.3). ``EdgeMemory`` keeps the addresses themselves: answers rotate,
so an address that the latest answer leaves out is still probed for a while.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address

from probe.edges.question import Answer, Family, Outcome, Question, Subnet

NEGATIVE_CAP = 30.0
"""Seconds a negative answer is kept at most, so that a repaired name is seen soon."""


def lifetime(outcome: Outcome, floor: float, cap: float) -> float:
    """Seconds until asking again is worthwhile.

    Addresses hold for their TTL, a negative answer for its SOA minimum (RFC 2308) but not
    longer than ``NEGATIVE_CAP``; when nobody answered it is the floor. The floor always wins.
    """
    if not isinstance(outcome, Answer):
        return floor
    if not outcome.addresses:
        cap = min(cap, NEGATIVE_CAP)
    return max(min(outcome.ttl, cap), floor)


def valid_for(question: Question, outcome: Outcome) -> Subnet | None:
    """The widest client network for which the outcome holds; None means every client.

    A scope shorter than what was asked widens it; a longer one does not narrow it, since the
    question named no longer prefix. Without the option, the server did not look at the
    subnet at all, so its answer is the same for every client (RFC 7871 section 7.3).
    """
    subnet = question.subnet
    if subnet is None or not isinstance(outcome, Answer):
        return subnet
    if outcome.scope is None:
        return None
    return subnet.shortened(min(outcome.scope, subnet.length))


@dataclass(frozen=True, slots=True)
class Remembered:
    """An outcome with the time it came; ``network`` is what ``valid_for`` gave."""

    outcome: Outcome
    at: float
    network: Subnet | None


class AnswerCache:
    """Outcomes per name and family, each with the client network it holds for."""

    def __init__(self) -> None:
        self._by_name: dict[tuple[str, Family, bool], list[Remembered]] = {}

    def store(self, question: Question, outcome: Outcome, now: float) -> Remembered:
        """Remember an outcome; it replaces older ones for the same or a smaller network."""
        new = Remembered(outcome, now, valid_for(question, outcome))
        key = _key(question)
        kept = [old for old in self._by_name.get(key, ()) if not _within(old.network, new.network)]
        self._by_name[key] = [*kept, new]
        return new

    def find(
        self, question: Question, now: float, floor: float, cap: float
    ) -> tuple[Outcome, float] | None:
        """A fresh outcome that holds for the question, with the seconds it has left."""
        for old in self._by_name.get(_key(question), ()):
            left = old.at + lifetime(old.outcome, floor, cap) - now
            if left > 0 and _within(question.subnet, old.network):
                return old.outcome, left
        return None

    def forget_before(self, at: float) -> None:
        """Drop outcomes that came before ``at``."""
        for key, known in list(self._by_name.items()):
            kept = [one for one in known if one.at >= at]
            if kept:
                self._by_name[key] = kept
            else:
                del self._by_name[key]

    def __len__(self) -> int:
        return sum(len(known) for known in self._by_name.values())


def _key(question: Question) -> tuple[str, Family, bool]:
    """What is asked for ourselves and what is asked for others never answer each other."""
    return question.name, question.family, question.subnet is None


def _within(inner: Subnet | None, outer: Subnet | None) -> bool:
    """Whether what holds for ``outer`` holds for ``inner``; None is every client."""
    return outer is None or (inner is not None and outer.covers(inner))


@dataclass(frozen=True, slots=True)
class KnownEdge:
    """An address worth probing.

    Attributes:
        seen_from: client regions whose answers named it, sorted; empty without subnets.
        stale: no current answer names it any more.
    """

    ip: str
    seen_from: tuple[str, ...]
    cnames: tuple[str, ...]
    stale: bool


@dataclass(slots=True)
class _Sighting:
    order: tuple[int, bytes]
    cnames: tuple[str, ...]
    unnamed_since: float | None = None


Source = tuple[str, Family]
"""Who named an address: client region (empty for ourselves) and address family."""


class EdgeMemory:
    """The addresses of one name, those included that DNS named until recently."""

    def __init__(self, keep: float, limit: int) -> None:
        """Empty.

        Args:
            keep: seconds that an address is kept after DNS ceased to name it.
            limit: most addresses kept per source; those unnamed for longest go first.
        """
        self._keep = keep
        self._limit = limit
        self._sightings: dict[Source, dict[str, _Sighting]] = {}

    def answered(
        self, source: Source, addresses: Iterable[str], cnames: tuple[str, ...], now: float
    ) -> int:
        """DNS answered this source with these addresses, perhaps none.

        Not to be called when nobody answered: silence says nothing about the edges.

        Returns:
            how many addresses the limit left out.
        """
        known = self._sightings.setdefault(source, {})
        named = {ip: _Sighting(_order(ip), cnames) for ip in addresses}
        for ip, sighting in known.items():
            if ip not in named and sighting.unnamed_since is None:
                sighting.unnamed_since = now
        known.update(named)
        self._drop_old(known, now)
        excess = sorted(known, key=lambda ip: _worth(known[ip]))[self._limit :]
        for ip in excess:
            del known[ip]
        return len(excess)

    def edges(self, now: float) -> tuple[KnownEdge, ...]:
        """Every address worth probing, IPv4 first, then by number."""
        found: dict[str, list[tuple[str, _Sighting]]] = {}
        for (region, _), known in self._sightings.items():
            self._drop_old(known, now)
            for ip, sighting in known.items():
                found.setdefault(ip, []).append((region, sighting))
        ordered = sorted(found.items(), key=lambda item: item[1][0][1].order)
        return tuple(_merge(ip, sightings) for ip, sightings in ordered)

    def _drop_old(self, known: dict[str, _Sighting], now: float) -> None:
        gone = [
            ip
            for ip, sighting in known.items()
            if sighting.unnamed_since is not None and now - sighting.unnamed_since >= self._keep
        ]
        for ip in gone:
            del known[ip]


def _merge(ip: str, sightings: list[tuple[str, _Sighting]]) -> KnownEdge:
    named = [sighting for _, sighting in sightings if sighting.unnamed_since is None]
    return KnownEdge(
        ip=ip,
        seen_from=tuple(sorted({region for region, _ in sightings if region})),
        cnames=(named or [sightings[0][1]])[0].cnames,
        stale=not named,
    )


def _order(ip: str) -> tuple[int, bytes]:
    address = ip_address(ip)
    return address.version, address.packed


def _worth(sighting: _Sighting) -> tuple[float, tuple[int, bytes]]:
    """Named ones first, then those unnamed most recently; the number keeps the cut stable."""
    since = sighting.unnamed_since
    return (float("-inf") if since is None else -since), sighting.order
