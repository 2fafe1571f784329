"""The switchboard: which faults are on, where, and how often. Pure apart from its dice."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Situation:
    """Where in the world something is about to happen; empty where that is not known yet.

    Attributes:
        domain: SNI, host of a request, or name of a DNS question.
        edge: name of the place, ``cdn-b/gru``.
        region: of the resolver, or of the client subnet that a question carries.
        layer: of the platform that a request is passing: ``edge``, ``router``, ``login`` …
        path: of a request.
        role: of the identity behind a request.
    """

    domain: str = ""
    edge: str = ""
    region: str = ""
    layer: str = ""
    path: str = ""
    role: str = ""


@dataclass(frozen=True, slots=True)
class Where:
    """What a fault is limited to; an empty set limits nothing.

    Attributes:
        paths: beginnings of paths; everything else is compared whole.
    """

    domains: frozenset[str] = frozenset()
    edges: frozenset[str] = frozenset()
    regions: frozenset[str] = frozenset()
    layers: frozenset[str] = frozenset()
    paths: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()

    def covers(self, here: Situation) -> bool:
        """Whether a fault limited like this may strike here."""
        return (
            (not self.domains or here.domain in self.domains)
            and (not self.edges or here.edge in self.edges)
            and (not self.regions or here.region in self.regions)
            and (not self.layers or here.layer in self.layers)
            and (not self.roles or here.role in self.roles)
            and (not self.paths or here.path.startswith(tuple(self.paths)))
        )

    def to_json(self) -> dict[str, list[str]]:
        """The sets that limit something, as sorted lists."""
        named = {one.name: getattr(self, one.name) for one in fields(self)}
        return {name: sorted(values) for name, values in named.items() if values}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Where:
        """The inverse of ``to_json``; raises TypeError for a name that does not exist."""
        return cls(**{name: frozenset(values) for name, values in document.items()})


@dataclass(frozen=True, slots=True)
class Rule:
    """One fault that is switched on.

    Attributes:
        name: of the fault, as the fault table spells it.
        fault: what the servers act on; its type says which of them asks for it.
        probability: how many of the situations that match are struck, from 0 to 1.
    """

    number: int
    name: str
    fault: object
    where: Where = field(default_factory=Where)
    probability: float = 1.0


class Board:
    """All rules that are on; the servers ask it at every step.

    Args:
        seed: of the dice, so that a replay can be repeated.

    Attributes:
        struck: how often each rule struck, by its number and where: domain and edge.
    """

    def __init__(self, seed: int = 1) -> None:
        self._dice = random.Random(seed)  # noqa: S311 - chooses faults, protects nothing
        self._rules: dict[int, Rule] = {}
        self._next = 1
        self.struck: Counter[tuple[int, str, str]] = Counter()

    def add(self, name: str, fault: object, where: Where, probability: float) -> Rule:
        """Switch a fault on.

        Raises:
            ValueError: the probability is none.
        """
        if not 0.0 <= probability <= 1.0:
            raise ValueError(f"a probability lies between 0 and 1, not at {probability}")
        rule = Rule(self._next, name, fault, where, probability)
        self._rules[rule.number] = rule
        self._next += 1
        return rule

    def remove(self, number: int) -> None:
        """Switch one fault off; a number that is not on is a KeyError."""
        del self._rules[number]

    def clear(self) -> None:
        """Switch everything off."""
        self._rules.clear()

    def rules(self) -> tuple[Rule, ...]:
        """What is on, oldest first."""
        return tuple(self._rules.values())

    def of_kind(self, kind: type[_T]) -> Iterator[tuple[Rule, _T]]:
        """Rules of one kind of fault, newest first."""
        for rule in reversed(self._rules.values()):
            if isinstance(rule.fault, kind):
                yield rule, rule.fault

    def hits(self, rule: Rule, here: Situation) -> bool:
        """Whether a rule strikes here now; throws the dice where the rule asks for it."""
        if not rule.where.covers(here):
            return False
        return rule.probability >= 1.0 or self._dice.random() < rule.probability

    def strike(self, kind: type[_T], here: Situation) -> _T | None:
        """The newest fault of a kind that strikes here now."""
        if not self._rules:
            return None
        for rule, fault in self.of_kind(kind):
            if self.hits(rule, here):
                self.struck[rule.number, here.domain, here.edge] += 1
                return fault
        return None
