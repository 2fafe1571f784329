"""All questions about one name, and what the answers amount to.

Every family is asked at once, one client region after the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from ipaddress import ip_network

import trio

from probe.edges.answers import DnsAnswer, DnsOutcome, DnsQuestion, NoAnswer, no_answer
from probe.edges.asker import Asker, Servers
from probe.edges.message import IpVersion, Subnet
from probe.model.failure import Failure, Phase, Reason
from probe.model.records import RecordType
from probe.model.spec import DnsOptions

_LONGEST_CHAIN = 8
"""CNAMEs followed by asking again, beyond those that one message follows."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What was heard about a name for one family and client region.

    Attributes:
        region: clients it was asked for; empty for ourselves.
        hops: the question, then those for canonical names that its answer left open.
        seconds: that the servers took; None when everything was known already.
    """

    region: str
    hops: tuple[DnsQuestion, ...]
    outcome: DnsOutcome
    seconds: float | None

    @property
    def question(self) -> DnsQuestion:
        """The question for the name itself."""
        return self.hops[0]

    @property
    def subnet_ignored(self) -> bool:
        """The server answered and did not look at the client subnet (RFC 7871)."""
        outcome = self.outcome
        asked_for_others = self.question.subnet is not None
        return asked_for_others and isinstance(outcome, DnsAnswer) and outcome.scope is None


_Found = dict[tuple[str, IpVersion], Heard]


@dataclass(frozen=True, slots=True)
class Inquiry:
    """How to ask about names for one provider.

    Attributes:
        asker: does the asking, and knows what is known.
        servers: asked in this order.
        ours: they are this host's own resolvers.
        options: families, client regions, time-out, floor and cap.
    """

    asker: Asker
    servers: Servers
    ours: bool
    options: DnsOptions

    async def about(self, name: str) -> list[Heard]:
        """Ask about a name for every family and client region."""
        asked = [self._questions(name, family) for family in self.options.families]
        found: _Found = {}
        if len(asked) == 1 or all(self._known(one) for each in asked for _, one in each):
            for questions in asked:
                await self._hear_all(questions, found)
        else:
            async with trio.open_nursery() as nursery:
                for questions in asked:
                    nursery.start_soon(self._hear_all, questions, found)
        return [found[region, one.family] for questions in asked for region, one in questions]

    async def records(self, name: str, record: RecordType, *, everywhere: bool) -> list[Heard]:
        """Ask about a name for records, ``everywhere`` for each client region."""
        asked = self._questions(name, 4) if everywhere else [("", DnsQuestion(name, 4))]
        asked = [(region, replace(question, record=record)) for region, question in asked]
        found: _Found = {}
        await self._hear_all(asked, found)
        return [found[region, one.family] for region, one in asked]

    def left(self, heard: Iterable[Heard]) -> float:
        """Compute the seconds until the first of these answers is worth asking for again."""
        known = [self._known(question) for one in heard for question in one.hops]
        return min(0.0 if one is None else one[1] for one in known)

    def _questions(self, name: str, family: IpVersion) -> list[tuple[str, DnsQuestion]]:
        regions = self.options.client_subnets
        if not regions:
            return [("", DnsQuestion(name, family))]
        return [
            (region, DnsQuestion(name, family, _subnet(text))) for region, text in regions.items()
        ]

    def _known(self, question: DnsQuestion) -> tuple[DnsOutcome, float] | None:
        return self.asker.known(self.servers, question, self.options)

    async def _hear_all(self, questions: Sequence[tuple[str, DnsQuestion]], found: _Found) -> None:
        """One region after the other, since the scope of an answer may cover the next one too.

        Once nobody answered, the rest is asked at once, so that a dead server costs no more
        than twice the time-out however many regions there are.
        """
        done = 0
        for region, question in questions:
            await self._hear(region, question, found)
            done += 1
            if isinstance(found[region, question.family].outcome, NoAnswer):
                break
        if done == len(questions):
            return
        async with trio.open_nursery() as nursery:
            for region, question in questions[done:]:
                nursery.start_soon(self._hear, region, question, found)

    async def _hear(self, region: str, question: DnsQuestion, found: _Found) -> None:
        """The outcome for a question, CNAMEs followed that the servers left to us."""
        hops = [question]
        outcome, seconds = await self._one(question)
        while isinstance(outcome, DnsAnswer) and (name := outcome.partial) is not None:
            if len(hops) > _LONGEST_CHAIN:
                detail = f"CNAMEs without end: {' -> '.join(outcome.cnames)}"
                outcome = no_answer(question, Reason.MALFORMED, detail)
                break
            hops.append(replace(question, name=name))
            further, more = await self._one(hops[-1])
            outcome = _joined(outcome, further)
            seconds = more if seconds is None else seconds + (more or 0.0)
        found[region, question.family] = Heard(region, tuple(hops), outcome, seconds)

    async def _one(self, question: DnsQuestion) -> tuple[DnsOutcome, float | None]:
        known = self._known(question)
        if known is not None:
            return known[0], None
        timeout = self.options.timeout
        outcome = await self.asker.ask(self.servers, question, timeout, ours=self.ours)
        return outcome, outcome.seconds


def _joined(first: DnsAnswer, further: DnsOutcome) -> DnsOutcome:
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
def _subnet(text: str) -> Subnet:
    """A prefix as written; the configuration refuses what is none."""
    return ip_network(text, strict=False)


# ---------------------------------------------------------------- what was heard amounts to


def failure_of(heard: Sequence[Heard]) -> Failure | None:
    """Judge whether DNS itself fails: clients of at least one region get no address.

    With several regions the first failing one gives the reason and the detail names all.
    """
    failing: dict[str, Failure] = {}
    for region in dict.fromkeys(one.region for one in heard):
        failure = _of_one_region([one for one in heard if one.region == region])
        if failure is not None:
            failing[region] = failure
    if not failing:
        return None
    first = next(iter(failing.values()))
    regions = ", ".join(region for region in failing if region)
    if not regions:
        return first
    return Failure(first.phase, first.reason, f"for clients in {regions}: {first.detail}")


def _of_one_region(heard: Sequence[Heard]) -> Failure | None:
    """A family that nobody answers for is a failure, with one exception.

    Servers that choke on AAAA while A works are common (RFC 4074), and clients cope: that is a
    note. The other way round every client without IPv6 is cut off.
    """
    answers = [one.outcome for one in heard if isinstance(one.outcome, DnsAnswer)]
    named = any(answer.addresses for answer in answers)
    for one in heard:
        if isinstance(one.outcome, NoAnswer) and not (named and one.question.family == 6):
            return one.outcome.failure
    return None if named else _empty(heard[0].question, answers)


def _empty(question: DnsQuestion, answers: Sequence[DnsAnswer]) -> Failure:
    """No family has an address; RFC 8020: a name that does not exist has no records at all."""
    last = answers[0]
    name = " -> ".join((question.name, *last.cnames))
    if all(answer.nxdomain for answer in answers):
        return Failure(Phase.RESOLVE, Reason.NXDOMAIN, f"{name} does not exist, says {last.server}")
    detail = f"{name} has neither A nor AAAA, says {last.server}"
    return Failure(Phase.RESOLVE, Reason.NO_ADDRESSES, detail)


def notes_of(heard: Sequence[Heard]) -> tuple[str, ...]:
    """Collect notes: ignored client subnets, and families for which nobody answered."""
    notes: dict[str, None] = {}
    for one in heard:
        if one.subnet_ignored and isinstance(one.outcome, DnsAnswer):
            notes[
                f"{one.outcome.server} ignores the client subnet: "
                "these are the edges of its own region"
            ] = None
        elif isinstance(one.outcome, NoAnswer):
            notes[f"no answer to {one.outcome.failure.detail}"] = None
    return tuple(notes)


def unsearched(failure: Failure | None, name: str, search: Sequence[str]) -> Failure | None:
    """Add to the failure of a missing name what search domains had to do with it."""
    if failure is None or not search:
        return failure
    where = f"the search domains {', '.join(search)}"
    more = f"names with a dot are not tried in {where}" if "." in name else f"nor is it in {where}"
    return Failure(failure.phase, failure.reason, f"{failure.detail}; {more}")
