"""Texts with ``{name}`` placeholders: parsed and filled in, nothing more. Pure.

The grammar is small on purpose: a placeholder is a name, or two names with a dot between them
(``{labels.tier}``); ``{{`` and ``}}`` are literal braces. No expressions, no defaults, no format
specifiers: what a template can do is seen at a glance, and whether its names exist is checked
before anything runs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_PIECE = re.compile(
    r"(?P<open>\{\{)|(?P<close>\}\})"
    r"|\{(?P<name>[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)?)\}"
    r"|(?P<stray>[{}])"
)


class TemplateProblem(ValueError):
    """A text whose braces mean nothing.

    Attributes:
        offset: index of the brace in the text.
    """

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.offset = offset


class UnknownName(LookupError):
    """A placeholder for which there is no value.

    Attributes:
        name: as it stands between the braces.
    """

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no value for {{{name}}}")
        self.name = name


@dataclass(frozen=True, slots=True)
class Placeholder:
    """A name that a value takes the place of."""

    name: str


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed template: literal texts and placeholders in order."""

    pieces: tuple[str | Placeholder, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the placeholders, each once, in the order of their first use."""
        found = (piece.name for piece in self.pieces if isinstance(piece, Placeholder))
        return tuple(dict.fromkeys(found))

    def render(self, values: Mapping[str, str]) -> str:
        """Fill in every placeholder. Values are not templates themselves.

        Raises:
            UnknownName: a placeholder has no value.
        """
        return "".join(
            piece if isinstance(piece, str) else _value(piece.name, values) for piece in self.pieces
        )


def parse(text: str) -> Template:
    """Parse a text into a template.

    Raises:
        TemplateProblem: a brace that is neither doubled nor around a name.
    """
    if "{" not in text and "}" not in text:  # a body of megabytes takes seconds below
        return Template((text,) if text else ())
    pieces: list[str | Placeholder] = []
    literal: list[str] = []
    end = 0
    for match in _PIECE.finditer(text):
        literal.append(text[end : match.start()])
        end = match.end()
        if match["stray"]:
            raise TemplateProblem(_stray(match["stray"]), match.start())
        if match["name"] is None:
            literal.append(match.group()[0])
            continue
        pieces += [part for part in ("".join(literal),) if part]
        literal.clear()
        pieces.append(Placeholder(match["name"]))
    rest = "".join([*literal, text[end:]])
    return Template((*pieces, rest) if rest else tuple(pieces))


def names(text: str) -> tuple[str, ...]:
    """List the names of a text's placeholders, each once, in the order of their first use.

    Raises:
        TemplateProblem: as ``parse``.
    """
    return parse(text).names


def render(text: str, values: Mapping[str, str]) -> str:
    """Fill in every placeholder.

    Raises:
        TemplateProblem: as ``parse``.
        UnknownName: a placeholder has no value.
    """
    return parse(text).render(values)


def _value(name: str, values: Mapping[str, str]) -> str:
    try:
        return values[name]
    except KeyError:
        raise UnknownName(name) from None


def _stray(brace: str) -> str:
    if brace == "{":
        return "a { starts a placeholder such as {target}; write {{ for the brace itself"
    return "a } without its {; write }} for the brace itself"
