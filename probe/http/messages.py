"""A request before it is sent, and what came of it: a response or a failure, with facts."""

from __future__ import annotations

import functools
import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from probe.model.failure import Failure
from probe.model.result import Handshake, Timings
from probe.model.target import Edge

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Request:
    """A whole request. Immutable: whoever adds to it gives a new one.

    Attributes:
        url: absolute, http or https, encoded.
        headers: in the order in which they are sent; ``Content-Length`` comes on the wire, and
            so does ``Host`` unless it stands here.
    """

    method: str
    url: str
    headers: Pairs = ()
    body: bytes = b""

    def header(self, name: str) -> str | None:
        """The first value of a header, None when it is absent."""
        return next((v for k, v in self.headers if k.lower() == name.lower()), None)

    def adding(self, *headers: tuple[str, str]) -> Request:
        """The same with more headers; one of the same name is replaced."""
        new = {name.lower() for name, _ in headers}
        kept = [pair for pair in self.headers if pair[0].lower() not in new]
        return Request(self.method, self.url, (*kept, *headers), self.body)

    def without(self, *names: str) -> Request:
        """The same without some headers."""
        gone = {name.lower() for name in names}
        kept = tuple(pair for pair in self.headers if pair[0].lower() not in gone)
        return Request(self.method, self.url, kept, self.body)

    def encoded(self) -> list[tuple[bytes, bytes]]:
        """The headers but Host as bytes: as UTF-8, as shells and curl would send them.

        Raises:
            ValueError: what was filled in would make more headers or requests of them, or the
                method is none. Quotes nothing: it may hold secrets.
        """
        pairs = [(name.encode(), value.encode()) for name, value in self.headers]
        lines = b"\n".join(b"%b\0%b" % pair for pair in ((self.method.encode(), b""), *pairs))
        if _LINES.fullmatch(lines) is None or lines.count(b"\n") != len(pairs):
            raise ValueError("a method or a header that is none")
        return [pair for pair in pairs if pair[0].lower() != b"host"]


_LINES = re.compile(rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+\0[^\0\r\n]*(?:\n|\Z))+")
"""Names and values of headers (RFC 9110 section 5), with NUL between them."""


def json_body(document: Any) -> tuple[bytes, tuple[str, str]]:
    """A JSON document as body, and its Content-Type."""
    encoded = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return encoded.encode(), ("Content-Type", "application/json")


