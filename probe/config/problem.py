"""What is wrong with a configuration: every problem with its place, and what to write instead."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from probe.model.names import quoted


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One problem at one place.

    Attributes:
        file: path as it was given or written.
        line: from 1.
        column: from 1, in characters.
        message: plain words; never a secret.
    """

    file: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.message}"


class ConfigError(Exception):
    """A configuration that cannot be used; ``problems`` holds all that is wrong with it.

    The problems stand in the order of their places and are never empty.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(sorted(set(problems)))
        super().__init__("\n".join(map(str, self.problems)))


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """``unknown provider "cdn-d"; did you mean "cdn-b"?``, or what there is to choose from."""
    return f"unknown {what} {quoted(name)}; {instead(name, known)}"


def instead(name: str, known: Iterable[str]) -> str:
    """The half of a message that names the nearest known word, or the words there are."""
    words = list(dict.fromkeys(known))
    if not words:
        return "there is none"
    near = nearest(name, words)
    if near is not None:
        return f"did you mean {quoted(near)}?"
    shown = ", ".join(words[:_SHOWN])
    more = f" and {len(words) - _SHOWN} more" if len(words) > _SHOWN else ""
    return f"known: {shown}{more}"


_SHOWN = 12
_COMPARED = 200  # words compared: names are few, and difflib is quadratic in their length


def nearest(name: str, known: Iterable[str], likeness: float = 0.6) -> str | None:
    """The known word that was probably meant, or None.

    Args:
        name: as written.
        known: the words that there are.
        likeness: how like it must be, from 0 to 1.
    """
    by_folded = {word.casefold().replace("-", "_"): word for word in list(known)[:_COMPARED]}
    folded = name.casefold().replace("-", "_")[:100]
    near = difflib.get_close_matches(folded, by_folded, n=1, cutoff=likeness)
    return by_folded[near[0]] if near else None
