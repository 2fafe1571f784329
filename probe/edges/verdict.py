"""What the answers to all questions about one name amount to. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from probe.edges.question import Answer, NoAnswer, Outcome, Question
from probe.model.failure import Failure, Phase, Reason


@dataclass(frozen=True, slots=True)
class Heard:
    """What was heard about a name for one family and client region.

    Attributes:
        region: clients it was asked for; empty for ourselves.
        hops: the question, then those for canonical names that its answer left open.
        seconds: that the servers took; None when everything was known already.
    """

    region: str
    hops: tuple[Question, ...]
    outcome: Outcome
    seconds: float | None

    @property
    def question(self) -> Question:
        """The question for the name itself."""
        return self.hops[0]

    @property
    def subnet_ignored(self) -> bool:
        """The server answered and did not look at the client subnet (RFC 7871)."""
        outcome = self.outcome
        asked_for_others = self.question.subnet is not None
        return asked_for_others and isinstance(outcome, Answer) and outcome.scope is None


def failure_of(heard: Sequence[Heard]) -> Failure | None:
    """DNS's own failure, if any: clients of at least one region get no address.

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
    answers = [one.outcome for one in heard if isinstance(one.outcome, Answer)]
    named = any(answer.addresses for answer in answers)
    for one in heard:
        if isinstance(one.outcome, NoAnswer) and not (named and one.question.family == 6):
            return one.outcome.failure
    return None if named else _empty(heard[0].question, answers)


def _empty(question: Question, answers: Sequence[Answer]) -> Failure:
    """No family has an address; RFC 8020: a name that does not exist has no records at all."""
    last = answers[0]
    name = " -> ".join((question.name, *last.cnames))
    if all(answer.nxdomain for answer in answers):
        return Failure(Phase.RESOLVE, Reason.NXDOMAIN, f"{name} does not exist, says {last.server}")
    detail = f"{name} has neither A nor AAAA, says {last.server}"
    return Failure(Phase.RESOLVE, Reason.NO_ADDRESSES, detail)


def notes_of(heard: Sequence[Heard]) -> tuple[str, ...]:
    """Evidence beside the verdict: ignored client subnets, families nobody answered for."""
    notes: dict[str, None] = {}
    for one in heard:
        if one.subnet_ignored and isinstance(one.outcome, Answer):
            notes[
                f"{one.outcome.server} ignores the client subnet: "
                "these are the edges of its own region"
            ] = None
        elif isinstance(one.outcome, NoAnswer):
            notes[f"no answer to {one.outcome.failure.detail}"] = None
    return tuple(notes)


def unsearched(failure: Failure | None, name: str, search: Sequence[str]) -> Failure | None:
    """The failure of a name that is not there, with what search domains had to do with it."""
    if failure is None or not search:
        return failure
    where = f"the search domains {', '.join(search)}"
    more = f"names with a dot are not tried in {where}" if "." in name else f"nor is it in {where}"
    return Failure(failure.phase, failure.reason, f"{failure.detail}; {more}")
