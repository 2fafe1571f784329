"""The bounds of an exchange and its times, over a wire that gives what the test says."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from probe.connection.failures import AttemptFailed
from probe.connection.timeline import Timeline
from probe.http import http2
from probe.http.body import Incoming
from probe.http.channel import HEAD_ROOM, Channel
from probe.http.http1 import Http1
from probe.http.http2 import Http2
from probe.http.messages import Request
from probe.model.failure import Phase, Reason

REQUEST = Request("GET", "https://api.example/")


class Wire:
    """Gives the same piece again and again, a virtual second after the other."""

    def __init__(self, *pieces: bytes, seconds: float = 0.0) -> None:
        self.timeline = Timeline(trio.current_time(), Phase.RESOLVE)
        self.pieces = pieces
        self.seconds = seconds
        self.given = 0

    def readable(self) -> bool:
        return False

    async def send_all(self, data: bytes) -> None:
        await trio.sleep(self.seconds)

    async def receive_some(self, max_bytes: int) -> bytes:
        if self.seconds:
            await trio.sleep(self.seconds)
        piece = self.pieces[min(self.given, len(self.pieces) - 1)]
        self.given += 1
        self.timeline.note(piece, None, 0.0)
        return piece[:max_bytes]


def channel(wire: Wire) -> Channel:
    stands_for_one: Any = wire
    return Channel(stands_for_one)


async def failure_of(connection: Http1 | Http2) -> tuple[Phase, Reason]:
    with pytest.raises(AttemptFailed) as caught:
        await connection.exchange(REQUEST, Incoming(10_000_000))
    failure = caught.value.failure
    return failure.phase, failure.reason


async def test_a_head_in_tiny_pieces_ends_long_before_its_bytes_do() -> None:
    """Each piece costs us far more than the byte that it holds."""
    wire = Wire(b"HTTP/1.1 200 OK\r\n", b"X")
    assert await failure_of(Http1(channel(wire))) == (Phase.RECEIVE, Reason.TOO_LARGE)
    assert wire.given < HEAD_ROOM / 40


async def test_interim_answers_end() -> None:
    wire = Wire(b"HTTP/1.1 103 Early Hints\r\n\r\n")
    assert await failure_of(Http1(channel(wire))) == (Phase.RECEIVE, Reason.TOO_LARGE)


async def test_chunks_of_one_byte_end() -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    wire = Wire(head, b"1\r\nx\r\n" * 2000)
    http1 = Http1(channel(wire))
    with pytest.raises(AttemptFailed) as caught:
        await http1.exchange(REQUEST, Incoming(100_000))
    assert caught.value.failure.reason is Reason.TOO_LARGE
    assert wire.given < 50


async def test_small_frames_end() -> None:
    settings = b"\0\0\0\4\0\0\0\0\0"
    ping = b"\0\0\x08\x06\0\0\0\0\0" + b"12345678"
    wire = Wire(settings, ping * 100)
    assert await failure_of(Http2(channel(wire))) == (Phase.WAIT, Reason.TOO_LARGE)
    assert wire.given < 20


async def turns_of_others(connection: Http1 | Http2) -> int:
    """Read a response; how often something else had its turn meanwhile."""
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(other)
        await connection.exchange(REQUEST, Incoming(10_000_000))
        nursery.cancel_scope.cancel()
    return turns


@pytest.mark.parametrize(("size", "pieces", "least"), [(16384, 50, 48), (1, 5000, 14)])
async def test_between_full_pieces_or_many_small_ones_others_get_their_turn(
    size: int, pieces: int, least: int
) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (size * pieces)
    wire = Wire(head, b"x" * size)
    assert await turns_of_others(Http1(channel(wire))) >= least


async def test_within_a_piece_of_many_frames_others_get_their_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http2, "_TURN", -1.0)  # whatever takes any time takes too long
    settings = b"\0\0\0\4\0\0\0\0\0"
    head, nothing = b"\0\0\1\1\4\0\0\0\1\x88", b"\0\0\0\0\0\0\0\0\1"
    wire = Wire(settings + head + nothing * 1000 + b"\0\0\0\0\1\0\0\0\1")
    assert await turns_of_others(Http2(channel(wire))) >= 4


async def test_the_phases_of_a_call_are_timed_next_to_the_wire(autojump_clock: MockClock) -> None:
    head, body = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", b"ok"
    wire = Wire(head, body, seconds=2.0)
    incoming = Incoming(100)
    await Http1(channel(wire)).exchange(REQUEST, incoming)
    response = await incoming.response()
    assert response is not None
    assert response.body == b"okok"
    timings = wire.timeline.timings(0.0)
    assert (timings.send, timings.wait, timings.receive) == (2, 2, 4)
    assert wire.timeline.phase is Phase.RECEIVE
