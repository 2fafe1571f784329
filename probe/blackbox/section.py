"""A mapping of a foreign configuration: what is taken of it, and what has no counterpart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from probe.documents.nodes import MappingNode, Node, Position, SequenceNode, to_data
from probe.documents.problem import Problem

NO_COUNTERPART = "has no counterpart"


@dataclass(slots=True)
class Losses:
    """What is not carried over in full, each with its place and a reason."""

    found: list[Problem] = field(default_factory=list)

    def add(self, file: str, where: Position, what: str, why: str) -> None:
        """Note one; the value itself is never repeated, it may be a secret."""
        self.found.append(Problem(file, where.line, where.column, f"{what}: {why}"))


class Section:
    """A mapping whose keys are taken one after the other.

    Args:
        node: the mapping; anything else counts as an empty one.
        file: stands in losses.
        losses: grows.
        name: the way to it, for losses.
    """

    def __init__(self, node: Node | None, file: str, losses: Losses, name: str = "") -> None:
        self.node = node if isinstance(node, MappingNode) else MappingNode(Position(1, 1))
        self.file = file
        self.losses = losses
        self.name = name
        self._left = dict.fromkeys(self.node.entries)

    def take(self, key: str) -> Any:
        """The plain value of a key, which counts as carried over; None when it is left out."""
        self._left.pop(key, None)
        found = self.node.entries.get(key)
        return None if found is None else to_data(found)

    def texts(self, key: str) -> list[str]:
        """The texts of a list, or the one text that stands for it."""
        value = self.take(key)
        return [
            str(one) for one in (value if isinstance(value, list) else [value]) if one is not None
        ]

    def section(self, key: str) -> Section:
        """The mapping under a key."""
        self._left.pop(key, None)
        return Section(self.node.entries.get(key), self.file, self.losses, self._path(key))

    def sections(self, key: str) -> list[Section]:
        """The mappings of a list under a key."""
        self._left.pop(key, None)
        found = self.node.entries.get(key)
        items = found.items if isinstance(found, SequenceNode) else []
        return [Section(one, self.file, self.losses, self._path(key)) for one in items]

    def lose(self, key: str, why: str) -> None:
        """Note that a key is not carried over; nothing when it is not there."""
        self._left.pop(key, None)
        if key in self.node.entries:
            where = self.node.keys.get(key, self.node.position)
            self.losses.add(self.file, where, self._path(key), why)

    def rest(self, reasons: Mapping[str, str]) -> None:
        """Note every key that was not taken, with its reason where there is one."""
        for key in list(self._left):
            self.lose(key, reasons.get(key, NO_COUNTERPART))

    @property
    def position(self) -> Position:
        """Where it stands."""
        return self.node.position

    def __bool__(self) -> bool:
        return bool(self.node.entries)

    def _path(self, key: str) -> str:
        return f"{self.name}.{key}" if self.name else key
