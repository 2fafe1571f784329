"""Attempts in, state out: is an edge passing, failing, or failing now and then? Pure.

One attempt moves a history one step::

    passing --failure--> suspect --every further attempt fails--> failing
                            |  ^                                     |
       further attempts pass|  |another failure         all of them pass: passing
                            v  |                        some of them:     flapping
                         passing (watched)
                            '--the score reaches flapping_score--> flapping
                                                                     |
               passes in a row that say it is over: passing;  only failures: failing

What each rule is for:

- *Confirmation.* A first failure asks for ``attempts`` quick ones. All fail: failing. They
  may run beside each other, so that time-outs are not waited for one after another: with an
  attempt that takes ``d`` to fail, failing is known ``d + attempts * spacing`` after the
  first failure is.
- *Streak.* Failures and passes are counted from a first failure on, until passes outweigh it;
  `odds` has the tests that name and clear by these counts, and their odds. An edge that
  flapped begins its next streak at half the score: the second time it is named sooner.
- *Bursts.* Lost handshakes come together, which no test of independent ones expects: a streak
  is no flapping before it is ten seconds old, and a confirmation takes four.
- *Sampling.* While a streak is remembered the edge is sampled every ``sample_interval``. A
  single lost handshake costs about 85 attempts, so 0.1 % of lost handshakes add 8 % of load,
  within ``sample_budget``. An edge known to flap is sampled when it passes (is it over?) and
  seldom when it has just failed.
- *Never stuck.* Every state is left by passes alone and by failures alone, at the regular
  interval too. Inconclusive attempts are counted and change nothing.
"""

from __future__ import annotations

from typing import assert_never

from probe.model.failure import Failure
from probe.model.result import Failed, Inconclusive, Passed
from probe.model.state import CONFIRMED, Confirmation, EdgeStatus, Transition
from probe.state.history import Attempt, Decision, History, K, Neighbours, Tally, Urgency
from probe.state.odds import flaps, forgotten, further_failures, is_over, score

_KINDS = 6  # kinds of failure remembered of a bad streak
_FADE = 16  # failures after which old ones count half, so that a changed cause gets its name
_RATE_FADE = 32  # named failures after which rate and passes count half: it follows a change
_SLOWER = 10  # times the sample interval until a flapping edge that failed is tried again
_SETTLED = 10.0  # seconds until a streak can be flapping: losses of one moment come together
_NO_DECISION = Decision()


def advance(
    history: History, attempt: Attempt[K], policy: Confirmation, now: float, *, lull: bool = False
) -> tuple[History, Decision]:
    """Take one attempt into account.

    Args:
        history: what was known of the edge before; ``History()`` for a new one.
        attempt: its outcome and when it was.
        policy: the check's rules; they may change between two attempts.
        now: monotonic seconds, at the attempt's end; only its differences matter.
        lull: no flapping edge of the same provider fails any more.
    """
    match attempt.outcome:
        case Inconclusive():
            return history._replace(inconclusive=history.inconclusive + 1), _NO_DECISION
        case Passed():
            counted = _passed(history, attempt, policy)
            status = _after_pass(history, counted, policy, lull)
        case Failed(failure=failure):
            counted = _failed(history, attempt, failure, now)
            status = _after_failure(history, counted, policy, attempt.at)
        case _ as never:
            assert_never(never)
    if status is history.status:
        after, transition = counted, None
    else:
        after = _enter(counted, status, policy, now)
        transition = _transition(history, after, counted, attempt)
    again, beside = _further(history, after, policy, attempt.seconds, now)
    if beside:
        after = after._replace(quick_until=now + again[-1])
    neighbours = _neighbours(after, transition)
    if transition is None and not again and neighbours is Neighbours.NONE:
        return after, _NO_DECISION
    return after, Decision(transition, again, beside, _urgency(after, beside), neighbours)


def _passed(history: History, attempt: Attempt[K], policy: Confirmation) -> History:
    bad, good = history.bad, history.good + 1
    calm = history.status in (EdgeStatus.UNKNOWN, EdgeStatus.UNSEEN, EdgeStatus.PASSING)
    if not bad or (calm and forgotten(bad, good, policy)):
        bad = good = 0
    over = calm and not bad
    return history._replace(
        passed=history.passed + 1,
        bad=bad,
        good=good,
        passes=history.passes + 1,
        failures=0,
        row_at=history.row_at if history.passes else attempt.at,
        bad_at=None if over else history.bad_at,
        tallies=() if over else history.tallies,
    )


