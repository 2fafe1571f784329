"""What regular runs showed lately, kept only for checks with a flow under suspicion. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

from probe.model.flow import ApiCheck, Persona
from probe.model.result import FlowResult
from probe.model.target import FlowKey
from probe.state.causes.calls import SeenCall, calls_of

WATCH = 300.0
"""Seconds for which the runs of a check are remembered: flows run less often than handshakes."""

KEPT = 256
"""Calls that are remembered of one flow."""

MOST = 2000
"""Flows whose calls are remembered."""


class RecentCalls:
    """Remembers calls of checks with a flow under suspicion."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}
        self._seen: dict[FlowKey, deque[tuple[float, float, SeenCall]]] = {}

    def watch(self, check: str, now: float) -> None:
        """Remember the runs of a check from now on, in monotonic seconds, for a while."""
        self._until[check] = now + WATCH

    def saw(self, run: FlowResult, check: ApiCheck, persona: Persona | None) -> None:
        """Take in a run."""
        if run.key.check not in self._until:
            return
        seen = self._seen.get(run.key)
        if seen is None:
            if len(self._seen) >= MOST:
                return
            seen = self._seen[run.key] = deque(maxlen=KEPT)
        ended = run.at + run.seconds
        seen.extend((run.at, ended, one) for one in calls_of(run, check, persona))

    def since(self, keys: Iterable[FlowKey], at: float, broken: float) -> Iterator[SeenCall]:
        """Yield the calls of some flows in runs that began at a wall time or later.

        Args:
            keys: of the flows.
            at: when the first failed run began.
            broken: when it ended. What passed in a run that began before may have passed before
                the fault was there.
        """
        for key in keys:
            for began, _, one in self._seen.get(key, ()):
                if began >= broken or (began >= at and one.mark.bad):
                    yield one

    def broken(self, key: FlowKey, at: float) -> float:
        """Return when the first failed run of a flow ended, of those since a wall time."""
        seen = self._seen.get(key, ())
        ends = (end for began, end, one in seen if began >= at and one.mark.bad)
        return min(ends, default=at)

    def tidy(self, now: float) -> None:
        """Forget checks that are suspected no more."""
        self._until = {name: until for name, until in self._until.items() if until > now}
        self._seen = {key: seen for key, seen in self._seen.items() if key.check in self._until}
