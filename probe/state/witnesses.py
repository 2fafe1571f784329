"""Is our own network cut, by what the configuration itself reaches? Pure.

A provider that is probed cannot tell alone whether it is down or we are: a provider's outage seen
from one region is what the agent is for. So nothing but the fall of everything at once counts:

=============================================================== =================================
seen                                                            said
=============================================================== =================================
something answers, anywhere                                     the network works
nothing answers, two or more that are independent fell together the network is cut
every address fails with "no route" from this host itself       the network is cut
nothing answers, and only one is left to ask                    cannot tell: the target is blamed
=============================================================== =================================

A witness is a provider, a host that flows call, or this host's resolvers; names that share a
network (/24, /48: the least that the Internet routes by itself) are one. A refused connection is
an answer. What has been down for longer than the last to fall says nothing: a provider that is
not set up yet must not turn the outage of the other one into ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import ip_address, ip_network

from probe.model.failure import Failure, Reason

TOGETHER = 60.0
"""Seconds between the first and the last to fall that still count as at once."""

_NOBODY = "nothing was reached yet that it could be told by"
_SILENT = frozenset({Reason.TIMEOUT, Reason.UNREACHABLE, Reason.NO_ROUTE})

Sightings = Mapping[str, Mapping[str, Failure | None]]
"""By witness and address: what failed, None for an answer."""


def silent(failure: Failure | None) -> bool:
    """Whether nothing answered: a refusal, a reset and an error are answers."""
    return failure is not None and failure.reason in _SILENT


class Witnesses:
    """What the latest look at all of them gave, and since when each is down."""

    def __init__(self) -> None:
        self._groups: list[set[str]] = []
        self._fell: dict[str, float] = {}
        self._failures: list[Failure] = []
        self._at: float | None = None

    def look(self, seen: Sightings, now: float) -> None:
        """Take in one look at everything; what is not in it is no witness any more."""
        seen = {name: found for name, found in seen.items() if found}
        self._groups = grouped(seen)
        self._failures = [one for found in seen.values() for one in found.values() if one]
        down = {name for name, found in seen.items() if all(map(silent, found.values()))}
        self._fell = {name: self._fell.get(name, now) for name in down}
        self._at = now

    def judge(self, now: float, fresh: float) -> tuple[str, str]:
        """Say why the network is bad, and why that cannot be told; empty otherwise."""
        if self._at is None:
            return "", ""
        alone = ""
        if len(self._groups) < 2:
            names = ", ".join(sorted(name for group in self._groups for name in group))
            alone = f"nothing independent to compare with, only {names}" if names else _NOBODY
        if self._at < now - fresh or not self._groups:
            return "", alone
        if any(group - self._fell.keys() for group in self._groups):
            return "", alone
        why = f"nothing answers at once: {self._failures[0]}"
        if all(one.reason is Reason.NO_ROUTE for one in self._failures):
            return why, ""
        fell = [max(self._fell[name] for name in group) for group in self._groups]
        together = sum(max(fell) - one <= TOGETHER for one in fell)
        if together > 1:
            return f"{together} of {together} that are independent fell together; {why}", ""
        return "", alone or "all but one have been down before"


def grouped(seen: Sightings) -> list[set[str]]:
    """Put the names together that share a network, directly or through others."""
    groups: list[tuple[set[str], set[str]]] = []
    for name, found in seen.items():
        names, networks = {name}, {network_of(ip) for ip in found}
        apart = []
        for other in groups:
            if other[1] & networks:
                names |= other[0]
                networks |= other[1]
            else:
                apart.append(other)
        groups = [*apart, (names, networks)]
    return [names for names, _ in groups]


def network_of(ip: str) -> str:
    """Return the network of an address, without its zone: /24 for IPv4, /48 for IPv6."""
    bare = ip.partition("%")[0]
    return str(ip_network((bare, 24 if ip_address(bare).version == 4 else 48), strict=False))


def spread(addresses: Iterable[str], most: int) -> list[str]:
    """Choose a few addresses, of as many networks as there are."""
    by_network: dict[str, list[str]] = {}
    for ip in addresses:
        by_network.setdefault(network_of(ip), []).append(ip)
    chosen: list[str] = []
    for place in range(most):
        chosen += [ips[place] for ips in by_network.values() if place < len(ips)]
    return chosen[:most]
