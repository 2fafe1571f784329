"""Faults of HTTP: answers that are late, broken, too large, or not HTTP at all.

Those that write to the connection themselves speak HTTP/1.1; aim them at clients that do.
"""

from __future__ import annotations

import functools
import gzip
import socket
import struct
import time
from collections.abc import Awaitable, Callable
from email.utils import formatdate

import trio

from probe.lab.http import (
    Ending,
    Exchange,
    Reply,
    Response,
    html_response,
    json_response,
    platform_error,
)
from probe.lab.terminator import TlsStream

OTHER_ORIGIN = "https://elsewhere.example/"
BOMB_BYTES = 16 * 1024 * 1024
LATE_SECONDS = 0.3

Act = Callable[[Exchange], Awaitable[Reply]]


def status(code: int, name: str, message: str) -> Act:
    """An error in the shape that the platform gives its errors."""

    async def send_status(exchange: Exchange) -> Reply:
        return platform_error(exchange, code, name, message)

    return send_status


async def too_many(_exchange: Exchange) -> Reply:
    """429, try again later."""
    return json_response({"message": "too many requests"}, 429, ("Retry-After", "30"))


async def web_page(_exchange: Exchange) -> Reply:
    """200 and a page for people, where JSON is due."""
    return html_response("<!doctype html><title>Maintenance</title><p>We will be back soon.")


async def late(_exchange: Exchange) -> Reply:
    """The right answer, but late."""
    await trio.sleep(LATE_SECONDS)
    return Ending.PROCEED


async def hang(exchange: Exchange) -> Reply:
    """No answer until the client gives up."""
    await _linger(exchange)
    return Ending.FINISHED


async def hang_in_body(exchange: Exchange) -> Reply:
    """A head that promises a body, which does not come."""
    await _raw(exchange, b"Content-Length: 1000\r\n\r\n{")
    await _linger(exchange)
    return Ending.FINISHED


async def clock_off(exchange: Exchange) -> Reply:
    """The right answer, dated a day ago."""
    exchange.notes.append(("Date", formatdate(time.time() - 86400, usegmt=True)))
    return Ending.PROCEED


# ---------------------------------------------------------------- after the handshake


async def close_tunnel(_tls: TlsStream) -> None:
    """An orderly end before any request."""


async def deaf_tunnel(_tls: TlsStream) -> None:
    """Never reads: what the client sends fills the buffers between, and then it waits."""
    await trio.sleep_forever()


# ---------------------------------------------------------------- connections that end


async def close_unanswered(_exchange: Exchange) -> Reply:
    """An orderly end in place of an answer."""
    return Ending.FINISHED


async def reset_unanswered(exchange: Exchange) -> Reply:
    """RST in place of an answer."""
    _abort(exchange)
    return Ending.FINISHED


async def close_in_body(exchange: Exchange) -> Reply:
    """An orderly end in the middle of the body."""
    await _raw(exchange, b"Content-Length: 1000\r\n\r\n{")
    return Ending.FINISHED


async def reset_in_body(exchange: Exchange) -> Reply:
    """RST in the middle of the body."""
    await _raw(exchange, b"Content-Length: 1000\r\n\r\n{")
    await trio.sleep(0.05)  # an RST that overtakes the bytes would discard them
    _abort(exchange)
    return Ending.FINISHED


# ---------------------------------------------------------------- not HTTP, or too much of it


async def not_http(exchange: Exchange) -> Reply:
    """Bytes that begin no response."""
    await exchange.tls.send_all(b"\x00\x01\x02 what is this\r\n\r\n")
    return Ending.FINISHED


async def endless_header(exchange: Exchange) -> Reply:
    """A head that never ends."""
    await exchange.tls.send_all(b"HTTP/1.1 200 OK\r\n")
    while True:
        await exchange.tls.send_all(b"x-more: and more of it\r\n" * 256)


async def broken_chunk(exchange: Exchange) -> Reply:
    """A chunk whose length is not a number."""
    await _raw(exchange, b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n")
    return Ending.FINISHED


async def endless_chunks(exchange: Exchange) -> Reply:
    """A chunked body that never ends."""
    await _raw(exchange, b"Transfer-Encoding: chunked\r\n\r\n")
    while True:
        await exchange.tls.send_all(b"4000\r\n" + b"a" * 0x4000 + b"\r\n")


async def huge_body(_exchange: Exchange) -> Reply:
    """Four megabytes where a few hundred bytes are due."""
    return Response(200, b"[" + b"0," * (2 * 1024 * 1024) + b"0]", _JSON)


async def large_body(_exchange: Exchange) -> Reply:
    """Thirty kilobytes where a few hundred bytes are due."""
    return json_response({"name": "x" * 30_000})


async def gzip_bomb(_exchange: Exchange) -> Reply:
    """A few kilobytes that unpack to 16 MiB."""
    return Response(200, _bomb(), (*_JSON, ("Content-Encoding", "gzip")))


@functools.cache
def _bomb() -> bytes:
    return gzip.compress(b"\x00" * BOMB_BYTES, mtime=0)


async def bad_gzip(_exchange: Exchange) -> Reply:
    """Says gzip, is not."""
    return Response(200, b"this was never packed", (*_JSON, ("Content-Encoding", "gzip")))


async def bad_json(_exchange: Exchange) -> Reply:
    """JSON that breaks off."""
    return Response(200, b'{"name": "mas', _JSON)


async def error_in_body(_exchange: Exchange) -> Reply:
    """200, and an error in the body."""
    return json_response({"error": {"message": "something went wrong"}})


async def nothing(_exchange: Exchange) -> Reply:
    """200 with an empty body."""
    return Response(200, b"", _JSON)


# ---------------------------------------------------------------- redirects, HTTP/2


async def redirect_away(_exchange: Exchange) -> Reply:
    """To another origin."""
    return Response(302, b"", (("Location", OTHER_ORIGIN),))


async def redirect_inward(_exchange: Exchange) -> Reply:
    """To a service that only the caller's own host can reach."""
    return Response(302, b"", (("Location", "http://127.0.0.1:1/"),))


async def redirect_loop(exchange: Exchange) -> Reply:
    """To itself."""
    return Response(302, b"", (("Location", exchange.request.path),))


async def goaway(exchange: Exchange) -> Reply:
    """HTTP/2: the connection is refused. On HTTP/1.1 it closes."""
    if exchange.frames is not None:
        await exchange.frames.goaway()
    return Ending.FINISHED


async def reset_stream(exchange: Exchange) -> Reply:
    """HTTP/2: the request is refused, the connection stays. On HTTP/1.1 it closes."""
    if exchange.frames is not None:
        await exchange.frames.reset_stream()
        await _linger(exchange)
    return Ending.FINISHED


_JSON = (("Content-Type", "application/json"),)


async def _raw(exchange: Exchange, rest: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
    await exchange.tls.send_all(head + rest)


async def _linger(exchange: Exchange) -> None:
    while await exchange.tls.receive_some():
        pass


def _abort(exchange: Exchange) -> None:
    raw = exchange.tls.transport.socket
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raw.close()
