"""All questions about one name: every family at once, one client region after the other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from ipaddress import ip_network

import trio

from probe.edges.answers import Holding
from probe.edges.asker import Asker, Servers
from probe.edges.question import Answer, Family, NoAnswer, Outcome, Question, Subnet
from probe.edges.verdict import Heard
from probe.model.failure import Failure, Phase, Reason
from probe.model.spec import DnsOptions

_LONGEST_CHAIN = 8
"""CNAMEs followed by asking again, beyond those that one message follows."""


@dataclass(frozen=True, slots=True)
class Inquiry:
    """How to ask about names for one provider.

    Attributes:
        asker: does the asking, and knows what is known.
        servers: whom to ask.
        ours: they are this host's own resolvers.
        options: families, client regions, time-out, floor and cap.
    """

    asker: Asker
    servers: Servers
    ours: bool
    options: DnsOptions

    @property
    def holding(self) -> Holding:
        """How long answers hold for this provider."""
        return Holding(self.options.ttl_floor, self.options.ttl_cap)

    async def about(self, name: str) -> list[Heard]:
        """Hear about a name for every family and client region."""
        questions = {family: self._questions(name, family) for family in self.options.families}
        heard: dict[Family, list[Heard]] = {}

        async def hear(family: Family) -> None:
            heard[family] = await self._regions(questions[family])

        if len(questions) == 1 or self._all_known(questions.values()):
            for family in questions:
                await hear(family)
        else:
            async with trio.open_nursery() as nursery:
                for family in questions:
                    nursery.start_soon(hear, family)
        return [one for family in questions for one in heard[family]]

    def left(self, heard: Iterable[Heard]) -> float:
        """Seconds until the first of these answers is worth asking for again."""
        known = [self._known(question) for one in heard for question in one.hops]
        return min(0.0 if one is None else one[1] for one in known)

    def _questions(self, name: str, family: Family) -> list[tuple[str, Question]]:
        regions = self.options.client_subnets
        if not regions:
            return [("", Question(name, family))]
        return [(region, Question(name, family, subnet(text))) for region, text in regions.items()]

    def _all_known(self, questions: Iterable[list[tuple[str, Question]]]) -> bool:
        return all(self._known(question) for asked in questions for _, question in asked)

    def _known(self, question: Question) -> tuple[Outcome, float] | None:
        return self.asker.known(self.servers, question, self.holding)

    async def _regions(self, questions: list[tuple[str, Question]]) -> list[Heard]:
        """One region after the other, since the scope of an answer may cover the next one too.

        Once nobody answered, the rest is asked at once, so that a dead server costs no more
        than twice the time-out however many regions there are.
        """
        heard: dict[str, Heard] = {}

        async def hear(region: str, question: Question) -> None:
            heard[region] = await self._hear(region, question)

        rest = list(questions)
        while rest:
            region, question = rest.pop(0)
            await hear(region, question)
            if isinstance(heard[region].outcome, NoAnswer):
                break
        if rest:
            async with trio.open_nursery() as nursery:
                for region, question in rest:
                    nursery.start_soon(hear, region, question)
        return [heard[region] for region, _ in questions]

    async def _hear(self, region: str, question: Question) -> Heard:
        """The outcome for a question, CNAMEs followed that the servers left to us."""
        hops = [question]
        outcome, seconds = await self._one(question)
        while isinstance(outcome, Answer) and (name := outcome.partial) is not None:
            if len(hops) > _LONGEST_CHAIN:
                detail = f"{question}: CNAMEs without end: {' -> '.join(outcome.cnames)}"
                outcome = NoAnswer(Failure(Phase.RESOLVE, Reason.MALFORMED, detail), alive=True)
                break
            hops.append(Question(name, question.family, question.subnet))
            further, more = await self._one(hops[-1])
            outcome = _joined(outcome, further)
            seconds = more if seconds is None else seconds + (more or 0.0)
        return Heard(region, tuple(hops), outcome, seconds)

    async def _one(self, question: Question) -> tuple[Outcome, float | None]:
        known = self._known(question)
        if known is not None:
            return known[0], None
        timeout = self.options.timeout
        outcome = await self.asker.ask(self.servers, question, timeout, ours=self.ours)
        return outcome, outcome.seconds


def _joined(first: Answer, further: Outcome) -> Outcome:
    """The answer for a canonical name, told as the answer for the name that led there."""
    if isinstance(further, NoAnswer):
        return further
    scopes = [scope for scope in (first.scope, further.scope) if scope is not None]
    return replace(
        further,
        cnames=(*first.cnames, *further.cnames),
        ttl=min(first.ttl, further.ttl),
        scope=max(scopes, default=None),
    )


@lru_cache(maxsize=1024)
def subnet(text: str) -> Subnet:
    """A prefix as written; bits beyond its length are dropped.

    Raises:
        ValueError: not a prefix (the configuration refuses such).
    """
    network = ip_network(text, strict=False)
    family: Family = 4 if network.version == 4 else 6
    return Subnet(family, int(network.network_address), network.prefixlen)
