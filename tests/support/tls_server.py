"""Servers for these tests: raw scripts over a socket, and TLS by the standard library."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import trio
from cryptography.hazmat.primitives import serialization

from probe.lab.ca import Credential
from probe.model.target import Edge

_EC_KEY = "EC PRIVATE KEY"

T = TypeVar("T")
Script = Callable[[trio.SocketStream], Awaitable[None]]


async def start(nursery: trio.Nursery, script: Script, host: str = "127.0.0.1") -> Edge:
    """Serve a script to every connection; the edge to connect to."""

    async def handler(stream: trio.SocketStream) -> None:
        # The prober is expected to hang up on most scripts.
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError, ssl.SSLError):
            async with stream:
                await script(stream)

    listeners = await nursery.start(partial(trio.serve_tcp, handler, 0, host=host))
    name = listeners[0].socket.getsockname()
    return Edge(name[0], name[1], written=True)


def says(*answers: bytes, then: str = "close") -> Script:
    """Answer each message in turn, then ``close``, ``reset`` or stay ``silent``."""

    async def script(stream: trio.SocketStream) -> None:
        for answer in answers:
            await stream.receive_some(65536)
            await stream.send_all(answer)
        if then == "silent":
            await trio.sleep_forever()
        if then == "reset":
            reset(stream)

    return script


def reset(stream: trio.SocketStream) -> None:
    """Close with RST instead of FIN."""
    stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    stream.socket.close()


def write_pem(folder: Path, credential: Credential, stem: str = "server") -> tuple[Path, Path]:
    """Certificate chain and key as files."""
    chain, key = folder / f"{stem}.pem", folder / f"{stem}.key"
    encoding = serialization.Encoding.PEM
    chain.write_bytes(b"".join(one.public_bytes(encoding) for one in credential.chain))
    if isinstance(credential.key, bytes):
        key.write_text(ssl.DER_cert_to_PEM_cert(credential.key).replace("CERTIFICATE", _EC_KEY))
    else:
        key.write_bytes(
            credential.key.private_bytes(
                encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
    return chain, key


def server_context(folder: Path, credential: Credential) -> ssl.SSLContext:
    """A TLS server's context that presents a credential."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*write_pem(folder, credential))
    return context


class Secure:
    """The server's side of a TLS connection, which also says why it refuses.

    trio's SSLStream keeps the alert of a failed handshake to itself.
    """

    def __init__(self, stream: trio.SocketStream, context: ssl.SSLContext) -> None:
        self._stream = stream
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._in, self._out, server_side=True)

    async def _until_done(self, step: Callable[..., T], *args: object) -> T:
        while True:
            try:
                result = step(*args)
            except ssl.SSLWantReadError:
                await self._flush()
                data = await self._stream.receive_some(65536)
                self._in.write(data) if data else self._in.write_eof()
                continue
            except ssl.SSLError:
                await self._flush()
                raise
            await self._flush()
            return result

    async def _flush(self) -> None:
        if data := self._out.read():
            await self._stream.send_all(data)

    async def shake(self) -> None:
        await self._until_done(self.tls.do_handshake)

    async def receive(self, size: int = 65536) -> bytes:
        """Empty at the end, however it came."""
        try:
            return await self._until_done(self.tls.read, size)
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            return b""

    async def send(self, data: bytes) -> None:
        await self._until_done(self.tls.write, data)

    async def say_goodbye(self) -> None:
        """close_notify."""
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.unwrap()
        await self._flush()


def tls(
    context: ssl.SSLContext, seen: trio.MemorySendChannel[ssl.SSLObject] | None = None
) -> Script:
    """Shake hands, show the connection to ``seen``, read until the client leaves."""

    async def script(stream: trio.SocketStream) -> None:
        secure = Secure(stream, context)
        await secure.shake()
        if seen is not None:
            await seen.send(secure.tls)
        while await secure.receive():
            pass

    return script
