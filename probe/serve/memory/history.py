"""Changes of state by target: a noisy target displaces its own, and never another's. Pure.

What began to fail is kept longer than what recovered.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import replace

from probe.model.state import EdgeStatus, Transition
from probe.serve.records import TargetKey

OF_ONE = 30
"""Most changes kept of one target."""

OF_ALL = 20_000
"""Most changes kept of all: about 5 MiB. With more, those that have most lose some first."""

_SPARE = 0.9  # of the most that is kept, after some were dropped: so that it is rarely done
_QUIET = frozenset({"", EdgeStatus.PASSING.value})


class TargetHistory:
    """Keeps the recent changes of each target.

    Args:
        of_one: most of one target.
        of_all: most of all targets.
    """

    def __init__(self, of_one: int = OF_ONE, of_all: int = OF_ALL) -> None:
        self._of_one, self._of_all = of_one, of_all
        self._kept: dict[TargetKey, deque[Transition]] = {}
        self._count = 0

    def add(self, change: Transition) -> None:
        """Keep one change, without its command: the edge has the latest."""
        key = TargetKey(change.key.check, change.key.target)
        self._kept.setdefault(key, deque()).appendleft(replace(change, command=""))
        self._count += 1
        self._shorten(key, self._of_one)
        if self._count > self._of_all:
            self._tidy()

    def of(self, keys: Iterable[TargetKey]) -> list[Transition]:
        """What is kept of these targets, the newest first."""
        changes = [change for key in keys for change in self._kept.get(key, ())]
        return sorted(changes, key=lambda change: -change.at)

    def forget(self, key: TargetKey) -> None:
        """Forget a target that is not probed any more."""
        self._count -= len(self._kept.pop(key, ()))

    def _tidy(self) -> None:
        """Shorten the longest; when each has one change alone, drop those that began first."""
        enough, most = int(self._of_all * _SPARE), self._of_one
        while self._count > enough and most > 1:
            most = (most + 1) // 2
            for key in list(self._kept):
                self._shorten(key, most)
        for key in list(self._kept)[: max(0, self._count - enough)]:
            self.forget(key)

    def _shorten(self, key: TargetKey, most: int) -> None:
        """Drop the oldest recoveries, then the oldest failures."""
        kept = self._kept[key]
        while len(kept) > most:
            places = range(len(kept) - 1, 0, -1)  # the newest stays
            del kept[next((at for at in places if kept[at].after in _QUIET), len(kept) - 1)]
            self._count -= 1
