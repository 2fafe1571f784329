"""The wire form of DNS messages (RFC 1035 section 4), as far as finding addresses needs it. Pure.

Written by hand for its cost: an answer with a CNAME and four addresses takes about 15 µs here and
290 µs with dnspython's reader, which would be most of a lookup, and thousands of names times
several client regions are looked up again and again. Tests hold both readers equal on valid
messages and on damaged ones.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import Literal, NamedTuple

IpVersion = Literal[4, 6]
Subnet = IPv4Network | IPv6Network

A, NS, CNAME, SOA, AAAA, OPT, HTTPS, CAA = 1, 2, 5, 6, 28, 41, 65, 257
INTERNET = 1
CLIENT_SUBNET = 8  # EDNS option code (RFC 7871)

UDP_PAYLOAD = 1232
"""Bytes we accept over UDP: fits every path without fragments (DNS Flag Day 2020)."""

_HEADER = struct.Struct("!6H")
_QUESTION = struct.Struct("!HH")
_RECORD = struct.Struct("!HHIH")
_RECURSION_DESIRED = 0x0100
_LONGEST_NAME, _LONGEST_LABEL = 255, 63
CUT = "it ends before it should"

_ODD = re.compile(rb"[^!-~]|\\")
_AMBIGUOUS = re.compile(rb"[^!-~]|[.\\]")

_MOST_RECORDS = 1024
_MOST_HOPS = 128
"""A message over TCP has room for 5,000 records whose names are thousands of pointers each:
seconds of work. No honest one has more records than this, and no name has more labels."""


class UnaskableName(Exception):
    """A text that cannot be a name in DNS; the message says why."""


class Damaged(Exception):
    """Bytes that are no DNS message; the message says what is wrong."""


class Record(NamedTuple):
    """A resource record; its data stays in the message, at ``start`` for ``size`` bytes."""

    name: str
    kind: int
    rdclass: int
    ttl: int
    start: int
    size: int


@dataclass(frozen=True, slots=True)
class Message:
    """A response taken apart; names in lower case, without the last dot, odd bytes escaped.

    Attributes:
        rcode: with the upper bits of an OPT record (RFC 6891).
        authoritative: the AA flag.
        questions: name, type and class of each.
        edns: it has an OPT record.
        options: EDNS options as code and data.
    """

    wire: bytes
    rcode: int
    authoritative: bool
    questions: Sequence[tuple[str, int, int]]
    answer: Sequence[Record]
    authority: Sequence[Record]
    edns: bool
    options: Sequence[tuple[int, bytes]]

    def data(self, record: Record) -> bytes:
        """Return a record's data, with compressed names as they are."""
        return self.wire[record.start : record.start + record.size]

    def name_in(self, record: Record) -> str:
        """Read the name that a record's data consists of (NS, CNAME)."""
        name, end = _name(self.wire, record.start)
        if end != record.start + record.size:
            raise Damaged("a record's data is longer or shorter than the name in it")
        return name

    def minimum_of(self, soa: Record) -> int:
        """Read the last field of an SOA record: the TTL of negative answers (RFC 2308)."""
        _, at = _name(self.wire, soa.start)
        _, at = _name(self.wire, at)
        if at + 20 != soa.start + soa.size:
            raise Damaged("an SOA record of wrong length")
        return int.from_bytes(self.wire[at + 16 : at + 20], "big")


def name_at(data: bytes, at: int) -> tuple[str, int]:
    """Read a name that is not compressed (RFC 9460 section 2.2), and where it ends.

    Raises:
        Damaged: also for a pointer.
    """
    end = at
    while end < len(data) and data[end]:
        if data[end] > _LONGEST_LABEL:
            raise Damaged("a compressed name where none may stand")
        end += 1 + data[end]
    return _name(data, at)


def encode(name: str, kind: int, message_id: int, options: bytes | None) -> bytes:
    """Encode a question.

    Args:
        name: absolute; "." is the root.
        kind: type of the records asked for.
        message_id: 16 bits that the answer must repeat.
        options: EDNS options in wire form; None sends no OPT record at all.

    Raises:
        UnaskableName: the name has empty or overlong labels, or is no ASCII.
    """
    edns = options is not None
    header = _HEADER.pack(message_id, _RECURSION_DESIRED, 1, 0, 0, 1 if edns else 0)
    question = header + _wire_name(name) + _QUESTION.pack(kind, INTERNET)
    if options is None:
        return question
    return question + b"\0" + _RECORD.pack(OPT, UDP_PAYLOAD, 0, len(options)) + options


