"""Requests and answers of HTTP/1.1, as bytes and as values. Does no I/O.

llhttp, through httptools, reads the requests: it takes no head that two readers could
understand differently. What is here bounds them, and writes the heads of answers.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus
from urllib.parse import parse_qsl, unquote

import httptools

TEXT, HTML = "text/plain; charset=utf-8", "text/html; charset=utf-8"

HEAD = 16 * 1024
"""Most bytes of a request: line, headers and what little body we read past."""

CHUNK = 4 * 1024
"""Bytes to read at once, and how far a request may pass ``HEAD`` unnoticed."""

_ORIGIN = re.compile("^https?://([^/?]*)", re.IGNORECASE)  # as proxies are asked (RFC 9112, 3.2.2)
_HOST = re.compile(r"([A-Za-z0-9._~-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?\Z")


class Refused(Exception):
    """A request that gets no answer but a status and a line that says why."""

    def __init__(
        self, status: int, why: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(why or HTTPStatus(status).phrase)
        self.status = status
        self.headers = headers or {}


@dataclass(frozen=True, slots=True)
class WebRequest:
    """A request as the pages see it.

    Attributes:
        path: percent-decoded.
        query: parameters of the URL; of repeated ones the last.
        headers: by lower-case name; of repeated ones all, joined (RFC 9110 section 5.3).
        lasting: the connection serves further requests.
        host: name of the server as the client sees it, lower-case and without a port.
        chunks: the client understands chunked answers, as HTTP/1.1 does.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    host: str = ""
    lasting: bool = False
    chunks: bool = True


@dataclass(frozen=True, slots=True)
class WebAnswer:
    """An answer: a body, or pieces that are sent as they come."""

    body: bytes | AsyncGenerator[bytes, None]
    content_type: str = TEXT
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)

    def head(self, request: WebRequest, *, lasting: bool) -> bytes:
        """The status line and headers, in bytes."""
        fields = {
            "Date": formatdate(usegmt=True),
            "Content-Type": self.content_type,
            **self.headers,
        }
        if isinstance(self.body, bytes):
            fields["Content-Length"] = str(len(self.body))
        elif request.chunks:
            fields["Transfer-Encoding"] = "chunked"
        if not lasting:
            fields["Connection"] = "close"
        elif not request.chunks:
            fields["Connection"] = "keep-alive"
        first = f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}"
        lines = (first, *(f"{name}: {value}" for name, value in fields.items()), "", "")
        return "\r\n".join(lines).encode("latin-1")


def refusal(refused: Refused) -> WebAnswer:
    """The answer to a request that is refused."""
    return WebAnswer(f"{refused}\n".encode(), TEXT, refused.status, refused.headers)


class RequestReader:
    """Makes requests of the bytes of one connection.

    Attributes:
        requests: those read and not yet taken.
        begun: a request has begun that is not whole yet.
        refused: what came after those requests is none, and the connection ends with it.
    """

    def __init__(self) -> None:
        self.requests: deque[WebRequest] = deque()
        self.begun = False
        self.refused: Refused | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._size = 0
        self._head = False  # of the present request is complete
        self._url = b""
        self._headers: dict[str, str] = {}

    def feed(self, data: bytes) -> None:
        """Read on."""
        self._size += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # the request that asks for it is answered as HTTP/1.1, and is the last one
        except httptools.HttpParserError as error:
            self.refused = Refused(400, f"no HTTP/1.1 request: {error}")
        if self._size > HEAD and self.refused is None:
            self.refused = Refused(413 if self._head else 431)

    # What follows llhttp calls.

    def on_message_begin(self) -> None:
        """A request begins."""
        self.begun, self._head = True, False
        self._url, self._headers = b"", {}

    def on_url(self, url: bytes) -> None:
        """A part of the target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        before = self._headers.get(key)
        self._headers[key] = text if before is None else f"{before}, {text}"

    def on_headers_complete(self) -> None:
        """A body may follow, of which nothing is read."""
        self._head = True

    def on_message_complete(self) -> None:
        """The request is whole."""
        target = self._url.decode("latin-1")
        host = self._headers.get("host", "")
        named = bool(host)
        if origin := _ORIGIN.match(target):
            target, host = target[origin.end() :], origin[1]  # goes before Host
        path, _, query = target.partition("?")
        version, upgrade = self._parser.get_http_version(), self._parser.should_upgrade()
        valid = _HOST.match(host)
        if version not in {"1.0", "1.1"}:
            self.refused = Refused(505)
        elif valid is None or (version == "1.1" and not named) or (origin and not origin[1]):
            self.refused = Refused(400, "a request names one Host")
        if self.refused is not None:
            return
        self.requests.append(
            WebRequest(
                method=self._parser.get_method().decode("ascii"),
                path=unquote(path),
                query=dict(parse_qsl(query, keep_blank_values=True)),
                headers=self._headers,
                host=valid[1].lower().removesuffix(".") if valid else "",
                lasting=self._parser.should_keep_alive() and not upgrade,
                chunks=version == "1.1",
            )
        )
        self.begun, self._size = False, 0
