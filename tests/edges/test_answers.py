"""How long answers hold and for which clients: arithmetic, no clock."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probe.edges.answers import DnsAnswer, DnsOutcome, DnsQuestion, NoAnswer
from probe.edges.memory import NEGATIVE_CAP, AnswerCache, lifetime, valid_for
from probe.edges.message import Subnet
from probe.model.failure import Failure, Phase, Reason
from probe.model.spec import DnsOptions

OPTIONS = DnsOptions(ttl_floor=15.0, ttl_cap=300.0)
SILENCE = NoAnswer(Failure(Phase.RESOLVE, Reason.TIMEOUT))


def named(ttl: float = 60.0, scope: int | None = None, ip: str = "192.0.2.1") -> DnsAnswer:
    return DnsAnswer((ip,), False, (), ttl, scope)


def nothing(ttl: float = 60.0, *, nxdomain: bool = False) -> DnsAnswer:
    return DnsAnswer((), nxdomain, (), ttl)


def covers(outer: Subnet, inner: Subnet) -> bool:
    return (
        isinstance(outer, IPv4Network) and isinstance(inner, IPv4Network) and inner.subnet_of(outer)
    )


def v4(text: str) -> Subnet:
    return IPv4Network(text, strict=False)


@pytest.mark.parametrize(
    ("outcome", "seconds"),
    [
        (named(60), 60),
        (named(0), 15),
        (named(3600), 300),
        (nothing(20), 20),
        (nothing(3600), NEGATIVE_CAP),
        (nothing(3600, nxdomain=True), NEGATIVE_CAP),
        (nothing(0), 15),
        (SILENCE, 15),
    ],
)
def test_ttl_has_a_floor_and_a_cap_and_a_lower_cap_for_negative_answers(
    outcome: DnsOutcome, seconds: float
) -> None:
    assert lifetime(outcome, OPTIONS) == seconds


def test_the_floor_wins_over_every_cap() -> None:
    assert lifetime(nothing(1), DnsOptions(ttl_floor=120, ttl_cap=60)) == 120


def test_lack_of_ipv6_alone_is_not_asked_for_so_often() -> None:
    cache = AnswerCache()
    cache.store(DnsQuestion("shop.example", 6), nothing(3600), 0.0)
    assert cache.find(DnsQuestion("shop.example", 6), NEGATIVE_CAP, OPTIONS) is None
    cache.store(DnsQuestion("shop.example", 4), named(60), 0.0)
    assert cache.find(DnsQuestion("shop.example", 6), 299.0, OPTIONS) == (nothing(3600), 1.0)
    assert cache.find(DnsQuestion("shop.example", 6), 300.0, OPTIONS) is None


def test_an_answer_is_found_until_its_time_is_over_and_a_newer_one_replaces_it() -> None:
    cache, question = AnswerCache(), DnsQuestion("shop.example", 4)
    cache.store(question, named(60), 100.0)
    assert cache.find(question, 130.0, OPTIONS) == (named(60), 30.0)
    assert cache.find(question, 160.0, OPTIONS) is None
    cache.store(question, SILENCE, 160.0)
    assert cache.find(question, 170.0, OPTIONS) == (SILENCE, 5.0)
    assert len(cache) == 1


SUBNET = "203.0.113.0/24"


@pytest.mark.parametrize(
    ("scope", "network"),
    [
        (24, "203.0.113.0/24"),
        (16, "203.0.0.0/16"),
        (0, "0.0.0.0/0"),
        (32, "203.0.113.0/24"),  # more specific than asked: RFC 7871 section 7.3.1
        (None, None),  # the server did not look at the subnet: for everybody
    ],
)
def test_the_scope_says_for_which_clients_an_answer_holds(
    scope: int | None, network: str | None
) -> None:
    question = DnsQuestion("shop.example", 4, v4(SUBNET))
    expected = None if network is None else v4(network)
    assert valid_for(question, named(scope=scope)) == expected


@pytest.mark.parametrize(
    ("scope", "known_for", "unknown_for"),
    [
        (24, ["203.0.113.0/24", "203.0.113.128/25"], ["203.0.112.0/24", "203.0.0.0/16"]),
        (16, ["203.0.113.0/24", "203.0.7.0/24", "203.0.0.0/16"], ["203.1.0.0/24", "0.0.0.0/0"]),
        (0, ["203.0.113.0/24", "198.51.100.0/24", "0.0.0.0/0"], []),
        (None, ["203.0.113.0/24", "198.51.100.0/24"], []),
    ],
)
def test_a_prefix_that_a_known_answer_covers_is_not_asked_for(
    scope: int | None, known_for: list[str], unknown_for: list[str]
) -> None:
    cache = AnswerCache()
    cache.store(DnsQuestion("shop.example", 4, v4(SUBNET)), named(scope=scope), 0.0)
    for subnet in known_for:
        assert cache.find(DnsQuestion("shop.example", 4, v4(subnet)), 1.0, OPTIONS), subnet
    for subnet in unknown_for:
        assert not cache.find(DnsQuestion("shop.example", 4, v4(subnet)), 1.0, OPTIONS), subnet


def test_a_scope_of_zero_holds_for_its_own_address_family_only() -> None:
    cache = AnswerCache()
    cache.store(DnsQuestion("shop.example", 4, v4(SUBNET)), named(scope=0), 0.0)
    ipv6_client = IPv6Network("2001:db8::/32")
    assert cache.find(DnsQuestion("shop.example", 4, ipv6_client), 1.0, OPTIONS) is None


def test_answers_for_ourselves_and_for_others_never_stand_in_for_each_other() -> None:
    cache = AnswerCache()
    own, others = DnsQuestion("shop.example", 4), DnsQuestion("shop.example", 4, v4(SUBNET))
    cache.store(own, named(), 0.0)
    assert cache.find(others, 1.0, OPTIONS) is None
    cache = AnswerCache()
    cache.store(others, named(scope=0), 0.0)
    assert cache.find(own, 1.0, OPTIONS) is None


def test_silence_for_one_prefix_says_nothing_about_another() -> None:
    cache = AnswerCache()
    cache.store(DnsQuestion("shop.example", 4, v4(SUBNET)), SILENCE, 0.0)
    assert cache.find(DnsQuestion("shop.example", 4, v4("203.0.112.0/24")), 1.0, OPTIONS) is None


def test_what_is_old_is_forgotten() -> None:
    cache = AnswerCache()
    cache.store(DnsQuestion("a.example", 4), named(), 0.0)
    cache.store(DnsQuestion("b.example", 4), named(), 10.0)
    cache.forget_before(5.0)
    assert len(cache) == 1


SUBNETS = st.builds(
    lambda number, length: IPv4Network((number << 16, length), strict=False),
    st.integers(0, 0xFFFF),
    st.integers(0, 24),
)


@settings(deadline=None)
@given(st.lists(st.tuples(SUBNETS, st.none() | st.integers(0, 24)), max_size=12), SUBNETS)
def test_whatever_was_stored_an_answer_found_covers_the_asking_prefix(
    stored: list[tuple[Subnet, int | None]], asking: Subnet
) -> None:
    cache = AnswerCache()
    networks: list[Subnet | None] = []
    for number, (subnet, scope) in enumerate(stored):
        question = DnsQuestion("shop.example", 4, subnet)
        answer = named(scope=scope, ip=f"192.0.2.{number}")
        cache.store(question, answer, 0.0)
        networks.append(valid_for(question, answer))
    found = cache.find(DnsQuestion("shop.example", 4, asking), 1.0, OPTIONS)
    covering = [network is None or covers(network, asking) for network in networks]
    assert (found is not None) == any(covering)
    if found is not None:
        assert isinstance(found[0], DnsAnswer)
        number = int(found[0].addresses[0].rpartition(".")[2])
        assert covering[number]
