"""Where a configuration file stands, and the problems found in it so far."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from probe.config.document.nodes import Node, Place
from probe.config.problem import MOST_PROBLEMS, Problem, TooManyProblems
from probe.model.secret import SecretRef

Names = Mapping[str, None]
"""A set of names that keeps their order."""


@dataclass(slots=True)
class Site:
    """The file being resolved.

    Attributes:
        file: its path as given; stands in problems.
        problems: grows while resolving; shared with the sites of target files.
    """

    file: str
    problems: list[Problem] = field(default_factory=list)

    def problem(self, where: Node | Place, message: str) -> None:
        """Note a problem at a value, or at the place of a key.

        Raises:
            TooManyProblems: this one is noted, and is the last.
        """
        place = where if isinstance(where, Place) else where.place
        self.problems.append(Problem(self.file, place.line, place.column, message))
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
