"""Further attempts within a budget: what a check's edges ask for, and what they get. Pure.

Suspicion must not multiply the load just when much is broken. So all further attempts of a
check share a token bucket that fills at ``sample_budget`` a second, and no faster than the
check's regular attempts come: a total outage at most doubles the load. What matters less
leaves part of the bucket to what matters more, so that random losses of a large check cannot
use up what confirms a failure, nor what tells that it is over.

Edges that flap and pass share what there is evenly, so that they clear together: each is
sampled as often as the budget has tokens for all of them. When no flapping edge of a provider
fails any more (`lull`), two things become easier: an edge clears by less evidence of its own, and
the budget fills at ``sample_budget`` for a small check as well, as load does no harm then.

When a whole location is down, budget and patience would go into confirming the same thing a
thousand times. So once ``_DOWN`` attempts in a row at one address have failed, over all
targets and without a single pass, one further failure of an edge there is confirmation enough.

An attempt that is likely to hang as the last one did costs more than one token: confirming a
hundred hanging edges a little would name none of them soon, and hold the places that others need.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import assert_never

from probe.model.result import Failed, Inconclusive, Passed
from probe.model.state import Confirmation, EdgeStatus, Transition
from probe.model.target import EdgeKey, ProviderKey
from probe.state.confirmation import advance
from probe.state.history import Attempt, Decision, History, Neighbours, Urgency
from probe.state.odds import Lull

_BURST = 10.0
"""Seconds' worth of tokens that a full bucket holds."""

_LEAST_RATE = 4.0
"""Tokens a second that even the smallest check gets: two edges under suspicion."""

_LEAST_BURST = 40.0
"""Tokens that even the smallest check's full bucket holds: enough to name two edges."""

_DOWN = 20
"""Failures in a row at one address that no random loss explains."""

_SECONDS_PER_TOKEN = 3.0
"""An attempt costs a token for each such time it is likely to take, and one at least."""

_LULL_SHARE = 0.85
"""Of the even share that an edge waits in a lull, which uses the full bucket up as well."""


_LEAVES = {
    Urgency.CONFIRM: 0.0,
    Urgency.CLEAR: 0.2,
    Urgency.SUSPECT: 0.4,
    Urgency.NAMED: 0.6,
    Urgency.WATCH: 0.8,
}
"""Share of the bucket that an urgency leaves to higher ones."""


@dataclass(frozen=True, slots=True)
class ExtraAttempt:
    """A further attempt to plan.

    Attributes:
        after: seconds from now.
        beside: it may overlap other attempts of the key.
    """

    key: EdgeKey
    after: float = 0.0
    beside: bool = False


@dataclass(frozen=True, slots=True)
class Reaction:
    """What one attempt led to."""

    transition: Transition | None = None
    extra: tuple[ExtraAttempt, ...] = ()


_NOTHING = Reaction()


class Budget:
    """A token bucket in which what matters less leaves part to what matters more.

    Args:
        rate: tokens a second.
        burst: tokens in a full bucket; it starts full.
    """

    def __init__(self, rate: float, burst: float) -> None:
        self.rate = rate
        self.burst = burst
        self._tokens = burst
        self._filled: float | None = None

    def take(self, wanted: int, urgency: Urgency, now: float, cost: float = 1.0) -> int:
        """Grant as many of ``wanted`` attempts of ``cost`` tokens each as there are tokens for.

        ``now`` is monotonic seconds.
        """
        if self._filled is not None and now > self._filled:
            self._tokens = min(self.burst, self._tokens + (now - self._filled) * self.rate)
        self._filled = now
        free = self._tokens - _LEAVES[urgency] * self.burst
        granted = max(0, min(wanted, int(free / cost)))
        self._tokens -= granted * cost
        return granted

    def resize(self, rate: float, burst: float) -> None:
        """Change rate and size; tokens beyond the new size are lost."""
        self.rate = rate
        self.burst = burst
        self._tokens = min(self._tokens, burst)


