"""Who makes room where too many are: by the address that they come from. Pure.

Many connections of one address are a crowd, whatever each of them does, and one that stands alone
is probably a scraper. So the crowd makes room first, and is served last. Clients behind one address
(NAT) are one crowd: among them it is the newest and the oldest that count, as in each user here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from ipaddress import ip_network
from typing import TypeVar

T = TypeVar("T")

PACE = 0.002
"""Seconds from one step of a TLS handshake to the next, and from the first of one to that of
another."""

CROWD = 8
"""Connections of one address that are a crowd: a browser has six, a scraper one."""

SPAN = 10.0
"""Seconds after which it is forgotten, sooner or later within twice this time, who was served."""


def network(client: str) -> str:
    """Give an address, or the /64 that it is in: one host has as many of IPv6 as it likes."""
    client = client.removeprefix("::ffff:")  # IPv4 at a port of both families (RFC 4291, 2.5.5.2)
    return str(ip_network((client, 64), strict=False)) if ":" in client else client


def in_the_way(held: Sequence[T], whose: Callable[[T], str]) -> T:
    """Find who makes room: the first of the largest crowd, or the first of all without one.

    Args:
        held: at least one; who has waited longest, or should go first, stands first.
        whose: the `network` that it comes from.
    """
    largest, count = Counter(map(whose, held)).most_common(1)[0]
    if count < CROWD:
        return held[0]
    return next(one for one in held if whose(one) == largest)


class Shares:
    """How often each client was served lately, in one or two spans of time.

    Args:
        span: seconds.
        free: times that count for nothing: what an honest client needs.
    """

    def __init__(self, span: float, free: int) -> None:
        self._span, self._free = span, free
        self._ends = 0.0
        self._now: Counter[str] = Counter()
        self._before: Counter[str] = Counter()

    def serve(self, client: str, now: float) -> None:
        """Note that a client is served."""
        if now >= self._ends:
            late = now >= self._ends + self._span
            self._before = Counter() if late else self._now
            self._now, self._ends = Counter(), now + self._span
        self._now[client] += 1

    def above(self, client: str) -> int:
        """How often a client was served beyond what is free."""
        return max(0, self._now[client] + self._before[client] - self._free)
