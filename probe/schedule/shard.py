"""Which of several agents of one region probes a target. Pure.

Rendezvous hashing: every agent gives each target a score for each shard, and the highest score
owns it. All agents agree without talking to each other, each target has exactly one owner, and
another shard takes over only what it now owns: one target in n moves when the n-th is added.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

MOST = 1000
"""Shards of one region."""


class ShardError(ValueError):
    """A text that names no shard; the message says what to write."""


@dataclass(frozen=True, slots=True)
class Shard:
    """One of ``count`` shards.

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
            if 1 <= shard.number <= shard.count <= MOST:
                return shard
        raise ShardError(f"{text!r}: write I/N, as 1/3, 2/3 and 3/3 for three agents")

    def owns(self, name: str) -> bool:
        """Whether this shard probes the target of that name."""
        return self.count == 1 or owner(name, self.count) == self.number

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


WHOLE = Shard()
"""One agent probes everything."""


def owner(name: str, count: int) -> int:
    """The shard, from 1 to ``count``, that owns a name."""
    return max(range(1, count + 1), key=lambda number: (_score(name, number), number))


def _score(name: str, number: int) -> bytes:
    return blake2b(name.encode(), digest_size=8, salt=number.to_bytes(8, "big")).digest()
