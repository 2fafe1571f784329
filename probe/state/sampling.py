"""Further attempts within a budget: what a check's edges ask for, and what they get. Pure.

Suspicion must not multiply the load just when much is broken. So all further attempts of a
check share a token bucket that fills at ``sample_budget`` a second, and no faster than the
check's regular attempts come: a total outage at most doubles the load. What matters less
leaves part of the bucket to what matters more, so that random losses of a large check cannot
use up what confirms a failure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import assert_never

from probe.model.spec import Confirmation
from probe.model.state import EdgeStatus, Transition
from probe.model.target import EdgeKey, ProviderKey
from probe.state.confirmation import advance
from probe.state.history import Attempt, Decision, History, Neighbours, Urgency

_BURST = 10.0
"""Seconds' worth of tokens that a full bucket holds."""

_LEAST_RATE = 2.0
"""Tokens a second that even the smallest check gets: two edges under suspicion."""

_LEAST_BURST = 40.0
"""Tokens that even the smallest check's full bucket holds: enough to name two edges."""

_LEAVES = {
    Urgency.CONFIRM: 0.0,
    Urgency.SUSPECT: 0.25,
    Urgency.WATCH: 0.5,
    Urgency.NAMED: 0.75,
}
"""Share of the bucket that an urgency leaves to higher ones."""


class Budget:
    """A token bucket with levels.

    Args:
        rate: tokens a second.
        burst: tokens in a full bucket; it starts full.
    """

    def __init__(self, rate: float, burst: float) -> None:
        self.rate = rate
        self.burst = burst
        self._tokens = burst
        self._filled: float | None = None

    def take(self, wanted: int, urgency: Urgency, now: float) -> int:
        """How many of ``wanted`` tokens are granted at ``now`` (monotonic seconds)."""
        if self._filled is not None and now > self._filled:
            self._tokens = min(self.burst, self._tokens + (now - self._filled) * self.rate)
        self._filled = now
        free = self._tokens - _LEAVES[urgency] * self.burst
        granted = max(0, min(wanted, int(free)))
        self._tokens -= granted
        return granted

    def resize(self, rate: float, burst: float) -> None:
        """Change rate and size; tokens beyond the new size are lost."""
        self.rate = rate
        self.burst = burst
        self._tokens = min(self._tokens, burst)


@dataclass(frozen=True, slots=True)
class Request:
    """A further attempt to plan.

    Attributes:
        after: seconds from now.
        beside: it may overlap other attempts of the key.
    """

    key: EdgeKey
    after: float = 0.0
    beside: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """What one attempt led to."""

    transition: Transition | None = None
    requests: tuple[Request, ...] = ()


_NOTHING = Step()


class Confirmer:
    """The histories of one check's edges, and the budget that they share.

    Args:
        policy: the check's rules.
        interval: seconds between regular attempts on one edge.
    """

    def __init__(self, policy: Confirmation, interval: float) -> None:
        self.policy = policy
        self.interval = interval
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
        self._resize()

    def record(self, attempt: Attempt[EdgeKey], now: float) -> Step:
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
        self._histories[key], decision = advance(history, attempt, self.policy, now)
        if decision.transition is None and not decision.again and not decision.neighbours:
            return _NOTHING
        return Step(decision.transition, self._requests(key, decision, now))

    def _requests(self, key: EdgeKey, decision: Decision, now: float) -> tuple[Request, ...]:
        granted = self._grant(len(decision.again), decision.urgency, now)
        same = tuple(Request(key, after, decision.beside) for after in decision.again[:granted])
        match decision.neighbours:
            case Neighbours.NONE:
                return same
            case Neighbours.ONE:
                others, urgency = self.neighbours(key)[:1], Urgency.CONFIRM
            case Neighbours.ALL:
                others, urgency = self.neighbours(key), Urgency.SUSPECT
            case _ as never:
                assert_never(never)
        granted = self._grant(len(others), urgency, now)
        return same + tuple(Request(other) for other in others[:granted])

    def _grant(self, wanted: int, urgency: Urgency, now: float) -> int:
        granted = self._budget.take(wanted, urgency, now)
        self.refused += wanted - granted
        return granted

    def neighbours(self, key: EdgeKey) -> tuple[EdgeKey, ...]:
        """Other edges and clients of the same target and provider, the most telling first.

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
        rate = min(max(_LEAST_RATE, regular), self.policy.sample_budget)
        self._budget.resize(rate, max(_LEAST_BURST, _BURST * rate) if rate else 0.0)
