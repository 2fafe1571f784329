"""Faults of DNS: each answers a question in its own wrong way."""

from __future__ import annotations

import dns.flags
import dns.message
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import trio

from probe.lab.question import Answer, Question
from probe.lab.zone import https_record, reply_to

LATE_SECONDS = 0.3


def _with_code(question: Question, code: dns.rcode.Rcode) -> dns.message.Message:
    response = reply_to(question.message)
    response.set_rcode(code)
    return response


async def nxdomain(question: Question) -> Answer:
    """No such name."""
    return _with_code(question, dns.rcode.NXDOMAIN)


async def servfail(question: Question) -> Answer:
    """The server could not find out."""
    return _with_code(question, dns.rcode.SERVFAIL)


async def refused(question: Question) -> Answer:
    """The server will not say."""
    return _with_code(question, dns.rcode.REFUSED)


async def silence(question: Question) -> Answer:
    """Nothing comes back."""
    return None


async def empty(question: Question) -> Answer:
    """The name exists and has no address (RFC 2308: NODATA)."""
    return reply_to(question.message)


async def garbage(question: Question) -> Answer:
    """The right number, and then no DNS message."""
    return question.message.to_wire()[:2] + b"\xff" * 30


async def alias_loop(question: Question) -> Answer:
    """An alias of itself."""
    response = reply_to(question.message)
    name = f"{question.name}."
    response.answer.append(dns.rrset.from_text(name, 20, dns.rdataclass.IN, "CNAME", name))
    return response


async def rotating(question: Question) -> Answer:
    """Half of the addresses, another half each time: healthy, and hard on whoever forgets."""
    response = question.healthy()
    for at, records in enumerate(response.answer):
        if records.rdtype == dns.rdatatype.A and len(records) > 1:
            half = sorted(str(record) for record in records)[question.message.id % 2 :: 2]
            response.answer[at] = dns.rrset.from_text_list(
                records.name, records.ttl, records.rdclass, records.rdtype, half
            )
    return response


async def strange_hint(question: Question) -> Answer:
    """HTTPS records hint at an address that A does not name; all else is healthy."""
    if question.kind != dns.rdatatype.HTTPS:
        return question.healthy()
    response, host = reply_to(question.message), question.name.partition("._https.")[2]
    record = https_record(question.name, 20, host or question.name, ["192.0.2.66"])
    response.answer.append(record)
    return response


async def caa_of_others(question: Question) -> Answer:
    """CAA records allow another authority; all else is healthy."""
    if question.kind != dns.rdatatype.CAA:
        return question.healthy()
    response, name = reply_to(question.message), f"{question.name}."
    value = '0 issue "other.example"'
    response.answer.append(dns.rrset.from_text(name, 20, dns.rdataclass.IN, "CAA", value))
    return response


async def broken_records(question: Question) -> Answer:
    """Addresses are answered; for HTTPS and CAA the server fails, as old ones do."""
    if question.kind in (dns.rdatatype.HTTPS, dns.rdatatype.CAA):
        return _with_code(question, dns.rcode.SERVFAIL)
    return question.healthy()


async def truncated(question: Question) -> Answer:
    """Over UDP: ask again over TCP, which then answers."""
    if question.transport == "tcp":
        return question.healthy()
    response = reply_to(question.message)
    response.flags |= dns.flags.TC
    return response


async def slow(question: Question) -> Answer:
    """The right answer, late."""
    await trio.sleep(LATE_SECONDS)
    return question.healthy()
