"""A configuration that cannot be used, with everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable

from probe.documents.problem import MOST_PROBLEMS, Problem


class ConfigError(Exception):
    """A configuration that cannot be used; ``problems`` holds all that is wrong with it.

    The problems are sorted by file, line and column, and are never empty.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(sorted(set(problems)))
        lines = [str(problem) for problem in self.problems]
        if len(lines) >= MOST_PROBLEMS:
            lines.append(f"stopped after {len(lines)} problems; fix these and run again")
        super().__init__("\n".join(lines))


class TooManyProblems(Exception):
    """More problems were found than anyone reads; raised after the last one is noted."""
