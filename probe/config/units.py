"""Durations, sizes, moments and fingerprints as people write them."""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime

from probe.net.names import quoted

_SECONDS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_NUMBER = r"[0-9]{1,9}(?:\.[0-9]{1,9})?"
DURATION_PATTERN = r"^(0|([0-9]+(\.[0-9]+)?(d|h|m|s|ms))+)$"
"""For editors; looser than the parser, which also wants the units in order."""
_DURATION = re.compile(
    rf"(?:0|(?=[0-9])(?:{_NUMBER}d)?(?:{_NUMBER}h)?(?:{_NUMBER}m(?!s))?"
    rf"(?:{_NUMBER}s)?(?:{_NUMBER}ms)?)\Z"
)
_PART = re.compile(rf"({_NUMBER})(ms|[dhms])")
_UNIT_WORDS = (
    ("milliseconds?|millis|msecs?|ms", "ms"),
    ("seconds?|secs?|s", "s"),
    ("minutes?|mins?|m", "m"),
    ("hours?|hrs?|h", "h"),
    ("days?|d", "d"),
)

_BYTES = {
    "B": 1,
    "kB": 1000,
    "KiB": 1024,
    "MB": 1000**2,
    "MiB": 1024**2,
    "GB": 1000**3,
    "GiB": 1024**3,
}
SIZE_PATTERN = r"^[0-9]+(\.[0-9]+)?(B|kB|KiB|MB|MiB|GB|GiB)$"
"""For editors; looser than the parser, which also bounds the digits."""
_SIZE = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(B|kB|KiB|MB|MiB|GB|GiB)\Z")
_LOOSE_SIZE = re.compile(
    r"(?i)\s*([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*(?:([kmg])(i?)(?:b|bytes?)?|b|bytes?)\s*\Z"
)


class UnitProblem(ValueError):
    """A text that is none of what is expected; the message says what to write instead."""


def parse_duration(value: object) -> float:
    """Seconds of ``15s``, ``2m``, ``1h30m``, ``1d``, ``250ms``, ``1.5s`` or ``0``.

    Raises:
        UnitProblem: anything else; a bare number says what unit to add.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if value == 0:
            return 0.0
        if value < 0:
            raise UnitProblem("a duration cannot be negative; write for example 15s")
        raise UnitProblem(f"a duration needs a unit; write {value}s")
    if not isinstance(value, str):
        raise UnitProblem("this must be a duration; write for example 15s, 2m or 1h30m")
    if not _DURATION.match(value):
        raise UnitProblem(f"{quoted(value)} is not a duration; write {_meant_duration(value)}")
    parts = _PART.findall(value)
    return math.fsum(float(number) * _SECONDS[unit] for number, unit in parts)


def _meant_duration(text: str) -> str:
    guess = re.sub(r"(?<=[A-Za-z])(?=[0-9])", " ", text[:40])
    for words, unit in _UNIT_WORDS:
        guess = re.sub(rf"(?i)([0-9])\s*(?:{words})\b", rf"\1{unit}", guess)
    guess = re.sub(r"[\s,]+", "", guess)
    if re.fullmatch(_NUMBER, guess):
        return f"{guess}s"
    if _DURATION.match(guess):
        return guess
    return "for example 15s, 2m, 1h30m or 250ms"


def format_duration(seconds: float) -> str:
    """Seconds as one would write them: ``90`` gives ``1m30s``."""
    milliseconds = round(seconds * 1000)
    parts = []
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, milliseconds = divmod(milliseconds, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def parse_size(value: object) -> int:
    """Bytes of ``64KiB``, ``1MiB``, ``500kB`` or ``100B``.

    Raises:
        UnitProblem: anything else; a bare number says what unit to add.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        raise UnitProblem(f"a size needs a unit; write {value}B, or for example 64KiB")
    if not isinstance(value, str):
        raise UnitProblem("this must be a size; write for example 64KiB or 1MiB")
    if match := _SIZE.match(value):
        return round(float(match[1]) * _BYTES[match[2]])
    raise UnitProblem(f"{quoted(value)} is not a size; write {_meant_size(value)}")


def _meant_size(text: str) -> str:
    match = _LOOSE_SIZE.match(text)
    if match is None:
        return f"{text}B" if text.isdigit() and len(text) < 10 else "for example 64KiB or 1MiB"
    number, letter, binary = match.groups()
    if not letter:
        return f"{number}B"
    two = f"{number}{letter.upper()}iB"
    ten = f"{number}{letter.lower() if letter in 'kK' else letter.upper()}B"
    return two if binary else f"{two} or {ten}"


def format_size(size: int) -> str:
    """Bytes as one would write them: ``65536`` gives ``64KiB``."""
    for unit in ("GiB", "MiB", "KiB", "GB", "MB", "kB"):
        if size and size % _BYTES[unit] == 0:
            return f"{size // _BYTES[unit]}{unit}"
    return f"{size}B"


def parse_moment(text: str) -> float:
    """Seconds since the epoch of a date (its first moment in UTC) or an RFC 3339 time.

    Raises:
        UnitProblem: anything else, or a time without a zone.
    """
    try:
        if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
            day = date.fromisoformat(text)
            return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
        moment = datetime.fromisoformat(text)
        seconds = moment.timestamp()
    except (ValueError, OverflowError):
        raise UnitProblem(
            "write a date such as 2024-05-31, or a time such as 2024-05-31T12:00:00Z"
        ) from None
    if moment.tzinfo is None:
        raise UnitProblem(f"the time has no time zone; write {quoted(text)[1:-1]}Z for UTC")
    return seconds


def parse_instant(text: str) -> float:
    """Seconds since the epoch of a time with its offset from UTC (RFC 3339).

    Raises:
        UnitProblem: anything else: a date, a time without an offset or without a date.
    """
    written = _INSTANT.fullmatch(text)
    if written is None:
        hint = "write for example 2026-05-31T22:00:00Z or 2026-05-31T19:00:00-03:00"
        raise UnitProblem(f"{quoted(text)} is not a date with a time; {hint}")
    day, clock, offset = written.groups()
    moment = f"{day}T{clock if clock.count(':') == 2 else clock + ':00'}"
    if offset is None:
        raise UnitProblem(
            f"the time has no offset from UTC; write {moment}Z for UTC, "
            f"or for example {moment}-03:00"
        )
    try:
        return datetime.fromisoformat(f"{moment}{offset.upper()}").timestamp()
    except (ValueError, OverflowError):
        raise UnitProblem(f"there is no such time as {quoted(text)}") from None


_INSTANT = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?) ?([Zz]|[+-]\d\d:\d\d)?", re.ASCII
)


def format_instant(seconds: float) -> str:
    """Seconds since the epoch as one would write them in UTC: ``2026-05-31T22:00:00Z``."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


def parse_fingerprint(text: str) -> str:
    """Lower-case hexadecimal digits of a SHA-256 fingerprint; colons and spaces are left out.

    Raises:
        UnitProblem: other characters, or another length.
    """
    digits = re.sub(r"[:\s]", "", text).lower()
    if not re.fullmatch(r"[0-9a-f]*", digits):
        raise UnitProblem("a SHA-256 fingerprint must have only hexadecimal digits and colons")
    if len(digits) == 40:
        raise UnitProblem("this is a SHA-1 fingerprint; write the SHA-256 one, 64 digits")
    if len(digits) != 64:
        raise UnitProblem(f"a SHA-256 fingerprint must have 64 digits; found {len(digits)}")
    return digits
