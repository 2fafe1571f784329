"""What a source of targets gave, and what is known of it for metrics, page and log."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Literal
from urllib.parse import urlsplit

from probe.documents.problem import Problem
from probe.model.target import Target

_TOLD = 5
"""Problems of a list told in words; the rest is counted."""


@dataclass(frozen=True, slots=True)
class SourceLook:
    """What a source gives after a look at it.

    Attributes:
        targets: the last good ones, when this look was not good.
        rejected: number of entries, labels and groups that cannot be used.
        faults: why this look was not good; empty when it was.
        complaints: what is wrong with single entries of lists that are good as a whole.
        over: number of targets left out because a file or answer holds more than the limit.
    """

    targets: tuple[Target, ...] = ()
    rejected: int = 0
    faults: tuple[str, ...] = ()
    complaints: tuple[str, ...] = ()
    over: int = 0


def in_words(problems: Iterable[Problem]) -> tuple[str, ...]:
    """The first few problems of a list, as lines."""
    return tuple(map(str, islice(problems, _TOLD)))


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """One source of one target list.

    Attributes:
        list_name: the target list it belongs to.
        source: path, glob or URL as configured, without user, password and query.
        up: the last look found everything readable. When not, what was read before stays.
        targets: number of targets it gives now, duplicates included.
        rejected: number of entries, labels and groups that cannot be used.
        problems: what is wrong, in words; the first few.
        duplicates: number of targets that a source before it, or it itself, named already.
        notes: what a person may want to know and is no fault, such as an empty list.
        good_at: trio's clock at the last look that found everything readable; None before.
        changed_at: trio's clock when the targets last changed; None before the first.
        unused: number of targets beyond the list's limit: they are not probed.
        held_since: trio's clock since when a list that shrank is held; None while none is.
    """

    list_name: str
    source: str
    kind: Literal["static", "file", "http"]
    up: bool = True
    targets: int = 0
    rejected: int = 0
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    duplicates: int = 0
    good_at: float | None = None
    changed_at: float | None = None
    unused: int = 0
    held_since: float | None = None


def without_secrets(url: str) -> str:
    """The URL as it may be shown: no user, no password, no query, no fragment."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


@dataclass(slots=True)
class ShrinkHold:
    """What is believed of one source whose list may lose more than half of its targets at once.

    A script that fails half way, an inventory that answers during its own restart, a file that is
    emptied by mistake: each gives a list that reads well, and silently ends the probing of what it
    lacks. So such a list is held: the targets before it stay in use, and people are told. A list
    that grows back ends the hold. One that stays small is believed when the time is over.

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
