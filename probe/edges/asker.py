"""Asks DNS no more than needed: what is known is not asked, what is being asked is shared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from math import ceil
from typing import TypeGuard

import trio

from probe.edges.answers import ROOT, DnsAnswer, DnsOutcome, DnsQuestion, NoAnswer, no_answer
from probe.edges.memory import AnswerCache
from probe.model.failure import Failure, Phase, Reason
from probe.model.records import RecordType
from probe.model.spec import DnsOptions, NameServer

AskServers = Callable[[Sequence[NameServer], DnsQuestion, float], Awaitable[DnsOutcome]]
"""Asks servers a question within seconds; never raises for their faults."""

Servers = tuple[NameServer, ...]

SILENT_AFTER = 8
"""Questions in a row without a sign of life after which servers are suspected to be silent."""

SILENT_FOR = 5.0
"""Seconds for which silent servers are asked nothing, before a control question tries again."""

MUTE_AFTER = 3
"""AAAA questions in a row without a sign of life after which servers are taken to drop them."""

MUTE_PATIENCE = 0.5
"""Seconds that an AAAA question may then take. Servers that drop them are common (RFC 4074), and
browsers wait for no longer than 0.05 s once A was answered (RFC 8305 section 3). A server that is
only slow goes on looking, and answers when it is asked the next time."""

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
    outcome: DnsOutcome | None = None


class _Line:
    """Everything about one list of servers; one that stays silent takes nothing from another."""

    def __init__(self, servers: Servers, pace: Pace) -> None:
        self.servers = servers
        self.labels = ", ".join(server.label for server in servers)
        self.slots = trio.CapacityLimiter(pace.concurrency)
        self.cache = AnswerCache()
        self.pending: dict[DnsQuestion, _Pending] = {}
        self.control_done: trio.Event | None = None  # set while control questions are out
        self.answered: DnsQuestion | None = None  # the latest that was answered
        self.last_sign = float("-inf")  # when a server last gave a sign of life
        self.unanswered = 0  # questions in a row without one
        self.unanswered_aaaa = 0  # AAAA questions alone
        self.silent_until: float | None = None
        self._reason = Reason.TIMEOUT
        self._gap = 1 / pace.rate
        self._burst = pace.concurrency * self._gap
        self._due = float("-inf")

    def take_turn(self, now: float) -> float:
        """Reserve the next packet's turn, so that the rate holds; return seconds to wait."""
        self._due = max(self._due, now - self._burst) + self._gap
        if self._due <= now:
            return 0.0
        return ceil(self._due / _TICK) * _TICK - now

    def heard(self, question: DnsQuestion, outcome: DnsOutcome, now: float) -> None:
        """Count signs of life and silence; a fault of our own is neither."""
        if isinstance(outcome, DnsAnswer) and question != ROOT:
            self.answered = question
        if not isinstance(outcome, NoAnswer) or outcome.alive:
            self.last_sign, self.unanswered, self.silent_until = now, 0, None
            if question.family == 6:
                self.unanswered_aaaa = 0
        elif outcome.failure.reason in _SILENCE:
            self.unanswered += 1
            self.unanswered_aaaa += question.family == 6
            self._reason = outcome.failure.reason

    def patience(self, question: DnsQuestion, timeout: float) -> float:
        """Choose the seconds for a question: few for AAAA where a server is likely to drop it.

        Not for a name that has no A, and hangs on its AAAA.
        """
        if question.family == 4:
            return timeout
        first = self.cache.latest(replace(question, family=4))
        if isinstance(first, DnsAnswer) and not first.addresses:
            return timeout
        before = self.cache.latest(question)
        dropped = isinstance(first, DnsAnswer) and before is not None and _is_silence(before)
        if dropped or self.unanswered_aaaa >= MUTE_AFTER:
            return min(timeout, MUTE_PATIENCE)
        return timeout

    def spared(self, question: DnsQuestion) -> NoAnswer:
        """Make the outcome of a question that is not sent to silent servers."""
        detail = (
            f"not asked, {self.labels} left {self.unanswered} questions in a row "
            "unanswered and control questions too"
        )
        return no_answer(question, self._reason, detail)


