"""Asks DNS no more than needed: what is known is not asked, what is being asked is shared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from math import ceil
from typing import TypeGuard

import trio

from probe.edges.answers import AnswerCache, Holding
from probe.edges.question import ROOT, NoAnswer, Outcome, Question, server_label
from probe.model.failure import Failure, Phase, Reason
from probe.model.spec import NameServer

Ask = Callable[[Sequence[NameServer], Question, float], Awaitable[Outcome]]
"""Asks servers a question within seconds; never raises for their faults."""

Servers = tuple[NameServer, ...]

SILENT_AFTER = 8
"""Questions in a row without a sign of life after which servers count as silent."""

_CONTROL_TIMEOUT = 2.0
_TICK = 0.02  # seconds: paced questions leave in small groups, which wakes the loop less often
_SILENCE = {Reason.TIMEOUT, Reason.UNREACHABLE}


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast questions go to one list of servers.

    Attributes:
        concurrency: most questions under way.
        rate: most questions a second, after a first burst of ``concurrency``.
    """

    concurrency: int = 32
    rate: float = 500.0


@dataclass(slots=True)
class _Pending:
    """A question under way; whoever asks the same waits for it."""

    done: trio.Event = field(default_factory=trio.Event)
    outcome: Outcome | None = None


class _Line:
    """Everything about one list of servers; one that stays silent takes nothing from another."""

    def __init__(self, servers: Servers, pace: Pace) -> None:
        self.labels = ", ".join(map(server_label, servers))
        self.slots = trio.CapacityLimiter(pace.concurrency)
        self.cache = AnswerCache()
        self.pending: dict[Question, _Pending] = {}
        self.last_sign = float("-inf")  # when a server last gave a sign of life
        self.unanswered = 0  # questions in a row without one
        self._reason = Reason.TIMEOUT
        self._gap = 1 / pace.rate
        self._burst = pace.concurrency * self._gap
        self._due = float("-inf")

    @property
    def silent(self) -> bool:
        return self.unanswered >= SILENT_AFTER

    def take_turn(self, now: float) -> float:
        """Seconds to wait before the next packet, so that the rate holds."""
        self._due = max(self._due, now - self._burst) + self._gap
        if self._due <= now:
            return 0.0
        return ceil(self._due / _TICK) * _TICK - now

    def heard(self, outcome: Outcome, now: float) -> None:
        """Keep count of signs of life; a fault of our own is neither that nor silence."""
        if not isinstance(outcome, NoAnswer) or outcome.alive:
            self.last_sign, self.unanswered = now, 0
        elif outcome.failure.reason in _SILENCE:
            self.unanswered += 1
            self._reason = outcome.failure.reason

    def spared(self, question: Question, mine: int) -> NoAnswer | None:
        """The verdict without asking, while the servers are silent and somebody else tries.

        One question at a time still goes out, so that their return is noticed.
        """
        if not self.silent or self.slots.borrowed_tokens <= mine:
            return None
        detail = f"{question}: not asked, {self.labels} left {self.unanswered} unanswered in a row"
        return NoAnswer(Failure(Phase.RESOLVE, self._reason, detail))


class Asker:
    """Caches, shares, bounds and paces questions, for each list of servers by itself."""

    def __init__(self, ask: Ask, pace: Pace) -> None:
        """Ready; nothing is asked yet."""
        self._ask = ask
        self._pace = pace
        self._lines: dict[Servers, _Line] = {}
        self.asked: Counter[str] = Counter()
        self.shared = 0

    def known(
        self, servers: Servers, question: Question, holding: Holding
    ) -> tuple[Outcome, float] | None:
        """What is known already, with the seconds it still holds."""
        line = self._lines.get(servers)
        return None if line is None else line.cache.find(question, trio.current_time(), holding)

    async def ask(
        self, servers: Servers, question: Question, timeout: float, *, ours: bool
    ) -> Outcome:
        """Ask now, or wait for the same question that is under way.

        Args:
            servers: whom to ask.
            question: what to ask.
            timeout: seconds, counted from the first packet.
            ours: the servers are this host's own resolvers. When they are silent altogether
                it is the vantage that is ill, not the name.
        """
        line = self._lines.setdefault(servers, _Line(servers, self._pace))
        while pending := line.pending.get(question):
            await pending.done.wait()
            if pending.outcome is not None:  # None: its asker was cancelled; take its place
                self.shared += 1
                return pending.outcome
        pending = line.pending[question] = _Pending()
        try:
            begin = trio.current_time()
            outcome = await self._paced(line, servers, question, timeout)
            if ours and _is_silence(outcome) and line.last_sign < begin:
                outcome = await self._control(servers, outcome)
            pending.outcome = outcome
        finally:
            del line.pending[question]
            pending.done.set()
        line.cache.store(question, outcome, trio.current_time())
        return outcome

    async def _paced(
        self, line: _Line, servers: Servers, question: Question, timeout: float
    ) -> Outcome:
        if spared := line.spared(question, mine=0):
            return spared
        async with line.slots:
            if spared := line.spared(question, mine=1):
                return spared
            if delay := line.take_turn(trio.current_time()):
                await trio.sleep(delay)
            outcome = await self._ask(servers, question, timeout)
        line.heard(outcome, trio.current_time())
        self.asked[_label(outcome)] += 1
        return outcome

    async def _control(self, servers: Servers, silence: NoAnswer) -> NoAnswer:
        """Nobody answered for this name: would they for the root, which every resolver knows?"""
        control = await self.ask(servers, ROOT, _CONTROL_TIMEOUT, ours=False)
        if not _is_silence(control):
            return silence
        detail = f"{silence.failure.detail}; this host's resolvers are silent about the root too"
        return replace(silence, failure=Failure(Phase.RESOLVE, Reason.VANTAGE_ILL, detail))

    def forget_before(self, at: float) -> None:
        """Drop what came before ``at``."""
        for servers, line in list(self._lines.items()):
            line.cache.forget_before(at)
            if not line.cache and not line.pending:
                del self._lines[servers]

    def under_way(self) -> tuple[int, int]:
        """Questions under way, and questions waiting for their turn."""
        states = [line.slots.statistics() for line in self._lines.values()]
        return (
            sum(state.borrowed_tokens for state in states),
            sum(state.tasks_waiting for state in states),
        )

    def silent(self) -> tuple[str, ...]:
        """Lists of servers that left several questions in a row unanswered."""
        return tuple(line.labels for line in self._lines.values() if line.silent)


def _is_silence(outcome: Outcome) -> TypeGuard[NoAnswer]:
    return isinstance(outcome, NoAnswer) and outcome.failure.reason in _SILENCE


def _label(outcome: Outcome) -> str:
    if isinstance(outcome, NoAnswer):
        return outcome.failure.reason
    if outcome.addresses:
        return "addresses"
    return Reason.NXDOMAIN if outcome.nxdomain else Reason.NO_ADDRESSES
