"""What regular attempts showed lately, kept only around what is suspected. Pure.

An experiment that was made anyway need not be made again. While an edge is under suspicion, the
attempts on its neighbours are remembered: other domains on its address, other edges, providers and
clients of its domain. When nothing is suspected, nothing is kept.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from probe.model.result import Outcome
from probe.model.target import EdgeKey

WATCH = 120.0
"""Seconds for which the neighbours of a suspected edge are remembered."""

MOST_WATCHED = 200
"""Suspected edges whose neighbours are remembered: when more fail, these show it as well."""

KEPT = 48
"""Attempts that are remembered of one edge."""


class Recent:
    """Remembers attempts around suspected edges."""

    def __init__(self) -> None:
        self._targets: dict[tuple[str, str], float] = {}
        self._edges: dict[tuple[str, str, str], float] = {}
        self._seen: dict[EdgeKey, deque[tuple[float, Outcome]]] = {}

    def watch(self, key: EdgeKey, now: float) -> None:
        """Remember what happens around an edge from now on, in monotonic seconds, for a while."""
        target, edge = (key.check, key.target), (key.check, key.provider, key.edge)
        if len(self._targets) >= MOST_WATCHED or len(self._edges) >= MOST_WATCHED:
            self.tidy(now)
            if len(self._targets) >= MOST_WATCHED or len(self._edges) >= MOST_WATCHED:
                return
        self._targets[target] = self._edges[edge] = now + WATCH

    def saw(self, key: EdgeKey, at: float, outcome: Outcome) -> None:
        """Take in an attempt that began at a wall time."""
        if not self._targets:
            return
        near = (key.check, key.target) in self._targets
        if near or (key.check, key.provider, key.edge) in self._edges:
            seen = self._seen.get(key)
            if seen is None:
                seen = self._seen[key] = deque(maxlen=KEPT)
            seen.append((at, outcome))

    def since(self, key: EdgeKey, at: float) -> Iterator[Outcome]:
        """Yield the outcomes of an edge's attempts that began at a wall time or later."""
        return (outcome for began, outcome in self._seen.get(key, ()) if began >= at)

    def tidy(self, now: float) -> None:
        """Forget what is suspected no more."""
        self._targets = {one: until for one, until in self._targets.items() if until > now}
        self._edges = {one: until for one, until in self._edges.items() if until > now}
        self._seen = {
            key: seen
            for key, seen in self._seen.items()
            if (key.check, key.target) in self._targets
            or (key.check, key.provider, key.edge) in self._edges
        }
