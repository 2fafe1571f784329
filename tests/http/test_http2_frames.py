"""HTTP/2, frame by frame: what RFC 9113 calls malformed fails, and nothing else does."""

from __future__ import annotations

import struct
from collections.abc import Callable

import h2.config
import h2.connection
import h2.events
import hpack
import pytest
import trio

from probe.http.messages import Answered, Broken
from probe.model.failure import Reason
from tests.support.http_server import Ca, Stream, serve
from tests.support.zoo import (
    CONTINUATION,
    DATA,
    GOAWAY,
    HEADERS,
    PING,
    PUSH,
    RESET,
    SETTINGS,
    WINDOW,
    block,
    frame,
)

from .conftest import Make

Fields = list[tuple[str, str]]
Says = Callable[[int], bytes]
"""What a server says to the request on a stream."""

END_STREAM, END_HEADERS, ACK, PADDED = 1, 4, 1, 8
URL = "https://api.example/"
OK: Fields = [(":status", "200"), ("content-type", "text/plain")]


def head(stream: int, fields: Fields = OK, flags: int = END_HEADERS) -> bytes:
    return frame(HEADERS, flags, stream, block(fields))


def data(stream: int, payload: bytes = b"ok", flags: int = END_STREAM) -> bytes:
    return frame(DATA, flags, stream, payload)


def whole(stream: int) -> bytes:
    return head(stream) + data(stream)


def alone(*fields: tuple[str, str]) -> Says:
    return lambda stream: head(stream, list(fields), END_HEADERS | END_STREAM)


def with_body(*more: tuple[str, str]) -> Says:
    return lambda stream: head(stream, [*OK, *more]) + data(stream)


def before(*frames: bytes) -> Says:
    return lambda stream: b"".join(frames) + whole(stream)


def leaving(last: int, code: int = 0, words: bytes = b"") -> bytes:
    return frame(GOAWAY, 0, 0, struct.pack("!II", last, code) + words)


class Server:
    """Says the same to every request, after its settings."""

    def __init__(self, says: Says) -> None:
        self.says = says

    async def __call__(self, stream: Stream) -> None:
        await stream.send_all(frame(SETTINGS, 0, 0))
        received = b""
        while len(received) < 24:
            received += await stream.receive_some(65536)
        received = received[24:]
        while True:
            size = int.from_bytes(received[:3], "big")
            while len(received) < 9 or len(received) < 9 + int.from_bytes(received[:3], "big"):
                more = await stream.receive_some(65536)
                if not more:
                    return
                received += more
                size = int.from_bytes(received[:3], "big")
            kind, flags, number = struct.unpack("!BBI", received[3:9])
            received = received[9 + size :]
            if kind == SETTINGS and not flags & ACK:
                await stream.send_all(frame(SETTINGS, ACK, 0))
            if kind == HEADERS:
                await stream.send_all(self.says(number))


GOOD: list[tuple[str, Says]] = [
    ("plain", whole),
    ("the right length", with_body(("content-length", "2"))),
    ("pings", before(frame(PING, 0, 0, b"12345678") * 40)),
    ("an unknown frame", before(frame(0xFE, 0xFF, 0, b"zzz"))),
    ("another origin", before(frame(0xC, 0, 0, b"\0\x15https://other.example"))),
    ("interim answers", lambda n: head(n, [(":status", "103"), ("link", "x")]) * 20 + whole(n)),
    ("headers in two frames", lambda n: frame(HEADERS, 0, n, block(OK)[:3])
        + frame(CONTINUATION, END_HEADERS, n, block(OK)[3:]) + data(n)),
    ("empty data", lambda n: head(n) + data(n, b"", 0) * 50 + data(n)),
    ("a trailer", lambda n: head(n) + data(n, flags=0)
        + head(n, [("x-end", "1")], END_HEADERS | END_STREAM)),
    ("a reset after the end", lambda n: whole(n) + frame(RESET, 0, n, bytes(4))),
    ("GOAWAY that permits ours", lambda n: leaving(n) + whole(n)),
    ("GOAWAY for later", lambda n: leaving(0x7FFFFFFF) + whole(n)),
    ("GOAWAY in the middle", lambda n: head(n) + leaving(n) + data(n)),
    ("GOAWAY twice", lambda n: leaving(0x7FFFFFFF) + head(n) + leaving(n) + data(n)),
    ("GOAWAY with an error, and the answer", lambda n: leaving(n, 2) + whole(n)),
]  # fmt: skip

