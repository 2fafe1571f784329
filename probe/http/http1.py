"""HTTP/1.1: one request at a time on one connection (RFC 9112).

The head of a response is read here, as leniently as curl and browsers read it. llhttp, which
refuses much that they take, frames the body: it is given a head of our own that says no more
than how the body is delimited.
"""

from __future__ import annotations

import re

import httptools
import trio

from probe.connection.failures import AttemptFailed
from probe.http.body import Incoming
from probe.http.channel import Channel
from probe.http.messages import Request, Response
from probe.http.url import parsed

_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
"""Methods that say that a body is empty (RFC 9110 section 8.6)."""

_AT_ONCE = 16 * 1024
"""Bytes of a request that fit into the socket. While a longer one is written its response is
awaited already: a server may refuse it early and read no further."""

_STATUS = re.compile(r"HTTP/(1\.[01]|2(?:\.0)?) *([1-9][0-9]{2})(?![0-9])", re.IGNORECASE)
_BLANK = " \t"  # not all that str.strip() strips: bytes of UTF-8 look like its blanks
_FOLD = re.compile(r"(?:\n[ \t]+)+")
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_OPENING = b"HTTP/"
_MOST_LINES = 500  # of a header; curl and Node.js take more, no server of the web sends them
_CHUNK_COST = 20  # bytes that each chunk takes from an exchange's room beside those on the wire
_MOST_DIGITS = 18  # of a length: llhttp counts no further, and no cap is as high
_CHUNKED, _TO_THE_END = -1, -2


class Http1:
    """One connection that speaks HTTP/1.1.

    Attributes:
        reusable: whether another request may go over it.
    """

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.reusable = True
        self._unread = b""  # received and not looked at yet
        self._unsent: AttemptFailed | None = None  # why the request did not leave whole

    async def still_open(self) -> bool:
        """Whether a kept connection is open, with nothing on it that was not asked for."""
        self.reusable = self.reusable and await self.channel.unasked() == b""
        return self.reusable

    async def exchange(self, request: Request, incoming: Incoming) -> None:
        """Send a request and read the response.

        Args:
            request: with every header but Content-Length; a Host of its own replaces the URL's.
            incoming: takes the response. Its body is whole or longer than its cap.

        Raises:
            AttemptFailed: anything that keeps the response from being whole.
        """
        self.channel.begin()
        self.reusable = False  # until the exchange has ended well
        self._unsent = None
        data = rendered(request)
        if len(data) <= _AT_ONCE:
            await self._send(data)
            await self._read_response(request.method, incoming)
            return
        failed: AttemptFailed | None = None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._send, data)
            try:
                await self._read_response(request.method, incoming)
            except AttemptFailed as error:  # not to be wrapped in a group
                failed = error
            nursery.cancel_scope.cancel()
        if failed is not None:
            raise failed

    async def _send(self, data: bytes) -> None:
        """Write the request. A server may answer and close before it has read everything."""
        try:
            await self.channel.send(data, last=True)
        except AttemptFailed as error:
            self._unsent = error

    async def _receive(self) -> bytes:
        """Wait for bytes; empty at the end. Raises AttemptFailed."""
        try:
            data = await self.channel.receive()
        except AttemptFailed as error:
            raise self._unsent or error from None
        if data:
            self.channel.answered()
        elif self._unsent is not None:
            raise self._unsent
        return data

    async def _read_response(self, method: str, incoming: Incoming) -> None:
        """Read head and body. Raises AttemptFailed."""
        channel = self.channel
        head = await self._head()
        while head.status < 200 and head.status != 101:
            channel.charge(0, 1)
            head = await self._head()
        incoming.head = head
        channel.headed(incoming.cap)
        framed = _Framed(incoming)
        lists = _lists(head)
        await self._read_body(framed, self._framing(method, head, lists))
        clean = incoming.ended and not framed.extra and not channel.ended
        sent = channel.timeline.written is not None
        self.reusable = clean and sent and _stays(head, lists)

    async def _head(self) -> Response:
        """Read one head. Raises AttemptFailed."""
        data, self._unread = self._unread.lstrip(b"\r\n"), b""
        looked_at = 0
        while True:
            if data[: len(_OPENING)].upper() != _OPENING[: len(data)]:
                opening = bytes(data[:16])
                raise self.channel.invalid(f"the answer is no HTTP: it begins with {opening!r}")
            end = _HEAD_END.search(data, looked_at)
            if end is not None:
                self._unread = data[end.end() :]
                return self._parsed(data[: end.start()])
            more = await self._receive()
            if not more:
                raise self.channel.closed()
            looked_at = max(0, len(data) - 3)
            data = data + more if data else more.lstrip(b"\r\n")

    def _parsed(self, raw: bytes) -> Response:
        """Read status line and headers. Raises AttemptFailed.

        What curl and browsers overlook is overlooked: bare line feeds and carriage returns,
        folded lines, lines without a colon, spaces before one, odd characters in names.
        """
        if b"\0" in raw:
            raise self.channel.invalid("a NUL byte in the header")
        text = raw.replace(b"\r\n", b"\n").replace(b"\r", b" ").decode("latin-1")
        if text.count("\n") >= _MOST_LINES:
            raise self.channel.invalid(f"a header of more than {_MOST_LINES} lines")
        lines = _FOLD.sub(" ", text).split("\n")
        start = _STATUS.match(lines[0])
        if start is None:
            raise self.channel.invalid(f"no status line of HTTP/1.1: {lines[0][:60]}")
        headers: list[tuple[str, str]] = []
        for line in lines[1:]:
            before, colon, after = line.partition(":")
            name = before.strip(_BLANK).lower()
            if colon and name:
                headers.append((name, after.strip(_BLANK)))
        version = "HTTP/1.0" if start[1] == "1.0" else "HTTP/1.1"
        return Response(int(start[2]), tuple(headers), b"", version)

    def _framing(self, method: str, head: Response, lists: dict[str, set[str]]) -> int:
        """How many bytes the body has, or how else it is delimited (RFC 9112 section 6.3).

        Raises AttemptFailed.
        """
        codings, lengths = lists["transfer-encoding"] - {"", "identity"}, lists["content-length"]
        if method == "HEAD" or head.status in {101, 204, 304}:
            return 0
        if codings and lengths:
            # curl goes by the first and proxies refuse it: whose bytes are whose is unsure.
            detail = "both Content-Length and Transfer-Encoding (RFC 9112 section 6.3)"
            raise self.channel.invalid(detail)
        if codings:
            if codings != {"chunked"}:
                named = ", ".join(sorted(codings))[:60]
                raise self.channel.invalid(f"Transfer-Encoding {named} was not asked for")
            return _CHUNKED
        if not lengths:
            return _TO_THE_END
        said = " and ".join(sorted(lengths))
        if len(lengths) > 1 or not (said.isascii() and said.isdecimal()):
            raise self.channel.invalid(f"Content-Length {said[:60]!r}")
        return int(said.lstrip("0")[:_MOST_DIGITS] or "0")

    async def _read_body(self, framed: _Framed, framing: int) -> None:
        """Read the body to its end, or until it is too long. Raises AttemptFailed."""
        incoming = framed.incoming
        parser = httptools.HttpResponseParser(framed)
        parser.set_dangerous_leniencies(
            lenient_headers=True,
            lenient_optional_cr_before_lf=True,
            lenient_spaces_after_chunk_size=True,
        )
        data, self._unread = _told(framing) + self._unread, b""
        while True:
            try:
                parser.feed_data(data)
            except httptools.HttpParserError as error:
                if not (incoming.ended or framed.in_trailer):
                    raise self.channel.invalid(f"a chunk that is none: {error}") from error
                incoming.ended = framed.extra = True
            self.channel.charge(_CHUNK_COST * framed.chunks)
            framed.chunks = 0
            if incoming.ended or incoming.too_long:
                return
            data = await self._receive()
            if not data:
                if framing != _TO_THE_END:
                    raise self.channel.closed()
                incoming.ended = True
                return


