"""Questions and answers in wire form, held against dnspython as the reference."""

from __future__ import annotations

import re
import struct
from ipaddress import ip_network

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probe.edges.answers import (
    ROOT,
    DnsAnswer,
    DnsQuestion,
    NoAnswer,
    Reply,
    Truncated,
    Unrelated,
    build,
    read,
)
from probe.edges.message import Subnet, UnaskableName
from probe.model.failure import Reason

NAME = "shop.example"
ASKED = DnsQuestion(NAME, 4)
SUBNET = ip_network("203.0.113.0/24")


def response(
    *answer: str,
    authority: tuple[str, ...] = (),
    rcode: dns.rcode.Rcode = dns.rcode.NOERROR,
    flags: int = 0,
    question: DnsQuestion = ASKED,
) -> dns.message.Message:
    reply = dns.message.make_response(dns.message.from_wire(build(question, 7)))
    reply.set_rcode(rcode)
    reply.flags |= flags
    for section, texts in ((reply.answer, answer), (reply.authority, authority)):
        for text in texts:
            owner, ttl, kind, data = text.split(maxsplit=3)
            section.append(dns.rrset.from_text(owner, int(ttl), "IN", kind, data))
    return reply


def told(reply: dns.message.Message, question: DnsQuestion = ASKED) -> Reply:
    return read(reply.to_wire(), question, 7, "ns")


# ---------------------------------------------------------------- questions


@pytest.mark.parametrize(
    ("subnet", "text"),
    [
        (ip_network("203.0.113.0/24"), "ECS 203.0.113.0/24 scope/0"),
        (ip_network("203.0.0.0/9"), "ECS 203.0.0.0/9 scope/0"),
        (ip_network("0.0.0.0/0"), "ECS 0.0.0.0/0 scope/0"),
        (ip_network("2001:db8::/32"), "ECS 2001:db8::/32 scope/0"),
    ],
)
def test_a_question_with_a_subnet_is_what_the_reference_reads(subnet: Subnet, text: str) -> None:
    message = dns.message.from_wire(build(DnsQuestion(NAME, 6, subnet), 0xABCD))
    assert message.id == 0xABCD
    assert message.question[0].to_text() == "shop.example. IN AAAA"
    assert [option.to_text() for option in message.options] == [text]
    assert message.payload == 1232
    assert dns.flags.to_text(message.flags) == "RD"


def test_without_edns_nothing_but_the_question_is_sent() -> None:
    message = dns.message.from_wire(build(DnsQuestion(NAME, 4, SUBNET), 1, edns=False))
    assert (message.edns, message.additional) == (-1, [])


def test_the_root_can_be_asked_for() -> None:
    assert dns.message.from_wire(build(ROOT, 1)).question[0].to_text() == ". IN A"


@pytest.mark.parametrize(
    "name", ["a..example", ".example", "a" * 64, "läden.example", "a." * 130, r"a\.b"]
)
def test_what_is_no_name_cannot_be_asked(name: str) -> None:
    with pytest.raises(UnaskableName):
        build(DnsQuestion(name, 4), 1)


# ---------------------------------------------------------------- answers


def test_addresses_come_with_their_chain_and_its_least_ttl() -> None:
    reply = response(
        "shop.example. 300 CNAME Shop.CDN-a.example.",
        "shop.cdn-a.example. 20 CNAME edge.cdn-a.example.",
        "edge.cdn-a.example. 60 A 192.0.2.1",
        "edge.cdn-a.example. 60 A 192.0.2.2",
        "stray.example. 1 A 192.0.2.99",
    )
    answer = told(reply)
    assert isinstance(answer, DnsAnswer)
    assert set(answer.addresses) == {"192.0.2.1", "192.0.2.2"}
    assert answer.cnames == ("shop.cdn-a.example", "edge.cdn-a.example")
    assert (answer.ttl, answer.nxdomain, answer.partial) == (20.0, False, None)


