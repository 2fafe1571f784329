"""DNS messages as far as finding addresses needs them: build a question, read an answer. Pure.

The question is put together by hand: it is thirty fixed bytes around a name. Reading is left to
dnspython, whose parser knows compression loops, lying lengths and the other traps of RFC 1035.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype

from probe.edges.question import Answer, Question, Subnet
from probe.model.failure import Reason

UDP_PAYLOAD = 1232
"""Bytes we accept over UDP: fits every path without fragments (DNS Flag Day 2020)."""

_RR_TYPE = {4: 1, 6: 28}  # A (RFC 1035), AAAA (RFC 3596)
_RECURSION_DESIRED = 0x0100
_ECS = 8  # option code (RFC 7871)


@dataclass(frozen=True, slots=True)
class Unrelated:
    """Not an answer to our question: a late, stray or forged packet; go on listening."""

    why: str


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


class UnaskableName(Exception):
    """A text that cannot be a name in DNS; the message says why."""


def build(question: Question, message_id: int, *, edns: bool = True) -> bytes:
    """The question in wire form.

    Args:
        question: what to ask; its subnet is sent only with EDNS.
        message_id: 16 bits that the answer must repeat.
        edns: whether to send an OPT record (RFC 6891).

    Raises:
        UnaskableName: the name has empty or overlong labels, or is no ASCII.
    """
    header = struct.pack("!6H", message_id, _RECURSION_DESIRED, 1, 0, 0, 1 if edns else 0)
    body = _wire_name(question.name) + struct.pack("!HH", _RR_TYPE[question.family], 1)
    if not edns:
        return header + body
    options = b"" if question.subnet is None else _subnet_option(question.subnet)
    return header + body + struct.pack("!BHHIH", 0, 41, UDP_PAYLOAD, 0, len(options)) + options


def _wire_name(name: str) -> bytes:
    if name == ".":
        return b"\0"
    try:
        labels = [label.encode("ascii") for label in name.rstrip(".").split(".")]
    except UnicodeEncodeError:
        raise UnaskableName(f"{name!r} is not in A-label form (RFC 5890)") from None
    if any(not 1 <= len(label) <= 63 for label in labels):
        raise UnaskableName(f"{name!r} has a label that is empty or longer than 63 (RFC 1035)")
    wire = b"".join(bytes((len(label),)) + label for label in labels) + b"\0"
    if len(wire) > 255:
        raise UnaskableName(f"{name!r} is longer than 253 (RFC 1035)")
    return wire


def _subnet_option(subnet: Subnet) -> bytes:
    """RFC 7871 section 6: only the bytes that hold significant bits are sent."""
    address = subnet.network.to_bytes(subnet.bits // 8, "big")[: (subnet.length + 7) // 8]
    family = 1 if subnet.version == 4 else 2
    return struct.pack("!HHHBB", _ECS, 4 + len(address), family, subnet.length, 0) + address


def read(wire: bytes, question: Question, message_id: int, server: str) -> Reply:
    """What the bytes of a server say about a question.

    Args:
        wire: a whole message.
        question: what was asked.
        message_id: the number that was sent with it.
        server: for evidence.
    """
    if len(wire) < 12 or int.from_bytes(wire[:2], "big") != message_id or not wire[2] & 0x80:
        return Unrelated("another message id, or no response")
    if wire[2] & 0x02:
        return Truncated()
    try:
        message = dns.message.from_wire(wire, ignore_trailing=True)
        if not isinstance(message, dns.message.QueryMessage):
            return Unrelated("no answer to a query")
        return _judge(message, question, server)
    except (dns.exception.DNSException, ValueError, struct.error) as error:
        return Unusable(Reason.MALFORMED, f"{server}: {type(error).__name__}")


def _judge(message: dns.message.QueryMessage, question: Question, server: str) -> Reply:
    rcode = message.rcode()
    if rcode not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        return _error_code(rcode, server)
    asked = message.question[0] if message.question else None
    name = dns.name.from_text(question.name)
    if asked is None or asked.name != name or asked.rdtype != _RR_TYPE[question.family]:
        return Unrelated("another question")
    return _answer(message, question, server)


def _error_code(rcode: dns.rcode.Rcode, server: str) -> Unusable:
    detail = f"{server} says {dns.rcode.to_text(rcode)}"
    match rcode:
        case dns.rcode.REFUSED | dns.rcode.NOTAUTH:
            return Unusable(Reason.REFUSED, detail)
        case dns.rcode.FORMERR | dns.rcode.NOTIMP | dns.rcode.BADVERS:
            return Unusable(Reason.SERVFAIL, detail, without_edns=True)
        case _:
            return Unusable(Reason.SERVFAIL, detail)


def _answer(message: dns.message.QueryMessage, question: Question, server: str) -> Reply:
    nxdomain = message.rcode() == dns.rcode.NXDOMAIN
    chain = message.resolve_chaining()
    records = () if chain.answer is None else tuple(record.address for record in chain.answer)
    if not records and not nxdomain and _is_referral(message):
        detail = f"{server} refers to other servers: it neither knows the name nor asks for us"
        return Unusable(Reason.REFUSED, detail)
    canonical = IPv4Address if question.family == 4 else IPv6Address
    cnames = tuple(
        record.target.to_text(omit_final_dot=True).lower()
        for rrset in chain.cnames
        for record in rrset[:1]
    )
    negative = _has_soa(message)
    return Answer(
        addresses=tuple(dict.fromkeys(str(canonical(ip)) for ip in records)),
        nxdomain=nxdomain,
        cnames=cnames,
        ttl=float(chain.minimum_ttl),
        scope=_scope(message, question),
        server=server,
        partial=cnames[-1] if cnames and not records and not negative and not nxdomain else None,
    )


def _has_soa(message: dns.message.Message) -> bool:
    return any(rrset.rdtype == dns.rdatatype.SOA for rrset in message.authority)


def _is_referral(message: dns.message.Message) -> bool:
    """RFC 2308 section 2.2: NS records and no SOA, from a server that is not responsible."""
    if message.flags & dns.flags.AA or message.answer or _has_soa(message):
        return False
    return any(rrset.rdtype == dns.rdatatype.NS for rrset in message.authority)


def _scope(message: dns.message.QueryMessage, question: Question) -> int | None:
    """The scope that came back for our subnet; another subnet's option counts as none."""
    if question.subnet is None:
        return None
    for option in message.options:
        if isinstance(option, dns.edns.ECSOption):
            sent = _subnet_option(question.subnet)[4:]
            came = option.to_wire() or b""
            if came[:3] == sent[:3] and came[4:] == sent[4:]:  # byte 3 is the scope
                return option.scopelen
    return None
