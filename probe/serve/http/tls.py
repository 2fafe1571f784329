"""TLS of the port: what is offered, who must show a certificate, and the stream over a socket.

A handshake costs the loop a millisecond, however little the client did for it. So handshakes
take turns, one in a turn of the loop with a pause between two: a crowd of them makes each wait,
and probes hardly. An address that had many turns comes last, and of one address the last that came
is first: a scraper must not stand behind a crowd.

Who presents no certificate completes the handshake though one is required; requests are refused
then, but for health, since the kubelet cannot present any.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import trio
from cryptography import x509
from OpenSSL import SSL
from OpenSSL.crypto import X509

from probe.connection.contexts import PairError, use_pair
from probe.connection.openssl import advance, incoming, offer_groups, outgoing, read
from probe.serve.http.crowds import PACE, SPAN, Shares
from probe.serve.http.message import CHUNK, Refused

HELLO = 64 * 1024
"""Most bytes of a client's part of the handshake; OpenSSL itself takes 100 KiB of certificates."""

BEHIND = 0.05
"""Seconds that steps may catch up when they are behind ``PACE``: on a machine that gives us no
time, sleeping between two steps would serve nobody."""

STEPS = 6
"""A client's turns within ``SPAN`` that count for nothing: a handshake takes two or three, and a
scraper may come twice."""

VERSIONS = {
    "TLS10": SSL.TLS1_VERSION,
    "TLS11": SSL.TLS1_1_VERSION,
    "TLS12": SSL.TLS1_2_VERSION,
    "TLS13": SSL.TLS1_3_VERSION,
}
CURVES = {
    "CurveP256": "P-256",
    "CurveP384": "P-384",
    "CurveP521": "P-521",
    "X25519": "X25519",
    "X25519MLKEM768": "X25519MLKEM768",
}
_BULK = {
    "AES_128_CBC_SHA": "AES128-SHA",
    "AES_256_CBC_SHA": "AES256-SHA",
    "AES_128_GCM_SHA256": "AES128-GCM-SHA256",
    "AES_256_GCM_SHA384": "AES256-GCM-SHA384",
    "CHACHA20_POLY1305_SHA256": "CHACHA20-POLY1305",
}
CIPHERS = {
    f"TLS_ECDHE_{key}_WITH_{bulk}": f"ECDHE-{key}-{name}"
    for key in ("ECDSA", "RSA")
    for bulk, name in _BULK.items()
} | dict.fromkeys(
    ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"), ""
)
"""Go's names of suites to OpenSSL's; those of TLS 1.3 are always offered, as in Go."""

CLIENT_AUTH = {
    # asked for, verified, required
    "NoClientCert": (False, False, False),
    "RequestClientCert": (True, False, False),
    "RequireClientCert": (True, False, True),
    "RequireAnyClientCert": (True, False, True),
    "VerifyClientCertIfGiven": (True, True, False),
    "RequireAndVerifyClientCert": (True, True, True),
}


class TlsProblem(Exception):
    """What the file says cannot be used.

    Attributes:
        key: where it stands.
    """

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


@dataclass(frozen=True, slots=True)
class PortTls:
    """How the port speaks TLS.

    Attributes:
        required: a client must present a certificate.
        names: of which its certificate must hold one; any will do where there are none.
    """

    context: SSL.Context
    required: bool
    names: frozenset[str]

    @classmethod
    def of(
        cls,
        certificate: bytes,
        key: bytes,
        authorities: bytes,
        *,
        auth: str,
        names: Sequence[str],
        versions: tuple[str, str],
        ciphers: Sequence[str],
        curves: Sequence[str],
        prefer: bool,
    ) -> PortTls:
        """Build it of PEM texts and of the words that the file has. Raises TlsProblem."""
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.set_min_proto_version(VERSIONS[versions[0]])
        context.set_max_proto_version(VERSIONS[versions[1]])
        # No ticket and no cache: each would be kept for a client that may never return.
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        context.set_options(SSL.OP_NO_TICKET | SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION)
        if prefer:
            context.set_options(SSL.OP_CIPHER_SERVER_PREFERENCE)
        context.set_mode(SSL.MODE_RELEASE_BUFFERS)
        context.set_alpn_select_callback(_protocol)
        if known := [CIPHERS[name] for name in ciphers if CIPHERS[name]]:
            context.set_cipher_list(":".join(known).encode())
        if curves and not offer_groups(context, tuple(CURVES[name] for name in curves)):
            raise TlsProblem("curve_preferences", "OpenSSL here lacks one of these curves")
        try:
            use_pair(context, certificate, key)
        except PairError as error:
            raise TlsProblem(
                "key_file", f"certificate and key are no usable pair ({error})"
            ) from None
        asked, verified, required = CLIENT_AUTH[auth]
        if asked:
            trusted = _verified if verified else _anything
            context.set_verify(SSL.VERIFY_PEER, trusted)
        if authorities:
            _trust(context, authorities)
        return cls(context, required, frozenset(names))


def _trust(context: SSL.Context, authorities: bytes) -> None:
    store = context.get_cert_store()
    try:
        for one in x509.load_pem_x509_certificates(authorities):
            if store is not None:
                store.add_cert(X509.from_cryptography(one))
    except (ValueError, SSL.Error) as error:
        message = f"the authorities cannot be read ({type(error).__name__})"
        raise TlsProblem("client_ca_file", message) from None


