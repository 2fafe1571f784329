"""What hostile, slow and odd clients get from the port, over real sockets."""

from __future__ import annotations

import logging
import re
import socket
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio
import trio.testing

from probe.model.spec import Listen
from probe.serve import serve
from probe.serve.http import server
from probe.serve.http.message import HEAD, Refused, WebAnswer, WebRequest
from probe.serve.http.server import Handler, Places

BIG = 4_000_000


class Zoo:
    """Answers of every shape; counts how many big ones are under way."""

    def __init__(self) -> None:
        self.places = Places(2)
        self.under_way = 0
        self.asked = 0
        self.pause = 0.0

    def __call__(self, request: WebRequest) -> tuple[Handler, Places | None]:
        handlers = {
            "/ok": (self.ok, None),
            "/echo": (self.echo, None),
            "/big": (self.big, self.places),
            "/pieces": (self.pieces, None),
            "/defect": (self.defect, None),
        }
        if request.path not in handlers:
            raise Refused(404)
        if request.method not in {"GET", "HEAD"}:
            raise Refused(405, headers={"Allow": "GET, HEAD"})
        self.asked += request.path == "/big"
        return handlers[request.path]

    async def ok(self, _: WebRequest) -> WebAnswer:
        return WebAnswer(b"ok\n")

    async def echo(self, request: WebRequest) -> WebAnswer:
        return WebAnswer(f"{request.path} {dict(request.query)} {request.headers}\n".encode())

    async def asked_for_big(self, times: int) -> None:
        """Wait until so many have asked, answered or not; no clock is needed."""
        while self.asked < times:
            await trio.lowlevel.checkpoint()

    async def big(self, _: WebRequest) -> WebAnswer:
        return WebAnswer(self._big())

    async def _big(self) -> AsyncGenerator[bytes, None]:
        self.under_way += 1
        try:
            for _ in range(40):
                await trio.sleep(self.pause)
                yield bytes(BIG // 40)
        finally:
            self.under_way -= 1

    async def pieces(self, _: WebRequest) -> WebAnswer:
        async def pieces() -> AsyncGenerator[bytes, None]:
            for piece in (b"one ", b"", b"two"):
                yield piece

        return WebAnswer(pieces())

    async def defect(self, _: WebRequest) -> WebAnswer:
        raise KeyError("gone")


@pytest.fixture
def zoo() -> Zoo:
    return Zoo()


@asynccontextmanager
async def serving(zoo: Zoo) -> AsyncIterator[int]:
    stop = trio.Event()
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            start = partial(serve, zoo, Listen("127.0.0.1", 0), stop=stop.wait)
            address = await nursery.start(start)
            yield int(address.rpartition(":")[2])
            stop.set()


async def dialogue(port: int, sent: bytes, *, end: bool = False) -> bytes:
    """All that is answered until the server closes."""
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        await stream.send_all(sent)
        if end:
            await stream.send_eof()
        return b"".join([data async for data in stream])


def asking(path: str, *headers: str, method: str = "GET", version: str = "1.1") -> bytes:
    return "\r\n".join(
        (f"{method} {path} HTTP/{version}", "Host: probe", *headers, "", "")
    ).encode()


def statuses(answer: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d+) ", answer)]


CLOSE = "Connection: close"


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (asking("/ok", CLOSE), 200),
        (asking("/ok", version="1.0"), 200),
        (asking("http://probe:9469/ok?x=1", CLOSE), 200),
        (asking("/nowhere", CLOSE), 404),
        (asking("/ok", CLOSE, method="POST"), 405),
        (asking("/ok", CLOSE, method="OPTIONS"), 405),
        (asking("/ok", CLOSE, method="TRACE"), 405),
        (asking("probe:443", method="CONNECT"), 404),
        (asking("/ok", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c"), 200),
        (asking("/ok", "Connection: Upgrade", "Upgrade: websocket"), 200),
        (asking("/ok", CLOSE, "Content-Length: 3") + b"abc", 200),
        (asking("/ok", CLOSE, "Transfer-Encoding: chunked") + b"1\r\na\r\n0\r\n\r\n", 200),
        (asking("/defect", CLOSE), 500),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"\x16\x03\x01\x00\xff\x01\x00\x00", 400),
        (b"GET /ok HTTP/9.9\r\n\r\n", 400),
        (b"GET /ok\r\n\r\n", 505),
        (b"BREW /ok HTTP/1.1\r\nHost: probe\r\n\r\n", 400),
        (b"GET /ok HTTP/1.1\r\n\r\n", 400),
        (asking("http:///ok"), 400),  # an origin without a name passes for none (RFC 9110, 4.2.1)
        (asking("/ok", "Host: other"), 400),
        (asking("/ok", "Host : x"), 400),
        (asking("/ok", "X: a\x00b"), 400),
        (asking("/ok", "X: a\r\n b"), 400),
        (b"GET /ok HTTP/1.1\nHost: probe\n\n", 400),
        (asking("/ok", "Content-Length: 3", "Transfer-Encoding: chunked"), 400),
        (asking("/ok", "Content-Length: 3", "Content-Length: 4"), 400),
        (asking("/ok", "X: " + "a" * 2 * HEAD), 431),
        (asking("/" + "a" * 2 * HEAD), 431),
        (b"GET /ok HTTP/1.1\r\n" + b"X: a\r\n" * HEAD, 431),
        (asking("/ok", f"Content-Length: {2 * HEAD}") + bytes(2 * HEAD), 413),
        (b"\r\n" * HEAD, 431),
    ],
    ids=lambda value: value[:40].decode("latin-1") if isinstance(value, bytes) else "",
)
async def test_every_request_gets_its_status_and_an_end(
    zoo: Zoo, sent: bytes, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(zoo) as port:
        answer = await dialogue(port, sent)
        assert statuses(answer) == [status]
        assert b"\r\nConnection: close\r\n" in answer
        assert statuses(await dialogue(port, asking("/ok", CLOSE))) == [200]
    logged = [record.name for record in caplog.records if record.levelno >= logging.WARNING]
    assert logged == (["probe.serve"] if status == 500 else [])


async def test_the_parts_of_a_request_reach_who_answers(zoo: Zoo) -> None:
    async with serving(zoo) as port:
        sent = asking("/e%63ho?a=1&a=%20x&b", "X-One: 1", "x-one: 2", CLOSE)
        body = (await dialogue(port, sent)).partition(b"\r\n\r\n")[2].decode()
    assert body.startswith("/echo {'a': ' x', 'b': ''} ")
    assert "'x-one': '1, 2'" in body


async def test_a_connection_serves_request_after_request(zoo: Zoo) -> None:
    """Pipelined ones too, in order; what follows a bad one is not read."""
    sent = asking("/ok") + asking("/pieces") + asking("/ok", method="HEAD") + asking("/echo")
    async with serving(zoo) as port:
        answer = await dialogue(port, sent, end=True)
        assert statuses(answer) == [200, 200, 200, 200]
        assert b"4\r\none \r\n3\r\ntwo\r\n0\r\n\r\nHTTP/1.1" in answer
        answer = await dialogue(port, asking("/ok") + b"\x00\x00" + asking("/echo"))
        assert statuses(answer) == [200, 400]


async def test_head_says_what_get_would_without_a_body(zoo: Zoo) -> None:
    async with serving(zoo) as port:
        answer = await dialogue(port, asking("/ok", CLOSE, method="HEAD"))
        assert answer.endswith(b"\r\n\r\n")
        assert b"\r\nContent-Length: 3\r\n" in answer
        answer = await dialogue(port, asking("/big", CLOSE, method="HEAD"))
        assert answer.endswith(b"\r\n\r\n")
    assert zoo.under_way == 0


async def test_http_1_0_gets_no_chunks(zoo: Zoo) -> None:
    async with serving(zoo) as port:
        answer = await dialogue(port, asking("/pieces", "Connection: keep-alive", version="1.0"))
        assert answer.endswith(b"\r\n\r\none two")
        kept = asking("/ok", "Connection: keep-alive", version="1.0")
        assert statuses(await dialogue(port, kept + kept, end=True)) == [200, 200]


async def test_one_byte_at_a_time_is_a_request(zoo: Zoo) -> None:
    async with serving(zoo) as port, await trio.open_tcp_stream("127.0.0.1", port) as stream:
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in asking("/ok", CLOSE):
            await stream.send_all(bytes([byte]))
        answer = b"".join([data async for data in stream])
    assert statuses(answer) == [200]


@pytest.mark.parametrize(("sent", "status"), [(b"", []), (b"GET /ok HT", [408])])
async def test_who_asks_nothing_or_never_ends_is_sent_away(
    zoo: Zoo, monkeypatch: pytest.MonkeyPatch, sent: bytes, status: list[int]
) -> None:
    monkeypatch.setattr(server, "IDLE", 0.1)
    async with serving(zoo) as port:
        assert statuses(await dialogue(port, sent)) == status


async def test_a_dripping_head_has_no_longer_than_a_silent_one(
    zoo: Zoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "IDLE", 0.2)
    async with serving(zoo) as port, await trio.open_tcp_stream("127.0.0.1", port) as stream:
        await stream.send_all(b"GET /ok HTTP/1.1\r\nX: ")

        async def drip() -> None:
            while True:
                await stream.send_all(b"a")
                await trio.sleep(0.02)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(drip)
            assert statuses(await stream.receive_some(4096)) == [408]
            nursery.cancel_scope.cancel()


async def test_who_reads_too_slowly_is_sent_away(zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "WRITE", 0.1)
    async with serving(zoo) as port, await slow_reader(port):
        while not zoo.under_way:
            await trio.sleep(0.01)
        while zoo.under_way:
            await trio.sleep(0.01)


async def slow_reader(port: int) -> trio.SocketStream:
    """A connection that asks for much and reads nothing."""
    sock = trio.socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    await sock.connect(("127.0.0.1", port))
    stream = trio.SocketStream(sock)
    await stream.send_all(asking("/big"))
    return stream


async def test_slow_readers_hold_a_few_answers_and_keep_nobody_out(
    zoo: Zoo, mock_clock: trio.testing.MockClock
) -> None:
    """Time passes once only, when all wait: who reads is never slow, however busy this machine."""
    async with serving(zoo) as port, trio.open_nursery() as nursery:
        slow = [await slow_reader(port) for _ in range(12)]
        await zoo.asked_for_big(12)
        answers: list[bytes] = []

        async def read() -> None:
            answers.append(await dialogue(port, asking("/big", CLOSE)))
            whole.set()

        whole = trio.Event()
        nursery.start_soon(read)
        await zoo.asked_for_big(13)
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert zoo.under_way == 2
        mock_clock.jump(server.STALL)
        await whole.wait()
        assert answers[0].endswith(b"\r\n0\r\n\r\n")
        assert len(answers[0]) > BIG
        assert zoo.under_way <= 2
        assert statuses(await dialogue(port, asking("/ok", CLOSE))) == [200]
        for stream in slow:
            await stream.aclose()
        mock_clock.rate = 1.0  # to stop


async def test_an_answer_that_takes_us_long_is_not_taken_for_a_slow_reader(
    zoo: Zoo, mock_clock: trio.testing.MockClock
) -> None:
    """A scrape of a busy agent keeps its place though others want one, as long as it is read."""
    mock_clock.autojump_threshold = 0.01  # time passes when nothing is left to send or to read
    zoo.pause = 0.1  # 4 s in all: more than STALL, less than LONG
    async with serving(zoo) as port:
        answers: list[bytes] = []

        async def scrape() -> None:
            answers.append(await dialogue(port, asking("/big", CLOSE)))

        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(scrape)
    assert all(answer.endswith(b"\r\n0\r\n\r\n") for answer in answers)


async def test_idle_connections_beyond_the_bound_go_longest_first(
    zoo: Zoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "CONNECTIONS", 8)
    async with serving(zoo) as port:
        busy = await slow_reader(port)
        while not zoo.under_way:
            await trio.sleep(0.01)
        idle = []
        for _ in range(30):
            stream = await trio.open_tcp_stream("127.0.0.1", port)
            await stream.send_all(asking("/ok"))
            assert statuses(await stream.receive_some(4096)) == [200]
            idle.append(stream)
        for stream in idle[:23]:
            assert await ended(stream)
        for stream in idle[23:]:
            await stream.send_all(asking("/ok"))
            assert statuses(await stream.receive_some(4096)) == [200]
        assert zoo.under_way == 1, "an answer under way stays"
        for stream in (busy, *idle):
            await stream.aclose()


async def ended(stream: trio.SocketStream) -> bool:
    try:
        return not await stream.receive_some(1)
    except trio.BrokenResourceError:
        return True


async def test_the_end_lets_an_answer_under_way_end(zoo: Zoo) -> None:
    stop = trio.Event()
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            start = partial(serve, zoo, Listen("127.0.0.1", 0), stop=stop.wait)
            port = int((await nursery.start(start)).rpartition(":")[2])
            async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
                await stream.send_all(asking("/big"))
                answer = bytearray(await stream.receive_some(4096))
                stop.set()
                async for data in stream:
                    answer += data
    assert answer.endswith(b"\r\n0\r\n\r\n")
