"""TLS over a TCP connection: the handshake, and the stream after it.

Memory BIOs: OpenSSL never touches the socket, so every wait is trio's, and what was received is
at hand as evidence.
"""

from __future__ import annotations

import ipaddress
import math
import socket

import trio
from OpenSSL import SSL

from probe.connection import failures, openssl
from probe.connection.failures import AttemptFailed
from probe.connection.openssl import advance, incoming, outgoing, read
from probe.connection.tcp import Wire
from probe.connection.timeline import Presented, collect
from probe.model.failure import Failure, Phase, Reason

MAX_HANDSHAKE = 256 * 1024
"""Bytes that a server may send before the handshake must be over. OpenSSL itself ends it at
100 KiB of certificates; this bounds everything else."""

_MOST_READS = 500
"""Reads that a handshake may take: a hundred kilobytes of certificates in the smallest segments."""

_MOST_BARREN = 48
_MOST_BARREN_BYTES = 64 * 1024
"""Reads and bytes after the handshake that end in no data: session tickets, key updates, pieces
of a record. The largest record takes 31 of the smallest segments (RFC 8446 section 5.2)."""

_HANDSHAKE = 22  # a record that is not encrypted (RFC 5246 section 6.2.1)
_CERTIFICATE, _CLIENT_KEY_EXCHANGE = 11, 16  # handshake messages (section 7.4)


class Incomplete(AttemptFailed):
    """A handshake that ended after the server had presented something, which is kept."""

    def __init__(self, failure: Failure, presented: Presented) -> None:
        super().__init__(failure)
        self.presented = presented


async def handshake(
    wire: Wire,
    context: SSL.Context,
    *,
    server_name: bytes | None,
    staple: bool = True,
    session: bytes | None = None,
) -> TlsStream:
    """Do a full handshake; a resumed one only if a session is given and the server takes it.

    Args:
        wire: connected; the caller closes it when the handshake fails.
        context: from `contexts.TlsContexts.get`.
        server_name: from `sni`.
        staple: whether to ask for a stapled OCSP answer (RFC 6066 section 8).
        session: offered; as `TlsStream.session` gives it.

    Raises:
        AttemptFailed: phase ``tls``, or ``certificate`` when OpenSSL cannot parse one.
    """
    timeline = wire.timeline
    timeline.enter(Phase.TLS)
    tls = SSL.Connection(context)
    tls.set_connect_state()
    if server_name is not None:
        tls.set_tlsext_host_name(server_name)
    if staple:
        tls.request_ocsp()
    if session is not None and not openssl.resume(tls, session):
        raise AttemptFailed(Failure(Phase.TLS, Reason.LOCAL_RESOURCE, "OpenSSL reads no session"))
    start = timeline.entered
    ours = 0.0  # time between the arrival of a flight and our answer to it
    most, reads = timeline.received + MAX_HANDSHAKE, timeline.reads + _MOST_READS
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
                raise AttemptFailed(failures.closed(wire.timeline))
            if timeline.received > most or timeline.reads > reads:
                raise AttemptFailed(failures.too_large(wire.timeline))
            incoming(tls, data)
    except AttemptFailed as error:
        incomplete = _incomplete(error.failure, tls, flight)
        if incomplete is None:
            raise
        raise incomplete from error
    last = outgoing(tls)
    timeline.tls = max(timeline.arrived - start - ours, 0.0)
    return TlsStream(wire, tls, last, collect(tls, last))


def _incomplete(failure: Failure, tls: SSL.Connection, flight: bytes) -> Incomplete | None:
    """Add what was presented to a failure, if our last flight answered to that (TLS 1.2).

    That flight leaves only when OpenSSL has read all that the server presented and checked its
    signature. It begins with our certificates, even if there are none, exactly when the server
    sent a CertificateRequest (RFC 5246 section 7.4.6).
    """
    kind = flight[5] if len(flight) > 5 and flight[0] == _HANDSHAKE else None
    if kind not in (_CERTIFICATE, _CLIENT_KEY_EXCHANGE):
        return None
    if kind == _CERTIFICATE:
        failure = failures.certificate_asked(failure, sent=tls.get_certificate() is not None)
    return Incomplete(failure, collect(tls, flight))


