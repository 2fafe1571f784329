"""The TLS side of the lab's servers: a server handshake over memory BIOs on a trio stream.

pyOpenSSL and not the ssl module: it staples OCSP answers, its OpenSSL is the same on every
machine, and a hello that was already read is simply written into it. One context serves every
connection with the same credential and settings.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trio
from OpenSSL import SSL, crypto

from probe.connection.openssl import offer_groups
from probe.lab.ca import Credential

_CHUNK = 65536
_VERSIONS = {
    "TLSv1": SSL.TLS1_VERSION,
    "TLSv1.1": SSL.TLS1_1_VERSION,
    "TLSv1.2": SSL.TLS1_2_VERSION,
    "TLSv1.3": SSL.TLS1_3_VERSION,
}


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """How a server negotiates, beside what it presents.

    Attributes:
        alpn: protocols in the server's order of preference; empty negotiates none.
        ciphers: OpenSSL's list for TLS 1.2 and older.
        groups: key exchange groups taken; empty for OpenSSL's own.
        asks_certificate: refuse clients that show no certificate.
        tickets: give session tickets.
    """

    min_version: str = "TLSv1.2"
    max_version: str = "TLSv1.3"
    ciphers: str = "DEFAULT"
    alpn: tuple[str, ...] = ("h2", "http/1.1")
    asks_certificate: bool = False
    groups: tuple[str, ...] = ()
    tickets: bool = False


HEALTHY = TlsSettings()


def make_context(credentials: Sequence[Credential], settings: TlsSettings) -> SSL.Context:
    """A server context that holds these credentials, at most one per kind of key."""
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    # Level 0 lets the weak keys and old versions in that some faults are made of.
    context.set_cipher_list(f"{settings.ciphers}:@SECLEVEL=0".encode())
    context.set_min_proto_version(_VERSIONS[settings.min_version])
    context.set_max_proto_version(_VERSIONS[settings.max_version])
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    if not settings.tickets:
        context.set_options(SSL.OP_NO_TICKET)
    if settings.groups:
        offer_groups(context, settings.groups)
    for credential in credentials:
        _load(context, credential)
    extras = [extra for credential in credentials for extra in credential.chain[1:]]
    if len(credentials) > 1:
        extras = list(dict.fromkeys(extras))  # twins share their issuer
    for extra in extras:
        context.add_extra_chain_cert(extra)
    if settings.alpn:
        context.set_alpn_select_callback(_chooser(settings.alpn))
    if settings.asks_certificate:
        must = SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT
        context.set_verify(must, lambda *_: True)
    return context


def _load(context: SSL.Context, credential: Credential) -> None:
    context.use_certificate(credential.chain[0])
    if isinstance(credential.key, bytes):
        # From a file, because only there does nothing look at the key before OpenSSL does.
        with tempfile.TemporaryDirectory(prefix="probe-lab-") as folder:
            path = Path(folder, "key.der")
            path.write_bytes(credential.key)
            context.use_privatekey_file(str(path), crypto.FILETYPE_ASN1)
    else:
        context.use_privatekey(credential.key)
    if credential.ocsp is not None:
        staple = credential.ocsp
        context.set_ocsp_server_callback(lambda *_: staple)


def _chooser(ours: tuple[str, ...]) -> Callable[[SSL.Connection, list[bytes]], Any]:
    # Any: the type of pyOpenSSL's "none of these" is private.
    def choose(_connection: SSL.Connection, offered: list[bytes]) -> Any:
        for protocol in ours:
            if protocol.encode() in offered:
                return protocol.encode()
        return SSL.NO_OVERLAPPING_PROTOCOLS

    return choose


@dataclass(slots=True)
class TlsStream(trio.abc.HalfCloseableStream):
    """A byte stream inside TLS, server side.

    Attributes:
        transport: the socket below; raw faults may write to it directly.
    """

    transport: trio.SocketStream
    connection: SSL.Connection
    _ended: bool = field(default=False, init=False)

    @classmethod
    async def accept(
        cls,
        transport: trio.SocketStream,
        context: SSL.Context,
        received: bytes,
        *,
        tickets: bool = False,
    ) -> TlsStream:
        """Finish the handshake that the ``received`` bytes started; send ``tickets`` at once.

        Raises:
            OpenSSL.SSL.Error: the handshake failed; the alert has been sent.
            trio.BrokenResourceError: the client went away.
        """
        connection = SSL.Connection(context, None)
        connection.set_accept_state()
        connection.bio_write(received)
        stream = cls(transport, connection)
        await stream._shake_hands()
        if tickets:
            await stream._flush()
        return stream

    async def _shake_hands(self) -> None:
        while True:
            try:
                self.connection.do_handshake()
            except SSL.WantReadError:
                await self._flush()
                await self._feed()
            except SSL.Error:
                await self._flush()
                raise
            else:
                # In TLS 1.3 only session tickets are left to send, and most clients of the lab
                # leave now: they go out with the first answer, if there is one.
                if self.connection.get_protocol_version() != SSL.TLS1_3_VERSION:
                    await self._flush()
                return

    @property
    def alpn(self) -> str:
        """The protocol chosen; empty when none was."""
        return self.connection.get_alpn_proto_negotiated().decode()

    async def _flush(self) -> None:
        while True:
            try:
                data = self.connection.bio_read(_CHUNK)
            except SSL.WantReadError:
                return
            await self.transport.send_all(data)

    async def _feed(self) -> None:
        data = await self.transport.receive_some(_CHUNK)
        if not data:
            self._ended = True
            raise trio.BrokenResourceError("the client closed")
        self.connection.bio_write(data)

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Decrypted bytes; empty at the client's close, orderly or not."""
        while True:
            try:
                return self.connection.recv(max_bytes or _CHUNK)
            except SSL.WantReadError:
                try:
                    await self._feed()
                except trio.BrokenResourceError:
                    return b""
            except SSL.ZeroReturnError:
                return b""
            except SSL.Error as error:
                raise trio.BrokenResourceError("TLS failed") from error

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypt and send."""
        view = memoryview(data)
        while view:
            try:
                sent = self.connection.send(bytes(view[:_CHUNK]))
            except SSL.Error as error:
                raise trio.BrokenResourceError("TLS failed") from error
            view = view[sent:]
            await self._flush()

    async def wait_send_all_might_not_block(self) -> None:
        """As the socket below."""
        await self.transport.wait_send_all_might_not_block()

    async def send_eof(self) -> None:
        """Send close_notify; the socket stays open."""
        try:
            self.connection.shutdown()
        except SSL.Error as error:
            raise trio.BrokenResourceError("TLS failed") from error
        await self._flush()

    async def aclose(self) -> None:
        """Say goodbye when that is still possible, and close the socket."""
        try:
            # A client that is gone waits for no goodbye.
            with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                if not self._ended:
                    await self.send_eof()
        finally:
            await self.transport.aclose()
