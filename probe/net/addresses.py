"""Which addresses may be connected to, whatever form they are written in. Pure.

Target lists, answers of DNS and of servers name addresses. Whoever writes them must not steer this
agent to its own host, its neighbours on the link or the metadata service of its cloud, which hands
out the host's own credentials to whoever asks from there (SSRF, CWE-918).
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

from probe.model.target import AddressRules

_REFUSED = (
    ("0.0.0.0/8", "an address of this host (RFC 1122)"),
    ("127.0.0.0/8", "a loopback address"),
    ("169.254.0.0/16", "a link-local address (RFC 3927)"),
    ("192.0.0.0/24", "an address of IETF protocols (RFC 6890)"),
    ("224.0.0.0/4", "a multicast address"),
    ("240.0.0.0/4", "a reserved or broadcast address"),
    ("::/128", "the unspecified address"),
    ("::1/128", "a loopback address"),
    ("fe80::/10", "a link-local address"),
    ("ff00::/8", "a multicast address"),
    # Services that give credentials to whoever asks from this host, by cloud: all but Azure's
    # agent and Oracle's first metadata service, then AWS's for tasks and pods, Alibaba's, and
    # those that AWS, Google and Scaleway have for IPv6.
    ("169.254.169.254/32", "the metadata service of a cloud"),
    ("168.63.129.16/32", "the metadata service of a cloud"),
    ("192.0.0.192/32", "the metadata service of a cloud"),
    ("169.254.170.2/32", "the metadata service of a cloud"),
    ("169.254.170.23/32", "the metadata service of a cloud"),
    ("100.100.100.200/32", "the metadata service of a cloud"),
    ("fd00:ec2::/32", "the metadata service of a cloud"),
    ("fd20:ce::254/128", "the metadata service of a cloud"),
    ("fd00:42::42/128", "the metadata service of a cloud"),
)  # fmt: skip
"""Networks that are refused unless the configuration allows them, and what they are.

Private and shared networks (RFC 1918, RFC 4193, RFC 6598) are not among them: platforms are probed
from inside. Nor are those for documentation and benchmarks: nothing of this host answers there.
"""

_KNOWN = tuple((ip_network(text), what) for text, what in _REFUSED)

_NAT64 = (
    (IPv6Network("64:ff9b::/96"), (96,)),  # RFC 6052
    (IPv6Network("64:ff9b:1::/48"), (96, 64, 56, 48)),  # RFC 8215: operators choose the length
)
"""Prefixes of NAT64, with the lengths that they have where they are used."""

NAT64_LENGTHS = (32, 40, 48, 56, 64, 96)
"""RFC 6052 section 2.2."""

_EMBEDDED = tuple(
    (int(IPv6Address(prefix)) >> right, right, shift, flip, what)
    for prefix, right, shift, flip, what in (
        ("::ffff:0:0", 32, 0, 0, "IPv4-mapped"),  # RFC 4291 section 2.5.5.2
        ("::ffff:0:0:0", 32, 0, 0, "IPv4-translated"),  # RFC 2765
        ("::", 32, 0, 0, "IPv4-compatible"),  # RFC 4291 section 2.5.5.1
        ("2002::", 112, 80, 0, "6to4"),  # RFC 3056
        ("2001::", 96, 0, 0xFFFFFFFF, "Teredo"),  # RFC 4380: the client, inverted
        ("2001::", 96, 64, 0, "Teredo"),  # and its server
    )
)
_ISATAP = frozenset({0x00005EFE, 0x02005EFE})  # RFC 5214: the upper half of an interface's number

BY_DEFAULT = AddressRules()
_Address = IPv4Address | IPv6Address


@functools.lru_cache(maxsize=16384)
def refusal(ip: str, rules: AddressRules) -> str | None:
    """Say why an address must not be connected to; None when it may. Remembered.

    Every IPv4 address that an IPv6 address stands for is judged too. The narrowest network that
    holds an address decides. Of two that are equally narrow the configuration's goes before ours,
    and ``deny`` before ``allow``.

    Args:
        ip: in any form that `ipaddress` reads.
        rules: of the check.
    """
    address = ip_address(ip)
    for form, how in ((address, ""), *_forms(address, rules)):
        why = _refused(form, rules)
        if why is not None:
            stands = f" stands for {form} ({how}), which" if how else ""
            return f"{ip}{stands} {why}"
    return None


@functools.lru_cache(maxsize=16384)
def through_nat64(ip: str, rules: AddressRules = BY_DEFAULT) -> str | None:
    """Return the IPv4 address that an IPv6 address reaches through NAT64 (RFC 6146), if it does."""
    forms = _forms(ip_address(ip), rules) if ":" in ip else ()
    return next((str(form) for form, how in forms if how == "NAT64"), None)


def spells_out(host: str, ip: str) -> bool:
    """Tell whether a host is this very address, or ``localhost`` for one of this host's own.

    Names under ``localhost`` are its like (RFC 6761 section 6.3).
    """
    name = host.strip("[]").lower().removesuffix(".")
    return name == ip or (name.rpartition(".")[2] == "localhost" and ip_address(ip).is_loopback)


def _refused(address: _Address, rules: AddressRules) -> str | None:
    found = [
        (network.prefixlen, 0, network, what) for network, what in _KNOWN if address in network
    ]
    for rank, texts in ((1, rules.allow), (2, rules.deny)):
        inside = (one for one in map(ip_network, texts) if address in one)
        found += [(one.prefixlen, rank, one, "") for one in inside]
    if not found:
        return None
    _, rank, network, what = max(found, key=lambda one: one[:2])
    if rank == 1:
        return None
    if rank == 2:
        return f"is refused by addresses: {{deny: [{network}]}}"
    return f"is {what}; addresses: {{allow: [{network}]}} permits it"


def _forms(address: _Address, rules: AddressRules) -> Iterator[tuple[IPv4Address, str]]:
    """Yield the IPv4 addresses that an IPv6 address stands for, and by which rule."""
    if not isinstance(address, IPv6Address):
        return
    number = int(address)
    own = ((one, (one.prefixlen,)) for one in map(IPv6Network, rules.nat64))
    for prefix, lengths in (*_NAT64, *own):
        for length in lengths if address in prefix else ():
            found, rest = _behind(number, length)
            if found and (not rest or len(lengths) == 1 or found >> 24 in _UNICAST):
                yield IPv4Address(found), "NAT64"
    for prefix_bits, right, shift, flip, what in _EMBEDDED:
        if number >> right == prefix_bits and number > 1:
            yield IPv4Address(number >> shift & 0xFFFFFFFF ^ flip), what
    if number >> 32 & 0xFFFFFFFF in _ISATAP:
        yield IPv4Address(number & 0xFFFFFFFF), "ISATAP"


_UNICAST = range(1, 224)
"""First octets of what a translator forwards. Where the length of a prefix is not known, a reading
with bits where RFC 6052 has none counts for these alone: 64:ff9b:1:fffe::/96 is not 255.254.0.0/16.
"""


def _behind(number: int, length: int) -> tuple[int, int]:
    """Take the IPv4 address out of one with a NAT64 prefix of this length (RFC 6052, section 2.2).

    Returns:
        it, and what else stands there: bits 64 to 71 and those after the address. They are zero in
        honest addresses, and translators ignore them.
    """
    if length == 96:
        return number & 0xFFFFFFFF, 0
    joined = number >> 64 << 56 | number & (1 << 56) - 1  # 120 bits, without the eight
    found, rest = joined >> 88 - length & 0xFFFFFFFF, joined & (1 << 88 - length) - 1
    return found, rest | number >> 56 & 0xFF
