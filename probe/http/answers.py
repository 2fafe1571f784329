"""What a step expects of a response, and the values that later steps take from it: pure."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from probe.http.messages import NotJson, Response
from probe.model.expressions import (
    compile_condition,
    compile_expression,
    first_group,
    found,
    holds,
    select,
)
from probe.model.failure import Failure, Phase, Reason
from probe.model.flow import Capture, Expect

condition = functools.lru_cache(maxsize=2048)(compile_condition)
"""A compiled condition, kept: configurations hold few and every run asks them all."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What is wrong with an answer, and what is merely worth knowing."""

    failures: tuple[Failure, ...] = ()
    warnings: tuple[Failure, ...] = ()


def judge(
    expect: Expect,
    answer: Response,
    *,
    seconds: float,
    denied: bool = False,
    json_due: bool = False,
    document: Callable[[], Any] | None = None,
) -> Findings:
    """Compare an answer with what is expected of it.

    Args:
        expect: its ``contains`` already rendered.
        answer: whole.
        seconds: how long the call took, for ``slower_than``.
        denied: the call must be refused: without a written status that means any 4xx.
        json_due: who is let in gets JSON: a web page with a status of success is no access.
        document: reads the answer's JSON, when others read it too.
    """
    failures = list(_status(expect, answer, denied))
    failures += _headers(expect, answer)
    failures += _body(expect, answer, document or answer.json)
    if denied and json_due and failures and answer.ok and answer.is_html:
        detail = f"answered {answer.status} with a web page where JSON is due: nobody was let in"
        failures = [Failure(Phase.EXPECT, Reason.WEB_PAGE, detail)]
    return Findings(tuple(failures), too_slow(expect.slower_than, seconds))


def cost(expect: Expect, captures: Sequence[Capture], answer: Response) -> int:
    """How many bytes JSON, expressions, patterns and charsets look at; the rest is cheap."""
    costly = bool(expect.json or expect.contains or expect.matches or expect.not_matches)
    costly = costly or any(one.source in {"json", "regex"} for one in captures)
    size = len(answer.body) if costly else 0
    if any(wanted.matches is not None for wanted in expect.headers):
        size += sum(len(value) for _, value in answer.headers)
    return size


def examine(
    judge: Callable[..., Findings], captures: Sequence[Capture], answer: Response
) -> tuple[Findings, Captured]:
    """Judge an answer and take values out of it: all that may take long, in one function."""
    if not captures:
        return judge(), Captured()
    document = functools.cache(answer.json)
    values = capture(captures, answer, document)
    return judge(document=document), values


def status_accepted(expect: Expect, status: int, *, denied: bool = False) -> bool:
    """Whether a status code is one of those expected."""
    wanted = expect.status or (("4xx",) if denied else ("2xx",))
    code = str(status)
    return any(code == one or (one[1:].lower() == "xx" and code[0] == one[0]) for one in wanted)


def _status(expect: Expect, answer: Response, denied: bool) -> tuple[Failure, ...]:
    if status_accepted(expect, answer.status, denied=denied):
        return ()
    if denied and 200 <= answer.status < 300:
        detail = f"answered {answer.status} to a call that must be refused"
    else:
        wanted = expect.status or (("4xx",) if denied else ("2xx",))
        detail = f"answered {answer.status}, expected {' or '.join(wanted)}"
    return (Failure(Phase.EXPECT, Reason.STATUS, detail),)


def _headers(expect: Expect, answer: Response) -> list[Failure]:
    failures = []
    for wanted in expect.headers:
        values = answer.all(wanted.name)
        if not values:
            detail = f"header {wanted.name} is missing"
        elif wanted.matches is not None and not any(
            found(wanted.matches, value) for value in values
        ):
            detail = f"header {wanted.name} is {', '.join(values)!r}"
        else:
            continue
        failures.append(Failure(Phase.EXPECT, Reason.HEADER, detail))
    return failures


