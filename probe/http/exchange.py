"""One request and its answer on one connection, bounded and classified."""

from __future__ import annotations

from dataclasses import dataclass

import httpcore
import trio

from probe.connection.failures import AttemptFailed
from probe.http import decode, faults
from probe.http.machines import Machine
from probe.http.request import Request
from probe.http.response import Headers, Response
from probe.http.stream import WatchedStream
from probe.http.url import Origin, parsed
from probe.model.failure import Failure, Phase, Reason
from probe.model.target import Edge

_ANSWER = b"HTTP/"

_FRAMING = 128 * 1024
"""Bytes on the wire that the framing of a body may take whatever its size."""


@dataclass(slots=True)
class Link:
    """A kept connection and the HTTP machine on it."""

    origin: Origin
    edge: Edge
    stream: WatchedStream
    connection: Machine
    http2: bool

    @property
    def reusable(self) -> bool:
        """Whether the machine can take another request."""
        return self.connection.is_available() and not self.stream.ended


class Interrupted(AttemptFailed):
    """An exchange that gave no whole answer; what had arrived comes along."""

    def __init__(self, failure: Failure, partial: Response | None) -> None:
        super().__init__(failure)
        self.partial = partial


class NotTaken(Exception):
    """The server said that it has not looked at this request (RFC 9113 section 6.8)."""


async def exchange(link: Link, draft: Request, *, max_body: int) -> Response:
    """Send a request and read the whole answer.

    Args:
        link: its stream says afterwards when what happened.
        draft: with every header but Content-Length; a Host of its own replaces the URL's.
        max_body: most bytes of the decoded body.

    Raises:
        Interrupted: anything that keeps the answer from being whole.
        NotTaken: the request may be repeated on another connection, whatever it is.
    """
    stream = link.stream
    stream.begin(body=bool(draft.body))
    body = _Body(stream, max_body)
    head: Response | None = None
    try:
        response = await link.connection.handle_async_request(_core(draft, link))
        # Twice the body leaves room for small chunks; more is an attack or a defect.
        stream.head_arrived(_FRAMING + 2 * max_body)
        head = _head(response)
        body.coding(head.header("content-encoding") or "")
        async for piece in response.aiter_stream():
            body.take(piece)
        await response.aclose()
        body.end()
    except httpcore.ConnectionNotAvailable:
        raise NotTaken from None
    except trio.Cancelled:
        stream.close()  # half-used: no other request may go over it
        raise
    except Exception as error:
        # The seam to httpcore, h11 and h2: `faults` knows every type that they raise, and
        # calls what it does not know a defect, which is counted and is ours to fix.
        failure = faults.failed(error, stream.timeline.phase, ended=stream.left, http2=link.http2)
        if head is None and not link.http2 and not stream.opening.startswith(_ANSWER):
            failure = faults.no_http(failure, stream.opening)
        partial = None if head is None else _with_body(head, body.whole)
        stream.close()
        raise Interrupted(failure, partial) from error
    return _with_body(head, body.whole)


def _core(draft: Request, link: Link) -> httpcore.Request:
    """The request as httpcore takes it: headers as UTF-8, as shells and curl would send them."""
    url = parsed(draft.url)
    own = draft.header("host")
    headers = [(b"Host", url.netloc if own is None else own.encode())]
    rest = draft.without("host").headers
    headers += [(name.encode(), value.encode()) for name, value in rest]
    if draft.body or draft.method in _WITH_BODY:
        headers.append((b"Content-Length", b"%d" % len(draft.body)))
    return httpcore.Request(
        method=draft.method,
        url=httpcore.URL(
            scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
        ),
        headers=headers,
        content=_Content(draft.body, link.stream),
    )


_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
"""Methods that say that a body is empty (RFC 9110 section 8.6)."""


class _Content:
    """A request's body for httpcore, in one piece.

    No generator: httpcore stops in the middle of one when a write fails, and a generator
    that nobody closes is a warning of Python's.
    """

    def __init__(self, data: bytes, stream: WatchedStream) -> None:
        self._data = data
        self._stream = stream

    def __aiter__(self) -> _Content:
        return self

    async def __anext__(self) -> bytes:
        if not self._data:
            self._stream.said_all()
            raise StopAsyncIteration
        data, self._data = self._data, b""
        return data


def _head(response: httpcore.Response) -> Response:
    headers: Headers = tuple(
        (name.decode("latin-1").lower(), value.decode("latin-1").strip())
        for name, value in response.headers
    )
    version = response.extensions.get("http_version", b"HTTP/1.1").decode("latin-1")
    return Response(response.status, headers, b"", version)


def _with_body(head: Response, body: bytes) -> Response:
    return Response(head.status, head.headers, body, head.version)


_PIECES = 1000
_SMALL = 8
"""A body in more pieces than this, of fewer bytes each: parsing it would cost the agent more
than sending it costs the server."""


class _Body:
    """Gathers the decoded body.

    A body that goes wrong is not left half-read, which would leave httpcore's generators
    dangling: the stream is told to fail its next read, and what is parsed already is dropped.
    """

    def __init__(self, stream: WatchedStream, cap: int) -> None:
        self._stream = stream
        self._cap = cap
        self._decoder: decode.Decoder | None = None
        self._pieces: list[bytes] = []
        self._count = self._size = 0
        self._failure: Failure | None = None

    @property
    def whole(self) -> bytes:
        return b"".join(self._pieces)

    def coding(self, content_encoding: str) -> None:
        try:
            self._decoder = decode.decoder_for(content_encoding, self._cap)
        except decode.Undecodable as error:
            self._fail(Reason.UNDECODABLE, str(error))

    def take(self, data: bytes) -> None:
        if self._failure is not None or self._decoder is None:
            return
        self._count += 1
        self._size += len(data)
        if self._count > _PIECES and self._size < self._count * _SMALL:
            self._fail(Reason.TOO_LARGE, f"a body in {self._count} pieces of a few bytes each")
            return
        try:
            self._pieces.append(self._decoder.feed(data))
        except decode.TooLarge:
            self._fail(Reason.TOO_LARGE, f"more than {self._cap} bytes of body")
        except decode.Undecodable as error:
            self._fail(Reason.UNDECODABLE, str(error))

    def end(self) -> None:
        if self._failure is None and self._decoder is not None:
            try:
                self._decoder.finish()
            except decode.Undecodable as error:
                self._fail(Reason.UNDECODABLE, str(error))
        if self._failure is not None:
            raise AttemptFailed(self._failure)

    def _fail(self, reason: Reason, detail: str) -> None:
        self._failure = Failure(Phase.RECEIVE, reason, detail)
        self._stream.refuse(self._failure)
