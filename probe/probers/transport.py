"""Connect and handshake, shared by the TLS prober and the API prober.

Use::

    deadline = trio.current_time() + timeout
    wire = await connect(edge, deadline=deadline)          # -> Wire (TCP; see wire.py)
    stream = await handshake(wire, context, server_name=sni("www.example"), deadline=deadline)
    ...judge stream.presented here, before the first byte of a request...
    await stream.send_all(b"…"); await stream.receive_some(65536); await stream.aclose()

Resource handling: the caller owns what it is given and closes it; both functions close what they
were working on when they fail or are cancelled. Error handling: everything the peer can do is
raised as `AttemptFailed`, classified. `TlsStream.phase` says what failures are filed under.

Memory BIOs between OpenSSL and the socket: OpenSSL never touches the socket, so every wait is
trio's, and what was received is at hand as evidence.
"""

from __future__ import annotations

import ipaddress
import socket
import sys
from typing import NamedTuple

import trio
from OpenSSL import SSL, crypto

from probe.model.failure import Failure, Phase
from probe.probers import classify
from probe.probers.fault import AttemptFailed
from probe.probers.wire import Wire, connect

__all__ = ["Presented", "TlsStream", "Unparsable", "Wire", "connect", "handshake", "sni"]

MAX_HANDSHAKE = 256 * 1024
"""Bytes that a server may send before the handshake must be over. OpenSSL itself ends it at
100 KiB of certificates; this bounds everything else."""

_READ = 65536
_MOMENT = 0.25
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


class Unparsable(AttemptFailed):
    """OpenSSL cannot parse a presented certificate; what was agreed before it is kept."""

    def __init__(self, failure: Failure, presented: Presented) -> None:
        super().__init__(failure)
        self.presented = presented


class TlsStream:
    """TLS over a `Wire`; send_all, receive_some and aclose as in trio's streams.

    Attributes:
        wire: below; its ``arrived``, ``clock`` and ``lag`` time the last read.
        presented: facts of the handshake.
        seconds: what network and server took from ClientHello to the server's last flight; our
            own time between flights is not in it.
    """

    __slots__ = ("_tls", "_unsent", "presented", "seconds", "wire")

    def __init__(
        self, wire: Wire, tls: SSL.Connection, unsent: bytes, presented: Presented, seconds: float
    ) -> None:
        self.wire = wire
        self.presented = presented
        self.seconds = seconds
        self._tls = tls
        # The client's Finished travels with whatever is written next: one segment, one call.
        self._unsent = unsent

    @property
    def phase(self) -> Phase:
        """What failures are filed under; starts as ``tls``, the owner sets it as it goes."""
        return self.wire.phase

    @phase.setter
    def phase(self, phase: Phase) -> None:
        self.wire.phase = phase

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

    async def settle(self, *, deadline: float) -> None:
        """Learn whether the server takes our client certificate, or its absence.

        With TLS 1.3 the handshake is complete for the client before the server has looked
        (RFC 8446, section 4.4.2.4). A server that asked gets two round trips and a moment
        to refuse; one that did not ask is not waited for. Takes no application data away.

        Raises AttemptFailed.
        """
        if not self.presented.client_certificate_asked:
            return
        patience = trio.current_time() + 2 * self.wire.connect_seconds + _MOMENT
        with trio.CancelScope(deadline=min(deadline, patience)):
            await self.flush()
            data = await self.wire.receive_some()
            if not data:
                raise AttemptFailed(classify.closed(self.wire.progress()))
            self._tls.bio_write(data)
            try:
                self._tls.recv(1, socket.MSG_PEEK)
            except SSL.WantReadError:
                return  # a session ticket: the server is content
            except SSL.ZeroReturnError:
                failure = classify.closed(self.wire.progress(), politely=True)
                raise AttemptFailed(failure) from None
            except SSL.Error as error:
                raise self._refused(error) from error

    async def flush(self) -> None:
        """Write what OpenSSL has ready. Raises AttemptFailed."""
        data = self._unsent + _outgoing(self._tls)
        self._unsent = b""
        if data:
            await self.wire.send_all(data)

    def _refused(self, error: SSL.Error) -> AttemptFailed:
        return AttemptFailed(classify.handshake_failed(_queue(error), self.wire.progress()))

    def close(self) -> None:
        """Say close_notify if the socket takes it at once, and close."""
        if not self.wire.closed:
            try:  # noqa: SIM105 - on the hot path, and suppress() is not free
                self._tls.shutdown()
            except SSL.Error:
                # After a fatal alert there is nothing to say goodbye with: closing matters.
                pass
            self.wire.try_send(self._unsent + _outgoing(self._tls))
            self.wire.close()

    async def aclose(self) -> None:
        """Close, with a checkpoint."""
        self.close()
        await trio.lowlevel.checkpoint()


