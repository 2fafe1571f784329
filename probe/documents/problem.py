"""What is wrong with a document: every problem with its place, and what to write instead.

PyYAML gives a place and an English text, no code; the texts of its pure Python parser have
been the same for a decade. A text that is not in the table is passed on as it is: it names
characters of the grammar, never a value of the file.
"""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Collection, Iterable
from dataclasses import dataclass

import yaml

from probe.documents.nodes import Position
from probe.model.failure import printable
from probe.net.names import quoted

MOST_PROBLEMS = 1000
"""Problems reported at once. Nobody makes more by hand, and each costs a search among words."""


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

    @property
    def at(self) -> str:
        """``file:line:column``."""
        return f"{printable(self.file)}:{self.line}:{self.column}"

    def __str__(self) -> str:
        return f"{self.at}: {printable(self.message)}"


class DocumentError(Exception):
    """A document that cannot be used as a whole, with everything that is wrong with it.

    Attributes:
        problems: sorted by file, line and column; never empty.
    """

    def __init__(self, *problems: Problem) -> None:
        self.problems = tuple(sorted(set(problems)))
        lines = [str(problem) for problem in self.problems]
        if len(lines) >= MOST_PROBLEMS:
            lines.append(f"stopped after {len(lines)} problems; fix these and run again")
        super().__init__("\n".join(lines))


def unknown(what: str, name: str, known: Collection[str]) -> str:
    """``unknown provider "cdn-d"; did you mean "cdn-b"?``, or what there is to choose from."""
    return f"unknown {what} {quoted(name)}; {instead(name, known)}"


def instead(name: str, known: Collection[str]) -> str:
    """The half of a message that names the nearest known word, or the words there are.

    Args:
        name: as written.
        known: words that may be written, each once.
    """
    if not known:
        return "none is defined"
    near = nearest(name, known)
    if near is not None:
        return f"did you mean {quoted(near)}?"
    shown = ", ".join(quoted(word)[1:-1] for word in itertools.islice(known, _SHOWN))
    more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
    return f"write one of: {shown}{more}"


_SHOWN = 24
_COMPARED = 100  # words compared: names are few, and difflib is quadratic in their length
_LONGEST = 64


def nearest(name: str, known: Iterable[str], likeness: float = 0.65) -> str | None:
    """The known word that was probably meant, or None.

    Args:
        name: as written.
        known: the words that there are.
        likeness: how like it must be, from 0 to 1.
    """
    folded = {_fold(word): word for word in itertools.islice(known, _COMPARED)}
    near = difflib.get_close_matches(_fold(name), folded, n=1, cutoff=likeness)
    return folded[near[0]] if near else None


def _fold(word: str) -> str:
    return word[:_LONGEST].casefold().replace("-", "_")


_HINTS = (
    (
        "mapping values are not allowed here",
        "unexpected colon; indent all keys of a mapping equally, "
        "and put text with a colon in quotes",
    ),
    (
        "expected <block end>, but found",
        "wrong indentation; indent all entries of a list or mapping equally",
    ),
    ("found character '\\t'", "tabs cannot indent YAML; use spaces"),
    ("that cannot start any token", "text cannot start with this character; put it in quotes"),
    (
        "expected ',' or ']'",
        "the list in [ ] is not closed; write , between entries and ] at the end",
    ),
    (
        "expected ',' or '}'",
        "the mapping in { } is not closed; write , between entries and } at the end",
    ),
    ("found unexpected ':'", "unexpected colon; put text with a colon in quotes"),
    ("could not find expected ':'", "a key without a colon; write key: value"),
    (
        "expected the node content",
        "expected a value; close every open bracket",
    ),
    ("found unexpected end of stream", "the quoted text is not closed; write the closing quote"),
    (
        "found unknown escape character",
        "an unknown \\ escape; write \\\\ for a backslash, or use single quotes",
    ),
    (
        "found undefined tag handle",
        "tags (words that start with !) are not supported; put the text in quotes",
    ),
)


def explain_syntax(error: yaml.MarkedYAMLError) -> str:
    """What to do about a syntax error."""
    text = error.problem or "the text cannot be read"
    return next((hint for part, hint in _HINTS if part in text), f"not valid YAML: {text}")


def position_of(error: yaml.MarkedYAMLError) -> Position:
    """Where it is; a quote, bracket or key that never ends is shown where it begins."""
    mark = error.problem_mark or error.context_mark
    text = error.problem or ""
    endless = any(part in text for part in ("end of stream", "<stream end>", "expected ':'"))
    if error.context_mark is not None and endless:
        mark = error.context_mark
    return Position(mark.line + 1, mark.column + 1) if mark is not None else Position(1, 1)
