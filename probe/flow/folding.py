"""Reads a text in every way in which a secret may be written in it. Pure.

Three folds, without ASCII's capitals, leave of a text what encodings do not change: `letters` keeps
ASCII letters and digits, `marks` everything but what escapes and line wrapping add, `plain` all of
it. `readings` undoes encodings, up to two inside each other: percent (also ``%u``), HTML, backslash
escapes of JSON, JavaScript, Python and C, quoted-printable, base64 (both alphabets, wrapped, cut
off anywhere, inside a longer text), hex (with any separators), lists of byte values, and letters of
other widths and fonts (NFKC). UTF-16 and UTF-32, read as another charset, are letters with NULs
between them.

Not undone: compression, encryption, digests, a reversed text, base32, base85, UTF-7, and base64
whose case was changed.
"""

from __future__ import annotations

import html
import re
import unicodedata
from binascii import a2b_base64, a2b_qp, unhexlify
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

_DEEPEST = 2  # encodings inside each other
_WORK = 64  # times its own length that a text may give to read …
_LEAST_WORK = 65536  # … or so many bytes


class TooManyReadings(Exception):
    """A text gives more to read than any honest one: whoever asks should not show it."""


_LETTERS = bytes(range(48, 58)) + bytes(range(65, 91)) + bytes(range(97, 123))
_LOWER = bytes(range(256)).lower()


def _but(kept: bytes) -> bytes:
    return bytes(set(range(256)) - set(kept))


_NO_LETTERS = _but(_LETTERS)
_UNMARKED = bytes(range(33)) + b"+'\"\\`\x7f"
_NO_BASE64, _STANDARD = _but(_LETTERS + b"+/-_"), bytes.maketrans(b"-_", b"+/")
_NO_HEX = _but(b"0123456789abcdefABCDEF")
_INVISIBLE = dict.fromkeys(map(ord, "\u00ad\u200b\u200c\u200d\u2060\ufeff\u00a0"))


def letters(raw: bytes) -> bytes:
    """Leave the ASCII letters, in lower case, and the digits of a text."""
    return raw.translate(_LOWER, _NO_LETTERS)


def marks(raw: bytes) -> bytes:
    """Leave everything but white space, controls, quotes, backslashes and plus signs."""
    return raw.translate(_LOWER, _UNMARKED)


def plain(raw: bytes) -> bytes:
    """Leave a text as it is, in lower case."""
    return raw.lower()


FOLDS = (letters, marks, plain)
"""Each keeps what the one before it keeps, and more: `ADDED`."""

ADDED = (b"", _NO_LETTERS, _UNMARKED)


def raw_of(text: str) -> bytes:
    """Give a text as UTF-8, without characters that nobody sees."""
    if not text.isascii():
        text = text.translate(_INVISIBLE)
    return text.encode("utf-8", "surrogatepass")


def readings(text: str) -> Iterator[bytes]:
    """Yield a text as it stands, and as each encoding in it may be read.

    Raises:
        TooManyReadings: the work would not be in proportion to its length.
    """
    first = raw_of(text)
    budget = max(_WORK * len(first), _LEAST_WORK)
    seen, pending = {first}, [first]
    if not text.isascii():  # UTF-8 that was read as Latin-1
        seen.add(text.encode("latin-1", "replace"))
        pending = list(seen)
    yield from pending
    for _ in range(_DEEPEST):
        following: list[bytes] = []
        for one in pending:
            for found, whole in _decoded(one):
                budget -= len(found)
                if budget < 0:
                    raise TooManyReadings
                yield found
                further = (
                    found if whole else b" ".join(_READABLE.findall(found.replace(b"\0", b"")))
                )
                if further and further not in seen:
                    seen.add(further)
                    following.append(further)
        pending = following


_READABLE = re.compile(rb"[\t\n\r -~]{10,}")
_ESCAPED = re.compile(
    rb"(?:[\\%]u[0-9a-fA-F]{4})+|\\(?:x[0-9a-fA-F]{2}|u\{[0-9a-fA-F]{1,6}\}|U[0-9a-fA-F]{8}|[0-7]{1,3}|.)",
    re.DOTALL,
)
_BYTES = re.compile(rb"\d{1,3}(?:[,;\s]{1,3}\d{1,3}){7,}")


def _decoded(raw: bytes) -> Iterator[tuple[bytes, bool]]:
    """Yield what a text may be the encoding of, and whether all of it is text."""
    if not raw.isascii():
        yield unicodedata.normalize("NFKC", raw.decode("utf-8", "replace")).encode(), True
    if b"%" in raw:
        yield unquote_to_bytes(raw), True
    if b"&" in raw:
        yield html.unescape(raw.decode("utf-8", "replace")).encode("utf-8", "replace"), True
    if b"\\" in raw or b"%u" in raw:
        yield _ESCAPED.sub(_unescaped, raw), True
    if b"=" in raw:
        yield a2b_qp(raw), True
    for found in _BYTES.finditer(raw):
        yield bytes(n for n in map(int, re.findall(rb"\d+", found[0])) if n < 256), True
    coded = raw.translate(_STANDARD, _NO_BASE64)
    if len(coded) > 10:
        coded += b"AAA"
        for start in range(4):
            yield a2b_base64(coded[start : start + (len(coded) - start) // 4 * 4]), False
    digits = raw.replace(b"0x", b"").translate(None, _NO_HEX)
    for start in (0, 1) if len(digits) > 15 else ():
        yield unhexlify(digits[start : start + (len(digits) - start) // 2 * 2]), False


_CONTROLS = {
    b"n": b"\n",
    b"r": b"\r",
    b"t": b"\t",
    b"b": b"\b",
    b"f": b"\f",
    b"v": b"\v",
    b"\n": b"",
}


def _unescaped(match: re.Match[bytes]) -> bytes:
    found = match[0]
    if found[1:2] == b"u" and b"{" not in found and len(found) > 2:
        units = found.replace(b"\\u", b"").replace(b"%u", b"")
        return unhexlify(units).decode("utf-16-be", "replace").encode()
    body = found[1:]
    if body[:1] in {b"x", b"u", b"U"} and len(body) > 1:
        number = int(body[1:].strip(b"{}"), 16)
    elif body.isdigit():
        number = int(body, 8)
    else:
        return _CONTROLS.get(body, body)
    return (
        bytes((number,)) if number < 256 else chr(min(number, 0x10FFFF)).encode("utf-8", "replace")
    )