def test_ipv6_addresses_are_in_canonical_form() -> None:
    question = DnsQuestion(NAME, 6)
    reply = response("shop.example. 60 AAAA 2001:DB8:0:0:0:0:0:1", question=question)
    answer = told(reply, question)
    assert isinstance(answer, DnsAnswer)
    assert answer.addresses == ("2001:db8::1",)


def test_a_negative_answer_holds_for_the_lesser_of_soa_ttl_and_minimum() -> None:
    for ttl, minimum in ((30, 900), (900, 30)):
        soa = f"example. {ttl} SOA ns.example. host.example. 1 2 3 4 {minimum}"
        answer = told(response(authority=(soa,), rcode=dns.rcode.NXDOMAIN))
        assert isinstance(answer, DnsAnswer)
        assert (answer.addresses, answer.nxdomain, answer.ttl) == ((), True, 30.0)


def test_an_soa_of_a_foreign_zone_is_no_evidence() -> None:
    soa = "other.example. 5 SOA ns.example. host.example. 1 2 3 4 5"
    answer = told(response(authority=(soa,)))
    assert isinstance(answer, DnsAnswer)
    assert answer.ttl == 60.0


def test_a_chain_that_leaves_the_message_says_where_to_ask_on() -> None:
    answer = told(response("shop.example. 300 CNAME edge.cdn-a.example.", flags=dns.flags.AA))
    assert isinstance(answer, DnsAnswer)
    assert answer.partial == "edge.cdn-a.example"


def test_a_chain_that_ends_without_a_record_is_not_asked_on() -> None:
    soa = "cdn-a.example. 5 SOA ns.example. host.example. 1 2 3 4 5"
    answer = told(response("shop.example. 300 CNAME edge.cdn-a.example.", authority=(soa,)))
    assert isinstance(answer, DnsAnswer)
    assert (answer.partial, answer.addresses, answer.nxdomain) == (None, (), False)


def test_a_ttl_with_the_highest_bit_set_is_zero() -> None:
    wire = bytearray(response("shop.example. 1 A 192.0.2.1").to_wire())
    at = wire.rindex(b"\x00\x00\x00\x01\x00\x04")
    wire[at] = 0x80
    answer = read(bytes(wire), ASKED, 7, "ns")
    assert isinstance(answer, DnsAnswer)
    assert answer.ttl == 0.0


UNUSABLE = [
    (dns.rcode.SERVFAIL, Reason.SERVFAIL, False),
    (dns.rcode.REFUSED, Reason.REFUSED, False),
    (dns.rcode.NOTAUTH, Reason.REFUSED, False),
    (dns.rcode.FORMERR, Reason.SERVFAIL, True),
    (dns.rcode.NOTIMP, Reason.SERVFAIL, True),
    (dns.rcode.BADVERS, Reason.SERVFAIL, True),
    (dns.rcode.YXDOMAIN, Reason.SERVFAIL, False),
]


@pytest.mark.parametrize(("rcode", "reason", "without_edns"), UNUSABLE)
def test_error_codes_have_a_reason_and_some_ask_for_plain_dns(
    rcode: dns.rcode.Rcode, reason: Reason, without_edns: bool
) -> None:
    reply = told(response(rcode=rcode))
    assert isinstance(reply, NoAnswer)
    assert (reply.failure.reason, reply.without_edns) == (reason, without_edns)


def test_a_referral_is_no_answer() -> None:
    reply = told(response(authority=("example. 60 NS ns.example.",)))
    assert isinstance(reply, NoAnswer)
    assert reply.failure.reason is Reason.REFUSED


def test_the_same_from_the_server_in_charge_is_an_empty_answer() -> None:
    reply = told(response(authority=("example. 60 NS ns.example.",), flags=dns.flags.AA))
    assert isinstance(reply, DnsAnswer)
    assert reply.addresses == ()


