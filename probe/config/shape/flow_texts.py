"""What texts of flows may be: conditions, patterns, headers, statuses."""

from __future__ import annotations

import re
import warnings
from typing import Annotated, Any

import jmespath
from jmespath.exceptions import IncompleteExpressionError, JMESPathError
from jmespath.functions import Functions
from pydantic import (
    AfterValidator,
    PlainValidator,
    WithJsonSchema,
)

from probe.config.shape.base import Rewritten, wrong
from probe.config.shape.texts import Text, TextOrReference, text
from probe.documents.problem import unknown
from probe.model.expressions import PatternError, compile_pattern, plain
from probe.model.secret import SecretRef
from probe.net.names import quoted


def check_expression(value: str) -> str:
    """A JMESPath expression that can be read and whose functions exist."""
    return _check_jmespath(value, value)


def _check_condition(value: str) -> str:
    return _check_jmespath(value, plain(value))


def _check_jmespath(written: str, standard: str) -> str:
    try:
        tree: Any = jmespath.compile(standard).parsed
    except IncompleteExpressionError:
        raise wrong(f"{quoted(written)} is an incomplete JMESPath expression") from None
    except RecursionError:
        raise wrong("this JMESPath expression is nested too deeply") from None
    except JMESPathError as error:
        position = getattr(error, "lex_position", None)
        at = f" at character {position + 1}" if position is not None and written == standard else ""
        raise wrong(
            f"{quoted(written)} is not a JMESPath expression{at}; "
            "write for example data.items | length(@) > 0"
        ) from None
    _check_functions(tree)
    return written


def _check_functions(tree: Any) -> None:
    """Functions must exist and get as many arguments as they take.

    JMESPath finds that out only when it runs, and a condition that cannot run would be
    taken for an answer of the wrong shape: the target would be blamed for it.
    """
    table = Functions.FUNCTION_TABLE
    open_ = [tree]
    while open_:
        node = open_.pop()
        children = [child for child in node.get("children", []) if isinstance(child, dict)]
        open_ += children
        if node.get("type") == "slice" and node["children"][2] == 0:
            raise wrong("the step of a slice cannot be zero; write for example [::2]")
        if node.get("type") != "function_expression":
            continue
        name = node["value"]
        if name not in table:
            raise wrong(unknown("function", name, table))
        signature = table[name]["signature"]
        variadic = bool(signature) and signature[-1].get("variadic", False)
        count = len(children)
        if count < len(signature) or (count > len(signature) and not variadic):
            wanted = f"{len(signature)}{' or more' if variadic else ''}"
            raise wrong(f"the function {name} takes {wanted} arguments, found {count}")


ExpressionText = Annotated[str, AfterValidator(check_expression)]
ConditionText = Annotated[str, AfterValidator(_check_condition)]


# ---------------------------------------------------------------- regular expressions


_MOST_PATTERN = 2000


def _compile(value: str) -> re.Pattern[str]:
    pattern = _read(value)
    try:
        compile_pattern(value)
    except PatternError as error:
        # Python reads it, so it is well-formed: it asks for what takes unbounded time.
        raise wrong(
            f"{quoted(value)} is not a valid RE2 expression ({error}); "
            "leave out look-around and back-references"
        ) from None
    return pattern


def _read(value: str) -> re.Pattern[str]:
    if len(value) > _MOST_PATTERN:
        raise wrong(f"a regular expression must have at most {_MOST_PATTERN} characters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of syntax that a later Python may read otherwise
            return re.compile(value)
    except re.error as error:
        at = "" if error.pos is None else f" at character {error.pos + 1}"
        raise wrong(f"{quoted(value)} is not a regular expression: {error.msg}{at}") from None
    except (OverflowError, RecursionError):
        raise wrong("this regular expression is too large") from None


def _regex(value: str) -> str:
    _compile(value)
    return value


def _capturing_regex(value: str) -> str:
    if _compile(value).groups < 1:
        raise wrong("the expression has no group; put the part to capture in ( )")
    return value


Regex = Annotated[str, AfterValidator(_regex)]
CapturingRegex = Annotated[str, AfterValidator(_capturing_regex)]


# ---------------------------------------------------------------- headers and statuses


_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")  # RFC 9110 section 5.6.2
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def _header_name(value: str) -> str:
    if not _TOKEN.match(value):
        raise wrong(f"{quoted(value)} is not a valid header name; write for example X-Request-Id")
    return value


def _request_header(value: str) -> str:
    advice = _FRAMING.get(_header_name(value).lower())
    if advice is not None:
        raise wrong(f"{value} is set by the agent; {advice}")
    return value


def _token_header(value: str) -> str:
    if value.lower() == "host":
        raise wrong("Host is set from the URL; write another header, for example X-Request-Id")
    return _request_header(value)


def _header_value(value: str) -> str:
    if _CONTROL.search(value):
        raise wrong("a header value must be on one line; remove the line breaks")
    return value


def _cookie_name(value: str) -> str:
    if not _TOKEN.match(value):  # RFC 6265 section 4.1.1
        raise wrong(f"{quoted(value)} is not a valid cookie name; write for example session")
    return value


_LEAVE_OUT = "leave it out"
_FRAMING = {
    "connection": f"{_LEAVE_OUT}: with attempts: 2 or more, each call opens a new connection",
    "content-length": f"{_LEAVE_OUT}: it follows from json:, form: or body:",
    "expect": f"{_LEAVE_OUT}: the body is sent at once",
    "http2-settings": f"{_LEAVE_OUT}: http2: controls whether HTTP/2 is offered",
    "keep-alive": f"{_LEAVE_OUT}: connections are kept within a run",
    "proxy-connection": f"{_LEAVE_OUT}: no proxies are used",
    "trailer": f"{_LEAVE_OUT}: a body is sent without trailers",
    "transfer-encoding": f"{_LEAVE_OUT}: a body is sent in one piece, with its length",
    "upgrade": f"{_LEAVE_OUT}: http2: controls whether HTTP/2 is offered",
}
"""Headers of one connection and its framing (RFC 9110 section 7.6.1), and what to do instead."""

HeaderName = Annotated[str, text(_header_name)]
RequestHeader = Annotated[str, text(_request_header)]
TokenHeader = Annotated[str, text(_token_header)]
CookieName = Annotated[str, text(_cookie_name)]
HeaderValue = Annotated[Text, AfterValidator(_header_value)]
HeaderOrReference = Annotated[
    TextOrReference, AfterValidator(lambda v: v if isinstance(v, SecretRef) else _header_value(v))
]


def _status(value: object) -> str:
    written = str(value).lower() if isinstance(value, (int, str)) else ""
    if not re.fullmatch(r"[1-9](?:xx|[0-9]{2})", written) or isinstance(value, bool):
        raise wrong("not a valid HTTP status; write a code such as 200, or a class such as 2xx")
    return written


ExpectedStatus = Annotated[
    str,
    PlainValidator(_status),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 100, "maximum": 999},
                {"type": "string", "pattern": "^[1-9]([xX][xX]|[0-9]{2})$"},
            ]
        }
    ),
]


def _named(value: object) -> object:
    listed = [value] if isinstance(value, str) else value
    if isinstance(listed, list) and all(isinstance(name, str) for name in listed):
        return dict.fromkeys(listed)
    return value


_NAME = {"type": "string"}
_NAMES_ALONE = Rewritten(
    _named, lambda schema: {"anyOf": [_NAME, {"type": "array", "items": _NAME}, schema]}
)
HeaderExpectations = Annotated[dict[HeaderName, Regex | None], _NAMES_ALONE]
"""A mapping of headers of which only the names may be written, alone or in a list."""
