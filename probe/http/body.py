"""A response's body: gathered as it arrives, and decoded within its cap (RFC 9110 section 8.4.1).

A body of 1 MiB may unfold to 1 GiB (a "compression bomb"), so decoding stops at the cap instead
of measuring afterwards.
"""

from __future__ import annotations

import functools
import re
import sys
import zlib
from collections.abc import Callable
from dataclasses import replace

import brotli
import trio

from probe.http.messages import Response
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
"""Coded bytes that are decoded on the event loop."""

_UNFOLDED_AT_ONCE = 128 * 1024
"""Most bytes that they may unfold to there, some milliseconds: a few hundred bytes of Brotli unfold
to any cap."""


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
        work = functools.partial(decoded, self.head, data, cut=not self.ended)
        if self.head.header("content-encoding") is None:
            return work(self.cap)
        if len(data) <= _AT_ONCE:
            found = work(least := min(self.cap, _UNFOLDED_AT_ONCE))
            if least == self.cap or len(found.body) < least:
                return found
        work = functools.partial(work, self.cap)
        return await trio.to_thread.run_sync(work, abandon_on_cancel=True)


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
        for name in reversed(names):
            if not data:
                break
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
    return Response(head.status, head.headers, data, head.version)


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
    out = bytearray()
    at = 0
    for _ in range(_MOST_MEMBERS):
        engine = zlib.decompressobj(zlib.MAX_WBITS | 16)
        while at < len(data) and not engine.eof and len(out) <= cap:
            piece = data[at : at + _AT_ONCE]  # what a member leaves over is copied
            out += _unfolded(engine.decompress, piece, cap - len(out))
            at += len(piece) - len(engine.unused_data)
        if not (engine.eof or cut or len(out) > cap):
            raise _short()
        if len(out) > cap or not data.startswith(b"\x1f\x8b", at):
            return bytes(out)  # other bytes after the end of the coding are ignored
    raise Undecodable(f"more than {_MOST_MEMBERS} members")


_MOST_MEMBERS = 10_000  # an empty one has 9 bytes and costs some microseconds


def _deflate(data: bytes, cap: int, cut: bool) -> bytes:
    """With zlib's header (RFC 1950); some servers send it bare."""
    wrapped = data[0] & 0x0F == zlib.DEFLATED and int.from_bytes(data[:2], "big") % 31 == 0
    engine = zlib.decompressobj(zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS)
    out = _unfolded(engine.decompress, data, cap)
    if not (engine.eof or cut or len(out) > cap):
        raise _short()
    return out


def _unfolded(decompress: Callable[[bytes, int], bytes], data: bytes, most: int) -> bytes:
    """What zlib unfolds, at most one byte above ``most``."""
    try:
        return decompress(data, most + 1)
    except zlib.error as error:
        raise Undecodable(str(error)) from error


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
    """All frames one after the other (RFC 8878 section 3)."""
    out = bytearray()
    at = 0
    try:
        for _ in range(_MOST_MEMBERS):
            engine = zstd.ZstdDecompressor(options=_ZSTD)
            while at < len(data) and not engine.eof and len(out) <= cap:
                piece = data[at : at + _AT_ONCE]
                out += _unframed(engine, piece, cap - len(out))
                at += len(piece) - len(engine.unused_data)
            if not (engine.eof or cut or len(out) > cap):
                raise _short()
            if len(out) > cap or _FRAME.match(data, at) is None:
                return bytes(out)
    except zstd.ZstdError as error:
        raise Undecodable(str(error)) from error
    raise Undecodable(f"more than {_MOST_MEMBERS} frames")


def _unframed(engine: zstd.ZstdDecompressor, data: bytes, most: int) -> bytes:
    """What unfolds of a frame, at most one byte above ``most``."""
    out = engine.decompress(data, most + 1)
    while len(out) <= most and not (engine.eof or engine.needs_input):
        out += engine.decompress(b"", most + 1 - len(out))
    return out


_FRAME = re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18")  # the latter is skipped
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