def _told(framing: int) -> bytes:
    """The head that llhttp is given.

    After ``Connection: close`` it refuses bytes behind the end of the body, which is how they
    are noticed.
    """
    how = b"" if framing == _TO_THE_END else b"Content-Length: %d\r\n" % framing
    if framing == _CHUNKED:
        how = b"Transfer-Encoding: chunked\r\n"
    return b"HTTP/1.1 200 OK\r\nConnection: close\r\n%b\r\n" % how


class _Framed:
    """What llhttp makes of the body: it calls these methods by their names.

    Attributes:
        extra: more bytes than the body's came.
        chunks: how many began since they were counted last.
        in_trailer: only a trailer is missing, and what stands there is of no use here.
    """

    def __init__(self, incoming: Incoming) -> None:
        self.incoming = incoming
        self.extra = self.in_trailer = False
        self.chunks = 0

    def on_body(self, data: bytes) -> None:
        self.in_trailer = False
        self.incoming.take(data)

    def on_chunk_header(self) -> None:
        self.chunks += 1
        self.in_trailer = True  # unless a byte of a chunk follows

    def on_chunk_complete(self) -> None:
        self.in_trailer = False

    def on_message_complete(self) -> None:
        self.incoming.ended = True


def rendered(request: Request) -> bytes:
    """The request as bytes.

    Raises:
        ValueError: it would be more than one request, or none.
    """
    url = parsed(request.url)
    own = request.header("host")
    headers = [(b"Host", url.netloc if own is None else own.encode()), *request.encoded()]
    if request.body or request.method in _WITH_BODY:
        headers.append((b"Content-Length", b"%d" % len(request.body)))
    lines = [b"%b %b HTTP/1.1" % (request.method.encode(), url.raw_path)]
    lines += [b"%b: %b" % header for header in headers]
    return b"%b\r\n\r\n%b" % (b"\r\n".join(lines), request.body)


def _lists(head: Response) -> dict[str, set[str]]:
    """The items of those headers that frame a message, in lower case."""
    found: dict[str, set[str]] = {
        "transfer-encoding": set(),
        "content-length": set(),
        "connection": set(),
    }
    for name, value in head.headers:
        if name in found:
            found[name].update(one.strip().lower() for one in value.split(","))
    return found


def _stays(head: Response, lists: dict[str, set[str]]) -> bool:
    """Whether the server keeps the connection (RFC 9112 section 9.3).

    HTTP/1.0 has no chunks: who sends them may have mixed up two messages (section 6.1).
    """
    said = lists["connection"]
    if "close" in said or head.status == 101:
        return False
    return head.version == "HTTP/1.1" or ("keep-alive" in said and not lists["transfer-encoding"])
