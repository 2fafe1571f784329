"""The recent changes of state, for the page."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from probe.model.state import Transition

KEPT = 200
"""A person reads some dozens; a log keeps the rest."""


class Journal:
    """The latest transitions, newest first."""

    def __init__(self, kept: int = KEPT) -> None:
        self._transitions: deque[Transition] = deque(maxlen=kept)

    def add(self, transition: Transition) -> None:
        """Note a change; the oldest one goes when there are too many."""
        self._transitions.appendleft(transition)

    def __iter__(self) -> Iterator[Transition]:
        return iter(self._transitions)

    def __len__(self) -> int:
        return len(self._transitions)
