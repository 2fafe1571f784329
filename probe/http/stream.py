"""A connection of the shared transport as httpcore wants it, watched while it is used.

httpcore speaks HTTP over any `AsyncNetworkStream`. This one is backed by the transport that
the TLS prober uses too, so failures keep their phase and reason, and the ends of the phases are
read next to the socket (from the kernel where it tells).

Bounds: each exchange may receive a fixed number of bytes on the wire, whatever they are framed
as, so that endless headers, chunks, trailers or frames end.
"""

from __future__ import annotations

from typing import Any

import httpcore
import trio

from probe.connection.failures import AttemptFailed
from probe.connection.tcp import Wire
from probe.connection.timeline import Timeline
from probe.connection.tls import TlsStream
from probe.model.failure import Failure, Phase, Reason

_OPENING = 16
_FLUSH = 64 * 1024

_HEAD_ROOM = 128 * 1024
"""Bytes on the wire that an answer's header may take, with all that comes before it: interim
responses, settings, pings. Each may be tiny and cost a parser far more than its sender."""

_GLANCE = 0.001
"""Seconds in which bytes that are known to have arrived are read."""

_PIECE = 16 * 1024
"""Most bytes handed to the HTTP parsers at once: one TLS record, some milliseconds of parsing
even when it is all one-byte chunks. Between two pieces the event loop gets its turn."""


class WatchedStream(httpcore.AsyncNetworkStream):
    """One connection, possibly used for several exchanges, one at a time.

    Attributes:
        ended: the peer has closed its side, or we have.
        left: the peer has closed its side. Not the same: httpcore closes us before it raises.
        heard: whether anything arrived in this exchange.
        opening: the first bytes of the answer.
    """

    def __init__(self, stream: TlsStream | Wire, *, http2: bool) -> None:
        self._stream = stream
        self._wire = stream.wire if isinstance(stream, TlsStream) else stream
        self._http2 = http2
        self._room = 0
        self._refused: Failure | None = None
        self._out = bytearray()
        self._complete = False
        self.opening = b""
        self.ended = False
        self.left = False
        self.heard = False

    @property
    def wire(self) -> Wire:
        """The TCP connection below."""
        return self._wire

    @property
    def timeline(self) -> Timeline:
        """Of the call that the connection serves now."""
        return self._wire.timeline

    def serve(self, timeline: Timeline) -> None:
        """Serve another call from now on."""
        if timeline is not self._wire.timeline:
            self._wire.serve(timeline)

    def begin(self, *, body: bool) -> None:
        """Start an exchange whose request has a body, or none."""
        self._room = _HEAD_ROOM
        self._refused = None
        self._complete = not body
        self.opening = b""
        self.heard = False
        self.timeline.begin_request()

    def head_arrived(self, room: int) -> None:
        """The response's header is complete; its body may take ``room`` bytes on the wire."""
        self._room += room
        self._answering()

    def _answering(self) -> None:
        """The answer begins, with the bytes that were read last."""
        timeline = self.timeline
        if timeline.answered is None:
            timeline.answered = timeline.arrived
        if timeline.phase is not Phase.RECEIVE:
            timeline.enter(Phase.RECEIVE)

    def refuse(self, failure: Failure) -> None:
        """Read no more of this answer: the next read fails so."""
        self._refused = failure

    def said_all(self) -> None:
        """The request is complete: what is written later only acknowledges."""
        self._complete = True

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Bytes of the answer. Deadlines are the session's, so ``timeout`` has no use.

        Raises:
            AttemptFailed: the connection broke, or the peer sends without end.
        """
        if self._refused is not None:
            raise AttemptFailed(self._refused)
        if not self._http2:
            self.said_all()  # HTTP/1.1 reads only then
        # Once the request is out, what HTTP/2 acknowledges can wait while an answer lies there.
        acknowledges = self._http2 and self.timeline.phase is not Phase.SEND
        unsent = None
        if not (acknowledges and self._wire.readable()):
            unsent = await self._flush_or_why()
        try:
            data = await self._stream.receive_some(min(max_bytes, _PIECE))
        except AttemptFailed as error:
            raise unsent or error from None
        if not data:
            self.ended = self.left = True
            if unsent is not None:
                raise unsent
            return data
        self._note(data)
        return data

    def _note(self, data: bytes) -> None:
        """Keep when and what arrived, and bound it."""
        self.heard = True
        if len(self.opening) < _OPENING:
            self.opening = (self.opening + data)[:_OPENING]
        if not self._http2:
            self._answering()
        self._room -= len(data)
        if self._room < 0:
            raise AttemptFailed(
                Failure(self.timeline.phase, Reason.TOO_LARGE, "the answer on the wire has no end")
            )

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Take bytes of the request; they leave together, at the next read or when they are many.

        Raises:
            httpcore.WriteError: with the classified failure as its cause. httpcore then still
                reads: a server may answer and close before it has read everything.
        """
        self._out += buffer
        if len(self._out) >= _FLUSH:
            error = await self._flush_or_why()
            if error is not None:
                raise httpcore.WriteError(str(error)) from error

    async def _flush_or_why(self) -> AttemptFailed | None:
        """Send what was written; the failure if that did not work."""
        if self._out:
            data, self._out = bytes(self._out), bytearray()
            if self.timeline.written_from is None:
                self.timeline.written_from = trio.current_time()
            try:
                await self._stream.send_all(data)
            except AttemptFailed as error:
                return error
            if self.timeline.phase is Phase.SEND:
                self.timeline.written = trio.current_time()
        if self._complete and self.timeline.phase is Phase.SEND:
            self.timeline.enter(Phase.WAIT)
        return None

    async def quiet(self) -> bool:
        """Whether a kept HTTP/1.1 connection is still open, with nothing unasked on it.

        What is readable may be no more than a session ticket (RFC 8446 section 4.6.1).
        """
        if not self._wire.readable():
            return True
        with trio.move_on_after(_GLANCE) as look:
            try:
                await self._stream.receive_some(_PIECE)
            except AttemptFailed:
                return False
        return look.cancelled_caught

    def close(self) -> None:
        """Close at once; the connection is over."""
        self.ended = True
        self._stream.close()

    async def aclose(self) -> None:
        """Close at once; nothing is waited for, also when called in a cancelled scope."""
        self.close()

    async def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        """Never called: TLS is done before httpcore sees the connection."""
        raise NotImplementedError

    def get_extra_info(self, info: str) -> Any:
        """Nothing: httpcore asks for a socket only where it opens connections itself."""
        return None