def test_what_does_not_answer_the_question_is_unrelated() -> None:
    good = response("shop.example. 60 A 192.0.2.1").to_wire()
    other = response("x.example. 60 A 192.0.2.1", question=DnsQuestion("x.example", 4)).to_wire()
    assert isinstance(read(good, ASKED, 8, "ns"), Unrelated), "another id"
    assert isinstance(read(other, ASKED, 7, "ns"), Unrelated), "another name"
    assert isinstance(read(good, DnsQuestion(NAME, 6), 7, "ns"), Unrelated), "another type"
    assert isinstance(read(build(ASKED, 7), ASKED, 7, "ns"), Unrelated), "no response"
    assert isinstance(read(good[:11], ASKED, 7, "ns"), Unrelated), "no header"


def test_a_truncated_message_is_told_as_such_whatever_it_holds() -> None:
    wire = response(flags=dns.flags.TC).to_wire()
    assert isinstance(read(wire + b"\xff", ASKED, 7, "ns"), Truncated)


HEADER = struct.pack("!6H", 7, 0x8180, 1, 1, 0, 0)
QUESTION = b"\4shop\7example\0\0\1\0\1"
NEGATIVE = struct.pack("!6H", 7, 0x8180, 1, 0, 1, 0) + QUESTION
DAMAGED = {
    "ends in the question": HEADER + QUESTION[:8],
    "ends before the record": HEADER + QUESTION,
    "data beyond the end": HEADER + QUESTION + b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\x04\xc0",
    "pointer to itself": HEADER + QUESTION + b"\xc0\x1e\0\1\0\1\0\0\0\x3c\0\x04\xc0\0\2\1",
    "pointer forward": HEADER + QUESTION + b"\xc0\x20\0\1\0\1\0\0\0\x3c\0\x04\xc0\0\2\1",
    "label type 64": HEADER + QUESTION + b"\x40\0\0\1\0\1\0\0\0\x3c\0\x04\xc0\0\2\1",
    "five bytes of IPv4": HEADER + QUESTION + b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\x05\xc0\0\2\1\1",
    "CNAME in a circle": HEADER + QUESTION + b"\xc0\x0c\0\5\0\1\0\0\0\x3c\0\x02\xc0\x0c",
    "CNAME with more behind": HEADER + QUESTION + b"\xc0\x0c\0\5\0\1\0\0\0\x3c\0\x03\xc0\x0c\0",
    "CNAME without data at the end": HEADER + QUESTION + b"\xc0\x0c\0\5\0\1\0\0\0\x3c\0\0",
    "CNAME whose name ends too soon": HEADER + QUESTION + b"\xc0\x0c\0\5\0\1\0\0\0\x3c\0\3\4ab",
    "CNAME of half a pointer": HEADER + QUESTION + b"\xc0\x0c\0\5\0\1\0\0\0\x3c\0\1\xc0",
    "SOA without data at the end": NEGATIVE + b"\0\0\6\0\1\0\0\0\x3c\0\0",
    "SOA of one name": NEGATIVE + b"\0\0\6\0\1\0\0\0\x3c\0\1\0",
    "SOA without its numbers": NEGATIVE + b"\0\0\6\0\1\0\0\0\x3c\0\2\0\0",
    "more records than any honest answer": struct.pack("!6H", 7, 0x8180, 1, 1025, 0, 0)
    + QUESTION
    + 1025 * b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\x04\xc0\0\2\1",
    "a name of 260 bytes": HEADER + (b"\x3f" + b"a" * 63) * 4 + b"\3abc\0\0\1\0\1",
}


@pytest.mark.parametrize("wire", DAMAGED.values(), ids=DAMAGED)
def test_damaged_messages_are_malformed(wire: bytes) -> None:
    reply = read(wire, ASKED, 7, "ns")
    assert isinstance(reply, NoAnswer)
    assert reply.failure.reason is Reason.MALFORMED


