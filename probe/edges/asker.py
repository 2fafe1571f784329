"""Asks DNS no more than needed: what is known is not asked, what is being asked is shared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import trio

from probe.edges.memory import AnswerCache
from probe.edges.question import NoAnswer, Outcome, Question
from probe.model.failure import Reason
from probe.model.spec import DnsOptions, NameServer

Ask = Callable[[Sequence[NameServer], Question, float], Awaitable[Outcome]]
"""Asks servers a question within seconds; never raises for their faults."""

Servers = tuple[NameServer, ...]


@dataclass(slots=True)
class _Pending:
    """A question under way; whoever asks the same waits for it."""

    done: trio.Event = field(default_factory=trio.Event)
    outcome: Outcome | None = None


@dataclass(slots=True)
class _Counter:
    """What goes over the counter of one list of servers."""

    slots: trio.CapacityLimiter
    cache: AnswerCache = field(default_factory=AnswerCache)
    pending: dict[Question, _Pending] = field(default_factory=dict)


class Asker:
    """Caches, shares and bounds questions, for each list of servers by itself.

    One list that stays silent therefore takes no slot from another.
    """

    def __init__(self, ask: Ask, concurrency: int) -> None:
        """Ready; nothing is asked yet.

        Args:
            ask: does the asking.
            concurrency: most questions under way at one list of servers.
        """
        self._ask = ask
        self._concurrency = concurrency
        self._counters: dict[Servers, _Counter] = {}
        self.asked: Counter[str] = Counter()
        self.shared = 0
        self.cached = 0

    def known(
        self, servers: Servers, question: Question, options: DnsOptions, now: float
    ) -> tuple[Outcome, float] | None:
        """What is known already, with the seconds it still holds."""
        counter = self._counters.get(servers)
        if counter is None:
            return None
        found = counter.cache.find(question, now, options.ttl_floor, options.ttl_cap)
        self.cached += found is not None
        return found

    async def ask(self, servers: Servers, question: Question, timeout: float) -> Outcome:
        """Ask now, or wait for the same question that is under way."""
        counter = self._counters.get(servers)
        if counter is None:
            counter = _Counter(trio.CapacityLimiter(self._concurrency))
            self._counters[servers] = counter
        while pending := counter.pending.get(question):
            await pending.done.wait()
            if pending.outcome is not None:  # None: its asker was cancelled; take its place
                self.shared += 1
                return pending.outcome
        return await self._ask_first(counter, servers, question, timeout)

    async def _ask_first(
        self, counter: _Counter, servers: Servers, question: Question, timeout: float
    ) -> Outcome:
        pending = counter.pending[question] = _Pending()
        try:
            async with counter.slots:
                pending.outcome = await self._ask(servers, question, timeout)
        finally:
            del counter.pending[question]
            pending.done.set()
        counter.cache.store(question, pending.outcome, trio.current_time())
        self.asked[_label(pending.outcome)] += 1
        return pending.outcome

    def forget_before(self, at: float) -> None:
        """Drop what came before ``at``."""
        for servers, counter in list(self._counters.items()):
            counter.cache.forget_before(at)
            if not len(counter.cache) and not counter.pending:
                del self._counters[servers]


def _label(outcome: Outcome) -> str:
    if isinstance(outcome, NoAnswer):
        return outcome.failure.reason
    if outcome.addresses:
        return "addresses"
    return Reason.NXDOMAIN if outcome.nxdomain else Reason.NO_ADDRESSES
