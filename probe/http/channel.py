"""A connection as the HTTP modules use it: bounded, and timed next to the socket."""

from __future__ import annotations

import trio

from probe.connection.failures import AttemptFailed
from probe.connection.tcp import Wire
from probe.connection.timeline import Timeline
from probe.connection.tls import TlsStream
from probe.model.failure import Failure, Phase, Reason

HEAD_ROOM = 128 * 1024
"""Bytes that a response's header may take, with all that comes before it: interim responses,
settings, pings. Each may be tiny and cost a parser far more than its sender."""

FRAMING = 128 * 1024
"""Bytes that the framing of a body may take whatever the size of the body."""

_PIECE = 16 * 1024
"""Most bytes handed to a parser at once: one TLS record, some milliseconds of parsing even when
it is all one-byte chunks. Having read so much, the event loop gets its turn."""

MOST_EVENTS = 50
"""Events that a response may cost before its header is complete. An event is a read of the socket,
an interim response or a frame of HTTP/2. An honest one costs about five."""

_READ_COST = 200
"""Bytes that each read of the socket counts for beside those that it gives: a record of a single
byte costs us far more than its sender."""

_GLANCE = 0.001
"""Seconds in which bytes that are known to have arrived are read."""


class NotTaken(AttemptFailed):
    """The server said that it has not looked at this request (RFC 9113 section 8.7)."""


class Channel:
    """One connection for one exchange at a time.

    Attributes:
        wire: the TCP connection.
        room: bytes that the peer may still send in this exchange.
        events: how many it may still cost before its header is complete; None afterwards.
        heard: whether anything arrived in this exchange.
        ended: the peer has closed its side.
    """

    def __init__(self, stream: TlsStream | Wire) -> None:
        self._stream = stream
        self.wire = stream.wire if isinstance(stream, TlsStream) else stream
        self.room = 0
        self.events: int | None = None
        self.heard = False
        self.ended = False
        self._read = 0  # since the loop had its turn

    @property
    def timeline(self) -> Timeline:
        """Of the call that the connection serves now."""
        return self.wire.timeline

    def begin(self) -> None:
        """Start an exchange."""
        self.room, self.events = HEAD_ROOM, MOST_EVENTS
        self.heard = False
        self.timeline.begin_request()

    async def send(self, data: bytes, *, last: bool) -> None:
        """Write a part of the request. Raises AttemptFailed.

        Args:
            data: what to write.
            last: the request is complete with it.
        """
        timeline = self.timeline
        if timeline.written_from is None:
            timeline.written_from = trio.current_time()
        await self._stream.send_all(data)
        if last and timeline.written is None:
            timeline.written = trio.current_time()
            if timeline.phase is Phase.SEND:
                timeline.enter(Phase.WAIT)

    async def receive(self) -> bytes:
        """Wait for bytes of the response; empty when the peer has closed its side.

        Raises AttemptFailed: the connection broke, or the peer sends without end.
        """
        if self._read >= _PIECE:
            self._read = 0
            await trio.lowlevel.checkpoint()
        timeline = self.timeline
        received, reads = timeline.received, timeline.reads
        data = await self._stream.receive_some(_PIECE)
        reads = timeline.reads - reads
        cost = max(len(data), timeline.received - received) + reads * _READ_COST
        self._read += cost
        if data:
            self.heard = True
            self.charge(cost, reads)
        else:
            self.ended = True
        return data

    def charge(self, cost: int, events: int = 0) -> None:
        """Take what a part of the response costs from its room. Raises AttemptFailed."""
        self.room -= cost
        if self.room < 0:
            raise self.endless("the answer on the wire has no end")
        if self.events is not None:
            self.events -= events
            if self.events < 0:
                raise self.endless(f"no whole header after {MOST_EVENTS} reads, frames and 1xx")

    def allow(self, cost: int, events: int) -> None:
        """Give the peer more room, for what it must say meanwhile."""
        self.room += cost
        if self.events is not None:
            self.events += events

    def headed(self, cap: int) -> None:
        """Note that the header is complete, of a response whose body is at most so long."""
        self.events = None
        self.room += FRAMING + 2 * cap  # twice leaves room for small chunks

    def endless(self, detail: str) -> AttemptFailed:
        """What to raise for a response that costs more than any honest one."""
        return AttemptFailed(Failure(self.timeline.phase, Reason.TOO_LARGE, detail))

    def answered(self) -> None:
        """Note that the response has begun, with the bytes that were read last."""
        timeline = self.timeline
        if timeline.answered is None:
            timeline.answered = timeline.arrived
        if timeline.phase is not Phase.RECEIVE:
            timeline.enter(Phase.RECEIVE)

    def invalid(self, detail: str) -> AttemptFailed:
        """What to raise for a response that is not HTTP as it should be."""
        return AttemptFailed(Failure(self.timeline.phase, Reason.HTTP_INVALID, detail))

    def closed(self) -> AttemptFailed:
        """What to raise when the peer has closed its side too early."""
        detail = "closed before the answer was whole"
        return AttemptFailed(Failure(self.timeline.phase, Reason.CLOSED, detail))

    async def unasked(self) -> bytes | None:
        """What arrived while nothing was asked; None when the connection has ended.

        What is readable may be no more than a session ticket (RFC 8446 section 4.6.1).
        """
        data = b""
        if self.wire.readable():
            with trio.move_on_after(_GLANCE):
                try:
                    data = await self._stream.receive_some(_PIECE)
                except AttemptFailed:
                    self.ended = True
                self.ended = self.ended or not data
        return None if self.ended else data

    def close(self) -> None:
        """Close at once."""
        self.ended = True
        self._stream.close()
