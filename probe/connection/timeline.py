"""Where an attempt stands and how long its parts took: one owner, for TLS checks and API calls.

Whoever starts an attempt makes its `Timeline` and hands it to `connect`. From then on the `Wire`
writes into it, and everybody who moves the attempt on calls `enter`. A connection that is kept
serves one attempt after the other: `Wire.serve` hands it the timeline of the next.

What a completed handshake showed is collected from OpenSSL here too.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import NamedTuple

import trio
from OpenSSL import SSL

from probe.certificates import Verdict
from probe.connection import openssl
from probe.model.failure import Phase
from probe.model.result import Clock, Handshake, Timings
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
        lookup: of the resolution that gave the address, made now or before.
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
    lookup: float | None = None
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
            lookup=self.lookup,
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


_APPLICATION_DATA = 23  # RFC 8446 section 5.1: what an encrypted record calls itself


class Presented(NamedTuple):
    """What a completed handshake showed, unjudged.

    Attributes:
        version: ``TLS 1.3``, as blackbox_exporter writes it.
        cipher: OpenSSL's name.
        group: key exchange group, ``X25519MLKEM768``; None when unknown or plain RSA.
        alpn: protocol chosen, or None.
        certificates: DER, in the order sent; leaf first.
        ocsp: the stapled OCSP response as sent (DER), or None.
        client_certificate_asked: TLS 1.3 only: the server asked for a client certificate, and
            may still refuse ours, or its absence, after the handshake.
    """

    version: str
    cipher: str
    group: str | None
    alpn: str | None
    certificates: tuple[bytes, ...] = ()
    ocsp: bytes | None = None
    client_certificate_asked: bool = False


def collect(tls: SSL.Connection, last_flight: bytes | None) -> Presented:
    """Collect the facts of a handshake; without a last flight, what was agreed so far."""
    version = tls.get_protocol_version_name().replace("TLSv", "TLS ", 1)
    complete = last_flight is not None
    return Presented(
        # Interned, because tens of thousands of results say the same.
        version=sys.intern(version),
        cipher=sys.intern(tls.get_cipher_name() or ""),
        group=_intern(tls.get_group_name()),
        alpn=_intern(tls.get_alpn_proto_negotiated().decode("ascii", "backslashreplace")),
        certificates=openssl.presented_chain(tls) if complete else (),
        ocsp=openssl.staple(tls),
        client_certificate_asked=(
            last_flight is not None and version == "TLS 1.3" and _encrypted_records(last_flight) > 1
        ),
    )


def _intern(text: str | None) -> str | None:
    return sys.intern(text) if text else None


def _encrypted_records(flight: bytes) -> int:
    """Count the encrypted records of the client's last flight.

    With TLS 1.3 the answer to a CertificateRequest is the only thing that a client sends
    beside its Finished (RFC 8446, section 2), and pyOpenSSL has no question for it.
    """
    count = at = 0
    while at + 5 <= len(flight):
        count += flight[at] == _APPLICATION_DATA
        at += 5 + int.from_bytes(flight[at + 3 : at + 5], "big")
    return count


def facts_of(presented: Presented, verdict: Verdict) -> Handshake:
    """Join what the handshake showed with what the judge read out of the certificates."""
    return Handshake(
        version=presented.version,
        cipher=presented.cipher,
        chain=verdict.chain,
        group=presented.group,
        alpn=presented.alpn,
        verified_not_after=verdict.verified_not_after,
        renewal=verdict.renewal,
        leaf_renewal=verdict.leaf_renewal,
        ocsp=verdict.ocsp,
        timestamps=verdict.timestamps,
        crl=verdict.crl,
    )
