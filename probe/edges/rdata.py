"""The data of HTTPS records (RFC 9460 section 2.2) and CAA records (RFC 8659 section 4.1). Pure.

What a server sends is bounded by the message and kept only as far as it is judged.
"""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address

from probe.edges.message import Damaged, name_at
from probe.model.records import CaaRecord, HttpsRecord

_MANDATORY, _ALPN, _NO_DEFAULT_ALPN, _PORT, _IPV4HINT, _ECH, _IPV6HINT = range(7)
_KNOWN = frozenset(range(7))
_PAIR = struct.Struct("!HH")
_NUMBER = struct.Struct("!H")
_CRITICAL = 0x80


def read_caa(data: bytes) -> CaaRecord:
    """Read a CAA record.

    Raises:
        Damaged: its tag is empty, cut off, or has other characters than letters and digits.
    """
    if len(data) < 2 or not 0 < data[1] <= len(data) - 2:
        raise Damaged("a CAA record whose tag is empty or cut off")
    tag = data[2 : 2 + data[1]].decode("latin-1")
    if not (tag.isascii() and tag.isalnum()):
        raise Damaged("a CAA record whose tag has other characters than letters and digits")
    return CaaRecord(bool(data[0] & _CRITICAL), tag.lower(), data[2 + data[1] :].decode("latin-1"))


def read_https(data: bytes) -> HttpsRecord:
    """Read an HTTPS record; the parameters of an alias mean nothing.

    Raises:
        Damaged: a length leads out of it, keys are out of order, or they contradict each other.
    """
    if len(data) < 3:
        raise Damaged("an HTTPS record that is too short")
    priority = _NUMBER.unpack_from(data)[0]
    target, at = name_at(data, 2)
    if priority == 0:
        return HttpsRecord(0, target)
    given = _parameters(data, at)
    mandatory = _mandatory(given)
    if _NO_DEFAULT_ALPN in given and (given[_NO_DEFAULT_ALPN] or _ALPN not in given):
        raise Damaged("an HTTPS record with no-default-alpn and a value, or without alpn")
    port = given.get(_PORT)
    if port is not None and len(port) != 2:
        raise Damaged("an HTTPS record whose port has not two bytes")
    hints = _addresses(given.get(_IPV4HINT), 4) + _addresses(given.get(_IPV6HINT), 16)
    return HttpsRecord(
        priority=priority,
        target=target,
        alpn=_alpn(given.get(_ALPN)),
        default_alpn=_NO_DEFAULT_ALPN not in given,
        port=None if port is None else _NUMBER.unpack(port)[0],
        hints=hints,
        foreign=tuple(key for key in mandatory if key not in _KNOWN),
    )


def _parameters(data: bytes, at: int) -> dict[int, bytes]:
    """Keys stand in ascending order, each once."""
    given: dict[int, bytes] = {}
    last = -1
    while at < len(data):
        if at + _PAIR.size > len(data):
            raise Damaged("an HTTPS record that ends within a parameter")
        key, size = _PAIR.unpack_from(data, at)
        at += _PAIR.size
        if key <= last:
            raise Damaged("an HTTPS record whose keys are not in order")
        if at + size > len(data):
            raise Damaged("an HTTPS record with a parameter that goes beyond it")
        given[key] = data[at : at + size]
        at, last = at + size, key
    return given


def _mandatory(given: dict[int, bytes]) -> list[int]:
    """RFC 9460 section 8: keys in order, each of them there, and not this key itself."""
    listed = given.get(_MANDATORY)
    if listed is None:
        return []
    if not listed or len(listed) % 2:
        raise Damaged("an HTTPS record whose mandatory keys have an odd length, or none")
    keys = [key for (key,) in _NUMBER.iter_unpack(listed)]
    if keys != sorted(set(keys)) or _MANDATORY in keys or not given.keys() >= set(keys):
        raise Damaged("an HTTPS record whose mandatory keys are missing or out of order")
    return keys


def _alpn(value: bytes | None) -> tuple[str, ...]:
    if value is None:
        return ()
    found, at = [], 0
    while at < len(value):
        size = value[at]
        at += 1
        if not size or at + size > len(value):
            raise Damaged("an HTTPS record with an alpn that is empty or cut off")
        found.append(value[at : at + size].decode("latin-1"))
        at += size
    if not found:
        raise Damaged("an HTTPS record with an alpn without protocols")
    return tuple(dict.fromkeys(found))


def _addresses(value: bytes | None, size: int) -> tuple[str, ...]:
    if value is None:
        return ()
    if not value or len(value) % size:
        raise Damaged("an HTTPS record with a hint of wrong length")
    parts = (value[at : at + size] for at in range(0, len(value), size))
    make = IPv4Address if size == 4 else IPv6Address
    return tuple(dict.fromkeys(str(make(part)) for part in parts))
