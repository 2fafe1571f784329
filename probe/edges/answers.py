"""Answers of DNS, and for whom and how long each holds. Pure: time is an argument, in seconds."""

from __future__ import annotations

from dataclasses import dataclass, replace

from probe.edges.question import Answer, Family, Outcome, Question, Subnet

NEGATIVE_CAP = 30.0
"""Seconds a negative answer is kept at most, so that a repaired name is seen soon."""


@dataclass(frozen=True, slots=True)
class Holding:
    """How long answers are held at least and at most, in seconds."""

    floor: float
    cap: float


def lifetime(outcome: Outcome, holding: Holding, *, other_family: bool = False) -> float:
    """Seconds until asking again is worthwhile.

    Addresses hold for their TTL, a negative answer for its SOA minimum (RFC 2308) but not
    longer than ``NEGATIVE_CAP``; when nobody answered it is the floor. The floor always wins.

    Args:
        outcome: what came.
        holding: floor and cap.
        other_family: the name has addresses of the other family. It works, so there is no
            repair to be seen soon, and the lack of AAAA alone is not asked for so often.
    """
    if not isinstance(outcome, Answer):
        return holding.floor
    cap = holding.cap
    if not outcome.addresses and not other_family:
        cap = min(cap, NEGATIVE_CAP)
    return max(min(outcome.ttl, cap), holding.floor)


def valid_for(question: Question, outcome: Outcome) -> Subnet | None:
    """The widest client network for which the outcome holds; None means every client.

    A scope shorter than what was asked widens it; a longer one does not narrow it, since the
    question named no longer prefix. Without the option, the server did not look at the
    subnet at all, so its answer is the same for every client (RFC 7871 section 7.3).
    """
    subnet = question.subnet
    if subnet is None or not isinstance(outcome, Answer):
        return subnet
    if outcome.scope is None:
        return None
    return subnet.shortened(min(outcome.scope, subnet.length))


@dataclass(frozen=True, slots=True)
class Remembered:
    """An outcome with the time it came; ``network`` is what ``valid_for`` gave."""

    outcome: Outcome
    at: float
    network: Subnet | None


class AnswerCache:
    """Outcomes per name and family, each with the client network it holds for."""

    def __init__(self) -> None:
        self._by_name: dict[tuple[str, Family, bool], list[Remembered]] = {}

    def store(self, question: Question, outcome: Outcome, now: float) -> Remembered:
        """Remember an outcome; it replaces older ones for the same or a smaller network."""
        new = Remembered(outcome, now, valid_for(question, outcome))
        key = _key(question)
        kept = [old for old in self._by_name.get(key, ()) if not _within(old.network, new.network)]
        self._by_name[key] = [*kept, new]
        return new

    def find(
        self, question: Question, now: float, holding: Holding
    ) -> tuple[Outcome, float] | None:
        """A fresh outcome that holds for the question, with the seconds it has left."""
        for old in self._by_name.get(_key(question), ()):
            if not _within(question.subnet, old.network):
                continue
            other = self._other_family_works(question)
            left = old.at + lifetime(old.outcome, holding, other_family=other) - now
            if left > 0:
                return old.outcome, left
        return None

    def latest(self, question: Question) -> Outcome | None:
        """The latest outcome that speaks of the question, fresh or not."""
        known = reversed(self._by_name.get(_key(question), []))
        return next((one.outcome for one in known if _within(question.subnet, one.network)), None)

    def _other_family_works(self, question: Question) -> bool:
        other = replace(question, family=6 if question.family == 4 else 4)
        return any(
            isinstance(known.outcome, Answer) and known.outcome.addresses
            for known in self._by_name.get(_key(other), ())
        )

    def forget_before(self, at: float) -> None:
        """Drop outcomes that came before ``at``."""
        for key, known in list(self._by_name.items()):
            kept = [one for one in known if one.at >= at]
            if kept:
                self._by_name[key] = kept
            else:
                del self._by_name[key]

    def __len__(self) -> int:
        return sum(len(known) for known in self._by_name.values())


def _key(question: Question) -> tuple[str, Family, bool]:
    """What is asked for ourselves and what is asked for others never answer each other."""
    return question.name, question.family, question.subnet is None


def _within(inner: Subnet | None, outer: Subnet | None) -> bool:
    """Whether what holds for ``outer`` holds for ``inner``; None is every client."""
    return outer is None or (inner is not None and outer.covers(inner))