def _body(expect: Expect, answer: Response, document: Callable[[], Any]) -> list[Failure]:
    """What is wrong with the body, or why that cannot be known.

    Of a body that is not whole, what was found in the part that is there was found.
    """
    too_long = _size(expect, answer)
    if too_long and answer.body_fault is not None:
        return too_long
    failures = [*too_long, *_json(expect, document)]
    if expect.contains or expect.matches or expect.not_matches:
        failures += texts(
            answer.text,
            contains=expect.contains,
            matches=expect.matches,
            not_matches=expect.not_matches,
            reason=Reason.BODY,
            where="the body",
        )
    if answer.body_fault is None:
        return failures
    to_the_end = bool(expect.json or expect.not_matches or expect.max_size is not None)
    return [answer.body_fault] if failures or to_the_end else []


def _size(expect: Expect, answer: Response) -> list[Failure]:
    if expect.max_size is None or len(answer.body) <= expect.max_size:
        return []
    detail = f"the body has {len(answer.body)} bytes, at most {expect.max_size} are expected"
    return [Failure(Phase.EXPECT, Reason.SIZE, detail)]


def _json(expect: Expect, document: Callable[[], Any]) -> list[Failure]:
    if not expect.json:
        return []
    try:
        return conditions(expect.json, document())
    except NotJson as error:
        return [Failure(Phase.EXPECT, Reason.JSON, str(error))]


def conditions(wanted: Sequence[str], document: Any) -> list[Failure]:
    """Those conditions that do not hold."""
    return [
        Failure(Phase.EXPECT, Reason.JSON, f"does not hold: {text}")
        for text in wanted
        if not holds(condition(text), document)
    ]


def texts(
    text: str,
    *,
    contains: Sequence[str],
    matches: Sequence[str],
    not_matches: Sequence[str] = (),
    reason: Reason,
    where: str,
) -> list[Failure]:
    """What a text lacks, or holds although it must not."""
    failures = [
        Failure(Phase.EXPECT, reason, f"{where} does not contain {wanted!r}")
        for wanted in contains
        if wanted not in text
    ]
    failures += [
        Failure(Phase.EXPECT, Reason.REGEX, f"{where} does not match {wanted!r}")
        for wanted in matches
        if not found(wanted, text)
    ]
    failures += [
        Failure(Phase.EXPECT, Reason.REGEX, f"{where} matches {unwanted!r}")
        for unwanted in not_matches
        if found(unwanted, text)
    ]
    return failures


def too_slow(limit: float | None, seconds: float) -> tuple[Failure, ...]:
    """What to say of a call, program or login that took longer than it may."""
    if limit is None or seconds <= limit:
        return ()
    detail = f"took {seconds:.3f} s, more than {limit:g} s"
    return (Failure(Phase.EXPECT, Reason.TOO_SLOW, detail),)


# ---------------------------------------------------------------- captures

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


def capture(
    wanted: Iterable[Capture], answer: Response, document: Callable[[], Any] | None = None
) -> Captured:
    """Take every wanted value out of an answer; ``document`` as for `judge`."""
    values: dict[str, str] = {}
    failures: list[Failure] = []
    document = document or functools.cache(answer.json)
    for one in wanted:
        found = _find(one, answer, document)
        if found and len(found) <= LONGEST and not _HALF.search(found):
            values[one.name] = found
            continue
        if answer.body_fault is not None and one.source in {"json", "regex"}:
            failures.append(answer.body_fault)
            continue
        if found and len(found) > LONGEST:
            what = f"is {len(found)} characters long"
        elif found:
            what = "holds half a character, which cannot be sent"
        else:
            what = f"is not in the answer ({one.source} {one.expression})"
        failures.append(Failure(Phase.EXPECT, Reason.CAPTURE_MISSING, f"{one.name} {what}"))
    return Captured(values, tuple(failures))


def _find(wanted: Capture, answer: Response, document: Callable[[], Any]) -> str | None:
    match wanted.source:
        case "json":
            try:
                return as_text(select(expression(wanted.expression), document()))
            except NotJson:
                return None
        case "header":
            return answer.header(wanted.expression)
        case "cookie":
            said = answer.cookie(wanted.expression)
            deleted = said.get("max-age", "").startswith(("0", "-"))
            return None if deleted else said.get("")
        case "regex":
            return first_group(wanted.expression, answer.text)


def as_text(value: Any) -> str | None:
    """A JSON value as it would be written into a URL or a header."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, separators=(",", ":"))
