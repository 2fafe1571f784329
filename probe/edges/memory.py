"""The addresses of a name and how long they are worth probing. Pure: time is an argument.

Answers rotate, so an address that the latest answer leaves out is still probed for a while.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address

from probe.edges.question import Family


@dataclass(frozen=True, slots=True)
class KnownEdge:
    """An address worth probing.

    Attributes:
        seen_from: client regions whose answers named it, sorted; empty without subnets.
        unnamed_since: since when no current answer names it; None while one does.
    """

    ip: str
    seen_from: tuple[str, ...]
    cnames: tuple[str, ...]
    unnamed_since: float | None = None

    @property
    def stale(self) -> bool:
        """No current answer names it."""
        return self.unnamed_since is not None


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
    lost = [s.unnamed_since for _, s in sightings if s.unnamed_since is not None]
    return KnownEdge(
        ip=ip,
        seen_from=tuple(sorted({region for region, _ in sightings if region})),
        cnames=(named or [sightings[0][1]])[0].cnames,
        unnamed_since=None if named else max(lost),
    )


def _order(ip: str) -> tuple[int, bytes]:
    address = ip_address(ip)
    return address.version, address.packed


def _worth(sighting: _Sighting) -> tuple[float, tuple[int, bytes]]:
    """Named ones first, then those unnamed most recently; the number keeps the cut stable."""
    since = sighting.unnamed_since
    return (float("-inf") if since is None else -since), sighting.order
