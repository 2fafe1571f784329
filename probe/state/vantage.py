"""Can this agent's view of the world be trusted now? Pure; times are monotonic seconds.

Five signs, each judged for itself because each excuses something else:

========== ============================================== ========================================
sign       bad when                                       failures that it excuses
========== ============================================== ========================================
network    more than half of the references fail, or      all
           all that is probed is silent at once
dns        more than half of the references' names are    resolve
           not answered, or all resolvers are silent
clock      what tells the time differs from ours          what depends on the time: validity, auth
lag        the event loop is late for much of a window    time-outs, too slow
late       runs start late for much of a window           time-outs, too slow
========== ============================================== ========================================

*A bad sign at once makes the vantage doubtful*: failures are excused from that moment, because
an edge is confirmed as failing within seconds. *Ill* is what is exported and alerted on: a
sign that stayed bad for ``ill_after``. It is well again after ``well_after`` without a bad
moment. A failure is excused when its attempt was under way in a bad moment, even if it ended
later.

One stall that is longer than ``lag_bound``, or many that take half of an attempt, excuse the
time-outs of what was under way meanwhile, whether the sign is bad or not: the answer may have lain
in a buffer.

References that the configuration names are judged by themselves: three that have nothing in
common with the targets or each other. With a single one its own outage excuses everything.
Without any, what is probed anyway is judged, much more carefully (``state.witnesses`` for the
network, ``state.clock``): an agent that excused a provider's outage would hide the largest of
all. What cannot be told is said to be *unjudged*. Lag and lateness speak of the agent alone.

All of this is looked at again, at once, when an edge becomes suspect: then a cut network is in
doubt before the edge's confirmation is through.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from probe.model.failure import Failure, Phase, Reason
from probe.model.result import Failed, Inconclusive, Outcome, Passed
from probe.state.clock import TIMED, ClockEvidence
from probe.state.history import SlidingShare
from probe.state.witnesses import Sightings, Witnesses, silent


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


_NOTHING: Mapping[Sign, str] = MappingProxyType({})


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
    """The vantage's judgement of itself.

    Attributes:
        unjudged: the signs that nothing tells about now, each with the reason.
        clock_offset: seconds by which the right time is ahead of ours; None when unknown.
    """

    complaints: tuple[Complaint, ...] = ()
    unjudged: Mapping[Sign, str] = field(default_factory=lambda: _NOTHING, compare=False)
    clock_offset: float | None = field(default=None, compare=False)

    @property
    def healthy(self) -> bool:
        """No illness; doubts do not count."""
        return not any(complaint.ill for complaint in self.complaints)


_WAITED = (Reason.TIMEOUT, Reason.TOO_SLOW, Reason.RESUMPTION_FAILED)
_EXCUSES: dict[Sign, Callable[[Failure], bool]] = {
    Sign.NETWORK: lambda _: True,
    Sign.DNS: lambda failure: failure.phase is Phase.RESOLVE,
    Sign.CLOCK: lambda failure: failure.phase is Phase.AUTH or failure.reason in TIMED,
    Sign.LAG: lambda failure: failure.reason in _WAITED,
    Sign.LATE: lambda failure: failure.reason in _WAITED,
}


_STALL = 0.05
"""Seconds of lag below which nothing is lost by it."""

_STALLS = 500
"""Stalls that are remembered: more than fit into the longest attempt, as one is seen at most four
times a second."""


class _Course:
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

    def covers(self, started: float) -> bool:
        """Whether an attempt that started then, and ends now, ran in a bad moment."""
        before = self.last_bad is not None and started <= self.last_bad
        # What was bad when it was last judged is: short attempts fit between two judgements.
        return before or self.ill or (self.bad_since is not None and self.good_since is None)

    def complaint(self, sign: Sign) -> Complaint | None:
        """Report an illness until it is over, and a doubt only while it is bad."""
        if self.bad_since is None or (self.good_since is not None and not self.ill):
            return None
        return Complaint(sign, self.bad_since, self.ill, self.why)


class Vantage:
    """Evidence of one agent about itself.

    Args:
        rule: when it is ill.

    Attributes:
        clock: what is known of this host's clock.
    """

    def __init__(self, rule: VantageRule | None = None) -> None:
        self.rule = rule or VantageRule()
        self._references: dict[str, tuple[float, Failure | None]] = {}
        self.clock = ClockEvidence(self.rule.clock_bound, self.rule.fresh)
        self._witnesses = Witnesses()
        self._resolvers: tuple[float, str] | None = None
        self._own = self._off = False
        self._names: dict[str, tuple[float, Failure | None]] = {}
        self._lag = SlidingShare(self.rule.fresh)
        self._lag_at: float | None = None
        self._stalls: deque[tuple[float, float]] = deque(maxlen=_STALLS)
        self._late = SlidingShare(self.rule.fresh)
        self._courses = {sign: _Course() for sign in Sign}

    # ------------------------------------------------------------ evidence

    def reference(self, name: str, outcome: Outcome, now: float) -> None:
        """Take in the outcome of probing a reference; an inconclusive one says nothing."""
        match outcome:
            case Passed():
                self._references[name] = (now, None)
            case Failed(failure=failure):
                self._references[name] = (now, failure)
            case Inconclusive():
                pass

    def own(self, seen: Sightings, resolvers: Mapping[str, Failure | None], now: float) -> None:
        """Take in one look at what is probed anyway, and at this host's resolvers.

        Args:
            seen: by witness and address, as ``state.witnesses`` reads it; resolvers beyond this
                host among them.
            resolvers: every resolver of this host.
            now: monotonic.
        """
        self._own = True
        self._witnesses.look(seen, now)
        failures = [one for one in resolvers.values() if silent(one)]
        bad = bool(failures) and len(failures) == len(resolvers)
        self._resolvers = (now, f"no resolver answers: {failures[0]}") if bad else None

    def configure(self, *, off: bool, own: bool = False) -> None:
        """Forget references: others count from now on, or none when it is ``off``.

        What is probed anyway is remembered where it still counts (``own``): a reload during an
        outage must not make what was down before fall together with it.
        """
        self._off = off
        self._references.clear()
        self._names.clear()
        if not own:
            self._witnesses, self._resolvers, self._own = Witnesses(), None, False

    def dns(self, name: str, failure: Failure | None, now: float) -> None:
        """Take in how a question for a reference's name went; never for a target's (see above)."""
        self._names[name] = (now, failure)

    def lag(self, seconds: float, now: float) -> None:
        """Take in one measurement of event-loop lag, which stands for the time since the last one.

        Counting measurements would not do: a loop that stands still for a second gives one,
        and then several in the next.
        """
        span = seconds if self._lag_at is None else min(now - self._lag_at, self.rule.fresh)
        self._lag_at = now
        self._lag.add(seconds > self.rule.lag_bound, now, span)
        if seconds > _STALL:
            self._stalls.append((now, seconds))

    def late(self, seconds: float, now: float) -> None:
        """Take in the lateness of one start, in seconds, without intended waiting."""
        self._late.add(seconds > self.rule.late_bound, now)

    # ------------------------------------------------------------ judgement

    def judge(self, now: float) -> Health:
        """Weigh the evidence. Call after each reference and at least every few seconds."""
        self._expire(now)
        network, dns = self._unreachable()
        clock = self.clock.judge(now, bad=self._courses[Sign.CLOCK].bad_since is not None)
        silence, alone = self._witnesses.judge(now, self.rule.fresh) if self._own else ("", "")
        if self._resolvers is not None and not silence:
            dns = dns or self._resolvers[1]
        found = {
            Sign.NETWORK: network or silence,
            Sign.DNS: dns or self._unanswered(),
            Sign.CLOCK: clock.why,
            Sign.LAG: self._over(
                self._lag, f"event loop over {self.rule.lag_bound:g} s late", "seconds", now
            ),
            Sign.LATE: self._over(
                self._late, f"over {self.rule.late_bound:g} s late", "starts", now
            ),
        }
        complaints = []
        for sign, course in self._courses.items():
            course.tell(found[sign], self.rule, now)
            if complaint := course.complaint(sign):
                complaints.append(complaint)
        alone = "references are switched off" if self._off else alone
        unjudged = {Sign.NETWORK: alone, Sign.CLOCK: clock.unjudged}
        unjudged = {sign: why for sign, why in unjudged.items() if why}
        return Health(tuple(complaints), unjudged, clock.offset)

    def doubts(self, sign: Sign) -> bool:
        """Whether a sign was bad when it was last judged, or is not over yet."""
        return self._courses[sign].bad_since is not None

    def excuse(self, failure: Failure, started: float, lag: float = 0.0) -> Failure | None:
        """Turn a target's failure into ours when the attempt ran in a bad moment.

        Args:
            failure: what the attempt found.
            started: when it started.
            lag: seconds that the event loop is late right now.

        Returns:
            The failure to make the result inconclusive with; None when the target is to blame.
        """
        for sign, course in self._courses.items():
            if course.covers(started) and _EXCUSES[sign](failure):
                reason = Reason.CLOCK_OFF if sign is Sign.CLOCK else Reason.VANTAGE_ILL
                return Failure(failure.phase, reason, f"{course.why}; seen: {failure}")
        why = self._stalled(started, lag) if _EXCUSES[Sign.LAG](failure) else ""
        if why:
            return Failure(failure.phase, Reason.VANTAGE_ILL, f"{why}; seen: {failure}")
        return None

    # ------------------------------------------------------------ signs

    def _stalled(self, started: float, lag: float) -> str:
        """Why an attempt that started then had not the time that it was given; empty: it had."""
        stalls = [min(seconds, at - started) for at, seconds in self._stalls if at > started]
        worst, lost = max(lag, *stalls, 0.0), sum(stalls)
        if worst > self.rule.lag_bound:
            return f"the agent's event loop stood still for {worst:.1f} s meanwhile"
        life = (self._lag_at or started) - started
        if stalls and lost > self.rule.share * life:
            return f"the agent's event loop was late for {lost:.1f} of {life:.1f} s"
        return ""

    def _expire(self, now: float) -> None:
        oldest = now - self.rule.fresh
        for evidence in (self._references, self._names):
            stale = [name for name, (at, _) in evidence.items() if at < oldest]
            for name in stale:
                del evidence[name]
        if self._resolvers is not None and self._resolvers[0] < oldest:
            self._resolvers = None

    def _unreachable(self) -> tuple[str, str]:
        """Why network or DNS is bad, by the references: most fail, and most of those where."""
        failures = _most_fail(self._references)
        if not failures:
            return "", ""
        why = f"{len(failures)} of {len(self._references)} references fail: {failures[0]}"
        unresolved = sum(failure.phase is Phase.RESOLVE for failure in failures)
        return ("", why) if unresolved * 2 > len(failures) else (why, "")

    def _unanswered(self) -> str:
        """Why DNS is bad, by the references' names."""
        failures = _most_fail(self._names)
        if not failures:
            return ""
        return f"{len(failures)} of {len(self._names)} names not answered: {failures[0]}"

    def _over(self, values: SlidingShare, what: str, unit: str, now: float) -> str:
        over, total = values.sums(now)
        if total < self.rule.least or over <= self.rule.share * total:
            return ""
        return f"{what} in {over:.0f} of {total:.0f} {unit}"


def _most_fail(evidence: Mapping[str, tuple[float, Failure | None]]) -> list[Failure]:
    """The failures when they are more than half of the evidence, else none."""
    failures = [failure for _, failure in evidence.values() if failure]
    return failures if len(failures) * 2 > len(evidence) else []