def test_addresses_for_a_name_that_does_not_exist_are_malformed() -> None:
    reply = told(response("shop.example. 60 A 192.0.2.1", rcode=dns.rcode.NXDOMAIN))
    assert isinstance(reply, NoAnswer)
    assert reply.failure.reason is Reason.MALFORMED


# ---------------------------------------------------------------- client subnets


def scope_of(*options: dns.edns.Option) -> int | None:
    question = DnsQuestion(NAME, 4, SUBNET)
    reply = response("shop.example. 60 A 192.0.2.1", question=question)
    reply.use_edns(0, options=list(options))
    answer = told(reply, question)
    assert isinstance(answer, DnsAnswer)
    return answer.scope


def test_the_scope_of_our_subnet_is_taken() -> None:
    cookie = dns.edns.GenericOption(dns.edns.OptionType.COOKIE, b"12345678")
    assert scope_of(cookie, dns.edns.ECSOption("203.0.113.0", 24, 16)) == 16
    assert scope_of(dns.edns.ECSOption("203.0.113.0", 24, 0)) == 0


def test_an_option_cut_short_is_no_scope() -> None:
    """As long as what matters of it, for a subnet of no bits at all, and without a scope."""
    everybody = DnsQuestion(NAME, 4, ip_network("0.0.0.0/0"))
    reply = response("shop.example. 60 A 192.0.2.1", question=everybody)
    reply.use_edns(0, options=[dns.edns.GenericOption(dns.edns.OptionType.ECS, b"\0\1\0")])
    answer = told(reply, everybody)
    assert isinstance(answer, DnsAnswer)
    assert answer.scope is None


def test_no_option_or_that_of_another_subnet_is_no_scope() -> None:
    assert scope_of() is None
    assert scope_of(dns.edns.ECSOption("203.0.112.0", 24, 16)) is None
    assert scope_of(dns.edns.ECSOption("203.0.113.0", 25, 16)) is None
    assert scope_of(dns.edns.ECSOption("2001:db8::", 24, 16)) is None


# ---------------------------------------------------------------- against the reference

LABELS = ("a", "shop", "edge", "x-1", "example", "cdn")
NAMES = st.lists(st.sampled_from(LABELS), min_size=1, max_size=4).map(".".join)
RECORDS = st.lists(
    st.one_of(
        st.tuples(NAMES, st.integers(0, 900), st.just("CNAME"), NAMES.map(lambda n: f"{n}.")),
        st.tuples(
            st.sampled_from((NAME, "edge.cdn")),
            st.integers(0, 900),
            st.just("A"),
            st.sampled_from(("192.0.2.1", "192.0.2.2")),
        ),
        st.tuples(st.just(NAME), st.just(5), st.just("CNAME"), st.just("edge.cdn.")),
        st.tuples(NAMES, st.just(5), st.just("TXT"), st.just('"hello"')),
    ),
    max_size=8,
)


def reference(wire: bytes) -> tuple[set[str], tuple[str, ...]] | None:
    """Addresses and chain as dnspython reads them; None where it reads none."""
    try:
        message = dns.message.from_wire(wire, ignore_trailing=True)
        assert isinstance(message, dns.message.QueryMessage)
        chain = message.resolve_chaining()
    except (dns.exception.DNSException, ValueError, AssertionError, struct.error):
        return None
    texts = [rrset[0].target.to_text(omit_final_dot=True).lower() for rrset in chain.cnames]
    # It escapes what is special in zone files too. The root it writes as a dot, we as nothing.
    names = tuple(re.sub(r'\\(["();@$])', r"\1", "" if t == "." else t) for t in texts)
    return {record.address for record in chain.answer or ()}, names


