"""What a server's message means for a question: addresses, none, or no use at all. Pure."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv6Address
from socket import AF_INET, inet_ntop

from probe.edges import wire
from probe.edges.question import Answer, Question, Subnet
from probe.edges.wire import Damaged, Message, Record
from probe.model.failure import Reason

_RCODES = {
    1: "FORMERR",
    2: "SERVFAIL",
    4: "NOTIMP",
    5: "REFUSED",
    9: "NOTAUTH",
    16: "BADVERS",
}
_NOERROR, _FORMERR, _NXDOMAIN, _NOTIMP, _REFUSED, _NOTAUTH, _BADVERS = 0, 1, 3, 4, 5, 9, 16

_LONGEST_CHAIN = 16
_TTL_WITHOUT_SOA = 60.0


@dataclass(frozen=True, slots=True)
class Unrelated:
    """Not an answer to our question: a late, stray or forged packet; go on listening."""


@dataclass(frozen=True, slots=True)
class Truncated:
    """The answer did not fit; ask again over TCP."""


@dataclass(frozen=True, slots=True)
class Unusable:
    """The server answered, and the answer says nothing about the name.

    Attributes:
        without_edns: the server may only dislike EDNS (RFC 6891 section 7): ask without.
    """

    reason: Reason
    detail: str
    without_edns: bool = False


Reply = Answer | Truncated | Unusable | Unrelated


def build(question: Question, message_id: int, *, edns: bool = True) -> bytes:
    """The question in wire form.

    Args:
        question: what to ask; its subnet is sent only with EDNS.
        message_id: 16 bits that the answer must repeat.
        edns: whether to send an OPT record (RFC 6891).

    Raises:
        UnaskableName: no server could be asked for such a name.
    """
    options = b"" if question.subnet is None else _option(question.subnet)
    return wire.build(question.name, _kind(question), message_id, options if edns else None)


def read(data: bytes, question: Question, message_id: int, server: str) -> Reply:
    """What the bytes of a server say about a question.

    Args:
        data: a whole message.
        question: what was asked.
        message_id: the number that was sent with it.
        server: for evidence.
    """
    if not wire.is_response_to(data, message_id):
        return Unrelated()
    if wire.is_truncated(data):
        return Truncated()
    try:
        return _judge(wire.parse(data), question, server)
    except Damaged as damage:
        return Unusable(Reason.MALFORMED, f"{server} sent a damaged message: {damage}")


def _judge(message: Message, question: Question, server: str) -> Reply:
    name = question.name.removesuffix(".")
    asked = (name, _kind(question), wire.INTERNET)
    if message.rcode not in (_NOERROR, _NXDOMAIN):
        # A server that cannot read a question need not repeat it.
        return _error(message.rcode, server)
    if list(message.questions) != [asked]:
        return Unrelated()
    nxdomain = message.rcode == _NXDOMAIN
    cnames, final, ttls = _follow(message, name)
    records = [record for record in _answers(message, _kind(question)) if record.name == final]
    if records and nxdomain:
        raise Damaged("addresses for a name that it says does not exist")
    if not records and not nxdomain and _is_referral(message):
        detail = f"{server} refers to other servers: it neither knows the name nor asks for us"
        return Unusable(Reason.REFUSED, detail)
    soa = None if records else _negative_ttl(message, final)
    ttls += [_ttl(record) for record in records] or [_TTL_WITHOUT_SOA if soa is None else soa]
    left_open = cnames and not records and soa is None and not nxdomain
    return Answer(
        addresses=tuple(dict.fromkeys(_address(message, record) for record in records)),
        nxdomain=nxdomain,
        cnames=cnames,
        ttl=min(ttls),
        scope=_scope(message, question),
        server=server,
        partial=final if left_open else None,
        edns=message.edns,
    )


def _error(rcode: int, server: str) -> Unusable:
    detail = f"{server} says {_RCODES.get(rcode, f'rcode {rcode}')}"
    if rcode in (_REFUSED, _NOTAUTH):
        return Unusable(Reason.REFUSED, detail)
    dislikes_edns = rcode in (_FORMERR, _NOTIMP, _BADVERS)
    return Unusable(Reason.SERVFAIL, detail, without_edns=dislikes_edns)


def _follow(message: Message, name: str) -> tuple[tuple[str, ...], str, list[float]]:
    """The chain of canonical names in a message, where it ends, and its TTLs."""
    aliases = {record.name: record for record in reversed(_answers(message, wire.CNAME))}
    cnames: list[str] = []
    ttls: list[float] = []
    while (record := aliases.get(name)) is not None:
        if len(cnames) >= _LONGEST_CHAIN:
            raise Damaged(f"more than {_LONGEST_CHAIN} CNAMEs, or a circle of them")
        name = message.name_in(record)
        cnames.append(name)
        ttls.append(_ttl(record))
    return tuple(cnames), name, ttls


def _answers(message: Message, kind: int) -> list[Record]:
    return [
        record
        for record in message.answer
        if record.kind == kind and record.rdclass == wire.INTERNET
    ]


def _address(message: Message, record: Record) -> str:
    data = message.data(record)
    if len(data) != (4 if record.kind == wire.A else 16):
        raise Damaged("an address of wrong length")
    return inet_ntop(AF_INET, data) if record.kind == wire.A else str(IPv6Address(data))


def _ttl(record: Record) -> float:
    """RFC 2181 section 8: a TTL with the highest bit set counts as zero."""
    return float(record.ttl) if record.ttl < 1 << 31 else 0.0


def _negative_ttl(message: Message, name: str) -> float | None:
    """RFC 2308 section 5: the lesser of the SOA record's TTL and its last field."""
    for record in message.authority:
        owner = record.name
        if record.kind == wire.SOA and (not owner or f".{name}".endswith(f".{owner}")):
            return min(_ttl(record), float(message.minimum_of(record)))
    return None


def _is_referral(message: Message) -> bool:
    """RFC 2308 section 2.2: NS records and no SOA, from a server that is not responsible."""
    kinds = {record.kind for record in message.authority}
    return (
        not message.authoritative
        and not message.answer
        and wire.NS in kinds
        and wire.SOA not in kinds
    )


def _kind(question: Question) -> int:
    return wire.A if question.family == 4 else wire.AAAA


def _option(subnet: Subnet) -> bytes:
    """RFC 7871 section 6: only the bytes that hold significant bits are sent."""
    data = _option_data(subnet)
    return struct.pack("!HH", wire.CLIENT_SUBNET, len(data)) + data


def _option_data(subnet: Subnet) -> bytes:
    address = subnet.network.to_bytes(subnet.bits // 8, "big")[: (subnet.length + 7) // 8]
    return struct.pack("!HBB", 1 if subnet.version == 4 else 2, subnet.length, 0) + address


def _scope(message: Message, question: Question) -> int | None:
    """The scope that came back for our subnet; another subnet's option counts as none."""
    if question.subnet is None:
        return None
    sent = _option_data(question.subnet)
    for code, data in message.options:
        ours = len(data) == len(sent) and data[:3] + data[4:] == sent[:3] + sent[4:]
        if code == wire.CLIENT_SUBNET and ours:
            return data[3]
    return None
