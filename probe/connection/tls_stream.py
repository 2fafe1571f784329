"""TLS over a wire, after the handshake, through OpenSSL's memory BIOs."""

from __future__ import annotations

import socket

import trio
from OpenSSL import SSL

from probe.connection import classify
from probe.connection.fault import AttemptFailed
from probe.connection.presented import Presented
from probe.connection.tcp import Wire
from probe.model.failure import Failure

_READ = 65536
_MOMENT = 0.25


class TlsStream:
    """TLS over a `Wire`; send_all, receive_some and aclose as in trio's streams.

    Attributes:
        wire: below; its timeline times the last read.
        presented: facts of the handshake.
    """

    __slots__ = ("_tls", "_unsent", "presented", "wire")

    def __init__(
        self, wire: Wire, tls: SSL.Connection, unsent: bytes, presented: Presented
    ) -> None:
        self.wire = wire
        self.presented = presented
        self._tls = tls
        # The client's Finished travels with whatever is written next: one segment, one call.
        self._unsent = unsent

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

        Raises AttemptFailed, also for an alert that arrives late: a TLS 1.3 server looks at
        the client's certificate only after the handshake, so its refusal shows here.
        """
        await self.flush()
        while True:
            try:
                return self._tls.recv(max_bytes)
            except SSL.WantReadError:
                await self.flush()  # an answer to a KeyUpdate, say
            except SSL.ZeroReturnError:
                return b""
            except SSL.Error as error:
                raise self._refused(error) from error
            data = await self.wire.receive_some()
            if not data:
                return b""
            self._tls.bio_write(data)

    async def settle(self) -> None:
        """Learn whether the server takes our client certificate, or its absence.

        With TLS 1.3 the handshake is complete for the client before the server has looked
        (RFC 8446, section 4.4.2.4). A server that asked gets two round trips and a moment
        to refuse; one that did not ask is not waited for. Takes no application data away.

        Raises AttemptFailed.
        """
        if not self.presented.client_certificate_asked:
            return
        patience = trio.current_time() + 2 * self.wire.connect_seconds + _MOMENT
        with trio.CancelScope(deadline=patience):
            await self.flush()
            data = await self.wire.receive_some()
            if not data:
                raise self._after_request(classify.closed(self.wire.timeline))
            self._tls.bio_write(data)
            try:
                self._tls.recv(1, socket.MSG_PEEK)
            except SSL.WantReadError:
                return  # a session ticket: the server is content
            except SSL.ZeroReturnError:
                failure = classify.closed(self.wire.timeline, politely=True)
                raise self._after_request(failure) from None
            except SSL.Error as error:
                raise self._refused(error) from error

    async def flush(self) -> None:
        """Write what OpenSSL has ready. Raises AttemptFailed."""
        data = self._unsent + outgoing(self._tls)
        self._unsent = b""
        if data:
            try:
                await self.wire.send_all(data)
            except AttemptFailed:
                self._hear_last_words()
                raise

    def _hear_last_words(self) -> None:
        """The peer is gone. If an alert said why, that is the failure: raise it."""
        data = self.wire.last_words()
        if not data:
            return
        self._tls.bio_write(data)
        try:
            self._tls.recv(1, socket.MSG_PEEK)
        except (SSL.WantReadError, SSL.ZeroReturnError):
            return
        except SSL.Error as error:
            raise self._refused(error) from error

    def _refused(self, error: SSL.Error) -> AttemptFailed:
        return self._after_request(classify.handshake_failed(queue(error), self.wire.timeline))

    def _after_request(self, failure: Failure) -> AttemptFailed:
        """The failure; says so if the server had asked for a client certificate."""
        if self.presented.client_certificate_asked:
            sent = self._tls.get_certificate() is not None
            failure = classify.certificate_asked(failure, sent=sent)
        return AttemptFailed(failure)

    def close(self) -> None:
        """Say close_notify if the socket takes it at once, and close."""
        if not self.wire.closed:
            try:  # noqa: SIM105 - on the hot path, and suppress() is not free
                self._tls.shutdown()
            except SSL.Error:
                # After a fatal alert there is nothing to say goodbye with: closing matters.
                pass
            self.wire.try_send(self._unsent + outgoing(self._tls))
            self.wire.close()

    async def aclose(self) -> None:
        """Close, with a checkpoint."""
        self.close()
        await trio.lowlevel.checkpoint()


def outgoing(tls: SSL.Connection) -> bytes:
    """What OpenSSL wants on the wire; empty when nothing."""
    try:
        return tls.bio_read(_READ)
    except SSL.WantReadError:
        return b""


def queue(error: SSL.Error) -> list[tuple[str, str, str]]:
    """OpenSSL's error queue out of pyOpenSSL's exception."""
    queue = error.args[0] if error.args else []
    return queue if isinstance(queue, list) else []