MALFORMED: list[tuple[str, Says, Reason]] = [
    ("no status", alone(("content-type", "x")), Reason.HTTP2_ERROR),
    ("a status in words", alone((":status", "fine")), Reason.HTTP_INVALID),
    ("an empty status", alone((":status", "")), Reason.HTTP_INVALID),
    ("a status of one digit", alone((":status", "0")), Reason.HTTP_INVALID),
    ("a status of other digits", alone((":status", "\uff12\uff10\uff10")), Reason.HTTP_INVALID),
    ("two statuses", alone((":status", "200"), (":status", "500")), Reason.HTTP2_ERROR),
    ("large letters", with_body(("X-Upper", "1")), Reason.HTTP2_ERROR),
    ("a header of the connection", with_body(("connection", "close")), Reason.HTTP2_ERROR),
    ("a transfer coding", with_body(("transfer-encoding", "chunked")), Reason.HTTP2_ERROR),
    ("a line in a value", with_body(("x-a", "a\r\nb: c")), Reason.HTTP2_ERROR),
    ("an empty name", with_body(("", "x")), Reason.HTTP2_ERROR),
    ("a NUL in a name", with_body(("x\0y", "x")), Reason.HTTP2_ERROR),
    ("the wrong length", with_body(("content-length", "99")), Reason.HTTP2_ERROR),
    ("a length in words", with_body(("content-length", "two")), Reason.HTTP2_ERROR),
    ("two lengths", with_body(("content-length", "2"), ("content-length", "3")),
        Reason.HTTP2_ERROR),
    ("a body first", data, Reason.HTTP2_ERROR),
    ("a trailer and no end", lambda n: head(n) + head(n, [("x-t", "1")]), Reason.HTTP2_ERROR),
    ("a status in the trailer", lambda n: head(n) + data(n, flags=0)
        + head(n, [(":status", "500")], END_HEADERS | END_STREAM), Reason.HTTP2_ERROR),
    ("an interim answer that ends", alone((":status", "103")), Reason.HTTP2_ERROR),
    ("another protocol", lambda n: head(n, [(":status", "101")]) + whole(n), Reason.HTTP2_ERROR),
    ("a push", lambda n: frame(PUSH, END_HEADERS, n, struct.pack("!I", 2) + block(
        [(":method", "GET"), (":path", "/"), (":scheme", "https"), (":authority", "a")]))
        + whole(n), Reason.HTTP2_ERROR),
    ("headers that are none", lambda n: frame(HEADERS, 5, n, b"\xff" * 9), Reason.HTTP2_ERROR),
    ("padding beyond the end", lambda n: frame(HEADERS, END_HEADERS | PADDED, n, b"\xff"),
        Reason.HTTP2_ERROR),
    ("another stream", lambda n: whole(n + 2), Reason.HTTP2_ERROR),
    ("a stream of its own", lambda n: head(2), Reason.HTTP2_ERROR),
    ("a frame between headers", lambda n: frame(HEADERS, 0, n, block(OK)[:3]) + data(n),
        Reason.HTTP2_ERROR),
    ("settings of no size", before(frame(SETTINGS, 0, 0, b"abc")), Reason.HTTP2_ERROR),
    ("a window of nothing", before(frame(WINDOW, 0, 0, bytes(4))), Reason.HTTP2_ERROR),
    ("a frame beyond all bounds", lambda n: b"\xff\xff\xff\0\1" + struct.pack("!I", n) + bytes(99),
        Reason.HTTP2_ERROR),
    ("HTTP/1.1", lambda n: b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
        Reason.HTTP2_ERROR),
    ("a short GOAWAY", lambda n: frame(GOAWAY, 0, 0, b"x"), Reason.HTTP2_ERROR),
    ("headers without end", lambda n: frame(HEADERS, 0, n, block(OK)) + b"".join(
        frame(CONTINUATION, 0, n, block([("x-a", "v" * 4000)])) for _ in range(60)),
        Reason.TOO_LARGE),
    ("a small frame that unfolds", lambda n: frame(HEADERS, END_HEADERS, n, hpack.Encoder().encode(
        [*OK, *[("x-a", "v" * 1000)] * 100])),
        Reason.TOO_LARGE),
    ("empty data without end", lambda n: head(n) + data(n, b"", 0) * 5000, Reason.TOO_LARGE),
    ("a reset", lambda n: frame(RESET, 0, n, bytes(4)), Reason.HTTP2_ERROR),
    ("GOAWAY", lambda n: leaving(0), Reason.HTTP2_ERROR),
]  # fmt: skip