def sni(name: str) -> bytes | None:
    """The server name to send: none for IP addresses (RFC 6066, section 3)."""
    if name[-1:].isalpha() and ":" not in name:
        return name.encode("ascii")  # no address ends in a letter; this saves the exception
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name.encode("ascii")
    return None


async def handshake(
    wire: Wire, context: SSL.Context, *, server_name: bytes | None, deadline: float
) -> TlsStream:
    """Do a full handshake; never a resumed one.

    Args:
        wire: connected; closed here when the handshake fails.
        context: from `contexts.Contexts.get`.
        server_name: from `sni`.
        deadline: trio time.

    Raises:
        AttemptFailed: phase ``tls``, or ``certificate`` when OpenSSL cannot parse one.
    """
    wire.enter(Phase.TLS)
    start = trio.current_time()
    tls = SSL.Connection(context)
    tls.set_connect_state()
    if server_name is not None:
        tls.set_tlsext_host_name(server_name)
    tls.request_ocsp()
    try:
        with trio.CancelScope(deadline=deadline):
            return await _shake(wire, tls, start)
        raise AttemptFailed(classify.timed_out(wire.progress(), trio.current_time() - start))
    except BaseException:
        wire.close()
        raise


async def _shake(wire: Wire, tls: SSL.Connection, start: float) -> TlsStream:
    """Carry bytes between OpenSSL and the socket until the handshake is over."""
    ours = 0.0  # time between the arrival of a flight and our answer to it
    most = wire.received + MAX_HANDSHAKE
    while not _step(wire, tls):
        flight = _outgoing(tls)
        if flight:
            if wire.arrived > start:
                ours += trio.current_time() - wire.arrived
            await _send_flight(wire, flight)
        data = await wire.receive_some()
        if not data:
            raise AttemptFailed(classify.closed(wire.progress()))
        if wire.received > most:
            raise AttemptFailed(classify.too_large(wire.progress()))
        tls.bio_write(data)
    last = _outgoing(tls)
    return TlsStream(wire, tls, last, _presented(tls, last), max(wire.arrived - start - ours, 0.0))


def _step(wire: Wire, tls: SSL.Connection) -> bool:
    """Let OpenSSL go as far as it can; whether the handshake is complete."""
    try:
        tls.do_handshake()
    except SSL.WantReadError:
        return False
    except SSL.ZeroReturnError as error:
        raise AttemptFailed(classify.closed(wire.progress(), politely=True)) from error
    except SSL.Error as error:
        wire.try_send(_outgoing(tls))  # the alert that tells the server what we disliked
        failure = classify.handshake_failed(_queue(error), wire.progress())
        if failure.phase is Phase.CERTIFICATE:
            raise Unparsable(failure, _presented(tls, None)) from error
        raise AttemptFailed(failure) from error
    return True


async def _send_flight(wire: Wire, flight: bytes) -> None:
    """Send, and when the peer is gone already, look at what it said before it went."""
    try:
        await wire.send_all(flight)
    except AttemptFailed:
        if wire.read_last_words():
            raise AttemptFailed(classify.closed(wire.progress())) from None
        raise


def _outgoing(tls: SSL.Connection) -> bytes:
    """What OpenSSL wants on the wire; empty when nothing."""
    try:
        return tls.bio_read(_READ)
    except SSL.WantReadError:
        return b""


def _queue(error: SSL.Error) -> list[tuple[str, str, str]]:
    """OpenSSL's error queue out of pyOpenSSL's exception."""
    queue = error.args[0] if error.args else []
    return queue if isinstance(queue, list) else []


def _presented(tls: SSL.Connection, last_flight: bytes | None) -> Presented:
    """Collect the facts of a handshake; without a last flight, what was agreed so far."""
    version = tls.get_protocol_version_name().replace("TLSv", "TLS ", 1)
    complete = last_flight is not None
    return Presented(
        # Interned, because tens of thousands of results say the same.
        version=sys.intern(version),
        cipher=sys.intern(tls.get_cipher_name() or ""),
        group=_intern(tls.get_group_name()),
        alpn=_intern(tls.get_alpn_proto_negotiated().decode("ascii", "backslashreplace")),
        certificates=_certificates(tls) if complete else (),
        ocsp=tls.get_app_data() or None,
        client_certificate_asked=(
            last_flight is not None and version == "TLS 1.3" and _encrypted_records(last_flight) > 1
        ),
    )


def _certificates(tls: SSL.Connection) -> tuple[bytes, ...]:
    """The presented chain as DER."""
    return tuple(
        [
            crypto.dump_certificate(crypto.FILETYPE_ASN1, certificate)
            for certificate in tls.get_peer_cert_chain() or ()
        ]
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
