"""Content codings, with a cap that holds before the bytes exist.

A body of 1 MiB may unfold to 1 GiB (a "compression bomb"), so decoding stops at the cap plus
one byte instead of measuring afterwards. Codings: RFC 9110 section 8.4.1.
"""

from __future__ import annotations

import zlib
from typing import Protocol

ACCEPTED = "gzip, deflate"
"""What requests accept: the codings that the standard library can decode piecewise."""


class TooLarge(Exception):
    """The decoded body would exceed its cap."""


class Undecodable(Exception):
    """The body is not in the coding it claims, or the coding is unknown here."""


class Decoder(Protocol):
    """Takes the body as it arrives, gives it decoded."""

    def feed(self, data: bytes) -> bytes:
        """Decode a piece.

        Raises:
            TooLarge: the cap is reached.
            Undecodable: these bytes are no such coding.
        """

    def finish(self) -> None:
        """Say that no more comes.

        Raises:
            Undecodable: the coded body is cut short.
        """


class _Identity:
    def __init__(self, cap: int) -> None:
        self._room = cap

    def feed(self, data: bytes) -> bytes:
        self._room -= len(data)
        if self._room < 0:
            raise TooLarge
        return data

    def finish(self) -> None:
        return None


class _Zlib:
    """gzip, or deflate in either of its two shapes."""

    def __init__(self, cap: int, window: int) -> None:
        self._room = cap
        self._window = window
        self._start: bytes | None = b""  # held back until the header can be read
        self._engine = zlib.decompressobj(window)

    def feed(self, data: bytes) -> bytes:
        if self._start is not None:
            self._start += data
            if len(self._start) < _ZLIB_HEADER:
                return b""
            data, self._start = self._start, None
            if self._window == zlib.MAX_WBITS and not _wrapped(data):
                self._engine = zlib.decompressobj(-zlib.MAX_WBITS)
        if self._engine.eof:
            return b""  # bytes after the end of the coding: ignored, as browsers do
        try:
            out = self._engine.decompress(data, self._room + 1)
        except zlib.error as error:
            raise Undecodable(str(error)) from error
        self._room -= len(out)
        if self._room < 0:
            raise TooLarge
        return out

    def finish(self) -> None:
        if self._start == b"":
            return  # no body at all (HEAD, 204, 304)
        if not self._engine.eof:
            raise Undecodable("the compressed body is cut short")


_ZLIB_HEADER = 2


def _wrapped(data: bytes) -> bool:
    """Whether a deflate body has zlib's header (RFC 1950); some servers send it bare."""
    return data[0] & 0x0F == zlib.DEFLATED and (data[0] << 8 | data[1]) % 31 == 0


class _Stack:
    """Codings on top of each other, outermost first."""

    def __init__(self, layers: list[Decoder]) -> None:
        self._layers = layers

    def feed(self, data: bytes) -> bytes:
        for layer in self._layers:
            data = layer.feed(data)
        return data

    def finish(self) -> None:
        for layer in self._layers:
            layer.finish()


_MOST_CODINGS = 2


def decoder_for(content_encoding: str, cap: int) -> Decoder:
    """The decoder for a ``Content-Encoding`` header's value.

    Raises:
        Undecodable: a coding that was not asked for, or absurdly many.
    """
    names = [name.strip().lower() for name in content_encoding.split(",")]
    names = [name for name in names if name not in {"", "identity"}]
    if len(names) > _MOST_CODINGS:
        raise Undecodable(f"{len(names)} content codings on top of each other")
    layers: list[Decoder] = []
    for name in reversed(names):
        if name in {"gzip", "x-gzip"}:
            layers.append(_Zlib(cap, zlib.MAX_WBITS | 16))
        elif name == "deflate":
            layers.append(_Zlib(cap, zlib.MAX_WBITS))
        else:
            raise Undecodable(f"content coding {name[:40]!r} was not asked for")
    return _Stack(layers) if layers else _Identity(cap)
