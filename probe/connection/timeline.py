"""Where an attempt stands and how long its parts took: one owner, for TLS checks and API calls.

Whoever starts an attempt makes its `Timeline` and hands it to `connect`. From then on the `Wire`
writes into it, and everybody who moves the attempt on calls `enter`. A connection that is kept
serves one attempt after the other: `Wire.serve` hands it the timeline of the next.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import trio

from probe.model.failure import Phase
from probe.model.result import Clock, Timings
from probe.model.target import Edge

_HEAD = 512  # bytes kept from the start: enough to name a banner or a status line


@dataclass(slots=True)
class Timeline:
    """The phase, the evidence and the timings of one attempt. Times are on trio's clock.

    Attributes:
        begun: when the attempt began.
        phase: what failures are filed under now.
        sent: bytes written in all phases.
        received: bytes read in all phases.
        head: the first bytes read in this phase, as evidence.
        entered: when this phase began.
        edge: where the attempt connects to; None before that is known.
        arrived: when the last bytes read had arrived.
        reads: how often something was read.
        lag: the greatest time between an arrival and our noticing it; 0 where unknown.
        clock: ``kernel`` while every time of the connection came from the kernel.
        resolve: seconds; None, like the next three, for what did not happen.
        connect: seconds from SYN to SYN-ACK.
        starttls: seconds from connecting to the go-ahead.
        tls: seconds that the handshake took network and server.
        written_from: when the first byte of a request was written; None before.
        written: when its last byte was written; None before.
        answered: when the first byte of the answer had arrived; None before.
    """

    begun: float
    phase: Phase = Phase.CONNECT
    sent: int = 0
    received: int = 0
    head: bytes = b""
    entered: float = field(init=False)
    edge: Edge | None = None
    arrived: float = 0.0
    reads: int = 0
    lag: float = 0.0
    clock: Clock = Clock.APPLICATION
    resolve: float | None = None
    connect: float | None = None
    starttls: float | None = None
    tls: float | None = None
    written_from: float | None = None
    written: float | None = None
    answered: float | None = None

    def __post_init__(self) -> None:
        self.entered = self.begun

    def enter(self, phase: Phase) -> None:
        """Begin a phase: failures are filed under it, and evidence starts anew."""
        self.phase = phase
        self.entered = trio.current_time()
        self.head = b""

    def note(self, data: bytes, age: float | None, opened: float) -> None:
        """Keep what was read just now and when it had arrived.

        Args:
            data: what was read.
            age: seconds since it arrived, by the kernel; None when the kernel did not say.
            opened: when connecting began. Nothing can have arrived before: the wall clock, by
                which the kernel stamps, was set meanwhile.
        """
        now = self.arrived = trio.current_time()
        if age is not None and 0.0 <= age <= now - opened:
            self.arrived = now - age
            self.lag = max(self.lag, age)
        else:
            self.clock = Clock.APPLICATION
        self.received += len(data)
        self.reads += 1
        if len(self.head) < _HEAD:
            self.head = (self.head + data)[:_HEAD]

    @property
    def moment(self) -> str:
        """When it happened, in words: tells an overloaded edge from a broken handshake."""
        if self.phase not in (Phase.CONNECT, Phase.STARTTLS, Phase.TLS):
            return f"after {self.received} bytes received"
        if not self.sent and not self.received:
            return "after connect, before anything was sent"
        opening = "ClientHello" if self.phase is Phase.TLS else "our first bytes"
        if not self.received:
            return f"after {opening}, before any byte of an answer"
        return f"mid-flight, after {self.received} bytes received"

    def begin_request(self) -> None:
        """Start a request, the first one or one more, on a connection."""
        self.enter(Phase.SEND)
        self.written_from = self.written = self.answered = None

    def timings(self, total: float, lag: float = 0.0) -> Timings:
        """The seconds of the phases that happened.

        Args:
            total: seconds of the whole attempt.
            lag: how late the agent was meanwhile, where that is known to matter.
        """
        send = wait = receive = None
        if self.written_from is not None and self.written is not None:
            send = self.written - self.written_from
            if self.answered is not None:
                # The kernel may stamp an early answer before our own write returned.
                wait = max(0.0, self.answered - self.written)
                receive = self.arrived - self.answered
        return Timings(
            resolve=self.resolve,
            connect=self.connect,
            starttls=self.starttls,
            tls=self.tls,
            send=send,
            wait=wait,
            receive=receive,
            total=total,
            lag=max(self.lag, lag),
            clock=self.clock,
        )