def _failed(history: History, attempt: Attempt[K], failure: Failure, now: float) -> History:
    bad, good = history.bad + 1, history.good
    if bad > _RATE_FADE and history.status in CONFIRMED:
        bad, good = bad // 2, good // 2
    return history._replace(
        failed=history.failed + 1,
        bad=bad,
        good=good,
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


def _after_pass(before: History, counted: History, policy: Confirmation, lull: bool) -> EdgeStatus:
    """The status that the attempts speak for."""
    match before.status:
        case EdgeStatus.UNKNOWN | EdgeStatus.UNSEEN | EdgeStatus.PASSING:
            return EdgeStatus.PASSING
        case EdgeStatus.SUSPECT:
            cleared = counted.passes >= policy.attempts and score(counted, policy) <= 1.0
            return EdgeStatus.PASSING if cleared else EdgeStatus.SUSPECT
        case EdgeStatus.FAILING:
            confirmed = counted.passes > policy.attempts
            return EdgeStatus.PASSING if confirmed else EdgeStatus.FAILING
        case EdgeStatus.FLAPPING:
            cleared = is_over(counted, policy, lull=lull)
            return EdgeStatus.PASSING if cleared else EdgeStatus.FLAPPING
        case _ as never:
            assert_never(never)


def _after_failure(
    before: History, counted: History, policy: Confirmation, at: float
) -> EdgeStatus:
    match before.status:
        case EdgeStatus.UNKNOWN | EdgeStatus.UNSEEN | EdgeStatus.PASSING | EdgeStatus.SUSPECT:
            if counted.failures > further_failures(counted, policy):
                return EdgeStatus.FAILING
            began = at if counted.bad_at is None else counted.bad_at
            if at - began >= _SETTLED and flaps(counted, policy):
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
    entered = counted._replace(status=status, since=counted.row_at, changed=now)
    match status:
        case EdgeStatus.PASSING:
            if counted.status not in CONFIRMED:
                return entered
            # Named and recovered: watched like after a single failure, or for longer where it
            # failed now and then, so that it is soon named again if that was a lull.
            half = int(policy.flapping_score / 2)
            bad = 1 if counted.status is EdgeStatus.FAILING else max(1, half)
            return entered._replace(bad=bad, good=policy.forgive_after, bad_at=None, tallies=())
        case EdgeStatus.SUSPECT:
            return entered
        case EdgeStatus.FAILING:
            return entered._replace(good=0)
        case EdgeStatus.FLAPPING:
            if counted.status is EdgeStatus.FAILING:  # its rate shows from here on
                entered = entered._replace(bad=1)
            return entered if counted.bad_at is None else entered._replace(since=counted.bad_at)
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
    before: History, after: History, policy: Confirmation, seconds: float, now: float
) -> tuple[tuple[float, ...], bool]:
    """Further attempts wanted on the same edge, and whether they may overlap."""
    suspected = after.status is EdgeStatus.SUSPECT and before.status is not EdgeStatus.SUSPECT
    recovering = after.status is EdgeStatus.FAILING and after.passes == 1
    if (suspected or recovering) and policy.attempts:
        count = further_failures(after, policy) if suspected else policy.attempts
        return tuple(policy.spacing * (i + 1) for i in range(count)), True
    if now < before.quick_until:
        return (), False
    recent = now - after.last_failure <= policy.sample_for
    match after.status:
        case EdgeStatus.UNKNOWN | EdgeStatus.UNSEEN:
            wanted = False
        case EdgeStatus.SUSPECT | EdgeStatus.PASSING:
            wanted = after.bad > 0 and recent
        case EdgeStatus.FAILING:
            wanted = after.passes > 0 and recent
        case EdgeStatus.FLAPPING:
            wanted = True
        case _ as never:
            assert_never(never)
    if not wanted:
        return (), False
    known = after.status is EdgeStatus.FLAPPING and now - after.changed > policy.sample_for
    if known and after.failures:
        return (_SLOWER * policy.sample_interval,), False
    # From start to start, but not without a pause.
    return (max(policy.sample_interval - seconds, policy.sample_interval / 2),), False


def _urgency(after: History, beside: bool) -> Urgency:
    if beside or after.status is EdgeStatus.FAILING:
        return Urgency.CONFIRM
    if after.status is EdgeStatus.FLAPPING and after.passes:
        return Urgency.NAMED
    return Urgency.SUSPECT if after.status is EdgeStatus.SUSPECT else Urgency.WATCH


def _neighbours(after: History, transition: Transition | None) -> Neighbours:
    """One other edge at the first failure; all of them at each further one until it is named."""
    if not after.failures or (after.status in CONFIRMED and transition is None):
        return Neighbours.NONE
    return Neighbours.ALL if after.bad > 1 else Neighbours.ONE
