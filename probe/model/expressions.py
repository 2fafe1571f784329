"""Three small languages of a flow: templates, conditions on JSON, regular expressions. Pure.

The grammar of templates is small on purpose: a placeholder is a name, or two names with a dot
between them (``{labels.tier}``); ``{{`` and ``}}`` are literal braces. No expressions, no defaults,
no format specifiers: what a template can do is seen at a glance, and whether its names exist is
checked before anything runs.

Conditions are JMESPath with plain numbers, words and quotes beside a comparison. In JMESPath
proper a literal stands in back-ticks, and ``"text"`` names a field. People write
``length(@) > 0``, ``production == true`` and ``status == "active"``; next to a comparison sign
these are read as the number, the word and the text that they look like. Everything else is
JMESPath as its specification says (https://jmespath.org/specification.html).

Regular expressions are RE2's, whose time is linear in the text. Python's own engine backtracks: on
a text made for it, ``a*b`` takes a time quadratic in the length and ``(a|aa)+$`` an exponential
one, with the interpreter's lock held throughout, so that neither a deadline nor a thread bounds it.
RE2 gives up back-references and look-around for that (https://github.com/google/re2/wiki/Syntax),
and lets other threads run while it searches.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import jmespath
from jmespath.exceptions import JMESPathError

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


_TOKEN = re.compile(
    r"""(?P<raw>'(?:[^'\\]|\\.)*')
      | (?P<literal>`(?:[^`\\]|\\.)*`)
      | (?P<quoted>"(?:[^"\\]|\\.)*")
      | (?P<sign>==|!=|<=|>=|<|>)
      | (?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
      | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<space>\s+)
      | (?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
_WORDS = frozenset({"true", "false", "null"})


class ExpressionError(ValueError):
    """An expression that cannot be read; the message says where."""


class Expression(Protocol):
    """A compiled expression."""

    def search(self, value: Any) -> Any:
        """Find the value that the expression selects in a JSON document."""


def plain(text: str) -> str:
    """Translate a condition to standard JMESPath."""
    tokens = [(match.lastgroup or "other", match.group()) for match in _TOKEN.finditer(text)]
    solid = [index for index, (kind, _) in enumerate(tokens) if kind != "space"]
    for place, index in enumerate(solid):
        before = tokens[solid[place - 1]][0] if place else ""
        after = tokens[solid[place + 1]] if place + 1 < len(solid) else ("", "")
        kind, written = tokens[index]
        beside = before == "sign" or after[0] == "sign"
        literal = kind == "number" or (kind == "word" and written in _WORDS)
        if (literal and beside and after[1] not in {".", "(", "["}) or (
            kind == "quoted" and before == "sign" and after[1] not in {".", "["}
        ):
            tokens[index] = ("literal", f"`{written.replace('`', chr(92) + '`')}`")
    return "".join(written for _, written in tokens)


def compile_expression(text: str) -> Expression:
    """Compile what selects a value, e.g. for a capture.

    Raises:
        ExpressionError: it is no JMESPath.
    """
    try:
        compiled: Expression = jmespath.compile(text)
    except JMESPathError as error:
        raise ExpressionError(" ".join(str(error).split())) from error
    return compiled


def compile_condition(text: str) -> Expression:
    """Compile a condition.

    Raises:
        ExpressionError: it is no condition.
    """
    return compile_expression(plain(text))


def select(expression: Expression, document: Any) -> Any:
    """Select a value of a document; None when the expression does not apply to it.

    A function called with a value of the wrong type is an error in JMESPath. For a probe
    that means that the answer has another shape, so it selects nothing.
    """
    try:
        return expression.search(document)
    except (JMESPathError, TypeError, ValueError, OverflowError, RecursionError):
        # Beside its own errors the library lets Python's through: a text compared with a
        # number, a NaN or an infinite number rounded, a document nested beyond reason.
        return None


def holds(condition: Expression, document: Any) -> bool:
    """Tell whether a condition is true: not null, false, or an empty text, list or object."""
    found = select(condition, document)
    return found is not None and found is not False and found not in ("", [], {})


class PatternError(ValueError):
    """A regular expression that RE2 does not read; the message says why."""


@functools.lru_cache(maxsize=2048)
def compile_pattern(text: str) -> Any:
    """Compile a pattern; kept, because configurations hold few and every run asks them all.

    Raises:
        PatternError: RE2 does not read it.
    """
    # Some MiB, and only flows with patterns need it; it ships no types.
    import re2  # type: ignore[import-untyped]  # noqa: PLC0415

    options = re2.Options()
    options.log_errors = False  # else it writes to stderr, past the log
    try:
        return re2.compile(text, options)
    except re2.error as error:
        said = error.args[0] if error.args else "unreadable"
        raise PatternError(said.decode() if isinstance(said, bytes) else str(said)) from None


def found(pattern: str, text: str) -> bool:
    """Tell whether the pattern is found anywhere in the text.

    Raises:
        PatternError: as above.
    """
    return compile_pattern(pattern).search(text) is not None


def first_group(pattern: str, text: str) -> str | None:
    """Return the first group of the first match; the whole match when there is no group.

    None when it is not found, or the group has no part in the match.

    Raises:
        PatternError: as above.
    """
    match = compile_pattern(pattern).search(text)
    if match is None:
        return None
    part = match.group(1 if match.re.groups else 0)
    return None if part is None else str(part)
