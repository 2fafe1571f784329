"""Values of vantage health, and the course of one sign over time. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Sign(StrEnum):
    """What can be wrong with a vantage; a metric label."""

    NETWORK = "network"
    DNS = "dns"
    CLOCK = "clock"
    LAG = "lag"
    LATE = "late"


@dataclass(frozen=True, slots=True)
class VantageRule:
    """When a vantage is ill. All times in seconds.

    Attributes:
        ill_after: a sign must stay bad for so long.
        well_after: and good for so long to be over.
        fresh: evidence older than this says nothing any more.
        clock_bound: offset from the references' clocks; half of it ends the sign. ``Date``
            has whole seconds and the answer takes time, so less than 2 makes no sense.
        lag_bound: event-loop lag above which time-outs cannot be trusted.
        late_bound: lateness of a start above which the schedule is not kept.
        share: part of a window that must be over its bound: of the time for lag, of the
            starts for lateness.
        least: seconds or starts that a window needs to say anything.
    """

    ill_after: float = 10.0
    well_after: float = 15.0
    fresh: float = 30.0
    clock_bound: float = 10.0
    lag_bound: float = 0.5
    late_bound: float = 5.0
    share: float = 0.5
    least: int = 5


@dataclass(frozen=True, slots=True)
class Complaint:
    """One sign that is bad.

    Attributes:
        since: when it became bad.
        ill: it has stayed bad for long enough to be exported; else it is a doubt.
        why: evidence in a sentence.
    """

    sign: Sign
    since: float
    ill: bool
    why: str


@dataclass(frozen=True, slots=True)
class Health:
    """The vantage's judgement of itself."""

    complaints: tuple[Complaint, ...] = ()

    @property
    def healthy(self) -> bool:
        """No illness; doubts do not count."""
        return not any(complaint.ill for complaint in self.complaints)

    @property
    def doubtful(self) -> bool:
        """A bad sign, however young."""
        return bool(self.complaints)


class Course:
    """How one sign went: doubt, illness, recovery."""

    __slots__ = ("bad_since", "good_since", "ill", "last_bad", "why")

    def __init__(self) -> None:
        self.bad_since: float | None = None
        self.good_since: float | None = None
        self.last_bad: float | None = None
        self.ill = False
        self.why = ""

    def tell(self, why: str, rule: VantageRule, now: float) -> None:
        """Take in the evidence of now; an empty ``why`` is good."""
        if why:
            self.why = why
            self.last_bad = now
            self.good_since = None
            if self.bad_since is None:
                self.bad_since = now
            self.ill = now - self.bad_since >= rule.ill_after
        elif self.bad_since is not None:
            if self.good_since is None:
                self.good_since = now
            if now - self.good_since >= rule.well_after:
                self.bad_since = self.good_since = None
                self.ill = False

    def complaint(self, sign: Sign) -> Complaint | None:
        """What to say of it: illness until it is over, a doubt only while it is bad."""
        if self.bad_since is None or (self.good_since is not None and not self.ill):
            return None
        return Complaint(sign, self.bad_since, self.ill, self.why)
