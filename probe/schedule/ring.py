"""Which of several agents of one region probe a target: consistent hashing. Pure.

Each peer has points on a ring, which are hashes of its name. A target has one point, and belongs
to the peers that follow it on the ring, as many as there are replicas. All agents compute the
same ring without talking to each other. A peer that comes takes over only what it now owns, and
what a peer had that goes falls to those that follow it. Nothing else moves.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from hashlib import blake2b

POINTS = 152
"""Points of each peer. With so many, chance gives two peers in three within 8 % of the average."""

_POINTS_OF_A_HASH = 8

_AT_ONCE = 32  # peers: two milliseconds

MOST_SHARDS = 1000


class Ring:
    """The peers of a region, and who owns what.

    Args:
        peers: their names. A name has the same points on every ring.
    """

    def __init__(self, peers: Iterable[str] = ()) -> None:
        self.peers: frozenset[str] = frozenset()
        self._points: list[int] = []
        self._owners: dict[int, str] = {}
        for _ in self.filled(peers):
            pass

    def filled(self, peers: Iterable[str]) -> Iterator[None]:
        """Fill an empty ring with many peers, in short steps."""
        self.peers = frozenset(peers)
        # Of two peers with one point in 2^64, the later by name has it, on every agent.
        names = sorted(self.peers)
        parts: list[list[int]] = []
        for start in range(0, len(names), _AT_ONCE):
            some: list[int] = []
            for peer in names[start : start + _AT_ONCE]:
                points = _points(peer)
                some += points
                self._owners |= dict.fromkeys(points, peer)
            parts.append(sorted(some))
            yield
        while len(parts) > 1:  # two sorted ones are far less work than their single points
            first, second, *parts = parts
            parts.append(sorted(first + second))
            yield
        self._points = parts[0] if parts else []

    def owners(self, name: str, count: int) -> tuple[str, ...]:
        """Return the first ``count`` peers after a name on the ring; all, if there are fewer."""
        count = min(count, len(self.peers))
        size, found = len(self._points), dict[str, None]()
        place = bisect(self._points, _point(name))
        while len(found) < count:
            found[self._owners[self._points[place % size]]] = None
            place += 1
        return tuple(found)


@lru_cache(maxsize=2048)
def _points(peer: str) -> array[int]:
    """Return the points of a peer. Kept, because most peers are those of the ring before."""
    points = array("Q")
    for number in range(POINTS // _POINTS_OF_A_HASH):
        points.frombytes(blake2b(peer.encode(), salt=number.to_bytes(8, "big")).digest())
    if sys.byteorder == "big":
        points.byteswap()
    return points


def _point(name: str) -> int:
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest())


class ShardError(ValueError):
    """A text that names no shard; the message says what to write."""


@dataclass(frozen=True)
class Shard:
    """One of ``count`` agents that divide the targets; the peers of its ring are numbers.

    Attributes:
        number: from 1 to ``count``.
    """

    number: int = 1
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Understand ``2/3``: the second of three.

        Raises:
            ShardError: anything else.
        """
        number, slash, count = text.partition("/")
        if slash and all(part.isascii() and part.isdecimal() for part in (number, count)):
            shard = cls(int(number[:9]), int(count[:9]))
            if 1 <= shard.number <= shard.count <= MOST_SHARDS:
                return shard
        raise ShardError(f"{text!r}: write I/N, as 1/3, 2/3 and 3/3 for three agents")

    def owns(self, name: str) -> bool:
        """Whether this shard probes the target of that name."""
        # All 20,000 of a list are asked about in one turn of the loop, and few agents share.
        return self.count == 1 or self._ring.owners(name, 1) == (str(self.number),)

    @cached_property
    def _ring(self) -> Ring:
        return Ring(map(str, range(1, self.count + 1)))

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


WHOLE = Shard()
"""One agent probes everything."""