def form_body(
    fields: Mapping[str, str] | Iterable[tuple[str, str]],
) -> tuple[bytes, tuple[str, str]]:
    """Form fields as body, and its Content-Type."""
    pairs = list(fields.items()) if isinstance(fields, Mapping) else list(fields)
    return urlencode(pairs).encode(), ("Content-Type", "application/x-www-form-urlencoded")


Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Response:
    """A response, whole unless it stands in a `Broken`.

    Attributes:
        headers: names in lower case, in the order received, repeated as received.
        body: decoded from its content coding; what can be had of it if there is a fault.
        version: ``HTTP/1.0``, ``HTTP/1.1`` or ``HTTP/2``.
        body_fault: why the body is not whole: longer than its cap, or in a coding that cannot
            be read. It matters only to those who need the body.
    """

    status: int
    headers: Headers
    body: bytes = b""
    version: str = "HTTP/1.1"
    body_fault: Failure | None = None

    @property
    def ok(self) -> bool:
        """A 2xx status."""
        return 200 <= self.status < 300

    @property
    def is_html(self) -> bool:
        """A web page, by its declared type or its first bytes."""
        start = self.body[:64].lstrip().lower()
        declared = (self.header("content-type") or "").lower()
        return "html" in declared or start.startswith((b"<!doctype html", b"<html"))

    def header(self, name: str) -> str | None:
        """The first value of a header, None when it is absent."""
        wanted = name.lower()
        for key, value in self.headers:
            if key == wanted:
                return value
        return None

    def all(self, name: str) -> tuple[str, ...]:
        """Every value of a header."""
        wanted = name.lower()
        return tuple(value for key, value in self.headers if key == wanted)

    @property
    def charset(self) -> str:
        """The charset that Content-Type declares, when it is one of the web's; else UTF-8."""
        declared = _charset(self.header("content-type") or "")
        return declared if declared in _CHARSETS else "utf-8"

    @property
    def text(self) -> str:
        """The body as text in its charset; odd bytes become U+FFFD."""
        return self.body.decode(self.charset, errors="replace")

    def beginning(self, length: int) -> str:
        """The first so many characters of `text`.

        A megabyte that is no text takes 0.4 s in some charsets, each byte by itself.
        """
        return self.body[: 4 * length].decode(self.charset, errors="replace")[:length]

    def json(self) -> Any:
        """The JSON that the body holds.

        Raises:
            NotJson: it holds none, or it is not whole.
        """
        if self.body_fault is not None:
            raise NotJson(self.body_fault.detail)
        return parse_json(self.body, self.charset)

    def cookie(self, name: str) -> dict[str, str]:
        """The attributes that a cookie is given, in lower case, and its value under ``""``.

        Empty when the cookie is not set. The last line of a name counts, and quotes belong to
        the value (RFC 6265 section 5).
        """
        for line in reversed(self.all("set-cookie")):
            parts = [part.partition("=") for part in line.split(";")]
            if parts[0][1] and parts[0][0].strip() == name:
                found = {key.strip().lower(): value.strip() for key, _, value in parts[1:]}
                return {**found, "": parts[0][2].strip()}
        return {}


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
            return _loads(body)
        except UnicodeDecodeError as error:
            return _loads(error.object.decode(charset, "replace").lstrip("\ufeff"))
    except RecursionError:
        raise NotJson("JSON nested too deeply to be read") from None
    except NotJson:
        raise
    except ValueError:  # integers of thousands of digits are among it
        start = (body if isinstance(body, str) else body[:64].decode("utf-8", "replace")).strip()
        if not start:
            raise NotJson("an empty body, not JSON") from None
        raise NotJson(f"{'HTML' if start[0] == '<' else 'text'}, not JSON") from None


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise NotJson("a number beyond all that can be computed with")
    return number


def _constant(name: str) -> float:
    raise NotJson(f"{name}, which is no JSON (RFC 8259 section 6)")


_loads = functools.partial(json.loads, parse_float=_finite, parse_constant=_constant)


def _charset(content_type: str) -> str:
    for parameter in content_type.split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            return value.strip().strip("\"'").lower()
    return "utf-8"


_CHARSETS = frozenset(
    [
        *("us-ascii", "ascii", "latin1", "cp1252", "utf-16", "utf-16be", "utf-16le", "macintosh"),
        *("koi8-r", "koi8-u", "gb2312", "gbk", "gb18030", "big5", "euc-jp", "iso-2022-jp"),
        *("shift_jis", "euc-kr", *(f"windows-{number}" for number in range(1250, 1259))),
        *(f"iso-8859-{number}" for number in (*range(1, 12), *range(13, 17))),
    ]
)
"""Charsets of the web, beside UTF-8 (https://encoding.spec.whatwg.org/#names-and-labels). Python
knows many more codecs, of which a server may not choose: some raise whatever the error handler,
some take a time quadratic in the length, and UTF-7 gives halves of characters."""


@dataclass(frozen=True, slots=True)
class CallFacts:
    """The way of a request, successful or not.

    Attributes:
        edge: the address that was tried; None before one was known.
        handshake: facts of the TLS handshake this request opened; None on a reused connection.
        fresh: whether this request opened its connection.
        requests: how often the request went out (a kept connection may die under a request,
            RFC 9112 section 9.3.1; redirects).
        url: where the last request went, after redirects.
        warnings: findings on the presented chain that fail nothing.
    """

    timings: Timings
    edge: Edge | None = None
    handshake: Handshake | None = None
    fresh: bool = True
    requests: int = 0
    url: str = ""
    warnings: tuple[Failure, ...] = ()


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer arrived whole."""

    response: Response
    facts: CallFacts


@dataclass(frozen=True, slots=True)
class Broken:
    """No whole answer.

    Attributes:
        partial: status and headers, when they came before the failure.
        others: further findings of the same failure (a chain with several faults).
    """

    failure: Failure
    facts: CallFacts
    partial: Response | None = None
    others: tuple[Failure, ...] = field(default=())


CallResult = Answered | Broken
