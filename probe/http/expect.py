"""Whether an answer is what a step expects: pure, and every finding, not only the first."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from probe.http.answer import Answer
from probe.model.condition import Expression, compile_condition, holds
from probe.model.failure import Failure, Phase, Reason
from probe.model.flow import Expect
from probe.model.pattern import found

condition = functools.lru_cache(maxsize=2048)(compile_condition)
"""A compiled condition, kept: configurations hold few and every run asks them all."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What is wrong with an answer, and what is merely worth knowing."""

    failures: tuple[Failure, ...] = ()
    warnings: tuple[Failure, ...] = ()


def judge(
    expect: Expect,
    answer: Answer,
    *,
    seconds: float,
    denied: bool = False,
    json_due: bool = False,
) -> Findings:
    """Compare an answer with what is expected of it.

    Args:
        expect: its ``contains`` already rendered.
        answer: whole.
        seconds: how long the call took, for ``slower_than``.
        denied: the call must be refused: without a written status that means any 4xx.
        json_due: who is let in gets JSON: a web page with a status of success is no access.
    """
    failures = list(_status(expect, answer, denied))
    failures += _headers(expect, answer)
    failures += _size(expect, answer)
    failures += _json(expect, answer)
    if expect.contains or expect.matches or expect.not_matches:
        failures += texts(
            answer.text,
            contains=expect.contains,
            matches=expect.matches,
            not_matches=expect.not_matches,
            reason=Reason.BODY,
            where="the body",
        )
    if denied and json_due and failures and answer.ok and answer.is_html:
        detail = f"answered {answer.status} with a web page where JSON is due: nobody was let in"
        failures = [Failure(Phase.EXPECT, Reason.WEB_PAGE, detail)]
    return Findings(tuple(failures), too_slow(expect.slower_than, seconds))


def has_patterns(expect: Expect) -> bool:
    """Whether judging searches for regular expressions."""
    in_headers = any(wanted.matches is not None for wanted in expect.headers)
    return bool(expect.matches or expect.not_matches) or in_headers


def status_accepted(expect: Expect, status: int, *, denied: bool = False) -> bool:
    """Whether a status code is one of those expected."""
    wanted = expect.status or (("4xx",) if denied else ("2xx",))
    code = str(status)
    return any(code == one or (one[1:].lower() == "xx" and code[0] == one[0]) for one in wanted)


def _status(expect: Expect, answer: Answer, denied: bool) -> tuple[Failure, ...]:
    if status_accepted(expect, answer.status, denied=denied):
        return ()
    if denied and 200 <= answer.status < 300:
        detail = f"answered {answer.status} to a call that must be refused"
    else:
        wanted = expect.status or (("4xx",) if denied else ("2xx",))
        detail = f"answered {answer.status}, expected {' or '.join(wanted)}"
    return (Failure(Phase.EXPECT, Reason.STATUS, detail),)


def _headers(expect: Expect, answer: Answer) -> list[Failure]:
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


def _size(expect: Expect, answer: Answer) -> list[Failure]:
    if expect.max_size is None or len(answer.body) <= expect.max_size:
        return []
    detail = f"the body has {len(answer.body)} bytes, at most {expect.max_size} are expected"
    return [Failure(Phase.EXPECT, Reason.SIZE, detail)]


def _json(expect: Expect, answer: Answer) -> list[Failure]:
    if not expect.json:
        return []
    try:
        document = parse_json(answer.body, answer.charset)
    except NotJson as error:
        return [Failure(Phase.EXPECT, Reason.JSON, str(error))]
    return conditions(expect.json, document)


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


class NotJson(ValueError):
    """A body that is not JSON; the message says what it looks like and quotes nothing of it."""


def parse_json(body: bytes | str, charset: str = "utf-8") -> Any:
    """Read JSON as forgivingly as browsers and jq do.

    Args:
        body: UTF-8, UTF-16 or UTF-32 (RFC 4627 section 3), with a byte order mark or without.
        charset: read where the body is none of them; bytes that are no text become U+FFFD.

    Raises:
        NotJson: it is not, or it is nested so deeply that only an attack would be.
    """
    try:
        try:
            return json.loads(body)
        except UnicodeDecodeError as error:
            return json.loads(error.object.decode(charset, "replace").lstrip("\ufeff"))
    except RecursionError:
        raise NotJson("JSON nested too deeply to be read") from None
    except ValueError:  # also integers of thousands of digits
        start = (body if isinstance(body, str) else body[:64].decode("utf-8", "replace")).strip()
        if not start:
            raise NotJson("an empty body, not JSON") from None
        raise NotJson(f"{'HTML' if start[0] == '<' else 'text'}, not JSON") from None


__all__ = [
    "Expression",
    "Findings",
    "NotJson",
    "condition",
    "conditions",
    "judge",
    "parse_json",
    "status_accepted",
    "texts",
    "too_slow",
]
