"""JSON files to trees: held to JSON's own rules, then read as YAML for the places of values."""

from __future__ import annotations

import json
import re

from probe.documents.compose import MOST_DEPTH, Scalars, compose
from probe.documents.nodes import Node
from probe.documents.problem import Problem

# Characters beyond U+FFFF are escaped as pairs in JSON (RFC 8259 section 7), never in YAML.
_PAIR = re.compile(
    r"(?<!\\)((?:\\\\)*)\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})"
)


def compose_json(
    text: str, file: str, most: int, scalars: Scalars
) -> tuple[Node | None, list[Problem]]:
    """As ``compose``, for a JSON file: what only YAML allows is a problem in it."""
    try:
        json.loads(text, parse_int=len)  # Python refuses to read integers of 5,000 digits
    except json.JSONDecodeError as error:
        message = f"not valid JSON: {error.msg[:1].lower()}{error.msg[1:]}"
        return None, [Problem(file, error.lineno, error.colno, message)]
    except RecursionError:
        message = f"more than {MOST_DEPTH} levels inside each other"
        return None, [Problem(file, 1, 1, message)]
    # Raw tabs stand only between values; YAML wants spaces there.
    return compose(_PAIR.sub(_character, text).replace("\t", " "), file, most, scalars)


def _character(pair: re.Match[str]) -> str:
    before, high, low = pair.groups()
    return before + (bytes.fromhex(high) + bytes.fromhex(low)).decode("utf-16-be")
