"""Attempts in, state out: is an edge passing, failing, or failing now and then? Pure.

One attempt moves a history one step::

    passing --failure--> suspect --every further attempt fails--> failing
                            |  ^                                     |
       further attempts pass|  |another failure         all of them pass: passing
                            v  |                        some of them:     flapping
                         passing (watched)
                            '--the score reaches flapping_score--> flapping
                                                                     |
                       clear_after passes in a row: passing;  only failures: failing

What each rule is for:

- *Confirmation.* A first failure asks for ``attempts`` quick ones. All fail: failing. They
  may run beside each other, so that time-outs are not waited for one after another: with an
  attempt that takes ``d`` to fail, failing is known ``d + attempts * spacing`` after the
  first failure is.
- *Score.* Each failure adds 1, each pass takes ``1 / forgive_after`` off. This is the leaky
  form of a sequential test between "one in ten is lost" and "a few in a thousand are": the
  drift is upward above a failure probability of ``1 / (forgive_after + 1)``, here 3.8 %.
- *Sampling.* While the score is above zero the edge is sampled every ``sample_interval``.
  A single lost handshake is forgiven after ``forgive_after`` passes: it costs about 27
  attempts, so 0.3 % of lost handshakes add 8 % of load.
- *Never stuck.* Every state is left by passes alone and by failures alone, at the regular
  interval too. Inconclusive attempts are counted and change nothing.

Arithmetic for the defaults (attempts 4, score 5.5, forgiven after 25), losses independent.
False names of a healthy edge at an interval of 15 s, per edge and day:

=========== ================ =================
random loss falsely failing  falsely flapping
=========== ================ =================
0.1 %       6e-12            7e-11
0.3 %       1.5e-9           1.3e-7
1 %         7.5e-7           1e-3
=========== ================ =================

Names of an edge that fails now and then, within so many attempts after its first failure
(one a second under suspicion; the rest is forgiven in between and needs another failure):

======== ===== ===== ===== =====
failures 12    30    60    120
======== ===== ===== ===== =====
1 in 10  0 %   8 %   41 %  82 %
2 in 10  7 %   58 %  97 %  99 %
4 in 10  56 %  99 %  100 % 100 %
======== ===== ===== ===== =====

The first failure itself takes ``interval / p`` on average where one edge alone is affected;
neighbours shorten that, because the first edge in doubt has all others tried. The tests
``test_confirmation_odds`` compute these figures by walking this very code.
"""

from __future__ import annotations

from typing import assert_never

from probe.model.failure import Failure
from probe.model.result import Failed, Inconclusive, Passed
from probe.model.spec import Confirmation
from probe.model.state import EdgeStatus, Transition
from probe.state.history import Attempt, Decision, History, K, Neighbours, Tally, Urgency

_KINDS = 6  # kinds of failure remembered of a bad streak
_FADE = 16  # failures after which old ones count half, so that a changed cause gets its name
_NOTHING = 1e-9  # a score below this is rounding


_NO_DECISION = Decision()


def advance(
    history: History, attempt: Attempt[K], policy: Confirmation, now: float
) -> tuple[History, Decision]:
    """Take one attempt into account.

    Args:
        history: what was known of the edge before; ``History()`` for a new one.
        attempt: its outcome and when it was.
        policy: the check's rules; they may change between two attempts.
        now: monotonic seconds, at the attempt's end; only its differences matter.
    """
    match attempt.outcome:
        case Inconclusive():
            return history._replace(inconclusive=history.inconclusive + 1), _NO_DECISION
        case Passed():
            counted = _passed(history, attempt, policy)
        case Failed(failure=failure):
            counted = _failed(history, attempt, failure, policy, now)
        case _ as never:
            assert_never(never)
    status = _judge(history, counted, policy)
    if status is history.status:
        after, transition = counted, None
    else:
        after = _enter(counted, status, policy, now)
        transition = _transition(history, after, counted, attempt)
    again, beside = _further(history, after, policy, now)
    if beside:
        after = after._replace(quick_until=now + again[-1])
    neighbours = _neighbours(after, transition)
    if transition is None and not again and neighbours is Neighbours.NONE:
        return after, _NO_DECISION
    return after, Decision(transition, again, beside, _urgency(after, beside), neighbours)


def _passed(history: History, attempt: Attempt[K], policy: Confirmation) -> History:
    score = history.score
    if score:
        score -= 1 / max(1, policy.forgive_after)
        if score < _NOTHING:
            score = 0.0
    over = not score and history.status in (EdgeStatus.UNKNOWN, EdgeStatus.PASSING)
    return history._replace(
        passed=history.passed + 1,
        score=score,
        passes=history.passes + 1,
        failures=0,
        row_at=history.row_at if history.passes else attempt.at,
        bad_at=None if over else history.bad_at,
        tallies=() if over else history.tallies,
    )


def _failed(
    history: History, attempt: Attempt[K], failure: Failure, policy: Confirmation, now: float
) -> History:
    return history._replace(
        failed=history.failed + 1,
        score=min(history.score + 1.0, max(policy.flapping_score, 1.0)),
        passes=0,
        failures=history.failures + 1,
        row_at=history.row_at if history.failures else attempt.at,
        bad_at=attempt.at if history.bad_at is None else history.bad_at,
        last_failure=now,
        tallies=_tallied(history.tallies, failure),
    )


