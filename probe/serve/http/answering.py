"""The little of HTTP that a few read-only paths need, as an ASGI application.

Why no framework: Starlette brings asyncio and anyio along, 2.3 MiB of resident memory and a
tenth of a second at the start, for which an agent on trio has no other use. Reading requests and
writing answers is Hypercorn's; here is only which path is whose.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, HTTPScope, Scope

TEXT, HTML = "text/plain; charset=utf-8", "text/html; charset=utf-8"


class Refused(Exception):
    """A request that gets no answer but a status and a line that says why."""

    def __init__(self, status: int, why: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(why)
        self.status = status
        self.headers = headers or {}


@dataclass(frozen=True, slots=True)
class Request:
    """What a handler is asked.

    Attributes:
        rest: what follows the path that the handler serves, percent-decoded.
        query: parameters of the URL; of repeated ones the last.
        headers: by lower-case name; of repeated ones all, joined (RFC 9110 section 5.3).
    """

    rest: str
    query: Mapping[str, str]
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """What it answers: a body, or pieces that are sent as they come."""

    body: bytes | AsyncGenerator[bytes, None]
    content_type: str = TEXT
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


Handler = Callable[[Request], Awaitable[Answer]]


class Paths:
    """The application.

    Args:
        exact: handlers by path.
        below: handlers by the beginning of a path, which ends in a slash.
    """

    def __init__(self, exact: Mapping[str, Handler], below: Mapping[str, Handler]) -> None:
        self._exact = exact
        self._below = below

    async def __call__(
        self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> None:
        """Answer one request (the signature is ASGI's)."""
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1000, "reason": None})
            return
        try:
            handler, rest = self._handler(scope["path"].rstrip("/") or "/")
            if scope["method"] not in {"GET", "HEAD"}:
                raise Refused(405, "Method Not Allowed", {"Allow": "GET, HEAD"})
            answer = await handler(_request(scope, rest))
        except Refused as refused:
            answer = Answer(str(refused).encode(), TEXT, refused.status, refused.headers)
        await _send(answer, send)

    def _handler(self, path: str) -> tuple[Handler, str]:
        exact = self._exact.get(path)
        if exact is not None:
            return exact, ""
        for start, handler in self._below.items():
            if path.startswith(start):
                return handler, path.removeprefix(start)
        raise Refused(404, "Not Found")


def _request(scope: HTTPScope, rest: str) -> Request:
    headers: dict[str, str] = {}
    for raw, value in scope["headers"]:
        name, text = raw.decode("latin-1").lower(), value.decode("latin-1")
        headers[name] = f"{headers[name]}, {text}" if name in headers else text
    query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
    return Request(rest, query, headers)


async def _send(answer: Answer, send: ASGISendCallable) -> None:
    headers = {"Content-Type": answer.content_type, **answer.headers}
    if isinstance(answer.body, bytes):
        headers["Content-Length"] = str(len(answer.body))
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": raw})
    if isinstance(answer.body, bytes):
        await send({"type": "http.response.body", "body": answer.body, "more_body": False})
        return
    async with aclosing(answer.body) as pieces:  # also when the client is gone half way
        async for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})