def subnet_option(subnet: Subnet) -> bytes:
    """Encode the EDNS option that asks on behalf of clients in a network (RFC 7871 section 6)."""
    address = subnet.network_address.packed[: (subnet.prefixlen + 7) // 8]
    family = 1 if subnet.version == 4 else 2
    data = struct.pack("!HBB", family, subnet.prefixlen, 0) + address
    return _QUESTION.pack(CLIENT_SUBNET, len(data)) + data


def is_response_to(wire: bytes, message_id: int) -> bool:
    """Tell whether the bytes have a header, are a response and repeat the id."""
    return len(wire) >= 12 and wire[2] & 0x80 != 0 and wire[:2] == message_id.to_bytes(2, "big")


def is_truncated(wire: bytes) -> bool:
    """Read the TC flag of a message that has a header."""
    return wire[2] & 0x02 != 0


def parse(wire: bytes) -> Message:
    """Take a whole message apart; bytes after it are left aside.

    Raises:
        Damaged: a length or pointer leads out of the message or in circles.
        struct.error: the message ends before it should.
    """
    _, flags, questions, *counts = _HEADER.unpack_from(wire)
    if questions + sum(counts) > _MOST_RECORDS:
        raise Damaged(f"it announces more than {_MOST_RECORDS} records")
    at = _HEADER.size
    asked = []
    for _ in range(questions):
        name, at = _name(wire, at)
        asked.append((name, *_QUESTION.unpack_from(wire, at)))
        at += _QUESTION.size
    sections: list[list[Record]] = []
    for count in counts:
        records = []
        for _ in range(count):
            name, at = _name(wire, at)
            kind, rdclass, ttl, size = _RECORD.unpack_from(wire, at)
            at += _RECORD.size
            if at + size > len(wire):
                raise Damaged("a record's data goes beyond the end")
            records.append(Record(name, kind, rdclass, ttl, at, size))
            at += size
        sections.append(records)
    answer, authority, additional = sections
    rcode, edns, options = flags & 0xF, False, []
    for record in additional:
        if record.kind == OPT:
            edns = True
            rcode |= record.ttl >> 24 << 4
            options = _options(wire[record.start : record.start + record.size])
    return Message(wire, rcode, flags & 0x0400 != 0, asked, answer, authority, edns, options)


def _options(data: bytes) -> list[tuple[int, bytes]]:
    options, at = [], 0
    while at < len(data):
        code, size = _QUESTION.unpack_from(data, at)
        at += 4
        if at + size > len(data):
            raise Damaged("an EDNS option goes beyond its record")
        options.append((code, data[at : at + size]))
        at += size
    return options


def _name(wire: bytes, at: int) -> tuple[str, int]:
    """A name, and where what follows it begins; pointers may only lead backwards.

    Raises:
        Damaged: for every fault, the end of the message included: names in record data are read
            after the message was taken apart.
    """
    labels = []
    end, before, length = 0, at, 1
    hops = _MOST_HOPS
    try:
        while size := wire[at]:
            if size >= 0xC0:
                end = end or at + 2
                at = (size & 0x3F) << 8 | wire[at + 1]
                hops -= 1
                if at >= before or not hops:
                    raise Damaged("a compressed name that points forward, or on and on")
                before = at
            elif size <= _LONGEST_LABEL:
                label = wire[at + 1 : at + 1 + size]
                at += 1 + size
                length += 1 + size
                if length > _LONGEST_NAME:
                    raise Damaged("a name longer than 255 bytes")
                labels.append(label)
            else:
                raise Damaged("a label of unknown type")
    except IndexError:
        raise Damaged(CUT) from None
    text = b".".join(labels)
    if text.count(b".") >= max(len(labels), 1) or _ODD.search(text):
        text = b".".join(_AMBIGUOUS.sub(_escaped, label) for label in labels)
    return text.decode("ascii").lower(), end or at + 1


def _escaped(byte: re.Match[bytes]) -> bytes:
    """RFC 1035 section 5.1: names come from outside, and are shown on pages and terminals."""
    return b"\\" + (byte[0] if byte[0] in b".\\" else b"%03d" % byte[0][0])


def _wire_name(name: str) -> bytes:
    if name == ".":
        return b"\0"
    if "\\" in name:  # an escape: a CNAME led to bytes that no host name has
        raise UnaskableName(f"{name!r} is no host name")
    try:
        labels = [label.encode("ascii") for label in name.removesuffix(".").split(".")]
    except UnicodeEncodeError:
        raise UnaskableName(f"{name!r} is not in A-label form (RFC 5890)") from None
    if any(not 1 <= len(label) <= 63 for label in labels):
        raise UnaskableName(f"{name!r} has a label that is empty or longer than 63 (RFC 1035)")
    wire = b"".join(bytes((len(label),)) + label for label in labels) + b"\0"
    if len(wire) > _LONGEST_NAME:
        raise UnaskableName(f"{name!r} is longer than 253 (RFC 1035)")
    return wire