@pytest.mark.parametrize("said", [row[1] for row in GOOD], ids=[row[0] for row in GOOD])
async def test_what_is_allowed_is_an_answer(ca: Ca, caller: Make, said: Says) -> None:
    async with serve(ca.context("api.example", alpn=("h2",)), Server(said)) as server:
        found = await caller(server.port, roots=str(ca.roots), http2=True)(url=URL)
    assert isinstance(found, Answered), found
    assert (found.response.status, found.response.body) == (200, b"ok")
    assert found.response.version == "HTTP/2"


@pytest.mark.parametrize(
    ("said", "reason"), [row[1:] for row in MALFORMED], ids=[row[0] for row in MALFORMED]
)
async def test_what_is_malformed_is_none(ca: Ca, caller: Make, said: Says, reason: Reason) -> None:
    async with serve(ca.context("api.example", alpn=("h2",)), Server(said)) as server:
        found = await caller(server.port, roots=str(ca.roots), http2=True)(url=URL)
    assert isinstance(found, Broken), found
    assert found.failure.reason is reason, found.failure


async def test_a_server_that_leaves_says_why(ca: Ca, caller: Make) -> None:
    def said(stream: int) -> bytes:
        return leaving(0, 11, b"too_many_pings\r\n")

    async with serve(ca.context("api.example", alpn=("h2",)), Server(said)) as server:
        found = await caller(server.port, roots=str(ca.roots), http2=True)(url=URL)
    assert isinstance(found, Broken)
    assert "GOAWAY ENHANCE_YOUR_CALM too_many_pings" in found.failure.detail


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_server_that_drains_gets_the_next_request_on_a_new_connection(
    ca: Ca, caller: Make, method: str
) -> None:
    """What it has not looked at may be repeated, whatever it is (RFC 9113 section 6.8)."""
    asked = 0

    def said(stream: int) -> bytes:
        nonlocal asked
        asked += 1
        return leaving(stream - 2) if asked == 2 else whole(stream)

    async with serve(ca.context("api.example", alpn=("h2",)), Server(said)) as server:
        call = caller(server.port, roots=str(ca.roots), http2=True)
        await call(url=URL)
        found = await call(method, URL, b"" if method == "GET" else b"x")
        assert isinstance(found, Answered), found
        assert found.facts.requests == 2
        assert server.connections == 2


