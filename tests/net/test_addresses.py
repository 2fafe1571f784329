"""Which addresses may be connected to, in every form that an address can take."""

from __future__ import annotations

import ipaddress

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from probe.connection.failures import AttemptFailed
from probe.connection.tcp import connect
from probe.connection.timeline import Timeline
from probe.model.failure import Phase, Reason
from probe.model.target import AddressRules, Edge
from probe.net.addresses import NAT64_LENGTHS, refusal, spells_out, through_nat64
from tests.support.ports import HERE, free_port

NONE = AddressRules()

REFUSED = [
    ("0.0.0.0", "0.0.0.0/8"),  # noqa: S104 - must be refused
    ("0.1.2.3", "0.0.0.0/8"),
    ("127.0.0.1", "127.0.0.0/8"),
    ("127.255.255.254", "127.0.0.0/8"),
    ("169.254.0.1", "169.254.0.0/16"),
    ("169.254.169.254", "169.254.169.254/32"),
    ("169.254.170.2", "169.254.170.2/32"),
    ("169.254.170.23", "169.254.170.23/32"),
    ("100.100.100.200", "100.100.100.200/32"),
    ("168.63.129.16", "168.63.129.16/32"),
    ("192.0.0.192", "192.0.0.192/32"),
    ("192.0.0.170", "192.0.0.0/24"),
    ("224.0.0.1", "224.0.0.0/4"),
    ("239.255.255.250", "224.0.0.0/4"),
    ("240.0.0.1", "240.0.0.0/4"),
    ("255.255.255.255", "240.0.0.0/4"),
    ("::", "::/128"),
    ("::1", "::1/128"),
    ("fe80::1", "fe80::/10"),
    ("febf::1", "fe80::/10"),
    ("ff02::1", "ff00::/8"),
    ("fd00:ec2::254", "fd00:ec2::/32"),
    ("fd00:ec2::23", "fd00:ec2::/32"),
    ("fd20:ce::254", "fd20:ce::254/128"),
    ("fd00:42::42", "fd00:42::42/128"),
]

OTHER_FORMS = [
    ("::ffff:169.254.169.254", "IPv4-mapped"),
    ("::ffff:7f00:1", "IPv4-mapped"),
    ("::ffff:0:127.0.0.1", "IPv4-translated"),
    ("::127.0.0.1", "IPv4-compatible"),
    ("::a9fe:a9fe", "IPv4-compatible"),
    ("64:ff9b::169.254.169.254", "NAT64"),
    ("64:ff9b::7f00:1", "NAT64"),
    ("64:ff9b:1::a9fe:a9fe", "NAT64"),  # /96
    ("64:ff9b:1:abcd:ef::a9fe:a9fe", "NAT64"),  # /96, of an operator's own
    ("64:ff9b:1:7:a9:fea9:fe00:0", "NAT64"),  # /64
    ("64:ff9b:1:7a9:fe:a9fe::", "NAT64"),  # /56
    ("64:ff9b:1:a9fe:a9:fe00::", "NAT64"),  # /48
    ("64:ff9b:1:a9fe:a9:fe00:0:1", "NAT64"),  # /48, and bits that translators ignore
    ("64:ff9b:1:a9fe:1a9:fe00::", "NAT64"),  # the same in the eight bits that are zero elsewhere
    ("2002:7f00:1::1", "6to4"),
    ("2002:a9fe:a9fe::", "6to4"),
    ("2001:0:c633:6407:0:0:5601:5601", "Teredo"),  # the client is 169.254.169.254, inverted
    ("2001:0:7f00:1::39cc:9bf8", "Teredo"),  # its server is this host
    ("2001:db8::5efe:127.0.0.1", "ISATAP"),
    ("2001:db8::200:5efe:a9fe:a9fe", "ISATAP"),
]

PERMITTED = [
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "192.0.2.1",
    "198.51.100.7",
    "203.0.113.9",
    "198.18.0.1",
    "1.1.1.1",
    "223.255.255.255",
    "fd12:3456::1",
    "2001:db8::1",
    "2606:4700::1111",
    "64:ff9b::198.51.100.7",
    "64:ff9b:1::c633:6407",
    "64:ff9b:1:c633:64:700::",
    "64:ff9b:1:fffe::c633:6407",  # /96, of an operator's own
    "::ffff:198.51.100.7",
    "2002:c633:6407::1",
    "2001:db8:7f00:1::",  # only looks like an address that stands for another one
]


@pytest.mark.parametrize(("ip", "network"), REFUSED)
def test_addresses_of_this_host_its_link_and_its_cloud_are_refused(ip: str, network: str) -> None:
    why = refusal(ip, NONE)
    assert why is not None
    assert why.startswith(f"{ip} is ")
    assert f"addresses: {{allow: [{network}]}}" in why
    assert refusal(ip, AddressRules(allow=(network,))) is None, "what the message says to write"


@pytest.mark.parametrize(("ip", "how"), OTHER_FORMS)
def test_they_are_refused_in_every_other_form(ip: str, how: str) -> None:
    why = refusal(ip, NONE)
    assert why is not None
    assert f"({how})" in why


