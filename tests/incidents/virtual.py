"""A region over one day in virtual time: noise and faults go in, what an agent believes comes out.

The state code is the real one: confirmation, vantage, excuses, consensus. What it is fed with is
drawn from seeded dice. To make 30 days of 1,000 targets feasible, attempts that cannot matter are
not made one by one: a passing edge whose single lost handshake is followed by 85 passes returns to
where it was (``test_simulation`` holds that), so only the edges that lose another one within 85
attempts are walked, attempt by attempt.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from probe.agent.filing import Excuse
from probe.model.failure import Failure, Phase, Reason
from probe.model.result import CertificateFacts, Failed, Inconclusive, Outcome, Passed
from probe.model.state import FLOW_CONFIRMATION, Confirmation, ConsensusRule, EdgeStatus
from probe.model.target import EdgeKey, FlowKey
from probe.state.confirmation import advance
from probe.state.consensus import Consensus
from probe.state.history import Attempt, History
from probe.state.silence import Silence
from probe.state.vantage import Vantage

DAY = 86_400.0
INTERVAL = 30.0
TARGETS = 1000
ADDRESSES = 4
PER_TARGET = 2
LOSS = 0.003
RUN_LOSS = 1 - (1 - LOSS) ** 4  # a run of the flow shakes hands with four hosts
FORGIVEN = 85
KEY = EdgeKey("stores", "", "live", "", "default")
FLOW = FlowKey("cli", "cli", "", "")

ROTATION = 600.0
KEPT = 600.0
UNANSWERED = Failure(Phase.RESOLVE, Reason.TIMEOUT)
LOST = Failure(Phase.CONNECT, Reason.TIMEOUT)
CONFIRMED = (EdgeStatus.FAILING, EdgeStatus.FLAPPING)

Judge = Callable[[float], Failure | None]
"""What an attempt at that time meets."""


@dataclass(frozen=True, slots=True)
class Span:
    """Something that holds from one second of the day to another."""

    start: float
    end: float
    what: str = ""


@dataclass(slots=True)
class Course:
    """What came of one edge or flow: when it was named, and its failed attempts."""

    named: list[Span] = field(default_factory=list)
    failed: list[float] = field(default_factory=list)
    attempts: int = 0
    address: int | None = None  # any


def walk(
    meets: Judge,
    start: float,
    until: float,
    policy: Confirmation,
    *,
    interval: float = INTERVAL,
    excuse: Callable[[Outcome, float], Outcome] = lambda outcome, _: outcome,
    gone: float = DAY,
) -> Course:
    """Every attempt on one edge from ``start`` on, until ``until`` and nothing is remembered.

    ``gone``: when DNS has not named the address for so long that it is forgotten.
    """
    course, history = Course(), History(status=EdgeStatus.PASSING)
    due = [(start, True)]
    named_at: float | None = None
    while due:
        now, regular = heapq.heappop(due)
        if now >= gone:
            break
        failure = meets(now)
        outcome = excuse(Passed() if failure is None else Failed(failure), now)
        attempt = Attempt(KEY, outcome, now)
        history, decision = advance(history, attempt, policy, now)
        course.attempts += 1
        if isinstance(outcome, Failed):
            course.failed.append(now)
        if history.status in CONFIRMED and named_at is None:
            named_at = now
        elif history.status not in CONFIRMED and named_at is not None:
            course.named.append(Span(named_at, now))
            named_at = None
        quiet = history.status is EdgeStatus.PASSING and not history.bad
        if regular and not (quiet and now >= until):
            heapq.heappush(due, (now + interval, True))
        if decision.beside or not any(not one for _, one in due):  # one sample at a time
            for after in decision.again:
                heapq.heappush(due, (now + after, False))
    if named_at is not None:
        course.named.append(Span(named_at, gone))
    return course


def losses(dice: random.Random) -> Iterator[Course]:
    """Lost handshakes of a day: 0.3 % of all attempts, those that matter walked."""
    attempts = TARGETS * PER_TARGET * DAY / INTERVAL
    policy = Confirmation()
    for _ in range(round(dice.gauss(attempts * LOSS, (attempts * LOSS) ** 0.5))):
        at = dice.random() * DAY
        gap = 1 + int(dice.expovariate(LOSS))
        if gap > FORGIVEN:
            yield Course(failed=[at], attempts=2 * policy.forgive_after + 2)
            continue
        number = iter(range(10**9))

        def meets(_: float, gap: int = gap, number: Iterator[int] = number) -> Failure | None:
            n = next(number)
            lost = n in (0, gap) or (n > gap and dice.random() < LOSS)
            return LOST if lost else None

        # Addresses rotate every ten minutes and are kept for ten more: this one has some left.
        yield walk(meets, at, at, policy, gone=at + dice.uniform(1, ROTATION + KEPT))


def questions(dice: random.Random, window: Window, cut: Span) -> Iterator[tuple[Span, bool]]:
    """One name's unanswered questions while the network is gone, and whether each accused it.

    Asked every `INTERVAL`, as the TTL allows; each answer or silence stands until the next.
    """
    asked = cut.start - dice.random() * INTERVAL
    while asked < cut.end:
        if window.offline(asked):
            filed = window.excused(Failed(UNANSWERED), asked)
            done = asked + window.seconds()
            yield Span(done, done + INTERVAL), isinstance(filed, Failed)
        asked += INTERVAL


def flow_day(dice: random.Random, faults: list[tuple[Span, float]], vantage: Window) -> Course:
    """Every run of the flow in a day; ``faults`` with the share of runs that they break."""

    def meets(now: float) -> Failure | None:
        if vantage.offline(now):
            return LOST
        if vantage.astray(now):
            return Failure(Phase.AUTH, Reason.TOKEN_EXPIRED)
        for span, share in faults:
            if span.start <= now < span.end and dice.random() < share:
                return Failure(Phase.EXPECT, Reason.STATUS)
        return LOST if dice.random() < RUN_LOSS else None

    return walk(meets, dice.random() * 30, DAY - 60, FLOW_CONFIRMATION, excuse=vantage.excused)


class Window:
    """The vantage of a region through a bad time: cut off, or with a clock that stepped.

    Args:
        cut: when the network is gone; None when it is not.
        refused: failures are seen at once rather than after a time-out.
        step: when the clock is wrong by half a minute.
    """

    def __init__(self, cut: Span | None, *, refused: bool, step: Span | None) -> None:
        self._cut, self._refused, self._step = cut, refused, step
        self.ill: list[Span] = []
        self._vantage = Vantage()
        self._excuse = Excuse(self._vantage)
        self._looked = float("-inf")
        self._now = float("-inf")
        self._ill_at: Span | None = None

    def offline(self, now: float) -> bool:
        """Whether nothing gets through."""
        return self._cut is not None and self._cut.start <= now < self._cut.end

    def astray(self, now: float) -> bool:
        """Whether the clock is wrong."""
        return self._step is not None and self._step.start <= now < self._step.end

    def seconds(self) -> float:
        """How long an attempt takes to fail."""
        return 0.0 if self._refused else 10.0

    def advance(self, now: float) -> None:
        """Let time pass, second by second, near the bad times; far from them all is well."""
        spans = [span for span in (self._cut, self._step) if span is not None]
        while self._now < now:
            near = min((s.start - 60 for s in spans if s.end + 120 > self._now), default=now)
            self._now = min(now, max(self._now + 1, near))
            if near > self._now:
                continue
            self._second()

    def _second(self) -> None:
        now = self._now
        if now - self._looked >= 5 or (self._refused and self.offline(now)):
            self._looked = now
            # A silent network is noticed when the look that began 3 s ago times out.
            gone = self.offline(now if self._refused else now - 3)
            for name in ("a", "b", "c"):
                outcome = Failed(LOST) if gone else Passed()
                self._vantage.reference(name, outcome, now)
                if not gone:
                    self._vantage.clock.date(name, -30.0 if self.astray(now) else 0.0, now)
        health = self._vantage.judge(now)
        if not health.healthy and self._ill_at is None:
            cause = next(one.sign.value for one in health.complaints if one.ill)
            self._ill_at = Span(now, now, cause)
        elif health.healthy and self._ill_at is not None:
            self.ill.append(Span(self._ill_at.start, now, self._ill_at.what))
            self._ill_at = None

    def excused(self, outcome: Outcome, now: float) -> Outcome:
        """The outcome as filed: an attempt that began at ``now`` and may have taken a while."""
        if not isinstance(outcome, Failed):
            return outcome
        self.advance(now + self.seconds())
        filed = self._excuse(outcome, now)
        assert isinstance(filed, (Failed, Inconclusive))
        return filed


def cut_off(dice: random.Random, window: Window, cut: Span) -> list[Course]:
    """Every edge of the region while the network is gone, in one order of time."""
    policy = Confirmation()
    courses = [Course() for _ in range(TARGETS * PER_TARGET)]
    histories: dict[int, History] = {}
    due = [(cut.start - INTERVAL + dice.random() * INTERVAL, n, True) for n in range(len(courses))]
    heapq.heapify(due)
    waiting: list[tuple[float, int, float]] = []
    named: dict[int, float] = {}
    while due or waiting:
        if waiting and (not due or waiting[0][0] <= due[0][0]):
            now, n, began = heapq.heappop(waiting)
        else:
            began, n, regular = heapq.heappop(due)
            if regular and began < cut.end + 60:
                heapq.heappush(due, (began + INTERVAL, n, True))
            lost = window.offline(began)
            if lost and window.seconds():
                heapq.heappush(waiting, (began + window.seconds(), n, began))
                continue
            now = began
        before = histories.get(n, History(status=EdgeStatus.PASSING))
        outcome: Outcome = Failed(LOST) if window.offline(began) else Passed()
        window.advance(now)
        outcome = window.excused(outcome, began) if isinstance(outcome, Failed) else outcome
        after, decision = advance(before, Attempt(KEY, outcome, began), policy, now)
        histories[n] = after
        courses[n].attempts += 1
        if isinstance(outcome, Failed):
            courses[n].failed.append(now)
        if after.status in CONFIRMED:
            named.setdefault(n, now)
        elif n in named:
            courses[n].named.append(Span(named.pop(n), now))
        for again in decision.again:
            if now + again < cut.end + 90:
                heapq.heappush(due, (now + again, n, False))
    for n, at in named.items():
        courses[n].named.append(Span(at, cut.end + 120))
    return [course for course in courses if course.failed]


def silent(dice: random.Random, keys: int, quiet: Span) -> list[Span]:
    """When each of so many keys was unseen, while none of their runs gave a judged result."""
    silence: Silence[int] = Silence()
    began = int(quiet.start - 2 * INTERVAL)
    turns: dict[int, list[int]] = {}
    for key in range(keys):
        turns.setdefault(dice.randrange(int(INTERVAL)), []).append(key)
        silence.expect(key, INTERVAL, began, began)
    spans, since = [], dict[int, int]()
    for now in range(began, int(quiet.end + 2 * INTERVAL)):
        for key in turns.get(now % int(INTERVAL), ()):
            if not quiet.start <= now < quiet.end:
                silence.judged(key, now, now)
                if key in since:
                    spans.append(Span(since.pop(key), now))
        for found in silence.due(now):
            if found is not None:
                since[found] = now
    assert not since
    return spans


def renewal(dice: random.Random, start: float) -> list[Span]:
    """One domain's certificates, RSA and ECDSA, renewed edge by edge over most of six hours.

    DNS names two of eight edges and two others every ten minutes; each is probed for ten more.
    Returns when the difference was called overdue: it should never be.
    """
    consensus, rule = Consensus(ConsensusRule()), ConsensusRule()
    switch = {
        (n, kind): start + dice.random() * rule.grace * 0.97
        for n in range(8)
        for kind in ("rsa", "ecdsa")
    }
    overdue, seen, named = [], {}, (0, 1)
    first = now = start - 1200.0
    while now < start + rule.grace + 3600:
        if not (now - first) % ROTATION:
            named = (dice.randrange(8), dice.randrange(8))
        for n in named:
            seen[n] = now
        for n, at in list(seen.items()):
            keys = [EdgeKey("stores", "x", "live", f"{n}", kind) for kind in ("rsa", "ecdsa")]
            if now - at > KEPT:
                agreements = consensus.remove(keys, now)
                del seen[n]
            else:
                agreements = tuple(
                    agreement
                    for key in keys
                    for agreement in consensus.observe(
                        key, leaf(key.client, new=now >= switch[n, key.client]), now
                    )
                )
            if any(agreement.overdue(rule, now) for agreement in agreements):
                overdue.append(Span(now, now + 60))
        now += 60.0
    return overdue


def leaf(kind: str, *, new: bool) -> CertificateFacts:
    """Give a leaf of a key type, from before or after a renewal."""
    name = f"{kind}-{'new' if new else 'old'}"
    return CertificateFacts(
        fingerprint_sha256=name,
        spki_sha256=name,
        subject="CN=x",
        issuer="CN=ca",
        serial="1",
        not_before=float(new),
        not_after=1e10,
        dns_names=("x",),
        ip_names=(),
        key=kind,
        key_type=kind,
        issuer_url="",
    )
