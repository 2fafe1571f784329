"""The configuration file while its shapes become specs, and the problems found on the way."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from probe.config.shape.base import Shape
from probe.documents.nodes import Node, Position
from probe.documents.problem import MOST_PROBLEMS, Problem
from probe.model.secret import SecretRef

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    S = TypeVar("S", bound=DataclassInstance)

Names = Mapping[str, object]
"""Names in the order written; what they stand for matters elsewhere."""


class TooManyProblems(Exception):
    """More problems were found than anyone reads; raised after the last one is noted."""


@dataclass(slots=True)
class ConfigFile:
    """The file being resolved.

    Attributes:
        path: as given; stands in problems.
        strict: whether the files that the configuration names are read too, and what is wrong in
            them is a problem. An agent is not strict: such files change while it runs.
        problems: grows while resolving.
        notes: what is no problem, and may surprise.
    """

    path: str
    strict: bool = False
    problems: list[Problem] = field(default_factory=list)
    notes: list[Problem] = field(default_factory=list)

    def problem(self, where: Node | Position, message: str) -> None:
        """Note a problem at a value, or at the position of a key.

        Raises:
            TooManyProblems: this one is noted, and is the last.
        """
        position = where if isinstance(where, Position) else where.position
        self.extend((Problem(self.path, position.line, position.column, message),))

    def extend(self, problems: Iterable[Problem]) -> None:
        """Note problems of this file or of one that it names.

        Raises:
            TooManyProblems: these are noted, and are the last.
        """
        self.problems.extend(problems)
        if len(self.problems) >= MOST_PROBLEMS:
            raise TooManyProblems

    def one_of(self, shape: Shape, *keys: str, required: bool = True) -> None:
        """Note keys that exclude each other, and that a required one of them is missing."""
        written = [key for key in keys if key in shape.written()]
        if len(written) > 1:
            message = f"{written[0]} and {written[1]} exclude each other; write one of them"
            self.problem(shape.key_position(written[1]), message)
        elif required and not written:
            self.problem(shape.node, f"write one of: {', '.join(keys)}")

    def unique(self, shape: Shape, key: str, what: str) -> None:
        """Note entries of a list that stand in it already."""
        first: dict[object, int] = {}
        for index, value in enumerate(shape.written().get(key, ())):
            where = shape.at(key, index)
            if value in first:
                self.problem(where, f"duplicate {what}, first on line {first[value]}")
            first.setdefault(value, where.position.line)

    def beside(self, written: str) -> Path:
        """A path as written in the file: relative to the folder that holds the file."""
        return Path(self.path).parent / written

    def absolute(self, written: str) -> str:
        """The same for the running agent, whose working folder nobody should rely on.

        Symbolic links stay: mounted ConfigMaps and Secrets are swapped by changing one.
        """
        return os.path.abspath(self.beside(written))  # noqa: PTH100 - resolve() follows links

    def secret(self, reference: SecretRef) -> SecretRef:
        """A reference whose file, if it is one, is absolute."""
        if reference.kind != "file":
            return reference
        return SecretRef("file", self.absolute(reference.name))

    def built(self, kind: type[S], shape: Shape | None, **resolved: Any) -> S:
        """A spec of the values that its shape holds under the names of the spec's fields.

        What the file leaves out is left to the spec's own defaults. Lists become tuples,
        mappings read-only, and references to secrets absolute.

        Args:
            kind: of the spec.
            shape: None where the file has no such section.
            resolved: fields that need more than that, and go before the shape's.
        """
        names = {one.name for one in fields(kind)} - resolved.keys()
        written = shape.written() if shape else {}
        make: Callable[..., S] = kind
        values = {key: self.fixed(value) for key, value in written.items() if key in names}
        return make(**values, **resolved)

    def fixed(self, value: Any) -> Any:
        """A value as specs hold it: tuples, read-only mappings, absolute references."""
        match value:
            case list():
                return tuple(self.fixed(item) for item in value)
            case dict():
                return MappingProxyType({key: self.fixed(item) for key, item in value.items()})
            case SecretRef():
                return self.secret(value)
            case Shape():
                raise TypeError(f"{type(value).__name__} is a section of its own to resolve")
            case _:
                return value
