"""What is known of why flows fail: the investigations that ended, while what they explain fails."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from probe.model.flow_cause import FlowInvestigation
from probe.model.target import FlowKey
from probe.serve.census import Through


class FlowCauseBook:
    """Keeps investigations of flows. One that recovered, or is not looked at, has no cause.

    Args:
        still_fails: whether a flow is confirmed to fail now as it did when it was investigated;
            asked at each reading.
        on_record: told of each investigation that is kept.
    """

    def __init__(
        self,
        still_fails: Callable[[FlowKey, FlowInvestigation], bool],
        on_record: Callable[[FlowInvestigation], object] = lambda _: None,
    ) -> None:
        self._still_fails = still_fails
        self._on_record = on_record
        self._on = True
        self._found: dict[FlowKey, FlowInvestigation] = {}
        self._running: Counter[FlowKey] = Counter()

    def switch(self, *, on: bool) -> None:
        """Keep and say what is found, or forget all of it and say nothing."""
        self._on = on
        if not on:
            self._found.clear()

    @contextmanager
    def investigating(self, key: FlowKey) -> Iterator[None]:
        """Say that a flow's failure is under investigation, until the block ends in any way."""
        self._running[key] += 1
        try:
            yield
        finally:
            self._running[key] -= 1
            if not self._running[key]:
                del self._running[key]

    def record(self, found: FlowInvestigation) -> None:
        """Keep an investigation that ended, for every flow that it explains."""
        if not self._on:
            return
        for key in [key for key in self._found if self.of(key) is None]:
            del self._found[key]
        self._found.update(dict.fromkeys(found.keys or {found.subject}, found))
        self._on_record(found)

    def join(self, key: FlowKey, found: FlowInvestigation) -> None:
        """Add a flow to what an investigation of another one explains."""
        if self._on:
            self._found[key] = found

    def recovered(self, key: FlowKey) -> None:
        """Forget why a flow failed: should it fail again, that is to be found out again."""
        self._found.pop(key, None)

    def of(self, key: FlowKey) -> FlowInvestigation | None:
        """Return why a flow fails; None while it is not known, and when it fails no more."""
        found = self._found.get(key)
        return found if found is not None and self._still_fails(key, found) else None

    def under_way(self, key: FlowKey) -> bool:
        """Whether a flow's failure is under investigation now."""
        return self._on and key in self._running

    def current(self) -> Iterator[tuple[FlowInvestigation, FlowKey]]:
        """Yield each flow that fails for a known cause, with its investigation."""
        for key in list(self._found):
            found = self.of(key)
            if found is not None:
                yield found, key

    def counted(self) -> dict[Through, dict[str, int]]:
        """Count flows by provider and cause."""
        counts: dict[Through, dict[str, int]] = {}
        for found, key in self.current():
            by_cause = counts.setdefault(Through(key.check, key.provider), {})
            by_cause[found.cause.value] = by_cause.get(found.cause.value, 0) + 1
        return counts