def _step(wire: Wire, tls: SSL.Connection) -> bool:
    """Let OpenSSL go as far as it can, and tell whether the handshake is complete."""
    try:
        return advance(tls)
    except SSL.ZeroReturnError as error:
        raise AttemptFailed(failures.closed(wire.timeline, politely=True)) from error
    except SSL.Error as error:
        wire.try_send(outgoing(tls))  # the alert that tells the server what we disliked
        failure = failures.handshake_failed(queue(error), wire.timeline)
        if failure.phase is Phase.CERTIFICATE:
            raise Incomplete(failure, collect(tls, None)) from error
        raise AttemptFailed(failure) from error


async def _send_flight(wire: Wire, tls: SSL.Connection, flight: bytes) -> None:
    """Send, and when the peer is gone already, listen to what it said before it went."""
    try:
        await wire.send_all(flight)
    except AttemptFailed:
        data = wire.last_words()
        if not data:
            raise
        incoming(tls, data)
        _step(wire, tls)  # raises, if it was an alert or no TLS at all
        raise AttemptFailed(failures.closed(wire.timeline)) from None


def sni(name: str) -> bytes | None:
    """Return the server name to send: none for IP addresses (RFC 6066, section 3)."""
    if name[-1:].isalpha() and ":" not in name:
        return name.encode("ascii")  # no address ends in a letter; this saves the exception
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name.encode("ascii")
    return None


_READ = 65536
_MOMENT = 0.25