@settings(deadline=None)
@given(RECORDS)
def test_valid_answers_are_read_as_the_reference_reads_them(
    records: list[tuple[str, int, str, str]],
) -> None:
    # One kind of record for each name, and one CNAME only: RFC 1034 section 3.6.2.
    kinds: dict[str, str] = {}
    texts = {
        f"{name}. {kind} {'' if kind == 'CNAME' else data}": f"{name}. {ttl} {kind} {data}"
        for name, ttl, kind, data in records
        if kinds.setdefault(name, kind) == kind
    }
    wire = response(*texts.values()).to_wire()
    expected, answer = reference(wire), read(wire, ASKED, 7, "ns")
    if expected is None:
        assert isinstance(answer, NoAnswer), "a circle of CNAMEs"
    else:
        assert isinstance(answer, DnsAnswer)
        assert (set(answer.addresses), answer.cnames) == expected


WHOLE = (
    response(
        "shop.example. 300 CNAME edge.cdn-a.example.",
        "edge.cdn-a.example. 60 A 192.0.2.1",
        authority=("cdn-a.example. 60 NS ns.cdn-a.example.",),
    ).to_wire(),
    response("shop.example. 300 CNAME edge.cdn-a.example.").to_wire(),
    response(
        "shop.example. 300 CNAME edge.cdn-a.example.",
        authority=("cdn-a.example. 60 SOA ns.example. host.example. 1 2 3 4 5",),
    ).to_wire(),
)


def agreed(data: bytes) -> None:
    """Nothing is raised, and what both readers can read they read alike."""
    answer, expected = read(data, ASKED, 7, "ns"), reference(data)
    if isinstance(answer, DnsAnswer) and expected is not None:
        assert (set(answer.addresses), answer.cnames) == expected


@pytest.mark.parametrize("whole", WHOLE)
def test_both_readers_agree_wherever_a_message_ends(whole: bytes) -> None:
    for length in range(len(whole)):
        agreed(whole[:length])


@settings(deadline=None)
@given(
    st.sampled_from(WHOLE),
    st.lists(st.tuples(st.integers(2, 120), st.integers(0, 255)), max_size=4),
    st.integers(0, 120),
)
def test_damage_anywhere_raises_nothing_and_both_readers_agree_on_what_is_left(
    whole: bytes, changes: list[tuple[int, int]], length: int
) -> None:
    wire = bytearray(whole)
    for at, value in changes:
        wire[at % len(wire)] = value
    agreed(bytes(wire[:length]) if length % 2 else bytes(wire))


# Record data in pieces that mean something to a reader of names and numbers: what comes after
# the last piece is the next record, or the end.
PIECES = st.sampled_from(
    (b"\xc0\x0c", b"\xc0", b"\0", b"\1a", b"\4shop", b"\x3f", b"\x40", b"\0\0\0\5" * 5)
)
DATA = st.lists(PIECES, max_size=4).map(b"".join)
OWNERS = st.sampled_from((b"\0", b"\xc0\x0c", b"\1a\xc0\x11", b"\xc0\x1e"))
KINDS = st.sampled_from((1, 2, 5, 6, 28, 41))
SIZES = st.one_of(st.none(), st.none(), st.integers(0, 40))


@st.composite
def records(draw: st.DrawFn) -> bytes:
    """A record of a kind that we read, its length true or not."""
    data, size = draw(DATA), draw(SIZES)
    head = struct.pack("!HHIH", draw(KINDS), 1, 60, len(data) if size is None else size)
    return draw(OWNERS) + head + data


@settings(deadline=None, max_examples=500)
@given(st.lists(records(), max_size=3), st.lists(records(), max_size=2), st.integers(0, 3))
def test_records_of_any_data_raise_nothing_and_both_readers_agree(
    answer: list[bytes], authority: list[bytes], rcode: int
) -> None:
    header = struct.pack("!6H", 7, 0x8180 | rcode, 1, len(answer), len(authority), 0)
    agreed(header + QUESTION + b"".join(answer) + b"".join(authority))


@settings(deadline=None)
@given(st.binary(max_size=80))
def test_any_bytes_behind_a_good_header_raise_nothing(data: bytes) -> None:
    read(HEADER + QUESTION + data, ASKED, 7, "ns")
    read(HEADER + data, ASKED, 7, "ns")
