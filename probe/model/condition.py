"""Conditions on JSON: JMESPath with plain numbers, words and quotes beside a comparison.

In JMESPath proper a literal stands in back-ticks, and ``"text"`` names a field. People write
``length(@) > 0``, ``production == true`` and ``status == "active"``; next to a comparison sign
these are read as the number, the word and the text that they look like. Everything else is
JMESPath as its specification says (https://jmespath.org/specification.html).
"""

from __future__ import annotations

import re
from typing import Any, Protocol

import jmespath
from jmespath.exceptions import JMESPathError

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
