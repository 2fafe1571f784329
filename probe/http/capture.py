"""Values that later steps need, taken out of an answer: pure."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from probe.http.answer import Answer
from probe.http.expect import NotJson, parse_json
from probe.model.condition import compile_expression, select
from probe.model.failure import Failure, Phase, Reason
from probe.model.flow import Capture
from probe.model.pattern import first_group

LONGEST = 16 * 1024
"""Characters of the longest value that is kept: far more than any token, far less than a page."""

_HALF = re.compile("[\ud800-\udfff]")
"""JSON can write half of a surrogate pair (RFC 8259 section 8.2), and no text can hold it."""

expression = functools.lru_cache(maxsize=2048)(compile_expression)


@dataclass(frozen=True, slots=True)
class Captured:
    """The values found, by name, and a failure for each that was not."""

    values: Mapping[str, str] = field(default_factory=dict)
    failures: tuple[Failure, ...] = ()


def capture(wanted: Iterable[Capture], answer: Answer) -> Captured:
    """Take every wanted value out of an answer."""
    values: dict[str, str] = {}
    failures: list[Failure] = []
    for one in wanted:
        found = _find(one, answer)
        if found and len(found) <= LONGEST and not _HALF.search(found):
            values[one.name] = found
            continue
        if found and len(found) > LONGEST:
            what = f"is {len(found)} characters long"
        elif found:
            what = "holds half a character, which cannot be sent"
        else:
            what = f"is not in the answer ({one.source} {one.expression})"
        failures.append(Failure(Phase.EXPECT, Reason.CAPTURE_MISSING, f"{one.name} {what}"))
    return Captured(values, tuple(failures))


def _find(wanted: Capture, answer: Answer) -> str | None:
    match wanted.source:
        case "json":
            return json_value(answer, wanted.expression)
        case "header":
            return answer.header(wanted.expression)
        case "cookie":
            return cookie(answer, wanted.expression)
        case "regex":
            return first_group(wanted.expression, answer.text)


def json_value(answer: Answer, path: str) -> str | None:
    """The value at a JMESPath as text; None when there is no such value, or no JSON."""
    try:
        document = parse_json(answer.body, answer.charset)
    except NotJson:
        return None
    return as_text(select(expression(path), document))


def as_text(value: Any) -> str | None:
    """A JSON value as it would be written into a URL or a header."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, separators=(",", ":"))


def cookie(answer: Answer, name: str) -> str | None:
    """The value that the answer sets for a cookie (RFC 6265 section 5.2), attributes left out."""
    for line in answer.all("set-cookie"):
        pair, _, _ = line.partition(";")
        key, _, value = pair.partition("=")
        if key.strip() == name:
            return value.strip().strip('"')
    return None