class TlsStream:
    """TLS over a `Wire`; send_all and receive_some as in trio's streams.

    Attributes:
        wire: below; its timeline times the last read.
        presented: facts of the handshake.
    """

    __slots__ = ("_flushing", "_last_words", "_more", "_tls", "_unsent", "presented", "wire")

    def __init__(
        self, wire: Wire, tls: SSL.Connection, unsent: bytes, presented: Presented
    ) -> None:
        self.wire = wire
        self.presented = presented
        self._tls = tls
        # The client's Finished travels with whatever is written next: one segment, one call.
        self._unsent = unsent
        self._flushing = self._more = False
        self._last_words = False  # something was read when writing failed, and not looked at yet

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Write everything. Raises AttemptFailed."""
        view = memoryview(data)
        while view:
            try:
                count = self._tls.send(view)
            except SSL.Error as error:
                raise self._refused(error) from error
            view = view[count:]
            await self.flush()

    async def receive_some(self, max_bytes: int = _READ) -> bytes:
        """Wait for data; empty at the end, with or without close_notify.

        Raises AttemptFailed, even for an alert that arrives late: a TLS 1.3 server looks at
        the client's certificate only after the handshake, so its refusal shows here.
        """
        if self._unsent:
            await self.flush()
        timeline = self.wire.timeline
        most, reads = timeline.received + _MOST_BARREN_BYTES, timeline.reads + _MOST_BARREN
        while True:
            try:
                plain = read(self._tls, max_bytes)
            except SSL.ZeroReturnError:
                return b""
            except SSL.Error as error:
                raise self._refused(error) from error
            if plain is not None:
                return plain
            if timeline.received > most or timeline.reads > reads:
                raise AttemptFailed(failures.too_large(timeline))
            await self.flush()  # an answer to a KeyUpdate, say
            try:
                data = await self.wire.receive_some()
            except AttemptFailed:
                if not self._last_words:
                    raise
                data = b""
            if data:
                incoming(self._tls, data)
            elif not self._last_words:
                return b""
            self._last_words = False

    def session(self) -> bytes:
        """Return the session that was agreed on (DER), a secret; its ticket may come later."""
        return openssl.session(self._tls)

    def resumed(self) -> bool:
        """Whether the server took the session that was offered."""
        return openssl.resumed(self._tls)

    async def hear(self) -> bool:
        """Wait for what the server says next, and throw application data away; false at the end.

        Raises AttemptFailed.
        """
        data = await self.wire.receive_some()
        if not data:
            return False
        incoming(self._tls, data)
        try:
            while read(self._tls, _READ):
                pass
        except SSL.ZeroReturnError:
            return False
        except SSL.Error as error:
            raise self._refused(error) from error
        return True

    async def settle(self, deadline: float = math.inf) -> None:
        """Learn whether the server takes our client certificate, or its absence.

        With TLS 1.3 the handshake is complete for the client before the server has looked
        (RFC 8446, section 4.4.2.4). A server that asked gets two round trips and a moment
        to refuse, until ``deadline`` at most; one that did not ask is not waited for. Takes no
        application data away.

        Raises AttemptFailed.
        """
        if not self.presented.client_certificate_asked:
            return
        patience = trio.current_time() + 2 * self.wire.connect_seconds + _MOMENT
        with trio.CancelScope(deadline=min(patience, deadline)):
            await self.flush()
            data = await self.wire.receive_some()
            if not data:
                raise self._after_request(failures.closed(self.wire.timeline))
            incoming(self._tls, data)
            try:
                self._tls.recv(1, socket.MSG_PEEK)
            except SSL.WantReadError:
                return  # a session ticket: the server is content
            except SSL.ZeroReturnError:
                failure = failures.closed(self.wire.timeline, politely=True)
                raise self._after_request(failure) from None
            except SSL.Error as error:
                raise self._refused(error) from error

    async def flush(self) -> None:
        """Write what OpenSSL has ready. Raises AttemptFailed.

        One task may read while another writes. The one that writes takes along what OpenSSL
        gets ready meanwhile, so that no two records mix.
        """
        self._more = self._flushing
        if self._flushing:
            return
        self._flushing = True
        try:
            while True:
                data = self._unsent + outgoing(self._tls)
                self._unsent, self._more = b"", False
                if data:
                    await self.wire.send_all(data)
                if not self._more:
                    return
        except AttemptFailed:
            self._hear_last_words()
            raise
        finally:
            self._flushing = False

    def _hear_last_words(self) -> None:
        """Raise the failure that an alert gave before the peer went, if there was one."""
        data = self.wire.last_words()
        if not data:
            return
        incoming(self._tls, data)
        self._last_words = True
        try:
            self._tls.recv(1, socket.MSG_PEEK)
        except (SSL.WantReadError, SSL.ZeroReturnError):
            return
        except SSL.Error as error:
            raise self._refused(error) from error

    def _refused(self, error: SSL.Error) -> AttemptFailed:
        return self._after_request(failures.handshake_failed(queue(error), self.wire.timeline))

    def _after_request(self, failure: Failure) -> AttemptFailed:
        """Make the exception, which says if the server had asked for a client certificate."""
        if self.presented.client_certificate_asked:
            sent = self._tls.get_certificate() is not None
            failure = failures.certificate_asked(failure, sent=sent)
        return AttemptFailed(failure)

    def close(self) -> None:
        """Say close_notify if the socket takes it at once, and close."""
        if not self.wire.closed:
            try:  # noqa: SIM105 - on the hot path, and suppress() is not free
                self._tls.shutdown()
            except SSL.Error:
                # After a fatal alert no close_notify can be sent.
                pass
            self.wire.try_send(self._unsent + outgoing(self._tls))
            self.wire.close()


def queue(error: SSL.Error) -> list[tuple[str, str, str]]:
    """Take OpenSSL's error queue out of pyOpenSSL's exception."""
    queue = error.args[0] if error.args else []
    return queue if isinstance(queue, list) else []