def _verified(_: SSL.Connection, __: X509, ___: int, ____: int, good: int) -> bool:
    return bool(good)


def _anything(_: SSL.Connection, __: X509, ___: int, ____: int, _____: int) -> bool:
    return True


def _protocol(_: SSL.Connection, offered: list[bytes]) -> Any:
    return b"http/1.1" if b"http/1.1" in offered else SSL.NO_OVERLAPPING_PROTOCOLS


class Turns:
    """One step of a handshake at a time, at a pace.

    Clients that had fewer turns lately come first, beyond those that a handshake needs. Then those
    that have answered our part come before those who only began, and then the last that came.
    """

    def __init__(self) -> None:
        self._taken = False
        self._waiting: dict[tuple[str, bool], list[trio.Event]] = {}
        self._shares = Shares(SPAN, STEPS)
        self._next = trio.current_time()

    @asynccontextmanager
    async def taken(self, client: str, *, begun: bool) -> AsyncIterator[None]:
        """Hold the turn.

        Args:
            client: the network that it comes from.
            begun: the client has answered our part already.
        """
        if self._taken:
            await self._wait((client, begun))
        self._taken = True
        try:
            self._shares.serve(client, trio.current_time())
            self._next = max(self._next, trio.current_time() - BEHIND) + PACE
            await trio.sleep_until(self._next)
            yield
        finally:
            self._pass_on()

    async def _wait(self, place: tuple[str, bool]) -> None:
        turn = trio.Event()
        # What came last stands last, in its list and with its list.
        self._waiting[place] = [*self._waiting.pop(place, ()), turn]
        try:
            await turn.wait()
        except trio.Cancelled:
            if turn.is_set():
                self._pass_on()
            else:
                self._leave(place, turn)
            raise

    def _pass_on(self) -> None:
        if not self._waiting:
            self._taken = False
            return
        places = reversed(self._waiting)
        place = min(places, key=lambda one: (self._shares.above(one[0]), not one[1]))
        turn = self._waiting[place][-1]
        self._leave(place, turn)
        turn.set()  # the turn stays taken

    def _leave(self, place: tuple[str, bool], turn: trio.Event) -> None:
        waiting = self._waiting[place]
        waiting.remove(turn)
        if not waiting:
            del self._waiting[place]


class PortStream:
    """TLS over an accepted socket; send_all, receive_some and send_eof as in trio's streams.

    Attributes:
        names: what the client's certificate is for; None without a certificate.
    """

    def __init__(self, stream: trio.SocketStream, tls: PortTls) -> None:
        self.names: frozenset[str] | None = None
        self._stream = stream
        self._tls = SSL.Connection(tls.context)
        self._tls.set_accept_state()

    async def handshake(self, turns: Turns, client: str, moved: Callable[[], None]) -> None:
        """Do the server's part.

        Args:
            turns: shared by all handshakes of the port.
            client: the network that it comes from.
            moved: called when a step is done: it is the client's turn now.

        Raises:
            Refused: the client speaks HTTP without TLS.
            trio.BrokenResourceError: the handshake failed, or the client went.
        """
        size, begun = 0, False
        while True:
            data = await self._receive()
            if not size and data[:1].isalpha():
                raise Refused(400, "this port speaks HTTPS; write https:// instead of http://")
            size += len(data)
            incoming(self._tls, data)
            async with turns.taken(client, begun=begun):
                try:
                    done = advance(self._tls)
                except SSL.Error:
                    await self._flush()  # the alert that says why
                    raise trio.BrokenResourceError from None
            moved()
            begun = await self._flush() or begun
            if done:
                break
            if size > HELLO:
                raise trio.BrokenResourceError
        certificate = self._tls.get_peer_certificate(as_cryptography=True)
        self.names = None if certificate is None else _names(certificate)

    async def receive_some(self, most: int) -> bytes:
        """Wait for bytes; none at the end."""
        while True:
            try:
                plain = read(self._tls, most)
            except SSL.ZeroReturnError:
                return b""
            except SSL.Error:
                raise trio.BrokenResourceError from None
            if plain is not None:
                return plain
            await self._flush()  # an answer to a KeyUpdate
            incoming(self._tls, await self._receive())

    async def send_all(self, data: bytes | memoryview) -> None:
        """Send it all."""
        view = memoryview(data)
        while view:
            try:
                view = view[self._tls.send(view) :]
            except SSL.Error:
                raise trio.BrokenResourceError from None
        await self._flush()

    async def send_eof(self) -> None:
        """Say that nothing more comes."""
        try:
            self._tls.shutdown()
        except SSL.Error:
            raise trio.BrokenResourceError from None
        await self._flush()
        await self._stream.send_eof()

    async def _receive(self) -> bytes:
        data = await self._stream.receive_some(CHUNK)
        if not data:
            raise trio.BrokenResourceError
        return bytes(data)

    async def _flush(self) -> bool:
        """Send what OpenSSL wants to send; whether there was anything."""
        if data := outgoing(self._tls):
            await self._stream.send_all(data)
        return bool(data)


def _names(certificate: x509.Certificate) -> frozenset[str]:
    """DNS names, addresses, mail addresses and URIs of a certificate, as they are written."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return frozenset()
    kinds = (x509.DNSName, x509.RFC822Name, x509.UniformResourceIdentifier)
    names = {name for kind in kinds for name in found.get_values_for_type(kind)}
    return frozenset(names | {str(one) for one in found.get_values_for_type(x509.IPAddress)})
