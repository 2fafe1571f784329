"""What is known of why edges fail: the investigations that ended, while what they explain fails."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from heapq import nlargest

from probe.model.cause import Investigation
from probe.model.failure import Failure, Phase, Reason
from probe.model.target import EdgeKey
from probe.serve.census import Through

StillFails = Callable[[EdgeKey, Failure], bool]
"""Whether an edge is confirmed to fail now, and with this failure."""

MOST = 200
"""Investigations that are kept; with more, the oldest goes."""

EdgeCounts = dict[Through, dict[str, int]]
"""How many addresses of a provider each cause explains."""

_PART = 500  # edges in one short step: about a millisecond


class CauseBook:
    """Keeps investigations, and tells which edges each explains now.

    An edge that recovered, is gone or was not seen for long has no cause, whoever is told of it or
    not: each reading asks for its state.

    Args:
        still_fails: asked about an edge at each reading.
        on_record: told of each investigation that is kept.
    """

    def __init__(
        self,
        still_fails: StillFails,
        on_record: Callable[[Investigation], object] = lambda _: None,
    ) -> None:
        self._still_fails = still_fails
        self._on_record = on_record
        self._on = True
        self._kept: dict[int, Investigation] = {}
        self._keys: dict[int, set[EdgeKey]] = {}
        self._next = 0
        self._number: dict[EdgeKey, int] = {}
        self._running: Counter[tuple[Through, Phase, Reason]] = Counter()

    def switch(self, *, on: bool) -> None:
        """Keep and say what is found, or forget all of it and say nothing."""
        self._on = on
        if not on:
            self._kept.clear()
            self._keys.clear()
            self._number.clear()

    # ------------------------------------------------------------ what happens

    @contextmanager
    def investigating(self, key: EdgeKey, failure: Failure) -> Iterator[None]:
        """Say that an edge's failure is under investigation, until the block ends in any way."""
        why = (Through(key.check, key.provider), failure.phase, failure.reason)
        self._running[why] += 1
        try:
            yield
        finally:
            self._running[why] -= 1
            if not self._running[why]:
                del self._running[why]

    def record(self, found: Investigation) -> None:
        """Keep an investigation that ended; it takes the place of earlier ones of its edges."""
        if not self._on:
            return
        self._next += 1
        self._kept[self._next] = found
        self._keys[self._next] = set()
        for key in found.keys or {found.subject}:
            self._put(key, self._next)
        if len(self._kept) > MOST:
            self._tidy()
        self._on_record(found)

    def join(self, key: EdgeKey, of: EdgeKey) -> None:
        """Add an edge to what the investigation of another one explains."""
        number = self._number.get(of)
        if number is not None:
            self._put(key, number)

    def recovered(self, key: EdgeKey) -> None:
        """Forget why an edge failed: should it fail again, that is to be found out again."""
        number = self._number.pop(key, None)
        if number is not None:
            self._keys[number].discard(key)
            if not self._keys[number]:
                self._drop(number)

    # ------------------------------------------------------------ what is known

    def of(self, key: EdgeKey) -> Investigation | None:
        """Return why an edge fails; None while it is not known, and when it fails no more."""
        number = self._number.get(key)
        if number is None or not self._still_fails(key, self._kept[number].failure):
            return None
        return self._kept[number]

    def under_way(self, through: Through, phase: Phase, reason: Reason) -> bool:
        """Whether such a failure is under investigation now."""
        return self._on and (through, phase, reason) in self._running

    def current(self) -> Iterator[tuple[Investigation, tuple[EdgeKey, ...]]]:
        """Yield each investigation that explains something now, with the edges it explains."""
        for number, found in list(self._kept.items()):
            keys = sorted(self._explained(number, self._keys.get(number, ())))
            if keys:
                yield found, tuple(keys)

    def explaining(
        self, through: Through, fits: Callable[[EdgeKey], bool], most: int
    ) -> list[Investigation]:
        """Return those that explain an edge of a provider that fits, of most edges first."""
        found = (
            one
            for number, one in self._kept.items()
            if (one.subject.check, one.subject.provider) == through
            and any(fits(key) for key in self._explained(number, self._keys[number]))
        )
        return nlargest(most, found, key=lambda one: (len(one.keys), one.ended))

    def counted(self) -> Generator[None, None, EdgeCounts]:
        """Count addresses by provider and cause, in short steps."""
        addresses: dict[tuple[Through, str], set[str]] = {}
        for number, found in list(self._kept.items()):
            place = Through(found.subject.check, found.subject.provider), found.cause.value
            keys = list(self._keys.get(number, ()))
            for start in range(0, len(keys), _PART):
                part = self._explained(number, keys[start : start + _PART])
                explained = {key.edge for key in part}
                if explained:
                    addresses.setdefault(place, set()).update(explained)
                yield
        counts: EdgeCounts = {}
        for (through, cause), edges in addresses.items():
            counts.setdefault(through, {})[cause] = len(edges)
        return counts

    # ------------------------------------------------------------ inside

    def _explained(self, number: int, keys: Iterable[EdgeKey]) -> Iterator[EdgeKey]:
        """Yield the edges that an investigation explains now."""
        found = self._kept.get(number)
        for key in keys:
            if found is None or self._number.get(key) != number:
                continue
            if self._still_fails(key, found.failure):
                yield key

    def _put(self, key: EdgeKey, number: int) -> None:
        if self._number.get(key) != number:
            self.recovered(key)
        self._number[key] = number
        self._keys[number].add(key)

    def _drop(self, number: int) -> None:
        for key in self._keys.pop(number):
            del self._number[key]
        del self._kept[number]

    def _tidy(self) -> None:
        """Forget what explains nothing any more, and the oldest of too many."""
        for number in list(self._kept):
            if next(self._explained(number, self._keys[number]), None) is None:
                self._drop(number)
        for number in list(self._kept)[: max(0, len(self._kept) - MOST)]:
            self._drop(number)
