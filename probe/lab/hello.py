"""Reading a ClientHello off the wire (RFC 8446 section 4.1.2), before any TLS library sees it.

The lab's edges decide by the name that the client asks for, and many faults answer with bytes
that no library would send, so the hello is read and understood here.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import trio

HANDSHAKE_RECORD = 22
CLIENT_HELLO = 1
_SERVER_NAME = 0
_SESSION_TICKET = 35  # RFC 5077 section 3.2: empty where a client only asks for one
_PRE_SHARED_KEY = 41  # RFC 8446 section 4.2.11
_LARGEST_HELLO = 64 * 1024


class NotAHello(Exception):
    """What arrived is no ClientHello.

    Attributes:
        data: the bytes that did arrive; empty when the client closed without a word.
    """

    def __init__(self, data: bytes) -> None:
        super().__init__(f"no ClientHello in {data[:40]!r}")
        self.data = data


@dataclass(frozen=True, slots=True)
class ClientHello:
    """What the lab needs to know of a hello.

    Attributes:
        raw: every byte read so far, record headers included; a TLS library continues from it.
        server_name: from the SNI extension (RFC 6066), lower case; empty without one.
        session_id: to be echoed by a hand-made ServerHello.
        ticket: whether it brings a session ticket.
    """

    raw: bytes
    server_name: str
    session_id: bytes
    ticket: bool = False


class _Reader:
    """Takes fields off a byte string; running over the end raises IndexError."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, size: int) -> bytes:
        if self.at + size > len(self.data):
            raise IndexError(size)
        self.at += size
        return self.data[self.at - size : self.at]

    def vector(self, length_bytes: int) -> bytes:
        return self.take(int.from_bytes(self.take(length_bytes), "big"))

    @property
    def rest(self) -> int:
        return len(self.data) - self.at


def handshake_bytes(data: bytes) -> bytes:
    """The contents of all complete handshake records at the start of ``data``, joined.

    Raises:
        NotAHello: a record of another type, or no record at all.
    """
    joined = bytearray()
    at = 0
    while len(data) - at >= 5:
        kind, _, size = struct.unpack_from("!BHH", data, at)
        if kind != HANDSHAKE_RECORD or data[at + 1] != 3:
            raise NotAHello(data)
        joined += data[at + 5 : at + 5 + size]
        at += 5 + size
    return bytes(joined)


def parse(data: bytes) -> ClientHello | None:
    """The hello in ``data``, or None when more bytes are needed.

    Raises:
        NotAHello: no further bytes could make it one.
    """
    message = handshake_bytes(data)
    if len(message) < 4:
        return None
    if message[0] != CLIENT_HELLO:
        raise NotAHello(data)
    size = int.from_bytes(message[1:4], "big")
    if len(message) < 4 + size:
        return None
    try:
        return _parse_body(data, message[4 : 4 + size])
    except IndexError:
        raise NotAHello(data) from None


def _parse_body(raw: bytes, body: bytes) -> ClientHello:
    reader = _Reader(body)
    reader.take(2 + 32)  # legacy version, random
    session_id = reader.vector(1)
    reader.vector(2)  # ciphers
    reader.vector(1)  # compression methods
    name, ticket = "", False
    extensions = _Reader(reader.vector(2)) if reader.rest else _Reader(b"")
    while extensions.rest:
        kind = int.from_bytes(extensions.take(2), "big")
        value = _Reader(extensions.vector(2))
        if kind == _SERVER_NAME and value.rest:
            names = _Reader(value.vector(2))
            names.take(1)  # host_name is the only type there is
            name = names.vector(2).decode("ascii", "replace").lower()
        elif kind == _PRE_SHARED_KEY or (kind == _SESSION_TICKET and value.rest):
            ticket = True
    return ClientHello(raw, name, session_id, ticket)


async def read_hello(stream: trio.abc.ReceiveStream) -> ClientHello:
    """The client's hello; waits for all of it.

    Raises:
        NotAHello: the client sent something else, or closed.
    """
    data = b""
    while len(data) < _LARGEST_HELLO:
        more = await stream.receive_some(16384)
        if not more:
            break
        data += more
        hello = parse(data)
        if hello is not None:
            return hello
    raise NotAHello(data)
