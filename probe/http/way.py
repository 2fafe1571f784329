"""What is known of a call while it is under way, beside its timeline."""

from __future__ import annotations

from dataclasses import dataclass

import trio

from probe.connection.timeline import Timeline
from probe.http.response import CallFacts
from probe.model.failure import Failure
from probe.model.result import Handshake


@dataclass(slots=True)
class Way:
    """What is known of a call so far; becomes its `CallFacts`."""

    timeline: Timeline
    url: str
    handshake: Handshake | None = None
    fresh: bool = False
    requests: int = 0
    warnings: tuple[Failure, ...] = ()

    def trip(self) -> CallFacts:
        """The facts, as far as the call got."""
        timeline = self.timeline
        whole = timeline.written is not None and timeline.answered is not None
        end = timeline.arrived if whole else trio.current_time()
        return CallFacts(
            timings=timeline.timings(end - timeline.begun),
            edge=timeline.edge,
            handshake=self.handshake,
            fresh=self.fresh,
            requests=self.requests,
            url=self.url,
            warnings=self.warnings,
        )