async def test_a_server_may_open_its_windows_after_each_frame_of_a_long_body(
    ca: Ca, caller: Make
) -> None:
    """It answers each of 190 frames with two of its own, long before it answers the request."""
    size = 3_000_000

    async def reads_all(stream: Stream) -> None:
        machine = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        machine.initiate_connection()
        received = 0
        while received < size:
            for event in machine.receive_data(bytes(await stream.receive_some(65536))):
                if isinstance(event, h2.events.DataReceived):
                    length = event.flow_controlled_length or 0
                    received += length
                    machine.increment_flow_control_window(length)
                    machine.increment_flow_control_window(length, 1)
            await stream.send_all(machine.data_to_send())
        await stream.send_all(whole(1))
        await trio.sleep_forever()

    async with serve(ca.context("api.example", alpn=("h2",)), reads_all) as server:
        call = caller(server.port, roots=str(ca.roots), http2=True)
        found = await call("POST", URL, bytes(size), seconds=30.0)
    assert isinstance(found, Answered), found


REFUSED_STREAM, CANCEL = 7, 8


@pytest.mark.parametrize("method", ["GET", "PUT", "POST"])
@pytest.mark.parametrize("code", [0, 2, CANCEL, 11, REFUSED_STREAM])
async def test_a_reset_on_a_kept_connection_is_a_result_unless_the_server_did_nothing(
    ca: Ca, caller: Make, method: str, code: int
) -> None:
    """RFC 9113 section 8.7: only REFUSED_STREAM says that the request was not looked at."""
    asked: list[int] = []

    def said(stream: int) -> bytes:
        asked.append(stream)
        reset = frame(RESET, 0, stream, struct.pack("!I", code))
        return reset if len(asked) == 2 else whole(stream)

    async with serve(ca.context("api.example", alpn=("h2",)), Server(said)) as server:
        call = caller(server.port, roots=str(ca.roots), http2=True)
        await call(url=URL)
        found = await call(method, URL, b"" if method == "GET" else b"x")
    if code == REFUSED_STREAM:
        assert isinstance(found, Answered), found
        assert found.facts.requests == 2
        assert len(asked) == 3
    else:
        assert isinstance(found, Broken), found
        assert found.failure.reason is Reason.HTTP2_ERROR
        assert "RST_STREAM" in found.failure.detail
        assert len(asked) == 2


async def test_a_request_whose_answer_has_begun_is_not_repeated(ca: Ca, caller: Make) -> None:
    """Whatever the server says of it then: asking twice might do harm."""
    asked = 0

    def said(stream: int) -> bytes:
        nonlocal asked
        asked += 1
        return head(stream) + leaving(stream - 2) if asked == 2 else whole(stream)

    async with serve(ca.context("api.example", alpn=("h2",)), Server(said)) as server:
        call = caller(server.port, roots=str(ca.roots), http2=True)
        await call(url=URL)
        found = await call("POST", URL, b"x")
        assert isinstance(found, Broken), found
        assert found.failure.reason is Reason.HTTP2_ERROR
        assert found.facts.requests == asked - 1 == 1


async def test_a_connection_that_the_server_leaves_is_not_used_again(ca: Ca, caller: Make) -> None:
    def said(stream: int) -> bytes:
        return whole(stream) + leaving(stream)

    async with serve(ca.context("api.example", alpn=("h2",)), Server(said)) as server:
        call = caller(server.port, roots=str(ca.roots), http2=True)
        for count in (1, 2):
            found = await call("POST", URL, b"x")
            assert isinstance(found, Answered), found
            assert found.facts.requests == 1
            assert server.connections == count


async def test_an_answer_before_the_request_was_sent_counts(ca: Ca, caller: Make) -> None:
    """The server gives no window for more than the first 64 KiB."""
    async with serve(ca.context("api.example", alpn=("h2",)), Server(whole)) as server:
        call = caller(server.port, roots=str(ca.roots), http2=True)
        for count in (1, 2):
            found = await call("POST", URL, bytes(200_000))
            assert isinstance(found, Answered), found
            assert found.response.body == b"ok"
            assert server.connections == count, "half a request is on the first"
