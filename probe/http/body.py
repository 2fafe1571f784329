"""A response's body: gathered as it arrives, and decoded within its cap (RFC 9110 section 8.4.1).

A body of 1 MiB may unfold to 1 GiB (a "compression bomb"), so decoding stops at the cap instead
of measuring afterwards.
"""

from __future__ import annotations

import functools
import sys
import zlib
from collections.abc import Callable
from dataclasses import replace

import brotli
import trio

from probe.http.response import Response
from probe.model.failure import Failure, Phase, Reason

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

ACCEPTED = "gzip, deflate"
"""What requests accept unless their check says otherwise."""


class Undecodable(Exception):
    """The body is not in the coding that it claims, or the coding is unknown here."""


_AT_ONCE = 16 * 1024
"""Coded bytes that are decoded on the event loop: they unfold to 16 MiB at the very most."""


class Incoming:
    """A response while it arrives: its head, and its body as it came.

    Attributes:
        cap: most bytes of the decoded body.
        head: status and headers; None before they arrived.
        size: bytes of the body so far.
        ended: whether the body is whole.
    """

    def __init__(self, cap: int) -> None:
        self.cap = cap
        self.head: Response | None = None
        self.size = 0
        self.ended = False
        self._pieces: list[bytes] = []

    def take(self, data: bytes) -> None:
        """Keep a piece of the body."""
        self.size += len(data)
        self._pieces.append(data)

    @property
    def too_long(self) -> bool:
        """Whether more arrived than is read."""
        return self.size > self.cap

    async def response(self) -> Response | None:
        """Return the response as far as it arrived, its body decoded; None before its head."""
        if self.head is None:
            return None
        data = b"".join(self._pieces)
        work = functools.partial(decoded, self.head, data, self.cap, cut=not self.ended)
        if len(data) > _AT_ONCE and self.head.header("content-encoding") is not None:
            return await trio.to_thread.run_sync(work, abandon_on_cancel=True)
        return work()


def decoded(head: Response, data: bytes, cap: int, *, cut: bool) -> Response:
    """Return the response with its body decoded, as far as it can be.

    Args:
        head: status and headers.
        data: the body as it came.
        cap: most bytes of the decoded body.
        cut: whether the body was not read to its end.
    """
    said = ",".join(head.all("content-encoding")).split(",")
    names = [name for one in said if (name := one.strip().lower()) not in {"", "identity"}]
    too_long = len(data) > cap and (cut or not names)
    try:
        if len(names) > _MOST_CODINGS:
            raise Undecodable(f"{len(names)} content codings on top of each other")
        if data:
            for name in reversed(names):
                data = _decoder(name)(data, cap, cut)
                too_long = too_long or len(data) > cap
                cut = cut or too_long
    except Undecodable as error:
        fault = Failure(Phase.RECEIVE, Reason.UNDECODABLE, str(error))
        return replace(head, body=b"", body_fault=fault)
    if too_long:
        detail = f"more than {cap} bytes of body; raise max_body to read on"
        fault = Failure(Phase.RECEIVE, Reason.TOO_LARGE, detail)
        return replace(head, body=data[:cap], body_fault=fault)
    return replace(head, body=data)


Decode = Callable[[bytes, int, bool], bytes]
"""Decodes a body, or its beginning where it was cut. Stops soon after the cap."""

_MOST_CODINGS = 2


def _decoder(name: str) -> Decode:
    try:
        return _DECODERS[name]
    except KeyError:
        raise Undecodable(f"content coding {name[:40]!r} is unknown here") from None


def _gzip(data: bytes, cap: int, cut: bool) -> bytes:
    """All members one after the other (RFC 1952 section 2.2)."""
    out = b""
    while True:
        more, rest = _zlib(data, cap - len(out), cut, zlib.MAX_WBITS | 16)
        out += more
        if len(out) > cap or not rest.startswith(b"\x1f\x8b"):
            return out  # other bytes after the end of the coding are ignored, as browsers do
        data = rest


def _deflate(data: bytes, cap: int, cut: bool) -> bytes:
    """With zlib's header (RFC 1950); some servers send it bare."""
    wrapped = data[0] & 0x0F == zlib.DEFLATED and int.from_bytes(data[:2], "big") % 31 == 0
    return _zlib(data, cap, cut, zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS)[0]


def _zlib(data: bytes, cap: int, cut: bool, window: int) -> tuple[bytes, bytes]:
    """What unfolds, at most one byte above the cap, and what follows."""
    engine = zlib.decompressobj(window)
    try:
        out = engine.decompress(data, cap + 1)
    except zlib.error as error:
        raise Undecodable(str(error)) from error
    if not (engine.eof or cut or len(out) > cap):
        raise _short()
    return out, engine.unused_data


def _brotli(data: bytes, cap: int, cut: bool) -> bytes:
    engine = brotli.Decompressor()
    out = b""
    try:
        while len(out) <= cap:
            more = engine.process(data, output_buffer_limit=cap + 1 - len(out))
            out, data = out + more, b""
            if engine.is_finished() or (not more and engine.can_accept_more_data()):
                break
    except brotli.error as error:
        raise Undecodable(str(error)) from error
    if not (engine.is_finished() or cut or len(out) > cap):
        raise _short()
    return out


def _zstd(data: bytes, cap: int, cut: bool) -> bytes:
    engine = zstd.ZstdDecompressor(options=_ZSTD)
    try:
        out = engine.decompress(data, cap + 1)
        while len(out) <= cap and not (engine.eof or engine.needs_input):
            out += engine.decompress(b"", cap + 1 - len(out))
    except zstd.ZstdError as error:
        raise Undecodable(str(error)) from error
    if not (engine.eof or cut or len(out) > cap):
        raise _short()
    return out


_ZSTD: dict[int, int] = {zstd.DecompressionParameter.window_log_max: 23}  # 8 MiB (RFC 9659)


def _short() -> Undecodable:
    return Undecodable("the compressed body is cut short")


_DECODERS: dict[str, Decode] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "br": _brotli,
    "zstd": _zstd,
}
