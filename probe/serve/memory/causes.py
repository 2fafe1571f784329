"""What is known of why edges fail: the investigations that ended, while what they explain fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from probe.model.cause import Investigation
from probe.model.failure import Failure
from probe.model.target import EdgeKey

StillFails = Callable[[EdgeKey, Failure], bool]
"""Whether an edge is confirmed to fail now, and with this failure."""

MOST = 200
"""Investigations that are kept; with more, the oldest goes."""


class CauseBook:
    """Keeps investigations, and tells which edges each explains now.

    An edge that recovered, is gone or was not seen for long has no cause, whoever is told of it or
    not: each reading asks for its state.

    Args:
        still_fails: asked about an edge at each reading.
    """

    def __init__(self, still_fails: StillFails) -> None:
        self._still_fails = still_fails
        self._by_key: dict[EdgeKey, Investigation] = {}
        self._kept: dict[int, Investigation] = {}
        self._next = 0
        self._number: dict[EdgeKey, int] = {}

    def record(self, found: Investigation) -> None:
        """Keep an investigation that ended; it takes the place of earlier ones of its edges."""
        self._next += 1
        self._kept[self._next] = found
        for key in found.keys:
            self._number[key] = self._next
        if len(self._kept) > MOST:
            self._tidy()

    def join(self, key: EdgeKey, of: EdgeKey) -> None:
        """Add an edge to what the investigation of another one explains."""
        number = self._number.get(of)
        if number is None:
            return
        found = self._kept[number]
        self._kept[number] = replace(found, keys=found.keys | {key})
        self._number[key] = number

    def of(self, key: EdgeKey) -> Investigation | None:
        """Return why an edge fails; None while it is not known, and when it fails no more."""
        number = self._number.get(key)
        if number is None or not self._holds(key, self._kept[number]):
            return None
        return self._kept[number]

    def current(self) -> Iterator[tuple[Investigation, tuple[EdgeKey, ...]]]:
        """Yield each investigation that explains something now, with the edges it explains."""
        for number, found in self._kept.items():
            keys = sorted(
                key
                for key in found.keys
                if self._number.get(key) == number and self._holds(key, found)
            )
            if keys:
                yield found, tuple(keys)

    def _holds(self, key: EdgeKey, found: Investigation) -> bool:
        return self._still_fails(key, found.failure)

    def _tidy(self) -> None:
        """Forget what explains nothing any more, and the oldest of too many."""
        holding = {id(found) for found, _ in self.current()}
        gone = [number for number, found in self._kept.items() if id(found) not in holding]
        kept = [number for number in self._kept if number not in gone]
        for number in gone + kept[: max(0, len(kept) - MOST)]:
            del self._kept[number]
        self._number = {key: one for key, one in self._number.items() if one in self._kept}
