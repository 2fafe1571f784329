"""Which certificate is for which name, as a table, and against another implementation."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError
from hypothesis import given, settings
from hypothesis import strategies as st

from probe.certificates.certificate import Certificate, read
from probe.certificates.verdict import covers
from probe.net.names import belongs_to

from .authority import NOW, leaf, root

TOP = root()


def covered(pattern: str, name: str) -> bool:
    certificate = read(leaf(TOP, pattern).der)
    assert isinstance(certificate, Certificate)
    return covers(certificate.facts, name)


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("shop.example", "shop.example", True),
        ("Shop.Example", "sHOP.eXAMPLE", True),
        ("shop.example", "shop.example.", True),
        ("shop.example", "www.shop.example", False),
        ("shop.example", "example", False),
        ("shop.example", "badshop.example", False),
        ("*.shop.example", "www.shop.example", True),
        ("*.shop.example", "WWW.shop.example", True),
        ("*.shop.example", "xn--bcher-kva.shop.example", True),
        ("*.shop.example", "a.b.shop.example", False),
        ("*.shop.example", "shop.example", False),
        ("*.shop.example", ".shop.example", False),
        ("*.shop.example", "*.shop.example", True),
        ("w*.shop.example", "www.shop.example", False),
        ("*w.shop.example", "www.shop.example", False),
        ("www.*.example", "www.shop.example", False),
        ("*.*.example", "www.shop.example", False),
        ("*.example", "shop.example", False),
        ("*", "example", False),
        ("*", "shop.example", False),
        ("my_shop.example", "my_shop.example", True),
        ("192.0.2.7", "192.0.2.7", False),
        ("*.0.2.7", "192.0.2.7", False),
        ("shop.example", "", False),
    ],
)
def test_a_name_is_covered_by_the_rules_of_rfc_9525(pattern: str, name: str, matches: bool) -> None:
    assert covered(pattern, name) is matches


@pytest.mark.parametrize(
    ("entry", "asked", "matches"),
    [
        ("192.0.2.7", "192.0.2.7", True),
        ("192.0.2.7", "192.0.2.8", False),
        ("2001:db8::7", "2001:0db8:0:0::7", True),
        ("2001:db8::7", "[2001:db8::7]", True),
        ("::ffff:192.0.2.7", "192.0.2.7", False),
    ],
)
def test_an_address_is_covered_only_by_the_same_address(
    entry: str, asked: str, matches: bool
) -> None:
    certificate = read(leaf(TOP, ips=[entry]).der)
    assert isinstance(certificate, Certificate)
    assert covers(certificate.facts, asked) is matches


@pytest.mark.parametrize(
    ("name", "patterns", "own"),
    [
        ("cdn-b.example", ["*.cdn-b.example"], True),
        ("a.b.cdn-b.example", ["*.cdn-b.example"], True),
        ("*.cdn-b.example", ["*.cdn-b.example"], True),
        ("*.eu.CDN-B.example", ["*.cdn-b.example"], True),
        ("notcdn-b.example", ["*.cdn-b.example"], False),
        ("cdn-b.example.test", ["*.cdn-b.example"], False),
        ("a.cdn-b.example", ["cdn-b.example"], False),
        ("cdn-b.example", ["cdn-c.example", "cdn-b.example"], True),
        ("cdn-b.example", [], False),
    ],
)
def test_names_of_the_provider_itself(name: str, patterns: list[str], own: bool) -> None:
    assert belongs_to(name, patterns) is own


label = st.sampled_from(["*", "a", "b", "www", "xn--a", "a*", "A"])
dotted = st.lists(label, min_size=1, max_size=4).map(".".join)


@settings(max_examples=150, deadline=None)
@given(pattern=dotted, name=dotted)
def test_agrees_with_the_verifier_of_cryptography(pattern: str, name: str) -> None:
    """Except that a wildcard over one label alone, which it takes, is refused by most clients."""
    if pattern.count(".") < 2 and pattern.startswith("*."):
        assert not covered(pattern, name)
        return
    server = leaf(TOP, pattern)
    builder = PolicyBuilder().store(Store([TOP.certificate])).time(NOW)
    try:
        verifier = builder.build_server_verifier(x509.DNSName(name))
    except ValueError:
        return  # no name that a client could ask for
    try:
        verifier.verify(server.certificate, [])
        accepted = True
    except VerificationError:
        accepted = False
    assert covered(pattern, name) is accepted