class Confirmer:
    """The histories of one check's edges, and the budget that they share.

    Args:
        policy: the check's rules.
        interval: seconds between regular attempts on one edge.
    """

    def __init__(self, policy: Confirmation, interval: float) -> None:
        self.policy = policy
        self.interval = interval
        self._short = _shortened(policy)
        self._lull = Lull()
        self._in_lull = False
        self._rows: dict[tuple[str, str], tuple[int, float]] = {}  # failures in a row, since when
        self._histories: dict[EdgeKey, History] = {}
        self._siblings: dict[ProviderKey, list[EdgeKey]] = {}
        self._budget = Budget(_LEAST_RATE, _LEAST_BURST)
        self.refused = 0
        """Further attempts that the budget did not grant, for a metric."""

    @property
    def histories(self) -> Mapping[EdgeKey, History]:
        """Every known edge's history."""
        return self._histories

    def configure(self, policy: Confirmation, interval: float) -> None:
        """Change the rules; no history is lost."""
        self.policy = policy
        self.interval = interval
        self._short = _shortened(policy)
        self._resize()

    def add(self, keys: Iterable[EdgeKey]) -> None:
        """Make edges known; those already known keep their history."""
        for key in keys:
            if key not in self._histories:
                self._histories[key] = History()
                self._siblings.setdefault(key.through, []).append(key)
        self._resize()

    def remove(self, keys: Iterable[EdgeKey]) -> None:
        """Forget edges; unknown ones are no error."""
        for key in keys:
            if self._histories.pop(key, None) is None:
                continue
            siblings = self._siblings[key.through]
            siblings.remove(key)
            if not siblings:
                del self._siblings[key.through]
            self._lull.forget(key)
            self._rows.pop((key.provider, key.edge), None)  # counted anew if still down
        self._resize()

    def record(self, attempt: Attempt[EdgeKey], now: float) -> Reaction:
        """Take an attempt into account.

        Args:
            attempt: one result of one edge. An edge that was removed while the attempt was in
                flight changes nothing.
            now: monotonic seconds, at the attempt's end.
        """
        key = attempt.key
        history = self._histories.get(key)
        if history is None:
            return _NOTHING
        policy = self._short if self._down(attempt, now) else self.policy
        lull = self._lull.at(key.provider)
        after, decision = advance(history, attempt, policy, now, lull=lull)
        self._histories[key] = after
        if history.status is EdgeStatus.FLAPPING or after.status is EdgeStatus.FLAPPING:
            self._follow(key, history, after)
        if decision.transition is None and not decision.again and not decision.neighbours:
            return _NOTHING
        return Reaction(decision.transition, self._extra(key, decision, _cost(attempt), now))

    def _follow(self, key: EdgeKey, before: History, after: History) -> None:
        """Take note of an edge that is or was flapping; in a lull there is more to spend."""
        self._lull.follow(key, before, after)
        if self._lull.anywhere() is not self._in_lull:
            self._resize()

    def _down(self, attempt: Attempt[EdgeKey], now: float) -> bool:
        """Whether this is one of many failures at an address where nothing passes.

        And has not for as long as a confirmation takes: a moment's loss of a busy address is
        many failures.
        """
        address = attempt.key.provider, attempt.key.edge
        match attempt.outcome:
            case Passed():
                self._rows.pop(address, None)
                return False
            case Failed():
                row, since = self._rows.get(address, (0, now))
                self._rows[address] = row + 1, since
                return row >= _DOWN and now - since >= self.policy.attempts * self.policy.spacing
            case Inconclusive():
                return False
            case _ as never:
                assert_never(never)

    def _extra(
        self, key: EdgeKey, decision: Decision, cost: float, now: float
    ) -> tuple[ExtraAttempt, ...]:
        again, urgency = decision.again, decision.urgency
        if urgency is Urgency.NAMED and again and self._budget.rate:
            share = len(self._lull.passing) / self._budget.rate
            if self._lull.at(key.provider):
                urgency, share = Urgency.CLEAR, share * _LULL_SHARE
            again = (max(again[0], share),)
        granted = self._grant(len(again), urgency, cost, now)
        if granted and not decision.beside:  # what passes or fails before asks for no other
            history = self._histories[key]
            self._histories[key] = history._replace(quick_until=now + again[0])
        same = tuple(ExtraAttempt(key, after, decision.beside) for after in again[:granted])
        match decision.neighbours:
            case Neighbours.NONE:
                return same
            case Neighbours.ONE:
                others, urgency = self.neighbours(key)[:1], Urgency.CONFIRM
            case Neighbours.ALL:
                others, urgency = self.neighbours(key), Urgency.SUSPECT
            case _ as never:
                assert_never(never)
        # One that has an attempt coming is left alone: a plan holds one sample of an edge.
        others = tuple(one for one in others if self._histories[one].quick_until <= now)
        granted = self._grant(len(others), urgency, cost, now)
        return same + tuple(ExtraAttempt(other) for other in others[:granted])

    def _grant(self, wanted: int, urgency: Urgency, cost: float, now: float) -> int:
        granted = self._budget.take(wanted, urgency, now, cost)
        self.refused += wanted - granted
        return granted

    def neighbours(self, key: EdgeKey) -> tuple[EdgeKey, ...]:
        """List other edges and clients of the same target and provider, the most telling first.

        First other edges under the same client, then the rest; those not yet in doubt before
        those that are. Each edge starts from its own place in the order, so that the edges of
        a target do not all ask the same neighbour.
        """
        known = self._siblings.get(key.through, [])
        if key not in known:
            return ()
        place = known.index(key)
        others = known[place + 1 :] + known[:place]

        def rank(other: EdgeKey) -> tuple[bool, bool]:
            return self._histories[other].status is not EdgeStatus.PASSING, (
                other.client != key.client or other.edge == key.edge
            )

        return tuple(sorted(others, key=rank))

    def _resize(self) -> None:
        regular = len(self._histories) / self.interval
        most = self.policy.sample_budget
        self._in_lull = self._lull.anywhere()
        rate = most if self._in_lull else min(max(_LEAST_RATE, regular), most)
        self._budget.resize(rate, max(_LEAST_BURST, _BURST * rate) if rate else 0.0)


def _shortened(policy: Confirmation) -> Confirmation:
    """The rules at an address that is down."""
    return replace(policy, attempts=min(policy.attempts, 1))


def _cost(attempt: Attempt[EdgeKey]) -> float:
    """Tokens for each attempt that follows one like this."""
    return max(1.0, attempt.seconds / _SECONDS_PER_TOKEN)
