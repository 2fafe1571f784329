"""What is known of a call while it is under way, and what it comes to."""

from __future__ import annotations

from dataclasses import dataclass

import trio

from probe.connection import classify
from probe.connection.transport import Wire
from probe.http.answer import Trip
from probe.http.stream import WatchedStream
from probe.model.failure import Failure, Phase, Reason
from probe.model.result import Clock, Handshake, Timings
from probe.model.target import Edge


@dataclass(slots=True)
class Way:
    """What is known of a call so far; becomes its `Trip`."""

    start: float
    url: str
    phase: Phase = Phase.RESOLVE
    edge: Edge | None = None
    handshake: Handshake | None = None
    resolve: float | None = None
    connect: float | None = None
    tls: float | None = None
    fresh: bool = False
    requests: int = 0
    wire: Wire | None = None
    stream: WatchedStream | None = None
    warnings: tuple[Failure, ...] = ()

    def enter(self, phase: Phase) -> None:
        """A phase begins."""
        self.phase = phase

    def connected(self, wire: Wire) -> None:
        """Connecting is done."""
        self.wire, self.connect = wire, wire.connect_seconds

    def timed_out(self) -> Failure:
        """The deadline has passed: the same failure as of a TLS check in the same place."""
        seconds = trio.current_time() - self.start
        wire = self.wire if self.stream is None else self.stream.wire
        if wire is not None:
            return classify.timed_out(wire.progress(), seconds)
        if self.phase is Phase.CONNECT and self.edge is not None:
            return classify.connect_timed_out(self.edge)
        return Failure(self.phase, Reason.TIMEOUT, f"no end in {seconds:.1f} s")

    @property
    def now(self) -> Phase:
        """What is being done now."""
        return self.phase if self.stream is None else self.stream.phase

    def trip(self) -> Trip:
        """The facts, as far as the call got."""
        stream = self.stream
        send, wait, receive, end = _phases(stream)
        return Trip(
            timings=Timings(
                resolve=self.resolve,
                connect=self.connect,
                tls=self.tls,
                send=send,
                wait=wait,
                receive=receive,
                total=(trio.current_time() if end is None else end) - self.start,
                lag=0.0 if stream is None else stream.wire.lag,
                clock=Clock.APPLICATION if stream is None else stream.wire.clock,
            ),
            edge=self.edge,
            handshake=self.handshake,
            fresh=self.fresh,
            requests=self.requests,
            url=self.url,
            warnings=self.warnings,
        )


def _phases(
    stream: WatchedStream | None,
) -> tuple[float | None, float | None, float | None, float | None]:
    """Seconds of send, wait and receive, and the end; None for what did not happen."""
    if stream is None or stream.started is None or stream.sent is None:
        return None, None, None, None
    send = stream.sent - stream.started
    if stream.first is None or stream.last is None:
        return send, None, None, None
    # The kernel may stamp an early answer before our own write returned.
    return send, max(0.0, stream.first - stream.sent), stream.last - stream.first, stream.last
