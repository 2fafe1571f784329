"""pydantic's errors in our words: what was found, what to write instead.

No value of the file is repeated, except the words of closed lists: any other might be a
secret in the wrong place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from probe.config.shape.base import OURS, Shape
from probe.documents.nodes import Node, ScalarNode, found
from probe.documents.problem import unknown
from probe.net.names import quoted


def explain(
    kind: str,
    key: str,
    context: Mapping[str, Any],
    node: Node,
    shape: type[Shape] | None,
) -> str:
    """The message for one error.

    Args:
        kind: pydantic's type of the error.
        key: the last part of the error's path.
        context: what pydantic adds: bounds, expected words.
        node: the value found there, or what stands in its place.
        shape: the shape that the mapping around ``key`` was read as.
    """
    if kind == OURS:
        return str(context["message"])
    if kind in _EXPECTED:
        return _wrong_type(_EXPECTED[kind], node)
    match kind:
        case "extra_forbidden":
            return _unknown_key(key, shape)
        case "missing":
            return _missing(key, shape)
        case "literal_error":
            return _no_such_word(context, node)
        case _ if kind in _BOUNDS:
            words, name = _BOUNDS[kind]
            return words.format(f"{context[name]:g}")
        case _:
            return "invalid value; see the JSON Schema of the configuration"


_EXPECTED = {
    "string_type": "text",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "list_type": "a list",
    "dict_type": "a mapping of key: value",
    "model_type": "a mapping of key: value",
    "model_attributes_type": "a mapping of key: value",
}

_BOUNDS = {
    "greater_than_equal": ("must be at least {}", "ge"),
    "greater_than": ("must be more than {}", "gt"),
    "less_than_equal": ("must be at most {}", "le"),
    "less_than": ("must be less than {}", "lt"),
    "too_short": ("write at least {} entry", "min_length"),
    "too_long": ("write at most {} entries", "max_length"),
    "string_too_short": ("must not be empty", "min_length"),
    "string_too_long": ("must have at most {} characters", "max_length"),
}

_ALIASES = {
    "assert": "expect",
    "assertions": "expect",
    "expectations": "expect",
    "domains": "targets",
    "hosts": "targets",
    "every": "interval",
    "frequency": "interval",
    "period": "interval",
    "type": "kind",
    "uri": "url",
    "address": "addresses",
    "ips": "addresses",
    "ip": "addresses",
    "cname": "hostname",
    "certificate_authority": "trust",
    "ca_file": "trust",
    "save": "capture",
    "extract": "capture",
    "variables": "vars",
}
"""Keys that others use for the same thing; too far from ours for spelling to find them."""

_HINTS = {"request": "write get: and the URL, or method: and url:, in the step itself"}


def _found_beside(expected: str, node: Node) -> str:
    fraction = isinstance(node, ScalarNode) and isinstance(node.value, float)
    return "a fraction" if fraction and expected == "a whole number" else found(node)


def _wrong_type(expected: str, node: Node) -> str:
    message = f"expected {expected}, found {_found_beside(expected, node)}"
    if not isinstance(node, ScalarNode):
        return message
    value = node.value
    if expected == "text" and isinstance(value, (bool, int, float)):
        return f"{message}; put it in quotes to make it text"
    if expected == "true or false" and isinstance(value, str):
        word = value.lower()
        if word in ("yes", "on", "y", "1", "true"):
            return f"{message}; write true"
        if word in ("no", "off", "n", "0", "false"):
            return f"{message}; write false"
    number = expected in ("a whole number", "a number")
    if number and isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,18}", value):
        return f"{message}; write it without quotes"
    if expected == "a list" and isinstance(value, str):
        return f"{message}; put it in brackets, as in [a, b]"
    return message


def _unknown_key(key: str, shape: type[Shape] | None) -> str:
    known = [] if shape is None else list(shape.named_fields())
    if key in _HINTS and shape is not None:
        return f"unknown key {quoted(key)}; {_HINTS[key]}"
    alias = _ALIASES.get(key.casefold())
    if alias in known:
        return f"unknown key {quoted(key)}; did you mean {quoted(alias)}?"
    return unknown("key", key, known)


def _missing(key: str, shape: type[Shape] | None) -> str:
    field = None if shape is None else shape.named_fields().get(key)
    example = (
        f"; write for example {key}: {_flow(field.examples[0])}" if field and field.examples else ""
    )
    return f"{quoted(key)} is missing{example}"


def _no_such_word(context: Mapping[str, Any], node: Node) -> str:
    words = _words(context.get("expected", ""))
    if not isinstance(node, ScalarNode):
        return f"expected text, found {found(node)}; write one of: {', '.join(words)}"
    return unknown("value", node.text, words)


def _words(expected: str) -> list[str]:
    """The words of pydantic's list: ``'a', 'b' or 4``."""
    return [
        word.strip().strip("'") for word in re.split(r",| or ", expected) if word.strip().strip("'")
    ]


def _flow(value: object) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k}: {_flow(v)}" for k, v in value.items()) + "}"
    return str(value)