def _tallied(tallies: tuple[Tally, ...], failure: Failure) -> tuple[Tally, ...]:
    count = 1
    others: list[Tally] = []
    for tally in tallies:
        if (tally.failure.phase, tally.failure.reason) == (failure.phase, failure.reason):
            count = tally.count + 1
        else:
            others.append(tally)
    if count + sum(tally.count for tally in others) > _FADE:
        count = (count + 1) // 2
        others = [Tally(tally.failure, tally.count // 2) for tally in others if tally.count > 1]
    return (*others[-(_KINDS - 1) :], Tally(failure, count))


def _judge(before: History, counted: History, policy: Confirmation) -> EdgeStatus:
    """The status that the attempts speak for."""
    if counted.failures:
        return _judge_failure(before, counted, policy)
    match before.status:
        case EdgeStatus.UNKNOWN | EdgeStatus.UNSEEN | EdgeStatus.PASSING:
            return EdgeStatus.PASSING
        case EdgeStatus.SUSPECT:
            cleared = counted.passes >= policy.attempts and counted.score <= 1.0
            return EdgeStatus.PASSING if cleared else EdgeStatus.SUSPECT
        case EdgeStatus.FAILING:
            confirmed = counted.passes > policy.attempts
            return EdgeStatus.PASSING if confirmed else EdgeStatus.FAILING
        case EdgeStatus.FLAPPING:
            cleared = counted.passes >= policy.clear_after
            return EdgeStatus.PASSING if cleared else EdgeStatus.FLAPPING
        case _ as never:
            assert_never(never)


def _judge_failure(before: History, counted: History, policy: Confirmation) -> EdgeStatus:
    match before.status:
        case EdgeStatus.UNKNOWN | EdgeStatus.UNSEEN | EdgeStatus.PASSING | EdgeStatus.SUSPECT:
            if counted.failures > policy.attempts:
                return EdgeStatus.FAILING
            if counted.score >= policy.flapping_score:
                return EdgeStatus.FLAPPING
            return EdgeStatus.SUSPECT
        case EdgeStatus.FAILING:  # a pass before this failure: recovery was not confirmed
            return EdgeStatus.FLAPPING if before.passes else EdgeStatus.FAILING
        case EdgeStatus.FLAPPING:  # twice the confirmation, or four in ten would change its name
            solid = counted.failures >= 2 * (policy.attempts + 1)
            return EdgeStatus.FAILING if solid else EdgeStatus.FLAPPING
        case _ as never:
            assert_never(never)


def _enter(counted: History, status: EdgeStatus, policy: Confirmation, now: float) -> History:
    """The history as it starts out in a new status."""
    match status:
        case EdgeStatus.PASSING:
            if counted.status is EdgeStatus.SUSPECT or counted.status is EdgeStatus.UNKNOWN:
                return counted._replace(status=status, since=counted.row_at, changed=now)
            # Named and recovered: watched for a while like after a single failure.
            return counted._replace(
                status=status,
                since=counted.row_at,
                changed=now,
                score=1.0 if counted.status is EdgeStatus.FAILING else 0.0,
                bad_at=None,
                tallies=(),
            )
        case EdgeStatus.SUSPECT | EdgeStatus.FAILING:
            return counted._replace(status=status, since=counted.row_at, changed=now)
        case EdgeStatus.FLAPPING:
            since = counted.row_at if counted.bad_at is None else counted.bad_at
            score = max(policy.flapping_score, 1.0)
            return counted._replace(status=status, since=since, changed=now, score=score)
        case EdgeStatus.UNKNOWN | EdgeStatus.UNSEEN:
            raise AssertionError("no attempt leads back to not knowing")
        case _ as never:
            assert_never(never)


def _transition(
    before: History, after: History, counted: History, attempt: Attempt[K]
) -> Transition:
    """The change as a value; a recovery names the failure that is over."""
    return Transition(
        key=attempt.key,
        before=before.status,
        after=after.status,
        since=after.since,
        at=attempt.at + attempt.seconds,
        failure=counted.failure,
        command=attempt.command,
    )


def _further(
    before: History, after: History, policy: Confirmation, now: float
) -> tuple[tuple[float, ...], bool]:
    """Further attempts wanted on the same edge, and whether they may overlap."""
    suspected = after.status is EdgeStatus.SUSPECT and before.status is not EdgeStatus.SUSPECT
    recovering = after.status is EdgeStatus.FAILING and after.passes == 1
    if (suspected or recovering) and policy.attempts:
        return tuple(policy.spacing * (i + 1) for i in range(policy.attempts)), True
    if now < before.quick_until:
        return (), False
    recent = now - after.last_failure <= policy.sample_for
    match after.status:
        case EdgeStatus.UNKNOWN | EdgeStatus.UNSEEN:
            wanted = False
        case EdgeStatus.SUSPECT | EdgeStatus.PASSING:
            wanted = after.score > 0 and recent
        case EdgeStatus.FAILING:
            wanted = after.passes > 0 and recent
        case EdgeStatus.FLAPPING:  # at first, and later when it looks as if it were over
            wanted = now - after.changed <= policy.sample_for or after.passes > policy.attempts
        case _ as never:
            assert_never(never)
    return ((policy.sample_interval,), False) if wanted else ((), False)


def _urgency(after: History, beside: bool) -> Urgency:
    if beside or after.status is EdgeStatus.FAILING:
        return Urgency.CONFIRM
    if after.status is EdgeStatus.FLAPPING:
        return Urgency.NAMED
    return Urgency.SUSPECT if after.status is EdgeStatus.SUSPECT else Urgency.WATCH


def _neighbours(after: History, transition: Transition | None) -> Neighbours:
    """One other edge at the first failure; all of them at each further one until it is named."""
    if not after.failures:
        return Neighbours.NONE
    named = after.status is EdgeStatus.FAILING or after.status is EdgeStatus.FLAPPING
    if named and transition is None:
        return Neighbours.NONE
    return Neighbours.ALL if after.score > 1.0 else Neighbours.ONE