class Asker:
    """Caches, shares, bounds and paces questions, for each list of servers by itself."""

    def __init__(self, ask: AskServers, pace: Pace) -> None:
        """Ready; nothing is asked yet."""
        self._ask = ask
        self._pace = pace
        self._lines: dict[Servers, _Line] = {}
        self.asked: Counter[str] = Counter()

    def known(
        self, servers: Servers, question: DnsQuestion, options: DnsOptions
    ) -> tuple[DnsOutcome, float] | None:
        """Find an outcome that is known already, with the seconds it still holds."""
        line = self._lines.get(servers)
        return None if line is None else line.cache.find(question, trio.current_time(), options)

    async def ask(
        self, servers: Servers, question: DnsQuestion, timeout: float, *, ours: bool
    ) -> DnsOutcome:
        """Ask now, or wait for the same question that is under way.

        Args:
            servers: asked in this order.
            question: what to ask.
            timeout: seconds, counted from the first packet.
            ours: the servers are this host's own resolvers. When they are silent altogether
                it is the vantage that is ill, not the name.
        """
        line = self._lines.get(servers)
        if line is None:
            line = self._lines[servers] = _Line(servers, self._pace)
        while pending := line.pending.get(question):
            await pending.done.wait()
            if pending.outcome is not None:  # None: its asker was cancelled; take its place
                return pending.outcome
        pending = line.pending[question] = _Pending()
        try:
            begin = trio.current_time()
            outcome = await self._paced(line, question, timeout)
            if ours and _is_silence(outcome):
                silent = line.silent_until is not None
                if silent or not await self._alive_since(line, begin):
                    outcome = _vantage_ill(outcome)
            pending.outcome = outcome
        finally:
            del line.pending[question]
            pending.done.set()
        line.cache.store(question, outcome, trio.current_time())
        return outcome

    async def _paced(self, line: _Line, question: DnsQuestion, timeout: float) -> DnsOutcome:
        async with line.slots:
            if line.unanswered >= SILENT_AFTER and await self._is_silent(line):
                return line.spared(question)
            if delay := line.take_turn(trio.current_time()):
                await trio.sleep(delay)
            return await self._send(line, question, line.patience(question, timeout))

    async def _send(self, line: _Line, question: DnsQuestion, timeout: float) -> DnsOutcome:
        outcome = await self._ask(line.servers, question, timeout)
        line.heard(question, outcome, trio.current_time())
        self.asked[_label(outcome, question.record)] += 1
        return outcome

    async def _is_silent(self, line: _Line) -> bool:
        """Whether servers that left many questions unanswered are silent altogether.

        Many names may be at fault at once, and their neighbours must not suffer for it: only
        unanswered control questions count, and they count for a few seconds.
        """
        now = trio.current_time()
        if line.silent_until is None or now >= line.silent_until:
            if await self._alive_since(line, now):
                return False
            line.silent_until = trio.current_time() + SILENT_FOR
        return True

    async def _alive_since(self, line: _Line, begin: float) -> bool:
        """Whether servers gave a sign of life since a moment; asks for one if need be.

        They are asked for the root, to which every resolver says something, and for what they
        answered last, since a server in charge of some zones may drop everything else.
        """
        if line.control_done is not None:
            await line.control_done.wait()
        elif line.last_sign < begin:
            line.control_done = trio.Event()
            try:
                await self._ask_control(line)
            finally:
                line.control_done.set()
                line.control_done = None
        return line.last_sign >= begin

    async def _ask_control(self, line: _Line) -> None:
        async with trio.open_nursery() as nursery:

            async def ask(question: DnsQuestion) -> None:
                outcome = await self._send(line, question, _CONTROL_TIMEOUT)
                if not _is_silence(outcome):
                    nursery.cancel_scope.cancel()

            nursery.start_soon(ask, ROOT)
            if line.answered is not None:
                nursery.start_soon(ask, line.answered)

    def forget_before(self, at: float) -> None:
        """Drop what came before ``at``."""
        for servers, line in list(self._lines.items()):
            line.cache.forget_before(at)
            if not line.cache and not line.pending:
                del self._lines[servers]


def _is_silence(outcome: DnsOutcome) -> TypeGuard[NoAnswer]:
    return isinstance(outcome, NoAnswer) and outcome.failure.reason in _SILENCE


def _vantage_ill(silence: NoAnswer) -> NoAnswer:
    detail = f"{silence.failure.detail}; this host's resolvers are silent about the root too"
    return replace(silence, failure=Failure(Phase.RESOLVE, Reason.VANTAGE_ILL, detail))


def _label(outcome: DnsOutcome, record: RecordType | None) -> str:
    if isinstance(outcome, NoAnswer):
        return outcome.failure.reason
    if outcome.addresses or outcome.records:
        return "addresses" if outcome.addresses else "records"
    if record is not None and not outcome.nxdomain:
        return "no_records"
    return Reason.NXDOMAIN if outcome.nxdomain else Reason.NO_ADDRESSES
