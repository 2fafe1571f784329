"""HTTP/1.1 for the lab's servers: h11 for the grammar, a few lines for the rest.

A framework would be less code here, but no framework lets a handler break its answer in the
middle, and answers that break in the middle are what the lab is for.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from enum import Enum
from http import HTTPStatus
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlsplit

import h11
import trio

from probe.lab.terminator import TlsStream

_LARGEST_BODY = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    """One request, whatever version of HTTP it came in.

    Attributes:
        host: of the Host header or ``:authority``, lower case, without port.
        query: last value of each name.
        headers: names in lower case.
    """

    method: str
    host: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON, or None when it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    def form(self) -> dict[str, str]:
        """The body as ``application/x-www-form-urlencoded``."""
        return dict(parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True))


@dataclass(frozen=True, slots=True)
class Response:
    """An answer; ``Content-Length`` and ``Date`` are added where it is sent."""

    status: int = 200
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()

    def plus(self, *headers: tuple[str, str]) -> Response:
        """The same with further headers."""
        return Response(self.status, self.body, self.headers + headers)


def json_response(document: Any, status: int = 200, *headers: tuple[str, str]) -> Response:
    """A JSON answer."""
    kind = ("Content-Type", "application/json; charset=utf-8")
    return Response(status, json.dumps(document).encode(), (kind, *headers))


def html_response(page: str, status: int = 200) -> Response:
    """A page for people."""
    return Response(status, page.encode(), (("Content-Type", "text/html; charset=utf-8"),))


class Ending(Enum):
    """What a fault may say instead of a response."""

    FINISHED = "nothing more will be sent on this connection"
    PROCEED = "go on as if nothing had happened"


Reply = Response | Ending


class Frames(Protocol):
    """What HTTP/2 lets a fault do to the request's connection or stream."""

    async def goaway(self) -> None:
        """Refuse the connection."""

    async def reset_stream(self) -> None:
        """Refuse this one request."""


@dataclass(slots=True)
class Exchange:
    """A request being answered.

    Attributes:
        tls: the connection, for faults that write to it themselves.
        edge: name of the place that answers.
        frames: HTTP/2 only.
        role: whose identity the authorization layer found, once it has.
        notes: response headers gathered on the way.
    """

    request: Request
    tls: TlsStream
    edge: str
    frames: Frames | None = None
    role: str = ""
    notes: list[tuple[str, str]] = field(default_factory=list)


def platform_error(exchange: Exchange, code: int, name: str, message: str) -> Response:
    """``{code, message, requestId}``, and the headers that repeat it."""
    identity = dict(exchange.notes).get("x-request-id", "")
    document = {"code": name, "message": message, "requestId": identity}
    evidence = (("x-vtex-error-code", name), ("x-vtex-error-message", message))
    return json_response(document, code, *evidence)


Responder = Callable[[Exchange], Awaitable[Reply]]
"""Answers; an ending says that nothing more will be sent and the connection ends."""


def make_request(
    method: str, target: str, host: str, headers: Mapping[str, str], body: bytes
) -> Request:
    """A request from its parts as they stand on the wire."""
    parts = urlsplit(target)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
    return Request(method, name.lower(), parts.path or "/", query, headers, body)


def full_headers(response: Response, seconds: float) -> list[tuple[str, str]]:
    """Headers as sent: the answer's own, ``Date`` and the body's length."""
    named = {name.lower() for name, _ in response.headers}
    headers = list(response.headers)
    if "date" not in named:
        headers.append(("Date", formatdate(seconds, usegmt=True)))
    if "content-length" not in named:
        headers.append(("Content-Length", str(len(response.body))))
    return headers


async def serve_http1(
    tls: TlsStream, edge: str, respond: Responder, now: Callable[[], float], first: bytes
) -> None:
    """Answer requests on one connection until either side ends it.

    ``first`` has been received already.
    """
    wire = h11.Connection(h11.SERVER, max_incomplete_event_size=64 * 1024)
    wire.receive_data(first)
    while True:
        try:
            request = await _read_request(tls, wire)
        except h11.RemoteProtocolError:
            await tls.send_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
            return
        if request is None:
            return
        response = await respond(Exchange(request, tls, edge))
        if not isinstance(response, Response):
            return
        await tls.send_all(_encode(wire, request, response, now()))
        if wire.our_state is h11.MUST_CLOSE or wire.their_state is not h11.DONE:
            return
        wire.start_next_cycle()


async def _read_request(tls: TlsStream, wire: h11.Connection) -> Request | None:
    head: h11.Request | None = None
    body = bytearray()
    while True:
        match wire.next_event():
            case h11.NEED_DATA:
                try:
                    wire.receive_data(await tls.receive_some())
                except trio.BrokenResourceError:
                    return None
            case h11.Request() as head:
                continue
            case h11.Data(data=data):
                body += data
                if len(body) > _LARGEST_BODY:
                    return None
            case h11.EndOfMessage():
                break
            case _:
                return None
    assert head is not None  # noqa: S101 - h11 ends no message that it has not begun
    headers = {name.decode(): value.decode("latin-1") for name, value in head.headers}
    target, host = head.target.decode("latin-1"), headers.get("host", "")
    return make_request(head.method.decode(), target, host, headers, bytes(body))


def _encode(wire: h11.Connection, request: Request, response: Response, seconds: float) -> bytes:
    reason = HTTPStatus(response.status).phrase if response.status in _KNOWN else ""
    head = h11.Response(
        status_code=response.status,
        headers=full_headers(response, seconds),
        reason=reason.encode(),
    )
    sent = wire.send(head) or b""
    if request.method != "HEAD" and response.body:
        sent += wire.send(h11.Data(data=response.body)) or b""
    return sent + (wire.send(h11.EndOfMessage()) or b"")


_KNOWN = frozenset(int(status) for status in HTTPStatus)
