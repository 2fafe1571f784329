"""YAML's syntax errors in words that say what to do.

PyYAML gives a place and an English text, no code; the texts of its pure Python parser have
been the same for a decade. A text that is not in the table is passed on as it is: it names
characters of the grammar, never a value of the file.
"""

from __future__ import annotations

import yaml

from probe.documents.nodes import Position

_HINTS = (
    ("nesting depth", "far too many levels inside each other"),
    (
        "mapping values are not allowed here",
        "a colon where no key is allowed; indent keys of one mapping alike, "
        "and put text with a colon in quotes",
    ),
    (
        "expected <block end>, but found",
        "this line belongs to nothing above it; indent entries of one list or mapping alike",
    ),
    ("found character '\\t'", "a tab cannot indent YAML; use spaces"),
    ("that cannot start any token", "text cannot start with this character; put it in quotes"),
    (
        "expected ',' or ']'",
        "the list in [ ] has no end; write , between entries and ] after the last",
    ),
    (
        "expected ',' or '}'",
        "the mapping in { } has no end; write , between entries and } after the last",
    ),
    ("found unexpected ':'", "a colon ends the text here; put text with a colon in quotes"),
    ("could not find expected ':'", "a key without a colon; write key: value"),
    (
        "expected the node content",
        "a value is expected here; brackets that are open need their end",
    ),
    ("found unexpected end of stream", "the text in quotes has no end; write the closing quote"),
    (
        "found unknown escape character",
        "an unknown \\ escape; write \\\\ for a backslash, or use single quotes",
    ),
    (
        "found undefined tag handle",
        "tags (words that start with !) mean nothing here; put the text in quotes",
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
