"""Whether to believe a list that lost more than half of its targets at once. Pure.

A script that fails half way, an inventory that answers during its own restart, a file that is
emptied by mistake: each gives a list that reads well, and silently ends the probing of what it
lacks. So such a list is held: the targets before it stay in use, and people are told. A list that
grows back ends the hold. One that stays small is believed when the time is over.
"""

from __future__ import annotations

from dataclasses import dataclass

from probe.discovery.status import SourceLook


@dataclass(slots=True)
class ShrinkHold:
    """What is believed of one source.

    Attributes:
        seconds: how long a list that shrank is held; 0 believes each at once.
        believed: the latest look that is in use; None before the first. The first is believed:
            there is nothing to compare it with.
        since: when the hold began; None while there is none.
    """

    seconds: float
    believed: SourceLook | None = None
    since: float | None = None

    def take(self, look: SourceLook, now: float) -> SourceLook:
        """Give what is in use after a look, which is the look itself or the one before it.

        Args:
            look: good or not; its targets are the last good ones.
            now: seconds of a clock that never steps.
        """
        before = self.believed
        if before is not None and 2 * len(look.targets) < len(before.targets):
            if self.since is None:
                self.since = now
            if now - self.since < self.seconds:
                return before
        self.believed, self.since = look, None
        return look

    @property
    def ends_at(self) -> float | None:
        """When the hold will be over; None while there is none."""
        return None if self.since is None else self.since + self.seconds

    def release(self) -> None:
        """Believe the next look, whatever it gives: a person wants so."""
        self.believed = self.since = None
