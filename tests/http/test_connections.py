"""Which connection serves the next request, and answers that come before their time."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable

import pytest
import trio

from probe.http.messages import Answered, Broken
from probe.model.failure import Reason
from tests.support.http_server import Ca, Stream, serve

from .conftest import Make, hangs_up, request_of, says, waits

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
BEYOND_ANY_BUFFER = 20_000_000

KEPT = [
    ("a length", OK),
    ("chunks", CHUNKED),
    ("no body", b"HTTP/1.1 204 No Content\r\n\r\n"),
    ("HTTP/1.0 that says so", b"HTTP/1.0 204 X\r\nConnection: keep-alive\r\n\r\n"),
]  # fmt: skip

DROPPED = [
    ("close", OK.replace(b"\r\n", b"\r\nConnection: Keep-Alive, Close\r\n", 1)),
    ("HTTP/1.0", OK.replace(b"1.1", b"1.0")),
    (
        "HTTP/1.0 with chunks",
        CHUNKED.replace(b"1.1", b"1.0").replace(b"\r\n", b"\r\nConnection: keep-alive\r\n", 1),
    ),
    ("a body after a 204", b'HTTP/1.1 204 No Content\r\nContent-Length: 7\r\n\r\n{"a":1}'),
    ("a body after a 304", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\nok"),
    ("more than the length", OK + b"xx"),
    ("more than the chunks", CHUNKED + b"xx"),
    ("another answer", OK + OK),
    ("another protocol", b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),
]


@pytest.mark.parametrize("answer", [row[1] for row in KEPT], ids=[row[0] for row in KEPT])
async def test_a_connection_that_is_clean_is_used_again(caller: Make, answer: bytes) -> None:
    async with serve(None, says(answer)) as server:
        call = caller(server.port)
        for _ in range(3):
            assert isinstance(await call(), Answered)
        assert server.connections == 1


@pytest.mark.parametrize("answer", [row[1] for row in DROPPED], ids=[row[0] for row in DROPPED])
async def test_a_connection_that_is_not_is_never_used_again(caller: Make, answer: bytes) -> None:
    """The step whose answer is broken shows what it shows; the next one is not blamed for it."""
    async with serve(None, says(answer)) as server:
        call = caller(server.port)
        for count in (1, 2):
            found = await call("POST")
            assert isinstance(found, Answered), found
            assert server.connections == count


async def test_bytes_that_come_late_end_the_connection_before_the_next_request(
    caller: Make,
) -> None:
    more = trio.Event()

    async def sends_more(stream: Stream) -> None:
        await more.wait()
        await stream.send_all(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")
        await trio.sleep_forever()

    async with serve(None, says(OK, then=sends_more)) as server:
        call = caller(server.port)
        assert isinstance(await call(), Answered)
        more.set()
        await trio.testing.wait_all_tasks_blocked(0.05)
        found = await call("POST")
        assert isinstance(found, Answered), found
        assert found.response.status == 200
        assert server.connections == 2


@pytest.mark.parametrize(("method", "spared"), [("GET", True), ("POST", False)])
async def test_the_rest_of_an_earlier_answer_is_no_answer(
    caller: Make, method: str, spared: bool
) -> None:
    """A request that may be repeated is; another one was sent, and nobody knows what of it."""
    connections = 0

    async def handler(stream: Stream) -> None:
        nonlocal connections
        connections += 1
        first = connections == 1
        await request_of(stream)
        await stream.send_all(OK)
        await request_of(stream)
        await stream.send_all(b'{"rest": 1}' + OK if first else OK)

    async with serve(None, handler) as server:
        call = caller(server.port)
        assert isinstance(await call(), Answered)
        found = await call(method)
    if spared:
        assert isinstance(found, Answered), found
        assert found.facts.requests == 2
    else:
        assert isinstance(found, Broken)
        assert found.failure.reason is Reason.HTTP_INVALID


REFUSAL = b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno"


async def resets(stream: Stream) -> None:
    plain = getattr(stream, "transport_stream", stream)
    plain.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


@pytest.mark.parametrize("then", [hangs_up, waits, resets])
@pytest.mark.parametrize("tls", [False, True])
async def test_an_answer_before_the_request_was_sent_counts(
    ca: Ca, caller: Make, then: Callable[[Stream], Awaitable[None]], tls: bool
) -> None:
    """A server may refuse a request early, and read no further (RFC 9110 section 15.5.14)."""

    async def refuses(stream: Stream) -> None:
        await stream.receive_some(1000)
        await stream.send_all(REFUSAL)
        await trio.sleep(0.05)  # a reset destroys what the peer has not read yet
        await then(stream)

    context: ssl.SSLContext | None = ca.context("api.example") if tls else None
    async with serve(context, refuses) as server:
        call = caller(server.port, roots=str(ca.roots))
        scheme = "https" if tls else "http"
        body = b"x" * BEYOND_ANY_BUFFER
        found = await call("POST", f"{scheme}://api.example/", body, seconds=3.0)
        assert isinstance(found, Answered), found
        assert (found.response.status, found.response.body) == (413, b"no")
        assert found.facts.timings.send is None
        await call("POST", f"{scheme}://api.example/", body, seconds=3.0)
        assert server.connections == 2, "half a request is on the first"


async def test_a_large_request_that_is_read_keeps_its_connection(caller: Make) -> None:
    async def reads(stream: Stream) -> None:
        while True:
            left = BEYOND_ANY_BUFFER
            data = b""
            while b"\r\n\r\n" not in data:
                data += await stream.receive_some(65536)
            left -= len(data.partition(b"\r\n\r\n")[2])
            while left:
                left -= len(await stream.receive_some(left))
            await stream.send_all(OK)

    async with serve(None, reads) as server:
        call = caller(server.port)
        for _ in range(2):
            found = await call("POST", body=b"x" * BEYOND_ANY_BUFFER)
            assert isinstance(found, Answered), found
            timings = found.facts.timings
            assert timings.send is not None
            assert timings.wait is not None
            assert timings.receive is not None
        assert server.connections == 1
