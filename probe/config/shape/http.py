"""Words of HTTP: headers and statuses."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import (
    AfterValidator,
    PlainValidator,
    WithJsonSchema,
)

from probe.config.shape.base import Rewritten, wrong
from probe.config.shape.expressions import Regex
from probe.config.shape.texts import Text, TextOrReference, text
from probe.model.secret import SecretRef
from probe.net.names import quoted

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")  # RFC 9110 section 5.6.2
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def _header_name(value: str) -> str:
    if not _TOKEN.match(value):
        raise wrong(f"{quoted(value)} cannot be a header's name; write one such as X-Request-Id")
    return value


def _request_header(value: str) -> str:
    advice = _FRAMING.get(_header_name(value).lower())
    if advice is not None:
        raise wrong(f"{value} belongs to the connection, and the agent writes it; {advice}")
    return value


def _token_header(value: str) -> str:
    if value.lower() == "host":
        raise wrong("Host names the server; write another header, such as X-Request-Id")
    return _request_header(value)


def _header_value(value: str) -> str:
    if _CONTROL.search(value):
        raise wrong("a header's value stays on one line; write it without line ends")
    return value


def _cookie_name(value: str) -> str:
    if not _TOKEN.match(value):  # RFC 6265 section 4.1.1
        raise wrong(f"{quoted(value)} cannot be a cookie's name; write one such as session")
    return value


_LEAVE_OUT = "leave it out"
_FRAMING = {
    "connection": f"{_LEAVE_OUT}: with attempts: 2 or more each call has a connection of its own",
    "content-length": f"{_LEAVE_OUT}: it follows from json:, form: or body:",
    "expect": f"{_LEAVE_OUT}: the body is sent at once",
    "http2-settings": f"{_LEAVE_OUT}: http2: says whether HTTP/2 is offered",
    "keep-alive": f"{_LEAVE_OUT}: connections are kept within a run",
    "proxy-connection": f"{_LEAVE_OUT}: no proxies are used",
    "trailer": f"{_LEAVE_OUT}: a body is sent without trailers",
    "transfer-encoding": f"{_LEAVE_OUT}: a body is sent in one piece, with its length",
    "upgrade": f"{_LEAVE_OUT}: http2: says whether HTTP/2 is offered",
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
