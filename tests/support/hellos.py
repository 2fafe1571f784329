"""A ClientHello field by field (RFC 8446 section 4.1.2), so that two can be compared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields

from probe.lab.hello import handshake_bytes

_GREASE_VALUES = frozenset(0x0A0A + 0x1010 * step for step in range(16))  # RFC 8701
_SCSV = 0x00FF  # TLS_EMPTY_RENEGOTIATION_INFO_SCSV (RFC 5746 section 3.3)
RENEGOTIATION = 0xFF01

GROUPS, POINT_FORMATS, SIGNATURES, ALPN, COMPRESS = 10, 11, 13, 16, 27
VERSIONS, PSK_MODES, SHARES = 43, 45, 51


@dataclass(frozen=True, slots=True)
class Hello:
    """What a client offers, in its order; numbers as four hex digits.

    Attributes:
        versions: of ``supported_versions``, else the one of the record.
        ciphers: without the signalling value for renegotiation, which counts as the extension.
        shares: groups that a key share is sent for.
        extensions: numbers of those present, sorted, without random ones.
        grease: whether random values stand anywhere.
        session_id: length in octets.
    """

    versions: tuple[str, ...]
    ciphers: tuple[str, ...]
    groups: tuple[str, ...]
    shares: tuple[str, ...]
    signatures: tuple[str, ...]
    alpn: tuple[str, ...]
    point_formats: tuple[int, ...]
    psk_modes: tuple[int, ...]
    compress: tuple[str, ...]
    extensions: tuple[str, ...]
    grease: bool
    session_id: int


def differing(one: Hello, other: Hello) -> set[str]:
    """Names of the fields in which two differ; an extension that only one has, by its number."""
    found = {
        each.name
        for each in fields(Hello)
        if each.name != "extensions" and getattr(one, each.name) != getattr(other, each.name)
    }
    return found | set(one.extensions) ^ set(other.extensions)


def taken_apart(raw: bytes) -> Hello:
    """The fields of a ClientHello, record headers included."""
    body = _Bytes(handshake_bytes(raw)[4:])
    legacy = body.number()
    body.take(32)
    session_id = body.vector(1)
    ciphers = list(_numbers(body.vector(2)))
    body.vector(1)  # compression methods
    extensions: dict[int, bytes] = {}
    rest = _Bytes(body.vector(2))
    while rest.data:
        kind = rest.number()
        extensions[kind] = rest.vector(2)
    random = {kind for kind in extensions if kind in _GREASE_VALUES}
    present = set(extensions) - random
    if _SCSV in ciphers:
        present.add(RENEGOTIATION)
    versions = list(_numbers(extensions[VERSIONS][1:])) if VERSIONS in extensions else [legacy]
    lists = [versions, ciphers, _listed(extensions, GROUPS), list(_shares(extensions))]
    return Hello(
        versions=_named(lists[0]),
        ciphers=_named(one for one in ciphers if one != _SCSV),
        groups=_named(lists[2]),
        shares=_named(lists[3]),
        signatures=_named(_listed(extensions, SIGNATURES)),
        alpn=tuple(_texts(extensions.get(ALPN, b"")[2:])),
        point_formats=tuple(extensions.get(POINT_FORMATS, b"")[1:]),
        psk_modes=tuple(extensions.get(PSK_MODES, b"")[1:]),
        compress=_named(_numbers(extensions.get(COMPRESS, b"")[1:])),
        extensions=tuple(f"{kind:04x}" for kind in sorted(present)),
        grease=bool(random or any(_GREASE_VALUES & set(one) for one in lists)),
        session_id=len(session_id),
    )


class _Bytes:
    def __init__(self, data: bytes) -> None:
        self.data = data

    def take(self, size: int) -> bytes:
        taken, self.data = self.data[:size], self.data[size:]
        return taken

    def number(self, size: int = 2) -> int:
        return int.from_bytes(self.take(size), "big")

    def vector(self, size: int) -> bytes:
        return self.take(self.number(size))


def _numbers(data: bytes) -> Iterator[int]:
    rest = _Bytes(data)
    while rest.data:
        yield rest.number()


def _listed(extensions: dict[int, bytes], kind: int) -> list[int]:
    return list(_numbers(extensions.get(kind, b"")[2:]))


def _shares(extensions: dict[int, bytes]) -> Iterator[int]:
    rest = _Bytes(extensions.get(SHARES, b"")[2:])
    while rest.data:
        yield rest.number()
        rest.vector(2)


def _texts(data: bytes) -> Iterator[str]:
    rest = _Bytes(data)
    while rest.data:
        yield rest.vector(1).decode()


def _named(numbers: Iterable[int]) -> tuple[str, ...]:
    return tuple(f"{one:04x}" for one in numbers if one not in _GREASE_VALUES)
