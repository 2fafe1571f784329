"""Whether edges that fail now and then have stopped failing, all of a provider together. Pure.

One edge that fails one time in four passes 40 times in a row once in 100,000; to see each of 500
do that takes more attempts than a minute's budget has. But they seldom fail each for a reason of
its own: when none of them fails any more, each needs to show little by itself.
"""

from __future__ import annotations

from probe.model.state import EdgeStatus
from probe.model.target import EdgeKey
from probe.state.evidence import SURE, evidence
from probe.state.history import History


class Lull:
    """Flapping edges that pass at present, and what their passes say together.

    Attributes:
        passing: the edges; each waits for the end of its fault.
    """

    def __init__(self) -> None:
        self.passing: set[EdgeKey] = set()
        self._evidence: dict[str, float] = {}

    def follow(self, key: EdgeKey, before: History, after: History) -> None:
        """Take note of an attempt on an edge that is or was flapping."""
        if after.failures:
            self._evidence.pop(key.provider, None)
            self.forget(key)
        elif after.status is EdgeStatus.FLAPPING:
            more = evidence(after) - evidence(before)
            self._evidence[key.provider] = self._evidence.get(key.provider, 0.0) + more
            self.passing.add(key)
        else:
            self.forget(key)

    def forget(self, key: EdgeKey) -> None:
        """An edge that is not flapping or not passing, or is gone."""
        self.passing.discard(key)
        if not self.passing:
            self._evidence.clear()

    def at(self, provider: str) -> bool:
        """Whether the passes since a flapping edge of this provider last failed are evidence."""
        return self._evidence.get(provider, 0.0) >= SURE

    def anywhere(self) -> bool:
        """Whether there is a lull at any provider."""
        return any(evidence >= SURE for evidence in self._evidence.values())
