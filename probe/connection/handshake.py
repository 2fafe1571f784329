"""The TLS handshake: bytes carried between OpenSSL and the socket until it is over.

Memory BIOs: OpenSSL never touches the socket, so every wait is trio's, and what was received is
at hand as evidence.
"""

from __future__ import annotations

import trio
from OpenSSL import SSL

from probe.connection import classify
from probe.connection.fault import AttemptFailed
from probe.connection.presented import Presented, collect
from probe.connection.tcp import Wire
from probe.connection.tls_stream import TlsStream, outgoing, queue
from probe.model.failure import Failure, Phase

MAX_HANDSHAKE = 256 * 1024
"""Bytes that a server may send before the handshake must be over. OpenSSL itself ends it at
100 KiB of certificates; this bounds everything else."""

_HANDSHAKE = 22  # a record that is not encrypted (RFC 5246 section 6.2.1)
_CERTIFICATE, _CLIENT_KEY_EXCHANGE = 11, 16  # handshake messages (section 7.4)


class Incomplete(AttemptFailed):
    """A handshake that ended after the server had presented something, which is kept."""

    def __init__(self, failure: Failure, presented: Presented) -> None:
        super().__init__(failure)
        self.presented = presented


async def handshake(wire: Wire, context: SSL.Context, *, server_name: bytes | None) -> TlsStream:
    """Do a full handshake; never a resumed one.

    Args:
        wire: connected; closed here when the handshake fails.
        context: from `contexts.Contexts.get`.
        server_name: from `sni`.

    Raises:
        AttemptFailed: phase ``tls``, or ``certificate`` when OpenSSL cannot parse one.
    """
    wire.timeline.enter(Phase.TLS)
    try:
        tls = SSL.Connection(context)
        tls.set_connect_state()
        if server_name is not None:
            tls.set_tlsext_host_name(server_name)
        tls.request_ocsp()
        return await _shake(wire, tls)
    except BaseException:
        wire.close()
        raise


async def _shake(wire: Wire, tls: SSL.Connection) -> TlsStream:
    """Carry bytes between OpenSSL and the socket until the handshake is over."""
    timeline = wire.timeline
    start = timeline.entered
    ours = 0.0  # time between the arrival of a flight and our answer to it
    most = timeline.received + MAX_HANDSHAKE
    flight = b""
    try:
        while not _step(wire, tls):
            flight = outgoing(tls)
            if flight:
                if timeline.arrived > start:
                    ours += trio.current_time() - timeline.arrived
                await _send_flight(wire, tls, flight)
            data = await wire.receive_some()
            if not data:
                raise AttemptFailed(classify.closed(wire.timeline))
            if timeline.received > most:
                raise AttemptFailed(classify.too_large(wire.timeline))
            tls.bio_write(data)
    except AttemptFailed as error:
        incomplete = _incomplete(error.failure, tls, flight)
        if incomplete is None:
            raise
        raise incomplete from error
    last = outgoing(tls)
    timeline.tls = max(timeline.arrived - start - ours, 0.0)
    return TlsStream(wire, tls, last, collect(tls, last))


def _incomplete(failure: Failure, tls: SSL.Connection, flight: bytes) -> Incomplete | None:
    """The failure with what was presented, if our last flight answered to that (TLS 1.2).

    That flight leaves only when OpenSSL has read all that the server presented and checked its
    signature. It begins with our certificates, even if there are none, exactly when the server
    sent a CertificateRequest (RFC 5246 section 7.4.6).
    """
    kind = flight[5] if len(flight) > 5 and flight[0] == _HANDSHAKE else None
    if kind not in (_CERTIFICATE, _CLIENT_KEY_EXCHANGE):
        return None
    if kind == _CERTIFICATE:
        failure = classify.certificate_asked(failure, sent=tls.get_certificate() is not None)
    return Incomplete(failure, collect(tls, flight))


def _step(wire: Wire, tls: SSL.Connection) -> bool:
    """Let OpenSSL go as far as it can; whether the handshake is complete."""
    try:
        tls.do_handshake()
    except SSL.WantReadError:
        return False
    except SSL.ZeroReturnError as error:
        raise AttemptFailed(classify.closed(wire.timeline, politely=True)) from error
    except SSL.Error as error:
        wire.try_send(outgoing(tls))  # the alert that tells the server what we disliked
        failure = classify.handshake_failed(queue(error), wire.timeline)
        if failure.phase is Phase.CERTIFICATE:
            raise Incomplete(failure, collect(tls, None)) from error
        raise AttemptFailed(failure) from error
    return True


async def _send_flight(wire: Wire, tls: SSL.Connection, flight: bytes) -> None:
    """Send, and when the peer is gone already, listen to what it said before it went."""
    try:
        await wire.send_all(flight)
    except AttemptFailed:
        data = wire.last_words()
        if not data:
            raise
        tls.bio_write(data)
        _step(wire, tls)  # raises, if it was an alert or no TLS at all
        raise AttemptFailed(classify.closed(wire.timeline)) from None
