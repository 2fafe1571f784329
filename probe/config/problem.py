"""A configuration that cannot be used, with everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable

from probe.documents.problem import MOST_PROBLEMS, Problem


class ConfigError(Exception):
    """A configuration that cannot be used; ``problems`` holds all that is wrong with it.

    The problems stand in the order of their places and are never empty.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(sorted(set(problems)))
        lines = [str(problem) for problem in self.problems]
        if len(lines) >= MOST_PROBLEMS:
            lines.append(f"that makes {len(lines)} problems; mend these before looking for more")
        super().__init__("\n".join(lines))


class TooManyProblems(Exception):
    """There are so many problems that looking for more helps nobody; raised with the last noted."""
