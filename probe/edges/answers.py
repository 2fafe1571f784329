"""Questions to DNS, and what a server's message says about them. Pure."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv6Address
from socket import AF_INET, inet_ntop

from probe.edges.message import (
    AAAA,
    CAA,
    CLIENT_SUBNET,
    CNAME,
    CUT,
    HTTPS,
    INTERNET,
    NS,
    SOA,
    A,
    Damaged,
    IpVersion,
    Message,
    Record,
    Subnet,
    encode,
    is_response_to,
    is_truncated,
    parse,
    subnet_option,
)
from probe.edges.rdata import read_caa, read_https
from probe.model.failure import Failure, Phase, Reason
from probe.model.records import CaaRecord, HttpsRecord, RecordType

_RCODES = {1: "FORMERR", 2: "SERVFAIL", 4: "NOTIMP", 5: "REFUSED", 9: "NOTAUTH", 16: "BADVERS"}
_NOERROR, _FORMERR, _NXDOMAIN, _NOTIMP, _REFUSED, _NOTAUTH, _BADVERS = 0, 1, 3, 4, 5, 9, 16

_LONGEST_CHAIN = 16
_KINDS = {"HTTPS": HTTPS, "CAA": CAA}
_MOST_RECORD_BYTES = 16 * 1024
"""Of all HTTPS or CAA records of a name, which are kept for each target. Honest ones take 1 KiB."""
_TTL_WITHOUT_SOA = 60.0
_NO_SIGN_OF_LIFE = frozenset(
    {
        Reason.TIMEOUT,
        Reason.NO_ROUTE,
        Reason.LOCAL_RESOURCE,
        Reason.UNREACHABLE,
        Reason.UNKNOWN,
        Reason.DEFECT,
    }
)


@dataclass(frozen=True, slots=True)
class DnsQuestion:
    """One question to DNS.

    Attributes:
        name: absolute, A-label form, lower case, no trailing dot.
        family: 4 asks for A, 6 for AAAA.
        subnet: asked on behalf of these clients, or None for our own.
        record: asks for such records instead of addresses; then ``family`` is 4, and means nothing.
    """

    name: str
    family: IpVersion
    subnet: Subnet | None = None
    record: RecordType | None = None

    def __str__(self) -> str:
        return f"{self.record or ('A' if self.family == 4 else 'AAAA')} {self.name}"


@dataclass(frozen=True, slots=True)
class DnsAnswer:
    """DNS answered, with addresses or with the statement that there are none.

    Attributes:
        addresses: canonical text, in the order of the message; empty for a negative answer.
        nxdomain: the name does not exist (RFC 8020); otherwise empty means no such record.
        cnames: canonical names that were followed, in order.
        ttl: seconds as DNS said, neither floor nor cap applied (RFC 2308 for negative answers).
        scope: prefix length for which the answer holds (RFC 7871); None when the server
            sent no client-subnet option back.
        server: who answered, as ``ip:port``.
        partial: the chain ends at this name and the message does not say where it leads.
        edns: the server speaks EDNS (RFC 6891).
        seconds: from the first packet to the answer, time in our own queue not included.
        records: for a question that asks for records instead of addresses.
    """

    addresses: tuple[str, ...]
    nxdomain: bool
    cnames: tuple[str, ...]
    ttl: float
    scope: int | None = None
    server: str = ""
    partial: str | None = None
    edns: bool = False
    seconds: float = 0.0
    records: tuple[CaaRecord | HttpsRecord, ...] = ()


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """No server said whether there are addresses; what was known before still holds.

    Attributes:
        alive: a server gave a sign of life, even if only to refuse.
        seconds: from the first packet to giving up.
        without_edns: the server may only dislike EDNS (RFC 6891 section 7): ask without.
    """

    failure: Failure
    alive: bool = False
    seconds: float = 0.0
    without_edns: bool = False


DnsOutcome = DnsAnswer | NoAnswer


def no_answer(
    question: DnsQuestion, reason: Reason, detail: str, *, without_edns: bool = False
) -> NoAnswer:
    """Make the outcome of a question when no server said anything about its name."""
    failure = Failure(Phase.RESOLVE, reason, f"{question}: {detail}")
    return NoAnswer(failure, reason not in _NO_SIGN_OF_LIFE, without_edns=without_edns)


ROOT = DnsQuestion(".", 4)
"""Every resolver that works says something to this one, if only that it refuses."""


@dataclass(frozen=True, slots=True)
class Unrelated:
    """Not an answer to our question: a late, stray or forged packet; go on listening."""


@dataclass(frozen=True, slots=True)
class Truncated:
    """The answer did not fit; ask again over TCP."""


Reply = DnsAnswer | NoAnswer | Truncated | Unrelated


def build(question: DnsQuestion, message_id: int, *, edns: bool = True) -> bytes:
    """Encode a question.

    Args:
        question: what to ask; its subnet is sent only with EDNS.
        message_id: 16 bits that the answer must repeat.
        edns: whether to send an OPT record (RFC 6891).

    Raises:
        UnaskableName: no server could be asked for such a name.
    """
    options = b"" if question.subnet is None else subnet_option(question.subnet)
    return encode(question.name, _kind(question), message_id, options if edns else None)


def read(data: bytes, question: DnsQuestion, message_id: int, server: str) -> Reply:
    """Read what the bytes of a server say about a question.

    Args:
        data: a whole message.
        question: what was asked.
        message_id: the number that was sent with it.
        server: for evidence.
    """
    if not is_response_to(data, message_id):
        return Unrelated()
    if is_truncated(data):
        return Truncated()
    try:
        return _judge(parse(data), question, server)
    except (Damaged, struct.error) as error:
        why = error if isinstance(error, Damaged) else CUT
        return no_answer(question, Reason.MALFORMED, f"{server} sent a damaged message: {why}")


def _judge(message: Message, question: DnsQuestion, server: str) -> Reply:
    name = question.name.removesuffix(".")
    asked = (name, _kind(question), INTERNET)
    if message.rcode not in (_NOERROR, _NXDOMAIN):
        # A server that cannot read a question need not repeat it.
        return _error(question, message.rcode, server)
    if list(message.questions) != [asked]:
        return Unrelated()
    nxdomain = message.rcode == _NXDOMAIN
    cnames, final, ttls = _follow(message, name)
    records = [record for record in _answers(message, _kind(question)) if record.name == final]
    if records and nxdomain:
        raise Damaged("records of a name that it says does not exist")
    if not records and not nxdomain and _is_referral(message):
        detail = f"{server} refers to other servers: it neither knows the name nor asks for us"
        return no_answer(question, Reason.REFUSED, detail)
    soa = None if records else _negative_ttl(message, final)
    ttls += [_ttl(record) for record in records] or [_TTL_WITHOUT_SOA if soa is None else soa]
    left_open = cnames and not records and soa is None and not nxdomain
    asks_addresses = question.record is None
    return DnsAnswer(
        addresses=tuple(dict.fromkeys(_address(message, record) for record in records))
        if asks_addresses
        else (),
        records=() if asks_addresses else _read(message, records),
        nxdomain=nxdomain,
        cnames=cnames,
        ttl=min(ttls),
        scope=_scope(message, question),
        server=server,
        partial=final if left_open else None,
        edns=message.edns,
    )


def _error(question: DnsQuestion, rcode: int, server: str) -> NoAnswer:
    detail = f"{server} says {_RCODES.get(rcode, f'rcode {rcode}')}"
    if rcode in (_REFUSED, _NOTAUTH):
        return no_answer(question, Reason.REFUSED, detail)
    dislikes_edns = rcode in (_FORMERR, _NOTIMP, _BADVERS)
    return no_answer(question, Reason.SERVFAIL, detail, without_edns=dislikes_edns)


def _follow(message: Message, name: str) -> tuple[tuple[str, ...], str, list[float]]:
    """The chain of canonical names in a message, where it ends, and its TTLs."""
    aliases = {record.name: record for record in reversed(_answers(message, CNAME))}
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
        record for record in message.answer if record.kind == kind and record.rdclass == INTERNET
    ]


def _address(message: Message, record: Record) -> str:
    data = message.data(record)
    if len(data) != (4 if record.kind == A else 16):
        raise Damaged("an address of wrong length")
    return inet_ntop(AF_INET, data) if record.kind == A else str(IPv6Address(data))


def _ttl(record: Record) -> float:
    """RFC 2181 section 8: a TTL with the highest bit set counts as zero."""
    return float(record.ttl) if record.ttl < 1 << 31 else 0.0


def _negative_ttl(message: Message, name: str) -> float | None:
    """RFC 2308 section 5: the lesser of the SOA record's TTL and its last field."""
    for record in message.authority:
        owner = record.name
        if record.kind == SOA and (not owner or f".{name}".endswith(f".{owner}")):
            return min(_ttl(record), float(message.minimum_of(record)))
    return None


