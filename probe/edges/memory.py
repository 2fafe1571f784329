"""What is known of names: answers of DNS and addresses. Pure: time is an argument, in seconds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import NamedTuple

from probe.edges.answers import DnsAnswer, DnsOutcome, DnsQuestion
from probe.edges.message import IpVersion, Subnet
from probe.model.records import RecordType
from probe.model.spec import DnsOptions
from probe.model.target import Edge

NEGATIVE_CAP = 30.0
"""Seconds a negative answer is kept at most, so that a repaired name is seen soon."""


def lifetime(outcome: DnsOutcome, options: DnsOptions, *, other_family: bool = False) -> float:
    """Compute the seconds until asking again is worthwhile. The one place that decides it.

    Addresses hold for their TTL, a negative answer for its SOA minimum (RFC 2308) but not
    longer than ``NEGATIVE_CAP``; when nobody answered it is the floor. The floor always wins.

    Args:
        outcome: what came.
        options: the floor and the cap.
        other_family: the name has addresses of the other family. It works, so there is no
            repair to be seen soon, and the lack of AAAA alone is not asked for so often.
    """
    if not isinstance(outcome, DnsAnswer):
        return options.ttl_floor
    cap = options.ttl_cap
    if not outcome.addresses and not other_family:
        cap = min(cap, NEGATIVE_CAP)
    return max(min(outcome.ttl, cap), options.ttl_floor)


def valid_for(question: DnsQuestion, outcome: DnsOutcome) -> Subnet | None:
    """Find the widest client network for which the outcome holds; None means every client.

    A scope shorter than what was asked widens it; a longer one does not narrow it, since the
    question named no longer prefix. Without the option, the server did not look at the
    subnet at all, so its answer is the same for every client (RFC 7871 section 7.3).
    """
    subnet = question.subnet
    if subnet is None or not isinstance(outcome, DnsAnswer):
        return subnet
    if outcome.scope is None:
        return None
    if outcome.scope >= subnet.prefixlen:
        return subnet
    return subnet.supernet(new_prefix=outcome.scope)


_Key = tuple[str, IpVersion, bool, RecordType | None]


class _Kept(NamedTuple):
    outcome: DnsOutcome
    at: float
    network: Subnet | None  # clients for which it holds; None is every client


class AnswerCache:
    """Outcomes per name and family, each with the client network it holds for."""

    def __init__(self) -> None:
        self._by_name: dict[_Key, list[_Kept]] = {}

    def store(self, question: DnsQuestion, outcome: DnsOutcome, now: float) -> None:
        """Remember an outcome; it replaces older ones for the same or a smaller network."""
        new = _Kept(outcome, now, valid_for(question, outcome))
        key = _key(question)
        kept = [old for old in self._by_name.get(key, ()) if not _within(old.network, new.network)]
        self._by_name[key] = [*kept, new]

    def find(
        self, question: DnsQuestion, now: float, options: DnsOptions
    ) -> tuple[DnsOutcome, float] | None:
        """Find a fresh outcome that holds for the question, with the seconds it has left."""
        for old in self._by_name.get(_key(question), ()):
            if not _within(question.subnet, old.network):
                continue
            other = self._other_family_works(question)
            left = old.at + lifetime(old.outcome, options, other_family=other) - now
            if left > 0:
                return old.outcome, left
        return None

    def latest(self, question: DnsQuestion) -> DnsOutcome | None:
        """Find the latest outcome that covers the question, fresh or not."""
        known = reversed(self._by_name.get(_key(question), []))
        return next((one.outcome for one in known if _within(question.subnet, one.network)), None)

    def _other_family_works(self, question: DnsQuestion) -> bool:
        if question.record is not None:
            return True  # to have none is normal, and none of it needs a repair to be seen soon
        name, family, own, _ = _key(question)
        return any(
            isinstance(known.outcome, DnsAnswer) and known.outcome.addresses
            for known in self._by_name.get((name, 6 if family == 4 else 4, own, None), ())
        )

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


def _key(question: DnsQuestion) -> _Key:
    """Questions with a client subnet and questions without one never share an entry."""
    return question.name, question.family, question.subnet is None, question.record


def _within(inner: Subnet | None, outer: Subnet | None) -> bool:
    """Whether what holds for ``outer`` holds for ``inner``; None is every client."""
    if inner is None or outer is None:
        return outer is None
    if inner.version != outer.version or inner.prefixlen < outer.prefixlen:
        return False
    shift = outer.max_prefixlen - outer.prefixlen  # several times as fast as ``subnet_of``
    return int(inner.network_address) >> shift == int(outer.network_address) >> shift


@dataclass(slots=True)
class _Sighting:
    order: tuple[int, bytes]
    cnames: tuple[str, ...]
    unnamed_since: float | None = None


class EdgeMemory:
    """The addresses of one name and how long each is worth probing.

    Answers rotate, so an address that the latest answer leaves out is still probed for a while.
    A source is who named an address: client region, empty for ourselves, and IP version.

    Attributes:
        used_at: when somebody last asked for the name; kept here for whoever forgets old ones.
    """

    def __init__(self, keep: float, limit: int) -> None:
        """Empty.

        Args:
            keep: seconds that an address is kept after DNS ceased to name it.
            limit: most addresses kept per source; those unnamed for longest go first.
        """
        self._keep = keep
        self._limit = limit
        self.used_at = float("-inf")
        self._sightings: dict[tuple[str, IpVersion], dict[str, _Sighting]] = {}

    def answered(
        self,
        source: tuple[str, IpVersion],
        addresses: Iterable[str],
        cnames: tuple[str, ...],
        now: float,
    ) -> int:
        """Take in the addresses, perhaps none, with which DNS answered this source.

        Not to be called when nobody answered: silence says nothing about the edges.

        Returns:
            how many addresses the limit left out.
        """
        known = self._sightings.setdefault(source, {})
        named = {
            ip: _Sighting(known[ip].order if ip in known else _order(ip), cnames)
            for ip in addresses
        }
        for ip, sighting in known.items():
            if ip not in named and sighting.unnamed_since is None:
                sighting.unnamed_since = now
        known.update(named)
        self._drop_old(known, now)
        excess = sorted(known, key=lambda ip: _worth(known[ip]))[self._limit :]
        for ip in excess:
            del known[ip]
        return len(excess)

    def edges(self, port: int, now: float) -> tuple[Edge, ...]:
        """List every address worth probing as an edge at this port, IPv4 first, then by number."""
        found: dict[str, list[tuple[str, _Sighting]]] = {}
        for (region, _), known in self._sightings.items():
            self._drop_old(known, now)
            for ip, sighting in known.items():
                found.setdefault(ip, []).append((region, sighting))
        ordered = sorted(found.items(), key=lambda item: item[1][0][1].order)
        return tuple(_edge(ip, port, sightings, now) for ip, sightings in ordered)

    def _drop_old(self, known: dict[str, _Sighting], now: float) -> None:
        gone = [
            ip
            for ip, sighting in known.items()
            if sighting.unnamed_since is not None and now - sighting.unnamed_since >= self._keep
        ]
        for ip in gone:
            del known[ip]


def _edge(ip: str, port: int, sightings: list[tuple[str, _Sighting]], now: float) -> Edge:
    named = [sighting for _, sighting in sightings if sighting.unnamed_since is None]
    lost = [s.unnamed_since for _, s in sightings if s.unnamed_since is not None]
    return Edge(
        ip,
        port,
        seen_from=tuple(sorted({region for region, _ in sightings if region})),
        cnames=(named or [sightings[0][1]])[0].cnames,
        unnamed=None if named else now - max(lost),
    )


def _order(ip: str) -> tuple[int, bytes]:
    address = ip_address(ip)
    return address.version, address.packed


def _worth(sighting: _Sighting) -> tuple[float, tuple[int, bytes]]:
    """Named ones first, then those unnamed most recently; the number keeps the cut stable."""
    since = sighting.unnamed_since
    return (float("-inf") if since is None else -since), sighting.order