@pytest.mark.parametrize("ip", PERMITTED)
def test_all_others_are_permitted(ip: str) -> None:
    assert refusal(ip, NONE) is None


@pytest.mark.parametrize(
    ("ip", "allow", "deny", "refused"),
    [
        ("169.254.169.254", ("0.0.0.0/0",), (), True),  # wider than ours
        ("169.254.169.254", ("169.254.0.0/16",), (), True),  # the link, not the metadata service
        ("169.254.169.254", ("169.254.169.254/32",), (), False),
        ("169.254.9.9", ("169.254.0.0/16",), (), False),
        ("::ffff:127.0.0.1", ("127.0.0.0/8",), (), False),
        ("::ffff:127.0.0.1", ("::ffff:127.0.0.1/128",), (), True),  # both forms must be permitted
        ("64:ff9b::a01:203", (), ("10.0.0.0/8",), True),
        ("10.1.2.3", (), ("10.0.0.0/8",), True),
        ("10.1.2.3", ("10.1.0.0/16",), ("10.0.0.0/8",), False),
        ("10.1.2.3", ("10.0.0.0/8",), ("10.0.0.0/8",), True),
        ("198.51.100.7", ("198.51.100.0/24",), ("0.0.0.0/0", "::/0"), False),
        ("203.0.113.7", ("198.51.100.0/24",), ("0.0.0.0/0", "::/0"), True),
        ("2001:db8::7", ("198.51.100.0/24",), ("0.0.0.0/0", "::/0"), True),
    ],
)
def test_the_narrowest_network_decides(
    ip: str, allow: tuple[str, ...], deny: tuple[str, ...], refused: bool
) -> None:
    assert (refusal(ip, AddressRules(allow, deny)) is not None) is refused


@given(st.ip_addresses(v=4), st.sampled_from(NAT64_LENGTHS), st.integers(0, 2**32 - 1))
def test_what_stands_behind_a_prefix_of_nat64_is_judged(
    behind: ipaddress.IPv4Address, length: int, prefix: int
) -> None:
    """By the layout of RFC 6052, section 2.2, written down a second time, bit by bit."""
    start = f"{0x20010DB8:032b}{prefix:032b}{prefix:032b}"[:length]
    if length == 96:  # bits 64 to 71 are zero there too
        start = start[:64] + "0" * 8 + start[72:]
    bits = start + f"{int(behind):032b}"
    bits = bits if length == 96 else bits[:64] + "0" * 8 + bits[64:]
    ip = str(ipaddress.IPv6Address(int(bits.ljust(128, "0"), 2)))
    network = str(ipaddress.IPv6Network((int(start.ljust(128, "0"), 2), length)))
    rules = AddressRules(nat64=(network,))
    if int(behind):
        assert through_nat64(ip, rules) == str(behind)
        assert (refusal(ip, rules) is None) == (refusal(str(behind), NONE) is None)


def test_bits_that_a_translator_ignores_hide_nothing_behind_a_prefix_of_our_own() -> None:
    rules = AddressRules(nat64=("2001:db8:64::/48",))
    for ip in ("2001:db8:64:a9fe:a9:fe00:0:1", "2001:db8:64:a9fe:ffa9:feff:ffff:ffff"):
        assert refusal(ip, NONE) is None
        assert "169.254.169.254 (NAT64)" in (refusal(ip, rules) or "")


@given(st.ip_addresses())
def test_every_address_has_a_verdict(address: ipaddress.IPv4Address) -> None:
    why = refusal(str(address), NONE)
    own = address.is_loopback or address.is_link_local or address.is_multicast
    if own or address.is_unspecified:
        assert why is not None


@pytest.mark.parametrize(
    ("host", "ip", "spelled"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("[::1]", "::1", True),
        ("localhost", "127.0.0.1", True),
        ("LocalHost.", "::1", True),
        ("app.localhost", "127.8.8.8", True),
        ("localhost", "169.254.169.254", False),
        ("localhost.example", "127.0.0.1", False),
        ("shop.example", "127.0.0.1", False),
    ],
)
def test_a_written_host_is_its_own_address_or_localhost(host: str, ip: str, spelled: bool) -> None:
    assert spells_out(host, ip) is spelled


async def test_no_packet_leaves_for_an_address_that_is_refused() -> None:
    port = free_port()
    with trio.socket.socket() as listener:
        await listener.bind(("127.0.0.1", port))
        listener.listen()
        for ip in ("127.0.0.1", "::ffff:127.0.0.1"):
            with pytest.raises(AttemptFailed) as caught:
                await connect(Edge(ip, port), Timeline(trio.current_time()), NONE)
            failure = caught.value.failure
            assert (failure.phase, failure.reason) == (Phase.CONNECT, Reason.ADDRESS_REFUSED)
            assert failure.ours
        with trio.move_on_after(0.05):
            await listener.accept()
            pytest.fail("somebody connected")
        for edge, rules in (
            (Edge("127.0.0.1", port), HERE),
            (Edge("127.0.0.1", port, written=True), NONE),
        ):
            (await connect(edge, Timeline(trio.current_time()), rules)).close()