def _is_referral(message: Message) -> bool:
    """RFC 2308 section 2.2: NS records and no SOA, from a server that is not responsible."""
    kinds = {record.kind for record in message.authority}
    return not message.authoritative and not message.answer and NS in kinds and SOA not in kinds


def _read(message: Message, records: list[Record]) -> tuple[CaaRecord | HttpsRecord, ...]:
    """Read HTTPS or CAA records; one that is malformed spoils the set (RFC 9460 section 2.2)."""
    if sum(record.size for record in records) > _MOST_RECORD_BYTES:
        raise Damaged(f"records of more than {_MOST_RECORD_BYTES} bytes")
    found = (
        (read_https if record.kind == HTTPS else read_caa)(message.data(record))
        for record in records
    )
    return tuple(dict.fromkeys(found))


def _kind(question: DnsQuestion) -> int:
    if question.record is not None:
        return _KINDS[question.record]
    return A if question.family == 4 else AAAA


def _scope(message: Message, question: DnsQuestion) -> int | None:
    """The scope that came back for our subnet; another subnet's option counts as none."""
    if question.subnet is None:
        return None
    sent = subnet_option(question.subnet)[4:]
    for code, data in message.options:
        ours = len(data) == len(sent) and data[:3] + data[4:] == sent[:3] + sent[4:]
        if code == CLIENT_SUBNET and ours:
            return data[3]
    return None
