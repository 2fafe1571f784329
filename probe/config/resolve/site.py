"""Where a configuration file stands, and the problems found in it so far."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from probe.config.problem import TooManyProblems
from probe.documents.nodes import Node, Place
from probe.documents.problem import MOST_PROBLEMS, Problem
from probe.model.secret import SecretRef

Names = Mapping[str, None]
"""A set of names that keeps their order."""


@dataclass(slots=True)
class Site:
    """The file being resolved.

    Attributes:
        file: its path as given; stands in problems.
        problems: grows while resolving.
        strict: whether the files that the configuration names are read too, and what is wrong in
            them is a problem. An agent is not strict: such files change while it runs.
        notes: what is no problem, and may surprise.
    """

    file: str
    problems: list[Problem] = field(default_factory=list)
    strict: bool = False
    notes: list[Problem] = field(default_factory=list)

    def problem(self, where: Node | Place, message: str) -> None:
        """Note a problem at a value, or at the place of a key.

        Raises:
            TooManyProblems: this one is noted, and is the last.
        """
        place = where if isinstance(where, Place) else where.place
        self.extend((Problem(self.file, place.line, place.column, message),))

    def extend(self, problems: Iterable[Problem]) -> None:
        """Note problems of this file or of one that it names.

        Raises:
            TooManyProblems: these are noted, and are the last.
        """
        self.problems.extend(problems)
        if len(self.problems) >= MOST_PROBLEMS:
            raise TooManyProblems

    def beside(self, written: str) -> Path:
        """A path as written in the file: relative to the folder that holds the file."""
        return Path(self.file).parent / written

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
