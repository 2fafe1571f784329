"""Faults below TLS: bytes that no TLS library sends, or none at all.

A function that returns leaves the connection to be closed; one that keeps silent waits until
the client has gone.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Awaitable, Callable

import trio

from probe.lab.faults.kinds import Talk
from probe.model.failure import Reason

DRIP_SECONDS = 0.2
_ALERT = 21
_HANDSHAKE = 22
_TLS12 = b"\x03\x03"
_ECDHE_ECDSA_AES128 = 0xC02B
_RC4_SHA = 0x0005  # nobody offers it any more (RFC 7465)

ALERTS: dict[Reason, int] = {
    Reason.ALERT_UNEXPECTED_MESSAGE: 10,
    Reason.ALERT_BAD_RECORD_MAC: 20,
    Reason.ALERT_RECORD_OVERFLOW: 22,
    Reason.ALERT_HANDSHAKE_FAILURE: 40,
    Reason.ALERT_BAD_CERTIFICATE: 42,
    Reason.ALERT_UNSUPPORTED_CERTIFICATE: 43,
    Reason.ALERT_CERTIFICATE_REVOKED: 44,
    Reason.ALERT_CERTIFICATE_EXPIRED: 45,
    Reason.ALERT_CERTIFICATE_UNKNOWN: 46,
    Reason.ALERT_ILLEGAL_PARAMETER: 47,
    Reason.ALERT_UNKNOWN_CA: 48,
    Reason.ALERT_ACCESS_DENIED: 49,
    Reason.ALERT_DECODE_ERROR: 50,
    Reason.ALERT_DECRYPT_ERROR: 51,
    Reason.ALERT_PROTOCOL_VERSION: 70,
    Reason.ALERT_INSUFFICIENT_SECURITY: 71,
    Reason.ALERT_INTERNAL_ERROR: 80,
    Reason.ALERT_INAPPROPRIATE_FALLBACK: 86,
    Reason.ALERT_USER_CANCELED: 90,
    Reason.ALERT_MISSING_EXTENSION: 109,
    Reason.ALERT_UNSUPPORTED_EXTENSION: 110,
    Reason.ALERT_UNRECOGNIZED_NAME: 112,
    Reason.ALERT_BAD_CERTIFICATE_STATUS_RESPONSE: 113,
    Reason.ALERT_UNKNOWN_PSK_IDENTITY: 115,
    Reason.ALERT_CERTIFICATE_REQUIRED: 116,
    Reason.ALERT_NO_APPLICATION_PROTOCOL: 120,
    Reason.ALERT_OTHER: 200,
}
"""Alert descriptions by number: RFC 8446 section 6, and one number that nobody has assigned."""


def _record(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + _TLS12 + struct.pack("!H", len(body)) + body


def _message(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + len(body).to_bytes(3, "big") + body


def alert(code: int) -> Callable[[Talk], Awaitable[None]]:
    """A fatal alert in answer to the hello."""

    async def send_alert(talk: Talk) -> None:
        await talk.stream.send_all(_record(_ALERT, bytes([2, code])))
        await linger(talk)

    return send_alert


def server_hello(talk: Talk, *, version: bytes = _TLS12, cipher: int) -> bytes:
    """A hand-made ServerHello without extensions."""
    echoed = talk.hello.session_id if talk.hello else b""
    body = version + b"\x5a" * 32 + bytes([len(echoed)]) + echoed + struct.pack("!HB", cipher, 0)
    return _record(_HANDSHAKE, _message(2, body))


async def linger(talk: Talk) -> None:
    """Wait until the client has gone, reading what it still sends."""
    while await talk.stream.receive_some(16384):
        pass


# ---------------------------------------------------------------- no answer


async def close(talk: Talk) -> None:
    """FIN, without a word; still reading, or the unread hello would turn it into an RST."""
    await talk.stream.send_eof()
    await linger(talk)


async def reset(talk: Talk) -> None:
    """RST: what closing does when told not to linger."""
    talk.stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def silence(talk: Talk) -> None:
    """Accept everything, answer nothing."""
    await linger(talk)


async def slow_drip(talk: Talk) -> None:
    """A ServerHello that would take hours, one byte at a time."""
    await talk.stream.send_all(bytes([_HANDSHAKE]) + _TLS12 + struct.pack("!H", 16384))
    while True:
        await trio.sleep(DRIP_SECONDS)
        await talk.stream.send_all(b"\x00")


# ---------------------------------------------------------------- another language


async def plain_http(talk: Talk) -> None:
    """A web server without TLS, and what it says to a hello."""
    page = b"400 The plain HTTP request was not understood\r\n"
    head = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n"
    await talk.stream.send_all(head + b"Content-Length: %d\r\n\r\n" % len(page) + page)
    await linger(talk)


async def banner(talk: Talk) -> None:
    """A mail server: it speaks first, and in text."""
    await talk.stream.send_all(b"220 mail.example ESMTP ready\r\n")
    await linger(talk)


async def garbage(talk: Talk) -> None:
    """Bytes that are neither TLS nor text."""
    await talk.stream.send_all(bytes([0, 255, 1, 254, 128, 7, 0, 200]) * 16)
    await linger(talk)


# ---------------------------------------------------------------- broken TLS


async def endless(talk: Talk) -> None:
    """Handshake records without end, which never amount to a message."""
    flood = _record(_HANDSHAKE, b"\x0b\xff\xff\xff".ljust(16384, b"\x00"))
    more = _record(_HANDSHAKE, b"\x00" * 16384)
    await talk.stream.send_all(server_hello(talk, cipher=_ECDHE_ECDSA_AES128) + flood)
    while True:
        await talk.stream.send_all(more)


async def broken_handshake(talk: Talk) -> None:
    """A ServerHello of three bytes, where seventy would be the least."""
    await talk.stream.send_all(_record(_HANDSHAKE, _message(2, b"\x03\x03\x00")))
    await linger(talk)


async def old_protocol(talk: Talk) -> None:
    """A ServerHello that chooses TLS 1.0, whatever was offered."""
    hello = server_hello(talk, version=b"\x03\x01", cipher=_ECDHE_ECDSA_AES128)
    await talk.stream.send_all(hello)
    await linger(talk)


async def strange_cipher(talk: Talk) -> None:
    """A ServerHello that chooses a cipher nobody offered."""
    await talk.stream.send_all(server_hello(talk, cipher=_RC4_SHA))
    await linger(talk)


async def close_in_handshake(talk: Talk) -> None:
    """Half a ServerHello, then FIN."""
    await talk.stream.send_all(server_hello(talk, cipher=_ECDHE_ECDSA_AES128)[:20])
    await close(talk)


async def reset_in_handshake(talk: Talk) -> None:
    """Half a ServerHello, then RST."""
    await talk.stream.send_all(server_hello(talk, cipher=_ECDHE_ECDSA_AES128)[:20])
    await trio.sleep(0.05)  # an RST that overtakes the bytes would discard them
    await reset(talk)
